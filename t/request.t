#!/usr/bin/perl

# Requests that are refused before the stream, one row of the table after the
# other, and bodies in all the ways in which they may arrive.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;

# what a client is told: [status, code, message]

our %told = (
    method => [405, 'method_not_allowed', 'Only POST is allowed here.'],
    type   => [415, 'unsupported_media_type',
               'The request must have the content type application/json.'],
    large  => [413, 'body_too_large', 'The request body is too large.'],
    bad    => [400, 'bad_request', 'The request could not be understood.'],
    json   => [400, 'bad_request', 'The request body is not valid JSON.'],
    deep   => [400, 'bad_request', 'The request body is nested too deeply.'],
    twice  => [400, 'bad_request',
               'The field \"question\" is given twice.'],
    twice2 => [400, 'bad_request',
               'The field \"use_cache\" is given twice.'],
    object => [422, 'invalid_field', 'The request body must be an object with'
               . ' the field \"question\".'],
    none   => [422, 'invalid_field', 'The field \"question\" is missing.'],
    string => [422, 'invalid_field',
               'The field \"question\" must be a string.'],
    empty  => [422, 'invalid_field',
               'The field \"question\" must not be empty.'],
    long   => [422, 'invalid_field', 'The field \"question\" is too long.'],
    bool   => [422, 'invalid_field',
               'The field \"use_cache\" must be true or false.'],
    denied => [403, 'bad_request', 'Forbidden'],
    auth   => [401, 'bad_request', 'Authorization Required'],
    many   => [429, 'bad_request', 'Too Many Requests'],
    busy   => [503, 'internal', 'Service Temporarily Unavailable'],
    down   => [503, 'redis_down', 'The service is not available at the moment.'
               . ' Please try again later.'],
    fault  => [500, 'internal', 'An internal error occurred.'],
);

# a whole stream: three chunks, then their sum

our $stream = qr/^data:\ \{"status":\ "processing"\}\n\n
    data:\ \{"status":\ "streaming",\ "chunk":\ "([^"]+)"\}\n\n
    data:\ \{"status":\ "streaming",\ "chunk":\ "([^"]+)"\}\n\n
    data:\ \{"status":\ "streaming",\ "chunk":\ "([^"]+)"\}\n\n
    data:\ \{"status":\ "completed",\ "chunk":\ "\1\2\3"\}\n\n$/x;

# bodies and what becomes of them; no name: an answer

my @depth = map { my $n = $_;
    [ '{"question": "depth", "x": ' . '[' x $n . ']' x $n . '}',
      '{"question": "depth", "x": ' . '{"y":' x $n . '1' . '}' x $n . '}' ]
} 31, 32;

