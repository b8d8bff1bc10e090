package Chat::Preload;

# C libraries of t/lib that are loaded into nginx in front of libc.
#
#     env => { LD_PRELOAD => preload('kill_point') }

use warnings;
use strict;

use Exporter qw(import);

use Chat::Nginx;
use Chat::Test qw(test_dir);

our @EXPORT = qw(preload);

my %library;


# The sanitizers' library wants to be the first one; the functions that it takes
# the place of it calls in ours.

sub preload {
    my ($name) = @_;
    my @libraries = $library{$name} //= _build($name);

    if ($ENV{CHAT_NGINX}) {
        my ($san) = `ldd $ENV{CHAT_NGINX}` =~ m!^\s*libasan\S* => (/\S+)!m;

        unshift(@libraries, $san) if defined $san;
    }

    return join(' ', @libraries);
}


sub _build {
    my ($name) = @_;
    my $source = Chat::Nginx::root() . "/t/lib/$name.c";
    my $library = test_dir() . "/$name.so";

    system('gcc', '-shared', '-fPIC', '-O1', '-o', $library, $source) == 0
        or die "gcc failed\n";

    return $library;
}


1;
