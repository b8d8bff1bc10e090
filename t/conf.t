#!/usr/bin/perl

# The configuration: what is accepted, and what is refused with which message.
# Of providers it is in conf_providers.t, of keys and the environment in
# conf_keys.t.

use warnings;
use strict;

use Test::Base;

use lib 't/lib';
use Chat::Conf;
use Chat::Test;

plan('no_plan');

conf_file('password', "$SECRET\n");

run_conf();
no_leaks();
done();

__DATA__

=== nothing but "chat"
--- accepted



=== implicit provider by name
--- locations
a        { chat openai; }
--- accepted



=== providers in order
--- http
chat_provider a { model a; } chat_provider b { model a; }
--- locations
a        { chat a b; }
--- accepted



=== a provider that is defined later
--- servers
server { listen %%PORT%%; location = /a { chat z; } } chat_provider z { }
--- accepted



=== implicit provider beside others
--- http
chat_provider a { model a; } chat_provider b { model a; }
--- locations
a        { chat a openai b; }
--- accepted



=== health in both forms
--- locations
a        { chat_health; }
b        { chat_health full; }
--- accepted



=== "chat" twice
--- where: location
--- refused
chat => is duplicate



=== where "chat" cannot be
--- where: http server
--- refused
chat => is not allowed here



=== where "chat_health" cannot be
--- where: server
--- refused
chat_health => is not allowed here



=== metrics
--- locations
a        { chat_metrics; }
--- accepted



=== where "chat_metrics" cannot be
--- where: http server
--- refused
chat_metrics => is not allowed here



=== chat_metrics twice
--- locations
a        { chat_metrics; chat_metrics; }
--- refused: "chat_metrics" directive is duplicate



=== chat_metrics with a word
--- locations
a        { chat_metrics full; }
--- refused: number of arguments in "chat_metrics"



=== unknown provider
--- locations
a        { chat nobody; }
--- refused: "chat" names an unknown provider "nobody"



=== a provider named twice
--- http
chat_provider a { model a; } chat_provider b { model a; }
--- locations
a        { chat a b a; }
--- refused: "chat" names the provider "a" twice



=== chat_health twice
--- locations
a        { chat_health; chat_health full; }
--- refused: "chat_health" directive is duplicate



=== health with another word
--- locations
a        { chat_health all; }
--- refused: "chat_health" has an invalid value "all"



=== health with two words
--- locations
a        { chat_health full full; }
--- refused: number of arguments in "chat_health"



=== chat_purge
--- locations
a        { chat_purge; chat_cache_scope $remote_user; deny all; }
b        { chat_purge; if ($arg_a) { set $a b; } }
--- accepted



=== chat_purge twice
--- locations
a        { chat_purge; chat_purge; }
--- refused: "chat_purge" directive is duplicate



=== chat_purge with a word
--- locations
a        { chat_purge all; }
--- refused: number of arguments in "chat_purge"



=== where "chat_purge" cannot be
--- where: server
--- refused
chat_purge => is not allowed here



=== two that answer in one location
--- where: location
--- refused
chat_purge    => "chat_purge" cannot be in the same location as "chat"
chat_metrics  => "chat_metrics" cannot be in the same location as "chat"
chat_health   => "chat_health" cannot be in the same location as "chat"



=== the same the other way round
--- locations
a        { chat_purge; chat; }
--- refused: "chat" cannot be in the same location as "chat_purge"



=== two pages in one location
--- locations
a        { chat_metrics; chat_health full; }
--- refused: "chat_health" cannot be in the same location as "chat_metrics"



=== two that answer in one location, of different requests
--- locations
a        { chat; if ($request_method = DELETE) { chat; } }
b        { chat_purge; limit_except DELETE { chat; } }
--- accepted



=== where Redis is
--- where: http
--- accepted
chat_redis redis://127.0.0.1
chat_redis redis://127.0.0.1:6380
chat_redis redis://localhost/3
chat_redis redis://127.0.0.1:6380/15
chat_redis redis://127.0.0.1/
chat_redis redis://[::1]:6379/0
chat_redis redis://:password@127.0.0.1:6379/0
chat_redis redis://user:p%40ss@127.0.0.1
chat_redis REDIS://127.0.0.1
chat_redis rediss://user:p%40ss@[::1]:6380/2
chat_redis unix:/tmp/redis.sock
chat_redis unix:/tmp/redis.sock?db=3
chat_redis redis+sentinel://127.0.0.1/mymaster
chat_redis rediss+sentinel://u:p@127.0.0.1:26380,[::1],localhost/mymaster/3
chat_redis "redis+sentinel://127.0.0.1/m?sentinel_password=p"
chat_redis redis://no-such-host.invalid/0; resolver 127.0.0.1
chat_redis redis+sentinel://no-such-host.invalid/m/0; resolver 127.0.0.1
upstream Redis.1 { server 127.0.0.1:6379; } chat_redis redis://redis.1/3
upstream Redis.1 { server 127.0.0.1:6379; server 127.0.0.1:6380 backup; }
    chat_redis redis://redis.1/3
