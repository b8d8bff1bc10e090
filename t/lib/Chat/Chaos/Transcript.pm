package Chat::Chaos::Transcript;

# What one client has seen, and what is wrong with it whatever happened.

use warnings;
use strict;

use Exporter qw(import);
use JSON::PP ();

use Chat::Check;
use Chat::Sealed qw(seal_fault seal_of);
use Digest::SHA qw(sha256_hex);

our @EXPORT_OK = qw(record_of);

my @KEPT = qw(question instance hot path use_cache hangup_after read_rate
    started header_at ended status complete hungup error);


# a small hash: those fields of the result, and
#
#     outcome     completed, hung up, lost, or the code of an error
#     gen, cache, worker, source    from the headers
#     restarts    how many "processing" after the first
#     call        the provider's call that the answer is of
#     faults      what is wrong
#     raw         all that was read, if something is wrong or may be

sub record_of {
    my ($q) = @_;
    my %record = map { $_ => $q->{$_} } grep { defined $q->{$_} } @KEPT;
    my $h = $q->{headers};
    my $t = $q->{terminal} || {};

    # a comment names the one that took its place

    my @moved = ($q->{raw} // '') =~ /^: generation (\S+)$/mg;

    $record{gen} = $moved[-1] // $h->{'x-chat-generation'};
    $record{cache} = $h->{'cache-status'};
    $record{worker} = $h->{'x-worker'};
    $record{source} = $h->{'x-source'};
    $record{events} = scalar(@{ $q->{events} });
    $record{restarts} = grep { $_->{status} eq 'processing' }
        @{ $q->{events} }[1 .. $#{ $q->{events} }];
    $record{call} = seal_of($q->{chunks}[0]);
    $record{finish} = $t->{finish_reason};

    my $left = $q->{leaves} && ($q->{error} // '') eq 'timeout';

    $record{outcome} = $q->{hungup} || $left ? 'hung up'
        : !$q->{complete} ? 'lost'
        : ($t->{status} // '') eq 'completed' ? 'completed'
        : $t->{code} // _code($q);

    $record{faults} = [ _faults($q) ];
    $record{raw} = $q->{raw}
        if @{ $record{faults} }
           || $record{outcome} =~ /^(?:lost|none|internal)$/;

    return \%record;
}


sub _code {
    my ($q) = @_;
    my $body = eval { JSON::PP->new->utf8->decode($q->{body}) } || {};

    return $body->{code} // 'none';
}


sub _faults {
    my ($q) = @_;

    return () unless defined $q->{status};

    if ($q->{status} != 200) {
        return () if !$q->{complete} || $q->{status} == 503
            && defined $q->{headers}{'retry-after'};
        return "status $q->{status}";
    }

    my @faults = _pieces($q);

    if ($q->{complete} && !$q->{hungup}) {
        my $t = $q->{terminal} || {};
        my %opt = defined $t->{code} ? (error => $t->{code})
            : (finish => $t->{finish_reason});

        push(@faults, Chat::Check::faults($q, %opt));
    }

    return @faults;
}


# what comes between two "processing" is the beginning of one answer

sub _pieces {
    my ($q) = @_;
    my $hash = sha256_hex($q->{question});
    my (@faults, @pieces);

    foreach my $event (@{ $q->{events} }, { status => 'over' }) {
        if ($event->{status} eq 'streaming') {
            push(@pieces, $event->{chunk});
            next;
        }

        my $fault = seal_fault($hash, \@pieces,
                               $event->{status} eq 'completed');

        push(@faults, "$fault, before $event->{status}") if defined $fault;
        @pieces = ();
    }

    return @faults;
}


1;
