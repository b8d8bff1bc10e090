#!/usr/bin/perl

# The scripts on the queue: see lua_open.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Scripts;




sub waiting {
    return (call('waiting', $tasks) =~ /^(\d+) \d+$/)[0];
}


# s for which the first that waits has waited

sub age {
    return (call('waiting', $tasks) =~ / (\d+)$/)[0] / 1000;
}


$redis->cmd('FLUSHALL');

is(waiting(), '0', 'waiting: no stream');
is(age(), 0, 'waiting: no stream, nothing is old');
is(call('push', $tasks, 0, 'h', 'x'), 'FULL', 'push: nothing allowed');
is($redis->cmd('EXISTS', $tasks), 0, 'push: nothing made');
is(call('push', $tasks, 2, 'h', 'x', 'k', "a\0b"), 'OK', 'push: a first');
like(entries($tasks), qr/^\d+-\d+ h x k a\0b$/, 'push: its entry');
is(call('push', $tasks, 2, 'h', 'y'), 'OK', 'push: a second');
is(waiting(), '2', 'waiting: two, without a group');
unchanged(sub { is(call('push', $tasks, 2, 'h', 'z'), 'FULL',
                   'push: a full queue') },
          'push: a full queue');
is(call('idle', $tasks, '', 0, 10), '', 'idle: no group');
is(call('sweep', $tasks, 0), '0', 'sweep: no group');

$redis->cmd('XGROUP', 'CREATE', $tasks, 'fill', '0');
is(waiting(), '2', 'waiting: two, with a group');

my $one = taken('me');

is(waiting(), '1', 'waiting: one is taken');
is(call('push', $tasks, 2, 'h', 'z'), 'OK', 'push: room again');
is(call('push', $tasks, 2, 'h', 'z'), 'FULL', 'push: full again');
unchanged(sub { like(call('push', $tasks, 9, 'h'), qr/^ERR/,
                     'push: half a field') }, 'push: half a field');
unchanged(sub { like(call('push', $tasks, 9), qr/^ERR/, 'push: no field') },
          'push: no field');
unchanged(sub { like(call('push', $tasks, 'x', 'h', 'x'), qr/^ERR/,
                     'push: bad limit') }, 'push: bad limit');

my $two = taken('you');

unchanged(sub {
    is(call('idle', $tasks, '', 0, 10),
       "$one h x k a\0b $two h y", 'idle: all of them');
    is(call('idle', $tasks, '', 0, 1), "$one h x k a\0b", 'idle: one at most');
    is(call('idle', $tasks, 'you', 0, 10), "$two h y", 'idle: of one');
    is(call('idle', $tasks, 'they', 0, 10), '', 'idle: of nobody');
    is(call('idle', $tasks, '', 60000, 10), '', 'idle: not so long');
}, 'idle: a look');
unchanged(sub { like(call('idle', $tasks, '', 'x', 10), qr/^ERR/,
                     'idle: bad time') }, 'idle: bad time');

is(call('done', $tasks, $one), 'OK', 'done: a task');
is($redis->cmd('XPENDING', $tasks, 'fill')->[0], 1, 'done: it is acknowledged');
is($redis->cmd('XLEN', $tasks), 2, 'done: it is deleted');
unchanged(sub { is(call('done', $tasks, $one), 'OK', 'done: once more') },
          'done: once more');
unchanged(sub { like(call('done', $tasks, 'x'), qr/^ERR/, 'done: bad id') },
          'done: bad id');

is(call('give_back', [ $tasks, $tasks ], $two), 'OK', 'give_back: a task');
is($redis->cmd('XPENDING', $tasks, 'fill')->[0], 0,
   'give_back: it is acknowledged');
like(entries($tasks), qr/^\S+ h z \S+ h y$/, 'give_back: queued again');
unchanged(sub { is(call('give_back', [ $tasks, $tasks ], $two), 'GONE',
                   'give_back: once more') }, 'give_back: once more');
unchanged(sub { like(call('give_back', [ $tasks, $tasks ], 'x'), qr/^ERR/,
                     'give_back: bad id') }, 'give_back: bad id');
is(waiting(), '2', 'give_back: it waits');

