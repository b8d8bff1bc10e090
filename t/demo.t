#!/usr/bin/perl

# The page of scripts/demo with the location of nginx.conf.example, in Chromium:
# what it shows of answers, readers and metrics, with the mouse and with keys
# alone, and that its policy holds.  Pictures are left in build/demo*.png.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Readme;

use Digest::SHA qw(sha256_base64);

my $root = Chat::Nginx::root();
my $build = "$root/build";
my $example = read_file("$root/nginx.conf.example");
my $html = read_file("$root/scripts/demo/index.html");


# the sums are those of the page, and nothing else may run or be fetched

my ($location) = $example =~ /^( +location \/demo\/ \{\n.*?^        \}\n)/ms;

ok(defined $location, 'nginx.conf.example: has the page') or die;

my ($policy) = $location =~ /Content-Security-Policy "([^"]*)"/;

foreach my $tag ('style', 'script') {
    my @parts = $html =~ /<$tag>(.*?)<\/$tag>/sg;

    is(scalar @parts, 1, "one $tag");
    is(join(' ', $policy =~ /$tag-src ([^;]*)/),
       "'sha256-" . sha256_base64($parts[0]) . "='",
       "nginx.conf.example: the sum of the $tag");
}

is(join(' ', $policy =~ /default-src ([^;]*)/), "'none'", 'nothing else');
unlike($policy, qr/unsafe/, 'nothing that is unsafe');
unlike($html, qr!https?://(?\!www\.w3\.org/2000/svg)!,
       'the page names no other server');


# a visit

my $redis = start_redis();
my $provider = start_provider(gap => 2, upto => 4);
my $dir = test_dir() . '/page';

mkdir($dir);
chmod(0755, $dir);
write_text("$dir/index.html", $html);
chmod(0644, "$dir/index.html");
$location =~ s/alias \S+;/alias $dir\/;/;

my $nginx = start_nginx(redis => $redis, provider => $provider, lead => '',
    provider_lines => 'retries 1;',
    server => "$location location = /metrics { chat_metrics; }");

like(get($nginx, '/demo/')->{headers}{'content-type'},
     qr/^text\/html; charset=utf-8$/, 'its type');

unlink("$build/demo.png", "$build/demo-phone.png");

open(my $out, '-|', 'timeout', '-k', 5, 120, 'node', 't/lib/demo.mjs',
     $nginx->url('/demo/'), 'http://127.0.0.1:' . $provider->port, $build)
    or die "node: $!\n";

my $seen = parse_json(join('', <$out>) || '{"error": "no output"}');

close($out);

is($seen->{error}, undef, 'the visit went to its end') or die "no visit\n";

my $question = 'Who reads? {{chunks=12}}';
my @pieces = pieces_of($question, chunks => 12);
my $start = join('', @pieces[0 .. 3]);
my $whole = join('', @pieces);
my $time = qr/^\d+(?:\.\d\d)? m?s$/;


# a miss

is_deeply([ map { [ @{ $seen->{idle}{$_} }{qw(status toggle)} ] } 'a', 'b' ],
          [ [ 'idle', '' ], [ 'idle', 'Open a second reader' ] ],
          'before: nothing is read');
shown('miss', $seen->{miss}, status => 'streaming', answer => $start,
      verdict => 'Miss: a new generation', header => 'ngx_chat; fwd=miss',
      busy => 'true', toggle => 'Leave', problem => '',
      said => qr/^Reader A: streaming, Miss: a new generation$/,
      first => $time, total => $time, marks => 4);

# a second reader

my $joined = 'Joined a generation that was running';

shown('second', $seen->{second}, answer => $start, verdict => $joined,
      header => 'ngx_chat; fwd=miss; collapsed',
      generation => qr/the same as A$/, busy => 'true');
shown('left', $seen->{left}, answer => $start, busy => 'false',
      toggle => 'Join again');
shown('again', $seen->{again}, answer => $start, verdict => $joined);
is($seen->{open}{'Open now'}{generations}, 1, 'charts: one generation');

