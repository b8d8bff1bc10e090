#!/usr/bin/perl

# What waits for a filler: how many, how long, in which order.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(sleep time);

my $redis = start_redis();
my $provider = start_provider(chunks => 10, gap => 100);

my %common = (redis => $redis, provider => $provider, workers => 1);


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

    wait_for { $redis->cmd('XLEN', 'chat:tasks:1') == 0 } 10;
    is($redis->cmd('XLEN', 'chat:tasks:1'), 0, $name);
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

stream_ok($_, 'one of eight', restarts => 0, cache => qr/fwd=miss$/)
    foreach @all;

my @first = map { $_->{events}[1]{at} } @all;

is(provider_stats($provider)->{max_active}, 2, 'two calls at once');
is_deeply([ sort { $first[$a] <=> $first[$b] } 0 .. 7 ], [ 0 .. 7 ],
          'in their order');
is_empty('the queue is empty again');
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

is(scalar(grep { $_->{status} == 200 } @all), 6, 'two run, three wait');
stream_ok($_, 'one of five', restarts => 0) foreach @all[0 .. 4];
refused_ok($_, 'one of those behind') foreach @all[5, 6];
is(provider_stats($provider, $_->{question}), 0, 'costs no call')
    foreach @all[5, 6];
stream_ok($all[7], 'to join one that waits needs no place',
          cache => qr/collapsed$/);
stream_ok(scalar ask($nginx, { question => $all[5]{question} }),
          'later it is taken', cache => qr/fwd=miss$/);

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

refused_ok($all[7], 'the one who opened it');
stream_ok($_, 'one who joined', error => 'queue_full', restarts => 0,
          cache => qr/collapsed$/) foreach @all[8 .. 10];
ok($_->{ended} - $all[7]{ended} < $SLACK, 'is told at once')
    foreach @all[8 .. 10];
is(provider_stats($provider, $question), 0, 'no call');
$slow->stop;
$nginx->stop;

# too late: all fillers are busy, or stopped

$nginx = start_nginx(%common, workers => 2,
    http => 'chat_fill concurrency=1; chat_queue_timeout 1s;');

@all = ask($nginx,
    { question => 'Who is busy? {{chunks=70}}' },
    (map { { question => "Who waits $_?", delay => 0.2 } } 0 .. 3),
    { question => 'Who waits 0?', delay => 0.6 });

stream_ok($all[0], 'the one who is busy', restarts => 0);
stream_ok($_, 'too late', error => 'queue_timeout', restarts => 0)
    foreach @all[1 .. 5];
ok(took($_) > 0.9 && took($_) < 1 + $SLACK, 'after its time')
    or diag(took($_)) foreach @all[1 .. 4];

is_empty('what came too late is taken out');
is(provider_stats($provider, $_->{question}), 0, 'no call for it')
    foreach @all[1 .. 4];

my @fillers = $nginx->filler_pids;

is(scalar(@fillers), 1, 'one filler');
stand_still(@fillers);

@all = ask($nginx, map { { question => "Who is never heard $_?" } } 0 .. 3);

stream_ok($_, 'nobody takes it', error => 'queue_timeout', restarts => 0)
    foreach @all;
ok(took($_) > 0.9 && took($_) < 1 + $SLACK, 'after its time')
    or diag(took($_)) foreach @all;

kill('CONT', @fillers);
is_empty('nothing waits any more');
is(provider_stats($provider, $_->{question}), 0, 'no call for it')
    foreach @all;

stream_ok(scalar ask($nginx, { question => $all[0]{question} }),
          'asked again it is answered', cache => qr/fwd=miss$/);

is_empty('no task is left');
wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'no call goes on');

done();
