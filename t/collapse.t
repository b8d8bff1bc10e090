#!/usr/bin/perl

# Many clients, several instances, one question: one call of the provider.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my %provider = (chunks => 10, gap => 60, first => 700, unique => 1);

my $redis = start_redis();
my $provider = start_provider(%provider);
my @nginx = map {
    start_nginx(redis => $redis, provider => $provider, workers => 2,
        lead => 'on', server => 'location = /queued { chat; chat_lead off; }',
        http => 'log_format chat "$uri $chat_cache_status $chat_status";'
                . ' access_log %%DIR%%/chat.log chat;')
} 1 .. 3;


# what Cache-Status says, counted

sub sources {
    my (%count) = (MISS => 0, JOIN => 0, HIT => 0, REFRESH => 0);

    foreach my $q (@_) {
        my $status = $q->{headers}{'cache-status'} // 'none';
        my $source = $status eq 'ngx_chat; fwd=miss' ? 'MISS'
            : $status eq 'ngx_chat; fwd=miss; collapsed' ? 'JOIN'
            : $status eq 'ngx_chat; fwd=request' ? 'REFRESH'
            : $status =~ /^ngx_chat; hit; ttl=\d+$/ ? 'HIT' : $status;

        $count{$source}++;
    }

    return \%count;
}


# those that are not a correct stream of this text

sub wrong {
    my ($streams, %opt) = @_;
    my @wrong = map { join(', ', Chat::Check::faults($_, restarts => 0, %opt)) }
        @$streams;

    return grep { length } @wrong;
}


sub connections {
    my ($redis) = @_;
    my $own = $redis->cmd('CLIENT', 'ID');
    my @lines = split(/\n/, $redis->cmd('CLIENT', 'LIST'));

    return scalar(grep { !/^id=$own / } @lines);
}


# by workers that lead, and through the queue

