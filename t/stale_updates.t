#!/usr/bin/perl

# What replaces a stale answer, while it is made: who joins it, and who need not;
# the answer's time ends, somebody asks anew or purges, its filler or worker
# dies, its task is lost, Redis has no memory left.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Chat::Stale;
use Time::HiRes qw(sleep time);

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 2, unique => 1);

my %opt = (redis => $redis, provider => $provider, lead => 'on', workers => 1,
    zone => 'chat 8m', provider_lines => 'retries 0; max_fails 0;',
    http => "chat_cache_stale ${STALE}s; chat_queue_timeout 6s;",
    server => <<'EOT');
        location = /none   { chat; chat_cache_stale 0; }
        location = /purge  { chat_purge; }
        location = /health { chat_health full; }
EOT

my $nginx = start_nginx(%opt);
my $other = start_nginx(%opt);

stale_setup($redis, $provider, $nginx);
filler($_) foreach $nginx, $other;
$_->allow_log(qr/exited on signal 9/) foreach $nginx, $other;


# a stale answer, and a generation that replaces it: held at its first chunks

sub updated {
    my ($name, %more) = @_;
    my $ask = stale(12, %more);

    provider_set($provider, upto => 2);
    stale_ok(scalar ask($nginx, $ask), "$name: the old one", $ask, 1);
    ok(wait_for(sub { calls($ask->{question}) == 2 }, 10),
       "$name: the provider is asked");
    wait_for { written($redis, $ask->{question}) > 2 } 10, 'its first chunks';

    return $ask;
}


# so many processes read along

sub wait_for_readers {
    my ($ask, $count) = @_;
    my $gen = '{' . stream_key($ask->{question}) . '}:1:gen:'
        . live_id($redis, $ask->{question});

    return wait_for {
        $redis->cmd('PUBSUB', 'NUMSUB', $gen)->[1] == $count
    } 10, 'those who join';
}


sub joined_ok {
    my ($q, $name, $ask, $call) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($q, $name, text => text($ask->{question}, $call), restarts => 0,
              cache => qr/fwd=miss; collapsed$/);
}


# the state of the generation that was opened last behind a stale answer

