#!/usr/bin/perl

# Workers that lead generations are told to end, by a reload, a quit, a fast
# stop or a binary upgrade: clients see nothing of it as long as there is time,
# and what is under way gets into the cache.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Led;
use Chat::Life;
use POSIX ();
use Time::HiRes qw(sleep time);

my %answer = (chunks => 50, gap => 40, bytes => 20);

my $redis = start_redis();
my $provider = start_provider(%answer);
my $nginx = led_nginx(redis => $redis, provider => $provider);
my $other = led_nginx(redis => $redis, provider => $provider);


# two workers and a filler, and all of them work

sub settled {
    my ($name) = @_;
    my @pids;

    wait_for { (@pids = $nginx->pids) == 4 } 20, 'the old processes to end';
    is(scalar(@pids), 4, "$name: two workers and one filler, as at first");
    is(scalar(zombies($nginx)), 0, "$name: no zombie is left");
    leads($nginx, $other);
}


# those that are not a whole answer without a restart

sub wrong {
    my ($all, %opt) = @_;

    return map { "$_->[0]{question}: $_->[1]" } grep { length $_->[1] } map {
        [ $_, join(', ', Chat::Check::faults($_, restarts => 0,
              text => text_of($_->{question}, %answer), %opt)) ]
    } @$all;
}


