
#include "ngx_http_chat_handler.h"
#include "provider/ngx_http_chat_worker.h"
#include "ngx_http_chat_body.h"
#include "ngx_http_chat_ctx.h"
#include "ngx_http_chat_header.h"
#include "provider/ngx_http_chat_direct.h"
#include "ngx_http_chat_key.h"
#include "provider/ngx_http_chat_lead.h"
#include "ngx_http_chat_limit.h"
#include "ngx_http_chat_output.h"
#include "ngx_http_chat_trace.h"
#include "ngx_http_chat_zone.h"
#include "../provider/ngx_chat_provider_json.h"


static void ngx_http_chat_handler_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_handler_start(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_handler_set_mode(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_uint_t use_cache, ngx_chat_ask_mode_e *mode);
static ngx_int_t ngx_http_chat_handler_set_question(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_question_t *qn,
    ngx_chat_ask_mode_e mode);
static ngx_chat_question_t *ngx_http_chat_handler_complete(void *data);
static ngx_int_t ngx_http_chat_handler_may_bypass(ngx_http_request_t *r,
    ngx_uint_t *may);
static ngx_int_t ngx_http_chat_handler_ask(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_handler_ask_directly(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);

static void ngx_http_chat_handler_result_handler(void *data,
    ngx_chat_result_t *result);
static void ngx_http_chat_handler_set_ttl(ngx_http_chat_ctx_t *ctx,
    int64_t ttl);
static ngx_int_t ngx_http_chat_handler_refuse(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_error_e e, ngx_msec_t wait);


static ngx_str_t  ngx_http_chat_handler_post = ngx_string("POST");


ngx_int_t
ngx_http_chat_handler(ngx_http_request_t *r)
{
    ngx_http_chat_ctx_t  *ctx;

    if (r != r->main || r->post_action) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"chat\" does not serve subrequests");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_chat_header_allow(r, &ngx_http_chat_handler_post);
    }

    ctx = ngx_http_chat_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->counts = 1;

    if (r->method != NGX_HTTP_POST) {
        ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_METHOD_NOT_ALLOWED);

        return ngx_http_chat_header_allow(r, &ngx_http_chat_handler_post);
    }

    return ngx_http_chat_body_read(r, ctx, ngx_http_chat_handler_body_handler);
}


static void
ngx_http_chat_handler_body_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    rc = ngx_http_chat_handler_start(r, ctx);

    if (rc != NGX_OK) {
        ngx_http_chat_ctx_finalize(r, ctx, rc);
    }
}


/* NGX_OK: the hub was asked, or need not be; else a status */