our %table = (

    json => [
        ['', 'json'], [' ', 'json'], ['x', 'json'], ['{', 'json'],
        ['{"question": "a"', 'json'], ['{"question": "a",}', 'json'],
        ["{'question': 'a'}", 'json'], ['{"question": "a"} x', 'json'],
        ['{"question": "a"}{}', 'json'], ['{"question": "a"}' . "\0", 'json'],
        ["\xef\xbb\xbf" . '{"question": "a"}', 'json'],
        ['{"question": "a" /* b */}', 'json'],
        ['{"question": "a", "x": 01}', 'json'],
        ['{"question": "a", "x": NaN}', 'json'],
        ["{\"question\": \"a\0b\"}", 'json'],
        ["{\"question\": \"a\nb\"}", 'json'],
        ['{"question": "a\\x"}', 'json'],
        ['{"question": "a\\u12g4"}', 'json'],
        ['{"question": "a\\u12', 'json'],
    ],

    utf8 => [
        ["{\"question\": \"\xff\"}", 'json'],
        ["{\"question\": \"\xc3\"}", 'json'],
        ["{\"question\": \"\x80\"}", 'json'],
        ["{\"question\": \"\xc0\xaf\"}", 'json'],
        ["{\"question\": \"\xe0\x80\xaf\"}", 'json'],
        ["{\"question\": \"\xf0\x80\x80\xaf\"}", 'json'],
        ["{\"question\": \"\xed\xa0\x80\"}", 'json'],
        ["{\"question\": \"\xf4\x90\x80\x80\"}", 'json'],
        ["{\"question\": \"a\", \"x\": \"\xff\"}", 'json'],
        ["{\"question\": \"a\", \"\xff\": 1}", 'json'],
        ['{"question": "\\ud800"}', 'json'],
        ['{"question": "\\udc00"}', 'json'],
        ['{"question": "\\ud800x"}', 'json'],
        ['{"question": "\\ud800\\n"}', 'json'],
        ['{"question": "\\ud800\\ud800"}', 'json'],
        ['{"question": "\\udc00\\ud800"}', 'json'],
        ['{"question": "a", "x": "\\ud800"}', 'json'],
        ['{"question": "a", "\\udfff": 1}', 'json'],
        ["{\"question\": \"\xf0\x9f\x98\x80 \xe2\x82\xac\"}"],
        ['{"question": "\\ud83d\\ude00 \\u20ac"}'],
        ['{"question": "\\\\ud800"}'],
        ['{"question": "a\\u0000b"}'],
    ],

    depth => [
        [$depth[0][0]], [$depth[0][1]],
        [$depth[1][0], 'deep'], [$depth[1][1], 'deep'],
        ['[' x 32 . ']' x 32, 'object'], ['[' x 33 . ']' x 33, 'deep'],
        ['[' x 100000, 'deep'],
    ],

    twice => [
        ['{"question": "a", "question": "a"}', 'twice'],
        ['{"question": "a", "x": 1, "question": "b"}', 'twice'],
        ['{"question": "a", "\\u0071uestion": "b"}', 'twice'],
        ['{"question": 1, "question": "b"}', 'twice'],
        ['{"question": "a", "use_cache": true, "use_cache": true}', 'twice2'],
        ['{"question": "twice", "x": 1, "x": 2}'],
        ['{"question": "twice", "x": {"question": 1, "question": 2}}'],
        ['{"question": "twice", "Question": 1, "QUESTION": 2}'],
    ],

    fields => [
        ['null', 'object'], ['1', 'object'], ['"question"', 'object'],
        ['[{"question": "a"}]', 'object'], ['true', 'object'],
        ['{}', 'none'], ['{"Question": "a"}', 'none'],
        ['{"x": {"question": "a"}}', 'none'], ['{"use_cache": 1}', 'none'],
        ['{"question": null}', 'string'], ['{"question": 1}', 'string'],
        ['{"question": true}', 'string'], ['{"question": ["a"]}', 'string'],
        ['{"question": {"a": "b"}}', 'string'],
        ['{"question": ""}', 'empty'], ['{"question": " "}', 'empty'],
        ['{"question": " \\t\\r\\n\\u000b\\f "}', 'empty'],
        ['{"question": "\\u3000\\u00a0"}', 'empty'],
        ["{\"question\": \"\xe2\x80\x8b\xef\xbb\xbf\"}", 'empty'],
        ['{"question": "a", "use_cache": 1}', 'bool'],
        ['{"question": "a", "use_cache": null}', 'bool'],
        ['{"question": "a", "use_cache": "true"}', 'bool'],
        ['{"question": "a", "use_cache": []}', 'bool'],
        ['{"question": "a", "use_cache": {}}', 'bool'],
        ['{"question": "", "use_cache": 1}', 'empty'],
        ['{"question": "fields", "use_cache": true}'],
        ['{"question": "fields", "use_cache": false}'],
        ['{"use_cache": true, "question": "fields"}'],
        [" \r\n\t{ \"question\" : \"fields\" } \r\n\t"],
        ['{"question": "fields", "model": "x", "stream": false, "a": null,'
         . ' "n": 1e999, "m": 123456789012345678901234567890, "": ""}'],
    ],

    size => [
        ['{"question": "0123456789"}'], ['{"question": "01234567890"}', 'long'],
        ['{"question": " 12345678 "}'], ['{"question": " 123456789 "}', 'long'],
        ['{"question": "\\u0061\\u0061\\u0061\\u0061\\u0061\\u0061"}'],
        ['{"question": "\\u20ac\\u20ac\\u20ac1"}'],
        ['{"question": "\\u20ac\\u20ac\\u20ac12"}', 'long'],
        ["{\"question\": \"\xf0\x9f\x98\x80\xf0\x9f\x98\x80ab\"}"],
        ["{\"question\": \"\xf0\x9f\x98\x80\xf0\x9f\x98\x80abc\"}", 'long'],
        ['{"question": "           "}', 'empty'],
    ],
);


# a request with this body in a form of its own

