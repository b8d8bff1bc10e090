#!/usr/bin/perl

# Metrics while processes come and go: what was counted stays, what a process
# was at falls away with it.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Metrics;
use File::Copy qw(copy);

my $redis = start_redis();
my $provider = start_provider(chunks => 3, gap => 1);
my $nginx = led_nginx(redis => $redis, provider => $provider,
                      server => "$METRICS"
                          . ' location = /queued { chat; chat_lead off; }');
my $n = 0;


# questions one after the other, which may meet any worker

sub some {
    my ($who, $count) = @_;

    ask($who, { question => 'Question ' . ++$n . '?' }) foreach 1 .. $count;
}


# Counters, once nothing moves any more.  Redis is asked all the time, and so is
# the page.

sub counters {
    my ($who) = @_;
    my %last;

    wait_for {
        my $page = metrics($who);
        my %now = map { $_ => $page->{$_} }
                  grep { /_(?:total|count|sum|bucket)\b/ && !/round_trip/ }
                  keys %$page;
        my $same = $page->{chat_live_generations} == 0
            && $page->{chat_live_readers} == 0
            && join(' ', map { "$_ $now{$_}" } sort keys %now)
               eq join(' ', map { "$_ $last{$_}" } sort keys %last);

        %last = %now;
        select(undef, undef, undef, 0.1) if !$same;
        $same;
    } 20, 'counters that stand still';

    return \%last;
}


