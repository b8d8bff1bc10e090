#!/usr/bin/perl

# Answers beyond chat_hub_memory: a worker drops them, the oldest first, and
# reads them again for clients that are slow, who notice nothing, unless Redis
# has them no more.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Metrics;
use IO::Socket::INET;
use Socket qw(INADDR_LOOPBACK SOL_SOCKET SO_RCVBUF pack_sockaddr_in);
use Time::HiRes qw(time);

my $KIB = 1024;
my $MIB = 1024 * $KIB;

# 400 KB, and more than twice as much as events
my %ANSWER = (chunks => 100, bytes => 4000, gap => 0);

# what a client that does not read keeps: a piece that is under way to it
my $UNDER_WAY = 20 * $KIB;

my $HTTP = 'chat_hub_memory 1m; chat_heartbeat 1s; chat_queue_timeout 3s;'
    . ' chat_max_answer 32m;';

my $redis = start_redis();
my $provider = start_provider(%ANSWER);
my $large = start_provider(chunks => 200, bytes => 10000, gap => 0);
my $broken = start_provider(%ANSWER, fault => 'reset', at => 60, fails => 1);
my $second = free_port();

my $nginx = led_nginx(redis => $redis, provider => $provider, workers => 1,
    listen => 'sndbuf=16k',
    http => "$HTTP\n" . join("\n", map { "chat_provider $_->[0] {"
            . " url http://127.0.0.1:" . $_->[1]->port
            . "/v1; key ''; model m; max_fails 0; }" }
            [ large => $large ], [ broken => $broken ]),
    server => "$METRICS listen 127.0.0.1:$second http2 sndbuf=16k;"
        . ' location = /large { chat large; }'
        . ' location = /broken { chat broken; }'
        . ' location = /queued { chat; chat_lead off; }');

# another one makes the answers, so that memory shows

my $maker = start_nginx(redis => $redis, provider => $provider,
                        http => 'chat_max_answer 32m;');

$nginx->allow_log(qr/the "listen ... http2" directive is deprecated/);


# A client that asks and reads nothing yet; of HTTP/1.0, so that the body ends
# with the connection.

sub reader {
    my ($question, $path) = @_;
    my $fh = IO::Socket::INET->new(Proto => 'tcp');
    my $body = '{"question": ' . json_string($question) . '}';

    setsockopt($fh, SOL_SOCKET, SO_RCVBUF, 4096);
    connect($fh, pack_sockaddr_in($nginx->port, INADDR_LOOPBACK))
        or die "cannot connect: $!\n";

    syswrite($fh, 'POST ' . ($path // '/chat') . " HTTP/1.0\r\n"
        . "Content-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");

    return { fh => $fh, in => '', question => $question };
}


# reads on, so many bytes at most; false: it has ended

sub take {
    my ($reader, $most) = @_;

    return sysread($reader->{fh}, $reader->{in}, $most,
                   length($reader->{in}));
}


sub rest_of {
    my ($reader) = @_;

    local $SIG{ALRM} = sub { die "a stream does not end\n" };

    alarm(60);
    1 while take($reader, 65536);
    alarm(0);

    return $reader->{in} =~ s/^.*?\r\n\r\n//sr;
}


# the same with HTTP/2, whose windows have 64 KiB

sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return pack('xnCCN', length($payload), $type, $flags, $stream) . $payload;
}


sub second_reader {
    my ($question) = @_;
    my $fh = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => '127.0.0.1',
        PeerPort => $second) or die "cannot connect: $!\n";

    # POST, http, a path, and a type
    my $header = "\x83\x86" . pack('C C/a', 0x04, '/chat')
        . pack('C C/a', 0x01, 'localhost')
        . pack('C2 C/a', 0x0f, 0x10, 'application/json');

    syswrite($fh, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . frame(4, 0, 0, '') . frame(1, 4, 1, $header)
        . frame(0, 1, 1, '{"question": ' . json_string($question) . '}'));

    return { fh => $fh, in => '' };
}


sub data_of {
    my ($reader) = @_;
    my $data = '';

    local $SIG{ALRM} = sub { die "a stream does not end\n" };

    alarm(60);

    while (1) {
        take($reader, 65536) or die "a connection has ended\n";

        while (length($reader->{in}) >= 9) {
            my ($len, $type, $flags) = unpack('xnCC', $reader->{in});

            last if length($reader->{in}) < 9 + $len;

            my $payload = substr($reader->{in}, 9, $len);

            substr($reader->{in}, 0, 9 + $len, '');
            $data .= $payload if $type == 0;

            if ($type == 0 && $flags & 1) {
                alarm(0);
                return $data;
            }
        }
    }
}


