#!/usr/bin/perl

# chat_miss_limit, request by request: what counts, for whom, and what those get
# who are over it.  Several hosts and clients are in miss_limit_hosts.t, what
# the directive may say in conf.t.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;

# "--- told: limit", with the seconds until it is made up for

our $limit = "Content-Type: application/json\nRetry-After: ";
our $stream = 'Content-Type: text/event-stream';

# a question for a location

my $number = 0;


sub question {
    my ($path, $question) = @_;

    return "POST /$path\n" . '{"question": "' . ($question
        // 'Question ' . ++$number . '?') . '"}';
}


sub user { return "Content-Type: application/json\nX-User: $_[0]" }

add_block_preprocessor(sub {
    my ($block) = @_;

    if (!defined $block->more_http) {
        $block->set_value('more_http',
                          'chat_miss_limit $http_x_user rate=6r/h;');
    }
});

no_shuffle();
no_long_string();
chat_blocks();
run_tests();

__DATA__

=== the first one is accepted, the second one is not
--- request eval
[::question('chat'), ::question('chat')]
--- more_headers eval
::user('one')
--- told: - limit
--- response_headers_like eval
[$::stream, "$::limit(?:5\\d\\d|600)"]



=== who is over it is logged with the code
--- request eval
::question('chat')
--- more_headers eval
::user('one')
--- told: limit
--- response_headers_like eval
"$::limit(?:5\\d\\d|600)"
--- error_log
was not accepted: miss_limit



=== hits are free
--- request eval
[::question('chat', 'Hit?'), ::question('chat', 'Hit?'),
 ::question('chat', 'Hit?'), ::question('chat')]
--- more_headers eval
::user('hit')
--- told: - - - limit
--- response_headers_like eval
['Cache-Status: ngx_chat; fwd=miss', ('Cache-Status: ngx_chat; hit; .*') x 2,
 "$::limit(?:5\\d\\d|600)"]



=== a refresh, a location without a cache, and an empty scope are not
--- config
location = /chat    { chat; }
location = /nocache { chat; chat_cache off; }
location = /private { chat; chat_cache_scope $http_x_none; }
--- request eval
[::question('chat', 'Free?'),
 "POST /chat\n" . '{"question": "Free?", "use_cache": false}',
 ::question('nocache'), ::question('private')]
--- more_headers eval
::user('bypass')
--- told: - limit limit limit
--- response_headers_like eval
[$::stream, ("$::limit(?:5\\d\\d|600)") x 3]



=== the same rate written otherwise counts together
--- config
location = /chat { chat; }
location = /same { chat; chat_miss_limit $http_x_user rate=144r/d burst=0; }
--- request eval
[::question('chat'), ::question('same')]
--- more_headers eval
::user('same')
--- told: - limit
--- response_headers_like eval
[$::stream, "$::limit(?:5\\d\\d|600)"]



=== other rates and keys count apart
--- config
location = /chat { chat; }
location = /off  { chat; chat_miss_limit off; }
location = /day  { chat; chat_miss_limit $http_x_user rate=20r/d; }
location = /key  { chat; chat_miss_limit "$http_x_user" rate=10r/h; }
--- request eval
[map { ::question($_) } qw(chat off day day key key)]
--- more_headers eval
::user('apart')
--- told: - - - limit - limit
--- response_headers_like eval
[($::stream) x 3, "$::limit(?:43[01]\\d|4320)", $::stream,
 "$::limit(?:35\\d|360)"]



=== by question: the key is evaluated when the question is known
--- more_http
chat_miss_limit $chat_question rate=1r/h;
--- request eval
[::question('chat'), ::question('chat')]
--- told: - -



=== each user has a limit of its own
--- request eval
[::question('chat'), ::question('chat'), ::question('chat')]
--- more_headers eval
[::user('two'), ::user('three'), ::user('two')]
--- told: - - limit
--- response_headers_like eval
[$::stream, $::stream, "$::limit(?:5\\d\\d|600)"]



=== without a name nothing counts
--- request eval
[map { ::question('chat') } 1 .. 3]
--- told: - - -



=== an error page has the code and the status
--- config
location = /chat { chat; }
location = /page { chat; error_page 429 = @page; }
location @page   { return 202 "$chat_error $chat_status"; }
--- request eval
[::question('chat'), ::question('page')]
--- more_headers eval
::user('page')
--- error_code eval
[200, 202]
--- response_body_like eval
['completed', '^miss_limit error$']



=== what is logged while the key is made is the request's, and not its copy's
--- config
location = /chat { chat; mirror /copy; chat_miss_limit $late rate=6r/h; }
location = /copy { return 204; }
location = /late { set $late one; return 204; }
--- request eval
::question('chat')
--- error_log
using uninitialized "late" variable
--- no_error_log eval
qr/"late" variable.*subrequest: /
