#!/usr/bin/perl

# Redis fails while a worker leads a generation: its clients get the whole
# answer whatever becomes of it, others what the fault comes to for those who
# read from Redis.  Each fault has a Redis and an instance of its own, and all
# happen at the same time.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 50, gap => 40, bytes => 20);

my $provider = start_provider(%answer);

# Rows: what happens to Redis in mid-answer, and what so long after that.
#
#     beside, bound    how it ends for a client of another worker, and within
#                      which time
#     elsewhere        1: and for one of another instance
#     cached           whether it is
#     refresh          the answer replaces one
#     before           1: ahead of the first chunk
#     queue            chat_queue_timeout, s

my @rows = (
    { name => 'stopped for 3 s', elsewhere => 1, fault => sub { $_[0]->signal('STOP') },
      then => [3, sub { $_[0]->signal('CONT') }],
      beside => 'completed', bound => 10, cached => 1 },

    { name => 'stopped for longer than a lease',
      fault => sub { $_[0]->signal('STOP') },
      then => [12, sub { $_[0]->signal('CONT') }],
      beside => 'completed', bound => 20, cached => 1 },

    { name => 'stopped under a refresh', refresh => 1,
      fault => sub { $_[0]->signal('STOP') },
      then => [5, sub { $_[0]->signal('CONT') }], cached => 1 },

    { name => 'stopped before the first chunk', before => 1,
      fault => sub { $_[0]->signal('STOP') },
      then => [5, sub { $_[0]->signal('CONT') }], cached => 1 },

    { name => 'its connections are lost', fault => sub {
          $_[0]->cmd('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
              foreach 'normal', 'pubsub';
      }, beside => 'completed', bound => 5, cached => 1 },

    { name => 'killed, and back with its data', config => [
          'appendonly yes', 'appendfsync always' ],
      fault => sub { $_[0]->stop('KILL'); $_[0]->start },
      beside => 'completed', bound => 5, cached => 1 },

    { name => 'killed, and back without its data',
      fault => sub { $_[0]->stop('KILL'); $_[0]->start },
      beside => 'interrupted', bound => 7, cached => 0 },

    { name => 'killed, and away', queue => 3,
      fault => sub { $_[0]->stop('KILL') },
      then => [9, sub { $_[0]->start }],
      beside => 'redis_down', bound => 9, cached => 0 },

    { name => 'killed before the first chunk, and away', before => 1,
      fault => sub { $_[0]->stop('KILL') },
      then => [9, sub { $_[0]->start }], cached => 0 },

    { name => 'FLUSHALL', elsewhere => 1, fault => sub { $_[0]->cmd('FLUSHALL') },
      beside => 'interrupted', bound => 7, cached => 0 },

    { name => 'FLUSHALL before the first chunk', before => 1,
      fault => sub { $_[0]->cmd('FLUSHALL') }, cached => 0 },

    { name => 'out of memory', fault => sub {
          $_[0]->cmd('CONFIG', 'SET', 'maxmemory', '1');
      }, then => [5, sub { $_[0]->cmd('CONFIG', 'SET', 'maxmemory', '0') }],
      beside => 'completed', bound => 5, cached => 1 },
);


place($_) foreach @rows;
begin($_) foreach @rows;
strike($_) foreach @rows;

foreach my $row (sort { $a->{then}[0] <=> $b->{then}[0] }
                 grep { $_->{then} } @rows)
{
    my ($seconds, $code) = @{ $row->{then} };
    my $left = $row->{struck} + $seconds - time();

    sleep($left) if $left > 0;
    $code->($row->{redis});
}

columns($_) foreach @rows;
rest($_) foreach @rows;

# the same questions, all at once

my @again = ask($rows[0]{nginx}, map { {
    question => $_->{question}, nginx => $_->{nginx}
} } @rows);

foreach my $i (0 .. $#rows) {
    my $row = $rows[$i];

    stream_ok($again[$i], "$row->{name}: asked again",
              text => text_of($row->{question}, %answer),
              cache => $row->{cached} ? qr/; hit/ : qr/fwd=miss/);
    nothing_left($row->{redis}, "$row->{name}: asked again");
}


sub place {
    my ($row) = @_;
    my $queue = $row->{queue} // 30;

    $row->{redis} = start_redis(config => $row->{config} || []);
    $row->{nginx} = led_nginx(redis => $row->{redis}, provider => $provider,
        http => "chat_queue_timeout ${queue}s;");
    $row->{others} = [ map {
        start_nginx(redis => $row->{redis}, provider => $provider)
    } 1 .. $row->{elsewhere} // 0 ];
    $row->{question} = "What if Redis is: $row->{name}?"
        . ($row->{before} ? ' {{first=2000}}' : '');

    ask($row->{nginx}, { question => $row->{question} }) if $row->{refresh};
}


sub begin {
    my ($row) = @_;

    $row->{scene} = ask_around($row->{nginx}, $row->{question}, witness => 1,
        beside => $row->{beside} ? 1 : 0, elsewhere => $row->{others},
        ask => $row->{refresh} ? { use_cache => 0 } : {});
}


# when the generation is under way; nobody announces one that is a refresh

sub strike {
    my ($row) = @_;
    my $redis = $row->{redis};
    my $S = stream_key($row->{question});

    if ($row->{beside}) {
        begun($redis, $row->{scene}, 8);

    } else {
        wait_for {
            grep { $redis->cmd('XLEN', $_) >= ($row->{before} ? 1 : 8) }
                grep { !/:own$/ } @{ $redis->cmd('KEYS', "{$S}:1:gen:*") };
        } 15 or die "no generation: $row->{name}\n";
    }

    $row->{struck} = time();
    $row->{fault}->($redis);
}


sub columns {
    my ($row) = @_;
    my ($name, $redis, $nginx, $struck) = @$row{qw(name redis nginx struck)};
    my $text = text_of($row->{question}, %answer);
    my @ends = ends_of($row->{scene});
    my ($leader, $witness) = @ends[0, -1];

    # the end of a refresh waits for the cache, and no longer than a second

    my $end = pop(@{ $leader->{events} }) if $row->{refresh};

    if ($row->{refresh}) {
        my $took = $end->{at} - $leader->{events}[-1]{at};

        cmp_ok($took, '<', 1 + pause_of($witness, $struck) + 0.25,
               "$name: completed a second later at most");
        cmp_ok($took, '>', 0.5, "$name: completed later");
        is(pause_of($leader, $struck) < pause_of($witness, $struck) + 0.25, 1,
           "$name: no pause before");
        is($leader->{text}, $text, "$name: the whole answer");

    } elsif ($row->{before}) {
        stream_ok($leader, "$name: the leader's client", text => $text,
                  restarts => 0);
        cmp_ok($leader->{ended} - $witness->{ended}, '<', 0.5 + $SLACK,
               "$name: as fast as without");

    } else {
        seamless_ok($leader, "$name: the leader's client", $struck, $witness,
                    text => $text);
    }

    foreach my $q (@ends[1 .. $#ends - 1]) {
        my $where = $q == $ends[1] ? 'another worker' : 'another instance';
        my $took = $q->{ended} - $struck;

        stream_ok($q, "$name: $where, $row->{beside}", restarts => 0,
                  $row->{beside} eq 'completed' ? (text => $text)
                                                : (error => $row->{beside}));
        cmp_ok($took, '<', $row->{bound} + $SLACK, "$name: $where, in time");
        note("$name: $where after $took s");
    }

    my $calls = provider_stats($provider, $row->{question});

    is($calls, $row->{refresh} ? 2 : 1, "$name: no other call");
}


# what is left, and whether work goes on

sub rest {
    my ($row) = @_;
    my ($name, $redis, $nginx) = @$row{qw(name redis nginx)};
    my $next;

    # the first one shows that Redis is known to be back

    wait_for {
        $next = ask($nginx, { question => "And after: $name? {{chunks=2}}" });
        $next->{status} == 200;
    } 5;

    stream_ok($next, "$name: the next one", restarts => 0);
    nothing_left($redis, $name, 25);
    is(cached_as($redis, $row->{question}),
       $row->{cached} ? text_of($row->{question}, %answer) : undef,
       "$name: " . ($row->{cached} ? 'it is cached' : 'it is not cached'));
}

done();
