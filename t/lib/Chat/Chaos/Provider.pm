package Chat::Chaos::Provider;

# A provider that is killed and started again, always on the same port.

use warnings;
use strict;

use Chat::Test qw(start_provider provider_stats);


sub new {
    my ($class, %opt) = @_;

    return bless({ options => \%opt, runs => [] }, $class)->start;
}


sub start {
    my ($self) = @_;
    my $run = @{ $self->{runs} } + 1;
    my $port = $self->{now} ? $self->{now}->port : undef;

    $self->{now} = start_provider(%{ $self->{options} }, sealed => 1,
        run => $run, port => $port);
    push(@{ $self->{runs} }, {});

    return $self;
}


# calls that it has had since the last look at its numbers are in its log, if
# they had ended

sub kill {
    my ($self) = @_;
    my $questions = $self->stats->{questions};

    $self->{now}->stop('KILL');

    my $log = $self->{now}->log;

    while ($log =~ /^(\w+) (\d+) /mg) {
        $questions->{$1} = $2 if $2 > ($questions->{$1} || 0);
    }
}


sub port { return $_[0]{now}->port }


# of this run; those of earlier runs stay as they were

sub stats {
    my ($self) = @_;

    return $self->{runs}[-1] = provider_stats($self->{now});
}


# calls for the question with this hash, in all runs or in one of them

sub calls {
    my ($self, $hash, $run) = @_;
    my $sum = 0;

    foreach my $i (defined $run ? $run - 1 : 0 .. $#{ $self->{runs} }) {
        $sum += $self->{runs}[$i]{questions}{$hash} || 0;
    }

    return $sum;
}


sub total {
    my ($self, $name) = @_;
    my $sum = 0;

    $sum += $_->{$name} || 0 foreach @{ $self->{runs} };

    return $sum;
}


1;
