
#include "ngx_chat_request.h"
#include "ngx_chat_request_scan.h"
#include "ngx_chat_json.h"
#include "ngx_chat_utf8.h"

#include <yajl/yajl_parse.h>


typedef enum {
    ngx_chat_request_other = 0,
    ngx_chat_request_question,
    ngx_chat_request_use_cache,
    ngx_chat_request_key
} ngx_chat_request_field_e;


typedef struct {
    ngx_chat_request_t        *request;
    ngx_pool_t                *pool;
    size_t                     max_question;

    ngx_uint_t                 depth;
    ngx_chat_request_field_e   field;

    /* error messages, or NULL */
    ngx_str_t                 *json;
    ngx_str_t                 *question;
    ngx_str_t                 *use_cache;
    ngx_str_t                 *key;

    unsigned                   purge:1;
    unsigned                   object:1;
    unsigned                   seen_question:1;
    unsigned                   seen_use_cache:1;
    unsigned                   seen_key:1;
    unsigned                   no_memory:1;
} ngx_chat_request_ctx_t;


static ngx_int_t ngx_chat_request_read(ngx_chat_request_ctx_t *ctx,
    ngx_str_t *body);
static int ngx_chat_request_null(void *data);
static int ngx_chat_request_boolean(void *data, int value);
static int ngx_chat_request_number(void *data, const char *p, size_t len);
static int ngx_chat_request_string(void *data, const u_char *p, size_t len);
static int ngx_chat_request_start_map(void *data);
static int ngx_chat_request_map_key(void *data, const u_char *p, size_t len);
static int ngx_chat_request_start_array(void *data);
static int ngx_chat_request_end(void *data);

static int ngx_chat_request_take_key(ngx_chat_request_ctx_t *ctx,
    const u_char *p, size_t len);
static ngx_uint_t ngx_chat_request_is_hex(const u_char *p, size_t len);
static ngx_uint_t ngx_chat_request_is_field(const u_char *p, size_t len,
    const char *name);
static void ngx_chat_request_wrong_type(ngx_chat_request_ctx_t *ctx);
static int ngx_chat_request_nest(ngx_chat_request_ctx_t *ctx);


static const yajl_callbacks  ngx_chat_request_callbacks = {
    ngx_chat_request_null,
    ngx_chat_request_boolean,
    NULL,                          /* integer */
    NULL,                          /* double */
    ngx_chat_request_number,
    ngx_chat_request_string,
    ngx_chat_request_start_map,
    ngx_chat_request_map_key,
    ngx_chat_request_end,
    ngx_chat_request_start_array,
    ngx_chat_request_end
};


static ngx_str_t  ngx_chat_request_not_json =
    ngx_string("The request body is not valid JSON.");

static ngx_str_t  ngx_chat_request_too_deep =
    ngx_string("The request body is nested too deeply.");

static ngx_str_t  ngx_chat_request_twice_question =
    ngx_string("The field \"question\" is given twice.");

static ngx_str_t  ngx_chat_request_twice_use_cache =
    ngx_string("The field \"use_cache\" is given twice.");

static ngx_str_t  ngx_chat_request_no_object =
    ngx_string("The request body must be an object with the field "
               "\"question\".");

static ngx_str_t  ngx_chat_request_no_question =
    ngx_string("The field \"question\" is missing.");

static ngx_str_t  ngx_chat_request_question_type =
    ngx_string("The field \"question\" must be a string.");

static ngx_str_t  ngx_chat_request_question_blank =
    ngx_string("The field \"question\" must not be empty.");

static ngx_str_t  ngx_chat_request_question_long =
    ngx_string("The field \"question\" is too long.");

static ngx_str_t  ngx_chat_request_use_cache_type =
    ngx_string("The field \"use_cache\" must be true or false.");

static ngx_str_t  ngx_chat_request_twice_key =
    ngx_string("The field \"key\" is given twice.");

static ngx_str_t  ngx_chat_request_no_purge =
    ngx_string("The request body must be an object with the field "
               "\"question\" or the field \"key\".");

static ngx_str_t  ngx_chat_request_both =
    ngx_string("The fields \"question\" and \"key\" exclude each other.");

static ngx_str_t  ngx_chat_request_key_value =
    ngx_string("The field \"key\" must be a string of 64 hexadecimal digits, "
               "or the name of a generation.");


/* the parser knows how to say what is wrong */

