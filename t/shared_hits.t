#!/usr/bin/perl

# Many readers of a long cached answer: they share one copy of it, get it in
# pieces, and each has what is cached when it asks.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $SIZE = 'chunks=9500;bytes=200;gap=0';
my $READERS = 20;
my $redis = start_redis();
my $provider = start_provider(gap => 0);
my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
                        listen => 'sndbuf=16k');
my $question = "What is long? {{$SIZE}}";
my @pieces = pieces_of($question);


sub memory {
    my ($worker) = $nginx->worker_pids;

    return (read_file("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m)[0];
}


# asks, and reads no more than the head; returns that and the socket

sub stalled {
    my ($question) = @_;
    my $body = '{"question": ' . json_string($question) . '}';
    my $sock = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port) or die "connect: $!\n";
    my $head = '';

    print $sock "POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nConnection: close\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
    $sock->flush;

    $sock->sysread($head, 1, length($head)) || last
        while $head !~ /\r\n\r\n$/;

    return ($head, $sock);
}


# what is left for one who had the head, without the framing of chunks

sub rest {
    my ($sock) = @_;
    my ($raw, $body) = ('', '');

    1 while $sock->sysread($raw, 65536, length($raw));

    while ($raw =~ /\G([0-9a-f]+)\r\n/gc) {
        $body .= substr($raw, pos($raw), hex($1));
        pos($raw) += hex($1) + 2;
    }

    return $body;
}


sub stream_of {
    my (@pieces) = @_;

    return join('', map { "data: $_\n\n" } '{"status": "processing"}',
        (map { '{"status": "streaming", "chunk": ' . json_string($_) . '}' }
         @pieces),
        '{"status": "completed", "chunk": ' . json_string(join('', @pieces))
        . '}');
}

stream_ok(scalar ask($nginx, { question => $question }),
          'a long answer: a miss',
          cache => qr/fwd=miss$/);

my $hit = ask($nginx, { question => $question });

stream_ok($hit, 'a long answer: a hit', cache => qr/; hit/, chunks => \@pieces);
is($hit->{headers}{'content-length'}, undef,
   'a long answer: the length of a hit is not known');
ok($hit->{keepalive}, 'a long answer: the connection of a hit stays open');

# readers that stand still; the sanitizers have their own ways with memory

my $before = memory();
my @readers = map { [ stalled($question) ] } 1 .. $READERS;
my $after = memory();

is((grep { $_->[0] =~ /^Cache-Status: ngx_chat; hit/m } @readers) + 0,
   $READERS, 'readers that stand still: so many hits');
ok($ENV{CHAT_NGINX} || $after - $before < 24 * 1024,
   'readers that stand still: cost the memory of a few')
    or diag("$before kB, then $after kB");

my @all = ask($nginx, map { { question => $question } } 1 .. 5);

stream_ok($all[$_],
          "readers that stand still: another reads, $_", cache => qr/; hit/,
          chunks => \@pieces) foreach 0 .. 4;
ok($ENV{CHAT_NGINX} || memory() - $before < 24 * 1024,
   'readers that stand still: others cost no more');

# who asks while Redis is asked waits for the same reply

$redis->cmd('CONFIG', 'RESETSTAT');
$redis->cmd('CLIENT', 'PAUSE', 300, 'ALL');

@all = ask($nginx, map { { question => $question } } 1 .. 20);

stream_ok($all[$_],
          "asked together: client $_ has a hit",
          cache => qr/; hit/, chunks => \@pieces)
    foreach 0 .. 19;

my ($tests) = $redis->cmd('INFO', 'commandstats')
    =~ /^cmdstat_xrevrange:calls=(\d+)/m;

cmp_ok($tests, '<=', 5, 'asked together: Redis is asked once, or nearly so');

# each has the time that is left when it asks

$redis->cmd('PEXPIRE', stream_key($question), 60000);

my ($head, $sock) = stalled($question);

like($head, qr/^Cache-Status: ngx_chat; hit; ttl=(?:60|5\d)\r$/m,
     'the time that is left: that of now');

# what is not cached any more is no hit, whoever reads it still

$redis->cmd('DEL', stream_key($question));

$hit = ask($nginx, { question => $question });

stream_ok($hit,
          'deleted: no hit any more',
          cache => qr/fwd=miss$/, chunks => \@pieces);
is(provider_stats($provider, $question), 2,
   'deleted: the provider is asked again');

is(rest($readers[0][1]), stream_of(@pieces),
   'deleted: the first reader reads on');
is(rest($sock), stream_of(@pieces), 'deleted: the last reader reads on');

close($_->[1]) foreach @readers;

# a hit in the middle of which the worker has others to serve

@all = ask($nginx, map { { question => $question } } 1 .. 10);

stream_ok($all[$_], "many at once: client $_ has a hit", cache => qr/; hit/,
          chunks => \@pieces) foreach 0 .. 9;

done();
