package Chat::Sentinel;

# A master, a replica, and three Sentinels that watch them.
#
#     my $trio = Chat::Sentinel->new(dir => ..., port => sub { a free one },
#         password => 'of both servers', sentinel_password => 'of these',
#         config => [ lines for both servers ], host => 'localhost',
#         tls => [ certificate, key, certificate of the authority ]);
#
# Servers and Sentinels are Chat::Redis objects.  With TLS they speak it among
# themselves and want certificates; {tls_port} is where, and the other port is
# for the test alone.  With a host the servers are announced by that name, whose
# first address may be either loopback's.

use warnings;
use strict;

use Time::HiRes qw(sleep time);

use Chat::Redis;

my $NAME = 'mymaster';


sub new {
    my ($class, %opt) = @_;
    my $self = bless { %opt }, $class;
    my $host = $self->{host} ||= '127.0.0.1';

    foreach my $n (0, 1) {
        my $dir = "$opt{dir}/server$n";
        my ($tls_port, @config) = $self->_tls;

        push(@config, 'repl-diskless-sync-delay 0',
             'repl-ping-replica-period 1', @{ $opt{config} || [] });
        push(@config, "masterauth $opt{password}") if $opt{password};
        push(@config, "replicaof $host " . _at($self->{servers}[0])) if $n;
        push(@config, "replica-announce-ip $host", 'bind 127.0.0.1 ::1')
            if $opt{host};

        $self->{servers}[$n] = Chat::Redis->new(dir => $dir,
            port => $opt{port}->(), tls_port => $tls_port,
            password => $opt{password}, config => \@config)->start;
    }

    my $port = _at($self->{servers}[0]);

    foreach my $n (0 .. 2) {
        my ($tls_port, @config) = $self->_tls;

        push(@config, 'sentinel resolve-hostnames yes',
             'sentinel announce-hostnames yes',
             'sentinel announce-ip 127.0.0.1') if $opt{host};
        push(@config,
            "sentinel monitor $NAME $host $port 2",
            "sentinel down-after-milliseconds $NAME 500",
            "sentinel failover-timeout $NAME 4000",
            "sentinel parallel-syncs $NAME 1");

        push(@config, "sentinel auth-pass $NAME $opt{password}")
            if $opt{password};
        push(@config, "sentinel sentinel-pass $opt{sentinel_password}")
            if $opt{sentinel_password};

        $self->{sentinels}[$n] = Chat::Sentinel::One->new(
            dir => "$opt{dir}/sentinel$n", port => $opt{port}->(),
            tls_port => $tls_port, password => $opt{sentinel_password}, config => \@config)->start;
    }

    $self->settle;

    return $self;
}


# (port, lines of the configuration)

sub _tls {
    my ($self) = @_;
    my ($cert, $key, $ca) = @{ $self->{tls} || return };
    my $port = $self->{port}->();

    return ($port, "tls-port $port", "tls-cert-file $cert",
            "tls-key-file $key", "tls-ca-cert-file $ca",
            'tls-replication yes', 'tls-auth-clients yes');
}


# where the others look for it

sub _at { return $_[0]{tls_port} || $_[0]->port }


sub sentinels { return @{ $_[0]{sentinels} } }
sub servers   { return @{ $_[0]{servers} } }


# hosts and name, as in a URL

sub path {
    my ($self) = @_;

    return join(',', map { '127.0.0.1:' . _at($_) } $self->sentinels)
        . "/$NAME";
}


sub url {
    my ($self) = @_;
    my $auth = $self->{password} ? ":$self->{password}@" : '';
    my $args = $self->{sentinel_password}
        ? "?sentinel_password=$self->{sentinel_password}" : '';

    my $scheme = $self->{tls} ? 'rediss' : 'redis';

    return "$scheme+sentinel://$auth" . $self->path . $args;
}


# the server that the Sentinels call the master, as most of them see it

sub master {
    my ($self) = @_;
    my %votes;

    foreach my $sentinel (grep { $_->{pid} } $self->sentinels) {
        my $addr = eval {
            $sentinel->cmd('SENTINEL', 'get-master-addr-by-name', $NAME);
        };

        $votes{$addr->[1]}++ if ref($addr) eq 'ARRAY';
    }

    my ($port) = sort { $votes{$b} <=> $votes{$a} } keys %votes;

    return (grep { defined $port && _at($_) == $port } $self->servers)[0];
}


