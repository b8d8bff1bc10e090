#!/usr/bin/perl

# What directives do that needs time, processes or several clients: how long
# answers are kept, a certificate that nobody vouches for, how many fillers
# there are, how far a request is from Redis, and what clients cost.  Request by
# request they are in settings.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(sleep time);

# a filler raises its soft limit of open files; this test has a low one

system("prlimit --pid $$ --nofile=1024:") == 0 or die "prlimit: $?\n";

my $dir = test_dir();

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1'
       . " -keyout $dir/key.pem -out $dir/cert.pem >$dir/openssl 2>&1") == 0
    or die "openssl: " . read_file("$dir/openssl");

my $redis = start_redis();
my $provider = start_provider(chunks => 4);
my $nginx = start_nginx(redis => $redis, provider => $provider,
    http => <<"EOT", server => <<"EOT");
    chat_cache_ttl 5m;

    chat_provider unsafe {
        url https://127.0.0.1:%%PORT_1%%/v1;
        key sk-unsafe;
        model m;
    }
EOT
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_certificate $dir/cert.pem;
        ssl_certificate_key $dir/key.pem;
        chat_cache_ttl 2m;
        location / { return 200 "not safe"; }
        location = /unsafe { chat unsafe; chat_cache_scope unsafe; }
        location = /short { chat; chat_cache_ttl 2s; }
EOT

# chat_cache_ttl: that of the innermost level, from the completion on

my $question = 'How long? {{gap=300}}';

stream_ok(scalar ask($nginx, { question => $question }),
          'chat_cache_ttl: an answer');

my $ttl = $redis->cmd('PTTL', stream_key($question));

ok($ttl > 115_000 && $ttl <= 120_000,
   'chat_cache_ttl: two minutes from its end') or diag($ttl);
stream_ok(scalar ask($nginx, { question => $question }),
          'chat_cache_ttl: a hit',
          cache => qr/^ngx_chat; hit; ttl=(?:11[5-9]|120)$/);

$question = 'How short?';
stream_ok(scalar ask($nginx, { question => $question, path => '/short' }),
          'chat_cache_ttl 2s: an answer');
stream_ok(scalar ask($nginx, { question => $question, path => '/short' }),
          'chat_cache_ttl 2s: a hit within it', cache => qr/; hit; ttl=[0-2]$/);
sleep(2.2);
stream_ok(scalar ask($nginx, { question => $question, path => '/short' }),
          'chat_cache_ttl 2s: a miss after it', cache => qr/fwd=miss$/);
is(provider_stats($provider, $question), 2, 'chat_cache_ttl 2s: two calls');

# a certificate that nobody vouches for: told at once, and sent nothing

my $unsafe = ask($nginx, { question => $question, path => '/unsafe' });

stream_ok($unsafe, 'a certificate of nobody: an error',
          error => 'provider_refused', restarts => 0);
unlike($nginx->error_log, qr/"unsafe" is asked again/,
       'a certificate of nobody: not asked again');
like($nginx->error_log, qr/"unsafe".* cannot be connected to safely/,
     'a certificate of nobody: the log says why');
unlike($nginx->access_log, qr/completions/,
       'a certificate of nobody: nothing was sent');

# open files: all that it may have

my ($pid) = $nginx->filler_pids;
my ($soft, $hard) = read_file("/proc/$pid/limits")
    =~ /^Max open files\s+(\S+)\s+(\S+)/m;

is($soft, $hard, 'open files: a filler may open as many as it can');
isnt($soft, 1024, 'open files: more than before');
ok($nginx->stop, 'the first instance: it ends');


# chat_fill: two fillers, each with one generation at once, if workers lead none

$nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
                     lead => 'off',
                     http => 'chat_fill processes=2 concurrency=1;');
$nginx->allow_log(qr/exited on signal 9/);


# the fillers: pids, and their parents

sub fillers {
    my @pids;

    wait_for { (@pids = $nginx->filler_pids) == 2 } 10, 'two fillers';

    return @pids;
}


# three questions, of which two are answered at once

sub two_at_once {
    my ($name) = @_;

    provider_reset($provider);

    my @all = ask($nginx, map { { question => "$name $_? {{gap=60}}" } }
                  1 .. 3);

    stream_ok($all[$_], "$name: answer $_", restarts => 0) foreach 0 .. 2;
    is(provider_stats($provider)->{max_active}, 2, "$name: two at once");
}


my @pids = fillers();
my @parents = map { Chat::Nginx::parent($_) } @pids;

is(scalar(@pids), 2, 'chat_fill: two fillers');
is($parents[0], $parents[1], 'chat_fill: of one worker');

ok(wait_for(sub { get($nginx, '/')->{body} =~ /"ok"/ }, 10, 'health'),
   'chat_fill: health is ok');

my $health = parse_json(get($nginx, '/')->{body});

