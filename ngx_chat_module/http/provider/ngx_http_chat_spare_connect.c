
#include "ngx_http_chat_spare_private.h"


/* of a connection: with its address, and with TLS on it */
#define NGX_HTTP_CHAT_SPARE_POOL      256
#define NGX_HTTP_CHAT_SPARE_TLS_POOL  512


static void ngx_http_chat_spare_connect_resolve_handler(
    ngx_resolver_ctx_t *ctx);
static void ngx_http_chat_spare_connect_next(ngx_http_chat_spare_t *spare);
static ngx_int_t ngx_http_chat_spare_connect_to(ngx_http_chat_spare_t *spare);
static void ngx_http_chat_spare_connect_event_handler(ngx_event_t *ev);
static void ngx_http_chat_spare_connect_secure(ngx_http_chat_spare_t *spare);
static ngx_int_t ngx_http_chat_spare_connect_test(ngx_connection_t *c);
static ngx_int_t ngx_http_chat_spare_connect_init_tls(
    ngx_http_chat_spare_t *spare);
static void ngx_http_chat_spare_connect_tls_handler(ngx_connection_t *c);
static ngx_int_t ngx_http_chat_spare_connect_verify(
    ngx_http_chat_spare_t *spare);
static void ngx_http_chat_spare_connect_fail(ngx_http_chat_spare_t *spare,
    const char *why);
static void ngx_http_chat_spare_connect_report(ngx_http_chat_spare_t *spare,
    const char *why);
static void ngx_http_chat_spare_connect_log_handler(ngx_log_t *log,
    ngx_uint_t level, u_char *buf, size_t len);


ngx_int_t
ngx_http_chat_spare_connect_init(ngx_http_chat_spare_t *spare,
    ngx_pool_t *pool)
{
    ngx_http_chat_provider_upstream_t  *pu;

    pu = spare->provider_upstream;

    spare->log.log_level = NGX_LOG_INFO;
    spare->log.writer = ngx_http_chat_spare_connect_log_handler;
    spare->log.wdata = spare;

    if (pu->literal) {
        return NGX_OK;
    }

    spare->host = ngx_pnalloc(pool, pu->name.len + 1);
    if (spare->host == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(spare->host, pu->name.data, pu->name.len + 1);

    return NGX_OK;
}


void
ngx_http_chat_spare_connect(ngx_http_chat_spare_t *spare)
{
    ngx_resolver_ctx_t  *ctx, temp;

    spare->tried = 0;
    spare->error.len = 0;
    spare->name = spare->provider_upstream->host;

    if (spare->provider_upstream->literal || spare->resolver == NULL) {
        ngx_http_chat_spare_connect_next(spare);
        return;
    }

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));

    temp.name = spare->provider_upstream->name;

    ctx = ngx_resolve_start(spare->resolver, &temp);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_http_chat_spare_connect_next(spare);
        return;
    }

    ctx->name = spare->provider_upstream->name;
    ctx->handler = ngx_http_chat_spare_connect_resolve_handler;
    ctx->data = spare;
    ctx->timeout = spare->provider_upstream->provider->connect_timeout;
    ctx->cancelable = 1;

    spare->resolve = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        spare->resolve = NULL;
        ngx_http_chat_spare_connect_next(spare);
    }
}


/* without an answer those addresses are tried that were known before */

static void
ngx_http_chat_spare_connect_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_http_chat_spare_t  *spare;

    spare = ctx->data;

    spare->resolve = NULL;

    if (ctx->state) {
        ngx_http_chat_spare_connect_report(spare,
                                         ngx_resolver_strerror(ctx->state));

    } else {
        (void) ngx_http_chat_kept_set_addrs(spare->kept, ctx);
    }

    ngx_resolve_name_done(ctx);

    ngx_http_chat_spare_connect_next(spare);
}


/* the addresses in their order, until there is a connection */

