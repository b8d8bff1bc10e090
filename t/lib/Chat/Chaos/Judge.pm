package Chat::Chaos::Judge;

# Takes in what the clients have seen, and finds what no fault explains.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use IO::Handle;

# how a stream may end; "internal" only where somebody wrote into our keys
my %ENDS = map { $_ => 1 } ('completed', 'hung up', 'lost', qw(queue_full
    queue_timeout provider_refused provider_rate_limited provider_timeout
    provider_broken redis_down interrupted cancelled stopped));

# a client may get these from its own worker while others are served
my %LOCAL = map { $_ => 1 } qw(redis_down interrupted queue_full);


# new(agent => ..., provider => ..., log => file, shutdown => { instance =>
#     seconds of worker_shutdown_timeout })

sub new {
    my ($class, %opt) = @_;
    my $self = bless { %opt, faults => [], outcomes => {}, sources => {}, kinds => {},
        gens => {}, questions => {}, calls => {}, clients => 0, restarts => 0,
        longest => 0 }, $class;

    open($self->{file}, '>>', $opt{log}) or die "$opt{log}: $!\n";
    $self->{file}->autoflush(1);

    return $self;
}


sub take {
    my ($self, @records) = @_;

    foreach my $r (@records) {
        my @faults = (@{ $r->{faults} }, $self->_lost($r));

        push(@faults, "the end is $r->{outcome}")
            if !$ENDS{$r->{outcome}} && !($r->{outcome} eq 'internal'
               && $self->{agent}->was_spoiled(sha256_hex($r->{question})));
        push(@faults, 'nobody has stopped it')
            if $r->{outcome} eq 'stopped'
               && !$self->{agent}->was_stopped(sha256_hex($r->{question}));

        $self->_count($r);
        $self->_log($r, @faults);
        $self->fault("client of $r->{instance}, $r->{question}: $_")
            foreach @faults;
    }
}


sub fault {
    my ($self, $text) = @_;

    push(@{ $self->{faults} }, $text);
    print { $self->{file} } "BROKEN $text\n";
}


sub _count {
    my ($self, $r) = @_;
    my $cache = $r->{cache} // 'none';
    my $took = $r->{ended} - $r->{started};
    my $hash = sha256_hex($r->{question});
    my $opens = $cache !~ /hit(?!.*stale)|collapsed/ || $r->{path} eq '/brief';
    my $source = $r->{source} // 'none';

    $cache =~ s/;? *ttl=-?\d+//;
    $cache =~ s/^ngx_chat; //;

    $self->{clients}++;
    $self->{outcomes}{$r->{outcome}}++;
    $self->{sources}{$cache}++;
    $self->{kinds}{$source}++;
    $self->{restarts} += $r->{restarts};
    $self->{longest} = $took if $took > $self->{longest};
    $self->{questions}{$hash} //= { text => $r->{question}, opens => 0,
                                    direct => 0 };
    $self->{questions}{$hash}{opens}++ if $opens;
    $self->{questions}{$hash}{direct}++ if $r->{path} eq '/direct';

    return if !defined $r->{gen} || $source eq 'direct';

    # what a worker tells its clients may be another attempt than what readers
    # elsewhere get, once a filler has taken over; see _generations()

    my $led = $source eq 'led' ? 'led' : 'read';
    my $gen = $self->{gens}{$r->{gen}}{$led} ||= { hash => $hash };

    $gen->{outcomes}{$r->{outcome}} = 1;
    $gen->{calls}{$r->{call}} = 1
        if $r->{outcome} eq 'completed' && defined $r->{call};

    $gen->{path} = $r->{path} if $cache !~ /collapsed/;
    $gen->{from} = $r->{started}
        if $r->{started} < ($gen->{from} // $r->{started} + 1);
    push(@{ $gen->{records} }, { map { $_ => $r->{$_} }
         qw(instance question restarts outcome ended) }) if $led eq 'led';
}


# A client of the worker that asks the provider sees nothing of Redis and of
# fillers: not even a restart, as long as the provider is well.  In /chat that
# has little time, which counts for all who join what was opened there.

sub _led {
    my ($self, $r, $from) = @_;
    my @faults;

    return () if $r->{question} =~ /fault=|status=/
        || $self->{agent}->provider_was_away($from, $r->{ended});

    push(@faults, "led, and $r->{restarts} restarts") if $r->{restarts};
    push(@faults, "led, and the end is $r->{outcome}")
        if $r->{outcome} !~ /^(?:completed|hung up|lost|stopped)$/;

    return @faults;
}


