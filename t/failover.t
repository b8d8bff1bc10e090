#!/usr/bin/perl

# Several providers: which failures hand a question over to the next one, what
# clients see of it, who is asked how often, and who is left out for a while.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

my $redis = start_redis();
my $first = start_provider(chunks => 6, gap => 5);
my $second = start_provider(chunks => 4, gap => 5);
my $third = start_provider(chunks => 3);
my $closed = free_port();

my ($blocks, $locations) = ('', '');


# a provider, by its server, what its model says about its behaviour, and more

sub provider {
    my ($name, $port, $options, $lines) = @_;

    $port = $port->port if ref $port;
    $blocks .= "chat_provider $name { url http://127.0.0.1:$port/v1;"
        . " key sk-test-key; model \"$name;$options\"; $lines }\n";
}


sub location {
    my ($name, @providers) = @_;

    $locations .= "location = /$name { chat @providers; }\n";
}


# what is remembered, and shown: of the first 32 of them

my %health = (
    default => 'fail_timeout 5s;',
    never => 'max_fails 0;',
    three => 'max_fails 3;',
    said => 'max_fails 0;',
    probe => 'fail_timeout 1s;',
    alone => '',
    both => '',
);

foreach my $name (sort keys %health) {
    provider("a_h_$name", $third, '', "$health{$name} retries 0;");
    provider("b_h_$name", $name eq 'both' ? $third : $second, '',
             'retries 0;');
    location("h_$name", "a_h_$name",
             $name eq 'alone' ? () : "b_h_$name");
}

# Where the first provider fails and the second does not: how, settings of the
# first, calls of the first, calls of the second.

my $quick = 'first_token_timeout 400ms; idle_timeout 400ms;';
my $calm = 'first_token_timeout 5s; idle_timeout 2s;';

my %cases = (
    refused     => [ '', '', 0, 1 ],
    reset       => [ 'fault=reset;at=0', '', 1, 1 ],
    eof         => [ 'fault=eof;at=0', '', 1, 1 ],
    html        => [ 'fault=html', '', 1, 1 ],
    no_headers  => [ 'fault=hang', $quick, 1, 1 ],
    no_token    => [ 'first=9000', $quick, 1, 1 ],
    too_long    => [ 'first=9000', 'total_timeout 400ms;', 1, 1 ],
    refused_302 => [ 'status=302', '', 1, 1 ],
    refused_401 => [ 'status=401', '', 1, 1 ],
    refused_403 => [ 'status=403', '', 1, 1 ],
    refused_404 => [ 'status=404', '', 1, 1 ],
    late_408    => [ 'status=408', '', 1, 1 ],
    busy_429    => [ 'status=429', '', 1, 1 ],
    after_429   => [ 'status=429;retry_after=60', '', 1, 1 ],
    broken_500  => [ 'status=500', '', 1, 1 ],
    broken_503  => [ 'status=503', '', 1, 1 ],
    wrong_400   => [ 'status=400', '', 1, 1 ],
    wrong_413   => [ 'status=413', '', 1, 0 ],
    wrong_414   => [ 'status=414', '', 1, 1 ],
    wrong_422   => [ 'status=422', '', 1, 1 ],
    wrong_431   => [ 'status=431', '', 1, 1 ],
);

# Whose fault it was is told by the body: status, body, what of it is logged,
# and whether the next one is asked.

