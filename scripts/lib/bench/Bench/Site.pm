package Bench::Site;

# All that runs during a benchmark: the provider, servers of Redis, instances of
# nginx with the module, and without it for what they are compared with.  What
# is started here is stopped by stop(), each process by its number.
#
# A target is what the load generator asks:
#
#     { who => 'proxy_pass', mode => 'openai', url => ...,
#       pids => { nginx => [ ... ], redis => [ ... ] } }

use warnings;
use strict;

use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

use Chat::Nginx;
use Chat::Redis;

my $READY = 20;

# A signal has come.  It ends the benchmark at the next call of go_on(), when
# all that runs is known.
our $STOPPED;

my %STOP = ('Chat::Nginx' => [ 'TERM', 5 ], 'Chat::Redis' => [ 'KILL' ],
            'Chat::Proxy' => []);


# new(dir => where they run, programs => where the load generator is,
#     modules => where nginx has its modules, lua => are Lua's there?,
#     quick => 0 or 1, wrong => who sends a wrong byte)

sub new {
    my ($class, %opt) = @_;

    return bless { ports => {}, count => 0, running => [], wrongs => [],
                   http => HTTP::Tiny->new(timeout => 30), %opt }, $class;
}


# the provider, for all sections

sub start {
    my ($self) = @_;

    $self->{provider} = $self->free_port;
    $self->{provider_pid} = $self->spawn("$self->{programs}/provider",
                                         $self->{provider});
    $self->wait_for('the provider', sub { $self->{http}->get(
        "http://127.0.0.1:$self->{provider}/stats")->{success} });
}


# a number for a full run, and one to see that it works

sub size {
    my ($self, $full, $quick) = @_;

    return $self->{quick} ? $quick : $full;
}


# below the ports that the kernel gives to clients

sub free_port {
    my ($self) = @_;

    foreach (1 .. 1000) {
        my $port = 10000 + int(rand(20000));

        next if $self->{ports}{$port}++;

        return $port if IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1, ReuseAddr => 1, Proto => 'tcp');
    }

    die "no free port\n";
}


sub subdir {
    my ($self, $name) = @_;

    return "$self->{dir}/$name" . ++$self->{count};
}


# the number of a new process, which stop() ends

sub spawn {
    my ($self, @command) = @_;
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>>', "$self->{dir}/output");
        open(STDERR, '>&', \*STDOUT);
        setpgrp(0, 0);
        exec(@command) or POSIX::_exit(127);
    }

    push(@{ $self->{running} }, $pid);

    return $pid;
}


sub end {
    my ($self, $pid) = @_;

    @{ $self->{running} } = grep { $_ ne $pid } @{ $self->{running} };

    if (ref $pid) {
        $pid->stop($STOP{ref $pid}->@*);
        leave_none($pid) if ref($pid) eq 'Chat::Nginx';
        return;
    }

    kill('KILL', $pid);
    waitpid($pid, 0);
}


# a filler may outlive its master for a moment

sub leave_none {
    my ($nginx) = @_;
    my $end = time() + 5;
    my @left;

    while (@left = $nginx->pids) {
        kill('KILL', @left) if time() > $end;
        sleep(0.01);
    }
}


sub stop {
    my ($self) = @_;

    my @all = reverse(@{ $self->{running} });

    $self->end($_) foreach @all;
}


sub go_on {
    die "stopped\n" if $STOPPED;
}


sub wait_for {
    my ($self, $what, $condition) = @_;
    my $end = time() + $READY;

    while (time() < $end) {
        my $value = $condition->();

        go_on();
        return $value if $value;
        sleep(0.02);
    }

    die "waited in vain for $what\n";
}


# The answers from now on: chunks, bytes, first and gap (ms), stamp, stall (the
# chunk that does not come).  The load generator is told the same.

sub shape {
    my ($self, %shape) = @_;

    %shape = (chunks => 50, bytes => 20, first => 0, gap => 0, stamp => 0,
              stall => -1, wrong => $self->{wrong} eq 'provider' ? 1 : -1,
              %shape);
    $self->{shape} = \%shape;
    $self->tell_provider(%shape);
    $self->ask_provider('reset');
}


sub tell_provider {
    my ($self, %shape) = @_;

    $self->ask_provider('set?' . join(',', map { "$_=$shape{$_}" }
                                      sort keys %shape));
}


sub ask_provider {
    my ($self, $what) = @_;
    my $got = $self->{http}->get(
        "http://127.0.0.1:$self->{provider}/$what");

    go_on();
    die "the provider says $got->{status} to $what\n" unless $got->{success};

    return JSON::PP::decode_json($got->{content});
}


# no two runs ask the same, unless they are to

sub fresh {
    my ($self) = @_;

    return "question $$." . ++$self->{questions} . ' {i}';
}


sub redis {
    my ($self) = @_;
    my $redis = Chat::Redis->new(dir => $self->subdir('redis'),
        port => $self->free_port,
        config => [ 'maxclients 15000', 'tcp-backlog 4096' ]);

    $redis->start;
    push(@{ $self->{running} }, $redis);

    return $redis;
}


# an instance of nginx that serves these locations

