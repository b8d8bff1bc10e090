#!/usr/bin/perl

# Generations that workers lead and those that fillers run have one bound: a
# filler takes no task while workers lead as many as there may be, not even
# with a read that it began before.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my $SLOW = '{{chunks=20;gap=100}}';

my $redis = start_redis();
my $broker = start_redis();
my $provider = start_provider(chunks => 3, gap => 5);
my $nginx = led_nginx(redis => $redis, broker => $broker,
    provider => $provider, workers => 1,
    http => 'chat_fill processes=1 concurrency=3;',
    server => 'location = /queued { chat; chat_lead off; }');


sub page { return parse_json(get($nginx, '/')->{body}) }

sub running { return page()->{fillers}[0]{running} }


# all that may be are led, and the queue is asked for three tasks since before

{
    my @led = map { "led $_ $SLOW" } 1 .. 3;
    my @queued = map { "queued $_ $SLOW" } 1 .. 3;

    waiting_for_tasks($broker) or die "the filler does not wait for tasks\n";

    my $led = ask_later($nginx, map { { question => $_ } } @led);

    wait_for { page()->{led} == 3 } 5, 'three to be led';

    my $queued = ask_later($nginx,
        map { { question => $_, path => '/queued' } } @queued);
    my $most = 0;

    wait_for {
        my $page = page();
        my $all = $page->{led} + $page->{fillers}[0]{running};

        $most = $all if $all > $most;
        $page->{led} == 0;
    } 10, 'the end of those that are led';

    foreach my $q (results($led)) {
        stream_ok($q, "$q->{question}: led", restarts => 0);
        is($q->{headers}{'x-source'}, 'led', "$q->{question}: its source");
    }

    foreach my $q (results($queued)) {
        stream_ok($q, "$q->{question}: queued", restarts => 0);
        is($q->{headers}{'x-source'}, 'queued', "$q->{question}: its source");
    }

    cmp_ok($most, '<=', 3, 'never more than three at once');
    nothing_left($redis, 'a bound for all');
}


# The queue is unreachable while tasks wait there: neither these, nor those that
# run and end, are in the way of who asks now.

{
    my $name = 'no broker';

    provider_set($provider, upto => 10);

    my $long = ask_later($nginx, map { {
        question => "$name, long $_ {{chunks=12;gap=0}}", path => '/queued'
    } } 1 .. 3);

    wait_for { running() == 3 } 5, 'three to run';

    # who asks these does not wait for the end of them

    my $waiting = ask_later($nginx, {
        question => "$name, waiting", path => '/queued', timeout => 1 });

    wait_for { (page()->{queue} // 0) == 1 } 5, 'one to wait';

    $broker->stop;
    provider_set($provider, upto => 'inf');

    stream_ok($_, "$_->{question}: queued", restarts => 0)
        foreach results($long);

    ok(scalar(led($name)), "$name: who asks now is led");

    $broker->start;
}


sub led {
    my ($name) = @_;
    my $n = 0;

    return wait_for {
        my $q = ask($nginx, { question => "$name, now " . ++$n
                              . ' {{chunks=2;gap=0}}' });

        ($q->{headers}{'x-source'} // '') eq 'led';
    } 6;
}

done();
