#!/usr/bin/perl

# Faults of the filler that no other test shows in all columns, where it asks and
# where it writes what a worker leads; see t/lib/Chat/Matrix.pm.  It is killed in mid-answer and just after the end in
# killed_filler.t, stopped past its lease in takeover.t and
# lost_generations.t, and its workers are killed in workers.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Matrix;
use Time::HiRes qw(sleep);

my %answer = (chunks => 20, gap => 80, bytes => 20);
my $LONG = $answer{chunks} * $answer{gap} / 1000;

my $redis = start_redis();
my $provider = start_provider(%answer);
my $nginx = start_nginx(redis => $redis, provider => $provider,
                        lead => 'off', listen => 'reuseport');
my $led = led_nginx(redis => $redis->url(1), provider => $provider,
                    workers => 1);

$nginx->allow_log(qr/exited on signal 9/);

my $world = { redis => $redis, provider => $provider, nginx => $nginx,
              answer => \%answer, led => { nginx => $led, db => 1 } };

# who takes over on the same host does so within a second

my $TAKEN = 1;
my @victims;

# clients of a worker that leads do not notice

my %unnoticed = (restarts => 0, calls => 1, bound => $LONG);


# who has lived for a second is replaced at once

sub rested {
    my ($w) = @_;
    my ($victim) = filler($w->{nginx});

    @victims = () if $w->{nginx} == $nginx;
    push(@victims, $victim);
    wait_for { lived($victim) > 1.2 } 5, 'a filler that has lived';
}


# seconds since a process was started

sub lived {
    my ($pid) = @_;
    my @stat = split(/ /, (read_file("/proc/$pid/stat") =~ /\) (.*)/s)[0]);
    my ($up) = read_file('/proc/uptime') =~ /^(\S+)/;

    return $up - $stat[19] / 100;
}


sub tasks {
    my ($redis) = @_;

    return $redis->cmd('XLEN', 'chat:tasks:1') > 0;
}


sub called {
    my ($w, $row) = @_;

    return all_begun($row) && !grep {
        !provider_stats($w->{provider}, $_->{question})
    } @{ $row->{views} };
}


sub killed { kill('KILL', @victims) }


# what has nothing left to do may live on for a moment

sub ended { wait_for { !grep { !gone($_) } @victims } 10, 'fillers to end' }


matrix($world,
    { name => 'killed before it claims the task',
      before => sub {
          rested(@_);
          stand_still($victims[-1]);
      },
      when => sub { all_begun($_[1]) && tasks($redis) },
      fault => \&killed,
      ends => 'completed', restarts => 0, cached => 1, calls => 1,
      bound => $TAKEN + $LONG },

    { name => 'killed before the first chunk',
      options => 'first=1500',
      before => \&rested, when => \&called, fault => \&killed,
      ends => 'completed', restarts => 0, cached => 1, calls => 2,
      bound => $TAKEN + 1.5 + $LONG, led => { calls => 1 } },

    { name => 'killed with the first chunk',
      before => \&rested, at => 1, fault => \&killed,
      ends => 'completed', restarts => 1, cached => 1, calls => 2,
      bound => $TAKEN + $LONG, led => { %unnoticed } },

    # the provider pauses between the last chunk and the finish reason

    { name => 'killed just before it finishes',
      options => 'chunks=3;gap=1200',
      before => \&rested, at => 3, fault => \&killed,
      ends => 'completed', restarts => 1, cached => 1, calls => 2,
      bound => $TAKEN + 3.6, led => { %unnoticed, bound => 2.4 } },

    # what it has written last may be acknowledged or not

    (map { {
        name => "killed while it finishes, $_",
        options => 'chunks=2;gap=30',
        before => \&rested, at => 2,
        fault => sub { sleep(0.0295 + 0.0005 * $_[1]{run}); killed() },
        run => $_,
        ends => 'completed', cached => 1, calls => [ 1, 2 ],
        bound => $TAKEN + 0.06, led => { %unnoticed, bound => 0.06 },
    } } 1 .. 4),

    { name => 'killed while it waits to ask again',
      options => 'fails=1;status=503;retry_after=2',
      before => \&rested, when => \&called, fault => \&killed,
      ends => 'completed', restarts => 0, cached => 1, calls => 2,
      bound => $TAKEN + $LONG },

    { name => 'stopped for less than its lease',
      before => \&rested, at => 3,
      fault => sub { kill('STOP', @victims) },
      then => [ 3, sub { kill('CONT', @victims) } ],
      ends => 'completed', restarts => 0, cached => 1, calls => 1,
      bound => 3 + $LONG, led => { %unnoticed } },

    { name => 'asked to end in mid-answer',
      before => \&rested, at => 3,
      fault => sub { kill('TERM', @victims) }, after => \&ended,
      ends => 'completed', restarts => 1, cached => 1, calls => 2,
      bound => $TAKEN + $LONG, led => { %unnoticed } },

    { name => 'asked to drain in mid-answer',
      before => \&rested, at => 3,
      fault => sub { kill('QUIT', @victims) }, after => \&ended,
      ends => 'completed', restarts => 0, cached => 1, calls => 1,
      bound => $LONG },
);

# Another answer keeps it for a moment while it ends: it asks nobody any more.

{
    my ($running, $late) = ('Which runs? {{chunks=80}}', 'Which comes late?');
    my $first;

    rested($world);
    $first = ask_later($nginx, { question => $running });
    mid_answer($redis, 3, $running);
    wait_for { waiting_for_tasks($redis) } 10, 'it to wait';
    stand_still(@victims);

    my $second = ask_later($nginx, { question => $late });

    wait_for {
        ($redis->cmd('XPENDING', 'chat:tasks:1', 'fill'))->[0] == 2;
    } 10, 'both tasks to be taken';
    kill($_, @victims) foreach 'TERM', 'CONT';

    stream_ok((results($first))[0], 'asked to end: what ran', restarts => 1,
              text => text_of($running, %answer, chunks => 80));
    stream_ok((results($second))[0], 'asked to end: what came late',
              restarts => 0, text => text_of($late, %answer));
    is(provider_stats($provider, $late), 1, 'asked to end: no call is begun');
}

is(scalar(map { zombies($_) } $nginx, $led), 0,
   'all rows: no zombie is left');
wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'all rows: no call goes on');

done();
