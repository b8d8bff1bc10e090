package Bench::Kill;

# The section "kill": a process is killed in mid-answer, again and again, and
# clients are asked how long they had to wait.

use warnings;
use strict;

use List::Util qw(max sum0);
use Time::HiRes qw(sleep clock_gettime CLOCK_MONOTONIC);

use Bench::Measure;

my $CLIENTS = 8;
my $LIVED = 1.2;    # s

my %PACE = (first => 50, gap => 20, stamp => 1);


sub run {
    my ($site) = @_;
    my @rows;

    $site->shape(%PACE, chunks => $site->size(30, 15));

    my ($target, $nginx, $redis) = $site->new_chat('ngx_chat');
    my $elsewhere = $site->chat($redis);
    my %scene = (target => $target, nginx => $nginx, redis => $redis,
                 there => $site->chat_target('elsewhere', $redis, $elsewhere));

    # what the machine itself makes of the pauses

    push(@rows, kills($site, 'nothing', $site->size(20, 1), \%scene));
    push(@rows, kills($site, 'filler', $site->size(100, 1), \%scene));
    push(@rows, kills($site, 'Redis', $site->size(60, 1), \%scene));
    push(@rows, kills($site, 'worker', $site->size(40, 1), \%scene));

    return { title => "kill: $CLIENTS clients in mid-answer, 20 ms between"
                 . ' chunks',
             columns => [ [ who => 'killed' ], [ clients => 'clients of' ],
                          [ kills => 'kills' ],
                          [ next50 => 'next event: p50, ms' ],
                          [ next99 => 'p99, ms' ], [ nextmax => 'max, ms' ],
                          [ pause => 'longest pause between chunks, ms' ],
                          [ end => 'longest wait for the end, ms' ],
                          [ restarts => 'second "processing"' ],
                          [ lost => 'without an end' ],
                          [ errors => 'error events' ],
                          [ wrong => 'wrong' ] ],
             rows => \@rows,
             plots => [ [ 'time from the kill to the next event, max, ms',
                          'nextmax' ] ],
             labels => sub { "$_[0]{who}: $_[0]{clients}" } };
}


# a row for clients of the worker that leads, and one for those elsewhere where
# that worker is killed

sub kills {
    my ($site, $who, $kills, $scene) = @_;
    my @sides = $who eq 'worker' ? qw(target there) : qw(target);
    my %found = map { $_ => [] } @sides;

    push(@{ $found{$_->[0]} }, $_->[1])
        foreach map { killed($site, $who, $scene, @sides) } 1 .. $kills;

    return map { row($who, $_, $kills, @{ $found{$_} }) } @sides;
}


# ([ side, { next => [ ms ], pause => ms, ... } ], ...) of one kill

sub killed {
    my ($site, $who, $scene, @sides) = @_;
    my $question = $site->fresh;
    my @ask = ('-q', $question, '-c', $CLIENTS, '-n', $CLIENTS);
    my %log = map { $_ => $site->subdir('events') } 'target', @sides;

    $site->ready($scene->{nginx});
    $site->ask_provider('reset');

    my %run = (target => load_start($site, $scene->{target}, "$who killed",
                                    @ask, '-l', $log{target}));

    $site->wait_for('the provider to be asked', sub {
        $site->ask_provider('stats')->{total} >= $CLIENTS });

    $run{$_} //= load_start($site, $scene->{$_}, "$who killed", @ask, '-l',
                            $log{$_}) foreach @sides;

    # in the middle: not before the second chunk, nor in the last third, which
    # the machine may be late for

    my $shape = $site->{shape};

    sleep(($shape->{first} + $shape->{gap}
           + rand($shape->{chunks} * $shape->{gap} / 2)) / 1000);

    my $at = kill_one($who, $scene);
    my %result = map { $_ => load_end($site, $run{$_}, faults => 1) }
                 keys %run;

    mend($site, $who, $scene);

    return map { [ $_, seen($site, "$who killed", $at, $log{$_},
                            $result{$_}) ] } @sides;
}


# the time of the kill, in nanoseconds

sub kill_one {
    my ($who, $scene) = @_;
    my $at = sub { clock_gettime(CLOCK_MONOTONIC) * 1e9 };
    my $now;

    if ($who eq 'Redis') {
        $now = $at->();
        $scene->{redis}->stop('KILL');
        return $now;
    }

    my @pids = $who eq 'filler' ? $scene->{nginx}->filler_pids
        : $who eq 'worker' ? $scene->{nginx}->worker_pids : ();

    $now = $at->();
    kill('KILL', @pids);

    return $now;
}


# All is as before.  A filler is replaced at once if it has lived for a second,
# else later and later.

sub mend {
    my ($site, $who, $scene) = @_;
    my ($nginx, $redis) = @$scene{qw(nginx redis)};

    $redis->start if $who eq 'Redis';

    $site->wait_for('all processes', sub {
        my @fillers = $nginx->filler_pids;

        $nginx->worker_pids && @fillers
            && !grep { time() - ((stat("/proc/$_"))[10] // time()) < $LIVED }
                     @fillers;
    });

    $scene->{target} = $site->chat_target('ngx_chat', $redis, $nginx);
}


sub seen {
    my ($site, $what, $at, $log, $result) = @_;
    my %events;

    foreach (split(/\n/, Chat::Nginx::read_file($log))) {
        my ($client, $time, $kind) = split(' ');

        push(@{ $events{$client} }, [ $time, $kind ]);
    }

    my %seen = (restarts => $result->{restarts}, next => [], pauses => [],
                ends => []);
    my %faults = %{ $result->{faults} };

    $seen{errors} = delete($faults{'error event'}) // 0;
    $seen{lost} = sum0(map { delete($faults{$_}) // 0 }
                       'connect', 'closed early', 'timeout', 'no end');
    $seen{wrong} = sum0(values %faults);

    wrong($site, "$what: " . join(', ', map { "$_ $faults{$_}" }
                                  sort keys %faults)) if $seen{wrong};

    foreach my $list (values %events) {
        my ($before) = grep { $_->[0] <= $at } reverse(@$list);
        my ($next) = grep { $_->[0] > $at } @$list;

        next unless $next && $before;

        push(@{ $seen{next} }, ($next->[0] - $at) / 1e6);

        my ($pauses, $ends) = waits($at, @$list);

        push(@{ $seen{pauses} }, @$pauses);
        push(@{ $seen{ends} }, @$ends);
    }

    return \%seen;
}


# ms between events, from the last one before the kill on: until a chunk, or
# another start, and until the end

sub waits {
    my ($at, @events) = @_;
    my (@pauses, @ends);

    foreach my $i (1 .. $#events) {
        my ($time, $kind) = @{ $events[$i] };

        next if $time <= $at;

        push(@{ $kind =~ /^(?:chunk|processing)$/ ? \@pauses : \@ends },
             ($time - $events[$i - 1][0]) / 1e6);
    }

    return (\@pauses, \@ends);
}


sub row {
    my ($who, $side, $kills, @seen) = @_;
    my @next = sort { $a <=> $b } map { @{ $_->{next} } } @seen;
    my $sum = sub { my ($what) = @_; sum0(map { $_->{$what} } @seen) };

    return { who => $who, kills => $kills,
             clients => $side eq 'there' ? 'another host'
                                         : 'the leading worker',
             next50 => median(@next), next99 => $next[$#next * 0.99],
             nextmax => $next[-1],
             pause => max(map { @{ $_->{pauses} } } @seen),
             end => max(map { @{ $_->{ends} } } @seen),
             map { $_ => $sum->($_) } qw(restarts lost errors wrong) };
}


1;
