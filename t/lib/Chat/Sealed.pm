package Chat::Sealed;

# Answers that show by themselves whether they are whole and of one piece:
# each chunk names the question (by its hash), the provider's call and its
# own place, and the last one has a checksum of all the others.
#
#     [1f2e3d4c 1.7 1/3] xxxxx
#     [1f2e3d4c 1.7 2/3] xxxxx
#     [1f2e3d4c 1.7 3/3 5d41402abc4b]

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use Exporter qw(import);

our @EXPORT_OK = qw(sealed_pieces seal_fault seal_of);


sub sealed_pieces {
    my ($question, $call, $count, $bytes) = @_;
    my $mark = substr(sha256_hex($question), 0, 8);
    my @pieces;

    foreach my $i (1 .. $count - 1) {
        my $piece = "[$mark $call $i/$count] \xc3\xa9";
        my $left = $bytes - length($piece) - 1;

        $piece .= 'x' x $left if $left > 0;
        push(@pieces, "$piece\n");
    }

    my $sum = substr(sha256_hex(@pieces), 0, 12);

    return (@pieces, "[$mark $call $count/$count $sum]");
}


# what is wrong with these chunks as the beginning of an answer to the question
# with this hash, or as all of it; undef: nothing

sub seal_fault {
    my ($hash, $pieces, $whole) = @_;
    my $mark = substr($hash, 0, 8);
    my ($call, $count);

    foreach my $i (1 .. @$pieces) {
        my $piece = $pieces->[$i - 1];
        my @part = $piece =~ m!^\[(\w+) ([\d.]+) (\d+)/(\d+)(?: (\w+))?\]!
            or return "chunk $i is no piece of an answer";

        return "chunk $i belongs to another question" if $part[0] ne $mark;

        ($call, $count) = @part[1, 3] unless defined $call;

        return "chunk $i is of call $part[1], those before of $call"
            if $part[1] ne $call || $part[3] != $count;
        return "chunk $i is number $part[2] of the provider's"
            if $part[2] != $i;

        if ($i == $count) {
            my $sum = sha256_hex(@$pieces[0 .. $i - 2]);

            return 'the checksum is wrong'
                if ($part[4] // '') ne substr($sum, 0, 12);
        }
    }

    return 'only ' . @$pieces . ' chunks of ' . ($count // 'many')
        if $whole && @$pieces != ($count // -1);
    return undef;
}


# the call that an answer is of

sub seal_of {
    my ($text) = @_;

    return ($text // '') =~ m!^\[\w+ ([\d.]+) ! ? $1 : undef;
}


1;
