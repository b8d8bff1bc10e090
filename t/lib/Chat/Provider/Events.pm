package Chat::Provider::Events;

# What the provider writes: the steps of a call as events of a stream, in each
# of its forms, and the bytes of faults.

use warnings;
use strict;

use Exporter qw(import);
use Time::HiRes qw(time);

use Chat::Answer qw(pieces_of);

our @EXPORT = qw(steps event framed fault_bytes);

# what faults send, but for those that need more than bytes

my %bytes = (
    badjson => "data: {\"choices\": [{\"delta\": {\"content\": \"\n\n",
    errobj => "data: {\"error\": {\"message\": \"overloaded, key "
        . "sk-secret-in-a-message\", \"type\": \"server_error\", "
        . "\"code\": null}}\n\n",
    badutf8 => "data: {\"choices\": [{\"index\": 0, \"delta\": "
        . "{\"content\": \"bad \xff\xfe\xc3( bytes\"}}]}\n\n",
    garbage => join('', map { chr(($_ * 73 + 41) % 256) } 1 .. 4096),
    null => "data: {\"choices\": [{\"index\": 0, \"delta\": "
        . "{\"content\": null}, \"finish_reason\": null}]}\n\n"
        . "data: {\"choices\": []}\n\n",
);


# The steps of a call, each a [kind, text].

sub steps {
    my ($question, $opt, $number, $ask) = @_;
    my @steps = (['role']);
    my $usage = ref($ask->{stream_options}) eq 'HASH'
        && $ask->{stream_options}{include_usage};

    push(@steps, ['reasoning', "thinking $_ "])
        foreach 1 .. $opt->{reasoning} // 0;

    push(@steps, ['content', $_])
        foreach pieces_of($question, $opt, $number);

    my $fault = $opt->{fault} // '';

    push(@steps, ['finish', $opt->{finish} // 'stop'])
        unless $fault eq 'nofinish' || $fault eq 'end';

    # the connection ends behind the finish reason

    return @steps if $fault eq 'cut';

    push(@steps, ['usage']) if $opt->{usage} // $usage;
    push(@steps, ['done']) unless $fault eq 'nodone' || $fault eq 'end';

    return @steps;
}


# a step as an event

sub event {
    my ($call, $step) = @_;
    my $opt = $call->{opt};
    my ($kind, $text) = @$step;

    return lines($opt, '[DONE]') if $kind eq 'done';

    my $chunk = '{"id": "chatcmpl-' . substr($call->{hash}, 0, 12)
        . '", "object": "chat.completion.chunk", "created": '
        . int(time()) . ', "model": ' . quote($call->{model})
        . ', "choices": [';
    my ($delta, $reason) = ('{}', 'null');

    if ($kind eq 'usage') {
        return lines($opt, $chunk . '], "usage": {"prompt_tokens": 7, '
            . '"completion_tokens": ' . $call->{sent}
            . ', "total_tokens": ' . ($call->{sent} + 7) . '}}');
    }

    if ($kind eq 'role') {
        $delta = '{"role": "assistant", "content": ""}';

    } elsif ($kind eq 'reasoning') {
        $delta = '{"reasoning_content": ' . quote($text)
            . ', "content": null}';

    } elsif ($kind eq 'content') {
        $delta = '{"content": ' . quote($text) . '}';

    } else {
        $reason = quote($text);
    }

    return lines($opt, $chunk . '{"index": 0, "delta": ' . $delta
        . ', "finish_reason": ' . $reason . '}], "usage": null}');
}


# bytes in, a JSON string in bytes out

sub quote {
    my ($text) = @_;

    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/\n/\\n/g;
    $text =~ s/([\x00-\x1f\x7f])/sprintf('\\u%04x', ord($1))/ge;

    return "\"$text\"";
}


sub lines {
    my ($opt, $data) = @_;
    my $eol = $opt->{crlf} ? "\r\n" : "\n";
    my $field = $opt->{nospace} ? 'data:' : 'data: ';
    my $text = '';

    $text .= ": still here${eol}event: message${eol}id: 1${eol}"
        if $opt->{comments};

    $data =~ s/, "(?=(?:object|choices|finish_reason)":)/,\n "/g
        if $opt->{multiline};

    $text .= $field . $_ . $eol foreach split(/\n/, $data);

    return $text . $eol;
}


# the bytes of a body as they go over the connection

sub framed {
    my ($opt, $bytes) = @_;

    return $bytes if ($opt->{te} // '') eq 'close';
    return join('', map { "1\r\n$_\r\n" } split(//, $bytes)) if $opt->{split};
    return sprintf("%x\r\n", length($bytes)) . $bytes . "\r\n";
}


sub fault_bytes {
    my ($fault, $opt) = @_;

    return $bytes{$fault} if $fault ne 'huge';
    return 'data: {"choices": [{"delta": {"content": "'
        . ('h' x ($opt->{size} || 16 * 1024 * 1024)) . "\"}}]}\n\n";
}


1;
