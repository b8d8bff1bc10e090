#!/usr/bin/perl

# Hundreds of malformed requests made by a grammar: each gets an error, none
# becomes a provider call, and the processes stay the same.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

use lib 't/lib';
use Chat::Test;
use Chat::Grammar;

my $MAX_QUESTION = 64;
my $MAX_BODY = 16384;

my %CODES = (400 => 'bad_request', 405 => 'method_not_allowed',
    413 => 'body_too_large', 415 => 'unsupported_media_type',
    422 => 'invalid_field');

my $g = Chat::Grammar->new(4);
my $redis = start_redis();
my $provider = start_provider(chunks => 3, bytes => 20);
my $nginx = start_nginx(redis => $redis, provider => $provider,
    location => "chat_max_question $MAX_QUESTION;"
        . " client_max_body_size $MAX_BODY;");


# a case: { name, out, want => [status, ...], and perhaps
#
#     page => 1      nginx's own page: no location was chosen
#     closed => 1    or no answer at all
#     half => 1      the client sends no more and says so
#     then => 1      another answer follows, with nginx's own page }

my @cases = (broken_json(), wrong_fields(), wrong_heads(), wrong_types(),
    wrong_lengths(), wrong_chunks(), truncated(), pipelined(), garbage());

my @pids = sort(wait_for_pids());

cmp_ok(scalar @cases, '>=', 300, 'all cases: 300 or more are malformed');

my $number = 0;

while (my @batch = splice(@cases, 0, 40)) {
    exchange(@batch);

    foreach (@batch) {
        my $name = $_->{name} =~ s/[^\x20-\x7e]/./gr;

        is(fault($_), '', 'case ' . ++$number . ", $name: refused")
            || diag(shown($_));
    }

    stream_ok(scalar ask($nginx, { question => 'Still there, '
                                       . scalar(@cases) . '?' }),
              "good question after case $number: a miss",
              cache => qr/fwd=miss$/);
}

is_deeply([ sort(wait_for_pids()) ], \@pids,
          'all cases: the processes stay the same');

my $stats = provider_stats($provider);

is($stats->{calls}, scalar(keys %{ $stats->{questions} }),
   'all cases: only good questions are calls');
is((grep { $_ > 1 } values %{ $stats->{questions} }) + 0, 0,
   'all cases: no question is called twice');
ok(wait_for(sub { $redis->tasks == 0 }, 5),
   'all cases: no task is left');

done();


sub wait_for_pids {
    wait_for { $nginx->worker_pids == 2 && $nginx->filler_pids == 1 };

    return ($nginx->worker_pids, $nginx->filler_pids);
}


# The grammar.

sub head {
    my ($method, @headers) = @_;

    return join("\r\n", "$method /chat HTTP/1.1", 'Host: localhost', @headers)
        . "\r\n\r\n";
}


my $type;

BEGIN { $type = 'Content-Type: application/json' }


# the body with a length or in chunks

sub post {
    my ($body, @headers) = @_;

    push(@headers, 'Connection: close');
    push(@headers, $type) unless grep { /^Content-Type/ } @headers;

    return head('POST', @headers, 'Transfer-Encoding: chunked') . chunked($body)
        if $g->number(4) == 0;
    return head('POST', @headers, 'Content-Length: ' . length($body)) . $body;
}


sub chunked {
    my ($body) = @_;

    return join('', map { sprintf("%x\r\n%s\r\n", length($_), $_) }
                    $g->pieces($body, 400)) . "0\r\n\r\n";
}


# a body that would be accepted

sub good {
    my @members = ('"question": "Why ' . $g->number(1000000) . '?"');

    push(@members, '"use_cache": ' . $g->pick('true', 'false'))
        if $g->number(2);
    push(@members, $g->string . ': ' . $g->value(3))
        foreach 0 .. $g->number(3);

    return '{' . join(', ', $g->number(2) ? @members : reverse @members) . '}';
}


sub broken_json {
    return map {
        my ($body, $kind) = $g->broken_json(good());

        { name => "JSON $_, $kind", want => [ 400 ], out => post($body) };
    } 1 .. 150;
}


sub wrong_fields {
    my @cases;

    foreach my $n (1 .. 60) {
        my $value = $g->value(2);
        my ($status, @members) = (422, '"question": "a"');
        my $kind = $n % 6;

        if ($kind == 0) {
            $value = 1 if $value =~ /^"/;
            @members = ("\"question\": $value");

        } elsif ($kind == 1) {
            $value = 1 if $value =~ /^(?:true|false)$/;
            push(@members, "\"use_cache\": $value");

        } elsif ($kind == 2) {
            @members = ("\"Question\": $value");

        } elsif ($kind == 3) {
            @members = ('"question": "' . join('', map {
                $g->pick(' ', '\\t', '\\n', '\\r', '\\u0020', '\\f', '\\u000b')
            } 0 .. $g->number(9)) . '"');

        } elsif ($kind == 4) {
            @members = ('"question": "' . 'x' x ($MAX_QUESTION + 1
                            + $g->number(5000)) . '"');

        } else {
            my $name = $g->pick('question', 'use_cache');

            ($status, @members) = (400, '"question": "a"', '"use_cache": true',
                "\"$name\": $value");
        }

        my $body = '{' . join(', ', @members) . '}';

        push(@cases, { name => "field $n", want => [ $status ],
                       out => post($body) });
    }

    push(@cases, map { { name => "no object $_", want => [ 422 ],
                         out => post($_) } }
         'null', '1', '[]', '"question"', '[{"question": "a"}]', '-1e5',
         'true', '{}');

    return @cases;
}


