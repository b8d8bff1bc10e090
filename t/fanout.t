#!/usr/bin/perl

# Very many clients of one worker: what they have in common is done for some of
# them in each turn of its event loop, so that nobody else waits for all of
# them; and others beside them have their turn.

use warnings;
use strict;

use IO::Socket::INET;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Turns;

my $READERS = 300;

# us of CPU: a turn has a quarter of a millisecond for wakes, and a little more
# for what else there is; the sanitizers need several times as much

my $TURN = $ENV{CHAT_NGINX} ? 5000 : 1500;

my $redis = start_redis();
my $large = start_provider(chunks => 3, gap => 0);
my $small = start_provider(chunks => 3, gap => 0);
my $turns = Chat::Turns->new;

my $nginx = led_nginx(redis => $redis, provider => $large, workers => 1,
    env => $turns->env,
    http => 'chat_provider small { url http://127.0.0.1:' . $small->port
        . '/v1; key test; model small; } keepalive_requests 100000;',
    server => 'location = /small { chat small; }'
        . ' location = /plain { return 200 "plain\n"; }');


# a client that has asked, and reads on when it is told to

sub client {
    my ($path, $question) = @_;
    my $sock = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port) or die "connect: $!\n";
    my $body = '{"question": ' . json_string($question) . '}';

    $sock->syswrite("POST $path HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");

    return { sock => $sock, port => $sock->sockport, in => '' };
}


# until what it has got is so

sub got {
    my ($client, $what) = @_;

    while ($client->{in} !~ $what) {
        my $n = $client->{sock}->sysread($client->{in}, 65536,
                                         length($client->{in}));

        return 0 if !$n;
    }

    return 1;
}


# the worker has seen all that was sent to it before

sub seen {
    my $sock = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port) or die "connect: $!\n";

    $sock->syswrite("GET /plain HTTP/1.0\r\n\r\n");

    return join('', <$sock>) =~ /plain\n\z/;
}


# bytes of this provider lie in a socket of the worker

sub arrived {
    my ($provider) = @_;
    my $port = sprintf('%04X', $provider->port);

    return read_file('/proc/net/tcp')
        =~ /^\s*\d+: \S+ \w+:$port 01 \w+:(?!00000000)\w+ /m;
}


# in several turns, none of which is long

sub spread_ok {
    my ($name, @clients) = @_;
    my %port = map { $_->{port} => 1 } @clients;
    my (%turn, %seen);

    ok(seen(), "$name: others are served behind them");

    foreach my $write (grep { $port{$_->{port}} } $turns->writes) {
        $turn{$write->{turn}}++;
        $seen{$write->{port}} = 1;
    }

    my ($cpu) = sort { $b <=> $a } $turns->cpu;

    is(scalar(keys %seen), scalar(@clients), "$name: something for each");
    cmp_ok(scalar(keys %turn), '>=', 5, "$name: in several turns");
    cmp_ok($cpu, '<=', $TURN, "$name: us of CPU that a turn takes at most");
    note("$name: ", scalar(keys %turn), " turns, $cpu us");
}


# one reply of Redis answers them all

stream_ok(scalar ask($nginx, { question => 'What is cached?' }), 'an answer');

stand_still($redis->pid);

my @clients = map { client('/chat', 'What is cached?') } 1 .. $READERS;

ok(seen(), 'hits: all have asked');
$turns->begin;
kill('CONT', $redis->pid);

is(scalar(grep { got($_, qr/"completed"/) } @clients), $READERS,
   'hits: all are answered');
spread_ok('hits', @clients);

# an event of a generation that they all read, and then one of another

provider_set($large, upto => 1);
provider_set($small, upto => 1);

@clients = map { client('/chat', 'What is read?') } 1 .. $READERS;

my $other = client('/small', 'What else is read?');

is(scalar(grep { got($_, qr/"streaming"/) } @clients, $other), $READERS + 1,
   'readers: all have a first chunk');

# their second one comes while the worker does nothing, and is one that it finds

my ($worker) = $nginx->worker_pids;

stand_still($worker);
$turns->begin;

foreach my $provider ($large, $small) {
    provider_set($provider, upto => 2);
    wait_for { arrived($provider) } 10, 'a second chunk';
}

kill('CONT', $worker);

is(scalar(grep { got($_, qr/"streaming".*"streaming"/s) } @clients, $other),
   $READERS + 1, 'readers: all have a second chunk');
spread_ok('readers', @clients);

my %client = map { $_->{port} => 1 } @clients, $other;
my @order = grep { $client{$_} } map { $_->{port} } $turns->writes;
my ($place) = grep { $order[$_] == $other->{port} } 0 .. $#order;

cmp_ok($place, '<', $READERS / 5,
       'readers: the one of another generation does not wait for all of them');

provider_set($_, upto => 3) foreach $large, $small;

is(scalar(grep { got($_, qr/"completed"/) } @clients, $other), $READERS + 1,
   'readers: all have all of it');

done();
