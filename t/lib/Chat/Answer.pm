package Chat::Answer;

# What the provider of the tests answers: the text is made from the question
# alone, so that a test knows what to expect without asking.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use Exporter qw(import);

use Chat::Sealed qw(sealed_pieces);

our @EXPORT_OK = qw(parse_options options_of pieces_of text_of);

my $PYTHON = "Python is a high-level, general-purpose programming language. "
    . "Guido van Rossum released it in 1991, and its design puts readability "
    . "first: blocks are marked by indentation, and there is preferably one "
    . "obvious way to do things. It is dynamically typed, manages memory by "
    . "itself and comes with a large standard library, which makes it a "
    . "common choice for web services, automation, data analysis and "
    . "teaching.";


# "key=value;key=value" to a hash; values are percent-decoded, a key without
# a value is 1

sub parse_options {
    my ($spec) = @_;
    my %options;

    foreach my $pair (split(/[;&]/, $spec // '')) {
        my ($key, $value) = split(/=/, $pair, 2);

        next unless defined $key && length $key;

        $value = '1' unless defined $value;
        $value =~ s/%([0-9A-Fa-f]{2})/chr(hex($1))/ge;
        $options{$key} = $value;
    }

    return \%options;
}


# the options of one request: defaults, then the model name, then the question;
# all strings are bytes

sub options_of {
    my ($defaults, $model, $question) = @_;
    my %options = %$defaults;

    if (defined $model && $model =~ /^[^;]*;(.*)$/s) {
        %options = (%options, %{ parse_options($1) });
    }

    while ($question =~ /\{\{(.*?)\}\}/sg) {
        %options = (%options, %{ parse_options($1) });
    }

    return \%options;
}


# the chunks of the answer as a list of UTF-8 bytes; $number is the number of
# the call and shows only with unique=1

sub pieces_of {
    my ($question, $options, $number) = @_;
    my @pieces;

    if ($options->{sealed}) {
        return sealed_pieces($question, ($options->{run} || 1) . ".$number",
            $options->{chunks} || 10, $options->{bytes} || 24);
    }

    if (defined $options->{content}) {
        @pieces = _cut($options->{content}, $options->{chunks} || 1);

    } elsif (defined $options->{chunks} || defined $options->{bytes}) {
        my $mark = substr(sha256_hex($question), 0, 8);
        my $bytes = $options->{bytes} || 16;

        foreach my $i (1 .. $options->{chunks} // 10) {
            push(@pieces, _piece($mark, $i, $bytes, $options->{utf8}));
        }

    } else {
        @pieces = _cut(_demonstration($question), 0);
    }

    if ($options->{unique} && @pieces) {
        $pieces[0] = "#$number " . $pieces[0];
    }

    return @pieces;
}


sub text_of {
    my ($question, $options, $number) = @_;

    return join('', pieces_of($question, $options || {}, $number));
}


sub _piece {
    my ($mark, $i, $bytes, $utf8) = @_;
    my $piece = "$mark-$i ";

    if ($utf8) {
        $piece .= "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"\\\n\t/<\x01\x7f ";
    }

    if (length($piece) < $bytes) {
        $piece .= 'x' x ($bytes - length($piece) - 1) . ' ';

    } elsif (!$utf8) {
        $piece = substr($piece, 0, $bytes);
    }

    return $piece;
}


# cuts a text into so many pieces, or into pieces of three words

sub _cut {
    my ($text, $count) = @_;
    my @pieces;

    if ($count == 0) {
        return $text =~ /\s*\S+(?:\s+\S+){0,3}/g;
    }

    utf8::decode($text);

    my $size = int((length($text) + $count - 1) / $count) || 1;

    @pieces = $text =~ /.{1,$size}/sg;
    utf8::encode($_) foreach @pieces;

    return @pieces;
}


sub _demonstration {
    my ($question) = @_;
    my $short = substr($question, 0, 80);

    return $PYTHON if $question =~ /\bpython\b/i;

    $short =~ s/\s+/ /g;
    $short =~ s/[\x80-\xff]+$// if length($question) > 80;

    return "You asked: \"$short\". This answer comes from the demonstration "
        . "provider of ngx_chat: a small program that speaks the same "
        . "protocol as a real model and streams a fixed text, a few words at "
        . "a time. Set OPENAI_API_KEY, and OPENAI_BASE_URL for another "
        . "service, to ask a real one.";
}


1;
