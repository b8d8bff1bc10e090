
#include "ngx_chat_lookup.h"
#include "../net/ngx_chat_resolver.h"


static void ngx_chat_lookup_resolved(ngx_resolver_ctx_t *ctx);


ngx_int_t
ngx_chat_lookup(ngx_chat_lookup_t *lk, ngx_resolver_t *like,
    ngx_msec_t timeout, ngx_log_t *log)
{
    ngx_resolver_t      *resolver;
    ngx_resolver_ctx_t  *ctx;

    if (like == NULL) {
        return ngx_chat_lookup_system(lk, timeout, log);
    }

    resolver = ngx_chat_resolver(like, log);
    if (resolver == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_resolve_start(resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return NGX_ERROR;
    }

    ctx->name = lk->name;
    ctx->handler = ngx_chat_lookup_resolved;
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
ngx_chat_lookup_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t           rc;
    ngx_uint_t          i;
    ngx_chat_lookup_t  *lk;

    lk = ctx->data;

    lk->ctx = NULL;

    if (ctx->state) {
        lk->why = ngx_resolver_strerror(ctx->state);
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_lookup_room(lk, ctx->naddrs);

        for (i = 0; rc == NGX_OK && i < ctx->naddrs; i++) {
            ngx_chat_lookup_found(lk, ctx->addrs[i].sockaddr,
                                  ctx->addrs[i].socklen);
        }
    }

    ngx_resolve_name_done(ctx);

    if (lk->starting) {
        lk->rc = rc;
        return;
    }

    lk->handler(lk, rc);
}


void
ngx_chat_lookup_give_up(ngx_chat_lookup_t *lk)
{
    if (lk->ctx) {
        ngx_resolve_name_done(lk->ctx);
        lk->ctx = NULL;
    }

    if (lk->waiting) {
        lk->waiting = 0;
        ngx_queue_remove(&lk->queue);
    }

    if (lk->timer.timer_set) {
        ngx_del_timer(&lk->timer);
    }
}


ngx_int_t
ngx_chat_lookup_room(ngx_chat_lookup_t *lk, ngx_uint_t n)
{
    lk->addrs.len = 0;
    lk->addrs.data = ngx_pnalloc(lk->pool, n * (NGX_SOCKADDR_STRLEN + 1) + 1);

    return lk->addrs.data ? NGX_OK : NGX_ERROR;
}


void
ngx_chat_lookup_found(ngx_chat_lookup_t *lk, struct sockaddr *sockaddr,
    socklen_t socklen)
{
    u_char  *p;

    p = lk->addrs.data + lk->addrs.len;

    if (lk->addrs.len) {
        *p++ = ',';
    }

    p += ngx_sock_ntop(sockaddr, socklen, p, NGX_SOCKADDR_STRLEN, 0);

    lk->addrs.len = p - lk->addrs.data;
}
