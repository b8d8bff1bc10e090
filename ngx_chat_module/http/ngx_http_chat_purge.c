
#include "ngx_http_chat_purge.h"
#include "provider/ngx_http_chat_worker.h"
#include "ngx_http_chat_body.h"
#include "ngx_http_chat_ctx.h"
#include "ngx_http_chat_header.h"
#include "ngx_http_chat_key.h"


static void ngx_http_chat_purge_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_purge_start(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_purge_parse(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_uint_t *private);
static void ngx_http_chat_purge_result_handler(void *data, ngx_int_t rc);
static ngx_int_t ngx_http_chat_purge_refuse(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);


static ngx_str_t  ngx_http_chat_purge_allow = ngx_string("DELETE");


ngx_int_t
ngx_http_chat_purge_handler(ngx_http_request_t *r)
{
    ngx_http_chat_ctx_t  *ctx;

    if (r != r->main || r->post_action) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"chat_purge\" does not serve subrequests");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_chat_header_allow(r, &ngx_http_chat_purge_allow);
    }

    if (ngx_http_chat_hub == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"chat_purge\" has nothing to purge: "
                      "no location says \"chat\"");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_http_chat_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_DELETE) {
        ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_METHOD_NOT_ALLOWED);
        ngx_str_set(&ctx->message, "Only DELETE is allowed here.");

        return ngx_http_chat_header_allow(r, &ngx_http_chat_purge_allow);
    }

    return ngx_http_chat_body_read(r, ctx, ngx_http_chat_purge_body_handler);
}


static void
ngx_http_chat_purge_body_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    rc = ngx_http_chat_purge_start(r, ctx);

    if (rc != NGX_OK) {
        ngx_http_chat_ctx_finalize(r, ctx, rc);
    }
}


/* NGX_OK: Redis was asked; else a status */

static ngx_int_t
ngx_http_chat_purge_start(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  private;

    private = 0;

    rc = ngx_http_chat_purge_parse(r, ctx, &private);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat purge of %*s", (size_t) NGX_CHAT_HASH_LEN, ctx->h);

    if (private) {
        return ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_NOT_FOUND);
    }

    if (!ngx_chat_hub_may_purge(ngx_http_chat_hub)) {

        if (ngx_chat_hub_purge_zone(ngx_http_chat_hub, ctx->h) != NGX_OK) {
            return ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_NOT_FOUND);
        }

        ngx_str_set(&ctx->status, "completed");

        return NGX_HTTP_NO_CONTENT;
    }

    if (ngx_http_chat_ctx_watch(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->connection->log->action = "purging an answer";

    ctx->purge = ngx_chat_hub_purge(ngx_http_chat_hub, ctx->h,
                                    ngx_http_chat_purge_result_handler, ctx);
    if (ctx->purge == NULL) {
        return ngx_http_chat_purge_refuse(r, ctx);
    }

    return NGX_OK;
}


/* NGX_OK: ctx->h is what is to be purged; else a status */

static ngx_int_t
ngx_http_chat_purge_parse(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_uint_t *private)
{
    ngx_int_t           rc;
    ngx_chat_request_t  rq;

    rc = ngx_http_chat_body_parse(r, ctx, ngx_chat_request_parse_purge, &rq);
    if (rc != NGX_OK) {
        return rc;
    }

    if (rq.key.len) {
        ngx_memcpy(ctx->h, rq.key.data, NGX_CHAT_HASH_LEN);
        ctx->hashed = 1;

        return NGX_OK;
    }

    if (ngx_http_chat_key_get(r, ctx, private) != NGX_OK
        || ngx_http_chat_key_hash(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_chat_purge_result_handler(void *data, ngx_int_t rc)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_int_t            status;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ctx->purge = NULL;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0, "chat purge: %i", rc);

    switch (rc) {

    case NGX_OK:
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "chat answer %*s was purged",
                      (size_t) NGX_CHAT_HASH_LEN, ctx->h);

        ngx_str_set(&ctx->status, "completed");
        status = NGX_HTTP_NO_CONTENT;
        break;

    case NGX_DECLINED:
        status = ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_NOT_FOUND);
        break;

    case NGX_ERROR:
        status = ngx_http_chat_purge_refuse(r, ctx);
        break;

    default: /* NGX_ABORT */
        status = ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_INTERNAL);
    }

    ngx_http_chat_ctx_finalize(r, ctx, status);

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_chat_purge_refuse(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t  status;

    status = ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_REDIS_DOWN);

    if (ngx_http_chat_header_add_retry(r, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return status;
}