sub raw {
    my ($head, $body) = @_;

    $head =~ s/^(\S+)\n/$1 \/chat HTTP\/1.1\nHost: localhost\n/;
    $head .= "Connection: close\n" unless $head =~ /^Connection:/m;
    $head =~ s/\n/\r\n/g;

    return "$head\r\n$body";
}


sub body {
    my ($name) = @_;

    return $stream unless defined $name;
    return "{\"status\": \"error\", \"message\": \"$told{$name}[2]\","
        . " \"code\": \"$told{$name}[1]\"}";
}


sub bodies   { return [ map { body($_) } @_ ] }
sub codes    { return [ map { defined $_ ? $told{$_}[0] : 200 } @_ ] }
sub requests { return [ map { "POST /chat\n$_->[0]" } @{ $table{$_[0]} } ] }
sub table    { return map { $_->[1] } @{ $table{$_[0]} } }


sub chunked {
    my (@pieces) = @_;

    return join('', map { sprintf("%x\r\n%s\r\n", length($_), $_) } @pieces)
        . "0\r\n\r\n";
}


add_block_preprocessor(sub {
    my ($block) = @_;

    if (!defined $block->config) {
        $block->set_value('config', 'location = /chat { chat; }');
    }

    if (defined $block->request && !defined $block->more_headers) {
        $block->set_value('more_headers', 'Content-Type: application/json');
    }

    # "--- told: name ..." is a status and a body for each request

    if (defined $block->told) {
        my @names = map { $_ eq '-' ? undef : $_ } split(' ', $block->told);

        $block->set_value('error_code', @names > 1 ? codes(@names)
                                                   : codes(@names)->[0]);
        $block->set_value('response_body', @names > 1 ? bodies(@names)
                                                      : body($names[0]));
    }

    if (defined $block->bodies) {
        $block->set_value('request', requests($block->bodies));
        $block->set_value('more_headers', 'Content-Type: application/json');
        $block->set_value('error_code', codes(table($block->bodies)));
        $block->set_value('response_body', bodies(table($block->bodies)));
        $block->set_value('response_headers',
            [ map { 'Content-Type: '
                    . (defined $_ ? 'application/json' : 'text/event-stream') }
              table($block->bodies) ]);
    }
});

no_long_string();
chat_blocks();
run_tests();

__DATA__

=== methods
--- request eval
[map { "$_ /chat\n" } qw(GET PUT DELETE OPTIONS PATCH PROPFIND)]
--- told: method method method method method method
--- response_headers eval
[("Allow: POST\nContent-Type: application/json\nCache-Status:") x 6]



=== HEAD: headers without a body
--- request
HEAD /chat
--- error_code: 405
--- response_headers
Allow: POST
Content-Type: application/json
Content-Length: 90
--- response_body



