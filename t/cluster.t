#!/usr/bin/perl

# Redis in cluster mode: with one node that has all slots everything works, and
# a node that has a part of them is called what it is.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use Time::HiRes qw(sleep);

my $provider = start_provider(chunks => 5);
my $number = 0;


sub node {
    my (@slots) = @_;
    my $redis = start_redis(config => [ 'cluster-enabled yes',
        'cluster-node-timeout 2000', 'cluster-port ' . free_port(),
        'cluster-require-full-coverage no' ]);

    $redis->cmd('CLUSTER', 'ADDSLOTSRANGE', @slots) if @slots;

    return $redis;
}


sub meet {
    my ($one, $two) = @_;

    $one->cmd('CLUSTER', 'MEET', '127.0.0.1', $two->port,
              $two->cmd('CONFIG', 'GET', 'cluster-port')->[1]);
}


sub usable {
    my ($node, $masters) = @_;

    return wait_for {
        my $info = $node->cmd('CLUSTER', 'INFO');

        $info =~ /cluster_state:ok/ && $info =~ /cluster_size:$masters\r/;
    } 30, "a cluster of $masters";
}


sub question { return { question => 'Question ' . ++$number . '?', @_ } }


# a new one whose keys are there, or are not

sub question_in {
    my ($node, $first, $last) = @_;

    foreach (1 .. 1000) {
        my $ask = question();
        my $slot = $node->cmd('CLUSTER', 'KEYSLOT',
                              stream_key($ask->{question}));

        return $ask if $slot >= $first && $slot <= $last;
    }

    die "no such question\n";
}


sub health { return parse_json(get($_[0], '/')->{body}) }


# all slots in one node

{
    my $redis = node(0, 16383);

    usable($redis, 1);

    my %opt = (redis => $redis, provider => $provider, lead => 'on',
               server => <<'EOT');
        location = /limited { chat; chat_miss_limit $http_x_user rate=1r/h; }
        location = /cancel  { chat; chat_abandon cancel grace=500ms; }
        location = /queued  { chat; chat_lead off; }
        location = /kept    { chat; chat_cache_stale 1m; }
EOT

    my $nginx = start_nginx(%opt);
    my $other = start_nginx(%opt);

    filler($nginx);

    my $ask = question();
    my %user = (path => '/limited', headers => { 'X-User' => 'one' });

    stream_ok(scalar ask($nginx, $ask), 'one node: a miss',
              cache => qr/fwd=miss$/);
    stream_ok(scalar ask($other, $ask), 'one node: a hit', cache => qr/hit/);
    stream_ok(scalar ask($nginx, { %$ask, use_cache => 0 }),
              'one node: a refresh', cache => qr/fwd=request/);

    my $slow = question(question => 'Who joins? {{gap=300}}');
    my $seen = 0;
    my ($miss, @joined) = ask($nginx,
        { %$slow, on_event => sub { $seen++ } },
        map { { %$slow, after => sub { $seen }, nginx => $_ } }
            $nginx, $other);

    stream_ok($miss, 'one node: a slow miss is answered');
    stream_ok($joined[$_],
              "one node: client $_ joins", cache => qr/collapsed/) foreach 0, 1;

    # a stale answer, and the next one

    my $kept = question(path => '/kept');

    stream_ok(scalar ask($nginx, $kept), 'one node: an answer that is kept',
              cache => qr/fwd=miss$/);
    wait_for { $redis->cmd('EXISTS', stream_key($kept->{question})) };
    $redis->cmd('PEXPIRE', stream_key($kept->{question}), 50_000);
    stream_ok(scalar ask($other, $kept), 'one node: a stale hit',
              cache => qr/; hit; ttl=-1\d; detail=stale$/);
    ok(wait_for(sub { ask($nginx, $kept)->{headers}{'cache-status'}
                      =~ /; hit; ttl=(?:899|900)$/ }, 10),
       'one node: it is replaced');

    # the limit counts

    my $limited = question(%user);

    stream_ok(scalar ask($nginx, $limited), 'one node: under the limit',
              cache => qr/fwd=miss$/);

    my @over = map { ask($_, question(%user))->{status} }
               $nginx, $nginx, $other;

    is($over[$_], 429, "one node: over the limit, question $_") foreach 0 .. 2;

    stream_ok(scalar ask($other, $limited), 'one node: a hit is free',
              cache => qr/hit/);

    # nobody listens; a filler is killed; a provider fails

    my $left = question(question => 'Who leaves? {{gap=300;chunks=50}}',
                        path => '/cancel', hangup_after => 1);

    ask($nginx, $left);
    ok(wait_for(sub { $nginx->error_log . $other->error_log
                      =~ /is cancelled: nobody listens/ }, 20, 'the end'),
       'one node: what nobody reads is cancelled');

    my $long = question(question => 'Who dies? {{gap=200;chunks=15}}',
                        path => '/queued');
    my $led = question(question => 'Who is led? {{gap=200;chunks=15}}');
    my $later = ask_later($nginx, $long, $led);

    $_->allow_log(qr/exited on signal 9/) foreach $nginx, $other;
    mid_answer($redis, 2, map { $_->{question} } $long, $led);
    kill('KILL', $nginx->filler_pids, $other->filler_pids);

    my ($taken, $lasting) = results($later);

    stream_ok($taken, 'one node: taken over from a killed filler',
              restarts => 1);
    stream_ok($lasting, 'one node: led, and nothing is seen of that',
              restarts => 0);
    ok(wait_for(sub { $redis->cmd('EXISTS', stream_key($led->{question})) },
                10), 'one node: led, and cached by the next filler');
    stream_ok(scalar ask($nginx, question(question => 'Why? {{status=401}}')),
              'one node: an error is passed on', error => 'provider_refused');

    like($nginx->error_log, qr/is a Redis Cluster of one master/,
         'one node: the log names the cluster');
    unlike($nginx->error_log, qr/CROSSSLOT|MOVED|CLUSTERDOWN/,
           'one node: nothing is refused');
    is(health($nginx)->{status}, 'ok', 'one node: health is ok');
    ok($nginx->stop, 'one node: the first nginx ends');
    ok($other->stop, 'one node: the other nginx ends');
}


