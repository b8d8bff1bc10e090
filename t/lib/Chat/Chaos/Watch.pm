package Chat::Chaos::Watch;

# Looks at the cached answers all the time, in a process of its own: each is
# complete, and none replaces one that was opened later.

use warnings;
use strict;

use Time::HiRes qw(sleep time);

use Chat::Life qw(background value_of);
use Chat::Sealed qw(seal_fault seal_of);

# gone when answers may have been lost
our $SENTINEL = 'chaos:sentinel';


sub new {
    my ($class, $redis) = @_;
    my $self = bless { redis => $redis->client, last => {}, seen => {},
                       faults => {}, gens => {}, rounds => 0 }, $class;

    $self->{process} = background(sub { $self->_run });

    return $self;
}


# ends it: { faults => [...], gens => { id => call }, rounds => N }

sub finish {
    my ($self) = @_;

    kill('USR1', $self->{process}{pid});

    return value_of($self->{process});
}


sub _run {
    my ($self) = @_;
    my $end = 0;

    local $SIG{USR1} = sub { $end = 1 };

    while (!$end) {
        eval { $self->_round };
        $self->{redis}->disconnect if $@;
        sleep(0.02);
    }

    $self->{redis}->cmd('DEL', $SENTINEL);

    return { faults => [ sort keys %{ $self->{faults} } ],
             gens => $self->{gens}, rounds => $self->{rounds} };
}


# One look: the last entry of each, and all of it if that has changed.

sub _round {
    my ($self) = @_;
    my $redis = $self->{redis};
    my $keys = $redis->cmd('KEYS', 'chat:stream:*');
    my (%found, @changed);

    return if ref($keys) ne 'ARRAY';

    foreach my $key (@$keys) {
        $redis->send_cmd('XREVRANGE', $key, '+', '-', 'COUNT', 1);
        $redis->send_cmd('XLEN', $key);
        $redis->send_cmd('PTTL', $key);
    }

    foreach my $key (@$keys) {
        my ($last, $length, $left) = map { scalar $redis->reply } 1 .. 3;

        if (ref($last) ne 'ARRAY') {
            $self->_fault($key, "odd: $last");
            next;
        }

        next unless @$last;

        my %entry = @{ $last->[0][1] };

        $found{$key} = { %entry, id => $last->[0][0], length => $length,
                         until => time() + $left / 1000 };
        $self->_fault($key, 'no expiry') if $left == -1;
    }

    foreach my $key (sort keys %found) {
        my ($entry, $before) = ($found{$key}, $self->{seen}{$key});
        my $mark = join(' ', @$entry{'id', 'length'}, $entry->{gen} // '');

        push(@changed, $key) if !$before || $before->{mark} ne $mark;
        $entry->{mark} = $mark;
    }

    $redis->send_cmd('XRANGE', $_, '-', '+') foreach @changed;

    foreach my $key (@changed) {
        my $fault = $self->_whole($key, $redis->reply);

        $self->_fault($key, $fault) if defined $fault;
    }

    $self->_compare(\%found);
    $self->{rounds}++;
}


# The order in which they were opened.  What had to expire meanwhile proves
# nothing.

sub _compare {
    my ($self, $found) = @_;
    my $redis = $self->{redis};

    if (!$redis->cmd('EXISTS', $SENTINEL)) {
        $self->{seen} = {};
        $redis->cmd('SET', $SENTINEL, 1);
        return;
    }

    foreach my $key (keys %$found) {
        my ($new, $old) = ($found->{$key}, $self->{seen}{$key});

        next unless $old && $old->{until} > time() + 0.5;

        $self->_fault($key, "$new->{gen} of $new->{opened} has replaced"
                      . " $old->{gen} of $old->{opened}")
            if ($new->{opened} // 0) < ($old->{opened} // 0);
    }

    $self->{seen} = $found;
}


sub _whole {
    my ($self, $key, $entries) = @_;
    my ($hash) = $key =~ /([0-9a-f]{64})$/ or return 'an odd key';
    my (@pieces, $n);

    return "odd: $entries" if ref($entries) ne 'ARRAY';
    return undef unless @$entries;

    my %last = @{ $entries->[-1][1] };

    foreach my $i (0 .. $#$entries) {
        my %field = @{ $entries->[$i][1] };
        my ($at) = $entries->[$i][0] =~ /^\d+-(\d+)$/;
        my $want = $i == 0 ? 'processing'
            : $i == $#$entries ? 'completed' : 'streaming';

        return "entry $i is $field{status}" if $field{status} ne $want;
        return "entry $i is not number $n" if defined $n && $at != $n;

        $n = $at + 1;
        push(@pieces, $field{chunk}) if $want eq 'streaming';
    }

    my $fault = seal_fault($hash, \@pieces, 1);

    return $fault if defined $fault;
    return 'the text is not the sum' if $last{chunk} ne join('', @pieces);
    return 'the cuts are wrong'
        if $last{cuts} ne join(' ', map { length } @pieces);
    return "the finish reason is $last{finish}" if $last{finish} ne 'stop';

    $self->{gens}{"$last{gen}.$hash"} = seal_of($last{chunk});

    return undef;
}


sub _fault {
    my ($self, $key, $text) = @_;

    $self->{faults}{"$key: $text"} = 1;
}


1;
