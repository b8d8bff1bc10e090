#!/usr/bin/perl

# How long the scripts take does not depend on how many chunks there are: each
# with one of them and with many that make the same text, in Redis' own time.
# What finish does once, to copy the stream, is the exception.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Scripts;

my $MANY = 100_000;

# a busy machine may take so much longer, and short times are no measure

my $SLACK = 20;
my $LEAST = 50;


# a generation of so many chunks, and the number of its last event

sub generation {
    my ($count) = @_;
    my $chunk = 'x' x ($MANY / $count);
    my $n = 1;

    fresh();
    deaf();
    opening();
    claim();

    while ($count) {
        my $more = $count < 16 ? $count : 16;

        append($n, '', '', ($chunk) x $more);
        $n += $more;
        $count -= $more;
    }

    return $n;
}


sub keep {
    $redis->cmd('COPY', $_, "$_.kept", 'REPLACE') foreach @_;
}


sub put_back {
    $redis->cmd('COPY', "$_.kept", $_, 'REPLACE') foreach @_;
}


# microseconds of a script, the shortest of some

sub took {
    my ($reply, $before, $code) = @_;
    my $least;

    foreach (1 .. 5) {
        $before->();
        $redis->cmd('CONFIG', 'RESETSTAT');

        my $got = $code->();

        if ($got !~ $reply) {
            is($got, $reply, 'took: the reply');
            return 0;
        }

        my ($us) = $redis->cmd('INFO', 'commandstats')
            =~ /^cmdstat_evalsha:calls=1,usec=(\d+),/m;

        $least = $us if !defined $least || $us < $least;
    }

    return $least;
}


# each verb on a generation, and those that look at an answer

sub measured {
    my ($count) = @_;
    my $n = generation($count);
    my %us;

    set_own(joined => 1);
    keep($gen, $own, $live);

    my $back = sub { put_back($gen, $own, $live) };
    my $late = sub { put_back($gen, $own, $live); set_own(till => 1) };

    $us{claim} = took(qr/^RUN /, $late, sub { claim(token => $B) });
    $us{append} = took(qr/^OK /, $back, sub { append($n, '', '', 'x') });
    $us{'append fresh'} = took(qr/^OK /, $back,
                               sub { append($n, '', "$A.2", 'x') });
    $us{renewal} = took(qr/^OK /, $back, sub { append($n, 10000, '') });
    $us{'give back'} = took(qr/^OK /, $back, sub { append($n, 0, '') });
    $us{cancel} = took(qr/^OK$/, $back, sub { cancel() });
    $us{check} = took(qr/^LIVE /, $back, sub { check() });
    $us{'check, ended'} = took(qr/^ENDED /, $late, sub { check() });
    $us{fail} = took(qr/^OK$/, $back, sub {
        call('fail', keys_of($id), $id, $A, 'm', 'c')
    });
    $us{join} = took(qr/^JOIN /, $back, sub { no_room(1) });

    # its answer, which another one replaces, or does not since it is older

    my $cut = $MANY / $count;

    put_back($gen, $own);
    is(finish($n + 1, text => 'x' x $MANY, cuts => join(' ', ($cut) x $count)),
       'OK', "finish: an answer of $count chunks");
    keep($S);

    foreach my $age (1, -1) {
        my $small = sub {
            put_back($S);
            $redis->cmd('DEL', $gen, $own);
            opening(0);
            claim();
            append(1, '', '', 'He', 'llo');
            set_own(opened => own('opened') - 60000) if $age < 0;
        };
        my $name = $age < 0 ? 'finish of an older one' : 'finish over it';

        $us{$name} = took(qr/^OK$/, $small, sub { finish(4) });
        is($redis->cmd('XLEN', $S) == 4 ? 1 : -1, $age,
           "$name, $count chunks: S");
    }

    put_back($S);
    $redis->cmd('DEL', $gen, $own);
    $us{hit} = took(qr/^HIT /, sub {}, sub { opening() });
    $us{'open, configured otherwise'} = took(qr/^MISS$/,
        sub { $redis->cmd('DEL', $gen, $own, $live) },
        sub { call('open', keys_of($id, 2), $id, 1, 0, 30000, 'aa' x 16, '') });

    return \%us;
}


$redis->cmd('DEBUG', 'SET-ACTIVE-EXPIRE', 0);

my $one = measured(1);
my $many = measured($MANY);

foreach my $verb (sort keys %$one) {
    my $least = $one->{$verb} > $LEAST ? $one->{$verb} : $LEAST;

    cmp_ok($many->{$verb}, '<', $least * $SLACK, "$verb: as long as for one")
        or diag("$one->{$verb} us for one, $many->{$verb} us for $MANY");
    note("$verb: $one->{$verb} us, $many->{$verb} us");
}

# of the copies made here, none is the scripts'

@eternal = grep { !/\.kept$/ } @eternal;

finished();
