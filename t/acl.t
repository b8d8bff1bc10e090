#!/usr/bin/perl

# The users of Redis in its README may do all that is needed, and nothing else:
# each command and each pattern of their rules is missed when it is taken away.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

my $root = Chat::Nginx::root();
my $lua = "$root/ngx_chat_module/store/lua";
my ($text) = read_file("$root/ngx_chat_module/redis/README.md")
    =~ /^<!-- test: acl -->\n```\n(.*?)^```/ms;
my (%words, $password);

ok(defined $text, 'README of redis/: has the rules') or die;

foreach (split(/\n/, $text)) {
    my ($name, @words) = /^user (\w+) on >PASSWORD (.*)$/
        ? ($1, split(/ /, $2)) : die "odd rule: $_\n";

    $words{$name} = \@words;
}

is_deeply([ sort keys %words ], [ 'chat', 'tasks' ],
          'README of redis/: the rules have two users');

$password = 'a password';

my $provider = start_provider(chunks => 3, gap => 20);
my $redis = start_redis();
my %seen;


# a rule without one of its words

sub set_user {
    my ($server, $name, $without, @words) = @_;
    my $reply = $server->cmd('ACL', 'SETUSER', $name, 'reset', 'on',
        ">$password", grep { $_ ne $without } @words);

    die "ACL SETUSER: $reply\n" if ref $reply;
}


sub union {
    return grep { !$seen{$_}++ } map { @{ $words{$_} } } 'chat', 'tasks';
}


sub user_url {
    my ($server, $name) = @_;

    return "redis://$name:a%20password\@127.0.0.1:" . $server->port;
}


# what was refused: the names of commands, keys and channels

sub denied {
    my ($server) = @_;
    my @denied;

    foreach my $entry (@{ $server->cmd('ACL', 'LOG') }) {
        my %entry = @$entry;

        push(@denied, "$entry{reason} $entry{object} $entry{context}");
    }

    return sort @denied;
}


# a connection as that user

sub as_user {
    my ($server, $name) = @_;
    my $client = $server->client;

    $client->connection;
    $client->cmd('AUTH', $name, $password);

    return $client;
}


sub script {
    my ($file) = @_;

    return read_file("$lua/$file")
        =~ s/^--include (\S+)\n/script($1)/gmer;
}


# deletes consumers that were idle for ten minutes; here it does not wait

sub sweep {
    my ($server, $name) = @_;
    my $client = as_user($server, $name);
    my $sha = $server->cmd('SCRIPT', 'LOAD', script('sweep.lua'));

    wait_for {
        !ref $server->cmd('XGROUP', 'CREATECONSUMER', 'chat:tasks:1', 'fill',
                          'gone')
    } 5, 'the group';

    my $reply = $client->cmd('EVALSHA', $sha, 1, 'chat:tasks:1', 0);

    return ref($reply) eq 'ARRAY' ? $reply->[0] : $reply;
}


# adds the task of a led generation

sub insure {
    my $sha = $redis->cmd('SCRIPT', 'LOAD', script('insure.lua'));

    return as_user($redis, 'both')->cmd('EVALSHA', $sha, 1,
                                        'chat:led:1:{chat:tasks:1}', 'a',
                                        'h', '');
}


# What Redis is asked by others than this test, collected by another process.

sub start_monitor {
    my ($server) = @_;
    my $file = test_dir() . '/monitor' . $server->port;
    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        my $client = $server->client;

        open(my $out, '>', $file) or die "$file: $!\n";
        $out->autoflush(1);
        $client->cmd('MONITOR');
        print $out "it looks\n";

        while (1) {
            print $out $client->reply . "\n";
        }
    }

    wait_for { -s $file } 5, 'the monitor';

    return { pid => $pid, file => $file, server => $server,
             own => $server->cmd('CLIENT', 'INFO') =~ / addr=(\S+)/ };
}


sub commands_of {
    my ($monitor) = @_;
    my %commands;

    # it has written all that came before this

    $monitor->{server}->cmd('ECHO', 'that is all');
    wait_for { read_file($monitor->{file}) =~ /"that is all"/ } 10,
        'the end of what was asked';

    kill('KILL', $monitor->{pid});
    waitpid($monitor->{pid}, 0);

    foreach (split(/\n/, read_file($monitor->{file}))) {
        my ($who, $name, $sub) =
            /^\d+\.\d+ \[\d+ (\S+)\] "(\w+)"(?: "(\w+)")?/ or next;

        next if $who eq $monitor->{own};

        $name = lc($name);
        $name .= '|' . lc($sub)
            if $name =~ /^(?:client|pubsub|script|xgroup|xinfo)$/;
        $commands{"+$name"} = 1;
    }

    delete @commands{'+auth', '+monitor'};

    return \%commands;
}


