#!/usr/bin/perl

# The zone: hits that do not ask Redis, from whichever worker, of short and of
# long answers; whatever takes an answer out of Redis takes it out of the zone.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use Socket;
use Time::HiRes qw(sleep time);

my $LONG = '{{chunks=2000;bytes=250}}';
my $ZONED = qr/^ngx_chat; hit; ttl=\d+; detail=zone$/;

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 0);

my %opt = (redis => $redis, provider => $provider, zone => 'chat 8m',
           servers => <<'EOT');
    log_format tier '$uri $chat_cache_status $chat_source $chat_tier '
                    '$chat_status $chat_chunks $chat_bytes $chat_provider '
                    '$chat_model $chat_key $chat_generation';

    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT_1%% sndbuf=1m;
        access_log %%DIR%%/access.log tier;

        location = /        { chat_health full; }
        location = /metrics { chat_metrics; }
        location = /chat    { chat; }
        location = /purge   { chat_purge; }
        location = /short   { chat; chat_cache_ttl 1s; }
        location = /off     { chat; chat_cache off; }
        location = /stale   { chat; chat_cache_ttl 1s; chat_cache_stale 60s; }
        location = /silent  { chat; chat_cache_status off; }

        location /tenant/ {
            chat_cache_scope $http_x_tenant;

            location = /tenant/chat  { chat; }
            location = /tenant/purge { chat_purge; }
        }

        location = /lang/chat {
            chat_cache_key "$http_x_lang|$chat_question";
            chat;
        }
    }
EOT

my $nginx = start_nginx(%opt);