static void
ngx_http_chat_spare_connect_next(ngx_http_chat_spare_t *spare)
{
    ngx_int_t  rc;

    while (spare->tried < spare->kept->naddrs && !ngx_exiting) {
        rc = ngx_http_chat_spare_connect_to(spare);

        if (rc == NGX_OK) {
            ngx_http_chat_spare_connect_secure(spare);
            return;
        }

        if (rc == NGX_AGAIN) {
            return;
        }

        ngx_http_chat_spare_connect_report(spare, "no memory");
        ngx_http_chat_spare_cancel(spare);
    }

    spare->handler(spare, NGX_ERROR);
}


static ngx_int_t
ngx_http_chat_spare_connect_to(ngx_http_chat_spare_t *spare)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_resolver_addr_t    *addr;
    ngx_peer_connection_t  *pc;

    addr = &spare->kept->addrs[spare->tried++];
    pc = &spare->peer;

    spare->error.len = 0;

    ngx_memcpy(&spare->sockaddr, addr->sockaddr, addr->socklen);
    ngx_inet_set_port(&spare->sockaddr.sockaddr,
                      spare->provider_upstream->port);

    spare->name.data = spare->text;
    spare->name.len = ngx_sock_ntop(&spare->sockaddr.sockaddr, addr->socklen,
                                    spare->text, NGX_SOCKADDR_STRLEN, 1);

    ngx_memzero(pc, sizeof(ngx_peer_connection_t));

    pc->sockaddr = &spare->sockaddr.sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &spare->name;
    pc->get = ngx_event_get_peer;
    pc->so_keepalive = 1;
    pc->log = &spare->log;
    pc->log_error = NGX_ERROR_INFO;

    rc = ngx_event_connect_peer(pc);

    if (rc == NGX_ERROR || rc == NGX_DECLINED) {
        return rc;
    }

    c = pc->connection;

    c->data = spare;
    c->read->handler = ngx_http_chat_spare_connect_event_handler;
    c->write->handler = ngx_http_chat_spare_connect_event_handler;

    c->pool = ngx_create_pool(spare->provider_upstream->ssl
                              ? NGX_HTTP_CHAT_SPARE_TLS_POOL
                              : NGX_HTTP_CHAT_SPARE_POOL, &spare->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }

    /* a worker that is to exit does not wait for it */

    c->write->cancelable = 1;

    ngx_add_timer(c->write,
                  spare->provider_upstream->provider->connect_timeout);

    return rc;
}


static void
ngx_http_chat_spare_connect_event_handler(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_chat_spare_t  *spare;

    c = ev->data;
    spare = c->data;

    if (ev->timedout) {
        ngx_http_chat_spare_connect_fail(spare, "connect_timeout");
        return;
    }

    ngx_http_chat_spare_connect_secure(spare);
}


static void
ngx_http_chat_spare_connect_secure(ngx_http_chat_spare_t *spare)
{
    ngx_connection_t  *c;

    c = spare->peer.connection;

    if (ngx_http_chat_spare_connect_test(c) != NGX_OK) {
        ngx_http_chat_spare_connect_fail(spare, "it cannot be connected to");
        return;
    }

    if (!spare->provider_upstream->ssl) {
        spare->handler(spare, NGX_OK);
        return;
    }

    if (ngx_http_chat_spare_connect_init_tls(spare) != NGX_OK) {
        ngx_http_chat_spare_connect_fail(spare, "no memory");
        return;
    }

    if (ngx_ssl_handshake(c) == NGX_AGAIN) {
        c->ssl->handler = ngx_http_chat_spare_connect_tls_handler;
        return;
    }

    ngx_http_chat_spare_connect_tls_handler(c);
}


