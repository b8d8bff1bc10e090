#!/usr/bin/perl

# More than there is room for: connections and open files used up in a worker
# and in a filler, questions and answers over their limits.  Who comes too
# late is told so, or waits; all others get their answers, and Redis keeps its
# connections.  (The queue's limit is in queue.t, a task that kills in
# task_crashes.t, tasks larger than a reply in large_tasks.t.)

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

my $CONNECTIONS = 32;
my $CLIENTS = 12;

my $provider = start_provider(chunks => 10, gap => 20);


# the connections of nginx that Redis knows, by their names

sub connections {
    my ($redis, $name) = @_;

    return sort map { /^id=(\d+)/ } grep { / name=ngx_chat:$name / }
        split(/\n/, $redis->cmd('CLIENT', 'LIST'));
}


sub open_files {
    my ($pid) = @_;

    opendir(my $dir, "/proc/$pid/fd") or return 0;

    return scalar(grep { /^\d/ } readdir($dir));
}


# only the same user may, where root has not all capabilities

sub limit_files {
    my ($pid, $n) = @_;
    my (undef, undef, undef, undef, $uid, $gid) = stat("/proc/$pid");
    my @as = $> == $uid ? ()
        : ('setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups');

    system(@as, 'prlimit', '--pid', $pid, "--nofile=$n:") == 0
        or die "prlimit: $?\n";
}


# A process that takes each connection it can get: a request that goes no
# further than its first line.

sub start_hog {
    my ($nginx) = @_;
    my $parent = $$;
    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        hog($nginx->port, $parent);
        POSIX::_exit(0);
    }

    return $pid;
}


sub stop_hog {
    my ($pid) = @_;

    kill('KILL', $pid);
    waitpid($pid, 0);
}


sub hog {
    my ($port, $parent) = @_;
    my $all = IO::Select->new;

    while (getppid() == $parent) {
        sleep(0.002);

        foreach my $sock ($all->can_read(0)) {
            $all->remove($sock);
            close($sock);
        }

        next if $all->count > 100;

        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $port, Proto => 'tcp', Timeout => 1) or next;

        syswrite($sock, "POST /chat HTTP/1.1\r\nHost");
        $all->add($sock);
    }
}


# is every place taken? then a connection ends as soon as it is there, or
# stays in the kernel's queue

sub is_full {
    my ($nginx) = @_;
    my $q = get($nginx, '/', timeout => 0.5);

    return defined $q->{error};
}


# Redis cannot be reached for a moment, while others wait for the places of its
# connections

sub redis_is_back {
    my ($redis, $proxy, @names) = @_;
    my %gone = map { $_ => 1 } map { connections($redis, $_) } @names;

    $proxy->set(refuse => 1);
    $proxy->set(drop => 1);
    wait_for { !grep { $gone{$_} } map { connections($redis, $_) } @names } 5,
        'the connections to end';
    sleep(0.5);
    $proxy->set(refuse => 0);

    return wait_for {
        (grep { !$gone{$_} } map { connections($redis, $_) } @names)
            == keys %gone
    } 5, 'new connections';
}


# worker_connections, which calls of the worker itself need too

