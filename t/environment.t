#!/usr/bin/perl

# The key comes from the environment of nginx, is kept over a reload and a
# binary upgrade, and is in the environment of no other process.

use warnings;
use strict;

use lib 't/lib';
use POSIX ();
use Chat::Test;
use Chat::Life;

my $key = 'sk-from-the-environment';
my $password = 'p4ssw0rd';

my $redis = start_redis(password => $password);
my $provider = start_provider(key => $key, chunks => 3);
my $url = 'http://127.0.0.1:' . $provider->port . '/v1';

my %env = (OPENAI_API_KEY => $key, OPENAI_BASE_URL => $url,
    OPENAI_MODEL => 'a-model', REDIS_URL => $redis->url(3),
    CELERY_BROKER_URL => $redis->url(4), CACHE_TTL_SECONDS => 77,
    PLAIN => 'a plain value');

my $nginx = start_nginx(env => { %env });
my $n = 0;


# a new question is answered: by this provider, through this Redis

sub answered {
    my ($name, %opt) = @_;
    my $question = 'Question ' . ++$n . '?';
    my $q = ask($nginx, { question => $question, %opt });

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return stream_ok($q, $name, chunks => [pieces_of($question, chunks => 3)],
                     cache => qr/^ngx_chat; fwd=miss$/);
}


answered('everything from the environment');

my $stats = provider_stats($provider);

like($stats->{last_headers},
     qr/^Authorization: Bearer \Q$key\E\r?$/mi, 'the key');
is(parse_json($stats->{last_request})->{model}, 'a-model', 'the model');

my $ttl = $redis->client(3)->cmd('PTTL', stream_key('Question 1?'));

cmp_ok($ttl, '<=', 77000, 'the TTL');
cmp_ok($ttl, '>', 70000, 'begins with the completion');
is($redis->client(4)->cmd('TYPE', 'chat:tasks:1'), 'stream', 'the broker');
is($redis->cmd('DBSIZE'), 0, 'nothing anywhere else');

# other processes have the rest of the environment

wait_for { $nginx->worker_pids == 2 && $nginx->filler_pids } 5, 'the children';

my @children = ($nginx->worker_pids, $nginx->filler_pids);

is(scalar(@children), 3, 'two workers and a filler');

foreach my $pid (@children) {
    ok(in_environ($pid, 'a-model'),
       'a plain value in ' . Chat::Nginx::title($pid));
    ok(!in_environ($pid, $key), 'no key in ' . Chat::Nginx::title($pid));
    ok(!in_environ($pid, $password),
       'no password in ' . Chat::Nginx::title($pid));
}

# reload

my ($old) = $nginx->worker_pids;

ok($nginx->reload, 'reload');
answered('the key after a reload');
ok($nginx->reload, 'reload again');
answered('the key after another reload');
wait_for { $nginx->filler_pids == 1 } 10, 'the filler alone';

# "nginx -s reload" in a shell that has no key: its own lack is what it tells of

my ($status, $output) = do {
    local $nginx->{env} = {};
    $nginx->run('-s', 'reload');
};

is($status, 0, 'a reload from a shell');
like($output, qr/OPENAI_API_KEY is not set in the environment of this command;/,
     'whose key is missing');
ok(wait_for(sub { 3 == (() = $nginx->error_log =~ /: reconfiguring$/mg) }, 10),
   'the third reload');
answered('the key after a reload from a shell');
unlike($nginx->error_log, qr/is not set/, 'nginx itself has it');
wait_for { $nginx->filler_pids == 1 } 10, 'the filler alone';

# a worker and a filler that die are replaced by others with the key

kill('KILL', $nginx->filler_pids);
$nginx->allow_log(qr/exited on signal 9/);
answered('a filler after one that died', timeout => 30);

# without a master process

$nginx = start_nginx(env => { %env }, master => 0);
answered('without a master process');
ok(!in_environ($_, $key), 'no key in a single process or its filler')
    foreach $nginx->pids;

# "env" of the operator wins over nothing, and keys may have any name

$nginx = start_nginx(env => { ONE => $key, TWO => 'two', THREE => $password },
    redis => 'redis://127.0.0.1:' . $redis->port . '/0', http => <<"EOT");
    chat_redis_password env:THREE;
    chat_provider openai {
        url $url;
        key env:ONE;
        header X-Two env:TWO;
        header X-Three a;
        model m;
    }
EOT
answered('other names');
like(provider_stats($provider)->{last_headers}, qr/^X-Two: two\r?$/mi,
     'a header from the environment');
ok(!in_environ($_, $key) && !in_environ($_, $password),
   'neither in ' . Chat::Nginx::title($_))
    foreach $nginx->worker_pids, $nginx->filler_pids;

# The key of the environment goes to the default address and to no other, from
# a worker as from a filler.

my $other = start_provider(chunks => 3);
my $other_url = 'http://127.0.0.1:' . $other->port . '/v1';
my $db = 5;

