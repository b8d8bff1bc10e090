
#include "ngx_chat_request.h"
#include "ngx_chat_json.h"
#include "ngx_chat_utf8.h"

#include <yajl/yajl_parse.h>


typedef enum {
    ngx_chat_request_other = 0,
    ngx_chat_request_question,
    ngx_chat_request_use_cache
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

    unsigned                   object:1;
    unsigned                   seen_question:1;
    unsigned                   seen_use_cache:1;
    unsigned                   no_memory:1;
} ngx_chat_request_ctx_t;


static int ngx_chat_request_null(void *data);
static int ngx_chat_request_boolean(void *data, int value);
static int ngx_chat_request_number(void *data, const char *p, size_t len);
static int ngx_chat_request_string(void *data, const u_char *p, size_t len);
static int ngx_chat_request_start_map(void *data);
static int ngx_chat_request_map_key(void *data, const u_char *p, size_t len);
static int ngx_chat_request_start_array(void *data);
static int ngx_chat_request_end(void *data);

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


ngx_int_t
ngx_chat_request_parse(ngx_chat_request_t *rq, ngx_str_t *body,
    size_t max_question, ngx_pool_t *pool)
{
    ngx_int_t               rc;
    yajl_handle             h;
    ngx_chat_request_ctx_t  ctx;

    ngx_memzero(rq, sizeof(ngx_chat_request_t));
    ngx_memzero(&ctx, sizeof(ngx_chat_request_ctx_t));

    rq->use_cache = 1;

    ctx.request = rq;
    ctx.pool = pool;
    ctx.max_question = max_question;

    h = yajl_alloc(&ngx_chat_request_callbacks, NULL, &ctx);
    if (h == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_json_parse(h, body->data, body->len);

    if (ctx.no_memory) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        rq->error = ctx.json ? *ctx.json : ngx_chat_request_not_json;
        return NGX_ABORT;
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

    if (len == sizeof("question") - 1
        && ngx_memcmp(p, "question", sizeof("question") - 1) == 0)
    {
        if (ctx->seen_question) {
            ctx->json = &ngx_chat_request_twice_question;
            return 0;
        }

        ctx->seen_question = 1;
        ctx->field = ngx_chat_request_question;

        return 1;
    }

    if (len == sizeof("use_cache") - 1
        && ngx_memcmp(p, "use_cache", sizeof("use_cache") - 1) == 0)
    {
        if (ctx->seen_use_cache) {
            ctx->json = &ngx_chat_request_twice_use_cache;
            return 0;
        }

        ctx->seen_use_cache = 1;
        ctx->field = ngx_chat_request_use_cache;
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
