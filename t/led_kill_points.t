#!/usr/bin/perl

# A worker and a filler are killed at each message between them: before it is
# sent, after it was sent, and when it has come.  Whoever reads along has one
# whole answer or one error in time, nothing half is cached, nothing is left.
#
# CHAT_KILL_POINTS: a pattern, for those with such names alone.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::KillPoint;
use Chat::KillScene;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my $PLACES = 8;

# s: an entry is idle for 12 s, and looked for every 3 s
my $FOUND = 12 + 3 + 1;

# s: an answer of 30 chunks
my $ANSWER = 1.2;

my $QUEUE_TIMEOUT = 4;

# worker 0, which is the filler's parent, leads each other time
my $zero = 0;

my %early = (join => 'struck');
my %orphan = (%early, restarts => [0, 1]);
my %later = (arm => 'begun', left => 5, more => 'later');
my %last = (left => 30, more => 'the last');
my %gathered = (left => 4, more => 'gathered', alone => 1);
my %parts = (how => 'chunks=6;bytes=150000;gap=150');
my %breaks = (how => 'fault=reset;at=8;fails=1');
my %fails = (%breaks, path => '/once', error => 'provider_broken', cached => 0,
             restarts => [0, 0], calls => [1, 1]);
# a filler's grace is half a second at least, from the start, too
my %idle = (path => '/brief', leave => 15, alone => 1, cached => 0,
            calls => [1, 1], how => 'chunks=150');
my %heard = (path => '/brief', leave => 15, alone => 'elsewhere',
             how => 'chunks=60', bound => 1 + 2 * $ANSWER, more => 'heard');
my %far = (path => '/far', join => 'struck', asked => \&no_files,
           restored => \&files, pause => $ANSWER, leader => 'whole',
           calls => [1, 1], restarts => [0, 1]);
my %cut = (%far, leader => 'cut', restored => undef);
my %found = (bound => $FOUND + $ANSWER, pause => $FOUND, cost => 14);
my %alive = (arm => 'begun', how => 'chunks=90', bound => 1 + 3 * $ANSWER,
             cost => 5);
my %next = (arm => 'begun', begun => sub { kill('KILL', $_[0]{filler}) });
my %drain = (arm => 'begun', begun => sub { $_[0]{nginx}->signal('HUP') });
my %stop = (arm => 'begun', begun => \&stop, error => 'stopped', cached => 0,
            restarts => [0, 0], calls => [1, 1]);
my %refresh = (more => 'of a refresh', refresh => 1, alone => 1, pause => 1);

# the filler has not told the next one of its entry, which is found later
my %left = (cost => 13);

# record, where, and what else there is to say: see Chat::KillScene

my @rows = (
    ['FILL', 'before', %early, more => 'no filler knows of it', late => 1,
     error => 'queue_timeout', cached => 0, calls => [1, 1], restarts => [0, 0],
     bound => $QUEUE_TIMEOUT + 1, cost => 6],
    ['FILL', 'after', %orphan],
    ['FILL', 'receive', %early],

    ['CHUNK', 'before', %orphan],
    ['CHUNK', 'after', %early],
    ['CHUNK', 'receive', %early],
    ['CHUNK', 'before', %later],
    ['CHUNK', 'after', %later],
    ['CHUNK', 'receive', %later],
    ['CHUNK', 'before', %last],
    ['CHUNK', 'after', %last],
    ['CHUNK', 'receive', %last],
    ['CHUNK', 'before', %gathered],
    ['CHUNK', 'after', %gathered],
    ['CHUNK', 'receive', %gathered],
    ['CHUNK', 'after', %parts, left => 7, more => 'in part'],
    ['CHUNK', 'receive', %parts, %left, left => 7, more => 'in part'],
    ['CHUNK', 'receive', %parts, %left, left => 9, more => 'the last part'],

    ['RESTART', 'before', %breaks],
    ['RESTART', 'after', %breaks],
    ['RESTART', 'receive', %breaks, again => 1, restarts => [1, 1],
     calls => [2, 2]],

    ['END', 'before'],
    ['END', 'after', restarts => [0, 0], calls => [1, 1]],
    ['END', 'receive'],
    ['END', 'before', %refresh, calls => [3, 3]],
    ['END', 'receive', %refresh, calls => [2, 2]],

    ['FAIL', 'before', %breaks, path => '/once', leader => 'any'],
    ['FAIL', 'after', %fails, leader => 'any'],
    ['FAIL', 'receive', %fails, leader => 'provider_broken'],

    ['IDLE', 'before', %idle],
    ['IDLE', 'after', %idle],
    ['IDLE', 'receive', %idle],
    ['IDLE', 'before', %heard],
    ['IDLE', 'after', %heard],
    ['IDLE', 'receive', %heard],

    ['HAND_OVER', 'before', %cut],
    ['HAND_OVER', 'after', %cut],
    ['HAND_OVER', 'receive', %far],

    ['ALIVE', 'before', %alive],
    ['ALIVE', 'after', %alive],
    ['ALIVE', 'receive', %alive],

    ['HELLO', 'before', %next],
    ['HELLO', 'after', %next],
    ['HELLO', 'receive', %next, %found],

    ['DRAIN', 'before', %drain],
    ['DRAIN', 'after', %drain],
    ['DRAIN', 'receive', %drain],

    ['KEPT', 'before', %early],
    ['KEPT', 'after', %early],
    ['KEPT', 'receive', %orphan],

    ['NOT_KEPT', 'before', %far, %found, more => 'as it begins to ask'],
    ['NOT_KEPT', 'after', %far, %found, more => 'when it was handed over'],
    ['NOT_KEPT', 'receive', %cut],

    ['DONE', 'before'],
    ['DONE', 'after'],
    ['DONE', 'receive', restarts => [0, 0], calls => [1, 1]],
    ['DONE', 'before', %refresh, calls => [2, 2]],

    ['STOP', 'before', %stop, leader => 'stopped'],
    ['STOP', 'after', %stop, leader => 'stopped'],
    ['STOP', 'receive', %stop],

    ['LISTENERS', 'before', %left],
    ['LISTENERS', 'after', %left],
    ['LISTENERS', 'receive'],

    ['HEARD', 'before', %heard],
    ['HEARD', 'after', %heard],
    ['HEARD', 'receive', %heard],

    ['CANCELLED', 'before', %idle],
    ['CANCELLED', 'after', %idle],
    ['CANCELLED', 'receive', %idle],

    ['OFFER', 'before', %next, %found],
    ['OFFER', 'after', %next, %found],
    ['OFFER', 'receive', %next],
);

