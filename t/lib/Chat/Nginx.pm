package Chat::Nginx;

# One instance of nginx with the module, in a directory of its own.

use warnings;
use strict;

use FindBin ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

my ($ROOT) = __FILE__ =~ m!^(.*)/t/lib/Chat/Nginx\.pm$!;

$ROOT = '.' unless defined $ROOT;
$ROOT = "$FindBin::Bin/.." unless -f "$ROOT/config";
$ROOT = POSIX::getcwd() . "/$ROOT" unless $ROOT =~ m!^/!;


# new(dir => ..., port => ..., and the pieces of the configuration):
#
#     workers, level           2, info
#     connections              worker_connections, 4096
#     main, events, http       more lines there
#     load                     instead of the line that loads the module
#     redis, broker            a Chat::Redis or a URL
#     redis_down               error: questions do not get round Redis unless
#                              a test is about that ('' for nginx's default)
#     lead                     on, off, or '' for nginx's default
#     zone                     name and size, off, as most tests look into
#                              Redis, or '' for nginx's default
#     provider                 a port, an object with port(), or a URL
#     provider_lines           more lines in its block
#     server, location         more lines in "server" and in "location = /chat"
#     servers                  instead of the server block
#     listen                   parameters of "listen"
#     env                      { NAME => value }
#     master                   0: without a master process
#
# %%PORT%%, %%PORT_1%% ... %%PORT_9%% and %%DIR%% are replaced.

sub new {
    my ($class, %opt) = @_;

    return bless { workers => 2, level => $ENV{CHAT_TEST_LEVEL} || 'info',
                   allowed => [], %opt }, $class;
}


sub binary { return $ENV{CHAT_NGINX} || '/usr/sbin/nginx' }
sub root   { return $ROOT }


sub write_conf {
    my ($self, %opt) = @_;
    my $dir = $self->{dir};

    %$self = (%$self, %opt);

    foreach ($dir, "$dir/asan") {
        if (!-d $_) {
            mkdir($_) or die "$_: $!\n";
        }
    }

    chmod(0711, $dir);
    chmod(01777, "$dir/asan");

    my $conf = $self->conf;

    $conf =~ s/%%PORT%%/$self->{port}/g;
    $conf =~ s/%%PORT_(\d)%%/$self->{ports}->($1)/ge;
    $conf =~ s/%%DIR%%/$dir/g;

    open(my $file, '>', "$dir/nginx.conf") or die "$dir/nginx.conf: $!\n";
    print $file $conf;
    close($file);
}


sub conf {
    my ($self) = @_;
    my %o = (main => '', events => '', http => '', server => '',
             location => '', listen => '', provider_lines => '',
             health => 'full', redis_down => 'error', lead => '',
             zone => 'off',
             connections => 4096, %$self);
    my $load = $o{load} // ($ENV{CHAT_NGINX} ? ''
        : "load_module $ROOT/build/ngx_chat_module.so;");
    my $user = $> == 0 ? 'user www-data;' : '';
    my $master = defined $o{master} && !$o{master}
        ? 'master_process off;' : '';
    my $stores = '';

    foreach my $name ('redis', 'broker') {
        my $url = $o{$name};

        next unless defined $url;

        $url = $url->url if ref $url;
        $stores .= "    chat_$name $url;\n";
    }

    $stores .= "    chat_redis_down $o{redis_down};\n"
        if length($o{redis_down});

    $stores .= "    chat_lead $o{lead};\n" if length($o{lead});

    $stores .= "    chat_zone $o{zone};\n" if length($o{zone});

    if (defined $o{provider}) {
        my $url = ref($o{provider}) ? $o{provider}->port : $o{provider};

        $url = "http://127.0.0.1:$url/v1" if $url =~ /^\d+$/;
        $stores .= "    chat_provider openai {\n        url $url;\n"
            . "        key sk-test-key;\n        model test;\n"
            . "        $o{provider_lines}\n    }\n";
    }

    my $servers = $o{servers} // <<"EOT";
    server {
        listen 127.0.0.1:%%PORT%% $o{listen};
        server_name localhost;
        $o{server}

        location = / {
            chat_health $o{health};
        }

        location = /chat {
            chat;
            $o{location}
        }
    }
