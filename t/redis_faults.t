#!/usr/bin/perl

# Redis refuses, drops connections or loses what it was given, while answers
# are on their way: one that a filler has asked for, and one of a worker that
# leads.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;

use Time::HiRes qw(sleep time);

my %provider = (chunks => 20, gap => 60);
my $QUEUE = 3;
my $SILENCE = 5;

# less than a command may take: nothing was waited for

my $AT_ONCE = 0.9;
my @refused;

my $redis = start_redis();
my $provider = start_provider(%provider);
my $nginx = led_nginx(redis => $redis, provider => $provider, workers => 1,
    http => "chat_queue_timeout ${QUEUE}s;",
    location => 'chat_redis_down error;',
    server => 'location = /queued { chat; chat_lead off; }');

my $number = 0;


# asks this twice, through the queue and of the worker, and runs the code when
# both have so many chunks: both, and what was asked more

sub during {
    my ($options, $at, $code, @more) = @_;
    my $n = ++$number;
    my %there;

    leads($nginx);

    my $watch = sub {
        my ($q) = @_;

        return if @{ $q->{chunks} } < $at || $there{$q->{path}}++;

        $code->() if keys(%there) == 2;
    };
    my @all = ask($nginx,
        (map { { question => "What happens in case $n, $_? {{$options}}",
                 path => $_, on_event => $watch } } '/queued', '/chat'),
        @more);

    return ([ splice(@all, 0, 2) ], @all);
}


