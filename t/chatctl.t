#!/usr/bin/perl

# scripts/chatctl, on what is in Redis while answers are made, by a worker that
# leads and by a filler, and afterwards.  The queues of both are in databases of
# their own.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use Digest::SHA qw(sha256_hex);
use POSIX ();

my $script = Chat::Nginx::root() . '/scripts/chatctl';
my $redis = start_redis();
my ($tasks, $others) = map { $redis->url($_) } 1, 2;
my $provider = start_provider(chunks => 6, gap => 0);
my $leads = start_nginx(redis => $redis, broker => $others, lead => 'on',
    provider => $provider, server => <<'EOT');
        location = /lang/chat {
            chat;
            chat_cache_key "$http_x|$chat_question";
        }
        location = /scope/chat {
            chat;
            chat_cache_scope $http_x;
        }
        location = /both/chat {
            chat;
            chat_cache_key   "$http_x|$chat_question";
            chat_cache_scope $http_x;
        }
EOT
my $queues = start_nginx(redis => $redis, broker => $tasks, lead => 'off',
    provider => $provider, http => 'chat_fill processes=1 concurrency=1;');

delete @ENV{qw(CELERY_BROKER_URL REDISCLI_AUTH)};
$ENV{REDIS_URL} = $redis->url;


# (exit status, output, errors)

sub chatctl {
    my (@args) = @_;
    my $errors = test_dir() . '/errors';
    my $pid = open(my $out, '-|') // die "fork: $!\n";

    if ($pid == 0) {
        open(STDERR, '>', $errors);
        exec($script, @args) or POSIX::_exit(127);
    }

    binmode($out);

    my $text = join('', <$out>);

    close($out);

    return ($? >> 8, $text, read_file($errors));
}


# it fails in the middle of something: nothing is told that may be wrong

sub failed {
    my ($name, $why, @args) = @_;
    my ($status, $text, $errors) = chatctl(@args);

    is($status, 3, "$name: an error");
    is($text, '', "$name: nothing else is told");
    like($errors, qr/^chatctl: .*$why/, "$name: and why");
}


sub broker { return chatctl('-b', $tasks, @_) }


# the rows of the table that begins with this header, as hashes

sub rows {
    my ($text, $header) = @_;
    my ($head, $rows) = $text =~ /^(\Q$header\E\b.*)\n((?:.+\n)*)/m
        or return;
    my @names = split(/ +/, $head);

    return map { my %row; @row{@names} = split(/ +/, $_); \%row }
           split(/\n/, $rows);
}


sub generation {
    my ($q) = @_;

    return $q->{headers}{'x-chat-generation'};
}


# while answers are made: one is led, one is queued and taken, one waits

my ($led, $queued, $waits) = ('Who leads?', 'Who takes?', 'Who waits?');
my (%seen, %states, $held);

provider_set($provider, upto => 3);

my @all = ask($leads, { question => $led, on_event => \&seen },
    { nginx => $queues, question => $queued, on_event => \&seen },
    { nginx => $queues, question => $waits, on_event => \&seen,
      after => sub { $seen{$queued} } },
    { nginx => $queues, question => $led, after => sub { $seen{$led} },
      on_event => sub { seen(@_, 'joined') } });


# all of them are there: they stay until all has been looked at

sub seen {
    my ($q, $event, $name) = @_;

    $name //= $q->{question};
    $seen{$name} = $q if $event->{status} eq 'streaming' || $name eq $waits;

    if (keys %seen == 4 && !$held++) {
        while_running();
        provider_set($provider, upto => 'inf');
    }
}


