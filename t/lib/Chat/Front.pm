package Chat::Front;

# A provider behind TLS: nginx in front of it.
#
#     my $front = tls_front($provider, $cert, $key, listen => 'http2',
#         lines => 'ssl_protocols TLSv1.2;');
#
#     url_of($front, 'localhost');
#     my @seen = seen($front, 3);

use warnings;
use strict;

use Exporter qw(import);

use Chat::Test;

our @EXPORT = qw(tls_front seen url_of);


# listen: parameters of "listen"; lines: more lines of the server

sub tls_front {
    my ($provider, $cert, $key, %opt) = @_;
    my $port = $provider->port;
    my $listen = $opt{listen} // '';
    my $lines = $opt{lines} // 'ssl_protocols TLSv1.2 TLSv1.3;';

    return start_nginx(workers => 1, http => <<'EOT', servers => <<"EOT");
    log_format tls '$server_protocol $ssl_protocol $connection '
                   '$connection_requests $ssl_server_name. $status '
                   '$ssl_session_reused';
EOT
    upstream provider {
        server 127.0.0.1:$port;
    }

    server {
        listen 127.0.0.1:%%PORT%% ssl $listen;
        ssl_certificate $cert;
        ssl_certificate_key $key;
        access_log %%DIR%%/tls.log tls;
        client_max_body_size 4m;
        $lines

        location / {
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_read_timeout 60s;
        }
    }
EOT
}


# What it has seen: [protocol, TLS, connection, request on it, SNI, status,
# "r" where the session was resumed].
# A request is logged a moment after its answer: with a count, when there are
# so many.

sub seen {
    my ($front, $count) = @_;
    my @lines;

    wait_for {
        @lines = split(/\n/, read_file($front->dir . '/tls.log'));
        @lines >= ($count || 0);
    } 5, 'requests in the log';

    return map { [ split(/ /) ] } @lines;
}


sub url_of {
    my ($front, $host) = @_;

    return 'https://' . ($host // '127.0.0.1') . ':' . $front->port . '/v1';
}


1;
