#!/usr/bin/perl

# Clients that go away: their generation, which a worker leads or a filler asks
# for, goes on, or is cancelled.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(sleep time);

# each chunk, else the renewal of the lease, tells whether anybody listens

my $RENEWAL = 3;
my $GRACE = 1;

# a grace that is over before an answer is, and not soon

my $PATIENCE = 4;

my %provider = (chunks => 60, gap => 100);

my $redis = start_redis();
my $provider = start_provider(%provider);
my ($nginx, $by, %case, %left);


# how the call for a question ended: [outcome, chunks sent]

sub outcome {
    my ($question) = @_;
    my $key = key_of($question);
    my @lines = $provider->log =~ /^$key \d+ (.*)$/mg;

    return [ map { [ split(/ /) ] } @lines ];
}


sub cancelled_ok {
    my ($question, $left, $bound, $name) = @_;
    my $calls;

    wait_for { @{ $calls = outcome($question) } } $bound + 10;

    my $took = time() - $left;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($calls->[0][0] // 'none', 'aborted', "$name: the call is aborted");
    ok($took > $GRACE - 0.1 && $took < $bound, "$name: in time")
        or diag("$name: aborted in time");
    is($redis->cmd('EXISTS', stream_key($question)), 0,
       "$name: nothing is cached");
}


sub leaves {
    my ($name, $after, %more) = @_;

    return { question => $case{$name}, path => '/cancel',
             hangup_after => $after, %more };
}


sub mark {
    my ($name, $chunks) = @_;

    return on_event => sub {
        $left{$name} = time() if @{ $_[0]{chunks} } == $chunks;
    };
}


foreach my $lead ('on', 'off') {
    $by = $lead eq 'on' ? 'led, ' : '';
    $nginx = start_nginx(redis => $redis, provider => $provider, workers => 2,
        lead => $lead,
        server => "location = /cancel { chat; chat_abandon cancel"
                  . " grace=${GRACE}s; }"
                  . " location = /patient { chat; chat_abandon cancel"
                  . " grace=${PATIENCE}s; }");

    provider_reset($provider);
    wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'it to be ready';

    # by default nothing is lost

    my $question = "${by}Who leaves? {{chunks=25}}";

    ask($nginx, { question => $question, hangup_after => 2 });
    ask($nginx, { question => "$question {{first=500}}", hangup_after => 0 });

    wait_for { $redis->cmd('EXISTS', stream_key($question)) } 6;
    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}default: the answer is finished and cached",
              cache => qr/; hit/, chunks => [ pieces_of($question) ]);
    is(provider_stats($provider, $question), 1,
       "${by}default: the provider is called once");

    $question .= ' {{first=500}}';
    wait_for { $redis->cmd('EXISTS', stream_key($question)) } 6;
    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}default, left before the first chunk: a hit",
              cache => qr/; hit/);
    is(provider_stats($provider)->{aborted}, 0,
       "${by}default: no call is aborted");

    # several cases at the same time, each with a question of its own

    %case = (
        one => "${by}Who stays?",
        all => "${by}Who leaves all alone?",
        reset => "${by}Who leaves in a hurry?",
        silent => "${by}Who leaves a silent one? {{fault=stall;at=3}}",
        waiting => "${by}Who leaves before the first token? {{first=30000}}",
        back => "${by}Who comes back?",
    );
    %left = ();

    my @all = ask($nginx,
        { question => $case{one}, path => '/cancel' },
        leaves('one', 3),
        leaves('all', 3, mark('all', 3)),
        leaves('all', 2),
        leaves('reset', 3, rst => 1, mark('reset', 3)),
        leaves('silent', 3, mark('silent', 3)),
        leaves('waiting', 0),
        leaves('back', 5, mark('back', 5), path => '/patient'),
        { question => $case{back}, path => '/patient',
          after => sub { $left{back} && time() > $left{back} + 0.6 } });

    stream_ok($all[0], "${by}one of two leaves: nothing happens", restarts => 0,
              chunks => [ pieces_of($case{one}, %provider) ]);
    stream_ok($all[-1], "${by}back within the grace: joins what runs",
              restarts => 0, cache => qr/collapsed$/,
              chunks => [ pieces_of($case{back}, %provider) ]);

    foreach my $name ('one', 'back') {
        is(provider_stats($provider, $case{$name}), 1,
           "${by}$name: the provider is called once");
        is($redis->cmd('EXISTS', stream_key($case{$name})), 1,
           "${by}$name: the answer is cached");
    }

    # those that were left ended long ago

    foreach my $name ('all', 'reset', 'silent', 'waiting') {
        my $calls;

        wait_for { @{ $calls = outcome($case{$name}) } } 10;

        is_deeply([ map { $_->[0] } @$calls ], [ 'aborted' ],
                  "${by}$name: the call was aborted");
        is($redis->cmd('EXISTS', stream_key($case{$name})), 0,
           "${by}$name: nothing is cached");
    }

    my $bound = ($GRACE + $RENEWAL) * 10 + 10;

    cmp_ok(outcome($case{$_})->[0][1] || 99, '<', $bound,
           "${by}$_: not all chunks were made") foreach 'all', 'reset';

    is(provider_stats($provider)->{aborted}, 4,
       "${by}left by all: four calls are aborted");

    # how long it takes, and what comes after it

    foreach my $options ('', ' {{fault=stall;at=3}}') {
        my $name = $options ? 'a silent call' : 'a flowing call';
        my $question = "${by}Who is next, $name?$options";
        my $q = ask($nginx, { question => $question, path => '/cancel',
                              hangup_after => 3 });
        my ($id) = split(/\./, $q->{headers}{'x-chat-generation'});
        my $S = stream_key($question);

        cancelled_ok($question, $q->{ended},
                     $GRACE + ($options ? $RENEWAL : 0) + $SLACK, "$by$name");

        # the call ends before that is written

        wait_for { !@{ $redis->cmd('KEYS', "{$S}:*:live:*") } } 5;
        is($redis->entries("{$S}:1:gen:$id")->[-1]{code}, 'cancelled',
           "${by}$name: the stream ends with cancelled");
        is(scalar(@{ $redis->cmd('KEYS', "{$S}:*:live:*") }), 0,
           "${by}$name: nobody can join it");

        provider_set($provider, fault => '');

        my $next = ask($nginx, { question => $question, path => '/cancel',
                                 hangup_after => 3 });

        like($next->{headers}{'cache-status'}, qr/fwd=miss$/,
             "${by}$name: the next request opens another");
        isnt($next->{headers}{'x-chat-generation'},
             $q->{headers}{'x-chat-generation'},
             "${by}$name: the other has an id of its own");
        is($next->{events}[0]{status}, 'processing',
           "${by}$name: the other is answered");
    }

    # its filler would take the tasks of the next one

    $nginx->stop if $lead eq 'on';
}

# no grace, and Redis is far from the asker but near to the filler

my $proxy = start_proxy($redis, latency => 60);
my $far = start_nginx(redis => 'redis://127.0.0.1:' . $proxy->port,
    provider => $provider, workers => 1, lead => 'off',
    server => 'location = /hasty { chat; chat_abandon cancel grace=0s; }');

ok(takes_none($redis, filler($far)),
   'far from Redis: its own filler takes nothing');
wait_for { waiting_for_tasks($redis) } 10, 'that filler';

my $hasty = ask($far, { question => 'Who asks from far away? {{chunks=5}}',
                        path => '/hasty' });

stream_ok($hasty,
          'far from Redis: not listening yet is not left', restarts => 0);
kill('CONT', filler($far));

wait_for { provider_stats($provider)->{active} == 0 } 10, 'the last calls';
wait_for { $redis->tasks == 0 } 5, 'the queue';
is(provider_stats($provider)->{active}, 0, 'at the end: no call goes on');
is($redis->tasks, 0, 'at the end: no task is left');

done();
