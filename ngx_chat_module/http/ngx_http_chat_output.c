
#include "ngx_http_chat_output.h"
#include "ngx_http_chat_ctx.h"
#include "provider/ngx_http_chat_direct.h"
#include "ngx_http_chat_header.h"
#include "../codec/ngx_chat_sse_event.h"


/* limits of a batch of frames taken from the channel */
#define NGX_HTTP_CHAT_FRAMES  64
#define NGX_HTTP_CHAT_BYTES   65536

/* how often at once, before others have their turn */
#define NGX_HTTP_CHAT_ROUNDS  4


static void ngx_http_chat_channel_meta(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_channel_t *ch);
static ngx_int_t ngx_http_chat_open_stream(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_render(ngx_chat_event_t *ev, ngx_pool_t *pool,
    ngx_str_t *frame);

static void ngx_http_chat_wake(void *data);
static void ngx_http_chat_write_handler(ngx_http_request_t *r);
static void ngx_http_chat_process(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_take(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_announce(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_switch(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_count(ngx_http_chat_ctx_t *ctx,
    ngx_chat_sse_event_t *frame);
static ngx_int_t ngx_http_chat_fail(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chain_t **ll);
static ngx_chain_t *ngx_http_chat_link(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_str_t *bytes);
static ngx_int_t ngx_http_chat_send(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_wait(ngx_http_request_t *r);
static void ngx_http_chat_heartbeat_handler(ngx_event_t *ev);
static ngx_msec_t ngx_http_chat_heartbeat(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);


static const ngx_chat_dialect_t  ngx_http_chat_dialect = {
    0,
    ngx_http_chat_render,
    ngx_chat_hit_body_write
};

static ngx_str_t  ngx_http_chat_comment = ngx_string(": keep-alive\n\n");
static ngx_str_t  ngx_http_chat_empty_line = ngx_string("\n\n");


void
ngx_http_chat_output_init(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_event_t               *ev;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    ev = &ctx->heartbeat;

    ev->handler = ngx_http_chat_heartbeat_handler;
    ev->data = ctx;
    ev->log = r->connection->log;

    ctx->sent = ngx_current_msec;

    /* not cancelable: a worker that is to exit stays while somebody waits */

    ngx_add_timer(ev, chlcf->heartbeat);
}


void
ngx_http_chat_send_channel(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_channel_t *ch)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *core;

    c = r->connection;

    ngx_http_chat_channel_meta(r, ctx, ch);

    ctx->sub = ngx_chat_hub_attach(ch, &ngx_http_chat_dialect,
                                   ngx_http_chat_wake, ctx);

    if (ctx->sub == NULL
        || ngx_http_chat_open_stream(r, ctx) != NGX_OK
        || (ctx->source == NGX_HTTP_CHAT_HIT
            && ngx_http_chat_take(r, ctx) != NGX_OK))
    {
        ngx_http_chat_ctx_error(ctx, NGX_CHAT_E_INTERNAL);
        ngx_http_chat_finalize(r, ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (core->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_chat_finalize(r, ctx, NGX_ERROR);
        return;
    }

    /* the length of a short hit, of which all is there, is known */

    rc = ngx_http_chat_send_header(r, ctx, ctx->terminal ? ctx->bytes : -1);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_chat_finalize(r, ctx, rc);
        return;
    }

    c->log->action = "sending an answer to client";

    r->write_event_handler = ngx_http_chat_write_handler;

    rc = ngx_http_chat_send(r, ctx);

    if (rc == NGX_ERROR || ctx->terminal) {
        ngx_http_chat_finalize(r, ctx, rc);
        return;
    }

    if (ngx_http_chat_wait(r) != NGX_OK) {
        ngx_http_chat_finalize(r, ctx, NGX_ERROR);
    }
}


static void
ngx_http_chat_channel_meta(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_channel_t *ch)
{
    ngx_chat_origin_t          *origin;
    ngx_chat_provider_t       **pvp;
    ngx_http_chat_loc_conf_t   *chlcf;

    ngx_memcpy(ctx->id, ngx_chat_hub_get_id(ch), NGX_CHAT_ID_LEN);

    if (ctx->source == NGX_HTTP_CHAT_HIT) {
        origin = ngx_chat_hub_get_origin(ch);

        ctx->provider = origin->provider;
        ctx->model = origin->model;

        return;
    }

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    /* the preferred provider, until the origin is known */

    if (chlcf->providers && chlcf->providers->nelts) {
        pvp = chlcf->providers->elts;

        ctx->provider = pvp[0]->name;
        ctx->model = pvp[0]->model;
    }
}


/* the "processing" that leaves together with the header */

static ngx_int_t
ngx_http_chat_open_stream(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_str_t          bytes;
    ngx_chat_event_t   ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;

    if (ngx_http_chat_render(&ev, r->pool, &bytes) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->out = ngx_http_chat_link(r, ctx, &bytes);
    if (ctx->out == NULL) {
        return NGX_ERROR;
    }

    ctx->out->buf->flush = 1;
    ctx->bytes = bytes.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_render(ngx_chat_event_t *ev, ngx_pool_t *pool, ngx_str_t *frame)
{
    size_t  len;

    len = ngx_chat_sse_event_len(ev);

    frame->data = ngx_pnalloc(pool, len);
    if (frame->data == NULL) {
        return NGX_ERROR;
    }

    frame->len = ngx_chat_sse_event_write(frame->data, ev) - frame->data;

    return NGX_OK;
}


static void
ngx_http_chat_wake(void *data)
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

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "http chat wake");

    /* a client that does not keep up is served by its write event */

    if (ctx->busy == NULL) {
        ngx_http_chat_process(r, ctx);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_chat_write_handler(ngx_http_request_t *r)
{
    ngx_event_t          *wev;
    ngx_connection_t     *c;
    ngx_http_chat_ctx_t  *ctx;

    c = r->connection;
    wev = c->write;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "http chat write handler");

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_chat_finalize(r, ctx, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ngx_http_chat_process(r, ctx);
}


/* sends what can be sent, and says what is waited for */

static void
ngx_http_chat_process(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t          rc;
    ngx_uint_t         n;
    ngx_connection_t  *c;

    c = r->connection;

    for (n = 0; n < NGX_HTTP_CHAT_ROUNDS; n++) {

        if (ctx->busy == NULL && ngx_http_chat_take(r, ctx) != NGX_OK) {
            ngx_http_chat_finalize(r, ctx, NGX_ERROR);
            return;
        }

        if (ctx->out == NULL && ctx->busy == NULL && !c->buffered) {
            ngx_http_chat_switch(r, ctx);
            break;
        }

        /* only frames let the loop go on; the rest of a write is one try */

        rc = ngx_http_chat_send(r, ctx);

        if (rc == NGX_ERROR || ctx->terminal) {
            ngx_http_chat_finalize(r, ctx, rc);
            return;
        }

        if (ctx->busy || c->buffered) {
            break;
        }
    }

    if (n == NGX_HTTP_CHAT_ROUNDS && !c->write->posted) {
        ngx_post_event(c->write, &ngx_posted_next_events);
    }

    if (ngx_http_chat_wait(r) != NGX_OK) {
        ngx_http_chat_finalize(r, ctx, NGX_ERROR);
    }
}


/* moves frames from the channel to ctx->out, as many as go well together */

static ngx_int_t
ngx_http_chat_take(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    size_t                size;
    ngx_int_t             rc;
    ngx_uint_t            n;
    ngx_chain_t          *cl, **ll;
    ngx_chat_sse_event_t  frame;

    if (ngx_http_chat_announce(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    cl = NULL;
    size = 0;

    for (ll = &ctx->out; *ll; ll = &(*ll)->next) { /* void */ }

    for (n = 0;
         n < NGX_HTTP_CHAT_FRAMES && size < NGX_HTTP_CHAT_BYTES;
         n++)
    {
        rc = ngx_chat_hub_next(ctx->sub, &frame);

        if (rc == NGX_AGAIN) {
            break;
        }

        if (rc != NGX_OK) {
            return ngx_http_chat_fail(r, ctx, ll);
        }

        cl = ngx_http_chat_link(r, ctx, &frame.bytes);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        *ll = cl;
        ll = &cl->next;

        size += frame.bytes.len;

        ngx_http_chat_count(ctx, &frame);

        if (ctx->terminal) {
            cl->buf->last_buf = 1;
            cl->buf->last_in_chain = 1;
            return NGX_OK;
        }
    }

    if (cl) {
        cl->buf->flush = 1;
    }

    return NGX_OK;
}


/*
 * The header was sent with the name of a generation.  Where another one takes
 * its place, its name goes before its first chunk, as a comment, which is what
 * a stream of events has for those who want to know.
 */

static ngx_int_t
ngx_http_chat_announce(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    u_char              *p;
    ngx_str_t            bytes;
    ngx_chat_channel_t  *ch;

    ch = ngx_chat_hub_get_channel(ctx->sub);

    if (ngx_memcmp(ctx->id, ngx_chat_hub_get_id(ch), NGX_CHAT_ID_LEN) == 0) {
        return NGX_OK;
    }

    ngx_http_chat_channel_meta(r, ctx, ch);

    p = ngx_pnalloc(r->pool, sizeof(": generation .\n\n") - 1
                             + NGX_CHAT_ID_LEN + NGX_CHAT_HASH_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes.data = p;
    bytes.len = ngx_sprintf(p, ": generation %*s.%*s\n\n",
                            (size_t) NGX_CHAT_ID_LEN, ctx->id,
                            (size_t) NGX_CHAT_HASH_LEN, ctx->h)
                - p;

    ctx->out = ngx_http_chat_link(r, ctx, &bytes);
    if (ctx->out == NULL) {
        return NGX_ERROR;
    }

    ctx->out->buf->flush = 1;

    return NGX_OK;
}


/*
 * Redis has gone away with the generation, of which the client has seen no
 * chunk yet: another one is made for it, once.  Nothing of the old channel is
 * under way to the client any more.
 */

static void
ngx_http_chat_switch(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
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

    ch = ngx_http_chat_direct(r, ctx, &e);
    if (ch == NULL) {
        return;
    }

    sub = ngx_chat_hub_attach(ch, &ngx_http_chat_dialect, ngx_http_chat_wake,
                              ctx);
    if (sub == NULL) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "Redis is down: question %*s goes over to the direct path",
                  (size_t) NGX_CHAT_HASH_LEN, ctx->h);

    ngx_chat_hub_detach(ctx->sub);

    ctx->sub = sub;
    ctx->source = NGX_HTTP_CHAT_DIRECT;
}


static void
ngx_http_chat_count(ngx_http_chat_ctx_t *ctx, ngx_chat_sse_event_t *frame)
{
    ctx->bytes += frame->bytes.len;
    ctx->chunks += frame->chunks;

    if (frame->chunks && !ctx->has_first_chunk) {
        ctx->first_chunk = ngx_current_msec - ctx->start;
        ctx->has_first_chunk = 1;
    }

    switch (frame->status) {

    case NGX_CHAT_PROCESSING:
        ctx->chunks = 0;
        break;

    case NGX_CHAT_STREAMING:
        break;

    case NGX_CHAT_COMPLETED:
        ngx_str_set(&ctx->status, "completed");
        ctx->terminal = 1;

        if (frame->origin->provider.len) {
            ctx->provider = frame->origin->provider;
            ctx->model = frame->origin->model;
        }

        break;

    default: /* NGX_CHAT_ERROR */
        ngx_str_set(&ctx->status, "error");
        ctx->code = frame->code;
        ctx->terminal = 1;
    }
}


/*
 * The channel has nothing more to give: the stream still ends with an event.
 * Of a long hit a frame may have been begun; an empty line ends it, and is
 * nothing elsewhere.
 */

static ngx_int_t
ngx_http_chat_fail(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chain_t **ll)
{
    ngx_chain_t          *cl;
    ngx_chat_event_t      ev;
    ngx_chat_sse_event_t  frame;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "answer cannot be sent to the end");

    ngx_chat_error_event(&ev, NGX_CHAT_E_INTERNAL);

    frame.status = ev.status;
    frame.code = ev.code;
    frame.chunks = 0;
    frame.origin = NULL;

    if (ngx_http_chat_render(&ev, r->pool, &frame.bytes) != NGX_OK) {
        return NGX_ERROR;
    }

    *ll = ngx_http_chat_link(r, ctx, &ngx_http_chat_empty_line);
    if (*ll == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_http_chat_link(r, ctx, &frame.bytes);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf->last_buf = 1;
    cl->buf->last_in_chain = 1;

    (*ll)->next = cl;

    ctx->bytes += ngx_http_chat_empty_line.len;

    ngx_http_chat_count(ctx, &frame);

    return NGX_OK;
}


static ngx_chain_t *
ngx_http_chat_link(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_str_t *bytes)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = ngx_chain_get_free_buf(r->pool, &ctx->free);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = bytes->data;
    b->pos = bytes->data;
    b->last = bytes->data + bytes->len;
    b->end = b->last;
    b->memory = 1;
    b->tag = (ngx_buf_tag_t) &ngx_chat_module;

    return cl;
}


static ngx_int_t
ngx_http_chat_send(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
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
ngx_http_chat_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *core;

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


static void
ngx_http_chat_heartbeat_handler(ngx_event_t *ev)
{
    ngx_msec_t            left;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "http chat heartbeat");

    left = ngx_http_chat_heartbeat(r, ctx);

    if (left) {
        ngx_add_timer(ev, left);
    }

    ngx_http_run_posted_requests(c);
}


/* time until the next one; 0: the request has ended */

static ngx_msec_t
ngx_http_chat_heartbeat(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_msec_t                 passed;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    passed = ngx_current_msec - ctx->sent;

    if (passed < chlcf->heartbeat) {
        return chlcf->heartbeat - passed;
    }

    /* a piece may end within a frame */

    if (!ctx->has_result || ctx->busy || r->connection->buffered
        || r->connection->write->posted)
    {
        return chlcf->heartbeat;
    }

    ctx->out = ngx_http_chat_link(r, ctx, &ngx_http_chat_comment);

    if (ctx->out) {
        ctx->out->buf->flush = 1;
    }

    if (ctx->out == NULL
        || ngx_http_chat_send(r, ctx) == NGX_ERROR
        || ngx_http_chat_wait(r) != NGX_OK)
    {
        ngx_http_chat_finalize(r, ctx, NGX_ERROR);
        return 0;
    }

    return chlcf->heartbeat;
}
