
#include "ngx_chat_refusal.h"
#include "ngx_chat_json.h"

#include <yajl/yajl_parse.h>


/* longer words, and shorter ones with digits, may be names or keys */
#define NGX_CHAT_REFUSAL_WORD    40
#define NGX_CHAT_REFUSAL_NUMBER  12

#define NGX_CHAT_REFUSAL_STATUS  3       /* digits */


enum {
    ngx_chat_refusal_other = 0,
    ngx_chat_refusal_word,
    ngx_chat_refusal_text,               /* or an object with more */
    ngx_chat_refusal_inside
};


typedef struct {
    ngx_str_t             name;
    ngx_uint_t            kind;
} ngx_chat_refusal_name_t;


typedef struct {
    ngx_chat_refusal_t   *refusal;
    ngx_pool_t           *pool;

    ngx_uint_t            kinds[NGX_CHAT_JSON_DEPTH];
    ngx_uint_t            depth;
    ngx_uint_t            skipped;       /* levels of no interest */
} ngx_chat_refusal_ctx_t;


static int ngx_chat_refusal_number_handler(void *data, const char *p,
    size_t len);
static int ngx_chat_refusal_string_handler(void *data, const u_char *p,
    size_t len);
static int ngx_chat_refusal_start_handler(void *data);
static int ngx_chat_refusal_key_handler(void *data, const u_char *p,
    size_t len);
static int ngx_chat_refusal_end_handler(void *data);

static ngx_uint_t ngx_chat_refusal_get_kind(ngx_chat_refusal_ctx_t *ctx);
static void ngx_chat_refusal_put_word(ngx_chat_refusal_t *rf, const u_char *p,
    size_t len);
static ngx_uint_t ngx_chat_refusal_is_word(const u_char *p, size_t len);
static ngx_uint_t ngx_chat_refusal_contains(const u_char *p, size_t len,
    ngx_str_t *phrases);


static const yajl_callbacks  ngx_chat_refusal_callbacks = {
    NULL,                          /* null */
    NULL,                          /* boolean */
    NULL,                          /* integer */
    NULL,                          /* double */
    ngx_chat_refusal_number_handler,
    ngx_chat_refusal_string_handler,
    ngx_chat_refusal_start_handler,
    ngx_chat_refusal_key_handler,
    ngx_chat_refusal_end_handler,
    ngx_chat_refusal_start_handler,
    ngx_chat_refusal_end_handler
};


/* members with words or texts; others, as "input", may repeat the question */

static ngx_chat_refusal_name_t  ngx_chat_refusal_names[] = {
    { ngx_string("type"), ngx_chat_refusal_word },
    { ngx_string("code"), ngx_chat_refusal_word },
    { ngx_string("status"), ngx_chat_refusal_word },
    { ngx_string("reason"), ngx_chat_refusal_word },
    { ngx_string("error_type"), ngx_chat_refusal_word },
    { ngx_string("error_code"), ngx_chat_refusal_word },
    { ngx_string("message"), ngx_chat_refusal_text },
    { ngx_string("msg"), ngx_chat_refusal_text },
    { ngx_string("error"), ngx_chat_refusal_text },
    { ngx_string("errors"), ngx_chat_refusal_text },
    { ngx_string("detail"), ngx_chat_refusal_text },
    { ngx_string("raw"), ngx_chat_refusal_text },
    { ngx_string("details"), ngx_chat_refusal_inside },
    { ngx_string("innererror"), ngx_chat_refusal_inside },
    { ngx_string("metadata"), ngx_chat_refusal_inside },
    { ngx_string("choices"), ngx_chat_refusal_inside },
    { ngx_string("x_groq"), ngx_chat_refusal_inside },
    { ngx_null_string, ngx_chat_refusal_other }
};


/* faults of the question: its length, its subject, its parts */

