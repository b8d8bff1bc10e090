#!/usr/bin/perl

# A provider that fails: what is asked again, when, and what clients see.  A
# worker that leads asks, and then a filler.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use IO::Socket::INET;
use POSIX qw(strftime setlocale LC_TIME);

setlocale(LC_TIME, 'C');

my $closed = free_port();
my $late = free_port();

# connections to a queue that is full are neither taken nor refused

my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1,
    LocalPort => free_port(), Proto => 'tcp') or die "listen: $!\n";
my @waiting = map {
    IO::Socket::INET->new(PeerAddr => '127.0.0.1', Proto => 'tcp',
        PeerPort => $full->sockport, Blocking => 0)
} 1 .. 8;

my $redis = start_redis();
my $provider = start_provider(chunks => 6);

my %lines = (
    none => 'retries 0;',
    four => 'retries 4;',
    total => 'retries 9; total_timeout 2500ms;',
    first => 'first_token_timeout 1500ms; idle_timeout 1s;',
    whole => 'total_timeout 900ms;',
    closed => 'retries 2;',
    late => 'retries 4;',
    full => 'connect_timeout 300ms; retries 1;',
);
my %port = (closed => $closed, late => $late, full => $full->sockport);
my ($blocks, $locations) = ('', '');

foreach my $name (sort keys %lines) {
    my $port = $port{$name} || $provider->port;

    $blocks .= "chat_provider $name { url http://127.0.0.1:$port/v1; model m;"
        . " key sk-test-key; $lines{$name} }\n";
    $locations .= "location = /$name { chat $name; }\n";
}

my ($nginx, $by);
my $number = 0;

# one question: how the provider behaves, and where it is asked

sub question {
    my ($options, $path, %more) = @_;

    return { question => "Question " . ++$number . "? {{$options}}",
             path => '/' . ($path || 'chat'), %more };
}


sub took {
    my ($q) = @_;

    return $q->{ended} - $q->{started};
}


