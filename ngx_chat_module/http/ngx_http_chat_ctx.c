
#include "ngx_http_chat_ctx.h"
#include "ngx_http_chat_reason.h"
#include "provider/ngx_http_chat_worker.h"
#include "../provider/ngx_chat_peers.h"
#include "../provider/ngx_chat_provider_bill.h"


static void ngx_http_chat_ctx_read_handler(ngx_http_request_t *r);
static void ngx_http_chat_ctx_stop(ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_ctx_cleanup_handler(void *data);
static void ngx_http_chat_ctx_pool_cleanup_handler(void *data);
static void ngx_http_chat_ctx_find_page(ngx_http_chat_ctx_t *ctx);
static ngx_uint_t ngx_http_chat_ctx_get_body_status(ngx_http_chat_ctx_t *ctx);
static ngx_uint_t ngx_http_chat_ctx_has_unsent(ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_ctx_count(ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_ctx_count_saved(ngx_http_chat_ctx_t *ctx);


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


void
ngx_http_chat_ctx_set_status(ngx_http_chat_ctx_t *ctx, ngx_uint_t status)
{
    ngx_http_chat_ctx_set_error(ctx,
                                ngx_http_chat_reason_find(status,
                                                          &ctx->message));
}


void
ngx_http_chat_ctx_note_status(ngx_http_chat_ctx_t *ctx, ngx_int_t rc)
{
    if (ctx->status.len
        || rc < NGX_HTTP_BAD_REQUEST
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || ctx->request->connection->error)
    {
        return;
    }

    ngx_http_chat_ctx_set_status(ctx, rc);
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

    r->read_event_handler = ngx_http_chat_ctx_read_handler;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}


/*
 * When the client has left nginx ends the request, and its cleanup stops what
 * is ours.  With a post_action it goes on with the same request instead, and
 * says nothing: the request is held until that is known.
 */

static void
ngx_http_chat_ctx_read_handler(ngx_http_request_t *r)
{
    ngx_http_chat_ctx_t       *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->post_action.data == NULL) {
        ngx_http_test_reading(r);
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    r->main->count++;

    ngx_http_test_reading(r);

    if (r->post_action) {
        ngx_http_chat_ctx_stop(ctx);
    }

    ngx_http_finalize_request(r, NGX_DONE);
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
    ngx_http_chat_ctx_note_status(ctx, rc);
    ngx_http_finalize_request(r, rc);
}


/* the request ends, by itself or not; the log is written after this */

static void
ngx_http_chat_ctx_cleanup_handler(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_http_chat_ctx_stop(ctx);
    ngx_http_chat_ctx_find_page(ctx);

    if (ctx->status.len == 0 || ngx_http_chat_ctx_has_unsent(ctx)) {
        ngx_str_set(&ctx->status, "gone");
    }

    if (ctx->counts) {
        ngx_http_chat_ctx_count(ctx);
    }
}


static void
ngx_http_chat_ctx_pool_cleanup_handler(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_http_chat_ctx_stop(ctx);

    ngx_http_chat_counts->requests--;

    ngx_chat_tier_leave(&ctx->zone);

    if (ctx->sub) {
        ngx_chat_hub_detach(ctx->sub);
        ctx->sub = NULL;

        ngx_chat_metrics_move(NGX_CHAT_GAUGE_READERS, -1);
    }
}


/*
 * nginx has ended the request by itself, while it read the body, and an
 * error_page has taken over, which may have changed the status, and in another
 * location has no context of ours.
 */

static void
ngx_http_chat_ctx_find_page(ngx_http_chat_ctx_t *ctx)
{
    ngx_uint_t           status;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->post_action
        || (r->err_status == 0
            && ngx_http_get_module_ctx(r, ngx_chat_module) == ctx))
    {
        return;
    }

    if (!ctx->read && r->err_status != NGX_HTTP_INTERNAL_SERVER_ERROR) {
        status = ngx_http_chat_ctx_get_body_status(ctx);

    } else if (r->err_status < NGX_HTTP_BAD_REQUEST) {
        status = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        status = r->err_status;
    }

    ngx_http_chat_ctx_note_status(ctx, status);
}


/*
 * A body could be kept, else that was noted: it was the client's fault that
 * nginx read no more.  The sizes are as they were then.
 */

static ngx_uint_t
ngx_http_chat_ctx_get_body_status(ngx_http_chat_ctx_t *ctx)
{
    off_t                     size;
    ngx_http_request_t       *r;
    ngx_http_request_body_t  *rb;

    r = ctx->request;
    rb = r->request_body;

    if (ctx->max_body == 0 || rb == NULL) {
        return NGX_HTTP_BAD_REQUEST;
    }

    /* HTTP/1: so much was read, and a chunk was to follow; others count all */

    size = rb->chunked ? r->headers_in.content_length_n : rb->received;

    if (size > ctx->max_body
        || (rb->chunked && rb->chunked->size > ctx->max_body - size))
    {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    return NGX_HTTP_BAD_REQUEST;
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


/* each request once: by its error, or by where its answer came from */

static void
ngx_http_chat_ctx_count(ngx_http_chat_ctx_t *ctx)
{
    ngx_chat_metrics_count_e  count;

    if (ctx->collapsed) {
        ngx_chat_metrics_count(NGX_CHAT_COUNT_COLLAPSED);
    }

    if (ngx_strcmp(ctx->status.data, "error") == 0) {
        ngx_chat_metrics_count_error(ngx_chat_error_find(&ctx->code));
        return;
    }

    if (ngx_strcmp(ctx->status.data, "gone") == 0) {
        ngx_chat_metrics_count(NGX_CHAT_COUNT_GONE);
    }

    if (!ctx->has_result) {
        ngx_chat_metrics_count(NGX_CHAT_COUNT_NO_RESULT);
        return;
    }

    switch (ctx->source) {

    case NGX_HTTP_CHAT_HIT:
        ngx_http_chat_ctx_count_saved(ctx);
        ngx_chat_metrics_count(ctx->zoned ? NGX_CHAT_COUNT_HIT_ZONE
                                          : NGX_CHAT_COUNT_HIT_REDIS);
        count = NGX_CHAT_COUNT_HIT;
        break;

    case NGX_HTTP_CHAT_STALE:
        count = NGX_CHAT_COUNT_STALE;
        break;

    case NGX_HTTP_CHAT_JOIN:
        count = NGX_CHAT_COUNT_JOIN;
        break;

    case NGX_HTTP_CHAT_BYPASS:
        count = NGX_CHAT_COUNT_BYPASS;
        break;

    case NGX_HTTP_CHAT_DIRECT:
        count = NGX_CHAT_COUNT_DIRECT;
        break;

    case NGX_HTTP_CHAT_MISS:
    case NGX_HTTP_CHAT_REFRESH:
        count = NGX_CHAT_COUNT_MISS;
        break;

    default: /* NGX_HTTP_CHAT_NOTHING */
        count = NGX_CHAT_COUNT_NO_RESULT;
    }

    ngx_chat_metrics_count(count);
}


/* the answer has cost so much once, and does not now */

static void
ngx_http_chat_ctx_count_saved(ngx_http_chat_ctx_t *ctx)
{
    ngx_chat_peer_t   *peer;
    ngx_chat_usage_t  *usage;

    if (ctx->zoned) {
        usage = &ctx->usage;

    } else if (ctx->sub) {
        usage = ngx_chat_hub_get_usage(ngx_chat_hub_get_channel(ctx->sub));

    } else {
        return;
    }

    peer = ngx_chat_peers_find(ngx_http_chat_peers, &ctx->provider);

    ngx_chat_provider_bill(&ctx->provider, peer ? peer->provider : NULL,
                           usage, 1);
}
