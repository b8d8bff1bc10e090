#!/usr/bin/perl

# Workers are killed while a filler asks for them, logs reopened, and nginx runs
# without a master.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 40, gap => 40, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);

# each worker has a queue of its own, so that both get clients

my $nginx = start_nginx(redis => $redis, provider => $provider,
                        lead => 'off', listen => 'reuseport');

$nginx->allow_log(qr/exited on signal 9/);


# Worker 0 or the other one: its clients are cut, those of the other are not,
# and the generations go on, whoever asked for them.

foreach my $zero (1, 0) {
    my $name = $zero ? 'worker 0' : 'worker 1';
    my @questions = map { "$name $_" } 1 .. 24;
    my $filler = filler($nginx);
    my $parent = Chat::Nginx::parent($filler);
    my ($worker) = grep { $zero ? $_ == $parent : $_ != $parent }
        $nginx->worker_pids;
    my $later = ask_later($nginx, map { { question => $_ } } @questions);

    mid_answer($redis, 5, @questions);
    kill('KILL', $worker);

    my @all = results($later);
    my @cut = grep { defined $_->{error} } @all;
    my @kept = grep { !defined $_->{error} } @all;

    ok(@cut > 0 && @kept > 0, "$name: some clients are cut, some are not");
    is(scalar(grep {
        !Chat::Check::faults($_, text => text_of($_->{question}, %answer),
                             restarts => 0)
    } @kept), scalar(@kept), "$name: clients of the other are served");

    my @again = ask($nginx, map { { question => $_ } } @questions);

    is(scalar(grep {
        !Chat::Check::faults($_, text => text_of($_->{question}, %answer))
    } @again), 24, "$name: every answer is complete");
    is(scalar(grep { provider_stats($provider, $_) != 1 } @questions), 0,
       "$name: one call each");

    wait_for { $nginx->worker_pids == 2 } 5, 'two workers';

    if ($zero) {
        ok(another_filler($nginx, $filler), "$name: another filler");
        wait_for { gone($filler) } 5, 'the end of the old filler';
        ok(gone($filler), "$name: the old filler ends");
    }

    isnt(Chat::Nginx::parent(filler($nginx)), 1, "$name: it has a worker");
    stream_ok(scalar ask($nginx, { question => "$name, then {{chunks=3}}" }),
              "$name: asked afterwards", restarts => 0);
    is(scalar(zombies($nginx)), 0, "$name: no zombie");
}


# Only one worker: the filler finishes what its worker has asked for, and
# its successor takes what comes.

{
    my @questions = map { "only one $_" } 1 .. 8;
    my $one = start_nginx(redis => $redis, provider => $provider,
                          workers => 1, lead => 'off');

    $one->allow_log(qr/exited on signal 9/);
    ok($nginx->stop, 'the only worker: the other instance ends');

    my $filler = filler($one);
    my $later = ask_later($one, map { { question => $_ } } @questions);

    mid_answer($redis, 5, @questions);
    kill('KILL', $one->worker_pids);
    results($later);

    my @again = ask($one, map { { question => $_ } } @questions);

    is(scalar(grep {
        !Chat::Check::faults($_, text => text_of($_->{question}, %answer),
                             cache => qr/collapsed/, restarts => 0)
    } @again), 8, 'the only worker: clients come back to their answers');
    is(scalar(grep { provider_stats($provider, $_) != 1 } @questions), 0,
       'the only worker: one call each');
    ok(another_filler($one, $filler), 'the only worker: another filler');
    wait_for { gone($filler) } 5, 'the end of the old filler';
    ok($one->stop, 'the only worker: nginx ends');
}


# USR1