# the commands of a rule, but for those that MONITOR does not show

sub monitored {
    return sort grep { /^\+/ && $_ ne '+client|unblock' } @_;
}


# all that happens in the life of an answer, led and by way of the queue

sub life {
    my ($name, $cache, $first, $second) = @_;
    my $q = "What may $name?";

    stream_ok(scalar ask($first, { question => $q }),
              "$name: a miss is answered",
              cache => qr/fwd=miss$/, restarts => 0);
    stream_ok(ask_hit($second, { question => $q }),
              "$name: a hit is answered",
              cache => qr/hit/, restarts => 0);
    stream_ok(scalar ask($first, { question => $q, use_cache => 0 }),
              "$name: a refresh is answered",
              cache => qr/fwd=request$/, restarts => 0);

    # silent for more than a renewal, longer than the time between two PINGs

    my $slow = "Who may join $name? {{first=3500;gap=1000}}";
    my @all = ask($first, { question => $slow },
        { question => $slow, nginx => $second,
          after => sub { live_id($cache, $slow) } },
        { question => $q, path => '/cancel', body => undef, method => 'GET' },
        { question => "Who may leave $name? {{chunks=200;gap=50}}",
          path => '/cancel', hangup_after => 1 });

    stream_ok($all[$_],
              "$name: a slow answer for client $_", restarts => 0) foreach 0, 1;
    like($all[1]{headers}{'cache-status'}, qr/collapsed$/,
         "$name: the second client joins");

    ok(wait_for(sub { !provider_stats($provider)->{active} }, 15, 'cancel'),
       "$name: cancelled when its reader has left");

    # a filler that dies; instances may be two, and each has one

    my $long = "Who may take $name over? {{chunks=40;gap=100}}";
    my $led = "Who may write $name? {{chunks=40;gap=100}}";
    my $later = ask_later($first, { question => $long, path => '/queued' },
        { question => $led });

    mid_answer($cache, 3, $long, $led);

    my $other = ask_later($second, { question => $led });

    wait_for {
        my $gen = '{' . stream_key($led) . '}:1:gen:' . live_id($cache, $led);

        $cache->cmd('PUBSUB', 'NUMSUB', $gen)->[1]
    } 10, 'the other instance to listen';
    kill('KILL', $first->filler_pids, $second->filler_pids);

    my ($taken, $kept) = results($later);

    stream_ok($taken, "$name: taken over from a killed filler");
    cmp_ok(processing_of($taken), '==', 2,
           "$name: taken over by starting again once");
    stream_ok($kept, "$name: led, a killed filler is not noticed",
              restarts => 0);
    stream_ok((results($other))[0], "$name: led, and read elsewhere",
              cache => qr/collapsed$/);

    ok(wait_for(sub { get($first, '/')->{body} =~ /"status": "ok"/ }, 10),
       "$name: health is ok afterwards");

    ok($second->reload, "$name: reload succeeds");
    stream_ok(scalar ask($second, { question => "$q Again?" }),
              "$name: an answer after the reload");
    wait_for { $second->filler_pids == 1 } 15, 'one filler';
}


