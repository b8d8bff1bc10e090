#!/usr/bin/perl

# The package as README.md of scripts/debian installs it: into a minbase system
# below the directory that is given, with a network of its own, where Debian's
# scripts start what they like on the ports that they like.  Answers are the
# demonstration provider's.  "scripts/test package" has prepared all that.

use warnings;
use strict;

use File::Temp ();
use Socket qw(AF_INET SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(sleep);

my ($SIOCSIFFLAGS, $IFF_UP) = (0x8914, 1);
my $CHAT = 'http://127.0.0.1:8000';
my $SO = 'usr/lib/nginx/modules/ngx_chat_module.so';

my $root = shift @ARGV;
my $readme = read_file('scripts/debian/README.md');
my ($commands) = $readme =~ /^<!-- test: package -->\n```sh\n(.*?)^```/ms;
my @commands = map { s/ +#.*//r } split(/\n/, $commands // '');

is(scalar @commands, 3, 'README: has three commands') or BAIL_OUT('none');

loopback_up();

my ($provider, $pid) = start_provider();

END { kill('TERM', $pid) if $pid }

ok(system_in($commands[0]), "works: $commands[0]");

# what the user says: the key, and here another address

ok(system_in("echo any | $commands[1]"), "works: $commands[1]");
is((stat("$root/etc/nginx/chat/openai.key"))[2] & 0777, 0600,
   'root alone can read the key');
ok(system_in("sed -i 's!https://api.openai.com!http://127.0.0.1:$provider!' "
             . '/usr/share/doc/libnginx-mod-chat/examples/chat.conf'),
   'the provider is another one');
ok(system_in($commands[2]), "works: $commands[2]");

like(ready(), qr/"status": "ok"/, 'GET /: all is well');

like(maps(), qr!\Q$SO\E$!m, 'nginx has loaded the module');

my $miss = ask('What is Python?');
my $hit = ask('What is Python?');

like($miss, qr/^Cache-Status: ngx_chat; fwd=miss/mi, 'a miss');
like($miss, qr/"status": "completed", "chunk": "Python is/, 'an answer');
like($hit, qr/^Cache-Status: ngx_chat; hit/mi, 'a hit');
is(completed($hit), completed($miss), 'the same answer');

# what else an operator has

ok(system_in('chatctl show -q "What is Python?"'), 'chatctl finds the answer');
ok(-s "$root/usr/share/doc/libnginx-mod-chat/$_", "it has $_")
    foreach 'README.md', 'ngx_chat_module/http/README.md', 't/README.md',
            'examples/nginx.conf.example', 'examples/grafana.json',
            'examples/demo/index.html';

# what README says of an upgrade

my $before = master();

ok(system_in("$commands[0] --reinstall"), 'an upgrade');
is(master(), $before, 'an upgrade: nginx is not restarted');
like(maps(), qr!\Q$SO\E \(deleted\)!, 'an upgrade: the old module is in use');
ok(system_in('service nginx restart'), 'an upgrade: a restart');
ready();
unlike(maps(), qr!\Q$SO\E \(deleted\)!, 'an upgrade: now the new module is in use');
like(ask('What is Python?'), qr/^Cache-Status: ngx_chat; hit/mi,
     'an upgrade: still a hit');

ok(system_in('rm /etc/nginx/conf.d/chat.conf'
             . ' && apt-get purge libnginx-mod-chat && nginx -t'),
   'it can be removed');
is_deeply([ glob("$root/etc/nginx/modules-*/*chat*") ], [],
          'removed: nothing is left for nginx to load');

done_testing();


# in the chroot, at the repository; what it says is shown if it fails

sub system_in {
    my ($command) = @_;
    my $log = File::Temp->new;

    system("chroot '$root' env -i HOME=/root LC_ALL=C.UTF-8"
           . ' PATH=/usr/sbin:/usr/bin:/sbin:/bin'
           . " DEBIAN_FRONTEND=noninteractive sh -c 'cd /src && eval \"\$1\"'"
           . " sh '" . $command =~ s/'/'\\''/gr . "' >$log 2>&1 </dev/null");

    return 1 if $? == 0;

    diag(read_file("$log"));
    return;
}


sub read_file {
    my ($path) = @_;

    open(my $file, '<', $path) or return '';
    local $/;

    return scalar <$file>;
}


sub loopback_up {
    socket(my $sock, AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
    ioctl($sock, $SIOCSIFFLAGS, pack('a16 s x22', 'lo', $IFF_UP))
        or die "no loopback: $!\n";
}


# its port and pid

sub start_provider {
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        exec('t/lib/provider', '--demo', '--port-file', "$dir/port")
            or die "t/lib/provider: $!\n";
    }

    for (1 .. 500) {
        my ($port) = read_file("$dir/port") =~ /(\d+)/;

        return ($port, $pid) if $port;
        sleep(0.02);
    }

    die "the provider does not start\n";
}


# what GET / says, once nginx and its connections to Redis are there

sub ready {
    my $body = '';

    for (1 .. 500) {
        $body = `curl -s -m 5 $CHAT/`;
        last if $body =~ /"status": "ok"/;
        sleep(0.02);
    }

    return $body;
}


sub ask {
    my ($question) = @_;

    return scalar `curl -sNi -m 30 $CHAT/chat -d '{"question": "$question"}' \\
                   -H 'Content-Type: application/json'`;
}


sub completed {
    my ($text) = @_;

    return $text =~ /^data: (\{"status": "completed".*)/m ? $1 : undef;
}


sub master {
    return read_file("$root/run/nginx.pid") =~ s/\s//gr;
}


sub maps {
    return read_file("$root/proc/" . master() . '/maps');
}
