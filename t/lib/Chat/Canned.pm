package Chat::Canned;

# A provider that sends what is written down for each question, in a process
# of its own for each connection.
#
#     my $canned = Chat::Canned->new(\@cases, $log);
#
# A question "Case N" gets $cases[N], "Once WORD N" too, but a good answer the
# second time, and any other one a good answer.  A case:
#
#     send => [...]    pieces of the body; a number is a pause in seconds
#     type => ...      the Content-Type, undef for none
#     end => ...       "done", the default: the body ends by itself; "close",
#                      "reset", or "hold": nothing more comes
#     plain => 1       not chunked; the end of the connection is that of the
#                      body
#     last => 1        the next request on the connection closes it
#
# $log is a file that gets a line for each call, with its question.

use warnings;
use strict;

use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(event delta finish);

my $GOOD = { send => [event(delta('"Fine, "')), event(delta('"thanks."')),
                      event(finish('stop')), event('[DONE]')] };


sub event { return "data: $_[0]\n\n" }
sub delta { return '{"choices":[{"index":0,"delta":{"content":' . $_[0] . '}}]}' }


sub finish {
    return '{"choices":[{"index":0,"delta":{},"finish_reason":"' . $_[0]
        . '"}]}';
}


sub new {
    my ($class, $cases, $log) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Listen => 128, Proto => 'tcp') or die "cannot listen: $@\n";
    my $pid = fork() // die "fork: $!\n";

    if (!$pid) {
        _serve($listen, $cases, $log);
        POSIX::_exit(0);
    }

    return bless { pid => $pid, port => $listen->sockport, log => $log },
        $class;
}


sub port { return $_[0]{port} }


# how often a question was asked

sub calls {
    my ($self, $question) = @_;

    open(my $in, '<', $self->{log}) or return 0;

    return scalar(grep { $_ eq "$question\n" } <$in>);
}


sub stop {
    my ($self) = @_;

    return unless $self->{pid};

    local $?;

    kill('KILL', $self->{pid});
    waitpid(delete $self->{pid}, 0);
}


sub DESTROY { $_[0]->stop }


sub _serve {
    my ($listen, $cases, $log) = @_;
    my $parent = getppid();

    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';

    while (getppid() == $parent) {
        next unless IO::Select->new($listen)->can_read(1);

        my $sock = $listen->accept or next;

        if (fork() // die "fork: $!\n") {
            close($sock);
            next;
        }

        close($listen);
        setsockopt($sock, IPPROTO_TCP, TCP_NODELAY, 1);

        while (_answer($sock, $cases, $log)) { }

        POSIX::_exit(0);
    }
}


# one request; true if another may follow on the connection

sub _answer {
    my ($sock, $cases, $log) = @_;
    my $question = _request($sock) // return 0;
    my ($once, $n) = $question =~ /^(?:Case|(Once) \w+) (\d+)$/;
    my $case = defined $n ? $cases->[$n] // $GOOD : $GOOD;

    $case = $GOOD if $once && calls({ log => $log }, $question);

    open(my $out, '>>', $log) or die "$log: $!\n";
    syswrite($out, "$question\n");
    close($out);

    my $type = exists $case->{type} ? $case->{type} : 'text/event-stream';
    my $plain = $case->{plain};

    syswrite($sock, "HTTP/1.1 200 OK\r\n"
        . (defined $type ? "Content-Type: $type\r\n" : '')
        . ($plain ? "Connection: close\r\n\r\n"
                  : "Transfer-Encoding: chunked\r\n\r\n"))
        // return 0;

    foreach my $piece (@{ $case->{send} }) {

        if ($piece =~ /^[\d.]+$/) {
            sleep($piece);
            next;
        }

        syswrite($sock, $plain ? $piece
            : sprintf("%x\r\n%s\r\n", length($piece), $piece)) // return 0;
    }

    my $end = $case->{end} // 'done';

    if ($end eq 'hold') {
        IO::Select->new($sock)->can_read(60);
        return 0;
    }

    if ($end eq 'reset') {

        # what was sent shall be read before the reset destroys it

        sleep(0.2);
        setsockopt($sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
        return 0;
    }

    return 0 if $end eq 'close' || $plain;

    syswrite($sock, "0\r\n\r\n") // return 0;

    return 1 unless $case->{last};

    _request($sock);

    return 0;
}


sub _request {
    my ($sock) = @_;
    my $in = '';

    while (sysread($sock, $in, 65536, length($in))) {
        my ($length) = $in =~ /^Content-Length: *(\d+)\r$/mi or next;
        my $end = index($in, "\r\n\r\n");

        next if $end < 0 || length($in) < $end + 4 + $length;

        return $in =~ /"role": "user", "content": "([^"]*)"/ ? $1 : '';
    }

    return undef;
}


1;
