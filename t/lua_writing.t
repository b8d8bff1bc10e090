#!/usr/bin/perl

# The scripts on a generation that was opened: see lua_open.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Scripts;


# claim

running();

is(own(qw(state token task tries n ms base bytes)), "r $A 5-1 1 1 0 0-1 0",
   'claim: the fields of own');
near($redis->cmd('HGET', $own, 'till') - now(), 10000,
     'claim: till is a lease ahead');
is($redis->cmd('HGET', $own, 'deadline') - $redis->cmd('HGET', $own, 'till'),
   610000, 'claim: deadline after till');
near($redis->cmd('PTTL', $_), 60000, "claim: expiry of $_")
    foreach $gen, $own, $live;
is(entries($gen), '0-1 status processing', 'claim: no second processing');
published('claim');

unchanged(sub { is(claim(), 'RUN 1 0 1 0 5-1 0', 'claim: once more') },
          'claim: once more');
unchanged(sub { is(claim(token => $B), 'BUSY', 'claim: a busy one') },
          'claim: a busy one');
unchanged(sub { is(claim(token => $B, task => '6-1'), 'DUP',
                   'claim: another task') },
          'claim: another task');
unchanged(sub {
    is(claim(token => $B, predecessor => 'c' x 32), 'BUSY',
       'claim: another predecessor');
    is(claim(token => $B, predecessor => 'a' x 31), 'BUSY',
       'claim: half a predecessor');
    is(claim(token => $B, predecessor => "$A$_"), 'BUSY',
       "claim: another job of its filler, $_") foreach '0', '.1';
}, 'claim: another predecessor');

is(claim(token => $B, predecessor => 'a' x 32), 'RUN 1 0 2 0 5-1 0',
   'claim: from a dead predecessor');
is(own(qw(token tries)), "$B 2", 'claim: taken from it');
published('claim: nothing was written, nothing is told');

running();
is(claim(token => $B, predecessor => $A), 'RUN 1 0 2 0 5-1 0',
   'claim: from a job alone');

# entries of both queues, which may have the same ids

running();
set_own(task => 'l5-1');
is(claim(token => $B), 'DUP', 'claim: the same entry of the other queue');
is(claim(token => $B, task => 'l5-1'), 'BUSY', 'claim: an entry of a led one');
set_own(till => now() - 1);
is(claim(token => $B, task => ''), 'RUN 1 0 2 0 l5-1 0',
   'claim: a lane is told of the entry of a led one');

running();
append(1, '', '', 'Hello');
heard();
set_own(till => now() - 1);
$redis->cmd('PEXPIRE', $_, 1000) foreach $gen, $own, $live;
like(claim(token => $B, task => '6-1'), qr/^RUN 3 \d+ 2 0 6-1 1$/,
     'claim: the lease is over, for another task too');
my $ms = own('ms');
is(own(qw(token task tries n base bytes)), "$B 6-1 2 3 $ms-3 0",
   'claim: starts over');
like(entries($gen), qr/ \Q$ms\E-3 status processing call \Q$B\E\.1$/,
     'claim: a second processing');
published('claim: starts over', "1 2 3 $ms 1\np\n");
near($redis->cmd('PTTL', $_), 60000, "claim: starts over, expiry of $_")
    foreach $gen, $own, $live;
is(append(2, '', '', 'x'), 'LOST', 'claim: the first has lost it');

set_own(till => now() - 1);
unchanged(sub { is(claim(token => $A, alone => 0), 'BUSY',
                   'claim: the last try is for a process alone') },
          'claim: not alone');
like(claim(token => $A), qr/^RUN 3 \d+ 3 0 5-1 1$/, 'claim: the last try');
published('claim: nothing since the last processing');

set_own(till => now() - 1);
is(claim(token => $B, alone => 0), 'DONE', 'claim: no try left');
is(own('state'), 'f', 'claim: no try left, failed');
$ms = own('ms');
like(entries($gen),
     qr/\Q$ms\E-4 status error message gone code interrupted$/,
     'claim: no try left, the error');
published('claim: no try left', "1 3 4 $ms 1\ne 4 11\ngoneinterrupted\n");
ended('claim: no try left');
unchanged(sub { is(claim(token => $_), 'DONE', "claim: ended, token $_")
                    foreach $A, $B }, 'claim: ended');

