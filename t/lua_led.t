#!/usr/bin/perl

# The scripts on a generation that a worker leads: labels, fills, who may follow
# whom, and what a release that knows none of these does in between.  How they
# are tested: see lua_open.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Scripts;

# attempts of a leader, of another, and of one that was made by a filler's job

my $leader = 'c' x 32;
my ($W1, $W2) = map { "$leader.$_" } 1, 2;
my $X1 = 'd' x 32 . '.1';
my $C = ('e' x 32) . '.7';


# a lane's job claims

sub lane {
    return claim(task => '', label => $W1, fill => 1, @_);
}


# led, and claimed by A for a lane

sub kept {
    fresh();
    opening(1, $W1);
    lane(@_);
    heard();
}


# and with a text of 5 bytes

sub filled {
    kept(@_);
    append(1, '', '', 'He', 'llo');
    heard();
}


# as the release before takes a generation over, and writes

sub old_claim {
    my (%arg) = @_;
    my ($n, $ms) = ($redis->cmd('HGET', $own, 'n') + 1, own('ms'));

    set_own(state => 'r', token => $B, task => $arg{task} // '9-1',
            till => now() + 10000, tries => own('tries') + 1);

    return if !$arg{written};

    $redis->cmd('XADD', $gen, "$ms-$n", 'status', 'processing');
    set_own(n => $n, base => "$ms-$n", bytes => 0);
}


sub old_append {
    my ($chunk) = @_;
    my ($n, $ms) = ($redis->cmd('HGET', $own, 'n') + 1, own('ms'));

    $redis->cmd('XADD', $gen, "$ms-$n", 'status', 'streaming', 'chunk',
                $chunk);
    set_own(n => $n, bytes => own('bytes') + length($chunk));
}


# open

fresh();
is(opening(1, $W1), 'MISS', 'open: led');
is(entries($gen), "0-1 status processing call $W1", 'open: led, the label');
is(own(qw(call fill by state)), "$W1 (nil) (nil) q",
   'open: led, the fields of own');
unchanged(sub { is(opening(1, $W1), 'MISS', 'open: led, once more') },
          'open: led, once more');
is(own('opened') - own('joined'), 1, 'open: led, nobody has joined');
is(joining(label => $X1), "JOIN $id", 'open: led, a join');
cmp_ok(own('joined'), '>=', own('opened'), 'open: led, somebody has joined');
is(own('call'), $W1, 'open: led, a join leaves the label');

fresh();
is(opening(0, $W1), 'MISS', 'open: led, not cached');
is(entries($gen), "0-1 status processing call $W1",
   'open: led, not cached, the label');

fresh();
opening();
is(own(qw(call fill by)), ' (nil) (nil)', 'open: not led, the fields of own');
is(entries($gen), '0-1 status processing', 'open: not led, no label');


# claim: the first of a lane

kept();
is(own(qw(state token task tries n bytes call fill by)),
   "r $A - 1 1 0 $W1 1 $A", 'first: the fields of own');
is($redis->cmd('XLEN', $gen), 1, 'first: nothing is written');
published('first');
unchanged(sub { is(lane(), 'RUN 1 0 1 0  0', 'first: once more') },
          'first: once more');

fresh();
opening(1, $W1);
joining();
is(lane(), 'RUN 1 0 1 0  1', 'first: somebody has joined');

fresh();
opening(1, $W1);
heard();
like(lane(label => $W2), qr/^RUN 2 \d+ 1 0  0$/,
     'first: another attempt than the opened one');
my $ms = own('ms');
is(entries($gen), "0-1 status processing call $W1 $ms-2 status processing "
   . "call $W2", 'first: another attempt, a processing');
published('first: another attempt', "1 1 2 $ms 1\np\n");
is(own(qw(call base bytes)), "$W2 $ms-2 0", 'first: another attempt, own');

# from the queue, where the leader's text must not be taken for that of the job

fresh();
opening(1, $W1);
heard();
like(claim(), qr/^RUN 2 \d+ 1 0 5-1 0$/, 'queue: takes a led one');
$ms = own('ms');
is(entries($gen), "0-1 status processing call $W1 $ms-2 status processing "
   . "call $A.1", 'queue: takes a led one, a processing');
