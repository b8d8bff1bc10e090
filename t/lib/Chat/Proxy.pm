package Chat::Proxy;

# A TCP proxy that misbehaves on demand: put it between nginx and Redis or the
# provider, and tell it at run time what to do.
#
#     latency=MS   both directions
#     cut=N        a connection ends after N bytes from the target
#     half=1       it ends after half of what comes next towards the target
#     rst=1        it ends by a reset instead of a close, with cut, half, drop
#     hole=1       swallows everything and answers nothing
#     mute=1       a subscriber of Redis gets nothing from the next message on
#     refuse=1     closes new connections at once
#     drop=1       ends all connections now
#     target=PORT  new connections go there
#     hold=1       what there is now goes no further, new ones do; hold=0: it
#                  goes on

use warnings;
use strict;

use IO::Handle;
use IO::Socket::INET;
use Errno;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY SOMAXCONN);
use Time::HiRes qw(time);


# new(port => where to listen, target => port), with address => where as well

sub new {
    my ($class, %opt) = @_;
    my $self = bless { %opt }, $class;

    my $address = $opt{address} || '127.0.0.1';
    my $listen = IO::Socket::INET->new(LocalAddr => $address,
        LocalPort => $opt{port}, Listen => SOMAXCONN, ReuseAddr => 1,
        Proto => 'tcp') or die "proxy: cannot listen: $@\n";

    pipe(my $reader, my $writer) or die "pipe: $!\n";

    # the child answers each command, so that set() returns when it holds

    pipe(my $answers, my $answer) or die "pipe: $!\n";

    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        $SIG{PIPE} = 'IGNORE';
        open(STDOUT, '>', '/dev/null');
        setpgrp(0, 0);
        close($writer);
        close($answers);
        $answer->autoflush(1);
        eval { _run($listen, $opt{target}, $reader, $answer) };
        print STDERR "proxy: $@" if $@;
        POSIX::_exit(0);
    }

    close($listen);
    close($answer);
    $writer->autoflush(1);
    @$self{qw(pid control answers)} = ($pid, $writer, $answers);

    return $self;
}


sub port { return $_[0]{port} }
sub pid  { return $_[0]{pid} }


sub set {
    my ($self, %set) = @_;
    my $control = $self->{control};

    print $control join(';', map { "$_=$set{$_}" } sort keys %set) . "\n";

    return readline($self->{answers}) + 0;
}


# how many connections go through it now

sub connections { return $_[0]->set }


sub stop {
    my ($self) = @_;

    if ($self->{pid}) {
        kill('TERM', $self->{pid});
        kill('CONT', $self->{pid});
        waitpid($self->{pid}, 0);
        delete $self->{pid};
    }
}


# The child.  A half is one direction: { from, to, queue => [[time, bytes]] }.

sub _run {
    my ($listen, $target, $reader, $answer) = @_;
    my (%set, %half);

    while (1) {
        my ($r, $w, $timeout, $now) = ('', '', 10, time());

        vec($r, fileno($listen), 1) = 1;
        vec($r, fileno($reader), 1) = 1;

        foreach my $half (my @now = values %half) {
            next if $half->{held};

            vec($r, fileno($half->{from}), 1) = 1
                if !$half->{eof} && @{ $half->{queue} } < 64;

            next unless @{ $half->{queue} };

            my $due = $half->{queue}[0][0] - $now;

            if ($due <= 0) {
                vec($w, fileno($half->{to}), 1) = 1;

            } elsif ($due < $timeout) {
                $timeout = $due;
            }
        }

        next if select($r, $w, undef, $timeout) < 0;

        if (vec($r, fileno($reader), 1)) {
            my $line = readline($reader) // return;

            chomp($line);

            foreach (split(/;/, $line)) {
                my ($key, $value) = split(/=/, $_, 2);
                $set{$key} = $value;
            }

            $target = delete $set{target} if $set{target};

            if (delete $set{drop}) {
                _end(\%half, $_, \%set) foreach (my @all = values %half);
            }

            if (defined(my $held = delete $set{hold})) {
                $_->{held} = $held foreach values %half;
            }

            print $answer keys(%half) / 2, "\n";
        }

        _accept($listen, $target, \%half, \%set)
            if vec($r, fileno($listen), 1);

        foreach my $half (my @now = values %half) {
            next if $half->{closed};

            _read($half, \%half, \%set)
                if vec($r, fileno($half->{from}), 1);
            _write($half, \%half, \%set)
                if !$half->{closed} && vec($w, fileno($half->{to}), 1);
        }
    }
}


sub _accept {
    my ($listen, $target, $halves, $set) = @_;
    my $down = $listen->accept or return;

    return if $set->{refuse};

    my $up = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $target, Proto => 'tcp') or return;

    foreach ($down, $up) {
        $_->blocking(0);
        setsockopt($_, IPPROTO_TCP, TCP_NODELAY, 1);
    }

    my %one = (from => $down, to => $up, queue => [], bytes => 0);
    my %two = (from => $up, to => $down, queue => [], bytes => 0, back => 1);

    $one{other} = \%two;
    $two{other} = \%one;
    $halves->{fileno($down)} = \%one;
    $halves->{fileno($up)} = \%two;
}


sub _read {
    my ($half, $halves, $set) = @_;
    my $n = sysread($half->{from}, my $bytes, 65536);

    return if !defined $n && ($!{EAGAIN} || $!{EINTR});

    # what is swallowed stays swallowed, but an end is passed on

    return if $n && $set->{hole};

    $half->{mute} = 1
        if $set->{mute} && $n && $half->{back} && $bytes =~ /\r\nmessage\r\n/;

    return if $n && $half->{mute};

    my $at = time() + ($set->{latency} || 0) / 1000;

    if (!$n) {
        $half->{eof} = 1;
        push(@{ $half->{queue} }, [$at, undef]);
        return;
    }

    if (!$half->{back} && $set->{half}) {
        $half->{eof} = 1;
        $half->{cut} = 1;
        $bytes = substr($bytes, 0, $n >> 1);
    }

    if ($half->{back} && defined $set->{cut} && length $set->{cut}) {
        my $left = $set->{cut} - $half->{bytes};

        if ($n >= $left) {
            $half->{eof} = 1;
            $half->{cut} = 1;
            $bytes = substr($bytes, 0, $left > 0 ? $left : 0);
        }
    }

    $half->{bytes} += length($bytes);

    push(@{ $half->{queue} }, [$at, $bytes]) if length $bytes;
    push(@{ $half->{queue} }, [$at, undef]) if $half->{eof};
}


sub _write {
    my ($half, $halves, $set) = @_;
    my $item = $half->{queue}[0];

    if (!defined $item->[1]) {
        return _end($halves, $half, $set) if $half->{cut};

        shift @{ $half->{queue} };
        shutdown($half->{to}, 1);
        $half->{done} = 1;

        _end($halves, $half, {}) if $half->{other}{done};
        return;
    }

    my $n = syswrite($half->{to}, $item->[1]);

    if (!defined $n) {
        _end($halves, $half, {}) unless $!{EAGAIN} || $!{EINTR};
        return;
    }

    substr($item->[1], 0, $n, '');
    shift @{ $half->{queue} } unless length $item->[1];
}


sub _end {
    my ($halves, $half, $set) = @_;

    return if $half->{closed};

    foreach ($half, $half->{other}) {
        next if $_->{closed}++;

        delete $halves->{fileno($_->{from})};

        setsockopt($_->{from}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0))
            if $set->{rst};
        close($_->{from});
    }

    delete $half->{other}{other};
    delete $half->{other};
}


1;
