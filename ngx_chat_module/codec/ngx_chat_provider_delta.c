
#include "ngx_chat_provider_json.h"
#include "ngx_chat_json.h"

#include <yajl/yajl_parse.h>


#define NGX_CHAT_DELTA_DEPTH       4       /* of the deepest path wanted */
#define NGX_CHAT_DELTA_FINISH_MAX  32
#define NGX_CHAT_DELTA_CODE_MAX    9       /* digits */


/* a key of an object, or an element of an array, in four bits */

enum {
    ngx_chat_delta_key_other = 1,
    ngx_chat_delta_key_element,
    ngx_chat_delta_key_choices,
    ngx_chat_delta_key_index,
    ngx_chat_delta_key_delta,
    ngx_chat_delta_key_content,
    ngx_chat_delta_key_reasoning,
    ngx_chat_delta_key_finish,
    ngx_chat_delta_key_model,
    ngx_chat_delta_key_usage,
    ngx_chat_delta_key_object,
    ngx_chat_delta_key_error,
    ngx_chat_delta_key_message,
    ngx_chat_delta_key_code,
    ngx_chat_delta_key_status
};


/* a path: the keys from the top down, which are never 0 */

enum {
    ngx_chat_delta_model = ngx_chat_delta_key_model,
    ngx_chat_delta_usage = ngx_chat_delta_key_usage,
    ngx_chat_delta_object = ngx_chat_delta_key_object,
    ngx_chat_delta_message = ngx_chat_delta_key_message,
    ngx_chat_delta_code = ngx_chat_delta_key_code,
    ngx_chat_delta_status = ngx_chat_delta_key_status,
    ngx_chat_delta_error = ngx_chat_delta_key_error,

    ngx_chat_delta_error_message = ngx_chat_delta_error << 4
                                   | ngx_chat_delta_key_message,

    ngx_chat_delta_error_code = ngx_chat_delta_error << 4
                                | ngx_chat_delta_key_code,

    ngx_chat_delta_error_status = ngx_chat_delta_error << 4
                                  | ngx_chat_delta_key_status,

    ngx_chat_delta_choice = ngx_chat_delta_key_choices << 4
                            | ngx_chat_delta_key_element,

    ngx_chat_delta_index = ngx_chat_delta_choice << 4
                           | ngx_chat_delta_key_index,

    ngx_chat_delta_finish = ngx_chat_delta_choice << 4
                            | ngx_chat_delta_key_finish,

    ngx_chat_delta_content = ngx_chat_delta_choice << 8
                             | ngx_chat_delta_key_delta << 4
                             | ngx_chat_delta_key_content,

    ngx_chat_delta_reasoning = ngx_chat_delta_choice << 8
                               | ngx_chat_delta_key_delta << 4
                               | ngx_chat_delta_key_reasoning
};


typedef struct {
    ngx_str_t             name;
    ngx_uint_t            key;
} ngx_chat_delta_name_t;


typedef struct {
    ngx_str_t             text;
    ngx_str_t             finish;
    unsigned              reasoning:1;
    unsigned              ignored:1;       /* its index is not 0 */
} ngx_chat_delta_choice_t;


typedef struct {
    ngx_chat_delta_t         *delta;
    ngx_str_t                *data;
    ngx_pool_t               *pool;
    yajl_handle               handle;

    ngx_uint_t                keys[NGX_CHAT_JSON_DEPTH];
    ngx_uint_t                depth;

    ngx_chat_delta_choice_t   choice;
    size_t                    usage;       /* where it starts */

    /* of an error, beside its object or without one */
    ngx_str_t                 message;
    ngx_uint_t                code;

    unsigned                  is_object:1;
    unsigned                  has_choice:1;
} ngx_chat_delta_ctx_t;


static ngx_str_t ngx_chat_delta_trim(ngx_str_t *data);

static int ngx_chat_delta_on_number(void *data, const char *p, size_t len);
static int ngx_chat_delta_on_string(void *data, const u_char *p, size_t len);
static int ngx_chat_delta_on_start_map(void *data);
static int ngx_chat_delta_on_key(void *data, const u_char *p, size_t len);
static int ngx_chat_delta_on_end_map(void *data);
static int ngx_chat_delta_on_start_array(void *data);
static int ngx_chat_delta_on_end_array(void *data);

static ngx_uint_t ngx_chat_delta_path(ngx_chat_delta_ctx_t *ctx);
static int ngx_chat_delta_nest(ngx_chat_delta_ctx_t *ctx, ngx_uint_t key);
static int ngx_chat_delta_keep(ngx_chat_delta_ctx_t *ctx, ngx_str_t *s,
    const u_char *p, size_t len);
static int ngx_chat_delta_keep_finish(ngx_chat_delta_ctx_t *ctx,
    const u_char *p, size_t len);
static ngx_uint_t ngx_chat_delta_number(const char *p, size_t len);