upstream Redis.1 { server 127.0.0.1:6379; least_conn; }
    chat_redis redis://redis.1/3
upstream Redis.1 { server 127.0.0.1:6379; random; } chat_redis redis://redis.1/3
upstream Redis.1 { server 127.0.0.1:6379; random two; }
    chat_redis redis://redis.1/3
upstream Redis.1 { server 127.0.0.1:6379; zone redis 64k; }
    chat_redis redis://redis.1/3
upstream Redis.1 { server 127.0.0.1:6379; zone redis 64k; random two; }
    chat_redis redis://redis.1/3
chat_redis_sentinel_password sk-T0p-s3cret
chat_redis_sentinel_password ""



=== where Redis cannot be
--- where: http
--- refused
chat_redis_sentinel_password                 => number of arguments
chat_redis_sentinel_password file:/no/such/file => /no/such/file
chat_redis_sentinel_password a; chat_redis_sentinel_password b => is duplicate
chat_redis off; chat_redis off               => is duplicate
chat_redis off; chat_redis redis://127.0.0.1 => is duplicate
chat_direct_limit 0                          => must be from 1 to 10000
chat_direct_limit 10001                      => must be from 1 to 10000
chat_direct_limit x                          => invalid number
chat_redis http://127.0.0.1                  => a Redis URL begins with
chat_redis 127.0.0.1:6379                    => a Redis URL begins with
chat_redis redis+sentinel://127.0.0.1        => no name of a master
chat_redis redis+sentinel://a/m?sentinel_password=sk-T0p-s3cret%g => hexadecimal
chat_redis redis+sentinel://127.0.0.1/m?db=1 => only "sentinel_
chat_redis redis+sentinel://127.0.0.1,no-such-host.invalid/m => host not found
upstream r { server 127.0.0.1:6379; } chat_redis redis://r:6379
    => "chat_redis" may not give a port to the upstream "r"
upstream r { server 127.0.0.1:6379; ip_hash; } chat_broker redis://r/1
    => "chat_broker" names the upstream "r", which is balanced
upstream r { server 127.0.0.1:6379; hash $uri; } chat_redis redis://r
    => is balanced by a method that may need a request
upstream r { server 127.0.0.1:6379; hash a consistent; } chat_redis redis://r
    => is balanced by a method
chat_redis redis://                          => no host
chat_redis rediss:///0                       => no host
chat_redis rediss://127.0.0.1/0?x=1          => no parameters
chat_redis redis://:6379                     => no host
chat_redis redis:///0                        => no host
chat_redis redis://127.0.0.1:0               => invalid port
chat_redis redis://127.0.0.1:65536           => invalid port
chat_redis redis://127.0.0.1:x               => invalid port
chat_redis redis://127.0.0.1/x               => database
chat_redis redis://127.0.0.1/-1              => database
chat_redis redis://127.0.0.1/0?x=1           => no parameters
chat_redis "redis://127.0.0.1/0 1"           => a space
chat_redis redis://no-such-host.invalid/0    => host not found
chat_redis redis://a:b%zz@127.0.0.1          => hexadecimal
chat_redis unix:relative                     => a socket is written
chat_redis unix:/tmp/s?x=1                   => db=number
chat_redis unix:/tmp/s?db=x                  => database
chat_redis ""                                => a Redis URL begins with
chat_redis                                   => number of arguments
chat_redis redis://127.0.0.1; chat_redis redis://127.0.0.1 => is duplicate
chat_redis redis://:sk-T0p-s3cret@127.0.0.1:x => invalid port
chat_redis http://:sk-T0p-s3cret@127.0.0.1   => a Redis URL begins with
chat_redis redis://:sk-T0p-s3cret%g@127.0.0.1 => hexadecimal



=== Redis is for the whole of http
--- where: server
--- refused
chat_redis redis://127.0.0.1 => is not allowed here



=== the broker
--- where: http
--- accepted
chat_broker redis://127.0.0.1/1
chat_broker unix:/tmp/redis.sock?db=2



=== where the broker cannot be
--- where: http
--- refused
chat_broker amqp://127.0.0.1                => a Redis URL begins with
chat_broker amqp://:sk-T0p-s3cret@127.0.0.1 => a Redis URL begins with
chat_broker redis://127.0.0.1/x             => database
chat_broker off                             => a Redis URL begins with
chat_broker redis://127.0.0.1; chat_broker redis://127.0.0.1 => is duplicate



