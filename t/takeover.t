#!/usr/bin/perl

# Several instances on one Redis and its queue: what one of them leaves behind
# is finished by another, once, and a filler that was away for too long writes
# nothing.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 100, gap => 50, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);
my $one = start_nginx(redis => $redis, provider => $provider,
                        lead => 'off');

filler($one);


# A whole host dies.

{
    my @questions = map { "host $_" } 1 .. 5;
    my %texts = map { $_ => text_of($_, %answer) } @questions;
    my $watch = watch_keys($redis, \%texts);
    my $first = ask_later($one, map { { question => $_ } } @questions);

    mid_answer($redis, 5, @questions);

    my $two = start_nginx(redis => $redis, provider => $provider,
                          lead => 'off');

    filler($two);

    my $second = ask_later($two,
        map { { question => $_, timeout => 60 } } @questions);

    sleep(0.5);

    my $killed = time();

    kill('KILL', $one->pids);
    $one->stop;
    results($first);

    my @all = results($second);
    my ($rounds, @faults) = watched($watch);

    foreach my $q (@all) {
        stream_ok($q, "another host: $q->{question}", restarts => 1,
                  text => $texts{$q->{question}}, cache => qr/collapsed/);
    }

    my ($last) = sort { $b <=> $a } map { restarted_at($_) // 0 } @all;

    cmp_ok($last - $killed, '>', 6, 'another host: after the lease');
    cmp_ok($last - $killed, '<', 16 + $SLACK,
           'another host: not long after it');
    is(join("\n", @faults), '', 'another host: no partial answer at any time');
    is(scalar(grep { provider_stats($provider, $_) != 2 } @questions), 0,
       'another host: two calls each');
    ok($two->stop, 'another host: nginx ends');
}


# A filler stops for longer than its lease, and then goes on.

{
    my @questions = map { "stopped $_" } 1 .. 5;
    my %texts = map { $_ => text_of($_, %answer) } @questions;
    my $watch = watch_keys($redis, \%texts);

    $one->start;

    my $stopped = filler($one);
    my $first = ask_later($one,
        map { { question => $_, timeout => 60 } } @questions);

    mid_answer($redis, 5, @questions);
    stand_still($stopped);

    my $two = start_nginx(redis => $redis, provider => $provider,
                          lead => 'off');

    ok(wait_for(sub {
        !grep { provider_stats($provider, $_) != 2 } @questions
    }, 16 + $SLACK), 'a stopped filler: another takes over');

    # it finds its connections, leases and answers as it has left them

    kill('CONT', $stopped);

    my @all = results($first);
    my ($rounds, @faults) = watched($watch);

    foreach my $q (@all) {
        stream_ok($q, "a stopped filler: $q->{question}", restarts => 1,
                  text => $texts{$q->{question}});
    }

    is(join("\n", @faults), '',
       'a stopped filler: no partial answer at any time');
    is(scalar(grep { provider_stats($provider, $_) != 2 } @questions), 0,
       'a stopped filler: two calls each');
    my $told;

    wait_for {
        $told = () = $one->error_log
            =~ / $stopped#.*was taken away or ended/g;

        $told >= 5;
    } 10, 'five lines';

    is($told, 5, 'a stopped filler: it sees that it may not write any more');
    is(filler($one), $stopped, 'a stopped filler: it is still there');
    stream_ok(scalar ask($one, { question => 'and now? {{chunks=3}}' }),
              'a stopped filler: it works', restarts => 0);

    wait_for { $redis->tasks == 0 } 5, 'no task';
    is($redis->tasks, 0, 'a stopped filler: no task is left');
}

done();
