#!/usr/bin/perl

# The direct path when a provider cannot be reached, and other providers or
# servers in the place of one that fails.  What is made of its answers is in
# direct_answers.t.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Chat::Life qw(stand_still);
use Chat::Test;

my $provider = start_provider(chunks => 5, gap => 10);
my $second = start_provider(chunks => 5, gap => 10);
my $dead = free_port();
my $number = 0;
my $passive;


sub calls {
    my ($server, $question) = @_;

    return provider_stats($server, $question);
}


my $FIRST = 2;

my $lines = "connect_timeout 1s; first_token_timeout ${FIRST}s;"
    . ' idle_timeout 1500ms; total_timeout 4s;';

# a host that does not answer, or not at all

my $away = start_nginx(redis => 'off', workers => 1, provider => $dead,
    provider_lines => "$lines retries 0;");

stream_ok(scalar ask($away, { question => 'Who is there?' }),
          'connection refused: an error', error => 'provider_refused');
like($away->error_log, qr/provider "openai" at .* cannot be reached/,
     'connection refused: logged as unreachable');

my $nowhere = start_nginx(redis => 'off', workers => 1,
    provider => 'http://no-such-host.invalid/v1',
    provider_lines => "$lines retries 0;");

like(read_file($nowhere->dir . '/stderr'),
     qr/\[warn\] .*no-such-host\.invalid/,
     'a name that is not found: a warning at the start');

my $q = ask($nowhere, { question => 'Who is there?' });

stream_ok($q, 'no address: an error', error => 'provider_refused');
like($q->{terminal}{message}, qr/^The provider cannot be reached/,
     'no address: the client hears that');

# somebody who accepts and says nothing

my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10)
    or die "listen: $!\n";
my $silent = start_nginx(redis => 'off', workers => 1,
    provider => $mute->sockport, provider_lines => "$lines retries 0;");

$q = ask($silent, { question => 'Do you hear me?' });

stream_ok($q, 'silence: an error', error => 'provider_timeout');
cmp_ok($q->{ended} - $q->{started}, '<', $FIRST + $SLACK,
       'silence: ended in time');

# one after the other

my $two = start_nginx(redis => 'off', workers => 1, http => <<"EOT",
    chat_provider a {
        url http://127.0.0.1:@{[$provider->port]}/v1;
        key sk-test-key; model first; retries 1; max_fails 0; $lines
    }
    chat_provider b {
        url http://127.0.0.1:@{[$second->port]}/v1;
        key sk-test-key; model second; retries 1; $lines
    }
    chat_provider dead {
        url http://127.0.0.1:$dead/v1;
        key sk-test-key; model third; $lines
    }
    log_format chat '\$uri \$chat_provider \$chat_status';
    access_log %%DIR%%/chat.log chat;
EOT
    servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /chat { chat a b; }
        location = /dead { chat dead b; }
    }
EOT

provider_set($provider, status => 503);
$q = ask($two, { question => 'Who is next?' });
stream_ok($q, 'the first fails: the second one answers', restarts => 0);
unlike($two->error_log, qr/is asked again/,
       'the first fails: no back-off in between');
is(calls($provider, 'Who is next?'), 1, 'the first fails: it was asked once');
is(calls($second, 'Who is next?'), 1,
   'the first fails: the second was asked once');
ok(wait_for { read_file($two->dir . '/chat.log') =~ m!^/chat b completed$!m },
   'the first fails: the log says who answered');

stream_ok(scalar ask($two, { path => '/dead', question => 'Dead?' }),
          'a dead provider: another answers', restarts => 0);

provider_set($provider, status => 400,
             says => '{"error": {"code": "context_length_exceeded"}}');
stream_ok(scalar ask($two, { question => 'Who is to blame?' }),
          'the question is at fault: an error', error => 'provider_refused');
is(calls($second, 'Who is to blame?'), 0,
   'the question is at fault: nobody else is asked');
like($two->error_log, qr/HTTP status 400 \(context_length_exceeded\), the /,
     'the question is at fault: the log tells the code');

provider_set($provider, says => '{"error": {"code": "invalid_api_key"}}');
stream_ok(scalar ask($two, { question => 'Whose key is wrong?' }),
          'a 400 for another reason: another answers', restarts => 0);
is(calls($second, 'Whose key is wrong?'), 1,
   'a 400 for another reason: the second is asked');

provider_set($provider, status => 0, fault => 'reset', at => 2);
stream_ok(scalar ask($two, { question => 'Who starts over?' }),
          'after the first chunk: another starts over', restarts => 1);

