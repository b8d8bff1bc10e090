#!/usr/bin/perl

# Connections that a worker keeps to a provider behind TLS: spares are verified
# as calls are, and sessions are resumed.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Front;
use Chat::Tls;

my %PIECES = (chunks => 3, gap => 5);

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $provider = start_provider(%PIECES);
my $trust = 'trusted_certificate ' . $tls->ca . ';';
my @good = $tls->signed('provider', 'IP:127.0.0.1,DNS:localhost');
my $number = 0;


sub with {
    my ($url, $lines, %opt) = @_;

    return start_nginx(redis => 'off', provider => $url, workers => 1,
        provider_lines => "retries 0; connect_timeout 2s;\n$trust\n$lines",
        %opt);
}


# One after the other, each when the call before has ended, or, with a number
# of connections, when so many are idle.

sub answered_ok {
    my ($nginx, $count, $name, $idle) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    foreach (1 .. $count) {
        my $question = 'Who answers, number ' . ++$number . '?';

        stream_ok(scalar ask($nginx, { question => $question }),
                  "$name: answer $_", text => text_of($question, %PIECES));
        wait_for {
            $idle ? idle($nginx) == $idle
                  : get($nginx, '/')->{body} =~ /"direct": 0\b/;
        } 5, 'the call to end';
    }
}


# idle connections as the debug log of the worker tells

sub idle {
    my ($nginx) = @_;
    my @idle = $nginx->error_log =~ /chat kept connection .*, idle:(\d+)$/mg;

    return $idle[-1] // 0;
}


# connections to the front, from the kernel's side: "01" is established

sub established {
    my ($front) = @_;
    my $port = sprintf('%04X', $front->port);

    return scalar(grep { /^\s*\d+: \w+:\w+ \w+:$port 01 / }
                  split(/\n/, read_file('/proc/net/tcp')));
}


sub spare_ok {
    my ($front, $count, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(wait_for(sub { established($front) == $count }, 5), $name)
        or diag('established: ' . established($front));
}


foreach my $case ([ 'address', '127.0.0.1' ], [ 'name', 'localhost' ]) {
    my ($what, $host) = @$case;
    my $front = tls_front($provider, @good);
    my $nginx = with(url_of($front, $host), '', level => 'debug');

    answered_ok($nginx, 1, "by $what, the first one", 2);
    spare_ok($front, 2, "by $what: its connection, and a spare");
    answered_ok($nginx, 5, "by $what, those that follow", 2);

    my @seen = seen($front, 6);
    my %connections = map { $_->[2] => 1 } @seen;

    is(scalar(keys %connections), 1, "by $what: one connection for all");
    spare_ok($front, 2, "by $what: no more connections are made");

    $nginx->stop;
    spare_ok($front, 0, "by $what: nothing is left");
}

# a new connection for each question: all but the first are resumed

foreach my $version ('TLSv1.2', 'TLSv1.3') {
    my $front = tls_front($provider, @good,
        lines => "ssl_protocols $version;");
    my $nginx = with(url_of($front, 'localhost'), 'keepalive 0;');

    answered_ok($nginx, 4, "resumed, $version");

    my @seen = seen($front, 4);
    my %connections = map { $_->[2] => 1 } @seen;

    is($seen[0][1], $version, "resumed, $version: so it is");
    is(scalar(keys %connections), 4, "resumed, $version: four connections");
    is(join('', map { $_->[6] } @seen), '.rrr',
       "resumed, $version: sessions of all but the first");
}

# spares: more and more questions at once, each time one more than there were
# connections before, and that one finds the spare

foreach my $version ('TLSv1.2', 'TLSv1.3') {
    my $front = tls_front($provider, @good,
        lines => "ssl_protocols $version;");
    my $nginx = with(url_of($front, 'localhost'), '', level => 'debug');

    foreach my $count (1 .. 4) {
        my @all = ask($nginx, map {
            { question => "Who is $_ of $count? {{first=300}}" }
        } 1 .. $count);

        is(scalar(grep { $_->{terminal}{status} eq 'completed' } @all),
           $count, "spares, $version: answered, $count at once");
        ok(wait_for(sub { idle($nginx) == $count + 1 }, 5),
           "spares, $version: one more than $count is there");
    }

    my @seen = seen($front, 10);
    my %resumed = map { $_->[2] => $_->[6] } @seen;

    is(scalar(keys %resumed), 4, "spares, $version: they were used");
    is(join('', sort values %resumed), '.rrr',
       "spares, $version: their sessions are resumed");

    # nginx waits for connections without a first request when it quits

    $nginx->stop;
}

# a certificate that calls refuse is refused for a spare as well: the provider
# is another one all of a sudden

my $right = tls_front($provider, @good);
my $wrong = tls_front($provider, $tls->signed('wrong', 'DNS:wrong.example'));
my $other = Chat::Tls->new(test_dir() . '/other', 'another-ca');
my $untrusted = tls_front($provider, $other->signed('untrusted',
    'IP:127.0.0.1,DNS:localhost'));

foreach my $case ([ 'another name', $wrong, 'localhost' ],
                  [ 'another address', $wrong, '127.0.0.1' ],
                  [ 'another authority', $untrusted, 'localhost' ],
                  [ 'another authority, by address', $untrusted, '127.0.0.1' ])
{
    my ($what, $front, $host) = @$case;
    my $proxy = start_proxy($right);
    my $nginx = with(url_of($proxy, $host), '');

    answered_ok($nginx, 1, "$what: at first");
    ok(wait_for(sub { $proxy->connections == 2 }, 5),
       "$what: a spare is there at first");
    $proxy->set(target => $front->port, drop => 1);
    ok(wait_for(sub { $nginx->error_log =~ /no spare connection to / }, 5),
       "$what: the spare is refused");
    ok(wait_for(sub { $proxy->connections == 0 }, 5),
       "$what: no connection is kept");
    # a question may find that its provider has no IPv6

    unlike(join("\n", grep { !/request: "POST/ }
                       split(/\n/, $nginx->error_log)),
           qr/\[(?:warn|error|crit|alert)\]/,
           "$what: the refused spare is no more than information");
    stream_ok(scalar ask($nginx, { question => "Who is refused for $what?" }),
              "$what: the call is refused", error => 'provider_refused');
    $nginx->stop;
}

# a front that resumes nothing is none the worse

my $forgets = tls_front($provider, @good,
    lines => 'ssl_session_tickets off; ssl_session_cache off;');
my $nginx = with(url_of($forgets, 'localhost'), 'keepalive 0;');

answered_ok($nginx, 3, 'no sessions');
is(join('', map { $_->[6] } seen($forgets, 3)), '...',
   'no sessions: none is resumed');

done();
