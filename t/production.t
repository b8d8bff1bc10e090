#!/usr/bin/perl

# The configuration for production in README, as it stands there but for
# addresses, ports and paths: two providers and Redis behind Sentinel, all of
# it by TLS, and what clients see when each of these fails.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Front;
use Chat::Tls;

use Time::HiRes qw(sleep time);

my $BOUND = 45;
my $FAIL_TIMEOUT = 10;
my $DIRECT = qr/; detail=direct$/;

my $root = Chat::Nginx::root();
my ($conf) = read_file("$root/README.md")
    =~ /^<!-- test: production -->\n```nginx\n(.*?)^```/ms;
my ($rules) = read_file("$root/ngx_chat_module/redis/README.md")
    =~ /^<!-- test: acl -->\n```\n(.*?)^```/ms;

ok(defined $conf && defined $rules,
   'README: has configuration and rules') or die;

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $redis_ca = Chat::Tls->new(test_dir() . '/redis', 'redis-ca');
my $inner_ca = Chat::Tls->new(test_dir() . '/inner', 'inner-ca');
my $number = 0;


# Redis, with the users of its README

my %seen;
my @words = grep { !$seen{$_}++ } map { split(/ /) }
    $rules =~ /^user \w+ on >PASSWORD (.*)$/mg;
my @files = $redis_ca->signed('server', 'IP:127.0.0.1');
my $trio = start_sentinels(password => 'of-the-servers',
    sentinel_password => 'of-the-sentinels',
    tls => [ @files, $redis_ca->ca ],
    config => [ "user chat on >of-the-user @words +role" ]);

# the providers, each behind TLS

my $cloud = start_provider(chunks => 5, gap => 10, key => 'sk-cloud');
my $local = start_provider(chunks => 4, gap => 10, key => 'sk-local');
my ($cloud_tls, $local_tls) = map { tls_front(@$_) }
    [ $cloud, $tls->signed('cloud', 'IP:127.0.0.1') ],
    [ $local, $inner_ca->signed('local', 'IP:127.0.0.1') ];


# nginx as README has it

my $nginx = new_nginx();
my $dir = $nginx->dir;
my $health = free_port();
my $sentinels = join(',', map { "127.0.0.1:$_->{tls_port}" } $trio->sentinels);
my ($cert, $key) = $tls->signed('chat', 'DNS:chat.example.com');
my ($redis_cert, $redis_key) = $redis_ca->signed('client');
my %file = ('redis.password' => "of-the-user\n",
            'sentinel.password' => "of-the-sentinels\n",
            'cloud.key' => "sk-cloud\n", 'local.key' => "sk-local\n",
            'redis-ca.pem' => read_file($redis_ca->ca),
            'redis.pem' => read_file($redis_cert),
            'redis.key' => read_file($redis_key),
            'internal-ca.pem' => read_file($inner_ca->ca),
            'chat.example.com.pem' => read_file($cert),
            'chat.example.com.key' => read_file($key));

mkdir("$dir/chat", 0700) or die "$dir/chat: $!\n";

foreach my $name (sort keys %file) {
    write_text("$dir/chat/$name", $file{$name});
    chmod(0600, "$dir/chat/$name");
    ok($conf =~ /\/etc\/nginx\/chat\/\Q$name\E;/,
       "README: the configuration names $name");
}

my $load = $ENV{CHAT_NGINX} ? ''
    : "load_module $root/build/ngx_chat_module.so;";
my $temp = join('', map { "${_}_temp_path $dir/$_;\n" }
    qw(client_body proxy fastcgi uwsgi scgi));

