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
# Blocks use $CHAT_REDIS, $CHAT_REDIS_SOCKET, $CHAT_REDIS_PORT and
# $CHAT_PROVIDER (a URL) in their configuration; a block without
# "--- http_config" gets a configuration that uses them.  "--- alerts_allowed"
# leaves out the check of the log.

use warnings;
use strict;

use Exporter qw(import);
use Test::Nginx::Socket;

use Chat::Test ();

our @EXPORT = qw(chat_blocks chat_redis chat_provider);

my ($redis, $provider);


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

    add_block_preprocessor(\&_prepare);
}


sub chat_redis    { return $redis }
sub chat_provider { return $provider }


sub _prepare {
    my ($block) = @_;

    if (!defined $block->http_config) {
        $block->set_value('http_config', <<"EOT");
chat_redis $ENV{CHAT_REDIS};
chat_provider openai {
    url $ENV{CHAT_PROVIDER};
    key sk-test-key;
    model test;
}
EOT
    }

    if (!defined $block->no_error_log && !defined $block->alerts_allowed) {
        $block->set_value('no_error_log', "[alert]\n[emerg]\nopen socket\n");
    }

    # a second log outlives the block and shows what happened at its exit

    if (defined $ENV{CHAT_TEST_ALERTS} && !defined $block->alerts_allowed) {
        $block->set_value('main_config', ($block->main_config // '')
                          . "\nerror_log $ENV{CHAT_TEST_ALERTS} alert;\n");
    }
}


1;
