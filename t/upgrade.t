#!/usr/bin/perl

# A binary upgrade while answers run, every other one asked for by a filler:
# none is lost, and the new processes work with the key that only the
# environment has.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;
use POSIX ();
use Time::HiRes qw(sleep time);

my %answer = (chunks => 60, gap => 40, bytes => 20);
my $key = 'sk-of-the-environment';

my $redis = start_redis();
my $provider = start_provider(%answer, key => $key);
my $port = $provider->port;
my $nginx = new_nginx(redis => $redis, env => { OPENAI_API_KEY => $key },
    lead => 'on', server => 'location = /queued { chat; chat_lead off; }',
    http => "chat_provider openai { url http://127.0.0.1:$port/v1;"
        . ' key env:OPENAI_API_KEY; }');

# nginx ignores USR2 as long as the process lives that has started it

my $parent = fork() // die "fork: $!\n";

if ($parent == 0) {
    $nginx->start;
    POSIX::_exit(0);
}

waitpid($parent, 0);

my $old = pid_of_master();
my $filler = filler($nginx);


sub pid_of_master {
    return (read_file($nginx->dir . '/nginx.pid') =~ /(\d+)/)[0] // 0;
}


# USR2, and the pid of the master that it starts

sub upgrade {
    my ($master) = @_;
    my $pid;

    kill('USR2', $master);
    wait_for { $pid = pid_of_master(); $pid && $pid != $master } 10,
        'another master'
        or die "no binary upgrade\n";

    return $pid;
}


sub asks {
    my ($n, %more) = @_;

    return (path => $n % 2 ? '/chat' : '/queued', %more);
}


sub good {
    return scalar(grep {
        !Chat::Check::faults($_, text => text_of($_->{question}, %answer))
    } @_);
}


my @early = map { "early $_" } 1 .. 10;
my @late = map { "late $_" } 1 .. 30;
my $later = ask_later($nginx,
    (map { { question => $early[$_], asks($_) } } 0 .. $#early),
    (map { { question => $late[$_], asks($_), delay => 0.1 * $_,
             body_delay => $_ % 3 ? 0 : 0.5 } } 0 .. $#late));

mid_answer($redis, 5, @early);

# two masters, two fillers on one queue

my $new = upgrade($old);
my $successor = another_filler($nginx, $filler);

ok($successor, 'two masters: a second filler');
sleep(0.5);
is(scalar($nginx->filler_pids), 2, 'two masters: both fillers take tasks');

# the old one quits

kill('QUIT', $old);
ok(wait_for(sub { gone($old) }, 10, 'the end'),
   'the old master quits: it ends');

my @all = results($later);

is(good(@all), 40, 'the old master quits: nothing is lost');
is(scalar(grep { processing_of($_) != 1 } @all), 0,
   'the old master quits: without a restart');
is(provider_stats($provider)->{calls}, 40,
   'the old master quits: one call each');
is(filler($nginx), $successor, 'the old master quits: the second filler stays');
stream_ok(scalar ask($nginx, { question => 'and now? {{chunks=3}}' }),
          'after the upgrade: a miss', restarts => 0);
stream_ok(scalar ask($nginx, { question => $early[0] }),
          'after the upgrade: what the old one cached', cache => qr/; hit; /);

# Another upgrade that is taken back: the new one quits, the old one goes on.

my $third = upgrade($new);

another_filler($nginx, $successor);

my @back = map { "back $_" } 1 .. 20;

$later = ask_later($nginx, map { { question => $back[$_], asks($_) } }
                   0 .. $#back);
mid_answer($redis, 5, @back);
kill('QUIT', $third);
@all = results($later);
is(good(@all), 20, 'an upgrade is taken back: nothing is lost');
is(filler($nginx), $successor, 'an upgrade is taken back: the filler stays');
stream_ok(scalar ask($nginx, { question => 'and then? {{chunks=3}}' }),
          'an upgrade is taken back: a miss after it', restarts => 0);

kill('QUIT', $new);

my @left;

wait_for { !(@left = $nginx->pids) } 10, 'the end';
is(scalar(@left), 0, 'at the end: all processes have ended');
done();
