#!/usr/bin/perl

# The shortest way through everything: one question is asked twice, a miss and
# then a hit, and the provider is called once.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $question = 'What is the shortest way?';

my $redis = start_redis();
my $provider = start_provider(chunks => 8, gap => 5);
my $nginx = start_nginx(redis => $redis, provider => $provider);

my @pieces = pieces_of($question, chunks => 8);

my $miss = ask($nginx, { question => $question });

stream_ok($miss, 'asked once: a miss', chunks => \@pieces, restarts => 0,
          cache => qr/^ngx_chat; fwd=miss$/);

my $hit = ask($nginx, { question => $question });

stream_ok($hit, 'asked twice: a hit', chunks => \@pieces, restarts => 0,
          cache => qr/^ngx_chat; hit; ttl=\d+$/);

is($hit->{body}, $miss->{body}, 'asked twice: the same bytes');
ok($hit->{keepalive}, 'asked twice: the connection stays open');
is(provider_stats($provider, $question), 1,
   'asked twice: one call of the provider');

my $entries = $redis->entries(stream_key($question));

is_deeply([ map { $_->{status} } @$entries ],
          [ 'processing', ('streaming') x 8, 'completed' ],
          'in Redis: the events');
is($entries->[-1]{chunk}, join('', @pieces), 'in Redis: the whole answer');

is(get($nginx, '/')->{status}, 200, 'health: status 200');

done();
