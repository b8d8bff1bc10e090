#!/usr/bin/perl

# chat_purge: what it removes and what it leaves, by question and by key, with
# keys of locations and scopes; readers and generations meanwhile; refusals;
# and without Redis.

use warnings;
use strict;

use Time::HiRes qw(time);

use lib 't/lib';
use Chat::Test;

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 0, unique => 1);

my %opt = (provider => $provider, lead => 'on', servers => <<'EOT',
    log_format purge '$request_method $uri $status $chat_status/$chat_error '
                     '$chat_key $chat_question';

    server {
        listen 127.0.0.1:%%PORT%% sndbuf=16k;
        access_log %%DIR%%/access.log purge;

        location = /      { chat_health; }
        location = /chat  { chat; }
        location = /purge { chat_purge; chat_max_question 60; }

        location /denied/ {
            deny all;

            location = /denied/purge { chat_purge; }
        }

        location /lang/ {
            chat_cache_key "$http_x_lang|$chat_question";

            location = /lang/chat  { chat; }
            location = /lang/purge { chat_purge; }
        }

        location /tenant/ {
            chat_cache_scope $http_x_tenant;

            location = /tenant/chat  { chat; }
            location = /tenant/purge { chat_purge; }
        }

        location = /early {
            chat_purge;
            mirror /copy;
            set $early "$chat_key";
            add_header X-Key "$chat_key" always;
            client_max_body_size 100;
        }

        location = /copy { internal; return 204; }
        location = /sub  { auth_request /purge; }
    }
EOT
);

my $nginx = start_nginx(redis => $redis, %opt);


