#!/usr/bin/perl

# What a provider sends: all forms of a good stream, every way to go wrong, and
# what is cached of it.  A worker that leads asks it, and then a filler.  The
# retries are left to another test.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my %provider = (chunks => 10, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%provider);
my $locked = start_provider(%provider, key => 'sk-right');
my $closed = free_port();

# not a name, without asking anybody

my $unknown = 'a' x 70 . '.invalid';

my %blocks = (
    short => 'retries 0; first_token_timeout 2500ms; idle_timeout 2s;',
    total => 'retries 0; total_timeout 800ms;',
    nobody => "retries 0; url http://127.0.0.1:$closed/v1;",
    unknown => "retries 0; url http://$unknown/v1;",
    wrong_key => "retries 0; url http://127.0.0.1:$locked->{port}/v1;"
        . ' key sk-wrong;',
    no_key => "retries 0; url http://127.0.0.1:$locked->{port}/v1;",
);

my ($blocks, $locations) = ('', '');

foreach my $name (sort keys %blocks) {
    my $url = $blocks{$name} =~ /url/ ? ''
        : "url http://127.0.0.1:$provider->{port}/v1;";

    $blocks .= "chat_provider $name { $url $blocks{$name} }\n";
    $locations .= "location = /$name { chat $name; }\n";
}

my ($nginx, $by);
my $number = 0;


sub question {
    my ($options) = @_;

    return 'Number ' . ++$number . "? {{$options}}";
}


sub stored { return $redis->cmd('EXISTS', stream_key($_[0])) }


# which is a moment later where a worker has told its client

sub cached {
    my ($question) = @_;

    return wait_for { stored($question) } 5;
}


# what must not be there after an answer that is not cached

sub nothing_left {
    my ($question, $name) = @_;
    my $tag = '{' . stream_key($question) . '}:1:';
    my @keys;

    # what a worker has told its client is written a moment later

    wait_for {
        @keys = grep { index($_, $tag) == 0 } @{ $redis->cmd('KEYS', '*') };
        !grep { /:live:/ } @keys;
    } 5;

    is(stored($question), 0, "$name: nothing is cached");
    is(scalar(grep { /:live:/ } @keys), 0, "$name: nothing is announced");
    is(scalar(grep { my $ttl = $redis->cmd('PTTL', $_);
                     $ttl < 0 || $ttl > 60_000 } @keys), 0,
       "$name: the rest is gone in a minute");
}


# forms of the stream

my @forms = ('crlf', 'comments', 'nospace', 'multiline', 'split', 'te=close',
             'usage=0', 'reasoning=3', 'gap=5', 'utf8', 'fault=null;at=3',
             'fault=nodone', 'te=close;fault=nodone', 'fault=cut',
             'te=close;fault=cut', 'crlf;split;utf8',
             'comments;crlf;nospace;multiline;reasoning=2;utf8',
             'comments;crlf;nospace;multiline;split;utf8;te=close');

# Faults: options, the code, and how many chunks come before it.  Where is
# another location than "/chat".

my @faults = (
    ['fault=eof;at=3', 'provider_broken', 3],
    ['fault=reset;at=3;gap=5', 'provider_broken', 3],
    ['fault=end;at=3', 'provider_broken', 3],
    ['fault=end;at=0', 'provider_broken', 0],
    ['fault=end', 'provider_broken', 10],
    ['fault=eof;at=0', 'provider_broken', 0],
    ['fault=eof;at=10;te=close', 'provider_broken', 10],
    ['fault=eof;at=3;te=close', 'provider_broken', 3],
    ['fault=badjson;at=4', 'provider_broken', 4],
    ['fault=badutf8;at=4', 'provider_broken', 4],
    ['fault=errobj;at=5', 'provider_broken', 5],
    ['fault=errobj;at=0', 'provider_broken', 0],
    ['fault=huge;at=2', 'provider_broken', 2],
    ['fault=html', 'provider_broken', 0],
    ['fault=stall;at=6', 'provider_timeout', 6, '/short'],
    ['fault=stall;at=0', 'provider_timeout', 0, '/short'],
    ['fault=hang', 'provider_timeout', 0, '/short'],
    ['gap=100', 'provider_timeout', undef, '/total'],
    ['status=400', 'provider_refused', 0],
    ['status=401', 'provider_refused', 0],
    ['status=403', 'provider_refused', 0],
    ['status=404', 'provider_refused', 0],
    ['status=408', 'provider_timeout', 0],
    ['status=413', 'provider_refused', 0],
    ['status=429', 'provider_rate_limited', 0],
    ['status=500', 'provider_refused', 0],
    ['status=503', 'provider_refused', 0],
    ['status=302', 'provider_refused', 0],
    ['status=204', 'provider_broken', 0],
    ['chunks=11;bytes=20', 'answer_too_long', undef, '/small'],
    ['chunks=1;bytes=201', 'answer_too_long', 0, '/small'],
    ['a=1', 'provider_refused', 0, '/nobody'],
    ['a=2', 'provider_refused', 0, '/wrong_key'],
    ['a=4', 'provider_refused', 0, '/unknown'],
    ['a=3', 'no_key', 0, '/no_key'],
);

# one code, but not the same for who reads it

my %message = (
    'a=1' => 'The provider cannot be reached. Please try again later.',
    'a=4' => 'The provider cannot be reached. Please try again later.',
    'a=2' => 'The provider did not accept the request. Please try again later.',
    'status=400' =>
        'The provider did not accept the request. Please try again later.',
    'status=503' =>
        'The provider did not accept the request. Please try again later.',
    'status=413' => 'The provider refused the question.',
);

