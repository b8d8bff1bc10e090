#!/usr/bin/perl

# The configuration: what is accepted, and what is refused with which message.
# Everything runs through "nginx -t".

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $nginx = new_nginx(redis_down => '');
my $dir = $nginx->dir;

# what a message may never tell

my $secret = 'sk-T0p-s3cret';
my @leaks;

$nginx->allow_log(qr/\[emerg\]/);


# (status, what nginx said), of a configuration made of these pieces

sub check {
    my (%opt) = @_;

    unlink("$dir/output", "$dir/error.log");

    my ($status, $text) = $nginx->test_conf(http => '', location => '',
        server => '', servers => undef, env => {}, main => '', %opt);

    push(@leaks, $text) if $text =~ /\Q$secret\E/;

    return ($status, $text);
}


sub accepted {
    my ($name, %opt) = @_;
    my ($status, $text) = check(env => { OPENAI_API_KEY => 'k' }, %opt);

    # not every machine that tests can resolve names

    $text =~ s/^.*\[warn\].*without "resolver" the direct path.*\n//mg;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status == 0 && $text !~ /\[(?:warn|error|crit|alert|emerg)\]/,
       "accepted: $name")
        or diag($text);
}


sub warned {
    my ($name, $pattern, %opt) = @_;
    my ($status, $text) = check(%opt);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status == 0 && $text =~ /\[warn\] [^\n]*$pattern/, "warned: $name")
        or diag($text);
}


sub refused {
    my ($name, $pattern, %opt) = @_;
    my ($status, $text) = check(env => { OPENAI_API_KEY => 'k' }, %opt);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status == 1 && $text =~ /\[emerg\] [^\n]*$pattern/, "refused: $name")
        or diag($text);
}


# the same for lines at a level, where they name their directive themselves

sub line_refused {
    my ($where, $line, $pattern) = @_;
    my ($directive) = $line =~ /^(\w+)/;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    refused("$line in $where", qr/(?=[^\n]*$directive)[^\n]*$pattern/,
            $where => "$line;");
}


sub line_accepted {
    my ($where, $line) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    accepted("$line in $where", $where => "$line;");
}