static ngx_int_t
ngx_http_chat_handler_start(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_chat_request_t    rq;
    ngx_chat_ask_mode_e   mode;
    ngx_chat_question_t  *qn;

    if (ngx_http_chat_hub == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"chat\" was not started in this process, "
                      "the request fails");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_chat_body_parse(r, ctx, ngx_chat_request_parse, &rq);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat question of %uz bytes, use_cache:%ui",
                   rq.question.len, rq.use_cache);

    if (ngx_http_chat_handler_set_mode(r, ctx, rq.use_cache, &mode)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (mode == NGX_CHAT_ASK_CACHED) {
        rc = ngx_http_chat_zone_serve(r, ctx);

        if (rc != NGX_DECLINED) {
            return (rc == NGX_OK) ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    qn = ngx_palloc(r->pool, sizeof(ngx_chat_question_t));

    if (qn == NULL
        || ngx_http_chat_key_hash(ctx) != NGX_OK
        || ngx_http_chat_handler_set_question(r, ctx, qn, mode) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->asked = qn;

    if (qn->mode != NGX_CHAT_ASK_CACHED && qn->complete(ctx) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_chat_handler_ask(r, ctx);
}


static ngx_int_t
ngx_http_chat_handler_set_mode(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_uint_t use_cache, ngx_chat_ask_mode_e *mode)
{
    ngx_uint_t                 private, may;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (ngx_http_chat_key_get(r, ctx, &private) != NGX_OK) {
        return NGX_ERROR;
    }

    may = 0;

    if (!use_cache && ngx_http_chat_handler_may_bypass(r, &may) != NGX_OK) {
        return NGX_ERROR;
    }

    if (private || !chlcf->cache) {
        *mode = NGX_CHAT_ASK_PRIVATE;
        ctx->source = NGX_HTTP_CHAT_BYPASS;

    } else if (may) {
        *mode = NGX_CHAT_ASK_REFRESH;
        ctx->source = NGX_HTTP_CHAT_REFRESH;

    } else {
        *mode = NGX_CHAT_ASK_CACHED;
        ctx->source = NGX_HTTP_CHAT_MISS;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_handler_set_question(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_question_t *qn,
    ngx_chat_ask_mode_e mode)
{
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    ngx_memzero(qn, sizeof(ngx_chat_question_t));

    qn->mode = mode;

    ngx_memcpy(qn->h, ctx->h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(qn->fp, chlcf->fp, NGX_CHAT_FP_LEN);

    qn->providers = chlcf->provider_list;
    qn->ttl = (qn->mode == NGX_CHAT_ASK_PRIVATE) ? 0 : chlcf->cache_ttl;
    qn->stale = chlcf->cache_stale;
    qn->max_answer = chlcf->max_answer;
    qn->cancel = chlcf->cancel;
    qn->grace = chlcf->grace;

    qn->data = ctx;
    qn->complete = ngx_http_chat_handler_complete;

    if (chlcf->leads) {
        qn->maker = &ngx_http_chat_lead_maker;
    }

    return NGX_OK;
}


/* the part that a provider is asked, and its limit: a hit needs none of it */

static ngx_chat_question_t *
ngx_http_chat_handler_complete(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_http_request_t        *r;
    ngx_chat_question_t       *qn;
    ngx_http_chat_loc_conf_t  *chlcf;

    r = ctx->request;
    qn = ctx->asked;

    if (qn->messages.data) {
        return qn;
    }

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    /* Redis' reply is handled here, and the key may say something */

    ngx_http_set_log_request(r->connection->log, r);

    if (chlcf->miss_limit
        && ngx_http_chat_limit_get(r, chlcf->miss_limit, &qn->limit) != NGX_OK)
    {
        return NULL;
    }

    ngx_http_chat_trace_get(r, &qn->trace);

    qn->messages = ngx_chat_user_message(&ctx->question, r->pool);

    return qn->messages.data ? qn : NULL;
}


static ngx_int_t
ngx_http_chat_handler_may_bypass(ngx_http_request_t *r, ngx_uint_t *may)
{
    ngx_str_t                  value;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    *may = 1;

    if (chlcf->bypass == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, chlcf->bypass, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0
        || (value.len == 1 && value.data[0] == '0')
        || (value.len == 3
            && ngx_strncasecmp(value.data, (u_char *) "off", 3) == 0))
    {
        *may = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_handler_ask(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (ngx_http_chat_ctx_watch(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->start = ngx_current_msec;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "chat request on %*s, mode %ui",
                   (size_t) NGX_CHAT_HASH_LEN, ctx->h,
                   (ngx_uint_t) ctx->asked->mode);

    c->log->action = "waiting for an answer";

    if (ngx_http_chat_is_direct(r)) {
        ngx_http_chat_output_init(r, ctx);
        return ngx_http_chat_handler_ask_directly(r, ctx);
    }

    ctx->ask = ngx_chat_hub_ask(ngx_http_chat_hub, ctx->asked,
                                ngx_http_chat_handler_result_handler, ctx);
    if (ctx->ask == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_chat_output_init(r, ctx);

    return NGX_OK;
}


/* NGX_OK: what follows ends the request; else a status */

static ngx_int_t
ngx_http_chat_handler_ask_directly(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx)
{
    ngx_chat_error_e           e;
    ngx_chat_channel_t        *ch;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    ctx->has_result = 1;
    ctx->switched = 1;
    ctx->waited = ngx_current_msec - ctx->start;

    ch = ngx_http_chat_direct_start(r, ctx, &e);

    if (ch == NULL) {
        ctx->source = NGX_HTTP_CHAT_NOTHING;
        return ngx_http_chat_handler_refuse(r, ctx, e, 0);
    }

    ngx_http_chat_zone_stow_later(r, ctx, ch);

    if (ngx_chat_hub_get_kind(ch) != NGX_CHAT_CHANNEL_DIRECT) {
        ctx->source = NGX_HTTP_CHAT_JOIN;

    } else if (chlcf->cache) {
        ctx->source = NGX_HTTP_CHAT_DIRECT;
    }

    ngx_http_chat_output_start(r, ctx, ch);

    return NGX_OK;
}


static void
ngx_http_chat_handler_result_handler(void *data, ngx_chat_result_t *result)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "chat result: %ui", (ngx_uint_t) result->kind);

    ctx->ask = NULL;
    ctx->has_result = 1;
    ctx->waited = ngx_current_msec - ctx->start;

    switch (result->kind) {

    case NGX_CHAT_RESULT_HIT:
        ngx_http_chat_handler_set_ttl(ctx, result->ttl);
        ngx_http_chat_zone_stow(ctx, result);
        ngx_http_chat_output_start(r, ctx, result->channel);
        break;

    case NGX_CHAT_RESULT_JOIN:
        ctx->collapsed = 1;
        ctx->source = (ngx_chat_hub_get_kind(result->channel)
                       == NGX_CHAT_CHANNEL_DIRECT)
                      ? NGX_HTTP_CHAT_DIRECT : NGX_HTTP_CHAT_JOIN;
        ngx_http_chat_output_start(r, ctx, result->channel);
        break;

    case NGX_CHAT_RESULT_MISS:
        ngx_http_chat_zone_stow_later(r, ctx, result->channel);
        ngx_http_chat_output_start(r, ctx, result->channel);
        break;

    default: /* NGX_CHAT_RESULT_ERROR */

        if (result->error == NGX_CHAT_E_REDIS_DOWN
            && ngx_http_chat_may_direct(r))
        {
            rc = ngx_http_chat_handler_ask_directly(r, ctx);

        } else {
            ctx->source = NGX_HTTP_CHAT_NOTHING;
            rc = ngx_http_chat_handler_refuse(r, ctx, result->error,
                                              result->wait);
        }

        if (rc != NGX_OK) {
            ngx_http_chat_ctx_finalize(r, ctx, rc);
        }
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_chat_handler_set_ttl(ngx_http_chat_ctx_t *ctx, int64_t ttl)
{
    ctx->source = NGX_HTTP_CHAT_HIT;

    if (ttl == NGX_CHAT_ANSWER_NO_TTL) {
        ctx->ttl = ttl;

    } else if (ttl >= 0) {
        ctx->ttl = (ttl + 500) / 1000;

    } else {
        ctx->source = NGX_HTTP_CHAT_STALE;
        ctx->ttl = (ttl - 999) / 1000;
    }
}


/* wait: ms until a question would be accepted, where that is known */

static ngx_int_t
ngx_http_chat_handler_refuse(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_error_e e, ngx_msec_t wait)
{
    ngx_int_t    status;
    ngx_uint_t   level;
    ngx_msec_t   seconds;

    status = ngx_http_chat_ctx_set_error(ctx, e);

    /* an outage of Redis is an error once, of the connection */

    level = (e == NGX_CHAT_E_REDIS_DOWN) ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, r->connection->log, 0,
                  "chat question %*s was not accepted: %V",
                  (size_t) NGX_CHAT_HASH_LEN, ctx->h, &ctx->code);

    switch (e) {

    case NGX_CHAT_E_QUEUE_FULL:
    case NGX_CHAT_E_REDIS_DOWN:

        seconds = 0;
        break;

    case NGX_CHAT_E_MISS_LIMIT:
        seconds = wait / 1000 + (wait % 1000 != 0);
        break;

    default:
        return status;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat request is refused, status %i, retry after %M s",
                   status, seconds);

    if (ngx_http_chat_header_add_retry(r, seconds) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return status;
}