static ngx_str_t  ngx_chat_refusal_question[] = {
    ngx_string("context length"),
    ngx_string("context_length"),
    ngx_string("context size"),
    ngx_string("context_size"),
    ngx_string("context window"),
    ngx_string("context_window"),
    ngx_string("context_exceeded"),
    ngx_string("prompt is too long"),
    ngx_string("prompt too long"),
    ngx_string("input is too long"),
    ngx_string("maximum prompt length"),
    ngx_string("input token count"),
    ngx_string("input length"),
    ngx_string("length of the messages"),
    ngx_string("model token limit"),
    ngx_string("tokens_limit_reached"),
    ngx_string("string_above_max_length"),
    ngx_string("request_too_large"),

    ngx_string("content_filter"),
    ngx_string("content_policy"),
    ngx_string("content policy"),
    ngx_string("content management policy"),
    ngx_string("contentpolicyviolation"),
    ngx_string("responsibleaipolicyviolation"),
    ngx_string("content exists risk"),
    ngx_string("data_inspection_failed"),
    ngx_string("datainspectionfailed"),
    ngx_string("prohibited_content"),
    ngx_string("usage guidelines"),
    ngx_string("moderation"),

    ngx_string("invalid_prompt"),
    ngx_string("invalid_message"),
    ngx_string("must have non-empty content"),
    ngx_string("text content blocks must"),
    ngx_string("invalid_image"),
    ngx_string("invalid_base64"),
    ngx_string("image_parse_error"),
    ngx_string("image_too_large"),
    ngx_string("unsupported_image"),
    ngx_string("could not process image"),
    ngx_string("process input image"),
    ngx_null_string
};


/* limits of the provider or a param: a sum may be over one because of that */

static ngx_str_t  ngx_chat_refusal_limits[] = {
    ngx_string("max_tokens"),
    ngx_string("max_completion_tokens"),
    ngx_string("rate_limit"),
    ngx_string("tokens per min"),
    ngx_null_string
};


/* phrases that mean what status 429 means */

static ngx_str_t  ngx_chat_refusal_rates[] = {
    ngx_string("rate limit"),
    ngx_string("rate_limit"),
    ngx_string("rate-limit"),
    ngx_string("ratelimit"),
    ngx_string("too many requests"),
    ngx_string("too_many_requests"),
    ngx_string("toomanyrequests"),
    ngx_string("throttl"),
    ngx_string("resource_exhausted"),
    ngx_string("insufficient_quota"),
    ngx_null_string
};


void
ngx_chat_refusal_parse(ngx_chat_refusal_t *rf, ngx_str_t *body,
    ngx_pool_t *pool)
{
    yajl_handle             h;
    ngx_chat_refusal_ctx_t  ctx;

    ngx_memzero(rf, sizeof(ngx_chat_refusal_t));
    ngx_memzero(&ctx, sizeof(ngx_chat_refusal_ctx_t));

    ctx.refusal = rf;
    ctx.pool = pool;

    h = yajl_alloc(&ngx_chat_refusal_callbacks, NULL, &ctx);
    if (h == NULL) {
        return;
    }

    /* a body may be cut anywhere: the part before that counts */

    yajl_config(h, yajl_dont_validate_strings, 1);

    (void) yajl_parse(h, body->data, body->len);

    yajl_free(h);
}


static int
ngx_chat_refusal_number_handler(void *data, const char *p, size_t len)
{
    ngx_chat_refusal_ctx_t  *ctx = data;

    /* a number of three digits is the HTTP status, which is logged anyway */

    if (ngx_chat_refusal_get_kind(ctx) == ngx_chat_refusal_word
        && len != NGX_CHAT_REFUSAL_STATUS)
    {
        ngx_chat_refusal_put_word(ctx->refusal, (u_char *) p, len);
    }

    return 1;
}


static int
ngx_chat_refusal_string_handler(void *data, const u_char *p, size_t len)
{
    ngx_uint_t               kind;
    ngx_chat_refusal_t      *rf;
    ngx_chat_refusal_ctx_t  *ctx = data;

    rf = ctx->refusal;
    kind = ngx_chat_refusal_get_kind(ctx);

    if (len == 0
        || (kind != ngx_chat_refusal_word && kind != ngx_chat_refusal_text))
    {
        return 1;
    }

    if (ngx_chat_refusal_contains(p, len, ngx_chat_refusal_question)) {
        rf->question = 1;
    }

    if (ngx_chat_refusal_contains(p, len, ngx_chat_refusal_limits)) {
        rf->limit = 1;
    }

    if (ngx_chat_refusal_is_rate_limit(p, len)) {
        rf->rate = 1;
    }

    if (kind == ngx_chat_refusal_word) {
        ngx_chat_refusal_put_word(rf, p, len);
        return 1;
    }

    if (rf->message.len == 0) {
        rf->message.data = ngx_pnalloc(ctx->pool, len);
        if (rf->message.data == NULL) {
            return 0;
        }

        ngx_memcpy(rf->message.data, p, len);
        rf->message.len = len;
    }

    return 1;
}


