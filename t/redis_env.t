#!/usr/bin/perl

# URLs of Redis in the environment, as they were written for Celery and
# redis-py: parameters that these know hold, for each URL its own, and what
# nobody knows is ignored with a warning.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Tls;

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $other = Chat::Tls->new(test_dir() . '/other', 'another-ca');
my $ca = $tls->ca;
my $provider = start_provider(chunks => 3);
my $number = 0;


sub tls_redis {
    my ($cert, $key, @config) = @_;
    my $port = free_port();
    my $redis = start_redis(config => [ "tls-port $port",
        "tls-cert-file $cert", "tls-key-file $key",
        "tls-ca-cert-file $ca",
        (grep { /^tls-auth-clients/ } @config) ? () : 'tls-auth-clients no',
        @config ]);

    $redis->{tls_port} = $port;

    return $redis;
}


sub with {
    my ($redis, $broker, $http) = @_;

    # each question goes through the broker, too

    return start_nginx(provider => $provider, lead => 'off',
        http => $http // '', location => 'chat_redis_down error;',
        env => { REDIS_URL => $redis, CELERY_BROKER_URL => $broker });
}


sub works_ok {
    my ($nginx, $name) = @_;
    my $question = 'Question ' . ++$number . '?';

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    stream_ok(scalar ask($nginx, { question => $question }), "$name: an answer",
              chunks => [ pieces_of($question, chunks => 3) ],
              cache => qr/fwd=miss$/);
    $nginx->stop;
}


sub refused_ok {
    my ($nginx, $name, $why) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(wait_for(sub { $nginx->error_log =~ $why }, 10), "$name: the log tells")
        or diag($nginx->error_log);
    is(scalar(ask($nginx, { question => "Refused, $name?" }))->{status}, 503,
       "$name: no answer");
    $nginx->stop;
}


