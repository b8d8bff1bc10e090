package Chat::Stale;

# What the tests of chat_cache_stale share: questions whose answer has been past
# its TTL for so long, and what clients get of these and of what replaces them.

use warnings;
use strict;

use Exporter qw(import);
use Test::More;

use Chat::Check qw(stream_ok);
use Chat::Test qw(ask provider_stats stream_key text_of wait_for);

our @EXPORT = qw($STALE stale_setup text calls last_of stale age stale_ok
    replaced_ok);

# the time in the configurations of the tests, s

our $STALE = 60;

my $number = 0;
my ($redis, $provider, $nginx);


# where answers are cached and made, and who asks; answers tell of which call
# they are, and have 5 chunks

sub stale_setup {
    ($redis, $provider, $nginx) = @_;
}


sub text { return "#$_[1] " . text_of($_[0], chunks => 5) }

sub calls { return provider_stats($provider, $_[0]) }

sub last_of { return $redis->entries(stream_key($_[0]))->[-1] || {} }


# a question whose answer is cached, and has been past its TTL for so long

sub stale {
    my ($age, %more) = @_;
    my $ask = { question => 'Question ' . ++$number . '?', %more };

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($nginx, $ask), "$ask->{question} an answer",
              text => text($ask->{question}, 1), cache => qr/fwd=miss$/);
    wait_for { last_of($ask->{question})->{chunk} } 5, 'the cache';
    age($ask, $age);

    return $ask;
}


sub age {
    my ($ask, $age) = @_;

    $redis->cmd('PEXPIRE', stream_key($ask->{question}),
                1000 * ($STALE - $age));
}


sub stale_ok {
    my ($q, $name, $ask, $call) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($q, $name, text => text($ask->{question}, $call), restarts => 0,
              cache => qr/^ngx_chat; hit; ttl=-\d+; detail=stale$/);
}


# asks until it is replaced: the answer to which call, and nobody has waited

sub replaced_ok {
    my ($ask, $name, $call, $seconds) = @_;
    my $q;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    wait_for {
        $q = ask($nginx, $ask);
        $q->{headers}{'cache-status'} !~ /stale/;
    } $seconds // 20, 'the new answer';

    stream_ok($q, "$name: replaced", text => text($ask->{question}, $call),
              cache => qr/^ngx_chat; hit; ttl=(?:899|900)(?:; detail=zone)?$/);
    is(calls($ask->{question}), $call, "$name: by one call");
}


1;
