#!/usr/bin/perl

# Two instances share a Redis and its queue, and a name stands for another model
# in each: an answer that the other's filler made is delivered, but not taken for
# one of the own model later.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

my $redis = start_redis();
my $provider = start_provider(chunks => 3);


sub instance {
    my ($model, %more) = @_;

    return start_nginx(redis => $redis, lead => 'off', %more, http => <<"EOT");
    chat_provider openai {
        url http://127.0.0.1:$provider->{port}/v1;
        key sk-test-key;
        model $model;
    }
    chat_provider $model {
        url http://127.0.0.1:$provider->{port}/v1;
        key sk-test-key;
        model another;
    }
EOT
}


my $small = instance('small',
                     server => 'location = /small { chat small; }');

# its filler is stopped, and does not wait for tasks any more

my $filler = filler($small);

ok(takes_none($redis, $filler), 'the own filler: takes nothing');

my $large = instance('large');
my $question = 'Which model?';

ok(wait_for(sub { waiting_for_tasks($redis) }, 10),
   'the other filler: waits for tasks');

my $q = ask($small, { question => $question });

stream_ok($q,
          'another model: an answer of the other filler',
          cache => qr/fwd=miss$/);
is(parse_json(provider_stats($provider)->{last_request})->{model}, 'large',
   'another model: it has answered');
like($large->error_log, qr/\[warn\].*is configured differently/,
     'another model: the log tells');
is($redis->cmd('EXISTS', stream_key($question)), 0,
   'another model: the answer is not cached');

# a provider that is not known there at all

my $unknown = 'Who is that?';

stream_ok(scalar ask($small, { question => $unknown, path => '/small' }),
          'an unknown provider: an error', error => 'internal', restarts => 0);
like($large->error_log, qr/provider "small" is not configured here/,
     'an unknown provider: the log tells');
is(provider_stats($provider, $unknown), 0,
   'an unknown provider: nobody else is asked');

kill('CONT', $filler);

# the own filler's are

my $own = ask($large, { question => $question });

stream_ok($own,
          'the other model: a miss where it is meant', cache => qr/fwd=miss$/);

done();
