package Bench::Misses;

# The section "miss": questions that nobody has asked yet, one at a time and
# many at once, beside the provider itself and proxy_pass.

use warnings;
use strict;

use IO::Select;
use List::Util qw(sum0);

use Bench::Far;
use Bench::Measure;

# ms to the first chunk and from one to the next, as models have it
my %PACE = (first => 20, gap => 20, stamp => 1);
my %QUICK = (%PACE, gap => 5);


# connections, requests, seconds over which they begin, chunks: few where the
# first one of many answers counts

sub loads {
    my ($site) = @_;

    return $site->{quick} ? ([ 1, 1, 0, 10 ], [ 16, 16, 0.1, 10 ])
                          : ([ 1, 20, 0, 10 ], [ 64, 64, 1, 50 ],
                             [ 500, 500, 0, 50 ], [ 2000, 2000, 0, 50 ]);
}


sub run {
    my ($site) = @_;

    my %pace = $site->{quick} ? %QUICK : %PACE;

    $site->shape(%pace);

    my $plain = $site->plain('');
    my $direct = $site->provider_target('openai');
    my ($led, $nginx, $redis) = $site->new_chat('ngx_chat');
    my ($queued) = $site->new_chat('queued', lead => 'off');
    my @all = ($direct, $site->proxy_target('openai', $plain), $led, $queued);
    my @lua = $site->{lua} ? $site->new_lua : ();
    my (@tables, %figures, @plotted);

    foreach my $load (loads($site)) {
        my ($connections, $requests, $ramp, $chunks) = @$load;

        $site->shape(%pace, chunks => $chunks);

        # that many are more than it is made for

        my @targets = (@all, $connections > 64 ? () : @lua);
        my %results;

        foreach (1 .. $site->size(3, 1)) {
            foreach my $target (@targets) {
                push(@{ $results{$target->{who}} },
                     asked($site, $target, "$connections misses at once",
                           '-q', $site->fresh, '-c', $connections, '-n',
                           $requests, '-r', $ramp, '-T', 120));
            }
        }

        my @rows = map { row($_, $results{$_->{who}}, $results{provider}) }
                   @targets;

        push(@tables, table($site, $load, @rows));
        $figures{$connections} = { map { $_->{who} => $_ } @rows };
        @plotted = @rows if $connections <= 64;
    }

    my $first = shift(@tables);
    my @traffic = traffic($site, $led, $redis);

    push(@tables, { title => 'commands that Redis gets for a chunk',
                    columns => [ [ who => 'readers' ],
                                 [ commands => 'commands' ] ],
                    rows => \@traffic });

    push(@tables, Bench::Far::far($site));

    return { %$first, more => \@tables,
             figures => { %figures,
                          commands => { map { $_->{who} => $_ } @traffic },
                          far => { map { $_->{who} => $_ }
                                   @{ $tables[-1]{rows} } } },
             plots => [ [ 'a chunk later than it was sent, p50, ms',
                          'chunk50' ],
                        [ 'CPU of all processes, us a chunk', 'cpu' ] ],
             plotted => \@plotted };
}


sub table {
    my ($site, $load, @rows) = @_;
    my ($connections, $requests, $ramp) = @$load;
    my $title = "miss: $connections at once";

    $title .= ", begun within $ramp s" if $ramp;

    return { title => "$title, $site->{shape}{gap} ms between"
                 . " $site->{shape}{chunks} chunks of 20 bytes, one worker",
             columns => [ [ who => 'target' ],
                          [ first50 => 'first chunk later: p50, ms' ],
                          [ first99 => 'p99, ms' ],
                          [ chunk50 => 'each chunk: p50, ms' ],
                          [ chunk99 => 'p99, ms' ],
                          [ later50 => 'later: p50, ms' ],
                          [ total50 => 'total: p50, s' ],
                          [ total99 => 'p99, s' ],
                          [ cpu => 'CPU, us a chunk' ],
                          [ nginx => 'nginx' ], [ redis => 'Redis' ],
                          [ wrong => 'wrong' ] ],
             rows => \@rows };
}


# each question is one call of the provider

sub asked {
    my ($site, $target, $what, @options) = @_;

    $site->ask_provider('reset');

    my $result = load($site, $target, $what, @options);
    my $stats = $site->ask_provider('stats');

    $result->{calls} = $stats->{total};

    wrong($site, "$what, $target->{who}: $stats->{total} calls for"
          . " $result->{requests} questions")
        if $stats->{total} != $result->{requests};

    return $result;
}


# how much later than from the provider itself, in the same run

sub row {
    my ($target, $results, $direct) = @_;
    my $of = sub {
        my ($list, $what, $rank) = @_;

        return median(map { $_->{$what}{$rank} } @$list) // 0;
    };
    my $later = sub { $of->($results, @_) - $of->($direct, @_) };
    my $cpu = sub {
        my @groups = @_;

        return median(map { my $result = $_;
                            per(sum0(map { $result->{cpu_of}{$_} // 0 }
                                     @groups), $result->{chunks}) } @$results);
    };
    my $redis = $target->{pids}{redis};

    return { who => $target->{who},
             first50 => $later->('first_chunk', 'p50'),
             first99 => $later->('first_chunk', 'p99'),
             chunk50 => $of->($results, 'latency', 'p50'),
             chunk99 => $of->($results, 'latency', 'p99'),
             later50 => $later->('latency', 'p50'),
             total50 => $of->($results, 'total', 'p50') / 1000,
             total99 => $of->($results, 'total', 'p99') / 1000,
             cpu => $target->{pids}{nginx} ? $cpu->(qw(nginx redis)) : undef,
             nginx => $target->{pids}{nginx} ? $cpu->('nginx') : undef,
             redis => $redis ? $cpu->('redis') : undef,
             wrong => sum0(map { $_->{wrong} } @$results) };
}


# What clients of Redis send it: MONITOR marks what scripts do with "lua".

sub traffic {
    my ($site, $led, $redis) = @_;
    my $n = $site->size(64, 4);
    my $elsewhere = $site->chat($redis);
    my $there = $site->chat_target('elsewhere', $redis, $elsewhere);
    my @rows;

    foreach my $who ('nobody elsewhere', 'one elsewhere') {
        my $watch = $redis->client;
        my $question = $site->fresh;
        my @ask = ('-q', $question, '-c', $n, '-n', $n);

        $watch->cmd('MONITOR');
        $site->ask_provider('reset');

        my $run = load_start($site, $led, $who, @ask);

        if ($who eq 'one elsewhere') {
            $site->wait_for('the provider to be asked', sub {
                $site->ask_provider('stats')->{total} == $n });
            load($site, $there, $who, @ask);
        }

        my $result = load_end($site, $run);
        my $calls = $site->ask_provider('stats')->{total};

        wrong($site, "$who: $calls calls for $n questions") if $calls != $n;

        push(@rows, { who => $who,
                      commands => commands($watch) / ($result->{chunks}
                                                      || 1) });
    }

    $site->end($elsewhere);

    return @rows;
}


# what has come, until nothing does for a while

sub commands {
    my ($watch) = @_;
    my $sock = $watch->connection;
    my $select = IO::Select->new($sock);
    my ($text, $got) = ('', 1);

    while ($got && $select->can_read(0.3)) {
        $got = sysread($sock, $text, 1 << 20, length($text));
    }

    $watch->disconnect;

    return scalar grep { / \[\d+ [^\]]+\] "/ && !/ \[\d+ lua\] "/ }
           split(/\r\n/, $text);
}


1;
