#!/usr/bin/perl

# The zone and a Redis that is there in part: commands that fail while news of
# changes come, one that never tells of changes and goes away from time to time,
# and news that come from a replica.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $ZONED = qr/^ngx_chat; hit(?:; ttl=\d+)?; detail=zone$/;

my $provider = start_provider(chunks => 5, gap => 0, unique => 1);


sub question {
    my ($nginx, $question, %more) = @_;

    return scalar ask($nginx, { question => $question, %more });
}


sub status_of { return $_[0]{headers}{'cache-status'} // '' }

sub is_zoned { return status_of($_[0]) =~ $ZONED }


sub health { return parse_json(get($_[0], '/')->{body}) }


sub health_is {
    my ($nginx, $field, $state) = @_;

    return wait_for {
        my $is = health($nginx)->{$field};

        (ref($is) ? $is->{state} : $is) eq $state;
    } 15, "$field to be $state";
}


sub zoned {
    my ($nginx, $question) = @_;

    return wait_for {
        my $q = question($nginx, $question);
        is_zoned($q) && $q;
    } 10, "the zone to have \"$question\"";
}


sub start {
    my (%opt) = @_;

    return start_nginx(provider => $provider, workers => 1, zone => 'chat 8m',
                       redis_down => 'direct', %opt);
}


# ids of connections with this name

sub clients {
    my ($redis, $name) = @_;

    return $redis->cmd('CLIENT', 'LIST') =~ /^id=(\d+) .* name=$name /mg;
}


# Commands find no room in Redis, and its news come: what is made directly then
# is not in Redis afterwards, and so it must not be in the zone.

my $redis = start_redis();
my $nginx = start(redis => $redis);

health_is($nginx, 'zone', 'on');
question($nginx, 'Who is there?');
zoned($nginx, 'Who is there?');

$redis->cmd('CONFIG', 'SET', 'maxclients', 1);
$redis->cmd('CLIENT', 'KILL', 'ID', $_)
    foreach clients($redis, 'ngx_chat:commands');

health_is($nginx, 'breaker', 'open');
is(health($nginx)->{subscriber}, 'up', 'no commands: news come');
ok(is_zoned(question($nginx, 'Who is there?')), 'no commands: the zone serves');

foreach my $n (1 .. 3) {
    like(status_of(question($nginx, 'Who is new?')), qr/detail=direct$/,
         "no commands: a new one is not kept, $n");
}

$redis->cmd('CONFIG', 'SET', 'maxclients', 10000);
health_is($nginx, 'breaker', 'closed');

my $q = question($nginx, 'Who is new?');

stream_ok($q, 'commands again: Redis does not have it', cache => qr/fwd=miss$/);
is(zoned($nginx, 'Who is new?')->{text}, $q->{text},
   'commands again: the zone has what Redis has');
ok(is_zoned(question($nginx, 'Who is there?')),
   'commands again: and what it had before');
$nginx->stop;
$redis->stop;

# A Redis that does not tell of changes, is gone, comes back, and goes again:
# what the zone had the first time may have changed since.

$redis = start_redis(config =>
    [ 'user default on nopass ~* &* +@all -client|tracking' ]);
$nginx = start(redis => $redis);

health_is($nginx, 'subscriber', 'up');
is(health($nginx)->{zone}{state}, 'idle', 'no news: the zone is idle');

$redis->stop;
health_is($nginx, 'breaker', 'open');

my $first = question($nginx, 'Who changes?');

like(status_of($first), qr/detail=direct$/, 'no Redis: a new one');
is(zoned($nginx, 'Who changes?')->{text}, $first->{text}, 'no Redis: a hit');

$redis->start;
health_is($nginx, 'breaker', 'closed');
health_is($nginx, 'subscriber', 'up');

my $other = start(redis => $redis, zone => 'off');

health_is($other, 'subscriber', 'up');
stream_ok(question($other, 'Who changes?'), 'Redis again: another host asks',
          cache => qr/fwd=miss$/);
$other->stop;

$redis->stop;
health_is($nginx, 'breaker', 'open');

my $third = question($nginx, 'Who changes?');

like(status_of($third), qr/detail=direct$/, 'no Redis again: nothing of before');
isnt($third->{text}, $first->{text}, 'no Redis again: not the first answer');
is(zoned($nginx, 'Who changes?')->{text}, $third->{text},
   'no Redis again: a hit');
$nginx->stop;

# SWAPDB, of which Redis tells nobody, but it counts it

foreach my $info ('+info', '-info') {
    $redis = start_redis(config =>
        [ "user default on nopass ~* &* +\@all $info" ]);
    $nginx = start(redis => $redis);

    ok(health_is($nginx, 'zone', 'on'), "$info: the zone is on");

    $first = question($nginx, 'Who swaps?');
    is(zoned($nginx, 'Who swaps?')->{text}, $first->{text}, "$info: a hit");

    last if $info eq '-info';

    $redis->cmd('SWAPDB', 0, 1);
    wait_for { !is_zoned($q = question($nginx, 'Who swaps?')) } 8, 'the news';
    stream_ok($q, 'swapped: another database', cache => qr/fwd=miss$/);
    isnt(zoned($nginx, 'Who swaps?')->{text}, $first->{text},
         'swapped: a hit from there');

    my @old = $nginx->worker_pids;

    $nginx->reload;
    wait_for { !grep { -d "/proc/$_" } @old } 10, 'the former worker to go';
    health_is($nginx, 'zone', 'on');
    ok(is_zoned(question($nginx, 'Who swaps?')), 'swapped: kept by a reload');

    $redis->cmd('SWAPDB', 0, 1);
    wait_for { !is_zoned($q = question($nginx, 'Who swaps?')) } 8, 'the news';
    stream_ok($q, 'swapped back: the first database', cache => qr/; hit/,
              text => $first->{text});

    # hits cost nothing more

    my ($before) = $redis->cmd('INFO', 'commandstats')
        =~ /^cmdstat_info:calls=(\d+)/m;

    question($nginx, 'Who swaps?') foreach 1 .. 200;

    my ($after) = $redis->cmd('INFO', 'commandstats')
        =~ /^cmdstat_info:calls=(\d+)/m;

    cmp_ok($after - $before, '<=', 4, 'swapped: hits do not ask for the count');
    $nginx->stop;
    $redis->stop;
}

$nginx->stop;

# News of a replica come late, or not at all: it does not count.

$redis = start_redis();

my $replica = start_redis(config => [ 'replicaof 127.0.0.1 ' . $redis->port ]);

wait_for { $replica->cmd('INFO', 'replication') =~ /master_link_status:up/ } 20,
    'the replica';

my ($a, $b) = map { '127.0.0.1:' . $_->port } $redis, $replica;

$nginx = start(redis => 'redis://store', http => <<"EOT");
    upstream store {
        server $a;
        server $b;
    }
EOT

ok(wait_for(sub { clients($redis, 'ngx_chat:commands')
                  && clients($replica, 'ngx_chat:pubsub') }, 10),
   'replica: it is where news come from');

ok(health_is($nginx, 'subscriber', 'up'), 'replica: there is a subscription');
is(health($nginx)->{zone}{state}, 'idle', 'replica: the zone is idle');

$first = question($nginx, 'Who follows?');
stream_ok($first, 'replica: a miss', cache => qr/fwd=miss$/);
ask_hit($nginx, { question => 'Who follows?' });

$replica->cmd('REPLICAOF', '127.0.0.1', free_port());
$redis->cmd('DEL', stream_key('Who follows?'));

isnt(question($nginx, 'Who follows?')->{text}, $first->{text},
     'replica: a change that it does not know of');

like($nginx->error_log, qr/\[warn\].* pubsub: a replica, which may tell of/,
     'replica: the log says so');

done();
