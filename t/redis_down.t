#!/usr/bin/perl

# Redis goes away, with and without its data, and comes back: what becomes of
# generations that go through the queue, and of those that workers lead.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;

use Time::HiRes qw(sleep time);

my $QUEUE = 3;
my $BOUND = $QUEUE + 6 + $SLACK;

# less than a command may take: nothing was waited for

my $AT_ONCE = 0.9;
my (@refused, $stable);

my $provider = start_provider(chunks => 80, gap => 100);
my $redis = start_redis();
my $QUEUED = 'location = /queued { chat; chat_lead off; }';
my $nginx = led_nginx(redis => $redis, provider => $provider, workers => 2,
    http => "chat_queue_timeout ${QUEUE}s;", server => $QUEUED,
    location => 'chat_redis_down error;');


# runs while all of these streams are in mid-answer

sub in_the_middle {
    my ($left, $code) = @_;

    return sub {
        my ($q) = @_;

        if (@{ $q->{chunks} } >= 3 && !$q->{middle}++ && --$left == 0) {
            $code->();
        }
    };
}


# first those of a filler, then as many of workers

sub streams {
    my ($name, $all, $options, $code) = @_;
    my $watch = in_the_middle(2 * $all, $code);

    return map {
        my $path = $_;

        map { { question => "$name $_, $path? {{$options}}", path => $path,
                on_event => $watch, timeout => 60 } } 1 .. $all;
    } '/queued', '/chat';
}


# refused at once, with a reason and a time

sub refused_ok {
    my ($q, $name) = @_;
    my $body = eval { parse_json($q->{body}) } || {};
    my $took = $q->{ended} - $q->{started};
    my $ok = $q->{status} == 503 && ($body->{code} || '') eq 'redis_down'
        && ($q->{headers}{'retry-after'} || '') =~ /^[1-9]\d*$/
        && $took < $AT_ONCE;

    push(@refused, $took);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($ok, "$name: 503 at once") or diag("$took s\n$q->{raw}");
}


# how long it takes until a miss and then a hit work

sub works_ok {
    my ($nginx, $name) = @_;
    my $from = time();
    my $question = "Does it work, $name? {{chunks=3;gap=1}}";
    my $miss;

    while (time() < $from + 4 + $SLACK) {
        $miss = ask($nginx, { question => $question, timeout => 4 });
        last if $miss->{status} == 200;
        sleep(0.02);
    }

    my $took = time() - $from;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($miss, "$name: a miss", cache => qr/fwd=miss/,
              chunks => [ pieces_of($question) ], restarts => 0);
    ok($took < 2 + $SLACK, "$name: within 2 s") or diag("$took s");

    # a leader's client does not wait for the cache

    wait_for {
        grep { $_->cmd('EXISTS', stream_key($question)) eq '1' }
            grep { defined } $redis, $stable;
    } 2, "$name: it is cached";

    stream_ok(scalar ask($nginx, { question => $question }), "$name: a hit",
              cache => qr/; hit/);
}


# lines about Redis that are no mere information, by process and connection

sub complaints {
    my ($nginx) = @_;
    my %count;

    foreach (split(/\n/, $nginx->error_log)) {
        $count{"$1 $2"}++ if /\[error\] (\d+)#.*redis \S+, (\w+): /;
    }

    return \%count;
}