all_records();

my @all = grep { $_->{name} =~ ($ENV{CHAT_KILL_POINTS} // '') }
    map { row(@$_) } @rows;
my @late = grep { $_->{late} } @all;
my @parts = shares(grep { !$_->{late} } @all);
my @places = map { place() } @parts;

if (@late) {
    push(@parts, { rows => \@late });
    push(@places, place(http => "chat_queue_timeout ${QUEUE_TIMEOUT}s;"));
}

my $began = time();
my @later = map {
    my $i = $_;

    background(sub { perform($places[$i], @{ $parts[$i]{rows} }) });
} 0 .. $#places;

foreach my $i (0 .. $#places) {
    my @results = @{ value_of($later[$i]) };

    is(scalar(@results), scalar(@{ $parts[$i]{rows} }),
       "place $i: all has happened");

    foreach my $result (@results) {
        is(join("\n", @{ $result->{faults} }), '', $result->{name});
        note($result->{note});
    }
}

note(sprintf('%.1f s in all', time() - $began));

done();


# a record that is new has points, too

sub all_records {
    my ($number) = Chat::KillPoint::records();
    my %has = map { ("@$_[0, 1]" => 1) } @rows;

    is(join(', ', grep { !$has{$_} } map {
        my $record = $_;

        map { "$record $_" } qw(before after receive);
    } sort keys %$number), '', 'all records, on both sides');
}


sub row {
    my ($record, $where, %more) = @_;
    my $who = killed_is_worker($record, $where)
        ? 'the worker is killed' : 'the filler is killed';

    return { kill => [$record, $where, $more{left}], cost => 2.5,
             zero => $zero++ % 2, %more,
             name => join(', ', "$record, $where", $who,
                          grep { defined } $more{more}) };
}


# those that take long first, each to who has least

sub shares {
    my (@all) = @_;
    my @shares = map { { cost => 0, rows => [] } }
        1 .. (@all < $PLACES ? @all : $PLACES);

    foreach my $row (sort { $b->{cost} <=> $a->{cost} } @all) {
        my ($least) = sort { $a->{cost} <=> $b->{cost} } @shares;

        push(@{ $least->{rows} }, $row);
        $least->{cost} += $row->{cost};
    }

    return @shares;
}


# in a process of its own; without workers that lead nothing more can be seen

sub perform {
    my ($place, @all) = @_;
    my (@results, $broken);

    $place->{redis}->disconnect;

    foreach my $row (@all) {
        my $from = time();
        my $s = $broken ? { faults => ['not tried'] }
            : eval { scene($place, $row) };

        if (!$s) {
            $broken = 1;
            $s = { faults => ["died: $@"] };
        }

        push(@results, { name => $row->{name}, faults => $s->{faults},
            note => sprintf('%s: %.1f s, %s calls, %s', $row->{name},
                time() - $from, $s->{calls} // 'no', join(', ', map {
                    "$_ after $s->{took}{$_} s, $s->{restarts}{$_} restarts"
                } sort keys %{ $s->{took} || {} })) });
    }

    return \@results;
}


sub stop {
    my ($s) = @_;

    $s->{place}{redis}->cmd('HSET', own_of($s), 'stop', 1);
}


# no number is left for a connection to the provider

sub no_files {
    my ($s) = @_;
    my $dir = "/proc/$s->{leader}";
    my $last = '';

    ($s->{files}) = read_file("$dir/limits") =~ /^Max open files\s+(\d+)/m;

    # those of connections that are being closed will be free

    wait_for {
        my $now = join(' ', glob("$dir/fd/*"));
        my $same = $now eq $last;

        $last = $now;
        sleep(0.05);
        $same;
    } 5, 'files to be closed';

    my ($free) = grep { !-l "$dir/fd/$_" } 0 .. $s->{files};

    limit_files($s->{leader}, $free);
}


sub files {
    my ($s) = @_;

    limit_files($s->{leader}, $s->{files});
}


sub limit_files {
    my ($pid, $n) = @_;
    my (undef, undef, undef, undef, $uid, $gid) = stat("/proc/$pid");
    my @as = $> == $uid ? ()
        : ('setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups');

    system(@as, 'prlimit', '--pid', $pid, "--nofile=$n:") == 0
        or die "prlimit: $?\n";
}
