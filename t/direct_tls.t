#!/usr/bin/perl

# The direct path to a provider behind TLS: who answers is verified, with the
# name that the URL has, and connections are kept.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Front;
use Chat::Tls;

my %PIECES = (chunks => 6, gap => 15);

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $other = Chat::Tls->new(test_dir() . '/other', 'another-ca');
my $provider = start_provider(%PIECES);
my $trust = 'trusted_certificate ' . $tls->ca . ';';
my $number = 0;


sub with {
    my ($url, $lines, %opt) = @_;

    return start_nginx(redis => 'off', provider => $url, workers => 1,
        provider_lines => "retries 0; connect_timeout 2s;\n$lines", %opt);
}


sub works_ok {
    my ($nginx, $name) = @_;
    my $question = 'Who answers, number ' . ++$number . '?';

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($nginx, { question => $question }), $name,
              chunks => [ pieces_of($question, %PIECES) ],
              cache => qr/detail=direct$/);
}


sub refused_ok {
    my ($name, $nginx, $why, $code) = @_;
    my $question = 'Who is refused, number ' . ++$number . '?';

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($nginx, { question => $question }),
              "$name: the connection is refused", error => $code ||
              'provider_refused');
    like($nginx->error_log, qr/\[error\] .*provider "openai" at .*$why/,
         "$name: the log says why");
    is(provider_stats($provider, $question), 0, "$name: it asked nothing");
    $nginx->stop;
}


my @good = $tls->signed('provider', 'IP:127.0.0.1,DNS:localhost,DNS:group');
my $front = tls_front($provider, @good);

# by address: nginx alone would compare names only

my $nginx = with(url_of($front), $trust);

foreach (1 .. 5) {
    works_ok($nginx, "by address: answer $_ is whole");

    # a client has its answer a little before the call has ended

    wait_for { get($nginx, '/')->{body} =~ /"direct": 0\b/ } 5,
        'the call to end';
}

my %connections = map { $_->[2] => 1 } seen($front, 5);

# one that is slow to end its answer after [DONE] is not waited for

cmp_ok(scalar(keys %connections), '<', 5, 'by address: connections are kept');

my $large = 'What is large? {{chunks=260;bytes=8000;gap=0}}';

stream_ok(scalar ask($nginx, { question => $large, timeout => 60 }),
          'two million bytes: the answer is whole', text => text_of($large));

# a long question: read and written in many pieces

my $long = start_nginx(redis => 'off', provider => url_of($front),
    provider_lines => $trust, location => 'chat_max_question 2m;',
    http => 'client_max_body_size 4m;');

stream_ok(scalar ask($long, { question => 'x' x 1_000_000, timeout => 60 }),
          'a megabyte of question: answered');

# by name

$nginx = with(url_of($front, 'localhost'), $trust);
works_ok($nginx, 'by name: the answer is whole');
ok(wait_for(sub { (seen($front))[-1][4] eq 'localhost.' }, 5),
   'by name: the server is told the name');

# by the name of a group

$nginx = with('https://group/v1', $trust,
    http => 'upstream group { server 127.0.0.1:' . $front->port
            . '; keepalive 4; }');
works_ok($nginx, 'a group: the answer is whole');
ok(wait_for(sub { (seen($front))[-1][4] eq 'group.' }, 5),
   'a group: the server is told its name');

# the authority of the system, which here is the file of a variable

$nginx = with(url_of($front), '', env => { SSL_CERT_FILE => $tls->ca });
works_ok($nginx, "the system's authorities: the answer is whole");

# TLS 1.2 at least

works_ok(with(url_of(tls_front($provider, @good,
    lines => 'ssl_protocols TLSv1.2;')), $trust),
    'TLS 1.2: the answer is whole');
refused_ok('TLS 1.1', with(url_of(tls_front($provider, @good,
    lines => 'ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;')), $trust,
    env => { $tls->old_versions }), 'cannot be reached');

# wrong ones

refused_ok('not trusted', with(url_of($front), ''),
           'cannot be connected to safely, .*certificate');
refused_ok('another authority',
           with(url_of($front), 'trusted_certificate ' . $other->ca . ';'),
           'cannot be connected to safely, .*certificate');

my $expired = tls_front($provider, $tls->signed('expired',
    'IP:127.0.0.1,DNS:localhost', expired => 1));

refused_ok('expired', with(url_of($expired), $trust),
           'cannot be connected to safely, "certificate has expired"');
refused_ok('expired, by name', with(url_of($expired, 'localhost'), $trust),
           'cannot be connected to safely, "certificate has expired"');

my $wrong = tls_front($provider, $tls->signed('wrong',
    'DNS:wrong.example,IP:127.0.0.9'));

refused_ok('another address', with(url_of($wrong), $trust),
           'cannot be connected to safely, "IP address mismatch"');
refused_ok('another name', with(url_of($wrong, 'localhost'), $trust),
           'cannot be connected to safely, '
           . '"the certificate is for another name"');

# somebody who waits for something else

refused_ok('no TLS', with('https://127.0.0.1:' . $provider->port . '/v1',
                          $trust), 'did not accept the connection in time',
           'provider_timeout');

done();
