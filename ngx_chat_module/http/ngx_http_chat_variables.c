
#include "ngx_http_chat_variables.h"
#include "ngx_http_chat_ctx.h"


static ngx_int_t ngx_http_chat_variable_str(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_key(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_cache_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_source(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_tier(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_generation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_queue_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_first_chunk(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_chunks(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_chat_variable_bytes(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_chat_variable_set(ngx_http_variable_value_t *v,
    u_char *p, size_t len);
static ngx_int_t ngx_http_chat_variable_none(ngx_http_variable_value_t *v);
static ngx_int_t ngx_http_chat_variable_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_msec_t ms);
static ngx_int_t ngx_http_chat_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, off_t n);


static ngx_http_variable_t  ngx_http_chat_vars[] = {

    { ngx_string("chat_question"), NULL, ngx_http_chat_variable_str,
      offsetof(ngx_http_chat_ctx_t, question), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_key"), NULL, ngx_http_chat_variable_key,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_cache_status"), NULL,
      ngx_http_chat_variable_cache_status,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_source"), NULL, ngx_http_chat_variable_source,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_tier"), NULL, ngx_http_chat_variable_tier,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_generation"), NULL, ngx_http_chat_variable_generation,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_status"), NULL, ngx_http_chat_variable_str,
      offsetof(ngx_http_chat_ctx_t, status), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_error"), NULL, ngx_http_chat_variable_str,
      offsetof(ngx_http_chat_ctx_t, code), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_provider"), NULL, ngx_http_chat_variable_str,
      offsetof(ngx_http_chat_ctx_t, provider), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_model"), NULL, ngx_http_chat_variable_str,
      offsetof(ngx_http_chat_ctx_t, model), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_queue_time"), NULL, ngx_http_chat_variable_queue_time,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_first_chunk_time"), NULL,
      ngx_http_chat_variable_first_chunk,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_chunks"), NULL, ngx_http_chat_variable_chunks,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_bytes"), NULL, ngx_http_chat_variable_bytes,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_str_t  ngx_http_chat_variable_statuses[] = {
    [NGX_HTTP_CHAT_NOTHING] = ngx_null_string,
    [NGX_HTTP_CHAT_HIT] = ngx_string("HIT"),
    [NGX_HTTP_CHAT_STALE] = ngx_string("STALE"),
    [NGX_HTTP_CHAT_MISS] = ngx_string("MISS"),
    [NGX_HTTP_CHAT_JOIN] = ngx_string("JOIN"),
    [NGX_HTTP_CHAT_REFRESH] = ngx_string("MISS"),
    [NGX_HTTP_CHAT_BYPASS] = ngx_string("BYPASS"),
    [NGX_HTTP_CHAT_DIRECT] = ngx_string("DIRECT")
};


static ngx_str_t  ngx_http_chat_variable_sources[] = {
    [NGX_CHAT_CHANNEL_QUEUED] = ngx_string("queued"),
    [NGX_CHAT_CHANNEL_LED] = ngx_string("led"),
    [NGX_CHAT_CHANNEL_DIRECT] = ngx_string("direct"),
    [NGX_CHAT_CHANNEL_HIT] = ngx_string("hit")
};


ngx_int_t
ngx_http_chat_variables_add(ngx_conf_t *cf)
{
    ngx_int_t                   n;
    ngx_uint_t                 *index;
    ngx_http_variable_t        *var, *v;
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    for (v = ngx_http_chat_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;

        /* with an index each has its slot, which can be reset */

        n = ngx_http_get_variable_index(cf, &v->name);
        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        index = ngx_array_push(&chmcf->variables);
        if (index == NULL) {
            return NGX_ERROR;
        }

        *index = n;
    }

    return NGX_OK;
}


void
ngx_http_chat_variables_reset(ngx_http_request_t *r)
{
    ngx_uint_t                  i, *index;
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    index = chmcf->variables.elts;

    for (i = 0; i < chmcf->variables.nelts; i++) {
        r->variables[index[i]].valid = 0;
        r->variables[index[i]].not_found = 0;
    }
}


static ngx_int_t
ngx_http_chat_variable_str(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t            *s;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL) {
        return ngx_http_chat_variable_none(v);
    }

    s = (ngx_str_t *) ((char *) ctx + data);

    if (s->len == 0) {
        return ngx_http_chat_variable_none(v);
    }

    return ngx_http_chat_variable_set(v, s->data, s->len);
}


static ngx_int_t
ngx_http_chat_variable_key(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL || !ctx->hashed) {
        return ngx_http_chat_variable_none(v);
    }

    return ngx_http_chat_variable_set(v, ctx->h, NGX_CHAT_HASH_LEN);
}


