package Chat::Client;

# Asks many questions at once in one event loop and notes when each event
# arrives.

use warnings;
use strict;

use Errno qw(EAGAIN EINPROGRESS EINTR);
use Exporter qw(import);
use IO::Handle;
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

our @EXPORT = qw(ask get json_string);

my $STRING = qr/"((?:[^"\\\x00-\x1f]++|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*+)"/;
my %ESCAPE = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");


# bytes (UTF-8) in, a JSON string out

sub json_string {
    my ($text) = @_;

    utf8::encode($text) if utf8::is_utf8($text);

    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/([\x00-\x1f])/sprintf('\\u%04x', ord($1))/ge;

    return "\"$text\"";
}


# ask($nginx, { question => ..., ... }, ...): all at once, a result for each.
#
#     question, use_cache       the body is made from these
#     body                      or it is this, as it stands
#     method, path, headers     { name => value } or [name, value, ...]
#     nginx, port               another instance than the first argument
#     delay                     seconds before it starts
#     body_delay                seconds until the body follows the headers
#     after                     sub: starts when it returns true
#     read_rate                 bytes a second; rcvbuf: SO_RCVBUF
#     hangup_after              leaves after so many chunks (0: after the
#                               headers); rst => 1: by a reset
#     on_event                  sub ($result, $event), as events arrive
#     on_done                   sub ($result), when it has ended
#     keep                      leaves the connection open in {socket}
#     socket                    uses such a one
#     timeout                   seconds, 30 by default
#
# A result is a hash: status, headers (lower-case names), body, raw, events,
# chunks (texts since the last processing), text, terminal, started,
# header_at, ended, complete (the response ended by its own framing), closed
# (by the server), keepalive, hungup, error.  In list context all of them, in
# scalar context the first.

sub ask {
    my ($nginx, @asks) = @_;
    my @all = map { _new($nginx, $_) } @asks;
    my @active = @all;

    local $SIG{PIPE} = 'IGNORE';

    while (@active) {
        my ($r, $w, $timeout, $now, %by) = ('', '', 0.25, time());

        foreach my $q (@active) {
            if (!$q->{fh}) {
                _start($q, $now) if _due($q, $now);

                if (!$q->{fh}) {
                    $timeout = 0.01 if $timeout > 0.01;
                    next;
                }
            }

            my $fd = fileno($q->{fh});

            if (defined $q->{late}) {
                if ($now - $q->{started} >= $q->{body_delay}) {
                    $q->{out} .= delete $q->{late};

                } elsif ($timeout > 0.01) {
                    $timeout = 0.01;
                }
            }

            if ($q->{next_read} && $q->{next_read} > $now) {
                my $left = $q->{next_read} - $now;
                $timeout = $left if $left < $timeout;

            } else {
                vec($r, $fd, 1) = 1;
            }

            vec($w, $fd, 1) = 1 if length $q->{out};
            $by{$fd} = $q;
        }

        if (select($r, $w, undef, $timeout) > 0) {
            foreach my $fd (keys %by) {
                _write($by{$fd}) if vec($w, $fd, 1);
                _read($by{$fd}) if !$by{$fd}{done} && vec($r, $fd, 1);
            }
        }

        $now = time();

        foreach my $q (@active) {
            if (!$q->{done} && $q->{fh}
                && $now - $q->{started} > $q->{timeout})
            {
                _done($q, 'timeout');
            }
        }

        @active = grep { !$_->{done} } @active;
    }

    return wantarray ? @all : $all[0];
}


sub get {
    my ($nginx, $path, %opt) = @_;

    return scalar ask($nginx, { method => 'GET', path => $path, %opt });
}