sub kept {
    my ($name, $before, $who) = @_;
    my $after = counters($who // $nginx);
    my @less = grep { ($after->{$_} // 0) < $before->{$_} } keys %$before;

    is_deeply(\@less, [], "$name: no counter has gone back");

    return $after;
}


# reloads: the same workers, more, fewer

some($nginx, 20);

my $before = counters($nginx);
my $served = $before->{'chat_requests_total{result="miss"}'};

cmp_ok($served, '>=', 20, 'at first: questions are counted');

foreach my $workers (2, 4, 1) {
    $nginx->reload(workers => $workers);
    wait_for { $nginx->worker_pids == $workers && $nginx->filler_pids == 1 }
        20, 'the former processes to end';
    $before = kept("a reload to $workers workers", $before);
    is(metrics($nginx)->{chat_fillers}, 1,
       "a reload to $workers workers: one filler");
    wait_for { metrics($nginx)->{chat_lanes} == $workers } 10, 'lanes';
    is(metrics($nginx)->{chat_lanes}, $workers,
       "a reload to $workers workers: a lane each");

    some($nginx, 5);
    wait_for { metrics($nginx)->{'chat_requests_total{result="miss"}'}
                   >= $served + 5 } 10, 'questions to be counted';
    $served += 5;
    is(counters($nginx)->{'chat_requests_total{result="miss"}'}, $served,
       "a reload to $workers workers: it is counted on");
}

$nginx->reload(workers => 2, http => 'chat_provider another {'
    . ' url http://127.0.0.1:1; key ""; }');
is(metrics($nginx)->{'chat_provider_calls_total{provider="another",code="200"}'},
   0, 'a reload with another provider: it is there');
$before = kept('a reload with another provider', $before);


# a worker is killed while it leads: a filler goes on for a client elsewhere

{
    my $two = led_nginx(redis => $redis, provider => $provider,
                        server => $METRICS);
    my $question = 'Who takes it over? {{chunks=40;gap=50}}';
    my $here = metrics($two);
    my $scene = ask_around($two, $question, elsewhere => [ $nginx ],
                           beside => 0);

    begun($redis, $scene, 4);
    is(metrics($two)->{chat_live_generations}, 1, 'a worker leads: it lives');
    is(metrics($two)->{chat_live_readers}, 1, 'a worker leads: for a reader');
    is(metrics($nginx)->{chat_live_readers}, 1,
       'a worker leads: a reader elsewhere');
    is(metrics($nginx)->{chat_live_generations}, 0,
       'a worker leads: nobody asks elsewhere');

    kill('KILL', $scene->{leader});

    ok(wait_for(sub { metrics($two)->{chat_live_readers} == 0 }, 10),
       'it is killed: its reader is not counted any more');
    ok(wait_for(sub { metrics($two)->{chat_takeovers_total} == 1 }, 20),
       'it is killed: a take-over');

    my (undef, $other) = ends_of($scene);

    stream_ok($other, 'it is killed: the reader elsewhere',
              text => text_of($question, chunks => 40));

    my $moved = shifts($here, counters($two));

    is($moved->{'chat_generations_started_total{path="led"}'}, 1,
       'it is killed: what it had begun is counted');
    is($moved->{'chat_generations_finished_total{path="led"}'}, undef,
       'it is killed: and has not ended');
    is($moved->{'chat_generations_finished_total{path="queued"}'}, 1,
       'it is killed: a filler has ended it');
    is($moved->{chat_takeovers_total}, 1, 'it is killed: one take-over');
    $two->stop;
}


# a filler is killed in mid-answer, and its successor takes over

{
    my $page = counters($nginx);
    my $old = filler($nginx);
    my $question = 'Who else? {{chunks=20;gap=50}}';
    my $later = ask_later($nginx, { question => $question,
                                    path => '/queued' });

    mid_answer($redis, 4, $question);
    kill('KILL', $old);
    another_filler($nginx, $old);
    results($later);

    my $moved = shifts($page, counters($nginx));

    is($moved->{chat_filler_restarts_total}, 1,
       'a filler is killed: a restart');
    is($moved->{chat_takeovers_total}, 1, 'a filler is killed: a take-over');
    is($moved->{'chat_generations_started_total{path="queued"}'}, 2,
       'a filler is killed: the provider was asked twice');
    is($moved->{'chat_generations_finished_total{path="queued"}'}, 1,
       'a filler is killed: one answer');
    ok(wait_for(sub { metrics($nginx)->{chat_fillers} == 1
                      && metrics($nginx)->{chat_lanes} == 2 }, 20),
       'a filler is killed: one filler, two lanes');
    $before = kept('a filler is killed', $before);
}


# the queue

{
    my $queue = start_nginx(redis => start_redis(), provider => $provider,
        http => 'chat_fill concurrency=1; chat_queue_timeout 60s;',
        server => $METRICS);
    my @asks = map { { question => "Waits $_ {{gap=1}}" } }
               1 .. 3;

    provider_set($provider, upto => 1);

    my $later = ask_later($queue, @asks);

    ok(wait_for(sub { metrics($queue)->{chat_queue_length} == 2 }, 15),
       'the queue: two wait');
    ok(wait_for(sub { metrics($queue)->{chat_queue_oldest_seconds} > 1 }, 15),
       'the queue: for how long');
    cmp_ok(metrics($queue)->{chat_queue_oldest_seconds}, '<', 30,
           'the queue: and no longer');
    is(metrics($queue)->{chat_live_generations}, 1, 'the queue: one runs');
    is(metrics($queue)->{chat_live_readers}, 3, 'the queue: three listen');
    provider_reset($provider);
    results($later);
    ok(wait_for(sub { metrics($queue)->{chat_queue_length} == 0
                      && metrics($queue)->{chat_queue_oldest_seconds} == 0 },
                15), 'the queue: nobody waits any more');
    $queue->stop;
}


# without a master process: a reload keeps the process, and its block

{
    my $single = start_nginx(redis => $redis, provider => $provider,
        master => 0, workers => 1, server => $METRICS, redis_down => 'direct');

    some($single, 3);

    my $was = counters($single);

    is($was->{'chat_requests_total{result="miss"}'}, 3,
       'without a master: what is counted');
    is(metrics($single)->{chat_fillers}, 1, 'without a master: one filler');
    $single->stop('TERM');
}


# a module of another release, and a reload: as after a restart; a module that
# is linked in cannot be another one

if (!$ENV{CHAT_NGINX}) {
    my $so = test_dir() . '/ngx_chat_module.so';
    my $built = Chat::Nginx::root() . '/build/ngx_chat_module.so';

    copy($built, $so) or die "$so: $!\n";
    chmod(0644, $so);

    my $released = start_nginx(redis => $redis, provider => $provider,
        server => $METRICS, load => "load_module $so;");

    some($released, 4);
    is(counters($released)->{'chat_requests_total{result="miss"}'}, 4,
       'a release: what it has counted');

    # under the name that it had the C library would not load it again

    copy($built, "$so.new") or die "$so.new: $!\n";
    chmod(0644, "$so.new");

    my $later = ask_later($released,
                          { question => 'Long {{chunks=20;gap=50}}' });

    mid_answer($redis, 3, 'Long {{chunks=20;gap=50}}');
    ok($released->reload(load => "load_module $so.new;"),
       'another release: a reload');
    ok(wait_for(sub { metrics($released)->{'chat_requests_total{result="miss"}'}
                          == 0 }, 10), 'another release: counted from 0');
    stream_ok((results($later))[0], 'another release: what was asked before');
    some($released, 2);
    is(counters($released)->{'chat_requests_total{result="miss"}'}, 2,
       'another release: it counts');
}

done();
