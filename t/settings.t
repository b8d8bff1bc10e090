#!/usr/bin/perl

# What directives do, where no other test shows it, request by request: how long
# answers are kept, what providers are sent, real_ip, limits, and a disk that is
# full.  What needs time, processes or clients is in settings_processes.t.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;
use Chat::Test ();

my $dir = Chat::Test::test_dir();
my %file = ('system.txt' => "Answer \"well\".\nAlways: \xe2\x82\xac\n",
            'format.json' => "{\"type\": \"text\",\n \"n\": [1]}\n",
            secret => "from-a-file\n");

foreach my $name (sort keys %file) {
    open(my $out, '>:raw', "$dir/$name") or die "$dir/$name: $!\n";
    print $out $file{$name};
    close($out);
    chmod(0600, "$dir/$name");
}

$ENV{TEST_NGINX_CHAT_FILES} = $dir;

no_shuffle();
no_long_string();
chat_blocks(chunks => 3);
run_tests();

__DATA__

=== chat_cache_ttl is that of the innermost level
--- more_http
chat_cache_ttl 5m;
--- config
chat_cache_ttl 2m;
location = /chat { chat; }
--- asks
How long?
How long?
--- told: - -
--- response_headers_like eval
['Cache-Status: ngx_chat; fwd=miss',
 'Cache-Status: ngx_chat; hit; ttl=(?:11[5-9]|120)']



=== a provider with everything: system, param and header from files
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS;
chat_provider full {
    url $TEST_NGINX_CHAT_PROVIDER;
    key sk-full;
    model full;
    system file:$TEST_NGINX_CHAT_FILES/system.txt;
    param temperature 0.25;
    param stop '["a", "b"]';
    param response_format file:$TEST_NGINX_CHAT_FILES/format.json;
    header X-Title "a title";
    header X-Secret file:$TEST_NGINX_CHAT_FILES/secret;
}
--- config
location = /chat { chat full; }
--- asks: How full?
--- told: -
--- sent_headers
Authorization: Bearer sk-full
X-Title: a title
X-Secret: from-a-file
Content-Type: application/json
--- sent
{
    "model": "full",
    "messages": [
        {"role": "system", "content": "Answer \"well\".\nAlways: \u20ac\n"},
        {"role": "user", "content": "How full?"}
    ],
    "stream": true,
    "stream_options": {"include_usage": true},
    "temperature": 0.25,
    "stop": ["a", "b"],
    "response_format": {"type": "text", "n": [1]}
}



=== a provider with little: no key, no usage, a slash at the end of its URL
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS;
chat_provider text {
    url $TEST_NGINX_CHAT_PROVIDER/;
    key "";
    model m;
    system "You are a test.";
    usage off;
}
--- config
location = /chat { chat text; }
--- asks: How little?
--- told: -
--- sent_headers
POST /v1/chat/completions HTTP/1.1
not Authorization
--- sent
{
    "model": "m",
    "messages": [
        {"role": "system", "content": "You are a test."},
        {"role": "user", "content": "How little?"}
    ],
    "stream": true
}



=== the same from the worker itself
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS;
chat_provider text {
    url $TEST_NGINX_CHAT_PROVIDER/;
    key "";
    model m;
    usage off;
}
--- config
location = /chat { chat text; chat_cache off; }
--- asks: How direct?
--- told: -
--- response_headers
Cache-Status: ngx_chat; fwd=bypass
--- sent_headers
not Authorization
--- sent
{
    "model": "m",
    "messages": [{"role": "user", "content": "How direct?"}],
    "stream": true
}



=== real_ip, as in front of any other handler
--- config
location = /chat {
    chat;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real;
    add_header X-From $remote_addr;
    deny 192.0.2.2;
}
--- asks
From where?
From where?
--- more_headers eval
[map { "Content-Type: application/json\nX-Real: 192.0.2.$_" } 1, 2]
--- told: - denied
--- response_headers eval
['X-From: 192.0.2.1', 'X-From:']



=== chat_max_answer is 2m, and what is longer is not cached
--- timeout: 20
--- asks
How much? {{chunks=2200;bytes=1000;gap=0}}
How much? {{chunks=2200;bytes=1000;gap=0}}
--- response_headers eval
[('Cache-Status: ngx_chat; fwd=miss') x 2]
--- response_body_like eval
[('"code": "answer_too_long"\}\n\n\z') x 2]



=== bodies have no place on the disk
--- config
location = /chat {
    chat;
    client_body_in_file_only clean;
    client_body_temp_path gone;
}
--- init
rmdir(server_root() . '/gone') or die "gone: $!\n";
--- asks: Where is a place?
--- told: fault
--- response_headers
Content-Type: application/json



=== bodies have no place on the disk, and error_page goes first
--- config
location = /chat {
    chat;
    error_page 500 =503 @page;
    client_body_in_file_only clean;
    client_body_temp_path gone;
}
location @page { return 503 "a page"; }
--- init
rmdir(server_root() . '/gone') or die "gone: $!\n";
--- asks: Where is a place?
--- error_code: 503
--- response_body: a page