sub while_running {
    my ($status, $text) = wait_live(3);
    my %row = map { $_->{GENERATION} => $_ } rows($text, 'STATE');
    my @rows = map { $row{ generation($seen{$_}) } } $led, $queued, $waits;

    is($status, 0, 'live: done');
    is(join(' ', map { "$_->{STATE}/$_->{BY}" } @rows),
       'running/led running/queued queued/queued', 'live: who is at it');
    is(join(' ', map { "$_->{BYTES}/$_->{EVENTS}" } @rows),
       join(' ', map { length(join('', (pieces_of($_, chunks => 6))[0 .. 2]))
                       . '/4' } $led, $queued) . ' 0/1',
       'live: how far it is');
    is((grep { "$_->{AGE} $_->{READERS}" !~ /^\d+s [01]$/ } @rows) + 0, 0,
       'live: age and readers');
    is((chatctl('live', '-n', 1))[1] =~ tr/\n//, 2, 'live: one line, if one is'
       . ' wanted');
    like((chatctl('live', '-n', 1))[2], qr/there are more/,
         'live: it says that there are more');

    # as much as there is

    ($status, $text) = chatctl('show', generation($seen{$queued}));
    is($text, join('', map { "data: {\"status\": $_}\n\n" } '"processing"',
        map { '"streaming", "chunk": ' . json_string($_) }
            (pieces_of($queued, chunks => 6))[0 .. 2]),
       'show: as much as there is');
    is((chatctl('show', '-q', $queued))[0], 1, 'show: it is not cached yet');

    # the queue

    ($status, $text) = broker('queue');
    is($status, 0, 'queue: done');
    is(join(' ', map { "$_->{QUEUE}:$_->{TASKS},$_->{WAITING},$_->{TAKEN}" }
        rows($text, 'QUEUE  TASKS')), 'tasks:2,1,1 led:0,0,0',
       'queue: how long it is');

    %row = map { $_->{GENERATION} => $_ } rows($text, 'QUEUE  STATE');
    @rows = map { $row{ generation($seen{$_}) } } $queued, $waits;
    is(join(' ', map { "$_->{STATE}/$_->{TAKEN}" } @rows), 'taken/1 waiting/0',
       'queue: who has been taken');
    like("$rows[0]{CONSUMER} $rows[0]{AGE} $rows[0]{IDLE}",
         qr/^[0-9a-f]{32} \d+s \d+s$/, 'queue: by whom, and when');
    like("$rows[1]{CONSUMER} $rows[1]{AGE} $rows[1]{IDLE}", qr/^- \d+s -$/,
         'queue: one that waits');
    is((grep { $_->{CONSUMER} eq $rows[0]{CONSUMER} && $_->{TASKS} == 1 }
        rows($text, 'QUEUE  CONSUMER')) + 0, 1, 'queue: its consumer');
    unlike((chatctl('queue'))[1], qr/\bwaiting\b/,
           'queue: where there is no task');

    # one that is led, and read on another host, which its next chunk finds out

    provider_set($provider, upto => 4);

    my $insured = wait_for {
        (rows((chatctl('-b', $others, 'queue'))[1], 'QUEUE  STATE'))[0]
    } 10, 'the task of what is led';

    like($insured->{ENTRY}, qr/^l\d+-\d+$/, 'queue: of what is led');
    is("$insured->{QUEUE} $insured->{STATE} $insured->{GENERATION}",
       'led taken ' . generation($seen{$led}), 'queue: what it is');
    is((chatctl('-b', $others, 'requeue', $insured->{ENTRY}))[0], 1,
       'requeue: not what is led');

    # what is in work is left alone

    my @refused = broker('requeue', $rows[0]{ENTRY});

    is($refused[0], 1, 'requeue: not what is in work');
    like($refused[2], qr/in work: its consumer was heard of \d+ s ago/,
         'requeue: not what is in work, and why');
    is((broker('requeue', $rows[1]{ENTRY}))[0], 1,
       'requeue: not what nobody has taken');
    is((broker('requeue', '1-1'))[0], 1, 'requeue: no such task');
    is((broker('requeue', 'f' x 32))[0], 1, 'requeue: no such consumer');
}


# as many generations as that

