#!/usr/bin/perl

# chat_miss_limit on several hosts and for several clients at once: what counts
# there, what Redis keeps of it, and those who have joined what is refused.
# Request by request it is in miss_limit.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

my $redis = start_redis();
my $provider = start_provider(chunks => 3);

my %opt = (redis => $redis, provider => $provider, http => <<'EOT',
    chat_miss_limit $http_x_user rate=6r/h;
EOT
    server => <<'EOT');
        location = /burst   { chat; chat_miss_limit $http_x_user rate=4r/h burst=2; }
        location = /fast    { chat; chat_miss_limit $http_x_user rate=20r/m; }
        location = /day     { chat; chat_miss_limit $http_x_user rate=20r/d; }
EOT

# whether a worker leads or a filler asks makes no difference

my $nginx = start_nginx(%opt, lead => 'on');
my $other = start_nginx(%opt, lead => 'off');

my $number = 0;
my $user = 'nobody yet';


# a new question, or one more time the same, of the user

sub question {
    my ($path, %more) = @_;

    return { question => "Question " . ++$number . '?',
             path => '/' . ($path || 'chat'),
             headers => { 'X-User' => $user }, %more };
}


sub limited {
    my ($q, $name, $min, $max) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($q->{status}, 429, "$name: refused");
    is($q->{headers}{'content-type'}, 'application/json', "$name: as JSON");
    is_deeply(parse_json($q->{body}), { status => 'error',
        code => 'miss_limit',
        message => 'Too many new questions. Please try again later.' },
        "$name: the body");

    my $after = $q->{headers}{'retry-after'} // '';

    like($after, qr/^[1-9]\d*$/, "$name: Retry-After is sent");
    ok($after >= $min && $after <= $max, "$name: Retry-After is the time left")
        or diag("$after is not between $min and $max");
}


sub limit_keys { return @{ $redis->cmd('KEYS', 'chat:limit:*') } }


# one in 10 minutes, and on the other host none

$user = 'one';

my $ask = question();

stream_ok(scalar ask($nginx, $ask),
          'the first one: a miss', cache => qr/fwd=miss$/);

my ($key, @more) = limit_keys();

like($key, qr/^chat:limit:1:\{chat:tasks:1\}:[0-9a-f]{64}$/,
     'the key: no name in it');
is(scalar(@more), 0, 'the key: the only one');

my $ttl = $redis->cmd('PTTL', $key);

ok($ttl > 0 && $ttl <= 600_000, 'the key: gone when it is made up for');

my $second = question();

limited(scalar ask($nginx, $second), 'the second one', 500, 600);
limited(scalar ask($other, $second), 'on another host', 500, 600);
is(provider_stats($provider, $second->{question}), 0,
   'the second one: nobody is asked');
is(scalar(grep { /\Q@{[ key_of($second->{question}) ]}\E/ }
          @{ $redis->cmd('KEYS', '*') }), 0,
          'the second one: nothing is opened');
like($nginx->error_log, qr/was not accepted: miss_limit/,
     'the second one: logged with its code');

# hits are free, on both

my @hits = map { scalar ask($_, $ask) } $nginx, $nginx, $other;

stream_ok($hits[$_], "a hit is free: client $_", cache => qr/hit/)
    foreach 0 .. 2;

# another user

$user = 'two';
stream_ok(scalar ask($nginx, question()),
          'another user: the question is answered');
limited(scalar ask($other, question()), 'another user, on the other host',
        500, 600);

# those who join are free

$user = 'joiner';

my $slow = question('', question => 'What {{gap=600}} is slow?');
my $seen = 0;
my ($miss, @joined) = ask($nginx, { %$slow, on_event => sub { $seen++ } },
    { %$slow, after => sub { $seen } },
    { %$slow, after => sub { $seen }, nginx => $other });

stream_ok($miss, 'a join is free: the miss', cache => qr/fwd=miss$/);
stream_ok($joined[$_],
          "a join is free: client $_", cache => qr/collapsed/) foreach 0, 1;
is(provider_stats($provider, $slow->{question}), 1, 'a join is free: one call');

# burst: three at once on both together, and one more each 15 minutes

$user = 'burst';

