#!/usr/bin/perl

# Reloads while answers run, of workers that lead and of fillers, and questions
# come in all the time.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 50, gap => 40, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);


sub configuration {
    my ($model) = @_;
    my $port = $provider->port;

    return 'chat_provider openai {'
        . " url http://127.0.0.1:$port/v1; key sk-test-key; model $model; }";
}


my $nginx = start_nginx(redis => $redis, http => configuration('m0'),
    lead => 'on', server => 'location = /queued { chat; chat_lead off; }');


# the old processes are gone: a master, two workers, a filler

sub settled {
    my ($name) = @_;
    my @pids;

    wait_for { (@pids = $nginx->pids) == 4 } 20, 'the old processes to end';
    is(scalar(@pids), 4, "$name: two workers and one filler, as at first");
}


# every other one goes through the queue

sub asks {
    my ($n, %more) = @_;

    return (path => $n % 2 ? '/chat' : '/queued', %more);
}


# several reloads, each with another model

{
    my @early = map { "early $_" } 1 .. 20;
    my @late = map { "late $_" } 1 .. 60;
    my $later = ask_later($nginx,
        (map { { question => $early[$_], asks($_) } } 0 .. $#early),
        (map { { question => $late[$_], asks($_, delay => 0.05 * $_) } }
         0 .. $#late));

    mid_answer($redis, 5, @early);

    foreach my $n (1 .. 4) {
        ok($nginx->reload(http => configuration("m$n")),
           "several reloads: number $n");
        sleep(0.4);
    }

    my @all = results($later);
    my @good = grep {
        !Chat::Check::faults($_, text => text_of($_->{question}, %answer))
    } @all;

    is(scalar(@good), 80, 'several reloads: every request was answered');

    foreach my $q (@all) {
        my @faults = Chat::Check::faults($q);

        diag("$q->{question}: @faults") if @faults;
    }

    is(scalar(grep { processing_of($_) != 1 } @all), 0,
       'several reloads: without a restart');
    is(provider_stats($provider)->{calls}, 80,
       'several reloads: one call each');

    my $q = ask($nginx, { question => 'and now? {{chunks=1}}' });

    stream_ok($q, 'after the reloads: a miss', restarts => 0);
    like(provider_stats($provider)->{last_request}, qr/"m4"/,
         'after the reloads: the new model');

    # the last of the late ones may have met another model

    stream_ok(scalar ask($nginx, { question => 'and now? {{chunks=1}}' }),
              'after the reloads: a hit', cache => qr/; hit; /);

    settled('several reloads');
    is(scalar(zombies($nginx)), 0, 'several reloads: no zombie is left');
}


# a reload while a task waits, and while a request's body is on its way

{
    my @questions = map { "slow $_" } 1 .. 6;
    my $later = ask_later($nginx, map { {
        question => $questions[$_],
        asks($_, body_delay => 0.5 + 0.2 * $_) } } 0 .. 5);

    wait_for { taken_clients($nginx) >= 6 } 10, 'the clients';
    ok($nginx->reload, 'a slow body: a reload while it is sent');

    my @all = results($later);

    foreach my $q (@all) {
        stream_ok($q, "a slow body: $q->{question}", restarts => 0,
                  text => text_of($q->{question}, %answer));
    }
}


# The time for the old processes is over before the answer is: the new
# filler begins it again, and that does not count as a failure.

{
    my $question = 'What takes very long? {{chunks=160;gap=50}}';
    my $main = 'worker_shutdown_timeout 1s;';
    my $began = time();

    ok($nginx->reload(main => $main), 'worker_shutdown_timeout: a reload');

    settled('worker_shutdown_timeout');

    foreach my $n (1 .. 4) {
        my $old = filler($nginx);
        my $later = ask_later($nginx, { question => $question,
                                        path => '/queued' });

        mid_answer($redis, 5, $question);
        ok($nginx->reload, "worker_shutdown_timeout: reload $n");

        my ($cut) = results($later);

        is($cut->{error}, 'closed early',
           "worker_shutdown_timeout, reload $n: a client is cut");
        wait_for { gone($old) } 15, 'the old filler to end';
        ok(gone($old), "worker_shutdown_timeout, reload $n: the filler ends");
    }

    my $q = ask($nginx, { question => $question, path => '/queued' });

    stream_ok($q, 'given back four times: an answer',
              cache => qr/collapsed/,
              text => text_of($question, %answer));
    is(provider_stats($provider, $question), 5,
       'given back four times: begun five times');

    wait_for { $redis->tasks == 0 } 5, 'no task';
    is($redis->tasks, 0, 'given back four times: no task is left');
    is(scalar(zombies($nginx)), 0, 'given back four times: no zombie is left');
}


# Redis does not answer while the old filler gives a task back: what it leaves
# behind is known to the new one.

{
    my $question = 'Who knows?';
    my $old;

    ok($nginx->reload(main => 'worker_shutdown_timeout 500ms;'),
       'without Redis: a first reload');
    settled('without Redis');

    $old = filler($nginx);

    my $later = ask_later($nginx, { question => $question,
                                    path => '/queued' });

    mid_answer($redis, 5, $question);
    ok($nginx->reload, 'without Redis: a second reload');
    sleep(0.4);
    $redis->signal('STOP');
    ok(wait_for(sub { gone($old) }, 15, 'its end'),
       'without Redis: the old filler ends');
    $redis->signal('CONT');
    results($later);

    my $began = time();
    my $q = ask($nginx, { question => $question });

    stream_ok($q, 'without Redis: its answer goes on', cache => qr/collapsed/,
              text => text_of($question, %answer));

    # of the lease five seconds are left at least

    cmp_ok((restarted_at($q) // $began) - $began, '<', 1 + $SLACK,
           'without Redis: the lease is not waited for');
}

done();
