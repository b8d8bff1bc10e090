#!/usr/bin/perl

# What makes the key of an answer: chat_cache_key, chat_cache_scope, and that
# a look at the variables before there is a body changes nothing.  Several
# clients without a tenant are in tenants_clients.t.

use warnings;
use strict;

use Digest::SHA qw(sha256 sha256_hex);

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;
use Chat::Client ();
use Chat::Test ();


# keys: of a question alone, of one in a scope, of what chat_cache_key came to

sub key    { return Chat::Test::key_of($_[0]) }
sub custom { return Chat::Test::custom_key_of($_[0]) }


sub scoped {
    my ($scope, $key) = @_;

    return sha256_hex("\xff" . sha256($scope) . sha256($key));
}


sub post {
    my ($path, $question) = @_;

    return "POST $path\n" . '{"question": '
        . Chat::Client::json_string($question) . '}';
}


sub with { return "Content-Type: application/json\n$_[0]" }


# headers of an answer: where it comes from, and its key

sub from {
    my ($source, $key) = @_;

    return "Cache-Status: ngx_chat; $source\n"
        . "X-Chat-Generation: [0-9a-f]{32}\\.$key";
}


our ($hit, $miss, $bypass) = ('hit; ttl=\d+', 'fwd=miss', 'fwd=bypass');

# the provider numbers its answers to a question

sub answer { return stream_of($_[0], unique => 1, number => $_[1] || 1) }

our $secret = 'What is our secret?';

# questions that want another tenant's answer

my $bytes = "\xff" . sha256('a') . sha256($secret);
my $latin = $bytes;
my @hex = map { sha256_hex($_) } 'a', $secret;

utf8::upgrade($latin);
utf8::encode($latin);

our @crafted = ("a$secret", "a\x00$secret", "a:$secret", "$hex[0]$hex[1]",
    "\xc3\xbf$hex[0]$hex[1]", $latin, scoped('a', $secret),
    'chat:stream:' . scoped('a', $secret));


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


our ($read, $planted) = map { forged($_) } 'read', 'planted';

# "--- stored": keys that have an answer in the end, or with "not" have none

add_response_body_check(sub {
    my ($block, undef, $index) = @_;
    my $requests = ref $block->request ? @{ $block->request } : 1;

    return if !defined $block->stored || $index != $requests - 1;

    foreach (@{ $block->stored }) {
        my ($not, $key) = /^(not )?(\w+)$/;

        Test::More::is(chat_redis->cmd('EXISTS', "chat:stream:$key"),
                       $not ? 0 : 1, $block->name . " - stored: $_");
    }
});

no_shuffle();
no_long_string();
chat_blocks(unique => 1);
run_tests();

__DATA__

=== tenants have answers of their own, and so has everybody else
--- config
location = /chat  { chat; }
location = /scope { chat; chat_cache_scope $http_x_tenant; }
--- request eval
[map { ::post($_, $::secret) } '/scope', '/scope', '/chat', '/scope']
--- more_headers eval
[map { ::with($_) } 'X-Tenant: a', 'X-Tenant: b', '', 'X-Tenant: a']
--- response_headers_like eval
[::from($::miss, ::scoped('a', $::secret)),
 ::from($::miss, ::scoped('b', $::secret)),
 ::from($::miss, ::key($::secret)),
 ::from($::hit, ::scoped('a', $::secret))]
--- response_body eval
[map { ::answer($::secret, $_) } 1, 2, 3, 1]
--- stored eval
[::scoped('a', $::secret), ::scoped('b', $::secret), ::key($::secret)]



=== without a tenant nothing is looked up
--- config
location = /scope { chat; chat_cache_scope $http_x_tenant; }
--- request eval
[(::post('/scope', $::secret)) x 2,
 "POST /scope\n" . '{"question": "What is our secret?", "use_cache": false}']
--- more_headers eval
[map { ::with($_) } '', 'X-Tenant:', '']
--- response_headers eval
[('Cache-Status: ngx_chat; fwd=bypass') x 3]
--- response_body eval
[map { ::answer($::secret, $_) } 4, 5, 6]



=== questions that want another tenant's answer are questions of their own
--- config
location = /chat  { chat; }
location = /scope { chat; chat_cache_scope $http_x_tenant; }
--- request eval
[map { (::post('/chat', $_), ::post('/scope', $_), ::post('/scope', $_)) }
 @::crafted]
--- more_headers eval
[map { (::with(''), ::with('X-Tenant: b'), ::with('X-Tenant: 0')) }
 @::crafted]
--- response_headers eval
[('Cache-Status: ngx_chat; fwd=miss') x (3 * @::crafted)]
--- response_body eval
[map { my $q = $_; map { ::answer($q, $_) } 1 .. 3 } @::crafted]



=== the very bytes are no question
--- request eval
use Digest::SHA qw(sha256);
"POST /chat\n" . '{"question": "' . "\xff" . sha256('a') . sha256($::secret)
    . '"}'
--- told: json



=== where the scope ends cannot be moved
--- config
location = /scope { chat; chat_cache_scope $http_x_tenant; }
--- request eval
[::post('/scope', 'bcd'), ::post('/scope', 'cd')]
--- more_headers eval
[::with('X-Tenant: a'), ::with('X-Tenant: ab')]
--- response_headers_like eval
[::from($::miss, ::scoped('a', 'bcd')), ::from($::miss, ::scoped('ab', 'cd'))]



