#!/usr/bin/perl

# The examples of t/README.md: a plain script, and a suite of Test::Nginx that
# lies elsewhere, run as they stand there but for the path of the repository.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Readme;

my $root = Chat::Nginx::root();
my $text = readme('t');
my %example = $text =~ /^<!-- test: (plain|suite) -->\n```perl\n(.*?)^```/msg;

is_deeply([ sort keys %example ], [ 'plain', 'suite' ],
          'README has both examples') or die;

my $dir = test_dir() . '/elsewhere';

foreach ($dir, "$dir/t") {
    mkdir($_) or die "$_: $!\n";
}

$example{plain} =~ s!'t/lib'!'$root/t/lib'!;
$example{suite} =~ s!/path/to/ngx_chat!$root!;

# what scripts/test says of Test::Nginx is for the blocks of this repository

foreach (grep { /^TEST_NGINX_/ } keys %ENV) {
    delete $ENV{$_};
}

$ENV{TEST_NGINX_BINARY} = Chat::Nginx::binary();
$ENV{TEST_NGINX_PORT} = free_port();
$ENV{TEST_NGINX_LOAD_MODULES} = "$root/build/ngx_chat_module.so"
    unless $ENV{CHAT_NGINX};

foreach my $name (sort keys %example) {
    write_text("$dir/t/$name.t", $example{$name});

    my $output = `cd $dir && exec prove t/$name.t 2>&1`;

    ok($? == 0 && $output =~ /^All tests successful\.$/m, "$name: it passes")
        or diag($output);
}

done();
