package Chat::Matrix;

# The matrix of faults: a row is a fault, and each is looked at in the same
# columns: what every client sees, within which bound, what Redis holds
# afterwards, how often the provider was called, and that the next request
# works.
#
#     my $world = { redis => $redis, provider => $provider, nginx => $nginx,
#                   answer => \%options_of_the_provider };
#
# With "led" in the world, { nginx => $another, db => 1 }, an instance of one
# worker that uses another database, each fault strikes two generations at the
# same time: one that goes through the queue of the first, and one that the
# worker leads.  Both have all columns.
#
#     matrix($world, { name => 'what happens', ... }, ...);      one by one
#     matrix_at_once($world, { name => ... }, ...);              all at once
#
# A row; a sub gets the world and the row, and what a row has of the names in
# a world is its own.  $row->{views} are the row itself, and what it is for the
# generation that is led:
#
#     name, options      the question is made of these
#     ask                more for each of the requests: path, headers, ...
#     clients            how many ask it at the same time, 3
#     before             sub: ahead of them, once for each view
#     led                what is other for the one that is led; 0: there is none
#     at                 the fault strikes when all have begun and somebody
#                        has so many chunks; 0: when all have "processing"
#     when               sub: or when this is true
#     fault              sub: what happens
#     then               [seconds, sub, ...]: and what else, so long after that,
#                        but not while those are under way that came earlier
#     meanwhile          [{ at, ends, ... }]: other requests, so long after it
#     after              sub: makes good what is still broken
#     ends               "completed", the code of an error, "503 code", "cut"
#                        (no event, the connection ends), or a list of these
#     bound, least       seconds from the fault (or from the request, if there
#                        is none) to the last end
#     restarts           how often "processing" comes again
#     text, chunks       of the answer; undef: whatever it is
#     cached             1, 0, undef: as a whole or not
#     announced          1: the generation may still be, until that expires
#     calls              of the provider: a number, or [least, most]
#     again              0: the same question would meet the same fault

use warnings;
use strict;

use Exporter qw(import);
use Time::HiRes qw(sleep time);

use Chat::Check ();
use Chat::Led ();
use Chat::Test;

our @EXPORT = qw(matrix matrix_at_once question_of all_begun $LEASE $MARGIN
    $SILENCE $COMMAND);

# what design fixes: seconds

our $LEASE = 10;
our $MARGIN = 10;
our $SILENCE = 5;
our $COMMAND = 1;

my $number = 0;


sub matrix {
    my ($world, @rows) = @_;

    matrix_at_once($world, $_) foreach @rows;
}


