#!/usr/bin/perl

# Faults of a provider that no other test shows in all columns; see
# t/lib/Chat/Matrix.pm.  Others are in retries.t (statuses, connections, what
# is asked again), provider.t (what is cached of it) and bad_streams.t.  A filler
# and a worker that leads ask at the same time.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Matrix;

my %answer = (chunks => 10, bytes => 20);

my $FIRST = 3;
my $IDLE = 2;
my $TOTAL = 4;

my $redis = start_redis();
my $provider = start_provider(%answer);
my $port = free_port();
my $mortal = start_provider(%answer, port => $port, gap => 60);

my $times = "first_token_timeout ${FIRST}s; idle_timeout ${IDLE}s;"
    . " total_timeout ${TOTAL}s;";

my ($blocks, $locations) = ('', '');

foreach my $block ([ 'short', $provider, $times . ' retries 0;' ],
                   [ 'patient', $provider, 'retries 0;' ],
                   [ 'again', $provider, '' ],
                   [ 'mortal', $mortal, '' ],
                   [ 'often', $mortal, 'retries 5;' ])
{
    my ($name, $at, $lines) = @$block;

    $blocks .= "chat_provider $name { url http://127.0.0.1:$at->{port}/v1;"
        . " key sk-test-key; model m; $lines }\n";
    $locations .= "location = /$name { chat $name; }\n";
}

my %opt = (provider => $provider, http => $blocks, server => $locations
    . 'location = /big { chat patient; chat_max_answer 32m; }');
my $nginx = start_nginx(%opt, redis => $redis, lead => 'off');
my $led = led_nginx(%opt, redis => $redis->url(1), workers => 1);

my $world = { redis => $redis, provider => $provider, nginx => $nginx,
              answer => \%answer, led => { nginx => $led, db => 1 } };


# bytes as options have them

sub raw {
    my ($bytes) = @_;

    $bytes =~ s/([^\w ])/sprintf('%%%02X', ord($1))/ge;

    return "fault=raw;raw=$bytes";
}


sub delta {
    my ($text) = @_;

    return 'data: {"choices": [{"index": 0, "delta": {"content": "' . $text
        . '"}, "finish_reason": null}]}' . "\n\n";
}


my $finish = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason":'
    . ' "stop"}]}' . "\n\n";
my $done = "data: [DONE]\n\n";

# ms for all clients to come to it, where it fails at once

my $WAIT = 400;

my %patient = (ask => { path => '/patient' }, again => 0, clients => 2,
               restarts => 0, cached => 0, calls => 1);

# it may be over before the second client is there

my %broken = (%patient, ends => 'provider_broken',
              bound => 0.2 + $WAIT / 1000, led => { calls => [ 1, 2 ] });
my %silent = (%patient, ends => 'provider_timeout', bound => $IDLE,
              ask => { path => '/short' });
my %whole = (%patient, ends => 'completed', cached => 1, again => 1,
             bound => 0.3);

my @stages = (
    [ 'in the header', "wait=$WAIT;fault=head", undef ],
    [ 'within an event', 'at=3;' . raw('data: {"choi'), undef ],
    [ 'between two events', 'at=3;' . raw(": a comment\n\n"), undef ],
    [ 'behind the last chunk', 'at=10;' . raw(": a comment\n\n"), undef ],
    [ 'behind the finish reason', 'at=10;' . raw($finish), 1 ],
    [ 'behind [DONE]', 'at=10;' . raw($finish . $done), 1 ],
);

my @rows;

foreach my $stage (@stages) {
    my ($where, $options, $whole) = @$stage;

    push(@rows,
        { name => "stalls $where", options => "$options;then=stall",
          $whole ? (%whole, ask => { path => '/short' }) : %silent,
          bound => $where =~ /header/ ? $FIRST : $IDLE },
        { name => "resets $where", options => "$options;then=reset",
          $whole ? %whole : %broken },
        { name => "closes $where", options => "$options;then=eof",
          $whole ? %whole : %broken });

    next if $whole;

    # asked again, it is well

    push(@rows,
        { name => "resets $where, once",
          options => "$options;then=reset;fails=1", %whole,
          ask => { path => '/again' }, calls => 2,
          restarts => $where =~ /header/ ? 0 : 1,
          bound => 0.5 + 2 * $WAIT / 1000 });
}

