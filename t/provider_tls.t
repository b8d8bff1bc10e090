#!/usr/bin/perl

# A provider behind TLS, behind a proxy, and over HTTP/2: the filler that asks it
# verifies who answers, goes the way that it was told, and keeps apart what
# shares a connection.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Connect;
use Chat::Front;
use Chat::Life;
use Chat::Proxy;
use Chat::Tls;

use Time::HiRes qw(sleep time);

my %PIECES = (chunks => 6, gap => 15);
my $SECRET = 'pr0xy-secret';

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $other = Chat::Tls->new(test_dir() . '/other', 'another-ca');
my $redis = start_redis();
my $provider = start_provider(%PIECES);
my $trust = 'trusted_certificate ' . $tls->ca . ';';
my $number = 0;


sub with {
    my ($url, $lines, %opt) = @_;

    return start_nginx(redis => $redis, provider => $url, lead => 'off',
        provider_lines => "retries 0; connect_timeout 2s;\n$lines", %opt);
}


sub works_ok {
    my ($nginx, $name) = @_;
    my $question = 'Who answers, number ' . ++$number . '?';
    my (@pieces, $begun);

    # once for each protocol there is time enough to join for certain

    my $slow = $name =~ /^(?:TLS|HTTP\/2)$/;

    $question .= ' {{gap=300}}' if $slow;
    @pieces = pieces_of($question, %PIECES);

    my ($miss, $join) = ask($nginx,
        { question => $question, on_event => sub { $begun = 1 } },
        { question => $question, after => sub { $begun } });

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($miss, "$name: a miss", chunks => \@pieces,
              cache => qr/fwd=miss$/);
    stream_ok($join, "$name: a join", chunks => \@pieces,
              cache => $slow ? qr/collapsed/ : qr/collapsed|; hit/);
    stream_ok(ask_hit($nginx, { question => $question }), "$name: a hit",
              chunks => \@pieces, cache => qr/; hit/);
    is(provider_stats($provider, $question), 1, "$name: one call");
}


sub refused_ok {
    my ($name, $nginx, $why, $code) = @_;
    my $question = 'Who is refused, number ' . ++$number . '?';

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($nginx, { question => $question }),
              "$name: the connection is refused", error => $code ||
              'provider_refused');
    like($nginx->error_log, qr/\[error\] .*provider "openai" at .*$why/,
         "$name: the log says why");
    is(provider_stats($provider, $question), 0, "$name: it asked nothing");
    $nginx->stop;
}


# Connections that are there and lead nowhere any more: who waits for an
# answer to begin loses it, and nobody comes after on any of them.

sub stuck_ok {
    my ($name, $front) = @_;
    my $gate = Chat::Proxy->new(port => free_port(), target => $front->port);
    my $nginx = with('https://127.0.0.1:' . $gate->port . '/v1',
                     "$trust first_token_timeout 3s;");
    my ($held, $free, @ended);
    my $n = 0;

    stream_ok($_, "$name, a stuck connection: before, " . ++$n,
              chunks => [ pieces_of($_->{question}) ])
        foreach ask($nginx, map { { question =>
            "Who came before on $name, number $_? {{chunks=20;gap=20}}" } }
            1 .. 4);

    my $ended = sub { push(@ended, $_[0]) if $_[0]{terminal} };

    my ($stays, $lost, @later) = ask($nginx,
        { question => "Who stays on $name? {{chunks=30;gap=40}}",
          timeout => 60, on_event => sub {
              $held ||= $gate->set(hold => 1) if @{ $_[0]{chunks} } == 5;
          } },
        { question => "Who is lost on $name? {{chunks=5}}",
          after => sub { $held }, on_event => $ended },
        map { { question => "Who comes later on $name, number $_? {{chunks=5}}",
                after => sub { @ended > 0 },
                on_event => sub {
                    $ended->(@_);
                    $free //= $gate->set(hold => 0) if @ended == 4;
                } } } 1 .. 3);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($lost, "$name, a stuck connection: lost",
              error => 'provider_timeout');
    stream_ok($_, "$name, a stuck connection: later, " . ++$n,
              chunks => [ pieces_of($_->{question}) ])
        foreach @later;
    stream_ok($stays, "$name, a stuck connection: stays", restarts => 0,
              chunks => [ pieces_of($stays->{question}) ]);

    $nginx->stop;
    $gate->stop;
}


# Nor where the one who waits is cancelled long before its timeouts.

