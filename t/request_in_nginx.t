#!/usr/bin/perl

# A request among other directives of nginx: error pages, those that refuse it,
# subrequests, rewrites, "if" and limit_except, variables that are looked at
# early, and other readers of its body.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;

no_long_string();
chat_blocks();
run_tests();

__DATA__

=== error_page: named location, static page, another status
--- config
location = /chat {
    chat;
    error_page 422 @named;
    error_page 405 /page.html;
    error_page 400 =200 /other;
    client_max_body_size 30;
    error_page 413 /page.html;
}
location @named { return 422 "named $request_method $chat_error\n"; }
location = /other { return 200 "other\n"; }
--- user_files
>>> page.html
static
--- request eval
["POST /chat\n{}", "GET /chat", "POST /chat\nx",
 "POST /chat\n" . 'x' x 31]
--- error_code eval
[422, 405, 200, 413]
--- response_body eval
["named POST invalid_field\n", "static\n", "other\n", "static\n"]



=== error_page with a new status and a page that keeps it
--- config
location = /chat {
    chat;
    error_page 422 = @named;
}
location @named {
    default_type application/problem+json;
    return 418 "{}";
}
--- request
POST /chat
{}
--- error_code: 418
--- response_headers
Content-Type: application/problem+json
--- response_body: {}



=== error_page that leads back to the same location
--- config
location = /chat { chat; error_page 422 =200 /chat; }
--- request
POST /chat
{}
--- error_code: 405
--- response_body eval
::told_body('method')



