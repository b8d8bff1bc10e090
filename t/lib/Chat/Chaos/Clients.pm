package Chat::Chaos::Clients;

# The clients of a run: for each second a process that asks what is due in it.
# What is asked, where, and how a client behaves follows from the seed.

use warnings;
use strict;

use POSIX ();

use Chat::Chaos::Dice;
use Chat::Chaos::Transcript qw(record_of);
use Chat::Client qw(ask);
use Chat::Life qw(background value_of);

my $EPOCH = 8;     # seconds that a hot question stays one
my $HOT = 5;

# how the provider may fail, and the error code that a client may get for it

my @FAULTS = ('fault=reset', 'fault=eof', 'fault=stall', 'fault=hang',
    'fault=html', 'fault=badjson', 'fault=errobj', 'fault=null',
    'fault=nodone', 'fault=end', 'status=500', 'status=503',
    'status=429;retry_after=1');


# new(seed => ..., nginx => [...], bound => seconds, sink => sub (@records))

sub new {
    my ($class, %opt) = @_;

    return bless { %opt, batches => [], second => 0 }, $class;
}


# those of the next second

sub send_next {
    my ($self) = @_;
    my @asks = $self->_plan($self->{second}++);

    push(@{ $self->{batches} }, background(sub {
        return [ map { record_of($_) } ask(undef, @asks) ];
    }));
}


# takes in what has ended: how many batches are still under way

sub collect {
    my ($self) = @_;
    my @left;

    foreach my $batch (@{ $self->{batches} }) {
        if (waitpid($batch->{pid}, POSIX::WNOHANG()) == 0) {
            push(@left, $batch);
            next;
        }

        my @records = @{ value_of($batch) };

        die "a process of clients has failed\n" unless @records;

        unlink($batch->{file});
        $self->{sink}->(@records);
    }

    $self->{batches} = \@left;

    return scalar(@left);
}


sub _plan {
    my ($self, $second) = @_;
    my $dice = Chat::Chaos::Dice->new($self->{seed}, 'second', $second);
    my $epoch = int($second / $EPOCH);
    my @asks;

    foreach my $i (1 .. $dice->number(6, 24)) {
        my $hot = $dice->chance(55);
        my $name = $hot ? "hot $epoch." . $dice->number(1, $HOT)
            : "new $second.$i";
        my $instance = $dice->number(0, $#{ $self->{nginx} });
        my $question = $self->question($name);

        # a filler that stands still takes its provider for a silent one,
        # so most locations have more patience than a lease lasts

        my $path = $question =~ /fault=(?:stall|hang)/ ? '/chat'
            : $dice->pick('/chat', '/patient', '/patient', '/brief',
                          '/queued', '/direct', '/stale', '/stale');

        push(@asks, {
            question => $question, instance => $instance,
            port => $self->{nginx}[$instance]->port, hot => $hot,
            delay => $dice->real(0, 1), timeout => $self->{bound},
            path => $path,
            ($dice->chance(15) ? (use_cache => 0) : ()),
            _behaviour($dice),
        });
    }

    return @asks;
}


sub _behaviour {
    my ($dice) = @_;

    return (hangup_after => $dice->pick(0, 1, 2, 5, 10),
            rst => $dice->chance(50)) if $dice->chance(12);
    return (leaves => 1, timeout => $dice->real(0, 2), rcvbuf => 2048,
            read_rate => $dice->pick(1, 100000)) if $dice->chance(6);
    return (read_rate => $dice->number(4000, 16000), rcvbuf => 2048)
        if $dice->chance(6);
    return ();
}


# the question says what the provider does with it

sub question {
    my ($self, $name) = @_;
    my $dice = Chat::Chaos::Dice->new($self->{seed}, $name);
    my %o = (chunks => $dice->number(1, 40), gap => $dice->number(5, 60),
             bytes => $dice->pick(24, 24, 60, 300),
             first => $dice->number(0, 300));
    my $spec;

    %o = (%o, chunks => 60, gap => 80) if $dice->chance(15);
    %o = (%o, chunks => 200, gap => 2) if $dice->chance(4);
    %o = (%o, chunks => 4, bytes => 12000) if $dice->chance(4);

    $spec = join(';', map { "$_=$o{$_}" } sort keys %o);
    $spec .= ';' . $dice->pick(@FAULTS) . ';odds=' . $dice->pick(40, 70, 100)
        . ';at=' . $dice->number(0, 5) if $dice->chance(15);
    $spec .= ';finish=length' if $dice->chance(3);

    return "$name of seed $self->{seed}? {{$spec}}";
}


1;
