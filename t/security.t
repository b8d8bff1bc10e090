#!/usr/bin/perl

# What nobody shall learn, wherever it is looked for: keys and passwords.  What
# nobody shall be able to write: headers and events.  What a filler is and
# has.  (Logs at other levels are in logs.t, the environment that a child would
# inherit in environment_processes.t, privileges in Redis in acl.t.)

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use POSIX ();

my $key = 'sk-secret-in-a-message';    # the provider gives it away
my $password = 'p4ss-n0t-t0-be-t0ld';
my @variables = qw(question key cache_status generation status error provider
    model queue_time first_chunk_time chunks bytes);

my $queued = 'location = /queued { chat; chat_lead off; }';
my $debug = `@{[Chat::Nginx::binary()]} -V 2>&1` =~ /--with-debug/;
my $redis = start_redis(password => $password);
my $provider = start_provider(chunks => 3, key => $key);
my $port = $provider->port;
my $evil = "\r\n\r\ndata: {\"status\": \"completed\", \"chunk\": \"evil\"}\n\n";


# whatever Redis is asked, written down by another process

sub start_monitor {
    my $file = test_dir() . '/monitor';
    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        my $client = $redis->client;

        open(my $out, '>', $file) or die "$file: $!\n";
        $out->autoflush(1);
        $client->cmd('MONITOR');

        while (1) {
            print $out $client->reply . "\n";
        }
    }

    wait_for { -e $file } 5, 'the monitor';

    return ($pid, $file);
}


sub write_secret {
    my ($name, $text) = @_;
    my $file = test_dir() . "/$name";

    open(my $out, '>', $file) or die "$file: $!\n";
    chmod(0600, $file);
    print $out "$text\n";
    close($out);

    return $file;
}


sub provider_block {
    my ($lines) = @_;

    return "chat_provider openai { url http://127.0.0.1:$port/v1; model m;"
        . " retries 0; $lines }\n    log_format all '"
        . join(' ', map { "$_=\"\$chat_$_\"" } @variables)
        . " \$request \$http_user_agent';\n"
        . "    access_log %%DIR%%/all.log all;\n"
        . join('', map { "    add_header X-\u$_ \$chat_$_;\n" }
               grep { $_ ne 'question' } @variables);
}


# all that goes wrong in one way or another

my @faults = ('{{status=401}}', '{{status=400}}', '{{status=500}}',
    '{{status=429;retry_after=100}}', '{{fault=errobj;at=1}}',
    '{{fault=errobj}}', '{{fault=html}}', '{{fault=garbage}}',
    '{{fault=badjson;at=1}}', '{{fault=badutf8;at=1}}', '{{fault=reset;at=1}}',
    '{{fault=eof}}');


sub exercise {
    my ($nginx) = @_;
    my @all = ask($nginx, map { { question => "What is wrong $_?" } } @faults,
                  'no fault');

    # the same of a filler, to which it goes through the queue

    push(@all, ask($nginx, map { { question => "What is wrong as well $_?",
                                   path => '/queued' } } @faults, 'no fault'));

    push(@all, ask($nginx, { question => 'What is wrong no fault?' },
        { question => 'What is wrong no fault?', use_cache => 0 },
        { body => 'x' }, { body => '{"question": 1}' },
        { method => 'PUT', body => 'x' }));

    return @all;
}


# keys and passwords, by each way in which they can be given

my ($monitor, $monitored) = start_monitor();
my $plain = 'redis://127.0.0.1:' . $redis->port;
my $key_file = write_secret('key', $key);
my $password_file = write_secret('password', $password);
my @messages;