$one = taken('me');
$two = taken('me');
$redis->cmd('XDEL', $tasks, $one);
is(call('idle', $tasks, '', 0, 10), "$two h y", 'idle: a task without data');
is($redis->cmd('XPENDING', $tasks, 'fill')->[0], 1,
   'idle: is acknowledged');

is(call('sweep', $tasks, 600000), '0', 'sweep: none idle so long');
is(call('sweep', $tasks, 0), '1', 'sweep: one is idle');
is($redis->cmd('XINFO', 'CONSUMERS', $tasks, 'fill')->[0][1], 'me',
   'sweep: who has a task stays');
is(call('sweep', $tasks, 0), '0', 'sweep: once more');

call('done', $tasks, $two);
is($redis->cmd('XLEN', $tasks), 0, 'the queue: it is empty');
is(waiting(), '0', 'waiting: an empty stream');

$redis->cmd('FLUSHALL');

my $now = 1000 * $redis->cmd('TIME')->[0];

$redis->cmd('XADD', $tasks, $now - $_ . '-0', 'h', 'x')
    foreach 90000, 60000, 30000;

is(int(age() / 20), 4, 'waiting: the age of the first');
$redis->cmd('XGROUP', 'CREATE', $tasks, 'fill', '0');
is(int(age() / 20), 4, 'waiting: with a group');

my @old = map { taken('me') } 1 .. 2;

is(int(age() / 20), 1, 'waiting: two are taken, the age of the third');
call('done', $tasks, $old[0]);
is(int(age() / 20), 1, 'waiting: one is done');
call('done', $tasks, $old[1]);
is(int(age() / 20), 1, 'waiting: nothing is pending any more');
taken('me');
is(age(), 0, 'waiting: all are taken');

$redis->cmd('FLUSHALL');
is(call('sweep', $tasks, 0), '0', 'sweep: no stream');
is(call('idle', $tasks, '', 0, 10), '', 'idle: no stream');
is(call('done', $tasks, '1-1'), 'OK', 'done: no stream');
is(call('give_back', [ $tasks, $tasks ], '1-1'), 'GONE',
   'give_back: no stream');
is($redis->cmd('DBSIZE'), 0, 'no stream: none is made');

wrong($tasks);
unchanged(sub {
    like(call(@$_), qr/^WRONGTYPE/, "$_->[0]: another type")
        foreach [ 'push', $tasks, 9, 'h', 'x' ], [ 'waiting', $tasks ],
                [ 'done', $tasks, '1-1' ], [ 'give_back', $tasks, '1-1' ],
                [ 'idle', $tasks, '', 0, 9 ];
    is(call('sweep', $tasks, 0), '0', 'sweep: another type');
}, 'another type: the queue');


# insure, and what the others do with a task of a led generation

$redis->cmd('FLUSHALL');

my ($word, $entry) = split(/ /, call('insure', $led, 'me', 'h', 'x', 'k',
                                     "a\0b"));

is($word, 'OK', 'insure: a first');
is(entries($led), "$entry h x k a\0b", 'insure: its entry');
is($redis->cmd('XPENDING', $led, 'fill', '-', '+', 9)->[0][1], 'me',
   'insure: it is pending at once');
is($redis->cmd('XLEN', $led), 1, 'insure: it is one');
is($redis->cmd('EXISTS', $tasks), 0, 'insure: nothing waits in the queue');
is($redis->cmd('XREADGROUP', 'GROUP', 'fill', 'you', 'STREAMS', $led, '>'),
   undef, 'insure: nobody reads it as a new one');

my ($again) = call('insure', $led, 'me', 'h', 'x', 'k', "a\0b") =~ /^OK (\S+)$/;

isnt($again, $entry, 'insure: once more, another entry');
is($redis->cmd('XPENDING', $led, 'fill')->[0], 2,
   'insure: once more, it is pending too');
is(call('done', $led, $again), 'OK', 'insure: once more, done');
is(entries($led), "$entry h x k a\0b", 'insure: the first stays');

# two of them, with one that somebody added, and nobody took

$redis->cmd('XADD', $led, '*', 'h', 'alien');
($again) = call('insure', $led, 'you', 'h', 'y') =~ /^OK (\S+)$/;
is(call('idle', $led, '', 0, 9), "$entry h x k a\0b $again h y",
   'insure: entries of others are left alone');
