package Chat::Readme;

# The README files of the repository, for the tests that hold them against the
# code.
#
#     my $text = readme('t');              # t/README.md, '' for the first one
#     my $part = part($text, 'Faults');    # the text below this heading
#     accepted('a snippet', $conf);        # one test: nginx -t

use warnings;
use strict;

use Exporter qw(import);
use File::Find ();
use Test::More;

use Chat::Nginx;
use Chat::Test ();

our @EXPORT = qw(readmes readme part headings sources accepted write_text);

my $root = Chat::Nginx::root();


# their folders, relative to the repository

sub readmes {
    my @dirs;

    File::Find::find({ no_chdir => 1, wanted => sub {
        if (m!^\Q$root\E/(?:build|\.git|t/servroot\w*)\z!) {
            $File::Find::prune = 1;

        } elsif (m!^\Q$root\E/(?:(.*)/)?README\.md\z!) {
            push(@dirs, $1 // '');
        }
    } }, $root);

    return sort @dirs;
}


sub readme {
    my ($dir) = @_;

    return Chat::Nginx::read_file(join('/', $root, grep { length } $dir,
                                       'README.md'));
}


# All C code of the module.

sub sources {
    return join('', map { Chat::Nginx::read_file($_) }
                glob("$root/ngx_chat_module/*.[ch]"
                     . " $root/ngx_chat_module/*/*.[ch]"
                     . " $root/ngx_chat_module/*/*/*.[ch]"));
}


# The text below a heading of the second level, up to the next one.

sub part {
    my ($text, $name) = @_;
    my ($part) = $text =~ /^## \Q$name\E\n(.*?)(?=^## |\z)/ms;

    return $part // '';
}


# All headings outside code, as they are.

sub headings {
    my ($text) = @_;

    $text =~ s/^```.*?^```$//msg;

    return $text =~ /^#+ (.+)$/mg;
}


# "nginx -t" of a whole configuration, or of lines of "http"

sub accepted {
    my ($name, $conf) = @_;
    my $nginx = Chat::Test::new_nginx();
    my $dir = $nginx->dir;
    my $port = $nginx->port;
    my $temp = join('', map { "${_}_temp_path $dir/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi));

    if ($conf !~ /^http \{/m) {
        my $server = $conf =~ /^\s*server \{/m ? ''
            : "server { listen 8000; location = /chat { chat; } }\n";

        $conf = "load_module modules/ngx_chat_module.so;\n"
            . "events {}\nhttp {\n$conf$server}\n";
    }

    my $load = $ENV{CHAT_NGINX} ? ''
        : "load_module $root/build/ngx_chat_module.so;";

    $conf =~ s/^load_module .*$/$load\npid $dir\/nginx.pid;
error_log $dir\/error.log;/m;
    $conf =~ s/^http \{/http {\naccess_log off;\n$temp/m;
    $conf =~ s/^user .*$//m if $> != 0;
    $conf =~ s/listen 8000;/listen 127.0.0.1:$port;/;

    # keys that are not on this machine

    write_text("$dir/key", "k\n");
    chmod(0600, "$dir/key");
    $conf =~ s!file:/(?:etc/nginx/chat|run/credentials/nginx\.service)/[\w.]+\.key
             !file:$dir/key!gx;

    write_text("$dir/nginx.conf", $conf);

    $nginx->{env} = { OPENAI_API_KEY => 'k' };

    my ($status, $output) = $nginx->run('-t');

    # not every machine that tests can resolve names

    $output =~ s/^.*\[warn\].*without "resolver" the direct path.*\n//mg;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status == 0 && $output !~ /\[(?:warn|error|crit|alert|emerg)\]/,
       "$name: nginx accepts it") or diag($output);
}


sub write_text {
    my ($name, $text) = @_;

    open(my $file, '>:raw', $name) or die "$name: $!\n";
    print $file $text;
    close($file);
}


1;
