#!/usr/bin/perl

# The filler takes nothing, and the lane to it is full: workers neither wait nor
# drop anything, and all is written when it goes on; after five seconds that is
# another lane.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 40, gap => 40, bytes => 16000);
my $QUICK = '{{chunks=3;gap=5;bytes=16}}';
my $ANSWERS = 16;
my $FULL = 5;

my $provider = start_provider(%answer);

# so long it stands still; then the lane is the same, or another one

my @cases = ({ name => 'a while', stop => 3 },
             { name => 'too long', stop => $FULL + 3 });

foreach my $case (@cases) {
    my $redis = start_redis();
    my $nginx = led_nginx(redis => $redis, provider => $provider);
    my ($worker, $other) = $nginx->worker_pids;

    $case->{other} = $other;
    $case->{redis} = $redis;
    $case->{nginx} = $nginx;
    $case->{questions} = [ map { "$case->{name} $_" } 1 .. $ANSWERS ];
    $case->{worker} = $worker;
    $case->{filler} = filler($nginx);
    $case->{rss} = rss($worker);
    ask($nginx, { question => "A hit, $case->{name}? $QUICK" });
    $case->{later} = ask_later($nginx, map { {
        question => $_, way_to($nginx, $worker)
    } } @{ $case->{questions} });
}

foreach my $case (@cases) {
    mid_answer($case->{redis}, 6, @{ $case->{questions} });
    $case->{reader} = ask_later($case->{nginx}, {
        question => $case->{questions}[0],
        way_to($case->{nginx}, $case->{other})
    });
    wait_for { $case->{redis}->cmd('PUBSUB', 'CHANNELS')->[0] } 5, 'a reader';
    stand_still($case->{filler});
    $case->{stopped} = time();
}


# meanwhile others are served; what the lane has no room for waits

sleep(1);

foreach my $case (@cases) {
    my ($name, $nginx) = @$case{qw(name nginx)};
    my ($led, $hit) = ask($nginx, map { {
        question => $_, way_to($nginx, $case->{worker})
    } } "Another one, $name? $QUICK", "A hit, $name? $QUICK");

    is($led->{headers}{'x-source'}, 'led', "$name: another one is led");
    stream_ok($led, "$name: and answered", restarts => 0);
    cmp_ok($led->{ended} - $led->{started}, '<', 1 + $SLACK,
           "$name: without waiting");
    stream_ok($hit, "$name: a hit", cache => qr/; hit/);
}


foreach my $case (@cases) {
    my ($name, $redis, $nginx) = @$case{qw(name redis nginx)};
    my @questions = @{ $case->{questions} };
    my $left = $case->{stopped} + $case->{stop} - time();

    sleep($left) if $left > 0;

    my @all = results($case->{later});
    my @wrong = grep {
        Chat::Check::faults($_, text => text_of($_->{question}, %answer),
                            restarts => 0)
    } @all;

    # all of them have ended before anything more was written

    is(scalar(grep { $_->{headers}{'x-source'} ne 'led' } @all), 0,
       "$name: all were led");
    is(scalar(@wrong), 0, "$name: all clients have their answers");
    stream_ok($wrong[0], "$name: the first of them") if @wrong;
    is(scalar(grep { defined cached_as($redis, $_) } @questions), 0,
       "$name: nothing is cached yet");

    # as often as there was time for that, since all this may take longer

    my $closed = () = $nginx->error_log =~ /chat lane is closed: /g;
    my $times = (time() - $case->{stopped}) / $FULL;

    ok($closed <= $times && ($closed > 0 || $case->{stop} < $FULL),
       "$name: the lane is " . ($case->{stop} > $FULL ? 'left' : 'kept'))
        or diag("$closed times of $times");

    my $text = $ANSWERS * $answer{chunks} * $answer{bytes};
    my $grown = rss($case->{worker}) - $case->{rss};

    # chunks, the whole text, and both as events, for all readers and the lane;
    # the sanitizers put much around each allocation

    cmp_ok($grown, '<', ($ENV{CHAT_NGINX} ? 7 : 5) * $text,
           "$name: the worker has one copy of each");
    note("$name: $grown bytes for $text");

    kill('CONT', $case->{filler});

    my ($reader) = results($case->{reader});

    stream_ok($reader, "$name: who reads along has all of it",
              text => text_of($questions[0], %answer), restarts => 0);
    is(scalar(grep { provider_stats($provider, $_) != 1 } @questions), 0,
       "$name: one call each");
    nothing_left($redis, $name);

    @wrong = grep {
        (cached_as($redis, $_) // '') ne text_of($_, %answer)
    } @questions;

    is(scalar(@wrong), 0, "$name: all are cached");
    ok(defined cached_as($redis, "Another one, $name? $QUICK"),
       "$name: so is the one that came meanwhile");
}


sub rss {
    my ($pid) = @_;
    my ($kb) = read_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;

    return 1024 * $kb;
}

done();
