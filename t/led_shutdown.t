#!/usr/bin/perl

# worker_shutdown_timeout with a generation that a worker leads: the old worker
# ends then, whatever its provider still has to say.  (What becomes of those who
# listen elsewhere is in led_shutdown_timeout.t.)

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(time);

my $redis = start_redis();
my $provider = start_provider(chunks => 200, gap => 100);
my $nginx = start_nginx(redis => $redis, provider => $provider, lead => 'on',
    main => 'worker_shutdown_timeout 1s;');
my $question = 'Who is slow?';
my $later = ask_later($nginx, { question => $question });

wait_for { provider_stats($provider, $question) } 10, 'the provider is asked';

my @before = $nginx->worker_pids;
my $from = time();

ok($nginx->reload, 'reload');
ok(wait_for(sub { !grep { kill(0, $_) } @before }, 15),
   'the old worker has ended');
cmp_ok(time() - $from, '<', 5 + $SLACK,
       'the old worker ends soon after worker_shutdown_timeout');

my ($cut) = results($later);

ok(!$cut->{terminal}, 'its client is cut');

done();
