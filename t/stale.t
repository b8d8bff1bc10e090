#!/usr/bin/perl

# chat_cache_stale: an answer past its TTL goes out at once, on all hosts, while
# one generation replaces it; what becomes of it where that fails, where nothing
# may be begun, and where the directive is not set.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Chat::Metrics;
use Chat::Stale;
use Time::HiRes qw(sleep time);

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 2, unique => 1);

my %opt = (redis => $redis, provider => $provider, lead => 'on',
    provider_lines => 'retries 0; max_fails 0;', http => <<'EOT',
    chat_cache_stale 60s;
    chat_queue_limit 4;
    log_format stale '$uri $chat_cache_status $chat_source $chat_status '
                     '$chat_provider';
EOT
    server => <<"EOT");
        access_log %%DIR%%/access.log stale;
        $METRICS
        location = /health  { chat_health full; }
        location = /none    { chat; chat_cache_stale 0; }
        location = /short   { chat; chat_cache_stale 5s; }
        location = /quick   { chat; chat_cache_ttl 1s; chat_cache_stale 1m; }
        location = /cancel  { chat; chat_abandon cancel grace=100ms; }
        location = /limited { chat; chat_miss_limit \$http_x_user rate=1r/h; }
        location = /silent  { chat; chat_cache_status off; }
        location = /purge   { chat_purge; }
EOT

my $nginx = start_nginx(%opt);
my $other = start_nginx(%opt);

stale_setup($redis, $provider, $nginx);
filler($_) foreach $nginx, $other;


# fresh, and as releases that do not know of it see it

