#!/usr/bin/perl

# The bytes of a stream: frames, boundaries, escapes, sizes, and the ways they
# travel.

use warnings;
use strict;

use Compress::Zlib ();
use IO::Socket::INET;

use lib 't/lib';
use Chat::Test;

my %provider = (chunks => 10, gap => 2);

my $redis = start_redis();
my $provider = start_provider(%provider);
my $nginx = start_nginx(redis => $redis, provider => $provider,
    servers => <<'EOT');
    log_format chat "$chat_generation $chat_key $chat_chunks $chat_bytes";

    server {
        listen 127.0.0.1:%%PORT%%;
        access_log %%DIR%%/chat.log chat;

        location = /chat {
            chat;
        }

        location = /heartbeat {
            chat;
            chat_heartbeat 200ms;
        }

        location = /restless {
            chat;
            chat_heartbeat 1ms;
        }

        location = /gzip {
            chat;
            gzip on;
            gzip_types text/event-stream;
        }

        location = /rate {
            chat;
            limit_rate 40k;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% http2;

        location = /chat {
            chat;
        }
    }
EOT


# the same question twice: a miss and a hit

sub twice {
    my ($question, $name, %opt) = @_;
    my %ask = (question => $question, timeout => 60);
    my $miss = ask($nginx, { %ask });

    $opt{chunks} //= [ pieces_of($question, %provider) ];

    stream_ok($miss, "$name: a miss", restarts => 0, cache => qr/fwd=miss$/,
              %opt);

    my $hit = ask_hit($nginx, \%ask);

    stream_ok($hit,
              "$name: a hit", restarts => 0, cache => qr/hit; ttl=/, %opt);
    ok($hit->{body} eq $miss->{body}, "$name: the same bytes");

    return ($miss, $hit);
}


# bytes as they are

my $question = 'Hello? {{content=Hello%20you;chunks=3}}';
my $expected = <<'EOT';
data: {"status": "processing"}

data: {"status": "streaming", "chunk": "Hel"}

data: {"status": "streaming", "chunk": "lo "}

data: {"status": "streaming", "chunk": "you"}

data: {"status": "completed", "chunk": "Hello you"}

EOT

my ($miss, $hit) = twice($question, 'frames');

is($miss->{body}, $expected, 'frames: exactly these bytes');
is($hit->{body}, $expected, 'frames: exactly these of a hit too');

my ($id) = $miss->{headers}{'x-chat-generation'} =~ /^([0-9a-f]{32})\./;

is($miss->{headers}{'x-chat-generation'}, "$id." . key_of($question),
   'frames: X-Chat-Generation is the id and the key');
is($hit->{headers}{'x-chat-generation'}, "$id." . key_of($question),
   'frames: X-Chat-Generation of a hit is the same');

my $log;

wait_for { ($log = read_file($nginx->dir . '/chat.log')) =~ /\n.*\n/ } 5;
is($log, sprintf("$id.%s %s 3 %d\n", (key_of($question)) x 2,
                 length($expected)) x 2, 'frames: the same in the variables');

# what the text may be

twice('Chunks?', 'boundaries');
twice('One? {{chunks=1}}', 'one chunk');
twice('Escapes? {{chunks=7;utf8=1}}', 'escapes');

my $odd = join('', map { chr } 1 .. 0x22, 0x5b .. 0x5d, 0x7f, 0x80, 0xa0, 0xff,
               0x7ff, 0x800, 0x2028, 0x2029, 0xd7ff, 0xe000, 0xfeff, 0xfffd,
               0xffff, 0x10000, 0x1f600, 0x10ffff);

utf8::encode($odd);
provider_set($provider, content => $odd, chunks => 9);
($miss) = twice('Which characters are there?', 'characters', text => $odd,
                chunks => [ pieces_of('', content => $odd, chunks => 9) ]);

my $escaped = $odd;

$escaped =~ s/(["\\])/\\$1/g;
ok(index(lc($miss->{body}), '\u001f') > 0,
   'characters: what must be escaped is');
ok(index($miss->{body}, substr($escaped, index($escaped, "\x7f"))) > 0,
   'characters: all else is as it is');
provider_reset($provider);

$question = "Qu\x{e9} \x{1f600}\x{2028} \"\\\n?";
utf8::encode($question);
twice($question, 'a question of odd characters');
$hit = ask($nginx, { body => '{"question": "Qu\u00e9 \ud83d\ude00\u2028 '
                             . '\"\\\\\\u000a?"}' });
stream_ok($hit, 'odd characters: written otherwise', cache => qr/hit/);

# an answer without text

$question = 'Silence? {{chunks=0}}';

foreach (1, 2) {
    my $empty = ask($nginx, { question => $question });

    is($empty->{body}, "data: {\"status\": \"processing\"}\n\n"
       . "data: {\"status\": \"completed\", \"chunk\": \"\"}\n\n",
       "an empty answer: time $_");
}

is(provider_stats($provider, $question), 2, 'an empty answer: not cached');
is($redis->cmd('EXISTS', stream_key($question)), 0,
   'an empty answer: nothing is stored');

# sizes

twice('How long? {{chunks=1500;bytes=1000;gap=0}}', '1.5 MB');
twice('One chunk? {{chunks=1;bytes=700000;gap=0}}', 'one chunk of 700 kB');
twice('How many? {{chunks=10000;bytes=12;gap=0}}', '10,000 chunks');

# heartbeats

# one each 0.2 s, so far as this machine comes to it

$question = 'Are you there? {{chunks=2;first=2000;gap=1200}}';

my @before;

$miss = ask($nginx, { question => $question, path => '/heartbeat',
                      on_event => sub { push(@before, $_[0]{comments}) } });

stream_ok($miss, 'heartbeats: an answer', chunks => [ pieces_of($question) ]);
is($before[0], 0, 'heartbeats: none before the first event');
cmp_ok($before[1], '>=', 3, 'heartbeats: some until the first chunk');

my $silent = $miss->{events}[1]{at} - $miss->{events}[0]{at};

cmp_ok($before[1], '<=', $silent / 0.2 + 1, 'heartbeats: not too many');
cmp_ok($before[2] - $before[1], '>=', 1, 'heartbeats: some between two chunks');
is(scalar(() = $miss->{body} =~ /^: keep-alive\n\n/mg), $miss->{comments},
   'heartbeats: in their form');
$hit = ask($nginx, { question => $question, path => '/heartbeat' });
is($hit->{comments}, 0, 'heartbeats: none in a hit');

# pieces of a long hit end anywhere

{
    my %long = (chunks => 50, bytes => 3000, gap => 0);
    my @asks = map { { question => "How long is $_? {{"
                           . join(';', map { "$_=$long{$_}" } keys %long)
                           . '}}', path => '/restless' } } 1 .. 60;

    ask($nginx, @asks);
    wait_for { !@{ $redis->cmd('KEYS', '*:live:*') } } 10, 'the last answer';

    my @hits = ask($nginx, @asks);

    my @wrong = grep { length } map {
        join(', ', Chat::Check::faults($hits[$_], cache => qr/; hit/,
             text => text_of($asks[$_]{question})))
    } 0 .. $#asks;

    is(scalar(@wrong), 0, 'heartbeats: none within an event of a hit')
        or diag(substr($wrong[0], 0, 200));
}

# gzip

$question = 'How small? {{chunks=30;bytes=100;gap=0}}';

$miss = ask($nginx, { question => $question, path => '/gzip' });
stream_ok($miss, 'gzip: not asked for');

my @zipped = map {
    $redis->cmd('DEL', stream_key($question)) if $_ eq 'miss';
    scalar ask($nginx, { question => $question, path => '/gzip',
                         headers => { 'Accept-Encoding' => 'gzip' } });
} 'miss', 'hit';

foreach my $i (0, 1) {
    my $q = $zipped[$i];
    my $name = 'gzip, ' . ('a miss', 'a hit')[$i];

    is($q->{headers}{'content-encoding'}, 'gzip', "$name: compressed");
    ok(Compress::Zlib::memGunzip($q->{body}) eq $miss->{body},
       "$name: the same bytes inside");
}

$redis->cmd('DEL', stream_key($question));

my $arrived = curl('--compressed', $question, $nginx->port, '/gzip');

is(scalar(@$arrived), 32, 'gzip: all events, as they come');

# HTTP/2

$question = 'Which protocol? {{chunks=20;gap=0}}';
$expected = join('', map { "$_\n\n" }
    @{ curl('--http1.1', $question, $nginx->port, '/chat') });
$redis->cmd('DEL', stream_key($question));

$arrived = curl('--http2-prior-knowledge', $question,
                $nginx->{ports}->(2), '/chat');

is(join('', map { "$_\n\n" } @$arrived), $expected,
   'HTTP/2: a miss, as it comes');
$arrived = curl('--http2-prior-knowledge', $question,
                $nginx->{ports}->(2), '/chat');
is(join('', map { "$_\n\n" } @$arrived), $expected, 'HTTP/2: a hit');


# The line of each event.  The provider sends a chunk when the event before it
# has come: one that is held back until there are more comes never.

sub curl {
    my ($option, $question, $port, $path) = @_;
    my @lines;

    provider_set($provider, upto => 0);

    open(my $out, '-|', 'curl', '-sN', '-m', 30, $option, '-H',
         'Content-Type: application/json', '-d',
         '{"question": ' . json_string($question) . '}',
         "http://127.0.0.1:$port$path") or die "curl: $!\n";

    while (my $line = <$out>) {
        chomp($line);
        next unless length $line;

        push(@lines, $line);
        provider_set($provider, upto => scalar(@lines));
    }

    close($out);
    provider_set($provider, upto => 'inf');

    return \@lines;
}


# HTTP/1.0: no chunks, the end of the connection is the end

$question = 'How old? {{chunks=5;gap=10}}';

foreach my $what ('miss', 'hit') {
    my $body = '{"question": ' . json_string($question) . '}';
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $nginx->port, Proto => 'tcp', Timeout => 5);

    print $sock "POST /chat HTTP/1.0\r\nContent-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";

    my $all = do { local $/; <$sock> };
    my ($head, $text) = split(/\r\n\r\n/, $all, 2);

    like($head, qr/^HTTP\/1\.[01] 200 /, "HTTP/1.0, $what: status 200");
    unlike($head, qr/^transfer-encoding/mi, "HTTP/1.0, $what: no chunks");
    is(() = $text =~ /^data: \{"status": "streaming"/mg, 5,
                               "HTTP/1.0, $what: all events");
    like($text, qr/"completed", "chunk": "[^"]+"\}\n\n\z/,
    "HTTP/1.0, $what: to the end");
}

# limit_rate: 40k a second

$question = 'How fast? {{chunks=100;bytes=500;gap=0}}';

foreach my $what ('miss', 'hit') {
    my $q = ask($nginx, { question => $question, path => '/rate' });
    my $time = $q->{ended} - $q->{started};

    stream_ok($q, "limit_rate, $what: an answer", cache => qr/$what/,
              chunks => [ pieces_of($question) ]);
    # nginx counts whole seconds

    ok($time > 0.9 && $time < 8,
       "limit_rate, $what: takes its time") or diag($time);
}

done();
