package Chat::Check;

# Checks a stream against the contract, byte by byte.

use warnings;
use strict;

use Exporter qw(import);
use JSON::PP ();
use Test::More ();

use Chat::Answer ();

our @EXPORT = qw(stream_ok mostly_ok end_faults repeated_names);


# One test: the result is a stream as the contract has it.  Options:
#
#     text       the whole answer          chunks     its pieces, in order
#     error      the code of the error event that shall end it
#     cache      pattern for Cache-Status  restarts   how many "processing"
#     finish     the finish_reason         headers => 0: do not look at them

sub stream_ok {
    my ($q, $name, %opt) = @_;
    my @faults = faults($q, %opt);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $ok = Test::More::ok(!@faults, $name);

    if (@faults) {
        my $raw = $q->{raw};

        $raw = substr($raw, 0, 1500) . '...' if length($raw) > 1500;
        Test::More::diag(join("\n", @faults, 'got:', $raw));
    }

    return $ok;
}


sub faults {
    my ($q, %opt) = @_;
    my (@faults, $last);
    my $h = $q->{headers};
    my $text = '';
    my $processing = 0;

    return "error: $q->{error}" if defined $q->{error};
    return "status $q->{status}" if $q->{status} != 200;

    if ($opt{headers} // 1) {
        my %want = ('content-type' => qr/^text\/event-stream$/,
            'cache-control' => qr/^no-store, no-transform$/,
            'x-accel-buffering' => qr/^no$/,
            'x-chat-generation' => qr/^[0-9a-f]{32}\.[0-9a-f]{64}$/,
            'cache-status' => $opt{cache} || qr/^ngx_chat; /);

        foreach (sort keys %want) {
            push(@faults, "header $_: " . ($h->{$_} // 'none'))
                unless ($h->{$_} // '') =~ $want{$_};
        }
    }

    push(@faults, 'the response is not complete') unless $q->{complete};
    push(@faults, 'no event') unless @{ $q->{events} };
    push(@faults, "bytes after the last frame: \"$q->{frame}\"")
        if length $q->{frame};

    foreach my $event (@{ $q->{events} }) {
        my $status = $event->{status};

        push(@faults, 'an event after the terminal one')
            if defined $last && $last =~ /^(?:completed|error)$/;
        push(@faults, 'the first event is not processing')
            if !defined $last && $status ne 'processing';

        if ($status eq 'processing') {
            $text = '';
            $processing++;

        } elsif ($status eq 'streaming') {
            push(@faults, 'an empty chunk') unless length $event->{chunk};
            $text .= $event->{chunk};

        } elsif ($status eq 'completed') {
            push(@faults, 'completed is not the sum of the chunks')
                if $event->{chunk} ne $text;

        } elsif ($status eq 'odd') {
            push(@faults, "odd event: $event->{frame}");
        }

        $last = $status;
    }

    my $wanted = defined $opt{error} ? 'error' : 'completed';

    if (($last // 'nothing') ne $wanted) {
        push(@faults, "ends with " . ($last // 'nothing')
            . " " . ($q->{terminal}{code} // ""));

    } elsif (defined $opt{error} && $q->{terminal}{code} ne $opt{error}) {
        push(@faults, "the error is $q->{terminal}{code}");

    } elsif (!defined $opt{error}) {
        push(@faults, 'finish_reason is '
             . ($q->{terminal}{finish_reason} // 'none'))
            if ($q->{terminal}{finish_reason} // '') ne ($opt{finish} // '');
    }

    push(@faults, 'the text is not the expected one')
        if defined $opt{text} && $text ne $opt{text};
    push(@faults, 'the chunks are not the expected ones')
        if $opt{chunks}
           && join("\0", @{ $q->{chunks} }) ne join("\0", @{ $opt{chunks} });
    push(@faults, "$processing times processing")
        if defined $opt{restarts} && $processing != $opt{restarts} + 1;

    return @faults;
}


# One test: more than half of those took less than so many seconds.  What is
# slow by itself is slow each time, and a busy machine now and then.

sub mostly_ok {
    my ($took, $bound, $name) = @_;
    my @late = grep { $_ >= $bound } @$took;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    Test::More::cmp_ok(2 * @late, '<', scalar(@$took), $name)
        or Test::More::diag(join(' ', map { sprintf('%.3f', $_) } @$took));
}


# names that several assertions of this file have

sub repeated_names {
    my %seen;

    return grep { $seen{$_}++ == 1 }
        map { $_->{name} } Test::More->builder->details;
}


# What is wrong with the end of a stream while Redis fails: it has to be its own
# whole answer, restarted or not, or an error, within so many seconds.

sub end_faults {
    my ($q, $bound) = @_;
    my $took = $q->{ended} - $q->{started};
    my $terminal = $q->{terminal} || {};
    my $question = $q->{question};

    return "it took $took" if $took > $bound;

    if ($q->{status} == 503) {
        my $body = eval { JSON::PP->new->utf8->decode($q->{body}) } || {};
        my $code = $body->{code} // 'none';

        return $code eq 'redis_down' ? () : "503 $code";
    }

    if (($terminal->{status} // '') eq 'error') {
        return "error $terminal->{code}"
            if $terminal->{code} !~ /^(?:redis_down|interrupted)$/;

        return faults($q, error => $terminal->{code});
    }

    return faults($q, chunks => [ Chat::Answer::pieces_of($question,
        Chat::Answer::options_of({}, '', $question), 1) ]);
}


1;
