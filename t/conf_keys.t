#!/usr/bin/perl

# The configuration of keys and what else comes from the environment, locations
# that share their keys in the cache, and what would be without effect.

use warnings;
use strict;

use Test::Base;

use lib 't/lib';
use Chat::Conf;
use Chat::Test;

plan('no_plan');

# files that are for everybody, or for a group

conf_file('open', "$SECRET\n", 0644);
conf_file('their-proxy', 'http://a:1', 0604);
conf_file('group', $SECRET, 0640);
conf_file('text', 'a', 0644);
conf_file('json', '1', 0644);

run_conf();

# and seen by all on its way, for who wants to know

foreach (['http://10.0.0.5/v1', 1], ['HTTP://llm.internal:80', 1],
         ['http://localhost.example/v1', 1], ['http://[::2]:8/v1', 1],
         ['http://127.0.0.1:8/v1', 0], ['http://localhost/v1', 0],
         ['http://LOCALHOST:8', 0], ['http://[::1]:8/v1', 0],
         ['https://10.0.0.5/v1', 0])
{
    my ($url, $told) = @$_;
    my ($status, $said) = check_conf(http => 'resolver 127.0.0.1;'
        . " chat_provider openai { url $url; key k; }");

    is($said =~ /notice.*"openai": its key goes to "\Q$url\E" unencrypted/,
       $told ? 1 : '',
       "a key in the clear: $url is " . ($told ? 'told' : 'not told'))
        or diag($said);
}

# what is told of the environment's

my %key = (OPENAI_API_KEY => $SECRET);
my ($status, $said) = check_conf(env => { %key, OPENAI_MODEL => 'their-model',
    OPENAI_BASE_URL => 'http://127.0.0.1:1/their' });

