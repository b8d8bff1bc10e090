#!/usr/bin/perl

# A hundred thousand hits and ten thousand misses: the memory of worker and
# filler does not grow with them, nor do descriptors, nor what Redis keeps
# for ever.

use warnings;
use strict;

use POSIX ();

use lib 't/lib';
use Chat::Test;
use Chat::Load;

# the sanitizers are slow, and keep freed memory on purpose

my $ASAN = defined $ENV{CHAT_NGINX};
my $FEWER = $ASAN ? 20 : 1;

my $redis = start_redis();
my $provider = start_quick(free_port());
my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
    http => "chat_fill concurrency=200;\n    keepalive_requests 1000000;");

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


# keys without an expiry, consumers of the queue, tasks

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
    my $consumers = $redis->cmd('XINFO', 'CONSUMERS', 'chat:tasks:1', 'fill');

    return { eternal => $eternal, consumers => scalar(@$consumers),
             tasks => $redis->cmd('XLEN', 'chat:tasks:1') };
}


# What a fifth of them needs is enough for all.  Each fifth has connections of
# its own, since nginx keeps a little for each request of a pipeline.

sub slope_ok {
    my ($name, $count, $connections, $depth, $allowed, $question) = @_;
    my $seconds = 0;
    my (%seen, @at);

    $count /= 5 * $FEWER;

    foreach my $part (0 .. 4) {
        my $seen = load($nginx, count => $count, connections => $connections,
            depth => $depth,
            question => sub { $question->($part * $count + $_[0]) });

        $seconds += delete $seen->{seconds};
        $seen{$_} += $seen->{$_} foreach keys %$seen;

        wait_for { resources()->[0]{fds} <= $bare->[0]{fds} } 10,
            'connections of clients to go';
        push(@at, resources());
    }

    is_deeply(\%seen, { completed => 5 * $count }, "$name: all are answered")
        or diag(explain(\%seen));
    note(sprintf('%s: %.1f s', $name, $seconds));

    foreach my $i (0 .. $#pids) {
        my $who = ('worker', 'filler')[$i];
        my @rss = map { $_->[$i]{rss} } @at;
        my @fds = map { $_->[$i]{fds} } @at;

        note("$name: $who: @rss kB, @fds descriptors");

        cmp_ok($rss[-1] - $rss[0], '<=', $allowed, "$name: memory of $who")
            if !$ASAN;

        # connections to the provider are kept, one for each call at once

        cmp_ok($fds[-1], '<=', $bare->[$i]{fds} + $i * $connections,
               "$name: descriptors of $who");
    }
}


# The provider stands still until so many calls wait for it: how many
# connections are kept, each with its buffers, is no chance any more.

sub all_at_once {
    my ($calls) = @_;

    # one is kept already

    my $wanted = $bare->[1]{fds} + $calls - 1;

    kill('STOP', $provider->{pid});

    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        wait_for { resources()->[1]{fds} >= $wanted } 20, 'all to be asked';
        kill('CONT', $provider->{pid});
        POSIX::_exit(0);
    }

    my $seen = load($nginx, count => $calls, connections => $calls,
        depth => 1, question => sub { "Who is one of all, $_[0]?" });

    waitpid($pid, 0);
    is($seen->{completed}, $calls, 'all at once: all calls are answered');
    cmp_ok(resources()->[1]{fds}, '>=', $wanted,
           'all at once: each has a connection');
}


stream_ok(scalar ask($nginx, { question => 'Who is hit?' }),
          'at the start: an answer');

@pids = ($nginx->worker_pids, $nginx->filler_pids);

wait_for { $redis->cmd('XLEN', 'chat:tasks:1') == 0 } 5, 'its task';

$bare = resources();

my $before = kept();

is($before->{eternal}, 'chat:tasks:1', 'at the start: one key has no expiry');

slope_ok('hits', 100000, 4, 16, 512, sub { 'Who is hit?' });
all_at_once(100);
slope_ok('misses', 10000, 100, 1, 512, sub { "Who misses $_[0]?" });

wait_for { $redis->cmd('XLEN', 'chat:tasks:1') == 0 } 5, 'the last task';
is_deeply(kept(), $before, 'at the end: Redis keeps nothing more for ever');
is_deeply([ $nginx->worker_pids, $nginx->filler_pids ], \@pids,
          'at the end: the processes are the same');

$provider->stop;
done();