=== the password of Redis
--- where: http
--- accepted
chat_redis_password sk-T0p-s3cret
chat_redis_password file:%%DIR%%/password
chat_redis_password file:password
chat_redis_password ""



=== a password from the environment
--- http
chat_redis_password env:MY_SECRET;
--- env
MY_SECRET=sk-T0p-s3cret
OPENAI_API_KEY=k
--- accepted



=== a password that is not in the environment
--- http
chat_redis_password env:MY_SECRET;
--- warned: "chat_redis_password" has no value: .* "MY_SECRET" is not set



=== passwords that cannot be
--- where: http
--- refused
chat_redis_password file:/no/such/file => /no/such/file
chat_redis_password file:%%DIR%%       => is not a regular file
chat_redis_password sk-T0p-s3cret; chat_redis_password sk-T0p-s3cret
    => is duplicate
chat_redis_password sk-T0p-s3cret sk-T0p-s3cret => number of arguments



=== the zone
--- where: http
--- accepted
chat_zone chat 32m
chat_zone another 64k
chat_zone off



=== zones that cannot be
--- where: http
--- refused
chat_zone on              => "chat_zone" has an invalid value "on"
chat_zone chat            => "chat_zone" has an invalid value "chat"
chat_zone chat 32x        => "chat_zone" has an invalid size "32x"
chat_zone chat 63k        => "chat_zone" has an invalid size "63k"
chat_zone chat 65g        => "chat_zone" has an invalid size "65g"
chat_zone chat -1         => "chat_zone" has an invalid size "-1"
chat_zone                 => number of arguments
chat_zone a 1m b          => number of arguments
chat_zone a 1m; chat_zone b 1m => is duplicate



=== fillers
--- where: http
--- accepted
chat_fill processes=2
chat_fill concurrency=1
chat_fill processes=1 concurrency=1000
chat_fill concurrency=5 processes=2



=== fillers that cannot be
--- where: http
--- refused
chat_fill processes=0             => "chat_fill" has an invalid value
chat_fill processes=-1            => "chat_fill" has an invalid value
chat_fill processes=x             => "chat_fill" has an invalid value
chat_fill processes=              => "chat_fill" has an invalid value
chat_fill processes=100000        => "chat_fill" has an invalid value
chat_fill concurrency=0           => "chat_fill" has an invalid value
chat_fill concurrency=10000000000000000000000
    => "chat_fill" has an invalid value
chat_fill workers=1               => "chat_fill" has an invalid value
chat_fill 3                       => "chat_fill" has an invalid value
chat_fill processes=1 processes=2 => "chat_fill" has an invalid value
chat_fill                         => number of arguments
chat_fill processes=1; chat_fill concurrency=1 => is duplicate



=== the queue
--- where: http
--- accepted
chat_queue_limit 1
chat_queue_limit 1000000
chat_queue_timeout 500ms
chat_queue_timeout 365000d
chat_hub_memory 1m
chat_hub_memory 4096M



=== queues that cannot be
--- where: http
--- refused
chat_queue_limit 0       => must be from 1 to 1000000
chat_queue_limit 1000001 => must be from 1 to 1000000
chat_queue_limit x       => invalid number
chat_queue_timeout 0     => "chat_queue_timeout" must not be 0
chat_queue_timeout x     => invalid value
chat_queue_timeout 365001d => "chat_queue_timeout" must not be above 365000d
chat_hub_memory 1023k    => must be at least 1m
chat_hub_memory 1x       => invalid value



=== what http, server and location may have
--- where: http server location
--- accepted
chat_cache off
chat_cache on
chat_cache_ttl 60
chat_cache_ttl 1h
chat_cache_ttl 500ms
chat_cache_stale 0
chat_cache_stale 1d
chat_cache_stale 500ms
chat_cache_key $chat_question
chat_cache_key "${chat_question}x$host"
chat_cache_key $http_x$Chat_Question
chat_cache_scope $remote_user
chat_bypass on
chat_bypass off
chat_bypass $http_x
chat_max_question 1k
chat_max_answer 10m
chat_heartbeat 5s
chat_abandon finish
chat_abandon cancel
chat_abandon cancel grace=500ms
chat_redis_down error
chat_redis_down direct
chat_cache_status off