sub wrong_heads {
    my @lines = ('POST  HTTP/1.1', 'POST /chat HTTP/1.1 x',
        'POST /chat HTTP/2.0', 'POST /chat HTTP/0.9', 'POST /chat HTTP/1.x',
        'POST /chat HTTP/1.', 'POST /chat HTTP/', 'POST /chat HTTPS/1.1',
        'post /chat HTTP/1.1', 'P@ST /chat HTTP/1.1', 'POST chat HTTP/1.1',
        'POST http:/chat HTTP/1.1', 'POST ht!tp://h/chat HTTP/1.1',
        "POST /ch\0at HTTP/1.1", "POST /ch\x01at HTTP/1.1",
        "POST /ch\x7fat HTTP/1.1", 'POST /%00 HTTP/1.1', 'POST /%zz HTTP/1.1',
        'POST /../chat HTTP/1.1', 'POST /chat HTTP/11', 'POST * HTTP/1.1',
        'POST /chat HTTP/1.1.1', "POST\t/chat HTTP/1.1", ' POST /chat HTTP/1.1',
        'POST /' . 'x' x 9000 . ' HTTP/1.1', 'CONNECT h:1 HTTP/1.1',
        'PRI * HTTP/2.0', 'POST http:///chat HTTP/1.1');
    my @headers = ("Host: a\r\nHost: b", 'Host: a b', "Host: \0", 'Host:',
        'Host: a/b', 'Host: [::1', "X: \0", "X\0Y: 1", 'X: ' . 'y' x 9000,
        join("\r\n", map { "X$_: " . 'y' x 3000 } 1 .. 15),
        "Host: a\r\nTransfer-Encoding: gzip", "Host: a\r\nContent-Length: 1\r\n"
        . 'Content-Length: 1', "Host: a\r\nTransfer-Encoding: chunked\r\n"
        . 'Transfer-Encoding: chunked', 'X: no host');
    my @cases = map { { name => 'line ' . substr($_, 0, 40), page => 1,
        want => [ 400, 404, 405, 414, 501, 505 ], closed => 1,
        half => 1, out => "$_\r\nHost: localhost\r\nConnection: close\r\n"
            . "Content-Length: 0\r\n\r\n" } } @lines;

    push(@cases, map { { name => 'header ' . substr($_, 0, 40), page => 1,
        want => [ 400, 501 ], out => "POST /chat HTTP/1.1\r\n$_\r\n$type\r\n"
            . "Connection: close\r\n\r\n" } } @headers);

    push(@cases, map { { name => "method $_", want => [ 405 ],
        out => head($_, $type, 'Connection: close', 'Content-Length: 17')
            . '{"question": "a"}' } }
        qw(GET PUT DELETE PATCH OPTION PROPFIND TRACEX POSTX A_B XPOST));

    return @cases;
}


sub wrong_types {
    return map { { name => "type $_", want => [ 415 ],
                   out => post('{"question": "a"}', "Content-Type: $_") } }
        ('', 'text/plain', 'application/jsonx', 'application/x-json', 'json',
         'application/', '/json', '"application/json"', 'application json',
         'text/json;application/json', 'application/json/x', ';', '*/*',
         'application/json,', "application/json\xff", 'multipart/form-data');
}


sub wrong_lengths {
    my @cases = map { { name => "Content-Length $_", page => 1,
        want => [ 400 ], out => head('POST', $type, 'Connection: close',
            "Content-Length: $_") . '{"question": "a"}' } }
        ('x', '-1', '+17', '1 7', '17,17', '0x11', '17.0', '', '1e1', "17\t1",
         '99999999999999999999', '9223372036854775808', 'NaN', '17;');

    push(@cases, map { { name => "Content-Length $_ is too large",
        want => [ 413 ], out => head('POST', $type, 'Connection: close',
            "Content-Length: $_") . '{"question": "a"}' } }
        (16385, 1048576, 2147483648, 4294967296, 9223372036854775807));

    push(@cases, { name => 'both framings', want => [ 400 ], page => 1,
        out => head('POST', $type, 'Content-Length: 17',
            'Transfer-Encoding: chunked') . "0\r\n\r\n" },
        { name => 'chunks of HTTP/1.0', want => [ 400 ], page => 1,
          out => "POST /chat HTTP/1.0\r\n$type\r\nTransfer-Encoding: chunked"
              . "\r\n\r\n0\r\n\r\n" },
        { name => 'no body', want => [ 400 ],
          out => head('POST', $type, 'Connection: close') },
        { name => 'too many chunks', want => [ 413 ],
          out => head('POST', $type, 'Connection: close',
              'Transfer-Encoding: chunked') . chunked(' ' x 20000) });

    return @cases;
}