sub nginx {
    my ($self, $locations, %opt) = @_;
    my $server = delete($opt{server}) // '';
    my $nginx = Chat::Nginx->new(dir => $self->subdir('nginx'),
        port => $self->free_port, workers => 1, level => 'warn',
        connections => 16384, load => '', redis_down => '', zone => '',
        main => 'worker_rlimit_nofile 20000;', %opt,
        http => "keepalive_requests 1000000;\n    " . ($opt{http} // ''),
        servers => <<"EOT");
    server {
        listen 127.0.0.1:%%PORT%% backlog=4096;
        access_log off;
        $server
$locations
    }
EOT

    $nginx->start;
    push(@{ $self->{running} }, $nginx);

    return $nginx;
}


# nginx with the module: zone => 'off' (hits from Redis), lead => 'off'

sub chat {
    my ($self, $redis, %opt) = @_;
    my $http = 'chat_fill concurrency=4096; chat_queue_limit 10000;';
    my $nginx = $self->nginx(<<'EOT', load => $self->module, redis => $redis,
        location = / { chat_health; }
        location = /chat { chat; }
        location = /ready { chat; add_header X-Source $chat_source; }
EOT
        provider => $self->{provider}, http => $http, %opt);

    $self->ready($nginx);

    return $nginx;
}


sub module {
    return 'load_module ' . Chat::Nginx::root() . '/build/ngx_chat_module.so;';
}


# until it does with questions what it will do with those that count

sub ready {
    my ($self, $nginx) = @_;
    my $source = ($nginx->{lead} // '') eq 'off' ? 'queued' : 'led';
    my $n = 0;

    $self->tell_provider(chunks => 1, first => 0, stall => -1);

    $self->wait_for("$source answers", sub {
        my $got = $self->{http}->post($nginx->url('/ready'), {
            headers => { 'Content-Type' => 'application/json' },
            content => sprintf('{"question": "%s.%d"}', $self->fresh, $n++) });

        return ($got->{headers}{'x-source'} // '') eq $source;
    });

    $self->tell_provider(%{ $self->{shape} });
}


# nginx without the module; $text is an answer for "return" and a file

sub plain {
    my ($self, $text, %opt) = @_;
    my $dir = $self->subdir('files');
    my @parts = unpack('(a2000)*', $text);
    my %sent = (return => $text, static => $text);

    foreach my $name (grep { $self->{wrong} eq "nginx_$_" } keys %sent) {
        substr($sent{$name}, 100, 1) = '#';
    }

    mkdir($dir) or die "$dir: $!\n";
    chmod(0711, $dir);
    write_file("$dir/answer", $sent{static});

    # a parameter has 4096 bytes at most

    @parts = length($text) > 100000 ? () : unpack('(a2000)*', $sent{return});

    my $set = join("\n", map { "set \$part$_ '$parts[$_]';" } 0 .. $#parts);
    my $all = join('', map { "\${part$_}" } 0 .. $#parts);

    return $self->nginx(<<"EOT", %opt,
        default_type text/event-stream;
        location = /return {
            $set
            return 200 "$all";
        }
        location = /answer {
            root $dir;
            open_file_cache max=10;
        }
        location / {
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
EOT
        http => "upstream provider {\n"
            . "        server 127.0.0.1:$self->{provider};\n"
            . "        keepalive 4096;\n    }\n");
}


# Lua, with its dictionary in shared memory before Redis

sub lua {
    my ($self, $redis) = @_;
    my $load = join("\n", map { "load_module $self->{modules}/$_;" }
                    qw(ndk_http_module.so ngx_http_lua_module.so));
    my $script = Chat::Nginx::root() . '/scripts/lib/bench/peer.lua';
    my $copy = $self->subdir('lua');

    write_file($copy, Chat::Nginx::read_file($script));

    return $self->nginx(<<"EOT", load => $load,
        set \$redis_port @{[ $redis->port ]};
        set \$provider_port $self->{provider};
        location = /chat { content_by_lua_file $copy; }
EOT
        http => "lua_socket_log_errors off;\n    lua_shared_dict answers 64m;");
}


sub target {
    my ($self, $who, $mode, $server, $path, %pids) = @_;

    return { who => $who, mode => $mode, pids => \%pids,
             url => ref($server) ? $server->url($path)
                                 : "http://127.0.0.1:$server$path" };
}


# What of these can be asked, by its name; without a server a new one.

sub provider_target {
    my ($self, $mode) = @_;

    return $self->target('provider', $mode, $self->{provider},
        $mode eq 'chat' ? '/chat' : '/v1/chat/completions',
        provider => [ $self->{provider_pid} ]);
}


sub proxy_target {
    my ($self, $mode, $nginx) = @_;

    return $self->target('proxy_pass', $mode, $nginx,
        $mode eq 'chat' ? '/chat' : '/v1/chat/completions',
        nginx => [ $nginx->pids ]);
}


sub chat_target {
    my ($self, $who, $redis, $nginx) = @_;

    return $self->target($who, 'chat', $nginx, '/chat',
        nginx => [ $nginx->pids ], redis => [ $redis->pid ]);
}


# a chat_target() for "ngx_chat" and what it runs on: (target, nginx, redis)

sub new_chat {
    my ($self, $who, %opt) = @_;
    my $redis = $self->redis;
    my $nginx = $self->chat($redis, %opt);

    return ($self->chat_target($who, $redis, $nginx), $nginx, $redis);
}


sub new_lua {
    my ($self) = @_;
    my $redis = $self->redis;

    return $self->chat_target('lua_shm', $redis, $self->lua($redis));
}


sub write_file {
    my ($name, $text) = @_;

    open(my $file, '>:raw', $name) or die "$name: $!\n";
    print $file $text;
    close($file) or die "$name: $!\n";
}


1;
