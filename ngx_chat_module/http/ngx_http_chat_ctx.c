
#include "ngx_http_chat_ctx.h"
#include "provider/ngx_http_chat_worker.h"


static void ngx_http_chat_ctx_stop(ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_ctx_cleanup_handler(void *data);
static void ngx_http_chat_ctx_pool_cleanup_handler(void *data);
static ngx_uint_t ngx_http_chat_ctx_has_unsent(ngx_http_chat_ctx_t *ctx);


ngx_http_chat_ctx_t *
ngx_http_chat_ctx_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *pcln;
    ngx_http_cleanup_t   *cln;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_chat_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    pcln = ngx_pool_cleanup_add(r->pool, 0);
    if (pcln == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    ctx->request = r;

    pcln->handler = ngx_http_chat_ctx_pool_cleanup_handler;
    pcln->data = ctx;

    ngx_http_chat_counts->requests++;

    cln->handler = ngx_http_chat_ctx_cleanup_handler;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_chat_module);

    return ctx;
}


ngx_http_chat_ctx_t *
ngx_http_chat_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *pcln;
    ngx_http_chat_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (ctx || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    /* an internal redirect clears the contexts of all modules */

    for (pcln = r->pool->cleanup; pcln; pcln = pcln->next) {
        if (pcln->handler == ngx_http_chat_ctx_pool_cleanup_handler) {
            return pcln->data;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_chat_ctx_set_error(ngx_http_chat_ctx_t *ctx, ngx_chat_error_e e)
{
    ctx->error = e;
    ctx->code = *ngx_chat_error_code(e);

    ngx_str_set(&ctx->status, "error");

    return ngx_chat_error_status(e);
}


ngx_int_t
ngx_http_chat_ctx_watch(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    /* an end of file that came with the body would not be reported again */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}


static void
ngx_http_chat_ctx_stop(ngx_http_chat_ctx_t *ctx)
{
    if (ctx->finalized) {
        return;
    }

    ctx->finalized = 1;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "chat request stops, status \"%V\", asks:%d",
                   &ctx->status, ctx->ask ? 1 : 0);

    if (ctx->ask) {
        ngx_chat_hub_forget(ctx->ask);
        ctx->ask = NULL;
    }

    if (ctx->purge) {
        ngx_chat_hub_forget_purge(ctx->purge);
        ctx->purge = NULL;
    }

    if (ctx->heartbeat.timer_set) {
        ngx_del_timer(&ctx->heartbeat);
    }
}


void
ngx_http_chat_ctx_finalize(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_int_t rc)
{
    ngx_http_chat_ctx_stop(ctx);
    ngx_http_finalize_request(r, rc);
}


/* the request ends, by itself or not; the log is written after this */

static void
ngx_http_chat_ctx_cleanup_handler(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_http_chat_ctx_stop(ctx);

    if (ctx->status.len == 0 || ngx_http_chat_ctx_has_unsent(ctx)) {
        ngx_str_set(&ctx->status, "gone");
    }
}


static void
ngx_http_chat_ctx_pool_cleanup_handler(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_http_chat_ctx_stop(ctx);

    ngx_http_chat_counts->requests--;

    if (ctx->sub) {
        ngx_chat_hub_detach(ctx->sub);
        ctx->sub = NULL;
    }
}


/* did the client leave before it had all of the stream? */

static ngx_uint_t
ngx_http_chat_ctx_has_unsent(ngx_http_chat_ctx_t *ctx)
{
    ngx_chain_t  *cl;

    if (!ctx->terminal) {
        return 0;
    }

    if (ctx->request->out) {
        return 1;
    }

    for (cl = ctx->busy; cl; cl = cl->next) {
        if (ngx_buf_size(cl->buf) != 0) {
            return 1;
        }
    }

    return 0;
}
