#!/usr/bin/perl

# Whoever speaks for Redis may say anything: it costs this connection, and
# neither a process nor its memory.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use IO::Socket::INET;
use POSIX ();
use Socket qw(SOMAXCONN);
use Time::HiRes qw(time);

# each is sent as often as that, until the connection is closed

my @attacks = (
    [ 'arrays in arrays', "*1\r\n" x 20000, 20 ],
    [ 'arrays in arrays behind elements', "*2\r\n:1\r\n" x 20000, 20 ],
    [ 'an array of two billions', "*2000000000\r\n", 1 ],
    [ 'many large arrays', "*200000\r\n" x 7, 1 ],
    [ 'millions of elements', '*200000' . "\r\n:1" x 20000, 200 ],
    [ 'a string of 512 MB', "\$536870912\r\n", 1, 'x' x 65536, 2000 ],
    [ 'a line without an end', '+', 1, 'x' x 65536, 2000 ],
    [ 'a length without an end', '$', 1, '1' x 65536, 2000 ],
    [ 'a map', "%1\r\n" x 20000, 20 ],
    [ 'a push', ">1\r\n" x 20000, 20 ],
    [ 'attributes', "|1\r\n+a\r\n" x 20000, 20 ],
    [ 'no Redis', "HTTP/1.1 400 Bad Request\r\n\r\n", 1 ],
);

my $file = test_dir() . '/attacks';
my $port = free_port();
my $server = attack();


# Plays the next one on each connection, and writes down which, as which of
# the module's connections, and how many bytes were taken.

sub attack {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => SOMAXCONN, ReuseAddr => 1,
        Proto => 'tcp') or die "cannot listen: $@\n";

    open(my $out, '>>', $file) or die "$file: $!\n";

    my $pid = fork() // die "fork: $!\n";

    return $pid if $pid;

    $SIG{CHLD} = 'IGNORE';

    for (my $n = 0; 1; $n++) {
        my $client = $listen->accept or next;

        next if fork();

        my ($name, @parts) = @{ $attacks[$n % @attacks] };
        my ($hello, $sent) = ('', 0);

        $hello .= $_ while $hello !~ /ngx_chat:/
            && sysread($client, $_, 4096);

        ATTACK:
        while (my ($bytes, $times) = splice(@parts, 0, 2)) {
            while ($times--) {
                my $done = syswrite($client, $bytes) or last ATTACK;

                $sent += $done;
            }
        }

        # until it is closed

        while (sysread($client, my $more, 4096)) { }

        my ($role) = $hello =~ /ngx_chat:(\w+)/;

        syswrite($out, "$name: " . ($role // '-') . " $sent\n");
        POSIX::_exit(0);
    }
}


my $nginx = start_nginx(redis => "redis://127.0.0.1:$port/0",
    provider => start_provider(), workers => 1,
    location => 'chat_redis_down error;');

my @pids = (sort $nginx->worker_pids, $nginx->filler_pids);
my %seen;

wait_for {
    my $all = read_file($file);

    %seen = ();
    $seen{$1}{$2} = $3 while $all =~ /^(.*): (\S+) (\d+)$/mg;
    keys %seen == @attacks
        && 3 == keys %{ { map { $_ => 1 } map { keys %$_ } values %seen } }
} 40, 'all of them to be played';

foreach (@attacks) {
    my ($name) = @$_;
    my $most = (sort { $b <=> $a } values %{ $seen{$name} || {} })[0];

    ok(defined $most, "$name: the connection is left");
    note("$name: $most bytes") if defined $most;
}

# the socket's buffers have room for some of it

my @taken = values %{ $seen{'a line without an end'} };

cmp_ok($taken[$_], '<', 30e6, "a line without an end: not waited for, $_")
    foreach 0 .. $#taken;

is("@{[ sort $nginx->worker_pids, $nginx->filler_pids ]}", "@pids",
   'processes: none has died');

# a sanitizer keeps for a while what was freed

my $most = $ENV{CHAT_NGINX} ? 1200e3 : 400e3;

foreach my $i (0 .. $#pids) {
    my ($peak) = read_file("/proc/$pids[$i]/status") =~ /^VmHWM:\s+(\d+)/m;

    cmp_ok($peak, '<', $most, "processes: number $i has not grown, in kB");
}

my $q = ask($nginx, { question => 'Who is there?' });

is($q->{status}, 503, 'questions: refused with 503');
like($nginx->error_log, qr/a broken reply, or one too large/,
     'the log: tells of broken replies');

kill('TERM', $server);
waitpid($server, 0);

done();