sub instance {
    my (%opt) = @_;
    my $nginx = start_nginx(provider => $provider, workers => 1,
        zone => 'chat 1m', server =>
        'chat_miss_limit $remote_addr rate=1000r/s burst=1000;
         location = /cancel { chat; chat_abandon cancel grace=500ms; }
         location = /queued { chat; chat_lead off; }', lead => 'on', %opt);

    $nginx->allow_log(qr/exited on signal 9/);

    return $nginx;
}


# one server, one user with the words of both

my @both = union();

set_user($redis, 'both', '', @both);

my $monitor = start_monitor($redis);
my ($first, $second) = map { instance(redis => user_url($redis, 'both')) } 1, 2;

life('one user', $redis, $first, $second);
is(insure()->[0], 'OK', 'one user: a led generation is insured');
cmp_ok(sweep($redis, 'both'), '>', 0,
       'one user: sweep deletes the idle consumer');
is_deeply([ denied($redis) ], [], 'one user: nothing is refused');
is_deeply([ sort keys %{ commands_of($monitor) } ],
          [ monitored(@both) ], 'one user: all commands of the rule are used');


# two servers, two users

{
    my $broker = start_redis();

    set_user($redis, 'chat', '', @{ $words{chat} });
    set_user($broker, 'tasks', '', @{ $words{tasks} });

    $_->stop foreach $first, $second;
    $redis->cmd('SCRIPT', 'FLUSH');

    my @monitors = map { start_monitor($_) } $redis, $broker;
    my @two = map { instance(redis => user_url($redis, 'chat'),
                             broker => user_url($broker, 'tasks')) } 1, 2;

    life('two users', $redis, @two);
    cmp_ok(sweep($broker, 'tasks'), '>', 0,
           'two users: sweep deletes the idle consumer');
    is_deeply([ map { denied($_) } $redis, $broker ], [],
              'two users: nothing is refused');

    my ($cache, $tasks) = map { commands_of($_) } @monitors;

    is_deeply([ sort keys %$cache ], [ monitored(@{ $words{chat} }) ],
              'two users: all commands of chat are used');
    is_deeply([ sort keys %$tasks ], [ monitored(@{ $words{tasks} }) ],
              'two users: all commands of tasks are used');
    $_->stop foreach @two;
}


# each word in its turn

($first, $second) = map { instance(redis => user_url($redis, 'both')) } 1, 2;

my $known = 'What is known already?';
my $n = 0;

ask($first, { question => $known });

my %before = (
    '+client|id' => \&reconnect, '+client|setname' => \&reconnect,
    '+client|tracking' => \&reconnect, '&__redis__:invalidate' => \&reconnect,
    '+info' => \&reconnect,
    '+xgroup|create' => sub { $redis->cmd('DEL', 'chat:tasks:1') },
    '+script|load' => sub { $redis->cmd('SCRIPT', 'FLUSH') },
    '~chat:led:1:*' => \&insure,
    '+xinfo|consumers' => sub { sweep($redis, 'both') },
    '+xgroup|delconsumer' => sub { sweep($redis, 'both') },
);

foreach my $word (grep { /^[+~&]/ } @both) {
    my ($name) = $word =~ /^\+(.*)/;

    set_user($redis, 'both', $word, @both);
    $redis->cmd('ACL', 'LOG', 'RESET');
    ($before{$word} || sub {})->();

    my @open = $word eq '+client|unblock' ? quit() : fire();
    my $what = defined $name ? qr/^command \Q$name\E /i
        : $word =~ /^&_/ ? qr/^channel __redis__:invalidate/
        : $word =~ /^&/ ? qr/^channel \{chat:stream:\w+\}:1:gen:/
        : $word =~ /\{/ ? qr/^key \{chat:stream:\w+\}:1:/
        : qr/^key \Q@{[ substr($word, 1, 10) ]}\E/;
    my $found = wait_for {
        grep { $_ =~ $what } denied($redis)
    } 12, "the refusal of $word";

    ok($found, "without $word: something is refused")
        or diag(join("\n", denied($redis)));
    close($_) foreach @open;
    set_user($redis, 'both', '', @both);
}


# each of the ways to ask, without waiting for an answer

sub fire {
    my $slow = 'Who joins ' . ++$n . '? {{first=3500;chunks=30;gap=100}}';
    my @sent = map { send_to(@$_) } ([ $first, "Who asks $n?" ],
        [ $first, "Who waits $n?", '/queued' ], [ $first, $known ],
        [ $first, $slow ]);

    sleep(0.05);

    return (@sent, send_to($second, $slow));
}


sub send_to {
    my ($nginx, $question, $path) = @_;
    my $body = "{\"question\": \"$question\"}";
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port, Proto => 'tcp') or return;

    $path //= '/chat';
    print $sock "POST $path HTTP/1.1\r\nHost: a\r\nContent-Type:"
        . " application/json\r\nContent-Length: " . length($body)
        . "\r\n\r\n$body";
    $sock->flush;

    return $sock;
}


# a filler that reads, and does not know its connection from a time when it
# was not allowed to ask for it

sub quit {
    reconnect();
    wait_for {
        2 <= grep { / name=ngx_chat:tasks .* cmd=xreadgroup / }
            split(/\n/, $redis->cmd('CLIENT', 'LIST'))
    } 10, 'fillers to read';
    $second->reload;

    return;
}


sub reconnect {
    $redis->cmd('CLIENT', 'KILL', 'USER', 'both');
}


# what the log says

my $log = $first->error_log;

like($log, qr/redis cannot serve chat command "\w+": "NOPERM /,
     'log: names a refused command');
like($log, qr/pubsub: a command was refused: "NOPERM /,
     'log: names a refused subscription');
like($log, qr/\[warn\].*: (?:INFO|CLIENT \w+) was refused: "NOPERM /,
     'log: names a refused command of the setup');
like($log, qr/redis answered chat command "open" with error "[^"]*user[^"]*"/,
     'log: names a command refused in a script');

# all is well again

ok(wait_for(sub { get($first, '/')->{body} =~ /"status": "ok"/ }, 15,
            'health'), 'rules restored: health is ok');
stream_ok(scalar ask($first, { question => 'Who may ask again?' }),
          'rules restored: a question is answered');

done();
