#!/usr/bin/perl

# Redis is too slow, or is lost while a generation is opened: the client is
# told within a second, and nobody joins what has no task.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use Time::HiRes qw(sleep time);

# far beyond what is waited for here

my $QUEUE = 40;

# for all round trips together, and what a busy machine adds

my $BOUND = 1;
my $SPARE = $SLACK;

my %provider = (chunks => 3, gap => 0);

my $redis = start_redis();
my $provider = start_provider(%provider);
my $proxy = start_proxy($redis);
my $nginx = start_nginx(redis => 'redis://127.0.0.1:' . $proxy->port,
    provider => $provider, workers => 1,
    http => "chat_queue_timeout ${QUEUE}s;",
    location => 'chat_redis_down error;', lead => 'off',
    server => 'location = /led { chat; chat_lead on; chat_redis_down error; }');


sub refused_ok {
    my ($q, $from, $name) = @_;
    my $body = eval { parse_json($q->{body}) } || {};
    my $took = $q->{ended} - $q->{started};

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($q->{status}, 503, "$name: refused with 503") or diag($q->{raw});
    is($body->{code}, 'redis_down', "$name: with the reason");
    ok($took > $from && $took < $BOUND + $SPARE, "$name: in time")
        or diag("$took s");
}


# generations of a question that wait in the queue

sub queued {
    my ($question) = @_;
    my $keys = $redis->cmd('KEYS', '{' . stream_key($question)
                           . '}:1:gen:*:own');

    return grep { ($redis->cmd('HGET', $_, 'state') // '') eq 'q' } @$keys;
}


sub works_ok {
    my ($question, $name, $path) = @_;
    my $from = time();
    my $q;

    while (time() < $from + 10) {
        $q = ask($nginx, { question => $question, timeout => 20,
                           path => $path // '/chat' });
        last if $q->{status} == 200;
        sleep(0.05);
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($q,
              "$name: asked again it is answered",
              text => text_of($question, %provider));
    ok($q->{ended} - $from < 8, "$name: without waiting for the queue")
        or diag($q->{ended} - $from);
}


stream_ok(scalar ask($nginx, { question => 'Who is first?' }),
          'at the start: an answer');

# a slow Redis: what needs three round trips is cut in the second, as are two of
# a worker that leads

foreach my $path ('/chat', '/led') {
    my $slow = $path eq '/led' ? 'slow, led' : 'slow';
    my $took;

    # the quickest of several tries: a machine adds to the time, and takes none
    # away

    foreach my $try (1 .. 5) {
        my $name = "$slow, try $try";
        my $question = "Who is $name?";

        $proxy->set(latency => 400);

        my $q = ask($nginx, { question => $question, path => $path });

        refused_ok($q, $BOUND - 0.1, $name);
        ok(wait_for(sub {
            @{ $redis->cmd('KEYS', '{' . stream_key($question) . '}*:own') }
        }, 5), "$name: it was opened all the same");
        ok(wait_for(sub { !queued($question) }, 5), "$name: it is dropped");
        $proxy->set(latency => 0);
        works_ok($question, $name, $path);
        is(provider_stats($provider, $question), 1, "$name: one call");

        $took = $q->{ended} - $q->{started};
        last if $took < $BOUND + 0.4;
    }

    cmp_ok($took, '<', $BOUND + 0.5, "$slow: one bound for all round trips");
}

# Redis is lost when it has opened the generation, and then when it has, or is
# about to have, the task; how long after the opening, in ms

foreach my $after (0, 100, 200, 320, 450) {
    my $question = "Who is lost after $after?";
    my $lost;

    $proxy->set(latency => 150);

    my ($q) = ask($nginx, { question => $question },
        { method => 'GET', path => '/', after => sub {
            return 0 if !$lost && !queued($question);

            sleep($after / 1000);
            $proxy->set(refuse => 1, drop => 1, rst => 1);
            $lost = time();
            return 1;
        } },
        { method => 'GET', path => '/', after => sub {
            return 0 if !$lost || time() < $lost + 1.5;

            $proxy->set(latency => 0, refuse => 0);
            return 1;
        } });

    if ($q->{status} == 503) {
        refused_ok($q, 0, "lost after $after");

    } else {
        stream_ok($q, "lost after $after: it was accepted");
    }

    works_ok($question, "lost after $after");
}

done();
