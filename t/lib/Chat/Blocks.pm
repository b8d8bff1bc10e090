package Chat::Blocks;

# What all files of Test::Nginx blocks share: a private Redis, a provider, and
# that no block may leave anything bad in a log.
#
#     use lib 't/lib';
#     use Test::Nginx::Socket 'no_plan';
#     use Chat::Blocks;
#
#     chat_blocks();
#     run_tests();
#
# A block without "--- http_config" gets
#
#     chat_redis $TEST_NGINX_CHAT_REDIS;
#     chat_zone off;
#     chat_provider openai {
#         url $TEST_NGINX_CHAT_PROVIDER;
#         key sk-test-key;
#         model test;
#     }
#
# and behind it what "--- more_http" has; one without "--- config" gets
# "location = /chat { chat; }", and a request without "--- more_headers" is
# "Content-Type: application/json".  Variables in a configuration are
# $TEST_NGINX_CHAT_REDIS, $TEST_NGINX_CHAT_REDIS_SOCKET,
# $TEST_NGINX_CHAT_REDIS_PORT and $TEST_NGINX_CHAT_PROVIDER (a URL).
#
#     --- told: name ...     the answer to each request, by a name of %told;
#                            "-" is a stream of three chunks
#     --- asks: question     POST /chat with this question; one a line
#     --- init               before the requests: perl, which may block_ask()
#     --- sent_headers       lines of what the provider got last, or with "not"
#                            before it what was nowhere in them
#     --- sent               its body, as JSON
#     --- env                NAME=value: the environment of this block
#     --- alerts_allowed     leaves out the check of the log

use warnings;
use strict;

use Exporter qw(import);
use JSON::PP ();
use Test::More ();
use Test::Nginx::Socket;

use Chat::Answer ();
use Chat::Client ();
use Chat::Test ();

our @EXPORT = qw(chat_blocks chat_redis chat_provider told_body told_bodies
    told_codes stream_of block_ask block_get);

my ($redis, $provider);

# ps says nothing of a process that is waited for just then

{
    no warnings 'redefine';

    *Test::Nginx::Util::is_defunct = sub {
        return Chat::Test::read_file("/proc/$_[0]/stat") !~ /\) [^Z] /;
    };
}

# what a client is told: [status, code, message]

my %told = (
    method => [405, 'method_not_allowed', 'Only POST is allowed here.'],
    type   => [415, 'unsupported_media_type',
               'The request must have the content type application/json.'],
    large  => [413, 'body_too_large', 'The request body is too large.'],
    bad    => [400, 'bad_request', 'The request could not be understood.'],
    json   => [400, 'bad_request', 'The request body is not valid JSON.'],
    deep   => [400, 'bad_request', 'The request body is nested too deeply.'],
    twice  => [400, 'bad_request',
               'The field \"question\" is given twice.'],
    twice2 => [400, 'bad_request',
               'The field \"use_cache\" is given twice.'],
    object => [422, 'invalid_field', 'The request body must be an object with'
               . ' the field \"question\".'],
    none   => [422, 'invalid_field', 'The field \"question\" is missing.'],
    string => [422, 'invalid_field',
               'The field \"question\" must be a string.'],
    empty  => [422, 'invalid_field',
               'The field \"question\" must not be empty.'],
    long   => [422, 'invalid_field', 'The field \"question\" is too long.'],
    bool   => [422, 'invalid_field',
               'The field \"use_cache\" must be true or false.'],
    denied => [403, 'bad_request', 'Forbidden'],
    auth   => [401, 'bad_request', 'Authorization Required'],
    many   => [429, 'bad_request', 'Too Many Requests'],
    busy   => [503, 'internal', 'Service Temporarily Unavailable'],
    down   => [503, 'redis_down', 'The service is not available at the moment.'
               . ' Please try again later.'],
    fault  => [500, 'internal', 'An internal error occurred.'],
    limit  => [429, 'miss_limit',
               'Too many new questions. Please try again later.'],
);

# a whole stream: three chunks, then their sum

my $stream = qr/^data:\ \{"status":\ "processing"\}\n\n
    data:\ \{"status":\ "streaming",\ "chunk":\ "([^"]+)"\}\n\n
    data:\ \{"status":\ "streaming",\ "chunk":\ "([^"]+)"\}\n\n
    data:\ \{"status":\ "streaming",\ "chunk":\ "([^"]+)"\}\n\n
    data:\ \{"status":\ "completed",\ "chunk":\ "\1\2\3"\}\n\n$/x;


# chat_blocks(chunks => 3, ...): options of the provider

sub chat_blocks {
    my (%opt) = @_;

    $redis = Chat::Test::start_redis();
    $provider = Chat::Test::start_provider(chunks => 3, %opt);

    $ENV{CHAT_REDIS} = $redis->url;
    $ENV{CHAT_REDIS_PORT} = $redis->port;
    $ENV{CHAT_REDIS_SOCKET} = "$redis->{dir}/redis.sock";
    $ENV{CHAT_PROVIDER} = 'http://127.0.0.1:' . $provider->port . '/v1';
    $ENV{TEST_NGINX_CHAT_REDIS} = $ENV{CHAT_REDIS};
    $ENV{TEST_NGINX_CHAT_REDIS_PORT} = $ENV{CHAT_REDIS_PORT};
    $ENV{TEST_NGINX_CHAT_REDIS_SOCKET} = $ENV{CHAT_REDIS_SOCKET};
    $ENV{TEST_NGINX_CHAT_PROVIDER} = $ENV{CHAT_PROVIDER};

    # behind those of the file, which may set what a section stands for

    push(@Test::Nginx::Util::BlockPreprocessors, \&_prepare);
    add_response_body_check(\&_check_sent);
}


