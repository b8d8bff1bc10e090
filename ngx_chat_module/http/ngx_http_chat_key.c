
#include "ngx_http_chat_key.h"
#include "../codec/ngx_chat_key.h"


ngx_int_t
ngx_http_chat_key_set(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_uint_t *private)
{
    ngx_int_t                  rc;
    ngx_str_t                  key, scope;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    *private = 0;

    key = ctx->question;

    if (chlcf->cache_key
        && ngx_http_complex_value(r, chlcf->cache_key, &key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"chat_cache_key\" is empty, the request fails");
        return NGX_ERROR;
    }

    if (chlcf->cache_scope) {

        if (ngx_http_complex_value(r, chlcf->cache_scope, &scope) != NGX_OK) {
            return NGX_ERROR;
        }

        /* a tenant without a name shares nothing */

        *private = (scope.len == 0);

        rc = ngx_chat_key_hash_scoped(ctx->h, &scope, &key);

    } else if (chlcf->cache_key) {
        rc = ngx_chat_key_hash_custom(ctx->h, &key);

    } else {
        rc = ngx_chat_key_hash_question(ctx->h, &key);
    }

    ctx->hashed = (rc == NGX_OK);

    return rc;
}