is_deeply([ sort { $a <=> $b } map { $_->{pid} } @{ $health->{fillers} } ],
          [ sort { $a <=> $b } @pids ], 'chat_fill: health knows both');
two_at_once('two fillers');

# who has to wait is counted

my $later = ask_later($nginx,
    (map { { question => "Run $_? {{gap=1700}}" } } 1, 2),
    (map { { question => "Wait $_?", delay => 0.3 } } 1 .. 3));

ok(wait_for(sub {
    $health = parse_json(get($nginx, '/')->{body});
    $health->{queue} == 3 && $health->{live} == 5
        && 2 == grep { $_->{running} == 1 } @{ $health->{fillers} };
}, 4.5), 'health: two run, three wait') or diag(explain($health));
is($health->{live}, 5, 'health: five are followed');
results($later);

# one of them is killed: the other one stays, and there are two again

kill('KILL', $pids[0]);
wait_for { !grep { $_ == $pids[0] } $nginx->filler_pids } 5, 'its end';

my @now = fillers();

is(scalar(@now), 2, 'after a death: two fillers again');
ok(scalar(grep { $_ == $pids[1] } @now),
   'after a death: the other one is the same');
two_at_once('after a death');

# a reload replaces both

ok($nginx->reload, 'after a reload: it has succeeded');
wait_for {
    my %now = map { $_ => 1 } $nginx->filler_pids;

    keys(%now) == 2 && !grep { $now{$_} } @now;
} 10, 'the old fillers';
two_at_once('after a reload');
ok($nginx->stop, 'chat_fill: it ends');


# A Redis that is far away: a hit takes one round trip, a miss at most three
# until "processing", whatever the provider takes, and two if the worker leads.

my $latency = 0.1;
my $trip = 2 * $latency;
my $proxy = start_proxy($redis, latency => $latency * 1000);

$nginx = start_nginx(redis => 'redis://127.0.0.1:' . $proxy->port,
    provider => $provider, workers => 1, lead => 'on',
    server => 'location = /queued { chat; chat_lead off; }');

wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'health';
ask($nginx, { question => 'Near? {{chunks=1}}' });

my (@all, @best, @late);
my @names = ('a miss', 'a refresh', 'a miss that is queued', 'a hit');
my @trips = (2, 1, 3, 1);

# the quickest of several tries: a machine adds to trips, and takes none away

foreach my $try (1 .. 5) {
    @all = ask($nginx, { question => "Far $try? {{first=1500}}" },
        { question => "Far afresh $try? {{first=1500}}", use_cache => 0 },
        { question => "Far away $try? {{first=1500}}", path => '/queued' },
        { question => 'Near? {{chunks=1}}' });

    foreach my $i (0 .. $#names) {
        my $first = $all[$i]{events}[0] or next;
        my $took = $first->{at} - $all[$i]{started};
        my $behind = abs($first->{at} - $all[$i]{header_at});

        $best[$i] = $took if $took < ($best[$i] // 60);
        $late[$i] = $behind if $behind < ($late[$i] // 60);
    }

    last unless grep {
        $best[$_] > $trips[$_] * $trip + 0.1 || $late[$_] > 0.03
    } 0 .. $#names;
}

foreach my $i (0 .. $#names) {
    stream_ok($all[$i], "far away: $names[$i]");
    cmp_ok($best[$i], '<', $trips[$i] * $trip + 0.15,
           "far away: $names[$i]: processing in time");
    cmp_ok($late[$i], '<', 0.05, "far away: $names[$i]: with the headers");
}

ok($nginx->stop, 'far away: nginx ends');
$proxy->stop;


# Clients of one answer share its memory: 150 that do not read.

sub memory {
    my ($worker) = $nginx->worker_pids;

    return (read_file("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m)[0];
}


$nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
                     listen => 'sndbuf=16k');

my $size = 'chunks=1000;bytes=1000;gap=0';

stream_ok(scalar ask($nginx, { question => "One? {{$size}}" }),
          'shared memory: a long answer');

my $before = memory();

$question = "Who shares? {{$size;first=3000}}";

my $body = '{"question": ' . json_string($question) . '}';
my @socks = map {
    my $sock = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port) or die "connect: $!\n";

    setsockopt($sock, SOL_SOCKET, SO_RCVBUF, 8192);
    print $sock "POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
    $sock->flush;
    $sock;
} 1 .. 150;

stream_ok(scalar ask($nginx, { question => $question }),
          'shared memory: one who reads',
          cache => qr/collapsed$/);
sleep(0.3);

my $after = memory();

note("kB of the worker: $before, with 150 clients $after");

# 2 MB for each would be 300; the sanitizers have their own ways

ok($ENV{CHAT_NGINX} || $after - $before < 60_000,
   'shared memory: a client costs little')
    or diag("$before kB, then $after kB");
is(provider_stats($provider, $question), 1, 'shared memory: one call');
close($_) foreach @socks;

done();
