#!/usr/bin/perl

# A worker that cannot ask a provider itself hands the generation over to a
# filler: it has no open file left, or knows an address that leads nowhere.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 5);
my $url = 'http://127.0.0.1:' . $provider->port . '/v1';

my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
    lead => 'on',
    http => 'log_format chat "$chat_source $chat_status $request_uri";'
        . " chat_provider other { url $url; key sk; model m; retries 0; }",
    server => 'access_log %%DIR%%/chat.log chat;'
        . ' location = /other { chat other; }');

$nginx->allow_log(qr/socket\(\) failed \(24: /);

# with a filler's lane up it leads; then all connections of clients are gone

my $asked = 0;

ok(wait_for(sub {
       ask($nginx, { question => 'Who leads, ' . ++$asked . '?' });
       read_file($nginx->dir . '/chat.log') =~ /^led /m;
   }, 20), 'led');
wait_for(sub {
    $asked == (() = $nginx->error_log =~ /closed keepalive connection/g);
}, 5);


sub limit_files {
    my ($pid, $n) = @_;
    my (undef, undef, undef, undef, $uid, $gid) = stat("/proc/$pid");
    my @as = $> == $uid ? ()
        : ('setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups');

    system(@as, 'prlimit', '--pid', $pid, "--nofile=$n:") == 0
        or die "prlimit: $?\n";
}


my ($worker) = $nginx->worker_pids;
my ($limit) = read_file("/proc/$worker/limits") =~ /^Max open files\s+(\d+)/m;

# one number is left for the client, and none for the provider

my ($client, $next) = grep { !-l "/proc/$worker/fd/$_" } 0 .. $limit;

limit_files($worker, $next);

my $answer = ask($nginx, { path => '/other', question => 'Who has no file?' });

limit_files($worker, $limit);

stream_ok($answer, 'no file left: answered', restarts => 0);
is(provider_stats($provider, 'Who has no file?'), 1, 'no file left: one call');
like($nginx->error_log, qr/is handed over to a filler/,
     'no file left: handed over');
ok(wait_for(sub {
       read_file($nginx->dir . '/chat.log') =~ m!^queued completed /other$!m
   }, 5),
   'no file left: the log says that it was queued');

stream_ok(scalar ask($nginx, { path => '/other',
                               question => 'Who has no file?' }),
          'no file left: cached');
like($nginx->error_log, qr/"other" at \S+ could not be asked for want of/,
     'no file left: the log says why');

done();