fresh();
opening();
set_own(due => now() - 5);
is(claim(), 'DONE', 'claim: past due');
$ms = own('ms');
like(entries($gen), qr/ \Q$ms\E-2 status error message late code queue_tim/,
     'claim: past due, queue_timeout');
published('claim: past due', "1 0 2 $ms 1\ne 4 13\nlatequeue_timeout\n");
ended('claim: past due');

fresh();
opening(0);
$redis->cmd('SET', $live, $other, 'PX', 5000);
is(claim(), 'RUN 1 0 1 0 5-1 0', 'claim: not announced');
near($redis->cmd('PTTL', $live), 5000, 'claim: the live of another');

fresh();
opening();
set_own(state => 'd');
unchanged(sub { is(claim(), 'DONE', 'claim: what is done') },
          'claim: what is done');

fresh();
opening();
is(claim(max => 1, alone => 0), 'RUN 1 0 1 0 5-1 0',
   'claim: a first try needs no process alone');


# append

running();
is(append(1, '', '', "He\0l", "\xc3\xa9\n"), 'OK 1 0', 'append: two chunks');
$ms = own('ms');
is(own(qw(n bytes base)), '3 7 0-1', 'append: the fields of own');
is(entries($gen), "0-1 status processing $ms-2 status streaming chunk He\0l "
   . "$ms-3 status streaming chunk \xc3\xa9\n", 'append: its entries');
published('append', "1 1 2 $ms 2\ns 4\nHe\0l\ns 3\n\xc3\xa9\n\n");

set_own(joined => 1);
is(append(1, '', '', "He\0l", "\xc3\xa9\n"), 'OK 1 0', 'append: once more');
near(abs(own('joined') - now()), 0, 'append: once more, heard');
is(own(qw(n bytes ms)), "3 7 $ms", 'append: once more, own');
is($redis->cmd('XLEN', $gen), 3, 'append: once more, nothing more');
published('append: once more');

foreach my $n0 (0, 1, 2, 4, 5, -1) {
    unchanged(sub {
        is(append($n0 - 1, 10000, '', 'x', 'y', 'z'), 'GAP',
           "append: gap at $n0");
    }, "append: gap at $n0") if $n0 != 1 && $n0 != 4;
}

foreach my $case ([ LOST => $B, 4 ], [ LOST => 'a' x 32, 4 ],
                  [ LOST => '', 4 ])
{
    unchanged(sub {
        is(call('append', keys_of($id), $id, $case->[1], 4, 10000, '', '',
                'x'),
           $case->[0], "append: token '$case->[1]'");
    }, "append: '$case->[1]' is not ours");
}

set_own(till => 1);
is(append(3, '', '', 'x'), 'OK 1 0', 'append: an expired lease still writes');
is(own('till'), 1, 'append: no renewal');

set_own(opened => now() + 5000);
$ms = own('ms');
is(append(4, '', '', 'y'), 'OK 1 0', 'append: the clock went back');
is(own(qw(ms n)), "$ms 5", 'append: its time does not');

set_own(opened => now() - 4000);
heard();
is(append(5, '', "$A.2", 'z'), 'OK 1 0', 'append: a restart');
$ms = own('ms');
near($ms, 4000, 'append: ms since opened');
is(own(qw(n base bytes)), "7 $ms-6 1", 'append: base and bytes');
published('append: a restart', "1 1 6 $ms 2\np\ns 1\nz\n");
is(append(5, '', "$A.2", 'z'), 'OK 1 0', 'append: a restart again');
is(own(qw(n base bytes)), "7 $ms-6 1", 'append: a restart again, the same');
is(append(7, '', "$A.2"), 'OK 1 0', 'append: a restart alone');
is(own(qw(n bytes)), '8 0', 'append: a restart alone, its fields');
heard();

set_own(joined => 1);
$redis->cmd('PEXPIRE', $_, 1000) foreach $gen, $own, $live;
is(append(99, 10000, ''), 'OK 1 0', 'renewal: of a lease');
near($redis->cmd('PTTL', $_), 60000, "renewal: expiry of $_")
    foreach $gen, $own, $live;
near(own('till') - now(), 10000, 'renewal: till is a lease ahead');
near(abs(own('joined') - now()), 0, 'renewal: somebody hears');
is($redis->cmd('XLEN', $gen), 8, 'renewal: no entry');
published('renewal');

deaf();
set_own(joined => 1);
is(append(8, '', '', 'x'), 'OK 0 0', 'append: nobody hears');
is(append(0, 10000, ''), 'OK 0 0', 'renewal: nobody hears');
is(own('joined'), 1, 'append: joined stays');