sub wait_live {
    my ($n) = @_;
    my @result;

    wait_for {
        @result = chatctl('live');
        (() = rows($result[1], 'STATE')) == $n;
    } 10, "$n generations";

    return @result;
}


stream_ok($all[$_], "the answer: $_", text => text_of($all[$_]{question},
                                                      chunks => 6))
    foreach 0 .. 3;

# what has ended

is(() = rows((wait_live(0))[1], 'STATE'), 0, 'live: none');
is(join(' ', map { $_->{STATE} } rows((chatctl('live', '-a'))[1], 'STATE')),
   'completed completed completed', 'live -a: what has ended');

# an answer as clients get it

my $odd = "\"What\"\n{{chunks=20;utf8=1}}\\ \x{263a}";

utf8::encode($odd);
ask($leads, { question => $odd });

my $hit = ask($leads, { question => $odd });

like($hit->{headers}{'cache-status'}, qr/hit/, 'show: it is cached');
is((chatctl('show', '-q', $odd))[1], $hit->{body}, 'show: as clients get it');
is((chatctl('show', sha256_hex($odd)))[1], $hit->{body}, 'show: by its key');
is((chatctl('show', generation($hit)))[1], $hit->{body},
   'show: a generation that has ended');
ask($leads, { question => $odd = 'What ends? {{finish=length}}' });
like((chatctl('show', generation(ask($leads, { question => $odd }))))[1],
     qr/"completed", "chunk": "[^"]+", "finish_reason": "length"\}\n\n$/,
     'show: the finish reason');
like((chatctl('show', generation(ask($leads, {
         question => 'What fails? {{status=400}}' }))))[1],
     qr/"error", "message": "[^"]+", "code": "provider_refused"\}\n\n$/,
     'show: an error');

# what is cached

my ($status, $text) = chatctl('cached');
my %row = map { $_->{KEY} => $_ } rows($text, 'TTL');
my $row = $row{ key_of($led) };

is($status, 0, 'cached: done');
is(join(' ', @$row{qw(BYTES CHUNKS PROVIDER MODEL)}),
   length(text_of($led, chunks => 6)) . ' 6 openai test', 'cached: what it is');
like($row->{TTL}, qr/^(?:8[5-9]\d|900)s$/, 'cached: how long it stays');
like($row->{AGE}, qr/^\d{1,2}s$/, 'cached: how old it is');
cmp_ok($row->{MEMORY}, '>', $row->{BYTES}, 'cached: what it takes');

# one that is kept beyond its TTL

my %kept = (%{ $redis->entries(stream_key($led))->[-1] }, v => 2,
            stale => 60000);

# the time that it is there, and what is told of it

foreach my $case ([ 72000, qr/^1[12]s$/ ], [ 60200, qr/^(?:0s|-1s)$/ ],
                  [ 59900, qr/^-[12]s$/ ], [ 48000, qr/^-1[23]s$/ ])
{
    $redis->cmd('XADD', stream_key('kept'), '*', %kept)
        if !$redis->cmd('EXISTS', stream_key('kept'));
    $redis->cmd('PEXPIRE', stream_key('kept'), $case->[0]);
    ($status, $text) = chatctl('cached');
    %row = map { $_->{KEY} => $_ } rows($text, 'TTL');
    like($row{ key_of('kept') }{TTL}, $case->[1],
         "cached: a kept one, $case->[0] ms");
    is($row{ key_of('kept') }{PROVIDER}, 'openai',
       "cached: whose it is, $case->[0] ms");
}

foreach my $odd ('1e3', '0x10', '-5', ' 5', '') {
    $redis->cmd('XADD', stream_key('odd'), '*',
                %{ { %kept, stale => $odd } });
    $redis->cmd('PEXPIRE', stream_key('odd'), 72000);
    ($status, $text) = chatctl('cached');
    %row = map { $_->{KEY} => $_ } rows($text, 'TTL');
    like(join(' ', @{ $row{ key_of('odd') } }{qw(TTL PROVIDER)}),
         qr/^7[12]s -$/, "cached: kept for '$odd', no answer");
    $redis->cmd('DEL', stream_key('odd'));
}

