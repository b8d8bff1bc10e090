package Chat::KillScene;

# One generation that a worker leads, with two clients of that worker, one of
# another one and one of another instance, and a process that is killed at one
# message between worker and filler; and all that must be true then.  It says
# what is not, instead of testing: several run at once, in processes of their
# own.
#
#     my $place = place();                          in the test itself
#     my @faults = scene($place, \%row);            in a process of its own
#
# Rows:
#
#     kill        [record, where, left] of Chat::KillPoint
#     name        other words for it
#     how         options of the provider, in the question
#     path        location
#     arm         'begun': when all have a chunk, and it has a task that others
#                 find if worker and filler die; else before anybody asks
#     join        when the others ask: 'struck', else with the first chunk, or
#                 when the leader's client has its end
#     alone       1: there are no others; 'elsewhere': on the other instance
#                 alone
#     begun       sub ($scene), right behind that
#     asked       sub ($scene), when all are connected
#     restored    sub ($scene), when it has struck
#     leave       the leader's client leaves after so many chunks
#     leader      what it gets: 'whole', 'cut', the code of an error, or
#                 'any' of these
#     restarts    [least, most] for those that read along
#     error       or the code of their error
#     again       restarts that the provider is the cause of, for the leader's
#     bound       s from the kill to their end
#     pause       s that the leader's client may wait
#     refresh     1: it replaces an answer
#     calls       of the provider, [least, most]
#     cached      0: it is not

use warnings;
use strict;

use Exporter qw(import);
use Time::HiRes qw(sleep time);

use Chat::Check ();
use Chat::KillPoint;
use Chat::Led;
use Chat::Life;
use Chat::Sealed qw(seal_fault seal_of);
use Chat::Test;

our @EXPORT = qw(place scene own_of killed_is_worker);

my %ANSWER = (sealed => 1, chunks => 30, bytes => 40, gap => 40);
my (undef, $BY_WORKER) = Chat::KillPoint::records();

# what design fixes: seconds
my $ORPHAN = 1;
my $TAKEN = 1;


# two instances on the same Redis, a provider, and a kill point for each

