package Chat::Apart;

# Before Chat::Test: the test runs in a network and a mount namespace of its
# own, where the system's names come from 127.0.0.1, port 53.

use warnings;
use strict;

use File::Temp ();
use Socket qw(AF_INET SOCK_DGRAM);

my ($SIOCSIFFLAGS, $IFF_UP) = (0x8914, 1);


sub import {
    if (!$ENV{CHAT_APART}) {
        local $ENV{CHAT_APART} = 1;

        exec('unshare', '-m', '-n', $^X, $0, @ARGV) or die "unshare: $!\n";
    }

    delete $ENV{CHAT_APART};

    socket(my $sock, AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
    ioctl($sock, $SIOCSIFFLAGS, pack('a16 s x22', 'lo', $IFF_UP))
        or die "no loopback: $!\n";

    my $file = File::Temp->new;

    print $file "nameserver 127.0.0.1\n";
    close($file);
    chmod(0644, "$file");
    system('mount', '--bind', "$file", '/etc/resolv.conf') == 0
        or die "/etc/resolv.conf cannot be replaced\n";
}


1;