like($said, qr{openai": model "their-model" at http://127.0.0.1:1/their},
     'the log: tells model and address');

($status, $said) = check_conf(env => { %key });

like($said, qr{model "gpt-4o-mini" at https://api.openai.com/v1},
     'the log: tells the defaults');

no_leaks();
done();

__DATA__

=== no key at all
--- warned: chat provider "openai" has no key: OPENAI_API_KEY is not set



=== no key by name
--- http
chat_provider p {
    key env:NO_KEY;
}
--- locations
a        { chat p; }
--- warned: "key" has no value: environment variable "NO_KEY" is not set



=== an empty variable is none
--- env
OPENAI_API_KEY=
--- warned: OPENAI_API_KEY is not set



=== no key for a command
--- warned: is not set in the environment of this command;



=== no named key for a command
--- http
chat_provider p {
    key env:NO_KEY;
}
--- locations
a        { chat p; }
--- warned: is not set in the environment of this command;



=== a url of its own, no key
--- http
chat_provider openai { url http://127.0.0.1:1/v1; }
--- env
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== a url of its own, OPENAI_API_KEY
--- http
chat_provider openai { url http://127.0.0.1:1/v1; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== a url of its own, OPENAI_API_KEY, OPENAI_BASE_URL
--- http
chat_provider openai { url http://127.0.0.1:1/v1; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
OPENAI_BASE_URL=http://127.0.0.1:2
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== another url, http://api.openai.com/v1
--- http
chat_provider openai { url http://api.openai.com/v1; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== another url, https://api.openai.com/v1x
--- http
chat_provider openai { url https://api.openai.com/v1x; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== another url, https://api.openai.com
--- http
chat_provider openai { url https://api.openai.com; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== another url, https://api.openai.com.example/v1
--- http
chat_provider openai { url https://api.openai.com.example/v1; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== the default, where there is another
--- http
chat_provider openai { url https://api.openai.com/v1; }
--- env
OPENAI_BASE_URL=https://127.0.0.1/v1
--- warned
chat provider "openai" has no key: OPENAI_API_KEY is for the default "url" alone



=== the default url in words
--- http
chat_provider openai { url https://api.openai.com/v1/; }
--- accepted



=== that of the environment
--- http
chat_provider openai { url http://127.0.0.1:1/v1; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
OPENAI_BASE_URL=http://127.0.0.1:1/v1//
--- accepted



=== for all to read: key
--- http
chat_provider p {
    key file:%%DIR%%/open;
}
--- locations
a        { chat p; }
--- warned: "key": "%%DIR%%/open" can be .* mode is 0644



=== for all to read: header
--- http
chat_provider p {
    header X-Key file:%%DIR%%/open;
    key k;
}
--- locations
a        { chat p; }
--- warned: "header": "%%DIR%%/open" can be .* mode is 0644



=== for all to read: chat_redis_password
--- http
chat_redis_password file:%%DIR%%/open;
--- env
OPENAI_API_KEY=k
--- warned: "chat_redis_password": "%%DIR%%/open" can be .* mode is 0644



=== for all to read: chat_redis_sentinel_password
--- http
chat_redis_sentinel_password file:%%DIR%%/open;
--- env
OPENAI_API_KEY=k
--- warned
"chat_redis_sentinel_password": "%%DIR%%/open" can be .* mode is 0644



=== for all to read: proxy
--- http
chat_provider p {
    proxy file:%%DIR%%/their-proxy;
    key k;
}
--- locations
a        { chat p; }
--- warned: "proxy": .* is 0604



=== for a group: key
--- http
chat_provider p {
    key file:%%DIR%%/group;
}
--- locations
a        { chat p; }
--- accepted



=== for a group: header X
--- http
chat_provider p {
    header X file:%%DIR%%/group;
    key k;
}
--- locations
a        { chat p; }
--- accepted



=== files without a secret
--- http
chat_provider p {
    system file:%%DIR%%/text; param a file:%%DIR%%/json;
    key k;
}
--- locations
a        { chat p; }
--- accepted



=== a key that is empty on purpose
--- http
chat_provider p {
    key "";
}
--- locations
a        { chat p; }
--- env
--- accepted



=== a key that cannot be a header
--- env
OPENAI_API_KEY=sk-T0p-s3cret<0d><0a>X: y
--- refused: OPENAI_API_KEY holds control



=== a model that cannot be a header
--- env
OPENAI_MODEL=m<0a>X: y
--- refused: OPENAI_MODEL .* holds control



=== a named key that cannot be a header
--- http
chat_provider p {
    key env:MY_SECRET;
}
--- locations
a        { chat p; }
--- env
MY_SECRET=sk-T0p-s3cret<0a>
--- refused: "key" holds control



=== settings in the environment
--- env
CACHE_TTL_SECONDS=60
CELERY_BROKER_URL=redis://:sk-T0p-s3cret@127.0.0.1:6379/2
OPENAI_API_KEY=sk-T0p-s3cret
REDIS_URL=redis://:sk-T0p-s3cret@127.0.0.1:6379/1
--- accepted



=== a socket in the environment
--- env
CELERY_BROKER_URL=unix:/tmp/b
OPENAI_API_KEY=sk-T0p-s3cret
REDIS_URL=unix:/tmp/redis.sock
--- accepted



=== brokers of another kind
--- where: env
--- warned
CELERY_BROKER_URL=amqp://guest:sk-T0p-s3cret@127.0.0.1//
    => CELERY_BROKER_URL names none and is ignored
CELERY_BROKER_URL=sentinel://:sk-T0p-s3cret@a:1
    => CELERY_BROKER_URL names none and is ignored
CELERY_BROKER_URL=redis+socket:///tmp/sk-T0p-s3cret
    => CELERY_BROKER_URL names none and is ignored



=== URLs in the environment that cannot be
--- where: env
--- refused
REDIS_URL=http://:sk-T0p-s3cret@127.0.0.1
    => "chat_redis", by default REDIS_URL,.*a Redis URL begins
REDIS_URL=redis://:sk-T0p-s3cret@127.0.0.1:x
    => "chat_redis", by default REDIS_URL,.*invalid port
CELERY_BROKER_URL=redis://:sk-T0p-s3cret@127.0.0.1:x
    => "chat_broker", by default CELERY_BROKER_URL,.*invalid port



=== times to live in the environment that cannot be
--- where: env
--- refused
CACHE_TTL_SECONDS=0
    => "chat_cache_ttl", by default CACHE_TTL_SECONDS,
CACHE_TTL_SECONDS=-1
    => "chat_cache_ttl", by default CACHE_TTL_SECONDS,
CACHE_TTL_SECONDS=x
    => "chat_cache_ttl", by default CACHE_TTL_SECONDS,
CACHE_TTL_SECONDS=1h
    => "chat_cache_ttl", by default CACHE_TTL_SECONDS,
CACHE_TTL_SECONDS=1.5
    => "chat_cache_ttl", by default CACHE_TTL_SECONDS,
CACHE_TTL_SECONDS= 1
    => "chat_cache_ttl", by default CACHE_TTL_SECONDS,
CACHE_TTL_SECONDS=99999999999999999999
    => "chat_cache_ttl", by default CACHE_TTL_SECONDS,



=== a wrong OPENAI_BASE_URL
--- env
OPENAI_API_KEY=sk-T0p-s3cret
OPENAI_BASE_URL=x
--- refused: url



=== a wrong OPENAI_MODEL
--- env
OPENAI_API_KEY=sk-T0p-s3cret
OPENAI_MODEL=<ff>
--- refused: OPENAI_MODEL is not valid UTF-8



=== what is configured wins
--- http
chat_redis redis://127.0.0.1;
chat_broker redis://127.0.0.1; chat_cache_ttl 1;
chat_provider openai { url http://a; key b; model c; }
--- env
CACHE_TTL_SECONDS=x
CELERY_BROKER_URL=redis://:x
OPENAI_API_KEY=<0a>
OPENAI_BASE_URL=x
OPENAI_MODEL=<ff>
REDIS_URL=x
--- accepted



=== nobody says chat: nothing is looked at
--- locations
a        { return 204; }
--- env
CACHE_TTL_SECONDS=x
CELERY_BROKER_URL=redis://:x
OPENAI_BASE_URL=x
REDIS_URL=x
--- accepted



=== shared keys
--- http
chat_provider a { model a; }
chat_provider b { model b; }
--- locations
a        { chat a; }
b        { chat b; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned: chat locations share "chat_cache_key



=== shared keys, system text
--- http
chat_provider a { model a; }
chat_provider b { model a; system x; }
--- locations
a        { chat a; }
b        { chat b; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned: chat locations share "chat_cache_key



=== the same provider twice
--- http
chat_provider a { model a; } chat_provider b { model b; }
--- locations
a        { chat a; }
b        { chat a; }
--- accepted



=== the same settings under two names
--- http
chat_provider a { model a; } chat_provider b { model a; }
--- locations
a        { chat a; }
b        { chat b; }
--- accepted



=== one with another key
--- http
chat_provider a { model a; } chat_provider b { model b; }
--- locations
a        { chat a; }
b        { chat b; chat_cache_key b$chat_question; }
--- accepted



=== one with another scope
--- http
chat_provider a { model a; } chat_provider b { model b; }
--- locations
a        { chat a; }
b        { chat b; chat_cache_scope b; }
--- accepted



=== one without a cache
--- http
chat_provider a { model a; } chat_provider b { model b; }
--- locations
a        { chat a; }
b        { chat b; chat_cache off; }
--- accepted



=== an "if" in between
--- http
chat_provider a { model a; } chat_provider b { model b; }
--- locations
a        { chat a; if ($arg_x) { set $y 1; } }
--- accepted



=== a group for the filler
--- http
upstream no-such-host.invalid { server 127.0.0.1:80; }
chat_provider g { url http://no-such-host.invalid/v1; key k; }
--- locations
a        { chat g; chat_cache off; }
b        { chat g; }
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned: "g": upstream "no-such-host.invalid" is for the d



=== a group for the direct path alone
--- http
upstream no-such-host.invalid { server 127.0.0.1:80; }
chat_provider g { url http://no-such-host.invalid/v1; key k; }
--- locations
a        { chat g; chat_cache off; }
--- accepted



=== a group, without Redis
--- http
chat_redis off; upstream no-such-host.invalid { server 127.0.0.1:80; }
chat_provider g { url http://no-such-host.invalid/v1; key k; }
--- locations
a        { chat g; }
--- accepted



=== a group, and a proxy
--- http
upstream no-such-host.invalid { server 127.0.0.1:80; }
chat_provider g { url http://no-such-host.invalid/v1; key k;
                  proxy http://127.0.0.1:1; }
--- locations
a        { chat g; }
--- accepted



=== a group by a name that is found
--- http
upstream localhost { server 127.0.0.1:80; }
chat_provider g { url http://localhost/v1; key k; }
--- locations
a        { chat g; }
--- accepted



=== a group named as an address
--- http
upstream [::1] { server 127.0.0.1:80; }
chat_provider g { url http://[::1]/v1; key k; }
--- locations
a        { chat g; }
--- accepted