is((chatctl('show', '-q', 'kept'))[1], (chatctl('show', '-q', $led))[1],
   'show: a kept one');
is((chatctl('purge', '-q', 'kept'))[0], 0, 'purge: a kept one');

$redis->cmd('SET', stream_key('a'), "\e[2Jx");
$redis->cmd('XADD', stream_key('b'), '*', 'status', 'streaming', 'chunk', 'x');
$redis->cmd('SET', 'chat:stream:other', 'x');
($status, $text) = chatctl('cached');
is((() = $text =~ /^never +- +- +- +\d+ +- +- +[0-9a-f]{64}$/mg), 2,
   'cached: what is no answer');
is((chatctl('show', '-q', 'b'))[0], 1, 'show: what is no answer');
is((chatctl('cached', '-n', 2))[1] =~ tr/\n//, 3, 'cached: two lines');
$redis->cmd('DEL', map { stream_key($_) } 'a', 'b');

# many of them, among other keys

$redis->cmd('EVAL', <<'EOT', 0);
for i = 1, 3000 do
    redis.call('SET', 'other:' .. i, 'x')
    redis.call('SET', 'chat:stream:' .. redis.sha1hex(i) .. string.rep('0', 24),
               'x')
end
EOT
($status, $text) = chatctl('cached', '-n', 999999);
is((() = $text =~ /^never/mg), 3000, 'cached: all of many');
is((chatctl('cached'))[1] =~ tr/\n//, 101, 'cached: a hundred of many');
$redis->cmd('EVAL', <<'EOT', 0);
for i = 1, 3000 do
    redis.call('DEL', 'other:' .. i,
               'chat:stream:' .. redis.sha1hex(i) .. string.rep('0', 24))
end
EOT

# purge

is((chatctl('purge', '-q', $led))[0], 0, 'purge: by the question');
is((chatctl('purge', '-q', $led))[0], 1, 'purge: nothing is left');
is((chatctl('purge', key_of($queued)))[0], 0, 'purge: by the key');
is((chatctl('purge', generation($all[2])))[0], 0, 'purge: by the generation');
like(ask($leads, { question => $led })->{headers}{'cache-status'},
     qr/fwd=miss/, 'purge: it is asked anew');

foreach my $where ('lang', 'scope', 'both') {
    my @name = $where eq 'scope' ? ('-q', 'Why?') : ('-k', 'x|Why?');

    push(@name, '-s', 'x') if $where ne 'lang';
    ask($leads, { question => 'Why?', path => "/$where/chat",
                  headers => { X => 'x' } });
    is((chatctl('purge', @name))[0], 0, "purge: @name");
}

# stop: led, and queued

foreach my $nginx ($leads, $queues) {
    my $by = $nginx == $leads ? 'led' : 'queued';
    my @stopped;

    my $q = ask($nginx, {
        question => "When does it stop, $by? {{chunks=500;gap=20}}",
        on_event => sub {
            @stopped = chatctl('stop', generation($_[0]))
                if $_[1]{status} eq 'streaming' && !@stopped;
        }
    });

    is($stopped[0], 0, "stop: told, $by");
    stream_ok($q, "stop: ended, $by", error => 'stopped');
    is((chatctl('stop', generation($q)))[0], 1, "stop: has ended, $by");
}

# requeue: a task that a filler has taken, which is dead soon

my ($filler) = $queues->filler_pids;
my $did;

kill('STOP', $filler);

my $back = ask($queues, { question => 'Who is dead?', timeout => 40,
    on_event => sub { dead() if !$did++; } });


sub dead {
    my $row = wait_for { task_row() } 10, 'the task';
    my ($entry, $consumer) = @$row{qw(ENTRY CONSUMER)};

    is((broker('requeue', $consumer))[0], 1, 'requeue: heard of just now');

    # as if that was a while ago

    $redis->client(1)->cmd('XCLAIM', 'chat:tasks:1', 'fill', $consumer, 0,
                           $entry, 'IDLE', 20000, 'JUSTID');
    is(task_row()->{STATE}, 'dead', 'queue: the consumer is dead');

    my ($status, $text) = broker('requeue', $consumer);

    is($status, 0, 'requeue: done');
    like($text, qr/^requeued: $entry is \d+-\d+ now$/, 'requeue: says so');
    $row = task_row();
    is("$row->{STATE} $row->{TAKEN} $row->{CONSUMER}", 'waiting 0 -',
       'requeue: it waits');
    is((broker('requeue', $entry))[0], 1, 'requeue: once');

    $queues->allow_log(
        qr/(?:chat filler|unknown) process.* exited on signal 9/);
    kill('KILL', $filler);
}


sub task_row { return (rows((broker('queue'))[1], 'QUEUE  STATE'))[0] }


stream_ok($back, 'requeue: it is answered',
          text => text_of('Who is dead?', chunks => 6));

# wrong usage

foreach (['what'], ['show'], ['show', 'a' x 63], ['show', '-q', 'a', 'a' x 64],
         ['show', '-q', 'a', '-k', 'b'], ['stop', 'a' x 64], ['requeue'],
         ['requeue', '1-1', '2-2'], ['live', 'x'], ['live', '-n', 'x'],
         ['live', '-n', 0], ['live', '-x'], ['live', '-n'], [],
         ['-u', 'http://localhost', 'live'], ['-u', 'redis://a/b', 'live'])
{
    my ($status, $text, $errors) = chatctl(@$_);

    is($status, 2, "wrong: @$_");
    ok($text eq '' && length $errors, "wrong: @$_: and why");
}

# other ways to Redis; a password is in no command line

my $bin = test_dir() . '/bin';

mkdir($bin);

foreach my $name (qw(bash awk sed sort head tail grep cut tr env timeout
                     sha256sum cat))
{
    my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH});

    symlink($path, "$bin/$name");
}

