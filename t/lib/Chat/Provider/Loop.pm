package Chat::Provider::Loop;

# The event loop of the provider, and its connections, which no other code
# touches: plain select(), whose sets may be of any size here, and a heap of
# timers, of which each connection has at most one.
#
# A connection is a hash; of its members "in" and "out" are bytes, "pace" is ms
# from one byte to the next, and "close" is the outcome with which it is closed
# when all is written.

use warnings;
use strict;

use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use Exporter qw(import);
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY);
use Time::HiRes qw(time);

our @EXPORT = qw(serve after flush_out wait_for_room close_conn reset_conn
    connections);

my $MAX_REQUEST = 16 * 1024 * 1024;

my (%conn, %on, @heap, $listen);
my ($rvec, $wvec) = ('', '');


# serve($listen, accepted => sub, request => sub, room => sub, closed => sub):
# all but the first get the connection, and the last one the outcome as well

sub serve {
    my (undef, %handlers) = @_;

    $listen = $_[0];
    %on = %handlers;
    vec($rvec, fileno($listen), 1) = 1;

    while (1) {
        my $timeout = 60;

        if (@heap) {
            $timeout = $heap[0][0] - time();
            $timeout = 0 if $timeout < 0;
        }

        my $n = select(my $r = $rvec, my $w = $wvec, undef, $timeout);

        if ($n > 0) {
            foreach my $fd (bits($w)) {
                flush_out($conn{$fd}) if $conn{$fd};
            }

            foreach my $fd (bits($r)) {
                if ($fd == fileno($listen)) {
                    accept_all();

                } elsif ($conn{$fd}) {
                    read_in($conn{$fd});
                }
            }
        }

        while (@heap && $heap[0][0] <= time()) {
            my ($at, $c, $seq) = @{ heap_pop() };

            if (!$c->{closed} && $c->{seq} == $seq) {
                $c->{timer}->();
            }
        }
    }
}


sub bits {
    my $text = unpack('b*', $_[0]);
    my ($at, @fds) = (-1);

    while (($at = index($text, '1', $at + 1)) >= 0) {
        push(@fds, $at);
    }

    return @fds;
}


sub after {
    my ($c, $ms, $timer) = @_;

    $c->{timer} = $timer;
    heap_push([time() + $ms / 1000, $c, ++$c->{seq}]);
}


sub heap_push {
    my ($item) = @_;
    my $i = @heap;

    push(@heap, $item);

    while ($i > 0) {
        my $up = ($i - 1) >> 1;

        last if $heap[$up][0] <= $heap[$i][0];

        @heap[$up, $i] = @heap[$i, $up];
        $i = $up;
    }
}


sub heap_pop {
    my $top = $heap[0];
    my $last = pop @heap;
    my $i = 0;

    return $top unless @heap;

    $heap[0] = $last;

    while (1) {
        my $down = 2 * $i + 1;

        last if $down >= @heap;

        $down++ if $down + 1 < @heap && $heap[$down + 1][0] < $heap[$down][0];

        last if $heap[$i][0] <= $heap[$down][0];

        @heap[$i, $down] = @heap[$down, $i];
        $i = $down;
    }

    return $top;
}


sub accept_all {
    while (my $sock = $listen->accept) {
        $sock->blocking(0);
        setsockopt($sock, IPPROTO_TCP, TCP_NODELAY, 1);

        my $fd = fileno($sock);

        $on{accepted}->();

        $conn{$fd} = { sock => $sock, fd => $fd, in => '', out => '',
                       seq => 0 };
        vec($rvec, $fd, 1) = 1;
    }
}


sub sock_read {
    my ($c) = @_;

    return sysread($c->{sock}, $c->{in}, 65536, length($c->{in}));
}


sub sock_write {
    my ($c) = @_;

    return syswrite($c->{sock}, $c->{out},
                    $c->{pace} ? 1 : length($c->{out}));
}


sub close_conn {
    my ($c, $outcome) = @_;

    return if $c->{closed};

    $on{closed}->($c, $outcome || 'aborted');

    $c->{closed} = 1;
    vec($rvec, $c->{fd}, 1) = 0;
    vec($wvec, $c->{fd}, 1) = 0;
    delete $conn{$c->{fd}};
    close($c->{sock});
}


sub read_in {
    my ($c) = @_;
    my $n = sock_read($c);

    if (!defined $n) {
        return if $! == EAGAIN || $! == EINTR || $! == EWOULDBLOCK;
        return close_conn($c);
    }

    return close_conn($c) if $n == 0 || length($c->{in}) > $MAX_REQUEST;

    $on{request}->($c);
}


sub flush_out {
    my ($c) = @_;

    return if $c->{closed} || $c->{due};

    while (length $c->{out}) {
        my $n = sock_write($c);

        if (!defined $n) {
            next if $! == EINTR;

            if ($! == EAGAIN || $! == EWOULDBLOCK) {
                vec($wvec, $c->{fd}, 1) = 1;
                return;
            }

            return close_conn($c);
        }

        substr($c->{out}, 0, $n, '');

        if ($c->{pace} && length $c->{out}) {
            vec($wvec, $c->{fd}, 1) = 0;
            $c->{due} = 1;

            return after($c, $c->{pace}, sub {
                $c->{due} = 0;
                flush_out($c);
            });
        }
    }

    vec($wvec, $c->{fd}, 1) = 0;

    if ($c->{close}) {
        return close_conn($c, $c->{close});
    }

    if ($c->{blocked}) {
        $c->{blocked} = 0;
        $on{room}->($c);
    }
}


# calls "room" when all that is to be written has been written

sub wait_for_room {
    my ($c) = @_;

    $c->{blocked} = 1;
    vec($wvec, $c->{fd}, 1) = 1;
}


sub reset_conn {
    my ($c, $outcome) = @_;

    setsockopt($c->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
    close_conn($c, $outcome);
}


sub connections { return values %conn }


1;
