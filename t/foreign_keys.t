#!/usr/bin/perl

# Whatever else is found where this module keeps something counts as absent,
# is no error, and is replaced.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $redis = start_redis();

# slow enough for the second of two clients to come before the end

my $provider = start_provider(chunks => 4, first => 40);
my $nginx = start_nginx(redis => $redis, provider => $provider, lead => 'on',
    server => 'location = /queued { chat; chat_lead off; }');

# a real answer to take the others from

my $question = 'What does an answer look like?';

stream_ok(scalar ask($nginx, { question => $question }),
          'an answer of ours: a stream');

my @fields = sort qw(id status chunk cuts v fp gen opened sizes provider model
                     finish usage call);
my $model = $redis->entries(stream_key($question))->[-1];
my $fp = $model->{fp};

is_deeply([ sort keys %$model ], \@fields,
          'an answer of ours: the fields of its entry');

my $queued = 'What does one look like that a filler has asked for?';

stream_ok(scalar ask($nginx, { question => $queued, path => '/queued' }),
          'an answer of a filler: a stream');
is_deeply([ sort keys %{ $redis->entries(stream_key($queued))->[-1] } ],
          \@fields, 'an answer of a filler: the fields of its entry');
is($model->{cuts}, join(' ', map { length } pieces_of($question, chunks => 4)),
   'an answer of ours: cuts are the lengths of the chunks');

my $text = 'This is forged.';
my %good = (%$model, chunk => $text, cuts => '4 11', sizes => '15 4');

delete $good{id};


# puts a stream whose last entry has these fields

sub put {
    my ($key, %fields) = @_;

    $redis->cmd('XADD', $key, '0-1', 'status', 'processing');
    $redis->cmd('XADD', $key, '1-2', 'status', 'streaming', 'chunk', 'This');
    $redis->cmd('XADD', $key, '2-3', 'status', 'streaming', 'chunk',
                ' is forged.');
    $redis->cmd('XADD', $key, '3-4',
                map { ($_, $fields{$_}) } grep { defined $fields{$_} }
                sort keys %fields);
    $redis->cmd('PEXPIRE', $key, 600_000);
}


# the forged answer is one, but for what is to be changed below

put(stream_key('Is it good?'), %good);
stream_ok(scalar ask($nginx, { question => 'Is it good?' }),
          'like ours in all: a hit', text => $text, cache => qr/hit/,
          chunks => [ 'This', ' is forged.' ]);

my %things = (
    string => sub { $redis->cmd('SET', $_[0], 'completed') },
    'empty string' => sub { $redis->cmd('SET', $_[0], '') },
    list => sub { $redis->cmd('RPUSH', $_[0], 'status', 'completed') },
    hash => sub { $redis->cmd('HSET', $_[0], %good) },
    set => sub { $redis->cmd('SADD', $_[0], 'completed') },
    'sorted set' => sub { $redis->cmd('ZADD', $_[0], 1, 'completed') },
    bitmap => sub { $redis->cmd('SETBIT', $_[0], 7, 1) },
    'empty stream' => sub {
        $redis->cmd('XADD', $_[0], '1-1', 'status', 'completed');
        $redis->cmd('XDEL', $_[0], '1-1');
    },
    'processing alone' => sub {
        $redis->cmd('XADD', $_[0], '0-1', 'status', 'processing');
    },
    'half an answer' => sub {
        $redis->cmd('XADD', $_[0], '0-1', 'status', 'processing');
        $redis->cmd('XADD', $_[0], '1-2', 'status', 'streaming', 'chunk', 'a');
    },
    'an error' => sub {
        put($_[0], status => 'error', message => 'x', code => 'internal');
    },
    'the layout of another program' => sub {
        put($_[0], status => 'completed', chunk => $text);
    },
    'something after the end' => sub {
        put($_[0], %good);
        $redis->cmd('XADD', $_[0], '9-9', 'status', 'streaming', 'chunk', 'x');
    },
    'a large id' => sub {
        $redis->cmd('XADD', $_[0], '18446744073709551615-18446744073709551615',
                    'status', 'processing');
    },
    'forever' => sub { put($_[0], %good, v => 2);
                       $redis->cmd('PERSIST', $_[0]) },
);

my %changes = (
    v => [ undef, '', '0', '2', '01', '1 ' ],
    fp => [ undef, '', 'x' x length($fp), substr($fp, 1), "${fp}0" ],
    cuts => [ undef, '', '15 ', ' 15', '4  11', '4 12', '4 10', '15 0', '0 15',
              '-1 16', '+15', '4,11', '1e1 5', '0xf', '4 11 x', '4.0 11',
              '18446744073709551615 16', '99999999999999999999 15' ],
    gen => [ undef, '', 'x' x 32, substr($model->{gen}, 1),
             "$model->{gen}0", uc('abcdef') x 5 . 'AB',
             "0123456789abcdef\r\nX-Forged: yes" ],
    chunk => [ undef, '', "$text." ],
    status => [ undef, '', 'Completed', 'streaming' ],
);

foreach my $name (sort keys %changes) {
    foreach my $value (@{ $changes{$name} }) {
        my $what = defined $value ? "$name \"$value\"" : "no $name";

        $what =~ s/[^ -~]/./g;
        $things{$what} = sub { put($_[0], %good, $name => $value) };
    }
}

