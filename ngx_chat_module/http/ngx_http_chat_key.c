
#include "ngx_http_chat_key.h"
#include "../codec/ngx_chat_key.h"


#define NGX_HTTP_CHAT_KEY_QUESTION  0
#define NGX_HTTP_CHAT_KEY_CUSTOM    1
#define NGX_HTTP_CHAT_KEY_SCOPED    2


ngx_int_t
ngx_http_chat_key_get(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_uint_t *private)
{
    ngx_chat_tier_key_t       *key;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    *private = 0;

    key = &ctx->key;

    key->kind = NGX_HTTP_CHAT_KEY_QUESTION;
    key->dialect = 0;
    key->key = ctx->question;
    key->fp = chlcf->fp;
    ngx_str_null(&key->scope);

    if (chlcf->cache_key) {
        key->kind = NGX_HTTP_CHAT_KEY_CUSTOM;

        if (ngx_http_complex_value(r, chlcf->cache_key, &key->key) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (key->key.len == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"chat_cache_key\" is empty, the request fails");
        return NGX_ERROR;
    }

    if (chlcf->cache_scope) {
        key->kind = NGX_HTTP_CHAT_KEY_SCOPED;

        if (ngx_http_complex_value(r, chlcf->cache_scope, &key->scope)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* a tenant without a name shares nothing */

        *private = (key->scope.len == 0);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_chat_key_hash(ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_chat_tier_key_t  *key;

    key = &ctx->key;

    switch (key->kind) {

    case NGX_HTTP_CHAT_KEY_QUESTION:
        rc = ngx_chat_key_hash_question(ctx->h, &key->key);
        break;

    case NGX_HTTP_CHAT_KEY_CUSTOM:
        rc = ngx_chat_key_hash_custom(ctx->h, &key->key);
        break;

    default: /* NGX_HTTP_CHAT_KEY_SCOPED */
        rc = ngx_chat_key_hash_scoped(ctx->h, &key->scope, &key->key);
    }

    ctx->hashed = (rc == NGX_OK);

    return rc;
}
