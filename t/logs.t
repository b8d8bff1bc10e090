#!/usr/bin/perl

# Logs: what a client asks and is told stands in none, keys and passwords at no
# level; the filler logs where nginx does, with the request's id.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use IO::Select;
use IO::Socket::INET;

my $key = 'sk-secret-in-a-message';    # the provider gives it away
my $password = 'p4ss-n0t-to-be-l0gged';
my $debug = `@{[Chat::Nginx::binary()]} -V 2>&1` =~ /--with-debug/;

my $redis = start_redis(password => $password);
my $provider = start_provider(chunks => 3, key => $key);
my $url = 'http://127.0.0.1:' . $provider->port . '/v1';
my $http = "chat_provider openai { url $url; key $key; model m; }
    log_format id '\$request_id \$chat_status';
    access_log %%DIR%%/ids.log id;";


sub secrets_in {
    my ($text, @secrets) = @_;

    return [ grep { index($text, $_) >= 0 } @secrets ];
}


# everything that may go wrong, once: so many requests

my $ASKED = 19;


sub exercise {
    my ($nginx) = @_;
    my @q = map { "Qu3stion $_?" }
        'plain', '{{fault=eof;at=1}}', '{{status=401}}', '{{status=400}}',
        '{{status=429;retry_after=100}}', '{{fault=errobj;at=1}}',
        '{{fault=badjson;at=1}}', '{{fault=garbage}}', '{{fault=html}}',
        '{{fault=badutf8;at=1}}', '{{content=Answ3r of somebody}}';
    my @all = ask($nginx, (map { { question => $_ } } @q),
        { question => 'Qu3stion gone {{gap=50}}?', hangup_after => 1 });

    ask($nginx, { question => $q[0] }, { question => $q[0], use_cache => 0 });
    ask($nginx, { body => '{"question": "Qu3stion cut' },
        { body => '{"question": ["Qu3stion odd"]}' },
        { body => '{"question": "Qu3stion", "use_cache": "Qu3stion"}' },
        { method => 'PUT', body => 'Qu3stion' });

    $redis->cmd('SET', stream_key('Qu3stion odd?'), 'Answ3r');
    ask($nginx, { question => 'Qu3stion odd?' });

    return @all;
}


# at level info, as an operator has it

my $nginx = start_nginx(redis => $redis, http => $http, lead => 'off');
my @all = exercise($nginx);
my ($good) = @all;

stream_ok($good, 'level info: an answer');
is($all[2]{terminal}{code}, 'provider_refused', 'level info: a refused key');

my $log = $nginx->error_log;
my $mark = substr(key_of('Qu3stion plain?'), 0, 8);

is_deeply(secrets_in($log, $key, $password), [],
          'level info: no key, no password');
is_deeply(secrets_in($log, 'Qu3stion', 'Answ3r', "$mark-1", $mark . '-2'), [],
          'level info: no question and no answer');
unlike($log, qr/sk-secret-in-a-message/,
       'level info: not what a provider says about a key');
is_deeply(secrets_in(join('', map { $_->{raw} } @all), $key, $password, $url,
          'sk-secret-in-a-message'), [],
          'level info: a client is told none of it');

# the filler's lines carry the id of the request

my @ids;

wait_for {
    @ids = map { /^([0-9a-f]{32}) / } split(/\n/,
        read_file($nginx->dir . '/ids.log'));

    @ids >= $ASKED;
} 10, 'a line for each request';

my ($filler) = $nginx->filler_pids;
my @lines = grep { /\] $filler#/ && /provider/ } split(/\n/, $log);

ok(@lines > 5, 'faults of providers: logged by the filler');
is(scalar(grep { my $line = $_; !grep { index($line, $_) >= 0 } @ids }
          grep { /\[(?:warn|error)\]/ } @lines), 0,
   'faults of providers: each with a request id') or diag(join("\n", @lines));

# the same of a worker that asks itself: its lines have the request anyway

