package Bench::Hits;

# The sections "hit" and "hot": cached answers, from Redis and out of shared
# memory, and the same bytes sent by nginx without any logic.

use warnings;
use strict;

use List::Util qw(max sum0);

use Bench::Measure;

my $HOT = 64;

# an answer of 1 MiB
my %LONG = (chunks => 64, bytes => 16384);


sub hit { return run(@_, 'hit', 'redis') }


sub hot {
    my ($site) = @_;

    return run($site, 'hot', 'zone');
}


sub run {
    my ($site, $section, $who) = @_;
    my $connections = $site->size(64, 8);
    my $seconds = $site->size(3, 0.1);

    $site->shape;

    my @zone = $who eq 'zone' ? () : (zone => 'off');
    my ($chat) = $site->new_chat($who, @zone);
    my $question = $site->fresh;
    my $expected = expected($site, $question);
    my $plain = $site->plain(Chat::Nginx::read_file($expected));
    my @targets = ($site->provider_target('chat'),
        raw($site, 'nginx_return', $plain, '/return', $expected),
        raw($site, 'nginx_static', $plain, '/answer', $expected),
        $site->proxy_target('chat', $plain));

    push(@targets, $site->new_lua) if $site->{lua};
    push(@targets, $chat);

    my @ask = ('-q', $question, '-k', $HOT);

    warm($site, $_, @ask) foreach grep { $_->{pids}{redis} } @targets;

    my (%many, %one);

    foreach (1 .. $site->size(3, 1)) {
        foreach my $target (@targets) {
            my $who = $target->{who};

            push(@{ $many{$who} }, checked($site, $target, load($site, $target,
                "$section, $connections at once", @ask, '-c', $connections,
                '-d', $seconds)));
            push(@{ $one{$who} }, checked($site, $target, load($site, $target,
                "$section, one at a time", @ask, '-d', $seconds / 2)));
        }
    }

    my @rows = map { row($_, $many{$_->{who}}, $one{$_->{who}}) } @targets;
    my %turn = turns($site, $section, $who, @zone);

    return { title => "$section: $connections connections, $HOT answers of"
                 . ' 50 chunks of 20 bytes, one worker',
             columns => [ [ who => 'target' ], [ rate => 'hits/s' ],
                          [ p50 => 'p50, ms' ], [ p99 => 'p99, ms' ],
                          [ nginx => 'nginx, us a hit' ],
                          [ redis => 'Redis, us a hit' ],
                          [ client => 'client, us a hit' ],
                          [ first50 => 'one at a time: first byte p50, ms' ],
                          [ first99 => 'p99, ms' ], [ wrong => 'wrong' ] ],
             rows => \@rows,
             plots => [ [ 'CPU of nginx, us a hit', 'nginx' ],
                        [ 'hits a second', 'rate' ] ],
             more => [ { title => 'the longest turn of the event loop while'
                             . ' answers of 1 MiB are sent',
                         columns => [ [ who => 'target' ],
                                      [ cpu => 'CPU, ms' ],
                                      [ wall => 'time, ms' ] ],
                         rows => [ map { { who => $_, %{ $turn{$_} } } }
                                   sort keys %turn ] } ] };
}


# the bytes of an answer, which are what anybody else must send for it

sub expected {
    my ($site, $question) = @_;
    my $name = $site->subdir('expected');
    my $text = $question =~ s/\{i\}/0/r;

    # whatever the provider is to do wrong later

    $site->tell_provider(wrong => -1);

    my $got = $site->{http}->post("http://127.0.0.1:$site->{provider}/chat",
        { content => qq({"question": "$text"}) });

    die "the provider says $got->{status}\n" unless $got->{success};

    Bench::Site::write_file($name, $got->{content});
    $site->tell_provider(%{ $site->{shape} });

    return $name;
}