published('queue: takes a led one', "1 1 2 $ms 1\np\n");
is(own(qw(call fill by task)), "$A.1 0 $A 5-1", 'queue: the fields of own');
like(claim(), qr/^RUN 2 \d+ 1 0 5-1 0$/, 'queue: takes a led one, once more');
is(own('n'), 2, 'queue: takes a led one, once more, nothing more');
unchanged(sub { is(lane(token => $B), 'BUSY', 'queue: its lane comes late') },
          'queue: its lane comes late');

fresh();
opening();
heard();
is(claim(), 'RUN 1 0 1 0 5-1 0', 'queue: not led, no processing');
is(entries($gen), '0-1 status processing', 'queue: not led, its stream');
published('queue: not led');
is(own(qw(call fill by)), "$A.1 0 $A", 'queue: not led, the fields of own');

# a task of a generation that a lane has

kept();
unchanged(sub {
    is(claim(token => $B), 'BUSY', 'a task: no entry yet, it may become one');
    is(lane(token => $B), 'BUSY', 'a lane: of the same fill');
    is(lane(token => $B, fill => 0), 'BUSY', 'a lane: of no fill');
    is(lane(token => $B, fill => 2, label => $X1), 'BUSY',
       'a lane: of another leader');
    is(lane(token => $B, fill => 2, label => ''), 'BUSY',
       'a lane: without a label');
    is(lane(token => $B, fill => 2, label => $leader), 'BUSY',
       'a lane: half a label');
    is(lane(token => $B, fill => 2, label => "$leader.1.1"), 'BUSY',
       'a lane: a longer leader');
    like(lane(token => $B, fill => 'x'), qr/^ERR/, 'a lane: a bad fill');
}, 'a lane that may not follow');

set_own(task => '7-1');
unchanged(sub {
    is(claim(token => $B), 'DUP', 'a task: the generation has another');
    is(claim(token => $B, task => '7-1'), 'BUSY', 'a task: it is its own');
    is(lane(token => $B), 'BUSY', 'a lane: never a duplicate');
    is(lane(), 'RUN 1 0 1 0 7-1 0', 'a lane: is told of the task');
}, 'a task: insured');


# claim: a follower, with the same attempt

filled();
my $before = entries($gen);
my @fields = qw(n ms base bytes tries task);
my $fields = own(@fields);

set_own(till => 1, deadline => 1);
$redis->cmd('PEXPIRE', $_, 1000) foreach $gen, $own, $live;
$ms = own('ms');
is(lane(token => $B, fill => 2), "RUN 3 $ms 1 5  1",
   'follower: goes on behind the bytes that are there');
is(entries($gen), $before, 'follower: goes on, nothing is written');
published('follower: goes on');
is(own(@fields), $fields, 'follower: goes on, as it was');
is(own(qw(token call fill by)), "$B $W1 2 $B",
   'follower: goes on, the fields of own');
near(own('till') - now(), 10000, 'follower: goes on, its lease');
is(own('deadline') - own('till'), 610000, 'follower: goes on, its deadline');
near($redis->cmd('PTTL', $_), 60000, "follower: goes on, expiry of $_")
    foreach $gen, $own, $live;
unchanged(sub {
    like(lane(token => $B, fill => 2), qr/^RUN 3 \d+ 1 5  1$/,
         'follower: goes on, once more');
}, 'follower: goes on, once more');
unchanged(sub {
    is(append(3, 10000, '', 'x'), 'LOST', 'follower: the former has lost it');
    is(lane(), 'BUSY', 'follower: the former claims late');
}, 'follower: the former');
is(call('append', keys_of($id), $id, $B, 4, '', '', '', ' all'), 'OK 1 0',
   'follower: writes');
is(own(qw(n bytes)), '4 9', 'follower: writes, the fields of own');
is(finish(5, token => $B, text => 'Hello all', cuts => '2 3 4'), 'OK',
   'follower: finishes');
like(entries($S), qr/^0-1 status processing call \Q$W1\E .* call \Q$W1\E /,
     'follower: the answer has the label');

# no limit of tries is meant for it

filled();
set_own(tries => 3, returns => 9);
like(lane(token => $B, fill => 2, alone => 0), qr/^RUN 3 \d+ 3 5  1$/,
     'follower: after all tries');

# whatever the lease says, and whose it is