{
    my $led = start_nginx(redis => $redis, http => $http, lead => 'on',
                          location => 'chat_cache_scope led;');
    my @all = exercise($led);

    stream_ok($all[0], 'led: an answer');
    is_deeply(secrets_in($led->error_log, $key, $password), [],
              'led: no key, no password');
    is_deeply(secrets_in($led->error_log, 'Qu3stion', 'Answ3r', "$mark-1",
                         $mark . '-2'), [], 'led: no question and no answer');
    unlike($led->error_log, qr/sk-secret-in-a-message/,
           'led: not what a provider says about a key');
    is_deeply(secrets_in(join('', map { $_->{raw} } @all), $key, $password,
              $url, 'sk-secret-in-a-message'), [],
              'led: a client is told none of it');

    my @lines = grep { /\[(?:warn|error)\] .*provider "openai"/ }
                split(/\n/, $led->error_log);

    cmp_ok(scalar(@lines), '>', 5, 'led: faults of providers are logged');
    is(scalar(grep { !/, client: 127\.0\.0\.1, .* request: "POST / } @lines),
       0, 'led: each with its request') or diag(join("\n", @lines));
    $led->stop;
}

# at level debug, keys and passwords still not, wherever a key stands

foreach my $case ([ "key $key;", 'off' ],
                  [ "key \"\"; header Authorization \"Bearer $key\";", 'off' ],
                  [ "key $key;", 'on' ],
                  [ "key \"\"; header Authorization \"Bearer $key\";", 'on' ])
{
    last unless $debug;

    my ($way, $lead) = @$case;
    my $name = 'level debug, ' . ($way =~ /header/ ? 'a header' : 'a key')
        . ($lead eq 'on' ? ', led' : '');

    my $dn = start_nginx(redis => $redis, level => 'debug',
        http => $http =~ s/key \Q$key\E;/$way/r, lead => $lead,
        location => 'chat_cache_scope $http_x_tenant;');

    exercise($dn);
    ask($dn, { question => 'Qu3stion of a tenant?',
               headers => { 'X-Tenant' => 'a tenant' } });
    $log = $dn->error_log;

    like($log, qr/\[debug\]/, "$name: debug lines");
    is_deeply(secrets_in($log, $key, $password), [],
              "$name: no key, no password");
    ok($dn->stop, "$name: nginx ends");
    is_deeply(secrets_in($dn->error_log, $key, $password), [],
              "$name: no key, no password at the end");
}

# a Redis that refuses the password, or has none; it is not told either

my $at = '127.0.0.1:' . $redis->port;

foreach (['a wrong password', "redis://:$password-wrong\@$at"],
         ['a wrong user', "redis://$password:$password\@$at"],
         ['no password', "redis://$at"])
{
    my ($name, $url) = @$_;
    my $bad = start_nginx(redis => $url, http => $http, level => 'debug',
                          location => 'chat_redis_down error;');
    my $q = ask($bad, { question => 'Qu3stion refused?' });

    is($q->{status}, 503, "$name: status 503");
    wait_for { $bad->error_log =~ /redis.*(?:WRONGPASS|NOAUTH|AUTH)/i } 5,
        'a line about it';
    like($bad->error_log, qr/redis.*(?:WRONGPASS|NOAUTH|AUTH)/i,
         "$name: the log says why");
    is_deeply(secrets_in($bad->error_log =~ s/^.*"http chat question.*\n//mgr,
                         $password, $key), [], "$name: the log has no secret");
}

# another log after USR1: of workers and filler

my $dir = $nginx->dir;

rename("$dir/error.log", "$dir/old.log") or die "rename: $!\n";
kill('USR1', $nginx->pid);

ok(wait_for(sub { -e "$dir/error.log" }, 5, 'a new log'),
   'USR1: a new log is opened');
ok(wait_for(sub { !open_in("$dir/old.log") }, 5, 'the old log to be closed'),
   'USR1: nobody holds the old log') or diag(open_in("$dir/old.log"));

my $old = read_file("$dir/old.log");

ask($nginx, { question => 'Qu3stion after {{status=401;x=1}}?' });
ask($nginx, { body => 'x' });
ok(wait_for(sub { $nginx->error_log =~ /\] $filler#/ }, 5, 'a line'),
   'USR1: the filler writes to the new log');
like($nginx->error_log, qr/invalid body/,
     'USR1: a worker writes to the new log');
is(read_file("$dir/old.log"), $old, 'USR1: nothing more in the old log');

# a filler that is started later opens the same

my ($first) = $nginx->filler_pids;

$nginx->allow_log(qr/exited on signal 9/);
kill('KILL', $first);
wait_for { my @now = $nginx->filler_pids; @now && $now[0] != $first } 10,
    'another filler';
ask($nginx, { question => 'Qu3stion then {{status=401;x=2}}?' });

my ($next) = $nginx->filler_pids;

ok(wait_for(sub { $nginx->error_log =~ /\] $next#/ }, 5, 'a line'),
   'USR1: another filler writes to the new log');

# syslog: a socket of this test

my $syslog = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1')
    or die "socket: $!\n";
my $sn = start_nginx(redis => $redis, http => $http, lead => 'off', main =>
    'error_log syslog:server=127.0.0.1:' . $syslog->sockport
    . ',tag=chattest,facility=local7 info;');

$filler = wait_for { ($sn->filler_pids)[0] } 5, "the filler";
exercise($sn);

my ($got, $select) = ('', IO::Select->new($syslog));

while ($select->can_read(0.3)) {
    $syslog->recv(my $line, 65536);
    $got .= "$line\n";
}

like($got, qr/^<\d+>.* chattest: .*$filler#/m, 'syslog: lines of the filler');
like($got, qr/chattest: .*invalid body/, 'syslog: lines of a worker');
is_deeply(secrets_in($got, $key, $password, 'Qu3stion', 'Answ3r'), [],
          'syslog: no secrets');
like($sn->error_log, qr/\] $filler#/, 'syslog: the file has the lines too');

done();


# titles of the processes of nginx that have this file open

sub open_in {
    my ($name) = @_;

    return join(', ', map { Chat::Nginx::title($_) } grep {
        my $pid = $_;

        grep { (readlink($_) // '') eq $name } glob("/proc/$pid/fd/*");
    } $nginx->pids);
}
