#!/usr/bin/perl

# Memory of generations that a worker makes itself, led or directly, while they
# are in progress: not much more than nginx needs to hand the provider's stream on.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use IO::Select;
use IO::Socket::INET;

my $COUNT = 300;
my $LIMIT = 1.1;
my $LED_LIMIT = 1.3;
my $CRLF = "\r\n";

my $provider = start_provider(chunks => 5, fault => 'stall', at => 3);


# what the worker has for itself, and its filler, in kB

sub own {
    my ($nginx) = @_;
    my $kb = 0;

    foreach my $pid ($nginx->worker_pids, $nginx->filler_pids) {
        $kb += (read_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m)[0];
    }

    return $kb;
}


# so many requests whose answers have begun, and do not end: their sockets

sub begun {
    my ($nginx, $count, $body) = @_;
    my (@socks, %waiting);

    foreach my $n (1 .. $count) {
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $nginx->port, Proto => 'tcp') or die "connect: $!\n";
        my $json = $body->("Who is number $n of $count?");

        syswrite($sock, "POST /chat HTTP/1.1${CRLF}Host: a$CRLF"
                 . "Content-Type: application/json$CRLF"
                 . 'Content-Length: ' . length($json) . $CRLF . $CRLF . $json);

        push(@socks, $sock);
        $waiting{$sock} = '';
    }

    my $select = IO::Select->new(@socks);

    while ($select->count) {
        foreach my $sock ($select->can_read(10)) {
            sysread($sock, $waiting{$sock}, 65536, length($waiting{$sock}))
                or die "an answer ended\n";

            # the third chunk is the last one

            $select->remove($sock)
                if (() = $waiting{$sock} =~ /"(?:content|chunk)": ?"[^"]/g) == 3;
        }
    }

    return @socks;
}


sub kilobytes {
    my ($nginx, $body) = @_;
    my @warm = begun($nginx, 4, $body);
    my $before = own($nginx);
    my @socks = begun($nginx, $COUNT, $body);
    my $each = (own($nginx) - $before) / $COUNT;

    close($_) foreach @warm, @socks;

    return $each;
}


my $chat = start_nginx(redis => 'off', workers => 1, provider => $provider,
    http => "chat_direct_limit 1000;");
my $led = start_nginx(redis => start_redis(), workers => 1, lead => 'on',
    provider => $provider, http => "chat_fill processes=1 concurrency=1000;");
my $port = $provider->port;
my $proxy = start_nginx(workers => 1, servers => <<"EOT");
    server {
        listen 127.0.0.1:%%PORT%%;

        location /chat {
            proxy_pass http://127.0.0.1:$port/v1/chat/completions;
            proxy_buffering off;
        }
    }
EOT

my $question = sub { '{"question": "' . $_[0] . '"}' };
my $ours = kilobytes($chat, $question);
my $leds = kilobytes($led, $question);
my $nginxs = kilobytes($proxy, sub {
    '{"model": "m", "messages": [{"role": "user", "content": "' . $_[0]
        . '"}]}';
});

# the sanitizers put much around each allocation

ok($ENV{CHAT_NGINX} || $ours < $LIMIT * $nginxs,
   'in progress: hardly more memory than proxy_pass')
    or diag(sprintf('kB a stream: %.1f, proxy_pass %.1f', $ours, $nginxs));
ok($ENV{CHAT_NGINX} || $leds < $LED_LIMIT * $nginxs,
   'led: a little more, with what its filler has')
    or diag(sprintf('kB a stream: %.1f, proxy_pass %.1f', $leds, $nginxs));

$_->stop('TERM') foreach $chat, $led, $proxy;
done();
