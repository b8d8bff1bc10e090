#!/usr/bin/perl

# Connections to providers that a worker keeps: those of calls that have ended,
# and a spare one, made in the background, as long as the provider is asked.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Canned qw(event delta finish);

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

my $number = 0;
my (%looks, @nginx);


# an instance with one worker, without Redis, and a provider of its own

sub pair {
    my ($lines, %opt) = @_;
    my $provider = start_provider(chunks => 3, gap => 5,
                                  %{ $opt{provider_options} || {} });
    my $port = $opt{through} ? $opt{through}->($provider) : $provider->port;

    $looks{$provider} = 0;

    my $nginx = start_nginx(redis => 'off', workers => 1,
        http => "chat_direct_limit 200;\n" . ($opt{http} || ''),
        provider => "http://" . ($opt{host} || '127.0.0.1') . ":$port/v1",
        provider_lines => "retries 0; connect_timeout 2s;\n" . ($lines || ''));

    push(@nginx, $nginx);

    return ($nginx, $provider);
}


# connections that the provider has now, and has accepted in all, without those
# of the test itself

sub open_now { return look($_[0])->{open} - 1 }
sub accepted { return look($_[0])->{connections} - $looks{$_[0]} }


sub look {
    my ($provider) = @_;

    $looks{$provider}++;

    return provider_stats($provider);
}