sub ended_ok {
    my ($q, $from, $name, %want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @faults = map { join(', ', Chat::Check::faults($_, %want)) } @$q;
    my ($last) = sort { $b <=> $a } map { $_->{ended} - $from } @$q;

    @faults = grep { length } @faults;

    is(scalar(@faults), 0, "$name: each stream has its end")
        or diag($faults[0]);
    ok($last < $BOUND, "$name: in time") or diag("$last s");
}


# for clients of a worker that leads it may be a moment later

sub cached_ok {
    my ($all, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(wait_for(sub {
        $stable->cmd('EXISTS', map { stream_key($_->{question}) } @$all)
            == @$all
    }, 5), "$name: all are cached");
}


# 20 streams, and Redis is killed

my ($killed, @all);
my @streams = streams('Who is killed', 10, '', sub {
    $redis->stop('KILL');
    $killed = time();
});

works_ok($nginx, 'at the start');
leads($nginx);

# a connection is made at most once a second

sleep(1);

@all = ask($nginx, @streams,
    (map {
        my $at = 0.3 + 0.3 * $_;
        { question => "Is anybody there $_?",
          after => sub { $killed && time() > $killed + $at } }
    } 0 .. 11),
    map {
        { question => $_->{question}, path => '/queued',
          after => sub { $killed && time() > $killed + 1 } }
    } @streams[0 .. 7]);

ended_ok([ @all[0 .. 9] ], $killed, 'killed', error => 'redis_down',
         restarts => 0);
ended_ok([ @all[10 .. 19] ], $killed, 'killed, led', restarts => 0);
refused_ok($all[$_], "killed, client $_") foreach 20 .. 31;
refused_ok($all[$_],
           "killed, and followed already, client $_") foreach 32 .. 39;

my $complaints = complaints($nginx);

is(scalar(keys %$complaints), 6, 'killed: all six connections have noticed')
    or diag(explain($complaints));
is(scalar(grep { $_ > 2 } values %$complaints), 0,
   'killed: loss and refusal are told once each')
    or diag(explain($complaints));

is(scalar(() = $nginx->error_log =~ /\[error\] .*not accepted/g), 0,
   'killed: a refused question is no error of its own');
is(scalar(() = $nginx->error_log =~ /\[info\] .*not accepted: redis_down/g),
   20, 'killed: a refused question is told');

my $health = get($nginx, '/');

is($health->{status}, 503, 'killed: health is 503');
is(parse_json($health->{body})->{breaker}, 'open', 'killed: health says why');

# it is back, and empty

$redis->start;
works_ok($nginx, 'back and empty');
is(get($nginx, '/')->{status}, 200, 'back and empty: health is 200');
wait_for { provider_stats($provider)->{active} == 0 } 12, 'the old calls';
is(provider_stats($provider)->{active}, 0,
   'back and empty: no old call goes on');
wait_for { $redis->tasks == 0 } 10;
is($redis->tasks, 0, 'back and empty: no task is left');

# With its data a short outage is only a pause.  Redis puts off a write while
# the file is synchronized, unless it does so always.

$stable = start_redis(config => [ 'appendonly yes', 'appendfsync always' ]);
my $other = led_nginx(redis => $stable, provider => $provider,
    workers => 2, http => "chat_queue_timeout ${QUEUE}s;",
    server => $QUEUED);

works_ok($other, 'with data');

my $before = ask($other, { question => 'Is it kept? {{chunks=3}}' });

@all = ask($other, streams('Who waits', 5, 'chunks=30', sub {
    $stable->stop('KILL');
    sleep(0.5);
    $stable->start;
}));

ended_ok(\@all, time(), 'a pause', restarts => 0);
is(scalar(grep { provider_stats($provider, $_->{question}) != 1 } @all), 0,
   'a pause: one call for each');
cached_ok(\@all, 'a pause');
stream_ok(scalar ask($other, { question => 'Is it kept? {{chunks=3}}' }),
          'a pause: what was cached is',
          cache => qr/; hit/, text => $before->{text});
works_ok($other, 'back with data');

# stopped for one second, and for twenty

my $stopped;

leads($other);
@all = ask($other, streams('Who is stopped', 5, 'chunks=20', sub {
    $stable->signal('STOP');
    sleep(1);
    $stable->signal('CONT');
    $stopped = time();
}));

ended_ok(\@all, $stopped, 'stopped for 1 s', restarts => 0);
is(scalar(grep { provider_stats($provider, $_->{question}) != 1 } @all), 0,
   'stopped for 1 s: one call for each');
cached_ok(\@all, 'stopped for 1 s');
works_ok($other, 'after 1 s');
leads($other);

undef $stopped;

@all = ask($other,
    streams('Who is stopped long', 5, '', sub {
        $stable->signal('STOP');
        $stopped = time();
    }),
    { question => 'Who notices?', after => sub { $stopped } },
    { question => 'Who else?', after => sub { $stopped } },
    map {
        my $at = $_;
        { question => "Who comes after $at?",
          after => sub { $stopped && time() > $stopped + $at } }
    } 7, 9, 12, 19);

ended_ok([ @all[0 .. 4] ], $stopped, 'stopped for 20 s',
         error => 'redis_down', restarts => 0);
ended_ok([ @all[5 .. 9] ], $stopped, 'stopped for 20 s, led', restarts => 0);

# each worker notices with its first command, or by itself within 6 s

is($all[$_]{status}, 503, "stopped for 20 s: client $_ notices") foreach 10, 11;
ok($all[$_]{ended} - $all[$_]{started} < 1 + $SLACK,
   "stopped for 20 s: client $_ in the time of a command")
    foreach 10, 11;
refused_ok($all[$_], "stopped, client $_") foreach 12 .. 15;

my $left = $stopped + 20 - time();

sleep($left) if $left > 0;
$stable->signal('CONT');
works_ok($other, 'after 20 s');

# nothing partial was ever cached

my @partial = grep {
    my $entries = $stable->entries($_);

    ref($entries) ne 'ARRAY' || $entries->[-1]{status} ne 'completed'
} grep { /^chat:stream:[0-9a-f]{64}$/ } @{ $stable->cmd('KEYS', '*') };

is(scalar(@partial), 0, 'at the end: all that is cached is complete');

mostly_ok(\@refused, 0.1, 'refused: at once for most');

done();