replaced(qr/^load_module .*$/m, "$load\npid $dir/nginx.pid;\ndaemon off;");
replaced(qr/^user .*$/m, '') if $> != 0;
replaced(qr/^(?=worker_processes +auto;)/m, '#');
replaced(qr/^(?=events )/m, "worker_processes 2;\n");
replaced(qr/^error_log .* warn;/m, "error_log $dir/error.log info;");
replaced(qr/worker_rlimit_nofile 65536/, 'worker_rlimit_nofile 8192');
replaced(qr/worker_connections 16384/, 'worker_connections 4096');
replaced(qr/^http \{/m, "http {\n$temp");
replaced(qr/10\.0\.0\.53/, '127.0.0.1:' . start_dns()->port);
replaced(qr/10\.0\.0\.1,10\.0\.0\.2,10\.0\.0\.3/, $sentinels);
replaced(qr/api\.openai\.com\/v1;/, '127.0.0.1:' . $cloud_tls->port
         . "/v1;\n        trusted_certificate " . $tls->ca . ';');
replaced(qr/llm\.internal/, '127.0.0.1:' . $local_tls->port);
replaced(qr/listen +443 ssl/, "listen 127.0.0.1:$nginx->{port} ssl");
replaced(qr/127\.0\.0\.1:8080/, "127.0.0.1:$health");
replaced(qr/\/etc\/nginx\/chat\//, "$dir/chat/");
replaced(qr/\/var\/log\/nginx\//, "$dir/");

{
    no warnings qw(redefine);
    my $other = Chat::Nginx->can('conf');

    *Chat::Nginx::conf = sub {
        return $_[0] == $nginx ? $conf : $other->(@_);
    };
}

$nginx->start;


# all of these, at least one

sub replaced {
    my ($pattern, $by) = @_;

    $conf =~ s/$pattern/$by/g or die "README's has no $pattern\n";
}


# The client's side of TLS, with an address for each client, so that each has a
# limit of its own.

my $edge = start_nginx(workers => 1, servers => <<"EOT");
    server {
        listen 127.0.0.1:%%PORT%%;

        location / {
            proxy_pass https://127.0.0.1:$nginx->{port};
            proxy_bind \$http_x_from;
            proxy_ssl_trusted_certificate @{[ $tls->ca ]};
            proxy_ssl_verify on;
            proxy_ssl_name chat.example.com;
            proxy_ssl_server_name on;
            proxy_ssl_session_reuse off;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_read_timeout 120s;
            proxy_pass_header X-Accel-Buffering;
        }
    }
EOT


sub question {
    my ($text, %more) = @_;

    return { question => $text, timeout => 90, %more,
             headers => { 'X-From' => '127.0.1.' . (1 + ++$number % 250) } };
}


sub asked { return ask($edge, map { question($_) } @_) }


# cached again, or from the start: a miss and a hit

sub cached_ok {
    my ($name, $seconds) = @_;
    my $from = time();
    my ($miss, $question);

    do {
        sleep(0.05) if $miss;
        $question = "Is it cached, $name, " . ++$number
            . '? {{chunks=3;gap=1}}';
        ($miss) = asked($question);
    } while (time() < $from + $seconds
             && ($miss->{headers}{'cache-status'} // '') !~ /fwd=miss$/);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($miss, "$name: a miss", cache => qr/fwd=miss$/,
              chunks => [ pieces_of($question) ]);
    stream_ok(scalar asked($question), "$name: a hit", cache => qr/; hit; ttl/,
              chunks => [ pieces_of($question) ]);
}


# what a health page says: for the operator, and for everybody

sub full { return health($nginx, $health) }


sub health {
    my ($server, $port) = @_;

    return parse_json(scalar(ask($server, { method => 'GET', path => '/',
                                            port => $port }))->{body});
}


# a miss, those who join it, and hits

cached_ok('at the start', 10);

my $why = 'Why? {{chunks=10;gap=30}}';
my @all = asked(($why) x 5);

stream_ok($all[$_],
          "asked by five: client $_ is answered",
          chunks => [ pieces_of($why) ]) foreach 0 .. 4;
is(provider_stats($cloud, $why), 1, 'asked by five: one call');
ok(wait_for(sub { full()->{status} eq 'ok' }, 10),
   'at the start: health is ok');
is(health($edge)->{status}, 'ok', 'at the start: health is ok for everybody');

my $list = $trio->master->client->cmd('CLIENT', 'LIST');
my @clients = grep { / name=ngx_chat:/ } split(/\n/, $list);
my $port = $trio->master->{tls_port};

cmp_ok(scalar(@clients), '>=', 8, 'Redis: workers and fillers are connected');
ok(!(grep { !/ laddr=127\.0\.0\.1:$port .* user=chat / } @clients),
   'Redis: all are connected over TLS, as that user')
    or diag(join("\n", @clients));

# who asks too much

my $from = { 'X-From' => '127.0.2.1' };

@all = ask($edge, map { { question => "Who asks $_? {{chunks=1;gap=1}}",
                          headers => $from } } 1 .. 30);

my %status;

$status{$_->{status}}++ foreach @all;
ok($status{200} >= 20 && $status{429} && $status{200} + $status{429} == 30,
   'chat_miss_limit: a limit for each client') or diag(explain(\%status));

# the first provider fails: the next one has it

provider_set($cloud, status => 503);

my ($q) = asked('Who is next?');
my $failed = time();

stream_ok($q, 'the first provider fails: the next answers', restarts => 0,
          chunks => [ pieces_of('Who is next?', chunks => 4, gap => 10) ]);
is(provider_stats($local, 'Who is next?'), 1,
   'the first provider fails: the second was asked');

provider_set($cloud, status => 0, fault => 'reset', at => 3, gap => 100);

# each worker has its own opinion, and the page that of the one it comes from

wait_for {
    time() > $failed + $FAIL_TIMEOUT
        && !grep { $_->{state} ne 'up' } @{ full()->{providers} }
} 20, 'the first one to be asked again';
($q) = asked('Who goes on?');
stream_ok($q,
          'the first provider breaks off: the next starts over', restarts => 1,
          chunks => [ pieces_of('Who goes on?', chunks => 4, gap => 10) ]);
provider_reset($cloud);
cached_ok('both providers', 15);

# the master dies under load

my $dead = $trio->master;
my $begun = 0;
my @early = map {
    question("Who is in the middle, $_? {{chunks=40;gap=50}}",
        on_event => sub {
            my ($q) = @_;

            $dead->stop('KILL') if @{ $q->{chunks} } >= 3 && !$q->{middle}++
                && ++$begun == 15;
        });
} 1 .. 15;
my @late = map {
    question("Who comes later, $_? {{chunks=10;gap=20}}", delay => 0.1 * $_);
} 1 .. 60;

@all = ask($edge, @early, @late);

my @wrong = map {
    my $q = $_;
    map { "$q->{question}: $_" } end_faults($q, $BOUND)
} @all;
my %ends;

$ends{$_->{status} != 200 ? $_->{status} : $_->{terminal}{code}
      || (($_->{headers}{'cache-status'} // '') =~ $DIRECT ? 'direct'
          : $_->{terminal}{status}) // 'none'}++ foreach @all;

is($begun, 15, 'the master dies: streams in mid-answer');
is(scalar(@wrong), 0, 'the master dies: each has an end of its own')
    or diag(join("\n", @wrong[0 .. ($#wrong < 10 ? $#wrong : 10)]));
ok($ends{direct},
   'the master dies: the direct path answers') or diag(explain(\%ends));
ok($ends{completed},
   'the master dies: Redis before and after') or diag(explain(\%ends));
note(join(' ', map { "$_ $ends{$_}" } sort keys %ends));

ok(wait_for(sub { $trio->moved($dead) }, 20),
   'the master dies: another master');
cached_ok('after the master died', 20);
$dead->start;
$trio->settle;
cached_ok('when it is back as the replica', 5);

# all of Redis is away

$trio->crash;
wait_for { full()->{status} eq 'degraded' } 10, 'the loss';

foreach (1 .. 3) {
    my $question = "Who is there, $_? {{chunks=5;gap=10}}";

    ($q) = asked($question);
    stream_ok($q,
              "all of Redis is away: answer $_",
              cache => $DIRECT, restarts => 0,
              chunks => [ pieces_of($question) ]);
}

# there too the second provider has what the first has not

provider_set($cloud, status => 503);
($q) = asked('Who is next without Redis?');
stream_ok($q,
          'all of Redis and the first provider: an answer', cache => $DIRECT,
          chunks => [ pieces_of('Who is next without Redis?', chunks => 4) ]);
provider_reset($cloud);
is(health($edge)->{status}, 'degraded',
   'all of Redis is away: health is degraded');

$trio->revive;
cached_ok('Redis is back', 20);
ok(wait_for(sub { full()->{status} eq 'ok' }, 15),
   'Redis is back: health is ok');

# what the operator sees

my $log;

wait_for {
    $log = read_file("$dir/chat.log");
    $log =~ /^127\.0\.\S+ 200 HIT hit cloud /m
} 5, 'a line';

like($log, qr/^127\.0\.\S+ 200 HIT hit cloud completed - \d\.\d+$/m,
     'the log: a line of a hit');
like($log, qr/^127\.0\.\S+ 200 DIRECT direct local completed - /m,
     'the log: a line of a direct answer');
unlike($nginx->error_log . $log, qr/of-the-|sk-(?:cloud|local)/,
       'the logs: no secret in them');

done();


sub write_text {
    my ($name, $text) = @_;

    open(my $file, '>:raw', $name) or die "$name: $!\n";
    print $file $text;
    close($file);
}
