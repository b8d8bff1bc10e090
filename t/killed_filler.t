#!/usr/bin/perl

# The filler that asks the provider is killed: in mid-answer, before it has
# claimed a task, just after it has finished one, again and again, and together
# with worker 0.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 60, gap => 40, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);
my $nginx = start_nginx(redis => $redis, provider => $provider,
                        lead => 'off');

$nginx->allow_log(qr/exited on signal 9/);

# who lived for a second is replaced at once

filler($nginx);
sleep(1.5);


# 50 streams

{
    my %texts = map { ("stream $_" => text_of("stream $_", %answer)) } 1 .. 50;
    my @questions = sort keys %texts;
    my $watch = watch_keys($redis, \%texts);
    my $later = ask_later($nginx, map { { question => $_ } } @questions);

    mid_answer($redis, 8, @questions);

    my $old = filler($nginx);
    my $killed = time();

    kill('KILL', $old);

    my @all = results($later);
    my ($rounds, @faults) = watched($watch);

    # what this machine takes for so many first chunks comes on top

    my ($usual) = sort { $b <=> $a }
        map { ($_->{events}[1] || {})->{at} - $_->{started} } @all;
    my @late = grep { (restarted_at($_) // 1e12) - $killed > 1 + $usual }
        @all;
    my ($last) = sort { $b <=> $a } map { restarted_at($_) // 0 } @all;

    is(scalar(grep {
        !Chat::Check::faults($_, text => $texts{$_->{question}}, restarts => 1)
    } @all), 50, '50 streams: completed after a second "processing"')
        or stream_ok($all[0], '50 streams: the first one', restarts => 1);
    is(scalar(@late), 0,
       '50 streams: all have their first chunk within a second')
        or diag("the last after " . ($last - $killed) . " s");
    note('the last after ' . ($last - $killed) . " s, at first $usual s,"
         . " $rounds looks");
    is(join("\n", @faults), '', '50 streams: no partial answer at any time');
    cmp_ok($rounds, '>', 50, '50 streams: the keys were looked at');
    is(provider_stats($provider)->{calls}, 100, '50 streams: two calls each');
    is(scalar(grep { provider_stats($provider, $_) != 2 } @questions[0, 24, 49]),
       0, '50 streams: no question was asked more often');
    isnt(filler($nginx), $old, '50 streams: another filler is there');
    is(scalar(zombies($nginx)), 0, '50 streams: no zombie is left');
}


# a task that was delivered but not claimed

{
    my $question = 'never claimed';
    my $old = filler($nginx);

    stand_still($old);

    my $later = ask_later($nginx, { question => $question });

    wait_for { $redis->tasks } 5, 'the task';
    sleep(0.1);

    kill('KILL', $old);

    my ($q) = results($later);

    stream_ok($q, 'a task not claimed: it is answered', restarts => 0,
              text => text_of($question, %answer));
    is(provider_stats($provider, $question), 1,
       'a task not claimed: one call of the provider');
}


# just after the end, when only the task is left to be taken out

foreach my $run (1 .. 5) {
    my $question = "finished $run {{chunks=3;gap=5}}";
    my $old = filler($nginx);
    my $later = ask_later($nginx, { question => $question, on_event => sub {
        kill('KILL', $old) if $_[1]{status} eq 'completed';
    } });
    my ($q) = results($later);

    stream_ok($q, "finished, run $run: answered", restarts => 0);
    another_filler($nginx, $old);

    stream_ok(scalar ask($nginx, { question => $question }),
              "finished, run $run: a hit then",
              cache => qr/; hit; /);
    is(provider_stats($provider, $question), 1,
       "finished, run $run: one call of the provider");
    wait_for { $redis->tasks == 0 } 15, 'no task';
    is($redis->tasks, 0, "finished, run $run: no task is left");
    sleep(1.2);
}


# together with worker 0: the board hands over the token

{
    my @questions = map { "both $_" } 1 .. 8;
    my $old = filler($nginx);
    my $worker = Chat::Nginx::parent($old);
    my $later = ask_later($nginx, map { { question => $_ } } @questions);

    mid_answer($redis, 6, @questions);

    my $killed = time();

    kill('KILL', $worker, $old);

    # clients of worker 0 are cut, and ask again elsewhere

    my @again = ask($nginx, map { { question => $_ } } @questions);
    my @all = results($later);
    my @cut = grep { defined $_->{error} } @all;

    note(scalar(@cut) . ' clients were cut');

    foreach my $q (@again) {
        stream_ok($q, "with worker 0, $q->{question}: joined",
                  text => text_of($q->{question}, %answer));
    }

    foreach my $q (grep { !defined $_->{error} } @all) {
        stream_ok($q,
                  "with worker 0, $q->{question}: another goes on",
                  restarts => 1,
                  text => text_of($q->{question}, %answer));
        cmp_ok(restarted_at($q) - $killed, '<', 1 + $SLACK,
               "with worker 0, $q->{question}: goes on at once");
    }

    is(scalar(grep { provider_stats($provider, $_) != 2 } @questions), 0,
       'with worker 0: two calls each');
    isnt(filler($nginx), $old, 'with worker 0: another filler is there');
    is(scalar(zombies($nginx)), 0, 'with worker 0: no zombie is left');
}

done();
