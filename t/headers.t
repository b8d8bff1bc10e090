#!/usr/bin/perl

# Headers that say what may be sent and what may be kept: those of refusals,
# and Cache-Control, once, beside "expires" and "add_header".

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;

our $encoded = '{"status": "error", "message": "The request body must not be'
    . ' compressed or encoded otherwise.", "code": "unsupported_media_type"}';

our $json = 'Content-Type: application/json';


# a stream and a hit, a question that is refused, a method, and the health

our @requests = ("POST /chat\n" . '{"question": "headers"}',
    "POST /chat\n" . '{"question": "headers"}', "POST /chat\nx", 'GET /chat',
    'GET /');
our @statuses = (200, 200, 400, 405, 200);


# a header that comes twice has its values in a row here

sub cached {
    my ($good, $bad, $health) = @_;

    return [map { "Cache-Control: $_" } $good, $good, $bad, $bad, $health];
}

add_block_preprocessor(sub {
    my ($block) = @_;

    if (!defined $block->request) {
        $block->set_value('request', \@requests);
        $block->set_value('error_code', \@statuses);
        $block->set_value('more_headers', $json);
    }

    if (!defined $block->config) {
        $block->set_value('config', 'location = /chat { chat; }');
    }
});

chat_blocks();
run_tests();

__DATA__

=== Cache-Control of all answers
--- config
location = /chat { chat; }
location = / { chat_health; }
--- response_headers eval
::cached('no-store, no-transform', 'no-store', 'no-store')



=== "expires" replaces it, as behind proxy_pass, but in errors
--- config
expires 1h;
location = /chat { chat; }
location = / { chat_health; }
--- response_headers eval
::cached('max-age=3600', 'no-store', 'max-age=3600')



=== "expires off" in a location
--- config
expires 1h;
location = /chat { chat; expires off; }
location = / { chat_health full; expires off; }
--- response_headers eval
::cached('no-store, no-transform', 'no-store', 'no-store')



=== "add_header" adds to it
--- config
add_header Cache-Control private always;
location = /chat { chat; }
location = / { chat_health; }
--- response_headers eval
::cached('no-store, no-transform, private', 'no-store, private',
         'no-store, private')



=== errors of nginx in our locations
--- config
location = /chat { chat; deny all; }
location = / { chat_health; client_max_body_size 1; }
--- request eval
["POST /chat\nx", "GET /\nxx", 'PUT /']
--- error_code eval
[403, 413, 405]
--- response_headers eval
[('Cache-Control: no-store') x 3]



=== error pages of the operator are his own
--- config
error_page 405 /page;
location = /chat { chat; }
location = /page { internal; expires 1h; return 200 page; }
--- request
GET /chat
--- error_code: 405
--- response_headers
Cache-Control:
--- response_body: page



=== 405 names the methods
--- config
location = /chat { chat; }
location = / { chat_health; }
--- request eval
['GET /chat', 'POST /']
--- error_code eval
[405, 405]
--- response_headers eval
['Allow: POST', 'Allow: GET, HEAD']



=== 415 names the type
--- request
POST /chat
question=a
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- error_code: 415
--- response_headers
Accept: application/json
Accept-Post: application/json
Accept-Encoding:



=== a body that is encoded
--- request eval
[("POST /chat\n\x1f\x8b\x08") x 5]
--- more_headers eval
[map { "$::json\nContent-Encoding: $_" } 'gzip', 'GZIP', 'br',
 'identity, gzip', "identity\nContent-Encoding: zstd"]
--- error_code eval
[(415) x 5]
--- response_headers eval
[("Accept-Encoding: identity\nAccept:\nAccept-Post:") x 5]
--- response_body eval
[($::encoded) x 5]



=== the type goes first
--- request
POST /chat
x
--- more_headers
Content-Type: text/plain
Content-Encoding: gzip
--- error_code: 415
--- response_headers
Accept: application/json
Accept-Encoding:



=== a body that is not encoded
--- request eval
[('POST /chat
{"question": "not encoded"}') x 4]
--- more_headers eval
["$::json\nContent-Encoding: identity", "$::json\nContent-Encoding: Identity",
 "$::json\nContent-Encoding:", "$::json\nAccept-Encoding: gzip"]
--- error_code eval
[(200) x 4]
--- response_headers eval
[('Accept-Encoding:') x 4]