static const yajl_callbacks  ngx_chat_delta_callbacks = {
    NULL,                          /* null */
    NULL,                          /* boolean */
    NULL,                          /* integer */
    NULL,                          /* double */
    ngx_chat_delta_on_number,
    ngx_chat_delta_on_string,
    ngx_chat_delta_on_start_map,
    ngx_chat_delta_on_key,
    ngx_chat_delta_on_end_map,
    ngx_chat_delta_on_start_array,
    ngx_chat_delta_on_end_array
};


static ngx_chat_delta_name_t  ngx_chat_delta_names[] = {
    { ngx_string("choices"), ngx_chat_delta_key_choices },
    { ngx_string("index"), ngx_chat_delta_key_index },
    { ngx_string("delta"), ngx_chat_delta_key_delta },
    { ngx_string("content"), ngx_chat_delta_key_content },
    { ngx_string("reasoning_content"), ngx_chat_delta_key_reasoning },
    { ngx_string("reasoning"), ngx_chat_delta_key_reasoning },
    { ngx_string("finish_reason"), ngx_chat_delta_key_finish },
    { ngx_string("model"), ngx_chat_delta_key_model },
    { ngx_string("usage"), ngx_chat_delta_key_usage },
    { ngx_string("object"), ngx_chat_delta_key_object },
    { ngx_string("error"), ngx_chat_delta_key_error },
    { ngx_string("message"), ngx_chat_delta_key_message },
    { ngx_string("code"), ngx_chat_delta_key_code },
    { ngx_string("status"), ngx_chat_delta_key_status },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_chat_delta_parse(ngx_chat_delta_t *d, ngx_str_t *data, ngx_pool_t *pool)
{
    ngx_str_t             text;
    ngx_chat_delta_ctx_t  ctx;

    ngx_memzero(d, sizeof(ngx_chat_delta_t));

    text = ngx_chat_delta_trim(data);

    if (text.len == 0) {
        return NGX_OK;
    }

    if (text.len == sizeof("[DONE]") - 1
        && ngx_memcmp(text.data, "[DONE]", sizeof("[DONE]") - 1) == 0)
    {
        return NGX_DONE;
    }

    ngx_memzero(&ctx, sizeof(ngx_chat_delta_ctx_t));

    ctx.delta = d;
    ctx.data = data;
    ctx.pool = pool;

    ctx.handle = yajl_alloc(&ngx_chat_delta_callbacks, NULL, &ctx);
    if (ctx.handle == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_json_run(ctx.handle, data->data, data->len) != NGX_OK
        || !ctx.is_object)
    {
        return NGX_ERROR;
    }

    if (d->is_error) {

        if (d->error.len == 0) {
            d->error = ctx.message;
        }

        if (d->error_code == 0) {
            d->error_code = ctx.code;
        }
    }

    return NGX_OK;
}


static ngx_str_t
ngx_chat_delta_trim(ngx_str_t *data)
{
    u_char     *p;
    ngx_str_t   s;

    s = *data;

    while (s.len) {
        p = s.data;

        if (*p != ' ' && *p != '\t' && *p != CR && *p != LF) {
            break;
        }

        s.data++;
        s.len--;
    }

    while (s.len) {
        p = &s.data[s.len - 1];

        if (*p != ' ' && *p != '\t' && *p != CR && *p != LF) {
            break;
        }

        s.len--;
    }

    return s;
}


static int
ngx_chat_delta_on_number(void *data, const char *p, size_t len)
{
    ngx_chat_delta_ctx_t  *ctx = data;

    switch (ngx_chat_delta_path(ctx)) {

    case ngx_chat_delta_index:
        ctx->choice.ignored = (len != 1 || *p != '0');
        break;

    case ngx_chat_delta_error_code:
        ctx->delta->error_code = ngx_chat_delta_number(p, len);
        break;

    case ngx_chat_delta_error_status:
    case ngx_chat_delta_code:
    case ngx_chat_delta_status:
        ctx->code = ngx_chat_delta_number(p, len);
        break;

    default:
        break;
    }

    return 1;
}


static int
ngx_chat_delta_on_string(void *data, const u_char *p, size_t len)
{
    ngx_chat_delta_ctx_t  *ctx = data;

    if (len == 0) {
        return 1;
    }

    switch (ngx_chat_delta_path(ctx)) {

    case ngx_chat_delta_content:
        return ngx_chat_delta_keep(ctx, &ctx->choice.text, p, len);

    case ngx_chat_delta_reasoning:
        ctx->choice.reasoning = 1;
        return 1;

    case ngx_chat_delta_finish:
        return ngx_chat_delta_keep_finish(ctx, p, len);

    case ngx_chat_delta_model:
        return ngx_chat_delta_keep(ctx, &ctx->delta->model, p, len);

    case ngx_chat_delta_error:
        ctx->delta->is_error = 1;

        /* fall through */

    case ngx_chat_delta_error_message:
        return ngx_chat_delta_keep(ctx, &ctx->delta->error, p, len);

    case ngx_chat_delta_message:
        return ngx_chat_delta_keep(ctx, &ctx->message, p, len);

    case ngx_chat_delta_object:
        if (len == sizeof("error") - 1
            && ngx_memcmp(p, "error", sizeof("error") - 1) == 0)
        {
            ctx->delta->is_error = 1;
        }

        return 1;

    default:
        return 1;
    }
}


static int
ngx_chat_delta_on_start_map(void *data)
{
    ngx_chat_delta_ctx_t  *ctx = data;

    if (ctx->depth == 0) {
        ctx->is_object = 1;
    }

    switch (ngx_chat_delta_path(ctx)) {

    case ngx_chat_delta_usage:
        ctx->usage = yajl_get_bytes_consumed(ctx->handle) - 1;
        break;

    case ngx_chat_delta_choice:
        ngx_memzero(&ctx->choice, sizeof(ngx_chat_delta_choice_t));
        break;

    case ngx_chat_delta_error:
        ctx->delta->is_error = 1;
        break;

    default:
        break;
    }

    return ngx_chat_delta_nest(ctx, ngx_chat_delta_key_other);
}


static int
ngx_chat_delta_on_key(void *data, const u_char *p, size_t len)
{
    ngx_uint_t              key;
    ngx_chat_delta_ctx_t   *ctx = data;
    ngx_chat_delta_name_t  *name;

    key = ngx_chat_delta_key_other;

    for (name = ngx_chat_delta_names; name->name.len; name++) {

        if (name->name.len == len
            && ngx_memcmp(name->name.data, p, len) == 0)
        {
            key = name->key;
            break;
        }
    }

    ctx->keys[ctx->depth - 1] = key;

    return 1;
}


static int
ngx_chat_delta_on_end_map(void *data)
{
    ngx_chat_delta_t      *d;
    ngx_chat_delta_ctx_t  *ctx = data;

    d = ctx->delta;

    ctx->depth--;

    switch (ngx_chat_delta_path(ctx)) {

    case ngx_chat_delta_usage:
        d->usage.data = ctx->data->data + ctx->usage;
        d->usage.len = yajl_get_bytes_consumed(ctx->handle) - ctx->usage;
        break;

    case ngx_chat_delta_choice:
        if (ctx->choice.ignored || ctx->has_choice) {
            break;
        }

        ctx->has_choice = 1;

        d->text = ctx->choice.text;
        d->finish = ctx->choice.finish;
        d->reasoning = ctx->choice.reasoning;

        break;

    default:
        break;
    }

    return 1;
}


static int
ngx_chat_delta_on_start_array(void *data)
{
    return ngx_chat_delta_nest(data, ngx_chat_delta_key_element);
}


static int
ngx_chat_delta_on_end_array(void *data)
{
    ngx_chat_delta_ctx_t  *ctx = data;

    ctx->depth--;

    return 1;
}


/* where the value at hand stands, 0 if nothing is wanted so deep */

static ngx_uint_t
ngx_chat_delta_path(ngx_chat_delta_ctx_t *ctx)
{
    ngx_uint_t  i, path;

    if (ctx->depth > NGX_CHAT_DELTA_DEPTH) {
        return 0;
    }

    path = 0;

    for (i = 0; i < ctx->depth; i++) {
        path = path << 4 | ctx->keys[i];
    }

    return path;
}


static int
ngx_chat_delta_nest(ngx_chat_delta_ctx_t *ctx, ngx_uint_t key)
{
    if (ctx->depth == NGX_CHAT_JSON_DEPTH) {
        return 0;
    }

    ctx->keys[ctx->depth++] = key;

    return 1;
}


static int
ngx_chat_delta_keep(ngx_chat_delta_ctx_t *ctx, ngx_str_t *s, const u_char *p,
    size_t len)
{
    u_char  *start, *end;

    start = ctx->data->data;
    end = start + ctx->data->len;

    /* without escapes yajl points into its input */

    if (p >= start && p < end) {
        s->data = start + (p - start);
        s->len = len;

        return 1;
    }

    s->data = ngx_pnalloc(ctx->pool, len);
    if (s->data == NULL) {
        return 0;
    }

    ngx_memcpy(s->data, p, len);
    s->len = len;

    return 1;
}


static int
ngx_chat_delta_keep_finish(ngx_chat_delta_ctx_t *ctx, const u_char *p,
    size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] != '_' && (p[i] < 'a' || p[i] > 'z')) {
            break;
        }
    }

    if (i < len || len > NGX_CHAT_DELTA_FINISH_MAX) {
        ngx_str_set(&ctx->choice.finish, "other");
        return 1;
    }

    return ngx_chat_delta_keep(ctx, &ctx->choice.finish, p, len);
}


/* 0 for what is not a natural number of a few digits */

static ngx_uint_t
ngx_chat_delta_number(const char *p, size_t len)
{
    size_t      i;
    ngx_uint_t  n;

    if (len > NGX_CHAT_DELTA_CODE_MAX) {
        return 0;
    }

    n = 0;

    for (i = 0; i < len; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }

        n = n * 10 + (p[i] - '0');
    }

    return n;
}
