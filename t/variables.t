#!/usr/bin/perl

# The module's variables in an access log, for each way in which a request can
# go, and where somebody looks at them before there is a question.  Of clients
# that join or leave they are in variables_clients.t.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;
use Chat::Test ();

# spelled out, so that each can be found

my @variables = split(' ', '
    $chat_question
    $chat_key
    $chat_cache_status
    $chat_generation
    $chat_status
    $chat_error
    $chat_provider
    $chat_model
    $chat_queue_time
    $chat_first_chunk_time
    $chat_chunks
    $chat_bytes
');

our $question = 'What is a variable?';
our $key = Chat::Test::key_of($question);

# "--- logged": a line of the log, one variable in each row of the section, and
# those that are not named are empty.  TIME, ID, HASH and SOME are patterns; KEY and
# BYTES are those of the question, or of "--- of: question".

my %pattern = (TIME => '\d+\.\d{3}', SOME => '.*', ID => '[0-9a-f]{32}',
    HASH => '[0-9a-f]{64}');


sub logged {
    my ($rows, $question) = @_;
    my %row = map { /^(\S+) +(.*)$/ ? ("\$chat_$1" => $2) : () }
        split(/\n/, $rows);
    my %own = (KEY => Chat::Test::key_of($question),
               BYTES => length(stream_of($question)));

    return [ map {
        my $value = quotemeta(delete $row{$_} // '');

        $value =~ s/\b(TIME|ID|HASH|SOME)\b/$pattern{$1}/g;
        $value =~ s/\b(KEY|BYTES)\b/$own{$1}/g;
        (my $name = $_) =~ s/^\$chat_//;

        qr/^(?:.* )?$name=\[$value\](?: |$)/
    } @variables ];
}


add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('more_http', "log_format chat escape=json '"
        . join(' ', map { s/^\$chat_//r . "=[$_]" } @variables) . "';\n"
        . ($block->more_http // ''));
    $block->set_value('config', "access_log logs/access.log chat;\n"
        . ($block->config // 'location = /chat { chat; }'));

    if (defined $block->logged) {
        $block->set_value('access_log', logged($block->logged, $block->of
            // $block->asks // $question));
    }
});

no_shuffle();
no_long_string();
chat_blocks();
run_tests();

__DATA__

=== a miss
--- asks: What is a variable?
--- logged
question          What is a variable?
key               KEY
cache_status      MISS
generation        ID.KEY
status            completed
provider          openai
model             test
queue_time        TIME
first_chunk_time  TIME
chunks            3
bytes             BYTES



=== a hit
--- asks: What is a variable?
--- logged
question          What is a variable?
key               KEY
cache_status      HIT
generation        ID.KEY
status            completed
provider          openai
model             test
queue_time        TIME
first_chunk_time  TIME
chunks            3
bytes             BYTES



=== a hit: one moment
--- asks: What is a variable?
--- access_log eval
qr/ queue_time=\[(\S+)\] first_chunk_time=\[\1\] /



=== a refresh
--- config
location = /chat { chat; chat_bypass $allowed; }
--- more_http
map $http_x_no_bypass $allowed { default 1; yes off; }
--- request
POST /chat
{"question": "What is a variable?", "use_cache": false}
--- logged
question          What is a variable?
key               KEY
cache_status      MISS
generation        ID.KEY
status            completed
provider          openai
model             test
queue_time        TIME
first_chunk_time  TIME
chunks            3
bytes             BYTES



=== a refresh that is not allowed
--- config
location = /chat { chat; chat_bypass $allowed; }
--- more_http
map $http_x_no_bypass $allowed { default 1; yes off; }
--- request
POST /chat
{"question": "What is a variable?", "use_cache": false}
--- more_headers
Content-Type: application/json
X-No-Bypass: yes
--- logged
question          What is a variable?
key               KEY
cache_status      HIT
generation        ID.KEY
status            completed
provider          openai
model             test
queue_time        TIME
first_chunk_time  TIME
chunks            3
bytes             BYTES



=== chat_cache off
--- config
location = /chat { chat; chat_cache off; }
--- asks: What is a variable?
--- logged
question          What is a variable?
key               KEY
cache_status      BYPASS
generation        ID.KEY
status            completed
provider          openai
model             test
queue_time        TIME
first_chunk_time  TIME
chunks            3
bytes             BYTES



=== a scope without a name
--- config
location = /chat { chat; chat_cache_scope $http_x_tenant; }
--- asks: What is a variable?
--- logged
question          What is a variable?
key               HASH
cache_status      BYPASS
generation        ID.HASH
status            completed
provider          openai
model             test
queue_time        TIME
first_chunk_time  TIME
chunks            3
bytes             BYTES



=== an error in the stream, after two chunks
--- asks: What ends {{fault=eof;at=2;gap=5}} badly?
--- logged
question          What ends {{fault=eof;at=2;gap=5}} badly?
key               KEY
cache_status      MISS
generation        ID.KEY
status            error
error             provider_broken
provider          SOME
model             SOME
queue_time        TIME
first_chunk_time  TIME
chunks            SOME
bytes             SOME



=== an error in the stream: chunks, bytes, provider and model
--- asks: What ends {{fault=eof;at=2;gap=5}} badly again?
--- access_log eval
[qr/ provider=\[(?:openai)?\] model=\[(?:test)?\] /,
 qr/ chunks=\[[0-2]\] bytes=\[\d+\]/]



=== a wrong method
--- request
GET /chat
--- error_code: 405
--- logged
status            error
error             method_not_allowed



=== a wrong field
--- request
POST /chat
{}
--- error_code: 422
--- logged
status            error
error             invalid_field



=== an error page knows why
--- config
location = /chat { chat; error_page 405 422 @page; }
location @page {
    add_header X-Error $chat_error always;
    return 418 "$chat_status $chat_error";
}
--- request
POST /chat
{}
--- error_code: 422
--- response_body: error invalid_field
--- response_headers
X-Error: invalid_field
--- logged
status            error
error             invalid_field



=== an error page knows why, also of what nginx itself refuses
--- config
location = /chat {
    chat;
    error_page 500 @page;
    client_body_in_file_only clean;
    client_body_temp_path gone;
}
location @page { return 418 "$chat_status $chat_error"; }
--- init
rmdir(server_root() . '/gone') or die "gone: $!\n";
--- asks: Where is a place?
--- error_code: 500
--- response_body: error internal
--- logged
status            error
error             internal



=== another location has none of them
--- config
location = /page { return 204; }
--- request
GET /page
--- error_code: 204
--- logged



=== health has none of them
--- config
location = / { chat_health; }
location = /chat { chat; }
--- request
GET /
--- logged



=== an early look fixes nothing
--- more_http
map $chat_question $mapped { default "some"; "" "none"; }
map $chat_status $early { volatile; default "later"; "" "early"; }
limit_req_zone $chat_question zone=question:1m rate=1r/m;
limit_req_zone $chat_key zone=key:1m rate=1r/m;
limit_conn_zone $chat_key zone=conn:1m;
--- config
location = /chat {
    chat;

    if ($chat_question) { return 403; }
    if ($mapped = none) { set $was "$mapped $early"; }
    set $copied "[$chat_question]";

    limit_req zone=question;
    limit_req zone=key;
    limit_conn conn 1;

    chat_cache_key "$host $chat_question";

    add_header X-Was $was;
    add_header X-Copied $copied;
    add_header X-Question $chat_question;
    add_header X-Status $chat_cache_status;
    add_header X-Key $chat_key;
}
--- asks
First of all?
Then?
--- response_body eval
[map { ::stream_of($_) } 'First of all?', 'Then?']
--- response_headers eval
[map { "X-Was: none early\nX-Copied: []\nX-Question: $_\nX-Status: MISS\n"
       . 'X-Key: ' . Chat::Test::custom_key_of("localhost $_") }
 'First of all?', 'Then?']



=== an early look, in the log
--- more_http
map $chat_question $mapped { default "some"; "" "none"; }
--- config
location = /chat {
    chat;
    if ($mapped = some) { return 403; }
    chat_cache_key "$host $chat_question";
}
--- asks: And then?
--- logged eval
my $key = Chat::Test::custom_key_of('localhost And then?');
"question          And then?
key               $key
cache_status      MISS
generation        ID.$key
status            completed
provider          openai
model             test
queue_time        TIME
first_chunk_time  TIME
chunks            3
bytes             BYTES"



=== escaping is the log's
--- more_http
log_format escaped escape=json '[$chat_question]';
--- config
location = /chat { chat; access_log logs/access.log escaped; }
--- request eval
"POST /chat\n" . '{"question": "a \"quoted\"\nline ' . "\xc3\xa9" . ' [x]"}'
--- access_log eval
qr/^\[a \\"quoted\\"\\nline \xc3\xa9 \[x\]\]$/
