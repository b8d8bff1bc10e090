#!/usr/bin/perl

# The worker that leads a generation and the filler that writes it die at the
# same moment.  Readers elsewhere have its task in the queue of led ones, from
# where another filler takes it; what nobody else has asked for is lost.  All of
# it happens at once, on three instances.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(time);

my %answer = (chunks => 60, gap => 40, bytes => 20);

# s: an entry is idle for 12 s, and looked for every 3 s
my $FOUND = 12 + 3 + 1;

# s: lease and margin, and the silence after which a reader looks
my $GIVEN_UP = 10 + 10 + 5 + 1;

my ($BOTH, $HOST, $ALONE) = ('Both die?', 'Its host dies?', 'Nobody reads?');

my $redis = start_redis();
my $provider = start_provider(%answer);
my $nginx = led_nginx(redis => $redis, provider => $provider, workers => 2);
my $host = led_nginx(redis => $redis, provider => $provider, workers => 1);
my $other = led_nginx(redis => $redis, provider => $provider);

# worker 0 is the parent of the filler, which would notice that it has died

my $filler = filler($nginx);
my ($leader) = grep { $_ != Chat::Nginx::parent($filler) } $nginx->worker_pids;

my $both = ask_around($nginx, $BOTH, leader => $leader, beside => 0,
                      elsewhere => [ $other ]);
my $whole = ask_around($host, $HOST, elsewhere => [ $other ]);
my $alone = ask_around($nginx, $ALONE, leader => $leader, beside => 0);

begun($redis, $_, 12) foreach $both, $whole, $alone;

my $struck = time();

kill('KILL', $leader, $filler);
kill('KILL', $host->pids);

# asks for what is announced, and will never come

my $late = ask_later($other, { question => $ALONE, timeout => 60 });

foreach my $case ([ 'both', $both ], [ 'the host', $whole ]) {
    my ($name, $scene) = @$case;
    my $question = $scene->{question};
    my $text = text_of($question, %answer);
    my ($cut, $q) = ends_of($scene);

    ok(defined $cut->{error}, "$name: the leader's client is cut");
    stream_ok($q, "$name: readers elsewhere start over", restarts => 1,
              cache => qr/collapsed/, text => $text);

    my $took = (restarted_at($q) // 1e12) - $struck;

    cmp_ok($took, '<', $FOUND + $SLACK, "$name: in time");
    note(sprintf('%s: after %.1f s', $name, $took));
    is(provider_stats($provider, $question), 2, "$name: two calls");
    is(cached_as($redis, $question), $text, "$name: it is cached");
}

my ($q) = results($late);

is($q->{events}[-1]{code}, 'interrupted', 'nobody: it is given up');
cmp_ok($q->{ended} - $struck, '<', $GIVEN_UP + $SLACK, 'nobody: in time');
ends_of($alone);

stream_ok(scalar ask($other, { question => $ALONE }), 'nobody: a new one then',
          text => text_of($ALONE, %answer));
nothing_left($redis, 'in the end', 15);

done();
