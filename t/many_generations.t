#!/usr/bin/perl

# A thousand clients in a thousand generations at once, on one worker, asked by a
# filler and by the worker.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;

use Time::HiRes qw(sleep time);

my $COUNT = 1000;

# so many questions are opened at the same time; Redis has a second for a
# command, and what it gets at once it has to do within that

my $AHEAD = 50;

# connections that a worker keeps, by default

my $KEEPALIVE = 256;

my %provider = (chunks => 6, gap => 600);

my $provider = start_provider(%provider);


# connections of others than the test, by kind

sub connections {
    my ($redis) = @_;
    my $own = $redis->cmd('CLIENT', 'ID');

    return scalar(grep { !/^id=$own / }
                  split(/\n/, $redis->cmd('CLIENT', 'LIST')));
}


# of the worker and the filler: descriptors, and memory in kB

sub resources {
    my ($nginx) = @_;
    my %found;

    foreach my $pid ($nginx->worker_pids, $nginx->filler_pids) {
        opendir(my $fds, "/proc/$pid/fd") or next;

        $found{fds}{$pid} = grep { /^\d/ } readdir($fds);
        ($found{rss}{$pid}) = read_file("/proc/$pid/status")
            =~ /^VmRSS:\s+(\d+)/m;
    }

    return \%found;
}


# clients that are gone are forgotten, and so are calls that have ended, if
# their connections are not kept

sub settled {
    my ($nginx, $close) = @_;

    wait_for { !taken_clients($nginx) } 15, 'the end of the connections';
    wait_for { provider_stats($provider)->{open} == 1 } 15, 'the last calls'
        if $close;
}


sub run_all {
    my ($name, $lead, $wanted, $close, $redis, $broker) = @_;
    my $nginx = led_nginx(redis => $redis, provider => $provider,
        provider_lines => 'first_token_timeout 2m; total_timeout 5m;',
        workers => 1, lead => $lead, $broker ? (broker => $broker) : (),
        ready => $lead eq 'on',
        http => 'chat_fill concurrency=2000;', location => 'chat_cache_ttl 5m;');

    # a first answer, so that all is there that is made once

    my $one = "$name? {{chunks=10;gap=0}}";

    stream_ok(scalar ask($nginx, { question => $one }),
              "$name: a first answer");
    settled($nginx, $close);
    provider_set($provider, together => $COUNT);

    my $idle = resources($nginx);
    my $cached = @{ $redis->cmd('KEYS', 'chat:stream:*') };
    my ($most, $at_work, $begun, $seen) = (0, 0, 0, 0);

    # each answer begins a little later than the one before

    my @asks = map {
        my $n = $_;

        { question => "$name $n? {{first=$n}}", timeout => 90,
          after => sub { $n <= $begun + $AHEAD },
          on_done => sub { $begun++ unless @{ $_[0]{events} } } }
    } 1 .. $COUNT;

    $_->{on_event} = sub {
        $begun++ if $_[1]{status} eq 'processing';
        return if $_[1]{status} ne 'streaming' || ++$seen != $COUNT;

        $at_work = connections($redis)
            + ($broker ? connections($broker) : 0);
        $most = resources($nginx);
    } foreach @asks;

    my @all = ask($nginx, @asks);
    my @wrong = grep { length } map {
        join(', ', Chat::Check::faults($all[$_], restarts => 0,
             cache => qr/fwd=miss$/,
             chunks => [ pieces_of($asks[$_]{question}, %provider) ]))
    } 0 .. $#asks;

    is(scalar(@wrong), 0, "$name: all streams are correct") or diag($wrong[0]);
    is($at_work, $wanted, "$name: connections of Redis");

    my $stats = provider_stats($provider);

    is($stats->{max_active}, $COUNT, "$name: all at once");
    is(scalar(grep { $stats->{questions}{key_of($_->{question})} != 1 } @asks),
       0, "$name: one call each");
    is(scalar(@{ $redis->cmd('KEYS', 'chat:stream:*') }), $cached + $COUNT,
       "$name: all cached");

    # descriptors are given back, but for connections kept for the next calls

    settled($nginx, $close);
    provider_set($provider, together => 0);

    my $after = resources($nginx);

    my %most = (worker => $lead eq 'on' && !$close ? $KEEPALIVE : 0,
                filler => $lead eq 'off' && !$close ? $COUNT - 1 : 0);

    foreach my $pid ($nginx->worker_pids, $nginx->filler_pids) {
        my $kept = $after->{fds}{$pid} - $idle->{fds}{$pid};
        my ($who) = Chat::Nginx::title($pid) =~ /(worker|filler)/;

        cmp_ok($kept, '<=', $most{$who}, "$name: descriptors of the $who");
    }

    if (!$close) {
        my $open = provider_stats($provider)->{open};

        ask($nginx, map {
            { question => "$name again $_? {{first=100;gap=1}}" }
        } 1 .. 50);
        cmp_ok(provider_stats($provider)->{open}, '<=', $open,
               "$name: connections are used again");
    }

    note("$name: kB of $_: idle $idle->{rss}{$_}, at work $most->{rss}{$_},"
         . " after $after->{rss}{$_}") foreach sort keys %{ $idle->{rss} };

    # the sanitizers need much more

    my @grown = grep { $most->{rss}{$_} > $idle->{rss}{$_} + 65536 }
        keys %{ $idle->{rss} };

    ok($ENV{CHAT_NGINX} || !@grown, "$name: memory grows by little");

    $nginx->stop;
    provider_reset($provider);
}


provider_set($provider, te => 'close');
run_all('Two each', 'off', 4, 1, start_redis());
run_all('Three each', 'on', 6, 0, start_redis(), start_redis());

done();
