#!/usr/bin/perl

# Messages in the README files: each is one that the source has, and each that
# the source may log at level warn or above while nginx runs, or warns of as it
# reads the configuration, is in one of the tables.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Readme;

my $root = Chat::Nginx::root();
my $sources = sources();

# what a message may be made of: strings of the source, with "..." for what is
# put in

my %seen;
my @texts = grep { /[a-z]/ && !$seen{$_}++ } texts_of($sources);

# rows of the tables

my @rows;

foreach my $dir (readmes()) {
    my $name = $dir || 'README';

    foreach my $part ('Troubleshooting', 'Messages') {
        push(@rows, map { [ $name, $_ ] }
             part(readme($dir), $part) =~ /^\| (`.*?) \| .+? \| .+? \|$/mg);
    }
}

cmp_ok(scalar @rows, '>', 50, 'tables of messages');

my %told;

foreach my $row (@rows) {
    my ($name, $cell) = @$row;

    # what nginx itself says

    next if $cell =~ / \(nginx\)$/;

    foreach my $message ($cell =~ /`([^`]+)`/g) {

        # what many begin with does not stand for each of them

        $told{$message} = 1
            unless $message =~ /^chat (?:filler|provider "\.\.\."):? ?(?:\.\.\.)?$/;

        ok(known($message), "$name: $message");
    }
}

# the other way round: calls that log

my @calls = $sources =~ /ngx_(?:conf_)?log_error\(\s*
                         (?:NGX_LOG_(?:WARN|ERR|CRIT|ALERT)|\w*level)\b
                         ((?:"(?:[^"\\]|\\.)*"|[^";])*);/gx;
my @missing;

foreach my $call (@calls) {
    my ($text) = texts_of($call);

    # of some the words are put in

    next unless ($text // '') =~ s/^(?:chat )?redis [^:]*: //r =~ /[a-z]{3}/;

    push(@missing, $text) unless grep { holds($text, $_) } keys %told;
}

cmp_ok(scalar @calls, '>', 50, 'calls that log');
is_deeply(\@missing, [], 'each message is in a table');

done();


# All strings of C code: those that stand side by side are one.

sub texts_of {
    my ($code) = @_;

    $code =~ s/"\s*\n\s*"//g;

    return map { s/\\(["\\])/$1/gr =~ s/%(?:\*s|[uX]?[0-9]*[a-zA-Z])/.../gr }
        $code =~ /"((?:[^"\\\n]|\\.)*)"/g;
}


# do these words of a table, where "..." is anything, stand in the text?

sub holds {
    my ($text, $message) = @_;
    my $pattern = join('.*', map { quotemeta } split(/\.\.\./, $message));

    return $text =~ /$pattern/;
}


# Lines on providers and on connections of Redis are put together from several
# strings.

sub known {
    my ($message) = @_;

    return 1 if grep { holds($_, $message) } @texts;
    return unless $message =~ /^(?:chat )?(?:provider "|redis )/;

    foreach my $piece (split(/\.\.\.|: |, | "|" | \d{3}$/, $message)) {
        return unless grep { index($_, $piece) >= 0 } @texts;
    }

    return 1;
}
