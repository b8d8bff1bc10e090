
#include "ngx_http_chat_header.h"
#include "ngx_http_chat_variables.h"


static ngx_int_t ngx_http_chat_header_add_generation(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_header_add_cache_status(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);


static ngx_str_t  ngx_http_chat_header_no = ngx_string("no");
static ngx_str_t  ngx_http_chat_header_true = ngx_string("?1");
static ngx_str_t  ngx_http_chat_no_store =
    ngx_string("no-store, no-transform");

static ngx_str_t  ngx_http_chat_header_sources[] = {
    [NGX_HTTP_CHAT_NOTHING] = ngx_null_string,
    [NGX_HTTP_CHAT_HIT] = ngx_string("ngx_chat; hit"),
    [NGX_HTTP_CHAT_STALE] = ngx_string("ngx_chat; hit"),
    [NGX_HTTP_CHAT_MISS] = ngx_string("ngx_chat; fwd=miss"),
    [NGX_HTTP_CHAT_JOIN] = ngx_string("ngx_chat; fwd=miss; collapsed"),
    [NGX_HTTP_CHAT_REFRESH] = ngx_string("ngx_chat; fwd=request"),
    [NGX_HTTP_CHAT_BYPASS] = ngx_string("ngx_chat; fwd=bypass"),
    [NGX_HTTP_CHAT_DIRECT] = ngx_string("ngx_chat; fwd=bypass; detail=direct")
};


ngx_int_t
ngx_http_chat_header_send(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    off_t length)
{
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    /* "add_header" may name variables that had no value until now */

    ngx_http_chat_variables_reset(r);

    /* the answer to a POST: conditions on what a GET would get do not count */

    r->disable_not_modified = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = length;

    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_http_chat_header_add_cache_control(r, &ngx_http_chat_no_store)
        != NGX_OK
        || ngx_http_chat_header_add(r, "X-Accel-Buffering",
                                    &ngx_http_chat_header_no)
           != NGX_OK
        || ngx_http_chat_header_add(r, "Incremental",
                                    &ngx_http_chat_header_true)
           != NGX_OK
        || ngx_http_chat_header_add_generation(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (chlcf->cache_status
        && ngx_http_chat_header_add_cache_status(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_chat_header_add(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value = *value;

    return NGX_OK;
}


ngx_int_t
ngx_http_chat_header_allow(ngx_http_request_t *r, ngx_str_t *allow)
{
    ngx_int_t  rc;

    if (ngx_http_chat_header_add(r, "Allow", allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_OPTIONS) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    return (rc == NGX_OK) ? NGX_HTTP_NO_CONTENT : rc;
}


ngx_int_t
ngx_http_chat_header_add_cache_control(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_table_elt_t   *h;
#if (nginx_version < 1023000)
    ngx_table_elt_t  **ph;
#endif

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "Cache-Control");
    h->value = *value;

#if (nginx_version < 1023000)

    if (r->headers_out.cache_control.elts == NULL
        && ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ph = ngx_array_push(&r->headers_out.cache_control);
    if (ph == NULL) {
        return NGX_ERROR;
    }

    *ph = h;

#else

    h->next = r->headers_out.cache_control;
    r->headers_out.cache_control = h;

#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_chat_header_add_retry(ngx_http_request_t *r, ngx_msec_t seconds)
{
    u_char     *p;
    ngx_str_t   value;

    if (seconds == 0) {
        seconds = 1 + ngx_random() % 5;
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%M", seconds) - p;

    return ngx_http_chat_header_add(r, "Retry-After", &value);
}


static ngx_int_t
ngx_http_chat_header_add_generation(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   value;

    value.len = NGX_CHAT_ID_LEN + 1 + NGX_CHAT_HASH_LEN;
    value.data = ngx_pnalloc(r->pool, value.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, ctx->id, NGX_CHAT_ID_LEN);
    *p++ = '.';
    ngx_memcpy(p, ctx->h, NGX_CHAT_HASH_LEN);

    return ngx_http_chat_header_add(r, "X-Chat-Generation", &value);
}


static ngx_int_t
ngx_http_chat_header_add_cache_status(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx)
{
    u_char      *p, *last;
    ngx_str_t    value;
    const char  *detail;

    value = ngx_http_chat_header_sources[ctx->source];

    if (ctx->kind == NGX_CHAT_CHANNEL_HIT) {

        if (ctx->source == NGX_HTTP_CHAT_STALE) {
            detail = "; detail=stale";

        } else {
            detail = ctx->zoned ? "; detail=zone" : "";
        }

        p = ngx_pnalloc(r->pool, value.len + sizeof("; ttl=") - 1
                                 + NGX_INT64_LEN + ngx_strlen(detail));
        if (p == NULL) {
            return NGX_ERROR;
        }

        last = ngx_cpymem(p, value.data, value.len);

        if (ctx->ttl != NGX_CHAT_ANSWER_NO_TTL) {
            last = ngx_sprintf(last, "; ttl=%L", ctx->ttl);
        }

        value.len = ngx_cpymem(last, detail, ngx_strlen(detail)) - p;
        value.data = p;
    }

    return ngx_http_chat_header_add(r, "Cache-Status", &value);
}
