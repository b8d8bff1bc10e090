#!/usr/bin/perl

# Redis behind Sentinel: the master dies, or is demoted and lives on, while
# answers are under way.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(sleep time);

my $QUEUE = 3;
my $BOUND = 30;

my $provider = start_provider();
my $trio = start_sentinels(password => 'of-the-servers',
                           sentinel_password => 'of-the-sentinels');
my $nginx = start_nginx(redis => $trio, provider => $provider, workers => 2,
    lead => 'on', server => 'location = /queued { chat; chat_lead off;'
        . ' chat_redis_down error; }',
    http => "chat_queue_timeout ${QUEUE}s;",
    location => 'chat_redis_down error;');

# a broker there too shares everything, and no password is in a URL

my $other = start_nginx(provider => $provider, workers => 1,
    redis => 'redis+sentinel://' . $trio->path,
    broker => 'redis+sentinel://' . $trio->path . '/1',
    http => 'chat_redis_password of-the-servers;
             chat_redis_sentinel_password of-the-sentinels;');


sub named {
    my ($server, $pattern) = @_;
    my $list = $server->client->cmd('CLIENT', 'LIST');

    return scalar(my @all = $list =~ / name=ngx_chat:$pattern /g);
}


sub works_ok {
    my ($nginx, $name, $seconds) = @_;
    my $from = time();
    my $question = "Does it work, $name, $nginx->{port}? {{chunks=3;gap=1}}";
    my $miss;

    while (time() < $from + $seconds) {
        $miss = ask($nginx, { question => $question });
        last if $miss->{status} == 200 && $miss->{terminal}
            && $miss->{terminal}{status} eq 'completed';
        sleep(0.02);
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($miss, "$name: a miss", chunks => [ pieces_of($question) ]);
    stream_ok(ask_hit($nginx, { question => $question }), "$name: a hit",
              cache => qr/; hit/, chunks => [ pieces_of($question) ]);
}


sub both_work {
    my ($name, $seconds) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    works_ok($nginx, $name, $seconds);
    works_ok($other, "$name, with a broker", $seconds);
}


# Streams in mid-answer and new ones all the time, while code runs; every other
# one goes through the queue.

sub under_load {
    my ($name, $code) = @_;
    my ($begun, $done) = (0);
    my @early = map {
        { question => "Who is there at $name, $_? {{chunks=40;gap=50}}",
          timeout => 60, path => $_ % 2 ? '/chat' : '/queued',
          on_event => sub {
              my ($q) = @_;

              $code->() if @{ $q->{chunks} } >= 3 && !$q->{middle}++
                  && ++$begun == 15;
          } }
    } 1 .. 15;
    my @late = map {
        my $at = 0.1 * $_;
        { question => "Who comes at $name, $_? {{chunks=10;gap=20}}",
          delay => $at, timeout => 60,
          path => $_ % 2 ? '/chat' : '/queued' }
    } 1 .. 60;
    my @all = ask($nginx, @early, @late);
    my @wrong = map {
        my $q = $_;
        map { "$q->{question}: $_" } end_faults($q, $BOUND)
    } @all;
    my %ends;

    $ends{$_->{status} == 503 ? 503
          : ($_->{terminal}{code} || $_->{terminal}{status}) // 'none'}++
        foreach @all;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($begun, 15, "$name: in mid-answer");
    is(scalar(@wrong), 0, "$name: each has an end of its own")
        or diag(join("\n", @wrong[0 .. ($#wrong < 10 ? $#wrong : 10)]));
    ok($ends{completed}, "$name: and some a whole answer")
        or diag(explain(\%ends));

    note(join(' ', "$name:", map { "$_ $ends{$_}" } sort keys %ends));
}


both_work('at the start', 5);

# three processes and two, each with one to ask and one to listen

wait_for {
    my $n = 0;
    $n += named($_, 'sentinel') + named($_, 'pubsub') foreach $trio->sentinels;
    $n == 10
} 5, 'the connections to the Sentinels';

my %count = map { my $role = $_; my $n = 0;
                  $n += named($_, $role) foreach $trio->sentinels;
                  $role => $n } 'sentinel', 'pubsub', 'commands';

is_deeply(\%count, { sentinel => 5, pubsub => 5, commands => 0 },
          'at the start: two connections a process to the Sentinels');

# the master dies

my $dead = $trio->master;

under_load('killed', sub { $dead->stop('KILL') });
wait_for { $trio->moved($dead) } 15, 'another master';
both_work('after the kill', 10);

# it comes back as the replica

$dead->start;
$trio->settle;
works_ok($nginx, 'the dead one is back', 5);

# the master becomes a replica, and lives

my $former = $trio->master;

under_load('demoted', sub { $trio->failover });
wait_for { $trio->moved($former) } 15, 'another master';
both_work('after the failover', 10);

wait_for { named($former, '(?:commands|tasks|pubsub|broker)') == 0 } 10,
    'the former master to be left';
is(named($former, '(?:commands|tasks|pubsub|broker)'), 0,
   'after the failover: the former master is left');
$trio->settle;

# Sentinels come and go

foreach my $sentinel ($trio->sentinels) {
    $sentinel->stop('KILL');
    sleep(0.2);
    $sentinel->start;
}

$trio->settle;
works_ok($nginx, 'after other Sentinels', 5);

# without any of them what is there goes on, and is found again

$_->stop foreach $trio->sentinels;
sleep(1.5);

my $q = ask($nginx, { question => 'Is it known now? {{chunks=3}}' });

stream_ok($q,
          'no Sentinel: what is there goes on',
          chunks => [ pieces_of($q->{question}) ]);

foreach my $server ($trio->servers) {
    my $client = $server->client;

    $client->cmd('CLIENT', 'KILL', 'TYPE', $_) foreach 'normal', 'pubsub';
}

works_ok($nginx, 'no Sentinel, and new connections', 5);

$_->start foreach $trio->sentinels;
$trio->settle;

# the former one goes on as a master, and is left all the same

my $last = $trio->master;

$last->client->cmd('ACL', 'SETUSER', 'default', '-replicaof', '-slaveof');
$trio->failover;
wait_for { $trio->moved($last) } 15, 'another master';
ok(wait_for(sub { named($last, '(?:commands|tasks|pubsub|broker)') == 0 }, 15,
            'it to be left'),
            'a former master: one that is none the wiser is left');
is($last->client->cmd('ROLE')->[0], 'master',
   'a former master: it goes on as one');
both_work('when they are back', 10);

unlike($nginx->error_log, qr/of-the-(?:servers|sentinels)/,
       'the log: no password in it');
unlike($other->error_log, qr/of-the-(?:servers|sentinels)/,
       'the log, with a broker: no password in it');

# who does not know the name, and who is not let in

my $asks = new_nginx(provider => $provider, workers => 1,
    redis => 'redis+sentinel://:of-the-servers@' . $trio->path
             . '-2?sentinel_password=of-the-sentinels',
    location => 'chat_redis_down error;')->start;

wait_for { $asks->error_log =~ /no master of that name/ } 5, 'the line';
like($asks->error_log, qr/\[error\].*redis \S+, sentinel: no master of that n/,
     'an unknown name: told in the log');
is(ask($asks, { question => 'Is it known?' })->{status}, 503,
   'an unknown name: no answer');

my $alien = new_nginx(provider => $provider, workers => 1,
    redis => 'redis+sentinel://:of-the-servers@' . $trio->path
             . '?sentinel_password=wrong-password',
    location => 'chat_redis_down error;')->start;

wait_for { $alien->error_log =~ /AUTH was refused/ } 5, 'the line';
like($alien->error_log, qr/\[error\].*redis \S+, sentinel: AUTH was refused/,
     'a wrong password: told in the log');
unlike($alien->error_log, qr/wrong-password/,
       'a wrong password: not told itself');

# scripts/chatctl asks where the master is

my @chatctl = (Chat::Nginx::root() . '/scripts/chatctl', '-u', $trio->url);

like(`@chatctl cached 2>&1`, qr/ openai +test /, 'chatctl: what is cached');
like(`@chatctl queue`, qr/^tasks +\d/m, 'chatctl: the queue');

$chatctl[-1] =~ s/mymaster/another/;
like(`@chatctl queue 2>&1`,
     qr/^chatctl: no Sentinel knows .*: it has no such master/, 'chatctl: another master');
$chatctl[-1] =~ s/sentinel_password=[^&]*/sentinel_password=x/;
like(`@chatctl queue 2>&1`,
     qr/^chatctl: no Sentinel knows .*(?:WRONGPASS|NOAUTH)/, 'chatctl: another password for Sentinels');

done();
