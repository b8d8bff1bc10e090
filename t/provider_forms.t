#!/usr/bin/perl

# The forms that providers give to their streams: no text is lost, and no
# failure is taken for an answer.  Each through the filler, by a worker that
# leads, and by a worker without Redis.

use warnings;
use strict;

use lib 't/lib';
use Chat::Canned qw(event delta finish);
use Chat::Test;

# longer than what is waited for elsewhere, on a busy machine too

my $FIRST = 4;
my $IDLE = 10;

my $DONE = event('[DONE]');
my $STOP = event(finish('stop')) . $DONE;


# a case: { name, what Chat::Canned sends, and
#
#     chunks => [...]  those of the answer, or
#     error => ...     the code
#     finish => ...    the finish reason, if it is told
#     cached => 0      an answer that is not
#     least, most      seconds that it takes
#     again => 1       a failure that another try, or provider, makes good }

my @cases = (text(), halves(), wholes(), reasoning(), endings(), reasons(),
             errors(), silence());

my $canned = Chat::Canned->new(\@cases, test_dir() . '/calls');
my $other = Chat::Canned->new([], test_dir() . '/others');
my $redis = start_redis();
my @again = grep { $cases[$_]{again} } 0 .. $#cases;

my %lead = (filler => 'off', led => 'on', direct => '');
my %store = (filler => $redis, led => $redis->client(1));
my %nginx = map { $_ => start($_) } keys %lead;

run(sort keys %nginx);
again($_) foreach sort keys %nginx;

done();


sub start {
    my ($path) = @_;
    my $timeouts = "first_token_timeout ${FIRST}s; idle_timeout ${IDLE}s;";
    my ($blocks, $locations) = ("chat_direct_limit 512;\n", '');

    foreach (['chat', $canned, 'retries 0;', ''],
             ['once', $canned, 'retries 1;', ''],
             ['first', $canned, 'retries 0; max_fails 0;', 'second'],
             ['second', $other, '', undef])
    {
        my ($name, $server, $lines, $next) = @$_;

        $blocks .= "chat_provider $name { url http://127.0.0.1:"
            . $server->port . "/v1; key sk-test-key; model m; $timeouts"
            . " $lines }\n";
        $locations .= "location = /$name { chat $name $next; }\n"
            if defined $next;
    }

    my $url = $path eq 'direct' ? 'off' : $redis->url($path eq 'led' ? 1 : 0);
    my $nginx = start_nginx(redis => $url, lead => $lead{$path},
        http => $blocks,
        servers => "server { listen 127.0.0.1:%%PORT%%; $locations"
            . ' location = / { chat_health; } }');

    wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, "$path to be ready";

    return $nginx;
}


sub run {
    my @paths = @_;
    my @all = ask(undef, map {
        my $nginx = $nginx{$_};
        map { { nginx => $nginx, question => "Case $_", timeout => 60 } }
            0 .. $#cases
    } @paths);

    foreach my $path (@paths) {
        foreach my $i (0 .. $#cases) {
            check("$path: $cases[$i]{name}", $cases[$i], shift @all);
            check_cache($path, $i) if $store{$path};
        }
    }
}


sub check {
    my ($name, $case, $q) = @_;
    my $chunks = $case->{chunks};
    my $took = $q->{ended} - $q->{started};

    stream_ok($q, $name, error => $case->{error}, finish => $case->{finish},
              defined $chunks ? (chunks => $chunks) : ());

    cmp_ok($took, '>=', $case->{least}, "$name, at least") if $case->{least};
    cmp_ok($took, '<', $case->{most} + $SLACK, "$name, at most")
        if $case->{most};
}


sub check_cache {
    my ($path, $i) = @_;
    my $case = $cases[$i];
    my $cached = defined $case->{error} ? 0 : $case->{cached} // 1;
    my @entries;

    wait_for {
        @entries = @{ $store{$path}->entries(stream_key("Case $i")) };
        @entries || !$cached;
    } 5;

    is(@entries ? 1 : 0, $cached, "$path: $case->{name}: "
       . ($cached ? 'cached' : 'not cached'));
    is($entries[-1]{usage}, $case->{usage}, "$path: $case->{name}: usage")
        if $case->{usage};
}


# the same provider is asked again, or another one

sub again {
    my ($path) = @_;
    my $nginx = $nginx{$path};

    $redis->cmd('FLUSHALL') if $store{$path};

    my @once = ask($nginx, map { { question => "Once $path $_",
                                   path => '/once' } } @again);
    my @next = ask($nginx, map { { question => "Case $_", path => '/first' } }
                           @again);

    foreach my $i (0 .. $#again) {
        my $name = "$path: $cases[$again[$i]]{name}";

        stream_ok($once[$i], "$name: again", text => 'Fine, thanks.');
        is($canned->calls("Once $path $again[$i]"), 2, "$name: one more call");
        stream_ok($next[$i], "$name: the next provider",
                  text => 'Fine, thanks.');
    }
}


sub of {
    my ($name, $send, @more) = @_;

    return { name => $name, send => ref($send) ? $send : [$send], @more };
}