# the same once more, when all have failed

provider_set($provider, fault => '', status => 503, fails => 1);

my $once = start_nginx(redis => 'off', workers => 1, provider => $provider,
    provider_lines => 'retries 2;');

$q = ask($once, { question => 'Once more?' });
stream_ok($q, 'a retry: an answer', restarts => 0);
is(calls($provider, 'Once more?'), 2, 'a retry: the provider is called twice');
cmp_ok($q->{ended} - $q->{started}, '>', 0.15, 'a retry: after a back-off');
provider_set($provider, status => 0, fails => 0);

# One that is down is left out, and found again: the first provider by what its
# model says about its behaviour, and more, the second one, and a location.

my ($blocks, $locations) = ('', '');
my $busy = 'status=503';
my $alone = 'fail_timeout 10m; retries 0;';

foreach (
    [ 'down', $busy, $alone, '' ],
    [ 'three', $busy, "$alone max_fails 3;", '' ],
    [ 'never', $busy, "$alone max_fails 0;", '' ],
    [ 'said', 'status=429;retry_after=600', "$alone max_fails 0;", '' ],
    [ 'alone', $busy, $alone, undef ],
    [ 'both', $busy, $alone, $busy, 'retries 0;' ],
    [ 'few', $busy, 'retries 0; max_fails 0;', $busy, 'retries 2;' ],
    [ 'many', $busy, 'retries 2; max_fails 0;', $busy, 'retries 0;' ],
    [ 'clear', '', "$alone max_fails 3;", '' ],
    [ 'back', '', 'retries 0; fail_timeout 1s;', '' ],
    [ 'after', '', 'retries 0; max_fails 0;', '' ])
{
    my ($name, $options, $more, $others, $theirs) = @$_;

    $blocks .= block("a_$name", $provider, $options, $more);
    $blocks .= block("b_$name", $second, $others, $theirs || '')
        if defined $others;
    $locations .= "location = /$name { chat a_$name"
        . (defined $others ? " b_$name" : '') . "; }\n";
}


sub block {
    my ($name, $server, $options, $more) = @_;

    return "chat_provider $name { url http://127.0.0.1:" . $server->port
        . "/v1; key sk-test-key; model \"$name;$options\"; $more }\n";
}


sub called {
    my ($question) = @_;

    return calls($provider, $question) . ' ' . calls($second, $question);
}


# calls to the first and to the second for a question that is answered

sub asked_of {
    my ($name) = @_;
    my $question = "Who is $name, number " . ++$number . '?';

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($passive, { path => "/$name",
                                     question => $question }),
              "$name, question $number: an answer", restarts => 0);

    return called($question);
}


# the same when nobody answers, with the time it takes

sub failed_by {
    my ($name) = @_;
    my $question = "Who fails, number " . ++$number . '?';
    my $q = ask($passive, { path => "/$name", question => $question });

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok($q, "$name, question $number: an error",
              error => 'provider_refused', restarts => 0);

    return (called($question), $q->{ended} - $q->{started});
}


provider_reset($provider);
provider_reset($second);

$passive = start_nginx(redis => 'off', workers => 1, provider => $dead,
    http => $blocks, server => $locations);

is(asked_of('down'), '1 1', 'down: the first fails');
is(asked_of('down'), '0 1', "down: left out, $_") foreach 1 .. 3;
is(asked_of('three'), '1 1', "three: question $_") foreach 1 .. 3;
is(asked_of('three'), '0 1', 'three: then it is left out');
is(asked_of('never'), '1 1', "never: question $_") foreach 1 .. 3;
is(asked_of('said'), '1 1', 'said: it says Retry-After');
is(asked_of('said'), '0 1', "said: it is left alone, $_") foreach 1, 2;

like($passive->error_log,
     qr/provider "b_down" is asked instead of "a_down"/,
     'down: the log says who is asked instead');

# alone, or with others that are no better, it is asked all the same

is((failed_by('alone'))[0], '1 0', "alone: asked, $_") foreach 1 .. 3;
is((failed_by('both'))[0], '1 1', "both: asked, $_") foreach 1, 2;

# each as often as it says itself

my ($calls, $took) = failed_by('few');

is($calls, '1 3', 'few: its own retries');
cmp_ok($took, '>=', 0.55, 'few: with a back-off');
($calls, $took) = failed_by('many');
is($calls, '3 1', 'many: its own retries');
cmp_ok($took, '>=', 0.55, 'many: with a back-off');