sub state_of {
    my ($ask) = @_;
    my $S = stream_key($ask->{question});
    my ($key) = @{ $redis->cmd('KEYS', "{$S}:1:update:*") };
    my ($id) = split(' ', $redis->cmd('GET', $key // 'none') // '');

    return defined $id ? $redis->cmd('HGET', "{$S}:1:gen:$id:own", 'state')
                       : undef;
}


# who may not have the stale answer joins what replaces it, on all hosts

{
    my $ask = updated('joined');
    my %none = (%$ask, path => '/none');
    my $later = ask_later($nginx, { %none }, { %none, nginx => $other },
                          { %none });

    wait_for_readers($ask, 2);

    foreach my $on ($nginx, $other) {
        my $q = ask($on, $ask);

        stale_ok($q, 'joined: whoever may still gets the stale one, on '
                     . $on->port, $ask, 1);
    }

    provider_set($provider, upto => 'inf');

    my @all = results($later);

    joined_ok($all[$_], "joined: client $_ has the new one", $ask, 2)
        foreach 0 .. 2;
    replaced_ok($ask, 'joined', 2);
}

# the answer's time ends meanwhile

{
    my $ask = updated('too late');

    $redis->cmd('DEL', stream_key($ask->{question}));

    my $later = ask_later($nginx, { %$ask }, { %$ask, nginx => $other });

    wait_for_readers($ask, 2);
    provider_set($provider, upto => 'inf');

    my @all = results($later);

    joined_ok($all[$_], "too late: client $_ has the new one", $ask, 2)
        foreach 0 .. 1;
    replaced_ok($ask, 'too late', 2);
}

# a purge meanwhile: what runs goes on, as any other generation does

{
    my $ask = updated('a purge');

    is(ask($nginx, { %$ask, method => 'DELETE', path => '/purge' })->{status},
       204, 'a purge: removed');

    my $later = ask_later($other, $ask);

    wait_for_readers($ask, 1);
    provider_set($provider, upto => 'inf');
    joined_ok((results($later))[0], 'a purge: the new one', $ask, 2);
    replaced_ok($ask, 'a purge', 2);
}

# somebody asks anew meanwhile: that answer stays

{
    my $ask = stale(12);

    provider_set($provider, gap => 1000);
    stale_ok(scalar ask($nginx, $ask), 'a refresh: the old one', $ask, 1);
    wait_for { calls($ask->{question}) == 2 } 10, 'the update';
    provider_set($provider, gap => 2);

    stream_ok(scalar ask($other, { %$ask, use_cache => 0 }),
              'a refresh: another one', cache => qr/fwd=request$/,
              text => text($ask->{question}, 3));
    is(state_of($ask), 'd', 'a refresh: has ended');
    ok(wait_for(sub { !defined live_id($redis, $ask->{question}) }, 20),
       'a refresh: then the update has ended');
    is(calls($ask->{question}), 3, 'a refresh: no further call');
    is(last_of($ask->{question})->{chunk}, text($ask->{question}, 3),
       'a refresh: its answer stays');
    stream_ok(scalar ask($_, $ask), 'a refresh: its answer on ' . $_->port,
              cache => qr/hit/, text => text($ask->{question}, 3))
        foreach $nginx, $other;
}

# and what he waits for needs no update

{
    my $ask = stale(12);

    provider_set($provider, gap => 400);

    my $later = ask_later($other, { %$ask, use_cache => 0 });

    wait_for { calls($ask->{question}) == 2 } 10, 'the refresh';
    stale_ok(scalar ask($nginx, $ask), 'behind a refresh: the old one', $ask,
             1);
    provider_set($provider, gap => 2);
    stream_ok((results($later))[0], 'behind a refresh: the new one',
              cache => qr/fwd=request$/, text => text($ask->{question}, 2));
    replaced_ok($ask, 'behind a refresh', 2);
}

# its filler is killed: the next one asks again, and nobody notices

{
    my $ask = updated('a killed filler');
    my ($on) = grep { filler_runs($_) } $nginx, $other;

    kill('KILL', filler($on));
    provider_set($provider, upto => 'inf');
    stale_ok(scalar ask($_, $ask), 'a killed filler: the old one on '
                                   . $_->port, $ask, 1) foreach $nginx, $other;
    replaced_ok($ask, 'a killed filler', 3, 20);
}

# its worker is killed, which has nothing to do with it any more

{
    my $ask = updated('a killed worker');
    my ($worker) = $nginx->worker_pids;

    kill('KILL', $worker);
    wait_for { gone($worker) } 5, 'it to be gone';
    wait_for { get($nginx, '/')->{status} == 200 } 10, 'another worker';
    provider_set($provider, upto => 'inf');
    wait_for { last_of($ask->{question})->{chunk} ne text($ask->{question}, 1) }
        30, 'the new one';
    ok(calls($ask->{question}) <= 3, 'a killed worker: at most once more');
    filler($nginx);
}

# filler and task are lost: another update, after lease and margin

{
    my $ask = updated('all is lost');
    my @fillers = map { filler($_) } $nginx, $other;

    ok(stand_still($_), "all is lost: filler $_ stands still") foreach @fillers;
    $redis->cmd('XTRIM', 'chat:tasks:1', 'MAXLEN', 0);

    my $lost = time();

    kill('KILL', @fillers);
    provider_set($provider, upto => 'inf');
    stale_ok(scalar ask($nginx, $ask), 'all is lost: still the old one', $ask,
             1);

    # lease and margin, of which some of the first may be gone

    replaced_ok($ask, 'all is lost', 3, 40);
    cmp_ok(time() - $lost, '<', 20 + 3 + $SLACK, 'all is lost: in time');
}

# it is never taken: another one, once its time in the queue is over

{
    my $ask = stale(12);

    ok(takes_none($redis, filler($_)), 'never taken: no filler, ' . $_->port)
        foreach $nginx, $other;
    stale_ok(scalar ask($nginx, $ask), 'never taken: the old one', $ask, 1);
    wait_for { $redis->cmd('XLEN', 'chat:tasks:1') == 1 } 5, 'its task';

    my $queued = time();

    $redis->cmd('XTRIM', 'chat:tasks:1', 'MAXLEN', 0);
    kill('CONT', map { filler($_) } $nginx, $other);
    replaced_ok($ask, 'never taken', 2);
    cmp_ok(time() - $queued, '>', 5, 'never taken: not before');
}

# Redis has no memory left: what is there stays, what runs ends

{
    my $ask = stale(12);

    $redis->cmd('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    $redis->cmd('CONFIG', 'SET', 'maxmemory', 1);
    stale_ok(scalar ask($_, $ask), 'no memory: the old one on ' . $_->port,
             $ask, 1) foreach $nginx, $other;
    ok(wait_for(sub { $nginx->error_log
                          =~ /cannot serve chat command "update": "OOM/ }, 5),
       'no memory: the log says so');
    is(calls($ask->{question}), 1, 'no memory: nothing is begun');
    $redis->cmd('CONFIG', 'SET', 'maxmemory', 0);
    replaced_ok($ask, 'no memory', 2);

    $ask = updated('no memory, later');
    $redis->cmd('CONFIG', 'SET', 'maxmemory', 1);
    provider_set($provider, upto => 'inf');
    replaced_ok($ask, 'no memory, later', 2);
    $redis->cmd('CONFIG', 'SET', 'maxmemory', 0);
}

# the zone has what is fresh: the old answer leaves it in time, the new one is
# there, and leaves it in its turn

{
    my $ask = stale(-3);
    my $zoned = qr/^ngx_chat; hit; ttl=[0-3]; detail=zone$/;

    ok(wait_for(sub { ask($nginx, $ask)->{headers}{'cache-status'} =~ $zoned },
                2), 'the zone: the old one, while it is fresh');
    provider_set($provider, upto => 2);
    ok(wait_for(sub { ask($nginx, $ask)->{headers}{'cache-status'}
                          =~ /ttl=-1; detail=stale$/ }, 5),
       'the zone: it is stale');
    stale_ok(scalar ask($nginx, $ask), "the zone: and comes from Redis, $_",
             $ask, 1) foreach 1 .. 3;
    provider_set($provider, upto => 'inf');
    replaced_ok($ask, 'the zone', 2);
    ok(wait_for(sub { ask($nginx, $ask)->{headers}{'cache-status'}
                          =~ /ttl=(?:899|900); detail=zone$/ }, 5),
       'the zone: the new one');
    age($ask, 1);
    stale_ok(scalar ask($nginx, $ask), 'the zone: stale in its turn', $ask, 2);
    replaced_ok($ask, 'the zone, in its turn', 3);
}

done();


# has it the one generation that runs?

sub filler_runs {
    my ($on) = @_;
    my $running = sub {
        parse_json(get($on, '/health')->{body})->{fillers}[0]{running};
    };

    return wait_for { $running->() } 2, 'its filler';
}
