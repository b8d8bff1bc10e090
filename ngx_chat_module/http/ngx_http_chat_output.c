
#include "ngx_http_chat_output.h"
#include "ngx_http_chat_ctx.h"
#include "provider/ngx_http_chat_direct.h"
#include "ngx_http_chat_header.h"
#include "ngx_http_chat_events.h"


/* how often at once, before others have their turn */
#define NGX_HTTP_CHAT_OUTPUT_ROUNDS  4


static void ngx_http_chat_output_begin(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, off_t length);
static void ngx_http_chat_output_wake_handler(void *data);
static void ngx_http_chat_output_write_handler(ngx_http_request_t *r);
static void ngx_http_chat_output_process(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_output_again(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_output_switch(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_output_send(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_output_wait(ngx_http_request_t *r);
static void ngx_http_chat_output_free_ssl_buffer(ngx_connection_t *c);
static void ngx_http_chat_output_heartbeat_handler(ngx_event_t *ev);
static ngx_msec_t ngx_http_chat_output_heartbeat(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);


static ngx_str_t  ngx_http_chat_output_comment = ngx_string(": keep-alive\n\n");


void
ngx_http_chat_output_init(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_event_t               *ev;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    ev = &ctx->heartbeat;

    ev->handler = ngx_http_chat_output_heartbeat_handler;
    ev->data = ctx;
    ev->log = r->connection->log;

    ctx->sent = ngx_current_msec;

    /* not cancelable: a worker that is to exit stays while somebody waits */

    ngx_add_timer(ev, chlcf->heartbeat);
}


void
ngx_http_chat_output_start(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_channel_t *ch)
{
    ngx_http_chat_events_set_meta(r, ctx, ch);

    ctx->sub = ngx_chat_hub_attach(ch, &ngx_http_chat_events_dialect,
                                   ngx_http_chat_output_wake_handler, ctx);

    if (ctx->sub) {
        ngx_chat_metrics_move(NGX_CHAT_GAUGE_READERS, 1);
    }

    if (ctx->sub == NULL
        || ngx_http_chat_events_start(r, ctx) != NGX_OK
        || (ctx->kind == NGX_CHAT_CHANNEL_HIT
            && ngx_http_chat_events_take(r, ctx) != NGX_OK))
    {
        ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_INTERNAL);
        ngx_http_chat_ctx_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    /* the length of a short hit, of which all is there, is known */

    ngx_http_chat_output_begin(r, ctx, ctx->terminal ? ctx->bytes : -1);
}


void
ngx_http_chat_output_start_zone(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx)
{
    if (ngx_http_chat_events_take(r, ctx) != NGX_OK) {
        ngx_http_chat_ctx_set_error(ctx, NGX_CHAT_E_INTERNAL);
        ngx_http_chat_ctx_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_chat_output_begin(r, ctx, ctx->zone.length);
}


static void
ngx_http_chat_output_begin(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    off_t length)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *core;

    c = r->connection;

    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (core->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_chat_ctx_finalize(r, ctx, NGX_ERROR);
        return;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "chat stream of %*s starts, source %ui, terminal:%d",
                   (size_t) NGX_CHAT_ID_LEN, ctx->id,
                   (ngx_uint_t) ctx->source, ctx->terminal);

    rc = ngx_http_chat_header_send(r, ctx, length);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_chat_ctx_finalize(r, ctx, rc);
        return;
    }

    ngx_chat_metrics_observe(NGX_CHAT_TIME_FIRST_EVENT,
                             (uint64_t) 1000
                             * (ngx_current_msec - ctx->start));

    c->log->action = "sending an answer to client";

    r->write_event_handler = ngx_http_chat_output_write_handler;

    rc = ngx_http_chat_output_send(r, ctx);

    if (rc == NGX_ERROR || ctx->terminal) {
        ngx_http_chat_ctx_finalize(r, ctx, rc);
        return;
    }

    /* no channel wakes the reader of a long answer in the zone */

    if (ctx->zoned && ctx->busy == NULL && !c->buffered) {
        ngx_http_chat_output_again(r, ctx);
    }

    if (ngx_http_chat_output_wait(r) != NGX_OK) {
        ngx_http_chat_ctx_finalize(r, ctx, NGX_ERROR);
    }
}


static void
ngx_http_chat_output_wake_handler(void *data)
{
    ngx_http_chat_ctx_t  *ctx = data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    /* nginx may still be sending what is left of a finished request */

    if (ctx->finalized) {
        return;
    }

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "chat request wake");

    /* a client that does not keep up is served by its write event */

    if (ctx->busy == NULL) {
        ngx_http_chat_output_process(r, ctx);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_chat_output_write_handler(ngx_http_request_t *r)
{
    ngx_event_t          *wev;
    ngx_connection_t     *c;
    ngx_http_chat_ctx_t  *ctx;

    c = r->connection;
    wev = c->write;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "chat request write");

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "chat client timed out");
        c->timedout = 1;

        ngx_http_chat_ctx_finalize(r, ctx, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ngx_http_chat_output_process(r, ctx);
}


/* sends what can be sent, and sets the timers for what is waited for */

static void
ngx_http_chat_output_process(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t          rc;
    ngx_uint_t         n;
    ngx_connection_t  *c;

    c = r->connection;

    for (n = 0; n < NGX_HTTP_CHAT_OUTPUT_ROUNDS; n++) {

        if (ctx->busy == NULL && ngx_http_chat_events_take(r, ctx) != NGX_OK) {
            ngx_http_chat_ctx_finalize(r, ctx, NGX_ERROR);
            return;
        }

        if (ctx->out == NULL && ctx->busy == NULL && !c->buffered) {
            ngx_http_chat_output_switch(r, ctx);
            break;
        }

        /* only events let the loop go on; the rest of a write is one try */

        rc = ngx_http_chat_output_send(r, ctx);

        if (rc == NGX_ERROR || ctx->terminal) {
            ngx_http_chat_ctx_finalize(r, ctx, rc);
            return;
        }

        if (ctx->busy || c->buffered) {
            ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                           "chat client takes no more for now, bytes:%O",
                           ctx->bytes);
            break;
        }
    }

    if (n == NGX_HTTP_CHAT_OUTPUT_ROUNDS) {
        ngx_http_chat_output_again(r, ctx);
    }

    if (ngx_http_chat_output_wait(r) != NGX_OK) {
        ngx_http_chat_ctx_finalize(r, ctx, NGX_ERROR);
    }
}


/* the client takes all that it is given: the channel is to keep the rest */

static void
ngx_http_chat_output_again(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_event_t  *wev;

    if (ctx->sub) {
        ngx_chat_hub_again(ctx->sub);
        return;
    }

    wev = r->connection->write;

    if (!wev->posted) {
        ngx_post_event(wev, &ngx_posted_next_events);
    }
}


/*
 * Redis is lost, and with it a generation of which the client has seen no
 * chunk yet: another one is made for the client, once.  Nothing of the old
 * channel is under way to the client any more.
 */

static void
ngx_http_chat_output_switch(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_chat_sub_t      *sub;
    ngx_chat_error_e     e;
    ngx_chat_channel_t  *ch;

    if (ctx->switched || ctx->has_first_chunk
        || !ngx_http_chat_may_direct(r)
        || !ngx_chat_hub_is_lost(ctx->sub))
    {
        return;
    }

    ctx->switched = 1;

    ch = ngx_http_chat_direct_start(r, ctx, &e);
    if (ch == NULL) {
        return;
    }

    sub = ngx_chat_hub_attach(ch, &ngx_http_chat_events_dialect,
                              ngx_http_chat_output_wake_handler,
                              ctx);
    if (sub == NULL) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "chat question %*s goes over to the direct path: "
                  "Redis is down",
                  (size_t) NGX_CHAT_HASH_LEN, ctx->h);

    ngx_chat_hub_detach(ctx->sub);

    ctx->sub = sub;
    ctx->source = NGX_HTTP_CHAT_DIRECT;
}


static ngx_int_t
ngx_http_chat_output_send(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->sent = ngx_current_msec;

    rc = ngx_http_output_filter(r, ctx->out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &ctx->out,
                            (ngx_buf_tag_t) &ngx_chat_module);

    return rc;
}


/* for the client, as long as it does not take what was sent */

static ngx_int_t
ngx_http_chat_output_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *core;

    ngx_http_chat_output_free_ssl_buffer(r->connection);

    wev = r->connection->write;
    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (ngx_handle_write_event(wev, core->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    /* with "limit_rate" the timer is that of the delay */

    if (wev->delayed) {
        return NGX_OK;
    }

    if (wev->active && !wev->ready) {
        ngx_add_timer(wev, core->send_timeout);

    } else if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    return NGX_OK;
}


/*
 * nginx keeps the buffer, of ssl_buffer_size, until the next request.  A stream
 * waits for its provider most of the time: each write makes one instead.
 */

static void
ngx_http_chat_output_free_ssl_buffer(ngx_connection_t *c)
{
    ngx_buf_t  *b;

    if (c->ssl == NULL) {
        return;
    }

    b = c->ssl->buf;

    if (b && b->pos == b->last) {
        ngx_ssl_free_buffer(c);
    }
}


static void
ngx_http_chat_output_heartbeat_handler(ngx_event_t *ev)
{
    ngx_msec_t            left;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "chat heartbeat");

    left = ngx_http_chat_output_heartbeat(r, ctx);

    if (left) {
        ngx_add_timer(ev, left);
    }

    ngx_http_run_posted_requests(c);
}


/* time until the next one; 0: the request has ended */

static ngx_msec_t
ngx_http_chat_output_heartbeat(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_msec_t                 passed;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    passed = ngx_current_msec - ctx->sent;

    if (passed < chlcf->heartbeat) {
        return chlcf->heartbeat - passed;
    }

    /*
     * Without a subscription there is no answer yet, or one out of the zone.
     * A piece of a hit may end within an event.
     */

    if (ctx->sub == NULL || ctx->busy || r->connection->buffered
        || r->connection->write->posted || ngx_chat_hub_is_within(ctx->sub))
    {
        return chlcf->heartbeat;
    }

    ctx->out = ngx_http_chat_events_link(r, ctx, &ngx_http_chat_output_comment);

    if (ctx->out) {
        ctx->out->buf->flush = 1;
    }

    if (ctx->out == NULL
        || ngx_http_chat_output_send(r, ctx) == NGX_ERROR
        || ngx_http_chat_output_wait(r) != NGX_OK)
    {
        ngx_http_chat_ctx_finalize(r, ctx, NGX_ERROR);
        return 0;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat heartbeat was sent, %M ms after the last bytes",
                   passed);

    return chlcf->heartbeat;
}