my @all = ask($nginx, map { question('burst', nginx => $_) } ($nginx, $other)
              x 3);

is(join(' ', sort map { $_->{status} } @all), '200 200 200 429 429 429',
   'burst: three of six are answered');

my @over = map { $_->{headers}{'retry-after'} }
           grep { $_->{status} == 429 } @all;

ok($over[$_] >= 800 && $over[$_] <= 900, "burst: until the next one, client $_")
    foreach 0 .. $#over;

# Retry-After is right

$user = 'later';
@all = sort { $a->{status} <=> $b->{status} }
    ask($nginx, map { question('fast') } 1 .. 3);
is("$all[0]{status} $all[2]{status}", '200 429',
   'Retry-After: one in 3 seconds');

my $after = $all[2]{headers}{'retry-after'};

ok($after >= 1 && $after <= 3, 'Retry-After: as long as it may be');
select(undef, undef, undef, $after);
stream_ok(scalar ask($nginx, question('fast')),
          'Retry-After: then a question is accepted');

ok(wait_for(sub {
    my $keys = () = limit_keys();
    my $long = grep { $redis->cmd('PTTL', $_) > 4000 } limit_keys();

    $keys == $long;
}, 15), 'the keys: gone when they are made up for');

is(scalar(grep { $redis->cmd('PTTL', $_) < 0 } limit_keys()), 0,
   'the keys: each has an end');
is(scalar(grep { $redis->cmd('GET', $_) !~ /^\d{16} [0-9a-f]{32}$/ } limit_keys()), 0,
   'the keys: each has a time in it');

# a reload keeps what counted

$user = 'reload';
stream_ok(scalar ask($nginx, question('day')), 'a reload: a miss before it');
$nginx->reload;
limited(scalar ask($nginx, question('day')), 'after a reload', 4000, 4320);

# Who is refused has opened the generation in vain; others who have joined it
# meanwhile, here and on another host, ask for themselves.

{
    my $proxy = start_proxy($redis);
    my $slow = start_nginx(%opt, workers => 1, lead => 'off',
                           broker => 'redis://127.0.0.1:' . $proxy->port);
    my ($first, $asked) = map { question('day',
        headers => { 'X-User' => 'late' }) } 1, 2;
    my %later;

    stream_ok(scalar ask($slow, $first),
              'opened in vain: the first of the user is allowed');
    wait_for { get($slow, '/')->{body} =~ /"broker": "up"/ } 10, 'the broker';
    $proxy->set(latency => 200);

    $later{late} = ask_later($slow, $asked);
    wait_for { live_id($redis, $asked->{question}) } 10, 'it to be opened';

    foreach my $where ('here', 'there') {
        $later{$where} = ask_later($where eq 'here' ? $slow : $nginx,
            { %$asked, headers => { 'X-User' => $where } });
    }

    limited((results($later{late}))[0],
            'opened in vain, the first', 4300, 4320);
    stream_ok((results($later{$_}))[0], "opened in vain: joined $_ meanwhile")
        foreach 'here', 'there';
    is(provider_stats($provider, $asked->{question}), 1,
       'opened in vain: one call for both');

    # nor does the next one who is over it take those with it who have joined

    $proxy->set(latency => 0);
    stream_ok(scalar ask($slow, question('day', headers => { 'X-User' => $_ })),
              "opened in vain: $_ is allowed one") foreach 'second', 'third';
    $proxy->set(latency => 200);
    $asked = question('day', headers => { 'X-User' => 'second' });

    foreach my $who ('second', 'third', 'last') {
        my $joined = test_dir() . "/$who";

        $later{$who} = ask_later($slow, { %$asked,
            headers => { 'X-User' => $who },
            on_event => sub { open(my $file, '>', $joined) } });
        wait_for { $who eq 'second' ? live_id($redis, $asked->{question})
                                    : -e $joined } 10, "$who to ask";
    }

    limited((results($later{second}))[0],
            'opened in vain, the second', 4300, 4320);
    is((results($later{third}))[0]{terminal}{code}, 'cancelled',
       'opened in vain: who asks again first is refused');
    stream_ok((results($later{last}))[0],
              'opened in vain: the last one asks once more');
    $slow->stop;
}

done();