sub matrix_at_once {
    my ($world, @rows) = @_;
    my @asks;

    Chat::Led::leads($world->{led}{nginx}) if $world->{led};

    foreach my $row (@rows) {
        my @views = map { _view($world, $row, $_) }
                    $world->{led} && ($row->{led} // 1) ? (0, 1) : 0;

        $row->{views} = \@views;

        foreach my $view (@views) {
            $view->{before}->($view->{world}, $view) if $view->{before};
        }

        push(@asks, map { _clients($_), _meanwhile($_) } @views);
        push(@asks, _clock($row));
    }

    my $began = time();
    my @all = ask($world->{nginx}, @asks);

    foreach my $row (@rows) {
        note(sprintf('%s: %.1f s', $row->{name}, time() - $began));

        foreach my $view (@{ $row->{views} }) {
            my @mine = grep { $_->{view} == $view } @all;

            _ends($view, [ grep { $_->{kind} eq 'client' } @mine ],
                  [ grep { $_->{kind} eq 'other' } @mine ]);
        }

        $row->{after}->($row->{world}, $row) if $row->{after};

        _rest($_) foreach @{ $row->{views} };
    }
}


# the row itself, or for the generation that is led a copy of it

sub _view {
    my ($world, $row, $led) = @_;
    my $view = $led ? { %$row, name => "$row->{name}, led", row => $row,
                        ref($row->{led}) ? %{ $row->{led} } : () } : $row;

    $view->{world} = { %$world, map { $_ => $row->{$_} }
                       grep { exists $row->{$_} && $_ ne 'led' }
                       keys %$world };
    $view->{world}{nginx} = $world->{led}{nginx} if $led;
    $view->{row} = $row;
    $view->{is_led} = $led;
    $view->{clients} //= 3;
    $view->{ends} = [ $view->{ends} ] unless ref $view->{ends};
    $view->{calls} = [ ($view->{calls}) x 2 ] unless ref $view->{calls};
    $view->{question} = question_of($view);

    return $view;
}


sub question_of {
    my ($row) = @_;

    return "What if: $row->{name}?"
        . (defined $row->{options} ? " {{$row->{options}}}" : '');
}


# Requests.

sub _clients {
    my ($view) = @_;
    my $row = $view->{row};

    return map { {
        question => $view->{question}, nginx => $view->{world}{nginx},
        timeout => 75, kind => 'client', view => $view,
        %{ $view->{ask} || {} },
        on_event => sub {
            my ($q) = @_;

            $view->{begun}{$q} = 1;
            $view->{there} = 1
                if defined $row->{at} && @{ $q->{chunks} } >= $row->{at};

            _strike($row) if defined $row->{at} && all_begun($row)
                && !grep { !$_->{there} } @{ $row->{views} };
        },
    } } 1 .. $view->{clients};
}


# whether every client has got "processing"

sub all_begun {
    my ($row) = @_;

    return !grep { keys(%{ $_->{begun} || {} }) != $_->{clients} }
            @{ $row->{views} };
}


sub _strike {
    my ($row) = @_;

    return if $row->{struck};

    $row->{struck} = time();
    $row->{fault}->($row->{world}, $row);

    # what takes long is no part of the time that clients wait afterwards

    $row->{struck} = time() if $row->{slow};
}


# other requests

sub _meanwhile {
    my ($view) = @_;
    my $row = $view->{row};
    my $give_up = time() + 60;
    my @asks;

    foreach my $ask (@{ $view->{meanwhile} || [] }) {
        my $at = $ask->{at};
        my $id = ++$number;

        $row->{open}{$id} = $at;
        push(@asks, {
            question => "Meanwhile $id, $view->{name}?"
                . ' {{chunks=2;gap=0}}',
            nginx => $view->{world}{nginx}, timeout => 75, %$ask,
            kind => 'other', view => $view, after => sub {
                return time() > $give_up
                    || $row->{struck} && time() > $row->{struck} + $at;
            },
            on_done => sub { delete $row->{open}{$id} },
        });
    }

    return @asks;
}


# one that does nothing waits for what is to happen later

sub _clock {
    my ($row) = @_;
    my @then = @{ $row->{then} || [] };
    my $give_up = time() + 60;
    my $w = $row->{world};

    return unless @then || $row->{when};

    return {
        nginx => $w->{nginx}, method => 'GET', path => '/', kind => 'clock',
        view => $row, after => sub {
            _strike($row)
                if !$row->{struck} && $row->{when} && $row->{when}->($w, $row);

            while (@then && $row->{struck}
                   && time() > $row->{struck} + $then[0]
                   && !grep { $_ < $then[0] } values %{ $row->{open} || {} })
            {
                my (undef, $code) = splice(@then, 0, 2);

                $code->($w, $row);
            }

            return time() > $give_up || $row->{struck} && !@then;
        },
    };
}


# Columns.

sub _ends {
    my ($view, $clients, $others) = @_;
    my $name = $view->{name};

    local $Test::Builder::Level = $Test::Builder::Level + 3;

    my @faults = map { _client_faults($view, $_) } @$clients;

    push(@faults, 'the fault did not happen')
        if $view->{fault} && !$view->{row}{struck};
    push(@faults, map { _other_faults($_) } @$others);
    _column($name, 'clients', @faults);

    _column($name, 'bound', _bound_faults($view, $clients));
}


sub _rest {
    my ($view) = @_;
    my $name = $view->{name};

    local $Test::Builder::Level = $Test::Builder::Level + 3;

    # first of all something else, so that a Redis that was away is known to
    # be back

    my @faults = _next_faults($view,
        "What is next after: $name? {{chunks=3;gap=0}}");

    _column($name, 'Redis', _redis_faults($view));

    my $calls = provider_stats($view->{world}{provider}, $view->{question});
    my ($least, $most) = @{ $view->{calls} };

    _column($name, 'calls', $calls < $least || $calls > $most
            ? "$calls calls" : ());

    push(@faults, _next_faults($view, $view->{question}))
        if $view->{again} // 1;
    _column($name, 'next', @faults);
}


sub _column {
    my ($name, $column, @faults) = @_;

    ok(!@faults, "$name: $column") or diag(join("\n", @faults));
}


sub _end_of {
    my ($q) = @_;
    my $terminal = $q->{terminal};

    if ($terminal) {
        return $terminal->{status} eq 'completed' ? 'completed'
            : $terminal->{code};
    }

    if (($q->{status} // 200) != 200) {
        my $body = eval { parse_json($q->{body}) } || {};

        return "$q->{status} " . ($body->{code} // 'without a code');
    }

    return 'cut' if ($q->{error} // '') =~ /^(?:closed early|read: )/;
    return $q->{hungup} ? 'left' : $q->{error} // 'nothing';
}


sub _client_faults {
    my ($row, $q) = @_;
    my $end = _end_of($q);
    my @want = @{ $row->{ends} };

    if (!grep { $_ eq $end } @want) {
        return "it ends with \"$end\", not with \"@want\":\n"
            . substr($q->{raw}, -300);
    }

    return if $end eq 'cut' || $end eq 'left' || $end =~ / /;

    return 'it was not led' if $row->{is_led}
        && ($q->{headers}{'x-source'} // '') !~ /^(?:led|hit)$/;

    my %opt = $end eq 'completed' ? () : (error => $end);

    $opt{restarts} = $row->{restarts} if defined $row->{restarts};
    $opt{text} = _text($row) if $end eq 'completed';
    $opt{chunks} = $row->{chunks} if $row->{chunks};

    return Chat::Check::faults($q, %opt);
}


sub _other_faults {
    my ($q) = @_;
    my $end = _end_of($q);
    my $took = $q->{ended} - $q->{started};
    my @faults;

    push(@faults, "meanwhile, after $q->{at} s: \"$end\", not \"$q->{ends}\"")
        if $end ne $q->{ends};
    push(@faults, "meanwhile, after $q->{at} s: $took s")
        if defined $q->{bound} && $took > $q->{bound} + $SLACK;

    return @faults;
}


sub _bound_faults {
    my ($row, $clients) = @_;
    my @took = sort { $a <=> $b }
        map { $_->{ended} - ($row->{row}{struck} || $_->{started}) } @$clients;

    return "after $took[-1] s, not within $row->{bound} s"
        if $took[-1] > $row->{bound} + $SLACK;
    return "after $took[0] s, not after $row->{least} s"
        if defined $row->{least} && $took[0] < $row->{least};
    return;
}


sub _text {
    my ($row) = @_;

    return $row->{text} if exists $row->{text};
    return text_of($row->{question}, %{ $row->{world}{answer} });
}


sub _redis_faults {
    my ($row) = @_;
    my $redis = $row->{world}{redis}->client(
        $row->{is_led} ? $row->{world}{led}{db} : 0);
    my $S = stream_key($row->{question});
    my ($entries, $tasks, $live, @faults);

    # what was done for nobody may come a moment later

    wait_for {
        $tasks = $redis->tasks;
        $live = @{ $redis->cmd('KEYS', "{$S}:1:live:*") }
            && !$row->{announced};
        $entries = $redis->entries($S);

        $tasks == 0 && !$live
            && !($row->{cached} && !@$entries);
    } $LEFT;

    push(@faults, "$tasks tasks are left or pending") if $tasks;
    push(@faults, 'a generation is announced') if $live;
    push(@faults, @$entries ? 'it is cached' : 'it is not cached')
        if defined $row->{cached} && !@$entries != !$row->{cached};
    push(@faults, _answer_faults($row, $entries)) if @$entries;

    push(@faults, map { "$_ does not expire" } $redis->eternal('*chat*'));

    return @faults;
}


sub _answer_faults {
    my ($row, $entries) = @_;
    my $last = $entries->[-1];
    my $text = _text($row);
    my $sum = join('', map { $_->{chunk} } grep { $_->{status} eq 'streaming' }
                   @$entries);

    return 'the cached answer has no end' if $last->{status} ne 'completed';
    return 'the cached answer is not the sum of its chunks'
        if $last->{chunk} ne $sum;
    return 'another answer is cached'
        if defined $text && $last->{chunk} ne $text;
    return;
}


# after an outage each worker asks Redis again within a second

sub _next_faults {
    my ($row, $question) = @_;
    my $w = $row->{world};
    my $same = $question eq $row->{question};
    my $end = time() + 2 * $COMMAND + $SLACK;
    my $ask = { question => $question };
    my @all;

    $ask->{path} = $row->{ask}{path} if $same && $row->{ask};

    do {
        @all = ask($w->{nginx}, ($ask) x 6);
    } while (grep({ ($_->{status} // 0) == 503 } @all) && time() < $end
             && sleep(0.05));

    my %want = (text => $same ? _text($row)
                              : text_of($question, %{ $w->{answer} }),
                $same && $row->{cached} ? (cache => qr/; hit/) : ());

    return map { "the next one: $_" }
        map { Chat::Check::faults($_, %want) } @all;
}


1;
