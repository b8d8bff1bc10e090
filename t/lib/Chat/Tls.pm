package Chat::Tls;

# A certificate authority made by the test, and what it signs.
#
#     my $tls = Chat::Tls->new(test_dir() . '/tls');
#     my ($cert, $key) = $tls->signed('redis', 'IP:127.0.0.1');
#
# Keys are readable by their owner alone.

use warnings;
use strict;

use POSIX ();

my @KEY = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
           '-nodes');


# in that directory, with that name

sub new {
    my ($class, $dir, $name) = @_;
    my $self = bless { dir => $dir, serial => 1, name => $name || 'ca' },
        $class;

    if (!-d $dir) {
        mkdir($dir) or die "$dir: $!\n";
        chmod(0711, $dir);
    }

    ($self->{ca}, $self->{key}) = $self->self_signed($self->{name});

    return $self;
}


# the file that a client is to trust

sub ca { return $_[0]{ca} }


# Signed by the authority, for names such as "DNS:localhost,IP:127.0.0.1";
# days => -1: it has expired.  (certificate, key)

sub signed {
    my ($self, $name, $names, %opt) = @_;
    my $base = "$self->{dir}/$name";

    openssl('req', @KEY, '-subj', "/CN=$name", '-keyout', "$base.key",
             '-out', "$base.csr");

    open(my $file, '>', "$base.ext") or die "$base.ext: $!\n";
    print $file "subjectAltName=$names\n" if $names;
    print $file "basicConstraints=CA:FALSE\n";
    close($file);

    openssl('x509', '-req', '-in', "$base.csr", '-CA', $self->{ca},
             '-CAkey', $self->{key}, '-days', $opt{days} // 30,
             '-extfile', "$base.ext", '-set_serial', ++$self->{serial},
             '-out', "$base.pem");

    return ("$base.pem", "$base.key");
}


sub self_signed {
    my ($self, $name, $names) = @_;
    my $base = "$self->{dir}/$name";

    openssl('req', '-x509', @KEY, '-subj', "/CN=$name", '-days', 30,
             ($names ? ('-addext', "subjectAltName=$names") : ()),
             '-keyout', "$base.key", '-out', "$base.pem");

    return ("$base.pem", "$base.key");
}


# openssl with these arguments, and silent unless it fails

sub openssl {
    my (@args) = @_;

    my $pid = open(my $said, '-|');

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null');
        open(STDERR, '>&', \*STDOUT);
        exec('openssl', @args) or POSIX::_exit(127);
    }

    my $text = do { local $/; <$said> };

    close($said) or die "openssl @args:\n$text";
}


1;
