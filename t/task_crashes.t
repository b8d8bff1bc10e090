#!/usr/bin/perl

# A task that kills whoever takes it, and a filler that cannot live.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep time);

my $redis = start_redis();
my $provider = start_provider(chunks => 5);
my $nginx = start_nginx(redis => $redis, provider => $provider,
                        lead => 'off');

$nginx->allow_log(qr/exited on signal 9/);


# a field of what is known of the generation that runs for this question

sub own {
    my ($question, $field) = @_;
    my $id = live_id($redis, $question) // return;

    return $redis->cmd('HGET', '{' . stream_key($question) . "}:1:gen:$id:own",
                       $field);
}


# A task that kills three fillers ends in an error.

{
    my $question = 'Who are you going to kill? {{first=20000}}';
    my $began = time();
    my $later = ask_later($nginx, { question => $question, timeout => 60 });
    my $killed = 0;

    foreach my $try (1 .. 3) {
        wait_for { (own($question, 'tries') // 0) == $try } 20, "try $try"
            or last;
        kill('KILL', $nginx->filler_pids);
        $killed++;
    }

    is($killed, 3, 'a task that kills: three fillers were killed');

    my ($q) = results($later);

    stream_ok($q, 'a task that kills: the client is told',
              error => 'interrupted', restarts => 0);
    cmp_ok(time() - $began, '<', 30 + $SLACK,
           'a task that kills: told in time');
    cmp_ok(provider_stats($provider, $question), '<=', 3,
           'a task that kills: three calls');
    is($redis->cmd('EXISTS', stream_key($question)), 0,
       'a task that kills: nothing is cached');
    wait_for { $redis->tasks == 0 } 5, 'no task';
    is($redis->tasks, 0, 'a task that kills: no task is left');

    stream_ok(scalar ask($nginx, { question => 'Anybody left?' }),
              'a task that kills: others are served', restarts => 0);
    is(scalar(zombies($nginx)), 0, 'a task that kills: no zombie is left');
}


# A task that each filler gives back, since it is told to end, ends in an
# error too; a return is no try.

{
    my $question = 'Who keeps it? {{chunks=200;gap=100}}';
    my $later = ask_later($nginx, { question => $question, timeout => 60 });
    my $filler = filler($nginx);
    my $calls = 0;
    my $end = sub {
        $calls++;
        wait_for { provider_stats($provider, $question) == $calls } 15,
            'its call';
        mid_answer($redis, 2, $question);
        kill('TERM', $filler);
        wait_for { gone($filler) } 15, 'its end';
        $filler = filler($nginx);
    };

    mid_answer($redis, 2, $question);

    my $own = '{' . stream_key($question) . '}:1:gen:'
        . live_id($redis, $question) . ':own';

    $end->();
    wait_for { (own($question, 'state') // '') eq 'r' } 15, 'another';
    is(join(' ', @{ $redis->cmd('HMGET', $own, 'returns', 'tries') }), '1 1',
       'given back: a return, and the first try again');

    # eight more would take their time

    $redis->cmd('HSET', $own, 'returns', 9);
    $end->();
    wait_for { (own($question, 'state') // '') eq 'r' } 15, 'another';
    is($redis->cmd('HGET', $own, 'returns'), 10, 'given back: the last return');
    $end->();

    my ($q) = results($later);

    stream_ok($q, 'given back once too often: an error', error => 'interrupted',
              restarts => 2);
    is(provider_stats($provider, $question), 3,
       'given back once too often: three calls');
    wait_for { $redis->tasks == 0 } 5, 'no task';
    is($redis->tasks, 0, 'given back once too often: no task is left');
}


# Innocent tasks that ran beside such a one get their third try as well.

{
    my @questions = map { "beside $_" } 1 .. 6;

    provider_set($provider, first => 20000);

    my $later = ask_later($nginx,
        map { { question => $_, timeout => 60 } } @questions);

    foreach my $try (1 .. 2) {
        wait_for {
            !grep { (own($_, 'tries') // 0) < $try } @questions
        } 20, "try $try";
        kill('KILL', $nginx->filler_pids);
    }

    provider_set($provider, first => 0);

    my @all = results($later);
    my @ended = grep { defined $_->{terminal} } @all;

    is(scalar(@ended), 6, 'beside such a task: every client has its end');

    # one after the other, as long as leases permit

    cmp_ok(scalar(grep { $_->{terminal}{status} eq 'completed' } @ended), '>=',
           3, 'beside such a task: most have the answer');
}


# A filler that dies as soon as it has started

{
    my ($spawned, $degraded, %seen, %status) = (0, 0);
    my $end = time() + 6;
    my $later;

    while (time() < $end) {
        foreach my $pid ($nginx->filler_pids) {
            $spawned++ unless $seen{$pid}++;
            kill('KILL', $pid);
        }

        $later //= ask_later($nginx, { question => 'When?', timeout => 60 });

        my $health = get($nginx, '/');

        $status{$health->{status}} = 1;
        $degraded++ if $health->{body} =~ /"degraded"/;
        sleep(0.02);
    }

    cmp_ok($spawned, '>=', 3, 'a filler that cannot live: it is started again');
    cmp_ok($spawned, '<=', 7, 'a filler that cannot live: not too often');

    is(join(' ', keys %status), '200',
       'a filler that cannot live: health has status 200');
    ok($degraded, 'a filler that cannot live: health is degraded');
    is(scalar(zombies($nginx)), 0,
       'a filler that cannot live: no zombie is left');

    stream_ok((results($later))[0],
              'a filler that lives: the question has waited', restarts => 0);
    ok(wait_for(sub { get($nginx, '/')->{body} =~ /"status": "ok"/ }, 15,
                'health'), 'a filler that lives: health is ok again');
}

done();
