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

stream_ok($q, 'an outage: answered directly', cache => $DIRECT, restarts => 0);
is(scalar(@{ $q->{chunks} }), 10, 'an outage: each delta is a chunk');
like($q->{headers}{'x-chat-generation'}, qr/^[0-9a-f]{32}\.[0-9a-f]{64}$/,
     'an outage: the stream has an id');
is(ask($nginx, { path => '/error', question => 'And here?' })->{status}, 503,
   'an outage: chat_redis_down error gives 503');

# the log says who answered

ok(wait_for(sub {
    read_file($nginx->dir . '/chat.log')
        =~ m!^/chat DIRECT completed - openai \S+ 10$!m;
}, 5), 'an outage: the log says who answered');

# identical questions share a call

my $shared = 'Who shares? {{first=1500}}';
my @all = ask($nginx, map { { question => $shared } } 1 .. 20);

stream_ok($all[$_],
          "shared: client $_ is answered", cache => $DIRECT) foreach 0 .. 19;
calls_are($shared, 1, 'shared: one call for all');

# those that may not be shared

@all = ask($nginx, map { { path => $_, question => 'Who does not?' } }
           ('/off') x 3, ('/scope') x 3);
stream_ok($all[$_],
          "chat_cache off: client $_ is answered",
          cache => $BYPASS) foreach 0 .. 2;
stream_ok($all[$_],
          "empty scope: client $_ is answered",
          cache => $DIRECT) foreach 3 .. 5;
calls_are('Who does not?', 6, 'chat_cache off, empty scope: a call for each');

@all = ask($nginx, map { { question => 'Refreshed?', use_cache => 0 } }
           1 .. 3);
stream_ok($all[$_],
          "use_cache false: client $_ is answered",
          cache => $DIRECT) foreach 0 .. 2;
calls_are('Refreshed?', 3, 'use_cache false: a call for each');

# connections are kept

provider_reset($provider);
ask($nginx, { question => "Once more, $_? {{chunks=1}}" }) foreach 1 .. 10;

my $stats = provider_stats($provider);

is($stats->{calls}, 10, 'kept connections: ten calls one after the other');
cmp_ok($stats->{connections}, '<=', 4, 'kept connections: four at most');

# the first asker leaves; another comes later, or was there

my $leaves = 'Who leaves first? {{chunks=25;gap=100}}';

@all = ask($nginx,
    { question => $leaves, hangup_after => 2 },
    { question => $leaves, delay => 0.05 },
    { question => $leaves, delay => 0.4 });
stream_ok($all[$_],
          "the first one left: client $_ gets all",
          cache => $DIRECT, restarts => 0)
    foreach 1, 2;
calls_are($leaves, 1, 'the first one left: the call goes on');

$leaves = 'Who leaves nobody? {{chunks=25;gap=100}}';
ask($nginx, { question => $leaves, hangup_after => 2, rst => 1 });
stream_ok(scalar ask($nginx, { question => $leaves }),
          'left by all: found again',
          cache => $DIRECT, restarts => 0);
calls_are($leaves, 1, 'left by all: the call has waited');
wait_for { read_file($nginx->dir . '/chat.log') =~ /^\S+ DIRECT gone/m } 5;
like(read_file($nginx->dir . '/chat.log'), qr/^\S+ DIRECT gone/m,
     'left by all: logged when the client leaves');

# the first asker reads slowly

my $slow = 'Who is slow? {{chunks=400;bytes=2000;gap=2}}';

@all = ask($nginx,
    { question => $slow, read_rate => 200_000, rcvbuf => 8192,
      timeout => 60 },
    { question => $slow });
stream_ok($all[$_], "a slow first asker: client $_ gets all") foreach 0, 1;
calls_are($slow, 1, 'a slow first asker: one call');
cmp_ok($all[1]{ended} - $all[1]{started}, '<',
       ($all[0]{ended} - $all[0]{started}) / 2,
       'a slow first asker: holds nobody up');

# chat_abandon cancel

my $left = time();
my $abandon = 'Who cancels? {{chunks=100;gap=50}}';

ask($nginx, { path => '/cancel', question => $abandon, hangup_after => 2 });
wait_for { outcomes($abandon) } 10;
like((outcomes($abandon))[0] // 'none', qr/^aborted/,
     'chat_abandon cancel: nobody listens, it is aborted');

# the grace is over before the answer is, and nobody notices

