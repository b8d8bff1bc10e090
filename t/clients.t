#!/usr/bin/perl

# Clients that leave, read slowly or not at all, or use one connection for
# several questions.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(time);

use lib 't/lib';
use Chat::Test;

my %provider = (chunks => 20, gap => 30);

my $redis = start_redis();
my $provider = start_provider(%provider);
my $nginx = start_nginx(redis => $redis, provider => $provider,
    servers => <<'EOT');
    log_format chat "$uri $chat_cache_status $chat_status $chat_chunks";

    server {
        listen 127.0.0.1:%%PORT%% sndbuf=64k;
        access_log %%DIR%%/chat.log chat;

        location = /chat {
            chat;
        }

        location = /timeout {
            chat;
            send_timeout 1s;
        }

        location = /pause {
            chat;
            send_timeout 3s;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% http2;
        access_log %%DIR%%/chat.log chat;

        location = /chat {
            chat;
        }
    }
EOT

my $logged = 0;

# so many more lines in the log

sub logged {
    my ($count) = @_;
    my @lines;

    wait_for {
        @lines = split(/\n/, read_file($nginx->dir . '/chat.log'));
        @lines >= $logged + $count;
    } 10, 'lines in the log';

    splice(@lines, 0, $logged);
    $logged += @lines;

    return sort @lines;
}


sub cached {
    my ($question) = @_;

    return wait_for { $redis->cmd('EXISTS', stream_key($question)) } 10,
        'the answer in Redis';
}


sub connected {
    my ($size) = @_;

    socket(my $sock, Socket::PF_INET, Socket::SOCK_STREAM, 0) or die "$!\n";
    setsockopt($sock, SOL_SOCKET, SO_RCVBUF, $size) if $size;
    connect($sock, Socket::pack_sockaddr_in($nginx->port,
            Socket::INADDR_LOOPBACK())) or die "$!\n";
    $sock->autoflush(1);

    return $sock;
}


sub request {
    my ($question, $path) = @_;
    my $body = '{"question": ' . json_string($question) . '}';

    return 'POST ' . ($path || '/chat') . " HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
}


# what comes until it is enough, or until the end; with the time of that

sub receive {
    my ($sock, $enough, $seconds) = @_;
    my $select = IO::Select->new($sock);
    my $end = time() + ($seconds || 20);
    my $all = '';

    while (time() < $end) {
        next unless $select->can_read(0.2);

        my $n = sysread($sock, $all, 65536, length($all));

        return ($all, 1) unless $n;
        return ($all, 0) if $enough && $enough->($all);
    }

    return ($all, undef);
}


# leaving in the middle: by a close, by a reset, at once

my $question = 'Who leaves?';
my @pieces = pieces_of($question, %provider);

my @all = ask($nginx, { question => $question },
              { question => $question, hangup_after => 3 },
              { question => $question },
              { question => $question, hangup_after => 5, rst => 1 },
              { question => $question, hangup_after => 0 },
              { question => $question });

stream_ok($all[$_], 'those who stay', chunks => \@pieces, restarts => 0)
    foreach 0, 2, 5;
is(scalar(grep { $_->{hungup} } @all), 3, 'three left');
ok(cached($question), 'the answer is cached');
is(provider_stats($provider, $question), 1, 'one call');

my @lines = logged(6);

is(scalar(grep { / gone / } @lines), 3, 'three are gone in the log')
    or diag(@lines);
is(scalar(grep { / completed 20$/ } @lines), 3, 'three got all');

$question = 'Who asks and leaves?';

ask($nginx, { question => $question, hangup_after => 2 });
ok(cached($question), 'the last one leaves: the answer is cached');
stream_ok(scalar ask($nginx, { question => $question }), 'for the next one',
          cache => qr/hit/, chunks => [ pieces_of($question, %provider) ]);
logged(2);

$question = 'Who does not even wait for the header?';

my $sock = connected();

print $sock request($question);
close($sock);
like((logged(1))[0], qr/ gone /, 'gone before there was anything');
stream_ok(scalar ask($nginx, { question => $question }), 'the next one',
          chunks => [ pieces_of($question, %provider) ]);
logged(1);

# half closed counts as gone

foreach my $when ('before the answer', 'in the middle') {
    $question = "Who says no more $when?";

    $sock = connected();
    print $sock request($question);
    receive($sock, sub { $_[0] =~ /streaming/ }) if $when eq 'in the middle';
    shutdown($sock, 1);

    my ($rest, $closed) = receive($sock);

    ok($closed && $rest !~ /completed/, "half closed $when: closed");
    like((logged(1))[0], qr/ gone /, 'and gone');
    close($sock);
}

ok(cached($question), 'its answer is cached');

# HTTP/2: a stream that is left while the connection stays is left too

$question = 'Who leaves by HTTP/2? {{first=400}}';

my $pid = open(my $curl, '-|', 'curl', '-sN', '--http2-prior-knowledge',
    '-H', 'Content-Type: application/json', '-d',
    '{"question": ' . json_string($question) . '}',
    'http://127.0.0.1:' . $nginx->{ports}->(2) . '/chat') or die "$!\n";

readline($curl);
kill('KILL', $pid);
close($curl);
like((logged(1))[0], qr/ gone /, 'HTTP/2: gone');
ok(cached($question), 'its answer is cached');

# slow readers

$question = 'Who reads slowly? {{chunks=400;bytes=1000;gap=1}}';
@pieces = pieces_of($question);

@all = ask($nginx,
    { question => $question, rcvbuf => 16384, read_rate => 100_000 },
    { question => $question },
    { question => $question, rcvbuf => 16384, read_rate => 400_000 },
    { question => $question });

stream_ok($_, 'fast and slow', chunks => \@pieces, restarts => 0)
    foreach @all;

my ($slow, @others) = map { $_->{ended} - $_->{started} } @all[0, 1, 3];

ok($slow > 4, 'it was slow');
ok($_ < 0.8 * $slow, 'the others were not') or diag("$_ of $slow s")
    foreach @others;
stream_ok(scalar ask($nginx, { question => $question, rcvbuf => 16384,
                               read_rate => 400_000 }), 'a slow hit',
          chunks => \@pieces, cache => qr/hit/);
logged(5);

# one that never reads

$question = 'Who never reads? {{chunks=1500;bytes=1000;gap=0}}';

foreach my $what ('a miss', 'a hit') {
    $redis->cmd('DEL', stream_key($question)) if $what eq 'a miss';
    $sock = connected(16384);
    print $sock request($question, '/timeout');

    my $began = time();
    my ($line) = logged(1);
    my $time = time() - $began;

    like($line, qr/^\/timeout /, "never reads: $what");
    cmp_ok($time, '>', 0.8, 'not before send_timeout');
    cmp_ok($time, '<', 3 + $SLACK, 'but after it');
    close($sock);
    ok(cached($question), 'the answer is cached');
}

# a reader may pause for less than that

$question = 'Who pauses? {{chunks=900;bytes=1000;gap=0}}';
$sock = connected(16384);
print $sock request($question, '/pause');

my $text = '';

foreach (1 .. 6) {
    select(undef, undef, undef, 0.6);
    $text .= (receive($sock, sub { length($_[0]) > 50_000 }))[0];
}

$text .= (receive($sock, sub { substr($_[0], -7) eq "\r\n0\r\n\r\n" }))[0];
ok($text =~ /"completed", .*\r\n0\r\n\r\n\z/s, 'one that pauses gets all');
like((logged(1))[0], qr/ completed 900$/, 'to the end');
close($sock);

# several questions, one connection

$question = 'What comes first?';
my $second = 'What comes second?';
my $q = ask($nginx, { question => $question, keep => 1 });

stream_ok($q, 'a connection', cache => qr/miss/);

foreach my $next ($second, $question, $second) {
    $q = ask($nginx, { question => $next, keep => 1,
                       socket => delete $q->{socket} });
    stream_ok($q, 'another question on it',
              chunks => [ pieces_of($next, %provider) ]);
}

is($q->{headers}{'cache-status'} =~ /hit/, 1, 'a hit at last');

logged(4);

# pipelined: sent before the first is answered

($question, $second) = ('What is in the pipe?', 'What else is in the pipe?');
$sock = connected();
print $sock request($question) . request($second) . request($question);

($text) = receive($sock, sub { 3 == (() = $_[0] =~ /"completed"/g)
                               && $_[0] =~ /\}\n\n(?:\r\n0\r\n\r\n)?\z/ });

my @answers = split(/(?=HTTP\/1\.1 200)/, $text);

is(scalar(@answers), 3, 'three answers');

foreach my $i (0 .. 2) {
    my $wanted = text_of($i == 1 ? $second : $question, %provider);

    like($answers[$i] // '', qr/"completed", "chunk": "\Q$wanted\E"/,
         'in the order of the questions');
}

close($sock);
is(scalar(grep { / completed 20$/ } logged(3)), 3, 'and three lines');
is(provider_stats($provider)->{aborted}, 0, 'no call was given up');

done();
