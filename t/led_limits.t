#!/usr/bin/perl

# How many generations run at once: those that workers lead and those of the
# filler count together, and what is beyond that waits in the queue.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;

my %answer = (chunks => 20, gap => 10, bytes => 20);
my $MOST = 4;

my $redis = start_redis();
my $provider = start_provider(%answer);
my $nginx = led_nginx(redis => $redis, provider => $provider,
    http => "chat_fill processes=1 concurrency=$MOST;",
    server => 'location = /brief { chat; chat_abandon cancel grace=1s; }');


# of both workers: what they lead, and what they know of the queue

sub counts {
    my @health = map {
        parse_json(get($nginx, '/', way_to($nginx, $_))->{body})
    } $nginx->worker_pids;

    return ($health[0]{led} + $health[1]{led}, map { $_->{queue} } @health);
}


sub sources {
    my %count = (led => 0, queued => 0);

    $count{$_->{headers}{'x-source'} // 'none'}++ foreach @_;

    return \%count;
}


# A few more than there may be, on both workers.

{
    my $name = 'ten at once';
    my @workers = $nginx->worker_pids;
    my @questions = map { "$name, $_" } 1 .. 10;
    my @counts;

    provider_reset($provider);
    provider_set($provider, upto => 10);

    my $later = ask_later($nginx, map { {
        question => $questions[$_], way_to($nginx, $workers[$_ % 2])
    } } 0 .. $#questions);

    # the filler counts now and then

    wait_for {
        @counts = counts();
        "@counts" eq '4 6 6';
    } 10, 'the counts';

    provider_set($provider, upto => 'inf');
    is("@counts", '4 6 6', "$name: health tells how many are where");

    my @all = results($later);

    is_deeply(sources(@all), { led => $MOST, queued => 6 },
              "$name: so many are led, the others wait");
    stream_ok($_, "$name: $_->{question}", restarts => 0,
              text => text_of($_->{question}, %answer)) foreach @all;
    is(provider_stats($provider)->{calls}, 10, "$name: one call each");
    is(provider_stats($provider)->{max_active}, $MOST,
       "$name: never more at once");
    nothing_left($redis, $name);
}


# Many more, before a worker can know of any: what is on its way counts.

{
    my $name = 'forty at once';
    my ($worker) = $nginx->worker_pids;
    my @questions = map { "$name, $_ {{chunks=4;gap=20}}" } 1 .. 40;

    leads($nginx);
    provider_reset($provider);

    my @all = ask($nginx, map { {
        question => $_, way_to($nginx, $worker)
    } } @questions);

    cmp_ok(sources(@all)->{led}, '<=', $MOST, "$name: no more are led");
    is(scalar(grep { Chat::Check::faults($_, restarts => 0) } @all), 0,
       "$name: all are answered");
    is(provider_stats($provider)->{max_active}, $MOST,
       "$name: never more at once");
    nothing_left($redis, $name);
}


# The share of a worker that dies falls away.

{
    my $name = 'a killed worker';
    my ($worker, $other) = $nginx->worker_pids;
    my $filler = filler($nginx);

    ($worker, $other) = ($other, $worker)
        if Chat::Nginx::parent($filler) == $worker;

    leads($nginx);

    my @questions = map { "$name, $_ {{chunks=1000;gap=40}}" } 1 .. $MOST;
    my $later = ask_later($nginx, map { {
        question => $_, way_to($nginx, $worker), path => '/brief'
    } } @questions);

    mid_answer($redis, 2, @questions);
    is((counts())[0], $MOST, "$name: it leads all there may be");

    my $q = ask($nginx, { question => 'What waits? {{chunks=2}}',
        path => '/brief', hangup_after => 0, way_to($nginx, $other) });

    is($q->{headers}{'x-source'}, 'queued', "$name: so others wait");

    kill('KILL', $worker);
    results($later);

    ok(wait_for(sub {
        my $q = ask($nginx, { question => 'And now? {{chunks=2}}',
            use_cache => 0, way_to($nginx, $other) });

        $q->{headers}{'x-source'} eq 'led';
    }, 10), "$name: then they do not any more");
    nothing_left($redis, $name);
    is(provider_stats($provider)->{active}, 0, "$name: no call goes on");
}

done();