sub unharmed_ok {
    my ($both, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    foreach my $q (@$both) {
        my $question = $q->{question};
        my $by = $q->{path} eq '/chat' ? ', led' : '';
        my $text = text_of($question, %provider);
        my $cached = '';

        stream_ok($q, "$name$by: completed", restarts => 0,
                  chunks => [ pieces_of($question, %provider) ]);
        is(provider_stats($provider, $question), 1, "$name$by: one call");

        # the worker's client does not wait for that

        wait_for {
            my $entries = $redis->entries(stream_key($question));

            $cached = @$entries ? $entries->[-1]{chunk} : '';
            $cached eq $text;
        } $by ? 4 : 0;
        is($cached, $text, "$name$by: cached");
    }
}


sub refused_ok {
    my ($q, $name) = @_;
    my $body = eval { parse_json($q->{body}) } || {};
    my $took = $q->{ended} - $q->{started};

    push(@refused, $took);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($q->{status} == 503 && ($body->{code} || '') eq 'redis_down'
       && $took < $AT_ONCE && defined $q->{headers}{'retry-after'}, $name)
        or diag("$took s\n$q->{raw}");
}


sub works_ok {
    my ($name) = @_;
    my $from = time();
    my $question = 'Does it work ' . ++$number . '? {{chunks=3;gap=0}}';
    my $q;

    while (time() < $from + 4 + $SLACK) {
        $q = ask($nginx, { question => $question });
        last if $q->{status} == 200;
        sleep(0.02);
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($q, "$name: a miss works", cache => qr/fwd=miss/);
    ok(time() - $from < 2 + $SLACK, "$name: within 2 s");
}


my $cached = 'What is cached? {{gap=0}}';

stream_ok(scalar ask($nginx, { question => $cached }),
          'at the start: an answer');

# what Redis may be set to; it goes back after a moment

my %modes = (
    'a replica' => [ [ 'REPLICAOF', '127.0.0.1', '1' ],
                     [ 'REPLICAOF', 'NO', 'ONE' ] ],
    'out of memory' => [ [ 'CONFIG', 'SET', 'maxmemory', '1' ],
                         [ 'CONFIG', 'SET', 'maxmemory', '0' ] ],
);

foreach my $mode (sort keys %modes) {
    my ($on, $off) = @{ $modes{$mode} };
    my ($from, $back);
    my $ended = 0;
    my @now = (after => sub { $from && time() > $from + 0.3 },
               on_done => sub { $ended++ });

    my ($both, $miss, $hit, $afresh) = during('', 5, sub {
            $redis->cmd(@$on);
            $from = time();
        },
        { question => "Who asks $mode?", @now },
        { question => $cached, @now },
        { question => $cached, use_cache => 0, @now },
        { method => 'GET', path => '/', after => sub {
            return 0 unless $ended == 3 && time() > $from + 1;
            $redis->cmd(@$off) unless $back++;
            return 1;
        } });

    unharmed_ok($both, "$mode: what runs goes on");
    refused_ok($miss, "$mode: a miss is refused");
    refused_ok($afresh, "$mode: so is a refresh");
    stream_ok($hit, "$mode: a hit is served", cache => qr/; hit/);
    works_ok("$mode, then not");
}

# Redis reads its file, a little of it at a time, for 2.5 s

$redis->cmd('SET', "ballast:$_", 'x' x 4096) foreach 1 .. 90;
$redis->cmd('CONFIG', 'SET', 'rdbcompression', 'no');
$redis->cmd('CONFIG', 'SET', 'loading-process-events-interval-bytes', '1024');

{
    my $loader = $redis->client;
    my $from;

    my ($both, @more) = during('', 5, sub {
            $redis->cmd('CONFIG', 'SET', 'key-load-delay',
                        int(2_500_000 / $redis->cmd('DBSIZE')));
            $loader->send_cmd('DEBUG', 'RELOAD');
            $from = time();
        },
        map {
            my $at = $_;
            { question => "Who is early $at?",
              after => sub { $from && time() > $from + $at } }
        } 0.4, 0.6, 0.8);

    unharmed_ok($both, 'loading: what runs goes on');
    refused_ok($more[$_], "loading: miss $_ is refused") foreach 0 .. 2;
    is($loader->reply, 'OK', 'loading: it ends');
    $redis->cmd('CONFIG', 'SET', 'key-load-delay', '0');
    works_ok('loaded');
}

# each connection is lost in mid-answer, and all of them

sub connections {
    my $own = $redis->cmd('CLIENT', 'ID');
    my %found;

    foreach (split(/\n/, $redis->cmd('CLIENT', 'LIST'))) {
        my ($id, $cmd) = /^id=(\d+) .* cmd=(\S+)/ or next;

        push(@{ $found{$cmd =~ /subscribe|ping/ ? 'pubsub'
                       : $cmd =~ /xreadgroup/ ? 'tasks' : 'commands'} }, $id)
            if $id != $own;
    }

    return \%found;
}

my $found;

wait_for {
    $found = connections();
    2 == grep { @{ $found->{$_} || [] } == 1 } 'pubsub', 'tasks'
} 5, 'the connections to be known';

is_deeply({ map { $_ => scalar @{ $found->{$_} } } keys %$found },
          { pubsub => 1, tasks => 1, commands => 2 },
          'connections: two of the worker, two of the filler');

foreach my $kind ('pubsub', 'tasks', 'commands', 'all') {
    sleep(1.05);

    my ($both) = during('', 5, sub {
        my $found = connections();

        foreach my $id ($kind eq 'all' ? map { @$_ } values %$found
                                       : @{ $found->{$kind} })
        {
            $redis->cmd('CLIENT', 'KILL', 'ID', $id);
        }
    });

    unharmed_ok($both, "lost $kind");
    works_ok("lost $kind");
}

# The subscriber twice: a connection is made once a second, and so the end is
# missed.  It is there as soon as there is a connection, sooner than a silent
# generation would be looked after.

{
    my $killed;

    sleep(1.05);

    my ($both) = during('gap=40', 3, sub {
        my ($id) = @{ connections()->{pubsub} };

        $redis->cmd('CLIENT', 'KILL', 'ID', $id);
        wait_for { connections()->{pubsub} } 5, 'another subscriber';
        $redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');
        $killed = time();
    });

    unharmed_ok($both, 'the end is missed');
    cmp_ok($both->[0]{ended} - $killed, '<', $SILENCE - 0.5,
           'the end is missed: not for long');
}

# the subscriber again and again, with many streams

my $lost = 0;
my @asks = map { { question => "Who listens $_?" } } 1 .. 20;

$asks[0]{on_event} = sub {
    $redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub') if $lost++ % 4 == 2;
};

my @all = ask($nginx, @asks);
my @wrong = grep { length } map {
    join(', ', Chat::Check::faults($all[$_], restarts => 0,
         chunks => [ pieces_of($asks[$_]{question}, %provider) ]))
} 0 .. $#asks;

is(scalar(@wrong), 0,
   'often lost: nothing lost, nothing doubled') or diag($wrong[0]);

# scripts are forgotten

my ($both) = during('', 5, sub { $redis->cmd('SCRIPT', 'FLUSH') });

unharmed_ok($both, 'SCRIPT FLUSH');
works_ok('SCRIPT FLUSH');

# one key is lost, or something else has taken its place, or all is lost

sub lose {
    my ($path, $name, $key, @commands) = @_;
    my $question = "What about $name, $path? {{chunks=30}}";
    my $S = stream_key($question);
    my $ran;

    $name .= ', led' if $path eq '/chat';

    return { name => $name, question => $question, path => $path,
             on_event => sub {
        my ($q) = @_;

        return if @{ $q->{chunks} } < 5 || $ran++;

        my ($id) = split(/\./, $q->{headers}{'x-chat-generation'});
        my %key = (stream => $S, gen => "{$S}:1:gen:$id",
            live => $redis->cmd('KEYS', "{$S}:1:live:*")->[0],
            own => "{$S}:1:gen:$id:own", tasks => 'chat:tasks:1');

        foreach my $command (@commands) {
            my ($verb, @more) = @$command;

            $redis->cmd($verb, $key ? $key{$key} : (), @more);
        }

        $q->{lost_at} = time();
    } };
}


sub lost_ok {
    my ($q) = @_;
    my $name = $q->{name};
    my $type = $q->{terminal} ? $q->{terminal}{status} : 'none';

    if ($name =~ /^(?:stream|live|tasks) |, led$/) {
        stream_ok($q, "$name: completed", restarts => 0,
                  chunks => [ pieces_of($q->{question}, %provider) ]);

    } else {
        ok($type eq 'error' || $type eq 'completed', "$name: ends")
            or diag($q->{raw});
        ok($q->{ended} - $q->{lost_at} < $QUEUE + 8, "$name: in time")
            or diag($q->{ended} - $q->{lost_at});
    }

    my $entries = $redis->entries(stream_key($q->{question}));

    ok(!@$entries || ($entries->[-1]{status} eq 'completed'
       && $entries->[-1]{chunk} eq text_of($q->{question}, %provider)),
       "$name: cached as a whole or not");
    is(scalar(@$entries), 32, "$name: replaced by the answer")
        if $name =~ /^stream /;
}


my @deleted = (['DEL']);
my @string = (['SET', 'x']);
my @list = (['DEL'], ['RPUSH', 'x']);

leads($nginx);

@all = ask($nginx, map {
    my $path = $_;
    map {
        ( lose($path, "$_ deleted", $_, @deleted),
          lose($path, "$_ a string", $_, @string),
          lose($path, "$_ a list", $_, @list) )
    } 'stream', 'live', 'gen', 'own';
} '/queued', '/chat');

lost_ok($_) foreach @all;
works_ok('keys lost');

foreach my $path ('/queued', '/chat') {
    foreach my $ask (lose($path, 'tasks deleted', 'tasks', @deleted),
                     lose($path, 'tasks a string', 'tasks', @string),
                     lose($path, 'tasks a list', 'tasks', @list),
                     lose($path, 'all keys', undef, ['FLUSHALL']))
    {
        $redis->cmd('FLUSHALL');
        leads($nginx);
        lost_ok(scalar ask($nginx, $ask));
        $redis->cmd('DEL', 'chat:tasks:1');
        works_ok($ask->{name});
    }
}

wait_for { provider_stats($provider)->{active} == 0 } 10, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'at the end: no call goes on');

mostly_ok(\@refused, 0.1, 'refused: at once for most');

done();