sub left_ok {
    my ($name, $front) = @_;
    my $gate = Chat::Proxy->new(port => free_port(), target => $front->port);
    my $nginx = with('https://127.0.0.1:' . $gate->port . '/v1', $trust,
        server => 'location = /cancel { chat; chat_abandon cancel grace=0s; }');
    my $leaves = "Who is left on $name?";
    my ($held, $begun);

    my ($stays, $left, $later) = ask($nginx,
        { question => "Who stays behind on $name? {{chunks=30;gap=40}}",
          timeout => 60, on_event => sub {
              $held ||= $gate->set(hold => 1) if @{ $_[0]{chunks} } == 5;
          } },
        { question => $leaves, path => '/cancel', hangup_after => 0,
          after => sub { $held } },
        { question => "Who comes next on $name? {{chunks=5}}",
          after => sub {
              my $id = live_id($redis, $leaves);

              $begun ||= defined $id;
              return $begun && !defined $id;
          },
          on_event => sub { $gate->set(hold => 0) if $_[0]{terminal} } });

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($left->{hungup}, "$name, left behind: left");
    stream_ok($later, "$name, left behind: the next",
              chunks => [ pieces_of($later->{question}) ]);
    stream_ok($stays, "$name, left behind: stays", restarts => 0,
              chunks => [ pieces_of($stays->{question}) ]);

    $nginx->stop;
    $gate->stop;
}


# HTTP/1.1 over TLS

my @good = $tls->signed('provider', 'IP:127.0.0.1,DNS:localhost');
my $front = tls_front($provider, @good);
my $nginx = with(url_of($front), $trust);

works_ok($nginx, 'TLS');
works_ok($nginx, 'TLS again');

my $large = 'What is large? {{chunks=260;bytes=8000;gap=0}}';

stream_ok(scalar ask($nginx, { question => $large, timeout => 60 }),
          'two million bytes: the answer is whole', text => text_of($large));

my @seen = seen($front, 3);

is(scalar(@seen), 3, 'TLS: three calls');
ok(!(grep { $_->[0] ne 'HTTP/1.1' || $_->[1] ne 'TLSv1.3' } @seen),
   'TLS: HTTP/1.1 and TLS 1.3');

# one that is slow to end its answer after [DONE] is not waited for

cmp_ok(scalar(keys %{ { map { $_->[2] => 1 } @seen } }), '<', 3,
       'TLS: on connections that are there');
is($seen[0][4], '-.', 'TLS: an address is no name to ask for');
$nginx->stop;

stuck_ok('HTTP/1.1', $front);

$nginx = with(url_of($front, 'localhost'), $trust);
works_ok($nginx, 'by name');
ok(wait_for(sub { (seen($front))[-1][4] eq 'localhost.' }, 5),
   'by name: the name is sent');
$nginx->stop;

# a file that only root may read

my $private = $tls->ca . '.private';

system('cp', $tls->ca, $private);
chmod(0600, $private);
$nginx = with(url_of($front), "trusted_certificate $private;");
works_ok($nginx, 'certificates that root alone may read');
$nginx->stop;

# the wrong ones

my $unsafe = 'cannot be connected to safely, .*';

refused_ok("not known to the system", with(url_of($front), ''),
           qr/$unsafe(?:unable to get local issuer|self-signed)/);
refused_ok('of another authority',
           with(url_of($front), 'trusted_certificate ' . $other->ca . ';'),
           qr/$unsafe(?:unable to get local issuer|self-signed)/);

my @self = $tls->self_signed('self', 'IP:127.0.0.1');

# as one version of libcurl or another words it
my $other_name = qr/target (?i:host name|IPv4 address)|does not match/;

foreach (['expired', [ $tls->signed('old', 'IP:127.0.0.1', expired => 1) ],
          qr/certificate has expired/],
         ['self-signed', [ @self ], qr/self-signed certificate/],
         ['for another address', [ $tls->signed('ten', 'IP:127.0.0.10') ],
          $other_name],
         ['for a name', [ $tls->signed('dns', 'DNS:provider.test') ],
          $other_name])
{
    my ($name, $files, $why) = @$_;
    my $wrong = tls_front($provider, @$files);

    refused_ok($name, with(url_of($wrong), $trust), qr/$unsafe$why/);

    if ($name eq 'self-signed') {
        $nginx = with(url_of($wrong), "trusted_certificate $self[0];");
        works_ok($nginx, 'self-signed and trusted');
        $nginx->stop;
    }

    $wrong->stop;
}

my $old = tls_front($provider, @good, lines =>
    'ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;');

