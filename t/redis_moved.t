#!/usr/bin/perl

# A planned failover behind one address: it leads to the new master, while the
# old one lives on as a replica of that, and with it all connections.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use Time::HiRes qw(sleep time);

my %PIECES = (chunks => 20, gap => 60);

my @redis = map { start_redis() } 1 .. 2;
my $proxy = start_proxy($redis[0]);
my $provider = start_provider(%PIECES);

follows(@redis[ 1, 0 ]);

my $nginx = start_nginx(redis => 'redis://127.0.0.1:' . $proxy->port . '/0',
    broker => 'redis://127.0.0.1:' . $proxy->port . '/1',
    provider => $provider, workers => 1, lead => 'on',
    location => 'chat_redis_down error;',
    server => 'location = /queued { chat; chat_lead off;'
              . ' chat_redis_down error; }');


sub follows {
    my ($replica, $master) = @_;

    $replica->cmd('REPLICAOF', '127.0.0.1', $master->port);
    wait_for {
        my $role = $replica->cmd('ROLE');

        $role->[0] eq 'slave' && $role->[3] eq 'connected';
    } 20, 'a replica';
}


# the module's connections there, by role

sub connections {
    my ($redis) = @_;
    my %found;

    $found{$_}++ foreach $redis->client->cmd('CLIENT', 'LIST')
        =~ / name=ngx_chat:(\w+) /g;

    return \%found;
}


sub failover {
    my ($old, $new) = @_;

    $proxy->set(target => $new->port);
    $new->cmd('REPLICAOF', 'NO', 'ONE');
    $old->cmd('REPLICAOF', '127.0.0.1', $new->port);
}


wait_for { get($nginx, '/')->{body} =~ /"status": "ok"/ } 10, 'good health';

my $all = connections($redis[0]);

is(join(' ', sort keys %$all), 'broker commands pubsub tasks',
   'at the start: all are connected');

# nobody asks: whoever is the first to do so is answered, led or by way of the
# broker

foreach my $round (1, 2) {
    my ($old, $new) = $round == 1 ? @redis : reverse @redis;

    sleep(1.1);
    failover($old, $new);

    my $from = time();

    foreach my $n (1 .. 4) {
        my $question = "Who is first, $round, $n? {{chunks=3;gap=10}}";

        stream_ok(scalar ask($nginx, { question => $question,
                      path => $n % 2 ? '/chat' : '/queued' }),
                  "$round, $n: answered at once", cache => qr/fwd=miss$/,
                  chunks => [ pieces_of($question, %PIECES) ]);
    }

    ok(wait_for(sub {
        my $there = connections($new);

        !grep { ($there->{$_} // 0) != $all->{$_} } keys %$all;
    }, 20), "$round: all have left the old one") or diag(explain(
        connections($new), $all));

    is_deeply(connections($old), {}, "$round: none stays there");
    follows($old, $new);
}

# under way: it goes on at the new one, which has all of it

{
    my ($old, $new) = @redis;
    my $question = 'What is under way?';
    my ($moved, $ended);

    sleep(1.1);

    my $q = ask($nginx, { question => $question, on_event => sub {
        my ($q) = @_;

        failover($old, $new) if @{ $q->{chunks} } >= 5 && !$moved++;
    } });

    stream_ok($q, 'under way: the answer', chunks =>
              [ pieces_of($question, %PIECES) ]);
    is(provider_stats($provider, $question), 1, 'under way: one call');
    is($new->entries(stream_key($question))->[-1]{status}, 'completed',
       'under way: cached there');
    follows($old, $new);
}

# a replica for long: no storm of connections, and few lines in the log

{
    my ($new, $old) = @redis;
    my $count = sub {
        $old->cmd('INFO', 'stats') =~ /total_connections_received:(\d+)/;
        return $1;
    };
    my $before = length $nginx->error_log;

    $old->cmd('REPLICAOF', '127.0.0.1', $new->port);
    follows($old, $new);

    my ($from, $first, $asked) = (time(), $count->(), 0);

    while (time() < $from + 4) {
        ask($nginx, map { { question => 'Who asks ' . ++$asked . '?' } }
            1 .. 10);
    }

    my $made = $count->() - $first;
    my $took = time() - $from;

    # commands and broker of both, and what else they have

    cmp_ok($asked, '>', 100, 'a replica: many ask');
    cmp_ok($made, '<=', 6 * ($took + 2), 'a replica: no storm')
        or diag("$made connections in $took s");

    my @lines = grep { /\[error\].*left, as it cannot serve/ }
        split(/\n/, substr($nginx->error_log, $before));

    cmp_ok(scalar(@lines), '<=', 6, 'a replica: told once a minute')
        or diag(join("\n", @lines));

    $old->cmd('REPLICAOF', 'NO', 'ONE');
    $new->cmd('REPLICAOF', '127.0.0.1', $old->port);
    ok(wait_for(sub {
        ask($nginx, { question => 'And now ' . ++$asked . '? {{gap=0}}' })
            ->{status} == 200
    }, 10), 'a master again: answers');
}

# a name that leads to the new master

{
    my ($new, $old) = @redis;
    my $port = free_port();
    my $dns = start_dns(ttl => 1, 'redis.test' => '127.0.0.1');
    my $asked = 0;

    follows($new, $old);
    start_proxy($old, port => $port);
    start_proxy($new, port => $port, address => '127.0.0.2');

    my $named = start_nginx(redis => "redis://redis.test:$port/0",
        provider => $provider, workers => 1,
        http => 'resolver 127.0.0.1:' . $dns->port . ';',
        location => 'chat_redis_down error;');
    my $answers = sub {
        ask($named, { question => 'Where is it ' . ++$asked . '? {{gap=0}}' })
            ->{status} == 200;
    };

    ok(wait_for(sub { $answers->() }, 10), 'a name: an answer');
    $dns->set('redis.test' => '127.0.0.2');
    $new->cmd('REPLICAOF', 'NO', 'ONE');
    $old->cmd('REPLICAOF', '127.0.0.1', $new->port);
    sleep(1.1);
    ok(wait_for(sub { $answers->() }, 10), 'a name that leads elsewhere: an answer');
}

done();
