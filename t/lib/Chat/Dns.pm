package Chat::Dns;

# A name server on 127.0.0.1 (UDP) that knows what it is told:
#
#     my $dns = Chat::Dns->new(port => N);
#
#     $dns->set('redis.test' => '127.0.0.1 ::1');   several addresses
#     $dns->set('redis.test' => '');                no such name
#     $dns->set(ttl => 1);                          of what is answered
#     $dns->set('silent.test' => 'mute');           answers nothing to that
#     $dns->set(mute => 1);                         answers nothing
#
# asked() is how often a name was asked for, both kinds of addresses together.

use warnings;
use strict;

use IO::Handle;
use IO::Socket::INET;
use POSIX ();
use Socket qw(AF_INET6 SOCK_DGRAM inet_aton inet_pton);


sub new {
    my ($class, %opt) = @_;
    my $self = bless { %opt }, $class;

    my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $opt{port}, Proto => 'udp', Type => SOCK_DGRAM)
        or die "dns: $@\n";

    pipe(my $reader, my $writer) or die "pipe: $!\n";
    pipe(my $answers, my $answer) or die "pipe: $!\n";

    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        open(STDOUT, '>', '/dev/null');
        setpgrp(0, 0);
        close($writer);
        close($answers);
        $answer->autoflush(1);
        eval { _run($sock, $reader, $answer) };
        print STDERR "dns: $@" if $@;
        POSIX::_exit(0);
    }

    close($answer);
    $writer->autoflush(1);
    @$self{qw(pid control answers)} = ($pid, $writer, $answers);

    return $self;
}


sub port { return $_[0]{port} }
sub pid  { return $_[0]{pid} }


sub _command {
    my ($self, $line) = @_;
    my $control = $self->{control};

    print $control "$line\n";

    my $answer = readline($self->{answers}) // die "the name server died\n";

    chomp($answer);

    return $answer;
}


# returns when it holds

sub set {
    my ($self, %set) = @_;

    $self->_command("set $_ $set{$_}") foreach sort keys %set;
}


sub asked {
    my ($self, $name) = @_;

    return $self->_command("asked $name");
}


sub stop {
    my ($self) = @_;

    if ($self->{pid}) {
        kill('TERM', $self->{pid});
        waitpid($self->{pid}, 0);
        delete $self->{pid};
    }
}


# The child.

sub _run {
    my ($sock, $reader, $answer) = @_;
    my (%set, %asked);

    while (1) {
        my $r = '';

        vec($r, fileno($sock), 1) = 1;
        vec($r, fileno($reader), 1) = 1;

        next if select($r, undef, undef, undef) < 0;

        if (vec($r, fileno($reader), 1)) {
            my $line = readline($reader) // return;

            chomp($line);

            my ($verb, $name, $value) = split(/ /, $line, 3);

            $set{$name} = $value if $verb eq 'set';
            print $answer $verb eq 'asked' ? $asked{$name} || 0 : 'ok', "\n";
        }

        if (vec($r, fileno($sock), 1)) {
            my $peer = recv($sock, my $query, 4096, 0) // next;
            my $reply = _reply($query, \%set, \%asked);

            send($sock, $reply, 0, $peer) if defined $reply;
        }
    }
}


sub _reply {
    my ($query, $set, $asked) = @_;

    return if length($query) < 12;

    my ($id, $flags, $questions) = unpack('n3', $query);
    my ($pos, @labels) = (12);

    while (my $len = ord(substr($query, $pos, 1))) {
        push(@labels, substr($query, $pos + 1, $len));
        $pos += $len + 1;
    }

    my $name = lc(join('.', @labels));
    my $type = unpack('n', substr($query, $pos + 1, 2));
    my $question = substr($query, 12, $pos + 5 - 12);

    $asked->{$name}++;

    return if $set->{mute} || ($set->{$name} // '') eq 'mute';

    my @all = split(/ /, $set->{$name} // '');
    my @records = map {
        my $six = /:/;
        my $data = $six ? inet_pton(AF_INET6, $_) : inet_aton($_);

        $type == ($six ? 28 : 1)
            ? pack('n3 N n a*', 0xc00c, $type, 1, $set->{ttl} // 1,
                   length($data), $data)
            : ()
    } @all;

    return pack('n6', $id, 0x8180 | (@all ? 0 : 3), 1, scalar(@records), 0, 0)
        . $question . join('', @records);
}


1;
