#!/usr/bin/perl

# Health while something fails: degraded without a filler, unavailable without
# Redis, and ok again, with and without a master process.  The page itself is
# in health.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

foreach my $master (1, 0) {
    my $mode = $master ? 'master process' : 'single process';
    my $redis = start_redis(config => ['maxmemory 100mb',
                                       'maxmemory-policy volatile-ttl']);
    my $provider = start_provider(chunks => 3);
    my $nginx = start_nginx(redis => $redis, provider => $provider,
        workers => 1, master => $master, redis_down => '', servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;
        chat_redis_down error;

        location = /     { chat_health; }
        location = /full { chat_health full; }
        location = /chat { chat; }
    }
EOT

    my $health = sub { get($nginx, $_[0] // '/') };
    my $becomes = sub {
        my ($status, $word) = @_;

        return wait_for {
            my $q = $health->();

            $q->{status} == $status && $q->{body} =~ /"status": "$word"/;
        } 20, "$status $word";
    };

    # ok: as soon as both sides have Redis

    ok($becomes->(200, 'ok'), "$mode: health becomes ok");

    my ($pid) = $nginx->filler_pids;
    my ($q, $full);

    # while a generation is running

    my ($during, $text);

    ask($nginx, { question => "What takes the $mode {{chunks=40;gap=50}} long?",
        on_event => sub {
            $during ||= $_[1]{status} eq 'streaming' && $health->('/full');
        } });

    $text = parse_json($during->{body});
    is($text->{live}, 1, "$mode, full: live, while one is");

    # a filler that hangs is not counted on; then it is back

    kill('STOP', $pid);
    ok($becomes->(200, 'degraded'), "$mode: degraded, the filler has stopped");
    like($health->()->{body},
         qr/^\{"status": "degraded", "reason": "[^"]*filler[^"]*"\}$/,
         "$mode: degraded, with the reason");
    is(parse_json($health->('/full')->{body})->{fillers}[0]{pid}, $pid,
       "$mode: degraded, the filler is still listed");
    cmp_ok(parse_json($health->('/full')->{body})->{fillers}[0]{beat}, '>',
           10, "$mode: degraded, with its old beat");
    kill('CONT', $pid);
    ok($becomes->(200, 'ok'), "$mode: ok when the filler goes on");

    # one that dies is replaced

    $nginx->allow_log(qr/(?:chat filler|unknown) process.* exited on signal 9/);
    ($pid) = $nginx->filler_pids;
    kill('KILL', $pid);
    wait_for { my @now = $nginx->filler_pids; @now && $now[0] != $pid } 10,
        'another filler';
    ok($becomes->(200, 'ok'), "$mode: ok after a respawn");

    # Redis goes, and comes back

    $redis->stop('KILL');
    ok($becomes->(503, 'unavailable'), "$mode: unavailable, Redis is down");

    $q = $health->();
    is($q->{body}, '{"status": "unavailable", "reason": "Redis is down"}',
       "$mode: unavailable, with the reason");
    is($q->{headers}{'content-type'}, 'application/json',
       "$mode: unavailable, as JSON");
    is(ask($nginx, { method => 'HEAD', path => '/' })->{status}, 503,
       "$mode: unavailable, HEAD too");
    $full = parse_json($health->('/full')->{body});
    is($full->{redis}, 'down', "$mode: unavailable, full shows Redis");
    is($full->{status}, 'unavailable',
       "$mode: unavailable, full shows the status");
    $redis->start;
    ok($becomes->(200, 'ok'), "$mode: ok when Redis is back");

    # a Redis that does not answer is down as well, and no request waits for it

    $redis->signal('STOP');
    ask($nginx, { question => "A question to the $mode for nobody?" });
    ok($becomes->(503, 'unavailable'), "$mode: unavailable, Redis hangs");

    # a request that waited for Redis would wait for a second each time

    ok(wait_for(sub {
        $q = $health->();
        $q->{ended} - $q->{started} < 0.2;
    }, 10), "$mode: unavailable, told at once");
    $redis->signal('CONT');
    ok($becomes->(200, 'ok'), "$mode: ok when Redis goes on");

    # reload

    if ($master) {
        ok($nginx->reload, "$mode: reload succeeds");
        ok($becomes->(200, 'ok'), "$mode: ok after the reload");
    }

    ok($nginx->stop, "$mode: nginx ends");
}

# a broker of its own, which is down

my $redis = start_redis();
my $broker = start_redis();
my $nginx = start_nginx(redis => $redis, broker => $broker, provider => 1,
                        health => 'full');

wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'ok';
$broker->stop('KILL');
ok(wait_for(sub { get($nginx, '/')->{body} =~ /"degraded"/ }, 10, 'degraded'),
   'a broker that is down: degraded');

my $full = parse_json(get($nginx, '/')->{body});

is($full->{broker}, 'down', 'a broker that is down: it is shown');
is($full->{redis}, 'up', 'a broker that is down: Redis is up');
like($full->{reason}, qr/broker/, 'a broker that is down: the reason names it');

done();
