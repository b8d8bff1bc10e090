package Chat::Conf;

# Tests of the configuration in blocks, as those of Test::Nginx: each is given
# to "nginx -t", which starts nothing and takes a few milliseconds.
#
#     use Test::Base;
#     use lib 't/lib';
#     use Chat::Test;
#     use Chat::Conf;
#
#     run_conf();
#     done();
#
#     __DATA__
#
#     === a table: lines of one level, each on its own, and what is said
#     --- where: http
#     --- refused
#     chat_fill 3                      => invalid value
#
#     === one configuration
#     --- http
#     chat_provider a { model a; }
#     --- locations
#     a        { chat a; }
#     --- accepted
#
# where         levels of a table: http, server, location; provider, which is
#               the block of a provider that has a key, if no line sets one; or
#               env, the environment, where there is a key as well
# http, server, location, servers
#               lines there: see Chat::Nginx
# locations     a server of its own with these locations
# env           the environment, NAME=value; by default with a key, but for
#               warnings
# accepted      without a word
# refused, warned
#               with a message that matches
#
# %%DIR%% is the directory of the configuration, <ff> a byte, and <x100> a
# hundred times "x".  No message may tell $SECRET.

use warnings;
use strict;

use Exporter qw(import);
use Test::Base ();
use Test::More ();

use Chat::Test ();

our @EXPORT = qw(run_conf check_conf conf_file conf_dir no_leaks $SECRET);
our $SECRET = 'sk-T0p-s3cret';

my ($nginx, @leaks);


sub nginx {
    if (!$nginx) {
        $nginx = Chat::Test::new_nginx(redis_down => '', zone => '');
        $nginx->allow_log(qr/\[emerg\]/);
    }

    return $nginx;
}


sub conf_dir { return nginx()->dir }


# (status, what nginx said), of a configuration made of these pieces

sub check_conf {
    my (%opt) = @_;
    my $dir = conf_dir();

    unlink("$dir/output", "$dir/error.log");

    my ($status, $text) = nginx()->test_conf(http => '', location => '',
        server => '', servers => undef, env => {}, main => '', %opt);

    push(@leaks, $text) if $text =~ /\Q$SECRET\E/;

    return ($status, $text);
}


sub conf_file {
    my ($name, $text, $mode) = @_;
    my $path = conf_dir() . "/$name";

    open(my $file, '>:raw', $path) or die "$path: $!\n";
    print $file $text;
    close($file);
    chmod($mode // 0600, $path);

    return $path;
}


# the last test of a file: what no message may tell

sub no_leaks {
    Test::More::is_deeply(\@leaks, [],
                          'all messages: no key and no password');
}


sub run_conf {
    foreach my $block (Test::Base::blocks()) {
        my ($kind) = grep { defined _value($block, $_) }
            'accepted', 'refused', 'warned';

        die $block->name . ": nothing is expected\n" unless defined $kind;

        if (defined(my $where = _section($block, 'where'))) {
            _table($block, $kind, $_) foreach split(' ', $where);

        } else {
            my $pattern = _section($block, $kind) =~ s/\s+\z//r;

            _expect($kind, $block->name, $pattern, _pieces($block));
        }
    }
}


# a section as it stands there

sub _value {
    my ($block, $name) = @_;

    return $block->original_values->{$name};
}


sub _section {
    my ($block, $name) = @_;
    my $text = _value($block, $name);

    return unless defined $text;

    $text =~ s/<([0-9a-f]{2})>/chr(hex($1))/ge;
    $text =~ s/<x(\d+)>/'x' x $1/ge;

    return $text;
}


# a line is words, and for a refusal a pattern; what is indented goes on

sub _table {
    my ($block, $kind, $where) = @_;
    my @lines = split(/\n/, _value($block, $kind) =~ s/\n +/ /gr);

    foreach my $line (@lines) {
        my ($words, $pattern) = $line =~ /^(.*?)(?: +=> (.*))?$/;
        my $text = $words =~ s/<([0-9a-f]{2})>/chr(hex($1))/ger
            =~ s/<x(\d+)>/'x' x $1/ger;

        # a message names its directive itself

        if (defined $pattern && $where ne 'provider') {
            my ($directive) = $words =~ /^(\w+)/;

            $pattern = "(?=[^\\n]*$directive)[^\\n]*$pattern";
        }

        _expect($kind, "$words in $where", $pattern,
                $where eq 'provider' ? _provider($text)
                : $where eq 'env' ? _env($text) : ($where => "$text;"));
    }
}


sub _provider {
    my ($lines) = @_;

    $lines .= "\nkey k;" if $lines !~ /^key /m;

    return (http => "chat_provider p {\n$lines\n}",
            servers => _server("a { chat p; }"));
}


sub _env {
    my ($name, $value) = split(/=/, $_[0], 2);

    return (env => { OPENAI_API_KEY => $SECRET, $name => $value });
}


sub _server {
    my ($locations) = @_;

    return 'server { listen %%PORT%%; ' . join('', map {
        my ($name, $rest) = /^(\w+) +(\{.*\})$/ or die "odd location: $_\n";

        "location = /$name $rest "
    } grep { length } split(/\n/, $locations)) . '}';
}


sub _pieces {
    my ($block) = @_;
    my %pieces;

    foreach my $name ('http', 'server', 'location', 'servers') {
        my $text = _section($block, $name);

        $pieces{$name} = $text if defined $text;
    }

    $pieces{servers} = _server(_section($block, 'locations'))
        if defined _value($block, 'locations');

    if (defined(my $env = _value($block, 'env'))) {
        $pieces{env} = { map {
            s/<([0-9a-f]{2})>/chr(hex($1))/ger =~ /^(\w+)=(.*)$/s
        } split(/\n/, $env) };
    }

    return %pieces;
}


sub _expect {
    my ($kind, $name, $pattern, %pieces) = @_;

    $pieces{env} //= $kind eq 'warned' ? {} : { OPENAI_API_KEY => 'k' };
    $pattern =~ s/%%DIR%%/quotemeta(conf_dir())/ge if defined $pattern;

    my ($status, $text) = check_conf(%pieces);
    my $ok;

    if ($kind eq 'accepted') {

        # not every machine that tests can resolve names

        $text =~ s/^.*\[warn\].*without "resolver" the direct path.*\n//mg;
        $ok = $status == 0
            && $text !~ /\[(?:warn|error|crit|alert|emerg)\]/;

    } else {
        my ($level, $wanted) = $kind eq 'warned' ? ('warn', 0) : ('emerg', 1);

        $ok = $status == $wanted && length($pattern)
            && $text =~ /\[$level\] [^\n]*$pattern/;
    }

    Test::More::ok($ok, "$kind: $name") or Test::More::diag($text);
}


1;
