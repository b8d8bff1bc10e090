#!/usr/bin/perl

# Where Redis is and how it lets one in: databases, sockets, users, passwords;
# and what lies in it afterwards.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $password = 'p@ss/w:rd %41"$';
my $escaped = 'p%40ss%2Fw%3Ard%20%2541%22%24';
my $provider = start_provider(chunks => 5);
my $number = 0;


# One instance: a miss, a hit, a refresh, a fault.  Then the keys of both
# databases are looked at.

sub works {
    my ($name, $cache, $broker, %opt) = @_;
    my $nginx = start_nginx(provider => $provider,
                            provider_lines => 'retries 0;', %opt);
    my $question = 'How about number ' . ++$number . '?';
    my @pieces = pieces_of($question, chunks => 5);

    stream_ok(scalar ask($nginx, { question => $question }), "$name: a miss",
              chunks => \@pieces, cache => qr/fwd=miss$/);

    my $hit = ask_hit($nginx, { question => $question });

    stream_ok($hit, "$name: a hit", chunks => \@pieces, cache => qr/hit/);
    stream_ok(scalar ask($nginx, { question => $question, use_cache => 0 }),
              "$name: a refresh", chunks => \@pieces);

    provider_set($provider, status => 400);
    stream_ok(scalar ask($nginx, { question => "$question no" }),
              "$name: a fault", error => 'provider_refused');
    provider_reset($provider);

    clean($name, $cache, $broker);
    is($cache->cmd('TYPE', stream_key($question)), 'stream',
       "$name: the answer is there");
    is($cache->cmd('EXISTS', stream_key("$question no")), 0,
       "$name: nothing of the fault is kept");
    ok(index($nginx->error_log, $password) < 0
       && index($nginx->error_log, $escaped) < 0,
       "$name: no password in the log");
    ok(!(grep { /redis/i } map { Chat::Nginx::title($_) } $nginx->worker_pids),
       "$name: no password in a title");

    # two deployments with one queue would take each other's tasks

    ok($nginx->stop, "$name: nginx ends");

    return ($nginx, $hit);
}


# every key is ours and expires, but the queues, which are empty

sub clean {
    my ($name, $cache, $broker) = @_;
    my %queues = map { $_ => 1 } @Chat::Redis::QUEUES;
    my @odd;

    wait_for { $broker->tasks == 0 } 5, 'empty queues';

    is($broker->cmd('TYPE', 'chat:tasks:1'), 'stream',
       "$name: the queue is a stream");
    is($broker->tasks, 0, "$name: nothing waits or is pending");

    foreach my $key (@{ $cache->cmd('KEYS', '*') }) {
        next if $queues{$key} && $cache == $broker;

        push(@odd, $key) if $key !~ /^(?:chat:stream:[0-9a-f]{64}$
            |\{chat:stream:[0-9a-f]{64}\}:1:(?:live|gen|update):)/x;
    }

    is_deeply(\@odd, [], "$name: no other keys");
    is_deeply([ $cache->eternal ], [], "$name: all keys expire");

    return if $cache == $broker;

    is_deeply([ grep { !$queues{$_} } @{ $broker->cmd('KEYS', '*') } ], [],
              "$name: nothing else with the broker");
}


# the environment, as the application before this module had it

my $redis = start_redis();
my ($nginx, $hit) = works('environment', $redis, $redis->client(1),
    env => { REDIS_URL => $redis->url(0), CELERY_BROKER_URL => $redis->url(1),
             CACHE_TTL_SECONDS => 77 });

like($hit->{headers}{'cache-status'}, qr/ttl=7[67]$/,
     'environment: CACHE_TTL_SECONDS is the TTL');
is(scalar(@{ $redis->client(2)->cmd('KEYS', '*') }), 0,
   'environment: no third database is used');

my $four = $redis->client(4);

($nginx) = works('another kind of broker', $four, $four,
    env => { REDIS_URL => $redis->url(4),
             CELERY_BROKER_URL => 'amqp://guest@127.0.0.1//' });
like($nginx->error_log . read_file($nginx->dir . '/stderr'),
     qr/\[warn\].*CELERY_BROKER_URL/,
     'another kind of broker: a warning names it');

# directives win over the environment

works('directives', $redis->client(5), $redis->client(6),
      redis => $redis->url(5), broker => $redis->url(6),
      env => { REDIS_URL => $redis->url(7),
               CELERY_BROKER_URL => $redis->url(8) });
