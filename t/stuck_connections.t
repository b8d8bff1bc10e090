#!/usr/bin/perl

# HTTP/2 connections of a provider that lead nowhere any more, again and again:
# nobody new goes over one, those on them go on, and other providers keep
# theirs.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Front;
use Chat::Proxy;
use Chat::Tls;

my $TIMES = 10;

my $tls = Chat::Tls->new(test_dir() . '/tls');
my @files = $tls->signed('provider', 'IP:127.0.0.1');
my $trust = 'trusted_certificate ' . $tls->ca . ';';
my $provider = start_provider(chunks => 5, gap => 1);
my $front = tls_front($provider, @files, listen => 'http2');
my $other = tls_front($provider, @files, listen => 'http2');
my $gate = start_proxy($front);
my $url = url_of($other);

my $nginx = start_nginx(redis => start_redis(), lead => 'off',
    provider => 'https://127.0.0.1:' . $gate->port . '/v1',
    provider_lines => "retries 0; first_token_timeout 2s; $trust",
    http => "chat_provider other { url $url; key sk; model m; $trust }",
    server => 'location = /other { chat other; }');


sub another {
    my ($when) = @_;

    stream_ok(scalar ask($nginx, { path => '/other',
                                   question => "Who else, $when?" }),
              "another provider: asked $when");
}


# The first of each pair gets a connection, which then is stuck, and the second
# waits on it until it is given up.

my ($held, $lost) = (0, 0);


sub pair {
    my ($n) = @_;

    return { question => "Who stays, number $n? {{chunks=30;gap=40}}",
             timeout => 120, after => sub { $lost == $n },
             on_event => sub {
                 return if $held > $n
                           || @{ $_[0]{chunks} } < 5 && !$_[0]{terminal};
                 $gate->set(hold => 1);
                 $held++;
             } },
           { question => "Who is lost, number $n?", timeout => 120,
             after => sub { $held > $n },
             on_event => sub { $lost++ if $_[0]{terminal} } };
}


sub descriptors {
    my @files = glob('/proc/' . ($nginx->filler_pids)[0] . '/fd/*');

    return scalar(@files);
}


another('before');

my $before = descriptors();

my @all = ask($nginx, map({ pair($_) } 0 .. $TIMES - 1),
    { question => 'Who comes last?', timeout => 120,
      after => sub { $lost == $TIMES },
      on_event => sub { $gate->set(hold => 0) if $_[0]{terminal} } });

another('after');

my $last = pop(@all);

is((seen($front, $TIMES + 1))[-1][0], 'HTTP/2.0', 'stuck connections: HTTP/2');
stream_ok($last, "stuck $TIMES times: the next goes over a new connection",
          restarts => 0);

foreach my $n (0 .. $TIMES - 1) {
    my ($stays, $gone) = splice(@all, 0, 2);

    stream_ok($stays, "stuck connection $n: who is on it goes on when it does",
              restarts => 0);
    stream_ok($gone, "stuck connection $n: who waits on it is lost",
              error => 'provider_timeout');
}

my %connections = map { $_->[2] => 1 } seen($other, 2);

is(scalar(keys %connections), 1,
   'at the end: another provider keeps its connection');

# a new connection, and what libcurl needs besides

ok(wait_for(sub { descriptors() <= $before + 6 }, 10, 'the closing'),
   'at the end: the stuck ones are closed')
    or diag("$before before, now " . descriptors());

done();
