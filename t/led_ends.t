#!/usr/bin/perl

# Generations that workers lead and that end before they are complete: an
# operator stops one, nobody listens any more, or the provider fails for good.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 60, gap => 25, bytes => 20);
my $GRACE = 1;

# what design fixes: seconds
my $SILENT = 3;
my $LOOK = 1;

# less than an error waits for the filler
my $PAUSE = 0.15;

my $redis = start_redis();
my $provider = start_provider(%answer);
my %brief = (redis => $redis, provider => $provider,
    provider_lines => 'retries 0;',
    server => "location = /brief { chat; chat_abandon cancel grace=${GRACE}s; }");
my $nginx = led_nginx(%brief);
my $other = led_nginx(%brief);

leads($nginx, $other);


# the key of a generation as it grows

sub generation {
    my ($question) = @_;
    my $id = live_id($redis, $question) // die "no generation: $question\n";

    return '{' . stream_key($question) . "}:1:gen:$id";
}


sub not_cached {
    my ($name, $question) = @_;

    nothing_left($redis, $name);
    is(cached_as($redis, $question), undef, "$name: it is not cached");
    is(provider_stats($provider, $question), 1, "$name: one call");
    is(provider_stats($provider)->{active}, 0, "$name: no call goes on");
}


# HSET stop, while chunks come, and while the provider is silent.

foreach my $case (['stopped', '', 1], ['stopped while it is silent',
                                       ' {{fault=stall;at=12}}', $SILENT])
{
    my ($name, $how, $bound) = @$case;
    my $question = "What if it is $name?$how";
    my $scene = ask_around($nginx, $question, elsewhere => [ $other ]);

    begun($redis, $scene, 12);

    my $stopped = time();

    $redis->cmd('HSET', generation($question) . ':own', 'stop', 1);

    my ($leader, @others) = ends_of($scene);

    is($leader->{headers}{'x-source'}, 'led', "$name: it was led");

    foreach my $q ($leader, @others) {
        my $who = shift(@{ $scene->{who} });

        stream_ok($q, "$name: $who", error => 'stopped', restarts => 0);
        cmp_ok($q->{ended} - $stopped, '<', $bound + $SLACK,
               "$name: $who, in time");
    }

    not_cached($name, $question);
}


# All clients leave, of the leading worker alone or of others, too.

foreach my $where ('here', 'everywhere') {
    my $name = "all leave, $where";
    my $question = "What if $name? {{chunks=400;gap=40}}";
    my $scene = ask_around($nginx, $question,
        beside => $where eq 'everywhere' ? 1 : 0,
        elsewhere => $where eq 'everywhere' ? [ $other ] : [],
        ask => { path => '/brief', hangup_after => 12 });
    my @all = ends_of($scene);
    my ($left) = sort { $b <=> $a } map { $_->{ended} } @all;

    is(scalar(grep { $_->{hungup} } @all), @all, "$name: they do");
    ok(wait_for(sub { !provider_stats($provider)->{active} },
                $GRACE + $LOOK + $SILENT + $SLACK), "$name: the call ends");

    my $took = time() - $left;

    cmp_ok($took, '>', $GRACE - 0.1, "$name: not before the grace");
    cmp_ok($took, '<', $GRACE + $LOOK + $SILENT + $SLACK,
           "$name: soon after it");
    note("$name: after $took s");
    not_cached($name, $question);
}


# Those of the leading worker leave, and somebody else stays: a reader of
# another instance, or one of this worker who comes within the grace.

{
    my $name = 'somebody listens elsewhere';
    my $question = "What if $name? {{chunks=100;gap=40}}";
    my $text = text_of($question, %answer);
    my ($worker) = $nginx->worker_pids;
    my $later = ask_later($nginx, { question => $question, path => '/brief',
        hangup_after => 20, way_to($nginx, $worker) });

    mid_answer($redis, 2, $question);

    my $q = ask($other, { question => $question, path => '/brief' });
    my ($leader) = results($later);

    ok($leader->{hungup}, "$name: the first one has left");
    cmp_ok($q->{ended} - $leader->{ended}, '>', $GRACE + 1,
           "$name: long before the end");
    stream_ok($q, "$name: it goes on", text => $text, restarts => 0,
              cache => qr/collapsed/);
    is(provider_stats($provider, $question), 1, "$name: one call");
    nothing_left($redis, $name);
    is(cached_as($redis, $question), $text, "$name: it is cached");
}