# an answer clears what was before it

provider_set($provider, status => 503);
is(asked_of('clear'), '1 1', "clear: it fails, $_") foreach 1, 2;
provider_set($provider, status => 0);
is(asked_of('clear'), '1 0', 'clear: it answers');
provider_set($provider, status => 503);
is(asked_of('clear'), '1 1', "clear: it fails again, $_") foreach 1 .. 3;
is(asked_of('clear'), '0 1', 'clear: then it is left out');

# after fail_timeout, or the time it has said, it is asked again

my $failed = time();

is(asked_of('back'), '1 1', 'back: it fails');
provider_set($provider, status => 429, retry_after => 2);
is(asked_of('after'), '1 1', 'after: leave me alone');
provider_reset($provider);

ok(wait_for(sub { asked_of('back') eq '1 0' }, 20),
   'back: asked after fail_timeout');
cmp_ok(time() - $failed, '>=', 0.9, 'back: not before fail_timeout');
is(asked_of('back'), '1 0', 'back: it stays');
ok(wait_for(sub { asked_of('after') eq '1 0' }, 20),
   'after: asked after Retry-After');
cmp_ok(time() - $failed, '>=', 1.9, 'after: not before Retry-After');

# what the worker knows, without a filler

my %shown = map { $_->{name} => "$_->{state} $_->{answers} $_->{failures}" }
    @{ parse_json(get($passive, '/')->{body})->{providers} };

is($shown{a_down}, 'down 0 1', 'health: one that failed is down');
is($shown{b_down}, 'up 4 0', 'health: one that answered is up');
is($shown{a_said}, 'limited 0 1',
   'health: one that said Retry-After is limited');
is($shown{a_never}, 'up 0 3', 'health: one with max_fails 0 is never down');

# a refusal of a question before it was there as a whole: no other is asked

my ($rude, $rude_port) = refuser();
my $large = start_nginx(redis => 'off', workers => 1, http => <<"EOT",
    client_max_body_size 16m;
    chat_max_question 8m;
    chat_provider a { url http://127.0.0.1:$rude_port/v1; }
    chat_provider b {
        url http://127.0.0.1:@{[$second->port]}/v1; key sk-test-key;
    }
EOT
    servers => <<'EOT');
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /chat { chat a b; }
    }
EOT

stream_ok(scalar ask($large, { question => 'Why? ' . 'x' x 7_000_000,
                               timeout => 30 }),
          'refused half way: an error', error => 'provider_refused');
like($large->error_log, qr/refused the request, HTTP status 413/,
     'refused half way: logged with the status');

kill('KILL', $rude);
waitpid($rude, 0);

# what is logged of a call whose asker is served already

my $debug = start_nginx(redis => 'off', workers => 1, provider => $provider,
    level => 'debug');

stream_ok(scalar ask($debug, { question => "Logged, $_?" }),
          "a debug log: question $_ is answered")
    foreach 1 .. 3;

# a group of servers, the first of which is dead

my $group = start_nginx(redis => 'off', workers => 1,
    provider => 'http://group/v1', provider_lines => "$lines retries 0;",
    http => "upstream group { server 127.0.0.1:$dead; server 127.0.0.1:"
            . $provider->port . "; keepalive 8; }");

provider_reset($provider);
stream_ok(scalar ask($group, { question => "Group, $_?" }),
          "a group: question $_ is answered")
    foreach 1 .. 6;
like(provider_stats($provider)->{last_headers}, qr/^Host: group\r?$/m,
     'a group: asked by its name');
cmp_ok(provider_stats($provider)->{connections}, '<=', 4,
       'a group: connections are kept');

# a name that is resolved when it is asked for, as no connection is kept

my ($dns, $dns_port, $answers) = name_server();
my $name = 'http://provider.test:' . $provider->port . '/v1';
my $late = start_nginx(redis => 'off', workers => 1, provider => $name,
    provider_lines => "$lines retries 0; keepalive 0;",
    http => "resolver 127.0.0.1:$dns_port valid=1s ipv6=off;");

unlike(read_file($late->dir . '/stderr'), qr/\[warn\].*provider\.test/,
       'a name with a resolver: not looked for at start');
stream_ok(scalar ask($late, { question => "Resolved, $_?" }),
          "a name with a resolver: question $_ is answered")
    foreach 1 .. 3;