foreach my $lead ('on', 'off') {
    my $redis = start_redis();
    my $proxy = start_proxy($redis);
    my $nginx = start_nginx(redis => 'redis://127.0.0.1:' . $proxy->port,
        provider => $provider, workers => 1, connections => $CONNECTIONS,
        lead => $lead,
        server => 'add_header X-Source $chat_source always;');
    my $name = 'few connections' . ($lead eq 'on' ? ', led' : '');
    my $none = 'no connection left' . ($lead eq 'on' ? ', led' : '');

    $nginx->allow_log(qr/worker_connections are not enough/,
                      qr/exited on signal 9/);

    stream_ok(scalar ask($nginx, { question => 'Is it quiet?' }),
              "$name: an answer when it is quiet");

    my @before = map { [ connections($redis, $_) ] } 'commands', 'pubsub';
    my @all = ask($nginx, map { { question => "Who asks $_? {{gap=150}}" } }
                  1 .. $CONNECTIONS + 10);
    my @refused = grep { defined $_->{error} } @all;
    my @served = grep { !defined $_->{error} } @all;

    cmp_ok(scalar(@refused), '>=', 10,
           "$name: who comes too late is sent away");

    # a call of the worker takes a second one

    my @led = grep { $_->{headers}{'x-source'} eq 'led' } @served;

    cmp_ok(@served + @led, '>=', $CONNECTIONS - 10, "$name: nobody else is");
    is((grep { length $_->{raw} } @refused) + 0, 0,
       "$name: nothing half is sent");
    stream_ok($served[$_],
              "$name: $_ of those in time",
              restarts => 0) foreach 0 .. $#served;
    is_deeply([ map { [ connections($redis, $_) ] } 'commands', 'pubsub' ],
              \@before, "$name: Redis keeps its own");

    stream_ok(scalar ask($nginx, { question => $refused[0]{question} }),
              "$name: asked again it is answered");


    # a worker has two connections to Redis, a filler as many

    my @asks = map { { question => "Who stays $_? {{gap=400}}" } }
        1 .. $CLIENTS;
    my $later = ask_later($nginx, @asks);

    mid_answer($redis, 2, map { $_->{question} } @asks);

    my $hog = start_hog($nginx);

    ok(wait_for(sub { is_full($nginx) }, 10, 'it to be full'),
       "$none: it is full");
    ok(redis_is_back($redis, $proxy, 'commands', 'pubsub', 'tasks'),
       "$none: Redis gets its own back");
    my @there = results($later);

    stream_ok($there[$_], "$none: client $_ was there before")
        foreach 0 .. $#there;


    # so does a filler that dies, whether it is replaced at once or later

    my $filler = filler($nginx);

    foreach my $when ('at once', 'later') {
        kill('KILL', $filler);
        $filler = another_filler($nginx, $filler);
        ok($filler, "$none: another filler $when");
    }

    ok(is_full($nginx), "$none: full all the time");
    stop_hog($hog);

    stream_ok(scalar ask($nginx, { question => 'Is it quiet again?' }),
              "$name: then it is as before", restarts => 0);
}


# open files of a worker; its filler gets by with as many