sub write_file {
    my ($name, $text, $mode) = @_;

    open(my $file, '>:raw', "$dir/$name") or die "$dir/$name: $!\n";
    print $file $text;
    close($file);
    chmod($mode // 0600, "$dir/$name");

    return "$dir/$name";
}


sub location {
    my (%lines) = @_;

    return join('', 'server { listen %%PORT%%; ',
        (map { "location = /$_ { $lines{$_} } " } sort keys %lines), '}');
}


# chat, chat_health

my $two = 'chat_provider a { model a; } chat_provider b { model a; }';

accepted('nothing but "chat"');
accepted('implicit provider by name', servers => location(a => 'chat openai;'));
accepted('providers in order', http => $two,
         servers => location(a => 'chat a b;'));
accepted('a provider that is defined later', servers => location(a => 'chat z;')
         . ' chat_provider z { }');
accepted('implicit provider beside others', http => $two,
         servers => location(a => 'chat a openai b;'));
accepted('health in both forms', servers => location(a => 'chat_health;',
                                       b => 'chat_health full;'));

line_refused(location => 'chat', 'is duplicate');
line_refused(server => 'chat', 'is not allowed here');
line_refused(http => 'chat', 'is not allowed here');
line_refused(server => 'chat_health', 'is not allowed here');
refused('unknown provider', '"chat" names an unknown provider "nobody"',
        servers => location(a => 'chat nobody;'));
refused('a provider named twice', '"chat" names the provider "a" twice',
        http => $two, servers => location(a => 'chat a b a;'));
refused('chat_health twice', '"chat_health" directive is duplicate',
        servers => location(a => 'chat_health; chat_health full;'));
refused('health with another word', 'invalid value "all" in "chat_health"',
        servers => location(a => 'chat_health all;'));
refused('health with two words', 'number of arguments in "chat_health"',
        servers => location(a => 'chat_health full full;'));

# where Redis is

line_accepted(http => "chat_redis $_")
    foreach 'redis://127.0.0.1', 'redis://127.0.0.1:6380',
        'redis://localhost/3', 'redis://127.0.0.1:6380/15',
        'redis://127.0.0.1/', 'redis://[::1]:6379/0',
        'redis://:password@127.0.0.1:6379/0', 'redis://user:p%40ss@127.0.0.1',
        'REDIS://127.0.0.1', 'rediss://user:p%40ss@[::1]:6380/2',
        'unix:/tmp/redis.sock',
        'unix:/tmp/redis.sock?db=3', 'redis+sentinel://127.0.0.1/mymaster',
        'rediss+sentinel://u:p@127.0.0.1:26380,[::1],localhost/mymaster/3',
        '"redis+sentinel://127.0.0.1/m?sentinel_password=p"',
        'redis://no-such-host.invalid/0; resolver 127.0.0.1',
        'redis+sentinel://no-such-host.invalid/m/0; resolver 127.0.0.1';

line_accepted(http => "upstream Redis.1 { server 127.0.0.1:6379; $_ }"
                      . ' chat_redis redis://redis.1/3')
    foreach '', 'server 127.0.0.1:6380 backup;', 'least_conn;', 'random;',
        'random two;', 'zone redis 64k;', 'zone redis 64k; random two;';

line_accepted(http => "chat_redis_sentinel_password $_")
    foreach $secret, '""';

line_refused(http => @$_) foreach
    ['chat_redis_sentinel_password', 'number of arguments'],
    ['chat_redis_sentinel_password file:/no/such/file', '/no/such/file'],
    ['chat_redis_sentinel_password a; chat_redis_sentinel_password b',
     'is duplicate'];

line_refused(http => @$_) foreach
    ['chat_redis off; chat_redis off', 'is duplicate'],
    ['chat_redis off; chat_redis redis://127.0.0.1', 'is duplicate'],
    ['chat_direct_limit 0', 'must be from 1 to 10000'],
    ['chat_direct_limit 10001', 'must be from 1 to 10000'],
    ['chat_direct_limit x', 'invalid number'],
    ['chat_redis http://127.0.0.1', 'a Redis URL begins with'],
    ['chat_redis 127.0.0.1:6379', 'a Redis URL begins with'],
    ['chat_redis redis+sentinel://127.0.0.1', 'no name of a master'],
    ["chat_redis redis+sentinel://a/m?sentinel_password=$secret%g",
     'hexadecimal'],
    ['chat_redis redis+sentinel://127.0.0.1/m?db=1', 'only "sentinel_'],
    ['chat_redis redis+sentinel://127.0.0.1,no-such-host.invalid/m',
     'host not found'],
    ['upstream r { server 127.0.0.1:6379; } chat_redis redis://r:6379',
     'upstream "r" may not have a port in "chat_redis"'],
    ['upstream r { server 127.0.0.1:6379; ip_hash; } chat_broker redis://r/1',
     'upstream "r" in "chat_broker" is balanced by a method'],
    ['upstream r { server 127.0.0.1:6379; hash $uri; } chat_redis redis://r',
     'is balanced by a method that may need a request'],
    ['upstream r { server 127.0.0.1:6379; hash a consistent; }'
     . ' chat_redis redis://r', 'is balanced by a method'],
    ['chat_redis redis://', 'no host'],
    ['chat_redis rediss:///0', 'no host'],
    ['chat_redis rediss://127.0.0.1/0?x=1', 'no parameters'],
    ['chat_redis redis://:6379', 'no host'],
    ['chat_redis redis:///0', 'no host'],
    ['chat_redis redis://127.0.0.1:0', 'invalid port'],
    ['chat_redis redis://127.0.0.1:65536', 'invalid port'],
    ['chat_redis redis://127.0.0.1:x', 'invalid port'],
    ['chat_redis redis://127.0.0.1/x', 'database'],
    ['chat_redis redis://127.0.0.1/-1', 'database'],
    ['chat_redis redis://127.0.0.1/0?x=1', 'no parameters'],
    ['chat_redis "redis://127.0.0.1/0 1"', 'a space'],
    ['chat_redis redis://no-such-host.invalid/0', 'host not found'],
    ['chat_redis redis://a:b%zz@127.0.0.1', 'hexadecimal'],
    ['chat_redis unix:relative', 'a socket is written'],
    ['chat_redis unix:/tmp/s?x=1', 'db=number'],
    ['chat_redis unix:/tmp/s?db=x', 'database'],
    ['chat_redis ""', 'a Redis URL begins with'],
    ['chat_redis', 'number of arguments'],
    ['chat_redis redis://127.0.0.1; chat_redis redis://127.0.0.1',
     'is duplicate'],
    ["chat_redis redis://:$secret\@127.0.0.1:x", 'invalid port'],
    ["chat_redis http://:$secret\@127.0.0.1", 'a Redis URL begins with'],
    ["chat_redis redis://:$secret%g\@127.0.0.1", 'hexadecimal'];

line_refused(server => 'chat_redis redis://127.0.0.1', 'is not allowed here');

# the broker

line_accepted(http => "chat_broker $_")
    foreach 'redis://127.0.0.1/1', 'unix:/tmp/redis.sock?db=2';

line_refused(http => @$_) foreach
    ['chat_broker amqp://127.0.0.1', 'a Redis URL begins with'],
    ["chat_broker amqp://:$secret\@127.0.0.1", 'a Redis URL begins with'],
    ['chat_broker redis://127.0.0.1/x', 'database'],
    ['chat_broker off', 'a Redis URL begins with'],
    ['chat_broker redis://127.0.0.1; chat_broker redis://127.0.0.1',
     'is duplicate'];

# the password

my $file = write_file('password', "$secret\n");

line_accepted(http => "chat_redis_password $_")
    foreach $secret, "file:$file", 'file:password', '""';

accepted('a password from the environment',
         http => 'chat_redis_password env:MY_SECRET;',
         env => { OPENAI_API_KEY => 'k', MY_SECRET => $secret });
warned('a password that is not in the environment',
       '"chat_redis_password": environment variable "MY_SECRET" is not set',
       http => 'chat_redis_password env:MY_SECRET;');

line_refused(http => @$_) foreach
    ['chat_redis_password file:/no/such/file', '/no/such/file'],
    ["chat_redis_password file:$dir", 'is not a regular file'],
    ["chat_redis_password $secret; chat_redis_password $secret",
     'is duplicate'],
    ["chat_redis_password $secret $secret", 'number of arguments'];

# fillers

line_accepted(http => "chat_fill $_")
    foreach 'processes=2', 'concurrency=1', 'processes=1 concurrency=1000',
        'concurrency=5 processes=2';

line_refused(http => @$_) foreach
    (map { ["chat_fill $_", 'invalid value'] } 'processes=0', 'processes=-1',
     'processes=x', 'processes=', 'processes=100000', 'concurrency=0',
     'concurrency=10000000000000000000000', 'workers=1', '3',
     'processes=1 processes=2'),
    ['chat_fill', 'number of arguments'],
    ['chat_fill processes=1; chat_fill concurrency=1', 'is duplicate'];

line_accepted(http => $_) foreach 'chat_queue_limit 1',
    'chat_queue_limit 1000000', 'chat_queue_timeout 500ms';

line_refused(http => @$_) foreach
    ['chat_queue_limit 0', 'must be from 1 to 1000000'],
    ['chat_queue_limit 1000001', 'must be from 1 to 1000000'],
    ['chat_queue_limit x', 'invalid number'],
    ['chat_queue_timeout 0', 'must not be 0'],
    ['chat_queue_timeout x', 'invalid value'];

# http, server, location

foreach my $where ('http', 'server', 'location') {
    line_accepted($where => $_)
        foreach 'chat_cache off', 'chat_cache on', 'chat_cache_ttl 60',
            'chat_cache_ttl 1h', 'chat_cache_ttl 500ms',
            'chat_cache_key $chat_question',
            'chat_cache_key "${chat_question}x$host"',
            'chat_cache_key $http_x$Chat_Question',
            'chat_cache_scope $remote_user', 'chat_bypass on',
            'chat_bypass off',
            'chat_bypass $http_x', 'chat_max_question 1k',
            'chat_max_answer 10m', 'chat_heartbeat 5s',
            'chat_abandon finish', 'chat_abandon cancel',
            'chat_abandon cancel grace=500ms',
            'chat_redis_down error', 'chat_redis_down direct',
            'chat_cache_status off';
}

line_refused(location => @$_) foreach
    ['chat_cache maybe', 'invalid value'],
    ['chat_cache on; chat_cache on', 'is duplicate'],
    ['chat_cache_ttl x', 'invalid value'],
    ['chat_cache_ttl -1', 'invalid value'],
    ['chat_cache_ttl 0', 'must not be 0'],
    ['chat_cache_ttl 1; chat_cache_ttl 2', 'is duplicate'],
    ['chat_cache_key ""', 'must contain'],
    ['chat_cache_key $host', 'must contain'],
    ['chat_cache_key chat_question', 'must contain'],
    ['chat_cache_key $chat_question_mark', 'must contain'],
    ['chat_cache_key ${chat_questions}', 'must contain'],
    ['chat_cache_key $chat_question; chat_cache_key $chat_question',
     'is duplicate'],
    ['chat_cache_scope a; chat_cache_scope b', 'is duplicate'],
    ['chat_bypass', 'number of arguments'],
    ['chat_bypass of', 'invalid value "of" in "chat_bypass"'],
    ['chat_bypass ""', 'invalid value "" in "chat_bypass"'],
    ['chat_bypass on; chat_bypass on', 'is duplicate'],
    ['chat_max_question x', 'invalid value'],
    ['chat_max_question 0', 'must not be 0'],
    ['chat_max_answer 1t', 'invalid value'],
    ['chat_max_answer 0', 'must not be 0'],
    ['chat_max_answer 33m', 'must not be above 32m'],
    ['chat_abandon', 'number of arguments'],
    ['chat_abandon stop', 'invalid value "stop" in "chat_abandon"'],
    ['chat_abandon cancel 3s', 'invalid value "3s" in "chat_abandon"'],
    ['chat_abandon cancel grace=x', 'invalid value "grace=x"'],
    ['chat_abandon cancel; chat_abandon finish', 'is duplicate'],
    ['chat_redis_down maybe', 'invalid value "maybe" in "chat_redis_down"'],
    ['chat_heartbeat x', 'invalid value'],
    ['chat_heartbeat 0', 'must not be 0'],
    ['chat_cache_status 1', 'invalid value'];

refused("unknown variable: $_", 'unknown "nothing" variable',
        location => "$_;")
    foreach 'chat_cache_key $chat_question$nothing',
        'chat_cache_scope $nothing', 'chat_bypass $nothing';

# a provider, which needs a key of its own unless the lines say so

sub provider {
    my ($lines, $name) = @_;

    $lines .= "\nkey k;" if $lines !~ /^key /m;

    return (http => 'chat_provider ' . ($name // 'p') . " {\n$lines\n}",
            servers => location(a => 'chat p;'));
}

my $json = write_file('param.json', "{\"a\": [1, 2.5e3, \"b\\n\", null]}\n");
my $text = write_file('system.txt', "Be brief.\nAlways.\n");

accepted("provider '$_'", provider($_)) foreach
    'url http://127.0.0.1:8080/v1;', 'url https://api.example/v1/;',
    'url HTTPS://api.example;', 'url http://[::1]:80;',
    "key $secret;", 'key "";', "key file:$file;", 'model a/b:c;',
    'system "Be brief.";', 'system "";', "system file:$text;",
    'system file:system.txt;', "system \"\xe2\x82\xac\";",
    'param temperature 0.2;', 'param stop "[\"a\", \"b\"]";',
    'param user \'"a b"\';', 'param seed -1;', 'param logprobs true;',
    'param x null;',
    'param a \'"x\\\\ny"\';', "param response_format file:$json;",
    'usage on;', 'usage off;', 'usage off; param stream_options "{}";',
    'param a 1; param b 2;', 'header X-Title chat;',
    "header X-Key file:$file;", 'header X-A a; header X-B b;',
    'connect_timeout 1s;', 'first_token_timeout 500ms;', 'idle_timeout 1m;',
    'total_timeout 24h;', 'retries 0;', 'retries 100;', '';

accepted('names from the environment',
         provider('key env:MY_SECRET; header X-A env:MY_OTHER;'),
         env => { MY_SECRET => $secret, MY_OTHER => "b$secret" });

foreach (
    ['url ftp://127.0.0.1;', 'url'],
    ['url 127.0.0.1;', 'url'],
    ['url http://;', 'url'],
    ['url http:///v1;', 'url'],
    ["url http://me:$secret\@a/v1;", '"url" .* holds a user or a password'],
    ["url https://$secret\@a;", '"url" .* holds a user or a password'],
    ['url "http://a b/v1";', 'url'],
    ['url http://a/v1?x=1;', 'url'],
    ['url http://a/v1#x;', 'url'],
    ["url \"http://a/\xc3\xa9\";", 'url'],
    ['url;', '"url"'],
    ["key \"$secret\tx\";", '"key" of "chat_provider" holds control'],
    ['key a b;', 'number of arguments in "key"'],
    ['key file:/no/such/file;', '"key".*/no/such/file'],
    ['model "";', '"model" of "chat_provider" is empty'],
    ["model \"a\r\nX: y\";", '"model" of "chat_provider" holds control'],
    ["model \"\xff\";", '"model" of "chat_provider" is not valid UTF-8'],
    ["system \"\xff\";", '"system" of "chat_provider" is not valid UTF-8'],
    ['system file:/no/such/file;', '"system".*/no/such/file'],
    ["system file:$dir;", '"system".*is not a regular file'],
    ['param temperature;', 'number of arguments in "param"'],
    ['param temperature hot;', '"param temperature" .* is not a JSON value'],
    ['param a "{";', '"param a" .* is not a JSON value'],
    ['param a "1 2";', '"param a" .* is not a JSON value'],
    ['param a "";', '"param a" .* is not a JSON value'],
    ["param a '\"\xff\"';", '"param a" .* is not a JSON value'],
    ['param a \'"\ud800"\';', '"param a" .* is not a JSON value'],
    ['param a \'"x\ny"\';', '"param a" .* is not a JSON value'],
    ['param "" 1;', '"param" .* invalid name'],
    ['param a file:/no/such/file;', '"param".*/no/such/file'],
    ['param messages [];', '"param messages" .* is set by the module'],
    ['param stream false;', '"param stream" .* is set by the module'],
    ["param a 1;\nparam a 2;", '"param a" .* is duplicate'],
    ['usage;', 'number of arguments in "usage"'],
    ['usage yes;', '"usage" of "chat_provider" is "on" or "off", not "yes"'],
    ['header "X Y" z;', '"header" .* invalid name "X Y"'],
    ['header "X:" z;', '"header" .* invalid name'],
    ["header X \"a\nb: c\";", '"header" .* control'],
    ['header X file:/no/such/file;', '"header".*/no/such/file'],
    (map { ["$_ 0;", "\"$_\" .* invalid time"],
           ["$_ x;", "\"$_\" .* invalid time"],
           ["$_ 25h;", "\"$_\" .* invalid time"] }
     qw(connect_timeout first_token_timeout idle_timeout total_timeout)),
    ['retries -1;', '"retries" .* invalid number'],
    ['retries 101;', '"retries" .* invalid number'],
    ['retries x;', '"retries" .* invalid number'],
    ['Proxy http://a;', 'unknown "Proxy" in "chat_provider"'],
    ['Model a;', 'unknown "Model" in "chat_provider"'],
    (map { ["$_->[0] $_->[1];\n$_->[0] $_->[1];",
            "\"$_->[0]\" of \"chat_provider\" is duplicate"] }
     ['url', 'http://a'], ['key', 'a'], ['model', 'a'], ['system', 'a'],
     ['retries', 1], ['total_timeout', '1s'], ['usage', 'on']),
) {
    refused("provider: " . join(' ', split(/\s+/, $_->[0])), $_->[1],
            provider($_->[0]));
}

foreach my $name ('"a b"', 'a=b', '""', 'a/b') {
    refused("provider named $name", '"chat_provider" has an invalid name',
            provider('', $name));
}

refused('a provider twice', 'duplicate "chat_provider" "p"',
        http => 'chat_provider p { } chat_provider p { }');
refused('a provider without a block', '"chat_provider" has no opening',
        http => 'chat_provider p;');
refused('a provider without a name', 'number of arguments in "chat_provider"',
        http => 'chat_provider { }');
refused('a provider in a server', '"chat_provider" directive is not allowed',
        server => 'chat_provider p { }');
refused('an invalid provider that nobody names', 'url',
        http => 'chat_provider q { url x; }');

# the line of what is wrong

foreach (['unknown', 'bogus 1;'], ['repeated', "model a;\n\nmodel b;"],
         ['nested param', "param a {\n1;\n}"],
         ['nested unknown', "bogus {\nb 1;\n}"])
{
    my ($status, $said) = check(provider("\nurl http://a;\n$_->[1]"));
    my ($wrong) = $_->[1] =~ /(?:.*\n\n)?(\w+ \S+)/s;
    my @lines = split(/\n/, read_file("$dir/nginx.conf"));
    my ($line) = grep { $lines[$_ - 1] =~ /^\Q$wrong\E/ } 1 .. @lines;

    ok($status == 1 && $said =~ /\[emerg\] [^\n]*nginx\.conf:$line\n/,
       "refused: a $_->[0] word, with its line") or diag($said);
}

# a parameter is a word of nginx's configuration, which may have 4096 bytes

accepted('a param of 4000 bytes',
         provider('param a \'"' . 'x' x 3990 . '"\';'));
refused('a param of 4100 bytes', 'too long parameter',
        provider('param a \'"' . 'x' x 4100 . '"\';'));
accepted('a longer one in a file', provider('param a file:'
         . write_file('long.json', '"' . 'x' x 100000 . '"') . ';'));
refused('a file of more than a megabyte', 'is longer than 1 MB',
        provider('system file:' . write_file('huge', 'x' x 1048577) . ';'));

# keys

warned('no key at all',
       'chat provider "openai" has no key: OPENAI_API_KEY is not set');
warned('no key by name', '"key": environment variable "NO_KEY" is not set',
       provider('key env:NO_KEY;'));
warned('an empty variable is none', 'OPENAI_API_KEY is not set',
       env => { OPENAI_API_KEY => '' });
warned('no key for a command',
       'is not set in the environment of this command;');
warned('no named key for a command',
       'is not set in the environment of this command;',
       provider('key env:NO_KEY;'));

# the key of the environment is for the default address alone

my %other = (http => 'chat_provider openai { url http://127.0.0.1:1/v1; }');
my $elsewhere = 'chat provider "openai" has no key: OPENAI_API_KEY is for'
    . ' the default "url" alone';

warned('a url of its own, ' . (join(', ', sort keys %$_) || 'no key'),
       $elsewhere, %other, env => { %$_ })
    foreach {}, { OPENAI_API_KEY => $secret },
        { OPENAI_API_KEY => $secret, OPENAI_BASE_URL => 'http://127.0.0.1:2' };
warned("another url, $_", $elsewhere, env => { OPENAI_API_KEY => $secret },
       http => "chat_provider openai { url $_; }")
    foreach 'http://api.openai.com/v1', 'https://api.openai.com/v1x',
        'https://api.openai.com', 'https://api.openai.com.example/v1';
warned('the default, where there is another', $elsewhere,
       env => { OPENAI_BASE_URL => 'https://127.0.0.1/v1' },
       http => 'chat_provider openai { url https://api.openai.com/v1; }');
accepted('the default url in words',
         http => 'chat_provider openai { url https://api.openai.com/v1/; }');
accepted('that of the environment', %other, env => { OPENAI_API_KEY => $secret,
         OPENAI_BASE_URL => 'http://127.0.0.1:1/v1//' });

# and seen by all on its way, for who wants to know

foreach (['http://10.0.0.5/v1', 1], ['HTTP://llm.internal:80', 1],
         ['http://localhost.example/v1', 1], ['http://[::2]:8/v1', 1],
         ['http://127.0.0.1:8/v1', 0], ['http://localhost/v1', 0],
         ['http://LOCALHOST:8', 0], ['http://[::1]:8/v1', 0],
         ['https://10.0.0.5/v1', 0])
{
    my ($url, $told) = @$_;
    my ($status, $said) = check(http => 'resolver 127.0.0.1;'
        . " chat_provider openai { url $url; key k; }");

    is($said =~ /notice.*"openai": its key goes to "\Q$url\E" unencrypted/,
       $told ? 1 : '',
       "a key in the clear: $url is " . ($told ? 'told' : 'not told'))
        or diag($said);
}

# files that are for everybody

my $open = write_file('open', "$secret\n", 0644);

warned("for all to read: $_", qr/"$_": "\Q$open\E" can be .* mode is 0644/,
       /^chat/ ? (env => { OPENAI_API_KEY => 'k' }, http => "$_ file:$open;")
               : provider(/^header/ ? "header X-Key file:$open;"
                                    : "$_ file:$open;"))
    foreach 'key', 'header', 'chat_redis_password',
        'chat_redis_sentinel_password';
warned('for all to read: proxy', qr/"proxy": .* is 0604/, provider(
       'proxy file:' . write_file('their-proxy', 'http://a:1', 0604) . ';'));
accepted("for a group: $_", provider("$_ file:"
         . write_file('group', $secret, 0640) . ';')) foreach 'key', 'header X';
accepted('files without a secret', provider('system file:'
         . write_file('text', 'a', 0644)
         . '; param a file:' . write_file('json', '1', 0644) . ';'));

accepted('a key that is empty on purpose', provider('key "";'), env => {});
refused('a key that cannot be a header', 'OPENAI_API_KEY holds control',
        env => { OPENAI_API_KEY => "$secret\r\nX: y" });
refused('a model that cannot be a header', 'OPENAI_MODEL .* holds control',
        env => { OPENAI_MODEL => "m\nX: y" });
refused('a named key that cannot be a header', '"key" .* holds control',
        provider('key env:MY_SECRET;'), env => { MY_SECRET => "$secret\n" });

# what comes from the environment

my %key = (OPENAI_API_KEY => $secret);
my ($status, $said) = check(env => { %key, OPENAI_MODEL => 'their-model',
    OPENAI_BASE_URL => 'http://127.0.0.1:1/their' });

like($said, qr{openai": model "their-model" at http://127.0.0.1:1/their},
     'the log: tells model and address');

($status, $said) = check(env => { %key });

like($said, qr{model "gpt-4o-mini" at https://api.openai.com/v1},
     'the log: tells the defaults');

accepted('settings in the environment', env => { %key,
    REDIS_URL => "redis://:$secret\@127.0.0.1:6379/1",
    CELERY_BROKER_URL => "redis://:$secret\@127.0.0.1:6379/2",
    CACHE_TTL_SECONDS => 60 });
accepted('a socket in the environment', env => { %key,
    REDIS_URL => 'unix:/tmp/redis.sock', CELERY_BROKER_URL => 'unix:/tmp/b' });
warned('a broker of another kind, ' . (/^(\w+)/)[0],
       'CELERY_BROKER_URL is ignored',
       env => { %key, CELERY_BROKER_URL => $_ })
    foreach "amqp://guest:$secret\@127.0.0.1//", "sentinel://:$secret\@a:1",
        "redis+socket:///tmp/$secret";

refused('a wrong REDIS_URL', 'REDIS_URL.*"chat_redis".*a Redis URL begins',
        env => { %key, REDIS_URL => "http://:$secret\@127.0.0.1" });
refused('REDIS_URL with a bad port', 'REDIS_URL.*"chat_redis".*invalid port',
        env => { %key, REDIS_URL => "redis://:$secret\@127.0.0.1:x" });
refused('a wrong CELERY_BROKER_URL',
        'CELERY_BROKER_URL.*"chat_broker".*invalid port',
        env => { %key, CELERY_BROKER_URL => "redis://:$secret\@127.0.0.1:x" });

foreach my $ttl ('0', '-1', 'x', '1h', '1.5', ' 1', '99999999999999999999') {
    refused("a wrong CACHE_TTL_SECONDS, '$ttl'",
            'CACHE_TTL_SECONDS.*"chat_cache_ttl"',
            env => { %key, CACHE_TTL_SECONDS => $ttl });
}

refused('a wrong OPENAI_BASE_URL', 'url',
        env => { %key, OPENAI_BASE_URL => 'x' });
refused('a wrong OPENAI_MODEL', 'OPENAI_MODEL is not valid UTF-8',
        env => { %key, OPENAI_MODEL => "\xff" });

accepted('what is configured wins', http => 'chat_redis redis://127.0.0.1;
    chat_broker redis://127.0.0.1; chat_cache_ttl 1;
    chat_provider openai { url http://a; key b; model c; }',
    env => { REDIS_URL => 'x', CELERY_BROKER_URL => 'redis://:x',
             CACHE_TTL_SECONDS => 'x', OPENAI_BASE_URL => 'x',
             OPENAI_MODEL => "\xff", OPENAI_API_KEY => "\n" });
accepted('nobody says chat: nothing is looked at', servers =>
    location(a => 'return 204;'), env => { REDIS_URL => 'x',
    CELERY_BROKER_URL => 'redis://:x', OPENAI_BASE_URL => 'x',
    CACHE_TTL_SECONDS => 'x' });

# locations that share their keys

warned('shared keys', 'two locations share "chat_cache_key',
       env => \%key, http => 'chat_provider a { model a; }
       chat_provider b { model b; }',
       servers => location(a => 'chat a;', b => 'chat b;'));
warned('shared keys, system text', 'two locations share "chat_cache_key',
       env => \%key, http => 'chat_provider a { model a; }
       chat_provider b { model a; system x; }',
       servers => location(a => 'chat a;', b => 'chat b;'));

my $differ = 'chat_provider a { model a; } chat_provider b { model b; }';

accepted('the same provider twice', http => $differ,
         servers => location(a => 'chat a;', b => 'chat a;'));
accepted('the same settings under two names', http => $two,
         servers => location(a => 'chat a;', b => 'chat b;'));
accepted('one with another key', http => $differ,
         servers => location(a => 'chat a;',
             b => 'chat b; chat_cache_key b$chat_question;'));
accepted('one with another scope', http => $differ,
         servers => location(a => 'chat a;',
             b => 'chat b; chat_cache_scope b;'));
accepted('one without a cache', http => $differ,
         servers => location(a => 'chat a;', b => 'chat b; chat_cache off;'));
accepted('an "if" in between', http => $differ,
         servers => location(a => 'chat a; if ($arg_x) { set $y 1; }'));

# what would be without effect

my $nowhere = 'no-such-host.invalid';
my $group = "upstream $nowhere { server 127.0.0.1:80; }
    chat_provider g { url http://$nowhere/v1; key k; PROXY }";

warned('a group for the filler', qr/"g": upstream "$nowhere" is for the d/,
       env => \%key, http => $group =~ s/PROXY//r,
       servers => location(a => 'chat g; chat_cache off;', b => 'chat g;'));
accepted('a group for the direct path alone', http => $group =~ s/PROXY//r,
         servers => location(a => 'chat g; chat_cache off;'));
accepted('a group, without Redis', servers => location(a => 'chat g;'),
         http => 'chat_redis off; ' . $group =~ s/PROXY//r);
accepted('a group, and a proxy', servers => location(a => 'chat g;'),
         http => $group =~ s/PROXY/proxy http:\/\/127.0.0.1:1;/r);
accepted('a group by a name that is found', servers => location(a => 'chat g;'),
         http => $group =~ s/PROXY//r =~ s/$nowhere/localhost/gr);
accepted('a group named as an address', servers => location(a => 'chat g;'),
         http => $group =~ s/PROXY//r =~ s/$nowhere/[::1]/gr);
warned('a limit without Redis', '"chat_miss_limit" limits nothing',
       env => \%key,
       http => 'chat_redis off; chat_miss_limit $remote_addr rate=1r/s;');
accepted('no limit without Redis', http => 'chat_redis off;
    chat_miss_limit $remote_addr rate=1r/s;', location => 'chat_miss_limit off;');

is_deeply(\@leaks, [], 'all messages: no key and no password');

done();
