package Chat::Life;

# What the tests of processes that come and go share: clients and watchers in
# processes of their own, so that the test can kill and reload meanwhile.

use warnings;
use strict;

use Exporter qw(import);
use POSIX ();
use Storable qw(nstore retrieve);
use Time::HiRes qw(sleep time);

use Chat::Test qw(ask stream_key test_dir wait_for provider_stats);

our @EXPORT = qw(ask_later results watch_keys watched live_id written
    mid_answer restarted_at filler another_filler children zombies
    gone stand_still takes_none waiting_for_tasks taken_clients processing_of
    background value_of);

my $number = 0;


# asks in another process: results() has what they got

sub ask_later {
    my ($nginx, @asks) = @_;

    return background(sub {
        my @all = ask($nginx, @asks);

        foreach my $q (@all) {
            delete @$q{grep { ref($q->{$_}) eq 'CODE' || /^(?:nginx|socket)$/ }
                       keys %$q};
        }

        return \@all;
    });
}


sub results {
    my ($later) = @_;

    return @{ value_of($later) };
}


# Looks at the cached answers all the time; $texts is { question => text }.
# watched() ends that: the faults found, and how often it has looked.

sub watch_keys {
    my ($redis, $texts) = @_;
    my $client = $redis->client;
    my @questions = sort keys %$texts;
    my $end = 0;

    return background(sub {
        my (%faults, $rounds);

        local $SIG{USR1} = sub { $end = 1 };

        while (!$end) {
            $client->send_cmd('XRANGE', stream_key($_), '-', '+')
                foreach @questions;

            foreach my $question (@questions) {
                my $fault = _fault($client->reply, $texts->{$question});

                $faults{"$question: $fault"} = 1 if defined $fault;
            }

            $rounds++;
            sleep(0.005);
        }

        return [ $rounds, sort keys %faults ];
    });
}


sub watched {
    my ($watch) = @_;

    kill('USR1', $watch->{pid});

    my ($rounds, @faults) = @{ value_of($watch) };

    return ($rounds, @faults);
}


sub _fault {
    my ($reply, $text) = @_;

    return "odd: $reply" if ref($reply) ne 'ARRAY';
    return undef unless @$reply;

    my %last = @{ $reply->[-1][1] };
    my $sum = '';

    foreach my $entry (@$reply) {
        my %field = @{ $entry->[1] };

        $sum .= $field{chunk} if $field{status} eq 'streaming';
    }

    return 'not completed' if $last{status} ne 'completed';
    return 'another text' if $last{chunk} ne $text || $sum ne $text;
    return undef;
}


# runs it in a process of its own; value_of() waits for what it returns

sub background {
    my ($code) = @_;
    my $file = test_dir() . '/background' . ++$number;
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        my $value = eval { $code->() };

        print STDERR $@ if $@;
        nstore($value, $file) if $value;
        POSIX::_exit($value ? 0 : 1);
    }

    return { pid => $pid, file => $file };
}


sub value_of {
    my ($self) = @_;

    waitpid($self->{pid}, 0);

    return -s $self->{file} ? retrieve($self->{file}) : [];
}


# the id of the generation that others may join, or undef

sub live_id {
    my ($redis, $question) = @_;
    my $keys = $redis->cmd('KEYS', '{' . stream_key($question) . '}:1:live:*');

    return @$keys ? $redis->cmd('GET', $keys->[0]) : undef;
}


# how many entries its generation has

sub written {
    my ($redis, $question) = @_;
    my $id = live_id($redis, $question);

    return defined $id
        ? $redis->cmd('XLEN', '{' . stream_key($question) . "}:1:gen:$id") : 0;
}


# waits until all are in mid-answer

sub mid_answer {
    my ($redis, $entries, @questions) = @_;

    return wait_for {
        foreach (@questions) {
            return 0 if written($redis, $_) < $entries;
        }

        return 1;
    } 15, 'answers to begin';
}


sub processing_of {
    my ($q) = @_;

    return scalar(grep { $_->{status} eq 'processing' } @{ $q->{events} });
}


# when the first chunk after the last "processing" came, if not the first

sub restarted_at {
    my ($q) = @_;
    my $at;
    my $n = 0;

    foreach my $event (@{ $q->{events} }) {
        if ($event->{status} eq 'processing') {
            $n++;
            $at = undef;

        } elsif ($event->{status} eq 'streaming') {
            $at //= $event->{at};
        }
    }

    return $n > 1 ? $at : undef;
}


# processes

sub filler {
    my ($nginx) = @_;
    my @pids;

    wait_for { (@pids = $nginx->filler_pids) == 1 } 40
        or die "not one filler: @pids\n";

    return $pids[0];
}


sub another_filler {
    my ($nginx, $old) = @_;

    return wait_for {
        (grep { $_ != $old } $nginx->filler_pids)[0]
    } 40, 'another filler';
}


# it has ended, whether or not somebody has waited for it

sub gone {
    my ($pid) = @_;

    return Chat::Nginx::read_file("/proc/$pid/stat") !~ /\) [^ZX] /;
}


# stops a process; a signal that was sent may not have arrived

sub stand_still {
    my ($pid) = @_;

    kill('STOP', $pid);

    return wait_for {
        Chat::Nginx::read_file("/proc/$pid/stat") =~ /\) T /
    } 10, "$pid to stop";
}


# connections that wait for a task

sub waiting_for_tasks {
    my ($redis) = @_;

    return map { /^id=(\d+) .*name=ngx_chat:tasks .*cmd=xreadgroup/ ? $1 : () }
        split(/\n/, $redis->cmd('CLIENT', 'LIST'));
}


# Stops a filler so that no task goes to it: one that stands still waits for
# tasks all the same.  Other fillers wait again in a moment.

sub takes_none {
    my ($redis, $pid) = @_;

    wait_for { waiting_for_tasks($redis) } 10, 'the filler to wait';

    return stand_still($pid) && wait_for {
        $redis->cmd('CLIENT', 'KILL', 'ID', $_)
            foreach waiting_for_tasks($redis);
        !waiting_for_tasks($redis);
    } 10, 'nobody to wait for tasks';
}


# how many clients the workers have taken; those in the kernel's queue have no
# inode yet

sub taken_clients {
    my ($nginx) = @_;
    my $at = sprintf('0100007F:%04X', $nginx->port);

    return scalar(grep {
        my (undef, $local, undef, $state, @more) = split(' ');

        $local eq $at && $state ne '0A' && $more[5] != 0;
    } split(/\n/, Chat::Nginx::read_file('/proc/net/tcp')));
}


sub children {
    my ($parent) = @_;
    my @pids;

    opendir(my $proc, '/proc') or return;

    foreach my $pid (grep { /^\d+$/ } readdir($proc)) {
        push(@pids, $pid) if (Chat::Nginx::parent($pid) // 0) == $parent;
    }

    return @pids;
}


# of an instance: children of it, or of its children, that nobody waits for,
# not even a moment later

sub zombies {
    my ($nginx) = @_;
    my @found;

    wait_for {
        my %seen;

        @found = grep {
            !$seen{$_}++ && Chat::Nginx::read_file("/proc/$_/stat") =~ /\) Z /
        } map { children($_) } $nginx->pid, $nginx->pids;

        !@found;
    } 5;

    return @found;
}


1;
