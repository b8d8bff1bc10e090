package Bench::Memory;

# The section "memory": what a generation in progress costs, in KiB.

use warnings;
use strict;

use List::Util qw(sum0);
use Time::HiRes qw(sleep);

use Bench::Measure;


sub run {
    my ($site) = @_;
    my $streams = $site->size(1000, 20);
    my @rows;

    # a few chunks come, and then no more

    $site->shape(stall => 3);

    my $plain = $site->plain('');

    push(@rows, grown($site, $site->proxy_target('openai', $plain), $streams,
                      $plain));

    foreach my $lead ('on', 'off') {
        my ($target, @servers) = stalled($site, $lead);

        push(@rows, grown($site, $target, $streams, @servers));
    }

    return { title => "memory: $streams generations that have stalled, growth"
                 . ' in KiB for each, what is shared counts once',
             columns => [ [ who => 'target' ],
                          [ streams => 'calls in progress' ],
                          [ nginx => 'workers' ], [ filler => 'filler' ],
                          [ redis => 'Redis' ], [ all => 'all' ] ],
             rows => \@rows,
             plots => [ [ 'memory of a generation in progress, KiB',
                          'all' ] ] };
}


# the filler is counted for itself

sub stalled {
    my ($site, $lead) = @_;
    my ($target, $nginx, $redis) = $site->new_chat(
        $lead eq 'on' ? 'ngx_chat' : 'queued', lead => $lead);
    my %filler = map { $_ => 1 } $nginx->filler_pids;

    $target->{pids} = { nginx => [ grep { !$filler{$_} } $nginx->pids ],
                        filler => [ keys %filler ],
                        redis => [ $redis->pid ] };

    return ($target, $nginx, $redis);
}


# ends the servers, and with them what would go on without clients

sub grown {
    my ($site, $target, $streams, @servers) = @_;
    my $sizes = sub {
        return map { $_ => pss_of(@{ $target->{pids}{$_} }) }
               keys %{ $target->{pids} };
    };

    # the first ones cost more, for good

    my $first = hold($site, $target, $site->size(16, 4));
    my %before = $sizes->();
    my $rest = hold($site, $target, $streams);
    my %after = $sizes->();

    $site->end($_) foreach $first, $rest, @servers;
    $site->wait_for('calls to end', sub {
        $site->ask_provider('stats')->{in_flight} == 0 });

    my %grown = map { $_ => ($after{$_} - $before{$_}) / $streams }
                keys %after;

    return { who => $target->{who}, streams => $streams, %grown,
             all => sum0(values %grown) };
}


# clients of so many more, when all of them wait for their next chunk

sub hold {
    my ($site, $target, $streams) = @_;
    my $all = $site->ask_provider('stats')->{in_flight} + $streams;

    my $run = load_start($site, $target, 'stalled generations', '-q',
                         $site->fresh, '-c', $streams, '-n', $streams, '-r',
                         $site->size(1, 0.1));

    $site->wait_for("$streams calls of $target->{who}", sub {
        $site->ask_provider('stats')->{in_flight} >= $all });
    settle($target);

    return $run->{pid};
}


# until the processes do hardly anything more

sub settle {
    my ($target) = @_;
    my ($idle, $before) = (0, cpu_of($target));

    foreach (1 .. 50) {
        Bench::Site::go_on();
        sleep(0.2);

        my $now = cpu_of($target);
        my $used = sum0(values %$now) - sum0(values %$before);

        $before = $now;
        $idle = $used < 0.004 ? $idle + 1 : 0;

        return if $idle == 2;
    }
}


1;
