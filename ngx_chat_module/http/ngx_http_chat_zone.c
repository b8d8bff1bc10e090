
#include "ngx_http_chat_zone.h"
#include "provider/ngx_http_chat_worker.h"
#include "ngx_http_chat_ctx.h"
#include "ngx_http_chat_events.h"
#include "ngx_http_chat_output.h"
#include "../hub/ngx_chat_stow.h"


ngx_int_t
ngx_http_chat_zone_serve(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_chat_tier_t         *zone;
    ngx_chat_tier_answer_t   answer;

    zone = ngx_chat_hub_get_zone(ngx_http_chat_hub);

    if (zone == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_chat_tier_find(zone, &ctx->key, r->pool, &answer, &ctx->zone);
    if (rc != NGX_OK) {
        return rc;
    }

    /*
     * A long answer takes a while.  The heartbeat sends nothing then, but a
     * worker that is to exit stays for its timer.
     */

    if (ctx->zone.entry) {

        if (ngx_http_chat_ctx_watch(r) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_chat_output_init(r, ctx);
    }

    ngx_memcpy(ctx->h, answer.h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(ctx->id, answer.id, NGX_CHAT_ID_LEN);

    ctx->hashed = 1;
    ctx->has_result = 1;
    ctx->switched = 1;
    ctx->zoned = 1;
    ctx->source = NGX_HTTP_CHAT_HIT;
    ctx->kind = NGX_CHAT_CHANNEL_HIT;
    ctx->ttl = (answer.ttl == NGX_CHAT_ANSWER_NO_TTL)
               ? answer.ttl : (answer.ttl + 500) / 1000;
    ctx->start = ngx_current_msec;

    ctx->provider = answer.origin.provider;
    ctx->model = answer.origin.model;
    ctx->usage = answer.usage;
    ctx->chunks = answer.chunks;

    ngx_http_chat_output_start_zone(r, ctx);

    return NGX_OK;
}


void
ngx_http_chat_zone_stow(ngx_http_chat_ctx_t *ctx, ngx_chat_result_t *result)
{
    ngx_chat_hub_stow(result->channel, &ngx_http_chat_events_dialect,
                      &ctx->key, result->ticket, result->ttl);
}


void
ngx_http_chat_zone_stow_later(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_chat_channel_t *ch)
{
    if (ctx->asked->mode != NGX_CHAT_ASK_PRIVATE) {
        ngx_chat_hub_stow_later(ch, &ngx_http_chat_events_dialect, &ctx->key,
                                ctx->asked->ttl);
    }
}
