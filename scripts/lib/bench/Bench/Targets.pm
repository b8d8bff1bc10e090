package Bench::Targets;

# What the module is to reach, as ratios of figures of one run.

use warnings;
use strict;

use List::Util qw(max sum0);

use Bench::Report;


# Each target: its section, what is measured, the unit, the limit ("<=" or
# ">=" and a number), how the figure comes out of the section's result, and
# maybe another figure that says more about it, and its unit.

my @TARGETS = (
    [ hot => 'CPU of nginx', 'x nginx_return', '<= 2',
      sub { ratio(@_, 'zone', 'nginx_return', 'nginx') } ],
    [ hot => 'CPU of nginx', 'x lua_shm', '<= 0.5',
      sub { ratio(@_, 'zone', 'lua_shm', 'nginx') } ],
    [ hot => 'hits a second', 'x what the generator takes', '>= 0.95',
      sub { ratio(@_, 'zone', 'provider', 'rate') } ],
    [ hot => 'first byte, one at a time, p99', 'ms', '<= 0.3',
      sub { value(@_, 'zone', 'first99') } ],
    [ hot => 'longest turn while 1 MiB is sent', 'ms', '<= 1',
      sub { my ($row) = grep { $_->{who} eq 'zone' }
                        @{ $_[0]{more}[0]{rows} };
            return $row ? $row->{cpu} : undef } ],

    [ hit => 'CPU of nginx', 'x lua_shm', '<= 0.8',
      sub { ratio(@_, 'redis', 'lua_shm', 'nginx') } ],

    [ miss => 'CPU a chunk, 64 at once', 'x proxy_pass', '<= 2',
      sub { miss(@_, 64, 'cpu') } ],
    [ miss => 'CPU a chunk, 500 at once', 'x proxy_pass', '<= 2',
      sub { miss(@_, 500, 'cpu') } ],
    [ miss => 'first chunk later, one at a time, p50', 'x proxy_pass',
      '<= 2.5', sub { miss(@_, 1, 'first50') } ],
    [ miss => 'first chunk later, one at a time, p50', 'x lua_shm', '<= 1',
      sub { miss(@_, 1, 'first50', 'lua_shm') } ],
    [ miss => 'each chunk later, 64 at once, p50', 'x proxy_pass', '<= 1.5',
      sub { miss(@_, 64, 'later50') } ],
    [ miss => '500 at once, total p99', 'x proxy_pass', '<= 1.07',
      sub { miss(@_, 500, 'total99') } ],
    [ miss => '2,000 at once, total p99', 'x proxy_pass', '<= 1.3',
      sub { miss(@_, 2000, 'total99') } ],
    [ miss => 'Redis commands a chunk, nobody elsewhere', '', '<= 0.25',
      sub { $_[0]{figures}{commands}{'nobody elsewhere'}{commands} } ],
    [ miss => 'Redis commands a chunk, one reader elsewhere', '', '<= 1.3',
      sub { $_[0]{figures}{commands}{'one elsewhere'}{commands} } ],

    [ miss => 'provider 40 ms away, one question every 10 s, first chunk',
      'ms later than queued', '<= 1', sub { far(@_, 'one') } ],
    [ miss => 'provider 40 ms away, bursts of 64, first chunk',
      'ms later than queued', '<= 5', sub { far(@_, 'burst') } ],

    [ fanout => 'slowest of 2,000 readers', 'ms later than ideal', '<= 200',
      sub { my $slowest = value(@_, 'ngx_chat', 'slowest') // return undef;
            return ($slowest - value(@_, 'ngx_chat', 'ideal')) * 1000 } ],
    [ fanout => 'CPU of nginx and Redis, 2,000 readers', 'x proxy_pass',
      '<= 1', sub { ratio(@_, 'ngx_chat', 'proxy_pass', 'cpu') } ],
    [ fanout => '10,000 readers of one worker', 'KiB each', '<= 6',
      sub { value(@_, 'ngx_chat, most', 'memory') },
      sub { value(@_, 'ngx_chat, most', 'added') }, 'more than nginx_return' ],
    [ fanout => '10,000 readers of one worker', 'calls', '<= 1',
      sub { value(@_, 'ngx_chat, most', 'calls') } ],
    [ fanout => '300 askers on three instances', 'calls', '<= 1',
      sub { value(@_, 'three hosts', 'calls') } ],

    [ memory => 'a generation in progress', 'x proxy_pass', '<= 1.5',
      sub { ratio(@_, 'ngx_chat', 'proxy_pass', 'all') } ],

    map { my $who = $_;
          ([ kill => "$who killed: longest pause between chunks", 'ms',
             '<= 50', sub { value(@_, $who, 'pause') } ],
           [ kill => "$who killed: longest wait for the end", 'ms', '<= 50',
             sub { value(@_, $who, 'end') } ],
           [ kill => "$who killed: a second \"processing\"", 'times', '<= 0',
             sub { value(@_, $who, 'restarts') } ],
           [ kill => "$who killed: answers without an end, or in an error",
             'times', '<= 0',
             sub { sum0(map { $_ // 0 } @{ row($_[0], $who) }{qw(lost errors)})
                 } ]) } 'filler', 'Redis'
);


# ({ section, what, unit, limit, value, met }, ...): met is undef where nothing
# was measured

sub verdicts {
    my ($results) = @_;
    my @verdicts;

    foreach my $target (@TARGETS) {
        my ($section, $what, $unit, $limit, $code, $more, $of) = @$target;
        my $result = $results->{$section};
        my %verdict = (section => $section, what => $what, unit => $unit,
                       limit => $limit);

        if (!$result || $result->{skipped}) {
            $verdict{why} = $result ? $result->{skipped} : 'not run';

        } else {
            $verdict{value} = $code->($result);
            $verdict{why} = 'not in this run, or with wrong answers'
                unless defined $verdict{value};
        }

        if (defined $verdict{value}) {
            my ($sign, $bound) = split(' ', $limit);

            $verdict{more} = figure($more->($result)) . " $of" if $more;
            $verdict{met} = ($sign eq '<=' ? $verdict{value} <= $bound
                             : $verdict{value} >= $bound) ? 1 : 0;
        }

        push(@verdicts, \%verdict);
    }

    return @verdicts;
}


sub line {
    my ($verdict) = @_;
    my $found = defined $verdict->{value}
        ? figure($verdict->{value}) . ($verdict->{unit} ne ''
                                       ? " $verdict->{unit}" : '')
        . ($verdict->{more} ? ", $verdict->{more}" : '')
        : $verdict->{why};

    my $word = !defined $verdict->{met} ? 'not measured'
        : $verdict->{met} ? 'met' : 'not met';

    return sprintf("%-12s  %-6s  %s: %s (%s)\n", $word, $verdict->{section},
                   $verdict->{what}, $found, $verdict->{limit});
}


sub row {
    my ($result, $who) = @_;

    return (grep { $_->{who} eq $who } @{ $result->{rows} })[0] // {};
}


sub value {
    my ($result, $who, $key) = @_;

    return right(row($result, $who), $key);
}


# what is left of a run with wrong answers is no figure

sub right {
    my ($row, $key) = @_;

    return $row->{wrong} ? undef : $row->{$key};
}


sub over {
    my ($one, $other) = @_;

    return undef unless defined $one && defined $other && $other > 0;
    return $one / $other;
}


sub ratio {
    my ($result, $who, $other, $key) = @_;

    return over(value($result, $who, $key), value($result, $other, $key));
}


sub far {
    my ($result, $key) = @_;
    my $of = $result->{figures}{far};

    return $of->{ngx_chat}{$key} - $of->{queued}{$key};
}


sub miss {
    my ($result, $connections, $key, $other) = @_;
    my $of = $result->{figures}{$connections} // return undef;

    return over(map { right($of->{$_}, $key) } 'ngx_chat',
                $other // 'proxy_pass');
}


1;