filled();
like(lane(token => $B, fill => 5, predecessor => 'a' x 32),
     qr/^RUN 3 \d+ 1 5  1$/, 'follower: also of a predecessor');

filled();
append(3, '', '', 'x' x 100);
like(lane(token => $B, fill => 2), qr/^RUN 4 \d+ 1 105  1$/,
     'follower: after more bytes');

# with a task that the former had

filled();
is(call('append', keys_of($id), $id, $A, 0, '', '', '7-1'), 'OK 1 0',
   'a task: told with no chunk');
is(own('task'), '7-1', 'a task: it has one now');
like(lane(token => $B, fill => 2), qr/^RUN 3 \d+ 1 5 7-1 1$/,
     'follower: has the task of the former');
is(own('task'), '7-1', 'follower: keeps the task');


# claim: a follower, with another attempt

foreach my $case ([ 'text', sub { filled() }, 4 ],
                  [ 'nothing', sub { kept() }, 2 ])
{
    my ($name, $begin, $n) = @$case;

    $begin->();
    like(lane(token => $B, fill => 2, label => $W2), qr/^RUN $n \d+ 1 0  \d$/,
         "next attempt: behind $name");
    $ms = own('ms');
    like(entries($gen), qr/ \Q$ms-$n status processing call $W2\E$/,
         "next attempt: behind $name, a processing");
    published("next attempt: behind $name", "1 1 $n $ms 1\np\n");
    is(own(qw(base bytes call fill by tries)), "$ms-$n 0 $W2 2 $B 1",
       "next attempt: behind $name, the fields of own");
}

# the former wrote the next attempt already, or had another one before

filled();
is(append(3, '', $W2, 'Hi'), 'OK 1 0', 'next attempt: by the former');
is(own(qw(call by bytes fill)), "$W2 $A 2 1",
   'next attempt: by the former, the fields of own');
$ms = own('ms');
like(entries($gen), qr/ \Q$ms-4 status processing call $W2 $ms-5 status\E
                       [ ]streaming[ ]chunk[ ]Hi$/x,
     'next attempt: by the former, its entries');
is(append(3, '', $W2, 'Hi'), 'OK 1 0', 'next attempt: by the former, again');
is(own(qw(n bytes)), '5 2', 'next attempt: by the former, again, the same');
like(lane(token => $B, fill => 2, label => $W2), qr/^RUN 5 \d+ 1 2  1$/,
     'next attempt: goes on behind its bytes');

filled();
append(3, '', $W2, 'Hi');
like(lane(token => $B, fill => 2), qr/^RUN 6 \d+ 1 0  1$/,
     'next attempt: not with the label before');

# what the job makes itself is not the leader's

filled();
is(append(3, '', "$C.1", 'own'), 'OK 1 0', 'orphan: an attempt of its own');
unchanged(sub { is(lane(token => $B, fill => 2), 'BUSY',
                   'orphan: its leader comes late') },
          'orphan: its leader comes late');

# a lease that is over, without a right to follow

foreach my $case ([ 'a stale fill', fill => 1 ],
                  [ 'another leader', fill => 1, label => $X1 ],
                  [ 'a task', fill => 0, label => "$B.1", task => '6-1' ])
{
    my ($name, %arg) = @$case;

    my $label = $arg{label} // $W1;
    my $task = $arg{task} // '-';

    filled();
    set_own(till => now() - 1);
    like(lane(token => $B, %arg), qr/^RUN 4 \d+ 2 0 \S* 1$/,
         "lease over: $name");
    $ms = own('ms');
    like(entries($gen), qr/ \Q$ms-4 status processing call $label\E$/,
         "lease over: $name, a processing");
    is(own(qw(token by call fill task bytes)),
       "$B $B $label $arg{fill} $task 0",
       "lease over: $name, the fields of own");
}

kept();
set_own(till => now() - 1);
like(claim(token => $B), qr/^RUN 2 \d+ 2 0 5-1 0$/,
     'lease over: nothing written, but led');
like(entries($gen), qr/-2 status processing call \Q$B.1\E$/,
     'lease over: nothing written, but led, a processing');

kept();
set_own(till => now() - 1, tries => 3);
is(lane(token => $B, label => $X1), 'DONE', 'lease over: no try left');


# given back by a filler that had no room for it