my %said = (
    context => [ 400, '{"error": {"message": "The maximum context length is'
        . ' 8192 tokens.", "type": "invalid_request_error", "param":'
        . ' "messages", "code": "context_length_exceeded"}}',
        'invalid_request_error context_length_exceeded', 0 ],
    prompt => [ 400, '{"type": "error", "error": {"type":'
        . ' "invalid_request_error", "message": "prompt is too long: 209353'
        . ' tokens > 199999 maximum"}}', 'error invalid_request_error', 0 ],
    policy => [ 422, '{"error": {"message": "filtered", "type": null, "code":'
        . ' "content_filter", "status": 422}}', 'content_filter', 0 ],
    size => [ 500, '{"error": {"code": 500, "message": "too large", "type":'
        . ' "exceed_context_size_error"}}', 'exceed_context_size_error', 0 ],
    key => [ 400, '{"code": "Client specified an invalid argument", "error":'
        . ' "Incorrect API key provided: se***et."}', undef, 1 ],
    list => [ 400, '[{"error": {"code": 400, "message": "API key not valid.",'
        . ' "status": "INVALID_ARGUMENT", "details": [{"reason":'
        . ' "API_KEY_INVALID"}]}}]', 'INVALID_ARGUMENT API_KEY_INVALID', 1 ],
    credit => [ 400, '{"type": "error", "error": {"type":'
        . ' "invalid_request_error", "message": "Your credit balance is too'
        . ' low."}}', 'error invalid_request_error', 1 ],
    param => [ 400, '{"error": {"message": "Unsupported parameter", "type":'
        . ' "invalid_request_error", "code": "unsupported_parameter"}}',
        'invalid_request_error unsupported_parameter', 1 ],
    extra => [ 422, '{"object": "error", "message": {"detail": [{"type":'
        . ' "extra_forbidden", "loc": ["body", "stream_options"], "msg":'
        . ' "Extra inputs are not permitted"}]}, "type":'
        . ' "invalid_request_error"}',
        'extra_forbidden invalid_request_error', 1 ],
    minute => [ 413, '{"error": {"message": "Request too large: tokens per'
        . ' minute (TPM)", "type": "tokens", "code": "rate_limit_exceeded"}}',
        'tokens rate_limit_exceeded', 1 ],
);

foreach my $name (keys %said) {
    my ($status, $body, $words, $next) = @{ $said{$name} };

    $cases{"said_$name"} = [
        "status=$status;says=" . option_value($body), '', 1, $next
    ];
}

foreach my $name (sort keys %cases) {
    my ($options, $lines) = @{ $cases{$name} };

    provider("a_$name", $name eq 'refused' ? $closed : $first, $options,
             $lines);
    provider("b_$name", $second, '', '');
    location($name, "a_$name", "b_$name");
}

# in the middle of the answer

my @middle = ('reset', 'eof', 'badjson', 'errobj', 'stall');

foreach my $fault (@middle) {
    provider("a_mid_$fault", $first, "fault=$fault;at=3;gap=400", $calm);
    provider("b_mid_$fault", $second, 'gap=150', '');
    location("mid_$fault", "a_mid_$fault", "b_mid_$fault");
}

# all of them fail

provider('a_all', $first, 'status=503', 'retries 1;');
provider('b_all', $second, 'status=429', 'retries 2;');
provider('a_once', $first, 'status=401', '');
provider('b_once', $second, 'fault=eof;at=2', 'retries 1;');
provider('a_time', $first, 'status=503', 'retries 9; total_timeout 300ms;');
provider('b_time', $second, 'status=503', 'retries 9; total_timeout 2500ms;');
provider('a_wait', $first, 'status=503;retry_after=1', 'retries 1;');
provider('b_wait', $second, 'status=503;retry_after=60', 'retries 1;');
location($_, "a_$_", "b_$_") foreach qw(all once time wait);

my ($nginx, $by);

my $number = 0;


sub question {
    my ($path, %more) = @_;

    return { question => 'Question ' . ++$number . " of $path?",
             path => "/$path", %more };
}


sub pieces {
    my ($question, $chunks) = @_;

    return [ pieces_of($question, chunks => $chunks) ];
}


# calls to all three for a question

sub calls {
    my ($question) = @_;

    return join(' ', map { provider_stats($_, $question) } $first, $second,
                $third);
}


