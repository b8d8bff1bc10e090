#!/usr/bin/perl

# The configuration of providers: what is accepted, and what is refused with
# which message.  Of their keys it is in conf_keys.t.

use warnings;
use strict;

use Test::Base;

use lib 't/lib';
use Chat::Conf;
use Chat::Test;

plan('no_plan');

my %file = (password => "$SECRET\n", 'system.txt' => "Be brief.\nAlways.\n",
            'param.json' => "{\"a\": [1, 2.5e3, \"b\\n\", null]}\n",
            'long.json' => '"' . 'x' x 100000 . '"',
            huge => 'x' x 1048577);

conf_file($_, $file{$_}) foreach sort keys %file;

run_conf();


# the line of what is wrong

foreach (['unknown', 'bogus 1;'], ['repeated', "model a;\n\nmodel b;"],
         ['nested param', "param a {\n1;\n}"],
         ['nested unknown', "bogus {\nb 1;\n}"])
{
    my ($status, $said) = check_conf(http =>
        "chat_provider p {\n\nurl http://a;\n$_->[1]\nkey k;\n}");
    my ($wrong) = $_->[1] =~ /(?:.*\n\n)?(\w+ \S+)/s;
    my @lines = split(/\n/, read_file(conf_dir() . '/nginx.conf'));
    my ($line) = grep { $lines[$_ - 1] =~ /^\Q$wrong\E/ } 1 .. @lines;

    ok($status == 1 && $said =~ /\[emerg\] [^\n]*nginx\.conf:$line\n/,
       "refused: a $_->[0] word, with its line") or diag($said);
}

no_leaks();
done();

__DATA__

=== words of a provider
--- where: provider
--- accepted
url http://127.0.0.1:8080/v1;
url https://api.example/v1/;
url HTTPS://api.example;
url http://[::1]:80;
key sk-T0p-s3cret;
key "";
key file:%%DIR%%/password;
model a/b:c;
system "Be brief.";
system "";
system file:%%DIR%%/system.txt;
system file:system.txt;
system "<e2><82><ac>";
param temperature 0.2;
param stop "[\"a\", \"b\"]";
param user '"a b"';
param seed -1;
param logprobs true;
param x null;
param a '"x\\ny"';
param response_format file:%%DIR%%/param.json;
usage on;
usage off;
usage off; param stream_options "{}";
cost 0.15 0.6;
cost 0 100000;
cost 0.000001 1;
param a 1; param b 2;
header X-Title chat;
header X-Key file:%%DIR%%/password;
header X-A a; header X-B b;
connect_timeout 1s;
first_token_timeout 500ms;
idle_timeout 1m;
total_timeout 24h;
retries 0;
retries 100;
keepalive 0;
keepalive 10000;
keepalive_timeout 1ms;
keepalive_timeout 24h;



=== a provider of nothing but a key
--- http
chat_provider p { key k; }
--- locations
a        { chat p; }
--- accepted



=== names from the environment
--- http
chat_provider p {
    key env:MY_SECRET; header X-A env:MY_OTHER;
}
--- locations
a        { chat p; }
--- env
MY_OTHER=bsk-T0p-s3cret
MY_SECRET=sk-T0p-s3cret
--- accepted



