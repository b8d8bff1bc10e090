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

        location = /mirrored {
            chat;
            mirror /copy;
        }

        location = /posted {
            chat;
            post_action /copy;
        }

        location = /copy {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_3%%;
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


sub silent {
    return IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 9,
        LocalPort => $nginx->{ports}->(3), ReuseAddr => 1)
        || die "listen: $!\n";
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

stream_ok($all[$_],
          "leaving in the middle: client $_ stays, gets all",
          chunks => \@pieces, restarts => 0)
    foreach 0, 2, 5;
is(scalar(grep { $_->{hungup} } @all), 3,
   'leaving in the middle: three have left');
ok(cached($question), 'leaving in the middle: the answer is cached');
is(provider_stats($provider, $question), 1,
   'leaving in the middle: the provider is called once');

my @lines = logged(6);

is(scalar(grep { / gone / } @lines), 3,
   'leaving in the middle: three are logged as gone')
    or diag(@lines);
is(scalar(grep { / completed 20$/ } @lines), 3,
   'leaving in the middle: three are logged as completed');

$question = 'Who asks and leaves?';

ask($nginx, { question => $question, hangup_after => 2 });
ok(cached($question), 'the last one leaves: the answer is cached');
stream_ok(scalar ask($nginx, { question => $question }),
          'the last one leaves: the next one gets a hit',
          cache => qr/hit/, chunks => [ pieces_of($question, %provider) ]);
logged(2);

$question = 'Who does not even wait for the header?';

my $sock = connected();

print $sock request($question);
close($sock);
like((logged(1))[0], qr/ gone /, 'left before the header: logged as gone');
stream_ok(scalar ask($nginx, { question => $question }),
          'left before the header: the next one gets all',
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

    ok($closed && $rest !~ /completed/,
       "half closed $when: the connection is closed");
    like((logged(1))[0], qr/ gone /, "half closed $when: logged as gone");
    close($sock);
}

ok(cached($question), 'half closed in the middle: the answer is cached');

# HTTP/2: a stream that is left while the connection stays is left too

$question = 'Who leaves by HTTP/2? {{first=400}}';

my $pid = open(my $curl, '-|', 'curl', '-sN', '--http2-prior-knowledge',
    '-H', 'Content-Type: application/json', '-d',
    '{"question": ' . json_string($question) . '}',
    'http://127.0.0.1:' . $nginx->{ports}->(2) . '/chat') or die "$!\n";

readline($curl);
kill('KILL', $pid);
close($curl);
like((logged(1))[0], qr/ gone /, 'HTTP/2, a stream is left: logged as gone');
ok(cached($question), 'HTTP/2, a stream is left: the answer is cached');

# slow readers

$question = 'Who reads slowly? {{chunks=400;bytes=1000;gap=1}}';
@pieces = pieces_of($question);

@all = ask($nginx,
    { question => $question, rcvbuf => 16384, read_rate => 100_000 },
    { question => $question },
    { question => $question, rcvbuf => 16384, read_rate => 400_000 },
    { question => $question });

stream_ok($all[$_],
          "slow readers: client $_ of four gets all",
          chunks => \@pieces, restarts => 0)
    foreach 0 .. 3;

my ($slow, @others) = map { $_->{ended} - $_->{started} } @all[0, 1, 3];

ok($slow > 4, 'slow readers: the slow one takes its time');
ok($others[$_] < 0.8 * $slow, "slow readers: fast client $_ is not held up")
    or diag("$others[$_] of $slow s") foreach 0, 1;
stream_ok(scalar ask($nginx, { question => $question, rcvbuf => 16384,
                               read_rate => 400_000 }), 'slow readers: a hit',
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

    like($line, qr/^\/timeout /, "never reads, $what: logged");
    cmp_ok($time, '>', 0.8,
           "never reads, $what: not ended before send_timeout");
    cmp_ok($time, '<', 3 + $SLACK,
           "never reads, $what: ended after send_timeout");
    close($sock);
    ok(cached($question), "never reads, $what: the answer is cached");
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
ok($text =~ /"completed", .*\r\n0\r\n\r\n\z/s,
   'a reader that pauses: gets all');
like((logged(1))[0], qr/ completed 900$/,
     'a reader that pauses: logged as completed');
close($sock);

# several questions, one connection

$question = 'What comes first?';
my $second = 'What comes second?';
my $q = ask($nginx, { question => $question, keep => 1 });

stream_ok($q, 'keep-alive: the first question is answered', cache => qr/miss/);

foreach my $n (2 .. 4) {
    my $next = $n == 3 ? $question : $second;

    $q = ask($nginx, { question => $next, keep => 1,
                       socket => delete $q->{socket} });
    stream_ok($q, "keep-alive: question $n is answered",
              chunks => [ pieces_of($next, %provider) ]);
}

is($q->{headers}{'cache-status'} =~ /hit/, 1,
   'keep-alive: the last question is a hit');

logged(4);

# pipelined: sent before the first is answered

($question, $second) = ('What is in the pipe?', 'What else is in the pipe?');
$sock = connected();
print $sock request($question) . request($second) . request($question);

($text) = receive($sock, sub { 3 == (() = $_[0] =~ /"completed"/g)
                               && $_[0] =~ /\}\n\n(?:\r\n0\r\n\r\n)?\z/ });

my @answers = split(/(?=HTTP\/1\.1 200)/, $text);

is(scalar(@answers), 3, 'pipelined: three answers');

foreach my $i (0 .. 2) {
    my $wanted = text_of($i == 1 ? $second : $question, %provider);

    like($answers[$i] // '', qr/"completed", "chunk": "\Q$wanted\E"/,
         "pipelined: answer $i is that of question $i");
}

close($sock);
is(scalar(grep { / completed 20$/ } logged(3)), 3,
   'pipelined: three lines in the log');
# nginx has copied the request to somebody who does not answer

my $silent = silent();

my ($stays, @leave) = ask($nginx, map { { path => '/mirrored',
    question => 'What is copied?', $_ ? (hangup_after => 2, rst => $_ - 1)
                                      : () } } 0 .. 2);

stream_ok($stays, 'mirror: a client that stays',
          text => text_of('What is copied?', %provider));
is((grep { $_->{hungup} } @leave) + 0, 2, 'mirror: two that leave');
like(ask($nginx, { question => 'What is copied?' })->{headers}{'cache-status'},
     qr/hit/, 'mirror: the answer is cached');
close($silent);
is((grep { m!^/mirrored ! } logged(4)) + 0, 3, 'mirror: lines in the log');

# a post_action takes over the request of a client that has left, and lasts

$silent = silent();

my %left = ('before the answer' => [ '{{first=700}}', 0 ],
            'in the middle' => [ '', 3 ]);

foreach my $when (sort keys %left) {
    my ($options, $chunks) = @{ $left{$when} };

    $question = "Who leaves $when, and is followed? $options";
    ask($nginx, { question => $question, path => '/posted', rst => 1,
                  hangup_after => $chunks });

    ok(cached($question), "post_action, left $when: the answer is cached");
    ok(IO::Select->new($silent)->can_read(10) && accept(my $taken, $silent),
       "post_action, left $when: it was begun");
    ok(!IO::Select->new($silent)->can_read(0.2),
       "post_action, left $when: but once");
    close($taken);
    like((logged(1))[0], qr/ gone /, "post_action, left $when: logged as gone");
}

close($silent);

is(provider_stats($provider)->{aborted}, 0, 'all clients: no call is aborted');

done();
