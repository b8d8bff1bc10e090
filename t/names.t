#!/usr/bin/perl

# Names of providers that are not found, or found late: nobody else waits.

use warnings;
use strict;

use lib 't/lib';
use Chat::Apart;
use Chat::Test;
use Chat::Life;

use Time::HiRes qw(time);

# A name server that answers nothing is asked for 10 s by the system: what
# stands still stands still for that long, and a busy machine does not.

my $GAP = 1;

my $redis = start_redis();
my $provider = start_provider(chunks => 3, gap => 1);
my $dns = start_dns(port => 53, 'silent.test' => 'mute',
                    'works.test' => '127.0.0.1', 'none.test' => '');

my $number = 0;


sub started {
    my (%opt) = @_;
    my ($blocks, $locations) = ('', '');

    foreach my $name ('silent', 'works', 'none') {
        $blocks .= "chat_provider $name {
            url http://$name.test:$provider->{port}/v1;
            key sk; model test; retries 0; connect_timeout 1s;
        }\n";
        $locations .= "location = /$name { chat $name; }\n";
    }

    return start_nginx(redis => $redis, provider => $provider, workers => 1,
        %opt, http => $blocks . ($opt{http} // ''), server => $locations);
}


sub question {
    my ($options) = @_;

    return 'Number ' . ++$number . '? {{' . ($options // '') . '}}';
}


# so many questions for a provider, once the long stream goes

sub wanted {
    my ($long, $name, $n) = @_;

    return map {
        { path => "/$name", question => question('chunks=3;gap=1'),
          after => sub { $$long && @{ $$long->{chunks} } > 2 } }
    } 1 .. $n;
}


# the longest time without an event

sub gap {
    my ($result) = @_;
    my $gap = 0;
    my $at;

    foreach my $event (@{ $result->{events} }) {
        $gap = $event->{at} - $at if defined $at && $event->{at} - $at > $gap;
        $at = $event->{at};
    }

    return $gap;
}


# a stream goes on while a name is asked for in vain

sub goes_on {
    my ($nginx, $how) = @_;
    my $long;
    my @results = ask($nginx,
        { question => question('chunks=100;gap=40'),
          on_event => sub { $long = $_[0] } },
        wanted(\$long, 'silent', 8), wanted(\$long, 'works', 2));
    my $stream = shift(@results);

    stream_ok($stream, "$how: a stream beside a silent name server");
    cmp_ok(gap($stream), '<', $GAP, "$how: no gap in it");
    stream_ok(pop(@results), "$how: another name is found")
        foreach 1 .. 2;
    stream_ok($_, "$how: no answer from the name server",
              error => 'provider_timeout') foreach @results;
    is(scalar(grep { $_->{ended} - $_->{started} > 1 + 2 * $SLACK } @results),
       0, "$how: after connect_timeout");
}


# the system's way

my $nginx = started();

goes_on($nginx, 'system');

# who leaves, reloads or stops does not wait for the name server either

foreach my $signal ('TERM', 'HUP', 'QUIT') {
    my ($from, $took);

    $nginx = started() unless $nginx->pid;

    my @old = $nginx->companion_pids;
    my $result = ask($nginx, { path => '/silent', question => question(),
        on_event => sub {
            return if $from;
            $from = time();
            $nginx->signal($signal);
        } });

    ok(wait_for(sub { !grep { !gone($_) } @old }, 5 + $SLACK, 'the end'),
       "$signal: it ends");
    $took = time() - $from;
    cmp_ok($took, '<', 5, "$signal: in time");

    if ($signal ne 'HUP') {
        ok($nginx->stop, "$signal: all of it");
    }
}

done();