static ngx_int_t
ngx_http_chat_spare_connect_test(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* as nginx does for calls */

static ngx_int_t
ngx_http_chat_spare_connect_init_tls(ngx_http_chat_spare_t *spare)
{
    ngx_connection_t  *c;

    c = spare->peer.connection;

    if (ngx_ssl_create_connection(spare->provider_upstream->upstream.ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    c->sendfile = 0;

    if (spare->host
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) spare->host)
           == 0)
    {
        return NGX_ERROR;
    }

    if (ngx_http_chat_kept_set_session(spare->kept, c) != NGX_OK) {
        return NGX_ERROR;
    }

    /* an abbreviated handshake may interact badly with Nagle */

    return ngx_tcp_nodelay(c);
}


static void
ngx_http_chat_spare_connect_tls_handler(ngx_connection_t *c)
{
    ngx_http_chat_spare_t  *spare;

    spare = c->data;

    if (c->write->timedout) {
        ngx_http_chat_spare_connect_fail(spare, "connect_timeout");
        return;
    }

    if (!c->ssl->handshaked) {
        ngx_http_chat_spare_connect_fail(spare, "the TLS handshake failed");
        return;
    }

    if (ngx_http_chat_spare_connect_verify(spare) != NGX_OK) {
        ngx_http_chat_spare_connect_fail(spare, "the certificate is refused");
        return;
    }

    spare->handler(spare, NGX_OK);
}


static ngx_int_t
ngx_http_chat_spare_connect_verify(ngx_http_chat_spare_t *spare)
{
    ngx_connection_t                   *c;
    ngx_http_chat_provider_upstream_t  *pu;

    c = spare->peer.connection;
    pu = spare->provider_upstream;

    /* an address was compared in the handshake */

    if (!pu->upstream.ssl_verify) {
        return NGX_OK;
    }

    if (SSL_get_verify_result(c->ssl->connection) != X509_V_OK) {
        return NGX_ERROR;
    }

    return ngx_ssl_check_host(c, &pu->name);
}


static void
ngx_http_chat_spare_connect_fail(ngx_http_chat_spare_t *spare, const char *why)
{
    ngx_http_chat_spare_connect_report(spare, why);
    ngx_http_chat_spare_cancel(spare);
    ngx_http_chat_spare_connect_next(spare);
}


static void
ngx_http_chat_spare_connect_report(ngx_http_chat_spare_t *spare,
    const char *why)
{
    ngx_str_t  text;

    text = spare->error;

    if (text.len == 0) {
        text.data = (u_char *) why;
        text.len = ngx_strlen(why);
    }

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "chat provider \"%V\": no spare connection to \"%V\": %V",
                  &spare->provider_upstream->provider->name, &spare->name,
                  &text);
}


ngx_uint_t
ngx_http_chat_spare_is_connecting(ngx_http_chat_spare_t *spare)
{
    return spare->resolve || spare->peer.connection;
}


void
ngx_http_chat_spare_cancel(ngx_http_chat_spare_t *spare)
{
    ngx_connection_t  *c;

    if (spare->resolve) {
        ngx_resolve_name_done(spare->resolve);
        spare->resolve = NULL;
    }

    c = spare->peer.connection;

    if (c == NULL) {
        return;
    }

    spare->peer.connection = NULL;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

    if (c->pool) {
        ngx_destroy_pool(c->pool);
    }

    ngx_close_connection(c);
}


/* nginx's lines on a connection in the making become a part of ours */

static void
ngx_http_chat_spare_connect_log_handler(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len)
{
    u_char                 *p, *last;
    ngx_http_chat_spare_t  *spare;

    spare = log->wdata;

    if (spare->error.len) {
        return;
    }

    last = buf + len;

    while (last > buf && last[-1] <= ' ') {
        last--;
    }

    p = ngx_strnstr(buf, ": ", last - buf);
    p = p ? p + 2 : buf;

    spare->error.len = ngx_min((size_t) (last - p),
                               NGX_HTTP_CHAT_SPARE_ERROR);
    spare->error.data = spare->errbuf;

    ngx_memcpy(spare->errbuf, p, spare->error.len);
}
