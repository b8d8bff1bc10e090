#!/usr/bin/perl

# The scripts that run in Redis, each against a real server: every reply, the
# same call again after a lost reply, what is refused and that nothing was
# changed then, what is published, and that no key is left without an expiry.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use Test::More;

use Chat::Redis;

my $lua = "$FindBin::Bin/../ngx_chat_module/store/lua";
my $dir = tempdir('ngx_chat_scripts_XXXXXXXX', TMPDIR => 1, CLEANUP => 1);

my $owner = $$;
my $redis = Local::Redis->new(dir => "$dir/redis", port => 0);

END {
    my $status = $?;
    $redis->stop if $redis && $$ == $owner;
    $? = $status;
}

$SIG{ALRM} = sub { die "the test takes too long\n" };
$SIG{INT} = $SIG{TERM} = sub { exit 1 };
alarm(120);

$redis->start;

my $sub = $redis->client;

my %text = map { m!(\w+)\.lua$!; $1 => text($_) } glob("$lua/*.lua");
my %sha = map { $_ => $redis->cmd('SCRIPT', 'LOAD', $text{$_}) } keys %text;

my $h = 'ab' x 32;
my $fp = '0f' x 16;
my $id = '12' x 16;
my $other = '34' x 16;

my $S = "chat:stream:$h";
my $live = "{$S}:1:live:$fp";
my $tasks = 'chat:tasks:1';

my ($gen, $own) = names($id);
my ($gen2, $own2) = names($other);

my $A = ('a' x 32) . '.1';
my $B = ('b' x 32) . '.1';

my @eternal;


# how they are made

is(join(' ', sort keys %text),
   'append cancel check claim done fail finish give_back idle open push sweep '
   . 'waiting', 'all scripts');
is(join(' ', grep { ref($sha{$_}) } keys %sha), '', 'all compile');

