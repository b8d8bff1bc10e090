#!/usr/bin/perl

# What clients get from generations that workers lead when nothing fails but a
# provider: who has seen an answer finds it in the cache, wherever and however
# fast they ask; a failover is a restart for everybody; and all of it works
# beside a location whose questions go through the queue.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use IO::Socket::INET;

my $TIMES = 100;

my $redis = start_redis();
my $provider = start_provider(chunks => 3, gap => 1, bytes => 40, unique => 1);
my $first = start_provider(chunks => 40, gap => 20, bytes => 20,
                           fault => 'reset', at => 12);
my $second = start_provider(chunks => 40, gap => 20, bytes => 30);
my $nginx = instance();
my $other = instance();

leads($nginx, $other);


sub instance {
    my ($url) = @_;
    my $providers = join(' ', map {
        my $port = $_->[1]->port;

        "chat_provider $_->[0] { url http://127.0.0.1:$port/v1;"
            . ' key sk-test-key; model test; retries 1; }';
    } ['first', $first], ['second', $second]);

    return led_nginx(redis => $url // $redis, provider => $provider,
        http => $providers, server => 'location = /both { chat first second; }'
            . ' location = /queued { chat; chat_lead off; }'
            . ' location = /again { chat first; }');
}


sub cached {
    my ($q) = @_;

    return ($q->{headers}{'cache-status'} // '') =~ /; hit/;
}


# Asked afresh, and at once again, in turn on the same connection, of another
# worker and of another instance.

{
    my $name = 'a refresh read back';
    my ($worker, $beside) = $nginx->worker_pids;
    my $question = 'What is new?';
    my (@wrong, %led);

    ask($nginx, { question => $question });

    my %way = (way_to($nginx, $worker), keep => 1);
    my %beside = (way_to($nginx, $beside), keep => 1);

    foreach my $n (1 .. $TIMES) {
        my $new = ask($nginx, { %way, question => $question, use_cache => 0 });

        %way = (socket => $new->{socket}, keep => 1);
        $led{$new->{headers}{'x-source'}}++;

        my $again = ask($nginx, { question => $question,
            $n % 3 == 0 ? %way : $n % 3 == 1 ? %beside : (nginx => $other) });

        %way = (socket => $again->{socket}, keep => 1) if $n % 3 == 0;
        %beside = (socket => $again->{socket}, keep => 1) if $n % 3 == 1;

        push(@wrong, "number $n") if !cached($again)
            || ($again->{text} // '') ne ($new->{text} // 'none');
    }

    is_deeply(\%led, { led => $TIMES }, "$name: all were led");
    is("@wrong", '', "$name: each time the new answer is a hit");
    is(provider_stats($provider, $question), $TIMES + 1,
       "$name: no other call");
}


# Asked for the first time, and at once again: no other call, whether or not it
# is in the cache yet, which it is but for a slow machine.

{
    my $name = 'a miss read back';
    my ($worker, $beside) = $nginx->worker_pids;
    my %way = (way_to($nginx, $worker), keep => 1);
    my %beside = (way_to($nginx, $beside), keep => 1);
    my ($hits, @questions, @wrong) = (0);

    foreach my $n (1 .. $TIMES) {
        my $question = "$name, $n?";
        my $new = ask($nginx, { %way, question => $question });
        my $again = ask($nginx, { question => $question,
            $n % 2 ? %beside : (nginx => $other) });

        %way = (socket => $new->{socket}, keep => 1);
        %beside = (socket => $again->{socket}, keep => 1) if $n % 2;
        $hits++ if cached($again);
        push(@questions, $question);
        push(@wrong, $question)
            if ($again->{text} // '') ne ($new->{text} // 'none');
    }

    is("@wrong", '', "$name: the same answer each time");
    is(scalar(grep { provider_stats($provider, $_) != 1 } @questions), 0,
       "$name: one call each");
    cmp_ok($hits, '>', 0.9 * $TIMES, "$name: it is a hit");
}


# The same where Redis is far away, and another instance is near it: a refresh
# waits for the cache, a miss does not for long, but is joined.

{
    my $name = 'far from Redis';
    my $proxy = start_proxy($redis);
    my $far = instance('redis://127.0.0.1:' . $proxy->port);
    my (@wrong, @took);

    $proxy->set(latency => 40);
    leads($far, $other);

    foreach my $n (1 .. 10) {
        my $question = "$name, $n?";
        my $new = ask($far, { question => $question });
        my $again = ask($other, { question => $question });

        push(@took, $new->{events}[-1]{at} - $new->{events}[-2]{at});
        push(@wrong, "miss $n") if $new->{text} ne $again->{text};

        $new = ask($far, { question => $question, use_cache => 0 });
        $again = ask($other, { question => $question });

        push(@wrong, "refresh $n")
            if !cached($again) || $new->{text} ne $again->{text};
        push(@wrong, "calls $n") if provider_stats($provider, $question) != 2;
    }

    is("@wrong", '', "$name: the last answer each time");
    mostly_ok(\@took, 0.1, "$name: a miss does not wait for the cache");
}


# Both requests are there before the first is answered.

{
    my $name = 'pipelined';
    my @got = map { pipelined("$name, $_?") } 1 .. 10;

    is(scalar(grep { $_->{ends} == 2 } @got), 10, "$name: two answers");
    is(scalar(grep { $_->{texts} == 1 } @got), 10,
       "$name: the same one both times");
    is(scalar(grep { provider_stats($provider, "$name, $_?") != 1 } 1 .. 10), 0,
       "$name: one call each");
    cmp_ok(scalar(grep { $_->{hit} } @got), '>=', 8, "$name: it is a hit");
}


sub pipelined {
    my ($question) = @_;
    my $body = '{"question": ' . json_string($question) . '}';
    my $request = "POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n";
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port, Timeout => 5) or die "connect: $!\n";
    my $got = '';

    syswrite($socket, "$request\r\n$body$request"
             . "Connection: close\r\n\r\n$body");

    while (sysread($socket, my $bytes, 65536)) {
        $got .= $bytes;
    }

    my @texts = $got =~ /"completed", "chunk": "([^"]*)"/g;

    return { ends => scalar(@texts), texts => scalar(keys %{ {
                 map { $_ => 1 } @texts } }),
             hit => $got =~ /^Cache-Status: ngx_chat; hit/m };
}


