#!/usr/bin/perl

# Long answers out of the zone, in all ways that an answer may leave, to clients
# that read slowly, while the answer is deleted and others take its memory.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use POSIX ();

my $LONG = 'What is long? {{chunks=2000;bytes=500}}';
my $ZONED = qr/^Cache-Status: ngx_chat; hit; ttl=\d+; detail=zone\r$/mi;

my $redis = start_redis();
my $provider = start_provider(gap => 0);
my $dir = test_dir();

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
       . " -keyout $dir/key.pem -out $dir/cert.pem >$dir/openssl 2>&1") == 0
    or die "openssl: " . read_file("$dir/openssl");

my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 2,
    zone => 'chat 5m', listen => 'sndbuf=32k', server => <<"EOT");
listen 127.0.0.1:%%PORT_1%% http2 sndbuf=32k;
        listen 127.0.0.1:%%PORT_2%% ssl http2 sndbuf=32k;
        ssl_certificate $dir/cert.pem;
        ssl_certificate_key $dir/key.pem;
        location = /gzip { chat; gzip on; gzip_types text/event-stream;
                           gzip_min_length 0; }
        location = /rate { chat; limit_rate 4m; }
        location = /sendfile { chat; sendfile on; tcp_nopush on;
                               postpone_output 64k; output_buffers 1 4k; }
EOT

my ($plain, $h2, $tls) = ($nginx->port, map { $nginx->{ports}->($_) } 1, 2);

my %ways = (
    'HTTP/1.1' => [ '--http1.1', "http://127.0.0.1:$plain/chat" ],
    'HTTP/1.0' => [ '--http1.0', "http://127.0.0.1:$plain/chat" ],
    'HTTP/2' => [ '--http2-prior-knowledge', "http://127.0.0.1:$h2/chat" ],
    'TLS' => [ '-k', '--http1.1', "https://127.0.0.1:$tls/chat" ],
    'TLS, HTTP/2' => [ '-k', '--http2', "https://127.0.0.1:$tls/chat" ],
    'gzip' => [ '--compressed', "http://127.0.0.1:$plain/gzip" ],
    'gzip, HTTP/2' => [ '--compressed', '-k', '--http2',
                        "https://127.0.0.1:$tls/gzip" ],
    'limit_rate' => [ '--http1.1', "http://127.0.0.1:$plain/rate" ],
    'limit_rate, HTTP/2' => [ '--http2-prior-knowledge',
                              "http://127.0.0.1:$h2/rate" ],
    'sendfile' => [ '--http1.1', "http://127.0.0.1:$plain/sendfile" ],
);


sub is_zoned { return ($_[0]{headers}{'cache-status'} // '') =~ /detail=zone/ }


sub zoned {
    my ($question) = @_;

    return wait_for {
        my $q = ask($nginx, { question => $question });
        is_zoned($q) && $q;
    } 20, "the zone to have \"$question\"";
}


# a client, whose headers and body go to files

sub curl {
    my ($file, @args) = @_;
    my $body = '{"question": ' . json_string($LONG) . '}';
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        exec('curl', '-s', '-S', '-m', '60', '-D', "$file.head", '-o',
             "$file.body", '-H', 'Content-Type: application/json',
             '-d', $body, @args) or POSIX::_exit(1);
    }

    return { file => $file, pid => $pid };
}


wait_for { get($nginx, '/')->{body} =~ /"zone": \{"state": "on"/ } 10,
    'the zone';

ask($nginx, { question => $LONG });

my $whole = zoned($LONG);
my $n = 0;

cmp_ok(length($whole->{body}), '>', 2000000, 'a long answer');

foreach my $way (sort keys %ways) {
    zoned($LONG);

    # one as fast as it can, two that stop while others take the memory

    my @readers = map {
        curl("$dir/curl" . ++$n, @{ $ways{$way} },
             $_ ? ('--limit-rate', '1m') : ());
    } 0, 1, 1;

    wait_for { (grep { -s "$_->{file}.head" } @readers) == 3 } 20,
        "$way: all have begun";

    kill('STOP', $_->{pid}) foreach @readers[1, 2];
    $redis->cmd('DEL', stream_key($LONG));

    foreach (1 .. 2) {
        my $other = "What is $way, $_? {{chunks=2000;bytes=400}}";

        ask($nginx, { question => $other });
        zoned($other);
    }

    foreach (@readers) {
        kill('CONT', $_->{pid});
        waitpid($_->{pid}, 0);
    }

    my @read = map { [ read_file("$_->{file}.head"),
                       read_file("$_->{file}.body") ] } @readers;

    is((grep { $_->[0] =~ $ZONED } @read) + 0, 3, "$way: out of the zone");
    is((grep { $_->[1] eq $whole->{body} } @read) + 0, 3, "$way: all of it");

    ask($nginx, { question => $LONG });
}

# all that was read is free again: there is room for two

my @others = map { "What is there, $_? {{chunks=2000;bytes=400}}" } 1, 2;

foreach my $other (@others) {
    ask($nginx, { question => $other });
    zoned($other);
}

is((grep { is_zoned(scalar ask($nginx, { question => $_ })) } @others) + 0, 2,
   'there is room');

done();