sub question {
    my ($question, $where, %headers) = @_;

    return scalar ask($nginx, { question => $question, headers => \%headers,
                                path => $where // '/chat' });
}


sub status_of { return $_[0]{headers}{'cache-status'} // '' }

sub is_zoned { return status_of($_[0]) =~ $ZONED }


# asks until the answer comes out of the zone

sub zoned {
    my (@ask) = @_;
    my $q;

    wait_for {
        $q = question(@ask);
        is_zoned($q);
    } 5, "the zone to have \"$ask[0]\"";

    return $q;
}


sub hits {
    my ($tier) = @_;
    my ($n) = get($nginx, '/metrics')->{body}
        =~ /^chat_hits_total\{tier="$tier"\} (\d+)/m;

    return $n;
}


# a family of the zone's metrics, or a sample of it

sub number {
    my ($name) = @_;
    my ($n) = get($nginx, '/metrics')->{body} =~ /^chat_zone_\Q$name\E (\d+)$/m;

    return $n;
}


# all that was ever stored is there, or has gone for one reason

sub adds_up {
    my ($name) = @_;
    my ($stored, $n);

    # the other worker may be at it

    wait_for {
        $stored = number('stored_total');
        $n = number('answers');
        $n += number("dropped_total{reason=\"$_\"}")
            foreach 'room', 'changed', 'expired', 'lost';

        $n == $stored;
    };

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($stored, $n, $name);
}


sub zone_state { return parse_json(get($nginx, '/')->{body})->{zone} }


# reloads, and waits for the workers before to be gone

sub reload {
    my (%more) = @_;
    my @old = $nginx->worker_pids;

    $nginx->reload(%more);
    wait_for { !grep { -d "/proc/$_" } @old } 10, 'the former workers to go';
    wait_for { zone_state()->{state} =~ /^o/ } 10, 'the zone after a reload';
}


wait_for { zone_state()->{state} eq 'on' } 10, 'the zone to be in use';

my $miss = question('What is Perl?');

stream_ok($miss, 'a miss', cache => qr/fwd=miss$/);

my $hit = zoned('What is Perl?');

stream_ok($hit, 'a hit', cache => $ZONED, text => $miss->{text},
          chunks => $miss->{chunks});
is($hit->{headers}{'content-length'}, length($hit->{body}),
   'a hit: its length is known');
is($hit->{headers}{'x-chat-generation'}, $miss->{headers}{'x-chat-generation'},
   'a hit: of that generation');

my $commands = $redis->cmd('INFO', 'stats') =~ /total_commands_processed:(\d+)/
    ? $1 : -1;

question('What is Perl?') foreach 1 .. 20;

my ($later) = $redis->cmd('INFO', 'stats') =~ /total_commands_processed:(\d+)/;

cmp_ok($later - $commands, '<', 15, 'hits: no Redis traffic');

# whatever is the same of hits from Redis

$redis->cmd('PEXPIRE', stream_key('What is Perl?'), 60000);

my $from_redis;

wait_for {
    $from_redis = question('What is Perl?');
    status_of($from_redis) =~ /; hit; ttl=(?:60|5\d)$/;
} 5, 'a hit from Redis, after its time was changed';

$hit = zoned('What is Perl?');
is($hit->{body}, $from_redis->{body}, 'a hit from Redis has the same body');
delete @{ $_->{headers} }{'cache-status', 'date'} foreach $hit, $from_redis;
is_deeply($hit->{headers}, $from_redis->{headers}, 'and the same headers');
like(status_of(zoned('What is Perl?')), qr/ttl=(?:60|5\d); detail=zone$/,
     'and the time that is left');

my $h = key_of('What is Perl?');

wait_for { $nginx->access_log =~ /zone completed/ } 5, 'the log';
like($nginx->access_log, qr{^/chat\ HIT\ hit\ zone\ completed\ 5
    \ \d+\ openai\ test\ $h\ [0-9a-f]{32}\.$h$}mx, 'variables: the zone');
like($nginx->access_log, qr{^/chat HIT hit redis completed 5 }m,
     'variables: Redis');
cmp_ok(hits('zone'), '>', 20, 'metrics: the zone');
cmp_ok(hits('redis'), '>', 0, 'metrics: Redis');

is(number('answers'), 1, 'metrics: an answer in the zone');
is(number('used_bytes'), zone_state()->{used}, 'metrics: memory that is used');
is(number('size_bytes'), zone_state()->{size}, 'metrics: all of it');
cmp_ok(number('dropped_total{reason="changed"}'), '>=', 1,
       'metrics: one before has changed');
adds_up('metrics: all that was stored');

is(status_of(zoned('What is Perl?')) && question('What is Perl?', '/silent')
   ->{headers}{'cache-status'}, undef, 'chat_cache_status off: no header');

# from all workers, and over one connection

my @all = ask($nginx, map { { question => 'What is Perl?' } } 1 .. 40);

is((grep { is_zoned($_) && $_->{body} eq $hit->{body} } @all) + 0, 40,
   'many at once: all of them hits');

# a long answer, which is sent from the zone

$miss = question("What is long? $LONG");
stream_ok($miss, 'a long answer: a miss', cache => qr/fwd=miss$/);
$hit = zoned("What is long? $LONG");
stream_ok($hit, 'a long answer: a hit', cache => $ZONED,
          chunks => $miss->{chunks});
ok($hit->{keepalive}, 'a long answer: the connection stays open');
is($hit->{headers}{'content-length'}, length($hit->{body}),
   'a long answer: its length is known');

@all = ask($nginx, map { { question => "What is long? $LONG",
                           read_rate => 4000000, rcvbuf => 8192 } } 1 .. 6);
is((grep { is_zoned($_) && $_->{body} eq $hit->{body} } @all) + 0, 6,
   'a long answer: slow readers');

# readers that leave, before and in the middle

ask($nginx, map { { question => "What is long? $LONG", hangup_after => $_,
                    rst => 1 } } 0, 1, 100, 500);

# readers of what is gone read on

my %begun;

@all = ask($nginx, map { { question => "What is long? $LONG",
    read_rate => 2000000, rcvbuf => 8192, on_event => sub {
        my ($q) = @_;

        $redis->cmd('DEL', stream_key("What is long? $LONG"))
            if !$begun{$q}++ && keys(%begun) == 3;
    } } } 1 .. 3);
is((grep { is_zoned($_) && $_->{body} eq $hit->{body} } @all) + 0, 3,
   'a long answer: deleted meanwhile');

# what takes an answer out of Redis

my $n = 0;

my %changes = (
    DEL      => sub { $redis->cmd('DEL', $_[0]) },
    UNLINK   => sub { $redis->cmd('UNLINK', $_[0]) },
    RENAME   => sub { $redis->cmd('RENAME', $_[0], 'elsewhere') },
    SET      => sub { $redis->cmd('SET', $_[0], 'a string') },
    XADD     => sub { $redis->cmd('XADD', $_[0], '*', 'a', 'b') },
    PEXPIRE  => sub {
        my ($key) = @_;

        $redis->cmd('PEXPIRE', $key, 1);
        wait_for { !$redis->cmd('EXISTS', $key) } 5, 'the end of its time';
    },
    FLUSHDB  => sub { $redis->cmd('FLUSHDB') },
    FLUSHALL => sub { $redis->cmd('FLUSHALL') },
    eviction => sub {
        my ($key) = @_;

        $redis->cmd('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
        $redis->cmd('CONFIG', 'SET', 'maxmemory', 1);
        wait_for {
            $redis->cmd('SET', 'more', 'x');
            !$redis->cmd('EXISTS', $key);
        } 5, 'the eviction';
        $redis->cmd('CONFIG', 'SET', 'maxmemory', 0);
    },
    purge    => sub {
        my $q = ask($nginx, { method => 'DELETE', path => '/purge',
                              body => '{"key": "' . ($_[0] =~ s/.*://r)
                                      . '"}' });

        is($q->{status}, 204, 'purge: it is removed');
    },
);

foreach my $name (sort keys %changes) {
    my $question = "What is gone by $name?";

    question($question);
    zoned($question);

    my $of = provider_stats($provider, $question);

    $changes{$name}->(stream_key($question));

    my $end = time() + 0.05;
    my $q = question($question);
    my $tries = 1;

    while (is_zoned($q) && time() < $end) {
        $q = question($question);
        $tries++;
    }

    stream_ok($q, "$name: no hit any more", cache => qr/fwd=miss/);
    is($tries, 1, "$name: not a single one") if $name eq 'purge';
    is(provider_stats($provider, $question), $of + 1, "$name: asked anew");
    $n++;
}

# expiry, of which nobody need be told

question('What is short?', '/short');
zoned('What is short?', '/short') foreach 1;
# Redis may tell of it first, and the other worker later of what was stored

sub ended {
    return number('dropped_total{reason="expired"}')
        + number('dropped_total{reason="changed"}');
}

my $ended = ended();

ok(wait_for(sub { status_of(question('What is short?', '/short'))
                  =~ /fwd=miss/ }, 3), 'the time is over');
cmp_ok(ended(), '>', $ended, 'metrics: one that is gone');
adds_up('metrics: all that was stored by now');

# what is stale is not in the zone, what replaces it is

question('What is stale? {{unique=1}}', '/stale');
like(status_of(zoned('What is stale? {{unique=1}}', '/stale')),
     qr/ttl=[01]; detail=zone$/, 'chat_cache_stale: a hit that is fresh');

my %of_stale;

ok(wait_for(sub {
    my $q = question('What is stale? {{unique=1}}', '/stale');

    $of_stale{status_of($q) =~ s/-?\d+/N/r} = 1 if status_of($q) =~ /ttl=-/;
    is_zoned($q) && $q->{text} =~ /^#2 /;
}, 10), 'chat_cache_stale: another one is in the zone');
is_deeply(\%of_stale, { 'ngx_chat; hit; ttl=N; detail=stale' => 1 },
          'chat_cache_stale: a stale one came from Redis');

# who asks the provider anew reads the old answer nowhere, and replaces it

question('What is new? {{unique=1}}');
zoned('What is new? {{unique=1}}');

foreach my $call (2 .. 5) {
    my $q = ask($nginx, { question => 'What is new? {{unique=1}}',
                          use_cache => 0 });

    stream_ok($q, "use_cache false: call $call", cache => qr/fwd=request/);
    like($q->{text}, qr/^#$call /, "use_cache false: its text, $call");
    stream_ok(scalar question('What is new? {{unique=1}}'),
              "use_cache false: found at once, $call", cache => qr/; hit/,
              text => $q->{text});
    is(zoned('What is new? {{unique=1}}')->{text}, $q->{text},
       "use_cache false: in the zone, $call");
}

# scopes and keys

question('Who am I? {{unique=1}}', '/tenant/chat', 'X-Tenant' => 'a');
question('Who am I? {{unique=1}}', '/tenant/chat', 'X-Tenant' => 'b');

my ($a, $b) = map { zoned('Who am I? {{unique=1}}', '/tenant/chat',
                          'X-Tenant' => $_) } 'a', 'b';

isnt($a->{text}, $b->{text}, 'tenants: an answer each');
like(status_of(question('Who am I? {{unique=1}}', '/tenant/chat')),
     qr/fwd=bypass/, 'tenants: nobody has none');
like(status_of(question('Who am I? {{unique=1}}')), qr/fwd=miss/,
     'tenants: everybody has another');
like(status_of(question('Who am I? {{unique=1}}', '/off')), qr/fwd=bypass/,
     'chat_cache off: the zone is left alone');

question('Qui? {{unique=1}}', '/lang/chat', 'X-Lang' => 'fr');
like(status_of(question('Qui? {{unique=1}}', '/lang/chat', 'X-Lang' => 'de')),
     qr/fwd=miss/, 'keys: another language');
like(zoned('Qui? {{unique=1}}', '/lang/chat', 'X-Lang' => 'fr')->{text},
     qr/^#1 /, 'keys: the same');
like(status_of(question('fr|Qui? {{unique=1}}')), qr/fwd=miss/,
     'keys: a question that looks like a key is none');

# a reload of the same size keeps it, another size begins anew

zoned('What is Perl?');
reload();
ok(is_zoned(question('What is Perl?')), 'reload: it is there');
reload() foreach 1 .. 3;
ok(is_zoned(question('What is Perl?')), 'reload, again: it is there');

# A worker that is to exit, and waits for nothing else, sends all of a long
# answer, also where the client takes it as fast as it comes.

{
    my $long = "What is long? $LONG";
    my $body = '{"question": ' . json_string($long) . '}';
    my @old = $nginx->worker_pids;

    socket(my $sock, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
    setsockopt($sock, SOL_SOCKET, SO_RCVBUF, 1048576);
    connect($sock, pack_sockaddr_in($nginx->{ports}->(1), INADDR_LOOPBACK))
        or die "connect: $!\n";

    syswrite($sock, "POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        . "Connection: close\r\nExpect: 100-continue\r\n"
        . "Content-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n");
    sysread($sock, my $continue, 1000);

    $nginx->reload;
    wait_for { @old == 1 + grep { !-d "/proc/$_" } @old } 10, 'one worker to go';

    my $whole = zoned($long)->{body};

    # timers of what it did before run out, which nobody sees
    sleep(1);

    syswrite($sock, $body);

    my ($head, $got) = split(/\r\n\r\n/, do { local $/; <$sock> }, 2);

    ok($head =~ /detail=zone/ && $got eq $whole,
       'reload, a body that comes late: all of a long answer')
        or diag("$head\n", length($got) . ' of ' . length($whole));
}

reload();
reload(zone => 'chat 4m');
ok(!is_zoned(question('What is Perl?')), 'reload, another size: it is not');
zoned('What is Perl?');
cmp_ok(zone_state()->{size}, '<', 4 * 1024 * 1024, 'another size: it has that');

# too small for long answers

reload(zone => 'other 64k');

my $huge = 'What is huge? {{chunks=4000;bytes=260}}';

$miss = question($huge);

foreach (1 .. 3) {
    my $q = question($huge);

    ok(!is_zoned($q) && $q->{text} eq $miss->{text},
       "too small: a long answer comes from Redis, $_");
}

zoned('What is Perl?');
question("How small is $_?") foreach 1 .. 120;
ok(is_zoned(zoned("How small is 120?")), 'too small: the latest are there');

my $state = zone_state();

cmp_ok($state->{used}, '<=', $state->{size}, 'too small: no more than there is');
cmp_ok($state->{answers}, '>=', 5, 'too small: some are there');
cmp_ok(number('refused_total'), '>=', 3, 'metrics: long ones are refused');
cmp_ok(number('dropped_total{reason="room"}'), '>=', 5,
       'metrics: others have gone for those');
adds_up('metrics: all that was stored there');

# off

reload(zone => 'off');
is(zone_state()->{state}, 'off', 'off: health');
is(number('size_bytes') . number('stored_total'), '00', 'off: metrics');
question('What is Perl?');
ok(!is_zoned(question('What is Perl?')), 'off: no hit');

done();
