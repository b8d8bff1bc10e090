#!/usr/bin/perl

# What README says: its client runs, its snippets are accepted, and its tables
# and headings name what the code has, no more and no less.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use IO::Socket::INET;

my $root = Chat::Nginx::root();
my $readme = read_file("$root/README.md");

binmode(Test::More->builder->$_, ':utf8') foreach qw(output failure_output);


# the client: a driver calls it and prints what it saw, a JSON object

my ($client) = $readme =~ /^<!-- test: client -->\n```js\n(.*?)^```/ms;

ok(defined $client, 'README has a client') or die;

my @code = grep { !m!^\s*(?://.*)?$! } split(/\n/, $client);

cmp_ok(scalar @code, '<=', 40, 'in at most 40 lines of code');

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

is(provider_stats($provider, $question), 1, 'the second one was a hit');

$seen = run_client($nginx->url, $question, use_cache => JSON::PP::false());

answered($seen, 'more fields', @pieces);
is(provider_stats($provider, $question), 2, 'which are sent');

$seen = run_client($nginx->url, '  ');

is($seen->{error}{code}, 'invalid_field', 'an error before the stream: code');
is($seen->{error}{status}, 422, 'and status');
like($seen->{error}{message}, qr/question/, 'and message');

$seen = run_client($nginx->url('/none'), 'Why?');

is($seen->{error}{status}, 404, 'an error that is no JSON: status');
is($seen->{error}{message}, 'Not Found', 'and message');

$seen = run_client($nginx->url, "Is it long? {{chunks=5;finish=length}}");

is($seen->{error}, undef, 'an answer that was cut short is one');

$seen = run_client($nginx->url, "Why does it fail? {{status=400}}");

is($seen->{error}{code}, 'provider_refused', 'an error event: code');
ok(length $seen->{error}{message}, 'and message');
is($seen->{error}{status}, undef, 'without a status');

$question = 'What restarts? {{chunks=5;fault=reset;at=3;fails=1}}';
$seen = run_client($nginx->url, $question);
@pieces = pieces_of($question, utf8 => 1);

is($seen->{answer}, decoded(@pieces), 'a restart: the whole answer');
is($seen->{texts}[-1], decoded(@pieces), 'the text is that of the second try');
is(scalar(grep { $_ eq '' } @{ $seen->{texts} }), 2, 'the first is forgotten');

$seen = run_client($nginx->url, 'Who leaves? {{chunks=20;gap=50}}', abort => 1);

is($seen->{error}{name}, 'AbortError', 'it can be aborted');


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

is($seen->{error}{code}, 'interrupted', 'a stream without an end is an error');


# directives

my $module = read_file("$root/ngx_chat_module/ngx_chat_module.c");
my ($table) = $module =~ /ngx_chat_commands\[\] = \{(.*?)\n\};/s;
my %flags = $table =~ /ngx_string\("(\w+)"\),\s*(NGX_[\w|\s]+?),/g;
my ($section) = $readme =~ /^## Directives\n(.*?)^## /ms;
my (undef, %text) = split(/^### (.+)\n/m, $section);

is_deeply([ sort keys %text ], [ sort keys %flags ],
          'a heading for each directive, and none besides');

my @context = ([ MAIN => 'http' ], [ SRV => 'server' ], [ LOC => 'location' ],
               [ LIF => 'if in location' ], [ LMT => 'limit_except' ]);
my $defaults = '';

foreach my $name (sort keys %text) {
    my $context = join(', ', map { $_->[1] }
        grep { $flags{$name} =~ /NGX_HTTP_$_->[0]_CONF/ } @context);

    like($text{$name}, qr/\A\n\*\*Syntax:\*\*\ \*\*`$name`\*\*[^\n]*\n\n
                          \*\*Default:\*\*\ \S[^\n]*\n\n
                          \*\*Context:\*\*\ \Q$context\E\n/x,
         "$name: syntax, default, context");

    if ($text{$name} =~ /^\*\*Default:\*\* `($name .*?)`$/m) {
        $defaults .= "$1;\n";
    }
}

accepted('the defaults', $defaults);


# words of chat_provider, variables, codes, environment

my ($words) = read_file("$root/ngx_chat_module/http/conf/"
                        . 'ngx_http_chat_provider_directives.c')
    =~ /ngx_http_chat_provider_directives\[\] = \{(.*?)\n\};/s;

same('words of chat_provider', [ $words =~ /ngx_string\("(\w+)"\)/g ],
     [ $text{chat_provider} =~ /^\| `(\w+)`/mg ]);

my ($vars) = read_file("$root/ngx_chat_module/http/"
                       . 'ngx_http_chat_variables.c')
    =~ /ngx_http_chat_vars\[\] = \{(.*?)\n\};/s;

same('variables', [ $vars =~ /ngx_string\("(\w+)"\)/g ],
     [ part('Variables') =~ /^\| `\$(\w+)`/mg ]);

my ($codes) = read_file("$root/ngx_chat_module/codec/ngx_chat_error.c")
    =~ /ngx_chat_errors\[\] = \{(.*?)\n\};/s;
my %codes = map { $_ => 1 } $codes =~ /ngx_string\("([a-z_]+)"\)/g;
my %said = map { $_ => 1 }
    part('POST /chat') =~ /^\| (?:\d+ \| )?`([a-z_]+)` \| /mg;

# fields of the request

delete @said{qw(question use_cache)};
same('codes', [ keys %codes ], [ keys %said ]);

my $names = join('', map { read_file($_) }
                 glob("$root/ngx_chat_module/*.c $root/ngx_chat_module/*/*.c"
                      . " $root/ngx_chat_module/*/*/*.c"));

same('environment', [ $names =~ /_env\(cf, "(\w+)"/g ],
     [ grep { $_ ne 'NAME' } part('Environment variables')
       =~ /`(?:env:)?([A-Z_]+|[a-z]+_proxy)`/g ]);


# how long a client can wait: what the formulas come to, and the tests

my $waits = part('How long can a client wait?');
my %default = $readme =~ /^\*\*Default:\*\* `(chat_\w+) (\d+s)`$/mg;
my %unit = (s => 1, m => 60);

%default = (%default, part('Directives')
    =~ /^\| `(\w+)` _`(?:time|number)`_ \| (\d+[sm]?) \|/mg);

foreach my $row (grep { /^\| .* \| `/ } split(/\n/, $waits)) {
    next if $row =~ /`\w+\.t`/;

    my ($formula, $said) = $row =~ /^\| .*? \| `(.*?)` \| (.*?) \|/;
    my $sum = $formula =~ s/([a-z]\w{2,})/$default{$1}/gr;

    $sum =~ s/([\d.]+)([sm])\b/$1 * $unit{$2}/ge;
    $sum =~ s/ x / * /g;
    $said =~ s/^at once$/0 s/;

    is((eval $sum) . ' s', $said, "it waits $formula");
}

my %fixed = (read_file("$root/ngx_chat_module/store/ngx_chat_store.h")
             . read_file("$root/ngx_chat_module/redis/ngx_chat_redis.h")
             . read_file("$root/ngx_chat_module/filler/ngx_chat_job.c"))
    =~ /^#define NGX_CHAT_(\w+) +(\d+)000\b/mg;

is_deeply([ @fixed{qw(REDIS_TIMEOUT LEASE MARGIN SILENCE JOB_SPARE)} ],
          [ 1, 10, 10, 5, 5 ],
          'the fixed times are those of the code');

my @shown = $waits =~ /\| `(\w+\.t)`: ([^|]+) \|$/mg;

cmp_ok(@shown / 2, '>', 140, 'faults, each with a test');

while (my ($file, $name) = splice(@shown, 0, 2)) {
    like(read_file("$root/t/$file"), qr/\Q$name\E/, "$file shows: $name");
}


# snippets

# that with files of its own is production.t's

my @snippets = $readme =~ /(?<!<!--\ test:\ production\ -->\n)
                           ^```nginx\n(.*?)^```/msgx;

ok(@snippets >= 2, 'README has snippets');

accepted("snippet $_", $snippets[$_ - 1]) foreach 1 .. @snippets;

my $example = read_file("$root/nginx.conf.example");

accepted('nginx.conf.example', $example);

# what is commented out there shows the defaults, unless it says so

$example =~ s/^.*# example$//mg;
$example =~ s/^(\s*)#(?! \S)/$1/mg;
accepted('nginx.conf.example, all of it', $example);

my $examples = qr/^chat(?:_health|_redis_password|_redis_sentinel_password
    |_broker|_cache_scope|_redis_ssl_(?:trusted_certificate|certificate|certificate_key|name))?$/x;

foreach (grep { $_ !~ $examples } sort keys %flags)
{
    like($example, qr/^\s*$_\b/m, "nginx.conf.example shows $_");
}

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


# a section of README

sub part {
    my ($name) = @_;
    my ($text) = $readme =~ /^## \Q$name\E\n(.*?)(?=^## |\z)/ms;

    return $text // '';
}


sub same {
    my ($name, $code, $said) = @_;
    my %code = map { $_ => 1 } @$code;
    my %said = map { $_ => 1 } @$said;

    is_deeply([ sort keys %said ], [ sort keys %code ], "all $name");
}


# "nginx -t" of a whole configuration, or of lines of "http"

sub accepted {
    my ($name, $conf) = @_;
    my $nginx = new_nginx();
    my $dir = $nginx->dir;
    my $port = $nginx->port;
    my $temp = join('', map { "${_}_temp_path $dir/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi));

    if ($conf !~ /^http \{/m) {
        my $server = $conf =~ /^\s*server \{/m ? ''
            : "server { listen 8000; location = /chat { chat; } }\n";

        $conf = "load_module modules/ngx_chat_module.so;\n"
            . "events {}\nhttp {\n$conf$server}\n";
    }

    my $load = $ENV{CHAT_NGINX} ? ''
        : "load_module $root/build/ngx_chat_module.so;";

    $conf =~ s/^load_module .*$/$load\npid $dir\/nginx.pid;
error_log $dir\/error.log;/m;
    $conf =~ s/^http \{/http {\naccess_log off;\n$temp/m;
    $conf =~ s/^user .*$//m if $> != 0;
    $conf =~ s/listen 8000;/listen 127.0.0.1:$port;/;

    write_text("$dir/nginx.conf", $conf);

    $nginx->{env} = { OPENAI_API_KEY => 'k' };

    my ($status, $output) = $nginx->run('-t');

    # not every machine that tests can resolve names

    $output =~ s/^.*\[warn\].*without "resolver" the direct path.*\n//mg;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status == 0 && $output !~ /\[(?:warn|error|crit|alert|emerg)\]/,
       "$name: nginx accepts it") or diag($output);
}


sub write_text {
    my ($name, $text) = @_;

    open(my $file, '>:raw', $name) or die "$name: $!\n";
    print $file $text;
    close($file);
}
