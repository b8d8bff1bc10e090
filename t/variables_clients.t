#!/usr/bin/perl

# The module's variables where several clients ask, or one leaves: see
# variables.t.

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
    http => <<"EOT");
    log_format chat escape=json 'uri=[\$request_uri] '
        'time=[\$request_time] status=[\$status] $format';
    access_log %%DIR%%/chat.log chat;
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

# a miss and a hit: the generation that the client was told

my $miss = ask($nginx, { question => $q });
my $got = is_logged('miss', '/chat', %all, cache_status => 'MISS',
                    bytes => length($miss->{body}));

is($got->{generation}, $miss->{headers}{'x-chat-generation'},
   'miss: the generation that the client was told');

my $hit = ask($nginx, { question => $q });

is_logged('hit', '/chat', %all, cache_status => 'HIT',
          bytes => length($hit->{body}),
          generation => $miss->{headers}{'x-chat-generation'});

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

# a client that goes away, after one chunk

my $gone = 'What is {{gap=800}} not waited for?';

$key = key_of($gone);
ask($nginx, { question => $gone, hangup_after => 1 });
is_logged('gone', '/chat', question => $gone, key => $key,
    generation => qr/^[0-9a-f]{32}\.$key$/, status => 'gone',
    cache_status => 'MISS', queue_time => $time, first_chunk_time => $time,
    chunks => qr/^[1-3]$/, bytes => qr/^\d+$/,
    provider => qr/^(?:openai)?$/, model => qr/^(?:test)?$/);

done();
