package Chat::Grammar;

# Input that is wrong, made by rules and a seed: the same each time.  Whatever
# broken_json() makes of a JSON text is surely none any more.

use warnings;
use strict;

my @WORDS = ('undefined', 'NaN', '-Infinity', 'True', 'nul', 'truefalse', 'x',
    '0x1f', '+1', '.5', '1.', '01', '1e', '1e+', '--1', '\\', '#', '/* x */',
    "// x\n", '`', '$', "'a'", "\0", "\x7f", "\xc3\xa9", "\xa0", '%', '(');

my @ESCAPES = ('\\x41', '\\\'', '\\u', '\\u12', '\\u12g4', '\\U00e9', '\\0',
    '\\ ', '\\a', '\\u-123', '\\ud800', '\\udc00', '\\ud83d\\u0041',
    '\\ud83d\\n', '\\ude00\\ud83d', '\\ud83d\\ud83d\\ude00', '\\ud83d\\\\ude00',
    '\\u 123', '\\uD83Dx\\uDE00', '\\v');

my @BYTES = ("\x80", "\xbf", "\xc0\xaf", "\xc1\x81", "\xc3", "\xc3(", "\xe2\x82",
    "\xe0\x80\xaf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\xaf",
    "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
    "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xff\xfe", "\xf0\x9f\xff\x80");

my @REST = (' x', '{}', ']', '}', '"', ' "abc', ' "abc\\"', ',', ' null', "\0",
    "\xef\xbb\xbf", ' 1', '[', ':', ' {"question": "b"}', "\n\n\"\\u0041", ' t',
    '/**/', "\x0b", "\x1a");

my @LEAD = ("\xef\xbb\xbf", ")]}',\n", '[', '{', '}', ',', '"', 'null ', "\0",
    "\xff\xfe", 'question=', '<?xml version="1.0"?>', '\\', '// x', "\x1f\x8b");

# each takes the tokens of a text apart, and gives a text

my %BREAK = (
    cut => sub {
        my ($g, @t) = @_;
        my $text = join('', @t);

        return substr($text, 0, $g->number(length($text) - 1) + 1);
    },
    bracket => sub {
        my ($g, @t) = @_;

        splice(@t, $g->at('^[][{}]$', @t), 1);
        return join(' ', @t);
    },
    kind => sub {
        my ($g, @t) = @_;

        $t[$g->at('^[][{}]$', @t)] =~ tr/{}[]/[]{}/;
        return join('', @t);
    },
    separator => sub {
        my ($g, @t) = @_;

        splice(@t, $g->at('^[:,]$', @t), 1);
        return join(' ', @t);
    },
    twice => sub {
        my ($g, @t) = @_;
        my $i = $g->at('^[:,]$', @t);

        splice(@t, $i, 0, $t[$i]);
        return join('', @t);
    },
    other => sub {
        my ($g, @t) = @_;

        $t[$g->at('^[:,]$', @t)] = $g->pick('=', ';', '=>', '.', '|', ' ');
        return join('', @t);
    },
    word => sub {
        my ($g, @t) = @_;

        splice(@t, $g->number(@t + 1), 0, ' ' . $g->pick(@WORDS) . ' ');
        return join(' ', @t);
    },
    quotes => sub {
        my ($g, @t) = @_;

        $t[$g->at('^"', @t)] =~ s/^"(.*)"$/'$1'/s;
        return join('', @t);
    },
    open => sub {
        my ($g, @t) = @_;

        $t[$g->at('^"', @t)] =~ s/"$//;
        return join('', @t);
    },
    control => sub {
        return $_[0]->_into_string(chr($_[0]->number(32)), @_[1 .. $#_]);
    },
    escape => sub {
        return $_[0]->_into_string($_[0]->pick(@ESCAPES), @_[1 .. $#_]);
    },
    utf8 => sub {
        return $_[0]->_into_string($_[0]->pick(@BYTES), @_[1 .. $#_]);
    },
    rest => sub { return join('', @_[1 .. $#_]) . $_[0]->pick(@REST) },
    lead => sub { return $_[0]->pick(@LEAD) . join('', @_[1 .. $#_]) },
    deep => sub {
        my ($g, @t) = @_;
        my $n = 33 + $g->number(2000);
        my ($open, $close) = @{ $g->pick(['[', ']'], ['{"a":', '}']) };

        return $open x $n . join('', @t) . $close x $n;
    },
);


sub new {
    my ($class, $seed) = @_;

    return bless { x => $seed, kinds => [] }, $class;
}


# below $n

sub number {
    my ($self, $n) = @_;

    $self->{x} = ($self->{x} * 1103515245 + 12345) % 2147483648;

    return int($self->{x} / 2147483648 * $n);
}


sub pick {
    my ($self, @of) = @_;

    return $of[$self->number(scalar @of)];
}


sub bytes {
    my ($self, $n) = @_;

    return join('', map { chr($self->number(256)) } 1 .. $n);
}


# cut into pieces of at most $max bytes

sub pieces {
    my ($self, $text, $max) = @_;
    my @pieces;

    while (length $text) {
        push(@pieces, substr($text, 0, 1 + $self->number($max), ''));
    }

    return @pieces;
}


# any JSON value

sub value {
    my ($self, $depth) = @_;
    my $kind = $self->number($depth ? 7 : 5);

    return $self->pick('true', 'false', 'null') if $kind < 2;
    return $self->pick('0', '-1', '1.5', '1e3', '-2.5E-7', '99999999999999999')
        if $kind == 2;
    return $self->string if $kind < 5;

    my @of = map { $self->value($depth - 1) } 1 .. $self->number(4);

    return '[' . join(', ', @of) . ']' if $kind == 5;
    return '{' . join(', ', map { $self->string . ": $_" } @of) . '}';
}


sub string {
    my ($self) = @_;

    return '"' . join('', map {
        $self->pick('a', 'Why', ' ', '?', '\\n', '\\"', '\\\\', '\\u00e9',
                    "\xc3\xa9", "\xf0\x9f\x98\x80", '\\ud83d\\ude00', '{', ':')
    } 0 .. $self->number(6)) . '"';
}


# (a text that is no JSON, how it was broken); the text must be an object

sub broken_json {
    my ($self, $text) = @_;
    my @tokens = $text =~ /("(?:[^"\\]|\\.)*"|[][{}:,]|[^][{}:,"\s]+)/gs;

    $self->{kinds} = [ sort keys %BREAK ] unless @{ $self->{kinds} };

    my $kind = shift(@{ $self->{kinds} });

    return ($BREAK{$kind}->($self, @tokens), $kind);
}


# the index of a token that matches

sub at {
    my ($self, $pattern, @tokens) = @_;

    return $self->pick(grep { $tokens[$_] =~ /$pattern/ } 0 .. $#tokens);
}


sub _into_string {
    my ($self, $bytes, @tokens) = @_;

    $tokens[$self->at('^"', @tokens)] =~ s/^"/"$bytes/;

    return join('', @tokens);
}


1;