sub replica {
    my ($self) = @_;
    my $master = $self->master;

    return (grep { $_ != $master } $self->servers)[0];
}


# waits until all know each other and the replica follows the master

sub settle {
    my ($self) = @_;
    my $end = time() + 30;

    while (time() < $end) {
        return 1 if $self->settled;
        sleep(0.05);
    }

    die "the Sentinels do not settle\n";
}


sub settled {
    my ($self) = @_;
    my $master = $self->master or return;
    my $replica = $self->replica;
    my $role = eval { $replica->cmd('ROLE') };

    return unless ref($role) eq 'ARRAY' && $role->[0] eq 'slave'
        && $role->[2] == _at($master) && $role->[3] eq 'connected';

    foreach my $sentinel (grep { $_->{pid} } $self->sentinels) {
        my %info = eval { @{ $sentinel->cmd('SENTINEL', 'MASTER', $NAME) } };

        return unless ($info{'num-slaves'} || 0) == 1
            && ($info{'num-other-sentinels'} || 0) == 2
            && ($info{flags} || '') eq 'master'
            && ($info{port} || 0) == _at($master);

        my $slaves = eval { $sentinel->cmd('SENTINEL', 'REPLICAS', $NAME) };

        return unless ref($slaves) eq 'ARRAY' && @$slaves == 1;

        %info = @{ $slaves->[0] };

        return unless $info{flags} eq 'slave'
            && $info{'master-link-status'} eq 'ok'
            && $info{'slave-repl-offset'} > 0;
    }

    return 1;
}


# has the other one become the master?

sub moved {
    my ($self, $former) = @_;
    my $master = $self->master;

    return $master && $master != $former;
}


# asks for a failover while the master lives

sub failover {
    my ($self) = @_;

    foreach my $sentinel (grep { $_->{pid} } $self->sentinels) {
        my $reply = $sentinel->cmd('SENTINEL', 'FAILOVER', $NAME);

        return 1 if !ref($reply) && $reply eq 'OK';
    }

    return 0;
}


# all of them die at once, and are there again, in the same roles

sub crash {
    my ($self) = @_;

    $self->{last} = $self->master;
    $_->stop('KILL') foreach $self->sentinels, $self->servers;
}


sub revive {
    my ($self) = @_;
    my $last = $self->{last};

    foreach my $server ($last, grep { $_ != $last } $self->servers) {
        my @config = grep { !/^replicaof / } @{ $server->{config} };

        push(@config, "replicaof $self->{host} " . _at($last))
            if $server != $last;
        $server->{config} = \@config;
        $server->start;
    }

    $_->start foreach $self->sentinels;
    $self->settle;
}


sub stop {
    my ($self) = @_;

    $_->stop foreach $self->sentinels, $self->servers;
}


# A Sentinel keeps what it learns in its configuration, which is written once.

package Chat::Sentinel::One;

use warnings;
use strict;

use POSIX ();

our @ISA = ('Chat::Redis');


sub start {
    my ($self) = @_;
    my $dir = $self->{dir};

    if (!-d $dir) {
        mkdir($dir) or die "$dir: $!\n";

        open(my $conf, '>', "$dir/sentinel.conf")
            or die "$dir/sentinel.conf: $!\n";
        print $conf <<EOT;
bind 127.0.0.1
port $self->{port}
protected-mode no
daemonize no
dir $dir
logfile $dir/sentinel.log
EOT
        print $conf "requirepass $self->{password}\n" if $self->{password};
        print $conf "$_\n" foreach @{ $self->{config} };
        close($conf);
    }

    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open(STDOUT, '>>', "$dir/sentinel.out");
        open(STDERR, '>&', \*STDOUT);
        setpgrp(0, 0);
        exec(Chat::Redis::program(), "$dir/sentinel.conf", '--sentinel')
            or POSIX::_exit(127);
    }

    $self->{pid} = $pid;
    $self->disconnect;

    foreach (1 .. 2000) {
        my $pong = eval { $self->cmd('PING') };

        return $self if defined $pong && $pong eq 'PONG';

        $self->disconnect;
        die "a Sentinel did not start, see $dir/sentinel.log\n"
            if waitpid($pid, POSIX::WNOHANG()) == $pid;

        select(undef, undef, undef, 0.01);
    }

    die "a Sentinel does not answer\n";
}


1;