=== a scope made of the question
--- config
location = /scope { chat; chat_cache_scope $chat_question; }
--- request eval
::post('/scope', 'self')
--- response_headers_like eval
::from($::miss, ::scoped('self', 'self'))



=== a key with a language
--- config
location = /chat { chat; chat_cache_key "$http_x_language:$chat_question"; }
--- request eval
[(::post('/chat', 'What do you say?')) x 6]
--- more_headers eval
[map { (::with("X-Language: $_")) x 2 } 'en', 'de', '']
--- response_headers_like eval
[map { my $key = ::custom("$_:What do you say?");
       (::from($::miss, $key), ::from($::hit, $key)) } 'en', 'de', '']
--- response_body eval
[map { ::answer('What do you say?', $_) } 1, 1, 2, 2, 3, 3]



=== a question of the same bytes has another key
--- request eval
::post('/chat', ':What do you say?')
--- response_headers_like eval
::from($::miss, ::key(':What do you say?'))



=== the question alone, in braces, is the default
--- config
location = /braces { chat; chat_cache_key "${chat_question}"; }
location = /chat   { chat; }
--- request eval
[::post('/braces', 'What do you say?'), ::post('/chat', 'What do you say?')]
--- response_headers_like eval
[::from($::miss, ::key('What do you say?')),
 ::from($::hit, ::key('What do you say?'))]
--- stored eval
[::key('What do you say?')]



=== a key and a scope
--- config
location = /chat {
    chat;
    chat_cache_key "$http_x_language:$chat_question";
    chat_cache_scope $http_x_tenant;
}
--- request eval
::post('/chat', 'What do you say?')
--- more_headers
Content-Type: application/json
X-Tenant: a
X-Language: en
--- response_headers_like eval
::from($::miss, ::scoped('a', 'en:What do you say?'))



=== a key that the client begins reads no other
--- more_http
large_client_header_buffers 4 64k;
--- config
location = /scope { chat; chat_cache_scope $http_x_tenant; }
location = /key {
    chat;
    chat_cache_key "$http_accept_language$chat_question";
}
--- request eval
[::post('/scope', $::read->[0]), ::post('/key', $::read->[2])]
--- more_headers eval
[::with('X-Tenant: a'), ::with("Accept-Language: $::read->[1]")]
--- response_headers_like eval
[::from($::miss, ::scoped('a', $::read->[0])),
 ::from($::miss, ::custom("$::read->[1]$::read->[2]"))]
--- response_body eval
[::answer($::read->[0]), ::answer($::read->[2])]



=== nor plants an answer
--- more_http
large_client_header_buffers 4 64k;
--- config
location = /key {
    chat;
    chat_cache_key "$http_accept_language$chat_question";
}
--- request eval
::post('/key', $::planted->[2])
--- more_headers eval
::with("Accept-Language: $::planted->[1]")
--- response_headers_like eval
::from($::miss, ::custom("$::planted->[1]$::planted->[2]"))
--- stored eval
['not ' . ::scoped('a', $::planted->[0])]



=== the tenant asks for that anew
--- config
location = /scope { chat; chat_cache_scope $http_x_tenant; }
--- request eval
::post('/scope', $::planted->[0])
--- more_headers
Content-Type: application/json
X-Tenant: a
--- response_headers_like eval
::from($::miss, ::scoped('a', $::planted->[0]))



=== limit_req sees no question, and does not count it
--- more_http
limit_req_zone $chat_question zone=question:1m rate=1r/m;
--- config
location = /chat { chat; limit_req zone=question; }
--- request eval
[map { ::post('/chat', $_) } 'The first early one?', 'The second early one?',
 'The first early one?']
--- response_headers_like eval
[::from($::miss, ::key('The first early one?')),
 ::from($::miss, ::key('The second early one?')),
 ::from($::hit, ::key('The first early one?'))]
--- stored eval
[::key('The first early one?'), ::key('The second early one?'),
 'not ' . ::key('')]



=== an early look at the variables fixes nothing
--- more_http
limit_req_zone $chat_question zone=question:1m rate=1r/m;
map $chat_question $mapped { "" early; default late; }
--- config
location = /chat {
    set $seen "$chat_question$chat_key$chat_cache_status$mapped";

    if ($chat_question = "") {
        set $seen "$chat_generation$chat_status$chat_error";
    }

    add_header X-Key $chat_key;
    add_header X-Status $chat_cache_status;

    chat;
    limit_req zone=question;
}
--- request eval
[map { ::post('/chat', $_) } 'The first early one?', 'The second early one?']
--- response_headers_like eval
[map { ::from($::hit, ::key($_)) . "\nX-Key: " . ::key($_)
       . "\nX-Status: HIT" } 'The first early one?', 'The second early one?']



=== a key that was looked at early
--- config
location = /chat {
    if ($chat_question) { return 500; }

    chat;
    chat_cache_key "x$chat_question";
}
--- request eval
::post('/chat', 'The first early one?')
--- response_headers_like eval
::from($::miss, ::custom('xThe first early one?'))
