#!/usr/bin/perl

# Generations that nobody writes any more, since all fillers have stopped or
# their task is lost, or that look as if nobody listened: each client is told.
# All go through the queue.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep time);

# what design and configuration say

my $LEASE = 10;
my $MARGIN = 10;
my $SILENCE = 5;
my $QUEUE = 3;
my $GRACE = 1;

my %answer = (chunks => 60, gap => 40, bytes => 20);

my $provider = start_provider(%answer);
my @redis = map { start_redis() } 1 .. 3;
my ($stopped, $queued, $unheard) = map {
    start_nginx(redis => $_, provider => $provider, workers => 2,
        lead => 'off', http => "chat_queue_timeout ${QUEUE}s;",
        location => "chat_abandon cancel grace=${GRACE}s;")
} @redis;


# what remains in this Redis when all is over

sub nothing_left {
    my ($redis, $name, @questions) = @_;

    wait_for {
        $redis->tasks == 0
            && !@{ $redis->cmd('KEYS', '*:live:*') };
    } 10, 'an empty queue';

    is($redis->tasks, 0, "$name: no task is left");
    is($redis->cmd('EXISTS', map { stream_key($_) } @questions), 0,
       "$name: nothing is cached");
    is(scalar(@{ $redis->cmd('KEYS', '*:live:*') }), 0,
       "$name: nothing is announced");
}


# All fillers stop in mid-answer.  The other cases fit into that time.

my @questions = map { "Who writes this $_?" } 1 .. 6;
my $filler = filler($stopped);
my $later = ask_later($stopped,
    map { { question => $_, timeout => 60 } } @questions);

mid_answer($redis[0], 5, @questions);
stand_still($filler);

my $since = time();


# A task is lost while it waits: its time ends it.

{
    my $redis = $redis[1];
    my $old = filler($queued);
    my $question = 'Whose task is lost?';

    stream_ok(scalar ask($queued, { question => 'Anybody? {{chunks=1}}' }),
              'a lost task: an answer before it');

    # the task goes a moment after its answer is complete
    wait_for { $redis->tasks == 0 } 5, 'its task to go';

    # it is stopped, and does not wait for tasks any more

    takes_none($redis, $old);

    my $began = time();
    my $waiting = ask_later($queued, { question => $question });

    wait_for { $redis->cmd('XLEN', 'chat:tasks:1') == 1 } 5, 'its task';
    is($redis->cmd('DEL', 'chat:tasks:1'), 1,
       'a lost task: the queue is deleted');
    kill('CONT', $old);

    my ($q) = results($waiting);

    stream_ok($q, 'a lost task: an error',
              error => 'queue_timeout', restarts => 0);

    my $took = $q->{ended} - $began;

    ok($took > $QUEUE - 0.2 && $took < $QUEUE + $SILENCE + $SLACK,
       'a lost task: told in time') or diag("$took s");
    is(provider_stats($provider, $question), 0, 'a lost task: no call');
    nothing_left($redis, 'a lost task', $question);
    stream_ok(scalar ask($queued, { question => $question }),
              'a lost task: asked again it is answered', cache => qr/fwd=miss$/,
              text => text_of($question, %answer));
}


# Redis refuses to let the worker listen.  After the grace the filler takes
# the generation for abandoned, and the client, who is there, is told so.

{
    my $redis = $redis[2];
    my $question = 'Who listens? {{chunks=150;gap=100}}';
    my $refused;

    $unheard->allow_log(qr/NOPERM/);

    my $q = ask($unheard, { question => $question, on_event => sub {
        return if @{ $_[0]{chunks} } < 3 || $refused++;

        $redis->cmd('ACL', 'SETUSER', 'default', '-subscribe');
        $redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');
    } });

    stream_ok($q, 'nobody seems to listen: cancelled', error => 'cancelled',
              restarts => 0);
    wait_for { provider_stats($provider)->{aborted} } 5, 'the end of the call';
    is(provider_stats($provider)->{aborted}, 1,
       'nobody seems to listen: the call is aborted');
    nothing_left($redis, 'nobody seems to listen', $question);

    $redis->cmd('ACL', 'SETUSER', 'default', '+subscribe');
    stream_ok(scalar ask($unheard, { question => 'And now?' }),
              'listening again: an answer', text => text_of('And now?',
                                                           %answer));
}


# the end of the first case

my @all = results($later);
my ($first, $last) = (sort { $a <=> $b } map { $_->{ended} - $since }
                      @all)[0, -1];

stream_ok($all[$_], "all fillers have stopped: client $_ is told",
          error => 'interrupted', restarts => 0) foreach 0 .. $#all;
is(scalar(@all), 6, 'all fillers have stopped: six clients are told');
cmp_ok($first, '>', $LEASE + $MARGIN - 4,
       'all fillers have stopped: not before lease and margin');
cmp_ok($last, '<', $LEASE + $MARGIN + $SILENCE + $SLACK,
       'all fillers have stopped: told in bounded time');

# who goes on after all that may not write any more

kill('CONT', $filler);
nothing_left($redis[0], 'stopped', @questions);
is(filler($stopped), $filler, 'stopped: the filler stays the same');
stream_ok(scalar ask($stopped, { question => $questions[0] }),
          'stopped: asked again it is answered', cache => qr/fwd=miss$/,
          text => text_of($questions[0], %answer));
is(provider_stats($provider, $questions[0]), 2, 'stopped: by a second call');

done();