sub between {
    my ($value, $min, $max, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($value >= $min && $value <= $max, $name)
        or diag("$value is not between $min and $max");
}


# an answer by the call number n

sub nth_pieces {
    my ($question, $n) = @_;

    return Chat::Answer::pieces_of($question,
        Chat::Answer::options_of({ chunks => 6 }, '', $question), $n);
}


# before anything was sent: options, path, calls, seconds, error code or none

my @cases = (
    [ 'one 500', 'fails=1;status=500', '', 2, 0.2 ],
    [ 'two of 503', 'fails=2;status=503', '', 3, 0.6 ],
    [ 'three of 500', 'fails=3;status=500', '', 3, 0.6, 'provider_refused' ],
    [ 'three, four retries', 'fails=3;status=502', 'four', 4, 1.4 ],
    [ 'one 408', 'fails=1;status=408', '', 2, 0.2 ],
    [ '408 for ever', 'status=408', '', 3, 0.6, 'provider_timeout' ],
    [ 'one 429', 'fails=1;status=429', '', 2, 0.2 ],
    [ '429 for ever', 'status=429', '', 3, 0.6, 'provider_rate_limited' ],
    [ 'one 400', 'status=400', '', 1, 0, 'provider_refused' ],
    [ 'one 401', 'status=401', '', 1, 0, 'provider_refused' ],
    [ 'one 404', 'status=404', '', 1, 0, 'provider_refused' ],
    [ 'Retry-After', 'fails=1;status=429;retry_after=1', '', 2, 1 ],
    [ 'a long one', 'status=429;retry_after=11', '', 1, 0,
      'provider_rate_limited' ],
    [ 'a wrong one', 'fails=1;status=503;retry_after=soon', '', 2, 0.2 ],
    [ 'a negative one', 'fails=1;status=503;retry_after=-5', '', 2, 0.2 ],
    [ 'not after total_timeout', 'status=503;retry_after=5', 'total', 1, 0,
      'provider_refused' ],
    [ 'as often as total_timeout allows', 'status=503', 'total', 4, 1.4,
      'provider_refused' ],
    [ 'retries 0', 'fails=1;status=500', 'none', 1, 0, 'provider_refused' ],
    [ 'a 401 without its body', 'status=401;then=stall', '', 1, 1,
      'provider_refused' ],
    [ 'a 503 without its body', 'fails=1;status=503;then=stall', '', 2, 1.2 ],
    [ 'html', 'fault=html', '', 1, 0, 'provider_broken' ],
    [ 'a reset at once', 'fails=1;fault=reset;at=0', '', 2, 0.2 ],
    [ 'an end at once', 'fails=1;fault=eof;at=0', '', 2, 0.2 ],
    [ 'nobody there', '', 'closed', 0, 0.6, 'provider_refused' ],
    [ 'a full queue', '', 'full', 0, 0.8, 'provider_timeout' ],
    [ 'no headers', 'fault=hang', 'first', 1, 1.5, 'provider_timeout' ],
    [ 'no token', 'first=9000', 'first', 1, 1.5, 'provider_timeout' ],
    [ 'reasoning is a token', 'reasoning=5;first=500;gap=300', 'first', 1,
      3.5 ],
    [ 'silent after reasoning', 'reasoning=1;gap=9000;first=500', 'first', 1,
      1.5, 'provider_timeout' ],
    [ 'idle', 'fault=stall;at=2;gap=10', 'first', 1, 1,
      'provider_timeout' ],
    [ 'slow but alive', 'gap=300', 'first', 1, 1.7 ],
    [ 'total', 'chunks=50;gap=50', 'whole', 1, 0.9, 'provider_timeout' ],
);

foreach my $lead ('on', 'off') {
    $by = $lead eq 'on' ? 'led, ' : '';
    $nginx = start_nginx(redis => $redis, provider => $provider, lead => $lead,
        http => $blocks, server => $locations);
    wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'it to be ready';

    my @asks = map { question($_->[1], $_->[2]) } @cases;
    my @all = ask($nginx, @asks);
    my $stats = provider_stats($provider)->{questions};
    my (@more, %ended);

    foreach my $i (0 .. $#cases) {
        my ($name, $options, $path, $calls, $min, $code) = @{ $cases[$i] };
        my $q = $all[$i];
        my $question = $asks[$i]{question};
        my %want = defined $code ? (error => $code)
            : (chunks => [ nth_pieces($question, $calls) ]);

        stream_ok($q, "${by}$name: ends by " . ($code // 'its answer'),
                  restarts => 0, %want);
        is($stats->{key_of($question)} || 0, $calls,
           "${by}$name: $calls calls");
        between(took($q), $min, $min + $SLACK, "${by}$name: in its time");
        push(@more, took($q) - $min);
        $ended{$name} = $q->{ended};
        is($redis->cmd('EXISTS', stream_key($question)), defined $code ? 0 : 1,
           "${by}$name: "
           . (defined $code ? 'nothing is cached' : 'it is cached'));
        unlike($q->{body}, qr/sk-|127\.0\.0\.1|$closed|secret/,
               "${by}$name: nothing told");
    }

    mostly_ok(\@more, 1, "${by}all cases: no longer than that");
    cmp_ok($ended{'not after total_timeout'}, '<',
           $ended{'as often as total_timeout allows'},
           "${by}not after total_timeout: too late is not waited for");

    # a date, of whole seconds

    my $date = strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time() + 3));

    $date =~ s/([^\w])/sprintf('%%%02X', ord($1))/ge;

    my $ask = question("fails=1;status=503;retry_after=$date");
    my $q = ask($nginx, $ask);

    stream_ok($q, "${by}Retry-After is a date: an answer", restarts => 0);
    between(took($q), 1, 3 + $SLACK,
            "${by}Retry-After is a date: it is obeyed");

    # a provider that comes up meanwhile

    my $up;

    @all = ask($nginx,
        question('', 'late', on_event => sub {
            $up ||= start_provider(port => $late, chunks => 6);
        }));
    $up->stop;

    stream_ok($all[0], "${by}a provider that comes up: an answer",
              restarts => 0);
    between(took($all[0]), 0.2, 3 + $SLACK,
            "${by}a provider that comes up: it is asked again");

    # in the middle of the stream

    foreach my $fault ('reset', 'eof', 'badjson', 'errobj') {
        my $ask = question("unique;fault=$fault;at=3;fails=1;gap=200");
        my $question = $ask->{question};
        my @want = nth_pieces($question, 2);
        my @kinds = ('processing', ('streaming') x 3, 'processing',
                     ('streaming') x 6, 'completed');
        my $seen = 0;

        $ask->{on_event} = sub { $seen++ };

        my ($q, $early, $second) = ask($nginx, $ask,
            { %$ask, on_event => undef, after => sub { $seen >= 2 } },
            { %$ask, on_event => undef, after => sub { $seen >= 6 } });

        stream_ok($q, "${by}$fault: starts over", restarts => 1,
                  chunks => \@want);
        is_deeply([ map { $_->{status} } @{ $q->{events} } ], \@kinds,
                  "${by}$fault: the events");
        stream_ok($early, "${by}$fault: joined before", restarts => 1,
                  chunks => \@want, cache => qr/collapsed/);
        stream_ok($second, "${by}$fault: joined after", chunks => \@want,
                  cache => qr/collapsed/);
        is(provider_stats($provider, $question), 2, "${by}$fault: two calls");

        my $entries = $redis->entries(stream_key($question));

        is_deeply([ map { $_->{status} } @$entries ],
                  [ 'processing', ('streaming') x 6, 'completed' ],
                  "${by}$fault: cached without the first try");
        is($entries->[-1]{chunk}, join('', @want),
           "${by}$fault: the second text");

        my $hit = ask($nginx, { question => $question });

        stream_ok($hit, "${by}$fault: a hit", restarts => 0, chunks => \@want,
                  cache => qr/hit/);
    }

    # faults that go on, and a limit that forbids to start over

    @asks = (question('unique;fault=eof;at=2;gap=30'),
             question('unique;fault=eof;at=2;gap=30;fails=1', 'none'),
             question('fault=eof;at=2;gap=30', 'total'));
    @all = ask($nginx, @asks);

    stream_ok($all[0], "${by}a fault each time: an error",
              error => 'provider_broken', restarts => 2);
    stream_ok($all[1], "${by}retries 0: the first fault is the last",
              error => 'provider_broken', restarts => 0);
    stream_ok($all[2], "${by}total_timeout: no more often than it allows",
              error => 'provider_broken', restarts => 3);
    between(took($all[2]), 1.4, 2.5 + $SLACK,
            "${by}total_timeout: in its time");
    is(provider_stats($provider, $asks[0]{question}), 3,
       "${by}a fault each time: three calls");
    is(provider_stats($provider, $asks[1]{question}), 1,
       "${by}retries 0: one call");
    is($redis->cmd('EXISTS', map { stream_key($_->{question}) } @asks), 0,
       "${by}faults that go on: nothing is cached");

    # its filler would take the tasks of the next one

    $nginx->stop;
}

wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'at the end: no call goes on');

done();
