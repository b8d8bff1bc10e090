#!/usr/bin/perl

# Faults of Redis that no other test shows in all columns; see
# t/lib/Chat/Matrix.pm.  Others are in redis_down.t (killed, stopped) and in
# redis_faults.t (replica, memory, loading, connections, scripts, keys).

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Matrix;
use Time::HiRes qw(sleep);

my %answer = (chunks => 20, gap => 60, bytes => 20);
my $LONG = $answer{chunks} * $answer{gap} / 1000;
my $QUEUE = 2;

# it is noticed that Redis is back, and what was missed is read or repeated

my $BACK = 2 * $COMMAND;

my $provider = start_provider(%answer);

my %down = (ends => '503 redis_down', bound => $COMMAND);
my %unharmed = (at => 5, ends => 'completed', restarts => 0, cached => 1,
                calls => 1, led => { bound => $LONG });

# of 20 chunks, with gap=150

my %unnoticed = (ends => 'completed', restarts => 0, bound => 3);


# in a cluster there is one database for all

sub world {
    my ($redis, $url, $db) = @_;
    my %opt = (provider => $provider, listen => 'reuseport',
        http => "chat_queue_timeout ${QUEUE}s;",
        location => 'chat_redis_down error;');

    $url ||= 'redis://127.0.0.1:' . $redis->port;
    $db //= 1;

    my $nginx = start_nginx(%opt, lead => 'off', redis => "$url/0");
    my $led = led_nginx(%opt, redis => "$url/$db", workers => 1);

    filler($nginx);

    return { redis => $redis, provider => $provider, nginx => $nginx,
             answer => \%answer, led => { nginx => $led, db => $db } };
}


# nothing runs after a world's rows

sub leave {
    my ($world) = @_;

    $world->{nginx}->stop;
    $world->{led}{nginx}->stop;
    $world->{redis}->stop;
}


# It dies, and is back at once.

{
    my $redis = start_redis();
    my $world = world($redis);
    my ($filler) = filler($world->{nginx});
    my $restart = sub {
        $redis->stop('KILL');
        $redis->start;
    };

    matrix($world,
        { name => 'killed, and back at once without its data',
          options => 'gap=150',
          at => 5, fault => $restart, slow => 1,
          ends => 'interrupted', restarts => 0, cached => 0, calls => 1,
          bound => $BACK + $SILENCE + $COMMAND, led => { %unnoticed } },

        { name => 'killed, and back without the task that waited',
          before => sub { stand_still($filler) },
          when => sub {
              my ($w, $row) = @_;

              return all_begun($row)
                  && $redis->cmd('XLEN', 'chat:tasks:1') eq '1';
          },
          fault => sub { $restart->(); kill('CONT', $filler) },
          slow => 1,
          ends => [ 'interrupted', 'completed' ], restarts => 0,
          calls => [ 0, 1 ], bound => $BACK + $SILENCE + $COMMAND + $LONG,
          led => { %unnoticed, calls => 1, bound => $LONG } },

        { name => 'FLUSHALL in mid-answer', options => 'gap=150',
          at => 5, fault => sub { $redis->cmd('FLUSHALL') },
          ends => 'interrupted', restarts => 0, cached => 0, calls => 1,
          bound => $SILENCE + 2 * $COMMAND, led => { %unnoticed } },

        { name => 'FLUSHALL before the first chunk',
          options => 'first=2000', at => 0,
          fault => sub { $redis->cmd('FLUSHALL') },
          ends => 'interrupted', restarts => 0, cached => 0,
          calls => [ 0, 1 ], bound => $SILENCE + 2 * $COMMAND,
          led => { %unnoticed, bound => 2 + $LONG } },

        { name => 'a script keeps Redis busy for 2 s', %unharmed,
          fault => sub {
              my ($w, $row) = @_;

              $row->{busy} = $redis->client;
              $redis->cmd('CONFIG', 'SET', 'busy-reply-threshold', '50');
              $row->{busy}->send_cmd('EVAL', 'while true do end', 0);
          },
          meanwhile => [ { at => 0.5, %down }, { at => 1, %down } ],
          then => [ 2, sub {
              my ($w, $row) = @_;

              $redis->cmd('SCRIPT', 'KILL');
              $row->{busy}->reply;
          } ],
          bound => 2 + $BACK + $LONG },

        { name => 'no connection is let in for 1.5 s', %unharmed,
          fault => sub {
              $redis->cmd('CONFIG', 'SET', 'maxclients', '1');
              $redis->cmd('CLIENT', 'KILL', 'TYPE', $_)
                  foreach 'normal', 'pubsub';
          },
          meanwhile => [ { at => 0.3, %down } ],
          then => [ 1.5, sub {
              $redis->cmd('CONFIG', 'SET', 'maxclients', '1000');
          } ],
          bound => 1.5 + $BACK + $LONG },
    );

    leave($world);
}


# It throws keys away, ours among others.