{
    my $dir = $nginx->dir;
    my $question = 'Where is it logged?';

    $nginx->start;

    my $filler = filler($nginx);
    my $later = ask_later($nginx, { question => $question });

    mid_answer($redis, 5, $question);
    rename("$dir/error.log", "$dir/error.log.1");
    rename("$dir/access.log", "$dir/access.log.1");
    $nginx->signal('USR1');

    my @open;

    wait_for {
        @open = grep { (readlink($_) // '') =~ /\.log\.1/ }
            map { glob("/proc/$_/fd/*") } $nginx->pids;

        !@open;
    } 5, 'the logs to be reopened';

    is(scalar(@open), 0, 'USR1: nobody has the old logs open');
    ok(scalar(grep { (readlink($_) // '') eq "$dir/error.log" }
              glob("/proc/$filler/fd/*")), 'USR1: the filler has the new log');

    my ($q) = results($later);

    stream_ok($q, 'USR1: an answer', restarts => 0,
              text => text_of($question, %answer));
    wait_for { $nginx->access_log =~ /POST \/chat/ } 5;
    like($nginx->access_log, qr/POST \/chat/, 'USR1: the new access log');
    is(filler($nginx), $filler, 'USR1: the filler is the same');
    ok($nginx->stop, 'USR1: nginx ends');

    # faults in the old log count too

    unlike(read_file("$dir/error.log.1"), qr/\[(?:alert|emerg)\] (?!.*signal 9)/,
           'USR1: nothing bad in the old log');
}


# A filler that replaces another does not write what its worker has yet to
# write to a log.

{
    my $one = start_nginx(redis => $redis, provider => $provider,
        workers => 1, location =>
        'access_log %%DIR%%/lines.log combined buffer=64k flush=1h;');
    my $log = $one->dir . '/lines.log';
    my $filler = filler($one);

    $one->allow_log(qr/exited on signal 9/);
    stream_ok(scalar ask($one, { question => 'One line {{chunks=3}}' }),
              'a buffered log: a line that waits');
    is(-s $log, 0, 'a buffered log: it waits');
    kill('KILL', $filler);
    $filler = another_filler($one, $filler);
    wait_for {
        Chat::Nginx::title($filler) eq 'nginx: chat filler process'
    } 10, 'the other filler';

    rename($log, "$log.1");
    $one->signal('USR1');
    wait_for {
        !grep { (readlink($_) // '') eq "$log.1" }
            map { glob("/proc/$_/fd/*") } $one->pids;
    } 5, 'the log to be reopened';

    is(scalar(my @lines = split(/\n/, read_file("$log.1"))), 1,
       'a buffered log: it is written once');
    ok($one->stop, 'a buffered log: nginx ends');
}


# without a master

{
    my $single = start_nginx(redis => $redis, provider => $provider,
        master => 0, lead => 'off',
        server => 'location = /led { chat; chat_lead on; }');
    my @questions = map { "single $_" } 1 .. 6;
    my $filler = filler($single);

    $single->allow_log(qr/exited on signal 9/);
    is(Chat::Nginx::parent($filler), $single->pid, 'no master: a filler');

    my $led = 'single, led';
    my $later = ask_later($single, (map { { question => $_ } } @questions),
                          { question => $led, path => '/led' });

    mid_answer($redis, 5, @questions, $led);
    kill('KILL', $filler);

    my @all = results($later);
    my $unharmed = pop(@all);

    is(scalar(grep {
        !Chat::Check::faults($_, text => text_of($_->{question}, %answer),
                             restarts => 1)
    } @all), 6, 'no master: the filler is killed, and replaced');
    stream_ok($unharmed, 'no master: led, and nothing is seen of that',
              restarts => 0, text => text_of($led, %answer));
    is(provider_stats($provider, $led), 1, 'no master: led, one call');
    ok(wait_for(sub { $redis->cmd('EXISTS', stream_key($led)) }, 10),
       'no master: led, and cached');
    stream_ok(scalar ask($single, { question => 'single {{chunks=3}}' }),
              'no master: a miss');
    is(scalar(zombies($single)), 0, 'no master: no zombie');

    # nginx itself makes no difference between the two here

    foreach my $signal ('TERM', 'QUIT') {
        my $question = "single, $signal";

        $later = ask_later($single, { question => $question });
        mid_answer($redis, 5, $question);
        ok($single->stop($signal, 5), "no master: $signal ends it");
        results($later);
        my @left;

        wait_for { !(@left = $single->pids) } 2, 'no process';
        is(scalar(@left), 0,
           "no master: no process is left after $signal");

        $single->start;
        stream_ok(scalar ask($single, { question => $question }),
                  "no master: $signal, finished after a start",
                  cache => qr/collapsed/,
                  text => text_of($question, %answer));
    }
}

done();