my ($cli) = grep { -x } map { ("$_/redis-cli", "$_/valkey-cli") }
            split(/:/, $ENV{PATH});

open(my $file, '>', "$bin/valkey-cli") or die "$bin/valkey-cli: $!\n";
print $file "#!$bin/bash\nprintf '%s ' \"\$@\" >>$bin/log\nexec $cli \"\$@\"\n";
close($file);
chmod(0755, "$bin/valkey-cli");

{
    local $ENV{PATH} = $bin;

    is((chatctl('live'))[0], 0, 'valkey-cli will do');

    my ($sock) = map { "unix:$_" } "$redis->{dir}/redis.sock";

    is((chatctl('-u', "$sock?db=0", 'show', '-q', $led))[0], 0, 'a socket');
    is((chatctl('-u', "$sock?db=2", 'show', '-q', $led))[0], 1,
       'another database');

    $redis->cmd('CONFIG', 'SET', 'requirepass', 'p@ss w%rd');
    $redis->cmd('AUTH', 'p@ss w%rd');
    failed('without the password', qr/NOAUTH/, 'live');
    failed('with another password', qr/WRONGPASS/, '-u',
           'redis://:x@127.0.0.1:' . $redis->port, 'live');
    is((chatctl('-u', 'redis://:p%40ss%20w%25rd@127.0.0.1:' . $redis->port,
                'live'))[0], 0, 'with the password');
    is((chatctl('-u', 'redis://default:p%40ss%20w%25rd@127.0.0.1:'
                . $redis->port, 'live'))[0], 0, 'with user and password');
    unlike(read_file("$bin/log"), qr/p\@ss|p%40/, 'which nobody sees');
    $redis->cmd('CONFIG', 'SET', 'requirepass', '');

    rename("$bin/awk", "$bin/no-awk");
    failed('no awk to make a table with', qr/awk is not installed/, 'live');
    rename("$bin/no-awk", "$bin/awk");

    unlink("$bin/valkey-cli");
    is((chatctl('live'))[0], 3, 'no program to ask with');
}

