
#include "ngx_http_chat_provider_upstream_private.h"
#include "ngx_http_chat_kept.h"


/* of a chain of certificates */
#define NGX_HTTP_CHAT_PROVIDER_UPSTREAM_DEPTH  9


static ngx_int_t ngx_http_chat_provider_upstream_verify(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu);


ngx_int_t
ngx_http_chat_provider_upstream_init_tls(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu)
{
    ngx_ssl_t           *ssl;
    ngx_str_t            ciphers;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, pu)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    ngx_str_set(&ciphers, "DEFAULT");

    if (ngx_ssl_ciphers(cf, ssl, &ciphers, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    pu->upstream.ssl = ssl;
    pu->upstream.ssl_server_name = 1;
    pu->upstream.ssl_verify = 1;

    ngx_http_chat_kept_init_tls(pu);

    return ngx_http_chat_provider_upstream_verify(cf, pu);
}


static ngx_int_t
ngx_http_chat_provider_upstream_verify(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu)
{
    u_char     *p;
    SSL_CTX    *ctx;
    ngx_str_t   file, address;

    ctx = pu->upstream.ssl->ctx;

    file = pu->provider->trusted_certificate;

    if (file.len) {

        if (ngx_ssl_trusted_certificate(cf, pu->upstream.ssl, &file,
                                        NGX_HTTP_CHAT_PROVIDER_UPSTREAM_DEPTH)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (SSL_CTX_set_default_verify_paths(ctx) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    SSL_CTX_set_verify_depth(ctx, NGX_HTTP_CHAT_PROVIDER_UPSTREAM_DEPTH);

    if (!pu->literal) {
        return NGX_OK;
    }

    /* nginx compares names alone: the address of a certificate is OpenSSL's */

    address = pu->name;

    if (address.data[0] == '[') {
        address.data++;
        address.len -= 2;
    }

    p = ngx_pnalloc(cf->pool, address.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(p, address.data, address.len + 1);

    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(ctx), (char *) p)
        == 0)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "X509_VERIFY_PARAM_set1_ip_asc(\"%s\") failed", p);
        return NGX_ERROR;
    }

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);

    pu->upstream.ssl_verify = 0;

    return NGX_OK;
}