$abandon = 'Who cancels not? {{chunks=40;gap=100}}';
@all = ask($nginx,
    { path => '/later', question => $abandon, hangup_after => 2 },
    { path => '/later', question => $abandon, delay => 0.5 });
stream_ok($all[1],
          'chat_abandon cancel: somebody listens, gets all', restarts => 0);
calls_are($abandon, 1, 'chat_abandon cancel: somebody listens, one call');

# longer than allowed

stream_ok(scalar ask($nginx, { path => '/short', question => 'Too long?' }),
          'chat_max_answer: an error', error => 'answer_too_long');
like($nginx->error_log,
     qr/\[error\] .*provider "openai" sent an answer longer than/,
     'chat_max_answer: the log names the provider');

# the connection of a client goes on

$q = ask($nginx, { question => 'Keep?', keep => 1 });
stream_ok($q, 'keep-alive: the first question is answered');
$q = ask($nginx, { question => 'Keep on?', socket => $q->{socket} });
stream_ok($q, 'keep-alive: the second one on the same connection');

# health

my $health = get($nginx, '/');

is($health->{status}, 200, 'an outage: health has status 200');
is(parse_json($health->{body})->{status}, 'degraded',
   'an outage: health is degraded');

# many at once

provider_set($provider, gap => 100);

my $many = start_nginx(redis => 'off', workers => 2, provider => $provider,
    http => 'chat_direct_limit 300;');

@all = ask($many, map { { question => "Who is number $_?", timeout => 60 } }
           1 .. 200);
is(scalar(grep { Chat::Check::faults($_) } @all), 0,
   '200 streams at once: all are whole');
provider_set($provider, gap => 20);

# no Redis at all

is(scalar($many->filler_pids), 0, 'chat_redis off: no filler');
stream_ok(scalar ask($many, { question => 'Without?' }),
          'chat_redis off: answered directly',
          cache => $DIRECT);
$health = parse_json(get($many, '/')->{body});
is($health->{status}, 'ok', 'chat_redis off: health is ok');
is($health->{redis}, 'off', 'chat_redis off: health says so');
unlike($many->error_log, qr/redis/, 'chat_redis off: nobody looks for Redis');

# the limit

my $few = start_nginx(redis => 'off', workers => 1, provider => $provider,
    http => 'chat_direct_limit 3;');

my @three = map { "Who is one of $_? {{first=1500}}" } 1 .. 3;

@all = ask($few, (map { { question => $_ } } @three),
    { question => 'Who is too much?', delay => 0.05 },
    { question => $three[0], delay => 0.05 });
stream_ok($all[$_], "below the limit: client $_ is answered") foreach 0 .. 2, 4;
is($all[3]{status}, 503, 'above the limit: status 503');
is(parse_json($all[3]{body})->{code}, 'queue_full',
   'above the limit: code queue_full');
like($all[3]{headers}{'retry-after'} // '', qr/^[1-9]$/,
     'above the limit: Retry-After is sent');
stream_ok(scalar ask($few, { question => 'Who is too much?' }),
          'above the limit: later there is room');

my $down = start_nginx(redis => $away, redis_down => '', workers => 1,
    provider => $provider, http => 'chat_direct_limit 1;');

@all = ask($down, { question => 'The first? {{first=1500}}' },
           { question => 'The second?', delay => 0.05 });
stream_ok($all[0], 'an outage, a limit of one: the first is answered');
is(parse_json($all[1]{body})->{code}, 'redis_down',
   'an outage, a limit of one: the second gets redis_down');

# Redis goes, and comes back

my $redis = start_redis();
my $both = start_nginx(redis => $redis, redis_down => '', workers => 2,
    provider => $provider, lead => 'on',
    server => 'location = /queued { chat; chat_lead off; }', http => <<'EOT');
    chat_queue_timeout 20s;
    log_format generation 'generation=$chat_generation';
    access_log %%DIR%%/generation.log generation;
EOT

stream_ok(scalar ask($both, { question => 'Before?' }),
          'Redis goes: a miss before it',
          cache => qr/fwd=miss$/);

# generations that a filler runs: without a chunk they go over, others end;
# those that a worker leads go on there

my ($stopped, %led, %begun);


sub is_led { $led{ $_[0] } = 1 }


sub in_the_middle {
    my ($q) = @_;

    $begun{$q} = 1 if @{ $q->{chunks} } >= 3;

    if (!$stopped && keys(%begun) == 2) {
        $redis->stop;
        $stopped = time();
    }
}


