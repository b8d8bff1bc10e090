#!/usr/bin/perl

# Redis is far away: each step of a connection has its own time, and what is
# asked then has the time of a command.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Tls;

# ms each way: TLS and AUTH together take more than one of them may

my $LATENCY = 130;

my $NAME = 'far';
my %PIECES = (chunks => 6, gap => 20);

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $provider = start_provider(%PIECES);
my $number = 0;


sub far { return start_proxy($_[0], latency => $LATENCY)->port }


sub works_ok {
    my ($name, %opt) = @_;
    my $nginx = start_nginx(provider => $provider, workers => 1,
        location => 'chat_redis_down error;', %opt);
    my $question = 'How far is it, number ' . ++$number . '?';
    my @pieces = pieces_of($question, %PIECES);
    my $miss;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(wait_for(sub { get($nginx, '/')->{body} =~ /"status": "ok"/ }, 15),
       "$name: it comes up") or diag($nginx->error_log);

    # scripts that Redis does not know yet take more time than there is

    foreach (1 .. 5) {
        $miss = ask($nginx, { question => $question });
        last if $miss->{status} == 200;
    }

    stream_ok($miss, "$name: a miss", chunks => \@pieces,
              cache => qr/fwd=miss$/);

    # until the answer is there, it is that of the worker that has it

    my $hit;

    wait_for {
        $hit = ask($nginx, { question => $question });
        ($hit->{headers}{'cache-status'} // '') =~ /; hit/
    } 5;
    stream_ok($hit, "$name: a hit", chunks => \@pieces, cache => qr/; hit/);
    is(provider_stats($provider, $question), 1, "$name: one call");
    unlike($nginx->error_log, qr/\[(?:warn|error|crit)\].* redis \S+, \w+: /,
           "$name: no connection had to be made again");

    $nginx->stop;
}


my $port = free_port();
my ($cert, $key) = $tls->signed('redis', 'IP:127.0.0.1');

start_redis(password => 'secret', config => [ "tls-port $port",
    "tls-cert-file $cert", "tls-key-file $key", 'tls-auth-clients no',
    'tls-ca-cert-file ' . $tls->ca ]);

foreach ('TLSv1.2', 'TLSv1.3') {
    works_ok($_, redis => 'rediss://:secret@127.0.0.1:' . far($port) . '/1',
        http => 'chat_redis_ssl_trusted_certificate ' . $tls->ca . ';'
            . "chat_redis_ssl_protocols $_;");
}

# a Sentinel, and what it calls the master

my $master = far(start_redis());

my $sentinel = Chat::Sentinel::One->new(dir => test_dir() . '/sentinel',
    port => free_port(), config => [ "sentinel monitor $NAME 127.0.0.1"
    . " $master 1" ])->start;

works_ok('Sentinel', redis => 'redis+sentinel://127.0.0.1:'
    . far($sentinel->port) . "/$NAME/1");

$sentinel->stop;

done();
