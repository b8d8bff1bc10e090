#!/usr/bin/perl

# Hundreds of malformed provider streams made by a grammar: each client gets
# one terminal event, an error where the answer is not whole, nothing of such
# an answer is cached, and the filler, or the worker that asks, stays the same.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep);

use lib 't/lib';
use Chat::Test;
use Chat::Check ();
use Chat::Grammar;

my $HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
my $MAX_ANSWER = 20000;

# The provider serves one call after the other: those behind have to wait, and
# would do so for ever behind a spare connection, on which nothing comes.

my $LINES = 'retries 0; first_token_timeout 20s; idle_timeout 20s; '
    . 'keepalive 0;';

my $g = Chat::Grammar->new(5);


# a case: { name, out => bytes of the provider, and perhaps
#
#     any => 1       the answer may be whole too
#     rst => 1       the connection is reset at the end
#     late => ...    these bytes follow later, and the connection stays open
#     text => ...    the answer is this }

my @cases = (bad_json(), odd_objects(), errors(), bad_lines(), bad_framing(),
    bad_heads(), cut_off(), around_the_end(), forms(), garbage());

# an answer behind the end of a broken one is not that of the next question

push(@cases, { name => 'a late answer', out => $HEAD . "Content-Length: 2\r\n"
    . "\r\n\n\n", late => stream(event(delta('Not this.')) . ending()) });

my $port = free_port();
my $server = serve();
my $redis = start_redis();
my $nginx = start_nginx(redis => $redis, provider => $port, lead => 'off',
    provider_lines => $LINES,
    location => "chat_max_answer $MAX_ANSWER;");

my $filler = filler();
my $client = $redis->client;

cmp_ok(scalar @cases, '>=', 300, 'all cases: 300 or more are malformed');

ask_all($nginx, 'filler: ', $redis);

is(filler(), $filler, 'all cases: the filler stays the same');
ok(wait_for(sub { $client->tasks == 0 }, 5),
   'all cases: no task is left');

# what was an error is asked anew

$redis->cmd('FLUSHALL');
stream_ok(scalar ask($nginx, { question => 'At last?' }),
          'after an error: the question is asked anew',
          text => 'Fine, thanks.');

# the same of a worker that leads, in another database

my $led = start_nginx(redis => $redis->url(1), provider => $port, lead => 'on',
    provider_lines => $LINES, workers => 1,
    location => "chat_max_answer $MAX_ANSWER;");
my $store = $redis->client(1);
my ($leader) = $led->worker_pids;

wait_for { get($led, '/')->{body} =~ /"ok"/ } 10, 'it to be ready';
ask_all($led, 'led: ', $store);
is(join(' ', $led->worker_pids), $leader,
   'all cases: the worker that leads stays the same');
ok(wait_for(sub { $store->tasks == 0 }, 5),
   'all cases: no task is left, led');

# the same without Redis: the worker itself is as careful

my $direct = start_nginx(redis => 'off', provider => $port, workers => 1,
    provider_lines => $LINES,
    location => "chat_max_answer $MAX_ANSWER;");
my ($worker) = $direct->worker_pids;

ask_all($direct, 'direct: ', $redis);

is(join(' ', $direct->worker_pids), $worker,
   'all cases: the worker stays the same');

kill('KILL', $server);
waitpid($server, 0);

done();


sub ask_all {
    my ($nginx, $prefix, $store) = @_;

    for (my $from = 0; $from < @cases; $from += 40) {
        my $to = $from + 39 < $#cases ? $from + 39 : $#cases;
        my @all = ask($nginx, map { { question => "Case $_" } } $from .. $to);

        foreach my $i ($from .. $to) {
            my $name = $cases[$i]{name} =~ s/[^\x20-\x7e]/./gr;

            is(fault($cases[$i], $store, $i, shift @all), '',
               "${prefix}case $i, $name")
                || diag(shown($cases[$i]));
        }

        stream_ok(scalar ask($nginx, { question => "Once more $from?" }),
                  "${prefix}a good answer after case $to",
                  text => 'Fine, thanks.');
    }
}


sub filler {
    my @pids;

    wait_for { (@pids = $nginx->filler_pids) == 1 } 10, 'one filler';

    return $pids[0];
}


# what is not as it should be, or nothing