# a worker leads nothing new while others wait in the queue

my $WAITS = 'Who waits for the worker? {{first=4000}}';
my @queued = (path => '/queued', timeout => 60, after => sub { keys %led == 6 });
my @later = (
    (map { { question => 'Who waits? {{first=4000}}', @queued } } 1 .. 5),
    { question => 'Who is in the middle? {{chunks=200;gap=100}}', @queued,
      on_event => \&in_the_middle },
    { question => 'And after?', after => sub { $stopped }, timeout => 60 },
    { question => 'Who is led? {{chunks=100;gap=100}}', timeout => 60,
      on_event => sub { is_led(@_); in_the_middle(@_) } },
    map { { question => $WAITS, timeout => 60, on_event => \&is_led } } 1 .. 5);

@all = ask($both, @later);
stream_ok($all[$_],
          "went over: client $_ is answered",
          cache => qr/fwd=miss/, restarts => 0)
    foreach 0 .. 4;

# the header names the generation that was lost, a comment the one that came

foreach my $i (0 .. 4) {
    my $q = $all[$i];
    my ($lost) = $q->{headers}{'x-chat-generation'};
    my ($id, $key) = $q->{raw} =~ /^: generation (\w{32})\.(\w+)\n\n/m;

    ok(defined $id && $key eq key_of($q->{question}) && $lost ne "$id.$key",
       "went over, client $i: says to which generation") or diag($q->{raw});
    cmp_ok($q->{events}[1]{at} - $q->{comment_at}, '>', 1,
           "went over, client $i: before it has a chunk");
    like(read_file("$both->{dir}/generation.log"),
         qr/^generation=$id\.$key$/m,
         "went over, client $i: the generation is logged");
}

cmp_ok(provider_stats($provider, 'Who waits? {{first=4000}}'), '<=', 3,
       'went over: one call more for each worker');
stream_ok($all[5], 'was in the middle: an error', error => 'redis_down');
cmp_ok($all[5]{ended} - $stopped, '<', 20 + 6 + $SLACK,
       'was in the middle: within the bound');
stream_ok($all[6], 'came after: answered directly', cache => $DIRECT);

stream_ok($all[7], 'led, in the middle: the answer', restarts => 0);
stream_ok($all[$_], "led, without a chunk: client $_ is answered",
          restarts => 0) foreach 8 .. 12;
cmp_ok(provider_stats($provider, $WAITS), '<=', 2,
       'led, without a chunk: a call of each worker');

my ($first) = sort { $a->{events}[1]{at} <=> $b->{events}[1]{at} }
              @all[8 .. 12];

cmp_ok($first->{events}[1]{at} - $first->{started}, '<', 4 + $SLACK,
       'led, without a chunk: the call of the first asker goes on');
unlike($first->{raw}, qr/^: generation/m,
       'led, without a chunk: with the name it had');

stream_ok(scalar ask($both, { question => 'Before?' }),
          'came after: what was cached is not',
          cache => $DIRECT);

$redis->start;
wait_for {
    my $q = ask($both, { question => 'Back? ' . rand() });

    ($q->{headers}{'cache-status'} // '') =~ /miss/
} 20;
stream_ok(scalar ask($both, { question => 'Again?' }), 'Redis is back: a miss',
          cache => qr/fwd=miss$/);

# reload and quit wait for what runs

my $long = 'Who outlives a reload? {{chunks=30;gap=100}}';
my $later = ask_later($many, { question => $long, timeout => 60 });

wait_for { provider_stats($provider, $long) } 10;
$many->reload;
stream_ok(scalar ask($many, { question => 'After a reload?' }),
          'a reload: the next question is answered');
stream_ok((results($later))[0],
          'a reload waits: the answer is whole', restarts => 0);

$long = 'Who outlives all? {{chunks=30;gap=100}}';
$later = ask_later($many, { question => $long, timeout => 60 });
wait_for { provider_stats($provider, $long) } 10;
ok($many->stop('QUIT', 20), 'quit: nginx ends');
stream_ok((results($later))[0], 'quit: the answer is whole', restarts => 0);

# but not for what nobody wants

$long = 'Who is not wanted? {{chunks=300;gap=100}}';
ask($few, { question => $long, hangup_after => 1 });

my $quit = time();

ok($few->stop('QUIT', 20), 'quit with nobody there: nginx ends');
cmp_ok(time() - $quit, '<', 5 + $SLACK, 'quit with nobody there: at once');

done();