foreach my $name (sort keys %things) {
    $question = "What if there is $name?";

    my $key = stream_key($question);
    my @pieces = pieces_of($question, chunks => 4);

    $things{$name}->($key);

    my @two = ask($nginx, ({ question => $question }) x 2);

    is(join(' ', map { Chat::Check::faults($_, chunks => \@pieces,
                                           restarts => 0) } @two),
       '', "$name: counts as absent");
    ok((grep { $_->{headers}{'cache-status'} eq 'ngx_chat; fwd=miss' } @two)
       == 1 && provider_stats($provider, $question) == 1,
       "$name: one of two is a miss, for one call");
    is(join(' ', Chat::Check::faults(scalar ask($nginx,
                                                { question => $question }),
                                     chunks => \@pieces, restarts => 0,
                                     cache => qr/^ngx_chat; hit; ttl=/)),
       '', "$name: is replaced");
    cmp_ok($redis->cmd('PTTL', $key), '>', 0, "$name: by a key that expires");
}

# a finish reason that is no reason does not break out of its place

$question = 'What if the reason is odd?';
put(stream_key($question), %good, finish => "x\"}\n\ndata: {\"status\": \"a");

my $odd = ask($nginx, { question => $question });

is(scalar(grep { $_->{status} eq 'odd' } @{ $odd->{events} }), 0,
   'an odd finish reason: no event is broken');
is($odd->{terminal}{status}, 'completed',
   'an odd finish reason: the stream ends at most');

# the keys of a generation

my $id = '0123456789abcdef' x 2;
my %own = (state => 'r', token => 'f' x 32 . '.1', task => '1-1',
           base => '0-1', till => 9e12, tries => 1, n => 1, ms => 0,
           bytes => 0, joined => 9e12, opened => 9e12, due => 9e12,
           deadline => 9e12);
my @stream = (XADD => 'gen', '0-1', 'status', 'processing');

my %keys = (
    'live: a list' => [ [ RPUSH => 'live', 'a' ] ],
    'live: a hash' => [ [ HSET => 'live', 'a', 'b' ] ],
    'live: a stream' => [ [ XADD => 'live', '*', 'a', 'b' ] ],
    'live: nothing' => [ [ SET => 'live', '' ] ],
    'live: no id' => [ [ SET => 'live', 'who knows' ] ],
    'live: a long one' => [ [ SET => 'live', '0' x 100_000 ] ],
    'live: odd bytes' => [ [ SET => 'live', "\0\r\n\xff" x 8 ] ],
    'live: an id, nothing else' => [ [ SET => 'live', $id ] ],
    'gen: missing' => [ [ SET => 'live', $id ], [ HSET => 'own', %own ] ],
    'gen: a string' => [ [ SET => 'live', $id ], [ HSET => 'own', %own ],
                         [ SET => 'gen', 'x' ] ],
    'gen: a list' => [ [ SET => 'live', $id ], [ HSET => 'own', %own ],
                       [ RPUSH => 'gen', 'x' ] ],
    'own: missing' => [ [ SET => 'live', $id ], [ @stream ] ],
    'own: a string' => [ [ SET => 'live', $id ], [ @stream ],
                         [ SET => 'own', 'r' ] ],
    'own: a list' => [ [ SET => 'live', $id ], [ @stream ],
                       [ RPUSH => 'own', 'state', 'r' ] ],
    'own: no state' => [ [ SET => 'live', $id ], [ @stream ],
                         [ HSET => 'own', 'token', 'x' ] ],
    'own: an odd state' => [ [ SET => 'live', $id ], [ @stream ],
                             [ HSET => 'own', %own, 'state', 'x' ] ],
    'own: done' => [ [ SET => 'live', $id ], [ @stream ],
                     [ HSET => 'own', %own, 'state', 'd' ] ],
    'own: failed' => [ [ SET => 'live', $id ], [ @stream ],
                       [ HSET => 'own', %own, 'state', 'f' ] ],
);

foreach my $name (sort keys %keys) {
    $question = "What if the keys are strange, $name?";

    my $tag = '{' . stream_key($question) . '}:1:';
    my %key = (live => $tag . "live:$fp", gen => $tag . "gen:$id",
               own => $tag . "gen:$id:own");

    foreach my $command (@{ $keys{$name} }) {
        my ($verb, $key, @rest) = @$command;
        my $reply = $redis->cmd($verb, $key{$key}, @rest);

        die "$verb: $reply\n" if ref($reply);
        $redis->cmd('PEXPIRE', $key{$key}, 600_000);
    }

    my @all = ask($nginx, { question => $question },
                  { question => $question });

    stream_ok($all[$_],
              "$name: client $_ is answered",
              chunks => [ pieces_of($question, chunks => 4) ],
              restarts => 0) foreach 0, 1;
    is(provider_stats($provider, $question), 1, "$name: one call");
    stream_ok(scalar ask($nginx, { question => $question }),
              "$name: then cached",
              cache => qr/hit/);
}

unlike($nginx->error_log, qr/\[(?:error|crit|alert|emerg)\]/,
       'all of that: no error in the log');

done();
