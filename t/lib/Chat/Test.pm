package Chat::Test;

# The library of the plain tests.  It gives what a test needs, stops it all at
# the end, and adds one test: nothing bad in a log, no process left behind.
#
#     use lib 't/lib';
#     use Chat::Test;
#
#     my $redis = start_redis();
#     my $provider = start_provider(chunks => 10, gap => 5);
#     my $nginx = start_nginx(redis => $redis, provider => $provider);
#
#     stream_ok(scalar ask($nginx, { question => 'Why?' }), 'an answer');
#     done();
#
# CHAT_NGINX: a binary with the module linked in; CHAT_TEST_LEAVE: keeps the
# directory; CHAT_TEST_LEVEL: level of the error logs.

use warnings;
use strict;

use Digest::SHA qw(sha256 sha256_hex);
use Exporter qw(import);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use POSIX ();
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(sleep time);

use Chat::Answer ();
use Chat::Check;
use Chat::Client;
use Chat::Dns;
use Chat::Nginx;
use Chat::Proxy;
use Chat::Redis;
use Chat::Sentinel;

our @EXPORT = (@Test::More::EXPORT, @Chat::Client::EXPORT,
    @Chat::Check::EXPORT,
    qw(test_dir free_port start_redis start_provider provider_set
       option_value provider_stats provider_reset start_nginx new_nginx
       start_proxy start_dns start_sentinels wait_for ask_hit done key_of
       custom_key_of stream_key pieces_of text_of read_file parse_json
       $SLACK $LEFT));

# what a busy machine may take in addition, in seconds

our $SLACK = $ENV{CHAT_NGINX} ? 6 : 3;

# s: an entry of the queue whose id was lost with Redis' reply is idle for 12,
# and found by a scan, one every 3
our $LEFT = 12 + 3 + $SLACK;

my $owner = $$;

# the death of a helper shall fail a test, not kill it

$SIG{PIPE} = 'IGNORE';

my ($dir, $done, %ports, @instances, @servers);


sub test_dir {
    if (!defined $dir) {
        $dir = tempdir('ngx_chat_test_XXXXXXXX', TMPDIR => 1);
        chmod(0711, $dir);
    }

    return $dir;
}


# A port below those that the kernel gives to clients; it stays reserved
# against other tests while this one runs.

sub free_port {
    foreach (1 .. 500) {
        my $port = 10000 + int(rand(20000));

        next if $ports{$port};

        # a name that is no file, and gone with this process

        my $lock = IO::Socket::UNIX->new(Local => "\0ngx_chat_port_$port",
            Type => SOCK_DGRAM) or next;

        my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1, ReuseAddr => 1, Proto => 'tcp')
            or next;

        close($sock);
        $ports{$port} = $lock;
        return $port;
    }

    die "no free port\n";
}


sub _subdir {
    my ($name) = @_;
    my $n = 1;

    $n++ while -e test_dir() . "/$name$n";

    my $sub = test_dir() . "/$name$n";

    mkdir($sub) or die "$sub: $!\n";
    chmod(0711, $sub);

    return $sub;
}


# start_redis(config => [lines], password => ...)

sub start_redis {
    my (%opt) = @_;
    my $redis = Chat::Redis->new(dir => _subdir('redis'), port => free_port(),
        %opt);

    push(@servers, $redis);

    return $redis->start;
}


# start_sentinels(password => ..., sentinel_password => ...)

sub start_sentinels {
    my (%opt) = @_;
    my $trio = Chat::Sentinel->new(dir => _subdir('sentinels'),
        port => \&free_port, %opt);

    push(@servers, $trio);

    return $trio;
}


# a name server, on such a port: see Chat::Dns

sub start_dns {
    my (%set) = @_;
    my $dns = Chat::Dns->new(port => delete $set{port} || free_port());

    push(@servers, $dns);
    $dns->set(%set);

    return $dns;
}


# start_proxy($port_of_the_target, key => value, ...); address and port: where

sub start_proxy {
    my ($target, %set) = @_;

    $target = $target->port if ref $target;

    my $proxy = Chat::Proxy->new(address => delete $set{address},
        port => delete $set{port} || free_port(), target => $target);

    push(@servers, $proxy);
    $proxy->set(%set) if %set;

    return $proxy;
}


# start_provider(chunks => 10, gap => 5, port => N, key => K): see provider

sub start_provider {
    my (%opt) = @_;
    my $sub = _subdir('provider');
    my @args = ('--port', delete $opt{port} || free_port(),
                '--port-file', "$sub/port", '--log', "$sub/log");

    push(@args, '--key', delete $opt{key}) if defined $opt{key};
    push(@args, map { "$_=" . option_value($opt{$_}) } sort keys %opt);

    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open(STDOUT, '>>', "$sub/stderr");
        open(STDERR, '>&', \*STDOUT);
        setpgrp(0, 0);
        exec($^X, Chat::Nginx::root() . '/t/lib/provider', @args)
            or POSIX::_exit(127);
    }

    my $provider = bless { pid => $pid, dir => $sub }, 'Chat::Test::Provider';

    push(@servers, $provider);
    wait_for(sub { -s "$sub/port" }, 30, 'the provider')
        or die "the provider did not start:\n" . read_file("$sub/stderr");
    ($provider->{port}) = read_file("$sub/port") =~ /(\d+)/;

    return $provider;
}