filled();
set_own(task => '7-1');
is(append(0, 0, ''), 'OK 1 0', 'given back: a led one');
is(own(qw(state tries task)), 'q 0 7-1', 'given back: the fields of own');
like(lane(token => $B, fill => 2), qr/^RUN 4 \d+ 1 0  1$/,
     'given back: its lane starts over, without the entry it had');
like(entries($gen), qr/-4 status processing call \Q$W1\E$/,
     'given back: a processing');
is(own(qw(task fill call by)), "- 2 $W1 $B",
   'given back: its lane, the fields of own');
unchanged(sub { is(claim(token => $C, task => '8-1'), 'BUSY',
                   'given back: its copy in the queue stays') },
          'given back: its copy');

kept();
append(0, 0, '');
like(claim(token => $B, task => '8-1'), qr/^RUN 2 \d+ 1 0 8-1 1$/,
     'given back: from the queue, with nothing written');


# what a release does that does not know labels

foreach my $case ([ 'text', 1, 'xyz', 6, " call $W1" ],
                  [ 'nothing', 1, '', 4, '' ],
                  [ 'text behind ours', 0, '-and on', 5, " call $W1" ])
{
    my ($name, $written, $chunk, $n, $call) = @$case;

    filled();
    old_claim(written => $written);
    old_append($chunk) if $chunk;
    heard();
    like(lane(token => $C, fill => 2), qr/^RUN $n \d+ 2 0 9-1 1$/,
         "the release before wrote $name: no going on");
    like(entries($gen), qr/-\Q$n status processing$call\E$/,
         "the release before wrote $name: a processing, ours or its own");
    is(own(qw(call fill by token bytes task)), "$W1 2 $C $C 0 9-1",
       "the release before wrote $name: the fields of own");
}

# it took a led one from the queue; nothing written, or something

foreach my $case ([ '', 1 ], [ 'xyz', 3 ]) {
    my ($chunk, $n) = @$case;

    fresh();
    opening(1, $W1);
    old_claim();
    old_append($chunk) if $chunk;
    like(lane(token => $C), qr/^RUN $n \d+ 1 0 9-1 0$/,
         "the release before took it, '$chunk': its lane has it");
    is(own(qw(bytes by)), "0 $C",
       "the release before took it, '$chunk': the fields of own");
}

fresh();
opening(1, $W1);
old_claim();
set_own(till => now() - 1);
like(claim(token => $C, task => '9-1'), qr/^RUN 2 \d+ 2 0 9-1 0$/,
     'the release before died: a processing for the leader\'s clients');

# it opened it: there is none of the fields

my @new = qw(call fill by heard returns);

fresh();
opening();
$redis->cmd('HDEL', $own, @new);
is(claim(), 'RUN 1 0 1 0 5-1 0', 'the release before opened it: claimed');
is($redis->cmd('XLEN', $gen), 1, 'the release before opened it: no processing');

fresh();
opening();
$redis->cmd('HDEL', $own, @new);
is(lane(), 'RUN 1 0 1 0  0', 'the release before opened it: a lane\'s');

written();
$redis->cmd('HDEL', $own, @new);
is(append(3, '', '', ' all'), 'OK 1 0', 'the release before claimed: append');
is(append(4, '', "$A.2", 'Hello'), 'OK 1 0',
   'the release before claimed: append, a restart');
is(own(qw(call by)), "$A.2 $A", 'the release before claimed: the fields');
$redis->cmd('HDEL', $own, @new);
is(finish(7, cuts => '5'), 'OK', 'the release before claimed: finish');
like(entries($S), qr/ finish stop usage \{\}$/,
     'the release before claimed: no label is known');

# it takes no harm

filled();
is(call('finish', keys_of($id, 1), $id, $A, 4, 900000, 'Hello', '2 3', 'stop',
        $fp, 'openai', 'gpt', '', 0), 'OK', 'the answer: written');
$redis->cmd('DEL', $gen, $own);
like((hit())[0], qr/^HIT status completed chunk Hello .* call \Q$W1\E$/,
     'the answer: a hit with a label');


# fields that are cut, or garbage

