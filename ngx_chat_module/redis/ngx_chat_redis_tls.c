
#include "ngx_chat_redis_tls.h"
#include "ngx_chat_redis_conn.h"


#define NGX_CHAT_REDIS_TLS_POOL  2048


static ngx_int_t ngx_chat_redis_tls_load(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_chat_tls_t *tls);
static ngx_int_t ngx_chat_redis_tls_load_certificate(ngx_conf_t *cf,
    ngx_ssl_t *ssl, ngx_chat_tls_t *tls);
static int ngx_chat_redis_tls_cert_handler(SSL *ssl, void *data);
static ngx_int_t ngx_chat_redis_tls_create_connection(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_tls_set_name(ngx_chat_redis_t *rd, SSL *ssl);
static void ngx_chat_redis_tls_handshake_handler(ngx_connection_t *c);
static void ngx_chat_redis_tls_fail(ngx_chat_redis_t *rd);
static void ngx_chat_redis_tls_log_handler(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);


ngx_ssl_t *
ngx_chat_redis_tls_create(ngx_conf_t *cf, ngx_chat_tls_t *tls)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NULL;
    }

    ssl->log = cf->log;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    if (ngx_ssl_create(ssl, tls->protocols, NULL) != NGX_OK) {
        return NULL;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    SSL_CTX_set_cert_cb(ssl->ctx, ngx_chat_redis_tls_cert_handler, NULL);

    /* pending output moves in memory as more is added, and goes in parts */

    SSL_CTX_set_mode(ssl->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                               |SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    if (ngx_chat_redis_tls_load(cf, ssl, tls) != NGX_OK) {
        return NULL;
    }

    /*
     * A certificate that is refused ends the handshake: nothing of ours is
     * sent to a server that nobody can vouch for, not even who we are.
     */

    SSL_CTX_set_verify(ssl->ctx, tls->verify ? SSL_VERIFY_PEER
                                             : SSL_VERIFY_NONE,
                       NULL);

    return ssl;
}


static ngx_int_t
ngx_chat_redis_tls_load(ngx_conf_t *cf, ngx_ssl_t *ssl, ngx_chat_tls_t *tls)
{
    if (ngx_ssl_trusted_certificate(cf, ssl, &tls->trusted_certificate,
                                    tls->verify_depth)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat_redis_ssl_trusted_certificate\" is not usable");
        return NGX_ERROR;
    }

    if (tls->trusted_certificate.len == 0
        && SSL_CTX_set_default_verify_paths(ssl->ctx) != 1)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "the system's CA certificates, the default of "
                      "\"chat_redis_ssl_trusted_certificate\", are not "
                      "usable");
        return NGX_ERROR;
    }

    if (tls->certificate.len == 0) {

        if (tls->certificate_key.len) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"chat_redis_ssl_certificate_key\" without "
                          "\"chat_redis_ssl_certificate\"");
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    return ngx_chat_redis_tls_load_certificate(cf, ssl, tls);
}


static ngx_int_t
ngx_chat_redis_tls_load_certificate(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_chat_tls_t *tls)
{
    ngx_str_t    *empty;
    ngx_array_t  *passwords;

    if (tls->certificate_key.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat_redis_ssl_certificate\" without "
                      "\"chat_redis_ssl_certificate_key\"");
        return NGX_ERROR;
    }

    /* without any OpenSSL would ask the terminal */

    passwords = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (passwords == NULL) {
        return NGX_ERROR;
    }

    empty = ngx_array_push(passwords);
    ngx_str_set(empty, "");

    if (ngx_ssl_certificate(cf, ssl, &tls->certificate, &tls->certificate_key,
                            passwords)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat_redis_ssl_certificate\" is not usable with "
                      "\"chat_redis_ssl_certificate_key\"");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* a server may ask for a certificate, and then do without or refuse */

static int
ngx_chat_redis_tls_cert_handler(SSL *ssl, void *data)
{
    ngx_connection_t  *c;
    ngx_chat_redis_t  *rd;

    c = ngx_ssl_get_connection(ssl);
    rd = c->data;

    rd->cert_requested = 1;

    return 1;
}


void
ngx_chat_redis_tls_start(ngx_chat_redis_t *rd)
{
    ngx_connection_t  *c;

    rd->cert_requested = 0;

    if (ngx_chat_redis_tls_create_connection(rd) != NGX_OK) {
        rd->handlers->lost(rd, NGX_CHAT_REDIS_NO_MEMORY, 0, "no memory");
        return;
    }

    c = rd->peer.connection;

    if (ngx_ssl_handshake(c) == NGX_AGAIN) {
        c->ssl->handler = ngx_chat_redis_tls_handshake_handler;
        return;
    }

    ngx_chat_redis_tls_handshake_handler(c);
}