sub leave {
    close($_->{fh}) foreach @_;
}


sub count     { return metrics($nginx)->{$_[0]} }
sub held      { return count('chat_hub_memory_bytes') }
sub evictions { return count('chat_hub_evictions_total') }
sub refills   { return count('chat_hub_refills_total') }

sub rss {
    my ($worker) = $nginx->worker_pids;

    return $KIB * (read_file("/proc/$worker/status")
                   =~ /^VmRSS:\s+(\d+)/m)[0];
}


sub nothing_held_ok {
    my ($name) = @_;

    ok(wait_for(sub { held() == 0 }, 10), "$name: nothing is held any more")
        or diag(held());
}


# Readers of an answer of which they had a part, and which is dropped; and those
# for whom the worker has dropped it.

sub dropped {
    my ($question, $n) = @_;
    my $before = evictions();
    my @readers = map { reader($question) } 1 .. $n;
    my @others = map { reader("Others? $_") } 1 .. 4;

    wait_for { evictions() >= $before + 3 } 10, 'answers to be dropped';

    return (\@readers, \@others);
}


# the stream was cut somewhere, maybe within an event, and ends with an error

sub failed_ok {
    my ($got, $whole, $code, $name) = @_;
    my $tail = qr/\n\ndata: \{"status": "error", .*"code": "$code"\}\n\n\z/;

    ok($got =~ s/$tail//, "$name: ends with the error $code")
        or diag(substr($got, -300));
    ok(length($got) > 1000 && length($got) < length($whole)
       && substr($whole, 0, length($got)) eq $got,
       "$name: behind a part of the answer");
}


# questions with their answers in Redis, and the bodies of hits

my @questions = map { "Others? $_" } 1 .. 24;

ask($maker, map { { question => $_ } } @questions);

my %whole = map { $_ => ask_hit($maker, { question => $_ })->{body} }
    @questions;

is(scalar(grep { /"completed"/ } values %whole), 24, 'hits: all are whole');
$maker->stop;
ask_hit($nginx, { question => $questions[0] });
nothing_held_ok('a hit');


# many slow readers, which would hold ten times as much

my $rss = rss();
my $evicted = evictions();
my $refilled = refills();
my @readers;

foreach my $i (0 .. $#questions) {
    push(@readers, map { reader($questions[$i]) } 0 .. 1);

    # there is room for two
    wait_for { evictions() >= $evicted + $i - 1 } 10, "answer $i to be dropped"
        or last;
}

my $bound = $MIB + @readers * $UNDER_WAY + 400 * $KIB;

note('slow readers: ', held(), ' bytes');
cmp_ok(held(), '<', $bound, 'slow readers: what is held');
cmp_ok(held(), '>', 100 * $KIB, 'slow readers: they are counted');

SKIP: {
    skip('the sanitizers keep what was freed', 1) if $ENV{CHAT_NGINX};

    my $grown = rss() - $rss;

    note("memory of the worker: $grown bytes more");
    cmp_ok($grown, '<', 6 * $MIB, 'slow readers: memory of the worker');
}

my $new = ask($nginx, { question => 'Beside slow readers?' });

stream_ok($new, 'beside slow readers');

my @active = @readers;
my $rounds = 0;
my $most = 0;

while (@active) {
    @active = grep { take($_, 16384) } @active;

    if ($rounds++ % 8 == 0) {
        my $now = held();

        $most = $now if $now > $most;
    }
}

# some answers at a time, with their events, are read by somebody

note("while they read on: $most bytes");
cmp_ok($most, '<', $bound + 2.5 * $MIB, 'while they read on: what is held');
cmp_ok(refills(), '>=', $refilled + 22, 'while they read on: read again');

is(scalar(grep { rest_of($_) eq $whole{$_->{question}} } @readers),
   scalar(@readers), 'slow readers: each has every byte');

nothing_held_ok('slow readers');


# beside a generation that is beyond the bound alone: others get on all the same

{
    provider_set($large, upto => 150);

    my $later = ask_later($nginx, { path => '/large', question => 'Large?' });

    wait_for { held() > 2 * $MIB } 20, 'a large generation';

    my @slow = map { reader("Others? $_") } 1 .. 6;
    my $beside = ask($nginx, { question => 'Beside a large one?' });

    stream_ok($beside, 'beyond the bound: a new question');
    is($beside->{headers}{'x-source'}, 'queued',
       'beyond the bound: it is not led');

    is(scalar(grep { rest_of($_) eq $whole{$_->{question}} } @slow), 6,
       'beyond the bound: slow readers have every byte');

    provider_set($large, upto => 200);

    my ($answer) = results($later);

    is(length($answer->{text}), 200 * 10000, 'beyond the bound: the large one');
    is($answer->{terminal}{status}, 'completed',
       'beyond the bound: the large one is whole');
    nothing_held_ok('beyond the bound');
}


# an answer beyond the bound alone: a client that keeps up is not why it is read
# for each piece again

{
    my $question = 'Who keeps up? {{chunks=2000;bytes=4000}}';

    my $whole = ask_hit($nginx, { question => $question })->{body};

    nothing_held_ok('before one that keeps up');

    my $again = refills();
    my $reader = reader($question);
    my $rounds = 0;
    my $most = 0;

    while (take($reader, 65536)) {
        my $now = $rounds++ % 16 ? 0 : held();

        $most = $now if $now > $most;
    }

    ok(rest_of($reader) eq $whole, 'a client that keeps up: every byte');
    note("a client that keeps up: $most bytes");
    cmp_ok($most, '<', 2000 * 4000 + 3 * $MIB,
           'a client that keeps up: the text is held, and what is sent of it');

    note('read again: ', refills() - $again);
    cmp_ok(refills() - $again, '<=', 3,
           'a client that keeps up: hardly read again');
    nothing_held_ok('a client that keeps up');
}


# a generation that ends before its reader does

foreach ([ '/chat', 'led' ], [ '/queued', 'queued' ], [ '/broken', 'again' ]) {
    my ($path, $how) = @$_;
    my $question = "Whose reader is slow, $how? {{bytes=12000}}";
    my $before = evictions();
    my $again = refills();
    my $reader = reader($question, $path);

    wait_for { $redis->cmd('EXISTS', stream_key($question)) } 20,
        'an answer to be cached';
    wait_for { evictions() > $before } 10, "it to be dropped: $how";

    my $got = rest_of($reader);

    like($reader->{in}, qr/fwd=miss/, "$how: no hit");
    is(scalar(() = $got =~ /"processing"/g), $how eq 'again' ? 2 : 1,
       "$how: starts");

    $got =~ s/^.*\n\n(?=data: \{"status": "processing")//s;
    ok($got eq ask_hit($nginx, { question => $question,
                                 path => $path })->{body},
       "$how: a slow reader has every byte");
    cmp_ok(refills(), '>', $again, "$how: read again");
}


# a client of HTTP/2 whose window is full

{
    my $before = evictions();
    my $reader = second_reader('Others? 9');
    my @others = map { reader("Others? $_") } 1 .. 4;

    wait_for { evictions() >= $before + 3 } 10, 'answers to be dropped';
    leave(@others);

    my $again = refills();

    # for the connection and for the stream
    syswrite($reader->{fh}, frame(8, 0, 0, pack('N', 16 * $MIB))
             . frame(8, 0, 1, pack('N', 16 * $MIB)));

    ok(data_of($reader) eq $whole{'Others? 9'},
       'HTTP/2: a slow reader has every byte');
    cmp_ok(refills(), '>', $again, 'HTTP/2: read again');
    leave($reader);
    nothing_held_ok('HTTP/2');
}


# gone, or another answer, before its reader has it

{
    my ($readers, $others) = dropped('Others? 5', 2);

    $redis->cmd('DEL', stream_key('Others? 5'));

    my $start = time();

    failed_ok(rest_of($readers->[$_]), $whole{'Others? 5'}, 'interrupted',
              "deleted, $_") foreach 0 .. 1;
    cmp_ok(time() - $start, '<', 2 + $SLACK, 'deleted: is told soon');

    is(scalar(grep { rest_of($_) eq $whole{$_->{question}} } @$others), 4,
       'deleted: others have theirs');
}

{
    my ($readers, $others) = dropped('Others? 6', 2);
    my $key = stream_key('Others? 6');
    my $before = $redis->entries($key)->[-1]{gen};

    stream_ok(scalar ask($nginx, { question => 'Others? 6', use_cache => 0 }),
              'another answer');
    wait_for { $redis->entries($key)->[-1]{gen} ne $before } 10,
        'it to be cached';

    failed_ok(rest_of($readers->[$_]), $whole{'Others? 6'}, 'interrupted',
              "replaced, $_") foreach 0 .. 1;

    leave(@$others);
}


# readers that leave as their answer is read again

{
    my ($readers, $others) = dropped('Others? 7', 2);

    stand_still($redis->pid);
    take($_, 300000) foreach @$readers;
    leave(@$readers, @$others);
    kill('CONT', $redis->pid);

    nothing_held_ok('readers that leave');
}


# Redis does not answer for a moment, then for ever

{
    my ($readers, $others) = dropped('Others? 7', 2);

    stand_still($redis->pid);
    take($_, 300000) foreach @$readers;
    kill('CONT', $redis->pid);

    is(scalar(grep { rest_of($_) eq $whole{'Others? 7'} } @$readers), 2,
       'Redis stood still: slow readers have every byte');
    leave(@$others);
}

# a worker that is to exit, and whose answers are dropped

{
    my ($readers, $others) = dropped('Others? 8', 2);

    $nginx->reload;

    is(scalar(grep { rest_of($_) eq $whole{'Others? 8'} } @$readers), 2,
       'reload: slow readers have every byte');
    leave(@$others);
    wait_for { $nginx->worker_pids == 1 } 10, 'the old worker to exit';
    leads($nginx);
}

$nginx->allow_log(qr/Redis|redis|filler|Broken pipe|reset by peer|connect\(\)/);

# within the bound as Redis is lost, and beyond it as they read on

{
    my $before = evictions();
    my @slow = map { reader("Others? $_") } 11, 12;

    wait_for { held() > 800 * $KIB } 10, 'two answers';
    stand_still($redis->pid);
    wait_for { ask($nginx, { question => 'Down?' })->{status} == 503
               && count('chat_redis_down') } 20, 'Redis to be down';

    my @reading = @slow;

    @reading = grep { take($_, 16384) } @reading while @reading;

    is(scalar(grep { rest_of($_) eq $whole{$_->{question}} } @slow), 2,
       'Redis is down: slow readers have every byte');
    is(evictions(), $before, 'Redis is down: nothing is dropped');

    kill('CONT', $redis->pid);
    leads($nginx);
}

# an answer that is too large for Redis to give back: it stays, others do not

{
    my $question = 'Whose answer is too large? {{bytes=12000}}';

    $redis->cmd('CONFIG', 'SET', 'client-output-buffer-limit',
                'normal 800000 0 0');

    my $reader = reader($question);

    wait_for { $redis->cmd('EXISTS', stream_key($question)) } 20,
        'an answer to be cached';
    wait_for { $nginx->error_log =~ /which is not asked for any more/ } 20,
        'it not to be looked for any more';

    my $before = evictions();
    my $beside = reader('Others? 13');

    wait_for { evictions() > $before } 10, 'another one to be dropped';

    ok(rest_of($beside) eq $whole{'Others? 13'},
       'too large: a reader beside it has every byte');
    cmp_ok(evictions(), '>', $before, 'too large: others are dropped');
    is(length((rest_of($reader) =~ /"completed", "chunk": "(.*)"\}/)[0] // ''),
       100 * 12000, 'too large: its reader has all of it');

    $redis->cmd('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 0 0 0');
    leads($nginx);
}

# Redis is lost as an answer is to be read again

foreach my $signal ('STOP', 'KILL') {
    my ($readers, $others) = dropped('Others? 10', 2);
    my $start = time();

    $signal eq 'STOP' ? stand_still($redis->pid) : $redis->stop('KILL');

    failed_ok(rest_of($readers->[$_]), $whole{'Others? 10'}, 'redis_down',
              "$signal, $_") foreach 0 .. 1;
    cmp_ok(time() - $start, '<', 3 + 2 + $SLACK, "$signal: is told in time");

    leave(@$others);

    if ($signal eq 'STOP') {
        kill('CONT', $redis->pid);
        leads($nginx);
    }
}

done();
