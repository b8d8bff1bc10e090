#!/usr/bin/perl

# A hundred thousand hits and ten thousand misses, asked by a filler and by the
# worker: the memory of both does not grow with them, nor do descriptors, nor what
# Redis keeps for ever.

use warnings;
use strict;

use POSIX ();

use lib 't/lib';
use Chat::Test;
use Chat::Load;

# the sanitizers are slow, and keep freed memory on purpose

my $ASAN = defined $ENV{CHAT_NGINX};
my $FEWER = $ASAN ? 20 : 1;

# kB, where nothing grows with each

my $GROWTH = 512;

my $PLACES = 200;

my $redis = start_redis();
my $provider = start_quick(free_port());
my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
    provider_lines => 'keepalive 200;',
    http => "chat_fill concurrency=$PLACES;\n    keepalive_requests 1000000;",
    lead => 'off', server => 'location = /led { chat; chat_lead on;'
        . ' add_header X-Source $chat_source; }'
        . ' location = /hits { chat; }');

my (@pids, $bare);


# of the worker and the filler: descriptors, and memory in kB

sub resources {
    my @found;

    foreach my $pid (@pids) {
        opendir(my $fds, "/proc/$pid/fd") or next;

        my %of = (fds => scalar(grep { /^\d/ } readdir($fds)));

        ($of{rss}) = read_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
        push(@found, \%of);
    }

    return \@found;
}


# keys without an expiry, consumers of the queues, tasks

sub kept {
    my $eternal = $redis->cmd('EVAL', <<'EOT', 0);
local found = {}

for _, key in ipairs(redis.call('KEYS', '*')) do
    if redis.call('PTTL', key) < 0 then
        found[#found + 1] = key
    end
end

table.sort(found)

return table.concat(found, ' ')
EOT
    my @consumers = map { $redis->cmd('XINFO', 'CONSUMERS', $_, 'fill') }
                    @Chat::Redis::QUEUES;

    return { eternal => $eternal, tasks => $redis->tasks, consumers =>
             scalar(map { @$_ } grep { ref($_) eq 'ARRAY' } @consumers) };
}


# does it grow from part to part?

sub grows {
    my (@kb) = @_;

    return $kb[-1] - $kb[0] > $GROWTH && $kb[-1] - $kb[-2] > $GROWTH / 4;
}


# What a fifth of them needs is enough for all.  On a loaded machine more waits
# to be written in a later fifth than in the first, and malloc keeps what that
# took: as much again shows whether there is an end to it.  Each part has
# connections of its own, since nginx keeps a little for each request of a
# pipeline.  Those to the provider are kept, one for each call at once, and a
# spare one.

sub slope_ok {
    my ($name, $count, $connections, $depth, $path, $question) = @_;
    my @most = map { $_->{fds} } @$bare;
    my $seconds = 0;
    my (%seen, @at);

    $count /= 5 * $FEWER;
    $most[1] += $path eq '/led' ? $PLACES : $connections
        if $path ne '/hits';
    $most[0] += $connections + 1 if $path eq '/led';

    foreach my $part (0 .. 9) {
        last if $part > 4 && ($ASAN || !grep {
            my $i = $_;

            grows(map { $_->[$i]{rss} } @at)
        } 0 .. $#pids);

        my $seen = load($nginx, count => $count, connections => $connections,
            depth => $depth, path => $path,
            question => sub { $question->($part * $count + $_[0]) });

        $seconds += delete $seen->{seconds};
        $seen{$_} += $seen->{$_} foreach keys %$seen;

        wait_for { resources()->[0]{fds} <= $most[0] } 10,
            'connections of clients to go';
        push(@at, resources());
    }

    is_deeply(\%seen, { completed => @at * $count }, "$name: all are answered")
        or diag(explain(\%seen));
    note(sprintf('%s: %.1f s', $name, $seconds));

    foreach my $i (0 .. $#pids) {
        my $who = ('worker', 'filler')[$i];
        my @rss = map { $_->[$i]{rss} } @at;
        my @fds = map { $_->[$i]{fds} } @at;

        note("$name: $who: @rss kB, @fds descriptors");

        ok(!grows(@rss), "$name: memory of $who") if !$ASAN;

        cmp_ok($fds[-1], '<=', $most[$i], "$name: descriptors of $who");
    }
}


my $ready = 0;

sub is_led {
    my ($path) = @_;
    my $q = ask($nginx, { question => 'Ready, ' . ++$ready . '?',
                          path => $path });

    return ($q->{headers}{'x-source'} // '') eq 'led';
}


# The provider stands still until so many calls wait for it: how many
# connections are kept, each with its buffers, is no chance any more.

sub all_at_once {
    my ($calls, $path, $i) = @_;
    my $name = 'all at once, ' . ('led', 'queued')[$i];

    # one is kept already

    my $wanted = $bare->[$i]{fds} + $calls - 1;
    my $clients = $i == 0 ? $calls : 0;

    # tasks that have waited are counted for a moment yet

    wait_for { $i == 1 || is_led($path) } 10, 'questions to be led';
    kill('STOP', $provider->{pid});

    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        wait_for { resources()->[$i]{fds} >= $wanted + $clients } 20,
            'all to be asked';
        kill('CONT', $provider->{pid});
        POSIX::_exit(0);
    }

    my $seen = load($nginx, count => $calls, connections => $calls,
        depth => 1, path => $path,
        question => sub { "Who is one of all, $i $_[0]?" });

    waitpid($pid, 0);
    is($seen->{completed}, $calls, "$name: all calls are answered");
    cmp_ok(resources()->[$i]{fds}, '>=', $wanted,
           "$name: each has a connection");
}


stream_ok(scalar ask($nginx, { question => 'Who is hit?' }),
          'at the start: an answer');

@pids = ($nginx->worker_pids, $nginx->filler_pids);

wait_for { $redis->tasks == 0 } 5, 'its task';

$bare = resources();

my $before = kept();

is($before->{eternal}, 'chat:tasks:1', 'at the start: one key has no expiry');

slope_ok('hits', 100000, 4, 16, '/hits', sub { 'Who is hit?' });
all_at_once(100, '/chat', 1);
slope_ok('queued misses', 10000, 100, 1, '/chat',
         sub { "Who misses $_[0]?" });
all_at_once(100, '/led', 0);
slope_ok('led misses', 10000, 100, 1, '/led', sub { "Who leads $_[0]?" });

# the task of a led answer may come late

wait_for {
    !@{ $redis->cmd('KEYS', '*:live:*') } && $redis->tasks == 0
} $LEFT, 'the last answer';
is_deeply(kept(), $before, 'at the end: Redis keeps nothing more for ever');
is_deeply([ $nginx->worker_pids, $nginx->filler_pids ], \@pids,
          'at the end: the processes are the same');

$provider->stop;
done();
