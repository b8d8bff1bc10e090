#!/usr/bin/perl

# By what logs of several servers are matched: the id of the request that a
# generation was opened for, and the traceparent that came with it, reach the
# provider on each path, and a log in JSON.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Readme;

my $TRACE = '0af7651916cd43dd8448eb211c80319c';
my $SPAN = 'b7ad6b7169203331';
my $PARENT = "00-$TRACE-$SPAN-01";

# as it stands in the README

my ($format) = readme('ngx_chat_module/http')
    =~ /^<!-- test: trace -->\n```nginx\n(.*?)^```/ms;

ok(defined $format, 'README: has a log_format') or die;

my $redis = start_redis();
my $provider = start_provider(chunks => 3);
my $url = 'http://127.0.0.1:' . $provider->port . '/v1';

my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
    http => <<EOT,
    chat_provider own {
        url $url;
        key "";
        header x-request-ID mine;
        header Traceparent yours;
    }
    $format
    access_log %%DIR%%/chat.json chat_json;
EOT
    server => <<'EOT');
    add_header X-Id $request_id always;
    add_header X-Source $chat_source;

    location = /led      { chat; chat_lead on; }
    location = /queued   { chat; chat_lead off; }
    location = /direct   { chat; chat_cache off; }
    location = /own      { chat own; chat_lead on; }
    location = /own/late { chat own; chat_lead off; }
EOT
my $number = 0;


# a question of its own for each call; traceparents: so many headers

sub call {
    my ($path, $question, @parents) = @_;

    provider_reset($provider);

    return ask($nginx, { path => $path,
        question => "Whose is it, number " . ++$number . "? $question",
        headers => [ 'Content-Type' => 'application/json',
                     map { (traceparent => $_) } @parents ] });
}


# values of a header in the head of the last call

sub sent {
    my ($name) = @_;

    return join(', ', provider_stats($provider)->{last_headers}
        =~ /^\Q$name\E: *(.*?)\r?$/mgi);
}


lanes_up($nginx);


# each path, and after failures

foreach my $path ('led', 'queued', 'direct') {
    foreach my $fault ('', '{{fails=1}}', '{{fault=eof;at=1;fails=1}}') {
        my $name = "$path, \"$fault\"";
        my $q = call("/$path", $fault, $PARENT);

        stream_ok($q, "$name: an answer");
        is($q->{headers}{'x-source'}, $path, "$name: its source");
        like($q->{headers}{'x-id'}, qr/^[0-9a-f]{32}$/, "$name: an id");
        is(provider_stats($provider)->{calls}, $fault ? 2 : 1,
           "$name: calls");
        is(sent('X-Request-Id'), $q->{headers}{'x-id'},
           "$name: the id is sent, once");
        is(sent('traceparent'), $PARENT, "$name: so is the traceparent");
    }

    # what is no traceparent

    my %odd = (
        'none' => [], 'empty' => [''], 'short' => [substr($PARENT, 0, 54)],
        'long' => ["$PARENT-1"], 'upper case' => [uc($PARENT)],
        'version ff' => ["ff-$TRACE-$SPAN-01"],
        'zeros' => ['00-' . '0' x 32 . "-$SPAN-01"],
        'two' => [$PARENT, $PARENT], 'a list' => ["$PARENT, $PARENT"],
    );

    foreach my $what (sort keys %odd) {
        my $q = call("/$path", '', @{ $odd{$what} });

        is($q->{terminal}{status}, 'completed', "$path, $what: an answer");
        is(sent('traceparent'), '', "$path, $what: no traceparent is sent");
        is(sent('X-Request-Id'), $q->{headers}{'x-id'},
           "$path, $what: the id is");
    }

    call("/$path", '', "01-$TRACE-$SPAN-01-later");
    is(sent('traceparent'), "01-$TRACE-$SPAN-01-later",
       "$path: a traceparent of a later version");
}


# those that the provider's block has

foreach my $path ('/own', '/own/late') {
    my $q = call($path, '', $PARENT);

    is($q->{terminal}{status}, 'completed', "$path: an answer");
    is(sent('X-Request-Id'), 'mine', "$path: an id of its own");
    is(sent('traceparent'), 'yours', "$path: a traceparent of its own");
}


# who has joined has an id, and another traceparent, that nobody is told

foreach my $path ('led', 'queued') {
    provider_reset($provider);

    my %ask = (path => "/$path", question => "Who asks $path? {{gap=200}}");
    my ($first, $second) = ask($nginx,
        { %ask, headers => { traceparent => $PARENT } },
        { %ask, delay => 0.2,
          headers => { traceparent => $PARENT =~ s/01$/00/r } });

    stream_ok($second, "$path: one who joins", cache => qr/collapsed$/);
    is(provider_stats($provider)->{calls}, 1, "$path, joined: one call");
    is(sent('X-Request-Id'), $first->{headers}{'x-id'},
       "$path, joined: the id of the first");
    is(sent('traceparent'), $PARENT, "$path, joined: and its traceparent");
}


