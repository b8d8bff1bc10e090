#!/usr/bin/perl

# Redis answers, and refuses what is needed: health tells, cached answers go
# on, and it is good again as soon as Redis is, without any question asked.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $redis = start_redis();
my $provider = start_provider(chunks => 3);
my $cached = 'What is cached?';

my %nginx = map {
    $_ => start_nginx(redis => $redis, provider => $provider, workers => 1,
                      lead => '', redis_down => '', servers => <<"EOT")
    server {
        listen 127.0.0.1:%%PORT%%;
        chat_redis_down $_;

        location = /     { chat_health full; }
        location = /chat { chat; }
    }
EOT
} 'error', 'direct';


sub health {
    my ($name) = @_;
    my $q = get($nginx{$name}, '/');

    return ($q->{status}, parse_json($q->{body}));
}


sub becomes_ok {
    my ($name, $want, $status, $word, $refusal, $reason) = @_;
    my ($is, $health);

    my $there = wait_for {
        ($is, $health) = health($want);
        $is == $status && $health->{status} eq $word
            && ($health->{refusal} // '') eq $refusal
    } 20, "$name, $want";

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($there, "$name, $want: $word") or diag(explain($health));
    like($health->{reason} // '', $reason, "$name, $want: the reason")
        if $reason;
}


sub hit_ok {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($nginx{error}, { question => $cached }),
              "$name: a hit is served", cache => qr/; hit/);
}


stream_ok(scalar ask($nginx{error}, { question => $cached }),
          'at the start: an answer');
becomes_ok('at the start', $_, 200, 'ok', '') foreach 'error', 'direct';

# looking leaves nothing behind

my $key = stream_key($cached);
my $others = sub {
    return join("\n", grep { !/\Q$key\E/ && $_ ne 'chat:tasks:1' }
                @{ $redis->cmd('KEYS', '*') });
};
my $looked = sub {
    $redis->cmd('INFO', 'commandstats') =~ /cmdstat_xdel:calls=(\d+)/;
    return $1;
};
my $before = $looked->();

ok(wait_for(sub { health('error'); $looked->() >= $before + 2 }, 20),
   'looking: it is looked at');
wait_for { $others->() eq '' } 10, 'nothing is there but what was asked';
is($others->(), '', 'looking: leaves nothing behind');

# what is set, and set back; what Redis says then

my $writes = qr/^Redis refuses writes: only cached answers$/;
my $tasks = qr/^the broker refuses tasks: nothing can be queued$/;

foreach ([ 'a replica', 'READONLY', $writes,
           [ 'REPLICAOF', '127.0.0.1', '1' ], [ 'REPLICAOF', 'NO', 'ONE' ] ],
         [ 'out of memory', 'OOM', $writes,
           [ 'CONFIG', 'SET', 'maxmemory', '1' ],
           [ 'CONFIG', 'SET', 'maxmemory', '0' ] ],
         [ 'without its replicas', 'NOREPLICAS', $writes,
           [ 'CONFIG', 'SET', 'min-replicas-to-write', '1' ],
           [ 'CONFIG', 'SET', 'min-replicas-to-write', '0' ] ],
         [ 'a command is not permitted', 'NOPERM', $writes,
           [ 'ACL', 'SETUSER', 'default', '-evalsha' ],
           [ 'ACL', 'SETUSER', 'default', '+@all' ] ],
         [ 'a command of a script is not permitted', 'NOPERM', $writes,
           [ 'ACL', 'SETUSER', 'default', '-hset' ],
           [ 'ACL', 'SETUSER', 'default', '+@all' ] ],
         [ 'no queue', 'WRONGTYPE', $tasks, [ 'SET', 'chat:tasks:1', 'x' ],
           [ 'RENAME', 'chat:tasks:1', 'none' ] ])
{
    my ($name, $word, $reason, $on, $off) = @$_;

    is($redis->cmd(@$on), 'OK', "$name: it is set");
    becomes_ok($name, 'error', 200, 'degraded', $word, $reason);
    becomes_ok($name, 'direct', 200, 'degraded', $word,
               qr/^Redis\ refuses\ writes:\ providers\ are\ asked\ directly
                  |^the\ broker\ refuses\ tasks/x);
    hit_ok($name);
    is(scalar(ask($nginx{direct}, { question => "Who asks $name?" }))
           ->{status}, 200, "$name: the direct path")
        if $reason eq $writes && $name !~ /script/;
    stream_ok(scalar ask($nginx{error}, { question => "Who leads, $name?" }),
              "$name: a worker leads all the same", cache => qr/fwd=miss$/)
        if $reason eq $tasks;
    is($redis->cmd(@$off), 'OK', "$name: set back");
    becomes_ok("$name, no more", $_, 200, 'ok', '') foreach 'error', 'direct';
}

# nothing is answered

$redis->cmd('CONFIG', 'SET', 'replica-serve-stale-data', 'no');
$redis->cmd('REPLICAOF', '127.0.0.1', '1');
becomes_ok('no master', 'error', 503, 'unavailable', 'MASTERDOWN',
           qr/^Redis is down$/);
becomes_ok('no master', 'direct', 200, 'degraded', 'MASTERDOWN',
           qr/^Redis is down: providers are asked directly/);
$redis->cmd('REPLICAOF', 'NO', 'ONE');
becomes_ok('a master again', $_, 200, 'ok', '') foreach 'error', 'direct';

done();