sub broken { return of(@_, error => 'provider_broken') }
sub content { return join('', map { event(delta($_)) } @_) }


sub message {
    my ($content, @more) = @_;

    return '{"object":"chat.completion","choices":[{"index":0,"message":'
        . '{"role":"assistant","content":' . $content . '}'
        . join('', map { ",$_" } @more) . '}]}';
}


# text in all its types, and what cannot be text

sub text {
    return (
        of('an array of parts, then a string',
           content('[{"type":"text","text":"7"}]', '"21"') . $STOP,
           chunks => ['7', '21']),
        of('several parts are one chunk',
           content('[{"type":"text","text":"a"},{"type":"thinking",'
               . '"thinking":[{"type":"text","text":"no"}]},'
               . '{"type":"text","text":"b"}]') . $STOP, chunks => ['ab']),
        of('numbers as written', content('6', '-0.50') . $STOP,
           chunks => ['6', '-0.50']),
        broken('an object as content',
               content('"a"', '{"type":"text","text":"b"}') . $STOP),
        map({ broken("content $_", content('"a"', $_) . $STOP) }
            'true', 'NaN', '[["b"]]'),
    );
}


sub halves {
    my $lone = "\xef\xbf\xbd";

    return (
        of('a surrogate pair cut in two',
           content('"ok \\ud83d"', '"\\ude00 end"') . $STOP,
           chunks => ['ok ', "\xf0\x9f\x98\x80 end"]),
        of('half a pair alone', content('"a\\ude00"', '"b \\ud83d"', '"c"')
           . $STOP, chunks => ["a$lone", 'b ', "${lone}c"]),
        of('half a pair at the end', content('"a \\ud83d"') . $STOP,
           chunks => ['a ', $lone]),
        of('half a pair, a NaN, and depth where nothing is wanted',
           event('{"x":"\\ud83d","y":[NaN,-Infinity],"z":' . '[' x 5000
                 . ']' x 5000 . ',"choices":[{"index":0,"delta":{"content":'
                 . '"a","reasoning":"\\ude00"},"logprobs":{"p":-Infinity}}]}')
           . $STOP, chunks => ['a']),
    );
}


sub wholes {
    my $answer = message('"It is whole."', '"finish_reason":"stop"');

    return (
        of('a message in place of a delta', event(message('"It is whole."'))
           . $STOP, chunks => ['It is whole.']),
        of('a whole answer as an event', event($answer) . $DONE,
           chunks => ['It is whole.']),
        of('a whole answer as JSON', $answer, type => 'application/json',
           chunks => ['It is whole.']),
        of('a whole answer as JSON, in pieces', [map { ($_, 0.01) }
           $answer =~ /(.{1,40})/gs], type => 'application/json', plain => 1,
           chunks => ['It is whole.']),
        of('a whole answer that says to be a stream', "\n$answer\n",
           chunks => ['It is whole.']),
        of('a message that repeats the chunks', content('"a"', '"b"')
           . event(message('"ab"', '"finish_reason":"stop"')) . $DONE,
           chunks => ['a', 'b']),
        of('a message that trims the chunks', content('" a"', '"b\\n"')
           . event(message('"ab"', '"finish_reason":"stop"')) . $DONE,
           chunks => [' a', "b\n"]),
        of('a stream that says to be text', ": hello\n\n" . content('"a"')
           . $STOP, type => 'text/plain; charset=utf-8', chunks => ['a']),
        of('a stream that says to be JSON', content('"a"') . $STOP,
           type => 'application/json', chunks => ['a']),
        broken('HTML', "<html>$STOP</html>", type => 'text/html'),
        broken('JSON that is cut off', substr($answer, 0, 100),
               type => 'application/json'),
        of('JSON that is an error', '{"error":{"message":"no","code":"429"}}',
           type => 'application/json', error => 'provider_rate_limited'),
    );
}


# signs of life: the text comes too late for first_token_timeout alone

sub reasoning {
    my @late = ($FIRST + 2, content('"a"') . $STOP);
    my $of = sub { return event('{"choices":[{"index":0,"delta":{' . $_[0]
        . '}}]}') };

    return (
        of('a part of type thinking', [content('[{"type":"thinking",'
           . '"thinking":[{"type":"text","text":"hm"}]}]'), @late],
           chunks => ['a']),
        of('reasoning_content that is an object',
           [$of->('"reasoning_content":{"text":"hm"}'), @late],
           chunks => ['a']),
        of('reasoning_details alone',
           [$of->('"reasoning_details":[{"type":"x","data":"y"}]'), @late],
           chunks => ['a']),
        of('no reasoning', [$of->('"role":"assistant","reasoning":"",'
           . '"reasoning_details":[]'), @late], error => 'provider_timeout'),
    );
}


