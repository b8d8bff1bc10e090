#!/usr/bin/perl

# What the worker itself makes of a provider's answer, on the direct path:
# each fault with its code for the client and its line for the operator, and
# all forms of a whole answer.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;

our $headers = "Content-Type: text/event-stream
Cache-Control: no-store, no-transform
X-Accel-Buffering: no
Incremental: \\?1
Cache-Status: ngx_chat; fwd=bypass; detail=direct
X-Chat-Generation: [0-9a-f]{32}\\.[0-9a-f]{64}";

# "--- fails: fault => code, what the log says": a question with this fault; the
# stream ends by an error with this code, and tells nothing of the provider

my $number = 0;

add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('timeout', 20);

    if (!defined $block->http_config) {
        $block->set_value('http_config', <<"EOT");
chat_redis off;
chat_provider openai {
    url $ENV{CHAT_PROVIDER};
    key sk-test-key;
    model test;
    retries 0;
    connect_timeout 1s;
    first_token_timeout 2s;
    idle_timeout 1500ms;
    total_timeout 4s;
}
EOT
    }

    if (defined $block->fails) {
        my ($fault, $code, $line) =
            $block->fails =~ /^(\S+) => (\S+), (.*)$/ or die $block->fails;

        $block->set_value('asks', "Fault " . ++$number . "? {{$fault}}");
        $block->set_value('response_headers_like', $headers);
        $block->set_value('response_body_like', qr/\A
            (?!.*(?:sk-|127\.0\.0\.1))
            data:\ \{"status":\ "processing"\}\n\n
            (?:data:\ \{"status":\ "streaming",\ "chunk":\ "[^"]+"\}\n\n)*
            data:\ \{"status":\ "error",\ "message":\ "[^"]+",
            \ "code":\ "$code"\}\n\n\z/xs);
        $block->set_value('error_log', qr/\[error\]\ .*provider\ "openai"\ at
            \ "127\.0\.0\.1:\d+"\ .*\Q$line\E/x);
    }
});

chat_blocks(chunks => 5, gap => 10);
run_tests();

__DATA__

=== HTTP status 400
--- fails: status=400 => provider_refused, refused the request, HTTP status 400



=== HTTP status 401
--- fails: status=401 => provider_refused, HTTP status 401



=== HTTP status 404
--- fails: status=404 => provider_refused, HTTP status 404



=== HTTP status 429
--- fails: status=429 => provider_rate_limited, HTTP status 429



=== HTTP status 408
--- fails: status=408 => provider_timeout, HTTP status 408



=== HTTP status 500
--- fails: status=500 => provider_refused, HTTP status 500



=== HTTP status 503
--- fails: status=503 => provider_refused, HTTP status 503



=== HTTP status 302
--- fails: status=302 => provider_refused, HTTP status 302



=== HTTP status 503, whose body does not come
--- fails: status=503;then=stall => provider_refused, HTTP status 503



=== no headers
--- fails: fault=hang => provider_timeout, first_token_timeout



=== HTML
--- fails: fault=html => provider_broken, something else than an event stream



=== no first token
--- fails: first=5000 => provider_timeout, first_token_timeout



=== silence in the middle
--- fails: fault=stall;at=2 => provider_timeout, idle_timeout



=== an answer that takes too long
--- fails: chunks=200;gap=50 => provider_timeout, total_timeout



=== a reset in the middle
--- fails: fault=reset;at=2 => provider_broken, broke the connection off



=== a connection that ends in the middle
--- fails: fault=eof;at=2 => provider_broken, the connection



=== a body that ends in the middle
--- fails: fault=end;at=2 => provider_broken, before the end



=== an event that is no JSON
--- fails: fault=badjson;at=2 => provider_broken, not valid JSON



=== an event that is no UTF-8
--- fails: fault=badutf8;at=2 => provider_broken, not valid JSON



=== an error object
--- fails: fault=errobj;at=2 => provider_\w+, an error instead of an answer



=== an event that is too large
--- fails: fault=huge;at=2;size=5000000 => provider_broken, too large



=== answers that are whole all the same
--- asks
Whole? {{fault=nodone}}
Whole? {{fault=nofinish}}
Whole? {{te=close}}
Whole? {{crlf=1}}
Whole? {{split=1}}
Whole? {{reasoning=5}}
Whole? {{usage=0}}
Whole? {{chunks=0}}
--- response_body eval
[map { ::stream_of("Whole? {{$_}}", chunks => 5) }
 qw(fault=nodone fault=nofinish te=close crlf=1 split=1 reasoning=5 usage=0
    chunks=0)]
--- response_headers_like eval
[($::headers) x 8]



=== the finish reason is passed on
--- asks: Finish? {{finish=length}}
--- response_body eval
::stream_of('Finish? {{finish=length}}', chunks => 5)
    =~ s/\}\n\n\z/, "finish_reason": "length"}\n\n/r
--- response_headers_like eval
$::headers
