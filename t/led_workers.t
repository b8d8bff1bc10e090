#!/usr/bin/perl

# The worker that leads a generation is killed or stands still.  Its own clients
# are cut; those elsewhere get another answer from its beginning, or an end, in
# time; where nobody wants it any more no provider is asked any more.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 50, gap => 40, bytes => 20);
my $ANSWER = $answer{chunks} * $answer{gap} / 1000;

# what design fixes: seconds
my $ORPHAN = 1;
my $TAKEN = 1;
my $LEASE = 10;
my $TICKS = 10;

my $provider = start_provider(%answer);
my $redis = start_redis();
my $other = led_nginx(redis => $redis, provider => $provider);

# Rows: what happens to an instance of its own in mid-answer.
#
#     fault          sub ($nginx, $worker, $filler)
#     zero           1: worker 0 leads
#     alone          1: nobody asks anywhere else
#     here           1: nobody asks on another instance, or writes there
#     cancel         1: chat_abandon is so
#     bound          of the end, for others, from the fault
#     restarts       theirs
#     calls, cached  what comes of it
#     goes_on        1: the worker's own client has the whole answer

my @rows = (
    { name => 'killed', fault => sub { kill('KILL', $_[1]) },
      bound => $ORPHAN + $ANSWER, restarts => 1, calls => 2, cached => 1 },

    { name => 'worker 0 is killed', zero => 1,
      fault => sub { kill('KILL', $_[1]) },
      bound => $ORPHAN + $ANSWER, restarts => 1, calls => 2, cached => 1 },

    { name => 'killed along with the filler',
      fault => sub { kill('KILL', $_[1], $_[2]) },
      bound => $LEASE + 6 + $ANSWER, restarts => 1, calls => 2, cached => 1 },

    { name => 'the same, and there is no other instance', here => 1,
      fault => sub { kill('KILL', $_[1], $_[2]) },
      bound => $LEASE + 6 + $ANSWER, restarts => 1, calls => 2, cached => 1 },

    { name => 'worker 0 is killed along with the filler', zero => 1, here => 1,
      fault => sub { kill('KILL', $_[1], $_[2]) },
      bound => $LEASE + 6 + $ANSWER, restarts => 1, calls => 2, cached => 1 },

    { name => 'killed, and nobody else has asked', alone => 1,
      fault => sub { kill('KILL', $_[1]) }, calls => 2, cached => 1 },

    { name => 'killed, nobody else has asked, and it may be cancelled',
      alone => 1, cancel => 1, fault => sub { kill('KILL', $_[1]) },
      calls => 1, cached => 0 },

    { name => 'killed, others have asked, and it may be cancelled',
      cancel => 1, fault => sub { kill('KILL', $_[1]) },
      bound => $ORPHAN + $ANSWER, restarts => 1, calls => 2, cached => 1 },

    { name => 'stands still for 3 s', fault => sub { stand_still($_[1]) },
      then => [3, sub { kill('CONT', $_[1]) }], goes_on => 1,
      bound => 3 + $ANSWER, restarts => 0, calls => 1, cached => 1 },

    { name => 'stands still until it is given up',
      fault => sub { stand_still($_[1]) },
      then => [$TICKS + $ORPHAN + $ANSWER + 3, sub { kill('CONT', $_[1]) }],
      goes_on => 1, bound => $TICKS + $ORPHAN + $ANSWER, restarts => 1,
      calls => 2, cached => 1 },

    { name => 'stands still until another call has begun',
      fault => sub { stand_still($_[1]) },
      then => [$TICKS, sub {
          my (undef, $worker, $question) = @_;

          wait_for {
              provider_stats($provider, $question) == 2
          } 5, 'another call';
          kill('CONT', $worker);
      }], goes_on => 1, bound => $TICKS + $ORPHAN + $ANSWER, restarts => 1,
      calls => 2, cached => 1 },
);

place($_) foreach @rows;
leads($other, map { $_->{nginx} } @rows);
begin($_) foreach @rows;
strike($_) foreach @rows;

later($_) foreach sort { $a->{then}[0] <=> $b->{then}[0] }
    grep { $_->{then} } @rows;

columns($_) foreach @rows;

is(provider_stats($provider)->{active}, 0, 'all over: no call goes on');


sub place {
    my ($row) = @_;

    $row->{redis} = $row->{here} ? start_redis() : $redis;
    $row->{nginx} = led_nginx(redis => $row->{redis}, provider => $provider,
        location => $row->{cancel} ? 'chat_abandon cancel grace=1s;' : '');
    $row->{question} = "What if a worker, $row->{name}?";
}


sub begin {
    my ($row) = @_;
    my $nginx = $row->{nginx};
    my $filler = filler($nginx);
    my $zero = Chat::Nginx::parent($filler);
    my ($leader) = grep { ($_ == $zero) == ($row->{zero} // 0) }
        $nginx->worker_pids;

    $row->{filler} = $filler;
    $row->{leader} = $leader;
    $row->{scene} = ask_around($nginx, $row->{question}, leader => $leader,
        beside => $row->{alone} ? 0 : 1, witness => 1,
        elsewhere => $row->{alone} || $row->{here} ? [] : [ $other ]);
}


sub strike {
    my ($row) = @_;

    begun($row->{redis}, $row->{scene}, 8);
    $row->{struck} = time();
    $row->{fault}->($row->{nginx}, $row->{leader}, $row->{filler});
}


sub later {
    my ($row) = @_;
    my ($seconds, $code) = @{ $row->{then} };
    my $left = $row->{struck} + $seconds - time();

    sleep($left) if $left > 0;
    $code->(@$row{qw(nginx leader question)});
}


sub columns {
    my ($row) = @_;
    my ($name, $question, $struck) = @$row{qw(name question struck)};
    my $text = text_of($question, %answer);
    my ($leader, @others) = ends_of($row->{scene});
    my $witness = pop(@others);

    is($leader->{headers}{'x-worker'}, $row->{leader}, "$name: that worker");
    is($leader->{headers}{'x-source'}, 'led', "$name: leads");

    if ($row->{goes_on}) {
        stream_ok($leader, "$name: its client has the whole answer", text =>
                  $text, restarts => 0);

    } else {
        ok(defined $leader->{error}, "$name: its client is cut");
    }

    foreach my $q (@others) {
        my $where = $q == $others[0] ? 'another worker' : 'another instance';
        my $took = $q->{ended} - $struck;

        stream_ok($q, "$name: $where has the answer", text => $text,
                  restarts => $row->{restarts}, cache => qr/collapsed/);
        cmp_ok($took, '<', $row->{bound} + $SLACK, "$name: $where, in time");
        note(sprintf('%s: %s after %.1f s', $name, $where, $took));
    }

    nothing_left($row->{redis}, $name, 20);
    is(provider_stats($provider, $question), $row->{calls},
       "$name: $row->{calls} calls");
    is(cached_as($row->{redis}, $question), $row->{cached} ? $text : undef,
       "$name: " . ($row->{cached} ? 'it is cached' : 'it is not cached'));

    leads($row->{nginx});
    pass("$name: all workers lead again");
}

done();
