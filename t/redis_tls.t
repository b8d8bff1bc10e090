#!/usr/bin/perl

# Redis behind TLS: everything works as without, and whoever cannot show the
# right certificate is refused, with a line in the log that says why.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Chat::Tls;

use IO::Socket::INET;
use Time::HiRes qw(sleep time);

my $QUEUE = 3;
my %PIECES = (chunks => 8, gap => 15);

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $other = Chat::Tls->new(test_dir() . '/other', 'another-ca');
my $provider = start_provider(%PIECES);
my $trust = 'chat_redis_ssl_trusted_certificate ' . $tls->ca . ';';
my ($number, $attempts) = (0, 0);


# A Redis that also speaks TLS, at {tls_port}.

sub tls_redis {
    my ($cert, $key, @config) = @_;
    my $port = free_port();

    my $redis = start_redis(config => [ "tls-port $port",
        "tls-cert-file $cert", "tls-key-file $key",
        'tls-ca-cert-file ' . $tls->ca,
        (grep { /^tls-auth-clients/ } @config) ? () : 'tls-auth-clients no',
        @config ]);

    $redis->{tls_port} = $port;

    return $redis;
}


sub tls_url {
    my ($redis, $host, $db) = @_;

    return 'rediss://' . ($host // '127.0.0.1') . ":$redis->{tls_port}/"
        . ($db // 0);
}


sub with {
    my ($url, $http, %opt) = @_;

    return start_nginx(redis => $url, provider => $provider,
        http => "$http\nchat_queue_timeout ${QUEUE}s;",
        location => 'chat_redis_down error;', %opt);
}


# a miss, with somebody who joins it, then a hit; the first time it is slow
# enough to join for certain

my $joined = 0;

sub works_ok {
    my ($nginx, $name, $wait) = @_;
    my $from = time();
    my ($question, $miss, $join);

    do {
        my ($begun, $asked);

        sleep(0.02) if $miss;
        $asked = time();
        $question = 'Is it safe, number ' . ++$number . '?'
            . ($joined ? '' : ' {{gap=300}}');
        ($miss, $join) = ask($nginx,
            { question => $question, on_event => sub { $begun = 1 } },
            { question => $question, after => sub {
                return $begun || time() > $asked + 2 } });
    } while ($miss->{status} != 200 && time() < $from + ($wait || 0));

    my @pieces = pieces_of($question, %PIECES);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($miss, "$name: a miss", chunks => \@pieces,
              cache => qr/fwd=miss$/);
    stream_ok($join, "$name: a join", chunks => \@pieces,
              cache => $joined++ ? qr/fwd=miss; collapsed$|; hit/
                                 : qr/fwd=miss; collapsed$/);
    stream_ok(ask_hit($nginx, { question => $question }), "$name: a hit",
              chunks => \@pieces, cache => qr/; hit/);
    is(provider_stats($provider, $question), 1, "$name: one call");
}


# refused: no answer, and the log says why, once for each connection

sub refused_ok {
    my ($name, $nginx, $why) = @_;

    # where localhost is ::1, too, nobody listens there, and others are told
    # apart

    my $log = sub { $nginx->error_log =~ s/, at 127\.0\.0\.1:\d+//gr };

    wait_for { $log->() =~ $why } 5, $why;

    my ($q) = ask($nginx, { question => "Who is there, $name?" });
    my $body = eval { parse_json($q->{body}) } || {};

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($q->{status} == 503 && ($body->{code} || '') eq 'redis_down'
       && $q->{ended} - $q->{started} < 1 + $SLACK, "$name: no answer")
        or diag($q->{raw});

    # some more attempts, and yet one line each

    sleep(2.2) unless $attempts++;

    my @lines = grep { /\[(?:warn|error|crit)\].* redis \S+, \w+: / }
        grep { !/ at \[::1\]:/ } split(/\n/, $log->());
    my %seen;

    $seen{$_}++ foreach map { /(\d+)#.*, (\w+: .*)/ ? "$1 $2" : $_ } @lines;

    ok(@lines && !(grep { $_ !~ $why } @lines), "$name: the log says why")
        or diag($nginx->error_log);
    ok(!(grep { $_ > 1 } values %seen), "$name: once a connection")
        or diag(join("\n", @lines));

    $nginx->stop;
}


sub clients_of {
    my ($redis) = @_;

    return grep { /name=ngx_chat/ } split(/\n/, $redis->cmd('CLIENT', 'LIST'));
}


# a good one

my @good = $tls->signed('redis', 'IP:127.0.0.1,DNS:localhost');
my $redis = tls_redis(@good);
my $nginx = with(tls_url($redis), $trust);

works_ok($nginx, 'good');

my @clients = clients_of($redis);
my $port = $redis->{tls_port};

cmp_ok(scalar(@clients), '>=', 4, 'good: workers and filler are connected');
ok(!(grep { !/ laddr=127\.0\.0\.1:$port / } @clients),
   'good: all of them over TLS')
    or diag(join("\n", @clients));
unlike($nginx->error_log, qr/\[(?:warn|error|crit)\]/,
       'good: nothing is wrong');

# many large answers at once, through a line that stutters

{
    my $proxy = start_proxy($redis->{tls_port}, latency => 3);
    my $url = 'rediss://127.0.0.1:' . $proxy->port . '/0';
    my $slow = with($url, $trust, location => 'chat_max_answer 4m;');
    my @large = map { "What is large, number $_? "
        . '{{chunks=260;bytes=8000;gap=0;first=0}}' } 1 .. 4;

    my @all = ask($slow, map { ({ question => $_, timeout => 60 },
        { question => $_, delay => 0.05, timeout => 60 }) } @large);

    foreach my $i (0 .. $#all) {
        stream_ok($all[$i], "two million bytes: client $i is answered",
                  text => text_of($all[$i]{question}));
    }

    # one by one: a command has a second, and the line is slow

    foreach my $i (0 .. $#large) {
        stream_ok(scalar ask($slow, { question => $large[$i], timeout => 60 }),
                  "two million bytes: number $i from the cache",
                  cache => qr/; hit/, chunks => [ pieces_of($large[$i]) ]);
    }

    # a question as large as what is sent at once

    my $long = 'Why? ' . 'x' x 900000;
    my @pieces = pieces_of($long, %PIECES);

    $slow->stop;
    $slow = with($url, $trust, location => 'chat_max_question 1m;');

    @all = ask($slow, map { { question => $long, use_cache => 0,
                              timeout => 60 } } 1 .. 3);

    stream_ok($all[$_], "a long question: client $_ is answered",
              chunks => \@pieces) foreach 0 .. 2;

    # cut off in the middle of it

    my ($question, $dropped) = 'What is cut? {{chunks=20;gap=60}}';
    my $q = ask($slow, { question => $question, on_event => sub {
        my ($q) = @_;

        if (@{ $q->{chunks} } == 5 && !$dropped++) {
            $proxy->set(drop => 1);
        }
    } });

    stream_ok($q, 'cut off: it goes on', restarts => 0,
              chunks => [ pieces_of($question) ]);
    works_ok($slow, 'cut off', 4);
    $slow->stop;
}

# Redis is killed and started again

$redis->stop('KILL');
sleep(0.3);
is(scalar(ask($nginx, { question => 'Who is killed?' }))->{status}, 503,
   'killed: refused with 503');
$redis->start;
works_ok($nginx, 'killed and back', 4);
ok($nginx->reload, 'a reload: it succeeds');
wait_for { $nginx->worker_pids == 2 } 10, 'two workers';
works_ok($nginx, 'after a reload', 4);
$nginx->stop;

# a filler of a worker that has connections makes its own

$nginx = with(tls_url($redis, 'localhost'), $trust);
works_ok($nginx, 'by name');
$nginx->allow_log(qr/exited on signal 9/);

my $killed = filler($nginx);

kill('KILL', $killed);
another_filler($nginx, $killed);
works_ok($nginx, 'another filler', 4);
$nginx->stop;

# the system's authorities, which OpenSSL takes from here

$nginx = with(tls_url($redis), '', env => { SSL_CERT_FILE => $tls->ca });
works_ok($nginx, "the system's authorities");
$nginx->stop;

refused_ok('an authority the system does not know',
           with(tls_url($redis), ''),
           qr/certificate\ is\ refused:\ "(?:unable\ to\ get\ local\ issuer
              |self-signed\ certificate\ in)/x);

# the wrong ones

my $bad = 'certificate is refused: "';
my @stranger = $other->signed('stranger', 'IP:127.0.0.1');

foreach (['of another authority', [ @stranger ],
          qr/unable to (?:get local issuer|verify the first) certificate/],
         ['expired', [ $tls->signed('old', 'IP:127.0.0.1', expired => 1) ],
          qr/certificate has expired/],
         ['self-signed', [ $tls->self_signed('self', 'IP:127.0.0.1') ],
          qr/self-signed certificate/],
         ['for another address', [ $tls->signed('ten', 'IP:127.0.0.10') ],
          qr/IP address mismatch with 127\.0\.0\.1"/],
         ['for a name alone', [ $tls->signed('dns', 'DNS:redis.test') ],
          qr/IP address mismatch with 127\.0\.0\.1"/])
{
    my ($name, $files, $why) = @$_;
    my $wrong = tls_redis(@$files);

    refused_ok($name, with(tls_url($wrong), $trust), qr/$bad$why/);
    is(scalar(clients_of($wrong)), 0, "$name: nobody got in");

    $nginx = with(tls_url($wrong), "$trust chat_redis_ssl_verify off;");
    works_ok($nginx, "$name, and nobody looks");
    $nginx->stop;
    $wrong->stop;
}

my $named = tls_redis($tls->signed('named', 'DNS:redis.test,DNS:*.wild.test'));

refused_ok('the wrong name', with(tls_url($named, 'localhost'), $trust),
           qr/${bad}hostname mismatch with localhost"/);

foreach ('redis.test', 'a.wild.test') {
    $nginx = with(tls_url($named), "$trust chat_redis_ssl_name $_;");
    works_ok($nginx, "known as $_");
    $nginx->stop;
}

refused_ok('another name',
    with(tls_url($named), "$trust chat_redis_ssl_name a.b.wild.test;"),
    qr/${bad}hostname mismatch with a\.b\.wild\.test"/);

# servers that speak no TLS, or nothing, and what they are sent

refused_ok('plain text',
    with('rediss://127.0.0.1:' . $redis->port, $trust),
    qr/the TLS handshake (?:failed: ".*wrong version number|timed out)/);
refused_ok('TLS where plain text is asked for',
    with("redis://127.0.0.1:$redis->{tls_port}", $trust),
    qr/: (?:the server closed the connection|recv\(\) failed)/);

foreach (['rediss://localhost', 1], ['rediss://127.0.0.1', 0]) {
    my ($url, $sni) = @$_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50,
        Proto => 'tcp') or die "listen: $@\n";
    my $silent = with("$url:" . $listen->sockport, $trust);
    my $hello = '';

    while (length $hello < 100) {
        my $sock = $listen->accept;

        sysread($sock, $hello, 65536);
    }

    is(index($hello, 'localhost') >= 0 ? 1 : 0, $sni, "$url: the name is sent")
        or diag(unpack('H*', $hello));
    unlike($hello, qr/CLIENT|INFO|127\.0\.0\.1/, "$url: and nothing besides");

    refused_ok("$url is silent", $silent,
               qr/the\ TLS\ handshake\ (?:timed\ out
                  |failed:\ "peer\ closed\ connection)/x);
}

# versions

foreach ('TLSv1.2', 'TLSv1.3') {
    my $one = tls_redis(@good, "tls-protocols $_");
    my $unlike = $_ eq 'TLSv1.2' ? 'TLSv1.3' : 'TLSv1.2';

    $nginx = with(tls_url($one), $trust);
    works_ok($nginx, "$_ there");
    $nginx->stop;

    $nginx = with(tls_url($redis), "$trust chat_redis_ssl_protocols $_;");
    works_ok($nginx, "$_ here");
    $nginx->stop;

    refused_ok("$_ there, $unlike here",
        with(tls_url($one), "$trust chat_redis_ssl_protocols $unlike;"),
        qr/the TLS handshake failed: ".*(?:protocol version|unsupported)/);
    $one->stop;
}

# client certificates

foreach my $version ('TLSv1.2', 'TLSv1.3') {
    my $strict = tls_redis(@good, 'tls-auth-clients yes',
                           "tls-protocols $version");
    my $own = sub {
        my ($cert, $key) = @_;

        return "$trust chat_redis_ssl_certificate $cert;\n"
            . "chat_redis_ssl_certificate_key $key;";
    };

    $nginx = with(tls_url($strict), $own->($tls->signed("me-$version")));
    works_ok($nginx, "$version: a client certificate");
    $nginx->stop;

    refused_ok("$version: no client certificate",
        with(tls_url($strict), $trust),
        qr/after the server has asked for a client certificate/);
    refused_ok("$version: none, and nobody looks at the server's",
        with(tls_url($strict), 'chat_redis_ssl_verify off;'),
        qr/after the server has asked for a client certificate/);
    refused_ok("$version: one of another authority",
        with(tls_url($strict), $own->($other->signed("me-$version"))),
        qr/after the server has asked for a client certificate/);
    $strict->stop;
}

# the broker: by TLS beside plain text, and the other way round

my $second = tls_redis(@good);

foreach (['both', tls_url($redis), tls_url($second, undef, 1)],
         ['the broker', $redis->url, tls_url($second, undef, 1)],
         ['another database', tls_url($redis), tls_url($redis, undef, 1)],
         ['the cache', tls_url($redis), $second->url(1)])
{
    my ($name, $cache, $broker) = @$_;

    $nginx = with($cache, $trust, broker => $broker);
    works_ok($nginx, "$name by TLS");
    $nginx->stop;
}

$nginx = start_nginx(provider => $provider, http => $trust,
    env => { REDIS_URL => tls_url($redis),
             CELERY_BROKER_URL => tls_url($second) });
works_ok($nginx, 'from the environment');
$nginx->stop;

# with a password

my $locked = tls_redis(@good);

$locked->cmd('CONFIG', 'SET', 'requirepass', 'secret');

$nginx = with("rediss://:secret\@127.0.0.1:$locked->{tls_port}", $trust);
works_ok($nginx, 'with a password');
$nginx->stop;

# scripts/chatctl gets in, too

my @chatctl = (Chat::Nginx::root() . '/scripts/chatctl', '-u',
               "rediss://:secret\@127.0.0.1:$locked->{tls_port}", 'cached');

is(system("@chatctl >/dev/null 2>&1") >> 8, 3,
   'chatctl: a certificate of nobody whom it knows');
like(`@chatctl -o --cacert -o @{[ $tls->ca ]}`, qr/ openai +test /,
     'chatctl: what is cached');

# what nginx -t says of the files

my $test = new_nginx(provider => $provider, redis => tls_url($redis));
my ($cert, $key) = $tls->signed('mine');
my ($cert2, $key2) = $tls->signed('mine-too');
my $locked_key = test_dir() . '/tls/locked.key';

Chat::Tls::openssl('ec', '-in', $key, '-aes128', '-passout', 'pass:secret',
                   '-out', $locked_key);

foreach (['trusted_certificate /no/such', 'trusted_certificate'],
         ["trusted_certificate $key", 'trusted_certificate'],
         ['certificate /no/such', 'without "chat_redis_ssl_certificate_key'],
         ["certificate_key $key", 'without "chat_redis_ssl_certificate"'],
         ["certificate /no/such; chat_redis_ssl_certificate_key $key",
          'certificate" is not usable'],
         ["certificate $cert; chat_redis_ssl_certificate_key /no/such",
          'certificate" is not usable'],
         ["certificate $cert; chat_redis_ssl_certificate_key $key2",
          'certificate" is not usable'],
         ["certificate $cert; chat_redis_ssl_certificate_key $locked_key",
          'certificate" is not usable'],
         ['protocols TLSv4', 'invalid value "TLSv4"'],
         ['verify maybe', 'invalid value "maybe"'],
         ['verify_depth x', 'invalid number'])
{
    my ($words, $says) = @$_;
    my ($status, $said) = $test->test_conf(
        http => "chat_redis_ssl_$words;");

    ok($status && $said =~ /\[emerg\].*\Q$says/, "nginx -t: $words")
        or diag($said);
}

my ($status, $said) = $test->test_conf(http => $trust
    . "chat_redis_ssl_certificate $cert;\n"
    . "chat_redis_ssl_certificate_key $key;\n"
    . "chat_redis_ssl_verify_depth 3;");

is($status, 0, 'nginx -t: all in order') or diag($said);
unlink($test->dir . '/error.log', $test->dir . '/output');

done();