{
    my $name = 'somebody comes within the grace';
    my $question = "What if $name?";
    my $text = text_of($question, %answer);
    my ($worker) = $nginx->worker_pids;

    ask($nginx, { question => $question, path => '/brief', hangup_after => 5,
                  way_to($nginx, $worker) });
    sleep($GRACE / 2);

    my $q = ask($nginx, { question => $question, path => '/brief',
                          way_to($nginx, $worker) });

    stream_ok($q, "$name: it goes on", text => $text, restarts => 0,
              cache => qr/collapsed/);
    is($q->{headers}{'x-source'}, 'led', "$name: of the same worker");
    is(provider_stats($provider, $question), 1, "$name: one call");
    nothing_left($redis, $name);
    is(cached_as($redis, $question), $text, "$name: it is cached");
}


# The last reader elsewhere leaves after those of the leading worker.

{
    my $name = 'the last one leaves elsewhere';
    my $question = "What if $name? {{chunks=400;gap=40}}";
    my $scene = ask_around($nginx, $question, beside => 0,
        ask => { path => '/brief', hangup_after => 20 });

    mid_answer($redis, 2, $question);

    my $q = ask($other, { question => $question, path => '/brief',
                          hangup_after => 80 });
    my ($leader) = ends_of($scene);

    cmp_ok($q->{ended} - $leader->{ended}, '>', $GRACE, "$name: much later");
    ok(wait_for(sub { !provider_stats($provider)->{active} },
                $GRACE + $LOOK + $SILENT + $SLACK), "$name: the call ends");
    not_cached($name, $question);
}


# chat_abandon finish: whoever leaves, the answer is cached.

{
    my $name = 'finished for nobody';
    my $question = "What if $name?";
    my $q = ask($nginx, { question => $question, hangup_after => 3 });

    is($q->{headers}{'x-source'}, 'led', "$name: it was led");
    ok(wait_for(sub { defined cached_as($redis, $question) }, 5 + $SLACK),
       "$name: it is cached");
    is(cached_as($redis, $question), text_of($question, %answer),
       "$name: as a whole");
    is(provider_stats($provider, $question), 1, "$name: one call");
    nothing_left($redis, $name);
}


# The provider fails in mid-answer, and there is no retry.

foreach my $case (['reset', 'provider_broken'], ['badjson', 'provider_broken'])
{
    my ($fault, $code) = @$case;
    my $name = "$fault in mid-answer";
    my $question = "What of a $name? {{fault=$fault;at=30}}";
    my $scene = ask_around($nginx, $question, elsewhere => [ $other ]);

    begun($redis, $scene, 8);
    stream_ok($_, "$name: " . shift(@{ $scene->{who} }), error => $code,
              restarts => 0) foreach ends_of($scene);
    not_cached($name, $question);
}


# Who has seen the error asks anew, however slow the filler is.

{
    my $name = 'asked again after an error';
    my $question = "What is $name? {{fault=reset;at=6}}";
    my $filler = filler($nginx);
    my $stopped;

    my $q = ask($nginx, { question => $question, on_event => sub {
        return if @{ $_[0]{chunks} } < 4 || $stopped++;

        kill('STOP', $filler);
        system("(sleep $PAUSE; kill -CONT $filler) &");
    } });

    stream_ok($q, "$name: the error", error => 'provider_broken');
    is(live_id($redis, $question), undef, "$name: it has ended for all");
    is(scalar(ask($nginx, { question => $question })->{headers}{'cache-status'}),
       'ngx_chat; fwd=miss', "$name: another generation");
    nothing_left($redis, $name);
}

done();
