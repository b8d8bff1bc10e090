#!/usr/bin/perl

# What makes the key of an answer: chat_cache_key, chat_cache_scope, and that
# a look at the variables before there is a body changes nothing.

use warnings;
use strict;

use Digest::SHA qw(sha256 sha256_hex);

use lib 't/lib';
use Chat::Test;

my $redis = start_redis();
my $provider = start_provider(chunks => 4, unique => 1);
my $nginx = start_nginx(redis => $redis, provider => $provider,
    http => 'large_client_header_buffers 4 64k;', servers => <<'EOT');
    limit_req_zone $chat_question zone=question:1m rate=1r/m;

    map $chat_question $mapped {
        ""       early;
        default  late;
    }

    server {
        listen 127.0.0.1:%%PORT%%;

        location = /chat {
            chat;
        }

        location = /scope {
            chat;
            chat_cache_scope $http_x_tenant;
        }

        location = /key {
            chat;
            chat_cache_key "$http_x_language:$chat_question";
        }

        location = /client_key {
            chat;
            chat_cache_key "$http_accept_language$chat_question";
        }

        location = /braces {
            chat;
            chat_cache_key "${chat_question}";
        }

        location = /both {
            chat;
            chat_cache_key "$http_x_language:$chat_question";
            chat_cache_scope $http_x_tenant;
        }

        location = /question_scope {
            chat;
            chat_cache_scope $chat_question;
        }

        location = /limit {
            chat;
            limit_req zone=question;
        }

        location = /early {
            set $seen "$chat_question$chat_key$chat_cache_status$mapped";

            if ($chat_question = "") {
                set $seen "$chat_generation$chat_status$chat_error";
            }

            add_header X-Key $chat_key;
            add_header X-Status $chat_cache_status;

            chat;
            limit_req zone=question;
        }

        location = /early_key {
            if ($chat_question) {
                return 500;
            }

            chat;
            chat_cache_key "x$chat_question";
        }
    }
EOT


sub scoped {
    my ($scope, $key) = @_;

    return sha256_hex("\xff" . sha256($scope) . sha256($key));
}


# ask_as($path, $question, headers): one question

sub ask_as {
    my ($path, $question, %headers) = @_;

    return scalar ask($nginx, { question => $question, path => $path,
                                headers => \%headers });
}


sub key_in {
    my ($q) = @_;

    return ($q->{headers}{'x-chat-generation'} =~ /\.(\w+)$/)[0];
}


sub stored {
    my ($h) = @_;

    return $redis->cmd('EXISTS', "chat:stream:$h");
}

my ($hit, $miss, $bypass) = (qr/hit/, qr/fwd=miss$/, qr/fwd=bypass$/);

# two tenants, and those without any

my $question = 'What is our secret?';
my %a = ('X-Tenant' => 'a');
my %b = ('X-Tenant' => 'b');

my $first = ask_as('/scope', $question, %a);

stream_ok($first, 'tenant a: a miss', cache => $miss);
stream_ok(ask_as('/scope', $question, %b), 'tenant b: asks anew',
          cache => $miss, text => "#2 " . text_of($question, chunks => 4));
stream_ok(ask_as('/chat', $question), 'no tenant: everybody else asks anew',
          cache => $miss);
stream_ok(ask_as('/scope', $question, %a), 'tenant a: a hit', cache => $hit,
          text => $first->{text});
is(key_in($first), scoped('a', $question),
   'tenant a: the key is made of both hashes');
is(stored(scoped($_, $question)), 1, "tenant $_: the answer is stored")
    foreach 'a', 'b';
is(stored(key_of($question)), 1, 'no tenant: the answer is stored for all');

# an empty scope: nothing looked up, joined or stored

my $before = join(' ', sort @{ $redis->cmd('KEYS', 'chat:stream:*') });

foreach my $headers ({}, { 'X-Tenant' => '' }) {
    my @all = ask($nginx, map {
        { question => "$question {{first=300}}", path => '/scope',
          headers => $headers, use_cache => $_ }
    } 1, 1, 1, 0);

    my $name = %$headers ? 'an empty tenant' : 'no tenant';

    stream_ok($all[$_], "$name: client $_ bypasses", cache => $bypass)
        foreach 0 .. 3;

    my %texts = map { $_->{text} => 1 } @all;

    is(scalar(keys %texts), 4, "$name: each an answer of its own");
}

stream_ok(ask_as('/scope', $question),
          'an empty scope: what others have stored is not seen',
          cache => $bypass);
is(join(' ', sort @{ $redis->cmd('KEYS', 'chat:stream:*') }), $before,
   'an empty scope: nothing was stored');
is_deeply($redis->cmd('KEYS', '*:live:*'), [],
          'an empty scope: nothing is announced');

# questions that want another tenant's answer

my @hex = map { sha256_hex($_) } 'a', $question;
my $bytes = "\xff" . sha256('a') . sha256($question);
my $latin = $bytes;

utf8::upgrade($latin);
utf8::encode($latin);