sub place {
    my (%opt) = @_;
    my $redis = start_redis();
    my $provider = start_provider(%ANSWER);
    my $url = 'http://127.0.0.1:' . $provider->port . '/v1';
    my $block = "url $url; key sk-test-key; model test; retries 0;";
    my @hosts;

    foreach (1, 2) {
        my $point = Chat::KillPoint->new;
        my $nginx = led_nginx(redis => $redis, provider => $provider,
            ready => 0, env => $point->env,
            http => "chat_provider once { $block }"
                . " chat_provider far { $block keepalive 0; }"
                . ($opt{http} // ''),
            server => 'location = /once { chat once; }'
                . ' location = /far { chat far; }'
                . ' location = /brief { chat;'
                . ' chat_abandon cancel grace=300ms; }');

        $nginx->allow_log(qr/failed \(24: /);
        push(@hosts, { nginx => $nginx, point => $point });
    }

    return { redis => $redis, provider => $provider, hosts => \@hosts };
}


sub killed_is_worker {
    my ($record, $where) = @_;

    return ($BY_WORKER->{$record} xor $where eq 'receive');
}


# all workers lead, and nothing of what has been is on its way any more

sub settled {
    my ($place, @nginx) = @_;

    _reloaded(@nginx);
    leads(@nginx);

    return wait_for {
        !grep { $_->{led} || $_->{queue} || $_->{live} }
            map { health($_) } @nginx;
    } 15, 'workers to lead nothing';
}


sub _reloaded {
    my (@nginx) = @_;

    wait_for {
        !grep { $_->titled(qr/shutting down/)
                || $_->worker_pids != $_->{workers} } @nginx;
    } 20, 'a reload to end';
}


sub health {
    my ($nginx) = @_;

    return map { parse_json(get($nginx, '/', way_to($nginx, $_))->{body}) }
        $nginx->worker_pids;
}


# the first instance leads, and is the second one the next time

sub scene {
    my ($place, $row) = @_;
    my ($here, $there) = @{ $place->{hosts} };
    my ($record, $where, $left) = @{ $row->{kill} };
    my $nginx = $here->{nginx};
    $here->{point}->disarm;

    my %s = (place => $place, row => $row, nginx => $nginx,
             other => $there->{nginx}, point => $here->{point},
             faults => []);

    @{ $place->{hosts} } = ($there, $here);

    $s{question} = "Killed, $row->{name}?"
        . (defined $row->{how} ? " {{$row->{how}}}" : '');
    $s{by} = killed_is_worker($record, $where);

    if ($row->{refresh}) {
        my $q = ask($nginx, { question => $s{question} });

        push(@{ $s{faults} }, 'the answer that is replaced: '
             . Chat::Check::faults($q)) if Chat::Check::faults($q);
    }

    settled($place, $nginx);

    $s{filler} = _rested($nginx);
    $s{zero} = Chat::Nginx::parent($s{filler});
    ($s{leader}) = grep { ($_ == $s{zero}) == ($row->{zero} // 0) }
        $nginx->worker_pids;
    $s{arm} = sub {
        $s{point}->arm($record, $where, left => $left,
                       only => $s{by} ? $s{leader} : 0);
    };

    $s{arm}->() if ($row->{arm} // '') ne 'begun';

    _ask(\%s);
    _look(\%s);
    $s{point}->disarm;

    return \%s;
}


# who has lived for a second is replaced at once

sub _rested {
    my ($nginx) = @_;
    my $pid;

    wait_for {
        my @all = $nginx->filler_pids;

        $pid = $all[0];
        @all == 1 && time() - (stat("/proc/$pid"))[10] > 1.2;
    } 20, 'a filler that has lived';

    return $pid;
}


sub _ask {
    my ($s) = @_;
    my ($row, $nginx) = @$s{qw(row nginx)};
    my ($beside) = grep { $_ != $s->{leader} } $nginx->worker_pids;
    my $alone = $row->{alone} // '';
    my %all = (question => $s->{question}, timeout => 60,
               $row->{refresh} ? (use_cache => 0) : (),
               defined $row->{path} ? (path => $row->{path}) : ());
    my ($chunks, $ended, $restored, $begun, $n, %has);
    my $chunk = sub {
        my ($who, $event) = @_;

        $has{$who} = 1 if $event->{status} eq 'streaming';

        return if $begun || ($row->{arm} // '') ne 'begun'
            || keys(%has) != $n || !_insured($s);

        $begun = 1;

        $s->{arm}->();
        $row->{begun}->($s) if $row->{begun};
    };
    my $after = sub {
        my $struck = $s->{point}->struck;

        $row->{restored}->($s)
            if $struck && $row->{restored} && !$restored++;

        return $struck || $ended
            || $chunks && ($row->{join} // '') ne 'struck';
    };

    my @asks = ({ %all, way_to($nginx, $s->{leader}),
        hangup_after => $row->{leave},
        on_done => sub { $ended = 1 },
        on_event => sub {
            $chunks = 1 if $_[1]{status} eq 'streaming';
            $chunk->('leader', $_[1]);
        } });

    push(@asks, { %all, way_to($nginx, $beside), after => $after,
                  on_event => sub { $chunk->('beside', $_[1]) } })
        unless $alone;
    push(@asks, { %all, nginx => $s->{other}, after => $after,
                  on_event => sub { $chunk->('elsewhere', $_[1]) } })
        unless $alone eq '1';

    push(@asks, { %all, way_to($nginx, $s->{leader}), after => $after,
                  on_event => sub { $chunk->('too', $_[1]) } })
        if $alone eq '';

    $n = @asks;
    $row->{asked}->($s) if $row->{asked};

    push(@asks, witness($nginx, $s->{question})) unless $row->{leave};

    my @all = ask($nginx, @asks);

    $s->{witness} = pop(@all) unless $row->{leave};
    $s->{clients} = [ shift(@all), $alone eq '' ? pop(@all) : () ];
    $s->{readers} = \@all;
    $row->{restored}->($s) if $row->{restored} && !$restored;
}


# it has a task that others find if worker and filler die

sub _insured {
    my ($s) = @_;
    my $own = own_of($s) // return 0;

    return ($s->{place}{redis}->cmd('HGET', $own, 'task') // '') =~ /^l/;
}


# the key of who writes it, while it is announced

sub own_of {
    my ($s) = @_;
    my $id = live_id($s->{place}{redis}, $s->{question}) // return undef;

    return '{' . stream_key($s->{question}) . "}:1:gen:$id:own";
}


sub _fault {
    my ($s, @text) = @_;

    push(@{ $s->{faults} }, @text);
}


sub _look {
    my ($s) = @_;
    my $row = $s->{row};

    # the leader's client may have left long before

    wait_for { $s->{point}->struck } $row->{alone} ? 5 : 1;

    ($s->{struck}, $s->{at}) = $s->{point}->struck
        or return _fault($s, 'nobody was killed');

    _fault($s, "$s->{struck} was killed, not the worker $s->{leader}")
        if $s->{by} && $s->{struck} != $s->{leader};
    _fault($s, "$s->{struck} was killed, which is a worker")
        if !$s->{by} && $s->{struck} == $s->{leader};

    _look_leader($s, $_) foreach 0 .. $#{ $s->{clients} };
    _look_reader($s, $_) foreach @{ $s->{readers} };
    _look_rest($s);
    _look_again($s);
}


# a client of the leading worker

sub _look_leader {
    my ($s, $i) = @_;
    my $row = $s->{row};
    my $q = $s->{clients}[$i];
    my $who = $i ? 'who joins the leader' : "the leader's client";
    my $want = $row->{leader} // ($s->{by} ? 'cut' : 'whole');

    _fault($s, "$who was answered by another worker")
        if ($q->{headers}{'x-worker'} // $s->{leader}) ne $s->{leader};

    return if $row->{leave} || $want eq 'any' && defined $q->{error};

    if ($want eq 'cut') {
        _fault($s, "$who is not cut: " . _end($q))
            if ($q->{error} // '') !~ /^(?:closed early|read: )/;
        return;
    }

    $want = ($q->{terminal} || {})->{code} // 'whole' if $want eq 'any';

    _fault($s, map { "$who: $_" } Chat::Check::faults($q,
        restarts => $row->{again} // 0,
        $want eq 'whole' ? () : (error => $want)));
    _look_text($s, $who, $q, $want eq 'whole');

    return if $s->{by};

    my $pause = $q->{ended} > $s->{at} ? pause_of($q, $s->{at}) : 0;
    my $most = defined $row->{pause} ? $row->{pause} + $SLACK
        : $PAUSE + pause_of($s->{witness}, $s->{at});

    _fault($s, "$who: a pause of $pause s, not $most")
        if $pause >= $most;
}


sub _look_reader {
    my ($s, $q) = @_;
    my $row = $s->{row};
    my ($least, $most) = @{ $row->{restarts} // ($s->{by} ? [1, 1] : [0, 0]) };
    my $answer = ($ANSWER{chunks} + 5) * $ANSWER{gap} / 1000;
    my $bound = $row->{bound} // ($s->{by} ? $ORPHAN : $TAKEN) + $answer;
    my $who = $q->{port} == $s->{nginx}->port ? 'another worker'
        : 'another instance';
    my $restarts = processing_of($q) - 1;
    my $took = $q->{ended} - $s->{at};

    $s->{took}{$who} = sprintf('%.1f', $took);
    $s->{restarts}{$who} = $restarts;

    _fault($s, map { "$who: $_" } Chat::Check::faults($q,
        cache => qr/collapsed|hit/,
        defined $row->{error} ? (error => $row->{error}) : ()));
    _fault($s, "$who: $restarts restarts")
        if $restarts < $least || $restarts > $most;
    _fault($s, "$who: its end came after $took s, not $bound")
        if $took > $bound + $SLACK;
    _look_text($s, $who, $q, !defined $row->{error});
}


# each attempt is the beginning of one call, and the last one all of it

sub _look_text {
    my ($s, $who, $q, $whole) = @_;
    my @attempts;

    foreach my $event (@{ $q->{events} }) {
        push(@attempts, []) if $event->{status} eq 'processing';
        push(@{ $attempts[-1] }, $event->{chunk})
            if $event->{status} eq 'streaming';
    }

    foreach my $i (0 .. $#attempts) {
        my $fault = seal_fault(key_of($s->{question}), $attempts[$i],
                               $whole && $i == $#attempts);

        _fault($s, "$who: attempt " . ($i + 1) . ": $fault")
            if defined $fault;
    }
}


# calls, Redis, and what the workers tell

sub _look_rest {
    my ($s) = @_;
    my ($row, $place, $question) = @$s{qw(row place question)};
    my ($least, $most) = @{ $row->{calls} // ($s->{by} ? [2, 2] : [1, 1]) };
    my $calls;

    _fault($s, left_over($place->{redis}, 15));

    wait_for {
        my $stats = provider_stats($place->{provider});

        $calls = $stats->{questions}{key_of($question)} // 0;
        !$stats->{active};
    } 5 + $SLACK or _fault($s, 'a call goes on');

    _fault($s, "$calls calls") if $calls < $least || $calls > $most;
    $s->{calls} = $calls;

    my $entries = $place->{redis}->entries(stream_key($question));
    my $text = @$entries ? $entries->[-1]{chunk} : undef;

    if ($row->{cached} // 1) {
        my $fault = seal_fault(key_of($question), [ map { $_->{chunk} }
            grep { $_->{status} eq 'streaming' } @$entries ], 1);

        _fault($s, "the cached answer: $fault") if defined $fault;
        _fault($s, 'another answer is cached')
            if grep { defined $_->{text} && defined $text
                      && $_->{text} ne $text } @{ $s->{readers} },
                   $s->{by} ? () : @{ $s->{clients} };

    } elsif (defined $text) {
        _fault($s, 'it is cached');
    }

    my @health;

    _reloaded(@$s{qw(nginx other)});

    wait_for {
        @health = map { health($_) } @$s{qw(nginx other)};
        !grep { $_->{led} || $_->{queue} || $_->{live} } @health;
    } 6 + $SLACK or _fault($s, 'health: ' . join(', ', map {
        "led $_->{led}, queue $_->{queue}, live $_->{live}" } @health));

    $s->{text} = $text;
}


# the next one who asks

sub _look_again {
    my ($s) = @_;
    my ($row, $place) = @$s{qw(row place)};
    my $cached = $row->{cached} // 1;

    provider_set($place->{provider}, gap => 1);

    foreach my $nginx (@$s{qw(nginx other)}) {
        my $q = ask($nginx, { question => $s->{question},
            defined $row->{path} ? (path => $row->{path}) : () });
        my $hit = $cached || $nginx == $s->{other};

        _fault($s, map { "asked again: $_" } Chat::Check::faults($q,
            restarts => 0, cache => $hit ? qr/; hit/ : qr/fwd=miss$/,
            $cached ? (text => $s->{text} // '') : ()));
        _look_text($s, 'asked again', $q, 1);
    }

    provider_set($place->{provider}, gap => $ANSWER{gap});
}


sub _end {
    my ($q) = @_;
    my $last = $q->{events}[-1] || {};

    return $q->{error} // join(' ', grep { defined }
        @$last{qw(status code)});
}


1;
