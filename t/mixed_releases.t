#!/usr/bin/perl

# Hosts of two releases share a Redis during an upgrade.  Bytes of the release
# before were recorded: its tasks are run, its generations joined and followed,
# its answers are hits; and it can read what is written here.  Additions of a
# later release are skipped.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

# as it was recorded: provider chunks=3, model "test"

my $QUESTION = 'What is Python?';
my @PIECES = map { "64ad7359-$_ xxxx " } 1 .. 3;
my $TEXT = join('', @PIECES);

my %task = (h => key_of($QUESTION), id => '3c017b0379f08299175ec001ad32dfeb',
    fp => 'fc6d7ec704e52463c62eca7ea48a3ad0',
    providers => 'openai=86ca36429cbfca39d9e285bf7d6c39d5',
    messages => '{"role": "user", "content": "What is Python?"}',
    ttl => 900000, max_answer => 2097152, cancel => 0, grace => 10000,
    request_id => '5f61072a41721329c1f01e97def063bb');

# times are those since it was opened

my %queued = (n => 1, ms => 0, bytes => 0, base => '0-1', till => 0,
    joined => '+0', state => 'q', token => '', tries => 0, task => '',
    opened => '+0', due => '+30000', deadline => '+40000', wait => 30000);
my %running = (%queued, till => '+10001', state => 'r',
    token => '9c90ed7a7efa7311ea109a395101a02b.1', tries => 1,
    task => '1795905495029-0', deadline => '+625001');

my @entries = (
    [ '0-1', status => 'processing' ],
    [ '2-2', status => 'streaming', chunk => $PIECES[0] ],
    [ '403-3', status => 'streaming', chunk => $PIECES[1] ],
    [ '804-4', status => 'streaming', chunk => $PIECES[2] ],
    [ '1205-5', status => 'completed', finish => 'stop',
      provider => 'openai', model => 'test' ]);
my @cached = (status => 'completed', chunk => $TEXT, cuts => '16 16 16',
    v => 1, fp => $task{fp}, gen => '9ef26b6ebd6cc609a3d0ce822707e309',
    opened => 1795905495029, provider => 'openai', model => 'test',
    finish => 'stop', usage => '{"prompt_tokens": 7, "completion_tokens": 3, '
        . '"total_tokens": 10}');
my @messages = ("1 1 2 2 1\ns 16\n64ad7359-1 xxxx \n",
    "1 1 3 403 1\ns 16\n64ad7359-2 xxxx \n",
    "1 1 4 804 1\ns 16\n64ad7359-3 xxxx \n",
    "1 1 5 1205 1\nc 4 6 4\nstopopenaitest\n");

my $redis = start_redis();
my $provider = start_provider(chunks => 3, gap => 5);
my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
    lead => 'off', server => <<'EOT');
        location = /led  { chat; chat_lead on; }
        location = /kept { chat; chat_cache_stale 1m; }
EOT

my $S = stream_key($QUESTION);


sub key { return "{$S}:1:$_[0]" }

sub gen { return key("gen:$_[0]") }


sub fresh {
    wait_for { $redis->tasks == 0 } 5;
    $redis->cmd('DEL', @{ $redis->cmd('KEYS', "*$S*") }, 'none');
    provider_reset($provider);
}


# a generation as somebody else has it

sub plant {
    my ($id, $fp, $own, @entries) = @_;
    my ($seconds, $us) = @{ $redis->cmd('TIME') };
    my $now = $seconds * 1000 + int($us / 1000);

    $redis->cmd('XADD', gen($id), @$_) foreach @entries;
    $redis->cmd('HSET', gen($id) . ':own',
                map { my $value = $own->{$_};

                      $value = $now + $1 if $value =~ /^\+(\d+)$/;
                      ($_, $value) } sort keys %$own);
    $redis->cmd('SET', key("live:$fp"), $id);
    $redis->cmd('PEXPIRE', $_, 60000)
        foreach gen($id), gen($id) . ':own', key("live:$fp");
}


# a client that has joined it gets the answer

