#!/usr/bin/perl

# The commands of the repository, with a package manager that only says what it
# is asked for: what they install, what they say meanwhile, and what they need
# to stop.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use POSIX ();
use Time::HiRes qw(time);

my $root = Chat::Nginx::root();
my $clone = test_dir() . '/clone';
my $bin = test_dir() . '/bin';

mkdir($_) foreach $clone, "$clone/t", "$clone/build", $bin;
system('cp', '-r', map({ "$root/$_" } qw(scripts config ngx_chat_module
       nginx.conf.example)), $clone) == 0 or die "cannot copy\n";
system('cp', '-r', "$root/t/lib", "$clone/t") == 0 or die "cannot copy\n";

# all is installed but what $MISSING names

program('dpkg-query', <<'EOT');
case " $MISSING " in *" ${!#} "*) exit 1 ;; esac
printf installed
EOT

program('apt-get', <<'EOT');
echo "apt-get $*" >>"$0.log"
echo "Need to get 61.9 MB of archives."
echo "Unpacking something"
exit 100
EOT

$ENV{PATH} = "$bin:$ENV{PATH}";
delete @ENV{qw(REDIS_URL OPENAI_API_KEY OPENAI_BASE_URL CELERY_BROKER_URL)};


sub program {
    my ($name, $text) = @_;

    open(my $file, '>', "$bin/$name") or die "$bin/$name: $!\n";
    print $file "#!/bin/bash\n$text";
    close($file);
    chmod(0755, "$bin/$name");
}


# a directory with all programs but these

sub without_redis {
    my $dir = test_dir() . '/programs';

    mkdir($dir);

    foreach (split(/:/, $ENV{PATH})) {
        foreach my $path (glob("$_/*")) {
            my ($name) = $path =~ m!([^/]+)$!;

            symlink($path, "$dir/$name")
                unless $name =~ /^(?:redis|valkey)-/ || -e "$dir/$name";
        }
    }

    return $dir;
}


# (whether it worked, what it said), and what was asked of apt-get

sub command {
    my ($env, @command) = @_;

    local %ENV = (%ENV, %$env);

    unlink("$bin/apt-get.log");

    my $pid = open(my $out, '-|') // die "fork: $!\n";

    if ($pid == 0) {
        open(STDERR, '>&', \*STDOUT);
        open(STDIN, '<', '/dev/null');
        chdir($clone) or POSIX::_exit(127);
        exec(@command) or POSIX::_exit(127);
    }

    my $text = join('', <$out>);

    close($out);
    return ($? == 0, $text, read_file("$bin/apt-get.log"));
}


# whatever a test has found, nothing stays up

END { system("$clone/scripts/run stop >/dev/null") if -x "$clone/scripts/run" }


# a source of nginx: no compiler is needed to see how it is configured

mkdir("$clone/nginx");
open(my $configure, '>', "$clone/nginx/configure") or die "configure: $!\n";
print $configure <<'EOT';
#!/bin/bash
dir=$(printf '%s\n' "$@" | sed -n 's/^--builddir=//p')
mkdir -p "$dir/addon/lua"
printf '%s\n' "$@" >"$dir/arguments"
printf 'modules:\n\ttouch %s/ngx_chat_module.so\n' "$dir" >"$dir/Makefile"
EOT
close($configure);
chmod(0755, "$clone/nginx/configure");

my ($ok, $text, $asked) = command({ MISSING => 'nginx nginx-dev',
    NGINX_SRC => "$clone/nginx" }, 'scripts/build');

ok($ok, 'NGINX_SRC: it is built') or diag($text);
is($asked, '', "NGINX_SRC: without Debian's nginx");

my @arguments = map { split(/\n/, read_file($_)) }
                glob("$clone/build/*/arguments");

ok(scalar(grep { /^--add-dynamic-module=/ } @arguments)
   && !grep({ /debug/ } @arguments), "NGINX_SRC: as nginx's own packages");

($ok, $text, $asked) = command({ MISSING => 'nginx-dev' }, 'scripts/build');

ok(!$ok, 'a package that cannot be had: the build fails');
like($asked, qr/install .* nginx-dev$/m,
     'a package that cannot be had: it is asked for');
