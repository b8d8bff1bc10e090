#!/usr/bin/perl

# scripts/check-layers, which checks how the source is layered: what it accepts
# and what it finds, in a copy of the source with the objects of the build.

use warnings;
use strict;

use Cwd qw(getcwd);
use File::Temp qw(tempdir);
use Test::More;

my $root = getcwd();
my $dir = tempdir(CLEANUP => 1);

my ($addon) = grep { -d } glob("$root/build/{release,asan}/addon");

ok(defined $addon, 'build: there is one') or die;

my ($rc, $out) = check(sub { });

is($rc, 0, 'source as it is: accepted') or diag($out);
is($out, '', 'source as it is: not a word');

finds('include of a higher layer',
      qr!store/ngx_chat_keys\.h:\d+: store must not include hub/ngx_chat_hub\.h!,
      sub { add('store/ngx_chat_keys.h', '#include "../hub/ngx_chat_hub.h"') });

finds('include of sockets by a codec',
      qr!codec/ngx_chat_str\.c:\d+: codec must not include sys/socket\.h!,
      sub { add('codec/ngx_chat_str.c', '#include <sys/socket.h>') });

finds('include of the event loop by a codec',
      qr!codec/ngx_chat_str\.h:\d+: codec must not include ngx_event\.h!,
      sub { add('codec/ngx_chat_str.h', '#include <ngx_event.h>') });

finds('include of curl outside of the filler',
      qr!http/ngx_http_chat\.h:\d+: http must not include curl/curl\.h!,
      sub { add('http/ngx_http_chat.h', '#include <curl/curl.h>') });

finds('include of Redis by the hub',
      qr!hub/ngx_chat_hub\.h:\d+: hub must not include redis/ngx_chat_redis\.h!,
      sub { add('hub/ngx_chat_hub.h', '#include "../redis/ngx_chat_redis.h"') });

finds("include of the filler's side of the store by the hub",
      qr!hub must not include store/ngx_chat_store_tasks\.h!,
      sub { add('hub/ngx_chat_hub.h',
                '#include "../store/ngx_chat_store_tasks.h"') });

finds("include of the worker's side of the store by the filler",
      qr!filler must not include store/ngx_chat_store_worker\.h!,
      sub { add('filler/ngx_chat_job.h',
                '#include "../store/ngx_chat_store_worker.h"') });

finds('include of an unknown library', qr!:\d+: foo\.h is of no library known!,
      sub { add('hub/ngx_chat_hub.h', '#include <foo.h>') });

finds('folder that is no layer', qr!new/x\.c: new is no layer!, sub {
    mkdir("$dir/ngx_chat_module/new");
    add('new/x.c', '');
    link_object('new', 'x');
});

finds('call of a higher layer, declared by hand',
      qr!shm/\w+\.c must not call ngx_chat_store_init of \S+/ngx_chat_store\.c!,
      sub { calls('shm', 'ngx_chat_scoreboard', 'ngx_chat_store_init') });

finds('call of a library that lives elsewhere',
      qr!codec/ngx_chat_str\.c: codec must not call ngx_event_add_timer!,
      sub { calls('codec', 'ngx_chat_str', 'ngx_event_add_timer') });

finds('circle of two files', qr!
          ^a\ circle\ of\ \d+\ files:\n.*
          codec/ngx_chat_answer\.c\ calls\ \S+/ngx_chat_str\.c:.*
          codec/ngx_chat_str\.c\ calls\ \S+/ngx_chat_answer\.c:
          \ ngx_chat_answer_check\n!xms,
      sub { calls('codec', 'ngx_chat_str', 'ngx_chat_answer_check') });

($rc, $out) = check(sub { unlink("$dir/build/x/addon/codec/ngx_chat_str.o") });

is($rc, 2, 'object that lacks: an error');
like($out, qr!has no object of codec/ngx_chat_str\.c\n.*scripts/build!,
     'object that lacks: named');

($rc, $out) = check(sub { rename("$dir/build", "$dir/gone") });

is($rc, 2, 'no build: an error');
like($out, qr!^no build .*scripts/build first$!, 'no build: said plainly');

finds('picture in the README that is behind', qr!check-layers --update!, sub {
    system('sed', '-i', 's/^|  1  /|  9  /', "$dir/ngx_chat_module/README.md");
});

finds('README without a picture', qr!no place for the picture!, sub {
    system('sed', '-i', '/^<!-- scripts/d', "$dir/ngx_chat_module/README.md");
});

($rc, $out) = check(sub {
    system('sed', '-i', 's/^|  1  /|  9  /', "$dir/ngx_chat_module/README.md");
    system("$dir/scripts/check-layers", '--update');
});

is($rc, 0, '--update: the picture is true again') or diag($out);

($rc, $out) = check(sub { }, '--picture');

is($rc, 0, '--picture: drawn');
like($out, qr/^\+- codec -+\+$/m, '--picture: the codecs use no other layer');
unlike($out, qr/.{79}/, '--picture: fits on a page');

done_testing();


# what check-layers says of a fresh copy after a change of it

sub check {
    my ($change, @args) = @_;

    system("rm -rf $dir/*");
    system('cp', '-r', "$root/scripts", "$root/ngx_chat_module", $dir) == 0
        or die "cp failed\n";

    foreach my $object (glob("$addon/*/*.o")) {
        my ($folder, $name) = $object =~ m!([^/]+)/([^/]+)$!;

        system('mkdir', '-p', "$dir/build/x/addon/$folder");
        symlink($object, "$dir/build/x/addon/$folder/$name");
    }

    $change->();

    my $text = qx($dir/scripts/check-layers @args 2>&1);

    return ($? >> 8, $text);
}


sub finds {
    my ($name, $like, $change) = @_;
    my ($code, $text) = check($change);

    is($code, 1, "$name: a fault");
    like($text, $like, "$name: named");
}


sub add {
    my ($file, $line) = @_;

    open(my $to, '>>', "$dir/ngx_chat_module/$file") or die "$file: $!\n";
    print $to "$line\n";
    close($to);
}


sub compile {
    my ($text, $object) = @_;

    open(my $to, '>', "$dir/x.c") or die "x.c: $!\n";
    print $to $text;
    close($to);

    system('gcc', '-c', '-o', $object, "$dir/x.c") == 0 or die "gcc failed\n";
}


sub link_object {
    my ($folder, $name) = @_;

    mkdir("$dir/build/x/addon/$folder");
    compile('', "$dir/build/x/addon/$folder/$name.o");
}


# the object of a file calls one function more

sub calls {
    my ($folder, $name, $function) = @_;
    my $object = "$dir/build/x/addon/$folder/$name.o";

    compile("void $function(void); void more(void) { $function(); }\n",
            "$dir/more.o");

    system('ld', '-r', '-o', "$dir/both.o", $object, "$dir/more.o") == 0
        or die "ld failed\n";
    unlink($object);
    rename("$dir/both.o", $object) or die "$object: $!\n";
}
