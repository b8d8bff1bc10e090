#!/usr/bin/perl

# The module's variables: in an access log, for each way in which a request can
# go, and where somebody looks at them before there is a question.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

# spelled out, so that each can be found

my @variables = split(' ', '
    $chat_question
    $chat_key
    $chat_cache_status
    $chat_generation
    $chat_status
    $chat_error
    $chat_provider
    $chat_model
    $chat_queue_time
    $chat_first_chunk_time
    $chat_chunks
    $chat_bytes
');

my @names = map { s/^\$chat_//r } @variables;
my $format = join(' ', map { "$names[$_]=[$variables[$_]]" } 0 .. $#names);

my $redis = start_redis();
my $provider = start_provider(chunks => 3);
my $nginx = start_nginx(redis => $redis, provider => $provider,
    http => <<"EOT", server => <<'EOT', location => 'chat_bypass $allowed;');
    log_format chat escape=json 'uri=[\$request_uri] '
        'time=[\$request_time] status=[\$status] $format';
    access_log %%DIR%%/chat.log chat;

    map \$http_x_no_bypass \$allowed { default 1; yes off; }
    map \$chat_question \$mapped { default "some"; "" "none"; }
    map \$chat_status \$early { volatile; default "later"; "" "early"; }
    limit_req_zone \$chat_question zone=question:1m rate=1r/m;
    limit_req_zone \$chat_key zone=key:1m rate=1r/m;
    limit_conn_zone \$chat_key zone=conn:1m;
EOT
        location = /bypass  { chat; chat_cache off; }
        location = /private { chat; chat_cache_scope $http_x_tenant; }
        location = /down    { chat; error_page 405 422 @page; }
        location = /page    { return 204; }
        location @page      { add_header X-Error $chat_error always;
                              return 418 "$chat_status $chat_error"; }

        location = /early {
            chat;

            if ($chat_question) { return 403; }
            if ($mapped = none) { set $was "$mapped $early"; }
            set $copied "[$chat_question]";

            limit_req zone=question;
            limit_req zone=key;
            limit_conn conn 1;

            chat_cache_key "$host $chat_question";

            add_header X-Was $was;
            add_header X-Copied $copied;
            add_header X-Question $chat_question;
            add_header X-Status $chat_cache_status;
            add_header X-Key $chat_key;
        }
EOT

# the variables of the last line of the log for this uri

my $seen = 0;


sub logged {
    my ($uri) = @_;
    my $line = wait_for {
        my @lines = split(/\n/, read_file($nginx->dir . '/chat.log'));

        @lines > $seen ? $lines[$seen] : undef;
    } 5, "a line of $uri";

    $seen++;
    $line //= '';

    my %got = $line =~ /(\w+)=\[(.*?)\](?= |$)/g;

    is($got{uri}, $uri, "log line $seen: of $uri");

    return \%got;
}


sub is_logged {
    my ($name, $uri, %want) = @_;
    my $got = logged($uri);

    foreach (@names) {
        my $want = $want{$_} // '';

        if (ref $want) {
            like($got->{$_}, $want, "$name: \$chat_$_ in the log");

        } else {
            is($got->{$_}, $want, "$name: \$chat_$_ in the log");
        }
    }

    return $got;
}


my $time = qr/^\d+\.\d{3}$/;
my $q = 'What is a variable?';
my $key = key_of($q);
my %all = (question => $q, key => $key, generation => qr/^[0-9a-f]{32}\.$key$/,
    provider => 'openai', model => 'test', queue_time => $time,
    first_chunk_time => $time, chunks => 3, status => 'completed');

# miss, hit

my $miss = ask($nginx, { question => $q });
my $got = is_logged('miss', '/chat', %all, cache_status => 'MISS',
                    bytes => length($miss->{body}));

is($got->{generation}, $miss->{headers}{'x-chat-generation'},
   'miss: the generation that the client was told');

my $hit = ask($nginx, { question => $q });

$got = is_logged('hit', '/chat', %all, cache_status => 'HIT',
                 bytes => length($hit->{body}),
                 generation => $miss->{headers}{'x-chat-generation'});

is($got->{queue_time}, $got->{first_chunk_time}, 'hit: one moment');

# refresh, and one that is not allowed

ask($nginx, { question => $q, use_cache => 0 });
is_logged('refresh', '/chat', %all, cache_status => 'MISS',
          bytes => length($miss->{body}));

ask($nginx, { question => $q, use_cache => 0,
              headers => { 'X-No-Bypass' => 'yes' } });
is_logged('refused refresh', '/chat', %all, cache_status => 'HIT',
          bytes => length($miss->{body}));

# bypass: chat_cache off, and a tenant without a name

ask($nginx, { question => $q, path => '/bypass' });
is_logged('bypass', '/bypass', %all, cache_status => 'BYPASS',
          bytes => length($miss->{body}));

ask($nginx, { question => $q, path => '/private' });
is_logged('empty scope', '/private', %all, cache_status => 'BYPASS',
          key => qr/^[0-9a-f]{64}$/, generation => qr/^[0-9a-f]{32}\./,
          bytes => length($miss->{body}));

# join

my $slow = 'What takes {{gap=600}} so long?';
my @both = ask($nginx, { question => $slow },
    { question => $slow, delay => 0.12 });

$key = key_of($slow);

my %slow = (%all, question => $slow, key => $key,
    generation => $both[0]{headers}{'x-chat-generation'},
    bytes => length($both[0]{body}));
my @lines = map { logged('/chat') } 1, 2;

is(join(' ', sort map { $_->{cache_status} } @lines), 'JOIN MISS',
   'join: one of each');

foreach my $line (@lines) {
    foreach (qw(question key generation status error provider model chunks
                bytes))
    {
        is($line->{$_}, $slow{$_} // '',
           "join, $line->{cache_status}: \$chat_$_ in the log");
    }

    # two pauses are behind it

    cmp_ok($line->{first_chunk_time}, '<', $line->{time} - 0.5,
           "join, $line->{cache_status}: first_chunk_time");
}

# an error in the stream, after two chunks

my $bad = 'What ends {{fault=eof;at=2;gap=5}} badly?';

$key = key_of($bad);
ask($nginx, { question => $bad });
is_logged('error', '/chat', question => $bad, key => $key,
    generation => qr/^[0-9a-f]{32}\.$key$/, status => 'error',
    error => 'provider_broken', cache_status => 'MISS', queue_time => $time,
    first_chunk_time => $time, chunks => qr/^[0-2]$/, bytes => qr/^\d+$/,
    provider => qr/^(?:openai)?$/, model => qr/^(?:test)?$/);

# a client that goes away, after one chunk

my $gone = 'What is {{gap=800}} not waited for?';

$key = key_of($gone);
ask($nginx, { question => $gone, hangup_after => 1 });
is_logged('gone', '/chat', question => $gone, key => $key,
    generation => qr/^[0-9a-f]{32}\.$key$/, status => 'gone',
    cache_status => 'MISS', queue_time => $time, first_chunk_time => $time,
    chunks => qr/^[1-3]$/, bytes => qr/^\d+$/,
    provider => qr/^(?:openai)?$/, model => qr/^(?:test)?$/);

# errors before the stream

get($nginx, '/chat');
is_logged('wrong method', '/chat', status => 'error',
          error => 'method_not_allowed');
ask($nginx, { body => '{}' });
is_logged('wrong field', '/chat', status => 'error',
          error => 'invalid_field');

my $page = ask($nginx, { body => '{}', path => '/down' });

is($page->{body}, 'error invalid_field', 'error page: it knows why');
is($page->{headers}{'x-error'}, 'invalid_field', 'error page: its headers too');
is_logged('error page', '/down', status => 'error', error => 'invalid_field');

# another location has none of them

get($nginx, '/page');
is_logged('another location', '/page');
get($nginx, '/');
is_logged('health', '/');

# an early look fixes nothing, and no question makes no key

foreach my $text ('First of all?', 'Then?') {
    my $early = ask($nginx, { question => $text, path => '/early' });
    my $h = $early->{headers};

    stream_ok($early, "early, $text: an answer");
    is($h->{'x-question'}, $text, "early, $text: the question");
    is($h->{'x-was'}, 'none early', "early, $text: what a map made of it");
    is($h->{'x-copied'}, '[]', "early, $text: not known early");
    is($h->{'x-status'}, 'MISS', "early, $text: the cache status");
    is($h->{'x-key'}, custom_key_of("localhost $text"),
       "early, $text: the key");
    is_logged("early, $text", '/early', %all, question => $text,
              key => custom_key_of("localhost $text"), cache_status => 'MISS',
              generation => qr/^[0-9a-f]{32}\./, bytes => qr/^\d+$/);
}

is(provider_stats($provider, 'Then?'), 1, 'an early look: both were asked');

# escaping is the log's

my $odd = "a \"quoted\"\nline \x{e9} [x]";

utf8::encode($odd);
ask($nginx, { question => $odd });
$got = logged('/chat');
like(read_file($nginx->dir . '/chat.log'),
     qr/question=\[a \\"quoted\\"\\nline \xc3\xa9 \[x\]\] key=/,
     'escaping: a question with special characters');

done();