matrix_at_once($world, @rows);

# what it sends

matrix_at_once($world,
    { name => 'garbage in mid-stream', options => 'fault=garbage;at=3',
      %broken },
    { name => 'invalid UTF-8 in a chunk', options => 'fault=badutf8;at=3',
      %broken },
    { name => 'a character split across chunks', %broken,
      options => 'at=3;' . raw(delta("caf\xc3") . delta("\xa9")) },
    { name => 'a surrogate pair split across chunks', %whole, text => undef,
      options => 'at=3;' . raw(delta('\ud83d') . delta('\ude00')) },
    { name => 'malformed JSON, once',
      options => 'fault=badjson;at=3;gap=30;fails=1', %whole,
      ask => { path => '/again' }, restarts => 1, calls => 2,
      bound => 1 },
    { name => 'an error object in mid-stream, once',
      options => 'fault=errobj;at=3;gap=30;fails=1', %whole,
      ask => { path => '/again' }, restarts => 1, calls => 2, bound => 0.5 },
    { name => 'HTML instead of a stream', %broken,
      options => "wait=$WAIT;fault=html" },
);

# slowly

matrix_at_once($world,
    { name => 'one byte at a time', options => 'chunks=3;pace=1',
      %whole, bound => 5 },
);

# large ones, which take this provider a while

matrix_at_once($world,
    { name => 'a chunk of 10 MB', options => 'fault=huge;size=10485760;at=2',
      %broken, bound => 1 },
    { name => 'a chunk of 10 MB, where answers may be as long',
      options => 'fault=huge;size=10485761;at=2', %broken, bound => 1,
      ask => { path => '/big' } },
    { name => 'a chunk of 3 MB', options => 'chunks=1;bytes=3000000', %patient,
      ends => 'answer_too_long', bound => 1 },
    { name => 'a chunk of 3 MB, where answers may be as long',
      options => 'chunks=1;bytes=3000001', %whole, bound => 2, again => 0,
      ask => { path => '/big' } },
);

# what does not end: all it can, and then slowly

matrix_at_once($world,
    { name => 'chunks for ever', %patient, ends => 'answer_too_long',
      options => 'at=1;times=0;' . raw(delta('x' x 1000)), bound => $TOTAL },
    { name => 'a line for ever', %silent,
      options => 'at=1;times=0;' . raw('x' x 4000) },
    { name => 'a line of data for ever', %broken,
      options => 'at=1;times=0;' . raw('data: ' . 'x' x 4000),
      bound => $TOTAL },
    { name => 'lines of one event for ever', %broken,
      options => 'at=1;times=0;' . raw("data: x\n" x 400), bound => $TOTAL },
    { name => 'another, while those go on', %whole, options => 'gap=50',
      bound => 0.5 },
);

matrix_at_once($world,
    { name => 'comments for ever', %silent,
      options => 'at=1;times=0;gap=20;' . raw(": x\n\n") },
    { name => 'comments and no chunk for ever', %silent,
      options => 'at=0;times=0;gap=20;' . raw(": x\n\n"), bound => $FIRST },
    { name => 'reasoning for ever', %silent, least => $TOTAL - 0.5,
      options => 'reasoning=1000;gap=20', bound => $TOTAL },
    { name => 'empty deltas for ever', %silent,
      options => 'at=1;times=0;gap=20;' . raw(delta('')), bound => $TOTAL },
);

# its process

my %mortal = (provider => $mortal, answer => { %answer, gap => 60 },
              ask => { path => '/mortal' }, at => 3, clients => 2);

matrix($world,
    { name => 'killed, and back at once', %mortal, options => 'gap=200',
      fault => sub {
          my ($w, $row) = @_;

          $mortal->stop('KILL');
          %$mortal = %{ start_provider(%answer, port => $port, gap => 60) };
      },
      slow => 1, ask => { path => '/often' },
      ends => 'completed', restarts => 1, cached => 1, calls => 1,
      bound => 4 },

    { name => 'killed for good', %mortal, options => 'gap=200',
      fault => sub { $mortal->stop('KILL') },
      after => sub {
          %$mortal = %{ start_provider(%answer, port => $port, gap => 60) };
      },
      ends => 'provider_refused', cached => 0, calls => 0, bound => 1 },
);

wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'all rows: no call goes on');

done();
