#!/usr/bin/perl

# A provider over TLS: to connect to it takes time.  A question goes to where a
# connection is: through the queue to a filler that shares one of HTTP/2, as long
# as the worker has none of its own.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Front;
use Chat::Led;
use Chat::Tls;

my $tls = Chat::Tls->new(test_dir() . '/tls');
my @files = $tls->signed('provider', 'IP:127.0.0.1');
my $trust = 'trusted_certificate ' . $tls->ca . ';';
my $provider = start_provider(chunks => 5, gap => 5);
my $shared = tls_front($provider, @files, listen => 'http2');
my $single = tls_front($provider, @files);

my $nginx = led_nginx(redis => start_redis(), provider => $provider,
    workers => 1,
    http => join('', map {
              " chat_provider $_->[0] { url " . url_of($_->[1])
              . "; key sk; model m; $trust }"
          } [ 'fresh', $shared ], [ 'shared', $shared ],
            [ 'single', $single ]),
    server => join('', map {
              " location = /$_ { chat $_; }"
              . " location = /queued/$_ { chat $_; chat_lead off; }"
          } qw(fresh shared single)));


# who makes the answer

my $asked = 0;

sub source {
    my ($path, $what) = @_;
    my ($q) = ask($nginx, { path => $path,
                            question => 'Who, ' . ++$asked . '?' });

    stream_ok($q, $what, restarts => 0);

    return ($q->{headers}{'x-source'} // '') . " $path";
}


is(source('/fresh', 'nobody is connected: answered'), 'led /fresh',
   'nobody is connected: led');

is(source('/queued/shared', 'through the filler: answered'),
   'queued /queued/shared', 'through the filler');
is(source('/queued/single', 'through the filler, HTTP/1.1: answered'),
   'queued /queued/single', 'through the filler, HTTP/1.1');

# a filler tells once a second which connections it has

sleep(2);

is(source('/shared', 'the filler is connected: answered'), 'queued /shared',
   'the filler is connected, the worker is not: queued');
is(source('/single', 'its connection is not shared: answered'), 'led /single',
   'its connection is not shared: led');
is(source('/fresh', 'the worker is connected: answered'), 'led /fresh',
   'the worker is connected: led');

done();