sub chat_redis    { return $redis }
sub chat_provider { return $provider }


# the body that has this name; without one, any stream of three chunks

sub told_body {
    my ($name) = @_;

    return $stream unless defined $name;
    return "{\"status\": \"error\", \"message\": \"$told{$name}[2]\","
        . " \"code\": \"$told{$name}[1]\"}";
}


sub told_bodies { return [ map { told_body($_) } @_ ] }
sub told_codes  { return [ map { defined $_ ? $told{$_}[0] : 200 } @_ ] }


# the exact stream of the answer to a question: stream_of($question, number =>
# of the call, where the provider's are unique, and other options)

sub stream_of {
    my ($question, %opt) = @_;
    my $number = delete $opt{number} || 1;
    my @pieces = Chat::Answer::pieces_of($question, Chat::Answer::options_of(
        { chunks => 3, %opt }, '', $question), $number);
    my $json = \&Chat::Client::json_string;

    return join('', map { "data: {\"status\": $_}\n\n" } '"processing"',
        (map { '"streaming", "chunk": ' . $json->($_) } @pieces),
        '"completed", "chunk": ' . $json->(join('', @pieces)));
}


# more requests to nginx as the block has it, in "--- init": see Chat::Client

sub block_ask {
    my (@ask) = @_;

    return scalar Chat::Client::ask(undef, { port => server_port_for_client(),
                                             @ask });
}


sub block_get { return block_ask(method => 'GET', path => @_) }


# what the module reads is no concern of a block that does not say so

sub _prepare_env {
    my ($block) = @_;

    delete @ENV{grep { /^(?:OPENAI_|REDIS_URL|CELERY_|CACHE_TTL|CHAT_ENV_)/ }
                keys %ENV};

    foreach (split(/\n/, $block->env // '')) {
        my ($name, $value) = /^(\w+)=(.*)$/ or next;

        $value =~ s/\$(TEST_NGINX_\w+)/$ENV{$1}/g;
        $ENV{$name} = $value;
    }
}


sub _check_sent {
    my ($block) = @_;

    return unless defined $block->sent_headers || defined $block->sent;

    my $stats = Chat::Test::provider_stats($provider);
    my $name = $block->name;

    foreach my $line (split(/\n/, $block->sent_headers // '')) {
        my ($not, $text) = $line =~ /^(not )?(.+)$/ or next;

        if ($not) {
            Test::More::unlike($stats->{last_headers}, qr/\Q$text\E/i,
                               "$name - the provider got no $text");

        } else {
            Test::More::like($stats->{last_headers}, qr/^\Q$text\E\r?$/m,
                             "$name - the provider got $text");
        }
    }

    if (defined $block->sent) {
        my $json = JSON::PP->new->utf8;
        my $request = $stats->{last_request};

        utf8::encode($request);
        Test::More::is_deeply($json->decode($request),
                              $json->decode($block->sent),
                              "$name - the provider got this body");
    }
}


sub _prepare {
    my ($block) = @_;

    _prepare_env($block);
    _prepare_conf($block);

    if (defined $block->asks) {
        my @asks = map { "POST /chat\n{\"question\": "
                         . Chat::Client::json_string($_) . '}' }
            split(/\n/, $block->asks);

        $block->set_value('request', @asks > 1 ? \@asks : $asks[0]);
    }

    if ((defined $block->request || defined $block->pipelined_requests)
        && !defined $block->more_headers)
    {
        $block->set_value('more_headers', 'Content-Type: application/json');
    }

    if (defined $block->told) {
        my @names = map { $_ eq '-' ? undef : $_ } split(' ', $block->told);

        $block->set_value('error_code', @names > 1 ? told_codes(@names)
                                                   : told_codes(@names)->[0]);
        $block->set_value('response_body', @names > 1 ? told_bodies(@names)
                                                      : told_body($names[0]));
    }

    if (!defined $block->no_error_log && !defined $block->alerts_allowed) {
        $block->set_value('no_error_log', "[alert]\n[emerg]\nopen socket\n");
    }
}


sub _prepare_conf {
    my ($block) = @_;

    if (!defined $block->http_config) {
        my $more = $block->more_http // '';
        my $zone = $more =~ /\bchat_zone\b/ ? '' : 'chat_zone off;';

        $block->set_value('http_config', <<"EOT" . $more);
chat_redis $ENV{CHAT_REDIS};
$zone
chat_provider openai {
    url $ENV{CHAT_PROVIDER};
    key sk-test-key;
    model test;
}
EOT
    }

    if (!defined $block->config) {
        $block->set_value('config', 'location = /chat { chat; }');
    }

    # a second log outlives the block and shows what happened at its exit

    if (defined $ENV{CHAT_TEST_ALERTS} && !defined $block->alerts_allowed) {
        $block->set_value('main_config', ($block->main_config // '')
                          . "\nerror_log $ENV{CHAT_TEST_ALERTS} alert;\n");
    }
}


1;
