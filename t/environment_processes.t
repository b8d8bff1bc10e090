#!/usr/bin/perl

# The key in the environment of nginx is kept over a reload and a binary
# upgrade, and is in the environment of no other process.  What is taken from
# there, and sent to whom, is in environment.t.

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


answered('environment: all settings come from it');

# other processes have the rest of the environment

wait_for { $nginx->worker_pids == 2 && $nginx->filler_pids } 5, 'the children';

my %child = named_children();

is(scalar(keys %child), 3, 'processes: two workers and a filler');

foreach (sort keys %child) {
    ok(in_environ($child{$_}, 'a-model'), "$_: a plain value");
    ok(!in_environ($child{$_}, $key), "$_: no key");
    ok(!in_environ($child{$_}, $password), "$_: no password");
}

# reload

my ($old) = $nginx->worker_pids;

ok($nginx->reload, 'reload: succeeds the first time');
answered('reload: the key is kept');
ok($nginx->reload, 'reload again: succeeds');
answered('reload again: the key is kept');
wait_for { $nginx->filler_pids == 1 } 10, 'the filler alone';

# "nginx -s reload" in a shell that has no key: its own lack is what it tells of

my ($status, $output) = do {
    local $nginx->{env} = {};
    $nginx->run('-s', 'reload');
};

is($status, 0, 'reload from a shell: the command succeeds');
like($output, qr/OPENAI_API_KEY is not set in the environment of this command;/,
     'reload from a shell: it tells what the command lacks');
ok(wait_for(sub { 3 == (() = $nginx->error_log =~ /: reconfiguring$/mg) }, 10),
   'reload from a shell: nginx reconfigures');
answered('reload from a shell: the key is kept');
unlike($nginx->error_log, qr/is not set/,
       'reload from a shell: nginx itself has the key');
wait_for { $nginx->filler_pids == 1 } 10, 'the filler alone';

# a worker and a filler that die are replaced by others with the key

kill('KILL', $nginx->filler_pids);
$nginx->allow_log(qr/exited on signal 9/);
answered('a filler after one that died: has the key', timeout => 30);

# without a master process

$nginx = start_nginx(env => { %env }, master => 0);
answered('single process: has the key');
my @single = $nginx->pids;

ok(!in_environ($single[$_], $key), "single process: no key in process $_")
    foreach 0 .. $#single;

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
answered('other names: the key is sent');
like(provider_stats($provider)->{last_headers}, qr/^X-Two: two\r?$/mi,
     'other names: a header from the environment');
%child = named_children();
ok(!in_environ($child{$_}, $key) && !in_environ($child{$_}, $password),
   "other names: neither in $_") foreach sort keys %child;

# nor is it there where a provider elsewhere does not get it, or gets another

my $other = start_provider(chunks => 3);
my $other_url = 'http://127.0.0.1:' . $other->port . '/v1';
my $db = 5;

foreach my $way (
    [ 'elsewhere', { OPENAI_BASE_URL => $url }, '' ],
    [ 'elsewhere, named', { OPENAI_BASE_URL => $url }, 'key env:ONE;' ],
    [ 'the default address', { OPENAI_BASE_URL => "$other_url/" }, '' ],
) {
    my ($name, $env, $word) = @$way;

    # a queue of its own, as fillers of the others do not know this one

    %$env = (%env, ONE => 'one', REDIS_URL => $redis->url($db),
             CELERY_BROKER_URL => $redis->url($db++), %$env);

    $nginx = start_nginx(env => $env, http => <<"EOT",
    chat_provider other { url $other_url; $word }
EOT
        server => 'location = /queued { chat other; }');

    wait_for { $nginx->filler_pids } 10, 'the filler';

    %child = named_children();
    ok(!in_environ($child{$_}, $key), "$name: no key in $_")
        foreach sort keys %child;
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
answered('before the upgrade: the key is there');

my $pid = pid_of('nginx.pid');

kill('USR2', $pid);

my $new = wait_for {
    pid_of('nginx.pid.oldbin') == $pid && pid_of('nginx.pid') != $pid
        && pid_of('nginx.pid')
} 10, 'the new master';

BAIL_OUT('no binary upgrade') unless $new;

ok(in_environ($new, "OPENAI_API_KEY=$key"),
   'the upgrade: the key is handed on');
ok(in_environ($new, 'REDIS_URL=redis'),
   'the upgrade: the place of Redis is handed on');
ok(!in_environ($new, 'PLAIN='),
   'the upgrade: what the module did not read is not');

wait_for { grep { Chat::Nginx::parent($_) == $new } $nginx->worker_pids } 10,
    'the new workers';
kill('QUIT', $pid);
wait_for { gone($pid) } 10, 'the end of the old master';
answered('after the upgrade: the key is there');
wait_for { $nginx->filler_pids == 1 } 10, 'one filler';

%child = named_children();
ok(!in_environ($child{$_}, $key), "after the upgrade: no key in $_")
    foreach sort keys %child;

kill('HUP', $new);
wait_for { $nginx->error_log =~ /\] $new#.*reconfiguring/ } 10, 'a reload';
answered('after the upgrade, a reload: the key is kept');

kill('QUIT', $new);
ok(wait_for(sub { gone($new) && !$nginx->pids }, 10, 'the end'),
   'after the upgrade: all have ended');

done();


# the processes but the master: name => pid

sub named_children {
    my @workers = $nginx->worker_pids;
    my @fillers = $nginx->filler_pids;

    return map({ ("worker $_" => $workers[$_]) } 0 .. $#workers),
        map({ ("filler $_" => $fillers[$_]) } 0 .. $#fillers);
}


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