is(scalar(@{ $redis->client($_)->cmd('KEYS', '*') }), 0,
   "directives: database $_ is not used") foreach 7, 8;

# sockets

works('sockets', $redis->client(9), $redis->client(10),
      redis => $redis->unix_url(9), broker => $redis->unix_url(10));

my $other = start_redis();

works('two servers', $redis->client(11), $other,
      redis => $redis->unix_url(11), broker => $other->url);

my $eleven = $other->client(11);

works('no broker named', $eleven, $eleven, redis => $other->url(11));

# a password

my $closed = start_redis(password => 'simple');

works('a password', $closed->client(0), $closed->client(1),
      redis => $closed->url(0), broker => $closed->url(1));

my $two = $closed->client(2);

works('chat_redis_password', $two, $two,
      redis => "redis://127.0.0.1:$closed->{port}/2",
      http => 'chat_redis_password simple;');

my $three = $closed->client(3);

works('chat_redis_password env', $three, $three,
      redis => "redis://127.0.0.1:$closed->{port}/3",
      http => 'chat_redis_password env:CHAT_TEST_PASSWORD;',
      env => { CHAT_TEST_PASSWORD => 'simple' });

my $file = test_dir() . '/password';

open(my $out, '>', $file) or die "$file: $!\n";
print $out "simple\n";
close($out);

my $five = $closed->client(5);

works('chat_redis_password file', $five, $five,
      redis => "unix:$closed->{dir}/redis.sock?db=5",
      http => "chat_redis_password file:$file;");

# users of an access control list, with a password of odd characters

$closed->cmd('ACL', 'SETUSER', 'cache', 'on', ">$password", '~{chat:*',
             '~chat:stream:*', '&{chat:*', '+@all');
$closed->cmd('ACL', 'SETUSER', 'tasks', 'on', ">$password", '~chat:tasks:1',
             '~chat:led:1:*', '+@all');

my $at = "$escaped\@127.0.0.1:$closed->{port}";

works('users', $closed->client(6), $closed->client(7),
      redis => "redis://cache:$at/6", broker => "redis://tasks:$at/7");

$closed->cmd('CONFIG', 'SET', 'requirepass', $password);
$closed->{password} = $password;
$closed->disconnect;

my $eight = $closed->client(8);

works('odd characters in chat_redis_password', $eight, $eight,
      redis => "redis://127.0.0.1:$closed->{port}/8",
      http => "chat_redis_password '$password';");

# who is not let in is told so by the log, and clients get no stream

foreach my $case (['no password', "redis://127.0.0.1:$closed->{port}/0"],
                  ['a wrong one', "redis://:wrong-one\@127.0.0.1:$closed->{port}/0"],
                  ['no such database', $redis->url(99)])
{
    my ($name, $url) = @$case;
    my $refused = start_nginx(provider => $provider, redis => $url,
                              location => 'chat_redis_down error;');
    my $q = ask($refused, { question => 'May I come in?' });

    is($q->{status}, 503, "$name: status 503");
    is(parse_json($q->{body})->{code}, 'redis_down', "$name: code redis_down");
    ok($q->{headers}{'retry-after'}, "$name: Retry-After is sent");
    like($refused->error_log, qr/\[error\].*127\.0\.0\.1:\d+/,
         "$name: the log says where");
    unlike($refused->error_log, qr/wrong-one/,
           "$name: the log has no password");
}

# a Redis that throws away what it likes

foreach my $case (['noeviction', 0], ['volatile-lru', 0], ['allkeys-lru', 1],
                  ['allkeys-random', 1])
{
    my ($policy, $warned) = @$case;

    $other->cmd('FLUSHALL');
    $other->cmd('CONFIG', 'SET', 'maxmemory-policy', $policy);

    my $evicting = start_nginx(provider => $provider, redis => $other);

    stream_ok(scalar ask($evicting, { question => "What about $policy?" }),
              "$policy: a question is answered");
    wait_for { $evicting->error_log =~ /\[warn\].*$policy/ } 5 if $warned;
    is($evicting->error_log =~ /\[warn\].*$policy/ ? 1 : 0, $warned,
       "$policy: " . ($warned ? 'a warning is logged' : 'no warning'));
    $evicting->stop;
}

done();
