#!/usr/bin/perl

# A worker that holds much of answers leads no more: questions are queued.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;

my $redis = start_redis();
my $provider = start_provider(chunks => 3, gap => 5);
my $nginx = led_nginx(redis => $redis, provider => $provider, workers => 1,
                      http => 'chat_hub_memory 1m;');


sub source_of {
    my ($question) = @_;
    my $answer = ask($nginx, { question => $question });

    stream_ok($answer, $question);

    return $answer->{headers}{'x-source'};
}

# chunks and their events count twice; its end is a second behind them

my $large = 'large {{chunks=80;bytes=10000;gap=20}}';
my $later = ask_later($nginx, { question => $large });

is(source_of('beside one that begins'), 'led', 'with little: led');

wait_for { source_of('beside a large one, ' . rand()) eq 'queued' } 5,
    'a question to be queued';

is(source_of('beside it'), 'queued', 'beside a large one: queued');

my ($answer) = results($later);

stream_ok($answer, 'the large one', restarts => 0);
is($answer->{headers}{'x-source'}, 'led', 'the large one: led');

wait_for { source_of('behind it, ' . rand()) eq 'led' } 5,
    'a question to be led again';

my @warnings = $nginx->error_log =~ /\[warn\] .* chat\ answers\ in\ memory\ have
    \ reached\ "chat_hub_memory",\ with\ (\d+)\ bytes: /gx;

is(scalar(@warnings), 1, 'a warning, once a minute');
cmp_ok($warnings[0], '>=', 1024 * 1024, 'with what is held');

done();