set_own(stop => 1);
is(append(0, '', ''), 'OK 0 1', 'append: told to stop');

# given back it waits as it did in the queue at first

heard();
set_own(opened => now() - 100000, due => now() - 70000);
$redis->cmd('PEXPIRE', $_, 5000) foreach $gen, $own, $live;
is(append(0, 0, ''), 'OK 1 1', 'append: given back');
is(own(qw(state token tries)), "q $A 0", 'append: the try does not count');
near(own('due') - now(), 30000, 'append: it waits anew');
near($redis->cmd('PTTL', $_), 90000, "append: given back, expiry of $_")
    foreach $gen, $own, $live;
published('append: given back');
unchanged(sub { is(append(0, 0, ''), 'OK 1 1', 'append: given back again') },
          'append: given back again');
unchanged(sub {
    is(append(8, 10000, '', 'x'), 'LOST', 'append: what was given back');
    is(append(0, 10000, ''), 'LOST', 'renewal: what was given back');
    is(call('append', keys_of($id), $id, $B, 0, 0, '', ''), 'LOST',
       'append: given back by another');
}, 'append: what was given back');
is(joining(), "JOIN $id",
   'open: join what was given back');
is(check('queue_full'), 'LIVE 9', 'check: a task that was taken is there');
set_own(till => now() - 11000, deadline => now() - 5);
is(check(), 'LIVE 9', 'check: given back, it has no lease');
like(claim(token => $B, task => '6-1'), qr/^RUN 10 \d+ 1 0 6-1 1$/,
     'append: others may claim at once');
is(own('state'), 'r', 'claim: what was given back');
near($redis->cmd('PTTL', $_), 60000, "claim: given back, expiry of $_")
    foreach $gen, $own, $live;

written();
append(0, 0, '');
set_own(due => now() - 5);
is(check(), 'ENDED 4', 'check: nobody took it again');
like(entries($gen), qr/ code queue_timeout$/, 'check: given back, the error');
ended('check: given back');

foreach my $case ([ 1, 0, 'RUN 1 0 2 0 5-1 1' ], [ 2, 0, 'BUSY' ],
                  [ 2, 1, 'RUN 1 0 3 0 5-1 1' ], [ 3, 1, 'DONE' ])
{
    my ($tries, $alone, $reply) = @$case;

    running();
    set_own(tries => $tries + 1);
    append(0, 0, '');
    is(claim(token => $B, alone => $alone), $reply,
       "claim: given back after $tries tries, alone $alone");
}

# each return is counted, and one too many ends it

running();
is(own('returns'), '(nil)', 'append: never given back');

foreach my $n (1 .. 2) {
    append(0, 0, '');
    append(0, 0, '');
    is(own(qw(returns tries)), "$n 0", "append: given back, return $n");
    is(claim(returns => 2), 'RUN 1 0 1 0 5-1 1',
       "claim: after $n of two returns");
}

append(0, 0, '');
is(claim(returns => 2), 'DONE', 'claim: after one return too many');
like(entries($gen), qr/ message gone code interrupted$/,
     'claim: after one return too many, the error');
ended('claim: after one return too many');

running();
set_own(till => 1);
is(append(0, 0, ''), 'OK 1 0', 'append: given back late');
is(own(qw(state tries)), 'q 0', 'append: given back late, nobody had it');

running();
$redis->cmd('SET', $live, $other, 'PX', 5000);
is(append(1, 10000, '', 'x'), 'OK 1 0', 'append: not announced');
near($redis->cmd('PTTL', $live), 5000, 'append: the live of another');

foreach my $state (qw(q d f)) {
    running();
    set_own(state => $state);
    unchanged(sub { is(append(1, 10000, '', 'x'), 'LOST',
                       "append: in state $state") }, "append: in state $state");
}

running();
unchanged(sub {
    like(append(1, 'x', '', 'x'), qr/^ERR/, 'append: bad lease');
    like(call('append', keys_of($id), $id, $A, 'x', '', '', '', 'x'),
         qr/^ERR/,
         'append: bad n0');
}, 'append: bad numbers');

$redis->cmd('XADD', $gen, '99999999999-1', 'a', 'b');
unchanged(sub { like(append(1, 10000, '', 'x', 'y'), qr/^ERR/,
                     'append: a stream that ends elsewhere') },
          'append: a stream that ends elsewhere');


