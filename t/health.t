#!/usr/bin/perl

# Health: ok, degraded while no filler is there, unavailable without Redis,
# with and without a master process.

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
        workers => 1, master => $master, health => '', server => <<'EOT');
        location = /full { chat_health full; }
        location = /denied { chat_health; deny all; }
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

    ok($becomes->(200, 'ok'), "$mode: ok");

    my $q = $health->();

    is($q->{body}, '{"status": "ok"}', 'the exact body');
    is($q->{headers}{'content-type'}, 'application/json', 'its type');
    is($q->{headers}{'cache-control'}, 'no-store', 'it is not cached');
    ok($q->{keepalive}, 'the connection stays open');

    # methods

    my $head = ask($nginx, { method => 'HEAD', path => '/' });

    is($head->{status}, 200, 'HEAD');
    is($head->{headers}{'content-length'}, length($q->{body}), 'with a length');
    is($head->{body}, '', 'without a body');

    foreach my $method (qw(POST PUT DELETE OPTIONS)) {
        my $bad = ask($nginx, { method => $method, path => '/', body => '{}' });

        is($bad->{status}, 405, $method);
        is($bad->{headers}{allow}, 'GET, HEAD', 'what is allowed');
        is($bad->{headers}{'content-type'}, 'application/json', 'as JSON');
        like($bad->{body}, qr/"code": "method_not_allowed"\}$/, 'with a code');
    }

    is(ask($nginx, { method => 'GET', path => '/', body => 'x' })->{body},
       $q->{body}, 'a body is ignored');
    is(get($nginx, '/?x=1')->{status}, 200, 'arguments are ignored');
    is(get($nginx, '/', headers => { 'If-None-Match' => '*' })->{status}, 200,
       'so are conditions');
    is(get($nginx, '/denied')->{status}, 403, 'nginx keeps others out');

    # full: everything about it

    ask($nginx, { question => "Question of the $mode?" });

    # what is done, or counted, a moment after an answer

    my $full;

    wait_for {
        $full = parse_json($health->('/full')->{body});
        my $running = $full->{fillers}[0]{running};

        $full->{queue} eq '0' && !$full->{live} && defined $running
            && !$running && $full->{providers}[0]{answers};
    } 10, 'the end of the call';

    my ($pid) = $nginx->filler_pids;

    is_deeply([ sort keys %$full ],
        [ qw(breaker broker direct eviction fillers live providers queue
             redis status subscriber) ], 'the fields');
    is($full->{status}, 'ok', 'status');
    is($full->{$_}, 'up', $_) foreach qw(redis broker subscriber);
    is($full->{queue}, 0, 'queue');
    is($full->{live}, 0, 'live');
    is($full->{eviction}, 'volatile-ttl', 'eviction');
    is($full->{breaker}, 'closed', 'breaker');
    is(scalar(@{ $full->{fillers} }), 1, 'one filler');

    my $filler = $full->{fillers}[0];

    is($filler->{pid}, $pid, 'its pid');
    is($filler->{state}, 'running', 'its state');
    is($filler->{redis}, 'up', 'its Redis');
    is($filler->{running}, 0, 'what it runs');
    cmp_ok($filler->{beat}, '<=', 3, 'its last beat');

    is_deeply($full->{providers}, [ { name => 'openai', model => 'test',
        state => 'up', answers => 1, failures => 0 } ], 'the provider');

    # while a generation is running

    my ($during, $text);

    ask($nginx, { question => "What takes the $mode {{chunks=40;gap=50}} long?",
        on_event => sub {
            $during ||= $_[1]{status} eq 'streaming' && $health->('/full');
        } });

    $text = parse_json($during->{body});
    is($text->{live}, 1, 'live, while one is');

    # a filler that hangs is not counted on; then it is back

    kill('STOP', $pid);
    ok($becomes->(200, 'degraded'), 'degraded: the filler has stopped');
    like($health->()->{body},
         qr/^\{"status": "degraded", "reason": "[^"]*filler[^"]*"\}$/,
         'and says so');
    is(parse_json($health->('/full')->{body})->{fillers}[0]{pid}, $pid,
       'it is still listed');
    cmp_ok(parse_json($health->('/full')->{body})->{fillers}[0]{beat}, '>',
           10, 'with its old beat');
    kill('CONT', $pid);
    ok($becomes->(200, 'ok'), 'ok again');

    # one that dies is replaced

    $nginx->allow_log(qr/(?:chat filler|unknown) process.* exited on signal 9/);
    ($pid) = $nginx->filler_pids;
    kill('KILL', $pid);
    wait_for { my @now = $nginx->filler_pids; @now && $now[0] != $pid } 10,
        'another filler';
    ok($becomes->(200, 'ok'), 'ok after a respawn');

    # Redis goes, and comes back

    $redis->stop('KILL');
    ok($becomes->(503, 'unavailable'), 'unavailable: Redis is down');

    $q = $health->();
    is($q->{body}, '{"status": "unavailable", "reason": "Redis is down"}',
       'and says so');
    is($q->{headers}{'content-type'}, 'application/json', 'as JSON');
    is(ask($nginx, { method => 'HEAD', path => '/' })->{status}, 503, 'HEAD');
    $full = parse_json($health->('/full')->{body});
    is($full->{redis}, 'down', 'full: Redis');
    is($full->{status}, 'unavailable', 'full: status');
    $redis->start;
    ok($becomes->(200, 'ok'), 'ok when it is back');

    # a Redis that does not answer is down as well, and no request waits for it

    $redis->signal('STOP');
    ask($nginx, { question => "A question to the $mode for nobody?" });
    ok($becomes->(503, 'unavailable'), 'unavailable: Redis hangs');

    # a request that waited for Redis would wait for a second each time

    ok(wait_for(sub {
        $q = $health->();
        $q->{ended} - $q->{started} < 0.2;
    }, 10), 'told at once');
    $redis->signal('CONT');
    ok($becomes->(200, 'ok'), 'ok when it goes on');

    # reload

    if ($master) {
        ok($nginx->reload, 'reload');
        ok($becomes->(200, 'ok'), 'ok after it');
    }

    ok($nginx->stop, 'stops');
}

# a broker of its own, which is down

my $redis = start_redis();
my $broker = start_redis();
my $nginx = start_nginx(redis => $redis, broker => $broker, provider => 1);

wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'ok';
$broker->stop('KILL');
ok(wait_for(sub { get($nginx, '/')->{body} =~ /"degraded"/ }, 10, 'degraded'),
   'degraded: the broker is down');

my $full = parse_json(get($nginx, '/')->{body});

is($full->{broker}, 'down', 'the broker');
is($full->{redis}, 'up', 'Redis');
like($full->{reason}, qr/broker/, 'the reason');

# nobody says chat

$nginx = start_nginx(servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / { chat_health; }
        location = /full { chat_health full; }
    }
EOT

is(get($nginx, '/')->{status}, 503, 'without "chat"');
is(get($nginx, '/full')->{status}, 503, 'and in full');
is(parse_json(get($nginx, '/full')->{body})->{status}, 'unavailable', 'JSON');

done();
