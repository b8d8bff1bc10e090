package Chat::Led;

# Generations that workers lead: clients at certain workers, what a client of
# the leading one may notice, and what is left in Redis.
#
#     my $two = led_nginx(redis => $redis, provider => $provider);
#     my $here = led_nginx(redis => $redis, provider => $provider);
#     my $scene = ask_around($here, 'Why?', elsewhere => [ $two ]);
#
#     begun($redis, $scene, 8);       all read along, 8 entries are written
#     ... a fault ...
#     my ($leader, @others) = ends_of($scene);

use warnings;
use strict;

use Exporter qw(import);
use Time::HiRes qw(time);

use Chat::Life;
use Chat::Test;

our @EXPORT = qw(led_nginx lanes_up leads way_to ask_around witness begun ends_of
    pause_of $PAUSE seamless_ok writers_of cached_as left_over nothing_left);

# s: a pause that nobody notices, and that is no machine's
our $PAUSE = 0.25;


# as start_nginx(); each worker leads by the time it returns, see leads(), but
# with ready => 0

sub led_nginx {
    my (%opt) = @_;
    my $nginx = start_nginx(lead => 'on', listen => 'reuseport', %opt,
        server => 'add_header X-Worker $pid always;'
            . ' add_header X-Source $chat_source always; '
            . ($opt{server} // ''));

    $nginx->allow_log(qr/exited on signal 9/);
    leads($nginx) if $opt{ready} // 1;

    return $nginx;
}


# Waits until each worker has a lane: what is asked before waits in the queue, and
# makes others wait there, too, for as long as a filler remembers it.

sub lanes_up {
    my ($nginx) = @_;

    wait_for {
        my %state = $nginx->error_log =~ / (\d+)#\d+: chat lane is (\w+)/g;

        !grep { ($state{$_} // '') ne 'up' } $nginx->worker_pids;
    } 20 or die "a worker has no lane\n";
}


# Waits until all workers of these instances lead what is asked there, and
# nothing waits in the queue.

sub leads {
    my (@nginx) = @_;

    lanes_up($_) foreach @nginx;

    wait_for {
        my $waiting = grep { ref && left_over($_, 0) }
            map { ($_->{redis}, $_->{broker}) } @nginx;

        !$waiting && !grep { !_leads($_) } @nginx;
    } 20, 'workers to lead' or die "not all workers lead\n";
}


sub _leads {
    my ($nginx) = @_;
    my $question = 'Ready? {{chunks=1;gap=0;first=0;wait=0}}';
    my @all = map {
        ask($nginx, { way_to($nginx, $_), question => $question,
                      use_cache => 0 })
    } $nginx->worker_pids;

    return !grep { ($_->{headers}{'x-source'} // '') ne 'led' } @all;
}


# for ask(): a connection to this worker

sub way_to {
    my ($nginx, $pid) = @_;

    foreach (1 .. 200) {
        my $q = get($nginx, '/', keep => 1);

        return (socket => $q->{socket})
            if ($q->{headers}{'x-worker'} // '') eq $pid;
    }

    die "no way to worker $pid\n";
}


# The same question in another process: of a worker, which leads it; then, when
# the first chunk is there, of others.  {who} names the clients, in order.
#
#     leader           pid of the worker; any one by default
#     beside           0: nobody asks another worker of the instance
#     elsewhere        instances where it is asked, too
#     ask              more for all requests: path, timeout, ...
#     on_event         sub ($result, $event), as the first one gets them
#     witness          1: somebody asks the provider itself at the same time

sub ask_around {
    my ($nginx, $question, %opt) = @_;
    my $began = 0;
    my @workers = $nginx->worker_pids;
    my $leader = $opt{leader} // $workers[0];
    my ($beside) = grep { $_ != $leader } @workers;
    my %all = (question => $question, timeout => 60, %{ $opt{ask} || {} });
    my %later = (%all, after => sub { $began });
    my @asks = { %all, way_to($nginx, $leader), on_event => sub {
        $began = 1 if $_[1]{status} eq 'streaming';
        $opt{on_event}->(@_) if $opt{on_event};
    } };

    my @who = "the leader's client";

    if ($beside && ($opt{beside} // 1)) {
        push(@asks, { %later, way_to($nginx, $beside) });
        push(@who, 'another worker');
    }

    foreach my $instance (@{ $opt{elsewhere} || [] }) {
        push(@asks, { %later, nginx => $instance });
        push(@who, 'another instance');
    }

    my $others = $#asks;

    push(@asks, witness($nginx, $question)) if $opt{witness};

    return { question => $question, leader => $leader, others => $others,
             who => \@who, later => ask_later($nginx, @asks) };
}


# for ask(): the same stream without anything in between: whose fault is a pause?

sub witness {
    my ($nginx, $question) = @_;
    my $content = json_string("$question Of a witness.");

    return { port => $nginx->{provider}->port, timeout => 60,
             path => '/v1/chat/completions',
             headers => { Authorization => 'Bearer sk-test-key' },
             body => '{"model": "test", "stream": true, "messages":'
                 . " [{\"role\": \"user\", \"content\": $content}]}" };
}


# who reads along reads, and so many entries are written

sub begun {
    my ($redis, $scene, $entries) = @_;
    my $question = $scene->{question};

    wait_for {
        my $id = live_id($redis, $question);
        my $gen = '{' . stream_key($question) . "}:1:gen:" . ($id // '');

        defined $id && $redis->cmd('XLEN', $gen) >= $entries
            && $redis->cmd('PUBSUB', 'NUMSUB', $gen)->[1]
               >= $scene->{others};
    } 15, 'all to read along' or die "$question: not in time\n";
}


# what the leader's client got, then the others'; the witness comes last

sub ends_of {
    my ($scene) = @_;

    return results($scene->{later});
}


# the longest time between two events, of which the later one came after $from

sub pause_of {
    my ($q, $from) = @_;
    my @at = map { $_->{at} } @{ $q->{events} };
    my ($longest) = sort { $b <=> $a }
        map { $at[$_] - $at[$_ - 1] } grep { $at[$_] > $from } 1 .. $#at;

    return $longest // 0;
}


# Three tests: a client of the leading worker has the whole answer, and nothing
# has stood still on its way since $from; $witness is as ask_around() has it.

sub seamless_ok {
    my ($q, $name, $from, $witness, %opt) = @_;
    my $pause = $q->{ended} > $from ? pause_of($q, $from) : 1e9;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($q->{headers}{'x-source'}, 'led', "$name: it was led");
    stream_ok($q, "$name: the whole answer, once", restarts => 0,
              cache => qr/fwd=(?:miss|request)$/, %opt);
    cmp_ok($pause, '<', $PAUSE + pause_of($witness, $from),
           "$name: without a pause");
    note(sprintf('%s: %.3f s at most', $name, $pause));
}


# the names of the fillers that write these, by question

sub writers_of {
    my ($redis, @questions) = @_;
    my %writers;

    foreach my $question (@questions) {
        my $id = live_id($redis, $question) // next;
        my $token = $redis->cmd('HGET', '{' . stream_key($question)
                                . "}:1:gen:$id:own", 'token') // next;

        ($writers{$question}) = $token =~ /^(\w+)/;
    }

    return \%writers;
}


# the cached text of a question, or undef

sub cached_as {
    my ($redis, $question) = @_;
    my $entries = $redis->entries(stream_key($question));

    return @$entries ? $entries->[-1]{chunk} : undef;
}


# What is left of generations when all have ended, which may be a moment later,
# or $LEFT seconds: tasks, leases, announcements, keys without an expiry.

sub left_over {
    my ($redis, $seconds) = @_;
    my @left;

    wait_for { !(@left = _left($redis)) } $seconds // $LEFT;

    return @left;
}


sub _left {
    my ($redis) = @_;
    my $tasks = $redis->tasks;
    my @left = map { "$_ does not expire" } $redis->eternal('*chat:*');

    push(@left, "$tasks tasks") if $tasks;
    push(@left, map { "$_ is announced" } @{ $redis->cmd('KEYS', '*:1:live:*') });

    foreach my $key (@{ $redis->cmd('KEYS', '*:1:gen:*:own') }) {
        my $state = $redis->cmd('HGET', $key, 'state') // 'gone';

        push(@left, "$key is in state $state") if $state =~ /^[qr]$/;
    }

    return @left;
}


# one test

sub nothing_left {
    my ($redis, $name, $seconds) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return is(join("\n", left_over($redis, $seconds)), '',
              "$name: nothing is left");
}


1;
