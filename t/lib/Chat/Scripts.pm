package Chat::Scripts;

# What the tests of the scripts share: a server of their own with the scripts
# loaded, the names of one generation and of another, each script as a call,
# and what to look at afterwards.

use warnings;
use strict;

use Exporter qw(import);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

use Chat::Check qw(repeated_names);
use Chat::Redis;

our @EXPORT =
    qw($redis $sub %text %sha $h $fp $id $other $S $live $update $tasks $led $gen
       $own $gen2 $own2 $A $B @answer @eternal names keys_of call fresh opening
       no_room joining hit updating claim append finish check cancel running written
       taken own set_own cached entries wrong full now near unchanged ended
       heard deaf published finished $lua $dir);

our $lua = "$FindBin::Bin/../ngx_chat_module/store/lua";
our $dir = tempdir('ngx_chat_scripts_XXXXXXXX', TMPDIR => 1, CLEANUP => 1);

my $owner = $$;
our $redis = Local::Redis->new(dir => "$dir/redis", port => 0);

END {
    my $status = $?;
    $redis->stop if $redis && $$ == $owner;
    $? = $status;
}

$SIG{ALRM} = sub { die "the test takes too long\n" };
$SIG{INT} = $SIG{TERM} = sub { exit 1 };
alarm(120);

$redis->start;

our $sub = $redis->client;

our %text = map { m!(\w+)\.lua$!; $1 => text($_) } glob("$lua/*.lua");
our %sha = map { $_ => $redis->cmd('SCRIPT', 'LOAD', $text{$_}) } keys %text;

our $h = 'ab' x 32;
our $fp = '0f' x 16;
our $id = '12' x 16;
our $other = '34' x 16;

our $S = "chat:stream:$h";
our $live = "{$S}:1:live:$fp";
our $update = "{$S}:1:update:$fp";
our $tasks = 'chat:tasks:1';
our $led = 'chat:led:1:{chat:tasks:1}';

our ($gen, $own) = names($id);
our ($gen2, $own2) = names($other);

our $A = ('a' x 32) . '.1';
our $B = ('b' x 32) . '.1';

# every key that had no expiry after a script, but the queues

our @eternal;

# what is cached

our @answer = (status => 'completed', chunk => 'Hello', cuts => '2 3', v => 1,
               fp => $fp, gen => $other, opened => 1, provider => 'p',
               model => 'm', finish => 'stop');


# the text as Redis gets it, with what it includes

sub text {
    my ($file) = @_;

    local $/;
    open(my $in, '<:raw', $file) or die "$file: $!\n";

    my $text = <$in>;

    $text =~ s/^--include (\S+)\n/text("$lua\/$1")/gme;

    return $text;
}


sub names {
    my ($id) = @_;

    return ("{$S}:1:gen:$id", "{$S}:1:gen:$id:own");
}


# the keys as the scripts take them: 1, with S; 2, and with what replaces it

sub keys_of {
    my ($id, $with) = @_;

    $with //= 0;

    return [ $with ? $S : (), $live, names($id), $with == 2 ? $update : () ];
}


# runs a script; the reply as one string

sub call {
    my ($name, $keys, @args) = @_;

    $keys = [ $keys ] if !ref($keys);

    my $reply = $redis->cmd('EVALSHA', $sha{$name}, scalar(@$keys), @$keys,
                            @args);

    foreach my $key (@{ $redis->cmd('KEYS', '*') }) {
        push(@eternal, "$name:$key")
            if $key ne $tasks && $key ne $led
               && $redis->cmd('PTTL', $key) == -1;
    }

    return join(' ', flat($reply));
}


sub flat {
    my ($value) = @_;

    return ref($value) eq 'ARRAY' ? map { flat($_) } @$value : "$value";
}


sub fresh {
    deaf();
    $redis->cmd('FLUSHALL');
    heard();
}


