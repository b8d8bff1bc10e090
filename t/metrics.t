#!/usr/bin/perl

# The metrics page: its form, and that each counter moves by what was done and
# no further.  What becomes of counters when processes come and go is in
# metrics_processes.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Chat::Metrics;
use Chat::Readme;

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 2);
my $port = $provider->port;

my $nginx = start_nginx(redis => $redis, provider => $provider, lead => 'on',
    workers => 1, provider_lines => 'cost 15000 0.5; max_fails 0; retries 0;',
    http => <<"EOT", server => <<"EOT");
    chat_provider broken {
        url http://127.0.0.1:$port/v1; key ""; max_fails 0; retries 0;
        model "m;fault=reset;at=2";
    }
    chat_provider nowhere {
        url http://127.0.0.1:1/v1; key ""; max_fails 1; fail_timeout 60s;
        retries 0;
    }
EOT
    $METRICS
    location = /health  { chat_health; }
    location = /queued  { chat; chat_lead off; }
    location = /bypass  { chat; chat_cache off; }
    location = /direct  { chat; chat_redis_down direct; }
    location = /restart { chat broken openai; }
    location = /restart_queued { chat broken openai; chat_lead off; }
    location = /nowhere { chat nowhere; }
    location = /cancel  { chat; chat_abandon cancel grace=50ms; }
    location = /cancel_queued { chat; chat_abandon cancel grace=50ms;
                                chat_lead off; }
    location = /limited { chat; chat_miss_limit all rate=1r/m; }
    location = /switch  { chat; chat_redis_down direct; chat_lead off; }
    location = /paged   { chat; error_page 500 =200 \@page;
                          client_body_in_file_only clean;
                          client_body_temp_path gone; }
    location = /away    { chat; error_page 500 http://elsewhere.example/;
                          client_body_in_file_only clean;
                          client_body_temp_path gone; }
    location = /fault   { chat; error_page 400 413 =200 \@page;
                          client_max_body_size 1k; }
    location = /ours    { chat; error_page 400 413 =503 \@page;
                          client_max_body_size 1k; }
    location \@page     { return 200 "a page"; }
EOT

my $n = 0;


