package Chat::Redis;

# A private server, and a small blocking client for it.  It is Redis, or what
# CHAT_TEST_REDIS says: valkey.

use warnings;
use strict;

use IO::Socket::INET;
use POSIX ();

my $CRLF = "\r\n";

# keys without an expiry: tasks that wait for a filler, and those of
# generations that workers lead

our @QUEUES = ('chat:tasks:1', 'chat:led:1:{chat:tasks:1}');


# new(dir => ..., port => ..., config => [lines], password => ...)

sub new {
    my ($class, %opt) = @_;

    return bless { %opt }, $class;
}


sub start {
    my ($self) = @_;
    my $dir = $self->{dir};

    if (!-d $dir) {
        mkdir($dir) or die "$dir: $!\n";
        chmod(0711, $dir);
    }

    open(my $conf, '>', "$dir/redis.conf") or die "$dir/redis.conf: $!\n";

    print $conf <<EOT;
bind 127.0.0.1
port $self->{port}
unixsocket $dir/redis.sock
unixsocketperm 777
protected-mode no
daemonize no
dir $dir
logfile $dir/redis.log
save ""
appendonly no
enable-debug-command yes
EOT

    print $conf "requirepass $self->{password}\n" if $self->{password};
    print $conf "$_\n" foreach @{ $self->{config} || [] };
    close($conf);

    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open(STDOUT, '>>', "$dir/redis.out");
        open(STDERR, '>&', \*STDOUT);
        setpgrp(0, 0);
        exec(program(), "$dir/redis.conf") or POSIX::_exit(127);
    }

    $self->{pid} = $pid;
    delete $self->{sock};

    foreach (1 .. 2000) {
        my $pong = eval { $self->cmd('PING') };

        return $self if defined $pong && $pong eq 'PONG';

        $self->disconnect;
        die program() . " did not start, see $dir/redis.log\n"
            if waitpid($pid, POSIX::WNOHANG()) == $pid;

        select(undef, undef, undef, 0.01);
    }

    die program() . " does not answer\n";
}


sub program { return ($ENV{CHAT_TEST_REDIS} || 'redis') . '-server' }


# stops it (KILL: as a crash) and waits; start() starts it again, empty

sub stop {
    my ($self, $signal) = @_;

    $self->disconnect;

    if ($self->{pid}) {
        kill($signal || 'TERM', $self->{pid});
        kill('CONT', $self->{pid});
        waitpid($self->{pid}, 0);
        delete $self->{pid};
    }
}


sub signal {
    my ($self, $signal) = @_;

    kill($signal, $self->{pid});
}


sub pid  { return $_[0]{pid} }
sub port { return $_[0]{port} }


sub url {
    my ($self, $db) = @_;
    my $auth = $self->{password} ? ":$self->{password}@" : '';

    return "redis://${auth}127.0.0.1:$self->{port}/" . ($db // 0);
}


sub unix_url {
    my ($self, $db) = @_;

    return "unix:$self->{dir}/redis.sock" . (defined $db ? "?db=$db" : '');
}


# The client.

sub disconnect {
    my ($self) = @_;

    delete $self->{sock};
}


sub connection {
    my ($self) = @_;

    return $self->{sock} if $self->{sock};

    $self->{sock} = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Proto => 'tcp', Timeout => 5)
        or die "cannot connect to redis: $!\n";
    $self->{sock}->autoflush(1);

    if ($self->{password}) {
        $self->send_cmd('AUTH', $self->{password});
        $self->reply;
    }

    if ($self->{db}) {
        $self->send_cmd('SELECT', $self->{db});
        $self->reply;
    }

    return $self->{sock};
}


# a second client of the same server, perhaps of another database

sub client {
    my ($self, $db) = @_;

    return bless { port => $self->{port}, password => $self->{password},
                   dir => $self->{dir}, db => $db }, ref($self);
}


# One command, its reply: strings, numbers, undef, array references; an error
# is an object of Chat::Redis::Error and reads as its message.

sub cmd {
    my ($self, @words) = @_;

    $self->connection;
    $self->send_cmd(@words);

    return $self->reply;
}


sub send_cmd {
    my ($self, @words) = @_;
    my $sock = $self->connection;

    foreach (@words) {
        utf8::encode($_) if utf8::is_utf8($_);
    }

    print $sock '*' . @words . $CRLF
        . join('', map { '$' . length($_) . $CRLF . $_ . $CRLF } @words);
}


sub reply {
    my ($self) = @_;
    my $sock = $self->{sock};

    local $/ = $CRLF;

    my $line = readline($sock);

    if (!defined $line) {
        $self->disconnect;
        die "redis closed the connection\n";
    }

    chomp($line);

    my $type = substr($line, 0, 1, '');

    return $line if $type eq '+' || $type eq ':';
    return bless { message => $line }, 'Chat::Redis::Error' if $type eq '-';
    return undef if $line eq '-1';

    if ($type eq '*') {
        return [ map { scalar $self->reply } 1 .. $line ];
    }

    die "odd reply from redis: $type$line\n" if $type ne '$';

    my $value = '';

    while (length($value) < $line + 2) {
        read($sock, $value, $line + 2 - length($value), length($value))
            or die "redis closed the connection\n";
    }

    return substr($value, 0, $line);
}


# the entries of a stream: [{ id => ..., field => value, ... }, ...]

sub entries {
    my ($self, $key) = @_;
    my $reply = $self->cmd('XRANGE', $key, '-', '+');

    return [] if ref($reply) ne 'ARRAY';

    return [ map { { id => $_->[0], @{ $_->[1] } } } @$reply ];
}


# what is in the queues, entries and those that a filler has taken: 0 when
# nothing is left to do

sub tasks {
    my ($self) = @_;
    my $n = 0;

    foreach my $key (@QUEUES) {
        my $pending = $self->cmd('XPENDING', $key, 'fill');

        $n += $self->cmd('XLEN', $key);
        $n += $pending->[0] if ref($pending) eq 'ARRAY';
    }

    return $n;
}


# of the keys that match, those that stay for ever and are no queue

sub eternal {
    my ($self, $pattern) = @_;
    my %queue = map { $_ => 1 } @QUEUES;

    return grep { !$queue{$_} && $self->cmd('PTTL', $_) == -1 }
           @{ $self->cmd('KEYS', $pattern // '*') };
}


package Chat::Redis::Error;

use overload '""' => sub { $_[0]{message} }, fallback => 1;


1;
