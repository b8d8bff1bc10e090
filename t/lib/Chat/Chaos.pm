package Chat::Chaos;

# A run of chaos: clients ask three instances that share one Redis, while
# processes and connections of all kinds are killed at random; then everything
# that must always hold is checked.  Workers ask the provider, or fillers, or
# workers without Redis, as locations have it.  See Chat::Chaos::*:
#
#     Dice        random numbers, all from the seed
#     Clients     who asks what, when and how
#     Transcript  what one client has seen, checked on its own
#     Agent       when something is broken, and mended again
#     Faults      what is broken
#     Provider    answers, and is killed too
#     Watch       looks at the cached answers all the time
#     Judge       finds what no fault explains
#     Rest        what is left when all is quiet
#
# What happens follows from the seed, but not its interleaving.

use warnings;
use strict;

use Exporter qw(import);
use Time::HiRes qw(sleep time);

use Chat::Test;
use Chat::Chaos::Agent;
use Chat::Chaos::Clients;
use Chat::Chaos::Judge;
use Chat::Chaos::Provider;
use Chat::Chaos::Rest qw(unsettled left_keys connections levels is_queue);
use Chat::Chaos::Watch;

our @EXPORT = qw(chaos);

my @FILLERS = (1, 2, 1);      # of each instance
my $CONNECTIONS = @FILLERS * 2 * 2 + (1 + 2 + 1) * 2;
my $SHUTDOWN = 3;     # s, worker_shutdown_timeout of the last instance

my $QUEUE = 5;        # s, chat_queue_timeout
my $TOTAL = 25;       # s, total_timeout

# tries, lease, margin and silence: what README says of the longest wait
my $BOUND = $QUEUE + 4 * $TOTAL + 3 * 25 + 6;


# chaos(seconds => ..., seed => ...)

sub chaos {
    my (%opt) = @_;
    my $run = bless { %opt }, __PACKAGE__;

    note("seed $run->{seed}, $run->{seconds} s");

    $run->_start;
    $run->_harm;
    $run->_calm;
    $run->_check_rest;
    $run->_check_work;
    $run->_report;
}


sub _start {
    my ($run) = @_;
    my $redis = start_redis(config => [ 'appendonly yes',
        'appendfsync everysec', 'auto-aof-rewrite-percentage 0' ]);
    my $provider = Chat::Chaos::Provider->new;
    my @proxies = map { start_proxy($redis) } @FILLERS;
    my @nginx = map {
        start_nginx(provider => $provider, listen => 'reuseport',
            lead => 'on', zone => $ENV{CHAT_CHAOS_ZONE} || 'off',
            fillers => $FILLERS[$_],
            redis => 'redis://127.0.0.1:' . $proxies[$_]->port,
            main => $_ == $#proxies ? "worker_shutdown_timeout ${SHUTDOWN}s;"
                : '',
            http => "chat_queue_timeout ${QUEUE}s; chat_cache_ttl 5s;"
                . " chat_fill processes=$FILLERS[$_];"
                . ' chat_provider patient { key sk-test-key; model test;'
                . ' url http://127.0.0.1:' . $provider->port . '/v1;'
                . " total_timeout ${TOTAL}s; }",
            provider_lines => "total_timeout ${TOTAL}s; idle_timeout 2s;"
                . ' first_token_timeout 2s;',
            server => 'add_header X-Worker $pid always;'
                . ' add_header X-Source $chat_source always;'
                . ' location = /patient { chat patient; }'
                . ' location = /brief { chat patient;'
                . ' chat_abandon cancel grace=1s; }'
                . ' location = /stale { chat patient;'
                . ' chat_cache_ttl 1s; chat_cache_stale 10s; }'
                . ' location = /queued { chat patient; chat_lead off; }'
                . ' location = /direct { chat patient;'
                . ' chat_redis_down direct; }')
    } 0 .. $#proxies;

    $_->allow_log(qr/exited on signal 9/) foreach @nginx;

    @$run{qw(redis provider nginx)} = ($redis, $provider, \@nginx);

    $run->{agent} = Chat::Chaos::Agent->new(seed => $run->{seed},
        redis => $redis, nginx => \@nginx, proxies => \@proxies,
        provider => $provider, log => test_dir() . '/faults.log');
    $run->{judge} = Chat::Chaos::Judge->new(agent => $run->{agent},
        provider => $provider, shutdown => { $#nginx => $SHUTDOWN },
        log => test_dir() . '/clients.log');
    $run->{clients} = Chat::Chaos::Clients->new(seed => $run->{seed},
        nginx => \@nginx, bound => $BOUND,
        sink => sub { $run->{judge}->take(@_) });

    # what an idle instance has open

    $run->_check_work;
    wait_for { $run->_quiet } 10;
    $run->{levels} = [ map { levels($_, $provider) } @nginx ];
    $run->{watch} = Chat::Chaos::Watch->new($redis);
}


sub _quiet {
    my ($run) = @_;
    my $why = eval {
        my $count = connections($run->{redis}) - ($run->{watch} ? 1 : 0);

        unsettled($run->{redis}, $run->{provider}, @{ $run->{nginx} })
            // ($count == $CONNECTIONS ? undef
                : "$count connections of Redis");
    };

    $run->{restless} = $@ || $why;

    return !defined $run->{restless} || $run->{restless} eq '';
}


