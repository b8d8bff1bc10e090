
#include "ngx_chat_lookup.h"
#include "ngx_chat_lookup_private.h"
#include "../net/ngx_chat_resolver.h"


static ngx_int_t ngx_chat_lookup_resolve(ngx_chat_lookup_t *lk,
    ngx_resolver_t *like, ngx_msec_t timeout, ngx_log_t *log);
static void ngx_chat_lookup_resolver_handler(ngx_resolver_ctx_t *ctx);


ngx_int_t
ngx_chat_lookup_start(ngx_chat_lookup_t *lk, ngx_resolver_t *like,
    ngx_msec_t timeout, ngx_log_t *log)
{
    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, log, 0,
                   "chat lookup \"%V\" resolver:%p timeout:%M",
                   &lk->name, like, timeout);

    if (like == NULL) {
        return ngx_chat_lookup_system_start(lk, timeout, log);
    }

    return ngx_chat_lookup_resolve(lk, like, timeout, log);
}


static ngx_int_t
ngx_chat_lookup_resolve(ngx_chat_lookup_t *lk, ngx_resolver_t *like,
    ngx_msec_t timeout, ngx_log_t *log)
{
    ngx_resolver_t      *resolver;
    ngx_resolver_ctx_t  *ctx;

    resolver = ngx_chat_resolver_get(like, log);
    if (resolver == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_resolve_start(resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return NGX_ERROR;
    }

    ctx->name = lk->name;
    ctx->handler = ngx_chat_lookup_resolver_handler;
    ctx->data = lk;
    ctx->timeout = timeout;
    ctx->cancelable = 1;

    lk->ctx = ctx;
    lk->rc = NGX_AGAIN;
    lk->starting = 1;

    if (ngx_resolve_name(ctx) != NGX_OK) {

        /* ctx is freed by ngx_resolve_name() */

        lk->ctx = NULL;
        lk->rc = NGX_ERROR;
    }

    lk->starting = 0;

    return lk->rc;
}


static void
ngx_chat_lookup_resolver_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t           rc;
    ngx_uint_t          i;
    ngx_chat_lookup_t  *lk;

    lk = ctx->data;

    lk->ctx = NULL;

    if (ctx->state) {
        lk->reason = ngx_resolver_strerror(ctx->state);
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_lookup_addrs_init(lk, ctx->naddrs);

        for (i = 0; rc == NGX_OK && i < ctx->naddrs; i++) {
            ngx_chat_lookup_addrs_add(lk, ctx->addrs[i].sockaddr,
                                      ctx->addrs[i].socklen);
        }
    }

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, ctx->resolver->log, 0,
                   "chat lookup \"%V\" resolved rc:%i addresses:%ui",
                   &lk->name, rc, ctx->naddrs);

    ngx_resolve_name_done(ctx);

    if (lk->starting) {
        lk->rc = rc;
        return;
    }

    lk->handler(lk, rc);
}


void
ngx_chat_lookup_cancel(ngx_chat_lookup_t *lk)
{
    if (lk->ctx) {
        ngx_resolve_name_done(lk->ctx);
        lk->ctx = NULL;
    }

    ngx_chat_lookup_system_cancel(lk);
}
