package Bench::Far;

# A part of the section "miss": a provider behind TLS and 40 ms away, where a
# new connection costs more than all else.

use warnings;
use strict;

use Time::HiRes qw(sleep);

use Bench::Measure;
use Chat::Proxy;
use Chat::Tls;

# ms in each direction
my $AWAY = 20;


# a table: the first chunk of led questions, and of those that go through the
# queue to a filler, which shares one connection

sub far {
    my ($site) = @_;
    my $workers = $site->size(8, 2);
    my $burst = $site->size(64, 4);
    my $pause = $site->size(10, 0.1);
    my $front = front($site);
    my $tls = $front->{tls};
    my (@targets, %first);

    foreach my $lead ('on', 'off') {
        my ($target) = $site->new_chat($lead eq 'on' ? 'ngx_chat' : 'queued',
            lead => $lead, workers => $workers,
            provider => "https://127.0.0.1:$front->{port}/v1",
            provider_lines => 'trusted_certificate ' . $tls->ca . ';');

        load($site, $target, 'warming up', '-q', $site->fresh, '-c',
             4 * $workers);
        push(@targets, $target);
    }

    foreach (1 .. $site->size(6, 1)) {
        sleep($pause);

        foreach my $target (@targets) {
            push(@{ $first{$target->{who}}{one} },
                 first($site, $target, 'far, one question', 1));
        }
    }

    foreach (1 .. $site->size(3, 1)) {
        foreach my $target (@targets) {
            push(@{ $first{$target->{who}}{burst} },
                 first($site, $target, 'far, a burst', $burst));
        }
    }

    return { title => "miss: first chunk, p50, TLS and 40 ms to the provider,"
                 . " $workers workers",
             columns => [ [ who => 'target' ],
                          [ one => "one question every $pause s, ms" ],
                          [ burst => "bursts of $burst, ms" ] ],
             rows => [ map { my $seen = $first{$_->{who}};
                             { who => $_->{who},
                               one => median(@{ $seen->{one} }),
                               burst => median(@{ $seen->{burst} }) } }
                       @targets ] };
}


sub first {
    my ($site, $target, $what, $connections) = @_;
    my $result = load($site, $target, $what, '-q', $site->fresh, '-c',
                      $connections);

    return $result->{first_chunk}{p50};
}


# nginx with TLS and HTTP/2, and a proxy before it that is slow

sub front {
    my ($site) = @_;
    my $tls = Chat::Tls->new($site->subdir('tls'));
    my ($cert, $key) = $tls->signed('provider', 'IP:127.0.0.1');
    my $port = $site->free_port;

    $site->plain('', server => <<"EOT");
        listen 127.0.0.1:$port ssl http2;
        ssl_certificate $cert;
        ssl_certificate_key $key;
EOT

    my $proxy = Chat::Proxy->new(port => $site->free_port, target => $port);

    $proxy->set(latency => $AWAY);
    push(@{ $site->{running} }, $proxy);

    return { tls => $tls, port => $proxy->port };
}


1;