answer_with($answers, '127.0.0.9');
sleep(2.2);
stream_ok(scalar ask($late, { question => 'Moved?' }),
          'it has moved away: an error',
          error => 'provider_refused');
answer_with($answers, '127.0.0.9 127.0.0.1');
sleep(2.2);
stream_ok(scalar ask($late, { question => 'Both?' }),
          'one of two addresses: an answer');
answer_with($answers, '');
sleep(2.2);
stream_ok(scalar ask($late, { question => 'None?' }),
          'not found any more: an error',
          error => 'provider_refused');
like($late->error_log, qr/cannot be resolved, "provider\.test: Host not found"/,
     'not found any more: logged with the reason');

kill('KILL', $dns);
waitpid($dns, 0);

# an answer that is there before its question: with accept_mutex the event of
# the connection is known, but not handled yet, when that is taken again

my $hasty = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10)
    or die "listen: $!\n";
my $early = start_nginx(redis => 'off', provider => 'http://hasty/v1',
    events => 'accept_mutex on;',
    http => 'upstream hasty { server 127.0.0.1:' . $hasty->sockport
            . '; keepalive 4; }');
my ($peer, @early);

wait_for { @early = sort($early->worker_pids); @early == 2 } 10, 'workers';

my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $early->port) or die "connect: $!\n";

send_question($client, 'first');
like(whole($client), qr/"completed"/, 'early answers: the first is whole');

foreach (1 .. 8) {
    stand_still($_) foreach @early;
    send_question($client, "early $_");
    answer_to($peer);
    kill('CONT', $_) foreach @early;
    like(whole($client), qr/"completed"/, "early answers: number $_ is whole");
}

is_deeply([sort($early->worker_pids)], \@early,
          'early answers: the workers stay the same');

done();


sub send_question {
    my ($sock, $q) = @_;
    my $body = qq({"question": "$q"});

    syswrite($sock, "POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
}


sub answer_to {
    my ($sock) = @_;
    my $body = qq(data: {"choices":[{"index":0,"delta":{"content":"Early."},)
        . qq("finish_reason":"stop"}]}\n\ndata: [DONE]\n\n);

    syswrite($sock, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
}


# what comes for a question, which is answered on a new connection if it was
# not before

sub whole {
    my ($sock) = @_;
    my $end = time() + 30;
    my $got = '';
    my $select = IO::Select->new($sock, $hasty);

    while ($got !~ /\r\n0\r\n\r\n\z/ && time() < $end) {
        foreach my $ready ($select->can_read(1)) {
            if ($ready == $hasty) {
                $peer = $hasty->accept;
                sysread($peer, my $request, 65536);
                answer_to($peer);
                next;
            }

            sysread($sock, $got, 65536, length($got)) or return $got;
        }
    }

    return $got;
}


# refuses with the first bytes of a request, and goes without the others

sub refuser {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10)
        or die "listen: $!\n";
    my $pid = fork() // die "fork: $!\n";

    return ($pid, $listen->sockport) if $pid;

    while (my $peer = $listen->accept) {
        sysread($peer, my $request, 1000);
        syswrite($peer, "HTTP/1.1 413 Too Large\r\nContent-Length: 100\r\n"
            . "\r\n{");

        # what is not read yet would be lost with the connection

        sleep(3);
        close($peer);
    }

    POSIX::_exit(0);
}


# answers each question for an address with those in a file

sub name_server {
    my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Proto => 'udp') or die "socket: $!\n";
    my $file = test_dir() . '/addresses';
    my $pid;

    answer_with($file, '127.0.0.1');
    $pid = fork() // die "fork: $!\n";

    return ($pid, $sock->sockport, $file) if $pid;

    while (defined(my $peer = $sock->recv(my $query, 512))) {
        my ($id) = unpack('n', $query);
        my $end = index($query, "\0", 12);
        my $asked = substr($query, 12, $end - 12 + 5);
        my @addresses = split(/ /, read_file($file));
        my $flags = @addresses ? 0x8180 : 0x8183;

        $sock->send(pack('n6', $id, $flags, 1, scalar(@addresses), 0, 0)
            . $asked
            . join('', map { pack('n3Nn', 0xc00c, 1, 1, 1, 4)
                             . pack('C4', split(/\./)) } @addresses),
            0, $peer);
    }

    POSIX::_exit(0);
}


sub answer_with {
    my ($file, $text) = @_;

    open(my $out, '>', "$file.new") or die "$file: $!\n";
    print $out $text;
    close($out);
    rename("$file.new", $file) or die "$file: $!\n";
}
