#!/usr/bin/perl

# A Redis that drops clients which are owed more than so many bytes: an answer
# of more cannot be had from there, and the log says why.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my %LARGE = (chunks => 2000, bytes => 200, gap => 0, first => 0);

my $redis = start_redis();
my $nginx = start_nginx(redis => $redis, workers => 1,
    provider => start_provider(%LARGE), location => 'chat_redis_down error;');
my $large = 'What is large?';
my $small = 'What is small? {{chunks=3}}';

foreach ($large, $small) {
    stream_ok(scalar ask($nginx, { question => $_ }), 'asked: ' . $_,
              chunks => [ pieces_of($_, %LARGE) ]);
    stream_ok(scalar ask($nginx, { question => $_ }), 'a hit: ' . $_,
              cache => qr/; hit/, chunks => [ pieces_of($_, %LARGE) ]);
}

is($redis->cmd('CONFIG', 'SET', 'client-output-buffer-limit',
               'normal 100kb 0 0'), 'OK', 'a limit: it is set');

# so long after it was made that the next connection is made at once

select(undef, undef, undef, 1.2);

my $q = ask($nginx, { question => $large });

is($q->{status}, 503, 'a limit: the answer is refused') or diag($q->{raw});

my $key = stream_key($large);

ok(wait_for(sub { $nginx->error_log =~ /\[error\].*the answer at "$key"/ }, 5),
   'a limit: the log names it');

ok(wait_for(sub {
    ask($nginx, { question => $small })->{status} == 200
}, 10), 'a limit: others are served');

# again and again: it is left alone

ok(wait_for(sub {
    ask($nginx, { question => $large });
    $nginx->error_log =~ /"$key", which is not asked for any more for 60 s/;
}, 20), 'once more: the log tells that it is not asked for');

my $made = sub {
    my ($n) = $redis->cmd('INFO', 'stats') =~ /total_connections_received:(\d+)/;
    return $n;
};

ok(wait_for(sub {
    ask($nginx, { question => $small })->{status} == 200
}, 10), 'once more: others are served');

my $before = $made->();
my @all = ask($nginx, map { ({ question => $large }, { question => $small }) }
              1 .. 10);

is(join(' ', map { $_->{status} } @all), join(' ', ('503 200') x 10),
   'once more: only that answer is refused');
is($made->(), $before, 'once more: no connection is lost');

is($redis->cmd('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 0 0 0'),
   'OK', 'no limit: it is set');
ok($nginx->reload, 'no limit: a reload');
ok(wait_for(sub {
    $q = ask($nginx, { question => $large });
    $q->{status} == 200;
}, 10), 'no limit: asked for again');
stream_ok($q, 'no limit: a hit', cache => qr/; hit/,
          chunks => [ pieces_of($large, %LARGE) ]);

done();
