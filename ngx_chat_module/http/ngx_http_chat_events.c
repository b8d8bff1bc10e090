
#include "ngx_http_chat_events.h"
#include "ngx_http_chat_ctx.h"
#include "../codec/ngx_chat_sse_event.h"


/* limits of a batch of events taken from the channel */
#define NGX_HTTP_CHAT_EVENTS_MAX    256
#define NGX_HTTP_CHAT_EVENTS_BYTES  65536


static ngx_int_t ngx_http_chat_events_render(ngx_chat_event_t *ev,
    ngx_pool_t *pool, ngx_str_t *bytes);
static ngx_int_t ngx_http_chat_events_announce(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_int_t ngx_http_chat_events_take_zone(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static void ngx_http_chat_events_count(ngx_http_chat_ctx_t *ctx,
    ngx_chat_sse_event_t *event);
static ngx_int_t ngx_http_chat_events_fail(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chain_t **ll, ngx_str_t *code);


const ngx_chat_dialect_t  ngx_http_chat_events_dialect = {
    0,
    ngx_chat_sse_event_len,
    ngx_chat_sse_event_write,
    ngx_chat_hit_body_write
};

static ngx_str_t  ngx_http_chat_events_empty_line = ngx_string("\n\n");


void
ngx_http_chat_events_set_meta(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_channel_t *ch)
{
    ngx_chat_origin_t          *origin;
    ngx_chat_provider_t       **pvp;
    ngx_http_chat_loc_conf_t   *chlcf;

    ngx_memcpy(ctx->id, ngx_chat_hub_get_id(ch), NGX_CHAT_ID_LEN);
    ctx->kind = ngx_chat_hub_get_kind(ch);

    if (ctx->kind == NGX_CHAT_CHANNEL_HIT) {
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


ngx_int_t
ngx_http_chat_events_start(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_str_t          bytes;
    ngx_chat_event_t   ev;

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    ev.status = NGX_CHAT_PROCESSING;

    if (ngx_http_chat_events_render(&ev, r->pool, &bytes) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->out = ngx_http_chat_events_link(r, ctx, &bytes);
    if (ctx->out == NULL) {
        return NGX_ERROR;
    }

    ctx->out->buf->flush = 1;
    ctx->bytes = bytes.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_events_render(ngx_chat_event_t *ev, ngx_pool_t *pool,
    ngx_str_t *bytes)
{
    size_t  len;

    len = ngx_chat_sse_event_len(ev);

    bytes->data = ngx_pnalloc(pool, len);
    if (bytes->data == NULL) {
        return NGX_ERROR;
    }

    bytes->len = ngx_chat_sse_event_write(bytes->data, ev) - bytes->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_chat_events_take(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    size_t                size;
    ngx_int_t             rc;
    ngx_uint_t            n;
    ngx_chain_t          *cl, **ll;
    ngx_chat_sse_event_t  event;

    if (ctx->zoned) {
        return ngx_http_chat_events_take_zone(r, ctx);
    }

    /* a filter may have buffers of its own around our bytes */

    if (!r->connection->buffered) {
        ngx_chat_hub_sent(ctx->sub);
    }

    if (ngx_http_chat_events_announce(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    cl = NULL;
    size = 0;

    for (ll = &ctx->out; *ll; ll = &(*ll)->next) { /* void */ }

    for (n = 0;
         n < NGX_HTTP_CHAT_EVENTS_MAX && size < NGX_HTTP_CHAT_EVENTS_BYTES;
         n++)
    {
        rc = ngx_chat_hub_next(ctx->sub, &event);

        if (rc == NGX_AGAIN) {
            break;
        }

        if (rc != NGX_OK) {
            return ngx_http_chat_events_fail(r, ctx, ll,
                                          rc == NGX_ABORT ? &event.code : NULL);
        }

        if (cl && cl->buf->last == event.bytes.data) {
            cl->buf->last += event.bytes.len;
            cl->buf->end = cl->buf->last;

        } else {
            cl = ngx_http_chat_events_link(r, ctx, &event.bytes);
            if (cl == NULL) {
                return NGX_ERROR;
            }

            *ll = cl;
            ll = &cl->next;
        }

        size += event.bytes.len;

        ngx_http_chat_events_count(ctx, &event);

        if (ctx->terminal) {
            /* a led generation may have been handed over */

            ctx->kind = ngx_chat_hub_get_kind(
                                         ngx_chat_hub_get_channel(ctx->sub));

            ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                           "chat terminal event, status \"%V\", code \"%V\", "
                           "chunks:%ui", &ctx->status, &ctx->code, ctx->chunks);

            cl->buf->last_buf = 1;
            cl->buf->last_in_chain = 1;
            return NGX_OK;
        }
    }

    if (cl) {
        cl->buf->flush = 1;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat events taken:%ui, bytes:%uz, chunks so far:%ui",
                   n, size, ctx->chunks);

    return NGX_OK;
}


/* all of it, or some more of what lies in the zone */

static ngx_int_t
ngx_http_chat_events_take_zone(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx)
{
    size_t         size;
    ngx_str_t      bytes;
    ngx_uint_t     n;
    ngx_chain_t   *cl, **ll;

    cl = NULL;
    ll = &ctx->out;
    size = 0;

    for (n = 0;
         n < NGX_HTTP_CHAT_EVENTS_MAX && size < NGX_HTTP_CHAT_EVENTS_BYTES;
         n++)
    {
        if (ctx->zone.body.data) {
            bytes = ctx->zone.body;

        } else if (ngx_chat_tier_read(&ctx->zone,
                                      NGX_HTTP_CHAT_EVENTS_BYTES - size,
                                      &bytes)
                   != NGX_OK)
        {
            break;
        }

        cl = ngx_http_chat_events_link(r, ctx, &bytes);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        *ll = cl;
        ll = &cl->next;

        size += bytes.len;
        ctx->bytes += bytes.len;

        if (ctx->zone.left == 0) {
            ngx_str_set(&ctx->status, "completed");
            ctx->terminal = 1;

            cl->buf->last_buf = 1;
            cl->buf->last_in_chain = 1;

            break;
        }
    }

    if (cl && !ctx->terminal) {
        cl->buf->flush = 1;
    }

    if (!ctx->has_first_chunk) {
        ctx->has_first_chunk = 1;

        ngx_chat_metrics_observe(NGX_CHAT_TIME_FIRST_TOKEN, 0);
    }

    return NGX_OK;
}


/*
 * The header was sent with the name of a generation.  Where another one takes
 * its place, its name goes before its first chunk, as a comment, which is what
 * a stream of events has for those who want to know.
 */

static ngx_int_t
ngx_http_chat_events_announce(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    u_char              *p;
    ngx_str_t            bytes;
    ngx_chat_channel_t  *ch;

    ch = ngx_chat_hub_get_channel(ctx->sub);

    if (ngx_memcmp(ctx->id, ngx_chat_hub_get_id(ch), NGX_CHAT_ID_LEN) == 0) {
        return NGX_OK;
    }

    ngx_http_chat_events_set_meta(r, ctx, ch);

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

    ctx->out = ngx_http_chat_events_link(r, ctx, &bytes);
    if (ctx->out == NULL) {
        return NGX_ERROR;
    }

    ctx->out->buf->flush = 1;

    return NGX_OK;
}


static void
ngx_http_chat_events_count(ngx_http_chat_ctx_t *ctx,
    ngx_chat_sse_event_t *event)
{
    ctx->bytes += event->bytes.len;
    ctx->chunks += event->chunks;

    if (event->chunks && !ctx->has_first_chunk) {
        ctx->first_chunk = ngx_current_msec - ctx->start;
        ctx->has_first_chunk = 1;

        ngx_chat_metrics_observe(NGX_CHAT_TIME_FIRST_TOKEN,
                                 (uint64_t) 1000 * ctx->first_chunk);
    }

    switch (event->status) {

    case NGX_CHAT_PROCESSING:
        ctx->chunks = 0;
        break;

    case NGX_CHAT_STREAMING:
        break;

    case NGX_CHAT_COMPLETED:
        ngx_str_set(&ctx->status, "completed");
        ctx->terminal = 1;

        if (event->origin->provider.len) {
            ctx->provider = event->origin->provider;
            ctx->model = event->origin->model;
        }

        break;

    default: /* NGX_CHAT_ERROR */
        ngx_str_set(&ctx->status, "error");
        ctx->code = event->code;
        ctx->terminal = 1;
    }
}


/*
 * The channel has nothing more to give, for want of memory unless there is
 * another code for it: the stream still ends with an event.
 * A long hit may have been cut within an event; an empty line ends that one,
 * and is nothing elsewhere.
 */

static ngx_int_t
ngx_http_chat_events_fail(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chain_t **ll, ngx_str_t *code)
{
    ngx_chain_t          *cl;
    ngx_chat_event_t      ev;
    ngx_chat_sse_event_t  event;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "chat answer of generation %*s cannot be sent to the end, "
                  "an error event ends it",
                  (size_t) NGX_CHAT_ID_LEN, ctx->id);

    ngx_chat_error_event(&ev, code ? ngx_chat_error_find(code)
                                   : NGX_CHAT_E_INTERNAL);

    event.status = ev.status;
    event.code = ev.code;
    event.chunks = 0;
    event.origin = NULL;

    if (ngx_http_chat_events_render(&ev, r->pool, &event.bytes) != NGX_OK) {
        return NGX_ERROR;
    }

    *ll = ngx_http_chat_events_link(r, ctx, &ngx_http_chat_events_empty_line);
    if (*ll == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_http_chat_events_link(r, ctx, &event.bytes);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf->last_buf = 1;
    cl->buf->last_in_chain = 1;

    (*ll)->next = cl;

    ctx->bytes += ngx_http_chat_events_empty_line.len;

    ngx_http_chat_events_count(ctx, &event);

    return NGX_OK;
}


ngx_chain_t *
ngx_http_chat_events_link(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
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
