#!/usr/bin/perl

# scripts/bench at a tiny size: the table, the JSON and the plot of each
# section, a line for each target, and that a wrong byte is noticed, whoever
# sends it.  What the figures are is no matter here.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use POSIX ();

use lib 'scripts/lib/bench';
use Bench::Kill;

my $root = Chat::Nginx::root();
my $out = test_dir() . '/out';
my $tmp = test_dir() . '/tmp';

mkdir($_) foreach $tmp, $out;

# what each section compares

my %rows = (
    hit => [ qw(provider nginx_return nginx_static proxy_pass),
             'lua_shm', 'redis' ],
    hot => [ qw(provider nginx_return nginx_static proxy_pass),
             'lua_shm', 'zone' ],
    miss => [ qw(provider proxy_pass ngx_chat queued lua_shm) ],
    fanout => [ 'ngx_chat', 'proxy_pass', 'nginx_return, most',
                'ngx_chat, most', 'three hosts' ],
    memory => [ qw(proxy_pass ngx_chat queued) ],
    kill => [ qw(nothing filler Redis worker worker) ],
);


# (exit status, what it said, its errors)

sub bench {
    my (@args) = @_;
    my $name = test_dir() . '/said';
    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        $ENV{TMPDIR} = $tmp;
        open(STDOUT, '>', $name);
        open(STDERR, '>', "$name.errors");
        exec("$root/scripts/bench", '--quick', '--out', $out, @args)
            or POSIX::_exit(127);
    }

    waitpid($pid, 0);

    return ($? >> 8, read_file($name), read_file("$name.errors"));
}


# The tables in a text: a list of rows each, which are cells by their column.