sub logged {
    my ($question) = @_;
    my $line = wait_for {
        (grep { /question=\[\Q$question\E\]/ }
         split(/\n/, read_file($nginx->dir . '/chat.log')))[-1];
    } 5, "a line for $question";

    return { ($line // '') =~ /(\w+)=\[(.*?)\]/g };
}


sub health_of {
    my ($name) = @_;
    my $page = parse_json(get($nginx, '/')->{body});

    return (grep { $_->{name} eq $name } @{ $page->{providers} })[0];
}


sub asked_of {
    my ($name) = @_;
    my $ask = question("h_$name");

    stream_ok(scalar ask($nginx, $ask),
              "$by$name, question $number: an answer", restarts => 0);

    return calls($ask->{question});
}

# The worker that leads asks them, and then a filler.

foreach my $lead ('on', 'off') {
    # one worker, or each has its own opinion of providers

    $by = $lead eq 'on' ? 'led, ' : '';
    $nginx = start_nginx(redis => $redis, workers => 1, lead => $lead,
        http => $blocks . <<'EOT',
        log_format chat 'question=[$chat_question] provider=[$chat_provider] '
                        'model=[$chat_model] status=[$chat_status]';
        access_log %%DIR%%/chat.log chat;
EOT
        server => $locations, location => 'return 404;', provider => $second);

    wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'ok';

    # before anything was sent

    my @names = sort keys %cases;
    my @asks = map { question($_) } @names;
    my @all = ask($nginx, @asks);

    foreach my $i (0 .. $#names) {
        my $name = $names[$i];
        my ($options, $lines, $one, $two) = @{ $cases{$name} };
        my $question = $asks[$i]{question};
        my $q = $all[$i];

        is(calls($question), "$one $two 0", "${by}$name: $one and $two calls");

        if (!$two) {
            stream_ok($q, "${by}$name: not handed over",
                      error => 'provider_refused', restarts => 0);
            is(logged($question)->{provider}, "a_$name",
               "${by}$name: \$chat_provider is the first");
            is($redis->cmd('EXISTS', stream_key($question)), 0,
               "${by}$name: nothing is cached");
            next;
        }

        stream_ok($q, "${by}$name: handed over", restarts => 0,
                  chunks => pieces($question, 4), cache => qr/fwd=miss$/);

        my $line = logged($question);

        is($line->{provider}, "b_$name",
           "${by}$name: \$chat_provider is the second");
        is($line->{model}, "b_$name",
           "${by}$name: \$chat_model is of the second");

        my $last = $redis->entries(stream_key($question))->[-1];

        is("$last->{provider} $last->{model}", "b_$name b_$name",
           "${by}$name: the cache names the second");
        unlike($q->{body}, qr/sk-|127\.0\.0\.1|secret|[ab]_/,
               "${by}$name: the client is not told");
    }

    unlike($nginx->error_log, qr/is asked again/,
           "${by}all cases: nobody waits for a back-off");
    like($nginx->error_log,
         qr/\[error\].*provider "a_refused_$_" .*HTTP status $_/,
         "${by}refused_$_: an error in the log") foreach 401, 403, 404;

    foreach my $name (sort keys %said) {
        my ($status, $body, $words, $next) = @{ $said{$name} };
        my ($line) = $nginx->error_log =~ /(provider "a_said_$name" at .*)/;
        my $end = (defined $words ? " ($words)" : '')
            . ($next ? '' : ', the question is at fault');

        like($line // '', qr/ refused\ the\ request,
                              \ HTTP\ status\ $status\Q$end\E(?:,|\ while\ )/x,
             "${by}said: $name: types and codes in the log");
    }

    unlike($nginx->error_log, qr/credit balance|se\*\*\*et|8192 tokens/,
           "${by}said: nothing else of it is in the log");
    like($nginx->error_log,
         qr/provider "b_broken_500" is asked instead of "a_broken_500"/,
         "${by}broken_500: the log tells who is asked instead");

    # hits, and those who join, know who has answered

    my $question = $asks[0]{question};

    stream_ok(scalar ask($nginx, $asks[0]),
              "${by}a hit: the answer of the second", cache => qr/hit/,
              chunks => pieces($question, 4));
    is(logged($question)->{provider}, "b_$names[0]",
       "${by}a hit: \$chat_provider is the second");

    # in the middle of the answer

    @asks = map {
        my $ask = question("mid_$_");
        my $seen = 0;

        ({ %$ask, on_event => sub { $seen++ } },
         { %$ask, after => sub { $seen >= 2 } });
    } @middle;
    @all = ask($nginx, @asks);

    foreach my $fault (@middle) {
        my $name = "mid_$fault";
        my ($q, $early) = splice(@all, 0, 2);
        my $question = $q->{question};
        my @want = (chunks => pieces($question, 4));

        stream_ok($q, "${by}$name: starts over", restarts => 1, @want);
        is_deeply([ map { $_->{status} } @{ $q->{events} } ],
                  [ 'processing', ('streaming') x 3, 'processing',
                    ('streaming') x 4, 'completed' ],
                    "${by}$name: processing comes twice");
        stream_ok($early,
                  "${by}$name: a client that joined sees the same",
                  restarts => 1, @want, cache => qr/collapsed/);
        is(calls($question), '1 1 0', "${by}$name: one call of each");

        my $entries = $redis->entries(stream_key($question));

        is_deeply([ map { $_->{status} } @$entries ],
                  [ 'processing', ('streaming') x 4, 'completed' ],
                  "${by}$name: cached without the first try");
        is($entries->[-1]{provider}, "b_$name",
           "${by}$name: the cache names the second");

        my @lines = grep { /question=\[\Q$question\E\]/ }
            split(/\n/, read_file($nginx->dir . '/chat.log'));

        is(scalar(grep { /provider=\[b_$name\] model=\[b_$name\]/ } @lines), 2,
           "${by}$name: both know who has answered");
    }

    # all of them fail: further rounds, with a back-off

    @asks = map { question($_) } qw(all once time wait);
    @all = ask($nginx, @asks);

    stream_ok($all[0], "${by}all: an error", error => 'provider_rate_limited',
              restarts => 0);
    is(calls($asks[0]{question}), '2 3 0', "${by}all: each 1 + retries times");
    cmp_ok($all[0]{ended} - $all[0]{started}, '>=', 0.6,
           "${by}all: with a back-off");
    is(logged($asks[0]{question})->{provider}, 'a_all',
       "${by}all: \$chat_provider is the first");

    stream_ok($all[1], "${by}once: an error", error => 'provider_broken');
    is(calls($asks[1]{question}), '1 2 0',
       "${by}once: a 401 is not asked again");

    stream_ok($all[2], "${by}time: an error", error => 'provider_refused');
    is(calls($asks[2]{question}), '4 4 0',
       "${by}time: rounds within the largest total_timeout");
    cmp_ok($all[2]{ended} - $all[2]{started}, '<', 2.5 + $SLACK,
           "${by}time: not for longer");

    stream_ok($all[3], "${by}wait: an error", error => 'provider_refused');
    is(calls($asks[3]{question}), '2 1 0',
       "${by}wait: a Retry-After is waited for, a long one is not");
    cmp_ok($all[3]{ended} - $all[3]{started}, '>=', 1,
           "${by}wait: as long as it says");

    is($redis->cmd('EXISTS', map { stream_key($_->{question}) } @asks), 0,
       "${by}all fail: nothing is cached");

    # one that is down is left out, and found again

    provider_set($third, status => 503);
    is(asked_of('default'), '0 1 1', "${by}default: the first fails");
    is(asked_of('default'), '0 1 0', "${by}default: it is left out");

    my $shown;

    wait_for { ($shown = health_of('a_h_default'))->{failures} } 5, 'the page';
    is($shown->{model}, 'a_h_default;', "${by}health: the model is shown");
    is($shown->{answers}, 0, "${by}health: no answer is counted");
    is($shown->{failures}, 1, "${by}health: one failure is counted");
    is(health_of('b_h_never')->{state}, 'up', "${by}health: another is up");

    is(asked_of('never'), '0 1 1', "${by}never: question $_") foreach 1 .. 3;
    is(asked_of('three'), '0 1 1', "${by}three: question $_") foreach 1 .. 3;
    is(asked_of('three'), '0 1 0', "${by}three: then it is left out");
    ok(wait_for(sub { health_of('a_h_three')->{state} eq 'down' }, 5),
       "${by}health: three failures make it down");
    is(asked_of('probe'), '0 1 1', "${by}probe: it fails");

    provider_set($third, status => 429, retry_after => 6);
    is(asked_of('said'), '0 1 1', "${by}said: leave me alone");
    ok(wait_for(sub { health_of('a_h_said')->{state} eq 'limited' }, 4),
       "${by}health: Retry-After makes it limited");
    is(asked_of('said'), '0 1 0', "${by}said: it is left alone");

    # alone, or with others that are no better, it is asked all the same

    foreach my $n (1, 2) {
        my $ask = question('h_alone');

        stream_ok(scalar ask($nginx, $ask), "${by}alone, question $n: an error",
                  error => 'provider_rate_limited');
        is(calls($ask->{question}), '0 0 1',
           "${by}alone, question $n: it is asked");
        $ask = question('h_both');
        stream_ok(scalar ask($nginx, $ask), "${by}both, question $n: an error",
                  error => 'provider_rate_limited');
        is(calls($ask->{question}), '0 0 2',
           "${by}both, question $n: both are asked");
    }

    provider_reset($third);

    wait_for { health_of('a_h_default')->{state} eq 'up' } 8, 'it may be asked';
    ok(wait_for(sub { asked_of('default') eq '0 0 1' }, 5),
       "${by}default: it is asked after fail_timeout");
    is(asked_of('default'), '0 0 1', "${by}default: it stays");
    ok(wait_for(sub { asked_of('said') eq '0 0 1' }, 8),
       "${by}said: it is asked after Retry-After");

    # when it may be asked again, one question tries it for all

    provider_set($third, first => 2000);

    my @probes = map { question('h_probe') } 1 .. 4;

    ask($nginx, @probes);
    is(join(',', sort map { calls($_->{question}) } @probes),
       '0 0 1,0 1 0,0 1 0,0 1 0', "${by}probe: one of several");
    provider_reset($third);
    is(asked_of('probe'), '0 0 1', "${by}probe: it works again");

    # what its answers and failures were

    ok(wait_for(sub {
        my $one = health_of('a_h_probe');

        $one->{answers} == 2 && $one->{failures} == 1 && $one->{state} eq 'up';
    }, 5), "${by}health: answers and failures are counted");

    foreach my $i (0 .. 2) {
        my $provider = ($first, $second, $third)[$i];

        wait_for { provider_stats($provider)->{active} == 0 } 5;
        is(provider_stats($provider)->{active}, 0,
           "${by}at the end: no call goes on at provider $i");
    }

    # its filler would take the tasks of the next one

    $nginx->stop if $lead eq 'on';
}

# Another host, whose filler does not know all of them: its questions are
# taken here, since its own filler stands still.

my $url = 'url http://127.0.0.1:' . $second->port . '/v1; key "";';
my $other = start_nginx(redis => $redis, lead => 'off',
                        http => <<"EOT", server => <<'EOT');
    chat_provider nobody { $url model nobody; }
    chat_provider nobody2 { $url model nobody; }
    chat_provider a_h_alone { $url model another; }
    chat_provider b_refused { $url model "b_refused;"; }
EOT
    location = /none  { chat nobody nobody2; }
    location = /some  { chat nobody b_refused; }
    location = /other { chat nobody a_h_alone; }
EOT

my $filler = filler($other);

ok(takes_none($redis, $filler), 'another host: its own filler takes nothing');
ok(wait_for(sub { waiting_for_tasks($redis) }, 10),
   'another host: a filler here waits');

my $none = question('none');
my $started = time();

stream_ok(scalar ask($other, $none), 'none is known: an error',
          error => 'internal', restarts => 0);
is(calls($none->{question}), '0 0 0', 'none is known: nobody is asked');
cmp_ok(time() - $started, '<', 2 + $SLACK, 'none is known: told at once');
like($nginx->error_log, qr/\[error\].*provider "$_" is not configured here/,
     "none is known: the log names $_") foreach 'nobody', 'nobody2';
like($nginx->error_log,
     qr/\[error\].*question has no provider that is configured here/,
     'none is known: the log says so');

my $some = question('some');

stream_ok(scalar ask($other, $some), 'one of two is known: an answer',
          chunks => pieces($some->{question}, 4));
is(calls($some->{question}), '0 1 0', 'one of two is known: it is asked');
is($redis->cmd('EXISTS', stream_key($some->{question})), 1,
   'one of two is known: its answer is cached');

# settings that differ

foreach my $n (1, 2) {
    my $differs = question('other');

    stream_ok(scalar ask($other, $differs),
              "settings that differ, question $n: an answer",
              chunks => pieces($differs->{question}, 3));
    is(calls($differs->{question}), '0 0 1',
       "settings that differ, question $n: asked as here");
    is($redis->cmd('EXISTS', stream_key($differs->{question})), 0,
       "settings that differ, question $n: its answer is not cached");
}

my @lines = grep { /configured differently/ } split(/\n/, $nginx->error_log);

is(scalar(@lines), 1, 'settings that differ: told once');
like($lines[0], qr/\[warn\].*"a_h_alone"/,
     'settings that differ: the log names the provider');

kill('CONT', $filler);

done();
