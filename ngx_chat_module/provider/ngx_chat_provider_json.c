
#include "ngx_chat_provider_json.h"
#include "../codec/ngx_chat_bytes.h"
#include "../codec/ngx_chat_json.h"
#include "../codec/ngx_chat_key.h"
#include "../codec/ngx_chat_str.h"


static ngx_keyval_t *ngx_chat_provider_param(ngx_chat_provider_t *pv,
    const char *name);
static ngx_int_t ngx_chat_provider_prefix(ngx_chat_provider_t *pv,
    ngx_chat_bytes_t *b);
static ngx_int_t ngx_chat_provider_suffix(ngx_chat_provider_t *pv,
    ngx_chat_bytes_t *b);
static ngx_int_t ngx_chat_provider_fp(ngx_chat_provider_t *pv,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_provider_put(ngx_chat_bytes_t *b, const char *s);
static ngx_int_t ngx_chat_provider_put_string(ngx_chat_bytes_t *b,
    ngx_str_t *s);
static ngx_int_t ngx_chat_provider_keep(ngx_chat_bytes_t *b, ngx_str_t *s,
    ngx_pool_t *pool);


static ngx_str_t  ngx_chat_user_prefix =
    ngx_string("{\"role\": \"user\", \"content\": \"");

static ngx_str_t  ngx_chat_user_suffix = ngx_string("\"}");


ngx_int_t
ngx_chat_provider_prepare(ngx_chat_provider_t *pv, ngx_pool_t *pool)
{
    ngx_int_t         rc;
    ngx_chat_bytes_t  b;

    ngx_memzero(&b, sizeof(ngx_chat_bytes_t));

    rc = ngx_chat_provider_prefix(pv, &b);

    if (rc == NGX_OK) {
        rc = ngx_chat_provider_keep(&b, &pv->prefix, pool);
    }

    b.len = 0;

    if (rc == NGX_OK) {
        rc = ngx_chat_provider_suffix(pv, &b);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_provider_keep(&b, &pv->suffix, pool);
    }

    ngx_chat_bytes_free(&b);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_chat_provider_fp(pv, pool);
}


static ngx_int_t
ngx_chat_provider_prefix(ngx_chat_provider_t *pv, ngx_chat_bytes_t *b)
{
    ngx_int_t      rc;
    ngx_keyval_t  *kv;

    if (ngx_chat_provider_put(b, "{\"model\": ") != NGX_OK) {
        return NGX_ERROR;
    }

    kv = ngx_chat_provider_param(pv, "model");

    if (kv) {
        rc = ngx_chat_bytes_append(b, kv->value.data, kv->value.len);

    } else {
        rc = ngx_chat_provider_put_string(b, &pv->model);
    }

    if (rc != NGX_OK
        || ngx_chat_provider_put(b, ", \"messages\": [") != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (pv->system.len == 0) {
        return NGX_OK;
    }

    if (ngx_chat_provider_put(b, "{\"role\": \"system\", \"content\": ")
            != NGX_OK
        || ngx_chat_provider_put_string(b, &pv->system) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_provider_put(b, "}, ");
}


static ngx_int_t
ngx_chat_provider_suffix(ngx_chat_provider_t *pv, ngx_chat_bytes_t *b)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    if (ngx_chat_provider_put(b, "]") != NGX_OK) {
        return NGX_ERROR;
    }

    if (pv->params) {
        kv = pv->params->elts;

        for (i = 0; i < pv->params->nelts; i++) {

            if (ngx_chat_str_is(&kv[i].key, "model")
                || ngx_chat_str_is(&kv[i].key, "messages")
                || ngx_chat_str_is(&kv[i].key, "stream"))
            {
                continue;
            }

            if (ngx_chat_provider_put(b, ", ") != NGX_OK
                || ngx_chat_provider_put_string(b, &kv[i].key) != NGX_OK
                || ngx_chat_provider_put(b, ": ") != NGX_OK
                || ngx_chat_bytes_append(b, kv[i].value.data,
                                         kv[i].value.len)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    if (ngx_chat_provider_put(b, ", \"stream\": true") != NGX_OK) {
        return NGX_ERROR;
    }

    if (!pv->no_usage
        && ngx_chat_provider_param(pv, "stream_options") == NULL
        && ngx_chat_provider_put(b, ", \"stream_options\": "
                                    "{\"include_usage\": true}")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_provider_put(b, "}");
}


static ngx_int_t
ngx_chat_provider_fp(ngx_chat_provider_t *pv, ngx_pool_t *pool)
{
    ngx_str_t     *parts;
    ngx_uint_t     i, n, nparams;
    ngx_keyval_t  *kv;

    nparams = pv->params ? pv->params->nelts : 0;

    parts = ngx_palloc(pool, (3 + 2 * nparams) * sizeof(ngx_str_t));
    if (parts == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    parts[n++] = pv->url;
    parts[n++] = pv->model;
    parts[n++] = pv->system;

    kv = nparams ? pv->params->elts : NULL;

    for (i = 0; i < nparams; i++) {
        parts[n++] = kv[i].key;
        parts[n++] = kv[i].value;
    }

    return ngx_chat_key_hash_parts(pv->fp, NGX_CHAT_FP_LEN, parts, n);
}


static ngx_keyval_t *
ngx_chat_provider_param(ngx_chat_provider_t *pv, const char *name)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    if (pv->params == NULL) {
        return NULL;
    }

    kv = pv->params->elts;

    for (i = 0; i < pv->params->nelts; i++) {
        if (ngx_chat_str_is(&kv[i].key, name)) {
            return &kv[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_chat_provider_put(ngx_chat_bytes_t *b, const char *s)
{
    return ngx_chat_bytes_append(b, s, ngx_strlen(s));
}


static ngx_int_t
ngx_chat_provider_put_string(ngx_chat_bytes_t *b, ngx_str_t *s)
{
    size_t   len;
    u_char  *p;

    len = ngx_chat_json_escaped_len(s->data, s->len) + 2;

    if (ngx_chat_bytes_reserve(b, len) != NGX_OK) {
        return NGX_ERROR;
    }

    p = b->data + b->len;

    *p++ = '"';
    p = ngx_chat_json_escape(p, s->data, s->len);
    *p = '"';

    b->len += len;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_provider_keep(ngx_chat_bytes_t *b, ngx_str_t *s, ngx_pool_t *pool)
{
    s->data = ngx_pnalloc(pool, b->len);
    if (s->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(s->data, b->data, b->len);
    s->len = b->len;

    return NGX_OK;
}


ngx_str_t
ngx_chat_user_message(ngx_str_t *question, ngx_pool_t *pool)
{
    u_char     *p;
    ngx_str_t   message;

    message.len = ngx_chat_user_prefix.len
                  + ngx_chat_json_escaped_len(question->data, question->len)
                  + ngx_chat_user_suffix.len;

    message.data = ngx_pnalloc(pool, message.len);
    if (message.data == NULL) {
        message.len = 0;
        return message;
    }

    p = ngx_cpymem(message.data, ngx_chat_user_prefix.data,
                   ngx_chat_user_prefix.len);
    p = ngx_chat_json_escape(p, question->data, question->len);
    ngx_memcpy(p, ngx_chat_user_suffix.data, ngx_chat_user_suffix.len);

    return message;
}
