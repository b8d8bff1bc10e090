#!/usr/bin/perl

# More bytes of tasks than a reply of Redis may have: they wait for a
# filler, or a dead one has left them behind.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $COUNT = 70;
my $BYTES = 1100000;

my $provider = start_provider(chunks => 2);


# tasks whose generations are gone, so that each is done as soon as it is taken

sub push_tasks {
    my ($redis) = @_;
    my $messages = '[{"role": "user", "content": "' . 'x' x $BYTES . '"}]';

    foreach my $i (1 .. $COUNT) {
        $redis->cmd('XADD', 'chat:tasks:1', '*', h => key_of("large $i"),
            id => sprintf('%032x', $i), fp => '0' x 32,
            providers => 'openai=' . '0' x 32, messages => $messages,
            ttl => 1000, max_answer => 1000, cancel => 0, grace => 0,
            request_id => '');
    }
}


sub served_ok {
    my ($redis, $name) = @_;
    my $nginx = start_nginx(redis => $redis, provider => $provider,
                            workers => 1);

    stream_ok(scalar ask($nginx, { question => "What comes behind $name?" }),
              "$name: what comes behind them is answered");

    wait_for { $redis->tasks == 0 } 15, 'no task';
    is($redis->tasks, 0, "$name: all are done");

    my @lost = $nginx->error_log =~ /(commands: a broken reply)/g;

    is(scalar(@lost), 0, "$name: no connection for commands is lost");
}


my $waiting = start_redis();

push_tasks($waiting);
is($waiting->cmd('XLEN', 'chat:tasks:1'), $COUNT, 'waiting: so many tasks');
served_ok($waiting, 'waiting');

my $left = start_redis();

push_tasks($left);
$left->cmd('XGROUP', 'CREATE', 'chat:tasks:1', 'fill', '0');
$left->cmd('XREADGROUP', 'GROUP', 'fill', 'dead', 'COUNT', '5', 'STREAMS',
           'chat:tasks:1', '>') foreach 1 .. $COUNT / 5;

my @entries = map { $_->[0] } @{ $left->cmd('XPENDING', 'chat:tasks:1', 'fill',
                                            '-', '+', $COUNT) };

$left->cmd('XCLAIM', 'chat:tasks:1', 'fill', 'dead', '0', @entries, 'IDLE',
           '60000', 'JUSTID');
is(scalar(@entries), $COUNT, 'left behind: so many tasks');
served_ok($left, 'left behind');

done();