static ngx_int_t
ngx_http_chat_variable_cache_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t            *word;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL
        || !ctx->has_result
        || ctx->source == NGX_HTTP_CHAT_NOTHING)
    {
        return ngx_http_chat_variable_none(v);
    }

    word = &ngx_http_chat_variable_statuses[ctx->source];

    return ngx_http_chat_variable_set(v, word->data, word->len);
}


static ngx_int_t
ngx_http_chat_variable_source(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t            *word;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    /* with the name of a generation comes its kind */

    if (ctx == NULL || ctx->id[0] == '\0') {
        return ngx_http_chat_variable_none(v);
    }

    word = &ngx_http_chat_variable_sources[ctx->kind];

    return ngx_http_chat_variable_set(v, word->data, word->len);
}


/* where a hit was found */

static ngx_int_t
ngx_http_chat_variable_tier(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL || !ctx->has_result || ctx->source != NGX_HTTP_CHAT_HIT) {
        return ngx_http_chat_variable_none(v);
    }

    if (ctx->zoned) {
        return ngx_http_chat_variable_set(v, (u_char *) "zone",
                                          sizeof("zone") - 1);
    }

    return ngx_http_chat_variable_set(v, (u_char *) "redis",
                                      sizeof("redis") - 1);
}


static ngx_int_t
ngx_http_chat_variable_generation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               *p, *last;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL || ctx->id[0] == '\0') {
        return ngx_http_chat_variable_none(v);
    }

    p = ngx_pnalloc(r->pool, NGX_CHAT_ID_LEN + 1 + NGX_CHAT_HASH_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_cpymem(p, ctx->id, NGX_CHAT_ID_LEN);
    *last++ = '.';
    last = ngx_cpymem(last, ctx->h, NGX_CHAT_HASH_LEN);

    return ngx_http_chat_variable_set(v, p, last - p);
}


/*
 * How long the question waited: from its asking until it was known where its
 * answer comes from, and a new one was queued.
 */

static ngx_int_t
ngx_http_chat_variable_queue_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL || !ctx->has_result) {
        return ngx_http_chat_variable_none(v);
    }

    return ngx_http_chat_variable_time(r, v, ctx->waited);
}


/* from the same moment until the first chunk was there */

static ngx_int_t
ngx_http_chat_variable_first_chunk(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL || !ctx->has_first_chunk) {
        return ngx_http_chat_variable_none(v);
    }

    return ngx_http_chat_variable_time(r, v, ctx->first_chunk);
}


/* chunks since the last "processing": those that make the answer */

static ngx_int_t
ngx_http_chat_variable_chunks(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL || !ctx->read) {
        return ngx_http_chat_variable_none(v);
    }

    return ngx_http_chat_variable_number(r, v, (off_t) ctx->chunks);
}


/* events as rendered, all of them, before gzip and chunked framing */

static ngx_int_t
ngx_http_chat_variable_bytes(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_chat_ctx_find(r);

    if (ctx == NULL || !ctx->read) {
        return ngx_http_chat_variable_none(v);
    }

    return ngx_http_chat_variable_number(r, v, ctx->bytes);
}


static ngx_int_t
ngx_http_chat_variable_set(ngx_http_variable_value_t *v, u_char *p, size_t len)
{
    v->len = (unsigned) len;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
    v->data = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_variable_none(ngx_http_variable_value_t *v)
{
    v->not_found = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_variable_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_msec_t ms)
{
    u_char  *p, *last;

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "%T.%03M", (time_t) (ms / 1000), ms % 1000);

    return ngx_http_chat_variable_set(v, p, last - p);
}


static ngx_int_t
ngx_http_chat_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, off_t n)
{
    u_char  *p, *last;

    p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "%O", n);

    return ngx_http_chat_variable_set(v, p, last - p);
}