foreach my $way (
    [ 'env', "$plain/1", provider_block('key env:OPENAI_API_KEY;')
      . 'chat_redis_password env:RP;',
      { OPENAI_API_KEY => $key, RP => $password } ],
    [ 'url', $redis->url(2), provider_block('key env:KEY;')
      . 'chat_broker $REDIS_URL;', { KEY => $key } ],
    [ 'file', "$plain/3", provider_block("key file:$key_file;")
      . "chat_redis_password file:$password_file;", {} ],
    [ 'literal', "$plain/4", provider_block("key $key;")
      . "chat_redis_password $password;", {} ],
    [ 'header', "$plain/5",
      provider_block('key ""; header Authorization env:KEY;')
      . 'chat_redis_password env:RP;',
      { KEY => "Bearer $key", RP => $password } ],
) {
    my ($name, $url, $http, $env) = @$way;
    my %redis = $name eq 'url' ? () : (redis => $url);

    if ($name eq 'url') {
        $http =~ s/chat_broker \S+;//;
        $env->{REDIS_URL} = $url;
    }

    my $nginx = start_nginx(%redis, http => $http, env => $env, lead => 'on',
        server => $queued, level => $debug ? 'debug' : 'info');

    filler($nginx);

    my @all = exercise($nginx);

    is($all[$_]{terminal}{status}, 'completed', "$name: answer $_")
        foreach $#faults + 1, 2 * @faults + 1;
    is($all[0]{terminal}{code}, 'provider_refused', "$name: a refusal");
    push(@messages, map { $_->{terminal}{message} // $_->{body} } @all);

    my %places = (
        'what clients get' => join('', map { $_->{raw} } @all),
        'the access log' => read_file($nginx->dir . '/all.log')
            . $nginx->access_log,
        'ps' => join("\n", map { Chat::Nginx::title($_) } $nginx->pids),
        'environments' => join("\n", map { read_file("/proc/$_/environ") }
                               $nginx->worker_pids, $nginx->filler_pids),
    );

    $places{'nginx -T'} = ($nginx->run('-T'))[1] unless $name eq 'literal';
    ok($nginx->stop, "$name: nginx stops");
    $places{'the error log'} = $nginx->error_log
        . read_file($nginx->dir . '/stderr');

    like($places{'nginx -T'}, qr/location = \/chat/, "$name: nginx -T")
        if defined $places{'nginx -T'};
    like($places{'the error log'}, qr/\[debug\].*chat/, "$name: lines of debug")
        if $debug;

    foreach my $place (sort keys %places) {
        is(index($places{$place}, $key), -1, "$name: no key in $place");
        is(index($places{$place}, $password), -1,
           "$name: no password in $place");
    }
}

kill('KILL', $monitor);
waitpid($monitor, 0);

my $asked = read_file($monitored);

like($asked, qr/"XADD" "chat:tasks:1"/, 'Redis: what it was asked is known');
is(index($asked, $key), -1, 'Redis: no key in it');
is(index($asked, $password), -1, 'Redis: no password in it');

my @told = grep {
    /127\.0\.0\.1|localhost|$port|http:|https:|\d{3}|overloaded|hotel|sk-|m;/
} @messages;

is_deeply(\@told, [], 'clients: told of no address, no words of others');


# what a filler is, and has open

my $nginx = start_nginx(redis => $redis, http => provider_block("key $key;"),
                        lead => 'on', server => $queued);
my $pid = filler($nginx);

stream_ok(scalar ask($nginx, { question => 'Who are you?', path => '/queued' }),
          'a filler: an answer');

my ($uids) = read_file("/proc/$pid/status") =~ /^Uid:\s+(.*)/m;
my ($caps) = read_file("/proc/$pid/status") =~ /^CapEff:\s+(\S+)/m;

if ($> == 0) {
    my $user = getpwnam('www-data');

    is($uids, join("\t", ($user) x 4), 'a filler: the user of workers');
    is($caps, '0' x 16, 'a filler: no capability');
}

my %sockets = map { $_->{inode} => $_ } sockets();
my @open = map { readlink("/proc/$pid/fd/$_") // () } descriptors($pid);
my @mine = map { /^socket:\[(\d+)\]$/ ? $1 : () } @open;
my @files = grep { !/^(?:socket:|anon_inode:)/ } @open;

is_deeply([ grep { ($sockets{$_}{state} // '') eq 'listen' } @mine ], [],
          'a filler: listens on nothing');

my %peers;

$peers{$sockets{$_}{peer} // 'unknown'}++ foreach @mine;

# to its worker, lanes to both, and that over which these come; libcurl may have
# a pair of its own

cmp_ok(delete $peers{''}, '<=', 6, 'a filler: socket pairs');
cmp_ok(delete $peers{$port} // 0, '<=', 1,
       'a filler: a connection to the provider');
is_deeply(\%peers, { $redis->port => 2 },
          'a filler: two to Redis, and no other');
is_deeply([ grep { $_ ne '/dev/null' && index($_, $nginx->dir) != 0 } @files ],
          [], 'a filler: files of nginx alone') or diag(join("\n", @files));

# one eventfd is nginx's; from 8.9 on libcurl has one or two instead of a pair

my @loop = sort grep { /^anon_inode/ } @open;

is(pop(@loop), 'anon_inode:[eventpoll]', 'a filler: a loop of its own');
is_deeply([ grep { $_ ne 'anon_inode:[eventfd]' } @loop ], [],
          'a filler: what wakes it up');
cmp_ok(scalar @loop, '<=', 3, 'a filler: not more of it than needed');

my @named = grep { ($_->{name} // '') ne '' }
    map { $sockets{$_} // () } map { my $p = $_;
        map { (readlink("/proc/$p/fd/$_") // '') =~ /^socket:\[(\d+)\]/ }
            descriptors($p) } $nginx->pids;

is_deeply(\@named, [], 'all processes: no socket with a name');


sub descriptors {
    my ($pid) = @_;

    opendir(my $dir, "/proc/$pid/fd") or return;

    return grep { /^\d/ } readdir($dir);
}


# all sockets of the machine: inode, state, port of the peer, name

sub sockets {
    my @all;

    foreach my $kind ('tcp', 'tcp6') {
        foreach (split(/\n/, read_file("/proc/net/$kind"))) {
            my (undef, undef, $rem, $state, undef, undef, undef, undef, undef,
                $inode) = split(' ');
            my ($peer) = $rem =~ /^[0-9A-F]+:([0-9A-F]+)$/ or next;

            push(@all, { inode => $inode, peer => hex($peer),
                         state => $state eq '0A' ? 'listen' : 'other' });
        }
    }

    # Num RefCount Protocol Flags Type St Inode Path; flags: listening

    foreach (split(/\n/, read_file('/proc/net/unix'))) {
        my ($flags, $inode, $path) =
            /^\S+: \S+ \S+ (\S+) \S+ \S+\s+(\d+)(?: (.*))?$/ or next;

        push(@all, { inode => $inode, peer => '', name => $path // '',
                     state => hex($flags) & 0x10000 ? 'listen' : 'other' });
    }

    return @all;
}


# what is linked, and may have faults of its own, is known

SKIP: {
    skip 'the module is part of nginx', 1 if $ENV{CHAT_NGINX};

    my $root = Chat::Nginx::root();
    my ($table) = read_file("$root/scripts/README.md")
        =~ /^\| needs \| version .*?\n(.*?)\n\n/ms;
    my %listed = map { $_ => 1 } $table =~ /`(lib\S+\.so\.\S+?)`/g;
    my @linked = `readelf -d $root/build/ngx_chat_module.so`
        =~ /\(NEEDED\).*\[(.*?)\]/g;

    is_deeply([ grep { !$listed{$_} } @linked ], [],
              'libraries: the README of scripts/ lists all');
}


# headers: none but those that are meant, whatever anybody says

sub headers_ok {
    my ($q, $name) = @_;
    my ($head) = $q->{raw} =~ /^(.*?)\r\n\r\n/s;
    my (undef, @lines) = split(/\r\n/, $head // '');
    my @odd = grep {
        !/^(?:Server|Date|Content-Type|Content-Length|Transfer-Encoding
              |Connection|Cache-Control|Cache-Status|X-Accel-Buffering
              |Incremental|X-Chat-Generation
              |X-(?:Key|Cache_status|Generation|Status|Error
              |Provider|Model|Queue_time|First_chunk_time|Chunks|Bytes)):
           \ [\x20-\x7e]*$/x
    } @lines;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply(\@odd, [], "$name: headers");
    is((grep { /^Content-Type:/ } @lines) + 0, 1, "$name: once each");
}


# what clients ask, and what a provider answers

my $escaped = join('', map { sprintf('%%%02X', ord($_)) } split(//, $evil));
my @evil = ("Why?$evil", "Why\0\0?", "Why?\n\nevent: evil\nid: 1",
    "Why\xe2\x80\xa8data: evil", "\"}$evil",
    "Why? {{content=$escaped$escaped;chunks=3}}",
    "Why? {{content=%00%0D%0D%0A%1B%7F%0A%0A:;chunks=2}}",
    "Why? {{finish=length$escaped}}", "Why? {{finish=stop%0D%0Astop}}",
    "Why? {{reasoning=2}}$evil");

foreach my $i (0 .. $#evil) {
    my $question = $evil[$i];
    my @wanted = pieces_of($question, chunks => 3);
    my ($finish) = $question =~ /finish=/ ? 1 : 0;

    my @all = (ask($nginx, { question => $question },
                   { question => $question }),
               ask($nginx, { question => $question,
                             headers => { 'User-Agent' => $i,
                                          'X-Request-ID' => "a$i" } }));

    foreach my $client (0 .. 2) {
        my $q = $all[$client];
        my $name = "evil $i, client $client";

        is_deeply([ grep { $_->{status} eq 'odd' } @{ $q->{events} } ], [],
                  "$name: events");
        is((grep { ($_->{status} // '') =~ /^(?:completed|error)$/ }
            @{ $q->{events} }) + 0, 1, "$name: one end");
        stream_ok($q, "$name: the stream", chunks => \@wanted, restarts => 0)
            unless $finish;
        headers_ok($q, $name);
    }
}


# what others write to Redis: a cached answer, messages about one that runs

my $known = 'What is known?';
my $stream = stream_key($known);

stream_ok(scalar ask($nginx, { question => $known }),
          'a known answer: asked for');

my %fields = %{ $redis->entries($stream)->[-1] };

foreach my $field ('model', 'provider', 'finish', 'gen', 'usage') {
    foreach my $value ("x$evil", "x\r\nX-Evil: 1") {
        my %forged = (%fields, $field => $value);
        my $name = "a forged $field, "
            . ($value =~ /X-Evil/ ? 'a header' : 'an event');

        $redis->cmd('DEL', $stream);
        $redis->cmd('XADD', $stream, '*', map { $_ => $forged{$_} }
                    grep { $_ ne 'id' } sort keys %forged);

        my $q = ask($nginx, { question => $known });

        is_deeply([ grep { $_->{status} eq 'odd' } @{ $q->{events} } ], [],
                  "$name: events");
        stream_ok($q, "$name: the stream",
                  chunks => [ pieces_of($known, chunks => 3) ], restarts => 0)
            unless $field eq 'finish';
        headers_ok($q, $name);
        like($q->{headers}{'cache-status'},
             $field eq 'gen' ? qr/; fwd=miss$/ : qr/; hit$/,
             "$name: believed or not");
    }
}

foreach my $forged ([ "a\"}$evil", 'interrupted' ],
                    [ 'a message', "interrupted\"}$evil" ])
{
    my ($message, $code) = @$forged;
    my $name = $code =~ /^\w+$/ ? 'a forged message' : 'a forged code';
    my $question = "What is forged " . length($code)
        . "? {{chunks=30;gap=100}}";
    my $later = ask_later($nginx, { question => $question,
                                    path => '/queued' });

    mid_answer($redis, 2, $question);

    my $gen = '{' . stream_key($question) . '}:1:gen:'
        . live_id($redis, $question);
    my $n = $redis->cmd('XLEN', $gen) + 1;

    foreach ($n .. $n + 3) {
        $redis->cmd('PUBLISH', $gen, "1 1 $_ 100000 1\ne " . length($message)
                    . ' ' . length($code) . "\n$message$code\n");
    }

    my ($q) = results($later);

    is_deeply([ grep { $_->{status} eq 'odd' } @{ $q->{events} } ], [],
              "$name: events");
    is((grep { ($_->{status} // '') =~ /^(?:completed|error)$/ }
        @{ $q->{events} }) + 0, 1, "$name: one end");
    is($q->{terminal}{code}, $code =~ /^\w+$/ ? $code : 'internal',
       "$name: the code");
}

my $id = live_id($redis, $known);

is($id, undef, 'at the end: nothing runs');

my $fp = $fields{fp};

$redis->cmd('DEL', $stream);
$redis->cmd('SET', "{$stream}:1:live:$fp", "x$evil");

my $q = ask($nginx, { question => $known });

stream_ok($q, 'a forged generation: a miss', cache => qr/fwd=miss$/);
headers_ok($q, 'a forged generation');

done();