foreach my $lead ('on', 'off') {
    my $redis = start_redis();
    my $proxy = start_proxy($redis);
    my $nginx = start_nginx(redis => 'redis://127.0.0.1:' . $proxy->port,
        provider => $provider, workers => 1, lead => $lead,
        main => 'worker_rlimit_nofile 40;');
    my $name = 'no file left' . ($lead eq 'on' ? ', led' : '');

    # nginx itself tries to accept when it is quitting already

    $nginx->allow_log(qr/accept4?\(\) failed \(9: /,
                      qr/exited on signal 9/);

    my @asks = map { { question => "Who is in $_? {{gap=100}}" } } 1 .. 3;
    my $later = ask_later($nginx, @asks);

    mid_answer($redis, 2, $asks[0]{question});

    my $hog = start_hog($nginx);

    ok(wait_for(sub { is_full($nginx) }, 10, 'it to be full'),
       "$name: it is full");
    like($nginx->error_log, qr/accept4?\(\) failed \(24: /,
         "$name: nginx says so");

    my $late = ask_later($nginx, { question => 'Who waits outside?' });

    ok(redis_is_back($redis, $proxy, 'commands', 'pubsub'),
       "$name: Redis gets its connections back");
    my @there = results($later);

    stream_ok($there[$_], "$name: client $_ was there before")
        foreach 0 .. $#there;

    my ($worker) = $nginx->worker_pids;
    my $filler = filler($nginx);

    foreach my $when ('at once', 'later') {
        ok(wait_for(sub { !grep { !-l "/proc/$worker/fd/$_" } 0 .. 39 }, 10),
           "$name: the last one is taken, $when");
        kill('KILL', $filler);
        $filler = another_filler($nginx, $filler);
        ok($filler, "$name: another filler $when") or last;
    }

    ok(is_full($nginx), "$name: full all the time");
    stop_hog($hog);
    stream_ok((results($late))[0],
              "$name: the late one has its turn", restarts => 0);
}


# open files of a filler: as many generations as they allow

{
    my $redis = start_redis();
    my $nginx = start_nginx(redis => $redis, provider => $provider,
        workers => 1, lead => 'off', main => 'worker_rlimit_nofile 72;',
        http => 'chat_fill concurrency=20;');

    provider_reset($provider);

    my @all = ask($nginx, map { { question => "Who has room $_?" } } 1 .. 12);

    stream_ok($all[$_],
              "files of a filler: all are served, $_",
              restarts => 0) foreach 0 .. 11;
    is(provider_stats($provider)->{max_active}, 3,
       'files of a filler: three at once');
    like($nginx->error_log, qr/\[warn\] .*: 72 open files are not enough for 20 /,
         'files of a filler: the log says so');
}


# no file is left for a call

{
    my $redis = start_redis();
    my $nginx = start_nginx(redis => $redis, provider => $provider,
                            workers => 1, lead => 'off');
    my $question = 'Who was there before? {{chunks=40;gap=100}}';
    my $later = ask_later($nginx, { question => $question });

    mid_answer($redis, 2, $question);

    my $pid = filler($nginx);

    limit_files($pid, open_files($pid));

    my $q = ask($nginx, { question => 'Who gets no file?' });

    stream_ok($q, 'no file for a call: an error',
              error => 'internal', restarts => 0);
    cmp_ok($q->{ended} - $q->{started}, '<', 10,
           'no file for a call: told soon');
    like($nginx->error_log,
         qr/provider "openai" .* could not be asked for want of connections,/,
         'no file for a call: the log says why');

    # what is tried again finds one

    $q = ask_later($nginx, { question => 'Who gets a file at last?' });
    sleep(0.1);
    limit_files($pid, 1024);
    stream_ok((results($q))[0],
              'no file for a call: a later try has one', restarts => 0);
    stream_ok((results($later))[0],
              'no file for a call: who was there before goes on',
              restarts => 0);
    is(filler($nginx), $pid, 'no file for a call: the filler is the same');
}


# questions, bodies and answers over their limits, all at once with others

{
    my $redis = start_redis();
    my $nginx = start_nginx(redis => $redis, provider => $provider,
        location => 'chat_max_question 1k; chat_max_answer 10k;'
            . ' client_max_body_size 8k; client_body_buffer_size 2k;');
    my @asks = (
        (map { { question => "Who fits $_?" } } 0 .. 3),
        { question => 'x' x 1025 },
        { body => '{"question": "Why?"' . ' ' x 9000 . '}' },
        { body => sprintf("%x\r\n%s\r\n0\r\n\r\n", 9000, ' ' x 9000),
          headers => { 'Transfer-Encoding' => 'chunked' } },
        { question => 'How long? {{chunks=100;bytes=110;gap=0}}' },
        { question => 'How long is one? {{chunks=1;bytes=11000}}' },
        { question => 'x' x 1024 },
    );
    my @all = ask($nginx, @asks);

    stream_ok($all[$_],
              "limits: request $_ fits", restarts => 0) foreach 0 .. 3, 9;
    is("$all[4]{status} " . parse_json($all[4]{body})->{code},
       '422 invalid_field', 'a question that is too long: 422');
    is("$all[$_]{status} " . parse_json($all[$_]{body})->{code},
       '413 body_too_large', "a body that is too long: request $_")
        foreach 5, 6;
    stream_ok($all[$_], "an answer that is too long: request $_",
              error => 'answer_too_long', restarts => 0) foreach 7, 8;
    is($redis->cmd('EXISTS', map { stream_key($_->{question}) } @asks[7, 8]),
       0, 'an answer that is too long: not cached');
}

done();