is(call('idle', $led, 'you', 0, 9), "$again h y", 'idle: a led one, of one');
unchanged(sub {
    like(call('insure', $led, 'me', 'h'), qr/^ERR/, 'insure: half a field');
    like(call('insure', $led, 'me'), qr/^ERR/, 'insure: no field');
}, 'insure: no fields');

unchanged(sub { is(call('give_back', [ $led, $tasks ], '1-1'), 'GONE',
                   'give_back: a led one that is gone') },
          'give_back: a led one that is gone');
is(call('give_back', [ $led, $tasks ], $entry), 'OK', 'give_back: a led one');
like(entries($tasks), qr/^\S+ h x k a\0b$/, 'give_back: a led one, queued');
like(entries($led), qr/^\S+ h alien \Q$again\E h y$/,
     'give_back: a led one, taken out');
is($redis->cmd('XPENDING', $led, 'fill')->[0], 1,
   'give_back: a led one, acknowledged');
is(waiting(), '1', 'give_back: a led one, it waits');
unchanged(sub { is(call('give_back', [ $led, $tasks ], $entry), 'GONE',
                   'give_back: a led one, once more') },
          'give_back: a led one, once more');

is(call('sweep', $led, 600000), '0', 'sweep: of led ones, none idle so long');
is(call('sweep', $led, 0), '1', 'sweep: of led ones, one');
is($redis->cmd('XINFO', 'CONSUMERS', $led, 'fill')->[0][1], 'you',
   'sweep: of led ones, who has one stays');
is(call('done', $led, $again), 'OK', 'done: a led one');
is($redis->cmd('XPENDING', $led, 'fill')->[0], 0, 'done: a led one, is gone');

wrong($led);
unchanged(sub { like(call('insure', $led, 'me', 'h', 'x'), qr/^WRONGTYPE/,
                     'insure: another type') }, 'insure: another type');

# a stream whose group is lost

$redis->cmd('FLUSHALL');
$redis->cmd('XADD', $led, '1-1', 'h', 'x');
($again) = call('insure', $led, 'me', 'h', 'y') =~ /^OK (\S+)$/;
is(call('idle', $led, 'me', 0, 9), "$again h y", 'insure: the group was lost');


# push: a limit of one in 10 s, and two besides

my $limit = 'chat:limit:1:{chat:tasks:1}:' . 'cd' x 32;
my $tried = 0;


