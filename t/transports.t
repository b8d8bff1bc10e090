#!/usr/bin/perl

# The ways in which a question may come, and an answer may leave.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use Compress::Raw::Zlib;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(sleep);

my %provider = (chunks => 10, gap => 5);
my $redis = start_redis();
my $provider = start_provider(%provider);
my $dir = test_dir();

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
       . " -keyout $dir/key.pem -out $dir/cert.pem >$dir/openssl 2>&1") == 0
    or die "openssl: " . read_file("$dir/openssl");

my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
    server => <<"EOT");
listen 127.0.0.1:%%PORT_1%% http2;
        listen 127.0.0.1:%%PORT_2%% ssl http2;
        ssl_certificate $dir/cert.pem;
        ssl_certificate_key $dir/key.pem;
        location = /small { chat; client_body_buffer_size 1k; }
        location = /file { chat; client_body_in_file_only clean; }
        location = /gzip { chat; gzip on; gzip_types text/event-stream;
                           gzip_min_length 0; gzip_http_version 1.0; }
EOT

my $front = start_nginx(workers => 1, servers => <<"EOT");
    server {
        listen 127.0.0.1:%%PORT%%;
        location / { proxy_pass http://127.0.0.1:@{[ $nginx->port ]}; }
        location = /1.1/chat {
            proxy_pass http://127.0.0.1:@{[ $nginx->port ]}/chat;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
EOT

my $number = 0;

# chunks that the provider may send, while it goes step by step

my $upto;


sub question { return 'In which way ' . ++$number . '?' . ($_[0] // '') }


# the whole body of an answer

sub body_of {
    my ($question) = @_;
    my @pieces = pieces_of($question, %provider);

    return join('', map { "data: {\"status\": $_}\n\n" } '"processing"',
        (map { '"streaming", "chunk": ' . json_string($_) } @pieces),
        '"completed", "chunk": ' . json_string(join('', @pieces)));
}


sub body_for { return '{"question": ' . json_string($_[0]) . '}' }


sub head {
    my ($path, $version, @headers) = @_;

    return join("\r\n", "POST $path HTTP/$version", 'Host: localhost',
        'Content-Type: application/json', @headers, '', '');
}


# The provider sends a chunk when something has come since the last one: what is
# held back anywhere until there is more of it comes never.

sub stepwise {
    provider_set($provider, upto => $upto = 0);
}


sub one_more {
    provider_set($provider, upto => ++$upto) if defined $upto;
}


sub all_at_will {
    undef $upto;
    provider_set($provider, upto => 'inf');
}


# sends pieces with pauses, reads to the end: headers and body

sub raw {
    my ($port, @pieces) = @_;
    my $all = '';
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port, Proto => 'tcp') or die "connect: $!\n";
    my $select = IO::Select->new($sock);

    $sock->autoflush(1);

    foreach (@pieces) {
        print $sock $_;
        sleep(0.05) if @pieces > 1;
    }

    while ($select->can_read(10)) {
        sysread($sock, $all, 65536, length($all)) or last;
        one_more();
    }

    my ($headers, $body) = split(/\r\n\r\n/, $all, 2);

    return ($headers, $body // '');
}


sub dechunk {
    my ($body) = @_;
    my $text = '';

    while ($body =~ s/^([0-9a-f]+)\r\n//i) {
        my $size = hex($1);

        return ($text, substr($body, 2)) if $size == 0;

        $text .= substr($body, 0, $size);
        substr($body, 0, $size + 2, '');
    }

    return ($text, undef);
}


# bodies: whole, in pieces, chunked, in a file

my $long = ' ' . 'x' x 30000;

foreach my $case ([ '/chat', '' ], [ '/small', $long ], [ '/file', '' ],
                  [ '/file', $long ])
{
    my ($path, $more) = @$case;
    my $name = "body for $path" . ($more ? ', long' : '');

    foreach my $chunked (0, 1) {
        my $question = question($more);
        my $body = body_for($question);
        my $third = int(length($body) / 3) + 1;
        my @pieces = $body =~ /.{1,$third}/sg;
        my $how = $chunked ? 'Transfer-Encoding: chunked'
            : 'Content-Length: ' . length($body);

        if ($chunked) {
            @pieces = map { sprintf("%x\r\n%s\r\n", length($_), $_) } @pieces;
            $pieces[-1] .= "0\r\n\r\n";
        }

        my ($headers, $got) = raw($nginx->port,
            head($path, '1.1', $how, 'Connection: close'), @pieces);

        is((dechunk($got))[0], body_of($question),
           "$name, $how: the answer is whole");
    }
}

# What follows is as it is made: step by step, but for hits.

# HTTP/1.0: the end of the connection is the end

foreach my $source ('miss', 'hit') {
    my $question = 'In the old way?';
    my $body = body_for($question);

    stepwise();

    my ($headers, $got) = raw($nginx->port,
        head('/chat', '1.0', 'Content-Length: ' . length($body)) . $body);

    is($got, body_of($question), "HTTP/1.0, $source: the answer is whole");
    unlike($headers, qr/chunked/, "HTTP/1.0, $source: no chunks");
    like($headers, qr/Connection: close/,
         "HTTP/1.0, $source: the connection is closed");
}

all_at_will();

# pipelined: three answers in their order

{
    my @questions = map { question() } 1 .. 3;
    my ($headers, $rest) = raw($nginx->port, join('', map {
        my $body = body_for($_);
        head('/chat', '1.1', 'Content-Length: ' . length($body),
             $_ eq $questions[2] ? 'Connection: close' : ()) . $body
    } @questions));

    foreach my $question (@questions) {
        (my $text, $rest) = dechunk($rest // '');
        is($text, body_of($question), "pipelined, $question: its own answer");
        $rest =~ s/^.*?\r\n\r\n//s if defined $rest;
    }
}

# compressed, and flushed with each event

foreach my $version ('1.1', '1.0') {
    my $question = question();
    my $body = body_for($question);

    stepwise();

    my ($headers, $got) = raw($nginx->port,
        head('/gzip', $version, 'Accept-Encoding: gzip', 'Connection: close',
             'Content-Length: ' . length($body)) . $body);
    my $zipped = $version eq '1.1' ? (dechunk($got))[0] : $got;
    my $zip = Compress::Raw::Zlib::Inflate->new(-WindowBits => WANT_GZIP);
    my $text = '';

    like($headers, qr/Content-Encoding: gzip/,
         "gzip, HTTP/$version: compressed");
    $zip->inflate($zipped, $text);
    is($text, body_of($question), "gzip, HTTP/$version: the answer is whole");
}

# through another nginx, which buffers what it is not told to pass on

foreach my $path ('/chat', '/1.1/chat') {
    foreach my $source (qr/fwd=miss/, qr/; hit/) {
        my $name = "proxy $path, " . ($source =~ /hit/ ? 'a hit' : 'a miss');

        stepwise();

        my $q = ask($front, { question => "Through $path?", path => $path,
                              on_event => \&one_more });

        stream_ok($q,
                  "$name: the events one by one", headers => 0, restarts => 0,
                  chunks => [ pieces_of("Through $path?", %provider) ]);
        like($q->{headers}{'cache-status'}, $source,
             "$name: Cache-Status is passed on");
    }
}

# HTTP/2, plain and with TLS, and TLS alone

my %way = ('HTTP/2' => [ 1, 'http', '--http2-prior-knowledge' ],
           'HTTP/2, TLS' => [ 2, 'https', '-k --http2' ],
           'TLS' => [ 2, 'https', '-k --http1.1' ]);

foreach my $name (sort keys %way) {
    my ($port, $scheme, $options) = @{ $way{$name} };
    my $question = question();
    my $url = "$scheme://127.0.0.1:" . $nginx->{ports}->($port) . '/chat';
    my $got = '';

    stepwise();

    open(my $curl, '-|', "curl -sN $options -m 20 $url"
         . " -H 'Content-Type: application/json' -d '"
         . body_for($question) . "' -w '%{http_code} %{http_version}'")
        or die "curl: $!\n";

    while (sysread($curl, $got, 65536, length($got))) {
        one_more();
    }

    close($curl);

    my $version = $name =~ /2/ ? '2' : '1.1';

    is($got, body_of($question) . "200 $version", "$name: the answer is whole");
}

is(provider_stats($provider)->{calls}, $number + 3,
   'all ways: one call for each question');

done();
