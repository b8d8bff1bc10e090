#!/usr/bin/perl

# Three instances with a zone each, and one Redis: an answer is replaced a
# thousand times by way of all of them, while others read it everywhere. 50 ms
# after somebody has seen the end of an answer, nobody gets an older one.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(sleep time);

my $REFRESHES = $ENV{CHAT_NGINX} ? 200 : 1000;
my $QUESTION = 'What is new?';

my $redis = start_redis();
my $provider = start_provider(chunks => 3, gap => 0, unique => 1);

# the second one has its generations queued

my @nginx = map {
    start_nginx(redis => $redis, provider => $provider, workers => 2,
                zone => 'chat 1m', lead => $_ == 1 ? 'off' : 'on')
} 0 .. 2;

foreach my $nginx (@nginx) {
    wait_for { get($nginx, '/')->{body} =~ /"zone": \{"state": "on"/ } 10,
        'the zone';
}


sub number {
    my ($q) = @_;

    return ($q->{text} // '') =~ /^#(\d+) / && $q->{complete} ? $1 : undef;
}


ask($nginx[0], { question => $QUESTION });

# readers note when they asked, what they got, and from where

my $end = test_dir() . '/end';

my @readers = map {
    my $nginx = $_;

    background(sub {
        my @seen;

        while (!-e $end) {
            my $began = time();
            my $q = ask($nginx, { question => $QUESTION });

            push(@seen, [ $began, number($q),
                          $q->{headers}{'cache-status'} // '' ]);
        }

        return \@seen;
    });
} @nginx;

my @written;

foreach my $n (1 .. $REFRESHES) {
    my $q = ask($nginx[$n % 3], { question => $QUESTION, use_cache => 0 });

    push(@written, [ time(), number($q) ]);

    # the zone has to have some of them

    sleep(0.01) if $n % 4 == 0;
}

sleep(0.2);

open(my $file, '>', $end) or die "$end: $!\n";
close($file);

my @seen = map { @{ value_of($_) } } @readers;

is((grep { !defined $_->[1] } @written) + 0, 0, 'all refreshes are answered');
is((grep { !defined $_->[1] } @seen) + 0, 0, 'all readers are answered');

my $zoned = grep { $_->[2] =~ /detail=zone/ } @seen;

cmp_ok($zoned, '>', $REFRESHES / 10, 'many readers are answered by a zone');

my @old;
my $latest = 0;
my $i = 0;

foreach my $seen (sort { $a->[0] <=> $b->[0] } @seen) {
    while ($i < @written && $written[$i][0] + 0.05 < $seen->[0]) {
        $latest = $written[$i][1] if $written[$i][1] > $latest;
        $i++;
    }

    push(@old, sprintf('%s for %d, %.0f ms after it', $seen->[1], $latest,
                       1000 * ($seen->[0] - $written[$i - 1][0]))
               . " ($seen->[2])")
        if $i && $seen->[1] < $latest;
}

is(@old + 0, 0, 'nobody gets an older one')
    or diag(join("\n", @old[0 .. ($#old > 9 ? 9 : $#old)]));

diag(@seen . " answers read, $zoned from a zone") if $ENV{CHAT_TEST_LEAVE};

# all agree at the end

my @last = map { number(scalar ask($_, { question => $QUESTION })) } @nginx;

is("@last", join(' ', ($written[-1][1]) x 3), 'the last one is everywhere');

done();