like($text{$_}, qr/^#!lua flags=allow-oom\n/, "$_ may exceed the memory")
    foreach qw(append cancel check claim done fail finish give_back idle
               sweep);
like($text{$_}, qr/^#!lua\n/, "$_ may not") foreach qw(open push);
like($text{waiting}, qr/^#!lua flags=no-writes\n/, 'waiting does not write');

is(compiled(), join('', map { bare($text{$_}) } sort keys %text),
   'lua-to-c makes the same of them');


# open

fresh();

is(opening(), 'MISS', 'open');
is(entries($gen), '0-1 status processing', 'open: the first event');
is(own(qw(state token task till tries n ms base bytes)), 'q   0 0 1 0 0-1 0',
   'open: own');
is($redis->cmd('HGET', $own, 'due') - $redis->cmd('HGET', $own, 'opened'),
   30000, 'open: due');
is($redis->cmd('HGET', $own, 'deadline') - $redis->cmd('HGET', $own, 'due'),
   10000, 'open: deadline');
is(own('wait'), 30000, 'open: wait');
is($redis->cmd('HGET', $own, 'joined'), $redis->cmd('HGET', $own, 'opened'),
   'open: joined');
near(abs($redis->cmd('HGET', $own, 'opened') - now()), 0, 'open: opened');
is($redis->cmd('GET', $live), $id, 'open: live');
near($redis->cmd('PTTL', $_), 90000, "open: expiry of $_")
    foreach $gen, $own, $live;

unchanged(sub { is(opening(), 'MISS', 'open again') }, 'open again');
unchanged(sub { is(opening(0), 'MISS', 'open again, no cache') },
          'open again, no cache');

set_own(joined => 1);
is(call('open', keys_of($other, 1), $other, 1, 0, 30000, $fp), "JOIN $id",
   'open: join');
near(abs($redis->cmd('HGET', $own, 'joined') - now()), 0, 'open: joined now');
is($redis->cmd('EXISTS', $gen2, $own2), 0, 'open: a joiner makes nothing');
near($redis->cmd('PTTL', $own), 90000, 'open: joining keeps the expiry');

set_own(due => now() + 1000);
is(call('open', keys_of($other, 1), $other, 1, 0, 30000, $fp), "JOIN $id",
   'open: join what is not due');

claim();
set_own(due => now() - 5);
is(call('open', keys_of($other, 1), $other, 1, 0, 30000, $fp), "JOIN $id",
   'open: join what runs');

is(call('open', keys_of($other, 1), $other, 0, 0, 30000, $fp), 'MISS',
   'open: no cache joins nobody');
is($redis->cmd('GET', $live), $id, 'open: no cache is not announced');

foreach my $gone ([ 'own', $own ], [ 'gen', $gen ]) {
    fresh();
    opening();
    $redis->cmd('DEL', $gone->[1]);
    is(call('open', keys_of($other, 1), $other, 1, 0, 30000, $fp), 'MISS',
       "open: no join without $gone->[0]");
    is($redis->cmd('GET', $live), $other, 'open: live is the new one');
}

foreach my $state (qw(d f x)) {
    fresh();
    opening();
    set_own(state => $state);
    is(call('open', keys_of($other, 1), $other, 1, 0, 30000, $fp), 'MISS',
       "open: no join in state $state");
}

foreach my $due (sub { now() - 5 }, sub { 'x' }) {
    fresh();
    opening();
    set_own(due => $due->());
    is(call('open', keys_of($other, 1), $other, 1, 0, 30000, $fp), 'MISS',
       'open: no join past due');
    is($redis->cmd('GET', $live), $other, 'open: live is the new one');
}

foreach my $name ('short', "$id$id", '') {
    fresh();
    $redis->cmd('SET', $live, $name, 'PX', 1000);
    is(opening(), 'MISS', "open: live holds '$name'");
    is($redis->cmd('GET', $live), $id, 'open: replaced');
}

foreach my $name ('12', '12' x 17, 'AB' x 16, 'ab ' x 10 . 'ab') {
    my @names = names($name);

    fresh();
    opening();
    $redis->cmd('RENAME', $gen, $names[0]);
    $redis->cmd('RENAME', $own, $names[1]);
    $redis->cmd('SET', $live, $name, 'PX', 1000);
    is(opening(), 'MISS', "open: nobody joins '$name'");
    is($redis->cmd('GET', $live), $id, 'open: replaced');
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
    like(call('open', keys_of($other, 1), $other, 1, 0, 'x', $fp), qr/^ERR/,
         'open: bad number');
}, 'open: bad number');


# open: S is known to hold no answer, or there is no room for a task

fresh();
cached(status => 'completed', chunk => 'Hello', cuts => '2 3', v => 1,
       fp => $fp);
is(opening(2), 'MISS', 'open: no look at S');
is($redis->cmd('GET', $live), $id, 'open: no look at S, announced');
is(call('open', keys_of($other, 1), $other, 2, 0, 30000, $fp), "JOIN $id",
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
set_own(opened => now() + 1000, joined => now() + 1000);
is(no_room(1), "JOIN $id", 'open: join at once');
is(own('joined') - own('opened'), 1, 'open: joined later than opened');


# open: a limit of one in 10 s, and two besides

my $limit = 'chat:limit:1:' . 'cd' x 32;


# opens the generation number n

sub limited {
    my ($n, %arg) = @_;

    return call('open', [ @{ keys_of(sprintf('%032x', $n), 1) }, $limit ],
                sprintf('%032x', $n), $arg{cache} // 0, $arg{full} // 0,
                30000, $fp, $arg{interval} // 10_000_000, $arg{burst} // 2);
}


# what the limit holds, in us from now

sub ahead {
    my ($seconds, $us) = @{ $redis->cmd('TIME') };

    return $redis->cmd('GET', $limit) - ($seconds * 1_000_000 + $us);
}

fresh();
is(limited(1), 'MISS', 'limit: the first');
near(ahead() / 1000, 10000, 'limit: is counted');
near($redis->cmd('PTTL', $limit), 10000, 'limit: until it is made up for');
unchanged(sub { is(limited(1), 'MISS', 'limit: again') }, 'limit: again');
is(limited($_), 'MISS', "limit: $_ at once") foreach 2, 3;
near(ahead() / 1000, 30000, 'limit: all are counted');
near($redis->cmd('PTTL', $limit), 30000, 'limit: until they are made up for');

unchanged(sub {
    my ($word, $left) = split(/ /, limited(4));

    is($word, 'LIMIT', 'limit: one too many');
    near($left, 10000, 'limit: when it is not');
    is(call('open', keys_of('56' x 16, 1), '56' x 16, 0, 0, 'x', $fp) =~ /^ERR/,
       1, 'limit: a bad number');
}, 'limit: one too many');

like(limited(4, full => 1), qr/^LIMIT /, 'limit: before there is no room');
is(limited(1), 'MISS', 'limit: a repeat is none too many');
is(opening(0), 'MISS', 'limit: without a limit nothing counts');
near(ahead() / 1000, 30000, 'limit: nothing did');

fresh();
unchanged(sub { is(limited(1, full => 1), 'FULL', 'limit: no room') },
          'limit: no room');
is(limited(1, cache => 1), 'MISS', 'limit: one to join');
unchanged(sub {
    like(limited(1, cache => 1), qr/^MISS$/, 'limit: again, joinable');
}, 'limit: again, joinable');

my $counted = $redis->cmd('GET', $limit);

like(limited(2, cache => 1), qr/^JOIN /, 'limit: to join is free');
is($redis->cmd('GET', $limit), $counted, 'limit: and not counted');

fresh();
cached(status => 'completed', chunk => 'Hello', cuts => '2 3', v => 1,
       fp => $fp);
like(limited(1, cache => 1, burst => 0), qr/^HIT /, 'limit: a hit is free');
is($redis->cmd('EXISTS', $limit), 0, 'limit: and not counted');

foreach my $value ('x', '', '-5', 'nan', '1e300', '12', '0x10') {
    fresh();
    $redis->cmd('SET', $limit, $value, 'PX', 5000);
    is(limited(1, burst => 0), 'MISS', "limit: '$value' counts for nothing");
    near(ahead() / 1000, 10000, 'limit: is replaced');
}

fresh();
wrong($limit);
is(limited(1), 'MISS', 'limit: another type counts for nothing');
near(ahead() / 1000, 10000, 'limit: is replaced');

# a clock that went back: as if all that can be counted had been

$redis->cmd('SET', $limit, '9' x 20, 'PX', 5000);
near((split(/ /, limited(2)))[1], 10000, 'limit: not beyond what it can be');

# very often, and very rarely

fresh();
is(limited($_, interval => 1, burst => 1_000_000), 'MISS',
   'limit: a million a second') foreach 1 .. 3;
fresh();
is(limited(1, interval => 86_400_000_000, burst => 364), 'MISS',
   'limit: one a day');
ok(abs(ahead() / 86_400_000_000 - 1) < 0.001, 'limit: counted exactly');


# open: hits

my @answer = (status => 'completed', chunk => 'Hello', cuts => '2 3', v => 1,
              fp => $fp, gen => $other, opened => 1, provider => 'p',
              model => 'm', finish => 'stop');

fresh();
cached(@answer);
unchanged(sub {
    my ($reply, $left) = hit();

    near($left, 5000, 'open: time left');
    is($reply, join(' ', 'HIT', @answer), 'open: hit');
}, 'open: hit');
is(opening(0), 'MISS', 'open: no cache, no hit');

fresh();
cached(@answer);
$redis->cmd('PERSIST', $S);
is((hit())[1], -1, 'open: hit without a life');
is(join(' ', splice(@eternal)), "open:$S", 'that is seen');

fresh();
opening();
cached(@answer);
is(opening(), 'MISS', 'open: a repeat is no hit, its task is missing');

foreach my $case (
    [ 'status', 'processing' ], [ 'status', undef ], [ 'v', '2' ],
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


# claim

running();

is(own(qw(state token task tries n ms base bytes)), "r $A 5-1 1 1 0 0-1 0",
   'claim: own');
near($redis->cmd('HGET', $own, 'till') - now(), 10000, 'claim: till');
is($redis->cmd('HGET', $own, 'deadline') - $redis->cmd('HGET', $own, 'till'),
   610000, 'claim: deadline');
near($redis->cmd('PTTL', $_), 60000, "claim: expiry of $_")
    foreach $gen, $own, $live;
is(entries($gen), '0-1 status processing', 'claim: no second processing');
published('claim');

unchanged(sub { is(claim(), 'RUN 1 0 1', 'claim again') }, 'claim again');
unchanged(sub { is(claim(token => $B), 'BUSY', 'claim: busy') },
          'claim: busy');
unchanged(sub { is(claim(token => $B, task => '6-1'), 'DUP', 'claim: dup') },
          'claim: dup');
unchanged(sub {
    is(claim(token => $B, predecessor => 'c' x 32), 'BUSY',
       'claim: another predecessor');
    is(claim(token => $B, predecessor => 'a' x 31), 'BUSY',
       'claim: half a predecessor');
    is(claim(token => $B, predecessor => $A), 'BUSY',
       'claim: a job is no predecessor');
}, 'claim: another predecessor');

is(claim(token => $B, predecessor => 'a' x 32), 'RUN 1 0 2',
   'claim: from a dead predecessor');
is(own(qw(token tries)), "$B 2", 'claim: taken');
published('claim: nothing was written, nothing is told');

running();
append(1, '', 0, 'Hello');
heard();
set_own(till => now() - 1);
$redis->cmd('PEXPIRE', $_, 1000) foreach $gen, $own, $live;
like(claim(token => $B, task => '6-1'), qr/^RUN 3 \d+ 2$/,
     'claim: the lease is over, for another task too');
my $ms = own('ms');
is(own(qw(token task tries n base bytes)), "$B 6-1 2 3 $ms-3 0",
   'claim: starts over');
like(entries($gen), qr/ \Q$ms\E-3 status processing$/,
     'claim: a second processing');
published('claim: starts over', "1 2 3 $ms 1\np\n");
near($redis->cmd('PTTL', $_), 60000, "claim: expiry of $_")
    foreach $gen, $own, $live;
is(append(2, '', 0, 'x'), 'LOST', 'claim: the first has lost it');

set_own(till => now() - 1);
unchanged(sub { is(claim(token => $A, alone => 0), 'BUSY',
                   'claim: the last try is for a process alone') },
          'claim: not alone');
like(claim(token => $A), qr/^RUN 3 \d+ 3$/, 'claim: the last try');
published('claim: nothing since the last processing');

set_own(till => now() - 1);
is(claim(token => $B, alone => 0), 'DONE', 'claim: no try left');
is(own('state'), 'f', 'claim: failed');
$ms = own('ms');
like(entries($gen),
     qr/\Q$ms\E-4 status error message gone code interrupted$/,
     'claim: the error');
published('claim: no try left', "1 3 4 $ms 1\ne 4 11\ngoneinterrupted\n");
ended('claim');
unchanged(sub { is(claim(token => $_), 'DONE', 'claim: ended')
                    foreach $A, $B }, 'claim: ended');

fresh();
opening();
set_own(due => now() - 5);
is(claim(), 'DONE', 'claim: past due');
$ms = own('ms');
like(entries($gen), qr/ \Q$ms\E-2 status error message late code queue_tim/,
     'claim: queue_timeout');
published('claim: past due', "1 0 2 $ms 1\ne 4 13\nlatequeue_timeout\n");
ended('claim: past due');

fresh();
opening(0);
$redis->cmd('SET', $live, $other, 'PX', 5000);
is(claim(), 'RUN 1 0 1', 'claim: not announced');
near($redis->cmd('PTTL', $live), 5000, 'claim: the live of another');

fresh();
opening();
set_own(state => 'd');
unchanged(sub { is(claim(), 'DONE', 'claim: done') }, 'claim: done');

fresh();
opening();
is(claim(max => 1, alone => 0), 'RUN 1 0 1', 'claim: a first try needs no '
   . 'process alone');


# append

running();
is(append(1, '', 0, "He\0l", "\xc3\xa9\n"), 'OK 1 0', 'append');
$ms = own('ms');
is(own(qw(n bytes base)), '3 7 0-1', 'append: own');
is(entries($gen), "0-1 status processing $ms-2 status streaming chunk He\0l "
   . "$ms-3 status streaming chunk \xc3\xa9\n", 'append: entries');
published('append', "1 1 2 $ms 2\ns 4\nHe\0l\ns 3\n\xc3\xa9\n\n");

set_own(joined => 1);
is(append(1, '', 0, "He\0l", "\xc3\xa9\n"), 'OK 1 0', 'append again');
near(abs(own('joined') - now()), 0, 'append again: heard');
is(own(qw(n bytes ms)), "3 7 $ms", 'append again: own');
is($redis->cmd('XLEN', $gen), 3, 'append again: nothing more');
published('append again');

foreach my $n0 (0, 1, 2, 4, 5, -1) {
    unchanged(sub {
        is(append($n0 - 1, 10000, 0, 'x', 'y', 'z'), 'GAP',
           "append: gap at $n0");
    }, "append: gap at $n0") if $n0 != 1 && $n0 != 4;
}

foreach my $case ([ LOST => $B, 4 ], [ LOST => 'a' x 32, 4 ],
                  [ LOST => '', 4 ])
{
    unchanged(sub {
        is(call('append', keys_of($id), $id, $case->[1], 4, 10000, 0, 'x'),
           $case->[0], "append: token '$case->[1]'");
    }, 'append: a token not ours');
}

set_own(till => 1);
is(append(3, '', 0, 'x'), 'OK 1 0', 'append: an expired lease still writes');
is(own('till'), 1, 'append: no renewal');

set_own(opened => now() + 5000);
$ms = own('ms');
is(append(4, '', 0, 'y'), 'OK 1 0', 'append: the clock went back');
is(own(qw(ms n)), "$ms 5", 'append: its time does not');

set_own(opened => now() - 4000);
heard();
is(append(5, '', 1, 'z'), 'OK 1 0', 'append: fresh');
$ms = own('ms');
near($ms, 4000, 'append: ms since opened');
is(own(qw(n base bytes)), "7 $ms-6 1", 'append: base and bytes');
published('append: fresh', "1 1 6 $ms 2\np\ns 1\nz\n");
is(append(5, '', 1, 'z'), 'OK 1 0', 'append: fresh again');
is(own(qw(n base bytes)), "7 $ms-6 1", 'append: fresh again, the same');
is(append(7, '', 1), 'OK 1 0', 'append: fresh alone');
is(own(qw(n bytes)), '8 0', 'append: fresh alone');
heard();

set_own(joined => 1);
$redis->cmd('PEXPIRE', $_, 1000) foreach $gen, $own, $live;
is(append(99, 10000, 0), 'OK 1 0', 'renewal');
near($redis->cmd('PTTL', $_), 60000, "renewal: expiry of $_")
    foreach $gen, $own, $live;
near(own('till') - now(), 10000, 'renewal: till');
near(abs(own('joined') - now()), 0, 'renewal: somebody hears');
is($redis->cmd('XLEN', $gen), 8, 'renewal: no entry');
published('renewal');

deaf();
set_own(joined => 1);
is(append(8, '', 0, 'x'), 'OK 0 0', 'append: nobody hears');
is(append(0, 10000, 0), 'OK 0 0', 'renewal: nobody hears');
is(own('joined'), 1, 'append: joined stays');

set_own(stop => 1);
is(append(0, '', 0), 'OK 0 1', 'append: stop');

# given back it waits as it did in the queue at first

heard();
set_own(opened => now() - 100000, due => now() - 70000);
$redis->cmd('PEXPIRE', $_, 5000) foreach $gen, $own, $live;
is(append(0, 0, 0), 'OK 1 1', 'append: given back');
is(own(qw(state token tries)), "q $A 0", 'append: the try does not count');
near(own('due') - now(), 30000, 'append: it waits anew');
near($redis->cmd('PTTL', $_), 90000, "append: given back, expiry of $_")
    foreach $gen, $own, $live;
published('append: given back');
unchanged(sub { is(append(0, 0, 0), 'OK 1 1', 'append: given back again') },
          'append: given back again');
unchanged(sub {
    is(append(8, 10000, 0, 'x'), 'LOST', 'append: what was given back');
    is(append(0, 10000, 0), 'LOST', 'renewal: what was given back');
    is(call('append', keys_of($id), $id, $B, 0, 0, 0), 'LOST',
       'append: given back by another');
}, 'append: what was given back');
is(call('open', keys_of($other, 1), $other, 1, 0, 30000, $fp), "JOIN $id",
   'open: join what was given back');
is(check('queue_full'), 'LIVE 9', 'check: a task that was taken is there');
set_own(till => now() - 11000, deadline => now() - 5);
is(check(), 'LIVE 9', 'check: given back, it has no lease');
like(claim(token => $B, task => '6-1'), qr/^RUN 10 \d+ 1$/,
     'append: others may claim at once');
is(own('state'), 'r', 'claim: what was given back');
near($redis->cmd('PTTL', $_), 60000, "claim: expiry of $_")
    foreach $gen, $own, $live;

written();
append(0, 0, 0);
set_own(due => now() - 5);
is(check(), 'ENDED 4', 'check: nobody took it again');
like(entries($gen), qr/ code queue_timeout$/, 'check: given back, the error');
ended('check: given back');

foreach my $case ([ 1, 0, 'RUN 1 0 2' ], [ 2, 0, 'BUSY' ],
                  [ 2, 1, 'RUN 1 0 3' ], [ 3, 1, 'DONE' ])
{
    my ($tries, $alone, $reply) = @$case;

    running();
    set_own(tries => $tries + 1);
    append(0, 0, 0);
    is(claim(token => $B, alone => $alone), $reply,
       "claim: given back after $tries tries, alone $alone");
}

# each return is counted, and one too many ends it

running();
is(own('returns'), '(nil)', 'append: never given back');

foreach my $n (1 .. 2) {
    append(0, 0, 0);
    append(0, 0, 0);
    is(own(qw(returns tries)), "$n 0", "append: given back, return $n");
    is(claim(returns => 2), 'RUN 1 0 1', "claim: after $n of two returns");
}

append(0, 0, 0);
is(claim(returns => 2), 'DONE', 'claim: after one return too many');
like(entries($gen), qr/ message gone code interrupted$/,
     'claim: after one return too many, the error');
ended('claim: after one return too many');

running();
set_own(till => 1);
is(append(0, 0, 0), 'OK 1 0', 'append: given back late');
is(own(qw(state tries)), 'q 0', 'append: given back late, nobody had it');

running();
$redis->cmd('SET', $live, $other, 'PX', 5000);
is(append(1, 10000, 0, 'x'), 'OK 1 0', 'append: not announced');
near($redis->cmd('PTTL', $live), 5000, 'append: the live of another');

foreach my $state (qw(q d f)) {
    running();
    set_own(state => $state);
    unchanged(sub { is(append(1, 10000, 0, 'x'), 'LOST',
                       "append: in state $state") }, 'append: not running');
}

running();
unchanged(sub {
    like(append(1, 'x', 0, 'x'), qr/^ERR/, 'append: bad lease');
    like(append(1, '', 'x', 'x'), qr/^ERR/, 'append: bad fresh');
    like(call('append', keys_of($id), $id, $A, 'x', '', 0, 'x'), qr/^ERR/,
         'append: bad n0');
}, 'append: bad numbers');

$redis->cmd('XADD', $gen, '99999999999-1', 'a', 'b');
unchanged(sub { like(append(1, 10000, 0, 'x', 'y'), qr/^ERR/,
                     'append: a stream that ends elsewhere') },
          'append: a stream that ends elsewhere');


# finish

my @finish = ('Hello', '2 3', 'stop', $fp, 'openai', 'gpt');

written();
is(finish(4), 'OK', 'finish');
$ms = own('ms');
my $opened = own('opened');
my $first = (split(/ /, entries($gen)))[3];
is(own(qw(state n token)), "d 4 $A", 'finish: own');
my $bare = "$ms-4 status completed finish stop provider openai model gpt";
like(entries($gen), qr/ \Q$bare\E$/, 'finish: without the text in gen');
is(entries($S), "0-1 status processing $first status streaming chunk He "
   . ($first =~ s/2$/3/r) . " status streaming chunk llo $ms-4 "
   . "status completed chunk Hello cuts 2 3 v 1 fp $fp gen $id "
   . "opened $opened provider openai model gpt finish stop usage {}",
   'finish: S');
near($redis->cmd('PTTL', $S), 900000, 'finish: life of S');
published('finish', "1 1 4 $ms 1\nc 4 6 3\nstopopenaigpt\n");
ended('finish');
unchanged(sub { is(finish(4), 'OK', 'finish again') }, 'finish again');
unchanged(sub { is(finish(4, token => $B), 'LOST', 'finish: another') },
          'finish: another');

$redis->cmd('DEL', $gen, $own);
like((hit())[0], qr/^HIT status completed chunk Hello cuts 2 3 v 1 /,
     'finish: what it writes is a hit');

foreach my $what ([ 'a text', 'SET', $S, 'x' ], [ 'a list', 'RPUSH', $S, 1 ],
                  [ 'a stream', 'XADD', $S, '99-99', 'a', 'b' ],
                  [ 'nothing', 'DEL', $S ])
{
    my ($name, @cmd) = @$what;

    written();
    $redis->cmd(@cmd);
    $redis->cmd('PEXPIRE', $S, 1000);
    is(finish(4, usage => ''), 'OK', "finish: $name at S");
    is($redis->cmd('XLEN', $S), 4, 'finish: replaced');
    like(entries($S), qr/ finish stop$/, 'finish: no usage');
    near($redis->cmd('PTTL', $S), 900000, 'finish: its life');
}

foreach my $case ([ 'earlier', -1, 1 ], [ 'at the same time', 0, 1 ],
                  [ 'later', 1, 0 ])
{
    my ($name, $offset, $replaced) = @$case;

    written();
    set_own(opened => now() - 1000);
    cached(@answer, opened => own('opened') + $offset);

    my $before = $redis->cmd('DUMP', $S);

    is(finish(4), 'OK', "finish: S was opened $name");
    is($redis->cmd('DUMP', $S) eq $before ? 0 : 1, $replaced,
       "finish: S opened $name is" . ($replaced ? '' : ' not') . ' replaced');
    is(own('state'), 'd', "finish: S opened $name, ended");
    ended('finish');
}

foreach my $case ([ 'in the future', opened => now() + 100000 ],
                  [ 'at no time', opened => 'x' ],
                  [ 'later, but broken', cuts => '9', opened => now() ],
                  [ 'later, but of another layout', v => 2,
                    opened => now() ])
{
    my ($name, @fields) = @$case;

    written();
    set_own(opened => now() - 1000);
    cached(@answer, @fields);
    is(finish(4), 'OK', "finish: S opened $name");
    like(entries($S), qr/ gen $id /, 'finish: replaced');
}

written();
cached(@answer);
my $before = $redis->cmd('DUMP', $S);
is(finish(4, ttl => 0), 'OK', 'finish: not cached');
ok($redis->cmd('DUMP', $S) eq $before, 'finish: S stays');
ended('finish, not cached');

written();
is(append(3, '', 1, 'Hel', 'lo'), 'OK 1 0', 'finish: a second processing');
my $base = own('base');
is(finish(7, cuts => '3 2'), 'OK', 'finish: started over');
like(entries($S), qr/^\Q$base\E status processing \S+ status streaming chunk /,
     'finish: S begins at base');
is($redis->cmd('XLEN', $S), 4, 'finish: and has nothing before it');

foreach my $case ([ 'n0 too low', 3 ], [ 'n0 too high', 5 ],
                  [ 'a text too short', 4, text => 'Hell' ],
                  [ 'a text too long', 4, text => 'Hello!' ])
{
    my ($name, @args) = @$case;

    written();
    unchanged(sub { is(finish(@args), 'GAP', "finish: $name") },
              "finish: $name");
}

foreach my $case ([ 'an entry less', 'XDEL', '' ],
                  [ 'an entry more', 'XADD', '99999999999-1', 'a', 'b' ],
                  [ 'a later last id', 'XSETID', '99999999999-1' ])
{
    my ($name, $cmd, $entry, @fields) = @$case;

    written();
    $entry ||= ($redis->cmd('XRANGE', $gen, '-', '+'))->[1][0];
    isnt(ref($redis->cmd($cmd, $gen, $entry, @fields)),
         'Chat::Redis::Error', $name);
    unchanged(sub { is(finish(4), 'GAP', "finish: $name") },
              "finish: $name");
}

foreach my $state (qw(q f d)) {
    written();
    set_own(state => $state, $state eq 'd' ? (token => $B) : ());
    unchanged(sub { is(finish(4), 'LOST', "finish: state $state") },
              'finish: not running');
}

written();
unchanged(sub { is(finish(4, token => $B), 'LOST', 'finish: no token') },
          'finish: no token');
unchanged(sub { like(finish(4, ttl => 'x'), qr/^ERR/, 'finish: bad ttl') },
          'finish: bad ttl');


# fail

written();
is(call('fail', keys_of($id), $id, $A, 'It broke', 'provider_broken'), 'OK',
   'fail');
$ms = own('ms');
is(own(qw(state n)), 'f 4', 'fail: own');
like(entries($gen),
     qr/\Q$ms\E-4 status error message It broke code provider_broken$/,
     'fail: entry');
published('fail', "1 1 4 $ms 1\ne 8 15\nIt brokeprovider_broken\n");
ended('fail');
is($redis->cmd('EXISTS', $S), 0, 'fail: nothing cached');
unchanged(sub {
    is(call('fail', keys_of($id), $id, $A, 'It broke', 'provider_broken'),
       'LOST', 'fail again');
}, 'fail again');

written();
unchanged(sub { is(call('fail', keys_of($id), $id, $B, 'm', 'c'), 'LOST',
                   'fail: no token') }, 'fail: no token');

foreach my $state (qw(q d)) {
    set_own(state => $state);
    unchanged(sub { is(call('fail', keys_of($id), $id, $A, 'm', 'c'), 'LOST',
                       "fail: state $state") }, "fail: state $state");
}


# check

fresh();
opening();
heard();
set_own(joined => 1);
is(check(), 'LIVE 1', 'check: queued');
near(abs(own('joined') - now()), 0, 'check: joined');
near($redis->cmd('PTTL', $own), 90000, 'check: the expiry stays');

foreach my $case ([ 'dropped', 0, 'queue_full', 'full' ],
                  [ 'past due', 5, 'queue_timeout', 'late', '' ],
                  [ 'past due, dropped', 5, 'queue_timeout', 'late' ])
{
    my ($name, $past, $code, $message, $drop) = @$case;

    fresh();
    opening();
    set_own(due => now() - $past) if $past;
    is(check($drop // 'queue_full'), 'ENDED 2', "check: $name");
    $ms = own('ms');
    is(own('state'), 'f', "check: $name, state");
    published("check: $name", "1 0 2 $ms 1\ne 4 " . length($code)
              . "\n$message$code\n");
    ended("check: $name");
    unchanged(sub { is(check('queue_full'), 'ENDED 2', "check: $name again") },
              "check: $name again");
}

# what nobody has joined leaves no trace

fresh();
opening();
is(check('queue_full', 1), 'ENDED 1', 'check: erased');
is($redis->cmd('DBSIZE'), 0, 'check: erased, nothing is left');
published('check: erased');
is(check('queue_full', 1), 'GONE', 'check: erased again');

opening();
$redis->cmd('SET', $live, $other, 'PX', 5000);
is(check('queue_full', 1), 'ENDED 1', 'check: erased, another announced');
is(join(' ', @{ $redis->cmd('KEYS', '*') }), $live,
   'check: that one stays');

fresh();
opening();
set_own(opened => now() + 1000, joined => now() + 1000);
no_room(1);
is(check('queue_full', 1), 'ENDED 2', 'check: not erased, joined');
like(entries($gen), qr/ code queue_full$/, 'check: not erased, the error');
ended('check: not erased, joined');

written();
is(check('queue_full', 1), 'LIVE 3', 'check: what runs is not erased');

written();
is(check(), 'LIVE 3', 'check: running');
is(check('queue_full'), 'LIVE 3', 'check: what runs is not dropped');
set_own(till => now() - 9000);
is(check(), 'LIVE 3', 'check: within the margin');
set_own(due => 1);
is(check(), 'LIVE 3', 'check: due counts in the queue alone');
published('check: running');

foreach my $case ([ 'past till and margin', till => now() - 11000 ],
                  [ 'past its deadline', deadline => now() - 5 ])
{
    my ($name, @set) = @$case;

    written();
    set_own(@set);
    is(check(), 'ENDED 4', "check: $name");
    $ms = own('ms');
    published("check: $name", "1 1 4 $ms 1\ne 4 11\ngoneinterrupted\n");
    ended("check: $name");
    is(append(3, '', 0, 'x'), 'LOST', 'check: the writer has lost it');
}

fresh();
is(check(), 'GONE', 'check: gone');
$redis->cmd('SET', $live, $other, 'PX', 5000);
unchanged(sub { is(check(), 'GONE', 'check: gone') },
          'check: the live of another');
$redis->cmd('SET', $live, $id, 'PX', 5000);
is(check(), 'GONE', 'check: gone, but announced');
is($redis->cmd('EXISTS', $live), 0, 'check: no longer');

written();
$redis->cmd('SET', $live, $other, 'PX', 5000);
set_own(till => 1);
is(check(), 'ENDED 4', 'check: ended');
is($redis->cmd('GET', $live), $other, 'check: the live of another stays');


# cancel

written();
set_own(joined => 1);
unchanged(sub { is(cancel(), 'HEARD', 'cancel: somebody listens') },
          'cancel: somebody listens');
deaf();
set_own(joined => now() - 4000);
unchanged(sub { is(cancel(), 'HEARD', 'cancel: within the grace') },
          'cancel: within the grace');
unchanged(sub { is(cancel($B), 'LOST', 'cancel: no token') },
          'cancel: no token');
set_own(joined => now() - 5005);
is(cancel(), 'OK', 'cancel');
like(entries($gen), qr/-4 status error message nobody code cancelled$/,
     'cancel: entry');
ended('cancel');
unchanged(sub { is(cancel(), 'LOST', 'cancel again') }, 'cancel again');

foreach my $state (qw(q d)) {
    written();
    deaf();
    set_own(state => $state, joined => 1);
    unchanged(sub { is(cancel(), 'LOST', "cancel: state $state") },
              "cancel: state $state");
}


# keys that are gone, of another type, or torn

my %verb = (
    claim  => [ 'GONE', sub { claim(token => $B) } ],
    append => [ 'LOST', sub { append(3, 10000, 0, 'x') } ],
    renew  => [ 'LOST', sub { append(3, 10000, 0) } ],
    finish => [ 'LOST', sub { finish(4) } ],
    fail   => [ 'LOST', sub { call('fail', keys_of($id), $id, $A, 'm',
                                   'c') } ],
    cancel => [ 'LOST', sub { cancel() } ],
    check  => [ 'GONE', sub { check() } ]);

foreach my $verb (sort keys %verb) {
    my ($reply, $code) = @{ $verb{$verb} };

    foreach my $case ([ 'no gen', sub { $redis->cmd('DEL', $gen) } ],
                      [ 'no own', sub { $redis->cmd('DEL', $own) } ],
                      [ 'gen of another type', sub { wrong($gen) } ],
                      [ 'own of another type', sub { wrong($own) } ],
                      map { my $field = $_;
                            [ "own without $field",
                              sub { $redis->cmd('HDEL', $own, $field) } ] }
                      qw(state token task base till tries n ms bytes joined
                         opened due deadline wait))
    {
        my ($name, $change) = @$case;

        written();
        $change->();
        $redis->cmd('SET', $live, $other, 'PX', 50000);
        heard();
        unchanged(sub { is($code->(), $reply, "$verb: $name") },
                  "$verb: $name");
        published("$verb: $name");
    }

    written();
    set_own(till => 1, joined => 1);
    wrong($live);
    deaf() if $verb eq 'cancel';
    like($code->(), qr/^(?:RUN|OK|ENDED)\b/, "$verb: live of another type");
    is($redis->cmd('TYPE', $live), 'list', "$verb: is left alone");
}

written();
$redis->cmd('DEL', $gen);
set_own(till => 1);
is(check(), 'GONE', 'check: the stream is gone');
is($redis->cmd('EXISTS', $live), 0, 'check: nobody joins it');
is($redis->cmd('EXISTS', $gen), 0, 'check: it is not made again');


# the queue

$redis->cmd('FLUSHALL');

is(call('waiting', $tasks), '0', 'waiting: no stream');
is(call('push', $tasks, 0, 'h', 'x'), 'FULL', 'push: nothing allowed');
is($redis->cmd('EXISTS', $tasks), 0, 'push: nothing made');
is(call('push', $tasks, 2, 'h', 'x', 'k', "a\0b"), 'OK', 'push');
like(entries($tasks), qr/^\d+-\d+ h x k a\0b$/, 'push: entry');
is(call('push', $tasks, 2, 'h', 'y'), 'OK', 'push: a second');
is(call('waiting', $tasks), '2', 'waiting: two, without a group');
unchanged(sub { is(call('push', $tasks, 2, 'h', 'z'), 'FULL', 'push: full') },
          'push: full');
is(call('idle', $tasks, '', 0, 10), '', 'idle: no group');
is(call('sweep', $tasks, 0), '0', 'sweep: no group');

$redis->cmd('XGROUP', 'CREATE', $tasks, 'fill', '0');
is(call('waiting', $tasks), '2', 'waiting: two, with a group');

my $one = taken('me');

is(call('waiting', $tasks), '1', 'waiting: one is taken');
is(call('push', $tasks, 2, 'h', 'z'), 'OK', 'push: room again');
is(call('push', $tasks, 2, 'h', 'z'), 'FULL', 'push: full again');
unchanged(sub { like(call('push', $tasks, 9, 'h'), qr/^ERR/,
                     'push: half a field') }, 'push: half a field');
unchanged(sub { like(call('push', $tasks, 'x', 'h', 'x'), qr/^ERR/,
                     'push: bad limit') }, 'push: bad limit');

my $two = taken('you');

unchanged(sub {
    is(call('idle', $tasks, '', 0, 10),
       "$one h x k a\0b $two h y", 'idle: all');
    is(call('idle', $tasks, '', 0, 1), "$one h x k a\0b", 'idle: one');
    is(call('idle', $tasks, 'you', 0, 10), "$two h y", 'idle: of one');
    is(call('idle', $tasks, 'they', 0, 10), '', 'idle: of nobody');
    is(call('idle', $tasks, '', 60000, 10), '', 'idle: not so long');
}, 'idle');
unchanged(sub { like(call('idle', $tasks, '', 'x', 10), qr/^ERR/,
                     'idle: bad time') }, 'idle: bad time');

is(call('done', $tasks, $one), 'OK', 'done');
is($redis->cmd('XPENDING', $tasks, 'fill')->[0], 1, 'done: acknowledged');
is($redis->cmd('XLEN', $tasks), 2, 'done: deleted');
unchanged(sub { is(call('done', $tasks, $one), 'OK', 'done again') },
          'done again');
unchanged(sub { like(call('done', $tasks, 'x'), qr/^ERR/, 'done: bad id') },
          'done: bad id');

is(call('give_back', $tasks, $two), 'OK', 'give_back');
is($redis->cmd('XPENDING', $tasks, 'fill')->[0], 0,
   'give_back: acknowledged');
like(entries($tasks), qr/^\S+ h z \S+ h y$/, 'give_back: queued again');
unchanged(sub { is(call('give_back', $tasks, $two), 'GONE',
                   'give_back again') }, 'give_back again');
unchanged(sub { like(call('give_back', $tasks, 'x'), qr/^ERR/,
                     'give_back: bad id') }, 'give_back: bad id');
is(call('waiting', $tasks), '2', 'give_back: waits');

$one = taken('me');
$two = taken('me');
$redis->cmd('XDEL', $tasks, $one);
is(call('idle', $tasks, '', 0, 10), "$two h y", 'idle: a task without data');
is($redis->cmd('XPENDING', $tasks, 'fill')->[0], 1,
   'idle: is acknowledged');

is(call('sweep', $tasks, 600000), '0', 'sweep: none idle so long');
is(call('sweep', $tasks, 0), '1', 'sweep: one');
is($redis->cmd('XINFO', 'CONSUMERS', $tasks, 'fill')->[0][1], 'me',
   'sweep: who has a task stays');
is(call('sweep', $tasks, 0), '0', 'sweep again');

call('done', $tasks, $two);
is($redis->cmd('XLEN', $tasks), 0, 'the queue is empty');
is(call('waiting', $tasks), '0', 'waiting: an empty stream');

$redis->cmd('FLUSHALL');
is(call('sweep', $tasks, 0), '0', 'sweep: no stream');
is(call('idle', $tasks, '', 0, 10), '', 'idle: no stream');
is(call('done', $tasks, '1-1'), 'OK', 'done: no stream');
is(call('give_back', $tasks, '1-1'), 'GONE', 'give_back: no stream');
is($redis->cmd('DBSIZE'), 0, 'none is made');

wrong($tasks);
unchanged(sub {
    like(call(@$_), qr/^WRONGTYPE/, "$_->[0]: another type")
        foreach [ 'push', $tasks, 9, 'h', 'x' ], [ 'waiting', $tasks ],
                [ 'done', $tasks, '1-1' ], [ 'give_back', $tasks, '1-1' ],
                [ 'idle', $tasks, '', 0, 9 ];
    is(call('sweep', $tasks, 0), '0', 'sweep: another type');
}, 'a queue of another type');


# out of memory: what began can end, and nothing begins

foreach my $verb (sort keys %verb) {
    written();
    set_own(till => now() + 1, joined => 1) if $verb ne 'claim';
    set_own(till => 1) if $verb eq 'claim';
    deaf() if $verb eq 'cancel';
    full(1);
    like($verb{$verb}[1]->(), qr/^(?:RUN|OK|LIVE)\b/, "$verb: out of memory");
    full(0);
}

$redis->cmd('FLUSHALL');
call('push', $tasks, 9, 'h', $_) foreach 1 .. 3;
$redis->cmd('XGROUP', 'CREATE', $tasks, 'fill', '0');
$one = taken('me');
$two = taken('me');
full(1);
unchanged(sub {
    like(opening(), qr/^OOM/, 'open: out of memory');
    like(call('push', $tasks, 9, 'h', 'x'), qr/^OOM/, 'push: out of memory');
    is(call('waiting', $tasks), '1', 'waiting: out of memory');
    like(call('idle', $tasks, '', 0, 9), qr/^$one h 1 /,
         'idle: out of memory');
    is(call('sweep', $tasks, 0), '0', 'sweep: out of memory');
}, 'out of memory');
is(call('done', $tasks, $one), 'OK', 'done: out of memory');
is(call('give_back', $tasks, $two), 'OK', 'give_back: out of memory');
full(0);


# all of it once more on a server that has lost the scripts

$redis->cmd('SCRIPT', 'FLUSH');
like($redis->cmd('EVALSHA', $sha{waiting}, 1, $tasks), qr/^NOSCRIPT/,
     'flushed');
is($redis->cmd('EVAL', $text{waiting}, 1, $tasks)->[0], 2, 'EVAL');
is($redis->cmd('EVALSHA', $sha{waiting}, 1, $tasks)->[0], 2, 'then EVALSHA');

is(join(' ', @eternal), '', 'no key was ever without an expiry');

done_testing();


# the text as Redis gets it, with what it includes

sub text {
    my ($file) = @_;

    local $/;
    open(my $in, '<:raw', $file) or die "$file: $!\n";

    my $text = <$in>;

    $text =~ s/^--include (\S+)\n/text("$lua\/$1")/gme;

    return $text;
}


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


sub names {
    my ($id) = @_;

    return ("{$S}:1:gen:$id", "{$S}:1:gen:$id:own");
}


# the keys as the scripts take them, with S or without

sub keys_of {
    my ($id, $with) = @_;

    return [ $with ? $S : (), $live, names($id) ];
}


# runs a script; the reply as one string

sub call {
    my ($name, $keys, @args) = @_;

    $keys = [ $keys ] if !ref($keys);

    my $reply = $redis->cmd('EVALSHA', $sha{$name}, scalar(@$keys), @$keys,
                            @args);

    foreach my $key (@{ $redis->cmd('KEYS', '*') }) {
        push(@eternal, "$name:$key")
            if $key ne $tasks && $redis->cmd('PTTL', $key) == -1;
    }

    return join(' ', flat($reply));
}


sub flat {
    my ($value) = @_;

    return ref($value) eq 'ARRAY' ? map { flat($_) } @$value : "$value";
}


sub fresh {
    deaf();
    $redis->cmd('FLUSHALL');
    heard();
}


sub opening {
    my ($cache) = @_;

    return call('open', keys_of($id, 1), $id, $cache // 1, 0, 30000, $fp);
}


sub no_room {
    my ($cache) = @_;

    return call('open', keys_of($other, 1), $other, $cache, 1, 30000, $fp);
}


sub hit {
    my $reply = opening();
    my $left = $reply =~ s/^HIT (-?\d+)/HIT/ ? $1 : undef;

    return ($reply, $left);
}


sub claim {
    my %arg = (token => $A, task => '5-1', predecessor => '', max => 3,
               returns => 2, alone => 1, @_);

    return call('claim', keys_of($id), $id, $arg{token}, $arg{task},
                $arg{predecessor}, 10000, 10000, 600000, $arg{max},
                $arg{returns}, $arg{alone}, 'late', 'gone');
}


# n: the number of the last event

sub append {
    my ($n, $lease, $fresh, @chunks) = @_;

    return call('append', keys_of($id), $id, $A, $n + 1, $lease, $fresh,
                @chunks);
}


sub finish {
    my ($n0, %arg) = @_;

    %arg = (token => $A, ttl => 900000, text => 'Hello', cuts => '2 3',
            usage => '{}', %arg);

    return call('finish', keys_of($id, 1), $id, $arg{token}, $n0, $arg{ttl},
                $arg{text}, $arg{cuts}, 'stop', $fp, 'openai', 'gpt',
                $arg{usage});
}


sub check {
    my ($drop, $erase) = @_;

    return call('check', keys_of($id), $id, $drop // '', 'full', $erase // 0,
                10000, 'late', 'gone');
}


sub cancel {
    my ($token) = @_;

    return call('cancel', keys_of($id), $id, $token // $A, 5000, 'nobody');
}


# a generation that was claimed, and one that has a text

sub running {
    fresh();
    opening();
    claim();
    heard();
}


sub written {
    running();
    append(1, '', 0, 'He', 'llo');
    heard();
}


sub taken {
    my ($consumer) = @_;

    return $redis->cmd('XREADGROUP', 'GROUP', 'fill', $consumer, 'COUNT', 1,
                       'STREAMS', $tasks, '>')->[0][1][0][0];
}


sub own {
    return join(' ', map { $_ // '(nil)' }
                @{ $redis->cmd('HMGET', $own, @_) });
}


sub set_own {
    $redis->cmd('HSET', $own, @_);
}


sub cached {
    my %seen;
    my @fields;

    # of a field given twice the last counts

    while (my ($name, $value) = splice(@_, 0, 2)) {
        push(@fields, $name) if !exists $seen{$name};
        $seen{$name} = $value;
    }

    $redis->cmd('XADD', $S, '3-3', map { ($_ => $seen{$_}) } @fields);
    $redis->cmd('PEXPIRE', $S, 5000);
}


sub entries {
    return join(' ', flat($redis->cmd('XRANGE', $_[0], '-', '+')));
}


sub wrong {
    foreach my $key (@_) {
        $redis->cmd('DEL', $key);
        $redis->cmd('RPUSH', $key, 'x');
        $redis->cmd('PEXPIRE', $key, 50000) if $key ne $tasks;
    }
}


sub full {
    my ($on) = @_;

    $redis->cmd('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    $redis->cmd('CONFIG', 'SET', 'maxmemory', $on);
}


sub now {
    my ($seconds, $us) = @{ $redis->cmd('TIME') };

    return $seconds * 1000 + int($us / 1000);
}


# within two seconds of what is expected: time passes meanwhile

sub near {
    my ($value, $expected, $name) = @_;

    ok(abs($value - $expected) < 2000, $name)
        or diag("$value instead of $expected");
}


# everything in the database, with when it ends

sub state {
    return join("\n", map { ($_, unpack('H*', $redis->cmd('DUMP', $_)),
                             $redis->cmd('PEXPIRETIME', $_)) }
                sort @{ $redis->cmd('KEYS', '*') });
}


sub unchanged {
    my ($code, $name) = @_;
    my $before = state();

    $code->();
    is(state(), $before, "$name: nothing changed");
}


# what a generation leaves behind

sub ended {
    my ($name) = @_;

    is($redis->cmd('EXISTS', $live), 0, "$name: not announced any more");
    near($redis->cmd('PTTL', $_), 60000, "$name: expiry of $_")
        foreach $gen, $own;
    is($redis->cmd('XLEN', $gen), own('n'), "$name: n is its length");
}


# listens to the generation, and forgets what was heard

sub heard {
    $sub->cmd('SUBSCRIBE', $gen) if !$sub->{listens}++;

    return messages();
}


sub deaf {
    messages() if $sub->{listens};
    $sub->cmd('UNSUBSCRIBE', $gen) if delete $sub->{listens};
}


sub messages {
    my @messages;

    $sub->send_cmd('PING');

    while (1) {
        my $reply = $sub->reply;

        return @messages if $reply->[0] eq 'pong';
        push(@messages, $reply->[2]) if $reply->[0] eq 'message';
    }
}


sub published {
    my ($name, @expected) = @_;

    is_deeply([ messages() ], \@expected, "$name: published");
}


# the server is reached over its Unix socket

package Local::Redis;

use IO::Socket::UNIX;

BEGIN { our @ISA = ('Chat::Redis') }


sub connection {
    my ($self) = @_;

    if (!$self->{sock}) {
        $self->{sock} = IO::Socket::UNIX->new(
            Peer => "$self->{dir}/redis.sock") or die "redis.sock: $!\n";
        $self->{sock}->autoflush(1);
    }

    return $self->{sock};
}