# a user that may read alone; and never all keys at once

my %user;

foreach (read_file(Chat::Nginx::root() . '/scripts/README.md')
         =~ /^(user \w+ on .*)$/mg)
{
    my (undef, $name, undef, undef, @rules) = split(/ /);

    is($redis->cmd('ACL', 'SETUSER', $name, 'reset', 'on', '>x', @rules), 'OK',
       "README: user $name");
    $user{$name} = "redis://$name:x\@127.0.0.1:" . $redis->port . '/';
}

foreach my $name (sort keys %user) {
    foreach (['live', '-a'], ['cached'], ['queue'], ['show', '-q', $led],
             ['show', generation($hit)])
    {
        is((chatctl('-u', $user{$name}, @$_))[0], 0, "$name: may @$_");
    }
}

is((chatctl('-u', $user{reader}, 'purge', '-q', $led))[0], 3,
   'reader: may not purge');
is((chatctl('-u', $user{operator}, 'purge', '-q', $led))[0], 0,
   'operator: may purge');
is((chatctl('-u', $user{operator}, 'stop', generation($hit)))[0], 1,
   'operator: may stop what runs');

# another database than the one that was meant is not touched

{
    my $key = stream_key('Who is in database 0?');

    $redis->cmd('ACL', 'SETUSER', 'narrow', 'reset', 'on', '>x', '~*', '&*',
                '+@all', '-select');
    $redis->cmd('XADD', $key, '1-1', 'status', 'completed');

    my ($rc, $out) = chatctl('-u', 'redis://narrow:x@127.0.0.1:'
        . $redis->port . '/1', 'purge', '-q', 'Who is in database 0?');

    is($rc, 3, 'a database that is refused: an error');
    is($redis->cmd('EXISTS', $key), 1,
       'a database that is refused: nothing is removed');
}

# stop and requeue of what there is

$redis->cmd('HSET', '{chat:stream:' . 'a' x 64 . '}:1:gen:' . 'b' x 32 . ':own',
            'state', 'r');
$redis->cmd('XGROUP', 'CREATE', 'chat:tasks:1', 'fill', '0', 'MKSTREAM');
$redis->cmd('XADD', 'chat:tasks:1', '5-1', 'h', 'x');
$redis->cmd('XREADGROUP', 'GROUP', 'fill', 'gone', 'STREAMS', 'chat:tasks:1',
            '>');
is((chatctl('-u', $user{operator}, 'stop', 'b' x 32 . '.' . 'a' x 64))[0], 0,
   'operator: may stop');
is((chatctl('-u', $user{operator}, 'requeue', '-f', '5-1'))[0], 0,
   'operator: may put back');
unlike($redis->cmd('INFO', 'commandstats'), qr/^cmdstat_keys:/m, 'no KEYS');

# without one of the privileges a command tells the same as with it, or fails

$redis->cmd('XADD', 'chat:tasks:1', '5-2', 'h', 'x');
$redis->cmd('XREADGROUP', 'GROUP', 'fill', 'gone', 'STREAMS', 'chat:tasks:1',
            '>');

my $name = $user{operator} =~ s/operator/less/r;
my ($rules) = read_file(Chat::Nginx::root() . '/scripts/README.md')
    =~ /^user operator on >PASSWORD (.*)$/m;

# a generation that has ended, and stays however long it takes to look at it

my ($id, $h) = split(/\./, generation(ask($leads, {
    question => 'What is Perl?' })));
my @keys = map { "{chat:stream:$h}:1:gen:$id$_" } ':own', '';

