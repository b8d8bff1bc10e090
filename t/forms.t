#!/usr/bin/perl

# The forms that providers give to their streams: no text is lost, and no
# failure is taken for an answer.  Each through the companion, and by the
# worker itself.

use warnings;
use strict;

use lib 't/lib';
use Chat::Canned qw(event delta finish);
use Chat::Test;

my $STOP = event(finish('stop')) . event('[DONE]');


# a case: { name, what Chat::Canned sends, and
#
#     chunks => [...]  those of the answer, or
#     error => ...     the code
#     finish => ...    the finish reason, if it is told
#     cached => 0      an answer that is not }

my @cases = (text());

my $canned = Chat::Canned->new(\@cases, test_dir() . '/calls');
my $redis = start_redis();
my $lines = 'retries 0;';

run('companion', start_nginx(redis => $redis, provider => $canned->port,
                             provider_lines => $lines));
run('direct', start_nginx(redis => 'off', provider => $canned->port,
                          provider_lines => $lines));

done();


sub run {
    my ($path, $nginx) = @_;
    my @all = ask($nginx, map { { question => "Case $_" } } 0 .. $#cases);

    foreach my $i (0 .. $#cases) {
        my $case = $cases[$i];
        my $chunks = $case->{chunks};

        stream_ok($all[$i], "$path: $case->{name}",
            error => $case->{error}, finish => $case->{finish},
            defined $chunks ? (chunks => $chunks) : ());

        next if $path ne 'companion';

        my $cached = defined $case->{error} ? 0 : $case->{cached} // 1;

        is(scalar @{ $redis->entries(stream_key("Case $i")) } ? 1 : 0, $cached,
           "$case->{name}: " . ($cached ? 'cached' : 'not cached'));
    }
}


sub of {
    my ($name, $send, @more) = @_;

    return { name => $name, send => [ref($send) ? @$send : $send], @more };
}


# text in all its types, and what cannot be text

sub text {
    return (
        of('an array of parts, then a string',
           event(delta('[{"type":"text","text":"7"}]'))
           . event(delta('"21"')) . $STOP, chunks => ['7', '21']),
        of('several parts are one chunk',
           event(delta('[{"type":"text","text":"a"},{"type":"thinking",'
               . '"thinking":[{"type":"text","text":"no"}]},'
               . '{"type":"text","text":"b"}]')) . $STOP, chunks => ['ab']),
        of('numbers as written',
           event(delta('6')) . event(delta('-0.50')) . $STOP,
           chunks => ['6', '-0.50']),
        of('an object as content', event(delta('"a"'))
           . event(delta('{"type":"text","text":"b"}')) . $STOP,
           error => 'provider_broken'),
        map({ of("content $_", event(delta('"a"')) . event(delta($_)) . $STOP,
                 error => 'provider_broken') }
            'true', 'NaN', '[["b"]]'),
    );
}
