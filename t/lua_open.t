#!/usr/bin/perl

# The scripts that run in Redis, each against a real server: every reply, the
# same call again after a lost reply, what is refused and that nothing was
# changed then, what is published, and that no key is left without an expiry.
# How they are made, and "open"; the others are in lua_writing.t, lua_led.t and
# lua_queue.t, what is kept past its TTL in lua_update.t, how long they take in
# lua_growth.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Scripts;


# how they are made

is(join(' ', sort keys %text),
   'append cancel check claim done fail finish give_back idle insure '
   . 'open probe push sweep update waiting', 'how they are made: all scripts');
is(join(' ', grep { ref($sha{$_}) } keys %sha), '',
   'how they are made: all compile');

like($text{$_}, qr/^#!lua flags=allow-oom\n/, "$_: may exceed the memory")
    foreach qw(append cancel check claim done fail finish give_back idle
               insure sweep);
like($text{$_}, qr/^#!lua\n/,
     "$_: may not exceed the memory") foreach qw(open push update);
like($text{waiting}, qr/^#!lua flags=no-writes\n/, 'waiting: does not write');

is(compiled(), join('', map { bare($text{$_}) } sort keys %text),
   'lua-to-c: makes the same of them');


# open

fresh();

is(opening(), 'MISS', 'open: a miss');
is(entries($gen), '0-1 status processing', 'open: the first event');
is(own(qw(state token task till tries n ms base bytes)),
   'q   0 0 1 0 0-1 0', 'open: the fields of own');
is($redis->cmd('HGET', $own, 'due') - $redis->cmd('HGET', $own, 'opened'),
   30000, 'open: due after the wait');
is($redis->cmd('HGET', $own, 'deadline') - $redis->cmd('HGET', $own, 'due'),
   10000, 'open: deadline after due');
is(own('wait'), 30000, 'open: wait is kept');
is(own('opened') - own('joined'), 1, 'open: joined earlier than opened');
near(abs($redis->cmd('HGET', $own, 'opened') - now()), 0,
     'open: opened is now');
is($redis->cmd('GET', $live), $id, 'open: live is announced');
near($redis->cmd('PTTL', $_), 90000, "open: expiry of $_")
    foreach $gen, $own, $live;

unchanged(sub { is(opening(), 'MISS', 'open: once more') }, 'open: once more');
unchanged(sub { is(opening(0), 'MISS', 'open: once more, no cache') },
          'open: once more, no cache');

set_own(joined => 1);
is(joining(), "JOIN $id",
   'open: a join');
near(abs($redis->cmd('HGET', $own, 'joined') - now()), 0, 'open: joined now');
is($redis->cmd('EXISTS', $gen2, $own2), 0, 'open: a joiner makes nothing');
near($redis->cmd('PTTL', $own), 90000, 'open: joining keeps the expiry');

set_own(due => now() + 1000);
is(joining(), "JOIN $id",
   'open: join what is not due');

claim();
set_own(due => now() - 5);
is(joining(), "JOIN $id",
   'open: join what runs');

is(joining(cache => 0), 'MISS',
   'open: no cache joins nobody');
is($redis->cmd('GET', $live), $id, 'open: no cache is not announced');

foreach my $gone ([ 'own', $own ], [ 'gen', $gen ]) {
    fresh();
    opening();
    $redis->cmd('DEL', $gone->[1]);
    is(joining(), 'MISS',
       "open: no join without $gone->[0]");
    is($redis->cmd('GET', $live), $other,
       "open: without $gone->[0], live is the new one");
}

foreach my $state (qw(d f x)) {
    fresh();
    opening();
    set_own(state => $state);
    is(joining(), 'MISS',
       "open: no join in state $state");
}

foreach my $due ([ before => sub { now() - 5 } ], [ odd => sub { 'x' } ]) {
    fresh();
    opening();
    set_own(due => $due->[1]->());
    is(joining(), 'MISS',
       "open: no join past due, $due->[0]");
    is($redis->cmd('GET', $live), $other,
       "open: past due, $due->[0], live is the new one");
}

foreach my $name ('short', "$id$id", '') {
    fresh();
    $redis->cmd('SET', $live, $name, 'PX', 1000);
    is(opening(), 'MISS', "open: live holds '$name'");
    is($redis->cmd('GET', $live), $id, "open: '$name' in live is replaced");
}

foreach my $name ('12', '12' x 17, 'AB' x 16, 'ab ' x 10 . 'ab') {
    my @names = names($name);

    fresh();
    opening();
    $redis->cmd('RENAME', $gen, $names[0]);
    $redis->cmd('RENAME', $own, $names[1]);
    $redis->cmd('SET', $live, $name, 'PX', 1000);
    is(opening(), 'MISS', "open: nobody joins '$name'");
    is($redis->cmd('GET', $live), $id,
       "open: '$name', which nobody joins, is replaced");
}

fresh();
wrong($own2);
$redis->cmd('XADD', $gen2, '0-1', 'status', 'processing');
$redis->cmd('PEXPIRE', $gen2, 1000);
$redis->cmd('SET', $live, $other, 'PX', 1000);
is(opening(), 'MISS', 'open: nobody joins an own of another type');

fresh();
wrong($live, $gen, $own);
is(opening(), 'MISS', 'open: keys of other types count as absent');
is(entries($gen), '0-1 status processing', 'open: gen replaced');
is($redis->cmd('GET', $live), $id, 'open: live replaced');
is(own('state'), 'q', 'open: own replaced');

fresh();
$redis->cmd('XADD', $gen, '7-7', 'a', 'b');
is(opening(), 'MISS', 'open: a gen without own');
is(entries($gen), '0-1 status processing', 'open: is replaced');

unchanged(sub {
    like(joining(wait => 'x'), qr/^ERR/,
         'open: bad number');
}, 'open: bad number');


# open: S is known to hold no answer, or there is no room for a task

fresh();
cached(status => 'completed', chunk => 'Hello', cuts => '2 3', v => 1,
       fp => $fp);
is(opening(2), 'MISS', 'open: no look at S');
is($redis->cmd('GET', $live), $id, 'open: no look at S, announced');
is(joining(cache => 2), "JOIN $id",
   'open: no look at S, join');

fresh();
unchanged(sub { is(no_room($_), 'FULL', "open: no room, cache $_")
                    foreach 0 .. 2 }, 'open: no room');
opening();
is(no_room(1), "JOIN $id", 'open: no room, join');
is($redis->cmd('EXISTS', $gen2, $own2), 0, 'open: no room, nothing made');
cached(status => 'completed', chunk => 'Hello', cuts => '2 3', v => 1,
       fp => $fp);
like(no_room(1), qr/^HIT /, 'open: no room, a hit');

# one who joins in the same ms is seen to have joined

fresh();
opening();
set_own(opened => now() + 1000, joined => now() + 999);
is(no_room(1), "JOIN $id", 'open: join at once');
is(own('joined'), own('opened'), 'open: joined not earlier than opened');


# open: hits

fresh();
cached(@answer);
unchanged(sub {
    my ($reply, $left) = hit();

    near($left, 5000, 'open: time left');
    is($reply, join(' ', 'HIT', @answer), 'open: a hit');
}, 'open: a hit');
is(opening(0), 'MISS', 'open: no cache, no hit');

fresh();
cached(@answer);
$redis->cmd('PERSIST', $S);
is((hit())[1], -1, 'open: hit without a life');
is(join(' ', splice(@eternal)), "open:$S",
   'open: a hit without a life is seen');

fresh();
opening();
cached(@answer);
is(opening(), 'MISS', 'open: a repeat is no hit, its task is missing');

foreach my $case (
    [ 'status', 'processing' ], [ 'status', undef ], [ 'v', '2' ], [ 'v', '3' ],
    [ 'v', undef ], [ 'fp', 'x' ], [ 'fp', undef ], [ 'chunk', undef ],
    [ 'chunk', 'Hell' ], [ 'chunk', '' ], [ 'cuts', undef ], [ 'cuts', '' ],
    [ 'cuts', '5 0' ], [ 'cuts', '2  3' ], [ 'cuts', ' 5' ],
    [ 'cuts', '5 ' ], [ 'cuts', '6 -1' ], [ 'cuts', '05' ],
    [ 'cuts', '5.0' ], [ 'cuts', '0x5' ], [ 'cuts', '2,3' ],
    [ 'cuts', '1e400' ], [ 'cuts', "5\n" ])
{
    my ($name, $value) = @$case;
    my %answer = (@answer, $name => $value);

    fresh();
    cached(map { defined $answer{$_} ? ($_ => $answer{$_}) : () }
           sort keys %answer);
    is(opening(), 'MISS', "open: $name '"
       . ($value // 'missing') =~ s/\n/\\n/r . "' is no hit");
}

# the sizes it was written with tell, where there are any

fresh();
cached(@answer, sizes => '5 3');
like((hit())[0], qr/^HIT /, 'open: sizes, a hit');

foreach my $case ([ sizes => '5 4' ], [ sizes => '4 3' ], [ sizes => '5' ],
                  [ sizes => '' ], [ sizes => '5 3 ' ],
                  [ sizes => '5 3', chunk => 'Hell' ],
                  [ sizes => '5 3', cuts => '5' ])
{
    fresh();
    cached(@answer, @$case);
    is(opening(), 'MISS', "open: @$case is no hit");
}

fresh();
cached(chunk => '', cuts => '', map { ($_ => { @answer }->{$_}) }
       qw(status v fp));
is(opening(), 'MISS', 'open: an empty answer is no hit');

fresh();
cached(@answer);
$redis->cmd('XDEL', $S, '3-3');
is(opening(), 'MISS', 'open: an empty stream is no hit');

foreach my $set ([ 'SET', $S, 'x' ], [ 'HSET', $S, 'v', '1' ],
                 [ 'RPUSH', $S, 'x' ], [ 'ZADD', $S, 1, 'x' ])
{
    fresh();
    $redis->cmd(@$set);
    $redis->cmd('PEXPIRE', $S, 5000);
    is(opening(), 'MISS', "open: $set->[0] at S is no hit");
}


# out of memory nothing begins

fresh();
full(1);
unchanged(sub { like(opening(), qr/^OOM/, 'open: out of memory') },
          'open: out of memory');
full(0);


# all of it once more on a server that has lost the scripts

$redis->cmd('FLUSHALL');
$redis->cmd('SCRIPT', 'FLUSH');
like($redis->cmd('EVALSHA', $sha{waiting}, 1, $tasks), qr/^NOSCRIPT/,
     'a flushed server: NOSCRIPT');
is($redis->cmd('EVAL', $text{waiting}, 1, $tasks)->[0], 0,
   'a flushed server: EVAL');
is($redis->cmd('EVALSHA', $sha{waiting}, 1, $tasks)->[0], 0,
   'a flushed server: then EVALSHA');

finished();


sub bare {
    my ($text) = @_;

    return join('', map { "$_\n" } grep { /\S/ && !/^\s*--/ }
                split(/\n/, $text));
}


# what lua-to-c made, read as C would

sub compiled {
    my $out = "$dir/lua.c";

    system("$FindBin::Bin/../scripts/lua-to-c", "$lua/..", $out) == 0
        or return "lua-to-c failed";

    open(my $in, '<:raw', $out) or die "$out: $!\n";

    return join('', map { s/\\n$/\n/; s/\\(["\\?])/$1/gr }
                map { /^    "(.*)"(?:\);)?$/ ? $1 : () } <$in>);
}
