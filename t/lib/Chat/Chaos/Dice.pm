package Chat::Chaos::Dice;

# Random numbers that follow from names alone: each part of a run has dice of
# its own, so that none disturbs another's.

use warnings;
use strict;

use Digest::SHA qw(sha256);


# new($seed, $name, ...)

sub new {
    my ($class, @names) = @_;

    return bless { name => join(' ', @names), n => 0 }, $class;
}


# from $from, and below $to

sub real {
    my ($self, $from, $to) = @_;
    my $bytes = sha256("$self->{name} " . $self->{n}++);

    return $from + ($to - $from) * unpack('N', $bytes) / 4294967296;
}


# from $from to $to

sub number {
    my ($self, $from, $to) = @_;

    return int($self->real($from, $to + 1));
}


sub chance {
    my ($self, $percent) = @_;

    return $self->real(0, 100) < $percent;
}


sub pick {
    my ($self, @list) = @_;

    return @list ? $list[$self->number(0, $#list)] : undef;
}


# weighted(name => weight, ...)

sub weighted {
    my ($self, %weight) = @_;
    my $sum = 0;

    $sum += $_ foreach values %weight;

    my $at = $self->real(0, $sum);

    foreach my $name (sort keys %weight) {
        $at -= $weight{$name};
        return $name if $at < 0;
    }
}


# a time between two events that come one in so many seconds

sub pause {
    my ($self, $mean) = @_;

    return -$mean * log(1 - $self->real(0, 1));
}


1;