# a client without an end: its worker was killed, or was not there

sub _lost {
    my ($self, $r) = @_;
    my $agent = $self->{agent};
    my ($i, $at) = @$r{qw(instance ended)};

    return () if $r->{outcome} ne 'lost';
    return 'waits for ever' if $r->{error} eq 'timeout';

    return () if $agent->worker_killed($r->{worker}, $i, $at);
    return () if !defined $r->{status} && $agent->was_down($i, $at);

    return () if defined $self->{shutdown}{$i}
        && $agent->worker_shut($r->{worker}, $i, $at - $self->{shutdown}{$i});

    return "no end: $r->{error}";
}


sub _log {
    my ($self, $r, @faults) = @_;

    printf { $self->{file} } "%.3f-%.3f %d %s %s %s%s%s: %s, %d events, "
        . "%d restarts, call %s, worker %s, %s %s %s\n", @$r{qw(started ended
        instance path question)}, exists $r->{use_cache} ? 'afresh ' : '',
        $r->{hot} ? 'hot' : 'new', defined $r->{read_rate} ? ' slow' : '',
        $r->{outcome}, $r->{events}, $r->{restarts}, $r->{call} // '-',
        $r->{worker} // '-', $r->{source} // '-', $r->{cache} // '-',
        $r->{gen} // '-';

    print { $self->{file} } "$r->{raw}\n\n" if @faults && defined $r->{raw};
}


# When all have ended: $watched is what Chat::Chaos::Watch has found.

sub conclude {
    my ($self, $watched) = @_;

    $self->fault($_) foreach @{ $watched->{faults} };
    $self->_generations($watched->{gens});
    $self->_calls;
}


# One generation has one end, and one answer, which the provider has given: for
# the clients of the worker that leads it, and for those who read from Redis.

sub _generations {
    my ($self, $cached) = @_;

    foreach my $id (sort keys %{ $self->{gens} }) {
        my $gen = $self->{gens}{$id};

        $gen->{read}{calls}{$cached->{$id}} = 1
            if $gen->{read} && defined $cached->{$id};

        foreach my $who (sort keys %$gen) {
            $self->_generation("generation $id, $who", $gen->{$who});
        }

        my $led = $gen->{led} or next;

        next if ($led->{path} // '/chat') eq '/chat';

        foreach my $r (@{ $led->{records} }) {
            $self->fault("client of $r->{instance}, $r->{question}: $_")
                foreach $self->_led($r, $led->{from});
        }
    }
}


sub _generation {
    my ($self, $name, $gen) = @_;
    my %outcome = %{ $gen->{outcomes} };
    my @calls = sort keys %{ $gen->{calls} || {} };

    $outcome{completed} = 1 if @calls;
    delete @outcome{'hung up', 'lost', keys %LOCAL};

    $self->fault("$name: ends in " . join(', ', sort keys %outcome))
        if keys %outcome > 1;
    $self->fault("$name: has the answers of calls @calls") if @calls > 1;

    foreach my $call (@calls) {
        my ($run, $number) = split(/\./, $call);

        $self->fault("$name: there was no call $call")
            if $number > $self->{provider}->calls($gen->{hash}, $run);
    }
}


# Each question was asked no more often than those who opened a generation
# can explain: a worker and three fillers, each with two retries, and workers
# for those whom Redis has failed.

sub _calls {
    my ($self) = @_;

    foreach my $hash (sort keys %{ $self->{questions} }) {
        my $question = $self->{questions}{$hash};
        my $calls = $self->{provider}->calls($hash);

        $self->fault("$calls calls for $question->{opens} generations of "
                     . $question->{text})
            if $calls > 12 * $question->{opens} + 3 * $question->{direct};
    }
}


sub summary {
    my ($self) = @_;
    my $list = sub {
        my ($count) = @_;

        return join(', ', map { "$_ $count->{$_}" } sort keys %$count);
    };
    my $opens = 0;

    $opens += $_->{opens} foreach values %{ $self->{questions} };

    return ("clients: $self->{clients}, " . $list->($self->{outcomes}),
            'from: ' . $list->($self->{sources}),
            'by: ' . $list->($self->{kinds}),
            'longest: ' . sprintf('%.1f s', $self->{longest})
            . ", restarts seen: $self->{restarts}",
            'faults: ' . $list->($self->{agent}{count}),
            'provider: ' . join(', ', map {
                "$_ " . $self->{provider}->total($_)
            } qw(calls completed aborted failed)) . ", for $opens openings of "
            . keys(%{ $self->{questions} }) . ' questions');
}


1;
