package Bench::Report;

# What a section has found: as a table, as JSON, and as a plot.

use warnings;
use strict;

use Exporter qw(import);
use JSON::PP ();
use List::Util qw(max);
use POSIX qw(strftime);

use Chat::Nginx;

our @EXPORT = qw(tables_of write_json write_plot machine today figure);

my $WIDTH = 860;
my $LABEL = 230;
my $BAR = 22;


# Markdown that reads well as it is

sub tables_of {
    my ($result) = @_;

    return join("\n", map { table($_) } $result, @{ $result->{more} || [] });
}


sub table {
    my ($table) = @_;
    my @keys = map { $_->[0] } @{ $table->{columns} };
    my @lines = ([ map { $_->[1] } @{ $table->{columns} } ],
                 map { my $row = $_; [ map { figure($row->{$_}) } @keys ] }
                 @{ $table->{rows} });

    my @width = map { my $i = $_; max(map { length($_->[$i]) } @lines) }
                0 .. $#keys;

    my @text = map { my $line = $_;
                     '| ' . join(' | ', map { $_ && $line != $lines[0]
                         ? sprintf("%$width[$_]s", $line->[$_])
                         : sprintf("%-$width[$_]s", $line->[$_]) }
                         0 .. $#keys) . " |\n" } @lines;

    my @rule = map { '-' x ($_ + 1) . ':' } @width;

    # words are on the left, figures on the right

    $rule[0] =~ s/:/-/;
    splice(@text, 1, 0, '|' . join('|', @rule) . "|\n");

    return "$table->{title}\n\n" . join('', @text);
}


# three digits that count; a word is a word

sub figure {
    my ($value) = @_;

    return '-' unless defined $value;
    return $value unless $value =~ /^-?[\d.]+(?:e[-+]?\d+)?$/i;
    return $value if $value =~ /^-?\d+$/;

    my $size = abs($value);

    return sprintf($size >= 100 ? '%.0f' : $size >= 10 ? '%.1f'
                   : $size >= 1 ? '%.2f' : '%.3f', $value);
}


sub today { return strftime('%Y-%m-%d', localtime) }


# what figures depend on

sub machine {
    my ($model) = read_file('/proc/cpuinfo') =~ /^model name\s*: (.+)$/m;
    my $cpus = () = read_file('/proc/cpuinfo') =~ /^processor\s*:/mg;
    my ($memory) = read_file('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
    my ($system) = read_file('/etc/os-release') =~ /^PRETTY_NAME="?([^"\n]+)/m;
    my ($nginx) = `nginx -v 2>&1` =~ m!nginx/([\d.]+)!;
    my $redis = ($ENV{CHAT_TEST_REDIS} || 'redis') . '-server';
    my ($server) = `$redis --version 2>&1` =~ /v=(\S+)/;

    return { cpu => $model // (POSIX::uname())[4], cpus => $cpus,
             memory => sprintf('%.1f GiB', ($memory // 0) / (1 << 20)),
             system => $system // 'unknown', kernel => (POSIX::uname())[2],
             nginx => $nginx // 'unknown', server => ucfirst($redis =~
                 s/-server//r) . ' ' . ($server // 'unknown') };
}


sub read_file { return Chat::Nginx::read_file(@_) }


sub write_json {
    my ($name, $section, $result, %more) = @_;
    my %text = (section => $section, date => today(), machine => machine(),
                map { $_ => $result->{$_} }
                grep { !ref($result->{$_}) || $_ eq 'rows' } keys %$result);

    $text{more} = [ map { { title => $_->{title}, rows => $_->{rows} } }
                    @{ $result->{more} || [] } ];

    Bench::Site::write_file($name, JSON::PP->new->canonical->pretty->encode(
        { %text, %more }));
}


# a bar for each target, in as many panels as there are figures

sub write_plot {
    my ($name, $section, $result) = @_;
    my @rows = @{ $result->{plotted} || $result->{rows} };
    my ($y, $body) = (34, '');

    foreach my $plot (@{ $result->{plots} }) {
        my ($title, $key) = @$plot;
        my @bars = map { [ $result->{labels} ? $result->{labels}->($_)
                           : $_->{who}, $_->{$key} ] }
                   grep { defined $_->{$key} } @rows;
        my $most = max(0.001, map { $_->[1] } @bars);

        $body .= text(10, $y + 14, $title, 'class="title"');
        $y += 26;

        foreach my $bar (@bars) {
            my ($label, $value) = @$bar;
            my $length = max(1, ($WIDTH - $LABEL - 90)
                                * max(0, $value) / $most);
            my $own = $label =~ /^(?:ngx_chat|redis|zone)/
                ? ' class="own"' : '';

            $body .= text($LABEL - 8, $y + 15, $label, 'text-anchor="end"')
                . sprintf("<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\""
                          . "%s/>\n", $LABEL, $y + 2, $length, $BAR - 4, $own)
                . text($LABEL + $length + 6, $y + 15, figure($value), '');
            $y += $BAR;
        }

        $y += 14;
    }

    my $head = text(10, 20, "$section, " . today(), 'class="title"');

    Bench::Site::write_file($name, <<"EOT");
<svg xmlns="http://www.w3.org/2000/svg" width="$WIDTH" height="$y"
     viewBox="0 0 $WIDTH $y" font-family="sans-serif" font-size="13">
<style>
svg { background: #fff }
rect { fill: #9aa7b8 }
rect.own { fill: #1f7a4d }
.title { font-weight: bold }
</style>
$head$body</svg>
EOT
}


sub text {
    my ($x, $y, $text, $more) = @_;

    $text =~ s/&/&amp;/g;
    $text =~ s/</&lt;/g;

    return sprintf("<text x=\"%.0f\" y=\"%.0f\" %s>%s</text>\n", $x, $y, $more,
                   $text);
}


1;
