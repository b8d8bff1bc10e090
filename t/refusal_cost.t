#!/usr/bin/perl

# The cost of refused questions: a full queue is remembered for a moment, a
# generation opened in vain is deleted at once, and nothing is subscribed.  Hits,
# joins, and the order of refusals are as ever.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

my $N = 300;

my $redis = start_redis();
my $provider = start_provider(chunks => 5);

my %opt = (redis => $redis, provider => $provider, workers => 1,
    lead => 'off',
    http => 'chat_fill concurrency=1; chat_queue_limit 1;'
        . ' chat_queue_timeout 60s; chat_abandon cancel grace=1s;',
    server => 'location = /limited {'
        . ' chat; chat_miss_limit $http_x_user rate=1r/h; }');

my $nginx = start_nginx(%opt);
my $other = start_nginx(%opt);

my $number = 0;


sub questions {
    my ($n, %more) = @_;

    return map { { question => 'Question ' . ++$number . '?', %more } } 1 .. $n;
}


sub code_of {
    my ($q) = @_;

    return $q->{status} . ' '
        . (eval { parse_json($q->{body})->{code} } // $q->{error} // '');
}


sub refused {
    return scalar(grep { code_of($_) eq '503 queue_full' } @_);
}


# how often a command was called, in scripts too

sub calls {
    my ($name) = @_;

    return $redis->cmd('INFO', 'commandstats')
        =~ /^cmdstat_\Q$name\E:calls=(\d+)/m ? $1 : 0;
}


sub memory {
    return $redis->cmd('INFO', 'memory') =~ /^used_memory:(\d+)/m ? $1 : 0;
}


sub generations {
    return scalar(grep { /^\{/ } @{ $redis->cmd('KEYS', '*') });
}


# before the queue is full

my $known = { question => 'What is known?' };
my $over = { question => 'Who is over?', path => '/limited',
             headers => { 'X-User' => 'one' } };

stream_ok(scalar ask($nginx, $_),
          "before: $_->{question} is answered", cache => qr/fwd=miss$/)
    foreach $known, $over;
wait_for { $redis->tasks == 0 } 5, 'an empty queue';

# each filler has one, and one waits

my @busy = map { "Who is busy $_? {{chunks=1000;gap=1000}}" } 1 .. 3;
my $later = ask_later($nginx, map { { question => $_, timeout => 120 } }
                      @busy);

my (@run, @wait);

wait_for {
    @run = grep { written($redis, $_) > 1 } @busy;
    @wait = grep { written($redis, $_) == 1 } @busy;
    @run == 2 && @wait == 1 && $redis->cmd('XLEN', 'chat:tasks:1') == 3
} 10, 'a full queue';

my $before = generations();

is(code_of(scalar ask($nginx, questions(1))), '503 queue_full',
   'a full queue: the first one is refused');
is(generations(), $before, 'a full queue: what was opened for it is gone');

# many more: one in 200 ms opens one in vain, with three scripts

my $memory = memory();
my ($subscribed, $scripts, $writes) = map { calls($_) }
    qw(subscribe evalsha xadd);
my @all = map { ask($nginx, questions($N / 3)) } 1 .. 3;

is(refused(@all), $N, 'a full queue: all are refused');
is(generations(), $before, 'a full queue: nothing of them is kept');
is(calls('subscribe'), $subscribed, 'a full queue: nothing is subscribed');

my $bytes = (memory() - $memory) / $N;

# running answers write too

$scripts = (calls('evalsha') - $scripts) / $N;
$writes = (calls('xadd') - $writes) / $N;
diag(sprintf('a refusal: %.0f bytes, %.2f scripts, %.2f entries', $bytes,
             $scripts, $writes));

cmp_ok($bytes, '<', 1000, 'a full queue: hardly any memory for each');
cmp_ok($scripts, '<', 2, 'a full queue: a script for each, and few more');
cmp_ok($writes, '<', 0.5, 'a full queue: nothing is opened for most');

# a refresh can be neither a hit nor a join

$scripts = calls('evalsha');
@all = ask($nginx, questions($N, use_cache => 0));
is(refused(@all), $N, 'a refresh: it is refused');
cmp_ok((calls('evalsha') - $scripts) / $N, '<', 2,
       'a refresh: without a script');

# hits and joins need no place, and other refusals come first

@all = ask($other, questions(50),
    { question => $known->{question} },
    { question => $run[0], hangup_after => 1 },
    { question => $wait[0], hangup_after => 0 },
    { %$over, question => 'Who is over it?' },
    { question => $over->{question}, use_cache => 0 });

is(refused(@all), 51, 'beside those: who needs a place is refused');
stream_ok($all[50], 'beside those: a hit', cache => qr/hit/);
is(scalar(@{ $all[51]{chunks} }), 1, 'beside those: one that runs is joined');
like($all[$_]{headers}{'cache-status'}, qr/collapsed$/,
     "beside those: client $_ joins")
    foreach 51, 52;
is(code_of($all[53]), '429 miss_limit',
   'beside those: who is over a limit is told that');

# the clients leave, and soon there is room

kill('KILL', $later->{pid});
waitpid($later->{pid}, 0);

wait_for { $redis->cmd('XLEN', 'chat:tasks:1') < 3 } 20, 'room';

my $q;

wait_for {
    $q = ask($nginx, questions(1));
    $q->{status} != 503
} 5, 'a place';

stream_ok($q, 'room again: a miss', cache => qr/fwd=miss$/);
wait_for { $redis->tasks == 0 } 20, 'an empty queue';
$_->stop foreach $nginx, $other;

# a broker that is down takes no task either

my $broken = start_nginx(redis => $redis, provider => $provider, workers => 1,
    lead => 'off', broker => 'redis://127.0.0.1:' . free_port(),
    location => 'chat_redis_down error;');

wait_for { $broken->error_log =~ /connect\(\) failed/ } 5, 'it to be noticed';
is(code_of(scalar ask($broken, questions(1))), '503 redis_down',
   'the broker is down: the first one is refused');
$redis->cmd('FLUSHALL');
@all = ask($broken, questions(50));
is(scalar(grep { code_of($_) eq '503 redis_down' } @all), 50,
   'the broker is down: all are refused');
is(generations(), 0, 'the broker is down: nothing of them is kept');
$broken->stop;

# nor does one that is there and refuses

my $refusing = start_redis();

$broken = start_nginx(redis => $redis, provider => $provider, workers => 1,
    lead => 'off', broker => $refusing->url,
    location => 'chat_redis_down error;');
wait_for { get($broken, '/')->{body} =~ /"ok"/ } 10, 'its filler';

foreach my $case ([ 'a replica', '503 redis_down',
                    [ 'REPLICAOF', '127.0.0.1', '1' ],
                    [ 'REPLICAOF', 'NO', 'ONE' ] ],
                  [ 'out of memory', '503 redis_down',
                    [ 'CONFIG', 'SET', 'maxmemory', '1' ],
                    [ 'CONFIG', 'SET', 'maxmemory', '0' ] ],
                  [ 'no queue', '500 internal',
                    [ 'SET', 'chat:tasks:1', 'x' ] ])
{
    my ($name, $code, $on, $off) = @$case;

    $redis->cmd('FLUSHALL');
    is($refusing->cmd(@$on), 'OK', "$name: the broker refuses");
    @all = ask($broken, questions(20));
    is(scalar(grep { code_of($_) eq $code } @all), 20, "$name: all refused");
    is(generations(), 0, "$name: nothing of them is kept");
    $refusing->cmd(@$off) if $off;
}

done();