sub _new {
    my ($nginx, $ask) = @_;
    my $q = { timeout => 30, %$ask, events => [], chunks => [], headers => {},
              raw => '', body => '', in => '', frame => '', text => undef,
              comments => 0, created => time(), started => time() };
    my $method = $ask->{method} || 'POST';
    my $path = $ask->{path} || '/chat';
    my $body = $ask->{body};
    my @headers = ref($ask->{headers}) eq 'ARRAY' ? @{ $ask->{headers} }
        : %{ $ask->{headers} || {} };
    my %given = map { lc($_) => 1 } @headers[grep { !($_ & 1) } 0 .. $#headers];

    $nginx = $ask->{nginx} || $nginx;
    $q->{port} = $ask->{port} || $nginx->port;

    if (!defined $body && defined $ask->{question}) {
        $body = '{"question": ' . json_string($ask->{question});
        $body .= ', "use_cache": ' . ($ask->{use_cache} ? 'true' : 'false')
            if exists $ask->{use_cache};
        $body .= '}';
    }

    unshift(@headers, Host => 'localhost') unless $given{host};

    if (defined $body) {
        push(@headers, 'Content-Type' => 'application/json')
            unless $given{'content-type'};
        push(@headers, 'Content-Length' => length($body))
            unless $given{'content-length'} || $given{'transfer-encoding'};
    }

    $q->{out} = "$method $path HTTP/1.1\r\n";

    while (my ($name, $value) = splice(@headers, 0, 2)) {
        $q->{out} .= "$name: $value\r\n" if defined $value;
    }

    $q->{out} .= "\r\n";

    if ($q->{body_delay}) {
        $q->{late} = $body // '';

    } else {
        $q->{out} .= $body // '';
    }

    $q->{method} = $method;

    return $q;
}


sub _due {
    my ($q, $now) = @_;

    return 0 if $q->{delay} && $now - $q->{created} < $q->{delay};
    return 0 if $q->{after} && !$q->{after}->();
    return 1;
}


sub _start {
    my ($q, $now) = @_;

    $q->{started} = $now;

    if ($q->{socket}) {
        $q->{fh} = delete $q->{socket};
        return;
    }

    socket(my $fh, PF_INET, SOCK_STREAM, IPPROTO_TCP)
        or return _done($q, "socket: $!");

    setsockopt($fh, SOL_SOCKET, SO_RCVBUF, $q->{rcvbuf}) if $q->{rcvbuf};

    IO::Handle::blocking($fh, 0);
    setsockopt($fh, IPPROTO_TCP, TCP_NODELAY, 1);

    if (!connect($fh, pack_sockaddr_in($q->{port}, INADDR_LOOPBACK))
        && $! != EINPROGRESS)
    {
        return _done($q, "connect: $!");
    }

    $q->{fh} = $fh;
}


sub _write {
    my ($q) = @_;
    my $n = syswrite($q->{fh}, $q->{out});

    if (defined $n) {
        substr($q->{out}, 0, $n, '');

    } elsif ($! != EAGAIN && $! != EINTR) {

        # the server may have answered and closed before it read everything

        $q->{out} = '';
        $q->{write_error} = "$!";
    }
}


sub _read {
    my ($q) = @_;
    my $size = $q->{read_rate} ? int($q->{read_rate} / 20) || 1 : 65536;
    my $n = sysread($q->{fh}, my $bytes, $size);

    if (!defined $n) {
        return if $! == EAGAIN || $! == EINTR;
        return _done($q, "read: $!");
    }

    if ($n == 0) {
        $q->{closed} = 1;
        $q->{complete} = 1 if $q->{until_close};
        return _done($q, defined $q->{status} && $q->{complete}
                         ? undef : 'closed early');
    }

    $q->{next_read} = time() + 0.05 if $q->{read_rate};
    $q->{raw} .= $bytes;
    $q->{in} .= $bytes;

    _parse($q);
}


sub _parse {
    my ($q) = @_;

    if (!defined $q->{status}) {
        my $end = index($q->{in}, "\r\n\r\n");

        return if $end < 0;

        my ($first, @lines) = split(/\r\n/, substr($q->{in}, 0, $end));

        substr($q->{in}, 0, $end + 4, '');

        if ($first =~ /^HTTP\/1\.1 100/) {
            return _parse($q);
        }

        ($q->{status}) = $first =~ /^HTTP\/1\.[01] (\d+)/;
        $q->{status} //= 0;
        $q->{header_at} = time();

        foreach (@lines) {
            my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;

            $name = lc($name);
            $q->{headers}{$name} = defined $q->{headers}{$name}
                ? "$q->{headers}{$name}, $value" : $value;
        }

        my $h = $q->{headers};

        $q->{chunked} = lc($h->{'transfer-encoding'} // '') eq 'chunked';
        $q->{length} = $h->{'content-length'};
        $q->{length} = 0 if $q->{status} == 204 || $q->{status} == 304
                            || $q->{method} eq 'HEAD';
        $q->{until_close} = !$q->{chunked} && !defined $q->{length};

        if (defined $q->{hangup_after} && $q->{hangup_after} == 0) {
            return _hangup($q);
        }
    }

    my ($new, $end) = _unframe($q);

    $q->{body} .= $new;
    _frames($q, $new);

    if ($end && !$q->{done}) {
        $q->{complete} = 1;
        _done($q);
    }
}


# removes the transfer coding: new bytes, and whether they are the last

sub _unframe {
    my ($q) = @_;

    if (!$q->{chunked}) {
        my $new = $q->{in};

        $q->{in} = '';
        return ($new, 0) unless defined $q->{length};
        return ($new, length($q->{body}) + length($new) >= $q->{length});
    }

    my $new = '';

    while ($q->{in} =~ /^([0-9a-fA-F]+)[^\r\n]*\r\n/) {
        my ($head, $size) = ($+[0], hex($1));

        if ($size == 0) {
            return ($new, index($q->{in}, "\r\n\r\n") >= 0);
        }

        last if length($q->{in}) < $head + $size + 2;

        $new .= substr($q->{in}, $head, $size);
        substr($q->{in}, 0, $head + $size + 2, '');
    }

    return ($new, 0);
}


sub _frames {
    my ($q, $new) = @_;

    return unless ($q->{headers}{'content-type'} // '')
        =~ m!^text/event-stream!;

    $q->{frame} .= $new;

    my $at = 0;

    while ((my $end = index($q->{frame}, "\n\n", $at)) >= 0) {
        my $frame = substr($q->{frame}, $at, $end + 2 - $at);

        $at = $end + 2;

        if ($frame =~ /^: [^\n]*\n\n$/) {
            $q->{comments}++;
            $q->{comment_at} = time();
            next;
        }

        my $event = _event($frame);

        $event->{at} = time();
        push(@{ $q->{events} }, $event);

        if ($event->{status} eq 'processing') {
            $q->{chunks} = [];

        } elsif ($event->{status} eq 'streaming') {
            push(@{ $q->{chunks} }, $event->{chunk});

        } elsif ($event->{status} eq 'completed' || $event->{status} eq 'error')
        {
            $q->{terminal} = $event;
            $q->{text} = $event->{chunk};
        }

        $q->{on_event}->($q, $event) if $q->{on_event};

        if ($q->{hangup_after} && @{ $q->{chunks} } >= $q->{hangup_after}) {
            return _hangup($q);
        }
    }

    substr($q->{frame}, 0, $at, '');
}


# the contract's exact forms; anything else has the status "odd"

sub _event {
    my ($frame) = @_;
    my %event = (status => 'odd', frame => $frame);

    if ($frame eq "data: {\"status\": \"processing\"}\n\n") {
        $event{status} = 'processing';

    } elsif ($frame =~ /^data: \{"status": "(streaming|completed)", "chunk": $STRING(?:, "finish_reason": $STRING)?\}\n\n$/
             && ($1 eq 'completed' || !defined $3))
    {
        @event{qw(status chunk finish_reason)} = ($1, $2, $3);

    } elsif ($frame =~ /^data: \{"status": "error", "message": $STRING, "code": "([a-z_]+)"\}\n\n$/)
    {
        @event{qw(status message code)} = ('error', $1, $2);
    }

    foreach (grep { defined } @event{qw(chunk message)}) {
        my $copy = $_;
        my $odd = !utf8::decode($copy);

        # an escape only where JSON requires it

        s{\\(?:u([0-9a-fA-F]{4})|(.))}{
            $odd = 1 if defined $1 ? hex($1) >= 0x20 : $2 eq '/';
            defined $1 ? chr(hex($1) & 0xff) : $ESCAPE{$2} // $2;
        }gex;

        $event{status} = 'odd' if $odd;
    }

    return \%event;
}


sub _hangup {
    my ($q) = @_;

    $q->{hungup} = 1;
    setsockopt($q->{fh}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $q->{rst};
    _done($q);
}


sub _done {
    my ($q, $error) = @_;

    $q->{done} = 1;
    $q->{ended} = time();
    $q->{error} = $error if defined $error;
    $q->{keepalive} = $q->{complete} && !$q->{until_close}
        && lc($q->{headers}{connection} // '') ne 'close' ? 1 : 0;

    if (my $fh = delete $q->{fh}) {
        if ($q->{keep} && $q->{keepalive}) {
            $q->{socket} = $fh;

        } else {
            close($fh);
        }
    }

    $q->{on_done}->($q) if $q->{on_done};
}


1;
