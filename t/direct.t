#!/usr/bin/perl

# The direct path: questions that are answered without Redis.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(sleep time);

my $DIRECT = qr/^ngx_chat; fwd=bypass; detail=direct$/;
my $BYPASS = qr/^ngx_chat; fwd=bypass$/;

my $provider = start_provider(chunks => 10, gap => 20);


# how the calls for a question ended: outcome and chunks of each

sub outcomes {
    my ($question) = @_;
    my $key = key_of($question);

    return $provider->log =~ /^$key \d+ (.*)$/mg;
}


sub calls_are {
    my ($question, $n, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(provider_stats($provider, $question), $n, $name);
}


# an outage from the start

my $away = 'redis://127.0.0.1:' . free_port();
my $nginx = start_nginx(redis => $away, redis_down => '', workers => 1,
    provider => $provider, http => <<'EOT',
    log_format chat '$uri $chat_cache_status $chat_status $chat_error '
                    '$chat_provider $chat_model $chat_chunks';
    access_log %%DIR%%/chat.log chat;
EOT
    server => <<'EOT');
        location = /error  { chat; chat_redis_down error; }
        location = /off    { chat; chat_cache off; }
        location = /scope  { chat; chat_cache_scope $http_x_tenant; }
        location = /cancel { chat; chat_abandon cancel grace=300ms; }
        location = /later  { chat; chat_abandon cancel grace=3s; }
        location = /short  { chat; chat_max_answer 100; }
EOT

my $q = ask($nginx, { question => 'Why?' });

stream_ok($q, 'an outage', cache => $DIRECT, restarts => 0);
is(scalar(@{ $q->{chunks} }), 10, 'each delta is a chunk');
like($q->{headers}{'x-chat-generation'}, qr/^[0-9a-f]{32}\.[0-9a-f]{64}$/,
     'with an id');
is(ask($nginx, { path => '/error', question => 'And here?' })->{status}, 503,
   'chat_redis_down error');

# the log says who answered

ok(wait_for(sub {
    read_file($nginx->dir . '/chat.log')
        =~ m!^/chat DIRECT completed - openai \S+ 10$!m;
}, 5), 'variables');

# identical questions share a call

my $shared = 'Who shares? {{first=1500}}';
my @all = ask($nginx, map { { question => $shared } } 1 .. 20);

stream_ok($_, 'shared', cache => $DIRECT) foreach @all;
calls_are($shared, 1, 'one call for all');

# those that may not be shared

@all = ask($nginx, map { { path => $_, question => 'Who does not?' } }
           ('/off') x 3, ('/scope') x 3);
stream_ok($_, 'chat_cache off', cache => $BYPASS) foreach @all[0 .. 2];
stream_ok($_, 'empty scope', cache => $DIRECT) foreach @all[3 .. 5];
calls_are('Who does not?', 6, 'a call for each');

@all = ask($nginx, map { { question => 'Refreshed?', use_cache => 0 } }
           1 .. 3);
stream_ok($_, 'use_cache false', cache => $DIRECT) foreach @all;
calls_are('Refreshed?', 3, 'a call for each');

# connections are kept

provider_reset($provider);
ask($nginx, { question => "Once more, $_? {{chunks=1}}" }) foreach 1 .. 10;

my $stats = provider_stats($provider);

is($stats->{calls}, 10, 'calls one after the other');
cmp_ok($stats->{connections}, '<=', 4, 'over the same connection');

# the first asker leaves; another comes later, or was there

my $leaves = 'Who leaves first? {{chunks=25;gap=100}}';

@all = ask($nginx,
    { question => $leaves, hangup_after => 2 },
    { question => $leaves, delay => 0.05 },
    { question => $leaves, delay => 0.4 });
stream_ok($_, 'the first one left', cache => $DIRECT, restarts => 0)
    foreach @all[1, 2];
calls_are($leaves, 1, 'and the call went on');

$leaves = 'Who leaves nobody? {{chunks=25;gap=100}}';
ask($nginx, { question => $leaves, hangup_after => 2, rst => 1 });
stream_ok(scalar ask($nginx, { question => $leaves }), 'found again',
          cache => $DIRECT, restarts => 0);
calls_are($leaves, 1, 'the call has waited for it');
wait_for { read_file($nginx->dir . '/chat.log') =~ /^\S+ DIRECT gone/m } 5;
like(read_file($nginx->dir . '/chat.log'), qr/^\S+ DIRECT gone/m,
     'the one that left is logged when it leaves');

# the first asker reads slowly

my $slow = 'Who is slow? {{chunks=400;bytes=2000;gap=2}}';

@all = ask($nginx,
    { question => $slow, read_rate => 200_000, rcvbuf => 8192,
      timeout => 60 },
    { question => $slow });
stream_ok($_, 'a slow first asker') foreach @all;
calls_are($slow, 1, 'one call');
cmp_ok($all[1]{ended} - $all[1]{started}, '<',
       ($all[0]{ended} - $all[0]{started}) / 2, 'holds nobody up');

# chat_abandon cancel

my $left = time();
my $abandon = 'Who cancels? {{chunks=100;gap=50}}';

ask($nginx, { path => '/cancel', question => $abandon, hangup_after => 2 });
wait_for { outcomes($abandon) } 10;
like((outcomes($abandon))[0] // 'none', qr/^aborted/,
     'cancelled when nobody listens');

# the grace is over before the answer is, and nobody notices

$abandon = 'Who cancels not? {{chunks=40;gap=100}}';
@all = ask($nginx,
    { path => '/later', question => $abandon, hangup_after => 2 },
    { path => '/later', question => $abandon, delay => 0.5 });
stream_ok($all[1], 'somebody listens', restarts => 0);
calls_are($abandon, 1, 'which keeps the call');

# longer than allowed

stream_ok(scalar ask($nginx, { path => '/short', question => 'Too long?' }),
          'chat_max_answer', error => 'answer_too_long');
like($nginx->error_log,
     qr/\[error\] .*provider "openai" sent an answer longer than/, 'logged');

# the connection of a client goes on

$q = ask($nginx, { question => 'Keep?', keep => 1 });
stream_ok($q, 'kept');
$q = ask($nginx, { question => 'Keep on?', socket => $q->{socket} });
stream_ok($q, 'on the same connection');

# health

my $health = get($nginx, '/');

is($health->{status}, 200, 'answers are possible');
is(parse_json($health->{body})->{status}, 'degraded', 'though not all is well');

# many at once

provider_set($provider, gap => 100);

my $many = start_nginx(redis => 'off', workers => 2, provider => $provider,
    http => 'chat_direct_limit 300;');

@all = ask($many, map { { question => "Who is number $_?", timeout => 60 } }
           1 .. 200);
is(scalar(grep { Chat::Check::faults($_) } @all), 0, '200 streams at once');
provider_set($provider, gap => 20);

# no Redis at all

is(scalar($many->filler_pids), 0, 'chat_redis off: no filler');
stream_ok(scalar ask($many, { question => 'Without?' }), 'chat_redis off',
          cache => $DIRECT);
$health = parse_json(get($many, '/')->{body});
is($health->{status}, 'ok', 'which is no fault');
is($health->{redis}, 'off', 'and told');
unlike($many->error_log, qr/redis/, 'nobody looks for Redis');

# the limit

my $few = start_nginx(redis => 'off', workers => 1, provider => $provider,
    http => 'chat_direct_limit 3;');

my @three = map { "Who is one of $_? {{first=1500}}" } 1 .. 3;

@all = ask($few, (map { { question => $_ } } @three),
    { question => 'Who is too much?', delay => 0.05 },
    { question => $three[0], delay => 0.05 });
stream_ok($_, 'below the limit') foreach @all[0 .. 2, 4];
is($all[3]{status}, 503, 'above the limit');
is(parse_json($all[3]{body})->{code}, 'queue_full', 'with its reason');
like($all[3]{headers}{'retry-after'} // '', qr/^[1-9]$/, 'and a time');
stream_ok(scalar ask($few, { question => 'Who is too much?' }),
          'there is room again');

my $down = start_nginx(redis => $away, redis_down => '', workers => 1,
    provider => $provider, http => 'chat_direct_limit 1;');

@all = ask($down, { question => 'The first? {{first=1500}}' },
           { question => 'The second?', delay => 0.05 });
stream_ok($all[0], 'the one');
is(parse_json($all[1]{body})->{code}, 'redis_down', 'the other');

# Redis goes, and comes back

my $redis = start_redis();
my $both = start_nginx(redis => $redis, redis_down => '', workers => 2,
    provider => $provider, http => <<'EOT');
    chat_queue_timeout 20s;
    log_format generation 'generation=$chat_generation';
    access_log %%DIR%%/generation.log generation;
EOT

stream_ok(scalar ask($both, { question => 'Before?' }), 'with Redis',
          cache => qr/fwd=miss$/);

# generations that run: without a chunk they go over, others end

my $stopped;
my @later = (
    (map { { question => 'Who waits? {{first=4000}}', timeout => 60 } }
     1 .. 5),
    { question => 'Who is in the middle? {{chunks=200;gap=100}}',
      timeout => 60,
      on_event => sub {
          my ($q) = @_;

          if (!$stopped && @{ $q->{chunks} } >= 3) {
              $redis->stop;
              $stopped = time();
          }
      } },
    { question => 'And after?', after => sub { $stopped }, timeout => 60 });

@all = ask($both, @later);
stream_ok($_, 'went over', cache => qr/fwd=miss/, restarts => 0)
    foreach @all[0 .. 4];

# the header names the generation that was lost, a comment the one that came

foreach my $q (@all[0 .. 4]) {
    my ($lost) = $q->{headers}{'x-chat-generation'};
    my ($id, $key) = $q->{raw} =~ /^: generation (\w{32})\.(\w+)\n\n/m;

    ok(defined $id && $key eq key_of($q->{question}) && $lost ne "$id.$key",
       'went over: and says to which generation') or diag($q->{raw});
    cmp_ok($q->{events}[1]{at} - $q->{comment_at}, '>', 1,
           'before it has a chunk');
    like(read_file("$both->{dir}/generation.log"),
         qr/^generation=$id\.$key$/m, 'which is logged');
}

cmp_ok(provider_stats($provider, 'Who waits? {{first=4000}}'), '<=', 3,
       'with one call more for each worker');
stream_ok($all[5], 'was in the middle', error => 'redis_down');
cmp_ok($all[5]{ended} - $stopped, '<', 20 + 6 + $SLACK, 'within the bound');
stream_ok($all[6], 'came after', cache => $DIRECT);

stream_ok(scalar ask($both, { question => 'Before?' }), 'not cached now',
          cache => $DIRECT);

$redis->start;
wait_for {
    my $q = ask($both, { question => 'Back? ' . rand() });

    ($q->{headers}{'cache-status'} // '') =~ /miss/
} 20;
stream_ok(scalar ask($both, { question => 'Again?' }), 'back',
          cache => qr/fwd=miss$/);

# reload and quit wait for what runs

my $long = 'Who outlives a reload? {{chunks=30;gap=100}}';
my $later = ask_later($many, { question => $long, timeout => 60 });

wait_for { provider_stats($provider, $long) } 10;
$many->reload;
stream_ok(scalar ask($many, { question => 'After a reload?' }), 'reloaded');
stream_ok((results($later))[0], 'a reload waits', restarts => 0);

$long = 'Who outlives all? {{chunks=30;gap=100}}';
$later = ask_later($many, { question => $long, timeout => 60 });
wait_for { provider_stats($provider, $long) } 10;
ok($many->stop('QUIT', 20), 'quit');
stream_ok((results($later))[0], 'waits', restarts => 0);

# but not for what nobody wants

$long = 'Who is not wanted? {{chunks=300;gap=100}}';
ask($few, { question => $long, hangup_after => 1 });

my $quit = time();

ok($few->stop('QUIT', 20), 'quit with nobody there');
cmp_ok(time() - $quit, '<', 5 + $SLACK, 'at once');

done();