shown("the end for $_", $seen->{ends}{$_}, status => 'completed',
      answer => $whole, chunks => 12, marks => 12, busy => 'false',
      toggle => 'Read again') foreach 'a', 'b';

# with the cache and without

shown($_, $seen->{$_}, answer => $whole, verdict => 'Hit: from the cache',
      header => qr/^ngx_chat; hit; ttl=\d+$/, first => $time, total => $time)
    foreach 'reread', 'hit';
shown('fresh', $seen->{fresh}, answer => $whole,
      verdict => 'Asked without the cache', header => 'ngx_chat; fwd=request');
is(provider_stats($provider, $question), 2,
   'the provider is called for the miss and without the cache');

# what may go wrong

shown('markup', $seen->{markup}, elements => 0,
      answer => '<b>bold</b> <img src=x onerror=alert(1)>');
shown('failed', $seen->{failed}, status => 'error',
      problem => qr/\(provider_refused\)$/);
shown('refused', $seen->{refused}, status => 'error',
      problem => qr/question.*\(invalid_field\)$/, header => '');
shown('cut', $seen->{cut}, status => 'completed',
      chunks => '3, cut short: length');
shown('restart', $seen->{restart}, status => 'completed',
      chunks => '5, started over once',
      answer => join('', pieces_of('What restarts? '
          . '{{chunks=5;fault=reset;at=3;fails=1}}', chunks => 5)));

# charts: the reader who came back has joined twice

is_deeply([ @{ $seen->{charts}{Answers} }{qw(hit join miss other)} ],
          [ 2, 2, 5, 2 ],
          'charts: the answers');
cmp_ok($seen->{charts}{Answers}{shapes}, '>=', 3, 'charts: bars are drawn');
is($seen->{charts}{'Open now'}{shapes}, 2, 'charts: lines are drawn');
is($seen->{charts}{'Calls of the provider'}{made}, 7, 'charts: calls');
cmp_ok($seen->{charts}{'Calls of the provider'}{saved}, '>=', 3,
       'charts: saved calls');
like($seen->{charts}{'Time to first token'}{mean}, $time,
     'charts: the first token');

# the policy

is_deeply($seen->{violations}, [], 'the policy is not violated');
is_deeply($seen->{said}, [ grep { /status of 422/ } @{ $seen->{said} } ],
          'nothing on the console, but for the refusal');
is($seen->{html}, 'TypeError', 'a string cannot become markup');
like(join(' ', @{ $seen->{forbidden} }), qr/require-trusted-types-for.*style-src/,
     'what is forbidden is noticed');

# keys, small screens, colours

is_deeply($seen->{focus}[0], [ 'question' ], 'keys: the question comes first');
is_deeply($seen->{focus}[1],
          [ 'ask', 'fresh', 'a answer', 'a toggle', 'b answer', 'b toggle' ],
          'keys: the order');
is($seen->{outline}, 'solid', 'keys: the focus is to be seen');
shown('keys, second reader', $seen->{keys}{second}, verdict => $joined);
shown('keys, left', $seen->{keys}{left}, toggle => 'Join again');
shown("keys, the end for $_", $seen->{keys}{$_}, status => 'completed',
      chunks => 9) foreach 'a', 'b';
is($seen->{keys}{focus}, 'b toggle', 'keys: the focus stays');

is_deeply([ map { $_->[0] } @{ $seen->{narrow} } ], [ 320, 390 ],
          'a phone: nothing is wider than it');

cmp_ok($seen->{$_}, '>=', 4.5, "$_: contrast") foreach 'light', 'dark';

ok(-s "$build/$_", "a picture, $_") foreach 'demo.png', 'demo-phone.png';


done();


# fields of a reader are these, or like these

sub shown {
    my ($name, $reader, %wanted) = @_;
    my %got = map { $_ => $reader->{$_} } keys %wanted;

    foreach (grep { ref $wanted{$_} } keys %wanted) {
        $wanted{$_} = $got{$_} if ($got{$_} // '') =~ $wanted{$_};
    }

    is_deeply(\%got, \%wanted, "$name: what is shown");
}