foreach my $path ('/chat', '/queued') {
    my $by = $path eq '/queued' ? ', queued' : '';

    # 300 clients at once

    my $question = "What do three hundred people want to know$by?"
        . ' {{first=2000}}';
    my @pieces = pieces_of($question, %provider);

    my @all = ask($nginx[0],
                  map { { question => $question, path => $path,
                          nginx => $nginx[$_ % 3] } } 1 .. 300);
    my @wrong = wrong(\@all, chunks => \@pieces);

    is(scalar(@wrong), 0,
       "300 clients$by: all streams are correct") or diag($wrong[0]);
    is(provider_stats($provider, $question), 1,
       "300 clients$by: one call of the provider");

    my $sources = sources(@all);

    is($sources->{MISS}, 1, "300 clients$by: one is the miss");
    is($sources->{JOIN} + $sources->{HIT}, 299,
       "300 clients$by: all others join or hit")
        or diag(explain($sources));
    cmp_ok($sources->{JOIN}, '>=', 100, "300 clients$by: most of them join");
    is(scalar(grep { $_->{body} ne $all[0]{body} } @all), 0,
       "300 clients$by: the same bytes for all");

    my %generations = map { $_->{headers}{'x-chat-generation'} => 1 }
        grep { $_->{headers}{'cache-status'} !~ /hit/ } @all;

    is(scalar(keys %generations), 1, "300 clients$by: all of one generation");

    # two connections for each worker and each filler

    my $count;

    wait_for { ($count = connections($redis)) == 18 } 15;
    is($count, 18, "300 clients$by: two connections of Redis for each process");

    my %logged;

    wait_for {
        %logged = ();
        $logged{$_}++ foreach map {
            read_file($_->dir . '/chat.log') =~ /^\Q$path\E (.*)$/mg
        } @nginx;
        ($logged{'MISS completed'} || 0) + ($logged{'JOIN completed'} || 0)
            + ($logged{'HIT completed'} || 0) == 300;
    } 5;

    is_deeply([ map { $logged{"$_ completed"} || 0 } 'MISS', 'JOIN', 'HIT' ],
              [ @$sources{'MISS', 'JOIN', 'HIT'} ],
              "300 clients$by: the same in the log");

    # a second wave finds the answer

    @all = ask($nginx[0],
               map { { question => $question, path => $path,
                       nginx => $nginx[$_ % 3] } } 1 .. 60);

    is(sources(@all)->{HIT}, 60, "second wave$by: all of them hit");
    @wrong = wrong(\@all, chunks => \@pieces);
    is(scalar(@wrong), 0,
       "second wave$by: the same answer for all") or diag($wrong[0]);

    # each asker of use_cache false has a call of his own

    $question = "What do sixty people want to know afresh$by?";

    @all = ask($nginx[0],
               map { { question => $question, path => $path, use_cache => 0,
                       nginx => $nginx[$_ % 3] } } 1 .. 60);

    is(provider_stats($provider, $question), 60,
       "use_cache false$by: 60 calls");
    is(sources(@all)->{REFRESH}, 60, "use_cache false$by: none joins");
    @wrong = wrong(\@all);
    is(scalar(@wrong), 0, "use_cache false$by: 60 correct streams")
        or diag($wrong[0]);

    my %texts = map { $_->{text} => 1 } @all;

    is(scalar(keys %texts), 60, "use_cache false$by: 60 different answers");
    %generations = map { $_->{headers}{'x-chat-generation'} => 1 } @all;
    is(scalar(keys %generations), 60, "use_cache false$by: 60 generations");

    my $hit = ask($nginx[1], { question => $question, path => $path });

    stream_ok($hit, "use_cache false$by: one answer is cached",
              cache => qr/hit/);
    ok($texts{$hit->{text}},
       "use_cache false$by: the cached one is what somebody got");

    # who comes in the middle gets the first chunk first

    $question = "Who comes late$by? {{chunks=24;gap=120;first=0}}";
    @pieces = pieces_of($question, %provider);

    my $seen = 0;

    @all = ask($nginx[0],
        { question => $question, path => $path,
          on_event => sub { $seen++ if $_[1]{status} eq 'streaming' } },
        (map { my $after = $_;
               { question => $question, path => $path,
                 nginx => $nginx[$after % 3],
                 after => sub { $seen >= $after } } }
         2, 3, 4, 5, 6, 8, 9, 11));

    my $first = shift @all;

    stream_ok($first,
              "joined in the middle$by: the first client gets all",
              chunks => \@pieces, restarts => 0,
              cache => qr/fwd=miss$/);
    @wrong = wrong(\@all, chunks => \@pieces, cache => qr/collapsed$/);
    is(scalar(@wrong), 0, "joined in the middle$by: the others miss nothing")
        or diag($wrong[0]);
    is(scalar(grep { $_->{body} ne $first->{body} } @all), 0,
       "joined in the middle$by: the same bytes for all");
    is(provider_stats($provider, $question), 1,
       "joined in the middle$by: one call of the provider");

    my $late = $all[-1];

    ok($late->{events}[1]{at} < $first->{events}[23]{at},
       "joined in the middle$by: earlier chunks come at once");
    ok($late->{events}[-1]{at} - $first->{events}[-1]{at} < $SLACK,
       "joined in the middle$by: the end comes with the others");

    # many questions at once do not mix

    my @asks = map {
        my $n = $_;
        map { { question => "Question number $n$by?"
                            . ' {{chunks=8;gap=10;first=100}}',
                path => $path, nginx => $nginx[($n + $_) % 3] } } 1 .. 3
    } 1 .. 40;

    @all = ask($nginx[0], @asks);
    @wrong = ();

    foreach my $i (0 .. $#asks) {
        push(@wrong, wrong([ $all[$i] ], chunks =>
                           [ pieces_of($asks[$i]{question}, %provider) ]));
    }

    is(scalar(@wrong), 0,
       "40 questions, three times each$by: correct streams") or diag($wrong[0]);
    is(sources(@all)->{MISS}, 40,
       "40 questions, three times each$by: 40 misses");
}

# with a broker of its own each process has one connection more

my $broker = start_redis();
my $main = start_redis();
my $other = start_nginx(redis => $main, broker => $broker,
                        provider => $provider, workers => 2);

my @all = ask($other, map { { question => "Where does $_ go?" } } 1 .. 20);
my @wrong = wrong(\@all);
is(scalar(@wrong), 0, 'a broker elsewhere: correct streams') or diag($wrong[0]);

wait_for { connections($main) + connections($broker) == 9 } 15;
is(connections($main) + connections($broker), 9,
   'a broker elsewhere: three connections for each process');

done();