=== error_page: an address elsewhere
--- config
location = /chat { chat; error_page 422 http://elsewhere.example/why; }
--- request
POST /chat
{}
--- error_code: 302
--- response_headers
Location: http://elsewhere.example/why



=== error_page whose page is missing
--- config
location = /chat { chat; error_page 422 /missing.html; }
--- request
POST /chat
{}
--- error_code: 404
--- response_body_like: 404 Not Found



=== error_page of the server is the operator's wish too
--- config
error_page 422 /page;
location = /chat { chat; }
location = /page { return 200 "page\n"; }
--- request
POST /chat
{}
--- error_code: 422
--- response_body
page



=== deny
--- config
location = /chat { chat; deny all; }
--- request eval
["POST /chat\n" . '{"question": "a"}', "GET /chat"]
--- told: denied denied



=== auth_request refuses
--- config
location = /chat { chat; auth_request /auth; }
location = /auth {
    internal;
    if ($http_x_user = '') {
        add_header WWW-Authenticate Basic always;
        return 401;
    }
    if ($http_x_user = 'bad') { return 403; }
    return 204;
}
--- request eval
["POST /chat\n" . '{"question": "auth"}', "POST /chat\n{}",
 "POST /chat\n" . '{"question": "auth"}']
--- more_headers eval
['Content-Type: application/json',
 "Content-Type: application/json\nX-User: bad",
 "Content-Type: application/json\nX-User: good"]
--- told: auth denied -



=== auth_basic refuses
--- config
location = /chat {
    chat;
    auth_basic chat;
    auth_basic_user_file html/users;
}
--- user_files
>>> users
--- request
POST /chat
{}
--- told: auth
--- response_headers
WWW-Authenticate: Basic realm="chat"



=== limit_req refuses
--- http_config eval
"chat_redis $ENV{CHAT_REDIS};
chat_provider openai { url $ENV{CHAT_PROVIDER}; key k; model test; }
limit_req_zone \$server_name zone=one:1m rate=1r/m;"
--- config
location = /chat { chat; limit_req zone=one; limit_req_status 429; }
location = /busy { chat; limit_req zone=one; }
--- request eval
["POST /chat\n{}", "POST /chat\n{}", "POST /busy\n{}"]
--- told: none many busy



=== return in the location: a text is left alone, a bare status is not
--- config
location = /chat {
    chat;
    default_type text/html;
    if ($arg_a = 1) { return 403 "a text\n"; }
    if ($arg_a = 2) { return 403; }
    if ($arg_a = 3) { return 404; }
    if ($arg_a = 4) { return 200 "fine\n"; }
}
--- request eval
[map { "POST /chat?a=$_\n{}" } 1 .. 4]
--- error_code eval
[403, 403, 404, 200]
--- response_body eval
["a text\n", ::told_body('denied'),
 '{"status": "error", "message": "Not Found", "code": "bad_request"}',
 "fine\n"]



=== another location keeps nginx's pages
--- config
location = /chat { chat; }
location = /a { deny all; }
--- request eval
["GET /a", "GET /nowhere"]
--- error_code eval
[403, 404]
--- response_body_like eval
["<h1>403 Forbidden</h1>", "<h1>404 Not Found</h1>"]



=== a subrequest: auth_request
--- config
location = /chat { chat; }
location = /a { auth_request /chat; return 200 never; default_type x/y; }
location = /b { auth_request /chat; }
--- request
GET /b
--- error_code: 500
--- response_body_like: 500 Internal Server Error
--- error_log
"chat" does not serve subrequests



=== a subrequest: include
--- config
location = /chat { chat; }
location = /page.html { ssi on; }
--- user_files
>>> page.html
[<!--#include virtual="/chat" -->]
--- request
GET /page.html
--- response_body_like: ^\[.*500 Internal Server Error
--- error_log
"chat" does not serve subrequests



=== a subrequest: mirror does not disturb its request
--- config
location = /chat { chat; }
location = /a { mirror /chat; return 200 "mine\n"; }
location = /b { mirror /chat; proxy_pass http://127.0.0.1:$server_port/a; }
--- request
GET /b
--- response_body
mine
--- error_log
"chat" does not serve subrequests



=== after a rewrite and after try_files
--- config
location = /old { rewrite ^ /chat last; }
location = /chat { chat; chat_max_question 10; }
location /try { try_files $uri @chat; }
location @chat { chat; chat_max_question 10; }
--- request eval
[map { ("POST $_\n" . '{"question": "rewritten"}',
        "POST $_\n" . '{"question": "rewritten !"}') } '/old', '/try/it']
--- told: - long - long



=== "if" and limit_except keep the handler and the configuration
--- config
location = /chat {
    chat;
    chat_max_question 10;
    if ($arg_a) { add_header X-If yes; }
    limit_except POST { deny all; }
}
--- request eval
["POST /chat?a=1\n" . '{"question": "if"}',
 "POST /chat?a=1\n" . '{"question": "if 45678901"}', "GET /chat",
 "GET /chat?a=1", "POST /chat\n" . '{"question": "if"}']
--- told: - long denied denied -
--- response_headers eval
['X-If: yes', 'X-If:', 'X-If:', 'X-If:', 'X-If:']



=== limit_except whose own words let others in
--- config
location = /chat {
    chat;
    chat_max_question 10;
    limit_except GET { allow all; }
}
--- request eval
["POST /chat\n" . '{"question": "except"}',
 "POST /chat\n" . '{"question": "except 7890"}', "GET /chat"]
--- told: - long method



=== "chat" in "if" only
--- http_config eval
"chat_redis $ENV{CHAT_REDIS};
chat_provider openai { url $ENV{CHAT_PROVIDER}; key k; model test; }
chat_provider other { url $ENV{CHAT_PROVIDER}; key k; model other; }"
--- config
location = /chat {
    chat_max_question 10;
    if ($arg_a = 1) { chat; }
    if ($arg_a = 2) { chat other; }
    return 204;
}
location = /more {
    chat;
    if ($arg_a) { chat other; }
    add_header X-Model $chat_model;
}
--- request eval
["POST /more\n" . '{"question": "in if"}',
 "POST /more?a=1\n" . '{"question": "in if"}']
--- told: - -



=== nobody knows the question: the key is made from it when it is there
--- config
location = /chat {
    chat;
    if ($chat_question) { return 418; }
    set $early "[$chat_question$chat_key$chat_status]";
    add_header X-Early $early;
    add_header X-Key $chat_key;
}
--- request eval
["POST /chat\n" . '{"question": "a first"}',
 "POST /chat\n" . '{"question": "a second"}']
--- told: - -
--- response_headers eval
use Digest::SHA qw(sha256_hex);
["X-Early: []\nX-Key: " . sha256_hex('a first'),
 "X-Early: []\nX-Key: " . sha256_hex('a second')]



=== request bodies that another module has read
--- config
location = /chat { chat; mirror /copy; }
location = /copy { internal; return 204; }
--- request eval
["POST /chat\n" . '{"question": "mirrored"}', "POST /chat\n{}", "GET /chat"]
--- told: - none method



=== the same, read into memory, into a file, and both
--- config
mirror /copy;
location = /memory { chat; client_body_buffer_size 64k; }
location = /file { chat; client_body_in_file_only clean; }
location = /parts { chat; client_body_buffer_size 1k; }
location = /copy { internal; return 204; }
--- request eval
[(map { "POST $_\n" . '{"question": "read ' . ('x' x 9000) . '"}' }
  '/memory', '/file', '/parts'), "POST /file\n" . '{"question": "read"',
 "POST /parts\n" . '{"question": "' . ('x' x 33000) . '"}']
--- told: - - - json long



=== the same, and it was chunked
--- config
mirror /copy;
client_body_buffer_size 16;
location = /chat { chat; }
location = /copy { internal; return 204; }
--- raw_request eval
my $body = '{"question": "read in pieces of it"}';
"POST /chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r
Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    . CORE::join('', map { sprintf("%x\r\n%s\r\n", length($_), $_) }
           unpack('(a7)*', $body)) . "0\r\n\r\n";
--- told: -



=== the same where nobody wants it: OPTIONS and the health
--- config
mirror /copy;
location = /chat { chat; }
location = / { chat_health; }
location = /copy { internal; return 204; }
--- request eval
["OPTIONS /chat\n{}", "GET /\n{}"]
--- error_code eval
[204, 200]
--- response_body_like eval
['^$', '^\{"status": ']



=== Redis cannot be reached
--- http_config eval
"chat_redis redis://127.0.0.1:1;
chat_redis_down error;
chat_provider openai { url $ENV{CHAT_PROVIDER}; key k; model test; }"
--- request eval
["POST /chat\n{}", ("POST /chat\n" . '{"question": "down"}') x 2]
--- told: none down down
--- response_headers_like eval
["Content-Type: application/json",
 ("Content-Type: application/json\nRetry-After: [1-5]") x 2]