sub question {
    my ($question, $where, %headers) = @_;

    return scalar ask($nginx, { question => $question, headers => \%headers,
                                path => ($where // '') . '/chat' });
}


sub purge {
    my ($body, $path, %more) = @_;

    $body = '{"question": ' . json_string($body) . '}' if $body !~ /^\{/;

    return scalar ask($nginx, { method => 'DELETE', path => $path // '/purge',
                                body => $body, %more });
}


sub refused_ok {
    my ($q, $status, $code, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is("$q->{status} " . ($q->{headers}{'content-type'} // '') . ' '
       . ($q->{body} =~ s/"message": "(?:[^"\\]|\\.)+"/MESSAGE/r),
       "$status application/json "
       . qq({"status": "error", MESSAGE, "code": "$code"}), $name);
}


sub removed_ok {
    my ($q, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is("$q->{status} [$q->{body}]", '204 []', $name);
}


# the text, with the number of its call

sub text {
    my ($question, $call) = @_;

    return "#$call " . text_of($question, chunks => 5);
}


# by question

my $first = question('What is Perl?');

stream_ok($first, 'a miss', cache => qr/fwd=miss/,
          text => text('What is Perl?', 1));
stream_ok(question('What is Perl?'), 'a hit', cache => qr/hit/);

my $q = purge('What is Perl?');

removed_ok($q, 'purged by its question');
is(join(' ', grep { /^(?:content|cache|x-)/ } keys %{ $q->{headers} }), '',
   'purged: no headers for a body');
is($redis->cmd('EXISTS', stream_key('What is Perl?')), 0, 'purged: from Redis');
refused_ok(purge('What is Perl?'), 404, 'not_found', 'nothing is left of it');
stream_ok(question('What is Perl?'), 'it is asked anew',
          cache => qr/fwd=miss/, text => text('What is Perl?', 2));

# by key

removed_ok(purge('{"key": "' . key_of('What is Perl?') . '"}'),
           'purged by its key');
$q = question('What is Perl?');
stream_ok($q, 'once more', cache => qr/fwd=miss/);
removed_ok(purge(qq({"x": [1], "key": "$q->{headers}{'x-chat-generation'}"})),
           'purged by the name of the generation');
refused_ok(purge('{"key": "' . 'a' x 64 . '"}'), 404, 'not_found',
           'a key that nobody has');

# what is not ours, at the same name

$redis->cmd('SET', stream_key('What is strange?'), 'x');
removed_ok(purge('What is strange?'), 'purged, whatever it was');

# keys of locations, and scopes

question('What is said?', '/lang', 'X-Lang' => $_) foreach ('de', 'fr');
refused_ok(purge('What is said?'), 404, 'not_found', 'another key');
refused_ok(purge('What is said?', '/lang/purge', headers => {
    'X-Lang' => 'es' }), 404, 'not_found', 'another value in the key');
removed_ok(purge('What is said?', '/lang/purge', headers => {
    'X-Lang' => 'de' }), 'purged by the key of the location');
is(join(' ', map { $redis->cmd('EXISTS', 'chat:stream:'
        . custom_key_of("$_|What is said?")) } 'de', 'fr'), '0 1',
   'purged: that one alone');

question('What is mine?', '/tenant', 'X-Tenant' => $_) foreach ('a', 'b');
refused_ok(purge('What is mine?', '/tenant/purge'), 404, 'not_found',
           'no scope: nothing is cached');
removed_ok(purge('What is mine?', '/tenant/purge', headers => {
    'X-Tenant' => 'a' }), 'purged in a scope');
like(question('What is mine?', '/tenant', 'X-Tenant' => 'b')
     ->{headers}{'cache-status'}, qr/hit/, 'purged: in that scope alone');
like(question('What is mine?', '/tenant', 'X-Tenant' => 'a')
     ->{headers}{'cache-status'}, qr/fwd=miss/, 'purged: in that scope');

# who reads it reads on, and nobody else gets it, in either worker

my $long = 'What is long? {{chunks=300;bytes=1000;gap=0}}';
my $text = text_of($long, chunks => 5);

question($long);

my ($removed, %reads, @later);

my @readers = ask($nginx, map { { question => $long, read_rate => 1_000_000,
    rcvbuf => 8192, on_event => sub {
        $reads{$_[0]} = 1;

        if (keys %reads == 4 && !$removed) {
            $removed = purge($long);
            @later = ask($nginx, map { { question => $long } } 1 .. 4);
        }
    } } } 1 .. 4);

removed_ok($removed, 'purged while it is read');
is((grep { $_->{headers}{'cache-status'} =~ /hit/ && $_->{text} eq "#1 $text"
           && $_->{terminal}{status} eq 'completed' } @readers) + 0, 4,
   'purged while it is read: who reads it has it all');
is((grep { $_->{text} eq "#2 $text" } @later) + 0, 4,
   'purged while it is read: the others get another');

# a generation that runs is no cached answer

my $during;

$q = ask($nginx, { question => 'What runs? {{chunks=20;gap=5}}',
    on_event => sub {
        $during ||= $_[1]{status} eq 'streaming'
                    && purge('What runs? {{chunks=20;gap=5}}');
    } });

refused_ok($during, 404, 'not_found', 'a generation that runs');
stream_ok($q, 'it goes on');
like(question('What runs? {{chunks=20;gap=5}}')->{headers}{'cache-status'},
     qr/hit/, 'it goes on, and is cached');

# refusals

foreach my $method ('GET', 'POST', 'PUT', 'HEAD') {
    $q = ask($nginx, { method => $method, path => '/purge', body => '{}' });
    is("$q->{status} $q->{headers}{allow}", '405 DELETE', "$method: refused");
    like($q->{body}, qr/"Only DELETE is allowed here\.", "code": "method_not_/,
         "$method: refused, and why") if $method ne 'HEAD';
}

$q = ask($nginx, { method => 'OPTIONS', path => '/purge' });
is("$q->{status} $q->{headers}{allow}", '204 DELETE', 'OPTIONS');

my $digits = '"' . 'a' x 63;

foreach (['{', 400, 'bad_request'], ['{"key": "a", "key": "b"}', 400,
         'bad_request'], ['{"question": "a", "question": "b"}', 400,
         'bad_request'], ['{"use_cache": true}', 422, 'invalid_field'],
         ['{"question": 1}', 422, 'invalid_field'],
         ['{"question": " "}', 422, 'invalid_field'],
         ['{"question": "' . 'x' x 61 . '"}', 422, 'invalid_field'],
         ["{\"key\": $digits\"}", 422, 'invalid_field'],
         ["{\"key\": ${digits}A\"}", 422, 'invalid_field'],
         ["{\"key\": ${digits}aa\"}", 422, 'invalid_field'],
         ['{"key": "' . 'x' x 32 . '.' . 'a' x 64 . '"}', 422,
          'invalid_field'],
         ['{"key": null}', 422, 'invalid_field'],
         ["{\"key\": ${digits}a\", \"question\": \"a\"}", 422,
          'invalid_field'])
{
    my ($body, $status, $code) = @$_;

    refused_ok(purge($body), $status, $code, "refused: $body");
}

refused_ok(purge('a', '/purge', headers => { 'Content-Type' => 'text/plain' }),
           415, 'unsupported_media_type', 'refused: another type');
refused_ok(purge('a' x 100, '/early'), 413, 'body_too_large',
           'refused: a long body');
refused_ok(purge('a', '/denied/purge'), 403, 'bad_request', 'refused by nginx');
is(get($nginx, '/sub')->{status}, 500, 'no subrequests');

# variables, looked at before and after, with a body that was read before

$q = purge('a', '/early');
is($q->{headers}{'x-key'}, key_of('a'), 'the key in a header');

like($nginx->access_log, qr!^DELETE /purge 204 completed/- @{[
     key_of('What is Perl?') ]} What is Perl\?$!m, 'in the log: removed');
like($nginx->access_log, qr!^DELETE /purge 404 error/not_found a{64} -$!m,
     'in the log: not found, by a key');
like($nginx->error_log, qr/\[info\] .*chat answer @{[
     key_of('What is strange?') ]} was purged/, 'in the error log');

# Redis does not answer, with a client that leaves meanwhile; then it is known
# to be away

question('What stays?');
$redis->signal('STOP');

my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                 PeerPort => $nginx->port) or die "connect: $!";

print $sock "DELETE /purge HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n"
    . "Content-Type: application/json\r\n\r\n{\"question\":\"l\"}";
$sock->flush;
ok(wait_for(sub { close($sock) if $sock; undef $sock;
                  $nginx->access_log =~ m!^DELETE /purge 499 !m }, 10),
   'Redis hangs: a client that leaves');

my @hung = ask($nginx, map { { method => 'DELETE', path => '/purge',
    body => '{"question": "What stays?"}' } } 1 .. 4);

refused_ok($hung[$_], 503, 'redis_down', "Redis hangs: refused, $_")
    foreach 0 .. $#hung;
like($hung[0]{headers}{'retry-after'}, qr/^[1-5]$/, 'Redis hangs: when again');
cmp_ok((sort map { $_->{ended} - $_->{started} } @hung)[-1], '<', 1 + $SLACK,
       'Redis hangs: in time');

$redis->signal('CONT');
ok(wait_for(sub { purge('What stays?')->{status} =~ /^(?:204|404)$/ }, 15),
   'Redis goes on: served');
is($redis->cmd('EXISTS', stream_key('What stays?')), 0,
   'Redis goes on: removed');

question('What is lost?');
$redis->stop('KILL');
ok(wait_for(sub { purge('What is lost?')->{status} == 503 }, 10),
   'Redis is gone: refused');
$redis->start;
ok(wait_for(sub { purge('What is lost?')->{status} == 404 }, 15),
   'Redis is back, empty: nothing to remove');

# without Redis there is no cache

$nginx = start_nginx(http => 'chat_redis off;', redis_down => '', %opt);
question('What is kept?');
refused_ok(purge('What is kept?'), 404, 'not_found', 'without Redis');

# without "chat" nothing is started

$nginx = start_nginx(redis => $redis, servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;

        location = /      { return 204; }
        location = /purge { chat_purge; }
    }
EOT

is(purge('What is it?')->{status}, 500, 'without "chat"');
like($nginx->error_log, qr/no location says "chat"/, 'without "chat": the log');

done();