static ngx_int_t
ngx_chat_redis_tls_create_connection(ngx_chat_redis_t *rd)
{
    ngx_log_t         *log;
    ngx_connection_t  *c;

    c = rd->peer.connection;

    c->pool = ngx_create_pool(NGX_CHAT_REDIS_TLS_POOL, rd->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }

    /*
     * nginx logs what fails in OpenSSL itself, at each attempt: it becomes a
     * part of the one line of this client.
     */

    log = &rd->tls_log;

    ngx_memzero(log, sizeof(ngx_log_t));

    log->log_level = NGX_LOG_INFO;
    log->writer = ngx_chat_redis_tls_log_handler;
    log->wdata = rd;

    c->log = log;
    c->log_error = NGX_ERROR_INFO;

    if (ngx_ssl_create_connection(rd->conf->ssl, c, NGX_SSL_CLIENT) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_redis_tls_set_name(rd, c->ssl->connection);
}


/* both are checked in the handshake; an address is no name to ask for */

static ngx_int_t
ngx_chat_redis_tls_set_name(ngx_chat_redis_t *rd, SSL *ssl)
{
    int                 rc;
    ngx_str_t          *name;
    X509_VERIFY_PARAM  *param;

    name = rd->conf->tls_name.len ? &rd->conf->tls_name : rd->host;
    param = SSL_get0_param(ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, (char *) name->data) == 1) {

        if (rd->conf->tls_any_name) {
            (void) X509_VERIFY_PARAM_set1_ip(param, NULL, 0);
        }

        return NGX_OK;
    }

    ERR_clear_error();

    rc = rd->conf->tls_any_name
         ? 1
         : X509_VERIFY_PARAM_set1_host(param, (char *) name->data, name->len);

    if (rc == 1) {
        rc = SSL_set_tlsext_host_name(ssl, (char *) name->data);
    }

    if (rc != 1) {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_chat_redis_tls_handshake_handler(ngx_connection_t *c)
{
    ngx_chat_redis_t  *rd;

    rd = c->data;

    if (!c->ssl->handshaked) {
        ngx_chat_redis_tls_fail(rd);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis tls: %s, %s",
                   SSL_get_version(c->ssl->connection),
                   SSL_get_cipher_name(c->ssl->connection));

    rd->secured(rd);
}


static void
ngx_chat_redis_tls_fail(ngx_chat_redis_t *rd)
{
    long               result;
    SSL               *ssl;
    u_char            *p, text[NGX_CHAT_REDIS_MAX_ERRMSG];
    ngx_str_t          s;
    const char        *why;

    why = rd->cert_requested
          ? "the TLS handshake failed after the server has asked for a client "
            "certificate"
          : "the TLS handshake failed";

    ssl = rd->peer.connection->ssl->connection;
    result = SSL_get_verify_result(ssl);

    if (result != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
        why = "the server's certificate is refused";

        p = ngx_slprintf(text, text + sizeof(text), "%s",
                         X509_verify_cert_error_string(result));

        if (result == X509_V_ERR_HOSTNAME_MISMATCH
            || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
        {
            p = ngx_slprintf(p, text + sizeof(text), " with %V",
                             rd->conf->tls_name.len ? &rd->conf->tls_name
                                                    : rd->host);
        }

        s.data = text;
        s.len = p - text;

        ngx_chat_redis_set_errmsg(rd, &s);
    }

    rd->handlers->lost(rd, NGX_CHAT_REDIS_UNTRUSTED, 0, why);
}


void
ngx_chat_redis_tls_shutdown(ngx_connection_t *c)
{
    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {

            /* no room for it in the socket: the other side will do without */

            c->timedout = 1;
            (void) ngx_ssl_shutdown(c);
        }
    }

    if (c->pool) {
        ngx_destroy_pool(c->pool);
        c->pool = NULL;
    }
}


/* "... [info] 1#1: SSL_read() failed (SSL: error...)" without its beginning */

static void
ngx_chat_redis_tls_log_handler(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    u_char            *p, *last;
    ngx_str_t          s;
    ngx_chat_redis_t  *rd;

    rd = log->wdata;

    last = buf + len;

    while (last > buf && last[-1] <= ' ') {
        last--;
    }

    p = ngx_strnstr(buf, ": ", last - buf);

    s.data = p ? p + 2 : buf;
    s.len = last - s.data;

    if (level <= NGX_LOG_ALERT) {
        ngx_log_error(level, rd->log, 0, "chat redis %V, %s: %V",
                      &rd->conf->name, rd->role, &s);
        return;
    }

    ngx_chat_redis_set_errmsg(rd, &s);
}