sub one_call_ok {
    my ($name, @questions) = @_;
    my @wrong = grep { provider_stats($provider, $_) != 1 } @questions;

    is(join(', ', @wrong), '', "$name: one call each");
    nothing_left($redis, $name);
    @wrong = grep {
        (cached_as($redis, $_) // '') ne text_of($_, %answer)
    } @questions;
    is(join(', ', @wrong), '', "$name: all are cached");
}


# Reloads, while answers run and questions come in all the time.

{
    my $name = 'several reloads';
    my @early = map { "early $_" } 1 .. 12;
    my @late = map { "late $_" } 1 .. 30;
    my $later = ask_later($nginx,
        (map { { question => $_ } } @early),
        (map { { question => $late[$_], delay => 0.05 * $_ } } 0 .. $#late));

    mid_answer($redis, 3, @early);

    my $readers = ask_later($other, map { { question => $_ } } @early);

    foreach (1 .. 3) {
        $nginx->reload;
        sleep(0.2);
    }

    my @all = results($later);

    is(scalar(grep { $_->{headers}{'x-source'} eq 'led' } @all[0 .. $#early]),
       @early, "$name: those that ran were led");
    is(join("\n", wrong(\@all)), '', "$name: all clients have their answers");
    is(join("\n", wrong([ results($readers) ], cache => qr/collapsed/)), '',
       "$name: those elsewhere, too");
    one_call_ok($name, @early, @late);
    settled($name);
}


# The filler that drains dies: the next one goes on where it was.

{
    my $name = 'a reload, and the filler that drains is killed';
    my $question = 'What if it dies now?';
    my $old = filler($nginx);
    my $scene = ask_around($nginx, $question, elsewhere => [ $other ],
                           witness => 1);

    begun($redis, $scene, 8);

    my $struck = time();

    $nginx->reload;
    another_filler($nginx, $old);
    kill('KILL', $old);

    my ($leader, @others) = ends_of($scene);

    seamless_ok($leader, $name, $struck, pop(@others),
                text => text_of($question, %answer));
    is(join("\n", wrong(\@others)), '', "$name: those who read along");
    one_call_ok($name, $question);
    settled($name);
}


# QUIT: clients get their answers, and those that have left are no reason to
# forget one.

{
    my $name = 'quit';
    my $one = led_nginx(redis => $redis, provider => $provider);
    my @stay = map { "stay $_" } 1 .. 10;
    my @leave = map { "leave $_" } 1 .. 10;

    leads($one, $other);

    my $later = ask_later($one, (map { { question => $_ } } @stay),
        (map { { question => $_, hangup_after => 1 } } @leave));

    mid_answer($redis, 3, @stay, @leave);

    my $readers = ask_later($other, map { { question => $_ } } @stay);

    mid_answer($redis, 8, @stay);

    ok($one->stop('QUIT', 15), "$name: it ends");

    my @all = results($later);

    is(scalar(grep { $_->{headers}{'x-source'} eq 'led' } @all),
       @stay + @leave, "$name: all were led");
    is(join("\n", wrong([ @all[0 .. $#stay] ])), '',
       "$name: the clients have their answers");
    is(join("\n", wrong([ results($readers) ])), '',
       "$name: those elsewhere, too");
    one_call_ok($name, @stay, @leave);
    is(scalar(my @left = $one->pids), 0, "$name: no process is left");
}


# TERM: the clients are cut, and another instance begins again.

{
    my $name = 'a fast stop';
    my $one = led_nginx(redis => $redis, provider => $provider);
    my @questions = map { "stopped $_" } 1 .. 10;

    leads($one, $other);

    my $later = ask_later($one, map { { question => $_ } } @questions);

    mid_answer($redis, 3, @questions);

    my $readers = ask_later($other, map { { question => $_ } } @questions);

    mid_answer($redis, 8, @questions);

    my $began = time();

    ok($one->stop('TERM', 5), "$name: it ends");
    cmp_ok(time() - $began, '<', 1 + $SLACK, "$name: at once");

    is(scalar(grep { $_->{complete} } results($later)), 0,
       "$name: its own clients are cut");

    my @all = results($readers);
    my ($last) = sort { $b <=> $a } map { restarted_at($_) // 1e12 } @all;

    is(join("\n", wrong(\@all, restarts => 1)), '',
       "$name: another instance begins again");
    cmp_ok($last - $began, '<', 2 + $SLACK,
           "$name: without waiting for the lease");
    is(scalar(grep { provider_stats($provider, $_) != 2 } @questions), 0,
       "$name: two calls each");
    nothing_left($redis, $name);
}


# A binary upgrade; nginx ignores USR2 as long as its parent lives.

{
    my $name = 'an upgrade';
    my $one = new_nginx(redis => $redis, provider => $provider, lead => 'on',
        server => 'add_header X-Worker $pid always;'
            . ' add_header X-Source $chat_source always;');
    my $parent = fork() // die "fork: $!\n";

    if ($parent == 0) {
        $one->start;
        POSIX::_exit(0);
    }

    waitpid($parent, 0);
    filler($one);
    leads($one, $other);

    my @early = map { "upgrade, early $_" } 1 .. 10;
    my @late = map { "upgrade, late $_" } 1 .. 20;
    my ($old) = read_file($one->dir . '/nginx.pid') =~ /(\d+)/;
    my $filler = filler($one);
    my $later = ask_later($one,
        (map { { question => $_ } } @early),
        (map { { question => $late[$_], delay => 0.05 * $_ } } 0 .. $#late));

    mid_answer($redis, 3, @early);

    my $readers = ask_later($other, map { { question => $_ } } @early);

    kill('USR2', $old);
    another_filler($one, $filler);
    kill('QUIT', $old);
    ok(wait_for(sub { gone($old) }, 10), "$name: the old master ends");

    my @all = results($later);

    is(scalar(grep { $_->{headers}{'x-source'} eq 'led' } @all[0 .. $#early]),
       @early, "$name: those that ran were led");
    is(join("\n", wrong(\@all)), '', "$name: all clients have their answers");
    is(join("\n", wrong([ results($readers) ])), '',
       "$name: those elsewhere, too");
    one_call_ok($name, @early, @late);

    # the new one leads as the old one did

    leads($one);

    my ($new) = read_file($one->dir . '/nginx.pid') =~ /(\d+)/;
    my @left;

    isnt($new, $old, "$name: there is another master");
    kill('QUIT', $new);
    wait_for { !(@left = $one->pids) } 10, 'the end';
    is(scalar(@left), 0, "$name: and it ends, too");
}

done();
