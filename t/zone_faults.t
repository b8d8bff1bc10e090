#!/usr/bin/perl

# The zone when something fails: news of changes that do not come, a Redis that
# is gone, none at all, and workers that are killed while they send from it.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use Time::HiRes qw(sleep time);

my $LONG = 'What is long? {{chunks=4000;bytes=250}}';
my $ZONED = qr/^ngx_chat; hit(?:; ttl=\d+)?; detail=zone$/;

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 0, unique => 1);


sub question {
    my ($nginx, $question, %more) = @_;

    return scalar ask($nginx, { question => $question, %more });
}


sub status_of { return $_[0]{headers}{'cache-status'} // '' }

sub is_zoned { return status_of($_[0]) =~ $ZONED }


sub zoned {
    my ($nginx, $question) = @_;
    my $q;

    wait_for {
        $q = question($nginx, $question);
        is_zoned($q);
    } 15, "the zone to have \"$question\"";

    return $q;
}


sub zone_state {
    my ($nginx) = @_;

    return parse_json(get($nginx, '/')->{body})->{zone};
}


sub zone_is {
    my ($nginx, $state) = @_;

    return wait_for { zone_state($nginx)->{state} eq $state } 15,
        "the zone to be $state";
}


sub start {
    my (%opt) = @_;
    my $nginx = start_nginx(redis => $redis, provider => $provider,
                            workers => 1, zone => 'chat 8m',
                            redis_down => 'direct', %opt);

    zone_is($nginx, 'on') unless $opt{zone_idle};

    return $nginx;
}


# A led answer goes in by itself as soon as it is in Redis, whose news of that
# come first; should they be late for once, the next hit comes from Redis.

my $nginx = start();

my $first = grep {
    my $n = zone_state($nginx)->{answers};

    question($nginx, "Who leads $_?");
    wait_for { zone_state($nginx)->{answers} > $n } 1;
    is_zoned(question($nginx, "Who leads $_?"));
} 1 .. 20;

cmp_ok($first, '>=', 15, 'led answers are in the zone by themselves');

# news of changes are refused: all goes on without the zone

question($nginx, 'Who tells?');
zoned($nginx, 'Who tells?');

foreach my $word ('-client|tracking', '-client|id', 'resetchannels') {
    $redis->cmd('ACL', 'SETUSER', 'default', $word,
                $word =~ /^-/ ? () : '&{chat:stream:*}:1:gen:*');
    $redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');

    ok(zone_is($nginx, 'idle'), "$word: the zone is idle");
    ok(wait_for(sub { get($nginx, '/')->{body} =~ /"subscriber": "up"/ }, 10),
       "$word: there is a subscription");
    is(zone_state($nginx)->{state}, 'idle', "$word: the zone stays idle");

    # changed while nobody was told

    $redis->cmd('DEL', stream_key('Who tells?'));
    like(status_of(question($nginx, 'Who tells?')), qr/fwd=miss$/,
         "$word: nothing out of the zone");

    foreach (1 .. 3) {
        my $q = ask_hit($nginx, { question => 'Who tells?' });

        ok(!is_zoned($q), "$word: hits come from Redis, $_");
    }

    $redis->cmd('ACL', 'SETUSER', 'default', '+@all', '&*');
    $redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');
    $redis->cmd('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

    ok(zone_is($nginx, 'on'), "$word: allowed again");
    zoned($nginx, 'Who tells?');
}

like($nginx->error_log, qr/\[warn\].* CLIENT (?:ID|TRACKING) was refused/,
     'the log says that it was refused');

# the subscription is cut, and an answer changes before it is restored

foreach my $n (1 .. 10) {
    my $old = zoned($nginx, 'Who tells?')->{text};

    $redis->cmd('MULTI');
    $redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');
    $redis->cmd('DEL', stream_key('Who tells?'));
    $redis->cmd('EXEC');

    my $q = wait_for {
        my $q = question($nginx, 'Who tells?');
        $q->{text} ne $old && $q;
    } 1, 'another answer';

    isnt($q && $q->{text}, $old, "cut and changed: another answer, $n");
    is(question($nginx, 'Who tells?')->{text}, $q->{text},
       "cut and changed: it stays, $n");
}

# Redis is gone: what is there is served on, and direct answers go in

my $old = zoned($nginx, 'Who tells?');

$redis->stop;
wait_for { get($nginx, '/')->{body} =~ /"breaker": "open"/ } 10, 'the breaker';

my $q = question($nginx, 'Who tells?');

stream_ok($q, 'without Redis: a hit', cache => $ZONED, text => $old->{text});

$q = question($nginx, 'Who else?');
like(status_of($q), qr/detail=direct$/, 'without Redis: a new one');
stream_ok(scalar zoned($nginx, 'Who else?'), 'without Redis: a hit then',
          text => $q->{text});
like(status_of(question($nginx, 'Who else?', use_cache => 0)),
     qr/fwd=bypass; detail=direct$/, 'without Redis: use_cache false');
wait_for { question($nginx, 'Who else?')->{text} =~ /^#2/ } 5, 'the new one';
like(question($nginx, 'Who else?')->{text}, qr/^#2/,
     'without Redis: it takes the place of the old one');

# those who asked have left before the end

ask($nginx, map { { question => "Who leaves $_? {{chunks=20;gap=20}}",
                    hangup_after => 2 } } 1 .. 4);

foreach my $n (1 .. 4) {
    is(zoned($nginx, "Who leaves $n? {{chunks=20;gap=20}}")->{text} =~ /^#1 /,
       1, "without Redis: the first answer, though nobody waited for it, $n");
}

# it comes back, empty: so are we

$redis->start;
ok(zone_is($nginx, 'on'), 'Redis is back');
wait_for { get($nginx, '/')->{body} =~ /"breaker": "closed"/ } 10, 'commands';
like(status_of(question($nginx, 'Who tells?')), qr/fwd=miss$/,
     'Redis is back: nothing of before');
like(status_of(question($nginx, 'Who else?')), qr/fwd=miss$/,
     'Redis is back: no direct answer');
$nginx->stop;

# no Redis at all

my $alone = start(redis => 'off', workers => 2, servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;

        location = /      { chat_health full; }
        location = /chat  { chat; chat_cache_ttl 2s; }
        location = /off   { chat; chat_cache off; }
        location = /purge { chat_purge; }
    }
EOT

$q = question($alone, 'Who is alone?');
like(status_of($q), qr/detail=direct$/, 'chat_redis off: a new one');
stream_ok(zoned($alone, 'Who is alone?'), 'chat_redis off: a hit',
          text => $q->{text});
is((grep { is_zoned($_) } ask($alone, map { { question => 'Who is alone?' } }
                              1 .. 20)) + 0, 20,
   'chat_redis off: of all workers');

my $purge = { method => 'DELETE', path => '/purge',
              body => '{"question": "Who is alone?"}' };

is(ask($alone, $purge)->{status}, 204, 'chat_redis off: purged');
is(ask($alone, $purge)->{status}, 404, 'chat_redis off: not twice');
ok(!is_zoned(question($alone, 'Who is alone?')), 'chat_redis off: it is gone');
zoned($alone, 'Who is alone?');
ok(wait_for(sub { !is_zoned(question($alone, 'Who is alone?')) }, 5),
   'chat_redis off: the time is over');
question($alone, 'Who stores?', path => '/off');
ok(!is_zoned(question($alone, 'Who stores?')),
   'chat_redis off: chat_cache off stores nothing');
question($alone, 'Who fails? {{finish=length}}');
ok(!is_zoned(question($alone, 'Who fails? {{finish=length}}')),
   'chat_redis off: what is cut off is not stored');
$alone->stop;

# the default, also in a single process: what must not be stored is not

foreach my $master (1, 0) {
    my $name = $master ? 'by default' : 'by default, a single process';

    $alone = start(redis => 'off', zone => '', workers => 1,
                   master => $master, servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;

        location = /         { chat_health full; }
        location = /chat     { chat; }
        location = /another  { chat; }
        location = /off      { chat; chat_cache off; }
        location = /tenant   { chat; chat_cache_scope $http_x_tenant; }
        location = /purge    { chat_purge; }
    }
EOT

    cmp_ok(zone_state($alone)->{size}, '>', 32 * 1000 * 1000,
           "$name: a zone");

    foreach my $path ('/off', '/tenant') {
        question($alone, 'Who is private?', path => $path) foreach 1 .. 2;
    }

    is(zone_state($alone)->{answers}, 0, "$name: private ones are not stored");

    my $tenant = { headers => { 'X-Tenant' => 'a' }, path => '/tenant' };

    $q = question($alone, 'Who is private?', %$tenant);
    like(status_of($q), qr/detail=direct$/, "$name: a tenant's is a new one");
    wait_for { zone_state($alone)->{answers} == 1 } 5, 'the answer';
    stream_ok(question($alone, 'Who is private?', %$tenant),
              "$name: a tenant's is stored", cache => $ZONED,
              text => $q->{text});

    $q = question($alone, 'Who shares?');
    zoned($alone, 'Who shares?');
    stream_ok(question($alone, 'Who shares?', path => '/another'),
              "$name: another location has it", cache => $ZONED,
              text => $q->{text});

    my $new = question($alone, 'Who shares?', use_cache => 0);

    isnt($new->{text}, $q->{text}, "$name: use_cache false");
    ok(wait_for(sub { question($alone, 'Who shares?')->{text}
                      eq $new->{text} }, 5), "$name: and that takes its place");

    # those who join and those who leave

    my @all = ask($alone, map { { question => 'Who joins? {{gap=20}}',
                                  hangup_after => $_ } } undef, 1, undef, 2);

    is((grep { ($_->{text} // '') eq $all[0]{text} } @all[0, 2]) + 0, 2,
       "$name: one for all");
    is(zoned($alone, 'Who joins? {{gap=20}}')->{text}, $all[0]{text},
       "$name: which is stored");

    question($alone, "Who fails? {{$_}}")
        foreach 'finish=length', 'fault=eof;at=1', 'status=401';
    is(zone_state($alone)->{answers}, 3, "$name: no failure is stored");

    $alone->stop;
}

# workers are killed while they send from the zone

$nginx = start(workers => 2, listen => 'sndbuf=16k');
question($nginx, $LONG);

my $long = zoned($nginx, $LONG);
my ($right, $wrong) = (0, 0);

foreach my $n (1 .. 25) {

    # readers that stand still, and leave when their worker dies

    my @readers = map { stalled($nginx) } 1 .. 3;
    my @workers = $nginx->worker_pids;

    kill('KILL', $workers[rand @workers]);
    wait_for { my %now = map { $_ => 1 } $nginx->worker_pids;
               keys(%now) == 2 && !grep { !$now{$_} } $nginx->worker_pids
             } 10, 'another worker';

    foreach my $q (ask($nginx, map { { question => $LONG } } 1 .. 3)) {
        $q->{text} eq $long->{text} ? $right++ : $wrong++
            if $q->{complete};
    }

    # it goes, and another takes its place

    $redis->cmd('DEL', stream_key($LONG)) if $n % 5 == 0;
    $long = question($nginx, $LONG) if $n % 5 == 0;
    $long = zoned($nginx, $LONG) if $n % 5 == 0;

    close($_) foreach @readers;
}

is($wrong, 0, 'killed workers: no wrong answer');
cmp_ok($right, '>', 60, 'killed workers: right ones');
wait_for { zone_state($nginx)->{state} eq 'on' } 10, 'the zone';

# as many answers fit as into one that nobody was killed at

my @others = map { "What is long, $_? {{chunks=4000;bytes=250}}" } 1 .. 4;

foreach my $other (@others) {
    question($nginx, $other);
    ok(zoned($nginx, $other), "killed workers: there is room, $other");
}

$nginx->allow_log(qr/exited on signal 9/) if $nginx->can('allow_log');

done();


# asks, and reads no more than the head

sub stalled {
    my ($nginx) = @_;
    my $body = '{"question": ' . json_string($LONG) . '}';
    my $sock = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port) or die "connect: $!\n";
    my $head = '';

    print $sock "POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nConnection: close\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
    $sock->flush;

    $sock->sysread($head, 1, length($head)) || last
        while $head !~ /\r\n\r\n$/;

    return $sock;
}