refused_ok('TLS 1.1', with(url_of($old), $trust, env => { $tls->old_versions }),
           qr/cannot be reached, "/);
$old->stop;

my $modern = tls_front($provider, @good, lines => 'ssl_protocols TLSv1.2;');

$nginx = with(url_of($modern), $trust);
works_ok($nginx, 'TLS 1.2');
is((seen($modern, 1))[0][1], 'TLSv1.2', 'TLS 1.2: spoken with the server');
$nginx->stop;
$modern->stop;

my $plain = start_nginx(workers => 1, servers => 'server {
    listen 127.0.0.1:%%PORT%%; return 204; }');

refused_ok('plain text', with(url_of($plain), $trust),
    qr/cannot be reached, "/);


# HTTP/2: answers share a connection

my $two = tls_front($provider, @good, listen => 'http2',
    lines => 'http2_max_concurrent_streams 100;');

$nginx = with(url_of($two), "$trust idle_timeout 2s;",
    server => 'location = /cancel { chat; chat_abandon cancel grace=0s; }');

works_ok($nginx, 'HTTP/2');

my $all = 1;
my @many;

my $connections = 0;

foreach my $round ('on the connection that is there', 'on none', 'on those') {
    @many = map { "Who is one of many, number $_, $round? "
        . '{{chunks=20;gap=40}}' } 1 .. 50;

    my $n = 0;

    stream_ok($_, "$round: one of many, " . ++$n,
              chunks => [ pieces_of($_->{question}) ])
        foreach ask($nginx, map { { question => $_, timeout => 60 } } @many);

    $all += 50;
    @seen = seen($two, $all);

    is(scalar(@seen), $all, "$round: all calls");
    ok(!(grep { $_->[0] ne 'HTTP/2.0' } @seen), "$round: all over HTTP/2");

    # those that begin while the first one is made do not wait for it, but
    # have one each at most; what is there is enough

    my $before = $connections;
    my $most = { 'on the connection that is there' => 3, 'on none' => 50,
                 'on those' => 0 }->{$round};

    $connections = keys %{ { map { $_->[2] => 1 } @seen } };

    cmp_ok($connections - $before, '<=', $most, "$round: on few connections");

    next unless $round eq 'on the connection that is there';

    # another filler has none yet

    $nginx->allow_log(qr/exited on signal 9/);
    my $old = filler($nginx);

    kill('KILL', $old);
    another_filler($nginx, $old);
}

# large ones at once

my $large_ones = 0;

@many = map { "Who is large, number $_? {{chunks=130;bytes=8000;gap=0}}" }
    1 .. 10;

stream_ok($_, 'a million bytes: number ' . ++$large_ones,
          text => text_of($_->{question}))
    foreach ask($nginx, map { { question => $_, timeout => 60 } } @many);

# some are left by their clients, fall silent or break off: the others go on

@many = map { "Who stays, number $_? {{chunks=80;gap=50}}" } 1 .. 15;

my @gone = map { "Who leaves, number $_? {{chunks=400;gap=50}}" } 1 .. 15;
my @silent = map { "Who falls silent, number $_? "
    . '{{chunks=20;gap=20;fault=stall;at=5}}' } 1 .. 5;
my @broken = map { "Who breaks off, number $_? "
    . '{{chunks=20;gap=20;fault=reset;at=5}}' } 1 .. 5;
my @wrong = map { "Who is wrong, number $_? "
    . '{{chunks=20;gap=20;fault=badjson;at=5}}' } 1 .. 5;

my @all = ask($nginx,
    (map { { question => $_, timeout => 60 } } @many, @silent, @broken,
     @wrong),
    (map { { question => $_, path => '/cancel', hangup_after => 3,
             timeout => 60 } } @gone));

foreach my $q (@all) {
    my ($kind, $n) = $q->{question} =~ /^Who (\w+ ?\w*), number (\d+)/;

    if ($kind =~ /^stays/) {
        stream_ok($q, "HTTP/2: number $n stays", restarts => 0,
                  chunks => [ pieces_of($q->{question}) ]);

    } elsif ($kind =~ /^falls/) {
        stream_ok($q, "HTTP/2: number $n falls silent",
                  error => 'provider_timeout');

    } elsif ($kind =~ /^breaks|^is/) {
        stream_ok($q, "HTTP/2: number $n $kind", error => 'provider_broken');

    } else {
        ok($q->{hungup}, "HTTP/2: number $n leaves");
    }
}

my $aborted;

wait_for {
    my $log = $provider->log;

    $aborted = grep { my $key = key_of($_); $log =~ /^$key \d+ aborted/m }
        @gone;
    $aborted == @gone;
} 10, 'aborted calls';

is($aborted, scalar(@gone), 'HTTP/2: what nobody wants is aborted');
works_ok($nginx, 'HTTP/2 afterwards');

# the connection is lost under all of them

my @lost = map { "Who is lost, number $_? {{chunks=30;gap=40}}" } 1 .. 10;
my $killed;

@all = ask($nginx, map { { question => $_, timeout => 60, on_event => sub {
    my ($q) = @_;

    if (@{ $q->{chunks} } == 5 && !$killed++) {
        kill('KILL', $two->worker_pids);
    }
} } } @lost);

$two->allow_log(qr/exited on signal 9/);
is(scalar(grep { $_->{terminal} } @all), 10, 'a lost connection: all ended');
works_ok($nginx, 'HTTP/2, another connection');
$nginx->stop;

# total_timeout

$nginx = with(url_of($two), "$trust total_timeout 2s;");
@all = ask($nginx, map { { question => $_ } }
    (map { "Who is slow, number $_? {{chunks=100;gap=50}}" } 1 .. 3),
    (map { "Who is fast, number $_? {{chunks=20;gap=20}}" } 1 .. 3));

stream_ok($all[$_], "total_timeout: slow call $_ ends",
          error => 'provider_timeout') foreach 0 .. 2;
stream_ok($all[$_],
          "total_timeout: fast call $_ is whole",
          chunks => [ pieces_of($all[$_]{question}) ])
    foreach 3 .. 5;
$nginx->stop;

stuck_ok('HTTP/2', $two);
left_ok('HTTP/2', $two);
$two->stop;


# proxies

my @proxies;

sub proxy {
    my (%opt) = @_;
    my $port = free_port();
    my $proxy = Chat::Connect->new(port => $port,
        log => test_dir() . "/proxy.$port", %opt);

    push(@proxies, $proxy);

    return $proxy;
}


sub proxy_url {
    my ($proxy) = @_;

    return "http://me:$SECRET\@127.0.0.1:" . $proxy->port;
}


# it was asked for this, and nobody else learned the password

sub went_through {
    my ($name, $nginx, $proxy, $what) = @_;
    my @requests = $proxy->requests;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    works_ok($nginx, $name) unless @requests;
    @requests = $proxy->requests;

    ok(@requests && !(grep { $_ !~ $what } @requests), "$name: through it")
        or diag(join("\n", @requests));
    unlike($nginx->error_log, qr/$SECRET/, "$name: no password in the log");

    my $n = 0;

    foreach my $pid ($nginx->worker_pids, $nginx->filler_pids) {
        unlike(Chat::Nginx::title($pid), qr/$SECRET/,
               "$name: no password in title " . ++$n);
    }

    $proxy->forget;
    $nginx->stop;
}


sub straight {
    my ($name, $nginx, $proxy) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    works_ok($nginx, $name);
    is_deeply([ $proxy->requests ], [], "$name: not through it");
    $nginx->stop;
}

my $proxy = proxy(auth => "me:$SECRET");
my $via = proxy_url($proxy);
my $https = url_of($front);
my $http = 'http://127.0.0.1:' . $provider->port . '/v1';
my $connect = qr/^CONNECT 127\.0\.0\.1:\d+ HTTP\/1\.1 me:$SECRET$/;
my $whole = qr!^POST http://127\.0\.0\.1:\d+/v1/\S+ HTTP/1\.1 me:$SECRET$!;

went_through('a proxy', with($https, "$trust proxy $via;"), $proxy, $connect);
went_through('a proxy for plain text', with($http, "proxy $via;"), $proxy,
             $whole);

my $over = tls_front($provider, @good, listen => 'http2');

went_through('HTTP/2 through a proxy',
             with(url_of($over), "$trust proxy $via;"), $proxy, $connect);
is((seen($over, 1))[0][0], 'HTTP/2.0', 'HTTP/2 through a proxy: it was HTTP/2');
$over->stop;

foreach ('https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY') {
    went_through($_, with($https, $trust, env => { $_ => $via }), $proxy,
                 $connect);
}

went_through('http_proxy', with($http, '', env => { http_proxy => $via }),
             $proxy, $whole);
went_through('without a scheme', with($http, '',
    env => { http_proxy => substr($via, 7) }), $proxy, $whole);
went_through('from a variable of another name',
    with($https, "$trust proxy env:MY_PROXY;", env => { MY_PROXY => $via }),
    $proxy, $connect);
went_through('no_proxy names another host', with($https, $trust,
    env => { https_proxy => $via, no_proxy => 'localhost,10.0.0.0/8' }),
    $proxy, $connect);
went_through('proxy wins over no_proxy', with($https, "$trust proxy $via;",
    env => { no_proxy => '*' }), $proxy, $connect);

straight('HTTP_PROXY', with($http, '', env => { HTTP_PROXY => $via }), $proxy);
straight('https_proxy for plain text',
         with($http, '', env => { https_proxy => $via }), $proxy);
straight('http_proxy for TLS',
         with($https, $trust, env => { http_proxy => $via }), $proxy);
straight("no_proxy $_", with($https, $trust,
         env => { https_proxy => $via, no_proxy => $_ }), $proxy)
    foreach '127.0.0.1', '*', 'example.com, 127.0.0.0/8';
straight('NO_PROXY', with($https, $trust,
         env => { https_proxy => $via, NO_PROXY => '127.0.0.1' }), $proxy);
straight("proxy $_", with($https, "$trust proxy $_;",
         env => { https_proxy => $via }), $proxy)
    foreach 'off', '""';

# proxies that do not do what they should

refused_ok("a proxy that answers $_", with($https, "$trust proxy http://"
        . '127.0.0.1:' . proxy(status => $_)->port . ';'),
    qr/cannot be reached through the proxy, ".*$_/)
    foreach 403, 502;

my $wrong = proxy(auth => 'you:other');

$nginx = with($https, "$trust proxy " . proxy_url($wrong) . ';');
refused_ok('the wrong password', $nginx,
           qr/cannot be reached through the proxy, ".*407/);
unlike($nginx->error_log, qr/$SECRET/, 'the wrong password: not in the log');

refused_ok('a proxy that is not there',
    with($https, "$trust proxy http://127.0.0.1:" . free_port() . ';'),
    qr/cannot be reached, "/);

my $from = time();

refused_ok('a proxy that hangs', with($https, "$trust connect_timeout 1s;\n"
        . 'proxy http://127.0.0.1:' . proxy(hang => 1)->port . ';',
        provider_lines => "retries 0; connect_timeout 1s; $trust\n"
        . 'proxy http://127.0.0.1:' . proxy(hang => 1)->port . ';'),
    qr/did not accept the connection in time/, 'provider_timeout');
cmp_ok(time() - $from, '<', 5 + $SLACK, 'a proxy that hangs: in time');

# what nginx -t says

my $test = new_nginx(redis => $redis, provider => $https);

foreach (["proxy ftp://a", 'is no URL of a proxy'],
         ['proxy "http://a b"', 'is no URL of a proxy'],
         ["proxy http://me:$SECRET\@", 'is no URL of a proxy'],
         ["proxy http://me:$SECRET\@:80", 'is no URL of a proxy'],
         ['proxy http:///', 'is no URL of a proxy'],
         ['proxy file:/no/such', '/no/such'],
         ["proxy $via; proxy $via", '"proxy" is duplicate'],
         ['proxy', 'invalid number of arguments'],
         ['trusted_certificate /no/such', '"trusted_certificate" is not'],
         ["trusted_certificate $good[1]", '"trusted_certificate" is not'],
         ['trusted_certificate ""', '"trusted_certificate" is not'])
{
    my ($words, $says) = @$_;
    my ($status, $said) = $test->test_conf(provider_lines => "$words;");

    ok($status && $said =~ /\[emerg\].*\Q$says/ && $said !~ /$SECRET/,
       "nginx -t: $words") or diag($said);
}

my ($status, $said) = $test->test_conf(provider_lines => '',
    env => { https_proxy => "gopher://me:$SECRET\@a" });

ok($status && $said =~ /the environment's proxy is no URL/
   && $said !~ /$SECRET/, 'nginx -t: a wrong proxy in the environment')
    or diag($said);

foreach ('http://a:3128', 'https://a', 'socks5h://a:1080', 'a:3128', 'a',
         'http://[::1]:8080/', "http://me:$SECRET\@a", 'off', '""')
{
    ($status, $said) = $test->test_conf(env => {},
                                        provider_lines => "proxy $_;");

    ok(!$status && $said !~ /$SECRET/, "nginx -t: proxy $_") or diag($said);
}

unlink($test->dir . '/error.log', $test->dir . '/output');

done();