EOT

    return <<"EOT";
$load
$user
$master
daemon off;
worker_processes $o{workers};
working_directory %%DIR%%;
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/error.log $o{level};
$o{main}

events {
    worker_connections $o{connections};
    $o{events}
}

http {
    access_log %%DIR%%/access.log;
    client_body_temp_path %%DIR%%/body;
    proxy_temp_path %%DIR%%/proxy;
    fastcgi_temp_path %%DIR%%/fastcgi;
    uwsgi_temp_path %%DIR%%/uwsgi;
    scgi_temp_path %%DIR%%/scgi;

$stores
    $o{http}

$servers
}
EOT
}


# the environment of nginx: the test's own without what the module reads

sub environment {
    my ($self) = @_;
    my %env = %ENV;
    my $dir = $self->{dir};

    delete @env{grep { /^(?:OPENAI_|REDIS_URL|CELERY_|CACHE_TTL|.*_proxy$)/i }
                keys %env};

    if ($ENV{CHAT_NGINX}) {
        my $leaks = $self->{no_leaks} ? 0 : 1;

        $env{ASAN_OPTIONS} = "detect_leaks=$leaks:detect_odr_violation=0:"
            . "log_path=$dir/asan/report";
        $env{UBSAN_OPTIONS} = "print_stacktrace=1:log_path=$dir/asan/report";
        $env{LSAN_OPTIONS} = "suppressions=$dir/lsan.supp:"
            . "print_suppressions=0";

        open(my $file, '>', "$dir/lsan.supp") or die "$dir/lsan.supp: $!\n";
        print $file "leak:$_\n"
            foreach qw(ngx_event_process_init ngx_regex_malloc
                       ngx_http_upstream_update_random);
        close($file);
        chmod(0644, "$dir/lsan.supp");
    }

    return (%env, %{ $self->{env} || {} });
}


# runs nginx to its end with other arguments: (exit status, what it said)

sub run {
    my ($self, @args) = @_;

    # a test of the configuration leaves all it made to the kernel
    local $self->{no_leaks} = 1;

    my $pid = $self->_spawn("$self->{dir}/output", @args);

    waitpid($pid, 0);

    return ($? >> 8, read_file("$self->{dir}/output"));
}


# nginx -t

sub test_conf {
    my ($self, %opt) = @_;

    $self->write_conf(%opt);

    my ($status, $text) = $self->run('-t');

    return ($status, $text . read_file("$self->{dir}/error.log"));
}


sub start {
    my ($self, %opt) = @_;

    $self->write_conf(%opt);

    unlink("$self->{dir}/nginx.pid");
    $self->{pid} = $self->_spawn("$self->{dir}/stderr");

    my $end = time() + 30;

    while (time() < $end) {
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
            delete $self->{pid};
            last;
        }

        return $self if -s "$self->{dir}/nginx.pid" && $self->answers
                        && $self->settled;

        sleep(0.01);
    }

    die "nginx did not start:\n" . read_file("$self->{dir}/stderr")
        . read_file("$self->{dir}/error.log");
}


sub _spawn {
    my ($self, $output, @args) = @_;
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    return $pid if $pid;

    %ENV = $self->environment;
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>>', $output);
    open(STDERR, '>&', \*STDOUT);
    setpgrp(0, 0);
    exec($self->binary, '-p', "$self->{dir}/", '-c',
         "$self->{dir}/nginx.conf", @args) or POSIX::_exit(127);
}


sub answers {
    my ($self) = @_;

    return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Proto => 'tcp', Timeout => 2) ? 1 : 0;
}


# Whether all workers are there, beside those in %$old: the master listens
# before it has any. A child without a title of its own is on its way.

sub settled {
    my ($self, $old) = @_;
    my $wanted = defined $self->{master} && !$self->{master}
        ? 0 : $self->{workers};
    my @titles = map { title($_) }
                 grep { $_ != $self->{pid} && !$old->{$_} } $self->pids;

    return 0 if grep { /^nginx: master process/ } @titles;

    return $wanted <= grep { /^nginx: worker process$/ } @titles;
}


