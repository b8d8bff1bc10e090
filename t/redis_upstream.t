#!/usr/bin/perl

# "upstream" blocks for Redis: connections go where the group sends them.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(sleep time);

my $provider = start_provider(chunks => 3, gap => 1);
my $number = 0;


sub group {
    my ($lines, %opt) = @_;

    return start_nginx(redis => 'redis://store', provider => $provider,
        workers => 2, location => 'chat_redis_down error;',
        http => "upstream store { $lines }", %opt);
}


# a miss and a hit; returns the question

sub works_ok {
    my ($nginx, $name) = @_;
    my $from = time();
    my $question = 'Does it work ' . ++$number . '? {{chunks=3;gap=1}}';
    my $miss;

    while (time() < $from + 10) {
        $miss = ask($nginx, { question => $question });
        last if $miss->{status} == 200 && $miss->{terminal}
            && $miss->{terminal}{status} eq 'completed';
        sleep(0.05);
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($miss, "$name: a miss", chunks => [ pieces_of($question) ]);
    stream_ok(ask_hit($nginx, { question => $question }), "$name: a hit",
              cache => qr/; hit/);

    return $question;
}


# a proxy has no connection while its target is refused

sub all_at {
    my ($proxy, $name) = @_;

    # two workers with two each, and a filler with two

    wait_for { $proxy->connections == 6 } 15, $name;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($proxy->connections, 6, $name);
}


# two ways to the same server

my $redis = start_redis();
my ($one, $two) = map { start_proxy($redis) } 1, 2;
my ($first, $second) = map { '127.0.0.1:' . $_->port } $one, $two;
my $both = "server $first; server $second;";


# all methods that do not need a request

foreach my $method ('', 'least_conn;', 'random;', 'random two;', 'zone z 64k;',
                    'zone z 64k; least_conn;', 'zone z 64k; random two;')
{
    my $nginx = group("$method $both",
        http => "upstream store { $method $both }
                 upstream queue { $method $both }",
        broker => 'redis://queue/1');

    works_ok($nginx, "both, $method");
    $nginx->reload;
    works_ok($nginx, "again, $method");
    $nginx->stop;
}

# weights, and one that is out of use

my $weights = group("server $first weight=20; server $second;", workers => 4);

wait_for { $one->connections + $two->connections == 10 } 10, 'connections';
cmp_ok($one->connections, '>=', 9, 'weights: they are used');
$weights->stop;

my $down = group("server $first down; server $second;");

all_at($two, 'down: what is down is not used');
works_ok($down, 'down');
$down->stop;

# the primary dies, and its place is taken at once

sub dies  { $_[0]->set(drop => 1, refuse => 1) }
sub lives { $_[0]->set(refuse => 0) }

my $nginx = group("server $first max_fails=1 fail_timeout=2s;
                   server $second backup;");

works_ok($nginx, 'a backup');
all_at($one, 'a backup: all are at the primary');

dies($one);

my $from = time();

works_ok($nginx, 'the primary is dead');
ok(time() - $from < 5, 'the primary is dead: soon another')
    or diag(time() - $from . ' s');
all_at($two, 'the primary is dead: all are at the backup');
like($nginx->error_log, qr/\[error\].*redis store:6379\/0, \w+: .*at \Q$first/,
     'the primary is dead: the log tells who did not answer');

# the primary is back; who has a connection keeps it

lives($one);
sleep(3);
is($two->connections, 6,
   'the primary is back: nobody goes there without a reason');

# one tries it, others may before that is known, and then all

$two->set(drop => 1);
wait_for { $one->connections >= 3 } 5, 'a try of each process';
cmp_ok($one->connections, '>=', 3,
       'the primary is back: each process tries it');
works_ok($nginx, 'the primary tried');
$two->set(drop => 1);
all_at($one, 'the primary is back: what works has failed no more');
works_ok($nginx, 'the primary again');
$nginx->stop;

# one that has failed is left alone for its time, in all processes

$nginx = group("zone z 64k; server $first max_fails=1 fail_timeout=60s;
                server $second backup;");

all_at($one, 'max_fails: at the primary');
dies($one);
all_at($two, 'max_fails: at the backup');
lives($one);
$two->set(drop => 1);
sleep(1.5);
all_at($two, 'max_fails: still at the backup');
is($one->connections, 0, 'max_fails: nobody at the primary');
works_ok($nginx, 'max_fails');

# nobody is left

dies($two);
wait_for { $nginx->error_log =~ /no live server/ } 15, 'the line';
like($nginx->error_log, qr/redis store:6379\/0, \w+: no live server in the up/,
     'nobody is left: the log tells that none is left');
wait_for { ask($nginx, { question => 'Anybody?' })->{status} == 503 } 5, '503';
$from = time();
is(ask($nginx, { question => 'Anybody there?' })->{status}, 503,
   'nobody is left: refused with 503');
ok(time() - $from < 1, 'nobody is left: refused at once');
lives($two);
$nginx->stop;

# one that swallows everything is given up for the next

$nginx = group("server $first fail_timeout=60s; server $second backup;");
all_at($one, 'a hole: through the first');
works_ok($nginx, 'no hole yet');
$one->set(hole => 1);
all_at($two, 'a hole: through the second');
works_ok($nginx, 'a hole');
$nginx->stop;
$one->set(hole => 0, drop => 1);

# one that has become a replica as well

my $other = start_redis();

$nginx = group('server 127.0.0.1:' . $other->port . " fail_timeout=60s;
                server $first backup;");
works_ok($nginx, 'a master');
$other->client->cmd('REPLICAOF', '127.0.0.1', $redis->port);
wait_for { ask($nginx, { question => 'Writable ' . $number++ . '?' });
           $one->connections >= 4 } 15, 'the other';
cmp_ok($one->connections, '>=', 4, 'a replica: all that write have left it');
works_ok($nginx, 'a replica');
$nginx->stop;

# a single one that is away for a moment

$nginx = group("server $first;", workers => 1);
works_ok($nginx, 'a single one');
dies($one);
wait_for { ask($nginx, { question => 'Single?' })->{status} == 503 } 5, '503';
lives($one);
works_ok($nginx, 'a single one is back');

done();