{
    my $ask = stale(-10);
    my %last = %{ last_of($ask->{question}) };

    is("$last{v} $last{stale}", '2 60000', 'a kept answer: says so');
    stream_ok(scalar ask($other, $ask), 'a kept answer: a hit',
              cache => qr/^ngx_chat; hit; ttl=(?:9|10)$/);
    stream_ok(scalar ask($other, { %$ask, path => '/none' }),
              'a kept answer: a hit without the directive',
              cache => qr/^ngx_chat; hit; ttl=(?:9|10)$/);

    my $plain = { question => 'Not kept?', path => '/none' };

    stream_ok(scalar ask($nginx, $plain), 'without the directive: an answer');
    wait_for { last_of('Not kept?')->{chunk} } 5, 'the cache';
    %last = %{ last_of('Not kept?') };
    is($last{v} . ($last{stale} // ' as ever'), '1 as ever',
       'without the directive: as it was');
}

# stale: all hosts at once, and one call

{
    my $ask = stale(12);
    my $key = stream_key($ask->{question});

    # the provider says nothing yet: whoever waits for it has no end

    provider_set($provider, upto => 0);

    my @all = ask($nginx, map { ($ask, { %$ask, nginx => $other }) } 1 .. 10);

    stale_ok($all[$_], "all at once: client $_ has the old one", $ask, 1)
        foreach 0 .. $#all;
    like($all[0]{headers}{'cache-status'}, qr/ttl=-1[2-5];/,
         'all at once: since when it is stale');

    ok(wait_for(sub { calls($ask->{question}) == 2 }, 5),
       'all at once: the provider is asked');
    is(last_of($ask->{question})->{chunk}, text($ask->{question}, 1),
       'all at once: the old one stays meanwhile');

    stale_ok(scalar ask($_, $ask), 'meanwhile: the old one on ' . $_->port,
             $ask, 1) foreach $nginx, $other;

    my $silent = ask($nginx, { %$ask, path => '/silent' });

    ok(!defined $silent->{headers}{'cache-status'}
       && $silent->{text} eq text($ask->{question}, 1),
       'meanwhile: chat_cache_status off');

    provider_set($provider, upto => 'inf');
    replaced_ok($ask, 'all at once', 2);

    my $left = $redis->cmd('PTTL', $key);

    ok($left > 950_000 && $left <= 960_000, 'the new one: kept as long');

    age($ask, 1);
    stale_ok(scalar ask($other, $ask), 'the new one: stale in its turn',
             $ask, 2);
    replaced_ok($ask, 'the new one', 3);

    like($nginx->access_log, qr{^/chat STALE hit completed openai$}m,
         'the log: STALE');
}

# the update fails: another after 5 s, and not before

{
    my $ask = stale(12);
    my $till = $redis->cmd('PEXPIRETIME', stream_key($ask->{question}));

    provider_set($provider, status => 500);
    stale_ok(scalar ask($nginx, $ask), 'a failure: the old one', $ask, 1);
    ok(wait_for(sub { calls($ask->{question}) == 2 }, 5),
       'a failure: the provider was asked');

    # the pause begins with the end of the call, which is not before this

    my $failed = time();
    my ($wrong, $asked) = (0, 0);

    while (time() < $failed + 3) {
        my $q = ask($asked++ % 2 ? $nginx : $other, $ask);

        $wrong++ if $q->{headers}{'cache-status'} !~ /detail=stale$/
                    || $q->{text} ne text($ask->{question}, 1);
        sleep(0.05);
    }

    my $calls = calls($ask->{question});

    is($wrong, 0, "a failure: $asked clients have the old one");
    ok($calls == 2 || time() > $failed + 5,
       'a failure: the provider has its rest');
    is($redis->cmd('PEXPIRETIME', stream_key($ask->{question})), $till,
       'a failure: the old one stays until its time is over');

    provider_set($provider, status => 0);
    replaced_ok($ask, 'a failure, later', 3);
}

# an answer that is not cached is no replacement either

{
    my $ask = stale(12);

    provider_set($provider, finish => 'length');
    stale_ok(scalar ask($nginx, $ask), 'cut short: the old one', $ask, 1);
    wait_for { calls($ask->{question}) == 2 } 5, 'the call';
    sleep(1.5);
    stale_ok(scalar ask($nginx, $ask), 'cut short: still the old one', $ask, 1);
    sleep(0.3);
    is(calls($ask->{question}), 2, 'cut short: not asked at once again');
    provider_set($provider, finish => 'stop');
}

# each location has a time of its own

{
    my $ask = stale(12);

    stream_ok(scalar ask($nginx, { %$ask, path => '/short' }),
              'too old for the location: a miss', cache => qr/fwd=miss$/,
              text => text($ask->{question}, 2));

    $ask = stale(1);
    stream_ok(scalar ask($nginx, { %$ask, path => '/none' }),
              'none where the directive is 0: a miss', cache => qr/fwd=miss$/,
              text => text($ask->{question}, 2));
}

# with time alone: a TTL of one second, several times

{
    my $ask = { question => 'How quick?', path => '/quick' };

    stream_ok(scalar ask($nginx, $ask), 'a TTL of 1 s: an answer');
    sleep(1.2);

    foreach my $call (1 .. 3) {
        stale_ok(scalar ask($nginx, $ask), "a TTL of 1 s: stale, $call",
                 $ask, $call);
        ok(wait_for(sub { (last_of($ask->{question})->{chunk} // '')
                          eq text($ask->{question}, $call + 1) }, 5),
           "a TTL of 1 s: replaced, $call");
        sleep(1.2);
    }
}

# refresh and purge

{
    my $ask = stale(12);

    stream_ok(scalar ask($nginx, { %$ask, use_cache => 0 }),
              'use_cache false: a new one', cache => qr/fwd=request$/,
              text => text($ask->{question}, 2));
    replaced_ok($ask, 'use_cache false', 2);

    $ask = stale(12);
    is(ask($nginx, { %$ask, method => 'DELETE', path => '/purge' })->{status},
       204, 'a purge: removed');
    stream_ok(scalar ask($nginx, $ask), 'a purge: a miss after it',
              cache => qr/fwd=miss$/, text => text($ask->{question}, 2));
}

# nobody listens, and the update goes on

{
    my $ask = stale(12, path => '/cancel');

    provider_set($provider, gap => 300);
    stale_ok(scalar ask($nginx, $ask), 'chat_abandon cancel: the old one',
             $ask, 1);
    replaced_ok($ask, 'chat_abandon cancel', 2);
    provider_set($provider, gap => 2);
}

# what would be refused is not begun, and leaves nothing

{
    my %user = (headers => { 'X-User' => 'one' });
    my $ask = stale(12, path => '/limited', %user);

    stale_ok(scalar ask($nginx, $ask), 'over the limit: the old one', $ask, 1);
    ok(wait_for(sub { $nginx->error_log
                          =~ /stays stale: its asker is over a limit/ }, 5),
       'over the limit: the log says so');
    ok(wait_for(sub { !grep { ($redis->cmd('HGET', $_, 'state') // '') eq 'q' }
                      @{ $redis->cmd('KEYS', '*:own') } }, 5),
       'over the limit: nothing is left of it');
    is(calls($ask->{question}), 1, 'over the limit: no call');

    $ask->{headers} = { 'X-User' => 'two' };
    replaced_ok($ask, 'another user', 2);

    # at once, in the same worker

    my $one = start_nginx(%opt, workers => 1);

    $ask = stale(12, path => '/limited', headers => { 'X-User' => 'three' });
    ask($one, { %$ask, %user });
    wait_for { $one->error_log =~ /stays stale: its asker is over a limit/ } 5,
        'the limit';
    ask($one, { %$ask, headers => { 'X-User' => 'four' } });
    ok(wait_for(sub { calls($ask->{question}) == 2 }, 5),
       'another user, at once: the provider is asked');
}

{
    my $ask = stale(12);

    ok(takes_none($redis, filler($_)), 'no filler takes tasks, ' . $_->port)
        foreach $nginx, $other;
    $redis->cmd('XADD', 'chat:tasks:1', '*', 'h', 'x') foreach 1 .. 2;

    stale_ok(scalar ask($nginx, $ask), 'half a queue: the old one', $ask, 1);
    ok(wait_for(sub { $nginx->error_log
                          =~ /stays stale: too many tasks wait/ }, 5),
       'half a queue: the log says so');
    is($redis->cmd('XLEN', 'chat:tasks:1'), 2, 'half a queue: no task');

    $redis->cmd('XTRIM', 'chat:tasks:1', 'MAXLEN', 0);
    sleep(1.1);
    stale_ok(scalar ask($nginx, $ask), 'room again: the old one', $ask, 1);
    ok(wait_for(sub { $redis->cmd('XLEN', 'chat:tasks:1') == 1 }, 5),
       'room again: a task');
    is(parse_json(get($nginx, '/health')->{body})->{status} // '', 'ok',
       'room again: in good health');

    kill('CONT', map { filler($_) } $nginx, $other);
    replaced_ok($ask, 'room again', 2);
}

# what is counted, in an instance of one worker

{
    my $one = start_nginx(%opt, workers => 1);
    my $ask = stale(12);

    filler($one);
    moves($one, 'a stale hit', sub {
              ask($one, $ask) foreach 1 .. 3;
              wait_for { calls($ask->{question}) == 2 } 5, 'the call';
          }, 'chat_requests_total{result="stale"}' => 3,
          chat_updates_total => 1);

    my $updates = sub {
        parse_json(get($one, '/health')->{body})->{updates};
    };
    my $next = stale(12);

    ok(wait_for(sub { ask($one, $next); $updates->() == 1 }, 5),
       'a stale hit: one in the health page');
    ok(wait_for(sub { $updates->() == 0 }, 5), 'a stale hit: for a second');
}

done();