sub tables {
    my ($text) = @_;
    my @tables;

    foreach my $table ($text =~ /((?:^\|.*\|\n){3,})/mg) {
        my @lines = map { [ map { s/^ +| +$//gr } /\|([^|]*)(?=\|)/g ] }
                    split(/\n/, $table);
        my $head = shift(@lines);

        shift(@lines);
        push(@tables, [ map { my $cells = $_;
                              +{ map { $head->[$_] => $cells->[$_] }
                                 0 .. $#$head } } @lines ]);
    }

    return @tables;
}


my ($status, $text, $errors) = bench('check');

is($status, 0, 'all sections: measured') or diag($text, $errors);
unlike($errors, qr/WRONG/, 'all sections: every answer is right');

# where Debian has no Lua for nginx

if ($errors =~ /^without Lua$/m) {
    @$_ = grep { $_ ne 'lua_shm' } @$_ foreach values %rows;
}

# parts of the text by section, the targets last

my %part = $text =~ /^(hit|hot|miss|fanout|memory|kill|targets)\b
                     (.*?)(?=^(?:hot|miss:\ 1\ |fanout|memory|kill|targets)\b
                             |\z)/msxg;

foreach my $section (sort keys %rows) {
    my ($first) = tables($part{$section} // '');
    my ($column) = $section eq 'kill' ? 'killed' : 'target';
    my @found = map { $_->{$column} // '' } @{ $first || [] };

    is_deeply(\@found, $rows{$section}, "$section: a row for each");
    is_deeply([ grep { ($_->{wrong} // 0) ne '0' } @{ $first || [] } ], [],
              "$section: no wrong answers");

    # the same in files

    my $json = eval { parse_json(read_file("$out/$section.json")) } || {};

    is_deeply([ map { $_->{who} } @{ $json->{rows} || [] } ],
              $rows{$section}, "$section: the same in JSON");
    like($json->{date} // '', qr/^\d{4}-\d\d-\d\d$/, "$section: with a date");
    ok($json->{machine}{cpu} && $json->{machine}{cpus},
       "$section: and a machine");
    ok($json->{quick}, "$section: and that it was a tiny run");

    my $plot = read_file("$out/$section.svg");
    my @lengths = $plot =~ /<rect [^>]*width="([\d.]+)"/g;

    ok(balanced($plot), "$section: a plot, well-formed");
    cmp_ok(scalar(grep { $_ >= 1 } @lengths), '>=', 2, "$section: with bars");
    is(scalar(grep { $_ > 860 } @lengths), 0, "$section: which fit");
}

# figures that no machine changes

my %json = map { $_ => eval { parse_json(read_file("$out/$_.json")) } || {} }
           qw(hit fanout kill);

is_deeply([ map { $_->{calls} } grep { $_->{who} =~ /chat|three/ }
            @{ $json{fanout}{rows} } ], [ 1, 1, 1 ], 'fanout: one call each');

my ($bare, $most) = grep { $_->{who} =~ /, most$/ } @{ $json{fanout}{rows} };

ok($bare->{memory} > 0
   && abs($most->{memory} - $bare->{memory} - $most->{added}) < 0.001,
   'fanout: how much more than nginx itself');
is_deeply([ grep { !($_->{nginx} && $_->{nginx} > 0) }
            grep { $_->{who} ne 'provider' } @{ $json{hit}{rows} } ], [],
          'hit: CPU of each');
is_deeply([ map { $_->{lost} + $_->{errors} ? 1 : 0 }
            @{ $json{kill}{rows} } ], [ 0, 0, 0, 1, 0 ],
          'kill: all answers have an end but those of a killed worker');
is_deeply([ grep { !$_->{end} || !($_->{lost} || $_->{pause}) }
            @{ $json{kill}{rows} } ], [],
          'kill: pauses between chunks, and the wait for the end');
is_deeply([ Bench::Kill::waits(3e6, map { [ $_->[0] * 1e6, $_->[1] ] }
                               [ 1, 'chunk' ], [ 2, 'chunk' ], [ 22, 'chunk' ],
                               [ 52, 'processing' ], [ 53, 'chunk' ],
                               [ 153, 'completed' ]) ],
          [ [ 20, 30, 1 ], [ 100 ] ], 'kill: which is which');

# targets

my @lines = grep { /\S/ } split(/\n/, $part{targets} // '');

shift(@lines);
cmp_ok(scalar @lines, '>=', 25, 'targets: a line for each');
is_deeply([ grep { !/^(?:met|not\ met|not\ measured)\s+
                     (?:hit|hot|miss|fanout|memory|kill)\s+\S.*:\ \S.*
                     \ \([<>]=\ [\d.]+\)$/x } @lines ], [],
          'targets: met or not, the figure, the limit');
is_deeply([ grep { /^(?:met|not met) / && !/: -?[\d.]+/ } @lines ], [],
          'targets: a figure for each that was measured');

my $result = read_file("$out/bench.md");

like($result, qr/^Of \d{4}-\d\d-\d\d, on \S/m, 'bench.md: date and machine');
is(scalar(tables($result)), scalar(tables($text)), 'bench.md: all tables');

# wrong bytes

foreach ([ 'provider', 'fanout', qr/ngx_chat: 50 of 50 answers: wrong text/ ],
         [ 'nginx_static', 'hit', qr/nginx_static: \d+ of \d+ .*wrong text/ ])
{
    my ($who, $section, $said) = @$_;

    ($status, $text, $errors) = bench('--wrong', $who, $section);
    is($status, 1, "a wrong byte of $who: it fails");
    like($errors, qr/^WRONG: .*$said/m, "a wrong byte of $who: it says so");
}

unlike($errors, qr/^WRONG: (?!.*nginx_static)/m,
       'a wrong byte of nginx_static: nobody else is blamed');

($status, $text, $errors) = bench('cold');
is($status, 2, 'an unknown section: refused');
like($errors, qr/no section "cold"/, 'an unknown section: it says so');

# it was killed in the middle

my $pid = fork() // die "fork: $!\n";

if ($pid == 0) {
    $ENV{TMPDIR} = $tmp;
    open(STDOUT, '>', '/dev/null');
    open(STDERR, '>&', \*STDOUT);
    exec("$root/scripts/bench", '--quick', '--out', $out, 'miss')
        or POSIX::_exit(127);
}

wait_for { grep { /worker process/ } ours() } 20, 'nginx of the benchmark';
kill('TERM', $pid);
waitpid($pid, 0);
is($? >> 8, 1, 'stopped: it fails');

is_deeply([ glob("$tmp/*") ], [], 'no files are left');
is_deeply([ ours() ], [], 'no processes are left');

done();


# processes that have a file there

sub ours {
    my @found;

    foreach my $proc (glob('/proc/[0-9]*')) {
        next unless grep { index(readlink($_) // '', "$tmp/") == 0 }
                    glob("$proc/fd/*");

        push(@found, Chat::Nginx::title($proc =~ s!.*/!!r));
    }

    return @found;
}


# each tag is closed

sub balanced {
    my ($text) = @_;
    my @open;

    foreach my $tag ($text =~ /<([^>]*)>/g) {
        next if $tag =~ m!/$!;

        if ($tag =~ m!^/(\w+)!) {
            return 0 unless @open && pop(@open) eq $1;

        } else {
            push(@open, $tag =~ /^(\w+)/);
        }
    }

    return $text =~ /^<svg / && !@open;
}
