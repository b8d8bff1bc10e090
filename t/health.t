#!/usr/bin/perl

# The health page: its exact form, methods, headers, and all fields of the full
# one.  What becomes of it while something fails is in health_faults.t.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;
use Chat::Test ();

# a page is "ok" a moment after the start, when the filler has Redis too

sub until_ok {
    Chat::Test::wait_for { block_get('/')->{body} eq '{"status": "ok"}' } 20,
        'the page to be ok';
}


# an answer, and all that is written or counted a moment after it

sub one_answer {
    until_ok();
    block_ask(question => 'What is counted?');

    Chat::Test::wait_for {
        my $page = Chat::Test::parse_json(block_get('/full')->{body});

        $page->{queue} eq '0' && !$page->{live} && $page->{fillers}[0]
            && defined $page->{fillers}[0]{running}
            && !$page->{fillers}[0]{running} && $page->{providers}[0]{answers};
    } 10, 'the end of the call';
}


# the rest of a block's answer by this name: in full, but for what differs

our $full = '\{"status": "ok", "redis": "up", "broker": "up",'
    . ' "subscriber": "up", "fillers": \[\{"pid": [1-9]\d*,'
    . ' "state": "running", "beat": [0-3], "redis": "up", "running": 0\}\],'
    . ' "providers": \[\{"name": "openai", "model": "test", "state": "up",'
    . ' "answers": 1, "failures": 0\}\], "queue": 0, "live": 0, "led": 0,'
    . ' "updates": 0, "direct": 0, "eviction": "volatile-ttl", "breaker": "closed",'
    . ' "zone": \{"state": "off", "answers": 0, "size": 0, "used": 0\}\}';

add_block_preprocessor(sub {
    my ($block) = @_;

    if (!defined $block->config) {
        $block->set_value('config', <<'EOT');
location = / { chat_health; }
location = /full { chat_health full; }
location = /chat { chat; }
EOT
    }

    if (!defined $block->init) {
        $block->set_value('init', 'main::until_ok()');
    }
});

chat_blocks();
chat_redis->cmd('CONFIG', 'SET', 'maxmemory', '100mb');
chat_redis->cmd('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
run_tests();

__DATA__

=== the exact body, its type, and nobody keeps it
--- request
GET /
--- response_body chomp
{"status": "ok"}
--- response_headers
Content-Type: application/json
Content-Length: 16
Cache-Control: no-store



=== the connection stays open
--- pipelined_requests eval
['GET /', 'GET /']
--- response_body eval
[('{"status": "ok"}') x 2]



=== HEAD: the length of GET, and no body
--- request
HEAD /
--- response_headers
Content-Length: 16
--- response_body



=== other methods
--- request eval
[map { "$_ /\n{}" } qw(POST PUT DELETE)]
--- error_code eval
[(405) x 3]
--- response_headers eval
[("Allow: GET, HEAD\nContent-Type: application/json") x 3]
--- response_body_like eval
[('"code": "method_not_allowed"\}$') x 3]



=== a body, arguments and conditions are ignored
--- request eval
["GET /\nx", 'GET /?x=1', 'GET /']
--- more_headers eval
['', '', 'If-None-Match: *']
--- response_body eval
[('{"status": "ok"}') x 3]



=== nginx keeps others out
--- config
location = / { chat_health; }
location = /denied { chat_health; deny all; }
location = /chat { chat; }
--- request
GET /denied
--- error_code: 403



=== in full: all fields, in their order
--- init: main::one_answer()
--- request
GET /full
--- response_body_like eval
qr/^$::full$/



=== no location says "chat"
--- http_config
--- config
location = / { chat_health; }
location = /full { chat_health full; }
--- init
--- request eval
['GET /', 'GET /full']
--- error_code eval
[503, 503]
--- response_body_like eval
['"status": "unavailable"', '"status": "unavailable"']
