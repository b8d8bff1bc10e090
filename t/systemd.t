#!/usr/bin/perl

# The end of the service under systemd, step by step as systemd goes about it:
# the command of ExecStop, then TERM to the master, then KILL to all, each with
# the unit's time.  Debian's unit cuts answers; the drop-in in the filler's
# README does not.  Those for keys are looked at by systemd itself, where it is
# installed.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Life;

use Config qw(%Config);
use POSIX ();
use Time::HiRes qw(sleep time);

my $readme = read_file(Chat::Nginx::root()
                       . '/ngx_chat_module/filler/README.md');

# as in Debian's unit file

my $debian = <<'EOT';
[Service]
ExecStop=-/sbin/start-stop-daemon --quiet --stop --retry QUIT/5 --pidfile /run/nginx.pid
TimeoutStopSec=5
EOT

my ($dropin) = $readme =~ /^<!-- test: systemd -->\n```ini\n(.*?)^```/ms;

ok(defined $dropin, 'README: has a drop-in') or die;

my %unit = (debian => settings($debian), dropin => settings($debian . $dropin));

if (-f '/usr/lib/systemd/system/nginx.service') {
    is_deeply(settings(read_file('/usr/lib/systemd/system/nginx.service')),
              $unit{debian}, "what it is for: Debian's unit");
}

# it promises as much time as an answer may take

my ($quit) = $unit{dropin}{stop} =~ m!QUIT/(\d+)!;
my ($longest) = read_file(Chat::Nginx::root() . '/t/README.md')
    =~ /^\| nothing fails: the whole of it .* (\d+) s \|/m;

cmp_ok($quit, '>', $longest, 'the drop-in: as long as an answer may take');
cmp_ok($unit{dropin}{timeout}, '>', $quit,
       'the drop-in: systemd waits for longer');

# drop-ins for keys, and what the configuration says for one of them

my $packages = read_file(Chat::Nginx::root() . '/scripts/debian/README.md');
my %keys = $packages =~ /^<!-- test: (\w+) -->\n```ini\n(.*?)^```/msg;
my ($name) = ($keys{credential} // '') =~ /^LoadCredential=([^:]+):/m;

like($keys{environment} // '', qr!^EnvironmentFile=/!m,
     'a drop-in for a key in the environment');
like($packages, qr!key file:/run/credentials/nginx\.service/\Q$name\E;!,
     'a drop-in for a credential: the configuration names its file')
    if ok(defined $name, 'a drop-in for a credential');

if (-x '/usr/bin/systemd-analyze') {
    my %all = (%keys, dropin => $dropin);

    is(verified($all{$_}), '', "$_: systemd knows all of it")
        foreach grep { $_ ne 'package' } sort keys %all;

    like(verified("[Service]\nLoadCredentials=key:/key\n"), qr/Unknown key/,
         'a fault in a drop-in is seen');
}

# answers that take longer than the unit waits

my %answer = (chunks => 80, gap => 120, bytes => 20);
my $provider = start_provider(%answer);
my %run;

foreach my $name (sort keys %unit) {
    my $redis = start_redis();
    my $nginx = start_nginx(redis => $redis, provider => $provider,
        lead => 'on', server => 'location = /queued { chat; chat_lead off; }');
    my @questions = map { "$name $_?" } 1 .. 5;

    # what nginx says of connections that it cuts

    $nginx->allow_log(qr/open socket #\d+ left in connection|: aborting$/)
        if $name eq 'debian';

    filler($nginx);

    $run{$name} = { nginx => $nginx, questions => \@questions,
        later => ask_later($nginx, map { { question => $questions[$_],
            path => $_ % 2 ? '/chat' : '/queued' } } 0 .. $#questions) };
    mid_answer($redis, 2, @questions);
    $run{$name}{began} = time();
    $run{$name}{systemd} = fork() // die "fork: $!\n";

    if ($run{$name}{systemd} == 0) {
        stop_unit($unit{$name}, $nginx->pid, $nginx->dir . '/nginx.pid');
        POSIX::_exit(0);
    }
}

# the parent of both masters, as systemd is, has to take notice of their ends

ok(wait_for(sub {
    foreach my $run (grep { !$_->{ended} } values %run) {
        my $pid = $run->{nginx}->pid;

        next if waitpid($pid, POSIX::WNOHANG()) != $pid;

        $run->{status} = $?;
        $run->{ended} = time();
        delete $run->{nginx}{pid};
    }

    return 2 == grep { $_->{ended} } values %run;
}, 90), 'both units: the masters have ended');

waitpid($_->{systemd}, 0) foreach values %run;

foreach my $name (sort keys %run) {
    my $run = $run{$name};
    my @all = results($run->{later});
    my $whole = 0;

    foreach my $i (0 .. $#all) {
        $whole++ if !Chat::Check::faults($all[$i], restarts => 0,
            text => text_of($run->{questions}[$i], %answer));
    }

    is($whole, $name eq 'dropin' ? 5 : 0, "$name: whole answers");
    is($run->{status}, 0, "$name: nginx has ended by itself");

    my @left;

    wait_for { !(@left = $run->{nginx}->pids) } 10, 'no process';
    is(scalar @left, 0, "$name: no process is left");
}

cmp_ok($run{dropin}{ended} - $run{dropin}{began}, '>', 5,
       'dropin: the answers took longer than 5 s');

done();


# What systemd says of a unit like Debian's with this drop-in.

sub verified {
    my ($text) = @_;
    my $dir = test_dir() . '/units';

    mkdir($_) foreach $dir, "$dir/nginx.service.d";

    write_file("$dir/nginx.service", "[Service]\nType=forking\n"
               . "ExecStart=$Config{perlpath}\n" . $debian =~ s/^\[.*\n//r);
    write_file("$dir/nginx.service.d/chat.conf", $text);

    local $ENV{SYSTEMD_UNIT_PATH} = "$dir:";

    my $verify = 'systemd-analyze verify --man=no --recursive-errors=no';

    return scalar `$verify nginx.service 2>&1`;
}


sub write_file {
    my ($path, $text) = @_;

    open(my $file, '>', $path) or die "$path: $!\n";
    print $file $text;
    close($file) or die "$path: $!\n";
}


# what systemd makes of a unit's lines: an empty one forgets those before it

sub settings {
    my ($text) = @_;
    my %unit;

    foreach (split(/\n/, $text)) {
        $unit{stop} = $1 if /^ExecStop=-?(.*)/;
        $unit{timeout} = $1 if /^TimeoutStopSec=(\d+)$/;
    }

    return \%unit;
}


sub stop_unit {
    my ($unit, $pid, $file) = @_;
    my $stop = $unit->{stop} =~ s!--pidfile /run/nginx\.pid!--pidfile $file!r;
    my $command = fork() // POSIX::_exit(1);

    if ($command == 0) {
        exec(split(' ', $stop)) or POSIX::_exit(127);
    }

    my $end = time() + $unit->{timeout};

    while (waitpid($command, POSIX::WNOHANG()) == 0) {
        if (time() > $end) {
            kill('KILL', $command);
            waitpid($command, 0);
            last;
        }

        sleep(0.02);
    }

    return unless kill(0, $pid);

    kill('TERM', $pid);

    for ($end = time() + $unit->{timeout}; time() < $end; sleep(0.02)) {
        return unless kill(0, $pid);
    }

    kill('KILL', $pid);
}
