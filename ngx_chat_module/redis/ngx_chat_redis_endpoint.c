
#include "ngx_chat_redis_private.h"
#include "../net/ngx_chat_resolver.h"


#define NGX_CHAT_REDIS_ENDPOINT_POOL  1024


static void ngx_chat_redis_endpoint_sentinel_handler(void *data, ngx_int_t rc,
    ngx_chat_redis_sentinel_addr_t *sa, ngx_uint_t moved);
static ngx_int_t ngx_chat_redis_endpoint_set_master(ngx_chat_redis_t *rd,
    ngx_chat_redis_sentinel_addr_t *sa);
static void ngx_chat_redis_endpoint_follow_master(ngx_chat_redis_t *rd,
    ngx_chat_redis_sentinel_addr_t *sa);
static ngx_int_t ngx_chat_redis_endpoint_start_round(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_endpoint_find_host(ngx_chat_redis_t *rd);
static void ngx_chat_redis_endpoint_skip_host(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_endpoint_resolve(ngx_chat_redis_t *rd,
    ngx_chat_redis_host_t *host);
static void ngx_chat_redis_endpoint_resolve_handler(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_chat_redis_endpoint_set_resolved(ngx_chat_redis_t *rd,
    ngx_resolver_ctx_t *ctx);
static void ngx_chat_redis_endpoint_set_peers(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_endpoint_get_peer(ngx_peer_connection_t *pc,
    void *data);
static void ngx_chat_redis_endpoint_free_peer(ngx_peer_connection_t *pc,
    void *data,
    ngx_uint_t state);
static ngx_uint_t ngx_chat_redis_endpoint_may_move(ngx_chat_redis_t *rd);


ngx_int_t
ngx_chat_redis_endpoint_create(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    if (rd->conf->sentinel == NULL) {
        return NGX_OK;
    }

    ep->member.handler = ngx_chat_redis_endpoint_sentinel_handler;
    ep->member.data = rd;

    ep->sentinel = rd->sentinel->join(rd->conf->sentinel, &ep->member, rd->log);

    return ep->sentinel ? NGX_OK : NGX_ERROR;
}


void
ngx_chat_redis_endpoint_close(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    if (ep->sentinel) {
        rd->sentinel->leave(ep->sentinel, &ep->member);
        ep->sentinel = NULL;
    }
}


static void
ngx_chat_redis_endpoint_sentinel_handler(void *data, ngx_int_t rc,
    ngx_chat_redis_sentinel_addr_t *sa, ngx_uint_t moved)
{
    ngx_chat_redis_t *rd = data;

    ngx_chat_redis_endpoint_t  *ep;

    if (moved) {
        ngx_chat_redis_endpoint_follow_master(rd, sa);
        return;
    }

    if (rc != NGX_OK) {
        rd->endpoint.found(rd, rc);
        return;
    }

    if (ngx_chat_redis_endpoint_set_master(rd, sa) != NGX_OK) {
        rd->endpoint.found(rd, NGX_ERROR);
        return;
    }

    ep = &rd->endpoint;
    rd->host = &ep->master_host.name;

    if (sa->addr.sockaddr == NULL) {
        rc = ngx_chat_redis_endpoint_resolve(rd, &ep->master_host);

        if (rc != NGX_AGAIN) {
            rd->endpoint.found(rd, rc);
        }

        return;
    }

    ep->addrs = ngx_chat_redis_addr_copy(ep->pool, &sa->addr);
    if (ep->addrs == NULL) {
        rd->endpoint.found(rd, NGX_ERROR);
        return;
    }

    ep->naddrs = 1;

    ngx_chat_redis_endpoint_set_peers(rd);
    rd->endpoint.found(rd, NGX_OK);
}


static ngx_int_t
ngx_chat_redis_endpoint_set_master(ngx_chat_redis_t *rd,
    ngx_chat_redis_sentinel_addr_t *sa)
{
    size_t                      len;
    ngx_str_t                  *name, *text;
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;
    text = &sa->addr.name;
    name = &ep->master_host.name;

    ep->master.data = ngx_pstrdup(ep->pool, text);
    name->data = ngx_pnalloc(ep->pool, text->len + 1);

    if (ep->master.data == NULL || name->data == NULL) {
        return NGX_ERROR;
    }

    ep->master.len = text->len;
    ep->master_host.port = sa->port;

    /* the host to expect there: without the port, and without brackets */

    len = text->len;

    while (len && text->data[len - 1] != ':') {
        len--;
    }

    name->len = len ? len - 1 : text->len;

    ngx_memcpy(name->data, text->data, name->len);
    name->data[name->len] = '\0';

    if (name->len > 2 && name->data[0] == '[') {
        name->data++;
        name->len -= 2;
        name->data[name->len] = '\0';
    }

    return NGX_OK;
}


static void
ngx_chat_redis_endpoint_follow_master(ngx_chat_redis_t *rd,
    ngx_chat_redis_sentinel_addr_t *sa)
{
    ngx_str_t  *master;

    master = &rd->endpoint.master;

    if (rd->peer.sockaddr
        && master->len == sa->addr.name.len
        && ngx_memcmp(master->data, sa->addr.name.data, master->len) == 0)
    {
        return;
    }

    ngx_chat_redis_enter(rd);

    rd->handlers->moved(rd, "the master is another one now");

    ngx_chat_redis_leave(rd);
}


ngx_int_t
ngx_chat_redis_endpoint_find(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    if (ep->pool == NULL) {
        return ngx_chat_redis_endpoint_start_round(rd);
    }

    if (rd->peer.tries) {
        return NGX_OK;
    }

    return ngx_chat_redis_endpoint_find_host(rd);
}


static ngx_int_t
ngx_chat_redis_endpoint_start_round(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    ngx_memzero(&rd->peer, sizeof(ngx_peer_connection_t));

    ep->pool = ngx_create_pool(NGX_CHAT_REDIS_ENDPOINT_POOL, rd->log);
    if (ep->pool == NULL) {
        return NGX_ERROR;
    }

    if (rd->conf->group) {
        return ngx_chat_redis_endpoint_upstream_init(rd);
    }

    if (ep->sentinel) {
        rd->sentinel->ask(ep->sentinel, &ep->member);
        return NGX_AGAIN;
    }

    ep->hosts = rd->conf->nhosts;

    return ngx_chat_redis_endpoint_find_host(rd);
}


/* the next host that has addresses */

static ngx_int_t
ngx_chat_redis_endpoint_find_host(ngx_chat_redis_t *rd)
{
    ngx_int_t                   rc;
    ngx_chat_redis_host_t      *host;
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    while (ep->hosts) {
        ep->hosts--;

        host = &rd->conf->hosts[ep->host];

        ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                       "chat redis %s: host \"%V\", more:%ui",
                       rd->role, &host->name, ep->hosts);
        rd->host = &host->name;

        if (host->addrs) {
            ep->addrs = host->addrs;
            ep->naddrs = host->naddrs;

            ngx_chat_redis_endpoint_set_peers(rd);
            return NGX_OK;
        }

        rc = ngx_chat_redis_endpoint_resolve(rd, host);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        ngx_chat_redis_endpoint_skip_host(rd);
    }

    return NGX_DECLINED;
}


static void
ngx_chat_redis_endpoint_skip_host(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    ep->addr = 0;

    if (rd->conf->nhosts) {
        ep->host = (ep->host + 1) % rd->conf->nhosts;
    }
}


static ngx_int_t
ngx_chat_redis_endpoint_resolve(ngx_chat_redis_t *rd,
    ngx_chat_redis_host_t *host)
{
    u_char                      buf[NGX_CHAT_REDIS_MAX_ERRMSG];
    ngx_str_t                   errmsg;
    ngx_resolver_t             *resolver;
    ngx_resolver_ctx_t         *ctx;
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    if (rd->conf->resolver == NULL) {

        /* a name from Sentinel was not known when the others were resolved */

        errmsg.data = buf;
        errmsg.len = ngx_snprintf(buf, sizeof(buf),
                                 "%V is a name, and there is no resolver",
                                 &host->name)
                    - buf;

        ngx_chat_redis_set_errmsg(rd, &errmsg);

        return NGX_DECLINED;
    }

    resolver = ngx_chat_resolver_get(rd->conf->resolver, rd->log);
    if (resolver == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_resolve_start(resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return NGX_ERROR;
    }

    ctx->name = host->name;
    ctx->handler = ngx_chat_redis_endpoint_resolve_handler;
    ctx->data = rd;
    ctx->timeout = ngx_min(rd->conf->resolver_timeout,
                           NGX_CHAT_REDIS_LOOKUP_TIMEOUT);
    ctx->cancelable = 1;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %V, %s: resolves \"%V\"",
                   &rd->conf->name, rd->role, &host->name);

    ep->ctx = ctx;
    ep->port = host->port;
    ep->rc = NGX_AGAIN;
    ep->starting = 1;

    if (ngx_resolve_name(ctx) != NGX_OK) {

        /* ctx is freed by ngx_resolve_name() on error */

        ep->ctx = NULL;
        ep->rc = NGX_DECLINED;
    }

    ep->starting = 0;

    return ep->rc;
}


static void
ngx_chat_redis_endpoint_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    u_char                      buf[NGX_CHAT_REDIS_MAX_ERRMSG];
    ngx_int_t                   rc;
    ngx_str_t                   errmsg;
    ngx_chat_redis_t           *rd;
    ngx_chat_redis_endpoint_t  *ep;

    rd = ctx->data;
    ep = &rd->endpoint;

    ep->ctx = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: resolved, state %i addresses:%ui",
                   rd->role, ctx->state, ctx->naddrs);

    if (ctx->state) {
        errmsg.data = buf;
        errmsg.len = ngx_snprintf(buf, sizeof(buf),
                                 "%V could not be resolved (%i: %s)",
                                 &ctx->name, ctx->state,
                                 ngx_resolver_strerror(ctx->state))
                    - buf;

        ngx_chat_redis_set_errmsg(rd, &errmsg);

        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_redis_endpoint_set_resolved(rd, ctx);
    }

    ngx_resolve_name_done(ctx);

    if (ep->starting) {
        ep->rc = rc;
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_chat_redis_endpoint_skip_host(rd);

        rc = ngx_chat_redis_endpoint_find_host(rd);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    rd->endpoint.found(rd, rc);
}


static ngx_int_t
ngx_chat_redis_endpoint_set_resolved(ngx_chat_redis_t *rd,
    ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                  i;
    ngx_addr_t                 *addrs;
    ngx_pool_t                 *pool;
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;
    pool = ep->pool;

    addrs = ngx_palloc(pool, ctx->naddrs * sizeof(ngx_addr_t));
    if (addrs == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->naddrs; i++) {

        if (ngx_chat_redis_addr_init(&addrs[i], &ctx->addrs[i], ep->port, pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ep->addrs = addrs;
    ep->naddrs = ctx->naddrs;

    /* the resolver has its own way of turning them */

    ep->addr = 0;

    ngx_chat_redis_endpoint_set_peers(rd);

    return NGX_OK;
}


/* makes peers of addrs */

static void
ngx_chat_redis_endpoint_set_peers(ngx_chat_redis_t *rd)
{
    ngx_peer_connection_t      *pc;
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;
    pc = &rd->peer;

    if (ep->addr >= ep->naddrs) {
        ep->addr = 0;
    }

    pc->get = ngx_chat_redis_endpoint_get_peer;
    pc->free = ngx_chat_redis_endpoint_free_peer;
    pc->data = rd;
    pc->tries = ep->naddrs;
}


static ngx_int_t
ngx_chat_redis_endpoint_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_chat_redis_t *rd = data;

    ngx_addr_t  *addr;

    addr = &rd->endpoint.addrs[rd->endpoint.addr];

    pc->sockaddr = addr->sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &addr->name;
    pc->connection = NULL;
    pc->cached = 0;

    return NGX_OK;
}


static void
ngx_chat_redis_endpoint_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_chat_redis_t *rd = data;

    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    if (state & NGX_PEER_FAILED) {
        ep->addr++;

        ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                       "chat redis %s: address %ui of %ui failed",
                       rd->role, ep->addr, ep->naddrs);

        if (ep->addr == ep->naddrs) {
            ngx_chat_redis_endpoint_skip_host(rd);
        }
    }

    if (pc->tries) {
        pc->tries--;
    }
}


void
ngx_chat_redis_endpoint_report_stale(ngx_chat_redis_t *rd)
{
    rd->sentinel->report_stale(rd->endpoint.sentinel);
}


ngx_uint_t
ngx_chat_redis_endpoint_has_next(ngx_chat_redis_t *rd)
{
    return rd->endpoint.pool && (rd->peer.tries || rd->endpoint.hosts);
}


void
ngx_chat_redis_endpoint_release(ngx_chat_redis_t *rd, ngx_uint_t failed)
{
    ngx_peer_connection_t      *pc;
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;
    pc = &rd->peer;

    if (ep->ctx) {
        ngx_resolve_name_done(ep->ctx);
        ep->ctx = NULL;

        ngx_chat_redis_endpoint_skip_host(rd);
    }

    if (pc->sockaddr == NULL) {
        return;
    }

    if (!ep->released) {
        pc->free(pc, pc->data, failed ? NGX_PEER_FAILED : 0);

    } else if (failed) {

        /* the group hears of the failure in the next round */

        ep->last_failed_len = pc->socklen;
        ngx_memcpy(&ep->last_failed, pc->sockaddr, pc->socklen);
    }

    ep->released = 0;

    pc->sockaddr = NULL;
}


void
ngx_chat_redis_endpoint_end_round(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    if (ep->sentinel) {
        rd->sentinel->cancel(ep->sentinel, &ep->member);
    }

    if (ep->pool) {
        ngx_destroy_pool(ep->pool);
        ep->pool = NULL;
    }

    ep->hosts = 0;
    ep->addrs = NULL;
    ep->naddrs = 0;
    ep->master.len = 0;

    ngx_memzero(&rd->peer, sizeof(ngx_peer_connection_t));
}


ngx_str_t *
ngx_chat_redis_endpoint_get_name(ngx_chat_redis_t *rd)
{
    static ngx_str_t  none = ngx_null_string;

    if (rd->peer.sockaddr == NULL || !ngx_chat_redis_endpoint_may_move(rd)) {
        return &none;
    }

    return rd->peer.name;
}


/* may another address be in use later? */

static ngx_uint_t
ngx_chat_redis_endpoint_may_move(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_conf_t  *rcf;

    rcf = rd->conf;

    return rcf->group || rcf->sentinel || rcf->hosts->addrs == NULL
           || rcf->nhosts > 1 || rd->endpoint.naddrs > 1;
}