sub port { return $_[0]{port} }
sub dir  { return $_[0]{dir} }
sub pid  { return $_[0]{pid} }
sub url  { return "http://127.0.0.1:$_[0]{port}" . ($_[1] // '/chat') }

sub error_log  { return read_file("$_[0]{dir}/error.log") }
sub access_log { return read_file("$_[0]{dir}/access.log") }


sub signal {
    my ($self, $signal) = @_;

    kill($signal, $self->{pid}) if $self->{pid};
}


# HUP, and waits until other workers are there

sub reload {
    my ($self, %opt) = @_;
    my %old = map { $_ => 1 } grep { $_ != $self->{pid} } $self->pids;

    $self->write_conf(%opt);
    $self->signal('HUP');

    my $end = time() + 30;

    while (time() < $end) {
        return 1 if $self->settled(\%old);
        sleep(0.01);
    }

    return 0;
}


# returns whether the master ended in time; else it is killed

sub stop {
    my ($self, $signal, $seconds) = @_;
    my $pid = $self->{pid} or return 1;
    my $end = time() + ($seconds || 20);

    $self->signal($signal || 'QUIT');

    while (time() < $end) {
        if (waitpid($pid, POSIX::WNOHANG()) == $pid) {
            $self->{status} = $?;
            delete $self->{pid};
            return 1;
        }

        sleep(0.01);
    }

    kill('KILL', $self->pids);
    waitpid($pid, 0);
    delete $self->{pid};

    return 0;
}


# All processes that belong to the instance, orphans too: those that hold a
# file of its directory open.

sub pids {
    my ($self) = @_;
    my @found;

    opendir(my $proc, '/proc') or return;

    PROCESS:
    foreach my $pid (grep { /^\d+$/ && $_ != $$ } readdir($proc)) {
        my $exe = readlink("/proc/$pid/exe") // next;

        next unless $exe =~ m!/nginx(?: \(deleted\))?$!;

        opendir(my $fds, "/proc/$pid/fd") or next;

        foreach my $fd (readdir($fds)) {
            my $name = readlink("/proc/$pid/fd/$fd") // next;

            if (index($name, "$self->{dir}/") == 0) {
                push(@found, $pid);
                next PROCESS;
            }
        }
    }

    @found = sort { $a <=> $b } @found;

    return @found;
}


sub titled {
    my ($self, $pattern) = @_;

    return grep { title($_) =~ $pattern } $self->pids;
}


sub title {
    my ($pid) = @_;
    my $title = read_file("/proc/$pid/cmdline");

    $title =~ s/\0+$//;

    return $title;
}


sub worker_pids    { return $_[0]->titled(qr/^nginx: worker process/) }
sub filler_pids { return $_[0]->titled(qr/^nginx: chat filler process/) }


sub parent {
    my ($pid) = @_;

    return (read_file("/proc/$pid/stat") =~ /\) \S (\d+)/)[0];
}


# log lines that are expected in this test and no fault

sub allow_log {
    my ($self, @patterns) = @_;

    push(@{ $self->{allowed} }, @patterns);
}


# what is wrong after the end: lines of the log, reports, processes

sub faults {
    my ($self) = @_;
    my @faults;

    foreach my $name ('error.log', 'stderr') {
        LINE:
        foreach my $line (split(/\n/, read_file("$self->{dir}/$name"))) {
            next unless $line =~ /\[(?:alert|emerg)\]|open socket|Sanitizer
                                  |runtime\ error:/x;

            foreach my $pattern (@{ $self->{allowed} }) {
                next LINE if $line =~ $pattern;
            }

            push(@faults, $line);
        }
    }

    foreach my $report (glob("$self->{dir}/asan/report*")) {
        my $text = read_file($report);

        push(@faults, "$report:\n" . substr($text, 0, 6000)) if length $text;
    }

    return @faults;
}


sub read_file {
    my ($name) = @_;

    open(my $file, '<:raw', $name) or return '';
    local $/;

    return <$file> // '';
}


1;