sub provider_set {
    my ($provider, %set) = @_;

    return get($provider, '/__set?'
               . join(';', map { "$_=" . option_value($set{$_}) }
                      sort keys %set));
}


# any text as the value of an option

sub option_value {
    my ($text) = @_;

    utf8::encode($text) if utf8::is_utf8($text);
    $text =~ s/([^\w.-])/sprintf('%%%02X', ord($1))/ge;

    return $text;
}


# totals, and "questions": calls by the SHA-256 of the question; with a
# question, the number of its calls

sub provider_stats {
    my ($provider, $question) = @_;
    my $stats = parse_json(get($provider, '/__stats')->{body});

    return $stats unless defined $question;
    return $stats->{questions}{key_of($question)} || 0;
}


sub provider_reset {
    my ($provider) = @_;

    return get($provider, '/__reset');
}


# an instance that is not started: for nginx -t

sub new_nginx {
    my (%opt) = @_;
    my %more;
    my $nginx = Chat::Nginx->new(dir => _subdir('nginx'), port => free_port(),
        ports => sub { $more{$_[0]} ||= free_port() }, %opt);

    push(@instances, $nginx);

    return $nginx;
}


sub start_nginx {
    return new_nginx(@_)->start;
}


# wait_for(sub { ... }, seconds, what): its value as soon as it is true

sub wait_for(&;@) {
    my ($condition, $seconds, $what) = @_;
    my $end = time() + ($seconds || 5);

    while (1) {
        my $value = $condition->();

        return $value if $value;

        if (time() > $end) {
            diag("waited in vain for $what") if defined $what;
            return;
        }

        sleep(0.01);
    }
}


# Asks until it is a hit: where the filler or Redis is slow, an answer may be in
# the cache only after its client has seen the end.

sub ask_hit {
    my ($nginx, $ask) = @_;
    my $q;

    wait_for {
        $q = ask($nginx, { %$ask });
        ($q->{headers}{'cache-status'} // '') =~ /; hit/;
    } 3;

    return $q;
}


# of a question, and of what a chat_cache_key came to

sub key_of        { return sha256_hex($_[0]) }
sub custom_key_of { return sha256_hex("\xfc" . sha256($_[0])) }
sub stream_key    { return 'chat:stream:' . sha256_hex($_[0]) }
sub read_file     { return Chat::Nginx::read_file(@_) }
sub parse_json    { return JSON::PP->new->utf8->decode($_[0]) }


# what the provider answers: options as given to start_provider

sub pieces_of {
    my ($question, %opt) = @_;

    return Chat::Answer::pieces_of($question,
        Chat::Answer::options_of(\%opt, '', $question), 1);
}


sub text_of {
    return join('', pieces_of(@_));
}


# stops everything, looks at what is left, ends the test

sub done {
    my @faults;

    # what asks before what is asked: nginx waits for connections that are open
    # and have had no request yet

    foreach my $nginx (reverse @instances) {
        push(@faults, "$nginx->{dir}: nginx did not end on QUIT")
            if !$nginx->stop;

        # a filler may outlive the master for a moment

        my @left;

        wait_for { !(@left = $nginx->pids) } 10;

        push(@faults, map { "left behind: $_ " . Chat::Nginx::title($_) }
             @left);
        kill('KILL', @left);
    }

    push(@faults, map { $_->faults } @instances);
    push(@faults, map { "several assertions have this name: $_" }
         repeated_names());

    $_->stop foreach reverse @servers;

    ok(!@faults, 'at the end: nothing bad in the logs, nothing left behind')
        or diag(join("\n", @faults[0 .. ($#faults < 40 ? $#faults : 40)]));

    $done = 1;
    done_testing();
}


END {
    if ($$ == $owner) {
        my $status = $?;

        if (!$done) {
            foreach my $nginx (@instances) {
                kill('KILL', $nginx->pids);
                waitpid($nginx->{pid}, 0) if $nginx->{pid};
            }

            $_->stop foreach reverse @servers;
        }

        if (defined $dir) {
            if ($ENV{CHAT_TEST_LEAVE}) {
                diag("left: $dir");

            } else {
                system('rm', '-rf', $dir);
            }
        }

        $? = $status;
    }
}


package Chat::Test::Provider;


sub port { return $_[0]{port} }
sub pid  { return $_[0]{pid} }
sub log  { return Chat::Nginx::read_file("$_[0]{dir}/log") }


sub stop {
    my ($self, $signal) = @_;

    if ($self->{pid}) {
        kill($signal || 'TERM', $self->{pid});
        kill('CONT', $self->{pid});
        waitpid($self->{pid}, 0);
        delete $self->{pid};
    }
}


1;