sub joined_ok {
    my ($q, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($q, $name, chunks => \@PIECES, restarts => 0,
              cache => qr/collapsed$/);
}


# no field that the release before reads is missing

sub has_all {
    my ($fields, $old, $name) = @_;
    my %fields = @$fields;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(join(' ', grep { !exists $fields{$_} } sort keys %$old), '', $name);
}


# A configuration is the same to both, or they share nothing.

{
    my $other = start_nginx(redis => $redis, workers => 1,
        lead => 'off', http => 'chat_provider openai { url http://127.0.0.1:9999/v1;'
            . ' model gpt-4o-mini; }');

    $redis->cmd('XADD', $S, @$_) foreach @entries[0 .. 3];
    $redis->cmd('XADD', $S, '1205-5', @cached);
    $redis->cmd('PEXPIRE', $S, 60000);

    stream_ok(scalar ask($other, { question => $QUESTION }),
              'its answer: a hit', chunks => \@PIECES, cache => qr/hit/);
    fresh();

    $redis->cmd('XADD', $S, '1205-5', @cached, call => 'a.1', later => 'more');
    $redis->cmd('PEXPIRE', $S, 60000);
    stream_ok(scalar ask($other, { question => $QUESTION }),
              'its answer: a hit with a later field', chunks => \@PIECES,
              cache => qr/hit/);
    fresh();

    ok(takes_none($redis, filler($nginx)), 'a task: nobody here takes it');
    ok(takes_none($redis, filler($other)), 'a task: nobody there takes it');

    my $later = ask_later($other, { question => $QUESTION });

    wait_for { $redis->cmd('XLEN', 'chat:tasks:1') == 1 } 5, 'a task';

    my ($now) = map { $_->[1] } @{ $redis->cmd('XRANGE', 'chat:tasks:1', '-',
                                               '+') };
    my %now = @$now;

    has_all($now, \%task, 'a task: has all fields it had');
    is($now{$_}, $task{$_}, "a task: $_ is the same")
        foreach grep { !/id$/ } sort keys %task;

    my $own = $redis->cmd('HGETALL', gen($now{id}) . ':own');

    has_all($own, \%queued, 'a generation that waits: has all fields it had');
    is_deeply($redis->cmd('XRANGE', gen($now{id}), '-', '+'),
              [ [ '0-1', [ status => 'processing' ] ] ],
              'a generation that waits: its stream');

    kill('KILL', $later->{pid});
    results($later);
    $redis->cmd('XTRIM', 'chat:tasks:1', 'MAXLEN', 0);
    kill('CONT', map { filler($_) } $nginx, $other);
    $other->stop;
}

# written here, by a filler that asks and for a worker that leads, read there

my $fp;

foreach my $path ('/chat', '/led') {
    my $name = $path eq '/led' ? 'led here' : 'written here';
    my $sub = $redis->client;
    my ($id, @seen);

    fresh();
    $sub->cmd('PSUBSCRIBE', '*');
    stream_ok(scalar ask($nginx, { question => $QUESTION, path => $path }),
              "$name: an answer", chunks => \@PIECES);
    $sub->send_cmd('PING');

    while (1) {
        my $reply = $sub->reply;

        last if $reply->[0] eq 'pong';

        if ($reply->[2] =~ /^\Q{$S}\E:1:gen:([0-9a-f]{32})$/) {
            $id = $1;
            push(@seen, $reply->[3]);
        }
    }

    my ($bodies, $recorded) = map {
        join('', map { s/^1 1 \d+ \d+ \d+\n//r } @$_)
    } \@seen, \@messages;

    is($bodies, $recorded, "$name: messages have the same form");

    # but for the label of an attempt, which is passed over there

    my @written = map { my ($id, $fields) = @$_;
                        my %of = @$fields;

                        [ grep { $_ ne 'call' && $_ ne ($of{call} // '') }
                          @$fields ] }
        @{ $redis->cmd('XRANGE', gen($id), '-', '+') };

    is_deeply(\@written, [ map { [ @$_[1 .. $#$_] ] } @entries ],
              "$name: entries have the same form");
    has_all($redis->cmd('HGETALL', gen($id) . ':own'), \%running,
            "$name: a generation has all fields it had");

    my %last = %{ $redis->entries($S)->[-1] };

    $fp = $last{fp};
    has_all([ %last ], { @cached },
            "$name: an answer has all fields it had");
    is(join(' ', @last{qw(status chunk cuts v finish)}),
       join(' ', @{ { @cached } }{qw(status chunk cuts v finish)}),
       "$name: an answer has the same values");
}

# its tasks

$redis->cmd('DEL', $S);
takes_none($redis, filler($nginx));

my $later = ask_later($nginx, { question => $QUESTION });
my $task;

wait_for { $task = $redis->cmd('XRANGE', 'chat:tasks:1', '-', '+')->[0] } 5,
    'a task';

my %ours = (fp => $fp, providers => { @{ $task->[1] } }->{providers});

kill('CONT', filler($nginx));
results($later);

foreach my $case ([ 'a task of it', {}, {} ],
                  [ 'one that was given back',
                    { token => $running{token}, task => $running{task} }, {} ],
                  [ 'one with later fields', { later => 'x' },
                    { later => '' } ])
{
    my ($name, $own, $more) = @$case;
    my %fields = (%task, %ours, %$more);

    fresh();
    plant($task{id}, $fp, { %queued, %$own }, $entries[0]);
    $redis->cmd('XADD', 'chat:tasks:1', '*', %fields);

    joined_ok(scalar ask($nginx, { question => $QUESTION }),
              "$name: it is run");
    is(provider_stats($provider, $QUESTION), 1, "$name: one call");
    stream_ok(scalar ask($nginx, { question => $QUESTION }),
              "$name: it is cached", cache => qr/hit/);
}

# its generations: what it published alone, or what it wrote alone

foreach my $case ([ 'its messages', @messages ],
                  [ 'those with later parts',
                    map { s/^(1 1 \d+ \d+ \d+)\n/$1 7 0\n/r =~ s/^
                          (s.16|c.4.6.4)\n(.*)\n\z/$1 0 0 3\n$2abc\n/xmrs }
                    @messages ])
{
    my ($name, @messages) = @$case;

    fresh();
    plant($task{id}, $fp, \%running, $entries[0]);
    $later = ask_later($nginx, { question => $QUESTION });
    wait_for {
        $redis->cmd('PUBSUB', 'NUMSUB', gen($task{id}))->[1]
    } 5, 'the subscription';
    wait_for { $redis->cmd('PUBLISH', gen($task{id}), $messages[0]) } 5;
    $redis->cmd('PUBLISH', gen($task{id}), $_) foreach @messages[1 .. 3];
    joined_ok((results($later))[0], "$name: they are understood");
}

foreach my $case ([ 'its entries' ], [ 'entries with later fields',
                                      later => 'x' ],
                  [ 'entries with a label', call => 'a.1' ])
{
    my ($name, @more) = @$case;

    fresh();
    plant($task{id}, $fp, \%running,
          map { [ @$_, @more ] } @entries);
    joined_ok(scalar ask($nginx, { question => $QUESTION }),
              "$name: they are understood");
}

# what is kept beyond its TTL: to the release before no answer at any time, and
# in tasks a field that it passes over

fresh();
takes_none($redis, filler($nginx));
$later = ask_later($nginx, { question => $QUESTION, path => '/kept' });
wait_for { $task = $redis->cmd('XRANGE', 'chat:tasks:1', '-', '+')->[0] } 5,
    'a task';
has_all($task->[1], \%task, 'a kept answer: its task has all fields it had');
is({ @{ $task->[1] } }->{stale}, 60000, 'a kept answer: a field of the task');
kill('CONT', filler($nginx));
results($later);
is($redis->entries($S)->[-1]{v}, 2, 'a kept answer: not of version 1');

fresh();
$redis->cmd('XADD', $S, @$_) foreach @entries[0 .. 3];
$redis->cmd('XADD', $S, '1205-5', %{ { @cached, fp => $fp } });
$redis->cmd('PEXPIRE', $S, 1000);
stream_ok(scalar ask($nginx, { question => $QUESTION, path => '/kept' }),
          'its answer, where others are kept: a hit', chunks => \@PIECES,
          cache => qr/; hit; ttl=[01]$/);
wait_for { !$redis->cmd('EXISTS', $S) } 5;
stream_ok(scalar ask($nginx, { question => $QUESTION, path => '/kept' }),
          'its answer, past its TTL: a miss', chunks => \@PIECES,
          cache => qr/fwd=miss$/);

fresh();
unlike($nginx->error_log, qr/\[(?:error|crit|alert|emerg)\](?!.*closed the)/,
       'all of that: no error in the log');

done();
