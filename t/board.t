#!/usr/bin/perl

# More companions at once than the health page has room for.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

my $PROCESSES = 8;

my $redis = start_redis();
my $provider = start_provider(chunks => 90, gap => 100);
my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
                        http => "chat_fill processes=$PROCESSES;");
my @later;


sub companions {
    return scalar(my @all = $nginx->companion_pids);
}


sub shown {
    my $page = parse_json(get($nginx, '/')->{body});

    return scalar(@{ $page->{companions} });
}


wait_for { shown() == $PROCESSES } 15, 'the first companions';

# each one has something to finish when it is to quit

foreach my $round (1, 2) {
    my @asks = map { { question => "round $round, $_" } } 1 .. 2 * $PROCESSES;

    push(@later, ask_later($nginx, @asks));
    mid_answer($redis, 1, map { $_->{question} } @asks);
    $nginx->reload;
}

wait_for { companions() > 2 * $PROCESSES } 5, 'many companions';
cmp_ok(companions(), '>', 2 * $PROCESSES, 'more than there is room for');

my @wrong = grep { Chat::Check::faults($_) } map { results($_) } @later;

is(scalar(@wrong), 0, 'all are answered');

wait_for { companions() == $PROCESSES && shown() == $PROCESSES } 20,
    'the last ones';
is(companions(), $PROCESSES, 'the last ones stay');
is(shown(), $PROCESSES, 'and are shown');

done();
