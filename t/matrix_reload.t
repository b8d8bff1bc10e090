#!/usr/bin/perl

# Reload, quit and a binary upgrade while something else fails: what holds
# without them holds with them.  See t/lib/Chat/Matrix.pm; for reloads alone
# reload.t, quit.t and upgrade.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Matrix;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 25, gap => 60, bytes => 20);
my $LONG = $answer{chunks} * $answer{gap} / 1000;
my $QUEUE = 3;
my $IDLE = 1;
my $SHUTDOWN = 2;
my $TAKEN = 1;

my $provider = start_provider(%answer);
my $redis = start_redis();
my $proxy = start_proxy($redis, rst => 1);


# through the queue and led

sub world {
    my $url = 'redis://127.0.0.1:' . $proxy->port;
    my %opt = (provider => $provider, listen => 'reuseport',
        provider_lines => "idle_timeout ${IDLE}s; retries 1;",
        http => "chat_queue_timeout ${QUEUE}s;");
    my $nginx = start_nginx(%opt, lead => 'off', redis => "$url/0");
    my $led = led_nginx(%opt, redis => "$url/1", workers => 1);

    $nginx->allow_log(qr/exited on signal 9/);
    filler($nginx);

    return { redis => $redis, provider => $provider, nginx => $nginx,
             answer => \%answer, led => { nginx => $led, db => 1 } };
}


sub both { return ($_[0]{nginx}, $_[0]{led}{nginx}) }

sub signal_both {
    my ($w, $signal) = @_;

    $_->signal($signal) foreach both($w);
}


# the old processes are gone: a master, its workers, a filler

sub settled {
    my ($w) = @_;

    foreach my $nginx (both($w)) {
        my @pids;

        wait_for {
            (@pids = $nginx->pids) == 2 + $nginx->{workers}
        } 15, 'the old processes to end';
    }
}


# clients of a worker that leads do not notice

my %unnoticed = (ends => 'completed', restarts => 0, calls => 1,
                 bound => $LONG);


my %faults = (
    'killed filler' => {
        fault => sub { kill('KILL', map { filler($_) } both($_[0])) },
        restarts => 1, calls => 2, bound => $TAKEN + $LONG,
        led => { %unnoticed },
    },
    'stopped Redis' => {
        fault => sub { $redis->signal('STOP') },
        then => [ 1, sub { $redis->signal('CONT') } ],
        restarts => 0, calls => 1, bound => 1 + 2 * $COMMAND + $LONG,
        led => { %unnoticed },
    },
    'reset Redis' => {
        fault => sub { $proxy->set(drop => 1) },
        restarts => 0, calls => 1, bound => 2 * $COMMAND + $LONG,
        led => { %unnoticed },
    },
    'subscriber reset' => {
        fault => sub { $redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub') },
        restarts => 0, calls => 1, bound => 2 * $COMMAND + $LONG,
        led => { %unnoticed },
    },
    'provider reset' => {
        options => 'fault=reset;at=8;fails=1', fault => sub {},
        restarts => 1, calls => 2, bound => 1 + $LONG,
    },
    'provider stalled' => {
        options => 'fault=stall;at=8', fault => sub {},
        ends => 'provider_timeout', restarts => 0, calls => 1, again => 0,
        cached => 0, bound => $IDLE + $LONG,
    },
    'SCRIPT FLUSH' => {
        fault => sub { $redis->cmd('SCRIPT', 'FLUSH') },
        restarts => 0, calls => 1, bound => $LONG,
    },
    'FLUSHALL' => {
        fault => sub { $redis->cmd('FLUSHALL') },
        ends => 'interrupted', restarts => 0, calls => 1, cached => 0,
        bound => $SILENCE + 2 * $COMMAND, led => { %unnoticed },
    },
);


# a row: the fault, and the other thing just before or after it

sub row {
    my ($name, $fault, $action, $before) = @_;
    my %row = %{ $faults{$fault} };
    my $then = delete $row{then} || [];
    my $code = $row{fault};

    $row{fault} = sub {
        $action->(@_) if $before;
        $code->(@_);
    };

    $row{then} = $before ? $then : [ 0.05, $action, @$then ];

    return { name => $name, at => 5, ends => 'completed', cached => 1, %row };
}


# reloads; a filler that is killed while it drains is as good as any other

{
    my $world = world();
    my $reload = sub { signal_both($_[0], 'HUP') };

    foreach my $fault (sort keys %faults) {
        my $row = row("reload, $fault", $fault, $reload,
                      $fault ne 'killed filler');

        $row->{after} = \&settled;
        matrix($world, $row);
    }

    my @victims;

    matrix($world,
        { name => 'reload, and the filler that drains is killed',
          options => 'chunks=50', at => 5,
          fault => sub {
              @victims = map { filler($_) } both($_[0]);
              $reload->(@_);
          },
          then => [ 0.3, sub { kill('KILL', @victims) } ],
          after => \&settled,
          ends => 'completed', restarts => 1, cached => 1, calls => 2,
          bound => $LEASE + 6 + $LONG, led => { %unnoticed, bound => 3 } },

        { name => 'reload, and clients that read slowly', clients => 3,
          options => 'chunks=60;bytes=20', at => 5, fault => $reload,
          ask => { read_rate => 3000, rcvbuf => 4096 }, after => \&settled,
          ends => 'completed', restarts => 0, cached => 1, calls => 1,
          bound => 60 * 0.06 + 3 },
    );

    is(scalar(map { zombies($_) } both($world)), 0,
       'all reloads: no zombie is left');
    $_->stop foreach both($world);
}


# quit, with a limit: streams that can end do, and the next instance goes on

foreach my $fault (sort keys %faults) {
    my $world = world();
    my $row = row("quit, $fault", $fault, sub { signal_both($_[0], 'QUIT') },
                  $fault ne 'killed filler');

    # with its filler gone for good there is nobody to take over here
    if ($fault eq 'killed filler') {
        $row->{ends} = [ 'completed', 'interrupted' ];
        $row->{restarts} = undef;
        $row->{calls} = [ 1, 2 ];
        $row->{cached} = undef;
        $row->{bound} = $LEASE + $MARGIN + $SILENCE;
        @{ $row->{led} }{qw(cached calls)} = (undef, [ 1, 2 ]);
    }

    # the next instances have what those before have left

    $row->{after} = sub {
        my ($w, $row) = @_;

        foreach my $view (@{ $row->{views} }) {
            my $nginx = $view->{world}{nginx};

            ok($nginx->stop, "$view->{name}: it ends");
            $nginx->start;
            filler($nginx);
        }
    };

    matrix($world, $row);
    $_->stop foreach both($world);
}

wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'all rows: no call goes on');

done();