sub _harm {
    my ($run) = @_;
    my $end = time() + $run->{seconds};
    my $next = time();

    while (time() < $end) {
        if (time() >= $next) {
            $run->{clients}->send_next;
            $next += 1;
        }

        $run->{agent}->tick;
        $run->{clients}->collect;
        sleep(0.02);
    }
}


# the faults end, then the clients, then what they have asked for

sub _calm {
    my ($run) = @_;
    my $began = time();

    ok(wait_for(sub {
        my $left = $run->{clients}->collect;

        return $run->{agent}->heal && !$left;
    }, $BOUND + 15), "the faults end: all clients too, $BOUND s later");

    note(sprintf('clients: %.1f s', time() - $began));

    ok(wait_for(sub { $run->_quiet }, $BOUND), 'the faults end: all is quiet')
        or diag("not yet: $run->{restless}");

    note(sprintf('quiet: %.1f s', time() - $began));
}


sub _check_rest {
    my ($run) = @_;
    my ($redis, $judge) = @$run{qw(redis judge)};
    my $watched = $run->{watch}->finish;

    cmp_ok($watched->{rounds}, '>', 10 * $run->{seconds},
           'the keys: cached answers were looked at');
    note("$watched->{rounds} looks, " . keys(%{ $watched->{gens} })
         . ' answers cached');

    my @left = left_keys($redis, $QUEUE);
    my @lines = map { split(/\n/, $_->error_log) } @{ $run->{nginx} };
    my @ended = grep { /exited with code [1-9]/ } @lines;

    is(join("\n", @left), '', 'the keys: all have an expiry');
    is(join("\n", @ended), '', 'the processes: none has ended with an error');

    # a short run does not wait for that

    if ($run->{seconds} > 60) {
        my @stay;

        wait_for {
            !(@stay = grep { !is_queue($_) } @{ $redis->cmd('KEYS', '*') });
        } 70;
        is(join("\n", @stay), '', 'the keys: nothing stays but the queues');
    }

    # what the token prevents, unless somebody else writes into our keys

    my @mixed = grep {
        /is not what was written to it, generation: (\w+)/
            && !$run->{agent}->was_spoiled($1)
    } @lines;

    is(join("\n", @mixed), '', 'the generations: none had two writers');

    foreach my $i (0 .. $#{ $run->{nginx} }) {
        is_deeply(levels($run->{nginx}[$i], $run->{provider}),
                  $run->{levels}[$i],
                  "instance $i: as many files open as before");
    }

    $judge->conclude($watched);
}


# a new question to each instance, then the same to the next one

sub _check_work {
    my ($run) = @_;
    my @nginx = @{ $run->{nginx} };

    foreach my $i (0 .. $#nginx) {
        my $question = 'All well, ' . ++$run->{asked}
            . '? {{chunks=3;gap=0}}';

        foreach my $nginx ($nginx[$i], $nginx[$i - 1]) {
            wait_for {
                $nginx == $nginx[$i]
                    || $run->{redis}->cmd('EXISTS', stream_key($question))
            } 5, 'the cached answer';

            stream_ok(scalar ask($nginx, { question => $question }),
                      "question $run->{asked}: instance $i answers, "
                      . ($nginx == $nginx[$i] ? 'a miss' : 'a hit'),
                      restarts => 0, cache => $nginx == $nginx[$i] ? qr/fwd=miss$/ : qr/hit/);
        }
    }
}


sub _report {
    my ($run) = @_;
    my $judge = $run->{judge};
    my @faults = @{ $judge->{faults} };

    note($_) foreach $judge->summary;

    cmp_ok($judge->{outcomes}{completed} || 0, '>', $judge->{clients} / 5,
           'the clients: work went on meanwhile');
    ok(!@faults, 'the clients: no fault is unexplained')
        or diag(join("\n", scalar(@faults) . ' of them', @faults > 20
                     ? @faults[0 .. 19] : @faults));

    if (!Test::More->builder->is_passing) {
        $ENV{CHAT_TEST_LEAVE} = 1;
        diag("seed $run->{seed}: see faults.log and clients.log in "
             . test_dir());
    }
}


1;
