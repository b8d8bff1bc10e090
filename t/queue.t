#!/usr/bin/perl

# What waits for a filler, where fillers ask: how many, how long, in which
# order.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(sleep time);

my $redis = start_redis();
my $provider = start_provider(chunks => 10, gap => 100);

my %common = (redis => $redis, provider => $provider, workers => 1,
              lead => 'off');


# true when so many calls run and so many tasks are there, or in vain

sub state_is {
    my ($running, $tasks) = @_;
    my $end;

    return sub {
        $end ||= time() + 8;

        return time() > $end
            || (provider_stats($provider)->{active} == $running
                && $redis->cmd('XLEN', 'chat:tasks:1') == $tasks);
    };
}


sub refused_ok {
    my ($q, $name) = @_;
    my $body = eval { parse_json($q->{body}) } || {};

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($q->{status} == 503 && ($body->{code} || '') eq 'queue_full'
       && ($q->{headers}{'retry-after'} || '') =~ /^[1-9]\d*$/, $name)
        or diag($q->{raw});
}


# a task goes a moment after its answer

sub is_empty {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    wait_for { $redis->tasks == 0 } 10;
    is($redis->tasks, 0, $name);
}


sub took {
    my ($q) = @_;

    return $q->{ended} - $q->{started};
}


# two at once, in the order in which they came

my $nginx = start_nginx(%common, http => 'chat_fill concurrency=2;');
my @asks = map { { question => "Who is number $_?", delay => $_ * 0.3 } }
    0 .. 7;
my @all = ask($nginx, @asks);

stream_ok($all[$_],
          "two at once: number $_ of eight",
          restarts => 0, cache => qr/fwd=miss$/)
    foreach 0 .. 7;

my @first = map { $_->{events}[1]{at} } @all;

is(provider_stats($provider)->{max_active}, 2, 'two at once: two calls');
is_deeply([ sort { $first[$a] <=> $first[$b] } 0 .. 7 ], [ 0 .. 7 ],
          'two at once: in their order');
is_empty('two at once: the queue is empty again');
$nginx->stop;

# a queue that is full

$nginx = start_nginx(%common, http => 'chat_fill concurrency=2;'
                     . ' chat_queue_limit 3;');

@all = ask($nginx,
    (map { { question => "Who has a place $_?"
                         . ($_ < 2 ? ' {{chunks=40}}' : ''),
             delay => $_ * 0.05 } } 0 .. 4),
    (map { { question => "Who has none $_?", after => state_is(2, 5) } }
     0 .. 1),
    { question => 'Who has a place 4?', after => state_is(2, 5) });

is(scalar(grep { $_->{status} == 200 } @all), 6,
   'a full queue: two run, three wait');
stream_ok($all[$_],
          "a full queue: number $_ of five", restarts => 0) foreach 0 .. 4;
refused_ok($all[$_], "a full queue: one of those behind, $_") foreach 5, 6;
is(provider_stats($provider, $all[$_]{question}), 0,
   "a full queue: $_ costs no call")
    foreach 5, 6;
stream_ok($all[7], 'a full queue: to join needs no place',
          cache => qr/collapsed$/);
stream_ok(scalar ask($nginx, { question => $all[5]{question} }),
          'a full queue: later it is taken', cache => qr/fwd=miss$/);

# those who joined before it was refused, here and elsewhere: the task is slow
# on its way

my $proxy = start_proxy($redis, latency => 150);
my $slow = start_nginx(%common, broker => 'redis://127.0.0.1:' . $proxy->port,
                       http => 'chat_fill concurrency=2; chat_queue_limit 3;');

my $seen = sub {
    my ($question) = @_;
    my $keys = $redis->cmd('KEYS', '{' . stream_key($question) . '}:*:live:*');

    return scalar(@$keys);
};

my $question = 'Who joins what is refused?';

@all = ask($nginx,
    (map { { question => "Who is in front $_? {{chunks=50}}",
             delay => 0.3 * $_ } } 0 .. 6),
    { question => $question, nginx => $slow, after => state_is(4, 7) },
    map {
        my $late = state_is(-1, 0);
        { question => $question, nginx => $_,
          after => sub { $seen->($question) || $late->() } }
    } $nginx, $nginx, $slow);

refused_ok($all[7], 'joined what is refused: the one who opened it');
stream_ok($all[$_], "joined what is refused: client $_",
          error => 'queue_full', restarts => 0, cache => qr/collapsed$/)
    foreach 8 .. 10;
ok($all[$_]{ended} - $all[7]{ended} < $SLACK,
   "joined what is refused: client $_ is told at once")
    foreach 8 .. 10;
is(provider_stats($provider, $question), 0, 'joined what is refused: no call');
$slow->stop;
$nginx->stop;

# too late: all fillers are busy, or stopped

$nginx = start_nginx(%common, workers => 2,
    http => 'chat_fill concurrency=1; chat_queue_timeout 1s;');

@all = ask($nginx,
    { question => 'Who is busy? {{chunks=70}}' },
    (map { { question => "Who waits $_?", delay => 0.2 } } 0 .. 3),
    { question => 'Who waits 0?', delay => 0.6 });

stream_ok($all[0], 'busy fillers: the first one is served', restarts => 0);
stream_ok($all[$_], "busy fillers: client $_ is too late",
          error => 'queue_timeout', restarts => 0) foreach 1 .. 5;
ok(took($all[$_]) > 0.9 && took($all[$_]) < 1 + $SLACK,
   "busy fillers: client $_ after its time")
    or diag(took($all[$_])) foreach 1 .. 4;

is_empty('busy fillers: what came too late is taken out');
is(provider_stats($provider, $all[$_]{question}), 0,
   "busy fillers: no call for client $_") foreach 1 .. 4;

my @fillers = $nginx->filler_pids;

is(scalar(@fillers), 1, 'stopped fillers: there is one');
stand_still(@fillers);

@all = ask($nginx, map { { question => "Who is never heard $_?" } } 0 .. 3);

stream_ok($all[$_], "stopped fillers: nobody takes number $_",
          error => 'queue_timeout', restarts => 0) foreach 0 .. 3;
ok(took($all[$_]) > 0.9 && took($all[$_]) < 1 + $SLACK,
   "stopped fillers: number $_ after its time")
    or diag(took($all[$_])) foreach 0 .. 3;

kill('CONT', @fillers);
is_empty('stopped fillers: nothing waits any more');
is(provider_stats($provider, $all[$_]{question}), 0,
   "stopped fillers: no call for number $_") foreach 0 .. 3;

stream_ok(scalar ask($nginx, { question => $all[0]{question} }),
          'stopped fillers: asked again it is answered',
          cache => qr/fwd=miss$/);

is_empty('at the end: no task is left');
wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'at the end: no call goes on');

done();