/* start of an object or array; the elements of an array are of its kind */

static int
ngx_chat_refusal_start_handler(void *data)
{
    ngx_uint_t               kind;
    ngx_chat_refusal_ctx_t  *ctx = data;

    kind = ctx->depth ? ngx_chat_refusal_get_kind(ctx)
                      : ngx_chat_refusal_inside;

    if (ctx->skipped || ctx->depth == NGX_CHAT_JSON_DEPTH
        || (kind != ngx_chat_refusal_inside && kind != ngx_chat_refusal_text))
    {
        ctx->skipped++;
        return 1;
    }

    ctx->kinds[ctx->depth++] = kind;

    return 1;
}


static int
ngx_chat_refusal_key_handler(void *data, const u_char *p, size_t len)
{
    ngx_chat_refusal_ctx_t   *ctx = data;
    ngx_chat_refusal_name_t  *name;

    if (ctx->skipped) {
        return 1;
    }

    for (name = ngx_chat_refusal_names; name->name.len; name++) {

        if (name->name.len == len
            && ngx_memcmp(name->name.data, p, len) == 0)
        {
            break;
        }
    }

    ctx->kinds[ctx->depth - 1] = name->kind;

    return 1;
}


static int
ngx_chat_refusal_end_handler(void *data)
{
    ngx_chat_refusal_ctx_t  *ctx = data;

    if (ctx->skipped) {
        ctx->skipped--;

    } else {
        ctx->depth--;
    }

    return 1;
}


/* kind of the value that was read last */

static ngx_uint_t
ngx_chat_refusal_get_kind(ngx_chat_refusal_ctx_t *ctx)
{
    if (ctx->skipped || ctx->depth == 0) {
        return ngx_chat_refusal_other;
    }

    return ctx->kinds[ctx->depth - 1];
}


/* adds a word, unless it is there already or does not fit whole */

static void
ngx_chat_refusal_put_word(ngx_chat_refusal_t *rf, const u_char *p, size_t len)
{
    u_char  *w, *end, *last;

    if (!ngx_chat_refusal_is_word(p, len)) {
        return;
    }

    last = rf->words + rf->len;

    for (w = rf->words; w < last; w = end + 1) {

        end = ngx_strlchr(w, last, ' ');
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - w) == len && ngx_memcmp(w, p, len) == 0) {
            return;
        }
    }

    if (rf->len + 1 + len > NGX_CHAT_REFUSAL_WORDS) {
        return;
    }

    if (rf->len) {
        rf->words[rf->len++] = ' ';
    }

    ngx_memcpy(rf->words + rf->len, p, len);
    rf->len += len;
}


static ngx_uint_t
ngx_chat_refusal_is_word(const u_char *p, size_t len)
{
    size_t  i, max;

    max = NGX_CHAT_REFUSAL_WORD;

    for (i = 0; i < len; i++) {

        if (p[i] >= '0' && p[i] <= '9') {
            max = NGX_CHAT_REFUSAL_NUMBER;
            continue;
        }

        if ((p[i] < 'a' || p[i] > 'z') && (p[i] < 'A' || p[i] > 'Z')
            && p[i] != '_' && p[i] != '.' && p[i] != '-')
        {
            return 0;
        }
    }

    return len > 0 && len <= max;
}


ngx_uint_t
ngx_chat_refusal_is_rate_limit(const u_char *p, size_t len)
{
    return ngx_chat_refusal_contains(p, len, ngx_chat_refusal_rates);
}


static ngx_uint_t
ngx_chat_refusal_contains(const u_char *p, size_t len, ngx_str_t *phrases)
{
    for ( /* void */ ; phrases->len; phrases++) {

        if (phrases->len <= len
            && ngx_strlcasestrn((u_char *) p, (u_char *) p + len,
                                phrases->data, phrases->len - 1))
        {
            return 1;
        }
    }

    return 0;
}