sub limited {
    my (%arg) = @_;

    return call('push', [ $tasks, $limit ], $arg{room} // 9,
                $arg{interval} // 10_000_000, $arg{burst} // 2,
                $arg{id} // sprintf('%032x', ++$tried), 'h', 'x');
}


# the same, without a task

sub counted {
    my (%arg) = @_;

    return call('push', [ $tasks, $limit ], 0, $arg{interval} // 10_000_000,
                $arg{burst} // 2, $arg{id} // sprintf('%032x', ++$tried));
}


# what the limit holds, in us from now

sub ahead {
    my ($seconds, $us) = @{ $redis->cmd('TIME') };

    return ($redis->cmd('GET', $limit) =~ /^(\d+)/)[0]
        - ($seconds * 1_000_000 + $us);
}

$redis->cmd('FLUSHALL');
is(limited(), 'OK', 'limit: the first');
like(entries($tasks), qr/^\d+-\d+ h x$/, 'limit: its task');
near(ahead() / 1000, 10000, 'limit: is counted');
near($redis->cmd('PTTL', $limit), 10000, 'limit: until it is made up for');
is(limited(), 'OK', "limit: $_ at once") foreach 2, 3;
unchanged(sub {
    is(limited(id => sprintf('%032x', $tried)), 'OK', 'limit: sent again');
}, 'limit: sent again');
near(ahead() / 1000, 30000, 'limit: all are counted');
near($redis->cmd('PTTL', $limit), 30000, 'limit: until they are made up for');

unchanged(sub {
    my ($word, $left) = split(/ /, limited());

    is($word, 'LIMIT', 'limit: one too many');
    near($left, 10000, 'limit: when it is not');
    like(limited(interval => 'x'), qr/^ERR/, 'limit: a bad number');
}, 'limit: one too many');

like(limited(room => 0), qr/^LIMIT /, 'limit: before there is no room');
is(call('push', $tasks, 9, 'h', 'x'), 'OK',
   'limit: without one nothing counts');
near(ahead() / 1000, 30000, 'limit: nothing did');

$redis->cmd('FLUSHALL');
is(counted(), 'OK', 'count: the first');
near(ahead() / 1000, 10000, 'count: it is counted');
is($redis->cmd('EXISTS', $tasks), 0, 'count: no task');
unchanged(sub {
    is(counted(id => sprintf('%032x', $tried)), 'OK', 'count: sent again');
}, 'count: sent again');
is(limited(), 'OK', 'count: a task after it');
is(counted(), 'OK', 'count: the last');
near(ahead() / 1000, 30000, 'count: all are counted, with a task or without');
unchanged(sub {
    my ($word, $left) = split(/ /, counted());

    is($word, 'LIMIT', 'count: one too many');
    near($left, 10000, 'count: when it is not');
    like(limited(), qr/^LIMIT /, 'count: a task is one too many');
    like(counted(interval => 'x'), qr/^ERR/, 'count: a bad number');
}, 'count: one too many');
is($redis->cmd('XLEN', $tasks), 1, 'count: one task in all');

$redis->cmd('DEL', $tasks);
$redis->cmd('DEL', $limit);
wrong($tasks);
is(counted(), 'OK', 'count: whatever the queue is');

$redis->cmd('FLUSHALL');
unchanged(sub { is(limited(room => 0), 'FULL', 'limit: no room') },
          'limit: no room');

foreach my $value ('x', '', '-5', 'nan', '1e300', '12', '0x10') {
    $redis->cmd('FLUSHALL');
    $redis->cmd('SET', $limit, $value, 'PX', 5000);
    is(limited(burst => 0), 'OK', "limit: '$value' counts for nothing");
    near(ahead() / 1000, 10000, "limit: '$value' is replaced");
}

$redis->cmd('FLUSHALL');
wrong($limit);
is(limited(), 'OK', 'limit: another type counts for nothing');
near(ahead() / 1000, 10000, 'limit: another type is replaced');

# a clock that went back: as if all that can be counted had been

$redis->cmd('SET', $limit, '9' x 20, 'PX', 5000);
near((split(/ /, limited()))[1], 10000, 'limit: not beyond what it can be');

# very often, and very rarely

$redis->cmd('FLUSHALL');
is(limited(interval => 1, burst => 1_000_000), 'OK',
   "limit: a million a second, $_") foreach 1 .. 3;
$redis->cmd('FLUSHALL');
is(limited(interval => 86_400_000_000, burst => 364), 'OK',
   'limit: one a day');
ok(abs(ahead() / 86_400_000_000 - 1) < 0.001, 'limit: counted exactly');


# out of memory: what began can end, and nothing begins

$redis->cmd('FLUSHALL');
call('push', $tasks, 9, 'h', $_) foreach 1 .. 3;
$redis->cmd('XGROUP', 'CREATE', $tasks, 'fill', '0');
$one = taken('me');
$two = taken('me');
full(1);
unchanged(sub {
    like(call('push', $tasks, 9, 'h', 'x'), qr/^OOM/, 'push: out of memory');
    is(waiting(), '1', 'waiting: out of memory');
    like(call('idle', $tasks, '', 0, 9), qr/^$one h 1 /,
         'idle: out of memory');
    is(call('sweep', $tasks, 0), '0', 'sweep: out of memory');
    like(counted(), qr/^OOM/, 'count: out of memory');
}, 'out of memory: the queue');
is(call('done', $tasks, $one), 'OK', 'done: out of memory');
is(call('give_back', [ $tasks, $tasks ], $two), 'OK',
   'give_back: out of memory');
($entry) = call('insure', $led, 'me', 'h', 'x') =~ /^OK (\S+)$/;
ok($entry, 'insure: out of memory');
is(call('give_back', [ $led, $tasks ], $entry), 'OK',
   'give_back: a led one, out of memory');
full(0);

finished();
