#!/usr/bin/perl

# More fillers at once than the board has room for, and more workers than
# one generation has: those that count are on it.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(time);

my $PROCESSES = 8;
my $SLOTS = 4 * $PROCESSES;
my %answer = (chunks => 40, gap => 1000, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);


sub fillers {
    my ($nginx) = @_;

    return scalar(my @all = $nginx->filler_pids);
}


sub page { return parse_json(get($_[0], '/')->{body}) }


# how many there are in this state, or in any

sub shown {
    my ($page, $state) = @_;

    return scalar(grep { !defined $state || $_->{state} eq $state }
                  @{ $page->{fillers} });
}


# Each filler has one answer to finish when it is to quit.

{
    my $nginx = start_nginx(redis => $redis, provider => $provider,
        workers => 1, lead => 'off',
        http => "chat_fill processes=$PROCESSES concurrency=1;");
    my (@later, $page);

    foreach my $round (1 .. 4) {
        my @asks = map { { question => "round $round, $_", timeout => 90 } }
                   1 .. $PROCESSES;

        wait_for { shown(page($nginx), 'running') == $PROCESSES } 15,
            'the fillers';
        push(@later, ask_later($nginx, @asks));
        mid_answer($redis, 2, map { $_->{question} } @asks);
        $nginx->reload;

        my $all = ($round + 1) * $PROCESSES;

        ok(wait_for(sub { fillers($nginx) == $all }, 15, "$all fillers"),
           "many fillers: $all at once");

        my $ok = wait_for {
            $page = page($nginx);
            shown($page, 'running') == $PROCESSES;
        } 15, 'the living generation';

        ok($ok, "many fillers, $all: those that take tasks are shown");
        is($page->{status}, 'ok', "many fillers, $all: all is well");

        if ($all <= $SLOTS) {
            is(shown($page), $all,
               "many fillers, $all: the others are shown too");

        } else {
            # one may make room for two who look at the same time

            cmp_ok(shown($page), '>', $SLOTS - $PROCESSES,
                   "many fillers, $all: others, as there is room");
        }
    }

    my @wrong = grep { Chat::Check::faults($_, restarts => 0) }
                map { results($_) } @later;

    is(scalar(@wrong), 0, 'many fillers: all are answered');

    wait_for {
        fillers($nginx) == $PROCESSES && shown(page($nginx)) == $PROCESSES
    } 20, 'the last ones';
    is(fillers($nginx), $PROCESSES, 'many fillers: the last ones stay');
    is(shown(page($nginx)), $PROCESSES,
       'many fillers: the last ones are shown');
    ok($nginx->stop, 'many fillers: nginx ends');
}


# A reload that changes the number of workers: those of before, who stand still
# and have no request, leave room for the new one, whose request is waited for.

{
    my $nginx = start_nginx(redis => $redis, provider => $provider,
                            workers => 66, lead => 'off');
    my @old = $nginx->worker_pids;
    my $zero = Chat::Nginx::parent(filler($nginx));
    my $seen = 0;

    stand_still($_) foreach grep { $_ != $zero } @old;
    ok($nginx->reload(workers => 1), 'many workers: a reload to one');
    wait_for { gone($zero) } 15, 'the end of the old worker 0';
    filler($nginx);

    my $later = ask_later($nginx, { question => 'late {{chunks=3;gap=10}}',
                                    body_delay => 2 });

    wait_for { taken_clients($nginx) } 10, 'the client';
    $nginx->signal('QUIT');
    kill('CONT', @old);

    stream_ok((results($later))[0],
              'many workers: the request of a late worker');
    ok($nginx->stop, 'many workers: nginx ends');
}


# A filler that drains dies together with its worker, behind a reload that
# has changed the number of workers: the new one knows what it has left.

{
    my $nginx = start_nginx(redis => $redis, provider => $provider,
                            lead => 'off');
    my $old = filler($nginx);
    my $worker = Chat::Nginx::parent($old);
    my $question = 'left {{chunks=50;gap=100}}';
    my $first = ask_later($nginx, { question => $question });

    $nginx->allow_log(qr/exited on signal 9/);
    mid_answer($redis, 2, $question);
    ok($nginx->reload(workers => 5),
       'a dead filler: a reload with more workers');
    another_filler($nginx, $old);
    wait_for { Chat::Nginx::title($worker) =~ /shutting down/ } 10,
        'the old worker to take no more clients';

    my $second = ask_later($nginx, { question => $question });

    wait_for { taken_clients($nginx) == 2 } 10, 'another client';

    my $killed = time();

    kill('KILL', $worker, $old);
    results($first);

    my ($q) = results($second);

    stream_ok($q, 'a dead filler: what it has left goes on', restarts => 1,
              cache => qr/collapsed/);

    # others would have to wait for the lease, of which 7 s are left at least

    cmp_ok(restarted_at($q) - $killed, '<', 5,
           'a dead filler: taken over at once');
    ok($nginx->stop, 'a dead filler: nginx ends');
}

done();
