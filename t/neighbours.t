#!/usr/bin/perl

# What nginx and its modules do in the same location, and in the same instance:
# limits, subrequests, addresses, filters, HTTP/2, scripts, helper processes,
# threads, and streams of TCP.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $MODULES = '/usr/lib/nginx/modules';

# A filler is forked by a worker that has these.  libc's allocator can do that,
# the sanitizers' hangs in it if a thread has just its lock.

my ($POOL, $AIO) = $ENV{CHAT_NGINX} ? ('', '')
    : ('thread_pool slow threads=2 max_queue=100;', 'aio threads=slow;');

my $redis = start_redis();
my $provider = start_provider(chunks => 4);
my $nginx = new_nginx(redis => $redis, provider => $provider, workers => 1,
    lead => 'on', no_leaks => 1,
    load => join('', map { "load_module $_;\n" }
        ($ENV{CHAT_NGINX} ? () : Chat::Nginx::root()
                                 . '/build/ngx_chat_module.so'),
        map { "$MODULES/$_.so" } qw(ndk_http_module ngx_http_lua_module
            ngx_http_js_module ngx_http_headers_more_filter_module
            ngx_stream_module)),
    main => <<EOT,
$POOL
stream {
    server { listen 127.0.0.1:%%PORT_2%%; proxy_pass 127.0.0.1:%%PORT%%; }
}
EOT
    http => <<'EOT',
    limit_req_zone $server_name zone=rate:1m rate=1r/m;
    limit_conn_zone $server_name zone=clients:1m;
    proxy_cache_path %%DIR%%/cache keys_zone=pages:1m;
    js_import at from %%DIR%%/at.js;
    log_format address '$remote_addr $chat_status';
EOT
    server => <<'EOT' =~ s/AIO/$AIO/r,
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /limit_req { chat; limit_req zone=rate burst=1 nodelay; }
        location = /limit_conn { chat; limit_conn clients 2; }

        location = /auth_request {
            chat;
            auth_request /auth;
            auth_request_set $tenant $upstream_http_x_tenant;
            chat_cache_scope $tenant;
        }
        location = /auth {
            proxy_pass http://127.0.0.1:%%PORT%%/who;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }
        location = /who { add_header X-Tenant $http_x_user; return 204; }

        location = /real_ip {
            chat;
            set_real_ip_from 127.0.0.1;
            real_ip_header X-Forwarded-For;
            chat_miss_limit $binary_remote_addr rate=1r/m;
            access_log %%DIR%%/address.log address;
        }

        location = /gzip { chat; gzip on; gzip_types text/event-stream; }

        location = /more {
            chat;
            more_set_headers "X-More: here";
            more_clear_headers Server;
        }

        location = /lua {
            chat;
            access_by_lua_block {
                ngx.req.read_body()
                ngx.req.set_header("X-Seen", #ngx.req.get_body_data())
            }
            header_filter_by_lua_block { ngx.header["X-Lua"] = "here" }
            body_filter_by_lua_block {
                ngx.ctx.bytes = (ngx.ctx.bytes or 0) + #(ngx.arg[1] or "")
            }
            log_by_lua_block {
                ngx.log(ngx.NOTICE, "lua saw ", ngx.ctx.bytes, " bytes, ",
                        ngx.var.chat_status)
            }
        }

        location = /njs {
            chat;
            js_header_filter at.header;
            js_body_filter at.body buffer_type=string;
        }

        location = /threads {
            chat;
            AIO
            client_body_in_file_only clean;
        }

        location /pages {
            proxy_pass http://127.0.0.1:%%PORT%%/page;
            proxy_cache pages;
            proxy_cache_valid 1m;
            add_header X-Cache $upstream_cache_status;
        }
        location /page { return 200 $request_id; }

        location = /behind {
            proxy_pass http://127.0.0.1:%%PORT%%/chat;
            proxy_cache pages;
            proxy_cache_methods GET HEAD POST;
            proxy_pass_header X-Accel-Buffering;
            proxy_cache_valid 1m;
        }
EOT
);
my $number = 0;

open(my $js, '>', $nginx->dir . '/at.js') or die "at.js: $!\n";
print $js <<'EOT';
function header(r) { r.headersOut['X-Njs'] = 'here'; }
function body(r, data, flags) { r.sendBuffer(data, flags); }
export default {header, body};
EOT
close($js);
$nginx->start;


sub question { return "Who is here, number " . ++$number . "? $_[0]" }


# a miss and a hit there; the miss

sub both_ok {
    my ($path, $name, %more) = @_;
    my %ask = (path => $path, question => question($name), %more);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $miss = ask($nginx, \%ask);

    stream_ok($miss, "$name: a miss",
              chunks => [ pieces_of($ask{question}, chunks => 4) ]);
    stream_ok(scalar ask($nginx, \%ask), "$name: a hit",
              chunks => [ pieces_of($ask{question}, chunks => 4) ]);

    return $miss;
}


# limit_req counts requests, hits too; limit_conn frees what has ended

both_ok('/limit_req', 'limit_req');
is(ask($nginx, { path => '/limit_req', question => 'x' })->{status}, 503,
   'limit_req: one too many');

{
    provider_set($provider, upto => 1);

    my $seen = 0;
    my @asks = map {
        { path => '/limit_conn', question => question('long'),
          on_event => sub { $seen++ if $_[1]{status} eq 'streaming' } }
    } 1 .. 2;

    # one more while both stream; they go on when it is refused

    my @all = ask($nginx, @asks,
        { path => '/limit_conn', question => question('third'),
          after => sub { $seen >= 2 } },
        { method => 'GET', path => '/page', after => sub {
            return $nginx->error_log =~ /limiting connections/
                && provider_set($provider, upto => 'inf');
        } });

    is($all[2]{status}, 503, 'limit_conn: a third one is refused');
    stream_ok($all[$_], "limit_conn: stream $_") foreach 0, 1;
    both_ok('/limit_conn', 'limit_conn: when they have ended');
}

# auth_request lets it pass, with the body, and names the tenant

{
    my $question = question('auth_request');
    my ($one, $two, $again) = map {
        scalar ask($nginx, { path => '/auth_request', question => $question,
                             headers => { 'X-User' => $_ } })
    } 'a', 'b', 'a';

    stream_ok($one, 'auth_request: an answer', cache => qr/fwd=miss$/);
    stream_ok($two, 'auth_request: another tenant', cache => qr/fwd=miss$/);
    stream_ok($again, 'auth_request: a hit of the first', cache => qr/; hit/);
}

# real_ip: the address of the client behind a proxy counts, and is logged

{
    my @all = map {
        scalar ask($nginx, { path => '/real_ip', question => question('ip'),
            headers => { 'X-Forwarded-For' => $_ } })
    } '192.0.2.1', '192.0.2.2', '192.0.2.1';

    is(join(' ', map { $_->{status} } @all), '200 200 429',
       'real_ip: each client has a limit of its own');
    ok(wait_for(sub {
        read_file($nginx->dir . '/address.log') eq "192.0.2.1 completed\n"
            . "192.0.2.2 completed\n192.0.2.1 error\n"
    }, 5, 'the log'), 'real_ip: clients in the log');
}

# gzip: a chunk arrives before the next one is there; so with HTTP/2

foreach my $case ([ 'gzip', 0, '/gzip', '--compressed' ],
                  [ 'HTTP/2', 1, '/chat', '--http2-prior-knowledge' ])
{
    my ($name, $n, $path, @options) = @$case;
    my $port = $n ? $nginx->{ports}->($n) : $nginx->{port};
    my $question = question($name);

    provider_set($provider, upto => 1);
    open(my $curl, '-|', 'curl', '-sN', '-D', $nginx->dir . "/head.$n",
         '--max-time', 20, @options, '-d', '{"question": "' . $question . '"}',
         '-H', 'Content-Type: application/json',
         "http://127.0.0.1:$port$path") or die "curl: $!\n";

    my $got = '';

    while (defined(my $line = readline($curl))) {
        $got .= $line;
        provider_set($provider, upto => 'inf') if $line =~ /"streaming"/;
    }

    close($curl);
    like($got, qr/"streaming".*"completed", "chunk": "\Q@{[ join('',
             pieces_of($question, chunks => 4)) ]}\E"/s, "$name: an answer");
    like(read_file($nginx->dir . "/head.$n"),
         $name eq 'gzip' ? qr/^Content-Encoding: gzip\r$/mi : qr/^HTTP\/2 200/,
         "$name: it was");
}

