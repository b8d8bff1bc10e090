#!/usr/bin/perl

# Asking again: use_cache false, and who may; chat_bypass and chat_cache.  A
# worker leads, and then a filler asks.

use warnings;
use strict;

use POSIX ();
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Chat::Test;

my $redis = start_redis();
my $provider = start_provider(chunks => 20, unique => 1);
my ($nginx, $by);


sub text {
    my ($question, $call) = @_;

    return "#$call " . text_of($question, chunks => 20);
}


sub stored {
    my ($question) = @_;
    my $entries = $redis->entries(stream_key($question));

    return @$entries ? $entries->[-1]{chunk} : undef;
}


my @cases = (
    ['/no_bypass', {}, 'hit'],
    ['/may_bypass', {}, 'hit'],
    ['/may_bypass', { 'X-Fresh' => '' }, 'hit'],
    ['/may_bypass', { 'X-Fresh' => '0' }, 'hit'],
    ['/may_bypass', { 'X-Fresh' => 'off' }, 'hit'],
    ['/may_bypass', { 'X-Fresh' => '1' }, 'fwd=request'],
    ['/may_bypass', { 'X-Fresh' => 'yes' }, 'fwd=request'],
    ['/chat', {}, 'fwd=request'],
);

foreach my $lead ('on', 'off') {
    $by = $lead eq 'on' ? 'led, ' : '';
    $nginx = start_nginx(redis => $redis, provider => $provider, lead => $lead,
        provider_lines => 'retries 0;', servers => <<'EOT');
        server {
            listen 127.0.0.1:%%PORT%% sndbuf=16k;

            location = / {
                chat_health;
            }

            location = /chat {
                chat;
            }

            location = /no_bypass {
                chat;
                chat_bypass off;
            }

            location = /may_bypass {
                chat;
                chat_bypass $http_x_fresh;
            }

            location = /no_cache {
                chat;
                chat_cache off;
            }
        }
EOT


    provider_reset($provider);
    wait_for { get($nginx, '/')->{body} =~ /"ok"/ } 10, 'it to be ready';

    # The old answer is whole until the new one is there: a process looks at the
    # key all the time.

    my $question = "${by}What is new?";

    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}a refresh: the first answer",
              text => text($question, 1));

    my $seen = test_dir() . "/seen_$lead";
    my $watcher = fork();

    if ($watcher == 0) {
        my ($look, %count, $stop) = ($redis->client);

        $SIG{TERM} = sub { $stop = 1 };

        while (!$stop) {
            my $entries = $look->entries(stream_key($question));
            my $text = join('', map { $_->{chunk} // '' }
                            grep { $_->{status} eq 'streaming' } @$entries);
            my $last = $entries->[-1] || {};
            my $whole = ($last->{status} // '') eq 'completed'
                && $last->{chunk} eq $text;

            $count{!@$entries ? 'absent' : $whole ? $text : 'partial'}++;
        }

        open(my $file, '>', $seen);
        print $file "$_\n$count{$_}\n" foreach keys %count;
        close($file);
        POSIX::_exit(0);
    }

    provider_set($provider, gap => 40);

    my @all = ask($nginx,
        { question => $question, use_cache => 0 },
        (map { { question => $question, delay => $_ / 10 } } 1 .. 6));
    my $new = shift @all;

    sleep(0.2);
    kill('TERM', $watcher);
    waitpid($watcher, 0);

    my %seen = split(/\n/, read_file($seen));

    is_deeply([ sort keys %seen ], [ text($question, 1), text($question, 2) ],
              "${by}a refresh: the key was always whole");
    cmp_ok($seen{text($question, 1)}, '>', 100,
           "${by}a refresh: seen often enough");
    stream_ok($new,
              "${by}a refresh: the new answer",
              text => text($question, 2), restarts => 0,
              cache => qr/^ngx_chat; fwd=request$/);
    stream_ok($all[$_],
              "${by}a refresh: meanwhile the old one, $_",
              text => text($question, 1), cache => qr/hit/) foreach 0 .. 5;
    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}a refresh: then the new one",
              text => text($question, 2), cache => qr/hit/);
    provider_reset($provider);

    # whoever reads the old answer slowly reads it to the end

    $question = "${by}What is new and long? {{chunks=300;bytes=1000}}";

    ask($nginx, { question => $question });

    my $old = stored($question);

    @all = ask($nginx,
        { question => $question, read_rate => 100_000, rcvbuf => 8192 },
        { question => $question, use_cache => 0, delay => 0.3 });

    stream_ok($all[0], "${by}a slow reader: the old answer", text => $old,
              cache => qr/hit/);
    stream_ok($all[1], "${by}a slow reader: a refresh beside it",
              cache => qr/request/);
    ok($all[1]{ended} < $all[0]{ended},
       "${by}a slow reader: the refresh is there before");
    isnt(stored($question), $old, "${by}a slow reader: the answer is replaced");

    # nobody joins a refresh, and it joins nobody

    $question = "${by}Who joins?";
    provider_set($provider, gap => 100);

    @all = ask($nginx, { question => $question, use_cache => 0 },
               { question => $question, delay => 0.1 },
               { question => $question, delay => 0.2, use_cache => 0 },
               { question => $question, delay => 0.3 });

    stream_ok($all[$_],
              "${by}joins: client $_ is answered", restarts => 0)
        foreach 0 .. 3;
    like($all[1]{headers}{'cache-status'}, qr/fwd=miss$/,
         "${by}joins: no refresh is joined");
    like($all[3]{headers}{'cache-status'}, qr/collapsed$/,
         "${by}joins: a miss is joined");
    is(provider_stats($provider, $question), 3, "${by}joins: three calls");

    # two at once: the one opened later stays, whichever ends first

    foreach my $first_gap (80, 10) {
        $question = "${by}Which one stays, after $first_gap ms?";

        ask($nginx, { question => $question });
        provider_set($provider, gap => $first_gap);

        my $other = 90 - $first_gap;
        my $set;

        @all = ask($nginx,
            { question => $question, use_cache => 0, on_event => sub {
                  $set ||= provider_set($provider, gap => $other)
                      if $_[1]{status} eq 'streaming';
              } },
            { question => $question, use_cache => 0, after => sub { $set } });

        stream_ok($all[$_], "${by}two refreshes, $first_gap ms: number $_")
            foreach 0, 1;

        my $earlier = $all[0]{ended} <=> $all[1]{ended};

        is($earlier, $first_gap == 80 ? 1 : -1,
           "${by}two refreshes, $first_gap ms: they end in this order");
        is(stored($question), $all[1]{text},
           "${by}two refreshes, $first_gap ms: the later one stays");
    }

    provider_reset($provider);

    # a refresh that fails leaves the old answer

    $question = "${by}What if it fails?";

    ask($nginx, { question => $question });
    provider_set($provider, fault => 'eof', at => 5);
    stream_ok(scalar ask($nginx, { question => $question, use_cache => 0 }),
              "${by}a refresh that fails: an error",
              error => 'provider_broken');
    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}a refresh that fails: the old answer stays",
              text => text($question, 1), cache => qr/hit/);
    provider_reset($provider);

    # a refresh whose answer must not be cached leaves it too

    provider_set($provider, finish => 'length');
    stream_ok(scalar ask($nginx, { question => $question, use_cache => 0 }),
              "${by}a refresh that is cut short: an answer",
              finish => 'length');
    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}a refresh that is cut short: the old answer stays",
              cache => qr/hit/);
    provider_reset($provider);

    # chat_bypass

    $question = "${by}May I ask again?";

    ask($nginx, { question => $question });

    foreach my $case (@cases) {
        my ($path, $headers, $status) = @$case;

        stream_ok(scalar ask($nginx, { question => $question, use_cache => 0,
                                       path => $path, headers => $headers }),
                  "${by}chat_bypass: $path " . join(' ', %$headers),
                  cache => qr/^ngx_chat; $status/);
    }

    stream_ok(scalar ask($nginx, { question => $question, path => '/may_bypass',
                                   headers => { 'X-Fresh' => '1' } }),
              "${by}chat_bypass: it allows, but does not ask",
              cache => qr/hit/);

    # a question that chat_bypass turns into an ordinary one may be joined

    $question = "${by}May I join?";
    provider_set($provider, gap => 20);
    @all = ask($nginx, map { { question => $question, path => '/no_bypass',
                               use_cache => 0 } } 1 .. 5);
    stream_ok($all[$_],
              "${by}chat_bypass off: client $_ joins",
              text => text($question, 1)) foreach 0 .. 4;
    is(provider_stats($provider, $question), 1,
       "${by}chat_bypass off: one call");

    # chat_cache off: nothing looked up, joined or stored

    $question = "${by}Does anything stay?";

    @all = ask($nginx, (map { { question => $question, path => '/no_cache' } }
                        1 .. 4),
               { question => $question, path => '/no_cache', use_cache => 0 });

    stream_ok($all[$_],
              "${by}chat_cache off: client $_ is answered",
              cache => qr/^ngx_chat; fwd=bypass$/)
        foreach 0 .. 4;

    my %texts = map { $_->{text} => 1 } @all;

    is(scalar(keys %texts), 5,
       "${by}chat_cache off: each an answer of its own");
    is($redis->cmd('EXISTS', stream_key($question)), 0,
       "${by}chat_cache off: nothing is stored");
    is_deeply($redis->cmd('KEYS', '*' . key_of($question) . '*:live:*'), [],
              "${by}chat_cache off: nothing is announced");
    stream_ok(scalar ask($nginx, { question => $question }),
              "${by}a location that caches: a miss", cache => qr/miss/);
    stream_ok(scalar ask($nginx, { question => $question,
                                   path => '/no_cache' }),
              "${by}chat_cache off: does not look", cache => qr/bypass/);

    # its filler would take the tasks of the next one

    $nginx->stop;
}

done();
