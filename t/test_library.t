#!/usr/bin/perl

# The tools of the tests themselves: a check that cannot fail proves nothing.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

# the module is not needed here

$ENV{CHAT_NGINX} ||= Chat::Nginx::binary();

my $processing = "data: {\"status\": \"processing\"}\n\n";
my $one = "data: {\"status\": \"streaming\", \"chunk\": \"a \\\"\xc3\xa9\"}\n\n";
my $two = "data: {\"status\": \"streaming\", \"chunk\": \"b\\n\"}\n\n";
my $end = "data: {\"status\": \"completed\", "
    . "\"chunk\": \"a \\\"\xc3\xa9b\\n\"}\n\n";
my $error = "data: {\"status\": \"error\", \"message\": \"it broke\", "
    . "\"code\": \"internal\"}\n\n";

my %good = (
    plain      => $processing . $one . $two . $end,
    restart    => $processing . $two . $processing . $one . $two . $end,
    comment    => $processing . ": keep-alive\n\n" . $one . $two . $end,
    empty      => $processing
        . "data: {\"status\": \"completed\", \"chunk\": \"\"}\n\n",
);

my %bad = (
    nothing    => '',
    headless   => $one . $two . $end,
    endless    => $processing . $one,
    twice      => $processing . $one . $two . $end . $end,
    after      => $processing . $one . $two . $end . $one,
    short      => $processing . $one . $end,
    error      => $processing . $error,
    spaces     => $processing
        . "data: {\"status\":\"streaming\",\"chunk\":\"a\"}\n\n" . $end,
    escaped    => $processing
        . "data: {\"status\": \"streaming\", \"chunk\": \"\\u00e9\"}\n\n"
        . "data: {\"status\": \"completed\", \"chunk\": \"\xc3\xa9\"}\n\n",
    utf8       => $processing
        . "data: {\"status\": \"streaming\", \"chunk\": \"\xff\"}\n\n"
        . "data: {\"status\": \"completed\", \"chunk\": \"\xff\"}\n\n",
    crlf       => $processing =~ s/\n/\r\n/gr . $one . $two . $end,
    rest       => $processing . $one . $two . $end . 'data:',
    void       => $processing
        . "data: {\"status\": \"streaming\", \"chunk\": \"\"}\n\n"
        . "data: {\"status\": \"completed\", \"chunk\": \"\"}\n\n",
);

my $web = test_dir() . '/web';

mkdir($web);

my %all = (%good, %bad);

foreach my $name (keys %all) {
    open(my $file, '>:raw', "$web/$name") or die "$name: $!\n";
    print $file $all{$name};
    close($file);
}

my $nginx = start_nginx(redis_down => '', lead => '', zone => '',
    servers => <<"EOT");
server {
    listen 127.0.0.1:%%PORT%%;
    root $web;
    default_type text/event-stream;

    location /broken {
        return 500 no;
    }
}
EOT

my %no_headers = (headers => 0);

foreach my $name (sort keys %good) {
    stream_ok(get($nginx, "/$name"), "good stream: $name", %no_headers);
}

foreach my $name (sort keys %bad) {
    ok(scalar Chat::Check::faults(get($nginx, "/$name"), %no_headers),
       "bad stream: $name");
}

ok(scalar Chat::Check::faults(get($nginx, '/plain')),
   'bad answer: headers are looked at');
ok(scalar Chat::Check::faults(get($nginx, '/broken'), %no_headers),
   'bad answer: a status');
stream_ok(get($nginx, '/error'), 'good stream: an error that is expected',
          error => 'internal', %no_headers);
ok(scalar Chat::Check::faults(get($nginx, '/error'), error => 'no_key',
                              %no_headers), 'bad stream: another error');

# many at once, through the provider, whose text is known

my $provider = start_provider(chunks => 5, gap => 2, utf8 => 1);
my $proxy = start_proxy($provider);

my @all = ask($proxy, map { {
    path => '/v1/chat/completions',
    body => '{"model": "m", "messages": [{"role": "user", "content": '
        . json_string("question $_") . '}]}' } } 1 .. 300);

is(scalar(grep { $_->{complete} && $_->{body} =~ /\[DONE\]\n\n$/ } @all), 300,
   'the provider: 300 at once');
is(provider_stats($provider)->{calls}, 300, 'the provider: calls are counted');
is(provider_stats($provider, 'question 7'), 1,
   'the provider: each question is counted');
like($all[6]{body}, qr/"content": "\Q${\ substr(key_of('question 7'), 0, 8)}\E-5 /,
     'the provider: the text is made from the question');

# faults in between

my %ask = (path => '/v1/chat/completions', timeout => 1,
           body => '{"messages": [{"role": "user", "content": "x"}]}');

$proxy->set(cut => 400);
ok(!ask($proxy, { %ask })->{complete}, 'the proxy: a cut');
$proxy->set(cut => 400, rst => 1);
like(ask($proxy, { %ask })->{error}, qr/reset/, 'the proxy: a reset');
$proxy->set(cut => '', rst => '', hole => 1);
is(ask($proxy, { %ask })->{error}, 'timeout', 'the proxy: a black hole');
$proxy->set(hole => '', latency => 100);

my $late = ask($proxy, { %ask });

ok($late->{complete} && $late->{header_at} - $late->{started} >= 0.2,
   'the proxy: its latency');

provider_set($provider, fault => 'eof', at => 2);
is(ask($provider, { %ask })->{error}, 'closed early',
   'the provider: a fault is set');
provider_set($provider, fault => 'stall');
is(ask($provider, { %ask })->{error}, 'timeout',
   'the provider: another fault is set');
wait_for { provider_stats($provider)->{aborted} } 10, 'an aborted call';
ok(provider_stats($provider)->{aborted},
   'the provider: a call that its client left');

# Redis

my $redis = start_redis(password => 'secret');

is($redis->cmd('SET', 'a', "b\r\n"), 'OK', 'Redis: a command');
is($redis->cmd('GET', 'a'), "b\r\n", 'Redis: a value');
is($redis->client(1)->cmd('GET', 'a'), undef, 'Redis: another database');
like($redis->cmd('LPUSH', 'a', 1), qr/^WRONGTYPE/, 'Redis: an error');
$redis->cmd('XADD', 's', '1-1', 'status', 'x', 'chunk', 'y');
is_deeply($redis->entries('s'), [ { id => '1-1', status => 'x', chunk => 'y' } ],
          'Redis: entries of a stream');
$redis->stop('KILL');
$redis->start;
is($redis->cmd('GET', 'a'), undef, 'Redis: started again, empty');

# what done() looks for

my ($worker) = $nginx->worker_pids;

is(Chat::Nginx::parent($worker), $nginx->pid, 'nginx: the workers are found');
ok($nginx->reload, 'nginx: a reload');
wait_for { !grep { $_ == $worker } $nginx->pids } 5, 'the old worker';
kill('KILL', ($nginx->worker_pids)[0]);
wait_for { $nginx->faults } 5, 'an alert';
ok(scalar(grep { /exited on signal 9/ } $nginx->faults),
   'nginx: an alert is a fault');
$nginx->allow_log(qr/exited on signal 9/);

done();
