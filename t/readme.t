#!/usr/bin/perl

# The README files against the code: their snippets are accepted, their tables
# and headings name what the code has, no more and no less, and their links
# lead somewhere.  The client in README has a test of its own, readme_client.t.

use warnings;
use strict;

use lib 't/lib';
use Chat::Test;
use Chat::Readme;

my $root = Chat::Nginx::root();
my $main = readme('');
my $reference = readme('ngx_chat_module/http');
my $tests = readme('t');
my $sources = sources();


# directives

my $module = read_file("$root/ngx_chat_module/ngx_chat_module.c");
my ($table) = $module =~ /ngx_chat_commands\[\] = \{(.*?)\n\};/s;
my %flags = $table =~ /ngx_string\("(\w+)"\),\s*(NGX_[\w|\s]+?),/g;
my (undef, %text) = split(/^### (.+)\n/m, part($reference, 'Directives'));

is_deeply([ sort keys %text ], [ sort keys %flags ],
          'a heading for each directive, and none besides');

my @context = ([ MAIN => 'http' ], [ SRV => 'server' ], [ LOC => 'location' ],
               [ LIF => 'if in location' ], [ LMT => 'limit_except' ]);
my $defaults = '';

foreach my $name (sort keys %text) {
    my $context = join(', ', map { $_->[1] }
        grep { $flags{$name} =~ /NGX_HTTP_$_->[0]_CONF/ } @context);

    like($text{$name}, qr/\A\n\*\*Syntax:\*\*\ \*\*`$name`\*\*[^\n]*\n\n
                          \*\*Default:\*\*\ \S[^\n]*\n\n
                          \*\*Context:\*\*\ \Q$context\E\n/x,
         "$name: syntax, default, context");

    if ($text{$name} =~ /^\*\*Default:\*\* `($name .*?)`$/m) {
        $defaults .= "$1;\n";
    }
}

accepted('the defaults', $defaults);


# words of chat_provider, variables, codes, environment

my ($words) = $sources
    =~ /ngx_http_chat_provider_directives\[\] = \{(.*?)\n\};/s;

same('words of chat_provider', [ $words =~ /ngx_string\("(\w+)"\)/g ],
     [ $text{chat_provider} =~ /^\| `(\w+)`/mg ]);

my ($vars) = $sources =~ /ngx_http_chat_vars\[\] = \{(.*?)\n\};/s;
my @vars = $vars =~ /ngx_string\("(\w+)"\)/g;

same('variables', \@vars,
     [ part($reference, 'Variables') =~ /^\| `\$(\w+)`/mg ]);

my ($codes) = $sources =~ /ngx_chat_errors\[\] = \{(.*?)\n\};/s;
my %codes = map { $_ => 1 } $codes =~ /ngx_string\("([a-z_]+)"\)/g;
my %said = map { $_ => 1 }
    part($main, 'POST /chat') =~ /^\| (?:\d+ \| )?`([a-z_]+)` \| /mg;

# fields of the request

delete @said{qw(question use_cache)};
same('codes', [ keys %codes ], [ keys %said ]);

same('environment', [ $sources =~ /_env_get\(cf, "(\w+)"/g ],
     [ grep { $_ ne 'NAME' } part($reference, 'Environment variables')
       =~ /`(?:env:)?([A-Z_]+|[a-z]+_proxy)`/g ]);

# fields and reasons of health

my $health = join('', map { read_file($_) }
                  glob("$root/ngx_chat_module/http/*health*.c"));
my $described = $text{chat_health};
my %field = map { $_ => 1 } $health =~ /\\"([a-z]+)\\": /g;

is_deeply([ grep { $described !~ /`$_`/ } sort keys %field ], [],
          'the reference has all fields of health');

my %reason = map { s/"\s*"//gr => 1 }
    $health =~ /->reason,\s*("[^;]*")\);/g;

same('reasons of health', [ map { /^"(.*)"$/ } keys %reason ],
     [ map { /`([^`]+)`/g } grep { /^\| `[A-Za-z]+ [^`]* / }
       map { /^(\| .*?) \| / } split(/\n/, $described) ]);


# the index of README: one line each, in order, which leads to the reference

my $index = part($main, 'Index');
my %place = $index =~ /^\| \[`(\$?\w+)`\]\((\S+?)\) \| \S.*\|$/mg;
my @names = $index =~ /^\| \[`(\$?\w+)`\]/mg;

is_deeply([ grep { !/^\$/ } @names ], [ sort keys %flags ],
          'the index has each directive, in order');
is_deeply([ grep { /^\$/ } @names ], [ map { "\$$_" } sort @vars ],
          'the index has each variable, in order');

is_deeply([ grep { $place{$_} ne 'ngx_chat_module/http/README.md#'
                                 . (/^\$/ ? 'variables' : $_) } @names ], [],
          'the index leads to the reference');
cmp_ok(scalar(split(/\n/, $main)), '<=', 500, 'README has at most 500 lines');
is(($main =~ /^## (.+)$/mg)[-1], 'Changes', 'README ends with the changes');


# how long a client can wait: what the formulas come to

my $waits = part($tests, 'How long can a client wait?');
my %default = $reference =~ /^\*\*Default:\*\* `(chat_\w+) (\d+s)`$/mg;
my %unit = (s => 1, m => 60);
my @formulas = grep { /^\| .* \| `/ } split(/\n/, $waits);

%default = (%default, part($reference, 'Directives')
    =~ /^\| `(\w+)` _`(?:time|number)`_ \| (\d+[sm]?) \|/mg);

cmp_ok(scalar @formulas, '>=', 25, 'waits, each with a formula');

foreach my $row (@formulas) {
    my ($case, $formula, $said) = $row
        =~ /^\| (.*?) \| `(.*?)` \| (.*?) \|/;
    my $sum = $formula =~ s/([a-z]\w{2,})/$default{$1}/gr;

    $sum =~ s/([\d.]+)([sm])\b/$1 * $unit{$2}/ge;
    $sum =~ s/ x / * /g;
    $said =~ s/^at once$/0 s/;

    is((eval $sum) . ' s', $said, "$case: it waits $formula");
}

my %fixed = $sources =~ /^#define NGX_CHAT_(\w+) +(\d+)000\b/mg;

is_deeply([ @fixed{qw(REDIS_TIMEOUT LEASE MARGIN SILENCE JOB_SPARE)} ],
          [ 1, 10, 10, 5, 5 ],
          'the fixed times are those of the code');


# faults: the tests that are named have these assertions

my @shown = map { readme($_) =~ /\| `(\w+\.t)`: ([^|]+) \|$/mg } readmes();

my $rows = 0;

cmp_ok(@shown / 2, '>', 140, 'faults, each with a test');

while (my ($file, $name) = splice(@shown, 0, 2)) {
    like(read_file("$root/t/$file"), qr/\Q$name\E/,
         "row " . ++$rows . ": $file shows: $name");
}

# each test has a place in the table of subjects

same('files of tests', [ map { m!([^/]+)$! } glob("$root/t/*.t") ],
     [ part($tests, 'Which file tests what') =~ /`(\w+\.t)`/g ]);

# help

foreach my $script (map { m!([^/]+)$! } grep { -x && -f }
                    glob("$root/scripts/*"))
{
    my $help = `$root/scripts/$script --help 2>&1`;

    ok($? == 0 && $help =~ m!^    scripts/\Q$script\E\b!m,
       "scripts/$script --help: how it is called") or diag($help);
}


# snippets

foreach my $dir (readmes()) {

    # that with files of its own is production.t's

    my @snippets = readme($dir) =~ /(?<!<!--\ test:\ production\ -->\n)
                                    ^```nginx\n(.*?)^```/msgx;

    accepted(($dir || 'README') . ": snippet $_", $snippets[$_ - 1])
        foreach 1 .. @snippets;
}

my $example = read_file("$root/nginx.conf.example");

accepted('nginx.conf.example', $example);

# each setting is there, and explained: in its group of lines, or right before it

my @words = part($reference, 'Directives') =~ /^\| `(\w+)` (?:_`|`on`)/mg;
my ($setting) = map { qr/^ *#? *(?:$_)\b/m } join('|', 'chat\w*', @words);
my $prose = qr/^ *(?:# +)?# \w/m;
my @groups = split(/^ *#?\n/m, $example);

is_deeply([ grep { $example !~ /^ *# +\Q$_\E /m } @words ], [],
          'nginx.conf.example has each setting of a provider');
is_deeply([ @groups[ grep { $groups[$_] =~ $setting && $groups[$_] !~ $prose
                            && ($groups[$_ - 1] =~ $setting
                                || $groups[$_ - 1] !~ $prose) }
                     1 .. $#groups ] ], [],
          'nginx.conf.example explains each setting');

# what is commented out there shows the defaults, unless it says so

$example =~ s/^.*# example$//mg;
$example =~ s/^(\s*)#(?! \S)/$1/mg;
accepted('nginx.conf.example, all of it', $example);

my $examples = qr/^chat(?:_health|_purge|_redis_password|_redis_sentinel_password
    |_broker|_cache_scope|_redis_ssl_(?:trusted_certificate|certificate|certificate_key|name))?$/x;

foreach (grep { $_ !~ $examples } sort keys %flags)
{
    like($example, qr/^\s*$_\b/m, "nginx.conf.example shows $_");
}


# links, and files that are named

my %anchors = map { $_ => { anchors(readme($_)) } } readmes();

foreach my $dir (readmes()) {
    my $name = $dir || 'README';
    my $text = readme($dir) =~ s/^```.*?^```$//msgr;

    is_deeply([ grep { !leads($dir, $_) } $text =~ /\]\(([^)\s]+)\)/g ], [],
              "$name: its links lead somewhere");
    is_deeply([ grep { !exists_from($dir, $_) } named($text) ], [],
              "$name: the files that it names are there");
}

done();


# does this link of the README in a folder lead somewhere?

sub leads {
    my ($dir, $link) = @_;

    return 1 if $link =~ m!^https?://!;

    my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.+))?$/;
    my $to = $path eq '' ? $dir : normal("$dir/$path");

    return unless $path eq '' || -e "$root/$to";
    return 1 unless defined $anchor;

    $to =~ s!(?:^|/)README\.md$!!;

    return exists $anchors{$to} && $anchors{$to}{$anchor};
}


sub normal {
    my ($path) = @_;
    my @parts;

    foreach (split(m!/!, $path)) {
        next if $_ eq '' || $_ eq '.';

        if ($_ eq '..') {
            pop(@parts);

        } else {
            push(@parts, $_);
        }
    }

    return join('/', @parts);
}


# what headings are called in links, each of two that are alike by a number

sub anchors {
    my ($text) = @_;
    my (%seen, @anchors);

    foreach my $heading (headings($text)) {
        my $anchor = lc($heading) =~ s/[^\w\- ]//gr =~ s/ /-/gr;
        my $number = $seen{$anchor}++;

        push(@anchors, $number ? "$anchor-$number" : $anchor);
    }

    return map { $_ => 1 } @anchors;
}


# Files in backticks: by what they end in, or by the folder that they begin
# with; arguments of a script do not belong to it.

sub named {
    my ($text) = @_;

    return grep {
        !m!^/! && m!^[\w.{},*/-]+$!
            && (m!\w\.(?:c|h|lua|t|pm|md|map|example)$!
                || m!^(?:ngx_chat_module|scripts|t)/!)
    } map { m!^(scripts/[\w-]+) ! ? $1 : $_ } $text =~ /`([^`\n]+)`/g;
}


# seen from the README, from the repository, from the module's folder or among
# the tests; a name without a folder anywhere

sub exists_from {
    my ($dir, $path) = @_;

    foreach my $from ($dir, '', 'ngx_chat_module', 't', 't/unit', 't/fuzz',
                      't/lib/Chat', 'ngx_chat_module/store/lua',
                      $path =~ m!/! ? () : ('ngx_chat_module/*',
                                            'ngx_chat_module/*/*'))
    {
        my @found = glob("$root/$from/$path");

        return 1 if @found && !grep { !-e } @found;
    }

    return;
}


sub same {
    my ($name, $code, $said) = @_;
    my %code = map { $_ => 1 } @$code;
    my %said = map { $_ => 1 } @$said;

    is_deeply([ sort keys %said ], [ sort keys %code ], "all $name");
}
