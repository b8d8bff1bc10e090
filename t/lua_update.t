#!/usr/bin/perl

# The scripts on an answer that is kept past its TTL: what "finish" writes, what
# "open" takes for fresh, and "update"; see lua_open.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Scripts;

my @stale = (@answer, v => 2, stale => 60000, gen => '56' x 16);


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
unchanged(sub { is(finish(4, stale => 60000), 'OK', 'finish: once more') },
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
like(entries($S), qr/ gen (?:56){16} /, 'finish: a later one stays');


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


# update: a generation that others join

stale(2000);
my $before = $redis->cmd('DUMP', $S);

is(updating(), 'OK', 'update: opened');
is(entries($gen), '0-1 status processing', 'update: the first event');
is(own(qw(state token task till tries n ms base bytes)),
   'q   0 0 1 0 0-1 0', 'update: the fields of own');
is($redis->cmd('GET', $live), $id, 'update: is announced');
is($redis->cmd('GET', $update), "$id 5000", 'update: is known');
near($redis->cmd('PTTL', $_), 90000, "update: expiry of $_")
    foreach $gen, $own, $live, $update;
ok($redis->cmd('DUMP', $S) eq $before, 'update: the answer stays');

unchanged(sub { is(updating(), 'OK', 'update: once more') },
          'update: once more');
unchanged(sub { is(updating($other), 'NONE', 'update: another') },
          'update: another');
is(joining(), "JOIN $id", 'update: joined while it waits');
is(joining(cache => 2), "JOIN $id",
   'update: joined by who knows that there is no answer');
like(joining(cache => 0), qr/^MISS/, 'update: not joined by a private one');


# known as long as the answer is, since nobody else knows how it has ended

stale(2000, stale => 7200_000);
$redis->cmd('PEXPIRE', $S, 3600_000);
updating();
near($redis->cmd('PTTL', $update), 3600_000,
     'update: known as long as the answer is there');

# it runs, for longer than the answer is there

stale(2000);
updating();
claim();
append(1, '', '', 'He');
is(joining(), "JOIN $id", 'update: joined while it runs');
$redis->cmd('DEL', $S);
is(joining(), "JOIN $id", 'update: joined where its answer is gone');
$redis->cmd('PEXPIRE', $live, 100);
append(2, 10000, '', 'llo');
near($redis->cmd('PTTL', $live), 60000, 'update: announced while it runs');
finish(4, stale => 60000);
is($redis->cmd('EXISTS', $live), 0, 'update: not announced once it has ended');

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

# in vain: another after a pause, which becomes longer each time

foreach my $vain ('failed', 'completed, and not cached') {
    my ($old, $new) = ($id, $other);

    stale(2000);
    updating();

    my $times = 0;

    foreach my $pause (5, 10, 20, 40, 60, 60) {
        my $own = (names($old))[1];
        my $name = "update: $vain, " . ++$times . " times";

        claim(id => $old);
        $vain eq 'failed' ? call('fail', keys_of($old), $old, $A, 'm', 'c')
                          : finish(2, id => $old, text => '', ttl => 0);
        unchanged(sub { is(updating($new), 'NONE', "$name: just now") },
                  "$name: just now");

        # it took 3 s

        $redis->cmd('HSET', $own, 'ms', 3000,
                    'opened', now() - 3000 - 1000 * $pause + 2000);
        is(updating($new), 'NONE', "$name: not yet over");
        $redis->cmd('HSET', $own, 'opened', now() - 3000 - 1000 * $pause - 1);
        is(updating($new), 'OK', "$name: over") || last;

        $redis->cmd('DEL', names($old));
        ($old, $new) = ($new, $old);
    }

    # one that is cached begins anew

    $redis->cmd('DEL', names($new));
    is(ends($old, 'Hello'), 'OK', "update: $vain, then a good one");
    $redis->cmd('PEXPIRE', $S, 59000);
    is(updating($new), 'OK', "update: $vain, then a good one: at once");
    is($redis->cmd('GET', $update), "$new 5000",
       "update: $vain, then a good one: forgotten");
}

# how it ended is not known any more, but how often

stale(2000);
$redis->cmd('SET', $update, "$other 20000", 'PX', 50000);
is(updating(), 'OK', 'update: nothing is left of the last one');
is($redis->cmd('GET', $update), "$id 20000", 'update: as patient as before');

stale(2000);
updating();
set_own(due => now() - 1, opened => now() - 30000);
is(updating($other), 'OK', 'update: the last was never taken');

# whoever made it died, and nobody else has it

foreach my $case ([ 'lease', till => sub { now() - 10001 }, 'OK', 'MISS' ],
                  [ 'margin', till => sub { now() - 5000 }, 'NONE', 'JOIN' ],
                  [ 'deadline', deadline => sub { now() - 1 }, 'OK', 'MISS' ],
                  [ 'odd lease', till => sub { 'x' }, 'OK', 'MISS' ])
{
    my ($name, $field, $value, $updating, $joining) = @$case;

    stale(2000);
    updating();
    claim();
    set_own(opened => now() - 30000, $field => $value->());
    is(updating($other), $updating, "update: the last is lost, $name");

    stale(2000);
    updating();
    claim();
    set_own($field => $value->());
    like(joining(), qr/^$joining/, "update: none joins what is lost, $name");
}

stale(2000);
updating();
check('drop', 1);
is($redis->cmd('EXISTS', $own, $live), 0, 'update: erased');
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
is($redis->cmd('GET', $update), "$id 5000",
   'update: of another type, replaced');

foreach my $value ('', 'x', $other, "$other x", "$other  5000", "x 5000",
                   "$other$other 5000", "$other -1")
{
    stale(2000);
    call('open', keys_of($other, 2), $other, 0, 0, 30000, $fp, '');
    $redis->cmd('SET', $update, $value, 'PX', 50000);
    is(updating(), 'OK', "update: '$value' names nothing");
}


# a refresh beside it: the one that was opened later stays, whoever is first

sub refresh {
    my ($name) = @_;

    return call('open', keys_of($name, 2), $name, 3, 0, 30000, $fp, '');
}


# makes an answer of one chunk

sub ends {
    my ($name, $text) = @_;

    claim(id => $name);
    call('append', keys_of($name), $name, $A, 2, '', '', '', $text);

    return finish(3, id => $name, text => $text, cuts => length($text),
                  stale => 60000);
}


sub text_in {
    my %last = @{ $redis->cmd('XREVRANGE', $S, '+', '-', 'COUNT', 1)->[0][1] };

    return $last{chunk};
}

foreach my $first ('update', 'refresh') {
    stale(2000);
    updating($id);
    set_own(opened => own('opened') - 1);
    is(refresh($other), 'MISS', "refresh: behind an update, $first first");
    like(call('open', keys_of('78' x 16, 2), '78' x 16, 1, 0, 30000, $fp, ''),
         qr/^JOIN $id/, "refresh: others join the update, $first first");

    my @ends = ([ $id, 'update' ], [ $other, 'refresh' ]);

    is(ends(@$_), 'OK', "refresh: the $_->[1] ends, $first first")
        foreach $first eq 'update' ? @ends : reverse(@ends);
    is(text_in(), 'refresh', "refresh: its answer stays, $first first");
}

# which fails: the update's stays

stale(2000);
updating($id);
refresh($other);
claim(id => $other);
call('fail', keys_of($other), $other, $A, 'm', 'c');
ends($id, 'update');
is(text_in(), 'update', 'refresh: failed, an update replaces the answer');

# what it will replace needs no update; a failure of it is none of an update

stale(2000);
is(refresh($other), 'MISS', 'refresh: of a stale answer');
is($redis->cmd('EXISTS', $live), 0, 'refresh: is not announced');
is($redis->cmd('GET', $update), "$other 0", 'refresh: is known to updates');
near($redis->cmd('PTTL', $update), 90000, 'refresh: expiry of update');
unchanged(sub { is(updating(), 'NONE', 'refresh: no update while it waits') },
          'refresh: no update while it waits');
claim(id => $other);
unchanged(sub { is(updating(), 'NONE', 'refresh: no update while it runs') },
          'refresh: no update while it runs');
call('fail', keys_of($other), $other, $A, 'm', 'c');
is(updating(), 'OK', 'refresh: failed, an update at once');
is($redis->cmd('GET', $update), "$id 5000", 'refresh: failed, and forgotten');

stale(2000);
refresh($other);
unchanged(sub { is(refresh($other), 'MISS', 'refresh: once more') },
          'refresh: once more');

stale(-2000);
$redis->cmd('PEXPIRE', $S, 3600_000);
refresh($other);
near($redis->cmd('PTTL', $update), 3600_000,
     'refresh: known as long as the answer is there');

stale(2000);
is(call('open', keys_of($other, 2), $other, 3, 1, 30000, $fp, ''), 'FULL',
   'refresh: no room');
is($redis->cmd('EXISTS', $update), 0, 'refresh: no room, nothing known');
is(opening(0), 'MISS', 'a private one: opened');
is($redis->cmd('EXISTS', $update), 0, 'a private one: replaces nothing');
is(updating($other), 'OK', 'a private one: an update beside it');


# a purge while it runs

stale(2000);
updating();
claim();
$redis->cmd('DEL', $S);
unchanged(sub { is(updating($other), 'NONE', 'purge: no second update') },
          'purge: no second update');
is(ends($id, 'update'), 'OK', 'purge: the update ends');
is(text_in(), 'update', 'purge: what was made after it is cached');


stale(2000);
full(1);
unchanged(sub { like(updating(), qr/^OOM/, 'update: out of memory') },
          'update: out of memory');
full(0);

updating();
full(1);
is(ends($id, 'update'), 'OK', 'update: out of memory, the one that runs ends');
full(0);

finished();