wait_for { $redis->cmd('HGET', $keys[0], 'state') eq 'd' } 10, 'its end';
is($redis->cmd('PERSIST', $_), 1, "it stays: $_") foreach @keys;

my @commands = (['live'], ['cached'], ['queue'],
                ['show', '-q', 'What is Perl?'], ['show', "$id.$h"],
                ['stop', "$id.$h"], ['requeue', '1-1'], ['requeue', 'nobody'],
                ['purge', '-q', 'What was never asked?']);
my %fails;


# what it tells, whatever the time, which the order of answers follows, too

sub told {
    my ($status, $text, $errors) = chatctl('-u', $name, @_);

    s/\d+(?= ?s\b)/N/g, s/ +/ /g, s/\bdead\b/taken/g foreach $text, $errors;

    return "$status\n" . join('', sort split(/^/, $text)) . $errors;
}


sub less {
    my ($without) = @_;

    is($redis->cmd('ACL', 'SETUSER', 'less', 'reset', 'on', '>x',
                   grep { $_ ne $without } split(/ /, $rules)), 'OK',
       "without '$without': a user");

    # a consumer that was heard of lately has its task left to it

    $redis->cmd('XCLAIM', 'chat:tasks:1', 'fill', 'gone', 0, $_->[0], 'JUSTID')
        foreach @{ $redis->cmd('XPENDING', 'chat:tasks:1', 'fill', '-', '+', 9,
                               'gone') };
}


less('');

my %told = map { ("@$_" => told(@$_)) } @commands;

foreach my $rule (grep { /^[+~&]/ } split(/ /, $rules)) {
    less($rule);

    foreach (@commands) {
        my $told = told(@$_);

        next if $told eq $told{"@$_"};

        like($told, qr/\A3\nchatctl: Redis: .*lacks a privilege/,
             "without $rule: @$_");
        $fails{"@$_"} .= " $rule";
    }
}

like($fails{$_->[0]}, qr/ \Q$_->[1]\E/, "$_->[0]: needs $_->[1]")
    foreach ['live', '+hmget'], ['live', '~{chat:stream:*}:1:*'],
            ['cached', '+xrevrange'], ['queue', '+xpending'],
            ['queue', '+xinfo|consumers'], ['queue', '~chat:*'],
            ['show -q What is Perl?', '+xrevrange'],
            ["show $id.$h", '+xrange'], ["stop $id.$h", '+hget'],
            ['requeue 1-1', '+xpending'], ['requeue nobody', '+xpending'];

# a queue that is none

$redis->client(3)->cmd('SET', 'chat:tasks:1', 'x');
failed('a queue that is none', qr/WRONGTYPE/, '-b', $redis->url(3), 'queue');
failed('a queue that is none, requeue', qr/WRONGTYPE/, '-b', $redis->url(3),
       'requeue', '1-1');

# Sentinels that do not answer, or not to us

my $away = free_port();

failed('Sentinels', qr/:$away: .*onnect.*ERR unknown command/, '-u',
       "redis+sentinel://127.0.0.1:$away,127.0.0.1:" . $redis->port
       . '/mymaster', 'live');

# Redis is away, or does not answer

$redis->signal('STOP');
open($file, '<', $script) or die "$script: $!\n";

my $short = join('', <$file>) =~ s/^TIMEOUT=\d+$/TIMEOUT=1/mr;

close($file);
$script = test_dir() . '/chatctl';
open($file, '>', $script) or die "$script: $!\n";
print $file $short;
close($file);
chmod(0755, $script);

my @hung = chatctl('live');

is($hung[0], 3, 'Redis hangs');
like($hung[2], qr/no answer within 1 s/, 'Redis hangs: it says so');
$redis->signal('CONT');

my @gone = chatctl('-u', 'redis://127.0.0.1:' . free_port(), 'live');

is($gone[0], 3, 'Redis is away');
like($gone[2], qr/onnect/, 'Redis is away: it says so');

done();