sub opening {
    my ($cache, $label) = @_;

    return call('open', keys_of($id, 2), $id, $cache // 1, 0, 30000, $fp,
                $label // '');
}


sub no_room {
    my ($cache) = @_;

    return joining(cache => $cache, full => 1);
}


# another asks the same

sub joining {
    my %arg = (cache => 1, full => 0, wait => 30000, fp => $fp, label => '',
               @_);

    return call('open', keys_of($other, 2), $other,
                @arg{qw(cache full wait fp label)});
}


sub hit {
    my $reply = opening();
    my $left = $reply =~ s/^HIT (-?\d+)/HIT/ ? $1 : undef;

    return ($reply, $left);
}


# opens a generation behind a stale answer: the first, or another

sub updating {
    my ($name, $fingerprint) = @_;
    my $new = $name // $id;

    return call('update', keys_of($new, 2), $new, 30000,
                $fingerprint // $fp);
}


sub claim {
    my %arg = (id => $id, token => $A, task => '5-1', predecessor => '',
               fill => 0, max => 3, returns => 2, alone => 1, @_);

    return call('claim', keys_of($arg{id}), $arg{id}, $arg{token}, $arg{task},
                $arg{predecessor}, $arg{label} // "$arg{token}.1", $arg{fill},
                10000, 10000, 600000, $arg{max}, $arg{returns}, $arg{alone},
                'late', 'gone');
}


# n: the number of the last event

sub append {
    my ($n, $lease, $label, @chunks) = @_;

    return call('append', keys_of($id), $id, $A, $n + 1, $lease, $label, '',
                @chunks);
}


sub finish {
    my ($n0, %arg) = @_;

    %arg = (id => $id, token => $A, ttl => 900000, text => 'Hello',
            cuts => '2 3', usage => '{}', stale => 0, %arg);

    return call('finish', keys_of($arg{id}, 1), $arg{id}, $arg{token}, $n0,
                $arg{ttl},
                $arg{text}, $arg{cuts}, 'stop', $fp, 'openai', 'gpt',
                $arg{usage}, $arg{stale});
}


sub check {
    my ($drop, $erase) = @_;

    return call('check', keys_of($id), $id, $drop // '', 'full', $erase // 0,
                10000, 'late', 'gone');
}


sub cancel {
    my ($token) = @_;

    return call('cancel', keys_of($id), $id, $token // $A, 5000, 'nobody');
}


# a generation that was claimed, and one that has a text

sub running {
    fresh();
    opening();
    claim();
    heard();
}


sub written {
    running();
    append(1, '', '', 'He', 'llo');
    heard();
}


sub taken {
    my ($consumer) = @_;

    return $redis->cmd('XREADGROUP', 'GROUP', 'fill', $consumer, 'COUNT', 1,
                       'STREAMS', $tasks, '>')->[0][1][0][0];
}


sub own {
    return join(' ', map { $_ // '(nil)' }
                @{ $redis->cmd('HMGET', $own, @_) });
}


sub set_own {
    $redis->cmd('HSET', $own, @_);
}


sub cached {
    my %seen;
    my @fields;

    # of a field given twice the last counts

    while (my ($name, $value) = splice(@_, 0, 2)) {
        push(@fields, $name) if !exists $seen{$name};
        $seen{$name} = $value;
    }

    $redis->cmd('XADD', $S, '3-3', map { ($_ => $seen{$_}) } @fields);
    $redis->cmd('PEXPIRE', $S, 5000);
}


sub entries {
    return join(' ', flat($redis->cmd('XRANGE', $_[0], '-', '+')));
}


sub wrong {
    foreach my $key (@_) {
        $redis->cmd('DEL', $key);
        $redis->cmd('RPUSH', $key, 'x');
        $redis->cmd('PEXPIRE', $key, 50000)
            if $key ne $tasks && $key ne $led;
    }
}


sub full {
    my ($on) = @_;

    $redis->cmd('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    $redis->cmd('CONFIG', 'SET', 'maxmemory', $on);
}


sub now {
    my ($seconds, $us) = @{ $redis->cmd('TIME') };

    return $seconds * 1000 + int($us / 1000);
}


# within two seconds of what is expected: time passes meanwhile

sub near {
    my ($value, $expected, $name) = @_;

    ok(abs($value - $expected) < 2000, $name)
        or diag("$value instead of $expected");
}


# everything in the database, with when it ends

sub state {
    return join("\n", map { ($_, unpack('H*', $redis->cmd('DUMP', $_)),
                             $redis->cmd('PEXPIRETIME', $_)) }
                sort @{ $redis->cmd('KEYS', '*') });
}


sub unchanged {
    my ($code, $name) = @_;
    my $before = state();

    $code->();
    is(state(), $before, "$name: nothing changed");
}


# what a generation leaves behind

sub ended {
    my ($name) = @_;

    is($redis->cmd('EXISTS', $live), 0, "$name: not announced any more");
    near($redis->cmd('PTTL', $_), 60000, "$name: expiry of $_")
        foreach $gen, $own;
    is($redis->cmd('XLEN', $gen), own('n'), "$name: n is its length");
}


# listens to the generation, and forgets what was heard

sub heard {
    $sub->cmd('SUBSCRIBE', $gen) if !$sub->{listens}++;

    return messages();
}


sub deaf {
    messages() if $sub->{listens};
    $sub->cmd('UNSUBSCRIBE', $gen) if delete $sub->{listens};
}


sub messages {
    my @messages;

    $sub->send_cmd('PING');

    while (1) {
        my $reply = $sub->reply;

        return @messages if $reply->[0] eq 'pong';
        push(@messages, $reply->[2]) if $reply->[0] eq 'message';
    }
}


sub published {
    my ($name, @expected) = @_;

    is_deeply([ messages() ], \@expected, "$name: what is published");
}


# the last test of a file

sub finished {
    is(join(' ', @eternal), '', 'all keys: none was ever without an expiry');
    is(join("\n", repeated_names()), '',
       'all assertions: each has a name of its own');

    done_testing();
}


# the server is reached over its Unix socket

package Local::Redis;

use IO::Socket::UNIX;

BEGIN { our @ISA = ('Chat::Redis') }


sub connection {
    my ($self) = @_;

    if (!$self->{sock}) {
        $self->{sock} = IO::Socket::UNIX->new(
            Peer => "$self->{dir}/redis.sock") or die "redis.sock: $!\n";
        $self->{sock}->autoflush(1);
    }

    return $self->{sock};
}


1;
