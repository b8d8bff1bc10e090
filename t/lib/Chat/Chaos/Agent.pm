package Chat::Chaos::Agent;

# Does harm at random times, and ends it again: the faults themselves are in
# Chat::Chaos::Faults.  Each is noted with its time, so that what clients see
# can be told from what they should not.

use warnings;
use strict;

use IO::Handle;
use Time::HiRes qw(time);

use Chat::Chaos::Dice;
use Chat::Chaos::Faults;

my $PAUSE = 0.7;     # seconds between two faults, on an average


# new(seed, redis, nginx => [...], proxies => [...], log => file,
#     provider => sub that starts one)

sub new {
    my ($class, %opt) = @_;
    my $self = bless { %opt, later => [], count => {}, busy => {},
        killed => {}, spoiled => {}, stopped => {}, losses => [], shut => [],
        down => [], away => [], began => time() }, $class;

    $self->{dice} = Chat::Chaos::Dice->new($opt{seed}, 'agent');
    $self->{next} = time() + $self->{dice}->pause($PAUSE);
    open($self->{file}, '>>', $opt{log}) or die "$opt{log}: $!\n";
    $self->{file}->autoflush(1);

    return $self;
}


sub dice   { return $_[0]{dice} }
sub healed { return $_[0]{healed} }


# what is due: the end of a fault, or another one

sub tick {
    my ($self) = @_;

    $self->_due(time());

    return if time() < $self->{next};

    my $name = $self->{dice}->weighted(%Chat::Chaos::Faults::WEIGHT);
    my $what = Chat::Chaos::Faults->can($name)->($self);

    if (defined $what) {
        $self->{count}{$name}++;
        $self->note("$name: $what");
    }

    $self->{next} = time() + $self->{dice}->pause($PAUSE);
}


# ends all faults; true when nothing is left to be awaited

sub heal {
    my ($self) = @_;

    $self->note('all faults end') if !$self->{healed}++;
    $self->_due(time() + 1e6);

    return !@{ $self->{later} };
}


# does it that many seconds later; until then the thing is busy

sub later {
    my ($self, $seconds, $thing, $end) = @_;

    $self->{busy}{$thing} = 1;
    push(@{ $self->{later} }, { at => time() + $seconds, thing => $thing,
                                end => $end });
}


sub busy {
    my ($self, $thing) = @_;

    return $self->{busy}{$thing};
}


sub note {
    my ($self, $text) = @_;
    my $now = time();

    printf { $self->{file} } "%.3f %.3f %s\n", $now, $now - $self->{began},
        $text;
}


sub _due {
    my ($self, $now) = @_;
    my @all = @{ $self->{later} };

    $self->{later} = [];

    foreach my $item (@all) {
        if ($item->{at} > $now) {
            push(@{ $self->{later} }, $item);
            next;
        }

        delete $self->{busy}{$item->{thing}};
        $item->{end}->();
    }
}


# What clients may have noticed.

sub killed {
    my ($self, $instance, $pid) = @_;

    $self->{killed}{$pid} = 1;
    push(@{ $self->{losses} }, [ $instance, time() ]);
}


sub shut {
    my ($self, $instance) = @_;
    my %workers = map { $_ => 1 } $self->{nginx}[$instance]->worker_pids;

    push(@{ $self->{shut} },
         { instance => $instance, at => time(), workers => \%workers });
}


# was this worker killed; without a pid: was one of the instance just then

sub worker_killed {
    my ($self, $pid, $instance, $at) = @_;

    return $self->{killed}{$pid} if defined $pid;
    return grep {
        $_->[0] == $instance && $_->[1] > $at - 2 && $_->[1] < $at + 0.1
    } @{ $self->{losses} };
}


# the same for one that was told to end

sub worker_shut {
    my ($self, $pid, $instance, $at) = @_;

    return grep {
        $_->{instance} == $instance
        && (defined $pid ? $_->{workers}{$pid} && $_->{at} < $at + 0.5
            : abs($_->{at} - $at) < 2)
    } @{ $self->{shut} };
}


# keys of a generation were deleted or changed

sub spoiled {
    my ($self, $gen) = @_;

    $self->{spoiled}{$_} = 1 foreach $gen =~ /[0-9a-f]{32,}/g;
}


# by its hash or its id

sub was_spoiled {
    my ($self, $name) = @_;

    return $self->{spoiled}{$name};
}


# somebody has asked for the end of a generation, which has this key

sub stopped {
    my ($self, $key) = @_;

    $self->{stopped}{$_} = 1 foreach $key =~ /[0-9a-f]{32,}/g;
}


sub was_stopped {
    my ($self, $name) = @_;

    return $self->{stopped}{$name};
}


# was the provider away at any time between these

sub provider_was_away {
    my ($self, $from, $to) = @_;

    return grep { $_->{from} < $to + 0.1 && ($_->{to} // 1e12) > $from - 0.1 }
        @{ $self->{away} };
}


# was the instance away, or about to go

sub was_down {
    my ($self, $instance, $at) = @_;

    return grep {
        $_->{instance} == $instance && $_->{from} < $at + 0.1
        && ($_->{to} // 1e12) > $at - 0.5
    } @{ $self->{down} };
}


1;
