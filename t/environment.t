#!/usr/bin/perl

# What comes from the environment, as the application before this module had it,
# and which key is sent to whom.  What the processes of nginx have in their
# environment is in environment_processes.t.

use warnings;
use strict;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Chat::Blocks;

no_shuffle();
no_long_string();
chat_blocks();

my ($base) = $ENV{CHAT_REDIS} =~ m!^(redis://[^/]+)!;

$ENV{"TEST_NGINX_CHAT_REDIS_$_"} = "$base/$_" foreach 3 .. 6;

# "--- kept": what has to be in Redis afterwards, "database type key", and which
# databases are empty

add_response_body_check(sub {
    my ($block, undef, $index) = @_;
    my $requests = ref $block->request ? @{ $block->request } : 1;

    return if !defined $block->kept || $index != $requests - 1;

    foreach (split(/\n/, $block->kept)) {
        my ($database, $type, $key) = /^(\d+) (\S+) ?(.*)$/ or next;
        my $redis = chat_redis->client($database);
        my $name = $block->name . " - database $database: $type $key";

        if ($type eq 'empty') {
            Test::More::is($redis->cmd('DBSIZE'), 0, $name);

        } else {
            Test::More::is($redis->cmd('TYPE', $key), $type, $name);
        }
    }
});

run_tests();

__DATA__

=== all settings come from the environment
--- env
OPENAI_API_KEY=sk-from-the-environment
OPENAI_BASE_URL=$TEST_NGINX_CHAT_PROVIDER
OPENAI_MODEL=a-model
REDIS_URL=$TEST_NGINX_CHAT_REDIS_3
CELERY_BROKER_URL=$TEST_NGINX_CHAT_REDIS_4
CACHE_TTL_SECONDS=77
--- http_config
--- asks
Question 1?
Question 1?
--- told: - -
--- response_headers_like eval
['Cache-Status: ngx_chat; fwd=miss',
 'Cache-Status: ngx_chat; hit; ttl=7[67](?:; detail=zone)?']
--- sent_headers
Authorization: Bearer sk-from-the-environment
--- sent
{
    "model": "a-model",
    "messages": [{"role": "user", "content": "Question 1?"}],
    "stream": true,
    "stream_options": {"include_usage": true}
}
--- kept eval
'3 stream chat:stream:' . Chat::Test::key_of('Question 1?') . '
4 stream chat:tasks:1
0 empty
2 empty'



=== keys and headers may have any name
--- env
CHAT_ENV_ONE=sk-one
CHAT_ENV_TWO=two
REDIS_URL=$TEST_NGINX_CHAT_REDIS_5
--- http_config
chat_broker $TEST_NGINX_CHAT_REDIS_5;
chat_provider openai {
    url $TEST_NGINX_CHAT_PROVIDER;
    key env:CHAT_ENV_ONE;
    header X-Two env:CHAT_ENV_TWO;
    header X-Three a;
    model m;
}
--- asks: Other names?
--- told: -
--- sent_headers
Authorization: Bearer sk-one
X-Two: two
X-Three: a



=== the key of the environment does not go elsewhere, from a filler
--- env
OPENAI_API_KEY=sk-from-the-environment
OPENAI_BASE_URL=http://127.0.0.1:1/v1
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS_6;
chat_provider other { url $TEST_NGINX_CHAT_PROVIDER; }
--- config
location = /chat { chat other; }
--- asks: Elsewhere, queued?
--- told: -
--- sent_headers
not Authorization
not sk-from-the-environment



=== the key of the environment does not go elsewhere, from a worker
--- env
OPENAI_API_KEY=sk-from-the-environment
OPENAI_BASE_URL=http://127.0.0.1:1/v1
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS_6;
chat_provider other { url $TEST_NGINX_CHAT_PROVIDER; }
--- config
location = /chat { chat other; chat_cache off; }
--- asks: Elsewhere, directly?
--- told: -
--- sent_headers
not Authorization
not sk-from-the-environment



=== elsewhere goes the key that is named, from a filler
--- env
OPENAI_API_KEY=sk-from-the-environment
OPENAI_BASE_URL=http://127.0.0.1:1/v1
CHAT_ENV_ONE=one
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS_6;
chat_provider other { url $TEST_NGINX_CHAT_PROVIDER; key env:CHAT_ENV_ONE; }
--- config
location = /chat { chat other; }
--- asks: Named, queued?
--- told: -
--- sent_headers
Authorization: Bearer one
not sk-from-the-environment



=== elsewhere goes the key that is named, from a worker
--- env
OPENAI_API_KEY=sk-from-the-environment
OPENAI_BASE_URL=http://127.0.0.1:1/v1
CHAT_ENV_ONE=one
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS_6;
chat_provider other { url $TEST_NGINX_CHAT_PROVIDER; key env:CHAT_ENV_ONE; }
--- config
location = /chat { chat other; chat_cache off; }
--- asks: Named, directly?
--- told: -
--- sent_headers
Authorization: Bearer one
not sk-from-the-environment



=== to the default address goes the key of the environment, from a filler
--- env
OPENAI_API_KEY=sk-from-the-environment
OPENAI_BASE_URL=$TEST_NGINX_CHAT_PROVIDER/
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS_6;
chat_provider other { url $TEST_NGINX_CHAT_PROVIDER; }
--- config
location = /chat { chat other; }
--- asks: Default, queued?
--- told: -
--- sent_headers
Authorization: Bearer sk-from-the-environment



=== to the default address goes the key of the environment, from a worker
--- env
OPENAI_API_KEY=sk-from-the-environment
OPENAI_BASE_URL=$TEST_NGINX_CHAT_PROVIDER/
--- http_config
chat_redis $TEST_NGINX_CHAT_REDIS_6;
chat_provider other { url $TEST_NGINX_CHAT_PROVIDER; }
--- config
location = /chat { chat other; chat_cache off; }
--- asks: Default, directly?
--- told: -
--- sent_headers
Authorization: Bearer sk-from-the-environment
