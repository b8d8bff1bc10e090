#!/usr/bin/perl

# The scripts on an answer that is kept past its TTL: what "finish" writes, what
# "open" takes for fresh, and "update"; see lua_open.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Scripts;

my @stale = (@answer, v => 2, stale => 60000);


# an answer that has been past its TTL for so long

sub stale {
    my ($ms, @more) = @_;

    fresh();
    cached(@stale, @more);
    $redis->cmd('PEXPIRE', $S, 60000 - $ms);
}


# what finish leaves, and who takes it for an answer

written();
is(finish(4, stale => 60000), 'OK', 'finish: kept');
like(entries($S), qr/ v 2 fp .* stale 60000$/, 'finish: kept, says so');
near($redis->cmd('PTTL', $S), 960000, 'finish: kept, life of S');
unchanged(sub { is(finish(4, stale => 60000), 'OK', 'finish: kept, once more') },
          'finish: kept, once more');

$redis->cmd('DEL', $gen, $own);
my ($reply, $left) = hit();

like($reply, qr/^HIT status completed .* v 2 /, 'open: a kept one is a hit');
near($left, 960000, 'open: life of a kept one, from which its TTL follows');

written();
is(finish(4, ttl => 5e12, stale => 5e12), 'OK', 'finish: kept for very long');
near($redis->cmd('PTTL', $S), 10e12, 'finish: kept for very long, life of S');

written();
is(finish(4, ttl => 0, stale => 60000), 'OK', 'finish: kept, but not cached');
is($redis->cmd('EXISTS', $S), 0, 'finish: kept, but not cached: nothing');

written();
unchanged(sub { like(finish(4, stale => 'x'), qr/^ERR/, 'finish: bad stale') },
          'finish: bad stale');

# one that was opened later is not replaced, whatever its version

written();
cached(@stale, opened => own('opened'));
set_own(opened => own('opened') - 2000);
is(finish(4), 'OK', 'finish: a later one is there, and kept');
like(entries($S), qr/ gen $other /, 'finish: a later one stays');


# open: fresh or not

stale(-2000);
like((hit())[0], qr/^HIT /, 'open: still fresh');
stale(1);
is(opening(), 'MISS', 'open: past its TTL');

stale(1);
$redis->cmd('PERSIST', $S);
is((hit())[1], -1, 'open: a kept one without a life is fresh');
is(join(' ', splice(@eternal)), "open:$S", 'open: without a life, seen');

foreach my $value (undef, '', 'x', '-1', '1.5', ' 1') {
    my %answer = (@stale, stale => $value);

    fresh();
    cached(map { defined $answer{$_} ? ($_ => $answer{$_}) : () }
           sort keys %answer);
    is(opening(), 'MISS',
       "open: stale '" . ($value // 'missing') . "' is no hit");
}

fresh();
cached(@answer, stale => 60000);
like((hit())[0], qr/^HIT /, 'open: in version 1 the field means nothing');


# update: a generation that nobody joins

stale(2000);
my $before = $redis->cmd('DUMP', $S);

is(updating(), 'OK', 'update: opened');
is(entries($gen), '0-1 status processing', 'update: the first event');
is(own(qw(state token task till tries n ms base bytes)),
   'q   0 0 1 0 0-1 0', 'update: the fields of own');
is($redis->cmd('EXISTS', $live), 0, 'update: is not announced');
is($redis->cmd('GET', $update), $id, 'update: is known');
near($redis->cmd('PTTL', $update), 58000, 'update: as long as the answer is');
near($redis->cmd('PTTL', $_), 90000, "update: expiry of $_")
    foreach $gen, $own;
ok($redis->cmd('DUMP', $S) eq $before, 'update: the answer stays');

unchanged(sub { is(updating(), 'OK', 'update: once more') },
          'update: once more');
unchanged(sub { is(updating($other), 'NONE', 'update: another') },
          'update: another');
is(joining(), 'MISS', 'update: nobody joins it');

foreach my $state (qw(r d)) {
    stale(2000);
    updating();
    claim();
    set_own(state => $state, opened => now() - 1000, ms => 500);
    unchanged(sub { is(updating($other), 'NONE', "update: in state $state") },
              "update: in state $state");
}

# as a filler ends it

stale(2000);
updating();
claim();
append(1, '', '', 'He', 'llo');
is(finish(4, stale => 60000), 'OK', 'update: it ends');
unchanged(sub { is(updating($other), 'NONE', 'update: of a fresh one') },
          'update: of a fresh one');
$redis->cmd('PEXPIRE', $S, 59000);
is(updating($other), 'OK', 'update: after a good one at once');

# in vain: another after a pause

foreach my $ago ([ 4000, 'NONE' ], [ 6000, 'OK' ]) {
    stale(2000);
    updating();
    claim();
    call('fail', keys_of($id), $id, $A, 'm', 'c');
    is(updating($other), 'NONE', "update: failed, $ago->[0]: right after it");
    set_own(opened => now() - $ago->[0] - 3000, ms => 3000);
    is(updating($other), $ago->[1], "update: failed, $ago->[0] ms ago");
}

stale(2000);
updating();
set_own(due => now() - 1, opened => now() - 30000);
is(updating($other), 'OK', 'update: the last was never taken');

stale(2000);
updating();
check('drop', 1);
is($redis->cmd('EXISTS', $own), 0, 'update: erased');
is(updating($other), 'OK', 'update: the last was erased');

# an answer that is replaced already, or is not there

stale(2000);
$redis->cmd('SET', $live, $other, 'PX', 1000);
is(updating(), 'OK', 'update: live names nothing');

stale(2000);
joining();
unchanged(sub { is(updating(), 'NONE', 'update: others follow one') },
          'update: others follow one');

foreach my $case ([ 'absent', sub { fresh() } ],
                  [ 'fresh', sub { stale(-2000) } ],
                  [ 'of version 1', sub { fresh(); cached(@answer) } ],
                  [ 'somebody else\'s', sub { stale(2000, fp => 'x') } ],
                  [ 'of another type', sub { fresh(); wrong($S) } ])
{
    my ($name, $code) = @$case;

    $code->();
    unchanged(sub { is(updating(), 'NONE', "update: an answer $name") },
              "update: an answer $name");
}

stale(2000);
wrong($update, $live, $gen, $own);
is(updating(), 'OK', 'update: keys of other types count as absent');
is($redis->cmd('GET', $update), $id, 'update: of another type, replaced');

stale(2000);
full(1);
unchanged(sub { like(updating(), qr/^OOM/, 'update: out of memory') },
          'update: out of memory');
full(0);

finished();
