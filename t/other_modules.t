#!/usr/bin/perl

# Beside the modules of others, loaded before ours and after it: nginx puts
# the names of all of them into one space, where the first definition serves
# every module.  A module that carries a library of ours must not lend us its
# copy, nor take ours.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Front;
use Chat::Tls;

my $MODULES = '/usr/lib/nginx/modules';
my $OURS = Chat::Nginx::root() . '/build/ngx_chat_module.so';

my $tls = Chat::Tls->new(test_dir() . '/tls');
my $redis = start_redis();
my $provider = start_provider(chunks => 5, gap => 5, utf8 => 1);
my $front = tls_front($provider, $tls->signed('localhost'));
my $number = 0;


# what the module gives to others, and what it takes from them

my @exported = sort(map { s/@.*//r } symbols('--defined-only'));

is("@exported", 'ngx_module_names ngx_module_order ngx_modules',
   'exported: what nginx looks up, and no more');

my @loose = grep { !/@/ && !/^ngx_/ && !/^(?:_ITM_\w+|__gmon_start__)$/ }
            symbols('--undefined-only');

is("@loose", '', 'taken from libraries: each names its version');


# a neighbour: its modules, its configuration, what shows that it works

my %neighbours = (
    nchan => {
        modules => ['ngx_nchan_module'],
        http => 'upstream channels { nchan_redis_server ' . $redis->url
            . '; }',
        server => <<'EOT',
            location = /publish {
                nchan_publisher;
                nchan_channel_id $arg_id;
                nchan_redis_pass channels;
            }

            location = /subscribe {
                nchan_subscriber longpoll;
                nchan_channel_id $arg_id;
                nchan_redis_pass channels;
            }
EOT
        works => \&nchan_ok,
    },

    lua => {
        modules => ['ndk_http_module', 'ngx_http_lua_module'],
        server => <<'EOT',
            location = /neighbour {
                content_by_lua_block {
                    ngx.say(ngx.encode_base64(ngx.sha1_bin("a")))
                }
            }
EOT
        says => 'hvfkN/qlp/zhXR3cuerq6jd2Z7g=',
    },

    njs => {
        modules => ['ngx_http_js_module'],
        http => 'js_import hash from %%DIR%%/hash.js;',
        server => 'location = /neighbour { js_content hash.answer; }',
        says => 'ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs',
    },

    perl => {
        modules => ['ngx_http_perl_module'],
        server => <<'EOT',
            location = /neighbour {
                perl 'sub {
                    my ($r) = @_;

                    require Digest::SHA;
                    $r->send_http_header("text/plain");
                    $r->print(Digest::SHA::sha256_base64("a"));
                    return OK;
                }';
            }
EOT
        says => 'ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs',
    },
);

foreach my $name (sort keys %neighbours) {
    beside($name, $_) foreach 'before', 'after';
}

done();


sub symbols {
    my ($option) = @_;

    return map { (split)[-1] } `nm -D $option $OURS`;
}


sub load {
    return map { "load_module $_;\n" } @_;
}


sub beside {
    my ($name, $order) = @_;
    my %it = %{ $neighbours{$name} };
    my @theirs = load(map { "$MODULES/$_.so" } @{ $it{modules} });
    my @ours = $ENV{CHAT_NGINX} ? () : load($OURS);

    $name = "$name, loaded $order";

    # allocations of modules that the sanitizers have not seen made

    my $nginx = new_nginx(redis => $redis, no_leaks => 1,
        provider => url_of($front, 'localhost'),
        provider_lines => 'trusted_certificate ' . $tls->ca . ';',
        load => join('', $order eq 'before' ? (@theirs, @ours)
                                            : (@ours, @theirs)),
        http => $it{http} // '', server => $it{server});

    write_js($nginx);
    $nginx->start;

    works_ok($nginx, $name, \%it);
    ok($nginx->reload, "$name: reload succeeds");

    # an old worker of nchan sends its subscribers away

    wait_for { $nginx->worker_pids == 2 } 20, 'the end of the old workers';
    works_ok($nginx, "$name, reloaded", \%it);
    ok($nginx->stop, "$name: nginx quits");
}


sub works_ok {
    my ($nginx, $name, $it) = @_;
    my $question = 'Who lives next door, number ' . ++$number . '?';
    my @pieces = pieces($question);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    if ($it->{works}) {
        $it->{works}->($nginx, "$name: it works");

    } else {
        my $body = get($nginx, '/neighbour')->{body};

        $body =~ s/\s+$//;
        is($body, $it->{says}, "$name: it works");
    }

    stream_ok(scalar ask($nginx, { question => $question }), "$name: a miss",
              chunks => \@pieces, cache => qr/fwd=miss$/);
    stream_ok(ask_hit($nginx, { question => $question }), "$name: a hit",
              chunks => \@pieces, cache => qr/; hit/);
}


# Messages go through Redis from worker to worker while questions are asked;
# it takes the module a moment to connect.

sub nchan_ok {
    my ($nginx, $name) = @_;
    my @ids = map { "$number-$_" } 1 .. 10;

    wait_for {
        ask($nginx, { publish("$number-0") })->{status} =~ /^2/;
    } 20, 'nchan';

    my @all = ask($nginx,
        (map { { method => 'GET', path => "/subscribe?id=$_" } } @ids),
        (map { { question => "Who is $_?" } } @ids),
        (map { { publish($_), delay => 0.5 } } @ids));
    my @heard = map { $_->{body} } @all[0 .. $#ids];
    my @streams = @all[@ids .. 2 * @ids - 1];

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is("@heard", join(' ', map { "message-$_" } @ids), $name);

    foreach (@streams) {
        stream_ok($_, "$name: $_->{question}", chunks => [pieces($_->{question})]);
    }
}


sub publish {
    my ($id) = @_;

    return (path => "/publish?id=$id", body => "message-$id",
            headers => { 'Content-Type' => 'text/plain' });
}


sub pieces {
    return pieces_of($_[0], chunks => 5, utf8 => 1);
}


sub write_js {
    my ($nginx) = @_;

    open(my $file, '>', $nginx->dir . '/hash.js') or die "hash.js: $!\n";
    print $file <<'EOT';
import crypto from 'crypto';

function answer(r) {
    r.return(200, crypto.createHash('sha256').update('a').digest('base64url'));
}

export default {answer};
EOT
    close($file);
}
