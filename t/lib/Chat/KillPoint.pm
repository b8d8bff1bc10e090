package Chat::KillPoint;

# Kills a process of an instance exactly at one message between a worker and a
# filler, once: t/lib/kill_point.c, compiled and loaded into nginx.
#
#     my $point = Chat::KillPoint->new;
#     my $nginx = led_nginx(env => $point->env, ...);
#
#     $point->arm('CHUNK', 'receive', left => 3);   the third one
#     ...
#     my ($pid, $when) = $point->struck or ...;

use warnings;
use strict;

use Chat::Nginx;
use Chat::Preload;
use Chat::Test qw(read_file test_dir);

my $LAYOUT = 'L6 Q';
my %WHERE = (before => 1, after => 2, receive => 3);
my $number = 0;


# { name => number } of all records as lane/ngx_chat_lane.h has them, and OFFER:
# a lane on its way to a filler; and the names of those that a worker sends

sub records {
    my $header = read_file(Chat::Nginx::root()
        . '/ngx_chat_module/lane/ngx_chat_lane.h');
    my ($enum) = $header =~ /typedef enum \{([^}]*)\} ngx_chat_lane_type_e;/
        or die "no records in ngx_chat_lane.h\n";
    my (%number, %by_worker);

    $number{OFFER} = 0;
    $by_worker{OFFER} = 1;

    while ($enum =~ m!^\s+NGX_CHAT_LANE_(\w+)[^/\n]*/\*\s*(\w+)!mg) {
        my ($name, $sender) = ($1, $2);

        last if $name eq 'TYPES';

        $name =~ s/_RECORD$//;
        $number{$name} = keys(%number);
        $by_worker{$name} = 1 if $sender eq 'worker';
    }

    return (\%number, \%by_worker);
}


sub new {
    my ($class) = @_;
    my $self = bless { file => test_dir() . '/kill_point' . ++$number },
        $class;

    ($self->{records}) = records();
    $self->_write(0) or die "$self->{file}: $!\n";

    return $self;
}


# the environment of an instance that is to have this point

sub env {
    my ($self) = @_;

    return { LD_PRELOAD => preload('kill_point'), CHAT_KILL_POINT => $self->{file} };
}


# before, after: the sender; receive: the receiver.  left: at the n-th of them,
# only: no other process but this one.

sub arm {
    my ($self, $record, $where, %opt) = @_;

    $self->_write(0);
    $self->_write(1, $WHERE{$where}, $self->{records}{$record},
                  $opt{left} // 1, $opt{only} // 0);
}


sub disarm {
    my ($self) = @_;

    $self->_write(0);
}


# whom, and when; nothing as long as there was nobody

sub struck {
    my ($self) = @_;
    my (undef, undef, undef, undef, undef, $pid, $at)
        = unpack($LAYOUT, read_file($self->{file}));

    return $pid ? ($pid, $at / 1e6) : ();
}


# the processes have the file mapped: all else is there before it is armed

sub _write {
    my ($self, $armed, @rest) = @_;
    my $all = pack($LAYOUT, $armed, @rest, (0) x (6 - @rest));

    open(my $file, -e $self->{file} ? '+<:raw' : '>:raw', $self->{file})
        or return 0;
    sysseek($file, 4, 0);
    syswrite($file, substr($all, 4));
    sysseek($file, 0, 0);
    syswrite($file, substr($all, 0, 4));

    return close($file);
}


1;