# Two nodes: the queue's slot is in the first, as are half of the questions.

{
    my ($one, $two) = (node(0, 8191), node(8192, 16383));

    meet($one, $two);
    usable($_, 2) foreach $one, $two;

    my $tasks = $one->cmd('CLUSTER', 'KEYSLOT', 'chat:tasks:1');
    my @ranges = $tasks < 8192 ? ([ 0, 8191 ], [ 8192, 16383 ])
                               : ([ 8192, 16383 ], [ 0, 8191 ]);
    my $nginx = start_nginx(redis => $tasks < 8192 ? $one : $two,
                            provider => $provider,
                            location => 'chat_redis_down error;',
                            server => 'location = /direct {
                                chat; chat_redis_down direct; }');

    filler($nginx);
    ok(wait_for(sub {
        $nginx->error_log =~ /is one of 2 masters of a Redis Cluster/
    }, 10, 'the log'), 'two nodes: the log tells at once');

    my $health;

    ok(wait_for(sub {
        $health = health($nginx);
        ($health->{reason} // '') =~ /part of a Redis Cluster/;
    }, 10, 'health'), 'two nodes: health tells why');
    is($health->{status}, 'degraded', 'two nodes: health is degraded');

    my $here = question_in($one, @{ $ranges[0] });
    my $there = question_in($one, @{ $ranges[1] });

    stream_ok(scalar ask($nginx, $here),
              'two nodes: what belongs here is answered',
              cache => qr/fwd=miss$/);
    stream_ok(scalar ask($nginx, $here),
              'two nodes: what belongs here is a hit then',
              cache => qr/hit/);
    is(ask($nginx, $there)->{status}, 503,
       'two nodes: what does not belong here gets 503');
    stream_ok(scalar ask($nginx, { %$there, path => '/direct' }),
              'two nodes: what does not, asked directly', cache => qr/direct/);
    like($nginx->error_log, qr/redis cannot serve .*: "MOVED /,
         'two nodes: the log tells what was refused');

    is(health($nginx)->{status}, 'degraded',
       'two nodes: health stays degraded');
    ok($nginx->stop, 'two nodes: nginx ends');
}


# A planned failover behind one address: the former master lives on.

{
    my ($old, $new) = map { node(@$_) } [ 0, 16383 ], [];
    my $proxy = start_proxy($old);

    meet($old, $new);
    ok(wait_for(sub {
        $new->cmd('CLUSTER', 'REPLICATE', $old->cmd('CLUSTER', 'MYID')) eq 'OK'
    }, 20, 'a replica'), 'failover: the other node is a replica');
    wait_for { ($new->cmd('ROLE')->[3] // '') eq 'connected' } 20, 'its data';
    usable($_, 1) foreach $old, $new;

    my $nginx = start_nginx(redis => 'redis://127.0.0.1:' . $proxy->port,
                            provider => $provider, workers => 1);

    wait_for { health($nginx)->{status} eq 'ok' } 20, 'health';
    stream_ok(scalar ask($nginx, question()), 'failover: answered before it');

    # a connection is left when it is older than the pause between two

    sleep(1.1);
    $proxy->set(target => $new->port);
    $new->cmd('CLUSTER', 'FAILOVER', 'TAKEOVER');
    wait_for { $old->cmd('ROLE')->[0] eq 'slave' } 20, 'another master';

    stream_ok(scalar ask($nginx, question()), "failover: answered at once, $_",
              cache => qr/fwd=miss$/) foreach 1, 2;
    like($nginx->error_log, qr/left, as it cannot serve.*"MOVED/,
         'failover: the log tells why');
    ok(wait_for(sub { health($nginx)->{status} eq 'ok' }, 20, 'health'),
       'failover: health is ok afterwards');
    ok($nginx->stop, 'failover: nginx ends');
}


# One node with a part of the slots, and then with all of them.

{
    my $redis = node(0, 9999);

    usable($redis, 1);

    my $nginx = start_nginx(redis => $redis, provider => $provider,
                            workers => 1);

    filler($nginx);
    ok(wait_for(sub {
        $nginx->error_log =~ /a Redis Cluster that serves 10000 of 16384 slots/
    }, 10, 'the log'), 'a part: the log tells at once');
    ok(wait_for(sub { health($nginx)->{status} eq 'degraded' }, 10, 'health'),
       'a part: health is degraded');

    $redis->cmd('CLUSTER', 'ADDSLOTSRANGE', 10000, 16383);
    ok(wait_for(sub { health($nginx)->{status} eq 'ok' }, 20, 'health'),
       'a part: health is ok when it has all slots');
    stream_ok(scalar ask($nginx, question_in($redis, 10000, 16383)),
              'a part: what was missing is served');
}

done();