like($text, qr/^installing: nginx-dev \n\s+Need to get 61/m,
     'a package that cannot be had: what is done is shown');
like($text, qr/cannot install: nginx-dev/,
     'a package that cannot be had: what is not is named');

# the module is there already

program('build', "exit 0\n");
system('cp', "$bin/build", "$clone/scripts/build") == 0
    && system('cp', "$root/build/ngx_chat_module.so", "$clone/build") == 0
    or die "cannot copy\n";

my $redis = start_redis();

($ok, $text, $asked) = command({ MISSING => 'redis-server redis-tools',
    REDIS_URL => $redis->url }, 'scripts/run', 'Who?');

ok($ok, 'REDIS_URL: it works') or diag($text);

my ($page) = $text =~ m!^ +page +(http://\S+/demo/)!m;

is(`curl -s --noproxy '*' '${\($page // '')}'`,
   read_file("$root/scripts/demo/index.html"), 'the page is served');
is($asked, '', 'REDIS_URL: no Redis is installed');
is($redis->cmd('EXISTS', stream_key('Who?')), 1, 'REDIS_URL: that one is used');
ok((command({}, 'scripts/run', 'stop'))[0], 'REDIS_URL: stop succeeds');
is($redis->cmd('PING'), 'PONG', 'REDIS_URL: that one is not stopped');
$redis->stop;

($ok, $text, $asked) = command({ MISSING => 'ca-certificates' },
                               'scripts/run', 'Who?');

like($asked, qr/install .* ca-certificates$/m,
     'no ca-certificates: they are asked for');

# a Redis that no package has brought, and none but Valkey

($ok, $text, $asked) = command({ MISSING => 'redis-server redis-tools' },
                               'scripts/run', 'Who?');

ok($ok && $asked eq '', 'a Redis of another origin: none is installed')
    or diag($text);
ok((command({}, 'scripts/run', 'stop'))[0],
   'a Redis of another origin: stop succeeds');

foreach my $program ('server', 'cli') {
    chomp(my $path = `command -v redis-$program || command -v valkey-$program`);
    system('cp', '-L', $path, "$bin/valkey-$program") == 0
        or die "no $program can be copied\n";
}

$ENV{PATH} = "$bin:" . without_redis();

($ok, $text, $asked) = command({ MISSING => 'redis-server redis-tools' },
                               'scripts/run', 'Who?');

ok($ok && $asked eq '', 'Valkey: no Redis is installed') or diag($text);
like($text, qr/valkey-cli -s \S+ XRANGE/, 'Valkey: its client is named');
ok((command({}, 'scripts/run', 'stop'))[0], 'Valkey: stop succeeds');

# who has no parent any more becomes a zombie, for ever, where the first process
# waits for nobody else

my $init = test_dir() . '/init';

open(my $file, '>', $init) or die "$init: $!\n";
print $file <<'EOT';
use strict;
use Time::HiRes qw(time);

foreach my $what ('Who?', 'stop') {
    my $start = time();
    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        exec('scripts/run', $what) or die "scripts/run: $!\n";
    }

    waitpid($pid, 0);
    printf("%s: status %d, %.1f s\n", $what, $? >> 8, time() - $start);
}

my @zombies = grep { !readlink("$_/exe") } glob('/proc/[0-9]*');

printf("%d zombies\n", scalar(@zombies));
EOT
close($file);

($ok, $text) = command({}, 'unshare', '-p', '--fork', '--mount-proc', $^X,
                       $init);

like($text, qr/^Who\?: status 0/m, 'a container: it works') or diag($text);
like($text, qr/^[1-9]\d* zombies/m, 'a container: nobody waits');

my ($took) = $text =~ /^stop: status 0, ([\d.]+)/m;

cmp_ok($took // 100, '<', 25, 'a container: stopped, and not killed');

unlink("$bin/valkey-$_") foreach 'server', 'cli';

($ok, $text, $asked) = command({ MISSING => 'redis-server redis-tools' },
                               'scripts/run', 'Who?');

ok(!$ok, 'no Redis at all: the command fails');
like($asked, qr/install .* redis-server redis-tools$/m,
     'no Redis at all: Redis is asked for');

done();
