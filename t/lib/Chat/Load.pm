package Chat::Load;

# Many requests in a short time, over connections that are kept, and a
# provider that answers as fast.  Each answer is seen to its end, and counted
# by its last event.
#
#     my $quick = start_quick(free_port());
#     my $seen = load($nginx, count => 100000, connections => 4, depth => 16,
#         question => sub { "Question $_[0]?" });
#
# "path" may be another than /chat.  "depth" requests are under way on each
# connection, in one pipeline.  $seen
# is { completed => N, seconds => S }; other ends are counted by the code of
# the error, or by the status; "missing" are those that never came.

use warnings;
use strict;

use Errno qw(EAGAIN EINTR);
use Exporter qw(import);
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(IPPROTO_TCP SOMAXCONN TCP_NODELAY);
use Time::HiRes qw(time);

our @EXPORT = qw(load start_quick);

my $END = "\r\n0\r\n\r\n";
my $TIMEOUT = 30;


sub load {
    my ($nginx, %opt) = @_;
    my ($sent, $done, $began, %seen, %conn) = (0, 0, time());
    my $path = $opt{path} // '/chat';
    my $read = '';

    my $fill = sub {
        my ($c) = @_;
        my $bytes = '';

        while ($c->{under_way} < $opt{depth} && $sent < $opt{count}) {
            $bytes .= _request($path, $opt{question}->($sent++));
            $c->{under_way}++;
        }

        # so little fits into the buffer of a socket

        die "the requests were not taken at once\n"
            if length($bytes) && (syswrite($c->{sock}, $bytes) // 0)
                                 != length($bytes);
    };

    foreach (1 .. $opt{connections}) {
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $nginx->port, Proto => 'tcp', Timeout => 5)
            or die "cannot connect: $!\n";
        my $c = { sock => $sock, in => '', under_way => 0 };

        setsockopt($sock, IPPROTO_TCP, TCP_NODELAY, 1);
        $sock->blocking(0);
        vec($read, fileno($sock), 1) = 1;
        $conn{fileno($sock)} = $c;
        $fill->($c);
    }

    while ($done < $opt{count}) {
        my $n = select(my $ready = $read, undef, undef, $TIMEOUT);

        next if $n < 0 && $!{EINTR};
        last if $n <= 0;

        foreach my $c (grep { vec($ready, fileno($_->{sock}), 1) }
                       values %conn)
        {
            my $got = sysread($c->{sock}, $c->{in}, 262144, length($c->{in}));

            next if !defined $got && ($!{EAGAIN} || $!{EINTR});

            if (!$got) {
                vec($read, fileno($c->{sock}), 1) = 0;
                next;
            }

            while (defined(my $how = _answer($c))) {
                $seen{$how}++;
                $done++;
                $c->{under_way}--;
            }

            $fill->($c);
        }
    }

    $seen{missing} = $opt{count} - $done if $done < $opt{count};

    return { %seen, seconds => time() - $began };
}


sub _request {
    my ($path, $question) = @_;
    my $body = '{"question": ' . JSON::PP->new->allow_nonref->encode($question)
        . '}';

    return "POST $path HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}


# takes one answer out of the buffer: how it ended; undef: it is not whole

sub _answer {
    my ($c) = @_;
    my $head = index($c->{in}, "\r\n\r\n");
    my $length;

    return undef if $head < 0;

    if (substr($c->{in}, 0, $head) =~ /\r\nContent-Length: (\d+)/) {
        $length = $head + 4 + $1;

    } else {
        $length = index($c->{in}, $END, $head);
        return undef if $length < 0;
        $length += length($END);
    }

    return undef if length($c->{in}) < $length;

    my $answer = substr($c->{in}, 0, $length, '');
    my $event = substr($answer, rindex($answer, '{"'));

    return 'completed' if $event =~ /^\{"status": "completed"/;
    return $1 if $event =~ /"code": "(\w+)"/;
    return substr($answer, 9, 3);
}


# a provider with one answer for everything

sub start_quick {
    my ($port) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => SOMAXCONN, ReuseAddr => 1,
        Proto => 'tcp') or die "cannot listen: $@\n";
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        $SIG{PIPE} = 'IGNORE';
        setpgrp(0, 0);
        eval { _serve($listen) };
        print STDERR "quick provider: $@" if $@;
        POSIX::_exit(0);
    }

    return bless { pid => $pid, port => $port }, __PACKAGE__;
}


sub port { return $_[0]{port} }


sub stop {
    my ($self) = @_;

    if (my $pid = delete $self->{pid}) {
        kill('TERM', $pid);
        waitpid($pid, 0);
    }
}


sub DESTROY {
    my ($self) = @_;

    local $?;

    $self->stop;
}


sub _serve {
    my ($listen) = @_;
    my ($read, %conn) = ('');
    my $body = join('', map { "data: $_\n\n" }
        (map { '{"choices": [{"index": 0, "delta": {"content": "' . $_
               . '"}, "finish_reason": null}]}' } 'So it is', ', always'),
        '{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}',
        '[DONE]');
    my $answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";

    vec($read, fileno($listen), 1) = 1;

    while (1) {
        next if select(my $ready = $read, undef, undef, undef) < 1;

        if (vec($ready, fileno($listen), 1) && (my $sock = $listen->accept)) {
            setsockopt($sock, IPPROTO_TCP, TCP_NODELAY, 1);
            vec($read, fileno($sock), 1) = 1;
            $conn{fileno($sock)} = { sock => $sock, in => '' };
        }

        foreach my $fd (grep { vec($ready, $_, 1) } keys %conn) {
            my $c = $conn{$fd};

            if (!sysread($c->{sock}, $c->{in}, 65536, length($c->{in}))) {
                vec($read, $fd, 1) = 0;
                delete $conn{$fd};
                next;
            }

            # one request at a time, as HTTP/1.1 without pipelining has it

            my $head = index($c->{in}, "\r\n\r\n");

            if ($head > 0
                && substr($c->{in}, 0, $head) =~ /\r\nContent-Length: (\d+)/i
                && length($c->{in}) >= $head + 4 + $1)
            {
                $c->{in} = '';
                syswrite($c->{sock}, $answer);
            }
        }
    }
}


1;