# headers-more, Lua and njs in the same location

{
    my $q = both_ok('/more', 'headers-more');

    is($q->{headers}{'x-more'}, 'here', 'headers-more: a header is set');
    ok(!exists $q->{headers}{server}, 'headers-more: one is cleared');

    $q = both_ok('/lua', 'Lua');
    is($q->{headers}{'x-lua'}, 'here', 'Lua: a header is set');
    like($nginx->error_log, qr/lua saw @{[ length($q->{body}) ]} bytes, completed/,
         'Lua: it has seen all, and the result');

    $q = both_ok('/njs', 'njs');
    is($q->{headers}{'x-njs'}, 'here', 'njs: a header is set');
}

# threads of a pool, a body in a file; TCP through a stream

both_ok('/threads', 'thread_pool');
stream_ok(scalar ask($nginx, { port => $nginx->{ports}->(2),
                               question => question('stream') }),
          'stream: an answer through it');

# proxy_cache: its helper processes are none of ours, and it caches no answer

my ($one, $two) = map { get($nginx, '/pages') } 1 .. 2;

is($two->{headers}{'x-cache'}, 'HIT', 'proxy_cache: a page from its cache');
is($two->{body}, $one->{body}, 'proxy_cache: the same one');
both_ok('/behind', 'proxy_cache in front');

my ($q) = ask($nginx, { path => '/behind', question => question('other') });

stream_ok($q, 'proxy_cache in front: another question has its own answer',
          cache => qr/fwd=miss$/);

my ($manager) = grep { Chat::Nginx::title($_) =~ /cache manager/ } $nginx->pids;

ok($manager, 'proxy_cache: its manager runs');
is(scalar(my @fillers = $nginx->filler_pids), 1, 'proxy_cache: one filler');
is(scalar(grep { Chat::Nginx::parent($_) == $manager } $nginx->filler_pids),
   0, 'proxy_cache: the manager has no filler');
unlike($nginx->error_log, qr/ $manager#$manager: chat /,
       'proxy_cache: the manager says nothing of ours');
ok($nginx->reload, 'all of them: reload succeeds');
both_ok('/chat', 'all of them, reloaded');
ok($nginx->stop, 'all of them: nginx quits');

done();
