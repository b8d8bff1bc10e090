package Chat::Connect;

# A small HTTP proxy: CONNECT, and requests with a whole URL.
#
#     my $proxy = Chat::Connect->new(port => N, log => FILE);
#
#     auth       "user:password" that a client has to know, else 407
#     status     what CONNECT is answered with instead of 200
#     hang       it is not answered at all
#     socks      it speaks SOCKS 5 instead, without passwords
#
# requests() are the first lines it got, with the credentials that came along.
# It ends with the object.

use warnings;
use strict;

use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(decode_base64);
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY SOMAXCONN);


sub new {
    my ($class, %opt) = @_;
    my $self = bless { %opt, owner => $$ }, $class;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $opt{port}, Listen => SOMAXCONN, ReuseAddr => 1,
        Proto => 'tcp') or die "proxy: cannot listen: $@\n";
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        $SIG{CHLD} = 'IGNORE';
        open(STDOUT, '>', '/dev/null');
        setpgrp(0, 0);

        while (1) {
            my $client = $listen->accept or next;
            my $child = fork();

            if (defined $child && $child == 0) {
                close($listen);
                eval { $self->_serve($client) };
                POSIX::_exit(0);
            }
        }
    }

    setpgrp($pid, $pid);
    $self->{pid} = $pid;

    return $self;
}


sub port { return $_[0]{port} }


sub requests {
    my ($self) = @_;

    open(my $file, '<', $self->{log}) or return;

    my @lines = <$file>;

    chomp(@lines);

    return @lines;
}


sub forget {
    my ($self) = @_;

    unlink($self->{log});
}


sub stop {
    my ($self) = @_;

    if ($self->{pid}) {
        kill('-TERM', $self->{pid});
        waitpid($self->{pid}, 0);
        delete $self->{pid};
    }
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!);

    $self->stop if $$ == $self->{owner};
}


# The children.

sub _serve {
    my ($self, $client) = @_;
    my $head = '';

    return $self->_socks($client) if $self->{socks};

    while ($head !~ /\r\n\r\n/) {
        sysread($client, $head, 65536, length $head) or return;
    }

    my ($first) = $head =~ /^(.*)\r\n/;
    my ($auth) = $head =~ /^Proxy-Authorization: Basic (\S+)/mi;

    $auth = defined $auth ? decode_base64($auth) : '-';

    open(my $log, '>>', $self->{log}) or return;
    $log->autoflush(1);
    print $log "$first $auth\n";
    close($log);

    sleep(60) if $self->{hang};

    my $status = $self->{status} || 200;

    $status = 407 if defined $self->{auth} && $auth ne $self->{auth};

    if ($status != 200) {
        syswrite($client, "HTTP/1.1 $status No\r\nContent-Length: 3\r\n"
                 . "Connection: close\r\n\r\nno\n");
        return;
    }

    my ($method, $target) = split(/ /, $first);
    my ($host, $port) = $target =~ m!^(?:http://)?([^:/]+):(\d+)!;

    my $server = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port,
        Proto => 'tcp') or return;

    if ($method eq 'CONNECT') {
        syswrite($client, "HTTP/1.1 200 Yes\r\n\r\n");

    } else {
        $head =~ s!http://[^/ ]+!!;
        syswrite($server, $head);
    }

    _pass($client, $server);
}


sub _socks {
    my ($self, $client) = @_;

    my (undef, $methods) = unpack('C2', _exactly($client, 2));

    _exactly($client, $methods);
    syswrite($client, pack('C2', 5, 0));

    my (undef, $command, undef, $type) = unpack('C4', _exactly($client, 4));
    my $host = $type == 1 ? join('.', unpack('C4', _exactly($client, 4)))
        : $type == 3 ? _exactly($client, ord(_exactly($client, 1))) : return;
    my $port = unpack('n', _exactly($client, 2));

    open(my $log, '>>', $self->{log}) or return;
    print $log "SOCKS $host:$port\n";
    close($log);

    my $server = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port,
        Proto => 'tcp') or return;

    syswrite($client, pack('C10', 5, 0, 0, 1, (0) x 6));
    _pass($client, $server);
}


sub _exactly {
    my ($client, $n) = @_;
    my $bytes = '';

    while (length $bytes < $n) {
        sysread($client, $bytes, $n - length $bytes, length $bytes)
            or die "the client has left\n";
    }

    return $bytes;
}


sub _pass {
    my ($client, $server) = @_;
    my $select = IO::Select->new($client, $server);

    setsockopt($_, IPPROTO_TCP, TCP_NODELAY, 1) foreach $client, $server;

    while (1) {
        foreach my $from ($select->can_read) {
            my $to = $from == $client ? $server : $client;

            sysread($from, my $bytes, 65536) or return;

            while (length $bytes) {
                my $n = syswrite($to, $bytes) or return;

                substr($bytes, 0, $n, '');
            }
        }
    }
}


1;