sub open_ok {
    my ($provider, $count, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(wait_for(sub { open_now($provider) == $count }, 5), $name)
        or diag('open: ' . open_now($provider));
}


# established connections to a port with this timer: when it is due

sub timers {
    my ($server, $timer) = @_;
    my $port = sprintf('%04X', $server->port);

    my @due = read_file('/proc/net/tcp')
        =~ /^\s*\d+: \w+:\w+ \w+:$port 01 \w+:\w+ $timer:(\w+)/mg;

    return @due;
}


sub answered_ok {
    my ($nginx, $count, $name, %opt) = @_;
    my @asks = map { { question => 'Who is number ' . ++$number . '?', %opt } }
        1 .. $count;
    my @answers = ask($nginx, @asks);
    my @whole = grep { ($_->{terminal}{status} // '') eq 'completed' }
                @answers;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(scalar(@whole), $count, $name);

    # a client has its answer a little before the call has ended

    wait_for { get($nginx, '/')->{body} =~ /"direct": 0\b/ } 5,
        'the calls to end';
}


# one after the other

my ($nginx, $provider) = pair();

is(open_now($provider), 0, 'at first: nobody asked, no connection');

answered_ok($nginx, 1, 'one question: answered');
open_ok($provider, 2, 'one question: its connection, and a spare');

answered_ok($nginx, 1, "one after the other: question $_") foreach 2 .. 10;

is(accepted($provider), 2, 'one after the other: no more connections');
is(open_now($provider), 2, 'one after the other: both are there');

# many at once: no answer begins before all are asked

sub all_asked {
    my ($count) = @_;
    my $begun = 0;

    $looks{$provider} += 2;
    provider_set($provider, upto => 0);

    return on_event => sub {
        my ($q, $event) = @_;

        return if $event->{status} ne 'processing' || ++$begun < $count;

        wait_for { look($provider)->{active} == $count } 10, 'all calls';
        provider_set($provider, upto => 100);
    };
}

answered_ok($nginx, 64, 'many at once: answered', all_asked(64));

my $accepted = accepted($provider);

cmp_ok($accepted, '<=', 66, 'many at once: hardly more than questions');
cmp_ok(open_now($provider), '>=', 64, 'many at once: all are kept');

answered_ok($nginx, 64, 'many at once, again: answered', all_asked(64));
is(accepted($provider), $accepted, 'many at once, again: no new connection');

# the kernel asks for those that are gone without a word: "02" is its timer for
# that, in ticks of 10 ms

my @timers = timers($provider, '02');

is(scalar(@timers), open_now($provider),
   'idle: the kernel probes every connection');
is(scalar(grep { hex > 3000 } @timers), 0, 'idle: within 30 s');

# reload: the old worker lets go, the new one begins

ok($nginx->reload, 'reload: done');
open_ok($provider, 0, 'reload: nothing is left of the old worker');
answered_ok($nginx, 1, 'reload: the new worker answers');
open_ok($provider, 2, 'reload: the new worker has a spare');

# quit, in the middle of an answer

($nginx, $provider) = pair();
answered_ok($nginx, 8, 'quit: answered before');

my ($last) = ask($nginx, { question => 'Who is last? {{chunks=20;gap=50}}',
    on_event => sub {
        my ($q, $event) = @_;

        $nginx->signal('QUIT') if @{ $q->{chunks} } == 5;
    } });

stream_ok($last, 'quit: the answer is whole', restarts => 0);
ok($nginx->stop, 'quit: the worker ends');
open_ok($provider, 0, 'quit: nothing is left');

# as many as are to be kept, and for so long

($nginx, $provider) = pair('keepalive 4;');
answered_ok($nginx, 16, 'keepalive 4: answered');
open_ok($provider, 4, 'keepalive 4: four are kept');

($nginx, $provider) = pair('keepalive 0;');
answered_ok($nginx, 1, "keepalive 0: answer $_") foreach 1 .. 3;
open_ok($provider, 0, 'keepalive 0: nothing is kept');
is(accepted($provider), 3, 'keepalive 0: no spare');

($nginx, $provider) = pair('keepalive_timeout 1s;');
answered_ok($nginx, 16, 'keepalive_timeout: answered');
cmp_ok(open_now($provider), '>=', 16, 'keepalive_timeout: kept');
ok(wait_for(sub { open_now($provider) <= 1 }, 10),
   'keepalive_timeout: all but a spare are closed');

# a provider that says that it closes connections gets none to spare

($nginx, $provider) = pair('', provider_options => { te => 'close' });
answered_ok($nginx, 1, "never kept alive: answer $_") foreach 1 .. 10;
open_ok($provider, 0, 'never kept alive: nothing is kept');
is(accepted($provider), 10, 'never kept alive: no spare');

# spares that are closed: made again at once, then later and later

my $proxy;

($nginx, $provider) = pair('', through => sub {
    $proxy = start_proxy($_[0]);
    return $proxy->port;
});

answered_ok($nginx, 1, 'closed spares: answered');
ok(wait_for(sub { $proxy->connections == 2 }, 5),
   'closed spares: the first one is there');

foreach ([ 1, 0 ], [ 2, 1 ], [ 3, 2 ]) {
    my ($time, $pause) = @$_;

    $proxy->set(drop => 1);

    my $began = time();

    ok(wait_for(sub { $proxy->connections == 1 }, 10),
       "closed spares: made again, time $time");
    cmp_ok(time() - $began, '>', $pause * 0.9,
           "closed spares: not before $pause s, time $time");
}

# a call that uses one has the next one made at once

answered_ok($nginx, 1, 'a used spare: answered');
ok(wait_for(sub { $proxy->connections == 2 }, 5),
   'a used spare: the next one comes');
$proxy->set(drop => 1);

my $began = time();

ok(wait_for(sub { $proxy->connections == 1 }, 10),
   'a used spare: the back-off is over');
cmp_ok(time() - $began, '<', 3, 'a used spare: made again at once');

# a provider that closes every connection, after one good answer

my $closer = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0,
    Listen => 64, Proto => 'tcp') or die "listen: $@\n";
my $storm = start_nginx(redis => 'off', workers => 1,
    provider => 'http://127.0.0.1:' . $closer->sockport . '/v1',
    provider_lines => 'retries 0;');
my (@closed, $asked);

sub close_all {
    my ($seconds) = @_;
    my $until = time() + $seconds;
    my $select = IO::Select->new($closer);

    while ((my $left = $until - time()) > 0) {
        next unless $select->can_read($left);

        my $sock = $closer->accept;

        if (!@closed) {
            sysread($sock, my $request, 65536);
            syswrite($sock, "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n"
                     . "data: [DONE]\n\n");
        }

        close($sock);
        push(@closed, time());
    }
}

if (!($asked = fork() // die "fork: $!\n")) {
    ask($storm, { question => 'Who is closed?' });
    POSIX::_exit(0);
}

close_all(3.5);
waitpid($asked, 0);

# the question, its spare, one at once, one after 1 s, and one 2 s later

cmp_ok(scalar(@closed), '>=', 4, 'closed at once: spares are tried');
cmp_ok(scalar(@closed), '<=', 5, 'closed at once: with pauses');

# refused connections are no failures of the provider

($nginx, $provider) = pair();
answered_ok($nginx, 1, 'refused spares: answered');
open_ok($provider, 2, 'refused spares: there at first');
$provider->stop;
ok(wait_for(sub {
    $nginx->error_log =~ m!\[info\] .*: no spare connection to "127.*refused!;
}, 5), 'refused spares: told of, for information');
like(get($nginx, '/')->{body}, qr/"state": "up", "answers": 1, "failures": 0/,
     'refused spares: the provider has not failed');
unlike($nginx->error_log, qr/\[(?:warn|error|crit)\]/,
       'refused spares: nothing worse in the log');

# connections that are closed as soon as something is asked: one is tried, and
# then a new one

my $canned = Chat::Canned->new([ { last => 1, send => [
    event(delta('"a"')), 0.5, event(finish('stop')), event('[DONE]') ] } ],
    test_dir() . '/canned');
my $stale = start_nginx(redis => 'off', workers => 1, provider => $canned,
    provider_lines => 'retries 0;', location => 'chat_cache off;');
my @five = ask($stale, map { { question => 'Case 0' } } 1 .. 5);

is(scalar(grep { $_->{terminal}{status} eq 'completed' } @five), 5,
   'closed when used: answered before');
ok(wait_for(sub { timers($canned, '02') == 6 }, 5),
   'closed when used: all are kept, and a spare');
stream_ok(scalar ask($stale, { question => 'Who finds it closed?' }),
          'closed when used: answered on a new one', text => 'Fine, thanks.');
cmp_ok(scalar(timers($canned, '02')), '>=', 5,
       'closed when used: no more than one was tried');

# a name: nobody waits for the name server as long as there are connections

my $dns = start_dns('llm.test' => '127.0.0.1', ttl => 1);

($nginx, $provider) = pair('', host => 'llm.test',
    http => 'resolver 127.0.0.1:' . $dns->port . ' ipv6=off valid=1s;'
            . 'resolver_timeout 5s;');
answered_ok($nginx, 1, 'a name: answered');
open_ok($provider, 2, 'a name: a spare is there');

$dns->set('llm.test' => 'mute');
sleep(2.2);

$began = time();
answered_ok($nginx, 2, 'a name: answered while the name server is silent');
cmp_ok(time() - $began, '<', 1 + $SLACK / 3,
       'a name: nobody waits for the name server');
open_ok($provider, 3, 'a name: the next spare has the address of before');

$_->stop foreach @nginx;
done();
