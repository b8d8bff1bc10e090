#!/usr/bin/perl

# Names of providers: who looks them up, and that nobody else waits for those
# that are not found, or found late.

use warnings;
use strict;

use lib 't/lib';
use Chat::Apart;
use Chat::Test;
use Chat::Connect;
use Chat::Front;
use Chat::Life;
use Chat::Tls;

use Time::HiRes qw(sleep time);

# A name server that answers nothing is asked for 10 s by the system: what
# stands still stands still for that long, and a busy machine does not.

my $GAP = 1;

# look-ups of the system at once

my $THREADS = 32;

my $redis = start_redis();
my $provider = start_provider(chunks => 3, gap => 1);
my $port = $provider->port;
my $dns = start_dns(port => 53, 'silent.test' => 'mute',
                    'works.test' => '127.0.0.1', 'none.test' => '');
my $resolver = 'resolver 127.0.0.1:53 ipv6=off;';

my $number = 0;


# a location for each provider, of that name or as given

sub started {
    my (%opt) = @_;
    my %urls = ((map { $_ => "http://$_.test:$port/v1" }
                 'silent', 'works', 'none'), %{ $opt{urls} || {} });
    my ($blocks, $locations) = ('', '');

    foreach my $name (sort keys %urls) {
        $blocks .= "chat_provider $name {
            url $urls{$name}; key sk; model test; retries 0;
            connect_timeout 1s; @{[ $opt{lines}{$name} // '' ]}
        }\n";
        $locations .= "location = /$name { chat $name; }\n";
    }

    return start_nginx(redis => $redis, provider => $provider, workers => 1,
        lead => 'off', http => $blocks . ($opt{http} // ''),
        server => $locations . ($opt{server} // ''), env => $opt{env});
}


sub question {
    my ($options) = @_;

    return 'Number ' . ++$number . '? {{' . ($options // '') . '}}';
}


sub asked {
    my ($nginx, $path) = @_;

    return scalar ask($nginx, { path => "/$path", question => question() });
}


sub not_resolved {
    my ($nginx, $name, $why, $how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    like($nginx->error_log,
         qr/\[error\] .*"$name" at .* cannot be resolved, "$name\.test: $why"/,
         "$how, $name: the log says why");
}


# so many questions for a provider, once the long stream goes

sub wanted {
    my ($long, $name, $n) = @_;

    return map {
        { path => "/$name", question => question(),
          after => sub { $$long && @{ $$long->{chunks} } > 2 } }
    } 1 .. $n;
}


# the longest time without an event

sub gap {
    my ($result) = @_;
    my $gap = 0;
    my $at;

    foreach my $event (@{ $result->{events} }) {
        $gap = $event->{at} - $at if defined $at && $event->{at} - $at > $gap;
        $at = $event->{at};
    }

    return $gap;
}


# a stream goes on while a name is asked for in vain, by many

sub goes_on {
    my ($nginx, $how) = @_;
    my $threads = 0;
    my $long;
    my @results = ask($nginx,
        { question => question('chunks=100;gap=40'),
          on_event => sub {
              my $now = threads($nginx);

              $long = $_[0];
              $threads = $now if $now > $threads;
          } },
        wanted(\$long, 'silent', 60), wanted(\$long, 'works', 2));
    my $stream = shift(@results);

    stream_ok($stream, "$how: a stream beside a silent name server");
    cmp_ok(gap($stream), '<', $GAP, "$how: no gap in it");
    stream_ok(pop(@results), "$how: another name is found, $_")
        foreach 1 .. 2;

    is(scalar(@results), 60, "$how: those without an answer");

    stream_ok($results[$_], "$how: no answer from the name server, $_",
              error => 'provider_refused') foreach 0 .. $#results;

    is(scalar(grep { $_->{ended} - $_->{started} > 1 + 2 * $SLACK } @results),
       0, "$how: after connect_timeout");
    not_resolved($nginx, 'silent', 'Operation timed out', $how);

    return $threads;
}


sub threads {
    my ($nginx) = @_;
    my ($pid) = $nginx->filler_pids;
    my @threads = glob("/proc/$pid/task/*");

    return scalar(@threads);
}


# what nobody wants any more ends while its name is looked up

sub cancelled_ok {
    my ($how, %opt) = @_;
    my $nginx = started(%opt, http => ($opt{http} // '') . "
            chat_provider patient { url http://silent.test:$port/v1; key sk;
                                    model test; connect_timeout 1m; }",
        server => 'location = /patient {
                       chat patient; chat_abandon cancel grace=0s;
                   }');
    my @questions = map { question() } 1 .. 5;

    ask($nginx, map { { path => '/patient', question => $_,
                        hangup_after => 0 } } @questions);
    ok(wait_for(sub { !grep { live_id($redis, $_) } @questions }, 20,
                'the end of all'), "$how: cancelled during a look-up");
    stream_ok(asked($nginx, 'works'), "$how: and others go on");
    $nginx->stop;
}


# who reloads or stops does not wait for the name server either

sub ends_ok {
    my ($how, %opt) = @_;
    my $nginx;

    foreach my $signal ('HUP', 'TERM', 'QUIT') {
        my ($from, $took);

        $nginx = started(%opt) unless $nginx && $nginx->pid;

        my @old = $nginx->filler_pids;
        my $result = ask($nginx, { path => '/silent', question => question(),
            on_event => sub {
                return if $from;
                $from = time();
                $nginx->signal($signal);
            } });

        ok(wait_for(sub { !grep { !gone($_) } @old }, 5 + $SLACK,
                    'the end'), "$how, $signal: it ends");
        $took = time() - $from;
        cmp_ok($took, '<', 5, "$how, $signal: in time");

        if ($signal ne 'HUP') {
            ok($nginx->stop, "$how, $signal: all of it");
        }
    }
}


# the system's way

my $nginx = started();

cmp_ok(goes_on($nginx, 'system'), '<=', 3,
       'system: a thread for each name, however many ask');
stream_ok(asked($nginx, 'none'), 'system: an unknown name',
          error => 'provider_refused');
not_resolved($nginx, 'none', '[A-Z][^"]+', 'system');
$nginx->stop;
cancelled_ok('system');
ends_ok('system');

# names that are all looked up in vain, and more of them than there may be

my %many = map { ("s$_" => "http://s$_.test:$port/v1") } 1 .. $THREADS + 2;

$dns->set("s$_.test" => 'mute') foreach 1 .. $THREADS + 2;
$nginx = started(urls => \%many);

my $threads = 0;
my @results = ask($nginx, map { { path => "/s$_", question => question(),
    on_event => sub {
        my $now = threads($nginx);

        $threads = $now if $now > $threads;
    } } } 1 .. $THREADS + 2);

stream_ok($results[$_], "too many names: number $_ is not found",
          error => 'provider_refused') foreach 0 .. $#results;
is($threads, 1 + $THREADS, 'too many names: look-ups at once have a limit');
is(scalar(() = $nginx->error_log =~ /: too many names are looked up"/g), 2,
   'too many names: the log tells');
$nginx->stop;

# nginx's resolver

$nginx = started(http => $resolver);

is(goes_on($nginx, 'resolver'), 1, 'resolver: no thread where there is one');
stream_ok(asked($nginx, 'none'), 'resolver: an unknown name',
          error => 'provider_refused');
not_resolved($nginx, 'none', 'Host not found', 'resolver');
$nginx->stop;
cancelled_ok('resolver', http => $resolver);
ends_ok('resolver', http => $resolver);

# what is connected needs no name server

$dns->set('kept.test' => '127.0.0.1');

my %kept = (kept => "http://kept.test:$port/v1");

$nginx = started(http => $resolver, urls => \%kept);
stream_ok(asked($nginx, 'kept'), 'a kept connection: made');
$dns->set('kept.test' => 'mute');

# longer than what the name server said is valid

sleep(2.1);
stream_ok(asked($nginx, 'kept'),
          'a kept connection: used again while the name server is silent');

my ($filler) = $nginx->filler_pids;

kill('KILL', $filler);
wait_for { gone($filler) && $nginx->filler_pids } 10, 'a new filler';
$nginx->allow_log(qr/exited on signal 9/);
stream_ok(asked($nginx, 'kept'), 'a kept connection: a new one is not made',
          error => 'provider_refused');
$dns->set('kept.test' => '127.0.0.1');
stream_ok(asked($nginx, 'kept'),
          'a kept connection: made when the name server is back');
$nginx->stop;

# addresses that change; the provider closes each connection

my %moves = (moves => "http://moves.test:$port/v1");

$dns->set('moves.test' => '127.0.0.1');
$nginx = started(http => $resolver, urls => \%moves);

sub moves_ok {
    my ($addresses, $name, %opt) = @_;

    $dns->set('moves.test' => $addresses);
    sleep(2.1);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($nginx, { path => '/moves',
                                   question => question('te=close') }),
              $name, %opt);
}

moves_ok('127.0.0.1', 'moves: an address');
moves_ok('127.0.0.9', 'moves: a name that has moved is followed',
         error => 'provider_refused');
moves_ok('127.0.0.9 127.0.0.8 127.0.0.1', 'moves: one of several addresses');
moves_ok('', 'moves: a name that is gone', error => 'provider_refused');
moves_ok('127.0.0.1', 'moves: an address again');
$nginx->stop;

$dns->set('six.test' => '::1 127.0.0.1');
$nginx = started(http => 'resolver 127.0.0.1:53;',
                 urls => { six => "http://six.test:$port/v1" });
stream_ok(asked($nginx, 'six'),
          'IPv6: nobody at that address, the other is used');
$nginx->stop;

# the name is what is told and verified, however it is written

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $trust = 'trusted_certificate ' . $tls->ca . ';';
my $front = tls_front($provider, $tls->signed('works', 'DNS:works.test'),
                      listen => 'http2');
my $other = tls_front($provider, $tls->signed('other', 'DNS:other.test'));
my %urls = (front => url_of($front, 'works.test'),
            other => url_of($other, 'works.test'),
            upper => "http://WORKS.Test:$port/v1",
            dot => "http://works.test.:$port/v1",
            local => "http://localhost:$port/v1");

foreach my $how ('', $resolver) {
    my $what = $how ? 'resolver' : 'system';
    my $asked = $dns->asked('localhost');

    $nginx = started(http => $how, urls => \%urls,
                     lines => { front => $trust, other => $trust });

    stream_ok(asked($nginx, 'front'), "$what: behind TLS");
    stream_ok(asked($nginx, 'other'),
              "$what: a certificate for another name",
              error => 'provider_refused');
    stream_ok(asked($nginx, $_), "$what: $urls{$_}")
        foreach 'upper', 'dot', 'local';
    is($dns->asked('localhost'), $asked, "$what: of localhost nobody asks");
    $nginx->stop;
}

is_deeply([ map { "$_->[0] $_->[4]" } seen($front, 2) ],
          [ ('HTTP/2.0 works.test.') x 2 ], 'behind TLS: the name is told');

# Proxies: theirs is the name that is looked up, and the provider's where they
# are to be told an address.

$dns->set('far.test' => '127.0.0.1', 'proxy.test' => '127.0.0.1');

my $http = Chat::Connect->new(port => free_port(),
                              log => test_dir() . '/http');
my $socks = Chat::Connect->new(port => free_port(), socks => 1,
                               log => test_dir() . '/socks');
my $hport = $http->port;
my $sport = $socks->port;

my %proxies = (
    named => "http://proxy.test:$hport",
    bare => "proxy.test:$hport",
    five => "socks5://proxy.test:$sport",
    five_at => "socks5://127.0.0.1:$sport",
    five_h => "socks5h://proxy.test:$sport",
    lost => "http://none.test:$hport",
    lost_five => "socks5://none.test:$sport",
    silent => "socks5://proxy.test:$sport",
);

foreach my $how ('', $resolver) {
    my $what = $how ? 'resolver' : 'system';

    $nginx = started(http => $how,
        urls => { map {
            my $host = $_ eq 'silent' ? 'silent'
                : $proxies{$_} =~ /^socks/ ? 'far' : 'none';

            $_ => "http://$host.test:$port/v1";
        } keys %proxies },
        lines => { map { $_ => "proxy $proxies{$_};" } keys %proxies });

    foreach my $name ('named', 'bare') {
        $http->forget;
        asked($nginx, $name);
        like(join('', $http->requests), qr!^POST http://none\.test:!,
             "$what: $proxies{$name} is asked for a name that nobody knows");
    }

    foreach my $name ('five', 'five_at', 'five_h') {
        $socks->forget;
        stream_ok(scalar ask($nginx, { path => "/$name",
                                       question => question('te=close') }),
                  "$what, $proxies{$name}: an answer");
        is(join('', $socks->requests), $name eq 'five_h'
           ? "SOCKS far.test:$port" : "SOCKS 127.0.0.1:$port",
           "$what, $proxies{$name}: asked for what it should be");
    }

    stream_ok(asked($nginx, $_), "$what, proxy $_: an error",
              error => 'provider_refused') foreach 'lost', 'lost_five',
                                                   'silent';
    not_resolved($nginx, 'silent', 'Operation timed out', "$what, proxy");
    like($nginx->error_log, qr/"$_" at .* cannot be resolved, "none\.test: /,
         "$what, proxy $_: the log names it") foreach 'lost', 'lost_five';
    $nginx->stop;
}

# the environment's proxy, and which names it is not for

foreach my $no_proxy ('works.test', '.test', 'a.b, TEST.', 'test', '*') {
    $http->forget;
    $nginx = started(env => { http_proxy => $proxies{named},
                              no_proxy => $no_proxy });
    stream_ok(asked($nginx, 'works'), "no_proxy $no_proxy: answered");
    is(scalar(() = $http->requests), 0, "no_proxy $no_proxy: not through it");
    $nginx->stop;
}

foreach my $no_proxy ('orks.test', 'works.tes', 'a.works.test', '0.0.0.0/0') {
    $http->forget;
    $nginx = started(env => { http_proxy => $proxies{named},
                              no_proxy => $no_proxy });
    stream_ok(asked($nginx, 'works'), "no_proxy $no_proxy: answered");
    is(scalar(() = $http->requests), 1, "no_proxy $no_proxy: through it");
    $nginx->stop;
}

# another provider is asked instead, and the same one again

$nginx = started(http => "$resolver
    chat_provider again { url http://comes.test:$port/v1; key sk; model test;
                          connect_timeout 1s; retries 2; }",
    server => 'location = /both { chat silent works; }
               location = /again { chat again; }');

stream_ok(asked($nginx, 'both'),
          'both: another provider instead of a silent name');

my $again;

$dns->set('comes.test' => 'mute');
$again = ask($nginx, { path => '/again', question => question(),
    on_event => sub {
        return if $again;
        $again = 1;
        wait_for { $dns->asked('comes.test') } 10, 'the look-up';
        $dns->set('comes.test' => '127.0.0.1');
    } });
stream_ok($again, 'again: a name that is found when it is asked for again');

done();
