#!/usr/bin/perl

# The module is loaded, and no location says "chat": it starts nothing.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;

my $redis = start_redis();

# who has connected to this Redis, other than the test

sub clients {
    my ($n) = $redis->cmd('INFO', 'stats')
        =~ /total_connections_received:(\d+)/;

    return $n - 1;
}


sub zones {
    my ($pid) = @_;

    return scalar grep { /\/dev\/zero/ }
        split(/\n/, read_file("/proc/$pid/maps"));
}



# all processes, when the worker of a master is among them

sub pids_of {
    my ($nginx, $master) = @_;

    wait_for { scalar $nginx->worker_pids } 5, 'the worker' if $master;

    return $nginx->pids;
}


my %unused = (

    'loaded only' => { servers => <<'EOT' },
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / { return 200 "fine"; }
    }
EOT

    'settings without "chat"' => { redis => $redis, broker => $redis->url(1),
        provider => 1, http => <<'EOT', servers => <<'EOT' },
    chat_fill processes=2 concurrency=3;
    chat_cache_ttl 1h;
    chat_cache_key "$host $chat_question";
EOT
    server {
        listen 127.0.0.1:%%PORT%%;
        chat_max_question 1k;
        location = / { chat_heartbeat 3s; return 200 "fine"; }
    }
EOT

    'health and variables' => { redis => $redis, servers => <<'EOT' },
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            add_header X-Chat "[$chat_status$chat_question$chat_key]";
            return 200 "fine";
        }
        location = /health { chat_health full; }
        location = /metrics { chat_metrics; }
    }
EOT
);

# as much as nginx has without the module

my %plain;

foreach my $master (1, 0) {
    my $nginx = start_nginx(servers => $unused{'loaded only'}{servers},
                            workers => 1, master => $master);
    my @pids = pids_of($nginx, $master);

    $plain{$master} = { processes => scalar(@pids), zones => zones($pids[-1]) };
}

foreach my $name (sort keys %unused) {
    foreach my $master (1, 0) {
        my $nginx = start_nginx(%{ $unused{$name} }, master => $master,
            workers => 1, env => { REDIS_URL => $redis->url,
                                   OPENAI_API_KEY => 'a key' });
        my $q = get($nginx, '/');

        is($q->{body}, 'fine', "$name, master $master: nginx works");
        is($nginx->filler_pids, 0, "$name, master $master: no filler");

        my @pids = pids_of($nginx, $master);

        is(scalar(@pids), $plain{$master}{processes},
           "$name, master $master: no other process");
        is(zones($pids[-1]), $plain{$master}{zones},
           "$name, master $master: no zone");
        is(get($nginx, '/metrics')->{body} =~ /^chat_\w+/mg, 1,
           "$name, master $master: metrics of nothing but the build")
            if $name =~ /health/;
        unlike($nginx->error_log, qr/chat filler|redis|OPENAI/i,
               "$name, master $master: nothing in the log");
        is($q->{headers}{'x-chat'}, '[]',
           "$name, master $master: variables are empty")
            if $name =~ /variables/;

        if ($master) {
            ok($nginx->reload, "$name, master $master: reload succeeds");
            is($nginx->filler_pids, 0,
               "$name, master $master: no filler after it");
        }

        is(get($nginx, '/')->{body}, 'fine',
           "$name, master $master: it works on");
        ok($nginx->stop, "$name, master $master: it stops");
    }
}

is(clients(), 0, 'all of them: nobody has connected to Redis');



# until the old worker has gone

sub reload {
    my ($nginx, $name, %opt) = @_;
    my ($old) = $nginx->worker_pids;

    ok($nginx->reload(%opt), $name);
    wait_for { !grep { $_ == $old } $nginx->worker_pids } 10, 'the old worker';
}


# a reload may bring "chat", and take it away again

my $provider = start_provider(chunks => 3);
my $nginx = start_nginx(redis => $redis, provider => $provider, workers => 1,
                        %{ $unused{'loaded only'} });

pids_of($nginx, 1);
is($nginx->filler_pids, 0, 'loaded only: no filler at first');
reload($nginx, 'brought by a reload: it succeeds', servers => undef);
stream_ok(scalar ask($nginx, { question => 'Are you there?' }),
          'brought by a reload: an answer');
is($nginx->filler_pids, 1, 'brought by a reload: a filler');
is(zones(($nginx->worker_pids)[-1]), $plain{1}{zones} + 2,
   'brought by a reload: zones of the scoreboard and the metrics');
reload($nginx, 'taken away by a reload: it succeeds',
       servers => $unused{'loaded only'}{servers});
ok(wait_for(sub { !$nginx->filler_pids }, 10, 'the end of the filler'),
   'taken away by a reload: no filler any more');
is(get($nginx, '/')->{body}, 'fine', 'taken away by a reload: nginx works');

$redis->disconnect;
ok(wait_for(sub { split(/\n/, $redis->cmd('CLIENT', 'LIST')) == 1 }, 5,
            'closed connections'),
            'taken away by a reload: no connection any more');

done();