foreach my $case ([ call => '', 'BUSY' ], [ call => 'x', 'BUSY' ],
                  [ call => '.1', 'BUSY' ], [ call => $leader, 'BUSY' ],
                  [ call => "$leader.", 'RUN 4 M 1 0  1' ],
                  [ call => "$leader.\0\n", 'RUN 4 M 1 0  1' ],
                  [ fill => '', 'RUN 3 M 1 5  1' ],
                  [ fill => 'x', 'RUN 3 M 1 5  1' ],
                  [ fill => '-1', 'RUN 3 M 1 5  1' ],
                  [ fill => '1e300', 'BUSY' ], [ fill => 'nan', 'BUSY' ],
                  [ by => '', 'RUN 4 M 1 0  1' ],
                  [ by => 'x', 'RUN 4 M 1 0  1' ],
                  [ task => '', 'RUN 3 M 1 5  1' ],
                  [ task => 'x', 'RUN 3 M 1 5  1' ],
                  [ task => '1-', 'RUN 3 M 1 5  1' ],
                  [ task => "1-1\n", 'RUN 3 M 1 5  1' ],
                  [ task => '0-0 1-1', 'RUN 3 M 1 5  1' ],
                  [ heard => 'x', 'RUN 3 M 1 5  1' ])
{
    my ($field, $value, $reply) = @$case;
    my $name = "$field '$value'" =~ s/\n/\\n/r =~ s/\0/\\0/r;

    filled();
    set_own($field => $value);
    my $got = lane(token => $B, fill => 2);

    $ms = own('ms');
    is($got, $reply =~ s/M/$ms/r, "garbage: $name");
    is(own('task'), '-', "garbage: $name, no task") if $got =~ /^RUN/;
    is(append(3, '', '', 'x'), $reply eq 'BUSY' ? 'OK 1 0' : 'LOST',
       "garbage: $name, who writes now");
}

foreach my $field (@new) {
    filled();
    $redis->cmd('HDEL', $own, $field);
    like(append(3, 10000, '', 'x'), qr/^OK 1 0$/, "without $field: append");
    is(finish(5, text => 'Hellox', cuts => '2 3 1'), 'OK',
       "without $field: finish");
}


# append: who has joined, and does not listen yet

kept();
deaf();
is(append(1, '', '', 'He'), 'OK 0 0', 'joined: nobody has');
joining();
is(append(2, '', '', 'll'), 'OK 1 0', 'joined: somebody has, append');
is(append(2, '', '', 'll'), 'OK 1 0', 'joined: somebody has, append again');
is(append(0, 10000, ''), 'OK 1 0', 'joined: somebody has, renewal');
set_own(joined => now() - 2000, opened => now() - 9000);
is(append(3, '', '', 'o'), 'OK 1 0', 'joined: 2 s ago');
set_own(joined => now() - 5001);
is(append(4, '', '', '.'), 'OK 0 0', 'joined: 5 s ago');
is(append(0, 10000, ''), 'OK 0 0', 'joined: 5 s ago, renewal');
set_own(joined => now() - 100, opened => now() - 50);
is(append(5, '', '', '.'), 'OK 0 0', 'joined: before it was opened');

# which is written down once a second

my $seen = now() + 60000;

filled();
set_own(joined => $seen, heard => $seen);
is(append(3, '', '', 'x'), 'OK 1 0', 'listeners: again in the same second');
is(own(qw(joined heard)), "$seen $seen", 'listeners: it is known');
$seen = now() - 1001;
set_own(opened => $seen - 1000, joined => $seen, heard => $seen);
is(append(4, '', '', 'x'), 'OK 1 0', 'listeners: again a second later');
cmp_ok(own('joined'), '>', $seen, 'listeners: it is written down');
is(own('joined'), own('heard'), 'listeners: by whom');

# listeners do not outlast themselves

filled();
is(append(3, '', '', 'x'), 'OK 1 0', 'listeners: one');
deaf();
is(append(4, '', '', 'x'), 'OK 0 0', 'listeners: it has left');
is(append(0, 10000, ''), 'OK 0 0', 'listeners: it has left, renewal');
near(abs(own('joined') - now()), 0, 'listeners: cancel knows of it');
is(cancel(), 'HEARD', 'listeners: cancel waits for the grace');
set_own(heard => now() - 1000, joined => now() - 1000);
joining();
is(append(5, '', '', 'x'), 'OK 1 0', 'listeners: another has joined since');

finished();
