#!/usr/bin/perl

# A worker leads a generation, and the filler that writes it behind dies, ends
# or stands still for a while: clients of that worker see nothing of it, those
# elsewhere a pause, and the answer is cached.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 60, gap => 40, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);
my $nginx = led_nginx(redis => $redis, provider => $provider);
my $other = led_nginx(redis => $redis, provider => $provider);


# who has lived for a second is replaced at once

sub rested {
    my $pid = filler($nginx);

    wait_for {
        time() - (stat("/proc/$pid"))[10] > 1.5
    } 5, 'a filler that has lived';
    leads($nginx, $other);

    return $pid;
}


# The columns of a fault in mid-answer: everybody has the whole answer, nobody
# from its start again, of one call, and it is cached.

sub unnoticed {
    my ($name, $fault, %opt) = @_;
    my $question = "What if: $name?";
    my $text = text_of($question, %answer);
    my $old = rested();
    my $scene = ask_around($nginx, $question, elsewhere => [ $other ],
                           witness => 1);

    begun($redis, $scene, 12);

    my $struck = time();

    $fault->($old);

    my ($leader, $beside, $elsewhere, $witness) = ends_of($scene);

    seamless_ok($leader, "$name: the leader's client", $struck, $witness,
                text => $text);

    foreach my $case (['another worker', $beside],
                      ['another instance', $elsewhere])
    {
        my ($where, $q) = @$case;

        stream_ok($q, "$name: $where has it, without a restart",
                  text => $text, restarts => 0, cache => qr/collapsed/);
        cmp_ok(pause_of($q, $struck), '<', ($opt{pause} // 1) + $SLACK,
               "$name: $where waits for the next filler at most");
        note("$name: $where: ", pause_of($q, $struck), ' s');
    }

    is(provider_stats($provider, $question), 1, "$name: one call");
    cached_once($name, $question, $text);

    return $old;
}


sub cached_once {
    my ($name, $question, $text) = @_;

    nothing_left($redis, $name);
    is(cached_as($redis, $question), $text, "$name: it is cached");
    stream_ok(scalar ask($nginx, { question => $question }),
              "$name: a hit then", text => $text, cache => qr/; hit/);
}


{
    my $old = unnoticed('killed in mid-answer', sub { kill('KILL', $_[0]) });

    isnt(filler($nginx), $old, 'killed in mid-answer: there is another');
    is(scalar(zombies($nginx)), 0, 'killed in mid-answer: no zombie');
}

{
    my $old = unnoticed('told to end', sub { kill('TERM', $_[0]) });

    isnt(another_filler($nginx, $old), $old, 'told to end: there is another');
}

{
    my $old = unnoticed('told to drain', sub { kill('QUIT', $_[0]) });

    isnt(another_filler($nginx, $old), $old,
         'told to drain: there is another');
    ok(wait_for(sub { !-d "/proc/$old" }, 40), 'told to drain: it ends');
}

{
    my $old = unnoticed('stopped for three seconds', sub {
        my ($pid) = @_;

        stand_still($pid);
        sleep(3);
        kill('CONT', $pid);
    }, pause => 3);

    is(filler($nginx), $old, 'stopped for three seconds: it is still there');
}


# It is killed where its death is hardest to survive.  What it has not read
# stays in a lane that ends with it.

{
    my $name = 'killed before it claims';
    my $question = "What if: $name?";
    my $text = text_of($question, %answer);
    my $old = rested();

    stand_still($old);

    my $scene = ask_around($nginx, $question, beside => 0, witness => 1);

    wait_for { provider_stats($provider, $question) } 5, 'the call';
    sleep(0.5);

    my $struck = time();

    kill('KILL', $old);

    my ($leader, $witness) = ends_of($scene);

    seamless_ok($leader, $name, $struck, $witness, text => $text);
    is(provider_stats($provider, $question), 1, "$name: one call");
    cached_once($name, $question, $text);
}

foreach my $case (['with the first chunk', sub { @{ $_[0]{chunks} } == 1 }],
                  ['with the last chunk', sub { @{ $_[0]{chunks} } == 8 }],
                  ['with the end', sub { $_[0]{terminal} }])
{
    my ($name, $when) = @$case;
    my $question = "What if killed $name? {{chunks=8;gap=100;first=500}}";
    my $text = text_of($question, chunks => 8, bytes => 20);
    my $old = rested();
    my $scene = ask_around($nginx, $question, elsewhere => [ $other ],
        on_event => sub { kill('KILL', $old) if $when->($_[0]) });
    my ($leader, @others) = ends_of($scene);

    stream_ok($leader, "killed $name: the leader's client", text => $text,
              restarts => 0);
    stream_ok($others[0], "killed $name: another worker", text => $text,
              restarts => 0);
    stream_ok($others[1], "killed $name: another instance", text => $text,
              restarts => 0);
    isnt(another_filler($nginx, $old), $old, "killed $name: it was");
    is(provider_stats($provider, $question), 1, "killed $name: one call");
    cached_once("killed $name", $question, $text);
}


# Two fillers: each has its part, and what one leaves goes to the other at once.

{
    my $name = 'one of two';
    my @questions = map { "$name: $_? {{chunks=80}}" } 1 .. 8;
    my %texts = map { $_ => text_of($_, %answer) } @questions;
    my $pair = led_nginx(redis => $redis, provider => $provider,
                         http => 'chat_fill processes=2;');
    my ($worker) = $pair->worker_pids;

    spread($pair, $worker);
    leads($pair, $nginx, $other);

    my $later = ask_later($pair, map { {
        question => $_, way_to($pair, $worker)
    } } @questions);
    mid_answer($redis, 2, @questions);

    my $readers = ask_later($other, map { { question => $_ } } @questions);

    mid_answer($redis, 12, @questions);

    my %by = parts(@questions);
    my ($first, $second) = sort keys %by;

    is_deeply([ map { scalar(@$_) } values %by ], [4, 4],
              "$name: each writes for a half");

    my ($left, $gone) = $pair->filler_pids;
    my $struck = time();

    kill('KILL', $gone);

    my %now;

    wait_for { %now = parts(@questions); keys(%now) == 1 } 1 + $SLACK;
    note('after ', time() - $struck, ' s');

    is(scalar(keys %now), 1, "$name: all go to one");
    is(scalar(grep { $by{$_} } keys %now), 1,
       "$name: to the other one, and not to a new one");

    my @all = results($later);
    my @others = results($readers);

    is(scalar(grep { pause_of($_, $struck) > 0.5 + $SLACK } @all, @others), 0,
       "$name: nobody waits for a new filler");

    foreach my $i (0 .. $#questions) {
        my $text = $texts{$questions[$i]};

        stream_ok($all[$i], "$name: client $i", restarts => 0, text => $text);
        stream_ok($others[$i], "$name: client $i elsewhere", restarts => 0,
                  text => $text);
    }

    is(provider_stats($provider, $_), 1, "$name: one call for $_")
        foreach @questions;
    nothing_left($redis, $name);
    is(cached_as($redis, $_), $texts{$_}, "$name: cached, $_")
        foreach @questions;
    ok(another_filler($pair, $left), "$name: there are two again");
}


# questions by the filler that writes them

sub parts {
    my (@questions) = @_;
    my $writers = writers_of($redis, @questions);
    my %by;

    push(@{ $by{$writers->{$_}} }, $_) foreach sort keys %$writers;

    return %by;
}


# waits until a worker has lanes to two fillers

sub spread {
    my ($pair, $worker) = @_;
    my $n = 0;

    wait_for {
        my @questions = map { 'Spread ' . ++$n
            . '? {{chunks=2;gap=300;first=0}}' } 1, 2;
        my $later = ask_later($pair, map { {
            question => $_, way_to($pair, $worker)
        } } @questions);

        mid_answer($redis, 2, @questions);

        my %by = parts(@questions);

        results($later);
        keys(%by) == 2;
    } 15, 'lanes to both fillers';
}

done();
