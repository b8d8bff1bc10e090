#!/usr/bin/perl

# The filler that writes behind a worker stands still past a time that counts,
# and goes on: the worker's clients have seen nothing, and what became of the
# generation meanwhile holds.  Each part has an instance of its own, as all of
# them wait.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 60, gap => 40, bytes => 20);
my $QUICK = '{{chunks=3;gap=5}}';

# what design fixes: seconds
my $LEASE = 10;
my $MARGIN = 10;
my $SILENCE = 5;
my $LATE = 5;

# past the lease, with and without another instance; and past the margin, too

my ($helped, $alone, $lost) = map { place(@$_) } ['helped', 2], ['alone', 1],
    ['lost', 1];
my @places = ($helped, $alone, $lost);

leads(map { @{ $_->{nginx} } } @places);

foreach my $place (@places) {
    $place->{filler} = filler($place->{nginx}[0]);
    $place->{scene} = scene($place, "What of those $place->{name}?");
}

foreach my $place (@places) {
    begun($place->{redis}, $place->{scene}, 12);
    stand_still($place->{filler});
    $place->{stopped} = time();
}

# and questions that nobody writes from the start

my %late = map {
    my $question = "And of those $_->{name}, meanwhile?";

    $_->{name} => { question => $question, scene => scene($_, $question) }
} $helped, $alone;


# Nobody else is there, and the lease is over, but not given up for lost: the
# filler goes on where it was.

{
    my $name = 'past the lease';
    my ($redis, $provider, $nginx) = parts_of($alone);
    my ($scene, $late) = ($alone->{scene}, $late{alone});
    my $text = text_of($scene->{question}, %answer);

    sleep_until($alone->{stopped} + $LEASE + 4);

    my $own = own_of($redis, $scene->{question});
    my ($now) = @{ $redis->cmd('TIME') };

    cmp_ok($own->{till} / 1000, '<', $now, "$name: the lease is over");

    kill('CONT', $alone->{filler});

    my ($leader, $beside, $witness) = ends_of($scene);

    seamless_ok($leader, "$name: the leader's client", $alone->{stopped},
                $witness, text => $text);
    stream_ok($beside, "$name: another worker waits, and misses nothing",
              text => $text, restarts => 0);
    is(provider_stats($provider, $scene->{question}), 1, "$name: one call");

    # its task is in the queue by now, too

    my $other = text_of($late->{question}, %answer);

    ($leader, $beside, $witness) = ends_of($late->{scene});
    seamless_ok($leader, "$name: asked meanwhile", $alone->{stopped}, $witness,
                text => $other);
    stream_ok($beside, "$name: asked meanwhile, and joined", text => $other,
              restarts => 0);
    is(provider_stats($provider, $late->{question}), 1,
       "$name: one call of what was asked meanwhile");
    like($nginx->error_log, qr/is queued: no filler writes it/,
         "$name: it was queued meanwhile");

    nothing_left($redis, $name);
    is(cached_as($redis, $scene->{question}), $text, "$name: it is cached");
    is(cached_as($redis, $late->{question}), $other,
       "$name: so is what was asked meanwhile");
    unlike($nginx->error_log, qr/is not cached/, "$name: nothing was given up");
}


# Another instance has taken over what was insured for its readers, with a call
# of its own; and at once what was only queued.

