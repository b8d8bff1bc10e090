#!/usr/bin/perl

# The end of an instance, whose workers lead one half of the answers, and whose
# filler asks for the other: nothing that was accepted is lost when it quits,
# and what a fast stop interrupts is finished by others, or after the next
# start.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 40, gap => 40, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);


# how many of them are correct streams

sub good {
    my ($streams, %opt) = @_;
    my $n = 0;

    foreach my $q (@$streams) {
        my @faults = Chat::Check::faults($q, %opt,
            text => text_of($q->{question}, %answer));

        $n++ unless @faults;
        diag("$q->{question}: @faults") if @faults;
    }

    return $n;
}


sub tasks_left {
    wait_for { $redis->tasks == 0 } 5, 'no task';

    return $redis->tasks;
}


sub instance {
    my (%opt) = @_;

    return start_nginx(redis => $redis, provider => $provider, lead => 'on',
        server => 'location = /queued { chat; chat_lead off; }', %opt);
}


# every other one goes through the queue

sub asks {
    my ($questions, %more) = @_;
    my $n = 0;

    return map { { question => $_, path => $n++ % 2 ? '/chat' : '/queued',
                   %more } } @$questions;
}


# QUIT: answers run, others have been accepted but not read yet

foreach my $what ('QUIT', 'QUIT to one worker', 'QUIT while idle') {
    my $nginx = instance(workers => $what =~ /one/ ? 1 : 2);
    my $idle = $what =~ /idle/;
    my @run = $idle ? () : map { "run: $what $_" } 1 .. 15;
    my @slow = map { "slow: $what $_" } 1 .. 6;
    my @slow_asks = asks(\@slow);

    $slow_asks[$_]{body_delay} = 1 + 0.5 * $_ foreach 0 .. 5;

    my $later = ask_later($nginx, asks(\@run), @slow_asks);

    filler($nginx);
    mid_answer($redis, 5, @run);
    wait_for { taken_clients($nginx) >= @run + @slow } 10, 'the clients';

    ok($nginx->stop('QUIT', 15), "$what: it ends");

    my @all = results($later);

    is(good(\@all, restarts => 0), @run + @slow, "$what: nothing is lost");
    is(tasks_left(), 0, "$what: no task is left");

    my @left;

    wait_for { !(@left = $nginx->pids) } 10, 'no process';
    is(scalar(@left), 0, "$what: no process is left");
}


# An idle instance is gone at once.

{
    my $nginx = instance();

    filler($nginx);
    stream_ok(scalar ask($nginx, { question => 'idle? {{chunks=2}}' }),
              'idle: an answer');

    my $began = time();

    ok($nginx->stop, 'idle: the instance ends');
    cmp_ok(time() - $began, '<', 1 + $SLACK, 'idle: it ends at once');
}


# TERM: another instance finishes it, and its clients see no end

{
    my $one = instance();

    filler($one);

    my @questions = map { "stopped $_ {{chunks=100}}" } 1 .. 10;
    my $first = ask_later($one, asks(\@questions));

    mid_answer($redis, 5, @questions);

    my $two = instance();
    my $second = ask_later($two, asks(\@questions));

    filler($two);
    sleep(0.2);

    my $began = time();

    ok($one->stop('TERM', 5), 'TERM: it ends');
    cmp_ok(time() - $began, '<', 1 + $SLACK, 'TERM: at once');

    my @all = results($second);

    is(scalar(grep { $_->{complete} } results($first)), 0,
       'TERM: its own clients are cut');
    is(good(\@all, restarts => 1, cache => qr/collapsed/), 10,
       'TERM: another instance goes on');

    my ($last) = sort { $b <=> $a } map { restarted_at($_) // 0 } @all;

    cmp_ok($last - $began, '<', 1 + $SLACK,
           'TERM: without waiting for the lease');
    is(scalar(grep { provider_stats($provider, $_) != 2 } @questions), 0,
       'TERM: two calls each');
    is(tasks_left(), 0, 'TERM: no task is left');
    ok($two->stop, 'TERM: the other ends');
}


# TERM, and a new start: what was interrupted is there when somebody asks again

foreach my $signal ('TERM', 'KILL') {
    my $nginx = instance();
    my @questions = map { "$signal and start $_" } 1 .. 10;

    filler($nginx);

    my $later = ask_later($nginx, asks(\@questions));

    mid_answer($redis, 5, @questions);

    if ($signal eq 'KILL') {
        kill('KILL', $nginx->pids);
        wait_for { !grep { $_ != $nginx->pid } $nginx->pids } 5, 'their end';
    }

    $nginx->stop('TERM', 5);
    results($later);
    sleep(0.2);
    $nginx->start;

    # after KILL nobody has given anything back: the lease is waited for, and
    # what a worker has led is in no queue unless somebody listened elsewhere

    my @all = ask($nginx, asks(\@questions, timeout => 40));
    my @led = $signal eq 'KILL' ? grep { $_->{path} eq '/chat' } @all : ();
    my @done = grep { !@led || $_->{path} ne '/chat' } @all;

    is(good(\@done, cache => qr/collapsed/), scalar(@done),
       "start after $signal: finished");
    stream_ok($_, "start after $signal, $_->{question}: told in time",
              error => 'interrupted', restarts => 0) foreach @led;
    is(scalar(grep { provider_stats($provider, $_->{question}) != 2 } @done), 0,
       "start after $signal: two calls each");

    if (@led) {
        @led = ask($nginx, asks([ map { $_->{question} } @led ]));
        is(good(\@led), 5, "start after $signal: led, asked again");
    }

    is(tasks_left(), 0, "start after $signal: no task is left");
    ok($nginx->stop, "start after $signal: it ends");
}

done();
