#!/usr/bin/perl

# Cached answers: what makes one, and how it is replayed.  The first block asks
# once; the answers of the others are put into Redis as that one was.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;
use Digest::SHA qw(sha256 sha256_hex);

our $question = 'What is a hit?';
our $utf8 = 'What is {{utf8=1}} a hit?';
our $id = 'f' x 32;

our $options = 'Content-Type: application/json';
our $miss = "Content-Type: text/event-stream
Cache-Control: no-store, no-transform
X-Accel-Buffering: no
Incremental: \\?1
Cache-Status: ngx_chat; fwd=miss
X-Chat-Generation: [0-9a-f]{32}\\.[0-9a-f]{64}";
our $hit = $miss =~ s/fwd=miss/hit; ttl=(?:899|900)/r;

# the frames of a stream

my %short = ('"' => '\\"', '\\' => '\\\\', "\b" => '\\b', "\f" => '\\f',
             "\n" => '\\n', "\r" => '\\r', "\t" => '\\t');


sub json {
    my ($text) = @_;

    $text =~ s/(["\\\x00-\x1f])/$short{$1} || sprintf('\\u%04x', ord($1))/ge;

    return "\"$text\"";
}


sub stream {
    my (@chunks) = @_;

    return "data: {\"status\": \"processing\"}\n\n"
        . join('', map { 'data: {"status": "streaming", "chunk": ' . json($_)
                         . "}\n\n" } @chunks)
        . 'data: {"status": "completed", "chunk": ' . json(join('', @chunks))
        . "}\n\n";
}


sub pieces { return Chat::Test::pieces_of($_[0], chunks => 3) }
sub asked  { return stream(pieces(@_)) }
sub ask    { return "POST /chat\n" . '{"question": ' . json($_[0]) . '}' }


sub key {
    my ($key, $scope) = @_;

    return 'chat:stream:' . (defined $scope
        ? sha256_hex("\xff" . sha256($scope) . sha256($key))
        : sha256_hex($key));
}


sub custom { return 'chat:stream:' . sha256_hex("\xfc" . sha256($_[0])) }


# the fields of an answer, as our module wrote the first one

sub fields {
    my (@chunks) = @_;
    my $fp = chat_redis->entries(key($question))->[-1]{fp};

    return (status => 'completed', chunk => join('', @chunks),
        cuts => join(' ', map { length($_) } @chunks), v => 1, fp => $fp,
        gen => $id, opened => 1, provider => 'openai', model => 'test',
        finish => 'stop', usage => '');
}


# a cached answer that has these chunks and, perhaps, other fields

sub put {
    my ($key, $chunks, %other) = @_;
    my %fields = (fields(@$chunks), %other);
    my $redis = chat_redis;
    my $n = 1;

    $redis->cmd('DEL', $key);
    $redis->cmd('XADD', $key, '0-' . $n++, 'status', 'processing');
    $redis->cmd('XADD', $key, '0-' . $n++, 'status', 'streaming', 'chunk', $_)
        foreach @$chunks;
    $redis->cmd('XADD', $key, '0-' . $n++,
                map { $_ => $fields{$_} } grep { defined $fields{$_} }
                sort keys %fields);
    $redis->cmd('PEXPIRE', $key, 900000);
}


# "--- odd": what stands at the key instead of an answer

our %odd = (
    'a string'      => sub { chat_redis->cmd('SET', $_[0], 'x') },
    'a list'        => sub { chat_redis->cmd('RPUSH', $_[0], 'x') },
    'a hash'        => sub { chat_redis->cmd('HSET', $_[0], fields('abc')) },
    'other fields'  => sub { chat_redis->cmd('XADD', $_[0], '*', 'a', 'b') },
    'an empty stream' => sub {
        chat_redis->cmd('XADD', $_[0], '1-1', 'a', 'b');
        chat_redis->cmd('XDEL', $_[0], '1-1');
    },
    'no end'        => sub {
        put($_[0], ['abc']);
        chat_redis->cmd('XDEL', $_[0], '0-3');
    },
    'an error'      => sub {
        put($_[0], ['abc'], status => 'error', message => 'x', code => 'x');
    },
    'more after the end' => sub {
        put($_[0], ['abc']);
        chat_redis->cmd('XADD', $_[0], '1-1', 'status', 'streaming', 'chunk',
                        'x');
    },
    'another version' => sub { put($_[0], ['abc'], v => 3) },
    'kept, for how long' => sub { put($_[0], ['abc'], v => 2) },
    'kept, an odd time' => sub {
        put($_[0], ['abc'], v => 2, stale => '1000x');
    },
    'kept, a huge time' => sub {
        put($_[0], ['abc'], v => 2, stale => '9223372036854775808');
    },
    'kept, past its TTL' => sub {
        put($_[0], ['abc'], v => 2, stale => 900_001);
    },
    'no version'    => sub { put($_[0], ['abc'], v => undef) },
    'another provider' => sub { put($_[0], ['abc'], fp => '0' x 32) },
    'a short fingerprint' => sub { put($_[0], ['abc'], fp => '0') },
    'no fingerprint' => sub { put($_[0], ['abc'], fp => undef) },
    'no text'       => sub { put($_[0], ['abc'], chunk => undef) },
    'an empty text' => sub { put($_[0], ['abc'], chunk => '', cuts => '') },
    'no cuts'       => sub { put($_[0], ['abc'], cuts => undef) },
    'few cuts'      => sub { put($_[0], ['abc'], cuts => '2') },
    'many cuts'     => sub { put($_[0], ['abc'], cuts => '3 1') },
    'empty cuts'    => sub { put($_[0], ['abc'], cuts => '3 0') },
    'odd cuts'      => sub { put($_[0], ['abc'], cuts => '1  2') },
    'negative cuts' => sub { put($_[0], ['abc'], cuts => '4 -1') },
    'huge cuts'     => sub {
        put($_[0], ['abc'], cuts => '18446744073709551615 4');
    },
    'a cut inside a character' => sub {
        put($_[0], ["\xe2\x82\xac"], cuts => '1 2');
    },
    'no UTF-8'      => sub { put($_[0], ["a\xffb"]) },
    'no generation' => sub { put($_[0], ['abc'], gen => undef) },
    'an odd generation' => sub { put($_[0], ['abc'], gen => 'x' x 32) },
    'a long generation' => sub { put($_[0], ['abc'], gen => 'f' x 33) },
);

my $n = 0;

add_block_preprocessor(sub {
    my ($block) = @_;

    if (!defined $block->config) {
        $block->set_value('config', 'location = /chat { chat; }');
    }

    if (!defined $block->more_headers) {
        $block->set_value('more_headers', $options);
    }

    # a hit of these chunks

    if (defined $block->chunks) {
        my $q = 'chunks ' . ++$n;
        my $chunks = $block->chunks;

        $main::chunks{$n} = $chunks;
        $block->set_value('init',
                          "main::put(main::key('$q'), \$main::chunks{$n})");
        $block->set_value('request', ask($q));
        $block->set_value('response_body', stream(@$chunks));
        $block->set_value('response_headers_like', $hit);
    }

    # what is not an answer is replaced by one

    if (defined $block->odd) {
        my @names = sort keys %odd;
        my @q = map { "odd: $_" } @names;

        $block->set_value('init', join('', map {
            "\$main::odd{'$_'}->(main::key('odd: $_'));\n" } @names));
        $block->set_value('request', [ map { (ask($_), ask($_)) } @q ]);
        $block->set_value('response_body',
                          [ map { (asked($_), asked($_)) } @q ]);
        $block->set_value('response_headers_like', [ ($miss, $hit) x @q ]);
    }
});

our %chunks;

no_long_string();
no_shuffle();
chat_blocks();
run_tests();

__DATA__

=== a miss, and then hits: the same bytes
--- pipelined_requests eval
[(::ask($::question)) x 3]
--- response_body eval
[(::asked($::question)) x 3]
--- response_headers_like eval
my $length = length(::asked($::question));
[$::miss, ("$::hit\nContent-Length: $length\nConnection: .*") x 2]



=== what JSON escapes, and what it does not
--- request eval
[(::ask($::utf8)) x 2]
--- response_body eval
[(::asked($::utf8)) x 2]
--- response_headers_like eval
[$::miss, $::hit]



=== one chunk of one byte
--- chunks eval
['a']



=== all characters that need an escape, and none that does not
--- chunks eval
[CORE::join('', map { chr } 0 .. 127), "\x00", "\x1f", "\x7f/<>&'",
 "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"]



=== a thousand chunks
--- chunks eval
[map { "$_ " } 1 .. 1000]



=== a long answer
--- chunks eval
['a' x 70000, "\xe2\x82\xac" x 50000, "\n" x 100000, 'b']



=== a key without an expiry
--- init
main::put(main::key('for ever'), ['a', 'b']);
main::chat_redis()->cmd('PERSIST', main::key('for ever'));
--- request eval
::ask('for ever')
--- response_body eval
::stream('a', 'b')
--- response_headers
Cache-Status: ngx_chat; hit



=== the time that is left, and the generation
--- init
main::put(main::key('a minute'), ['a', 'b']);
main::chat_redis()->cmd('PEXPIRE', main::key('a minute'), 60000);
--- request eval
::ask('a minute')
--- response_headers_like eval
"Cache-Status: ngx_chat; hit; ttl=(?:59|60)
X-Chat-Generation: $::id\\." . substr(::key('a minute'), 12)



=== fields that may be empty, fields that are not known
--- init
main::put(main::key('fields'), ['a'], provider => '', model => '', new => 'x');
--- request eval
::ask('fields')
--- response_body eval
::stream('a')
--- response_headers_like eval
$::hit



=== what is not an answer counts as absent, and is replaced
--- odd



=== chat_cache_status off
--- config
location = /chat { chat; chat_cache_status off; }
--- request eval
::ask($::question)
--- response_body eval
::asked($::question)
--- response_headers
Cache-Status:



=== chat_cache off does not look
--- config
location = /chat { chat; chat_cache off; }
--- init
main::put(main::key('unseen'), ['cached']);
--- request eval
[(::ask('unseen')) x 2]
--- response_body eval
[(::asked('unseen')) x 2]
--- response_headers eval
[('Cache-Status: ngx_chat; fwd=bypass') x 2]



=== use_cache false: asked again, and the new answer replaces the old one
--- init
main::put(main::key('again'), ['old']);
--- request eval
[::ask('again'), "POST /chat\n" . '{"question": "again", "use_cache": false}',
 ::ask('again')]
--- response_body eval
[::stream('old'), ::asked('again'), ::asked('again')]
--- response_headers_like eval
[$::hit, $::miss =~ s/fwd=miss/fwd=request/r, $::hit]



=== chat_bypass: who may ask for that
--- config
location = /chat { chat; chat_bypass $http_x_bypass; }
--- init
main::put(main::key('bypass'), ['old']);
--- request eval
[("POST /chat\n" . '{"question": "bypass", "use_cache": false}') x 6]
--- more_headers eval
[map { "$::options$_" } '', "\nX-Bypass:", "\nX-Bypass: 0", "\nX-Bypass: off",
 "\nX-Bypass: OFF", "\nX-Bypass: 1"]
--- response_body eval
[(::stream('old')) x 5, ::asked('bypass')]



=== tenants do not see each other's answers, nor those of nobody
--- config
location = /chat { chat; chat_cache_scope $http_x_tenant; }
--- init
main::put(main::key('scope'), ['of all']);
main::put(main::key('scope', 'one'), ['of one']);
main::put(main::key('scope', 'two'), ['of two']);
--- request eval
[(::ask('scope')) x 4]
--- more_headers eval
[map { "$::options$_" } "\nX-Tenant: one", "\nX-Tenant: two",
 "\nX-Tenant: three", '']
--- response_body eval
[::stream('of one'), ::stream('of two'), (::asked('scope')) x 2]
--- response_headers_like eval
[$::hit, $::hit, $::miss, $::miss =~ s/fwd=miss/fwd=bypass/r]



=== another key
--- config
location = /chat { chat; chat_cache_key "$host/$chat_question"; }
--- init
main::put(main::key('keyed'), ['of the question']);
main::put(main::custom('localhost/keyed'), ['of both']);
--- request eval
::ask('keyed')
--- response_body eval
::stream('of both')
--- response_headers_like eval
$::hit



=== add_header
--- config
location = /chat {
    chat;
    add_header X-Status $chat_cache_status;
    add_header X-Key $chat_key;
    add_header X-Model "$chat_provider/$chat_model" always;
    add_header Access-Control-Allow-Origin *;
}
--- request eval
[(::ask($::question)) x 2, 'GET /chat']
--- error_code eval
[200, 200, 405]
--- response_headers eval
my $key = substr(::key($::question), 12);
[("X-Status: HIT\nX-Key: $key\nX-Model: openai/test\n"
  . "Access-Control-Allow-Origin: *\n"
  . "Cache-Control: no-store, no-transform") x 2,
 "X-Status:\nX-Key:\nX-Model: /\nAccess-Control-Allow-Origin:"]



=== the access log
--- http_config eval
"chat_redis $ENV{CHAT_REDIS};
chat_provider openai { url $ENV{CHAT_PROVIDER}; key sk-test-key; model test; }
log_format chat '[\$chat_cache_status \$chat_status \$chat_error \$chat_provider'
                ' \$chat_model \$chat_chunks \$chat_bytes] \$chat_question'
                ' \$chat_key \$chat_generation \$status';"
--- config
location = /chat { chat; access_log logs/access.log chat; }
--- request eval
::ask($::question)
--- access_log eval
my $key = substr(::key($::question), 12);
my $bytes = length(::asked($::question));
qr/^\[HIT completed - openai test 3 $bytes\] \Q$::question\E $key [0-9a-f]{32}\.$key 200$/



=== no conditional and no partial answers
--- request eval
[(::ask($::question)) x 4]
--- more_headers eval
["$::options\nRange: bytes=0-9",
 "$::options\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
 "$::options\nIf-None-Match: *", "$::options\nIf-Match: \"x\""]
--- response_body eval
[(::asked($::question)) x 4]
--- response_headers eval
[("ETag:\nLast-Modified:\nAccept-Ranges:") x 4]



=== HTTP/1.0, with and without keep-alive
--- request eval
[map { ::ask($::question) =~ s/chat/chat HTTP\/1.0/r } 1, 2]
--- response_body eval
[(::asked($::question)) x 2]



=== gzip
--- config
location = /chat { chat; gzip on; gzip_types text/event-stream; }
--- request eval
::ask($::question)
--- more_headers
Content-Type: application/json
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
Content-Length:
--- response_body_like eval
qr/^\x1f\x8b/



=== through another nginx location
--- config
location = /chat { proxy_pass http://127.0.0.1:$server_port/inner; }
location = /inner { chat; }
--- request eval
[::ask($::question), ::ask('proxied')]
--- response_body eval
[::asked($::question), ::asked('proxied')]
--- response_headers eval
["Cache-Control: no-store, no-transform\nX-Accel-Buffering:",
 "Cache-Control: no-store, no-transform\nX-Accel-Buffering:"]
