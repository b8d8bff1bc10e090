#!/usr/bin/perl

# Faults of clients, and of the disk, that no other test shows in all columns;
# see t/lib/Chat/Matrix.pm.  Each row has three clients who stay, and one who
# does something else.  Others are in clients.t and in abandon.t.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF);
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use Chat::Matrix;

my %answer = (chunks => 15, gap => 60, bytes => 20);
my $LONG = $answer{chunks} * $answer{gap} / 1000;

my $redis = start_redis();
my $provider = start_provider(%answer);
my %opt = (provider => $provider, listen => 'reuseport sndbuf=16k',
    server => 'location = /cancel { chat; chat_abandon cancel grace=500ms; }');
my $nginx = start_nginx(%opt, redis => $redis, lead => 'off');
my $led = led_nginx(%opt, redis => $redis->url(1), workers => 1);

my $world = { redis => $redis, provider => $provider, nginx => $nginx,
              answer => \%answer, led => { nginx => $led, db => 1 } };

filler($nginx);

# connections that are left open on purpose

my @held;


sub connected {
    my ($w, $size) = @_;

    socket(my $sock, Socket::PF_INET, Socket::SOCK_STREAM, 0) or die "$!\n";
    setsockopt($sock, SOL_SOCKET, SO_RCVBUF, $size) if $size;
    connect($sock, Socket::pack_sockaddr_in($w->{nginx}->port,
            Socket::INADDR_LOOPBACK())) or die "$!\n";
    $sock->autoflush(1);
    push(@held, $sock);

    return $sock;
}


sub request {
    my ($question) = @_;
    my $body = '{"question": ' . json_string($question) . '}';

    return "POST /chat HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
}


# sends the request but so many bytes of it, and leaves: "close", "reset",
# "half" (closes its sending side), or "stay"

sub leaves {
    my ($less, $how) = @_;

    return sub {
        my ($w, $row) = @_;
        my $sock = connected($w);
        my $request = request($row->{question});

        print $sock substr($request, 0, length($request) - $less);
        sleep(0.02);
        part($sock, $how);
    };
}


sub part {
    my ($sock, $how) = @_;

    return shutdown($sock, 1) if $how eq 'half';
    return if $how eq 'stay';

    setsockopt($sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0))
        if $how eq 'reset';
    @held = grep { $_ != $sock } @held;
    close($sock);
}


my %stays = (ends => 'completed', restarts => 0, cached => 1, calls => 1,
             bound => $LONG);

# before there is an answer

foreach my $how ('close', 'reset', 'half') {
    my %name = (close => 'hangs up', reset => 'resets',
                half => 'half-closes');

    matrix($world,
        { name => "one $name{$how} within the headers", %stays,
          before => leaves(90, $how) },
        { name => "one $name{$how} within the body", %stays,
          before => leaves(5, $how) },
        { name => "one $name{$how} behind the body", %stays,
          before => leaves(0, $how) });
}

# in it: one who came with the others

sub another {
    my (%more) = @_;

    return sub {
        my ($w, $row) = @_;

        $row->{other} = ask_later($w->{nginx}, { question => $row->{question},
                                            %more });
    };
}


sub awaited {
    my ($w, $row) = @_;

    foreach my $view (@{ $row->{views} }) {
        my ($q) = results($view->{other});

        ok($q->{hungup}, "$view->{name}: it has left");
    }
}


matrix($world, map {
    my ($name, %more) = @$_;

    ({ name => "one hangs up $name", %stays, after => \&awaited,
       before => another(%more) },
     { name => "one resets $name", %stays, after => \&awaited,
       before => another(%more, rst => 1) })
} ([ 'behind the headers', hangup_after => 0 ],
   [ 'behind the first chunk', hangup_after => 1 ],
   [ 'in mid-answer', hangup_after => 7 ],
   [ 'behind the last chunk', hangup_after => 15 ]));

# with all of them gone, and nobody else there

matrix($world,
    { name => 'all leave, and the answer is finished', clients => 2,
      ask => { hangup_after => 3 }, ends => 'left', cached => 1, calls => 1,
      bound => $LONG },
    { name => 'all leave, and the answer is cancelled', clients => 2,
      options => 'chunks=400',
      ask => { hangup_after => 3, path => '/cancel' }, ends => 'left',
      cached => 0, calls => 1, bound => $LONG, again => 0 });

# that read slowly, or not at all: more than all buffers take

my $large = 'chunks=1500;bytes=1000;gap=0';


sub slow {
    my ($read) = @_;

    return sub {
        my ($w, $row) = @_;
        my $sock = connected($w, 4096);

        print $sock request($row->{question});
        $row->{reader} = $sock;
        $row->{read} = '';
    };
}


# one byte of each slow reader, each second

sub one_byte {
    my ($w, $row) = @_;

    sysread($_->{reader}, $_->{read}, 1, length($_->{read}))
        foreach @{ $row->{views} };
}


matrix($world,
    { name => 'one reads a byte a second', %stays, options => $large,
      before => slow(), at => 0, fault => sub {},
      then => [ map { ($_, \&one_byte) } 1 .. 4 ],
      after => sub { part($_->{reader}, 'close') foreach @{ $_[1]{views} } },
      bound => 2 },
    { name => 'one never reads', %stays, options => $large,
      before => slow(), bound => 2 },
    { name => 'ten never read', %stays, options => $large,
      before => sub { slow()->(@_) foreach 1 .. 10 }, bound => 2 });

ok(scalar(grep { $_ } @held) >= 22, 'readers: they are still there');
part($_, 'close') foreach (my @all = @held);

# no room for bodies: a disk of 64k, or a limit that looks alike where it
# cannot be mounted

my $mounted;

END { system('umount', $mounted) if $mounted }

{
    my $full = new_nginx(redis => $redis, provider => $provider, lead => 'off',
        server => 'location = /small { chat; client_body_buffer_size 1k; }');
    my $disk = $full->dir . '/body';
    my $body = '{"question": "What takes much room?", "more": "'
        . 'x' x 200_000 . '"}';
    my $filler;

    mkdir($disk);
    $mounted = $disk
        if system("mount -t tmpfs -o size=64k none $disk 2>/dev/null") == 0;
    note($mounted ? 'a small disk' : 'a limit');

    {
        # whoever meets the limit is told, not killed
        local $SIG{XFSZ} = 'IGNORE';

        $full->start;
    }

    $filler = filler($full);

    foreach ($mounted ? () : $full->worker_pids) {
        system('prlimit', '--fsize=65536', '--pid', $_);
    }

    matrix({ %$world, nginx => $full, led => undef },
        { name => 'the disk for bodies is full', %stays,
          at => 3, fault => sub {},
          meanwhile => [ map { { at => $_, body => $body, path => '/small',
                                 ends => '500 internal', bound => 0.2 } }
                         0.1, 0.2, 0.3 ] });

    like($full->error_log, qr/\[crit\].* failed \((?:28|27): /,
         'the disk for bodies is full: the log says why');
    is(filler($full), $filler, 'the disk for bodies is full: the filler stays');
    ok($full->stop, 'the disk for bodies is full: nginx ends');
}

wait_for { provider_stats($provider)->{active} == 0 } 5, 'the last calls';
is(provider_stats($provider)->{active}, 0, 'all rows: no call goes on');

done();