=== words of a provider that cannot be
--- where: provider
--- refused
url ftp://127.0.0.1;              => url
url 127.0.0.1;                    => url
url http://;                      => url
url http:///v1;                   => url
url http://me:sk-T0p-s3cret@a/v1; => "p": "url" holds a user or a password
url https://sk-T0p-s3cret@a;      => "p": "url" holds a user or a password
url "http://a b/v1";              => url
url http://a/v1?x=1;              => url
url http://a/v1#x;                => url
url "http://a/<c3><a9>";          => url
url;                              => "url"
key "sk-T0p-s3cret<09>x";         => "key" holds control
key a b;                          => "key" has an invalid number of arguments
key file:/no/such/file;           => "key".*/no/such/file
model "";                         => "model" is empty
model "a<0d><0a>X: y";            => "model" holds control
model "<ff>"; => "model" is not valid UTF-8
system "<ff>"; => "system" is not valid UTF-8
system file:/no/such/file;        => "system".*/no/such/file
system file:%%DIR%%;              => "system".*is not a regular file
param temperature;                => "param" has an invalid number of arguments
param temperature hot;            => "param temperature" is not a JSON value
param a "{";                      => "param a" is not a JSON value
param a "1 2";                    => "param a" is not a JSON value
param a "";                       => "param a" is not a JSON value
param a '"<ff>"';                 => "param a" is not a JSON value
param a '"\ud800"';               => "param a" is not a JSON value
param a '"x\ny"';                 => "param a" is not a JSON value
param "" 1;                       => "param" has an invalid name
param a file:/no/such/file;       => "param".*/no/such/file
param messages [];                => "param messages" is set by the module
param stream false;               => "param stream" is set by the module
param a 1; param a 2;             => "param a" is duplicate
usage;                            => "usage" has an invalid number of arguments
usage yes; => "usage" is "on" or "off", not "yes"
cost 1;                           => "cost" has an invalid number of arguments
cost 1 2 3;                       => "cost" has an invalid number of arguments
cost a 1;                         => "cost" takes two numbers
cost 1 -1;                        => "cost" takes two numbers
cost 1 0.0000001;                 => "cost" takes two numbers
cost 100000.1 1;                  => "cost" takes two numbers
cost 1 99999999999999999999;      => "cost" takes two numbers
cost "" 1;                        => "cost" takes two numbers
header "X Y" z;                   => "header" has an invalid name "X Y"
header "X:" z;                    => "header" has an invalid name
header X "a<0a>b: c";             => "header" holds control
header X file:/no/such/file;      => "header".*/no/such/file
connect_timeout 0;                => "connect_timeout" has an invalid time
connect_timeout x;                => "connect_timeout" has an invalid time
connect_timeout 25h;              => "connect_timeout" has an invalid time
first_token_timeout 0;            => "first_token_timeout" has an invalid time
first_token_timeout x;            => "first_token_timeout" has an invalid time
first_token_timeout 25h;          => "first_token_timeout" has an invalid time
idle_timeout 0;                   => "idle_timeout" has an invalid time
idle_timeout x;                   => "idle_timeout" has an invalid time
idle_timeout 25h;                 => "idle_timeout" has an invalid time
total_timeout 0;                  => "total_timeout" has an invalid time
total_timeout x;                  => "total_timeout" has an invalid time
total_timeout 25h;                => "total_timeout" has an invalid time
retries -1;                       => "retries" has an invalid number
retries 101;                      => "retries" has an invalid number
retries x;                        => "retries" has an invalid number
keepalive 10001;                  => "keepalive" has an invalid number "10001", from 0 to 10000 will do
keepalive off;                    => "keepalive" has an invalid number
keepalive 1 2;                    => "keepalive" has an invalid number of arguments
keepalive_timeout 0;              => "keepalive_timeout" has an invalid time
Proxy http://a;                   => "Proxy" is an unknown directive
Model a;                          => "Model" is an unknown directive
url http://a; url http://a;       => "url" is duplicate
key a; key a;                     => "key" is duplicate
model a; model a;                 => "model" is duplicate
system a; system a;               => "system" is duplicate
retries 1; retries 1;             => "retries" is duplicate
total_timeout 1s; total_timeout 1s;
    => "total_timeout" is duplicate
usage on; usage on;               => "usage" is duplicate
cost 1 1; cost 1 1;               => "cost" is duplicate



=== names of providers that cannot be
--- where: http
--- refused
chat_provider "a b" { key k; } chat_cache on
    => "chat_provider" has an invalid name
chat_provider a=b { key k; } chat_cache on
    => "chat_provider" has an invalid name
chat_provider "" { key k; } chat_cache on
    => "chat_provider" has an invalid name
chat_provider a/b { key k; } chat_cache on
    => "chat_provider" has an invalid name



=== a provider twice
--- http
chat_provider p { } chat_provider p { }
--- refused: "chat_provider" "p" is duplicate



=== a provider without a block
--- http
chat_provider p;
--- refused: "chat_provider" has no opening



=== a provider without a name
--- http
chat_provider { }
--- refused: number of arguments in "chat_provider"



=== a provider in a server
--- server
chat_provider p { }
--- refused: "chat_provider" directive is not allowed



=== an invalid provider that nobody names
--- http
chat_provider q { url x; }
--- refused: url



=== a param of 4000 bytes
--- http
chat_provider p {
    param a '"<x3990>"';
    key k;
}
--- locations
a        { chat p; }
--- accepted



=== a param of 4100 bytes
--- http
chat_provider p {
    param a '"<x4100>"';
    key k;
}
--- locations
a        { chat p; }
--- refused: too long parameter



=== a longer one in a file
--- http
chat_provider p {
    param a file:%%DIR%%/long.json;
    key k;
}
--- locations
a        { chat p; }
--- accepted



=== a file of more than a megabyte
--- http
chat_provider p {
    system file:%%DIR%%/huge;
    key k;
}
--- locations
a        { chat p; }
--- refused: is longer than 1 MB
