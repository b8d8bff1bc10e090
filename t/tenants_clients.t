#!/usr/bin/perl

# Several clients without a tenant at once: each has an answer of its own, and
# nothing of it is stored or announced.  Request by request this is in
# tenants.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $redis = start_redis();
my $provider = start_provider(chunks => 4, unique => 1);
my $nginx = start_nginx(redis => $redis, provider => $provider,
    server => 'location = /scope { chat; chat_cache_scope $http_x_tenant; }');

my $question = 'What is our secret?';

# what a tenant has stored

stream_ok(scalar ask($nginx, { question => $question, path => '/scope',
                               headers => { 'X-Tenant' => 'a' } }),
          'tenant a: a miss', cache => qr/fwd=miss$/);

my $before = join(' ', sort @{ $redis->cmd('KEYS', 'chat:stream:*') });

foreach my $headers ({}, { 'X-Tenant' => '' }) {
    my $name = %$headers ? 'an empty tenant' : 'no tenant';
    my @all = ask($nginx, map {
        { question => "$question {{first=300}}", path => '/scope',
          headers => $headers, use_cache => $_ }
    } 1, 1, 1, 0);

    stream_ok($all[$_], "$name: client $_ bypasses", cache => qr/fwd=bypass$/)
        foreach 0 .. 3;

    my %texts = map { $_->{text} => 1 } @all;

    is(scalar(keys %texts), 4, "$name: each an answer of its own");
}

stream_ok(scalar ask($nginx, { question => $question, path => '/scope' }),
          'an empty scope: what others have stored is not seen',
          cache => qr/fwd=bypass$/);
is(join(' ', sort @{ $redis->cmd('KEYS', 'chat:stream:*') }), $before,
   'an empty scope: nothing was stored');
is_deeply($redis->cmd('KEYS', '*:live:*'), [],
          'an empty scope: nothing is announced');

done();