sub raw {
    my ($site, $who, $nginx, $path, $expected) = @_;
    my $target = $site->target($who, 'raw', $nginx, $path,
                               nginx => [ $nginx->pids ]);

    $target->{expected} = $expected;

    return $target;
}


# until each answer is a hit, and where it is said from where, from there

sub warm {
    my ($site, $target, @ask) = @_;
    my @run = ('warming up', @ask, '-n', $HOT, '-c', 8);

    if ($target->{who} eq 'lua_shm') {
        load($site, $target, @run) foreach 1 .. 2;
        return;
    }

    $site->wait_for("$target->{who} to have all answers", sub {
        my $result = load($site, $target, @run);

        return $result->{wrong} || from($target, $result) == $HOT;
    });
}


sub from {
    my ($target, $result) = @_;

    return $target->{who} eq 'zone' ? $result->{zone}
                                    : $result->{hits} - $result->{zone};
}


# it is no figure of hits if an answer was none

sub checked {
    my ($site, $target, $result) = @_;

    if ($target->{who} =~ /^(?:zone|redis)$/) {
        my $others = $result->{right} - from($target, $result);

        wrong($site, "$target->{who}: $others answers are from elsewhere")
            if $others > 0;
    }

    return $result;
}


sub row {
    my ($target, $many, $one) = @_;
    my $cpu = sub {
        my ($group) = @_;

        return undef unless $target->{pids}{$group};
        return median(map { per($_->{cpu_of}{$group}, $_->{right}) } @$many);
    };

    return { who => $target->{who},
             rate => median(map { $_->{per_second} } @$many),
             p50 => median(map { $_->{total}{p50} } @$many),
             p99 => median(map { $_->{total}{p99} } @$many),
             nginx => $cpu->('nginx'), redis => $cpu->('redis'),
             client => median(map { per($_->{cpu}, $_->{right}) } @$many),
             first50 => median(map { $_->{first_byte}{p50} } @$one),
             first99 => median(map { $_->{first_byte}{p99} } @$one),
             wrong => sum0(map { $_->{wrong} } @$many, @$one) };
}


# How long the worker is busy at most between two looks at its sockets; the
# CPU's time is not that of others on the machine.

sub turns {
    my ($site, $section, $who, @zone) = @_;
    my %found;

    $site->shape(%LONG);

    my $question = $site->fresh;
    my $file = $site->subdir('turns');
    my %env = (env => { LD_PRELOAD => "$site->{programs}/turns.so",
                        CHAT_BENCH_TURNS => $file });

    Bench::Site::write_file($file, "\0" x 2048);
    chmod(0666, $file);

    my $expected = expected($site, $question);
    my $plain = $site->plain(Chat::Nginx::read_file($expected), %env);
    my ($chat, $nginx) = $site->new_chat($who, @zone, %env);
    my @one = ('-q', $question, '-k', 1);

    $site->wait_for('a long answer', sub {
        my $result = load($site, $chat, 'a long answer', @one);

        return $result->{wrong} || from($chat, $result);
    });

    foreach ([ raw($site, 'nginx_static', $plain, '/answer', $expected),
               $plain ], [ $chat, $nginx ])
    {
        my ($target, $server) = @$_;
        my ($worker) = $server->worker_pids;

        clear($file);
        load($site, $target, "$section, long answers", @one, '-n',
             $site->size(200, 10));

        my ($turn) = grep { $_->[0] == $worker }
            map { [ unpack('qQQQ', $_) ] }
            unpack('(a32)*', Chat::Nginx::read_file($file));

        $found{$target->{who}} = { cpu => $turn->[1] / 1e6,
                                   wall => $turn->[2] / 1e6 } if $turn;
    }

    $site->end($_) foreach $plain, $nginx;

    return %found;
}


# in place, since processes have it in their memory

sub clear {
    my ($name) = @_;

    open(my $file, '+<:raw', $name) or die "$name: $!\n";
    print $file "\0" x 2048;
    close($file);
}


1;
