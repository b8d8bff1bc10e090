package Chat::Chaos::Rest;

# What there is to see when nobody asks any more: in Redis, and in the
# processes of the instances.

use warnings;
use strict;

use Exporter qw(import);

use Chat::Life qw(zombies);

our @EXPORT_OK = qw(unsettled left_keys connections levels is_queue);

my $LIFE = 60000;     # ms that a generation is kept, once claimed
my $PROVIDERS = 2;    # of each instance


# what stays

sub is_queue {
    my ($key) = @_;

    return grep { $key eq $_ } @Chat::Redis::QUEUES;
}


# why it is not quiet yet, or undef

sub unsettled {
    my ($redis, $provider, @nginx) = @_;
    my $tasks = $redis->tasks;
    my @running = _running($redis);
    my $active = $provider->stats->{active};

    return "$tasks tasks, waiting or pending" if $tasks;
    return "$running[0] still runs" if @running;
    return "$active calls of the provider" if $active;

    foreach my $nginx (@nginx) {
        my $workers = $nginx->worker_pids;
        my $fillers = $nginx->filler_pids;

        return "$workers workers and $fillers fillers of $nginx->{dir}"
            if $workers != 2 || $fillers != $nginx->{fillers};
        return "a zombie of $nginx->{dir}" if zombies($nginx);
    }

    return undef;
}


# Generations that have an owner, or wait for one and may still get it.  One
# whose task was never accepted waits for its expiry alone.

sub _running {
    my ($redis) = @_;
    my ($now) = $redis->cmd('TIME')->[0];
    my @running;

    foreach my $key (@{ $redis->cmd('KEYS', '*:own') }) {
        my %own = @{ $redis->cmd('HGETALL', $key) };
        my $state = $own{state} // '';

        push(@running, "$key ($state)")
            if $state eq 'r' && $own{till} / 1000 > $now
               || $state eq 'q' && $own{due} / 1000 > $now;
    }

    return @running;
}


# keys that will stay, or stay too long, and generations without an end

sub left_keys {
    my ($redis, $queue_timeout) = @_;
    my $longest = $LIFE + $queue_timeout * 1000;
    my @faults;

    foreach my $key (@{ $redis->cmd('KEYS', '*') }) {
        my $left = $redis->cmd('PTTL', $key);

        next if is_queue($key) || $left == -2;

        push(@faults, "$key has no expiry") if $left == -1;
        push(@faults, "$key lives for $left ms") if $left > $longest;
    }

    return @faults;
}


# of Redis, without our own

sub connections {
    my ($redis) = @_;
    my $own = $redis->cmd('CLIENT', 'ID');

    return scalar(grep { !/^id=$own / }
                  split(/\n/, $redis->cmd('CLIENT', 'LIST')));
}


# How many files each process of an instance has open, by kind; connections
# that fillers keep to the provider do not count.

sub levels {
    my ($nginx, $provider) = @_;
    my %kept = map { $_ => 1 } _sockets_to($provider->port);
    my %unix = _unix_sockets();
    my %filler = map { $_ => 1 } $nginx->filler_pids;
    my $zero = Chat::Nginx::parent((keys %filler)[0] // 0) // 0;
    my %level;

    foreach my $pid ($nginx->pids) {
        my $kind = $pid == $nginx->pid ? 'master'
            : $filler{$pid} ? 'filler'
            : $pid == $zero ? 'worker 0' : 'worker';

        foreach my $file (glob("/proc/$pid/fd/*")) {
            my $name = readlink($file) // next;

            next if $kept{$name};

            $name = $unix{$name} // $name;
            $name =~ s/:\[\d+\]$//;
            $name =~ s!^/.*/!!;
            $level{"$kind: $name"}++;
        }
    }

    # libcurl wakes itself up with a pair for each provider that is in use; a
    # newer one with an eventfd or two, of which nginx has one too

    my $fillers = keys %filler;
    my $most = $fillers * (1 + 2 * $PROVIDERS);

    if (($level{'filler: stream'} // 0) <= $most) {
        $level{'filler: stream'} = $fillers;
    }

    my $eventfd = 'filler: anon_inode:[eventfd]';

    if (($level{$eventfd} // 0) <= $most) {
        $level{$eventfd} = $fillers;
    }

    return \%level;
}


# by name: those of lanes keep messages apart, all others are streams

sub _unix_sockets {
    my %kind;

    foreach (grep { /^[0-9a-f]+:/ }
             split(/\n/, Chat::Nginx::read_file('/proc/net/unix')))
    {
        my ($type, $inode) = (split(' '))[4, 6];

        $kind{"socket:[$inode]"} = $type eq '0005' ? 'lane' : 'stream';
    }

    return %kind;
}


sub _sockets_to {
    my ($port) = @_;
    my $remote = sprintf('0100007F:%04X', $port);

    return map { 'socket:[' . (split(' ', $_))[9] . ']' }
        grep { (split(' ', $_))[2] eq $remote }
        split(/\n/, Chat::Nginx::read_file('/proc/net/tcp'));
}


1;