sub fault {
    my ($case, $store, $number, $q) = @_;
    my $last = $q->{terminal} // {};
    my @entries = @{ $store->entries(stream_key("Case $number")) };
    my @faults;

    if (($last->{status} // '') eq 'error') {
        @faults = Chat::Check::faults($q, error => $last->{code});

        push(@faults, "error $last->{code}")
            if $last->{code} !~ /^(?:provider_\w+|answer_too_long)$/
               || defined $case->{text};
        push(@faults, 'an error, and something is cached') if @entries;

    } else {
        @faults = Chat::Check::faults($q, text => $case->{text},
            finish => $last->{finish_reason});

        push(@faults, 'it should be an error')
            unless $case->{any} || defined $case->{text};
        push(@faults, 'what is cached is not the answer')
            if @entries && $entries[-1]{chunk} ne $q->{text};
    }

    push(@faults, 'it tells of the provider')
        if $q->{body} =~ /sk-test-key|127\.0\.0\.1|secret/;

    return join(', ', @faults);
}


sub shown {
    my ($case) = @_;

    return substr($case->{out}, 0, 1500)
        =~ s/([^\x20-\x7e\n])/sprintf('\\x%02x', ord($1))/ger;
}


# The grammar.

sub delta {
    my ($text, @more) = @_;

    return '{"id": "c1", "object": "chat.completion.chunk", "model": "m", '
        . '"choices": [{"index": 0, "delta": {"content": ' . json_string($text)
        . '}, "finish_reason": null}]' . join('', map { ", $_" } @more) . '}';
}


sub finish {
    return '{"model": "m", "choices": [{"index": 0, "delta": {}, '
        . '"finish_reason": ' . json_string($_[0] // 'stop') . '}]}';
}


sub event { return "data: $_[0]\n\n" }
sub start { return join('', map { event(delta("word $_ ")) } 1 .. $g->number(4)) }
sub ending { return event(finish()) . event('[DONE]') }


sub chunked {
    my ($body, $max) = @_;

    return join('', map { sprintf("%x\r\n%s\r\n", length($_), $_) }
                    $g->pieces($body, $max || 200)) . "0\r\n\r\n";
}


# framed in one of the three ways

sub stream {
    my ($body) = @_;
    my $kind = $g->number(3);

    return $HEAD . "Transfer-Encoding: chunked\r\n\r\n" . chunked($body)
        if $kind == 0;
    return $HEAD . 'Content-Length: ' . length($body) . "\r\n\r\n$body"
        if $kind == 1;
    return $HEAD . "Connection: close\r\n\r\n$body";
}


sub bad_json {
    return map {
        my ($data, $kind) = $g->broken_json(delta('x', '"x": ' . $g->value(2)));
        my $event = event($data);

        # a line feed that is not in the way would do no harm

        $event =~ s/\n(?!\n?\z)/\ndata: /g;
        $event =~ s/\r/\\r/g;

        # what JSON does not allow, and is let pass where it is not wanted

        my $lenient = $kind eq 'deep' || $data =~ /NaN|Infinity|\\u[Dd][89A-Fa-f]/;

        { name => "JSON $_, $kind", any => $lenient,
          out => stream(start() . $event . ending()) };
    } 1 .. 120;
}


sub odd_objects {
    my @whole = map { $g->value(1) } 1 .. 15;
    my @cases;

    # no object: a scalar or an array

    @whole = (grep({ !/^\{/ } @whole), '[]', '[{"choices": []}]', 'null', '"a"',
              '12', '[DONE', 'DONE', '[done]', '"[DONE]"');

    push(@cases, map { { name => "no object, $_",
        out => stream(start() . event($_) . ending()) } } @whole);

    # members of other types are no text; all else of the stream is good

    foreach my $n (1 .. 40) {
        my $data = delta('x');
        my $value = $g->value(2);
        my $where = $g->pick('"choices": ', '"index": ', '"delta": ',
                             '"content": ', '"finish_reason": ', '"model": ');

        $data =~ s/\Q$where\E(?:"[^"]*"|\[.*\]|\{[^{}]*\}|\d+|null)/$where$value/;

        push(@cases, { name => "$where$value", any => 1,
                       out => stream(start() . event($data) . ending()) });
    }

    return @cases;
}


sub errors {
    my @objects = ('{"error": {"message": "secret"}}', '{"error": {}}',
        '{"error": "secret"}', '{"error": {"message": "secret", "code": 429}}',
        '{"error": {"code": "e", "status": 99999999999}}',
        '{"object": "error", "message": "secret", "code": 400}',
        delta('x', '"error": {"message": "secret"}'),
        '{"error": {"message": ["secret"]}, "choices": []}',
        '{"error": {"message": "secret \\u0000 \\ud83d\\ude00 \\n data: x"}}');
    my @cases = map { { name => "error $_",
        out => stream(start() . event($_) . ending()) } } @objects;

    foreach my $status (100, 199, 204, 205, 301, 304, 400, 401, 418, 429, 499,
                        500, 599, 600, 999)
    {
        my $body = $g->pick(@objects, "<html>secret</html>", $g->bytes(300));

        push(@cases, { name => "status $status", out => "HTTP/1.1 $status X\r\n"
            . "Location: http://127.0.0.1:$status/secret\r\n"
            . 'Retry-After: ' . $g->pick('x', -1, '99999999999999999999', 1)
            . "\r\nConnection: close\r\n\r\n$body" });
    }

    return @cases;
}


# no event comes out of these lines, or a broken one

sub bad_lines {
    my $data = delta('x');
    my @lines = ("dat: $data\n\n", "DATA: $data\n\n", " data: $data\n\n",
        "data $data\n\n", "datadata: $data\n\n", "event: $data\n\n",
        "$data\n\n", ": $data\n\n", "id: $data\nretry: x\n\n", "\n\n\n\n",
        ":\n" x 2000, "\0data: $data\n\n", "\xef\xbbdata: $data\n\n",
        "x\xef\xbb\xbfdata: $data\n\n", "event: done\n\n", 'x' x 100000 . "\n\n");
    my @cases = map { { name => 'lines ' . substr($_, 0, 30),
                        out => stream($_ x 2) } } @lines;

    # two events that are taken for one

    push(@cases, map { { name => 'no empty line', out => stream($_) } }
         "data: $data\ndata: $data\n\n" . ending(),
         "data: $data\r\ndata: [DONE]\r\n\r\n" . ending(),
         "data: $data\rdata: $data\r\r" . ending());

    # too large

    push(@cases, { name => 'an event of 5 MB',
        out => stream(event(delta('x' x 5000000)) . ending()) },
        { name => 'lines of data without an end',
          out => stream("data:\n" x 5000000) },
        { name => 'a long answer', out => stream(join('',
            map { event(delta('x' x 1000)) } 0 .. 20) . ending()) });

    return @cases;
}


sub bad_framing {
    my @sizes = ('zz', '-1', '', 'fffffffffffffffff', '0x5', "\0", ' ',
        '{"choices": []}', '+5', ';', "\xff");
    my $body = event(delta('a'));
    my $length = length($body);
    my $begin = $HEAD . "Transfer-Encoding: chunked\r\n\r\n"
        . sprintf("%x\r\n%s\r\n", $length, $body);
    my @cases = map { { name => "chunk size $_",
        out => "$begin$_\r\n$body\r\n" . chunked(ending()) } } @sizes;

    push(@cases, { name => 'a chunk without its end', out => substr($begin, 0, -2)
            . 'xx' . chunked(ending()) },
        { name => 'chunks without an end', out => $begin },
        { name => 'chunks without an end, reset', out => $begin, rst => 1 },
        { name => 'an early last chunk', out => "${begin}0\r\n\r\n" . ending() });

    foreach my $n ('x', -1, $length - 5, $length + 5, 0, '99999999999999999999',
                   "$length, 3", "$length\r\nContent-Length: 3")
    {
        push(@cases, { name => "Content-Length $n",
            out => $HEAD . "Content-Length: $n\r\n\r\n$body" });
    }

    return @cases;
}


sub bad_heads {
    my $body = event(delta('a')) . ending();
    my @heads = ('HTTP/9.9 200 OK', 'HTTP/1.1', 'HTTP/1.1 abc OK', 'HTTP/1.1 20',
        'HTTP/1.1 2000 OK', 'ICY 200 OK', 'http/1.1 200 OK', '200 OK', '', ' ',
        "HTTP/1.1\t200\tOK", 'SSH-2.0-OpenSSH_9.2', "\x15\x03\x01\0\x02\x02\x46",
        'HTTP/2 200', "HTTP/1.1 200 OK\0", 'HTTP/1.1 -200 OK', 'HTTP/1.1 000 X');
    my @headers = ('Content-Type: text/html', 'Content-Type: application/json',
        'Content-Type: text/event-streams', 'Content-Type:', ': x', 'x',
        "X: \0", "X\0: y", 'X: ' . 'y' x 200000, "X: y\r\n z", 'X : y',
        join("\r\n", map { "X$_: " . 'y' x 5000 } 1 .. 100),
        'Content-Encoding: gzip', 'Transfer-Encoding: gzip',
        'Transfer-Encoding: chunked, chunked', 'Transfer-Encoding: x',
        "Set-Cookie: a=b; secret\r\nConnection: upgrade\r\nUpgrade: h2c");
    my @cases = map { { name => "status line $_", any => 1,
        out => "$_\r\nContent-Type: text/event-stream\r\n\r\n$body" } } @heads;

    push(@cases, map { { name => 'header ' . substr($_, 0, 30), any => 1,
        out => "HTTP/1.1 200 OK\r\n$_\r\nConnection: close\r\n\r\n$body" } }
        @headers);

    push(@cases, { name => 'many interim answers', any => 1,
            out => "HTTP/1.1 103 Early\r\nX: y\r\n\r\n" x 500 . stream($body) },
        { name => 'no end of the head', out => "HTTP/1.1 200 OK\r\nX: y\r\n" },
        { name => 'nothing', out => '' },
        { name => 'nothing, and a reset', out => '', rst => 1 });

    return @cases;
}


# before the reason of the end: never a short answer

sub cut_off {
    return map {
        my $body = join('', map { event(delta("word $_ ")) } 1 .. 4) . ending();
        my $at = $g->number(index($body, '"stop"'));

        { name => "cut off after $at bytes", rst => $g->number(3) == 0,
          out => $HEAD . "Connection: close\r\n\r\n" . substr($body, 0, $at) };
    } 1 .. 50;
}


# after the reason of the end nothing matters, nor is anything taken twice

sub around_the_end {
    my $good = event(delta('a')) . event(finish());
    my @rest = ('', event('[DONE]') . event('[DONE]'), 'data: [DONE]',
        event('[DONE]') . event(delta('b')), event('[DONE]') . $g->bytes(500),
        event('[DONE]') . event('{"error": {"message": "secret"}}'));

    return (map({ { name => "after the end, $_", text => 'a',
                    out => stream($good . $rest[$_]) } } 0 .. $#rest),
        map({ { name => "beside the end, $_", any => 1,
                out => stream($good . $_ . ending()) } }
            event(delta('b')), event(finish('length')), event('{}'), event(''),
            event(finish("x\n\ndata: y")), event(finish('x' x 5000)),
            event(delta('', '"usage": ' . '[' x 20 . ']' x 20)),
            event(delta('', '"usage": {"a": "' . 'x' x 9000 . '"}'))));
}


# odd, and nevertheless good

sub forms {
    my @of = ("\xef\xbb\xbf", ": x\n\n", "event: a\nid:\nretry: x\n", "\r\n\r",
              "data\n\n", "data:\n\n", "data:   \n\n", "x\n", event('{}'),
              event('{"choices": [{"index": 1, "delta": {"content": "no"}}]}'));

    return map {
        my $body = join('', map { event(delta($_)) } 'one', ' two') . ending();
        my $eol = $g->pick("\n", "\r", "\r\n");

        $body =~ s/(?<=\n\n)(?=data)/$g->pick(@of[1 .. $#of])/ge;
        $body = $of[0] . $body if $g->number(2);
        $body =~ s/\r?\n|\r/$eol/g;

        { name => "form $_", text => 'one two', out => stream($body) };
    } 1 .. 25;
}


sub garbage {
    return map {
        my $out = $g->bytes(1 + $g->number(3000));

        { name => "garbage $_", rst => $g->number(2),
          out => $_ % 2 ? $out : stream($out) };
    } 1 .. 30;
}


# The provider: one request after the other, whatever comes; connections that
# are made ahead of one wait for it.

sub serve {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 128, ReuseAddr => 1, Proto => 'tcp')
        or die "cannot listen: $@\n";
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;
    return $pid if $pid;

    my $parent = getppid();
    my $all = IO::Select->new($listen);
    my @open;

    while (getppid() == $parent) {
        foreach my $sock ($all->can_read(1)) {
            if ($sock == $listen) {
                my $new = $listen->accept;

                $all->add($new) if $new;
                next;
            }

            $all->remove($sock);

            my $case = request($sock) or next;

            answer($sock, $case);

            if (defined $case->{late}) {
                sleep(0.03);
                syswrite($sock, $case->{late});
                push(@open, $sock);
            }
        }
    }

    POSIX::_exit(0);
}


sub request {
    my ($sock) = @_;
    my $in = '';

    while (sysread($sock, $in, 65536, length($in))) {
        my ($length) = $in =~ /^Content-Length: *(\d+)\r$/mi or next;
        my $end = index($in, "\r\n\r\n");

        last if $end > 0 && length($in) >= $end + 4 + $length;
    }

    return if !length($in);
    return $in =~ /"Case (\d+)"/ ? $cases[$1]
        : { out => stream(event(delta('Fine, ')) . event(delta('thanks.'))
                          . ending()) };
}


# in a few pieces; who has heard enough may go

sub answer {
    my ($sock, $case) = @_;
    my $n = 3;

    foreach my $piece ($g->pieces($case->{out}, 2 + length($case->{out}))) {
        syswrite($sock, $piece) // return;
        sleep(0.002) if $n-- > 0;
    }

    setsockopt($sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $case->{rst};
}