=== what they may not have
--- where: location
--- refused
chat_cache maybe                         => invalid value
chat_cache on; chat_cache on             => is duplicate
chat_cache_ttl x                         => invalid value
chat_cache_ttl -1                        => invalid value
chat_cache_ttl 0                         => "chat_cache_ttl" must not be 0
chat_cache_ttl 365001d   => "chat_cache_ttl" must not be above 365000d
chat_cache_ttl 100000000000d => "chat_cache_ttl" must not be above 365000d
chat_cache_stale 365001d => "chat_cache_stale" must not be above 365000d
chat_abandon cancel grace=365001d => "chat_abandon" must not be above 365000d
chat_cache_stale x                       => invalid value
chat_cache_stale off                     => invalid value
chat_cache_stale 1; chat_cache_stale 2   => is duplicate
chat_cache_ttl 1; chat_cache_ttl 2       => is duplicate
chat_cache_key ""                        => must contain
chat_cache_key $host                     => must contain
chat_cache_key chat_question             => must contain
chat_cache_key $chat_question_mark       => must contain
chat_cache_key ${chat_questions}         => must contain
chat_cache_key $chat_question; chat_cache_key $chat_question => is duplicate
chat_cache_scope a; chat_cache_scope b   => is duplicate
chat_bypass                              => number of arguments
chat_bypass of => "chat_bypass" has an invalid value "of"
chat_bypass "" => "chat_bypass" has an invalid value ""
chat_bypass on; chat_bypass on           => is duplicate
chat_max_question x                      => invalid value
chat_max_question 0                      => "chat_max_question" must not be 0
chat_max_answer 1t                       => invalid value
chat_max_answer 0                        => "chat_max_answer" must not be 0
chat_max_answer 33m                      => must not be above 32m
chat_abandon                             => number of arguments
chat_abandon stop => "chat_abandon" has an invalid value "stop"
chat_abandon cancel 3s => "chat_abandon" has an invalid value "3s"
chat_abandon cancel grace=x              => invalid value "grace=x"
chat_abandon cancel; chat_abandon finish => is duplicate
chat_redis_down maybe => "chat_redis_down" has an invalid value "maybe"
chat_heartbeat x                         => invalid value
chat_heartbeat 0                         => "chat_heartbeat" must not be 0
chat_cache_status 1                      => invalid value



=== a variable that nobody knows, in a key
--- location
chat_cache_key $chat_question$nothing;
--- refused: unknown "nothing" variable



=== a variable that nobody knows, in a scope
--- location
chat_cache_scope $nothing;
--- refused: unknown "nothing" variable



=== a variable that nobody knows, in chat_bypass
--- location
chat_bypass $nothing;
--- refused: unknown "nothing" variable



=== limits
--- where: location
--- accepted
chat_miss_limit $remote_addr rate=1r/s
chat_miss_limit $remote_addr rate=1000000r/s burst=1000000
chat_miss_limit $remote_addr rate=1r/d burst=364
chat_miss_limit all rate=1r/h
chat_miss_limit off
chat_miss_limit $remote_addr rate=10r/m burst=0



=== limits that cannot be
--- where: location
--- refused
chat_miss_limit rate=1r/s                            => needs a rate
chat_miss_limit $remote_addr                         => needs a rate
chat_miss_limit on                                   => needs a rate
chat_miss_limit $remote_addr rate=0r/m               => invalid value
chat_miss_limit $remote_addr rate=r/m                => invalid value
chat_miss_limit $remote_addr rate=1                  => invalid value
chat_miss_limit $remote_addr rate=1r/w               => invalid value
chat_miss_limit $remote_addr rate=1r/mm              => invalid value
chat_miss_limit $remote_addr rate=-1r/m              => invalid value
chat_miss_limit $remote_addr rate=1.5r/m             => invalid value
chat_miss_limit $remote_addr rate=1000001r/s         => invalid value
chat_miss_limit $remote_addr rates=1r/m              => invalid value
chat_miss_limit $remote_addr burst=1                 => invalid value
chat_miss_limit $remote_addr off                     => invalid value
chat_miss_limit $remote_addr rate=1r/m burst         => invalid value
chat_miss_limit $remote_addr rate=1r/m burst=        => invalid value
chat_miss_limit $remote_addr rate=1r/m burst=-1      => invalid value
chat_miss_limit $remote_addr rate=1r/m burst=1000001 => invalid value
chat_miss_limit $remote_addr rate=1r/d burst=365     => invalid value
chat_miss_limit $remote_addr rate=1r/m nodelay       => invalid value
chat_miss_limit $remote_addr rate=1r/s; chat_miss_limit off
    => directive is duplicate



=== a limit without Redis
--- http
chat_redis off; chat_miss_limit $remote_addr rate=1r/s;
--- env
OPENAI_API_KEY=sk-T0p-s3cret
--- warned: "chat_miss_limit" limits nothing



=== no limit without Redis
--- http
chat_redis off;
chat_miss_limit $remote_addr rate=1r/s;
--- location
chat_miss_limit off;
--- accepted