{
    my $name = 'taken over';
    my ($redis, $provider, $nginx, $other) = parts_of($helped);
    my ($scene, $late) = ($helped->{scene}, $late{helped});

    # who has seen nothing yet sees no restart

    foreach my $case ([$name, $scene, $LEASE + 6, 1],
                      ["$name, asked meanwhile", $late->{scene}, $LATE, 0])
    {
        my ($of, $scene, $bound, $restarts) = @$case;
        my $text = text_of($scene->{question}, %answer);
        my ($leader, $beside, $elsewhere, $witness) = ends_of($scene);

        seamless_ok($leader, "$of: the leader's client", $helped->{stopped},
                    $witness, text => $text);

        foreach my $case (['another worker', $beside],
                          ['another instance', $elsewhere])
        {
            my ($where, $q) = @$case;
            my $at = restarted_at($q) // $q->{events}[1]{at};

            stream_ok($q, "$of: $where has the answer", text => $text,
                      restarts => $restarts);
            cmp_ok($at - $helped->{stopped}, '<', $bound + $SLACK,
                   "$of: $where has its begin in time");
            note("$of: $where after ", $at - $helped->{stopped}, ' s');
        }

        is(provider_stats($provider, $scene->{question}), 2,
           "$of: two calls");
        is(cached_as($redis, $scene->{question}), $text, "$of: it is cached");
    }

    my $before = entry_of($redis, $scene->{question});

    kill('CONT', $helped->{filler});

    ok(wait_for(sub {
        (() = $nginx->error_log =~ /is not cached: "/g) >= 2
    }, 5 + $SLACK), "$name: the filler tells that it could not write");
    nothing_left($redis, $name);
    is_deeply(entry_of($redis, $scene->{question}), $before,
              "$name: and has changed nothing");
    stream_ok(scalar ask($nginx, { question => "Now here? $QUICK" }),
              "$name: it works again", restarts => 0);
    nothing_left($redis, "$name, and works again");
    ok(defined cached_as($redis, "Now here? $QUICK"),
       "$name: what it writes is cached");
}


# Nobody else is there, and who reads along has given it up.

{
    my $name = 'given up';
    my ($redis, $provider, $nginx) = parts_of($lost);
    my $scene = $lost->{scene};
    my ($leader, $beside, $witness) = ends_of($scene);
    my $took = $beside->{ended} - $lost->{stopped};

    seamless_ok($leader, "$name: the leader's client", $lost->{stopped},
                $witness, text => text_of($scene->{question}, %answer));
    stream_ok($beside, "$name: another worker tells so",
              error => 'interrupted', restarts => 0);
    cmp_ok($took, '<', $LEASE + $MARGIN + $SILENCE + $SLACK,
           "$name: not long after the margin");
    cmp_ok($took, '>', $LEASE, "$name: not within the lease");
    note("$name: after $took s");

    kill('CONT', $lost->{filler});

    nothing_left($redis, $name);
    is(cached_as($redis, $scene->{question}), undef, "$name: it is not cached");
    is(provider_stats($provider, $scene->{question}), 1, "$name: one call");
    stream_ok(scalar ask($nginx, { question => "Now there? $QUICK" }),
              "$name: it works again", restarts => 0);
    nothing_left($redis, "$name, and works again");
}


# a Redis, a provider and so many instances

sub place {
    my ($name, $instances) = @_;
    my $redis = start_redis();
    my $provider = start_provider(%answer);

    return { name => $name, redis => $redis, provider => $provider, nginx => [
        map { led_nginx(redis => $redis, provider => $provider) }
            1 .. $instances
    ] };
}


sub parts_of {
    my ($place) = @_;

    return (@$place{qw(redis provider)}, @{ $place->{nginx} });
}


sub scene {
    my ($place, $question) = @_;
    my ($here, @others) = @{ $place->{nginx} };

    return ask_around($here, $question, elsewhere => \@others, witness => 1);
}


sub own_of {
    my ($redis, $question) = @_;
    my ($key) = @{ $redis->cmd('KEYS', '{' . stream_key($question)
                               . '}:1:gen:*:own') };

    return { @{ $redis->cmd('HGETALL', $key) } };
}


# the whole cached answer

sub entry_of {
    my ($redis, $question) = @_;

    return $redis->entries(stream_key($question))->[-1];
}


sub sleep_until {
    my ($time) = @_;
    my $left = $time - time();

    sleep($left) if $left > 0;
}

done();