# finish

my @finish = ('Hello', '2 3', 'stop', $fp, 'openai', 'gpt');

written();
is(finish(4), 'OK', 'finish: an answer');
$ms = own('ms');
my $opened = own('opened');
my $first = (split(/ /, entries($gen)))[3];
is(own(qw(state n token)), "d 4 $A", 'finish: the fields of own');
my $bare = "$ms-4 status completed finish stop provider openai model gpt";
like(entries($gen), qr/ \Q$bare\E$/, 'finish: without the text in gen');
is(entries($S), "0-1 status processing $first status streaming chunk He "
   . ($first =~ s/2$/3/r) . " status streaming chunk llo $ms-4 "
   . "status completed chunk Hello cuts 2 3 v 1 fp $fp gen $id "
   . "opened $opened sizes 5 3 provider openai model gpt finish stop "
   . "call $A.1 usage {}",
   'finish: S is the answer');
near($redis->cmd('PTTL', $S), 900000, 'finish: life of S');
published('finish', "1 1 4 $ms 1\nc 4 6 3\nstopopenaigpt\n");
ended('finish');
unchanged(sub { is(finish(4), 'OK', 'finish: once more') },
          'finish: once more');
unchanged(sub { is(finish(4, token => $B), 'LOST', 'finish: by another') },
          'finish: by another');

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
    is($redis->cmd('XLEN', $S), 4, "finish: $name at S is replaced");
    like(entries($S), qr/ finish stop call \S+$/,
         "finish: $name at S, no usage");
    near($redis->cmd('PTTL', $S), 900000, "finish: $name at S, its life");
}

foreach my $case ([ 'earlier', -1, 1 ], [ 'at the same time', 0, 1 ],
                  [ 'later', 1, 0 ])
{
    my ($name, $offset, $replaced) = @$case;

    written();
    set_own(opened => now() - 1000);
    cached(@answer, opened => own('opened') + $offset,
           $offset ? (sizes => '5 3') : ());

    my $before = $redis->cmd('DUMP', $S);

    is(finish(4), 'OK', "finish: S was opened $name");
    is($redis->cmd('DUMP', $S) eq $before ? 0 : 1, $replaced,
       "finish: S opened $name is" . ($replaced ? '' : ' not') . ' replaced');
    is(own('state'), 'd', "finish: S opened $name, ended");
    ended("finish: S opened $name");
}

foreach my $case ([ 'in the future', opened => now() + 100000 ],
                  [ 'at no time', opened => 'x' ],
                  [ 'later, but broken', cuts => '9', opened => now() ],
                  [ 'later, but of other sizes', sizes => '5 4',
                    opened => now() ],
                  [ 'later, but of another layout', v => 2,
                    opened => now() ])
{
    my ($name, @fields) = @$case;

    written();
    set_own(opened => now() - 1000);
    cached(@answer, @fields);
    is(finish(4), 'OK', "finish: S opened $name");
    like(entries($S), qr/ gen $id /, "finish: S opened $name, replaced");
}

written();
cached(@answer);
my $before = $redis->cmd('DUMP', $S);
is(finish(4, ttl => 0), 'OK', 'finish: not cached');
ok($redis->cmd('DUMP', $S) eq $before, 'finish: S stays');
ended('finish: not cached');

written();
is(append(3, '', "$A.2", 'Hel', 'lo'), 'OK 1 0', 'finish: a second processing');
my $base = own('base');
is(finish(7, cuts => '3 2'), 'OK', 'finish: started over');
like(entries($S), qr/^\Q$base\E status processing call \S+ \S+ status strea/,
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
         'Chat::Redis::Error', "finish: $name, made");
    unchanged(sub { is(finish(4), 'GAP', "finish: $name") },
              "finish: $name");
}

foreach my $state (qw(q f d)) {
    written();
    set_own(state => $state, $state eq 'd' ? (token => $B) : ());
    unchanged(sub { is(finish(4), 'LOST', "finish: state $state") },
              "finish: state $state");
}

written();
unchanged(sub { is(finish(4, token => $B), 'LOST', 'finish: no token') },
          'finish: no token');
unchanged(sub { like(finish(4, ttl => 'x'), qr/^ERR/, 'finish: bad ttl') },
          'finish: bad ttl');


# fail

written();
is(call('fail', keys_of($id), $id, $A, 'It broke', 'provider_broken'), 'OK',
   'fail: with a code');
