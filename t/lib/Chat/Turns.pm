package Chat::Turns;

# What the event loop of a worker does in each turn: t/lib/watch_turns.c,
# compiled and loaded into nginx.
#
#     my $turns = Chat::Turns->new;
#     my $nginx = start_nginx(env => $turns->env, workers => 1, ...);
#
#     $turns->begin;                  what follows counts
#     ...
#     $turns->writes                  of all turns since, in order
#     $turns->cpu                     of each such turn, in us
#
# A write is { turn, port (of the client), pieces, bytes }.

use warnings;
use strict;

use Chat::Preload;
use Chat::Test qw(read_file test_dir);

my $number = 0;


sub new {
    my ($class) = @_;
    my $file = test_dir() . '/turns' . ++$number;

    # the workers are another user

    open(my $fh, '>', $file) or die "$file: $!\n";
    close($fh);
    chmod(0666, $file) or die "$file: $!\n";

    return bless { file => $file, from => 0 }, $class;
}


sub env {
    my ($self) = @_;

    return { LD_PRELOAD => preload('watch_turns'),
             CHAT_WATCH_TURNS => $self->{file} };
}


sub begin {
    my ($self) = @_;

    $self->{from} = -s $self->{file};
}


sub writes {
    my ($self) = @_;

    return map { /^\d+ (\d+) write (\d+) (\d+) (\d+)$/
                 ? { turn => $1, port => $2, pieces => $3, bytes => $4 } : () }
           $self->_lines;
}


sub cpu {
    my ($self) = @_;

    return map { /^\d+ \d+ cpu (\d+)$/ ? $1 : () } $self->_lines;
}


sub _lines {
    my ($self) = @_;

    return split(/\n/, substr(read_file($self->{file}), $self->{from}));
}


1;
