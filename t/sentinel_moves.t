#!/usr/bin/perl

# The master moves while connections to the former one are being made: who
# waits for them waits for the new one.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOMAXCONN);
use Time::HiRes qw(sleep time);

my $CRLF = "\r\n";
my $told = test_dir() . '/master';
my $port = free_port();

# two ways to one Redis, of which one is the master's address

my $redis = start_redis();
my @proxies = map { start_proxy($redis) } 1 .. 2;

point_at($proxies[0]);

my $sentinel = sentinel();
my $nginx = start_nginx(provider => start_provider(), workers => 1,
    redis => "redis+sentinel://127.0.0.1:$port/one",
    location => 'chat_redis_down error;');


# what the Sentinel says from now on

sub point_at {
    my ($proxy) = @_;

    open(my $out, '>', "$told.new") or die "$told: $!\n";
    print $out $proxy->port;
    close($out);
    rename("$told.new", $told) or die "$told: $!\n";
}


# A Sentinel that says what it is told, each connection in a process of its
# own, and publishes it when it changes.

sub sentinel {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => SOMAXCONN, ReuseAddr => 1,
        Proto => 'tcp') or die "cannot listen: $@\n";
    my $pid = fork() // die "fork: $!\n";

    return $pid if $pid;

    $SIG{CHLD} = 'IGNORE';

    while (1) {
        my $client = $listen->accept or next;

        next if fork();

        serve($client);
        POSIX::_exit(0);
    }
}


sub bulk { return map { '$' . length($_) . "$CRLF$_$CRLF" } @_ }


sub serve {
    my ($client) = @_;
    my $select = IO::Select->new($client);
    my ($in, $at, $listens) = ('', read_file($told), 0);

    while (1) {
        if ($select->can_read(0.01)) {
            sysread($client, $in, 4096, length $in) or return;

            while ($in =~ s/^\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+?)(?=\*|\z)//) {
                my @words = $1 =~ /\$\d+\r\n([^\r]*)\r\n/g;
                my $verb = lc($words[0]);

                $listens = 1 if $verb eq 'subscribe';

                syswrite($client,
                    $verb eq 'sentinel' ? join('', "*2$CRLF",
                        bulk('127.0.0.1', read_file($told)))
                    : $verb eq 'subscribe' ? join('', "*3$CRLF",
                        bulk('subscribe', $words[1]), ":1$CRLF")
                    : $verb eq 'ping' && $listens ? join('', "*2$CRLF",
                        bulk('pong', ''))
                    : $verb eq 'info' ? join('', bulk(''))
                    : "+OK$CRLF");
            }
        }

        my $now = read_file($told);

        if ($listens && $now ne $at) {
            syswrite($client, join('', "*3$CRLF", bulk('message',
                '+switch-master', "one 127.0.0.1 $at 127.0.0.1 $now")));
            $at = $now;
        }
    }
}


my ($try, $q, $question) = (0);

# It moves while a question waits for a connection; should the attempt be over
# by then, once more.

foreach (1 .. 4) {
    my ($old, $new) = @proxies[ $try % 2, ($try + 1) % 2 ];

    $try++;

    wait_for {
        get($nginx, '/')->{body} =~ /"status": "ok"/
    } 10, 'good health';

    # so long after it was made that the next one is made at once

    sleep(1.1);

    $new->set(hole => 0);
    $old->set(hole => 1, drop => 1);
    $question = "Where is it, $try?";
    ($q) = ask($nginx, { question => $question },
        { method => 'GET', path => '/', after => sub { point_at($new); 1 },
          delay => 0.1 });

    last if $q->{status} == 200;
}

stream_ok($q, 'moved: the question that waited is answered',
          chunks => [ pieces_of($question) ]);

kill('TERM', $sentinel);
waitpid($sentinel, 0);

done();