foreach my $crafted ("a$question", "a\x00$question", "a:$question",
                     "$hex[0]$hex[1]", "\xc3\xbf$hex[0]$hex[1]", $latin,
                     scoped('a', $question), stream_of('a', $question))
{
    my $name = $crafted =~ s/[^ -~]/./gr;

    foreach my $case (['/chat'], ['/scope', %b], ['/scope', 'X-Tenant' => '0'])
    {
        my ($path, %headers) = @$case;
        my $who = $path
            . (%headers ? ", tenant $headers{'X-Tenant'}" : '');
        my $q = ask_as($path, $crafted, %headers);

        unlike($q->{text} // '', qr/\Q$first->{text}\E/,
               "$who, $name: not the answer of a");
        ok($q->{status} == 200 && $q->{headers}{'cache-status'} =~ $miss,
           "$who, $name: a question of its own");
    }
}

sub stream_of { return 'chat:stream:' . scoped(@_) }

is(scalar ask($nginx, { body => "{\"question\": \"$bytes\"}" })->{status}, 400,
   'the very bytes: no question');

my $q = ask_as('/scope', 'bc', 'X-Tenant' => 'a');
my $r = ask_as('/scope', 'c', 'X-Tenant' => 'ab');

isnt(key_in($q), key_in($r), 'the scope: its end cannot be moved');
is(key_in(ask_as('/question_scope', 'self')), scoped('self', 'self'),
   'the scope: made of the question');

# another key

$question = 'What do you say?';

foreach my $language ('en', 'de', '') {
    my %headers = ('X-Language' => $language);

    $q = ask_as('/key', $question, %headers);
    stream_ok($q, "language '$language': a miss", cache => $miss);
    is(key_in($q), custom_key_of("$language:$question"),
       "language '$language': its key");
    stream_ok(ask_as('/key', $question, %headers),
              "language '$language': a hit",
              cache => $hit, text => $q->{text});
}

stream_ok(ask_as('/chat', ":$question"),
          'chat_cache_key: a question of the same bytes',
          cache => $miss);
stream_ok(ask_as('/braces', $question),
          'chat_cache_key: the question alone, in braces',
          cache => $miss);
is(stored(key_of($question)), 1, 'chat_cache_key: in braces it is the default');
is(key_in(ask_as('/both', $question, %a, 'X-Language' => 'en')),
   scoped('a', "en:$question"), 'chat_cache_key: a key and a scope');

# A key that the client begins: neither is read with it what another kind of
# key stands for, nor an answer put there.  What is hashed for a scope becomes
# a header and, with its last byte, a question.

sub forged {
    my ($word) = @_;

    foreach my $n (1 .. 1000) {
        my $secret = "What is $word as number $n?";
        my $bytes = "\xff" . sha256('a') . sha256($secret);

        return [$secret, $1, $2]
            if $bytes =~ /^([^\x00\r\n]+[^\x00\r\n ])([!-~])$/;
    }

    die "no question has such a hash\n";
}

my ($read, $planted) = map { forged($_) } 'read', 'planted';

sub forge {
    my ($case) = @_;

    return ask_as('/client_key', $case->[2], 'Accept-Language' => $case->[1]);
}

$first = ask_as('/scope', $read->[0], %a);
stream_ok($first, 'a forged key: the secret', cache => $miss);

$q = forge($read);
stream_ok($q, 'a forged key: the bytes of the secret', cache => $miss);
unlike($q->{text}, qr/\Q$first->{text}\E/,
       'a forged key: not answered by the secret');
isnt(key_in($q), key_in($first), 'a forged key: not kept at its place');

$q = forge($planted);
stream_ok($q, 'a planted key: a miss', cache => $miss);
is(stored(scoped('a', $planted->[0])), 0, 'a planted key: plants nothing');
stream_ok(ask_as('/scope', $planted->[0], %a),
          'a planted key: the tenant asks anew',
          cache => $miss);

# an early look fixes nothing

my @questions = ('The first early one?', 'The second early one?');

foreach my $path ('/limit', '/early') {
    foreach my $ask (@questions) {
        $q = ask_as($path, $ask);
        stream_ok($q, "$path: \"$ask\"",
                  cache => $path eq '/limit' ? $miss : $hit);
        is(key_in($q), key_of($ask), "$path, $ask: its own key");

        next unless $path eq '/early';

        is($q->{headers}{'x-key'}, key_of($ask),
           "$path, $ask: \$chat_key afterwards");
        is($q->{headers}{'x-status'}, 'HIT',
           "$path, $ask: \$chat_cache_status afterwards");
    }
}

is(stored(key_of($_)), 1,
   "an early look: $_ is stored there") foreach @questions;
is(stored(key_of('')), 0, 'an early look: an empty question has no key');
is(key_in(ask_as('/early_key', $questions[0])), custom_key_of("x$questions[0]"),
   'an early look: at a key');

# limit_req sees an empty value, which it does not count

is(ask_as('/limit', $questions[0])->{status}, 200,
   'an early look: limit_req lets it pass');

done();
