package Chat::Chaos::Faults;

# What can go wrong.  Each sub is called with the agent, and returns what it
# has done, or undef if that is not possible now.

use warnings;
use strict;

use POSIX ();
use Time::HiRes qw(time);

use Chat::Chaos::Watch;

our %WEIGHT = (
    kill_filler  => 10,    client_kill     => 8,
    stop_filler  => 5,     drop_instance   => 8,
    outlive_lease   => 6,     hole            => 3,
    kill_worker_0   => 4,     freeze          => 3,
    kill_worker     => 4,     latency         => 3,
    stop_worker     => 3,     cut             => 3,
    reload          => 5,     client_pause    => 3,
    quit            => 2,     script_flush    => 3,
    redis_stop      => 3,     flushall        => 2,
    redis_restart   => 2,     redis_full      => 2,
    provider_kill   => 2,     spoil           => 8,
    lose_queue      => 1,    stop_generation => 2,
);


# an instance that is up, by number

sub _instance {
    my ($agent) = @_;

    return $agent->dice->pick(grep { !$agent->busy("instance $_") }
                              0 .. $#{ $agent->{nginx} });
}


sub _nginx {
    my ($agent) = @_;
    my $i = _instance($agent) // return;

    return ($i, $agent->{nginx}[$i]);
}


# one of an instance's processes

sub _victim {
    my ($agent, $kind) = @_;
    my ($i, $nginx) = _nginx($agent) or return;
    my @pids = $kind eq 'filler' ? $nginx->filler_pids
        : $nginx->worker_pids;

    if ($kind ne 'filler') {
        my %zero = map { (Chat::Nginx::parent($_) // 0) => 1 }
            $nginx->filler_pids;

        @pids = grep { $kind eq 'worker 0' ? $zero{$_} : !$zero{$_} } @pids;
    }

    my $pid = $agent->dice->pick(@pids) // return;

    return ($i, $pid);
}


sub _kill {
    my ($agent, $kind) = @_;
    my ($i, $pid) = _victim($agent, $kind) or return;

    # most of those that stand still shall go on

    return if $agent->busy("process $pid") && $agent->dice->chance(80);

    $agent->killed($i, $pid) if $kind ne 'filler';
    kill('KILL', $pid);

    return "$kind $pid of $i";
}


sub kill_filler { return _kill($_[0], 'filler') }
sub kill_worker_0  { return _kill($_[0], 'worker 0') }
sub kill_worker    { return _kill($_[0], 'worker') }


sub _stop {
    my ($agent, $kind, $seconds) = @_;
    my ($i, $pid) = _victim($agent, $kind) or return;

    return if $agent->busy("process $pid");

    kill('STOP', $pid);
    $agent->later($seconds, "process $pid", sub { kill('CONT', $pid) });

    return sprintf('%s %d of %d for %.1f s', $kind, $pid, $i, $seconds);
}


sub stop_filler {
    my ($agent) = @_;
    my $dice = $agent->dice;

    return _stop($agent, 'filler',
                 $dice->chance(30) ? $dice->real(8, 18) : $dice->real(0.2, 4));
}


# A filler stands still until another has taken over what it writes, and
# then goes on while that one is at work.

sub outlive_lease {
    my ($agent) = @_;
    my ($i, $pid) = _victim($agent, 'filler') or return;

    return if $agent->busy("process $pid");

    kill('STOP', $pid);
    _await_takeover($agent, $pid, time(), {});

    return "filler $pid of $i";
}


sub _await_takeover {
    my ($agent, $pid, $from, $before) = @_;

    $agent->later(0.2, "process $pid", sub {
        my $tokens = _tokens($agent);
        my @taken = grep {
            defined $before->{$_} && $before->{$_} ne $tokens->{$_}
        } keys %$tokens;

        # the time of a lease: others are not of interest

        if (!$agent->healed && time() < $from + 18
            && (!@taken || time() < $from + 10))
        {
            _await_takeover($agent, $pid, $from, { %$before, %$tokens });
            return;
        }

        kill('CONT', $pid);
        $agent->note("filler $pid goes on, taken over: @taken");
    });
}


# who writes to the generations that somebody follows

sub _tokens {
    my ($agent) = @_;
    my $redis = $agent->{redis};
    my %tokens;

    return {} unless _ready($agent);

    foreach my $gen (@{ $redis->cmd('PUBSUB', 'CHANNELS') }) {
        my $own = $redis->cmd('HMGET', "$gen:own", 'state', 'token');

        $tokens{$gen} = $own->[1] if ref($own) eq 'ARRAY'
            && ($own->[0] // '') eq 'r' && ($own->[1] // '') ne '';
    }

    return \%tokens;
}


sub stop_worker {
    my ($agent) = @_;

    my $dice = $agent->dice;

    # fillers give up a worker that is silent for ten seconds

    return _stop($agent, $dice->pick('worker', 'worker 0'),
                 $dice->chance(15) ? $dice->real(9, 14) : $dice->real(0.2, 3));
}


sub reload {
    my ($agent) = @_;
    my ($i, $nginx) = _nginx($agent) or return;

    $agent->shut($i);
    $nginx->signal('HUP');

    return $i;
}


# quits, and starts again when it has ended

sub quit {
    my ($agent) = @_;
    my ($i, $nginx) = _nginx($agent) or return;

    return if grep { $agent->busy("instance $_") } 0 .. $#{ $agent->{nginx} };

    my $pause = $agent->dice->real(0, 1.5);
    my $down = { instance => $i, from => time() };

    $agent->shut($i);
    $nginx->signal('QUIT');
    push(@{ $agent->{down} }, $down);
    $agent->later(0.1, "instance $i",
                  sub { _ended($agent, $nginx, $down, $pause) });

    return sprintf('%d for %.1f s', $i, $pause);
}


sub _ended {
    my ($agent, $nginx, $down, $pause) = @_;
    my $thing = "instance $down->{instance}";

    if (waitpid($nginx->pid, POSIX::WNOHANG()) == 0) {
        $agent->later(0.1, $thing,
                      sub { _ended($agent, $nginx, $down, $pause) });
        return;
    }

    $agent->note(sprintf('%s has ended after %.1f s', $thing,
                         time() - $down->{from}));
    $agent->later($pause, $thing, sub {
        $nginx->start;
        $down->{to} = time();
    });
}


# The connections of Redis.

sub _ready {
    my ($agent) = @_;

    return !$agent->busy('redis');
}


sub client_kill {
    my ($agent) = @_;
    my ($dice, $redis) = ($agent->dice, $agent->{redis});
    my $kind = $dice->pick('normal', 'pubsub', 'one', 'one', 'one');

    return unless _ready($agent);

    if ($kind ne 'one') {
        return "$kind: "
            . $redis->cmd('CLIENT', 'KILL', 'TYPE', $kind, 'SKIPME', 'yes');
    }

    my $own = $redis->cmd('CLIENT', 'ID');
    my $list = $redis->cmd('CLIENT', 'LIST');
    my @ids = grep { $_ != $own } $list =~ /^id=(\d+)/mg;
    my $id = $dice->pick(@ids) // return;

    $redis->cmd('CLIENT', 'KILL', 'ID', $id);

    return "connection $id";
}


sub client_pause {
    my ($agent) = @_;
    my $ms = $agent->dice->number(50, 1800);
    my $mode = $agent->dice->pick('ALL', 'WRITE');

    return unless _ready($agent);

    $agent->{redis}->cmd('CLIENT', 'PAUSE', $ms, $mode);
    $agent->later($ms / 1000, 'redis', sub { });

    return "$mode for $ms ms";
}


sub flushall {
    my ($agent) = @_;

    return unless _ready($agent);
    return $agent->{redis}->cmd('FLUSHALL');
}


# what was accepted is not known to anybody any more

sub lose_queue {
    my ($agent) = @_;
    my $key = $agent->dice->pick(@Chat::Redis::QUEUES);

    return unless _ready($agent);
    return "$key: " . $agent->{redis}->cmd('DEL', $key);
}


# an operator stops one

sub stop_generation {
    my ($agent) = @_;
    my $redis = $agent->{redis};

    return unless _ready($agent);

    my $key = $agent->dice->pick(@{ $redis->cmd('KEYS', '*:own') }) // return;

    # it must not be made by that

    $redis->cmd('EVAL', 'return redis.call("EXISTS", KEYS[1]) == 1'
                . ' and redis.pcall("HSET", KEYS[1], "stop", "1")', 1, $key);
    $agent->stopped($key);

    return $key;
}


sub script_flush {
    my ($agent) = @_;

    return unless _ready($agent);
    return $agent->{redis}->cmd('SCRIPT', 'FLUSH');
}


# Somebody else writes into the keys of generations that are followed now.  A
# cached answer is only deleted, and with it what was known of its order.

sub spoil {
    my ($agent) = @_;
    my ($dice, $redis) = ($agent->dice, $agent->{redis});
    my @any = (['DEL'], ['SET', 'x', 'PX', 20000], ['PEXPIRE', 1]);
    my @stream = (['XTRIM', 'MAXLEN', 2], ['XTRIM', 'MAXLEN', 5],
                  ['XADD', 'NOMKSTREAM', '*', 'odd', 1]);
    my @done;

    return unless _ready($agent);

    my @followed = @{ $redis->cmd('PUBSUB', 'CHANNELS') };

    foreach (1 .. $dice->number(1, 4)) {
        my $gen = $dice->pick(@followed) // last;
        my ($S) = $gen =~ /^\{(.*)\}/ or next;
        my $live = $redis->cmd('KEYS', "{$S}:1:live:*")->[0] // $gen;
        my $key = $dice->pick($gen, $gen, "$gen:own", $live, $S);
        my ($verb, @more) = @{ $dice->pick(@any,
            $key eq $gen ? @stream : $key eq "$gen:own" ? ['HDEL', 'token']
            : ()) };

        ($verb, @more) = ('DEL', $Chat::Chaos::Watch::SENTINEL) if $key eq $S;

        $redis->cmd($verb, $key, @more);
        $agent->spoiled($gen);
        push(@done, "$verb $key");
    }

    return @done ? join(', ', @done) : undef;
}


sub redis_full {
    my ($agent) = @_;
    my $redis = $agent->{redis};
    my $seconds = $agent->dice->real(0.2, 2);

    return unless _ready($agent);

    $redis->cmd('CONFIG', 'SET', 'maxmemory', '1');
    $agent->later($seconds, 'redis', sub {
        $redis->cmd('CONFIG', 'SET', 'maxmemory', '0');
    });

    return sprintf('for %.1f s', $seconds);
}


sub redis_stop {
    my ($agent) = @_;
    my $redis = $agent->{redis};
    my $seconds = $agent->dice->real(0.05, 3);

    return unless _ready($agent);

    $redis->signal('STOP');
    $agent->later($seconds, 'redis', sub { $redis->signal('CONT') });

    return sprintf('for %.1f s', $seconds);
}


# a crash; the file of Redis is lost in one of three

sub redis_restart {
    my ($agent) = @_;
    my $redis = $agent->{redis};
    my $seconds = $agent->dice->real(0, 2);
    my $empty = $agent->dice->chance(33);

    return unless _ready($agent);

    $redis->stop('KILL');
    system('rm', '-rf', "$redis->{dir}/appendonlydir") if $empty;
    $agent->later($seconds, 'redis', sub { $redis->start });

    return sprintf('%s, away for %.1f s', $empty ? 'empty' : 'with its data',
                   $seconds);
}


# The way between an instance and Redis.

sub _proxy {
    my ($agent, $seconds, $what, $on, $off) = @_;
    my $i = $agent->dice->pick(grep { !$agent->busy("proxy $_") }
                               0 .. $#{ $agent->{proxies} }) // return;
    my $proxy = $agent->{proxies}[$i];

    $on->($proxy);
    $agent->later($seconds, "proxy $i", sub { $off->($proxy) });

    return sprintf('%s of %d, %.1f s', $what, $i, $seconds);
}


sub drop_instance {
    my ($agent) = @_;
    my $rst = $agent->dice->number(0, 1);
    my $seconds = $agent->dice->chance(30) ? $agent->dice->real(0.2, 3) : 0;
    my $refuse = $seconds ? 1 : 0;

    return _proxy($agent, $seconds, "rst $rst, refuse $refuse",
        sub { $_[0]->set(rst => $rst, refuse => $refuse, drop => 1) },
        sub { $_[0]->set(rst => 0, refuse => 0) });
}


# Nothing is answered.  What was swallowed does not come back, so that its
# connections have to end too.

sub hole {
    my ($agent) = @_;

    return _proxy($agent, $agent->dice->real(0.3, 4), 'black hole',
        sub { $_[0]->set(hole => 1) },
        sub { $_[0]->set(hole => 0, drop => 1) });
}


# everything comes late, and nothing is lost

sub freeze {
    my ($agent) = @_;

    return _proxy($agent, $agent->dice->real(0.2, 3), 'standstill',
        sub { kill('STOP', $_[0]->pid) },
        sub { kill('CONT', $_[0]->pid) });
}


sub latency {
    my ($agent) = @_;
    my $ms = $agent->dice->number(5, 150);

    return _proxy($agent, $agent->dice->real(1, 5), "latency of $ms ms",
        sub { $_[0]->set(latency => $ms) },
        sub { $_[0]->set(latency => 0) });
}


# connections end in the middle of a reply

sub cut {
    my ($agent) = @_;
    my $bytes = $agent->dice->number(1, 6000);

    return _proxy($agent, $agent->dice->real(0.5, 2), "cut after $bytes",
        sub { $_[0]->set(cut => $bytes) },
        sub { $_[0]->set(cut => '') });
}


sub provider_kill {
    my ($agent) = @_;
    my $seconds = $agent->dice->real(0, 1.5);

    return if $agent->busy('provider');

    my $away = { from => time() };

    push(@{ $agent->{away} }, $away);
    $agent->{provider}->kill;
    $agent->later($seconds, 'provider', sub {
        $agent->{provider}->start;
        $away->{to} = time();
    });

    return sprintf('away for %.1f s', $seconds);
}


1;