foreach my $lead ('on', 'off') {
    $by = $lead eq 'on' ? 'led, ' : '';
    $nginx = start_nginx(redis => $redis, provider => $provider, lead => $lead,
        provider_lines => 'retries 0;', http => $blocks, server => <<"EOT");
        $locations

        location = /small {
            chat;
            chat_max_answer 200;
        }
EOT

    wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'it to be ready';

    # the request

    my $question = "${by}What is asked?";

    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}the request: an answer");

    my $stats = provider_stats($provider);
    my $request = parse_json($stats->{last_request});

    is_deeply($request->{messages},
              [ { role => 'user', content => $question } ],
              "${by}the request: the messages");
    is($request->{model}, 'test', "${by}the request: the model");
    ok($request->{stream} && $request->{stream_options}{include_usage},
       "${by}the request: stream and usage");
    like($stats->{last_headers}, qr/^Authorization: Bearer sk-test-key\r$/mi,
         "${by}the request: the key");
    like($stats->{last_headers}, qr/^POST \/v1\/chat\/completions /,
         "${by}the request: the path");

    cached($question);

    my $usage = $redis->entries(stream_key($question))->[-1]{usage};

    is_deeply(parse_json($usage), { prompt_tokens => 7, completion_tokens => 10,
                                    total_tokens => 17 },
                                    "${by}usage: kept with the answer");


    foreach my $form (@forms) {
        my $ask = question($form);
        my @pieces = pieces_of($ask, %provider);
        my $miss = ask($nginx, { question => $ask });

        stream_ok($miss, "${by}$form: a miss", chunks => \@pieces,
                  restarts => 0, cache => qr/miss/);

        my $hit = ask($nginx, { question => $ask });

        stream_ok($hit, "${by}$form: a hit", chunks => \@pieces,
                  cache => qr/hit/);
        ok($hit->{body} eq $miss->{body}, "${by}$form: the same bytes");
    }

    my $bare = question('usage=0');

    ask($nginx, { question => $bare });
    ok(!defined $redis->entries(stream_key($bare))->[-1]{usage},
       "${by}usage=0: no usage is kept");

    # answers that do not end by themselves

    foreach my $case (['finish=length', 'length'],
                      ['finish=content_filter', 'content_filter'],
                      ['fault=nofinish', undef],
                      ['finish=length;chunks=0', 'length'])
    {
        my ($options, $finish) = @$case;
        my $ask = question($options);

        foreach my $n (1, 2) {
            stream_ok(scalar ask($nginx, { question => $ask }),
                      "${by}$options: delivered, time $n", finish => $finish,
                      chunks => [ pieces_of($ask, %provider) ],
                      cache => qr/miss$/);
            is(provider_stats($provider, $ask), $n,
               "${by}$options: by a call, time $n");
        }

        nothing_left($ask, "$by$options");
    }


    my @asks = map { { question => question($_->[0]),
                       path => $_->[3] || '/chat' } } @faults;
    my @all = ask($nginx, @asks, map { { %$_, delay => 0.02 } } @asks);

    foreach my $i (0 .. $#faults) {
        my ($options, $code, $chunks, $path) = @{ $faults[$i] };
        my $ask = $asks[$i]{question};
        my $name = $options . ($path ? " $path" : '');
        my @pieces = pieces_of($ask, %provider);
        my $got = $all[$i]{chunks};

        stream_ok($all[$i], "${by}$name: ends by $code", error => $code,
                  restarts => 0);
        stream_ok($all[$i + @faults], "${by}$name: for another client",
                  error => $code, restarts => 0);
        is_deeply($got, [ @pieces[0 .. ($chunks // @$got) - 1] ],
                  "${by}$name: what came before");
        unlike($all[$i]{body},
               qr/sk-|127\.0\.0\.1|status \d|html|overloaded|http/,
               "${by}$name: tells nothing of the provider");
        nothing_left($ask, "$by$name");
    }


    foreach my $i (grep { $message{$faults[$_][0]} } 0 .. $#faults) {
        is($all[$i]{terminal}{message}, $message{$faults[$i][0]},
           "${by}$faults[$i][0]: the message");
    }

    # as long as it may be

    foreach my $options ('chunks=10;bytes=20', 'chunks=1;bytes=200') {
        my $ask = question($options);

        stream_ok(scalar ask($nginx, { question => $ask, path => '/small' }),
                  "${by}$options: as long as chat_max_answer",
                  chunks => [ pieces_of($ask) ]);
        ok(cached($ask), "${by}$options: is cached");
    }

    # after a fault the same question is asked anew

    provider_set($provider, fault => 'eof', at => 3);
    $question = "${by}Once more?";
    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}after a fault: three of ten chunks",
              error => 'provider_broken',
              chunks => [ (pieces_of($question, %provider))[0 .. 2] ]);
    provider_reset($provider);

    my $again = ask($nginx, { question => $question });

    stream_ok($again, "${by}after a fault: then all of them",
              cache => qr/fwd=miss$/,
              chunks => [ pieces_of($question, %provider) ]);
    ok(cached($question), "${by}after a fault: the answer is cached");

    # what the log says, and does not

    my $log = $nginx->error_log;

    like($log,
         qr/\[error\].*provider "openai" at "127\.0\.0\.1:$provider->{port}"/,
         "${by}the log: names the provider");
    like($log, qr/\[error\].*HTTP status 429/, "${by}the log: has its status");
    unlike($log, qr/sk-test-key|sk-wrong|sk-right/, "${by}the log: has no key");

    # its filler would take the tasks of the next one

    $nginx->stop;
}

my $idle = wait_for {
    $redis->tasks == 0
    && provider_stats($provider)->{active} == 0;
} 5;

ok($idle, 'at the end: no task is left, no call goes on');

done();
