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

stream_ok($first, 'tenant a', cache => $miss);
stream_ok(ask_as('/scope', $question, %b), 'tenant b asks anew',
          cache => $miss, text => "#2 " . text_of($question, chunks => 4));
stream_ok(ask_as('/chat', $question), 'so does everybody else',
          cache => $miss);
stream_ok(ask_as('/scope', $question, %a), 'tenant a again', cache => $hit,
          text => $first->{text});
is(key_in($first), scoped('a', $question), 'the key is made of both hashes');
is(stored(scoped($_, $question)), 1, "stored for $_") foreach 'a', 'b';
is(stored(key_of($question)), 1, 'and for all');

# an empty scope: nothing looked up, joined or stored

my $before = join(' ', sort @{ $redis->cmd('KEYS', 'chat:stream:*') });

foreach my $headers ({}, { 'X-Tenant' => '' }) {
    my @all = ask($nginx, map {
        { question => "$question {{first=300}}", path => '/scope',
          headers => $headers, use_cache => $_ }
    } 1, 1, 1, 0);

    stream_ok($_, 'without a tenant', cache => $bypass) foreach @all;

    my %texts = map { $_->{text} => 1 } @all;

    is(scalar(keys %texts), 4, 'each an answer of his own');
}

stream_ok(ask_as('/scope', $question), 'what others have stored is not seen',
          cache => $bypass);
is(join(' ', sort @{ $redis->cmd('KEYS', 'chat:stream:*') }), $before,
   'nothing was stored');
is_deeply($redis->cmd('KEYS', '*:live:*'), [], 'nothing is announced');

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
        my $q = ask_as($path, $crafted, %headers);

        unlike($q->{text} // '', qr/\Q$first->{text}\E/,
               "$path $name is not the answer of a");
        ok($q->{status} == 200 && $q->{headers}{'cache-status'} =~ $miss,
           'but a question of its own');
    }
}

sub stream_of { return 'chat:stream:' . scoped(@_) }

is(scalar ask($nginx, { body => "{\"question\": \"$bytes\"}" })->{status}, 400,
   'the very bytes are no question');

my $q = ask_as('/scope', 'bc', 'X-Tenant' => 'a');
my $r = ask_as('/scope', 'c', 'X-Tenant' => 'ab');

isnt(key_in($q), key_in($r), 'where the scope ends cannot be moved');
is(key_in(ask_as('/question_scope', 'self')), scoped('self', 'self'),
   'a scope made of the question');

# another key

$question = 'What do you say?';

foreach my $language ('en', 'de', '') {
    my %headers = ('X-Language' => $language);

    $q = ask_as('/key', $question, %headers);
    stream_ok($q, "language \"$language\"", cache => $miss);
    is(key_in($q), custom_key_of("$language:$question"), 'has its key');
    stream_ok(ask_as('/key', $question, %headers), 'and its answer',
              cache => $hit, text => $q->{text});
}

stream_ok(ask_as('/chat', ":$question"), 'a question of the same bytes',
          cache => $miss);
stream_ok(ask_as('/braces', $question), 'the question alone, in braces',
          cache => $miss);
is(stored(key_of($question)), 1, 'is the default');
is(key_in(ask_as('/both', $question, %a, 'X-Language' => 'en')),
   scoped('a', "en:$question"), 'a key and a scope');

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
stream_ok($first, 'a secret', cache => $miss);

$q = forge($read);
stream_ok($q, 'its bytes as a key', cache => $miss);
unlike($q->{text}, qr/\Q$first->{text}\E/, 'are not answered by it');
isnt(key_in($q), key_in($first), 'nor kept at its place');

$q = forge($planted);
stream_ok($q, 'a key for what is not asked yet', cache => $miss);
is(stored(scoped('a', $planted->[0])), 0, 'plants nothing');
stream_ok(ask_as('/scope', $planted->[0], %a), 'for the tenant',
          cache => $miss);

# an early look fixes nothing

my @questions = ('The first early one?', 'The second early one?');

foreach my $path ('/limit', '/early') {
    foreach my $ask (@questions) {
        $q = ask_as($path, $ask);
        stream_ok($q, "$path: \"$ask\"",
                  cache => $path eq '/limit' ? $miss : $hit);
        is(key_in($q), key_of($ask), 'has its own key');

        next unless $path eq '/early';

        is($q->{headers}{'x-key'}, key_of($ask), '$chat_key afterwards');
        is($q->{headers}{'x-status'}, 'HIT', '$chat_cache_status afterwards');
    }
}

is(stored(key_of($_)), 1, 'stored there') foreach @questions;
is(stored(key_of('')), 0, 'an empty question has no key');
is(key_in(ask_as('/early_key', $questions[0])), custom_key_of("x$questions[0]"),
   'a key that was looked at early');

# limit_req sees an empty value, which it does not count

is(ask_as('/limit', $questions[0])->{status}, 200, 'limit_req lets it pass');

done();