# the log: each line is JSON, and tells what the client has got

{
    my @asks = ({ question => "Say \"hello\",\n\xc3\xa4\\ \x01" },
        { question => 'Who {{status=401}}?' }, { body => '{"question": "' },
        { method => 'GET' }, { question => 'Gone {{gap=50;chunks=50}}',
                               hangup_after => 2 });
    my @all = ask($nginx, map { { path => '/led', headers => {
        'Content-Type' => 'application/json', traceparent => $PARENT,
        'X-Odd' => '"' }, %$_ } } @asks);
    my @results = qw(completed error error error gone);
    my %line;

    ok(wait_for(sub {
        %line = map { ($_->{request_id} => $_) } map { parse_json($_) }
            split(/\n/, read_file($nginx->dir . '/chat.json'));

        return !grep { !$line{$_->{headers}{'x-id'} // ''} } @all;
    }, 10, 'a line for each request'), 'log: a line for each request, all JSON');

    foreach my $i (0 .. $#all) {
        my $line = $line{$all[$i]{headers}{'x-id'}};

        is($line->{result}, $results[$i], "log: result of request $i");
        is($line->{status}, $all[$i]{status}, "log: status of request $i");
        is($line->{trace_id}, $TRACE, "log: trace of request $i");
    }

    my $line = $line{$all[0]{headers}{'x-id'}};

    is_deeply([ @$line{qw(generation source cache provider chunks)} ],
              [ $all[0]{headers}{'x-chat-generation'}, 'led', 'MISS',
                'openai', 3 ], 'log: an answer');
    is($line{$all[1]{headers}{'x-id'}}{error}, 'provider_refused',
       'log: an error');
}


# tasks of others: of a release that knows no traceparent, and odd ones

foreach my $case ([ 'no traceparent' ], [ 'an odd one',
    traceparent => "$PARENT\r\nX-Evil: 1" ], [ 'a good one',
    traceparent => $PARENT ])
{
    my ($name, @more) = @$case;

    provider_reset($provider);
    stream_ok(changed($name, request_id => 'other', @more),
              "a task with $name: it is done");
    is(sent('X-Request-Id'), 'other', "a task with $name: its id is sent");
    is(sent('traceparent'), $name eq 'a good one' ? $PARENT : '',
       "a task with $name: the traceparent, if it is one");
    is(sent('X-Evil'), '', "a task with $name: no other header");
}


# a worker is lost: the filler that asks instead, a child of another one, knows
# both, and its log has the id

{
    my $question = 'Who is lost? {{gap=100;chunks=20}}';
    my $led = led_nginx(redis => $redis, provider => $provider);
    my ($own) = grep { !children($_) } $led->worker_pids;

    provider_reset($provider);

    my $later = ask_later($led, { way_to($led, $own), question => $question,
        headers => { traceparent => $PARENT } });

    mid_answer($redis, 2, $question);

    my $id = sent('X-Request-Id');

    kill('KILL', $own);

    ok(wait_for(sub { provider_stats($provider)->{calls} == 2 }, 10, 'a call'),
       'a lost worker: the filler asks');
    like($id, qr/^[0-9a-f]{32}$/, 'a lost worker: the id that it sent');
    is(sent('X-Request-Id'), $id, 'a lost worker: the filler sends it, too');
    is(sent('traceparent'), $PARENT, 'a lost worker: and the traceparent');
    like($led->error_log, qr/lost its worker .*, request: "$id"/,
         'a lost worker: it is in the line of the filler');
    results($later);
}

done();


# A question whose task is another one when the filler sees it; the result.

sub changed {
    my ($name, %more) = @_;

    wait_for { $redis->tasks == 0 } 5, 'an empty queue';
    takes_none($redis, filler($nginx));

    my $later = ask_later($nginx, { path => '/queued',
                                    question => "Who has $name?" });
    my $entry;

    wait_for { ($entry) = @{ $redis->cmd('XRANGE', 'chat:tasks:1', '-', '+') }
               } 5, 'a task';

    my ($number, $fields) = @$entry;

    $redis->cmd('XADD', 'chat:tasks:1', '*', %{ { @$fields, %more } });
    $redis->cmd('XDEL', 'chat:tasks:1', $number);
    kill('CONT', filler($nginx));

    my ($q) = results($later);

    return $q;
}