=== content types that are refused
--- request eval
[('POST /chat
{"question": "a"}') x 9]
--- more_headers eval
['', map { "Content-Type: $_" } '', 'text/plain', 'application/jsonx',
 'application/json-patch+json', 'application/x-www-form-urlencoded',
 'application', 'text/json', 'application/json,text/plain']
--- told: type type type type type type type type type



=== content types that are accepted
--- request eval
[('POST /chat
{"question": "type"}') x 6]
--- more_headers eval
[map { "Content-Type: $_" } 'application/json', 'APPLICATION/Json',
 'application/json;charset=utf-8', 'application/json; charset="utf-8"',
 "application/json ; x=y", "application/json\t;x"]
--- told: - - - - - -



=== the length is looked at before all, then method, type, body
--- config
location = /chat { chat; client_max_body_size 20; }
--- request eval
["PUT /chat\n" . '{"question": "0123456789"}',
 "POST /chat\n" . '{"question": "0123456789"}',
 "PUT /chat\nx", "POST /chat\nx", "POST /chat\nx", "POST /chat\n{}"]
--- more_headers eval
['Content-Type: text/plain', 'Content-Type: text/plain',
 'Content-Type: text/plain', 'Content-Type: text/plain',
 'Content-Type: application/json', 'Content-Type: application/json']
--- told: large large method type json none



=== a chunked body: method, type, and then its size
--- config
location = /chat { chat; client_max_body_size 20; }
--- request eval
[map { "$_ /chat\n" . ::chunked('{"question": "', '0123456789"}') }
     qw(PUT POST POST)]
--- more_headers eval
["Content-Type: application/json\nTransfer-Encoding: chunked",
 "Content-Type: text/plain\nTransfer-Encoding: chunked",
 "Content-Type: application/json\nTransfer-Encoding: chunked"]
--- told: method type large



=== exactly client_max_body_size
--- config
location = /chat { chat; client_max_body_size 20; }
--- request eval
['POST /chat
{"question": "0123"}', 'POST /chat
{"question": "01234"}']
--- told: - large



=== not JSON
--- bodies: json



=== no UTF-8, and surrogates
--- bodies: utf8



=== nesting
--- bodies: depth



=== duplicates
--- bodies: twice



=== fields
--- bodies: fields



=== length of the question
--- config
location = /chat { chat; chat_max_question 10; }
--- bodies: size



=== a wrong field of a body that is no JSON either is a 400
--- request eval
["POST /chat\n" . '{"question": 1} x', "POST /chat\n" . '{"use_cache": 1, ']
--- told: json json



=== the connection stays open after an error
--- pipelined_requests eval
["GET /chat\n", "POST /chat\nx", "POST /chat\n{}",
 "POST /chat\n" . '{"question": "pipelined"}',
 "POST /chat\n" . '{"question": "pipelined"}', "GET /chat\n"]
--- more_headers eval
['', 'Content-Type: text/plain', ('Content-Type: application/json') x 4]
--- told: method type none - - method



=== a body in a temporary file
--- config
location = /chat { chat; client_body_buffer_size 1k; }
--- request eval
["POST /chat\n" . '{"question": "' . 'file ' x 4000 . '"}',
 "POST /chat\n" . '{"question": "' . 'file ' x 4000 . '"} x',
 "POST /chat\n" . '{"question": "' . 'file ' x 8000 . '"}']
--- told: - json long



=== a body in a temporary file only
--- config
location = /chat { chat; client_body_in_file_only clean; }
--- request eval
["POST /chat\n" . '{"question": "in a file only"}', "POST /chat\n{}"]
--- told: - none



=== a body in a single buffer
--- config
location = /chat { chat; client_body_in_single_buffer on; }
--- request
POST /chat
{"question": "in a single buffer"}
--- told: -



=== a chunked body, in memory and in a file
--- config
location = /chat { chat; client_body_buffer_size 1k; }
--- request eval
["POST /chat\n" . ::chunked('{"question": "chu', 'nked"', '}'),
 "POST /chat\n" . ::chunked('{"question": "', ('chunked ') x 1000, '"}'),
 "POST /chat\n" . ::chunked('{"question": "chunked"', '} x'),
 "POST /chat\n" . ::chunked()]
--- more_headers
Content-Type: application/json
Transfer-Encoding: chunked
--- told: - - json json



=== no body at all
--- raw_request eval
::raw("POST\nContent-Type: application/json\n", '')
--- told: json



=== broken chunked framing
--- raw_request eval
::raw("POST\nContent-Type: application/json\nTransfer-Encoding: chunked\n",
      "zz\r\n{}\r\n0\r\n\r\n")
--- told: bad
--- response_headers
Content-Type: application/json



=== chunked framing that breaks later
--- raw_request eval
[::raw("POST\nContent-Type: application/json\nTransfer-Encoding: chunked\n",
       "5\r\n{\"que\r\n"), "zz\r\n"]
--- raw_request_middle_delay: 0.1
--- told: bad
--- response_headers
Content-Type: application/json



=== a body in pieces
--- raw_request eval
[::raw("POST\nContent-Type: application/json\nContent-Length: 25\n",
       '{"ques'), 'tion"', ': "in pi', 'eces', '"', '}']
--- raw_request_middle_delay: 0.05
--- told: -



=== a request in pieces, from its first bytes on
--- raw_request eval
[map { split(/(?<=[:n])/, $_) }
     ::raw("POST\nContent-Type: application/json\nContent-Length: 24\n",
           '{"question": "in bits."}')]
--- raw_request_middle_delay: 0.01
--- told: -



=== a client that waits before its body
--- raw_request eval
::raw("POST\nContent-Type: application/json\nExpect: 100-continue\n"
      . "Content-Length: 22\n", '{"question": "expect"}')
--- error_code: 100



=== HTTP/1.0: the end of the stream is the end of the connection
--- request
POST /chat HTTP/1.0
{"question": "old"}
--- told: -



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
::body('method')



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
["a text\n", ::body('denied'),
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