# A provider breaks off: the next one, or the same again, from the beginning.

foreach my $case (['the next provider', '/both', $second, 30, ''],
                  ['the same provider again', '/again', $first, 20,
                   ';fails=1'])
{
    my ($name, $path, $of, $bytes, $how) = @$case;
    my $question = "What of $name? {{gap=20$how}}";
    my $text = text_of($question, chunks => 40, bytes => $bytes);
    my $scene = ask_around($nginx, $question, elsewhere => [ $other ],
                           ask => { path => $path });

    begun($redis, $scene, 4);

    my ($leader, @others) = ends_of($scene);

    is($leader->{headers}{'x-source'}, 'led', "$name: it was led");
    stream_ok($leader, "$name: the leader's client", restarts => 1,
              text => $text);
    stream_ok($others[0], "$name: another worker", restarts => 1,
              text => $text);
    stream_ok($others[1], "$name: another instance", restarts => 1,
              text => $text);
    is(provider_stats($first, $question), $of == $first ? 2 : 1,
       "$name: calls of the first");
    is(provider_stats($second, $question), $of == $second ? 1 : 0,
       "$name: calls of the second");
    nothing_left($redis, $name);

    my $entry = $redis->entries(stream_key($question))->[-1];

    is($entry->{chunk}, $text, "$name: that answer is cached");
    is($entry->{provider}, $of == $first ? 'first' : 'second',
       "$name: and whose it is");
}


# The queue: chat_lead off, and the same question at both locations.

{
    my $name = 'the queue';
    my ($worker, $beside) = $nginx->worker_pids;
    my @cases = (['/queued', '/chat', 'queued'], ['/chat', '/queued', 'led']);

    foreach my $case (@cases) {
        my ($path, $joining, $source) = @$case;
        my $question = "Who asks at $path? {{chunks=20;gap=40}}";
        my $began;
        my @all = ask($nginx,
            { question => $question, path => $path, way_to($nginx, $worker),
              on_event => sub { $began ||= @{ $_[0]{chunks} } >= 2 } },
            map { { question => $question, path => $joining,
                    after => sub { $began }, %$_ } }
                { way_to($nginx, $worker) }, { way_to($nginx, $beside) },
                { nginx => $other });

        is($all[0]{headers}{'x-source'}, $source, "$name: $path, $source");

        foreach my $i (0 .. 3) {
            stream_ok($all[$i], "$name: $path, client $i", restarts => 0,
                      cache => $i ? qr/collapsed/ : qr/fwd=miss$/);
            is($all[$i]{text}, $all[0]{text}, "$name: $path, the text of $i");
        }

        is($all[1]{headers}{'x-source'}, $source,
           "$name: $path, who joins here has the same source");
        is($all[2]{headers}{'x-source'}, 'queued',
           "$name: $path, another worker reads from Redis");
        is(provider_stats($provider, $question), 1, "$name: $path, one call");
        stream_ok(scalar ask($nginx, { question => $question,
                                       path => $joining }),
                  "$name: $path, a hit then", cache => qr/; hit/,
                  text => $all[0]{text});
    }

    nothing_left($redis, $name);
}

done();