$ms = own('ms');
is(own(qw(state n)), 'f 4', 'fail: the fields of own');
like(entries($gen),
     qr/\Q$ms\E-4 status error message It broke code provider_broken$/,
     'fail: its entry');
published('fail', "1 1 4 $ms 1\ne 8 15\nIt brokeprovider_broken\n");
ended('fail');
is($redis->cmd('EXISTS', $S), 0, 'fail: nothing cached');
unchanged(sub {
    is(call('fail', keys_of($id), $id, $A, 'It broke', 'provider_broken'),
       'LOST', 'fail: once more');
}, 'fail: once more');

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
is(check(), 'LIVE 1', 'check: one in the queue');
near(abs(own('joined') - now()), 0, 'check: joined is now');
near($redis->cmd('PTTL', $own), 90000, 'check: the expiry stays');

foreach my $case ([ 'dropped', 0, 'queue_full', 'full' ],
                  [ 'past due', 5, 'queue_timeout', 'late', '' ],
                  [ 'past due, dropped', 5, 'queue_timeout', 'late' ])
{
    my ($name, $past, $code, $message, $drop) = @$case;

    fresh();
    opening();
    set_own(due => now() - $past) if $past;
    is(check($drop // 'queue_full'), 'ENDED 2', "check: $name, it ends");
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
is(check('queue_full', 1), 'ENDED 1', 'check: erased at once');
is($redis->cmd('DBSIZE'), 0, 'check: erased, nothing is left');
published('check: erased');
is(check('queue_full', 1), 'GONE', 'check: erased again');

opening();
$redis->cmd('SET', $live, $other, 'PX', 5000);
is(check('queue_full', 1), 'ENDED 1', 'check: erased, another announced');
is(join(' ', @{ $redis->cmd('KEYS', '*') }), $live,
   'check: that one stays');

# nor is one who joins in the same ms forgotten, also as the release before
# had it

foreach my $joiner ('joined', 'joined in the release before') {
    fresh();
    opening();

    if ($joiner eq 'joined') {
        set_own(opened => now() + 1000, joined => now() + 999);
        no_room(1);

    } else {
        set_own(joined => own('opened'));
    }

    is(check('queue_full', 1), 'ENDED 2', "check: not erased, $joiner");
    like(entries($gen), qr/ code queue_full$/,
         "check: not erased, $joiner: the error");
    ended("check: not erased, $joiner");
}

written();
is(check('queue_full', 1), 'LIVE 3', 'check: what runs is not erased');

written();
is(check(), 'LIVE 3', 'check: one that runs');
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
    is(append(3, '', '', 'x'), 'LOST', "check: $name, the writer has lost it");
}

fresh();
is(check(), 'GONE', 'check: what is gone');
$redis->cmd('SET', $live, $other, 'PX', 5000);
unchanged(sub { is(check(), 'GONE', 'check: gone, the live of another') },
          'check: the live of another');
$redis->cmd('SET', $live, $id, 'PX', 5000);
is(check(), 'GONE', 'check: gone, but announced');
is($redis->cmd('EXISTS', $live), 0, 'check: gone, no longer announced');

written();
$redis->cmd('SET', $live, $other, 'PX', 5000);
set_own(till => 1);
is(check(), 'ENDED 4', 'check: ended, the live of another');
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
is(cancel(), 'OK', 'cancel: nobody listens');
like(entries($gen), qr/-4 status error message nobody code cancelled$/,
     'cancel: its entry');
ended('cancel');
unchanged(sub { is(cancel(), 'LOST', 'cancel: once more') },
          'cancel: once more');

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
    append => [ 'LOST', sub { append(3, 10000, '', 'x') } ],
    back   => [ 'LOST', sub { append(0, 0, '') } ],
    renew  => [ 'LOST', sub { append(3, 10000, '') } ],
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
                      qw(state token tries n ms bytes joined opened),
                      $verb =~ /append|back|renew/ ? ()
                          : qw(task base till due deadline wait))
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


# out of memory: what began can end

foreach my $verb (sort keys %verb) {
    written();
    set_own(till => now() + 1, joined => 1) if $verb ne 'claim';
    set_own(till => 1) if $verb eq 'claim';
    deaf() if $verb eq 'cancel';
    full(1);
    like($verb{$verb}[1]->(), qr/^(?:RUN|OK|LIVE)\b/, "$verb: out of memory");
    full(0);
}

finished();