sub wrong_chunks {
    my @sizes = ('zz', '-1', '', ' ', '0x5', "5\0", '+5', '5 5',
        'fffffffffffffffff', '8000000000000000', "\xff", '{"question": "a"}',
        "\n", ';', ',5', "5\rx", '7fffffffffffffff');

    return map {
        my $size = $_;
        my $before = $g->number(2) ? chunked('{"question": ') : '';

        $before =~ s/0\r\n\r\n$//;

        { name => "chunk size $size", want => [ 400, 413 ],
          out => head('POST', $type, 'Connection: close',
                      'Transfer-Encoding: chunked')
              . "$before$size\r\n{\"que\r\n0\r\n\r\n", half => 1, closed => 1 };
    } @sizes, @sizes;
}


# sent up to some point of the head or the body, and no further

sub truncated {
    return map {
        my $out = post(good());

        $out = substr($out, 0, 1 + $g->number(length($out) - 1));

        { name => "cut after " . length($out) . ' bytes', half => 1,
          closed => 1, want => [ 400, 408 ], out => $out };
    } 1 .. 40;
}


# What follows a bad request on its connection, or is too long for its length.
# After a 400 nginx reads no further.

sub pipelined {
    return map {
        my $then = $g->number(2);
        my ($body) = $then ? '{"use_cache": 1}' : $g->broken_json(good());
        my $rest = $g->pick("\x16\x03\x01", 'x', '{"question"', '"', "\x80")
            . $g->bytes($g->number(200)) . "\r\n\r\n";

        { name => "pipelined $_", want => [ $then ? 422 : 400 ],
          then => $then, half => 1,
          out => head('POST', $type, 'Content-Length: ' . length($body))
              . "$body$rest" };
    } 1 .. 30;
}


# no HTTP at all: no capital letter, nor an empty line, at its beginning

sub garbage {
    return map {
        my $out = $g->pick("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "\0", '{',
                           "\x80", "*3\r\n\$3\r\n", 'get ', '<', "\xff\xff")
            . $g->bytes(1 + $g->number(600));

        { name => "garbage $_", want => [ 400 ], page => 1, half => 1,
          closed => 1, out => $out };
    } 1 .. 30;
}


# The client: all at once, until the server closes.

sub exchange {
    my (@batch) = @_;
    my ($readers, %by) = (IO::Select->new);
    my $end = time() + 30;

    foreach my $case (@batch) {
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $nginx->port, Proto => 'tcp') or die "connect: $!\n";

        $case->{in} = '';
        $readers->add($sock);
        $by{$sock} = $case;

        # small enough for the buffers of a socket

        syswrite($sock, $case->{out});
        shutdown($sock, 1) if $case->{half};
    }

    while ($readers->count && time() < $end) {
        foreach my $sock ($readers->can_read(0.2)) {
            my $case = $by{$sock};
            my $n = sysread($sock, $case->{in}, 65536, length($case->{in}));

            # what it has not read turns its close into a reset

            next if $n;

            $case->{ended} = 1;
            $readers->remove($sock);
            close($sock);
        }
    }
}


# what is not as it should be, or nothing

sub fault {
    my ($case) = @_;
    my $in = $case->{in};

    return 'the connection stays open' unless $case->{ended};
    return $case->{closed} ? '' : 'no answer' if $in eq '';

    my ($status, $head, $rest) =
        $in =~ /^HTTP\/1\.1 (\d+) [^\r]*\r\n(.*?\r\n)\r\n(.*)$/s
        or return 'no HTTP';

    return "status $status" unless grep { $_ == $status } @{ $case->{want} };

    my ($length) = $head =~ /^Content-Length: (\d+)\r$/m;

    return 'no length' unless defined $length;

    my $body = substr($rest, 0, $length, '');

    return 'a cut body' if length($body) != $length;

    if ($case->{then}) {
        return 'nothing follows'
            if $rest !~ /<h1>400 Bad Request<\/h1>/;

    } elsif (length $rest) {
        return 'more than one answer';
    }

    if ($case->{page} && $head =~ /^Content-Type: text\/html\r$/m) {
        return $body =~ /^<html>/ ? '' : 'no page';
    }

    return 'no JSON' unless $head =~ /^Content-Type: application\/json\r$/m;

    my $error = eval { parse_json($body) };

    return 'broken JSON' if ref($error) ne 'HASH';
    return "code $error->{code}"
        if $error->{status} ne 'error' || !length($error->{message})
           || $error->{code} ne ($CODES{$status} // '');
    return '';
}


sub shown {
    my ($case) = @_;

    return map { s/([^\x20-\x7e\n])/sprintf('\\x%02x', ord($1))/ger }
        substr($case->{out}, 0, 600) . "\n=> " . substr($case->{in}, 0, 400);
}