ngx_int_t
ngx_chat_request_parse(ngx_chat_request_t *rq, ngx_str_t *body,
    size_t max_question, ngx_pool_t *pool)
{
    ngx_int_t  rc;

    ngx_memzero(rq, sizeof(ngx_chat_request_t));

    rq->use_cache = 1;

    rc = ngx_chat_request_scan(body, &rq->question, &rq->use_cache, pool);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK
        && rq->question.len <= max_question
        && !ngx_chat_utf8_is_blank(rq->question.data, rq->question.len))
    {
        return NGX_OK;
    }

    return ngx_chat_request_parse_any(rq, body, max_question, pool);
}


ngx_int_t
ngx_chat_request_parse_any(ngx_chat_request_t *rq, ngx_str_t *body,
    size_t max_question, ngx_pool_t *pool)
{
    ngx_int_t               rc;
    ngx_chat_request_ctx_t  ctx;

    ngx_memzero(rq, sizeof(ngx_chat_request_t));
    ngx_memzero(&ctx, sizeof(ngx_chat_request_ctx_t));

    rq->use_cache = 1;

    ctx.request = rq;
    ctx.pool = pool;
    ctx.max_question = max_question;

    rc = ngx_chat_request_read(&ctx, body);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!ctx.object) {
        rq->error = ngx_chat_request_no_object;
        return NGX_DECLINED;
    }

    if (!ctx.seen_question) {
        rq->error = ngx_chat_request_no_question;
        return NGX_DECLINED;
    }

    if (ctx.question) {
        rq->error = *ctx.question;
        return NGX_DECLINED;
    }

    if (ctx.use_cache) {
        rq->error = *ctx.use_cache;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_request_parse_purge(ngx_chat_request_t *rq, ngx_str_t *body,
    size_t max_question, ngx_pool_t *pool)
{
    ngx_int_t               rc;
    ngx_chat_request_ctx_t  ctx;

    ngx_memzero(rq, sizeof(ngx_chat_request_t));
    ngx_memzero(&ctx, sizeof(ngx_chat_request_ctx_t));

    ctx.request = rq;
    ctx.pool = pool;
    ctx.max_question = max_question;
    ctx.purge = 1;

    rc = ngx_chat_request_read(&ctx, body);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!ctx.object || (!ctx.seen_question && !ctx.seen_key)) {
        rq->error = ngx_chat_request_no_purge;
        return NGX_DECLINED;
    }

    if (ctx.seen_question && ctx.seen_key) {
        rq->error = ngx_chat_request_both;
        return NGX_DECLINED;
    }

    if (ctx.question) {
        rq->error = *ctx.question;
        return NGX_DECLINED;
    }

    if (ctx.key) {
        rq->error = *ctx.key;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_request_read(ngx_chat_request_ctx_t *ctx, ngx_str_t *body)
{
    ngx_int_t    rc;
    yajl_handle  h;

    h = yajl_alloc(&ngx_chat_request_callbacks, NULL, ctx);
    if (h == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_json_parse(h, body->data, body->len);

    if (ctx->no_memory) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ctx->request->error = ctx->json ? *ctx->json
                                        : ngx_chat_request_not_json;
        return NGX_ABORT;
    }

    return NGX_OK;
}


static int
ngx_chat_request_null(void *data)
{
    ngx_chat_request_wrong_type(data);

    return 1;
}


static int
ngx_chat_request_boolean(void *data, int value)
{
    ngx_chat_request_ctx_t  *ctx = data;

    if (ctx->depth == 1 && ctx->field == ngx_chat_request_use_cache) {
        ctx->request->use_cache = value ? 1 : 0;
        return 1;
    }

    ngx_chat_request_wrong_type(ctx);

    return 1;
}


/* taken as text, so that a huge number in an ignored member is no error */

static int
ngx_chat_request_number(void *data, const char *p, size_t len)
{
    ngx_chat_request_wrong_type(data);

    return 1;
}


static int
ngx_chat_request_string(void *data, const u_char *p, size_t len)
{
    ngx_str_t               *question;
    ngx_chat_request_ctx_t  *ctx = data;

    if (ctx->depth == 1 && ctx->field == ngx_chat_request_key) {
        return ngx_chat_request_take_key(ctx, p, len);
    }

    if (ctx->depth != 1 || ctx->field != ngx_chat_request_question) {
        ngx_chat_request_wrong_type(ctx);
        return 1;
    }

    if (ngx_chat_utf8_is_blank(p, len)) {
        ctx->question = &ngx_chat_request_question_blank;
        return 1;
    }

    if (len > ctx->max_question) {
        ctx->question = &ngx_chat_request_question_long;
        return 1;
    }

    question = &ctx->request->question;

    question->data = ngx_pnalloc(ctx->pool, len);
    if (question->data == NULL) {
        ctx->no_memory = 1;
        return 0;
    }

    ngx_memcpy(question->data, p, len);
    question->len = len;

    return 1;
}


static int
ngx_chat_request_start_map(void *data)
{
    ngx_chat_request_ctx_t  *ctx = data;

    if (ctx->depth == 0) {
        ctx->object = 1;
    }

    return ngx_chat_request_nest(ctx);
}


static int
ngx_chat_request_map_key(void *data, const u_char *p, size_t len)
{
    ngx_chat_request_ctx_t  *ctx = data;

    if (ctx->depth != 1) {
        return 1;
    }

    ctx->field = ngx_chat_request_other;

    if (ngx_chat_request_is_field(p, len, "question")) {

        if (ctx->seen_question) {
            ctx->json = &ngx_chat_request_twice_question;
            return 0;
        }

        ctx->seen_question = 1;
        ctx->field = ngx_chat_request_question;

        return 1;
    }

    if (!ctx->purge && ngx_chat_request_is_field(p, len, "use_cache")) {

        if (ctx->seen_use_cache) {
            ctx->json = &ngx_chat_request_twice_use_cache;
            return 0;
        }

        ctx->seen_use_cache = 1;
        ctx->field = ngx_chat_request_use_cache;

        return 1;
    }

    if (ctx->purge && ngx_chat_request_is_field(p, len, "key")) {

        if (ctx->seen_key) {
            ctx->json = &ngx_chat_request_twice_key;
            return 0;
        }

        ctx->seen_key = 1;
        ctx->field = ngx_chat_request_key;
    }

    return 1;
}


static int
ngx_chat_request_start_array(void *data)
{
    return ngx_chat_request_nest(data);
}


static int
ngx_chat_request_end(void *data)
{
    ngx_chat_request_ctx_t  *ctx = data;

    ctx->depth--;

    return 1;
}


/* h, alone or behind the id of a generation */

static int
ngx_chat_request_take_key(ngx_chat_request_ctx_t *ctx, const u_char *p,
    size_t len)
{
    ngx_str_t  *key;

    key = &ctx->request->key;

    if (len == NGX_CHAT_ID_LEN + 1 + NGX_CHAT_HASH_LEN
        && p[NGX_CHAT_ID_LEN] == '.'
        && ngx_chat_request_is_hex(p, NGX_CHAT_ID_LEN))
    {
        p += NGX_CHAT_ID_LEN + 1;
        len = NGX_CHAT_HASH_LEN;
    }

    if (len != NGX_CHAT_HASH_LEN || !ngx_chat_request_is_hex(p, len)) {
        ctx->key = &ngx_chat_request_key_value;
        return 1;
    }

    key->data = ngx_pnalloc(ctx->pool, len);
    if (key->data == NULL) {
        ctx->no_memory = 1;
        return 0;
    }

    ngx_memcpy(key->data, p, len);
    key->len = len;

    return 1;
}


/* lower-case digits, as all our names are */

static ngx_uint_t
ngx_chat_request_is_hex(const u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((p[i] < '0' || p[i] > '9') && (p[i] < 'a' || p[i] > 'f')) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_chat_request_is_field(const u_char *p, size_t len, const char *name)
{
    return len == ngx_strlen(name) && ngx_memcmp(p, name, len) == 0;
}


/* a value in place of the one that the field wants */

static void
ngx_chat_request_wrong_type(ngx_chat_request_ctx_t *ctx)
{
    if (ctx->depth != 1) {
        return;
    }

    switch (ctx->field) {

    case ngx_chat_request_question:
        ctx->question = &ngx_chat_request_question_type;
        break;

    case ngx_chat_request_use_cache:
        ctx->use_cache = &ngx_chat_request_use_cache_type;
        break;

    case ngx_chat_request_key:
        ctx->key = &ngx_chat_request_key_value;
        break;

    default:
        break;
    }
}


static int
ngx_chat_request_nest(ngx_chat_request_ctx_t *ctx)
{
    ngx_chat_request_wrong_type(ctx);

    if (ctx->depth == NGX_CHAT_JSON_DEPTH) {
        ctx->json = &ngx_chat_request_too_deep;
        return 0;
    }

    ctx->depth++;

    return 1;
}
