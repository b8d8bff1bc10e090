#!/usr/bin/perl

# Addresses of Redis: IPv6, several for one name, and names that change.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Chat::Tls;

use Time::HiRes qw(sleep time);

my $provider = start_provider(chunks => 3, gap => 1);
my $dns = start_dns();

# two servers on the same port of different addresses

my $first = start_redis(config => ['bind 127.0.0.1 ::1']);
my $port = $first->port;
my $second = start_redis();

start_proxy($second, address => '127.0.0.2', port => $port);

my $number = 0;


sub started {
    my ($name, %opt) = @_;

    return start_nginx(redis => "redis://$name:$port/0", workers => 1,
        provider => $provider, location => 'chat_redis_down error;',
        http => 'resolver 127.0.0.1:' . $dns->port . ';', %opt);
}


# a miss and a hit; returns the question

sub works_ok {
    my ($nginx, $name) = @_;
    my $from = time();
    my $question = 'Does it work ' . ++$number . '? {{chunks=3;gap=1}}';
    my $miss;

    while (time() < $from + 8) {
        $miss = ask($nginx, { question => $question });
        last if $miss->{status} == 200;
        sleep(0.02);
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($miss, "$name: a miss", chunks => [ pieces_of($question) ]);
    stream_ok(ask_hit($nginx, { question => $question }), "$name: a hit",
              cache => qr/; hit/);

    return $question;
}


sub is_at {
    my ($redis, $question, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($redis->client->cmd('EXISTS', stream_key($question)), 1, $name);
}


sub kill_clients {
    my ($redis) = @_;
    my $client = $redis->client;

    $client->cmd('CLIENT', 'KILL', 'TYPE', $_) foreach 'normal', 'pubsub';
}


sub downs {
    my ($nginx) = @_;

    return get($nginx, '/')->{status} != 200;
}


# IPv6, written down and as a name

my $nginx = start_nginx(redis => "redis://[::1]:$port/0",
                        provider => $provider, workers => 1);

is_at($first, works_ok($nginx, '[::1]'), '[::1]: the answer is there');
is_at($first, works_ok(start_nginx(redis => "redis://localhost:$port/0",
                                   provider => $provider), 'localhost'),
      'a name: resolved at start');

is_at($first, works_ok(started('localhost'), 'localhost, with a resolver'),
      'localhost, with a resolver: the answer is there');
is($dns->asked('localhost'), 0,
   'localhost, with a resolver: no name server is asked');

$dns->set('six.test' => '::1');
works_ok(started('six.test'), 'a name that is an IPv6 address');

# several addresses, of which one works; which is tried first is by chance

$dns->set('four.test' => '127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.1');

my $from = time();
my $four = started('four.test');

works_ok($four, 'one of four');
ok(time() - $from < 5, 'one of four: in no time')
    or diag(time() - $from . ' s');
like($four->error_log, qr/\[error\].*redis\ four\.test:$port\/0,\ \w+:\ connect
                         \(\)\ failed,\ at\ 127\.0\.0\.[345]:$port\ \(111:/x,
     'one of four: the log tells which did not');
is(scalar(my @lines = $four->error_log =~ /\[error\].*connect\(\) failed/g) > 5,
   '', 'one of four: told once a connection');

# a name that changes is followed when the connection is lost, not before

$dns->set('moves.test' => '127.0.0.1');

$nginx = started('moves.test');

is_at($first, works_ok($nginx, 'before it moves'),
      'before it moves: at the first');
$dns->set('moves.test' => '127.0.0.2');

# longer than the answer was valid

sleep(2.1);
is_at($first, works_ok($nginx, 'after it has moved'),
      'after it has moved: still at the first');
kill_clients($first);
wait_for { ask($nginx, { question => 'Where is it?' })->{status} == 200
           && $second->client->cmd('EXISTS', stream_key('Where is it?')) } 8,
    'the second';
is_at($second, works_ok($nginx, 'when the connection was lost'),
      'when the connection was lost: at the second');

# a filler that is forked from a worker which has resolved names

my ($filler) = $nginx->filler_pids;

kill('KILL', $filler);
wait_for { gone($filler) && $nginx->filler_pids } 10, 'a new filler';
$nginx->allow_log(qr/exited on signal 9/);
is_at($second, works_ok($nginx, 'another filler'),
      'another filler: at the second');

# no answer from the name server

$dns->set(mute => 1);
sleep(2.1);
is_at($second, works_ok($nginx, 'no name server'),
      'no name server: what is there goes on');

kill_clients($second);
ok(wait_for(sub { downs($nginx) }, 10, 'the loss'),
   'no name server: not found anew');
wait_for { $nginx->error_log =~ /moves\.test could not be resolved/ } 5,
    'the line';
like($nginx->error_log, qr/\[error\].*redis\ moves\.test:$port\/0,\ \w+:
                          \ no\ address\ is\ known:\ "moves\.test\ could\ not
                          \ be\ resolved\ \(110:/x,
     'no name server: the log tells why');
$from = time();
is(ask($nginx, { question => 'Is it down?' })->{status}, 503,
   'no name server: refused with 503');
ok(time() - $from < 1, 'no name server: refused at once');
$dns->set(mute => 0);
works_ok($nginx, 'the name server is back');

# nobody knows the name when nginx starts

my $late = started('late.test');

wait_for { $late->error_log =~ /late\.test could not be resolved \(3: / } 5,
    'the line';
like($late->error_log, qr/no address is known: "late\.test could not .* \(3: /,
     'an unknown name: no error at start');
$dns->set('late.test' => '127.0.0.1');
works_ok($late, 'it is known now');

# Sentinels whose names take longer than the time for looking, and which tell
# the master's name; all certificates are for names, and none for an address

my $tls = Chat::Tls->new(test_dir() . '/tls');
my @files = $tls->signed('names',
    'DNS:localhost,DNS:s1.test,DNS:s2.test,DNS:s3.test');
my $trio = start_sentinels(host => 'localhost', tls => [ @files, $tls->ca ]);
my $sentinels = 0;
my $names = join(',', map { 's' . ++$sentinels . ".test:$_->{tls_port}" }
                      $trio->sentinels);

$dns->set("s$_.test" => '127.0.0.1') foreach 1 .. $sentinels;
$dns->set(mute => 1);

my $files = 'chat_redis_ssl_trusted_certificate ' . $tls->ca . ";
    chat_redis_ssl_certificate $files[0];
    chat_redis_ssl_certificate_key $files[1];";
my $slow = started('', redis => "rediss+sentinel://$names/mymaster",
    http => 'resolver 127.0.0.1:' . $dns->port . "; $files");

wait_for { $slow->error_log =~ /sentinel: no address is known: "s3\.test/ } 10,
    'all three';
$dns->set(mute => 0);

wait_for { $slow->error_log =~ /"localhost could not be resolved \(3: / } 5,
    'the line';
like($slow->error_log, qr/: "localhost could not be resolved \(3: /,
     'a name that Sentinel tells, and nobody knows: logged');

# one of its two addresses is of nobody

$dns->set(localhost => '127.0.0.9 127.0.0.1');
works_ok($slow, 'Sentinels that were not found at first');

my $former = $trio->master;

$trio->failover;
wait_for { $trio->moved($former) } 15, 'another master';

my $new = $trio->master;

ok(wait_for(sub {
    my $question = 'Who is it now, number ' . ++$number . '?';

    return ask($slow, { question => $question })->{status} == 200
        && $new->client->cmd('EXISTS', stream_key($question));
}, 10, 'the new master'), 'after a failover: at the new master');
works_ok($slow, 'after a failover');
like($slow->error_log, qr/\[notice\].*: the master is at localhost:\d+/,
     'after a failover: the log tells the name');

# without a resolver

my $alone = start_nginx(provider => $provider, workers => 1, http => $files,
    redis => 'rediss+sentinel://'
             . ($trio->path =~ s/127\.0\.0\.1/localhost/gr),
    location => 'chat_redis_down error;');

wait_for { $alone->error_log =~ /localhost is a name, and/ } 5, 'the line';
like($alone->error_log, qr/\[error\].*: "localhost is a name, and there is no /,
     'a name that Sentinel tells, and no resolver: logged');
is(ask($alone, { question => 'Who is asked?' })->{status}, 503,
   'a name that Sentinel tells, and no resolver: 503');

# reload and quit with names
$late->reload;
works_ok($late, 'after a reload');

done();
