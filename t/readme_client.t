#!/usr/bin/perl

# The client in README: called by Node with nginx in front of it, and with a
# server that cuts its events anywhere.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Readme;

use IO::Socket::INET;

binmode(Test::More->builder->$_, ':utf8') foreach qw(output failure_output);


# the client: a driver calls it and prints what it saw, a JSON object

my ($client) = readme('') =~ /^<!-- test: client -->\n```js\n(.*?)^```/ms;

ok(defined $client, 'README: has a client') or die;

my @code = grep { !m!^\s*(?://.*)?$! } split(/\n/, $client);

cmp_ok(scalar @code, '<=', 40, 'README: at most 40 lines of code');

my $driver = test_dir() . '/client.mjs';

write_text($driver, $client . <<'EOT');


const [url, question, options] = process.argv.slice(2);
const {abort, ...more} = JSON.parse(options);
const seen = {texts: []};
const controller = new AbortController();

function onText(text) {
  seen.texts.push(text);
  if (abort && text) controller.abort();
}

try {
  seen.answer = await ask(url, question,
                          {onText, signal: controller.signal, ...more});
} catch (error) {
  seen.error = {name: error.name, message: error.message, code: error.code,
                status: error.status};
}

console.log(JSON.stringify(seen));
EOT

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 5, utf8 => 1);
my $nginx = start_nginx(redis => $redis, provider => $provider);

my $question = 'What does the client do?';
my @pieces = pieces_of($question, chunks => 5, utf8 => 1);
my $seen;

foreach my $name ('miss', 'hit') {
    $seen = run_client($nginx->url, $question);
    answered($seen, $name, @pieces);
}

is(provider_stats($provider, $question), 1, 'hit: the provider is not called');

$seen = run_client($nginx->url, $question, use_cache => JSON::PP::false());

answered($seen, 'more fields', @pieces);
is(provider_stats($provider, $question), 2, 'more fields: they are sent');

$seen = run_client($nginx->url, '  ');

is($seen->{error}{code}, 'invalid_field',
   'an error before the stream: its code');
is($seen->{error}{status}, 422, 'an error before the stream: its status');
like($seen->{error}{message}, qr/question/,
     'an error before the stream: its message');

$seen = run_client($nginx->url('/none'), 'Why?');

is($seen->{error}{status}, 404, 'an error that is no JSON: its status');
is($seen->{error}{message}, 'Not Found',
   'an error that is no JSON: its message');

$seen = run_client($nginx->url, "Is it long? {{chunks=5;finish=length}}");

is($seen->{error}, undef, 'an answer that was cut short: no error');

$seen = run_client($nginx->url, "Why does it fail? {{status=400}}");

is($seen->{error}{code}, 'provider_refused', 'an error event: its code');
ok(length $seen->{error}{message}, 'an error event: its message');
is($seen->{error}{status}, undef, 'an error event: no status');

$question = 'What restarts? {{chunks=5;fault=reset;at=3;fails=1}}';
$seen = run_client($nginx->url, $question);
@pieces = pieces_of($question, utf8 => 1);

is($seen->{answer}, decoded(@pieces), 'a restart: the whole answer');
is($seen->{texts}[-1], decoded(@pieces),
   'a restart: the text of the second try');
is(scalar(grep { $_ eq '' } @{ $seen->{texts} }), 2,
   'a restart: the first is forgotten');

$seen = run_client($nginx->url, 'Who leaves? {{chunks=20;gap=50}}', abort => 1);

is($seen->{error}{name}, 'AbortError', 'an abort: it is told');


# cut anywhere, with comments: byte by byte from a server of our own

my @parts = ("gr\xc3\xbc\xc3\x9f", " \xf0\x9f\x98\x80");
my $processing = "data: {\"status\": \"processing\"}\n\n";
my ($one, $two) = map {
    "data: {\"status\": \"streaming\", \"chunk\": \"$_\"}\n\n" } @parts;
my $end = "data: {\"status\": \"completed\", \"chunk\": \""
    . join('', @parts) . "\"}\n\n";
my $comment = ": keep-alive\n\n";

$seen = from_bytes($processing . $comment . $two . $comment . $processing
                   . $one . $comment . $two . $end, 1);

answered($seen, 'byte by byte', @parts);

$seen = from_bytes($processing . $one . $two . $end, 100000);

answered($seen, 'all at once', @parts);

$seen = from_bytes($processing . $one, 7);

is($seen->{error}{code}, 'interrupted', 'a stream without an end: an error');


done();


sub run_client {
    my ($url, $text, %more) = @_;
    my $options = JSON::PP->new->canonical->encode(\%more);

    # a child that hangs ends with the test

    open(my $out, '-|', 'timeout', 30, 'node', $driver, $url, $text, $options)
        or die "node: $!\n";

    local $/;

    my $seen = <$out>;

    close($out);

    return parse_json($seen || '{"texts": [], "error": {"code": "no output"}}');
}


# the answer, and on the way the text as it grew, from nothing

sub answered {
    my ($seen, $name, @pieces) = @_;
    my @texts = ('');

    push(@texts, decoded(@pieces[0 .. $_])) foreach 0 .. $#pieces;

    is($seen->{answer}, $texts[-1], "$name: the answer");
    is_deeply([ @{ $seen->{texts} }[-@texts .. -1] ], \@texts,
              "$name: its pieces");
}


sub decoded {
    my $text = join('', @_);

    utf8::decode($text);

    return $text;
}


# what the client makes of these bytes, that many in a piece

sub from_bytes {
    my ($bytes, $size) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1,
        Proto => 'tcp') or die "listen: $@\n";
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        my $sock = $listen->accept;
        my $head = '';

        $sock->autoflush(1);
        setsockopt($sock, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);

        while ($head !~ /\r\n\r\n.*\}\z/s && sysread($sock, $head, 4096,
                                                    length $head)) {}

        print $sock "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

        foreach my $piece (unpack("(a$size)*", $bytes)) {
            printf $sock "%x\r\n%s\r\n", length($piece), $piece;
            select(undef, undef, undef, 0.001);
        }

        print $sock "0\r\n\r\n";
        close($sock);
        POSIX::_exit(0);
    }

    my $seen = run_client('http://127.0.0.1:' . $listen->sockport . '/chat',
                          'Why?');

    kill('KILL', $pid);
    waitpid($pid, 0);

    return $seen;
}