sub question { return 'Question ' . ++$n . '?' . ($_[0] // '') }


# an ask, and what it is to be

sub asked {
    my (%ask) = @_;

    return sub { ask($nginx, { question => question(delete $ask{how}),
                               %ask }) };
}


sub requests { return ("chat_requests_total{result=\"$_[0]\"}" => $_[1] // 1) }


sub generations {
    my ($path, @what) = @_;

    return map { ("chat_generations_${_}_total{path=\"$path\"}" => 1) } @what;
}


sub failed {
    my ($code) = @_;

    return (requests('error'),
            "chat_request_errors_total{code=\"$code\"}" => 1);
}


# the form

{
    my $page = get($nginx, '/metrics');
    my $text = $page->{body};
    my @families = families($text);
    my %type = @families;

    is($page->{status}, 200, 'the page: 200');
    is($page->{headers}{'content-type'}, 'text/plain; version=0.0.4',
       'the page: its type');
    is($page->{headers}{'cache-control'}, 'no-store', 'the page: not kept');
    is(scalar(@families), 2 * keys %type, 'the page: each family once');

    my %seen;
    my @twice = grep { $seen{$_}++ } $text =~ /^([^#\s]+) /mg;

    is_deeply(\@twice, [], 'the page: each sample once');
    is_deeply([ grep { !/^(?:#|\w+(?:\{\w+="[^"]+"(?:,\w+="[^"]+")*\})? [\d.]+$)/ }
                split(/\n/, $text) ], [], 'the page: each line');

    my %row = part(readme('ngx_chat_module/http'), 'Metrics')
        =~ /^\| `(chat_\w+)` \| (\w+) \| /mg;

    is_deeply(\%type, \%row, 'the page: families and types as README has them');

    my %labels = map { /^\| `(chat_\w+)` \| \w+ \| ?(.*?) ?\| / ? ($1 => $2) : () }
        split(/\n/, part(readme('ngx_chat_module/http'), 'Metrics'));
    my %found;

    foreach ($text =~ /^(\w+\{.*?\}) /mg) {
        my ($name, $set) = /^(\w+)\{(.*)\}$/;

        $name =~ s/_bucket$//;
        $found{$name} = join(', ', map { "`$_`" } grep { $_ ne 'le' }
                                   $set =~ /(\w+)="/g);
    }

    is_deeply({ map { $_ => $found{$_} // '' } keys %type }, \%labels,
              'the page: labels as README has them');

    my ($bounds) = part(readme('ngx_chat_module/http'), 'Metrics')
        =~ /between tokens ([\d., \n]+);/;

    $bounds =~ s/\s+/ /g;
    is(join(', ', $text =~ /between_tokens_seconds_bucket\{le="([\d.]+)"/g),
       $bounds, 'the page: bounds as README has them');
    like($text, qr/^chat_build_info\{nginx="\d[\d.]+"\} 1$/m,
         'the page: what it was built for');

    my $head = get($nginx, '/metrics', method => 'HEAD');

    is($head->{status}, 200, 'HEAD: 200');
    is($head->{body}, '', 'HEAD: no body');

    my $post = get($nginx, '/metrics', method => 'POST');

    is($post->{status}, 405, 'POST: 405');
    is($post->{headers}{allow}, 'GET, HEAD', 'POST: Allow');
}


# a miss that a worker leads, then a hit

my $why = question();

wait_for { metrics($nginx)->{chat_lanes} == 1 } 10, 'a lane';

moves($nginx, 'a miss that is led', sub { ask($nginx, { question => $why }) },
      requests('miss'), generations('led', 'started', 'finished'),
      'chat_provider_calls_total{provider="openai",code="200"}' => 1,
      'chat_tokens_total{provider="openai",type="input"}' => 7,
      'chat_tokens_total{provider="openai",type="output"}' => 5,
      'chat_cost_total{provider="openai"}' => 0.1050025,
      'chat_saved_tokens_total{provider="openai",type="input"}' => 0,
      'chat_saved_cost_total{provider="openai"}' => 0,
      'chat_saved_calls_total{by="hit"}' => 0,
      'chat_fills_total' => 1, 'chat_fills_ended_total{outcome="written"}' => 1,
      'chat_lane_records_total' => 7,
      'chat_time_to_first_event_seconds_count' => 1,
      'chat_time_to_first_token_seconds_count' => 1,
      'chat_time_between_tokens_seconds_count' => 4,
      'chat_generation_seconds_count' => 1);

moves($nginx, 'a hit', sub { ask($nginx, { question => $why }) },
      requests('hit'), 'chat_hits_total{tier="redis"}' => 1,
      'chat_tokens_total{provider="openai",type="input"}' => 0,
      'chat_cost_total{provider="openai"}' => 0,
      'chat_saved_tokens_total{provider="openai",type="input"}' => 7,
      'chat_saved_tokens_total{provider="openai",type="output"}' => 5,
      'chat_saved_cost_total{provider="openai"}' => 0.1050025,
      'chat_saved_calls_total{by="hit"}' => 1,
      'chat_provider_calls_total{provider="openai",code="200"}' => 0,
      'chat_time_to_first_event_seconds_count' => 1,
      'chat_time_to_first_token_seconds_count' => 1,
      'chat_time_between_tokens_seconds_count' => 0,
      'chat_generation_seconds_count' => 0);

moves($nginx, 'a refresh', sub { ask($nginx, { question => $why,
                                               use_cache => 0 }) },
      requests('miss'), generations('led', 'started', 'finished'));


# the other ways

moves($nginx, 'a miss through the queue', asked(path => '/queued'),
      requests('miss'), generations('queued', 'started', 'finished'),
      'chat_provider_calls_total{provider="openai",code="200"}' => 1,
      'chat_tokens_total{provider="openai",type="input"}' => 7,
      'chat_tokens_total{provider="openai",type="output"}' => 5,
      'chat_generation_seconds_count' => 1,
      'chat_time_between_tokens_seconds_count' => 4,
      'chat_fills_total' => 0);

moves($nginx, 'chat_cache off', asked(path => '/bypass'),
      requests('bypass'), generations('direct', 'started', 'finished'),
      'chat_tokens_total{provider="openai",type="input"}' => 7,
      'chat_tokens_total{provider="openai",type="output"}' => 5,
      'chat_generation_seconds_count' => 1);


# readers, those who join, and who leaves

{
    my $slow = question();

    provider_set($provider, upto => 1);

    my $before = metrics($nginx);
    my $later = ask_later($nginx, map { { question => $slow } } 1 .. 5);

    ok(wait_for(sub { metrics($nginx)->{chat_live_readers} == 5 }, 10),
       'five ask the same: live readers');
    is(metrics($nginx)->{chat_live_generations}, 1,
       'five ask the same: live generations');
    provider_set($provider, upto => 1000);
    results($later);

    wait_for { metrics($nginx)->{chat_live_readers} == 0 } 10, 'the end';

    my $moved = shifts($before, metrics($nginx));

    is($moved->{'chat_requests_total{result="miss"}'}, 1,
       'five ask the same: a miss');
    is($moved->{'chat_requests_total{result="join"}'}, 4,
       'five ask the same: joins');
    is($moved->{chat_collapsed_total}, 4, 'five ask the same: collapsed');
    is($moved->{'chat_saved_calls_total{by="collapsed"}'}, 4,
       'five ask the same: saved calls');
    ok(wait_for(sub { metrics($nginx)->{chat_live_generations} == 0 }, 10),
       'five ask the same: nothing lives any more');
    provider_reset($provider);
}

moves($nginx, 'a client that leaves',
      asked(how => '{{chunks=5;gap=50}}', hangup_after => 1),
      requests('miss'), 'chat_clients_gone_total' => 1,
      generations('led', 'started', 'finished'),
      'chat_fills_ended_total{outcome="written"}' => 1);

moves($nginx, 'a client that leaves, and nobody listens',
      asked(how => '{{chunks=50;gap=50}}', hangup_after => 1,
            path => '/cancel'),
      requests('miss'), generations('led', 'started', 'cancelled'),
      'chat_fills_ended_total{outcome="cancelled"}' => 1,
      'chat_provider_calls_total{provider="openai",code="200"}' => 1);

moves($nginx, 'the same through the queue',
      asked(how => '{{chunks=80;gap=50}}', hangup_after => 1,
            path => '/cancel_queued'),
      requests('miss'), generations('queued', 'started', 'cancelled'));


# errors

moves($nginx, 'no JSON', sub { ask($nginx, { body => '{' }) },
      failed('bad_request'));
moves($nginx, 'no question', sub { ask($nginx, { body => '{}' }) },
      failed('invalid_field'));
moves($nginx, 'another method', sub { ask($nginx, { method => 'GET' }) },
      failed('method_not_allowed'));

foreach my $path ('led', 'queued') {
    moves($nginx, "429, $path", asked(how => '{{status=429;retry_after=60}}',
                                      $path eq 'queued' ? (path => '/queued')
                                                        : ()),
          failed('provider_rate_limited'), generations($path, 'started',
                                                       'failed'),
          'chat_provider_calls_total{provider="openai",code="429"}' => 1);
}

moves($nginx, '418', asked(how => '{{status=418}}'),
      failed('provider_refused'),
      'chat_provider_calls_total{provider="openai",code="other"}' => 1);

moves($nginx, 'an answer that breaks off', asked(how => '{{fault=reset;at=2}}'),
      failed('provider_broken'), generations('led', 'started', 'failed'),
      'chat_provider_calls_total{provider="openai",code="200"}' => 1);

moves($nginx, 'a provider that cannot be reached', asked(path => '/nowhere'),
      failed('provider_refused'),
      'chat_provider_calls_total{provider="nowhere",code="none"}' => 1,
      'chat_provider_down{provider="nowhere"}' => 1);

ask($nginx, { path => '/limited', question => question() });
moves($nginx, 'over the limit', asked(path => '/limited'),
      failed('miss_limit'), 'chat_generations_started_total{path="led"}' => 0);

# an error page of the operator's: the body has no place on the disk, whether it
# comes with the headers, or after them

rmdir($nginx->dir . '/gone') or die "gone: $!\n";

foreach my $path ('/paged', '/away') {
    moves($nginx, "500, and a page, $path", asked(path => $path),
          failed('internal'), 'chat_clients_gone_total' => 0);
    moves($nginx, "500, and a page, $path: a body that comes later",
          asked(path => $path, body_delay => 0.1),
          failed('internal'), 'chat_clients_gone_total' => 0);
}

$nginx->allow_log(qr/mkdir\(\)|open\(\) ".*\/gone/);

# likewise, and the client's fault

foreach my $fault ([ 'large', 'body_too_large', sprintf("%x\r\n%s\r\n0\r\n\r\n",
                                                      5000, 'x' x 5000) ],
                   [ 'no chunk', 'bad_request', "no chunk\r\n" ])
{
    my ($name, $code, $body) = @$fault;

    foreach my $path ('/fault', '/ours') {
        foreach my $delay (0, 0.2) {
            moves($nginx, "$name, and a page, $path, after $delay s",
                  asked(path => $path, body => $body, body_delay => $delay,
                        headers => { 'Transfer-Encoding' => 'chunked' }),
                  failed($code), 'chat_clients_gone_total' => 0);
        }
    }
}

$nginx->allow_log(qr/too large chunked body|invalid chunked body/);


# what is no question

{
    my $before = metrics($nginx);

    ask($nginx, { method => 'OPTIONS' });
    get($nginx, '/metrics');
    get($nginx, '/');
    is_deeply({ map { $_ => 1 } grep { /request|gone/ }
                keys %{ shifts($before, metrics($nginx)) } }, {},
              'OPTIONS and pages are not counted');
}


# another provider goes on

moves($nginx, 'a restart', asked(path => '/restart'),
      requests('miss'), generations('led', 'started', 'finished', 'restarted'),
      'chat_provider_calls_total{provider="broken",code="200"}' => 1,
      'chat_provider_calls_total{provider="openai",code="200"}' => 1);

moves($nginx, 'a restart in a filler', asked(path => '/restart_queued'),
      requests('miss'),
      generations('queued', 'started', 'finished', 'restarted'));


# Redis

{
    my $page = metrics($nginx);

    cmp_ok($page->{chat_redis_round_trip_seconds_count}, '>', 20,
           'Redis: round trips');
    cmp_ok($page->{chat_redis_round_trip_seconds_sum}
           / $page->{chat_redis_round_trip_seconds_count}, '<', 0.2,
           'Redis: how long they take');
    cmp_ok($page->{chat_redis_connections}, '>=', 4, 'Redis: connections');
    is($page->{chat_redis_down}, 0, 'Redis: no connection is down');

    # five that wait for a filler go over to the direct path together

    my $waits = question('{{first=9000}}');
    my $later = ask_later($nginx, map { { question => $waits, timeout => 60,
                                          path => '/switch' } } 1 .. 5);

    ok(wait_for(sub { metrics($nginx)->{chat_live_readers} == 5 }, 10),
       'five that wait: they listen');

    my $calls = provider_stats($provider)->{calls};

    $redis->stop;
    wait_for { provider_stats($provider)->{calls} > $calls } 20, 'a call of their own';

    ok(wait_for(sub { metrics($nginx)->{chat_redis_down}
                      && !metrics($nginx)->{chat_redis_connections} }, 20),
       'Redis is stopped: connections are down');

    moves($nginx, 'Redis is stopped', asked(path => '/direct'),
          requests('direct'), generations('direct', 'started', 'finished'));
    moves($nginx, 'Redis is stopped, no direct path', asked(),
          failed('redis_down'));

    results($later);
    wait_for { metrics($nginx)->{chat_live_readers} == 0 } 10, 'the end';

    my $moved = shifts($page, metrics($nginx));

    is($moved->{chat_collapsed_total}, 4,
       'five that wait, and Redis is stopped: one call, four are saved');

    $redis->start;

    ok(wait_for(sub { my $now = metrics($nginx);
                      !$now->{chat_redis_down}
                      && $now->{chat_redis_connections}
                         == $page->{chat_redis_connections} }, 20),
       'Redis is back: all connections are up');
    is(metrics($nginx)->{chat_redis_reconnects_total},
       $page->{chat_redis_reconnects_total} + $page->{chat_redis_connections},
       'Redis is back: reconnects');
}


# no text and no key is in it, and Prometheus' own tool has nothing to say

my $text = metrics_text($nginx);

unlike($text, qr/Question \d|sk-test|127\.0\.0\.1/, 'the page: no texts');

open(my $promtool, '|-', 'promtool check metrics >' . test_dir()
     . '/promtool 2>&1') or die "promtool: $!\n";
print $promtool $text;
close($promtool);
is($?, 0, 'promtool finds no fault');
is(read_file(test_dir() . '/promtool'), '', 'promtool says nothing');

done();