{
    my $redis = start_redis();
    my $world = world($redis);
    my $n = 0;

    matrix($world,
        { name => 'maxmemory with allkeys-lru',
          at => 5, fault => sub {
              my ($used) = $redis->cmd('INFO', 'memory')
                  =~ /^used_memory:(\d+)/m;

              $redis->cmd('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
              $redis->cmd('CONFIG', 'SET', 'maxmemory', $used + 200_000);
              $redis->cmd('SET', 'ballast:' . $n++, 'x' x 4096)
                  foreach 1 .. 200;
          },
          then => [ map { (0.1 * $_, sub {
              $redis->cmd('SET', 'ballast:' . $n++, 'x' x 4096)
                  foreach 1 .. 200;
          }) } 1 .. 5 ],
          after => sub {
              my ($evicted) = $redis->cmd('INFO', 'stats')
                  =~ /^evicted_keys:(\d+)/m;

              cmp_ok($evicted, '>', 100,
                     'maxmemory with allkeys-lru: keys were evicted');
              $redis->cmd('CONFIG', 'SET', 'maxmemory', 0);
          },
          ends => [ 'completed', 'interrupted' ], calls => [ 1, 2 ],
          announced => 1, bound => $LONG + $SILENCE + 2 * $COMMAND,
          led => { %unnoticed } },
    );

    leave($world);
}


# Its connections.

{
    my $redis = start_redis();
    my $proxy = start_proxy($redis, rst => 1);
    my $world = world($redis, 'redis://127.0.0.1:' . $proxy->port);
    my $set = sub {
        my @set = @_;

        return sub { $proxy->set(@set) };
    };

    matrix($world,
        { name => 'reset in mid-command', %unharmed,
          fault => $set->(half => 1), then => [ 0.2, $set->(half => 0) ],
          bound => 0.2 + $BACK + $LONG },

        { name => 'reset before the reply', %unharmed,
          fault => $set->(cut => 0), then => [ 0.2, $set->(cut => '') ],
          bound => 0.2 + $BACK + $LONG },

        { name => 'reset again and again', %unharmed,
          fault => $set->(cut => 600), then => [ 2.5, $set->(cut => '') ],
          bound => 2.5 + $BACK + $LONG },

        (map { {
            name => "reset with a request's commands, $_",
            before => $set->(/half/ ? (half => 1) : (cut => 0)),
            when => sub { 1 }, fault => sub {},
            then => [ 0.3, $set->(half => 0, cut => '') ],
            ends => [ 'completed', '503 redis_down', 'redis_down' ],
            restarts => 0, calls => [ 0, 1 ], bound => $COMMAND + $LONG,
        } } 'half of them', 'their replies'),

        { name => 'silent for 2 s', %unharmed,
          fault => $set->(hole => 1), then => [ 2, $set->(hole => 0) ],
          meanwhile => [ { at => 0.1, %down } ],
          bound => 2 + $BACK + $LONG },

        { name => 'silent for ever', options => 'gap=150',
          at => 5, fault => $set->(hole => 1), after => $set->(hole => 0),
          meanwhile => [ { at => 0.1, %down },
                         { at => 3, %down, bound => 0.1 } ],
          ends => 'redis_down', restarts => 0, calls => 1,
          bound => $QUEUE + $SILENCE + $COMMAND,
          led => { %unnoticed, cached => 1 } },

        { name => 'silent to its subscribers', %unharmed,
          fault => $set->(mute => 1), after => $set->(mute => 0),
          bound => $LONG + $SILENCE + $COMMAND },

        { name => 'slow, 300 ms each way', %unharmed,
          fault => $set->(latency => 300),
          meanwhile => [ { at => 0.1, %down } ],
          after => $set->(latency => 0), bound => $LONG + 3 * $COMMAND },
    );

    leave($world);
}


# It refuses.  Each is what a real server says.

{
    my $redis = start_redis(config => [ 'replica-serve-stale-data no',
                                        'enable-protected-configs yes' ]);
    my $world = world($redis);
    my %refused = (%unharmed, meanwhile => [ { at => 0.4, %down },
                                             { at => 0.7, %down } ]);
    my $master = sub { $redis->cmd('REPLICAOF', '127.0.0.1', '1') };
    my $no_master = sub { $redis->cmd('REPLICAOF', 'NO', 'ONE') };
    my $misconf = sub {
        my $dir = "$redis->{dir}/taken";

        mkdir($dir);
        $redis->cmd('CONFIG', 'SET', 'dbfilename', 'taken');
        $redis->cmd('CONFIG', 'SET', 'save', '3600 1');
        $redis->cmd('BGSAVE');
        wait_for {
            $redis->cmd('INFO', 'persistence') =~ /last_bgsave_status:err/
        } 5, 'a save that fails';
    };

    matrix($world,
        { name => 'MASTERDOWN for 1 s', %refused,
          fault => $master, then => [ 1, $no_master ],
          bound => 1 + $BACK + $LONG },

        { name => 'MASTERDOWN for ever', options => 'gap=150',
          at => 5, fault => $master, after => $no_master,
          ends => 'redis_down', restarts => 0, calls => 1,
          bound => $QUEUE + $SILENCE + $COMMAND,
          led => { %unnoticed, cached => 1 } },

        { name => 'MISCONF for 1 s', %refused, fault => $misconf,
          then => [ 1, sub { $redis->cmd('CONFIG', 'SET', 'save', '') } ],
          bound => 1 + $BACK + $LONG },
    );

    leave($world);

    my $cluster = start_redis(config => [ 'cluster-enabled yes',
        'cluster-node-timeout 500', 'cluster-port ' . free_port() ]);
    my $ok = sub {
        wait_for {
            $cluster->cmd('CLUSTER', 'INFO') =~ /cluster_state:ok/
        } 10, 'the cluster';
    };

    $cluster->cmd('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
    $ok->();
    $world = world($cluster, undef, 0);

    matrix($world,
        { name => 'CLUSTERDOWN for 1 s', %refused,
          fault => sub { $cluster->cmd('CLUSTER', 'DELSLOTS', 0) },
          then => [ 1, sub { $cluster->cmd('CLUSTER', 'ADDSLOTS', 0) } ],
          after => $ok, bound => 2 + $BACK + $LONG },
    );

    leave($world);
}

wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'all rows: no call goes on');

done();
