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

    ok($becomes->(200, 'ok'), "$mode: health becomes ok");

    my $q = $health->();

    is($q->{body}, '{"status": "ok"}', "$mode: the exact body");
    is($q->{headers}{'content-type'}, 'application/json',
       "$mode: the body is JSON");
    is($q->{headers}{'cache-control'}, 'no-store',
       "$mode: the page is not cached");
    ok($q->{keepalive}, "$mode: the connection stays open");

    # methods

    my $head = ask($nginx, { method => 'HEAD', path => '/' });

    is($head->{status}, 200, "$mode, HEAD: status 200");
    is($head->{headers}{'content-length'}, length($q->{body}),
       "$mode, HEAD: the length of GET");
    is($head->{body}, '', "$mode, HEAD: no body");

    foreach my $method (qw(POST PUT DELETE OPTIONS)) {
        my $bad = ask($nginx, { method => $method, path => '/', body => '{}' });

        is($bad->{status}, 405, "$mode, $method: status 405");
        is($bad->{headers}{allow}, 'GET, HEAD',
           "$mode, $method: Allow is sent");
        is($bad->{headers}{'content-type'}, 'application/json',
           "$mode, $method: the error is JSON");
        like($bad->{body}, qr/"code": "method_not_allowed"\}$/,
        "$mode, $method: its code");
    }

    is(ask($nginx, { method => 'GET', path => '/', body => 'x' })->{body},
       $q->{body}, "$mode: a body is ignored");
    is(get($nginx, '/?x=1')->{status}, 200, "$mode: arguments are ignored");
    is(get($nginx, '/', headers => { 'If-None-Match' => '*' })->{status}, 200,
       "$mode: conditions are ignored");
    is(get($nginx, '/denied')->{status}, 403, "$mode: nginx keeps others out");

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
             redis status subscriber) ], "$mode, full: the fields");
    is($full->{status}, 'ok', "$mode, full: status is ok");
    is($full->{$_}, 'up', "$mode, full: $_ is up")
        foreach qw(redis broker subscriber);
    is($full->{queue}, 0, "$mode, full: the queue is empty");
    is($full->{live}, 0, "$mode, full: nothing is live");
    is($full->{eviction}, 'volatile-ttl',
       "$mode, full: eviction is that of Redis");
    is($full->{breaker}, 'closed', "$mode, full: the breaker is closed");
    is(scalar(@{ $full->{fillers} }), 1, "$mode, full: one filler");

    my $filler = $full->{fillers}[0];

    is($filler->{pid}, $pid, "$mode, filler: its pid");
    is($filler->{state}, 'running', "$mode, filler: it is running");
    is($filler->{redis}, 'up', "$mode, filler: its Redis is up");
    is($filler->{running}, 0, "$mode, filler: it runs nothing");
    cmp_ok($filler->{beat}, '<=', 3, "$mode, filler: its last beat is new");

    is_deeply($full->{providers}, [ { name => 'openai', model => 'test',
        state => 'up', answers => 1, failures => 0 } ],
        "$mode, full: the provider");

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
my $nginx = start_nginx(redis => $redis, broker => $broker, provider => 1);

wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'ok';
$broker->stop('KILL');
ok(wait_for(sub { get($nginx, '/')->{body} =~ /"degraded"/ }, 10, 'degraded'),
   'a broker that is down: degraded');

my $full = parse_json(get($nginx, '/')->{body});

is($full->{broker}, 'down', 'a broker that is down: it is shown');
is($full->{redis}, 'up', 'a broker that is down: Redis is up');
like($full->{reason}, qr/broker/, 'a broker that is down: the reason names it');

# nobody says chat

$nginx = start_nginx(servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / { chat_health; }
        location = /full { chat_health full; }
    }
EOT

is(get($nginx, '/')->{status}, 503, 'without "chat": status 503');
is(get($nginx, '/full')->{status}, 503, 'without "chat": in full, too');
is(parse_json(get($nginx, '/full')->{body})->{status}, 'unavailable',
   'without "chat": in full, as JSON');

done();