sub url { return "rediss://127.0.0.1:$_[0]{tls_port}/" . ($_[1] // '0') }


my $redis = tls_redis($tls->signed('redis', 'IP:127.0.0.1'));
my $strange = tls_redis($other->signed('stranger', 'IP:127.0.0.1'));
my $named = tls_redis($tls->signed('ten', 'IP:127.0.0.10'));
my $strict = tls_redis($tls->signed('strict', 'IP:127.0.0.1'),
                       'tls-auth-clients yes');
my ($cert, $key) = $tls->signed('me');
my $refused = qr/certificate is refused/;
my $trusted = url($redis) . "?ssl_ca_certs=$ca";

# each has its own settings

works_ok(with($trusted, url($strange) . "?ssl_cert_reqs=$_"),
         "the broker alone is not verified: $_")
    foreach 'none', 'CERT_NONE';

refused_ok(with($trusted, url($strange)),
           'the settings of one are not those of the other', $refused);
refused_ok(with(url($strange), url($redis) . "?ssl_cert_reqs=none"),
           'nor the other way round', $refused);
refused_ok(with($trusted, url($strange) . "?ssl_ca_certs=$ca&ssl_cert_reqs=$_"),
           "verified: $_", $refused)
    foreach 'required', 'optional';

# two for one server are two connections where they differ

my $nginx = with($trusted, url($redis) . '?ssl_cert_reqs=none');

ok(wait_for(sub {
    return $redis->cmd('CLIENT', 'LIST') =~ /name=ngx_chat\S*broker/;
}, 10), 'one server, verified and not: a connection for each');
works_ok($nginx, 'one server, verified and not');

# whom the certificate is for

refused_ok(with("$trusted&ssl_check_hostname=true",
                url($named) . "?ssl_ca_certs=$ca"),
           'for another address', qr/$refused.*IP address mismatch/);
works_ok(with($trusted, url($named) . "?ssl_ca_certs=$ca"
              . '&ssl_check_hostname=false'), 'whomever it is for');
works_ok(with($trusted, "rediss://localhost:$named->{tls_port}/?"
              . "ssl_check_hostname=False&ssl_ca_certs=$ca"),
         'whomever it is for, by name');
refused_ok(with($trusted, url($strange)
                . "?ssl_ca_certs=$ca&ssl_check_hostname=false"),
           'but not from whomever it comes', $refused);

# a certificate of our own

works_ok(with($trusted, url($strict) . "?ssl_ca_certs=$ca&ssl_certfile=$cert"
              . "&ssl_keyfile=$key"), 'a client certificate');

my $both = test_dir() . '/both.pem';

open(my $file, '>', $both) or die "$both: $!\n";
print $file read_file($cert), read_file($key);
close($file);
chmod(0600, $both);

works_ok(with($trusted, url($strict) . "?ssl_ca_certs=$ca&ssl_certfile=$both"),
         'with its key in the same file');

# a key of TLS that is for everybody

my $open = test_dir() . '/open.pem';

open($file, '>', $open) or die "$open: $!\n";
print $file read_file($key);
close($file);
chmod(0644, $open);

foreach (['in the environment', "&ssl_certfile=$cert&ssl_keyfile=$open", ''],
         ['in a directive', '', "chat_redis_ssl_certificate $cert;"
          . " chat_redis_ssl_certificate_key $open;"])
{
    my ($name, $args, $http) = @$_;

    $nginx = with("$trusted$args", $trusted, $http);
    like(read_file($nginx->dir . '/stderr'),
         qr/\[warn\] .*_certificate_key": "$open" can be read by all users/,
         "a key for all to read, $name: a warning");
    works_ok($nginx, "a key for all to read, $name");
}

# what directives say holds

refused_ok(with($trusted, url($strange) . '?ssl_cert_reqs=none',
                'chat_redis_ssl_verify on;'),
           'a directive is stronger', $refused);
works_ok(with(url($redis) . '?ssl_ca_certs=/no/such/file', $trusted,
              "chat_redis_ssl_trusted_certificate $ca;"),
         'so is another one');

# and the rest

my $plain = 'redis://127.0.0.1:' . $redis->port;

$nginx = with("$plain/1?ssl_cert_reqs=none&socket_timeout=5",
              "$plain/0?db=2&health_check_interval=30&client_name=a\@b");
my $said = read_file($nginx->dir . '/stderr');
my $question = 'What is ignored?';

stream_ok(scalar ask($nginx, { question => $question }),
          'parameters: an answer',
          cache => qr/fwd=miss$/);
is($redis->client(1)->cmd('TYPE', stream_key($question)), 'stream',
   'parameters: the database in the path');
is($redis->client(2)->cmd('TYPE', 'chat:tasks:1'), 'stream',
   'parameters: the database in a parameter');
like($said, qr/\[warn\] .*REDIS_URL.* has the parameter "$_", which is ignored/,
     "ignored, and told: $_")
    foreach 'ssl_cert_reqs', 'socket_timeout';
like($said, qr/\[warn\] .*CELERY_BROKER_URL.* the parameter "$_", which is ign/,
     "ignored, and told: $_")
    foreach 'health_check_interval', 'client_name';
unlike($said, qr/parameter "db"|a\@b/, 'parameters: nothing more is told');
$nginx->stop;

# in directives they are errors

foreach my $directive ('chat_redis', 'chat_broker') {
    $nginx = new_nginx(provider => $provider);

    my ($status, $output) = $nginx->test_conf(
        http => "$directive $plain?ssl_cert_reqs=none;");

    $nginx->allow_log(qr/\[emerg\]/);
    is($status, 1, "$directive: parameters are refused");
    like($output, qr/\[emerg\] .*"$directive".* no parameters are known/,
         "$directive: the reason is told");
}

$nginx = new_nginx(provider => $provider, env => {
    REDIS_URL => url($redis) . '?ssl_ca_certs=/no/such/file' });
$nginx->allow_log(qr/\[emerg\]/);

my ($status, $output) = $nginx->test_conf;

is($status, 1, 'a file that is not there: refused');
like($output, qr!/no/such/file.*parameter of REDIS_URL!s,
     'a file that is not there: the reason');

done();