sub endings {
    my $with = sub { return event('{"choices":[{"index":0,"delta":{"content":"'
        . $_[0] . '"},"finish_reason":"stop"}]}') };

    return (
        broken('a finish reason in each chunk, then a reset',
               [$with->('a'), 0.05, $with->('b')], end => 'reset', again => 1),
        of('a finish reason in each chunk, then [DONE]',
           $with->('a') . $with->('b') . $DONE, chunks => ['a', 'b']),
        of('a finish reason in each chunk, then the end',
           $with->('a') . $with->('b'), chunks => ['a', 'b']),
        of('a finish reason that text followed', $with->('a') . content('"b"')
           . $DONE, chunks => ['a', 'b'], cached => 0),
        of('a finish reason, then a reset', content('"a"')
           . event(finish('stop')), end => 'reset', chunks => ['a']),
        of('[DONE] without a finish reason', content('"a"') . $DONE,
           chunks => ['a'], cached => 0),
        broken('[DONE] without text and finish reason',
               event('{"choices":[{"index":0,"delta":{"role":"assistant",'
                     . '"reasoning":"hm"}}]}') . $DONE, again => 1),
        broken('nothing but an end', '', again => 1),
    );
}


sub reasons {
    return (
        map({ of("finish reason $_", content('"a"') . event(finish($_)) . $DONE,
                 chunks => ['a']) }
            'eos', 'end_turn', 'STOP', 'complete', 'COMPLETE', 'end'),
        map({ broken("finish reason $_", content('"a"') . event(finish($_))
                     . $DONE, again => 1) }
            'error', 'abort', 'ERROR'),
        broken('a finish reason that is a failure', content('"a"')
               . event(finish('insufficient_system_resource')) . $DONE,
               again => 1),
        of('finish reason MAX_TOKENS', content('"a"')
           . event(finish('MAX_TOKENS')) . $DONE, chunks => ['a'],
           finish => 'length', cached => 0),
        of('a refusal in place of the content', event('{"choices":[{"index":0,'
           . '"delta":{"role":"assistant","content":"","refusal":null}}]}')
           . join('', map { event('{"choices":[{"index":0,"delta":{"refusal":"'
                                  . $_ . '"}}]}') } 'I will', ' not.')
           . $STOP, chunks => ['I will', ' not.'],
           finish => 'content_filter', cached => 0),
        of('a whole answer that is a refusal', '{"choices":[{"index":0,'
           . '"message":{"role":"assistant","content":null,"refusal":"No."},'
           . '"finish_reason":"stop"}]}', type => 'application/json',
           chunks => ['No.'], finish => 'content_filter', cached => 0),
        of('a finish reason with a detail', content('"a"')
           . event(finish('content_filter: RECITATION')) . $DONE,
           chunks => ['a'], finish => 'content_filter', cached => 0),
        broken('a finish reason with a detail that is a failure',
               event(finish('function_call_filter: MALFORMED_FUNCTION_CALL'))
               . $DONE, again => 1),
    );
}


sub errors {
    my $limited = 'provider_rate_limited';

    return (
        broken('a line that is an error', content('"a"')
               . 'error: {"code":500,"message":"no","type":"server_error"}'
               . "\n\n$DONE", again => 1),
        broken('an event that is an error', content('"a"')
               . qq(event: error\ndata: {"message":"no"}\n\n$DONE),
               again => 1),
        broken('an event that is an error, without data',
               content('"a"') . "event: error\n\n$DONE", again => 1),
        broken('an error_code', content('"a"')
               . event('{"error_code":336003,"error_msg":"no"}') . $DONE,
               again => 1),
        broken('an error_type', content('"a"')
               . event('{"error_type":"generation","message":"no"}') . $DONE,
               again => 1),
        broken('an error that is a text', content('"a"')
               . event('{"error":"no"}') . $STOP, again => 1),
        broken('an error of a choice', content('"a"')
               . event('{"choices":[{"index":0,"delta":{"content":""},'
                       . '"error":{"code":502,"message":"no"}}]}') . $STOP,
               again => 1),
        of('too many requests, as an event',
           qq(event: error\ndata: {"error":{"code":"429"}}\n\n$DONE),
           error => $limited, again => 1),
        of('too many requests, as a line',
           qq(error: {"message":"Rate limit reached"}\n\n$DONE),
           error => $limited, again => 1),
        of('too many requests, as a type', content('"a"')
           . event('{"error":{"type":"rate_limit_error","message":"no"}}')
           . $DONE, error => $limited, again => 1),
    );
}


# after the finish reason comes neither [DONE] nor an end

sub silence {
    my $usage = '{"total_tokens": 9}';

    return (
        of('a finish reason, then silence', content('"a"')
           . event(finish('stop')), end => 'hold', chunks => ['a'],
           least => 1.9, most => 2),
        of('a finish reason, usage, then silence', [content('"a"')
           . event(finish('stop')), 0.7,
           event('{"choices":[],"usage":' . $usage . '}')], end => 'hold',
           chunks => ['a'], least => 1.9, most => 2, usage => $usage),
        of('a finish reason with text, then silence',
           event('{"choices":[{"index":0,"delta":{"content":"a"},'
                 . '"finish_reason":"stop"}]}'), end => 'hold',
           chunks => ['a'], least => $IDLE - 0.1, most => $IDLE),
    );
}
