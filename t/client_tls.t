#!/usr/bin/perl

# Clients behind TLS: what one of them costs while it waits for more of an
# answer, and one that reads slowly.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Tls;

my $COUNT = 300;

# kB; nginx's buffer of 16k for each, which it keeps until the next request, makes
# it 14, while what TLS itself has for each varies with the release of OpenSSL

my $LIMIT = 5;

my %pieces = (chunks => 5, gap => 900);

my $provider = start_provider(%pieces);
my $redis = start_redis();
my $tls = Chat::Tls->new(test_dir() . '/tls');
my ($cert, $key) = $tls->signed('localhost', 'DNS:localhost');
my $ssl = "ssl_certificate $cert; ssl_certificate_key $key;";
my ($small, $usual, $front);

# behind the one that clients talk to: what they read slowly, it reads slowly

sub instance {
    my ($lines) = @_;

    return start_nginx(redis => $redis, provider => $provider, workers => 1,
        servers => <<"EOT");
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / { chat_health full; }
    }

    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        $ssl
        $lines
        location /chat { chat; }
    }
EOT
}


# kB that the worker has for each of so many readers, when the last one has just
# got its third chunk

sub readers {
    my ($nginx, $path, $count) = @_;
    my $question = "Who reads along, $path, $count?";
    my $idle = memory($nginx);
    my ($most, $begun, $seen) = (0, 0, 0);

    # handshakes, a few at a time, need more than what stays

    my @all = ask($front, map { my $n = $_; {
        question => $question, path => $path, timeout => 60,
        after => sub { $n <= $begun + 4 },
        on_event => sub {
            my ($q, $event) = @_;

            $begun++ if $event->{status} eq 'processing';
            $most = memory($nginx)
                if $event->{status} eq 'streaming'
                   && @{ $q->{chunks} } == 3 && ++$seen == $count;
        }
    } } 1 .. $count);

    my @wrong = grep { length } map {
        join(', ', Chat::Check::faults($_, restarts => 0,
             chunks => [ pieces_of($question, %pieces) ]))
    } @all;

    is(scalar(@wrong), 0, "$count readers, $path: all streams are correct")
        or diag($wrong[0]);

    return ($most - $idle) / $count;
}


sub memory {
    my ($nginx) = @_;
    my ($pid) = $nginx->worker_pids;

    return (read_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m)[0];
}


$small = instance('ssl_buffer_size 1400;');
$usual = instance('ssl_buffer_size 16k;');
$front = start_nginx(workers => 1, servers => <<"EOT");
    server {
        listen 127.0.0.1:%%PORT%%;
        proxy_buffering off;
        proxy_buffer_size 4k;
        proxy_http_version 1.1;
        proxy_ssl_session_reuse off;
        proxy_pass_header X-Accel-Buffering;

        location = / { return 204; }
        location /small {
            proxy_pass https://127.0.0.1:@{[ $small->{ports}->(1) ]}/chat;
        }
        location /usual {
            proxy_pass https://127.0.0.1:@{[ $usual->{ports}->(1) ]}/chat;
        }
    }
EOT

{
    my %nginx = ('/small' => $small, '/usual' => $usual);

    readers($nginx{$_}, $_, 10) foreach keys %nginx;

    my %each = map { $_ => readers($nginx{$_}, $_, $COUNT) } keys %nginx;

    note(sprintf('kB a reader: %.1f, with a small buffer %.1f',
                 @each{qw(/usual /small)}));

    # the sanitizers put much around each allocation

    ok($ENV{CHAT_NGINX} || $each{'/usual'} < $each{'/small'} + $LIMIT,
       "$COUNT readers: none of them keeps a buffer")
        or diag(sprintf('kB: %.1f and %.1f', @each{qw(/usual /small)}));
}

{
    my $question = "Who reads slowly? {{chunks=60;gap=2;bytes=30000}}";
    my @all = ask($front,
        map { { question => $question, path => '/usual', rcvbuf => 16384,
                read_rate => $_, timeout => 60 } } 300_000, 1_000_000);

    stream_ok($all[$_], "slow reader $_ behind TLS: all of it",
              text => text_of($question, %pieces)) foreach 0, 1;
}

done();
