package Bench::Fanout;

# The section "fanout": one question, asked by many at once.

use warnings;
use strict;

use List::Util qw(max sum0);
use Time::HiRes qw(sleep);

use Bench::Measure;

my %PACE = (first => 200, gap => 20, stamp => 1, chunks => 50);
my %QUICK = (%PACE, gap => 5, chunks => 10);


sub run {
    my ($site) = @_;
    my $readers = $site->size(2000, 50);
    my %pace = $site->{quick} ? %QUICK : %PACE;
    my $plain = $site->plain('');

    $site->shape(%pace);

    my ($chat) = $site->new_chat('ngx_chat');
    my $proxy = $site->proxy_target('openai', $plain);
    my %results;

    foreach (1 .. $site->size(3, 1)) {
        push(@{ $results{ngx_chat} }, joined($site, $chat, 1, $readers));
        push(@{ $results{proxy_pass} }, joined($site, $proxy, $readers,
                                               $readers));
    }

    my $ideal = ($pace{first} + ($pace{chunks} - 1) * $pace{gap}) / 1000;
    my @rows = map { row($_, $results{$_->{who}}, $readers, $ideal) }
               $chat, $proxy;

    push(@rows, many($site, bare($site)), hosts($site));

    return { title => 'fanout: one question at once by so many;'
                 . ' proxy_pass has a call for each',
             columns => [ [ who => 'target' ], [ readers => 'readers' ],
                          [ calls => 'calls' ],
                          [ total50 => 'total: p50, s' ],
                          [ slowest => 'slowest, s' ], [ ideal => 'ideal, s' ],
                          [ chunk99 => 'each chunk: p99, ms' ],
                          [ cpu => 'CPU, s' ], [ nginx => 'nginx' ],
                          [ redis => 'Redis' ],
                          [ memory => 'KiB of the worker for each' ],
                          [ added => 'more than nginx_return, KiB' ],
                          [ wrong => 'wrong' ] ],
             rows => \@rows,
             plots => [ [ 'CPU of nginx and Redis, s', 'cpu' ],
                        [ 'slowest reader, s', 'slowest' ] ],
             plotted => [ @rows[0, 1] ] };
}


sub joined {
    my ($site, $target, $questions, $readers) = @_;

    $site->ask_provider('reset');

    return called($site, $target, $questions,
        load($site, $target, "$readers readers", '-q', $site->fresh, '-k',
             $questions, '-c', $readers, '-n', $readers));
}


sub called {
    my ($site, $target, $questions, @results) = @_;
    my $calls = $site->ask_provider('stats')->{total};

    $_->{calls} = $calls foreach @results;

    wrong($site, "$target->{who}: $calls calls for $questions questions")
        if $calls != $questions;

    return @results;
}


sub row {
    my ($target, $results, $readers, $ideal) = @_;
    my $cpu = sub {
        my @groups = @_;

        return median(map { my $result = $_;
                            sum0(map { $result->{cpu_of}{$_} } @groups) }
                      @$results);
    };

    return { who => $target->{who}, readers => $readers, ideal => $ideal,
             calls => median(map { $_->{calls} } @$results),
             total50 => median(map { ($_->{total}{p50} // 0) / 1000 }
                               @$results),
             slowest => median(map { ($_->{total}{max} // 0) / 1000 }
                               @$results),
             chunk99 => median(map { $_->{latency}{p99} } @$results),
             cpu => $cpu->(keys %{ $target->{pids} }),
             nginx => $cpu->('nginx'),
             redis => $target->{pids}{redis} ? $cpu->('redis') : undef,
             wrong => sum0(map { $_->{wrong} } @$results) };
}


# Ten thousand readers of one worker: what each costs, while all of them read,
# and how much of that is more than a response of nginx itself takes.

sub many {
    my ($site, $bare) = @_;
    my %pace = $site->{quick} ? %QUICK : (first => 4000, gap => 60);

    $site->shape(stamp => 1, %pace);

    my ($target, $nginx) = $site->new_chat('ngx_chat');

    # what the first readers make it allocate for good is not theirs

    load($site, $target, 'warming up', '-q', $site->fresh, '-k', 1, '-c', 8);
    $site->ask_provider('reset');

    my ($result, $memory) = held($site, $target, $nginx, '-q', $site->fresh,
                                 '-k', 1);

    called($site, $target, 1, $result);

    my $row = row($target, [ $result ], $result->{requests}, undef);

    $site->end($nginx);

    return ($bare, { %$row, who => 'ngx_chat, most', memory => $memory,
                     added => $memory - $bare->{memory} });
}


# As many responses of nginx itself, with the same settings, which take as long:
# sent slowly, out of its configuration.

sub bare {
    my ($site) = @_;
    my $text = 'x' x 700;
    my $rate = $site->size(100, 300);
    my $expected = $site->subdir('expected');

    Bench::Site::write_file($expected, $text);

    my $nginx = $site->nginx(<<"EOT");
        default_type text/event-stream;
        location = /fast { return 200 $text; }
        location = /slow { limit_rate $rate; return 200 $text; }
EOT

    my ($warm, $target) = map {
        my $target = $site->target('nginx_return', 'raw', $nginx, $_,
                                   nginx => [ $nginx->pids ]);

        $target->{expected} = $expected;
        $target;
    } '/fast', '/slow';

    load($site, $warm, 'warming up', '-c', 8);

    my ($result, $memory) = held($site, $target, $nginx);

    $site->end($nginx);

    return { who => 'nginx_return, most', readers => $result->{requests},
             memory => $memory, wrong => $result->{wrong} };
}


# (the result, KiB that the worker has grown by for each)

sub held {
    my ($site, $target, $nginx, @ask) = @_;
    my $readers = $site->size(10000, 100);
    my ($worker) = $nginx->worker_pids;
    my $before = pss_of($worker);
    my $run = load_start($site, $target, "$readers readers", @ask, '-c',
                         $readers, '-n', $readers, '-r', $site->size(2, 0.1));
    my @seen;

    while (kill(0, $run->{pid})
           && Chat::Nginx::read_file("/proc/$run->{pid}/stat") !~ /\) Z/)
    {
        Bench::Site::go_on();
        push(@seen, pss_of($worker));
        sleep(0.2);
    }

    return (load_end($site, $run), (max(@seen) - $before) / $readers);
}


# three instances that share a Redis

sub hosts {
    my ($site) = @_;
    my $each = $site->size(100, 10);

    $site->shape($site->{quick} ? %QUICK : %PACE);

    my $redis = $site->redis;
    my @nginx = map { $site->chat($redis) } 1 .. 3;
    my @targets = map { $site->chat_target('three hosts', $redis, $_) } @nginx;
    my $question = $site->fresh;

    $site->ask_provider('reset');

    my @runs = map { load_start($site, $_, 'three hosts', '-q', $question,
                                '-k', 1, '-c', $each, '-n', $each) } @targets;
    my @results = called($site, $targets[0], 1,
                         map { load_end($site, $_) } @runs);
    my ($all) = row($targets[0], \@results, 3 * $each, undef);

    $site->end($_) foreach @nginx;

    # each of them has been charged with all of Redis

    return { %$all, slowest => max(map { ($_->{total}{max} // 0) / 1000 }
                                   @results),
             wrong => sum0(map { $_->{wrong} } @results),
             cpu => undef, nginx => undef, redis => undef };
}


1;