foreach my $way (
    [ 'elsewhere', { OPENAI_BASE_URL => $url }, '', undef ],
    [ 'elsewhere, named', { OPENAI_BASE_URL => $url }, 'key env:ONE;', 'one' ],
    [ 'the default address', { OPENAI_BASE_URL => "$other_url/" }, '', $key ],
) {
    my ($name, $env, $word, $sent) = @$way;

    # a queue of its own, as fillers of the others do not know this one

    %$env = (%env, ONE => 'one', REDIS_URL => $redis->url($db),
             CELERY_BROKER_URL => $redis->url($db++), %$env);

    $nginx = start_nginx(env => $env, http => <<"EOT",
    chat_provider other { url $other_url; $word }
EOT
        server => 'location = /queued { chat other; }
                   location = /direct { chat other; chat_cache off; }');

    foreach my $path ('/queued', '/direct') {
        my $q = ask($nginx, { question => "$name, $path?", path => $path });

        is($q->{terminal}{status}, 'completed', "$name: $path: answered");

        my $headers = provider_stats($other)->{last_headers};

        is(($headers =~ /^Authorization: (.*?)\r?$/mi)[0],
           defined $sent ? "Bearer $sent" : undef,
           "$name: $path: the key that is sent");
        unlike($headers, qr/\Q$key\E/, "$name: $path: no key of another")
            if ($sent // '') ne $key;
    }

    ok(!in_environ($_, $key), "$name: no key in " . Chat::Nginx::title($_))
        foreach $nginx->worker_pids, $nginx->filler_pids;
}

# a binary upgrade; nginx ignores USR2 while the parent that has started it is
# alive, so that is a process which ends

$nginx = new_nginx(env => { %env });

my $parent = fork() // die "fork: $!\n";

if ($parent == 0) {
    $nginx->start;
    POSIX::_exit(0);
}

waitpid($parent, 0);
answered('before the upgrade');

my $pid = pid_of('nginx.pid');

kill('USR2', $pid);

my $new = wait_for {
    pid_of('nginx.pid.oldbin') == $pid && pid_of('nginx.pid') != $pid
        && pid_of('nginx.pid')
} 10, 'the new master';

BAIL_OUT('no binary upgrade') unless $new;

ok(in_environ($new, "OPENAI_API_KEY=$key"), 'the key is handed on');
ok(in_environ($new, 'REDIS_URL=redis'), 'where Redis is, too');
ok(!in_environ($new, 'PLAIN='), 'what the module did not read is not');

wait_for { grep { Chat::Nginx::parent($_) == $new } $nginx->worker_pids } 10,
    'the new workers';
kill('QUIT', $pid);
wait_for { gone($pid) } 10, 'the end of the old master';
answered('the key after a binary upgrade');
wait_for { $nginx->filler_pids == 1 } 10, 'one filler';

foreach ($nginx->worker_pids, $nginx->filler_pids) {
    ok(!in_environ($_, $key), 'after it: no key in ' . Chat::Nginx::title($_));
}

kill('HUP', $new);
wait_for { $nginx->error_log =~ /\] $new#.*reconfiguring/ } 10, 'a reload';
answered('the key after a reload of that');

kill('QUIT', $new);
ok(wait_for(sub { gone($new) && !$nginx->pids }, 10, 'the end'),
   'all have ended');

done();


sub pid_of {
    return read_file($nginx->dir . "/$_[0]") =~ /(\d+)/ ? $1 : 0;
}


# Whether the environment of a running process, which it would hand on to a
# program that it starts, has this text.  /proc/PID/environ shows what was there
# when the process was started, so this looks at the array "environ" itself.

sub in_environ {
    my ($pid, $text) = @_;
    my $env = live_environ($pid);

    if (!defined $env) {
        diag("the memory of $pid cannot be read");
        return 0;
    }

    return scalar grep { index($_, $text) >= 0 } @$env;
}


sub live_environ {
    my ($pid) = @_;

    open(my $mem, '<:raw', "/proc/$pid/mem") or return undef;

    my $address = environ_address($pid) or return undef;
    my $array = pointer($mem, $address) or return undef;
    my @env;

    while (my $at = pointer($mem, $array + 8 * @env)) {
        sysseek($mem, $at, 0);
        sysread($mem, my $string, 4096);
        push(@env, $string =~ /^([^\0]*)/);
    }

    return \@env;
}


sub pointer {
    my ($mem, $at) = @_;
    my $bytes = '';

    sysseek($mem, $at, 0);
    sysread($mem, $bytes, 8);

    return length($bytes) == 8 ? unpack('Q<', $bytes) : 0;
}


# the variable is in the program if that names it, else in libc

sub environ_address {
    my ($pid) = @_;
    my $program = readlink("/proc/$pid/exe");
    my $maps = read_file("/proc/$pid/maps");

    foreach my $file (quotemeta($program), '/\S*/libc\.so\.6') {
        my ($base, $name) = $maps =~ m!^([0-9a-f]+)-\S+ \S+ 0+ .*?($file)$!m
            or next;

        foreach (`readelf -W --dyn-syms $name`) {
            no warnings 'portable';

            return hex($base) + hex($1)
                if /:\s+([0-9a-f]{16})\s.*\sOBJECT\s(?!.*\sUND\s).*\senviron(?:@|$)/;
        }
    }

    return undef;
}
