#!/usr/bin/perl

# Requests that are refused before the stream, one row of the table after the
# other, and bodies in all the ways in which they may arrive.  Among other
# directives of nginx they are in request_in_nginx.t.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;

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


sub requests { return [ map { "POST /chat\n$_->[0]" } @{ $table{$_[0]} } ] }
sub table    { return map { $_->[1] } @{ $table{$_[0]} } }


sub chunked {
    my (@pieces) = @_;

    return join('', map { sprintf("%x\r\n%s\r\n", length($_), $_) } @pieces)
        . "0\r\n\r\n";
}


add_block_preprocessor(sub {
    my ($block) = @_;

    if (defined $block->bodies) {
        $block->set_value('request', requests($block->bodies));
        $block->set_value('more_headers', 'Content-Type: application/json');
        $block->set_value('error_code', told_codes(table($block->bodies)));
        $block->set_value('response_body', told_bodies(table($block->bodies)));
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
[map { "$_ /chat\n" } qw(GET PUT DELETE PATCH PROPFIND)]
--- told: method method method method method
--- response_headers eval
[("Allow: POST\nContent-Type: application/json\nCache-Status:") x 5]



=== OPTIONS: the methods, with and without a body
--- config
location = /chat { chat; }
location = / { chat_health; }
location = /metrics { chat_metrics; }
location = /purge { chat_purge; }
--- request eval
["OPTIONS /chat", "OPTIONS /chat\n" . '{"question": "a"}', "OPTIONS /\nxx",
 "OPTIONS /metrics", "OPTIONS /purge\n{}"]
--- more_headers
--- error_code eval
[204, 204, 204, 204, 204]
--- response_headers eval
my $none = "\nContent-Type:\nContent-Length:\nCache-Status:";
[map { "Allow: $_$none" } 'POST', 'POST', 'GET, HEAD', 'GET, HEAD', 'DELETE']
--- response_body eval
[('') x 5]



=== OPTIONS: who may not ask may not ask for the methods; it is no question
--- config
location = /chat { chat; limit_except POST { deny all; } }
location = /open { chat; add_header X-Status "[$chat_status$chat_error]"; }
--- request eval
["OPTIONS /chat", "OPTIONS /open"]
--- more_headers
--- error_code eval
[403, 204]
--- response_headers eval
['Allow:', "Allow: POST\nX-Status: []"]



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
