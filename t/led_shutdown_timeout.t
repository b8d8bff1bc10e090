#!/usr/bin/perl

# worker_shutdown_timeout is over while workers lead generations: their clients
# are cut, and another filler goes on at once.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Time::HiRes qw(sleep time);

my %answer = (chunks => 50, gap => 40, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);
my $nginx = led_nginx(redis => $redis, provider => $provider,
                      main => 'worker_shutdown_timeout 1s;');
my $other = led_nginx(redis => $redis, provider => $provider);

leads($nginx, $other);

foreach my $run (1 .. 3) {
    my $name = "reload $run";
    my $question = "What takes very long, $run? {{chunks=100}}";
    my $text = text_of($question, %answer);
    my $old = filler($nginx);
    my $scene = ask_around($nginx, $question, elsewhere => [ $other ]);

    begun($redis, $scene, 8);

    my $began = time();

    $nginx->reload;

    my ($leader, $beside, $elsewhere) = ends_of($scene);

    is($leader->{error}, 'closed early', "$name: the leader's client is cut");
    is($beside->{error}, 'closed early', "$name: others of the host, too");
    stream_ok($elsewhere, "$name: another instance goes on", text => $text,
              restarts => 1);
    cmp_ok((restarted_at($elsewhere) // 1e12) - $began, '<', 1 + 2 + $SLACK,
           "$name: without waiting for the lease");
    is(provider_stats($provider, $question), 2, "$name: two calls");
    nothing_left($redis, $name);
    is(cached_as($redis, $question), $text, "$name: it is cached");
    ok(wait_for(sub { gone($old) }, 10), "$name: the old filler ends");
    leads($nginx, $other);
}

done();
