package Bench::Measure;

# Runs of the load generator, and what processes cost meanwhile.

use warnings;
use strict;

use Exporter qw(import);
use JSON::PP ();
use POSIX ();
use List::Util qw(sum0);
use Time::HiRes qw(sleep time);

use Chat::Nginx;

our @EXPORT = qw(load load_start load_end cpu_of pss_of median per wrong);

# the longest a run may take, whatever it asks
my $PATIENCE = 300;


# load($site, $target, 'what is measured', options of the load generator): its
# report, with the CPU seconds of the target's processes as "cpu_of"

sub load {
    my ($site, $target, $what, @options) = @_;
    my $run = load_start($site, $target, $what, @options);

    return load_end($site, $run);
}


sub load_start {
    my ($site, $target, $what, @options) = @_;
    my $shape = $site->{shape};
    my $report = $site->subdir('load');

    my @command = ("$site->{programs}/load", '-m', $target->{mode},
                   '-e', $shape->{chunks}, '-b', $shape->{bytes});

    push(@command, '-L') if $shape->{stamp};
    push(@command, '-x', $target->{expected}) if $target->{expected};

    # the report of each is a file of its own

    my $pid = $site->spawn('sh', '-c', 'out=$1; shift; exec "$@" >"$out"',
        'sh', $report, @command, @options, $target->{url});

    return { target => $target, what => $what, report => $report,
             pid => $pid, before => cpu_of($target) };
}


sub load_end {
    my ($site, $run, %opt) = @_;
    my $end = time() + $PATIENCE;

    while (waitpid($run->{pid}, POSIX::WNOHANG()) == 0) {
        Bench::Site::go_on();
        die "$run->{what}: no end\n" if time() > $end;
        sleep(0.005);
    }

    my $after = cpu_of($run->{target});

    @{ $site->{running} } = grep { $_ ne $run->{pid} } @{ $site->{running} };

    my $text = read_file($run->{report});
    my $result = eval { JSON::PP::decode_json($text) }
        or die "$run->{what}: the load generator failed: $text\n";

    $result->{cpu_of} = { map { $_ => $after->{$_} - $run->{before}{$_} }
                          keys %$after };
    $result->{wrong} = $result->{requests} - $result->{right};

    wrong($site, "$run->{what}, $run->{target}{who}: $result->{wrong} of"
          . " $result->{requests} answers: "
          . join(', ', map { "$_ $result->{faults}{$_}" }
                 sort keys %{ $result->{faults} }))
        if $result->{wrong} && !$opt{faults};

    return $result;
}


# what makes this no measurement

sub wrong {
    my ($site, $text) = @_;

    push(@{ $site->{wrongs} }, $text);
}


# CPU seconds so far, for each group of processes

sub cpu_of {
    my ($target) = @_;

    return { map { my $pids = $target->{pids}{$_};
                   $_ => sum0(map { cpu($_) } @$pids) }
             keys %{ $target->{pids} } };
}


# those that have ended do not count

sub cpu {
    my ($pid) = @_;
    my @tasks = glob("/proc/$pid/task/*");

    # the kernel counts nanoseconds, or else ticks

    if (-e '/proc/self/schedstat') {
        return sum0(map { (split(' ', read_file("$_/schedstat")))[0] // 0 }
                    @tasks) / 1e9;
    }

    return sum0(map { my @stat = split(' ', read_file("$_/stat")
                                            =~ s/^.*\) //sr);
                      ($stat[11] // 0) + ($stat[12] // 0) } @tasks)
           / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}


# KiB of memory, where what processes share counts once

sub pss_of {
    my (@pids) = @_;

    return sum0(map { read_file("/proc/$_/smaps_rollup")
                      =~ /^Pss:\s+(\d+)/m ? $1 : 0 } @pids);
}


sub median {
    my @sorted = sort { $a <=> $b } grep { defined } @_;

    return undef unless @sorted;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}


sub read_file { return Chat::Nginx::read_file(@_) }


# microseconds of CPU for each of so many

sub per {
    my ($seconds, $n) = @_;

    return $n ? $seconds / $n * 1e6 : undef;
}


1;
