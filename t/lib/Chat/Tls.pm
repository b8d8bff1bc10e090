package Chat::Tls;

# A certificate authority made by the test, and what it signs.
#
#     my $tls = Chat::Tls->new(test_dir() . '/tls');
#     my ($cert, $key) = $tls->signed('redis', 'IP:127.0.0.1');
#     my %env = $tls->old_versions;
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
# expired => 1: not valid any more.  (certificate, key)

sub signed {
    my ($self, $name, $names, %opt) = @_;
    my $base = "$self->{dir}/$name";

    openssl('req', @KEY, '-subj', "/CN=$name", '-keyout', "$base.key",
             '-out', "$base.csr");

    open(my $file, '>', "$base.ext") or die "$base.ext: $!\n";
    print $file "subjectAltName=$names\n" if $names;
    print $file "basicConstraints=CA:FALSE\n";
    close($file);

    if ($opt{expired}) {
        $self->sign_expired($base);

    } else {
        openssl('x509', '-req', '-in', "$base.csr", '-CA', $self->{ca},
                 '-CAkey', $self->{key}, '-days', 30, '-extfile',
                 "$base.ext", '-set_serial', ++$self->{serial},
                 '-out', "$base.pem");
    }

    return ("$base.pem", "$base.key");
}


# "x509" has dates from OpenSSL 3.4 on only, and takes no negative number of
# days since 3.5; "ca" has had them always, and wants files for them

sub sign_expired {
    my ($self, $base) = @_;

    open(my $conf, '>', "$base.conf") or die "$base.conf: $!\n";
    print $conf "[ca]\ndefault_ca = own\n[own]\ndatabase = $base.index\n"
        . "new_certs_dir = $self->{dir}\nrand_serial = yes\n"
        . "policy = any\n[any]\ncommonName = supplied\n";
    close($conf);

    open(my $index, '>', "$base.index") or die "$base.index: $!\n";
    close($index);

    openssl('ca', '-batch', '-notext', '-config', "$base.conf",
             '-in', "$base.csr", '-cert', $self->{ca}, '-keyfile',
             $self->{key}, '-md', 'sha256', '-startdate',
             '200101000000Z', '-enddate', '210101000000Z', '-extfile',
             "$base.ext", '-out', "$base.pem");
}


sub self_signed {
    my ($self, $name, $names) = @_;
    my $base = "$self->{dir}/$name";

    openssl('req', '-x509', @KEY, '-subj', "/CN=$name", '-days', 30,
             ($names ? ('-addext', "subjectAltName=$names") : ()),
             '-keyout', "$base.key", '-out', "$base.pem");

    return ("$base.pem", "$base.key");
}


# The environment of a process whose OpenSSL refuses no version by itself, so
# that it depends on the process.

sub old_versions {
    my ($self) = @_;
    my $conf = "$self->{dir}/openssl.cnf";

    open(my $file, '>', $conf) or die "$conf: $!\n";
    print $file <<'EOT';
openssl_conf = main
[main]
ssl_conf = modules
[modules]
system_default = all
[all]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
EOT
    close($file);

    return (OPENSSL_CONF => $conf);
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
