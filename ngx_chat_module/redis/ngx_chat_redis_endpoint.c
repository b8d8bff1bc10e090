
#include "ngx_chat_redis_private.h"
#include "../net/ngx_chat_resolver.h"


#define NGX_CHAT_REDIS_ENDPOINT_POOL  1024


static void ngx_chat_redis_endpoint_told(void *data, ngx_int_t rc,
    ngx_chat_sentinel_addr_t *sa, ngx_uint_t moved);
static ngx_int_t ngx_chat_redis_endpoint_said(ngx_chat_redis_t *rd,
    ngx_chat_sentinel_addr_t *sa);
static void ngx_chat_redis_endpoint_moved(ngx_chat_redis_t *rd,
    ngx_chat_sentinel_addr_t *sa);
static ngx_int_t ngx_chat_redis_endpoint_begin(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_endpoint_host(ngx_chat_redis_t *rd);
static void ngx_chat_redis_endpoint_next(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_endpoint_resolve(ngx_chat_redis_t *rd,
    ngx_chat_redis_host_t *host);
static void ngx_chat_redis_endpoint_resolved(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_chat_redis_endpoint_answer(ngx_chat_redis_t *rd,
    ngx_resolver_ctx_t *ctx);
static void ngx_chat_redis_endpoint_list(ngx_chat_redis_t *rd);
static ngx_int_t ngx_chat_redis_endpoint_get(ngx_peer_connection_t *pc,
    void *data);
static void ngx_chat_redis_endpoint_put(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static ngx_uint_t ngx_chat_redis_endpoint_moves(ngx_chat_redis_t *rd);


ngx_int_t
ngx_chat_redis_endpoint_create(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    if (rd->conf->sentinel == NULL) {
        return NGX_OK;
    }

    w->member.handler = ngx_chat_redis_endpoint_told;
    w->member.data = rd;

    w->sentinel = ngx_chat_sentinel_join(rd->conf->sentinel, &w->member,
                                         rd->log);

    return w->sentinel ? NGX_OK : NGX_ERROR;
}


void
ngx_chat_redis_endpoint_close(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    if (w->sentinel) {
        ngx_chat_sentinel_leave(w->sentinel, &w->member);
        w->sentinel = NULL;
    }
}


static void
ngx_chat_redis_endpoint_told(void *data, ngx_int_t rc,
    ngx_chat_sentinel_addr_t *sa, ngx_uint_t moved)
{
    ngx_chat_redis_t *rd = data;

    ngx_chat_redis_endpoint_t  *w;

    if (moved) {
        ngx_chat_redis_endpoint_moved(rd, sa);
        return;
    }

    if (rc != NGX_OK) {
        ngx_chat_redis_found(rd, rc);
        return;
    }

    if (ngx_chat_redis_endpoint_said(rd, sa) != NGX_OK) {
        ngx_chat_redis_found(rd, NGX_ERROR);
        return;
    }

    w = &rd->where;
    rd->host = &w->said.name;

    if (sa->addr.sockaddr == NULL) {
        rc = ngx_chat_redis_endpoint_resolve(rd, &w->said);

        if (rc != NGX_AGAIN) {
            ngx_chat_redis_found(rd, rc);
        }

        return;
    }

    w->addrs = ngx_chat_redis_endpoint_copy(w->pool, &sa->addr);
    if (w->addrs == NULL) {
        ngx_chat_redis_found(rd, NGX_ERROR);
        return;
    }

    w->naddrs = 1;

    ngx_chat_redis_endpoint_list(rd);
    ngx_chat_redis_found(rd, NGX_OK);
}


static ngx_int_t
ngx_chat_redis_endpoint_said(ngx_chat_redis_t *rd, ngx_chat_sentinel_addr_t *sa)
{
    size_t                      len;
    ngx_str_t                  *name, *text;
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;
    text = &sa->addr.name;
    name = &w->said.name;

    w->master.data = ngx_pstrdup(w->pool, text);
    name->data = ngx_pnalloc(w->pool, text->len + 1);

    if (w->master.data == NULL || name->data == NULL) {
        return NGX_ERROR;
    }

    w->master.len = text->len;
    w->said.port = sa->port;

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


ngx_addr_t *
ngx_chat_redis_endpoint_copy(ngx_pool_t *pool, ngx_addr_t *addr)
{
    ngx_addr_t  *copy;

    copy = ngx_palloc(pool, sizeof(ngx_addr_t));
    if (copy == NULL) {
        return NULL;
    }

    copy->socklen = addr->socklen;
    copy->sockaddr = ngx_palloc(pool, addr->socklen);
    copy->name.len = addr->name.len;
    copy->name.data = ngx_pstrdup(pool, &addr->name);

    if (copy->sockaddr == NULL || copy->name.data == NULL) {
        return NULL;
    }

    ngx_memcpy(copy->sockaddr, addr->sockaddr, addr->socklen);

    return copy;
}


static void
ngx_chat_redis_endpoint_moved(ngx_chat_redis_t *rd,
    ngx_chat_sentinel_addr_t *sa)
{
    ngx_str_t  *master;

    master = &rd->where.master;

    if (rd->peer.sockaddr
        && master->len == sa->addr.name.len
        && ngx_memcmp(master->data, sa->addr.name.data, master->len) == 0)
    {
        return;
    }

    ngx_chat_redis_enter(rd);

    ngx_chat_redis_moved(rd, "the master is another one now");

    ngx_chat_redis_leave(rd);
}


ngx_int_t
ngx_chat_redis_endpoint(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    if (w->pool == NULL) {
        return ngx_chat_redis_endpoint_begin(rd);
    }

    if (rd->peer.tries) {
        return NGX_OK;
    }

    return ngx_chat_redis_endpoint_host(rd);
}


static ngx_int_t
ngx_chat_redis_endpoint_begin(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    ngx_memzero(&rd->peer, sizeof(ngx_peer_connection_t));

    w->pool = ngx_create_pool(NGX_CHAT_REDIS_ENDPOINT_POOL, rd->log);
    if (w->pool == NULL) {
        return NGX_ERROR;
    }

    if (rd->conf->group) {
        return ngx_chat_redis_endpoint_upstream(rd);
    }

    if (w->sentinel) {
        ngx_chat_sentinel_ask(w->sentinel, &w->member);
        return NGX_AGAIN;
    }

    w->hosts = rd->conf->nhosts;

    return ngx_chat_redis_endpoint_host(rd);
}


/* the next host that has addresses */

static ngx_int_t
ngx_chat_redis_endpoint_host(ngx_chat_redis_t *rd)
{
    ngx_int_t                   rc;
    ngx_chat_redis_host_t      *host;
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    while (w->hosts) {
        w->hosts--;

        host = &rd->conf->hosts[w->host];
        rd->host = &host->name;

        if (host->addrs) {
            w->addrs = host->addrs;
            w->naddrs = host->naddrs;

            ngx_chat_redis_endpoint_list(rd);
            return NGX_OK;
        }

        rc = ngx_chat_redis_endpoint_resolve(rd, host);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        ngx_chat_redis_endpoint_next(rd);
    }

    return NGX_DECLINED;
}


static void
ngx_chat_redis_endpoint_next(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    w->addr = 0;

    if (rd->conf->nhosts) {
        w->host = (w->host + 1) % rd->conf->nhosts;
    }
}


static ngx_int_t
ngx_chat_redis_endpoint_resolve(ngx_chat_redis_t *rd,
    ngx_chat_redis_host_t *host)
{
    u_char                      buf[NGX_CHAT_REDIS_MAX_WORDS];
    ngx_str_t                   words;
    ngx_resolver_t             *resolver;
    ngx_resolver_ctx_t         *ctx;
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    if (rd->conf->resolver == NULL) {

        /* a name from Sentinel was not known when the others were resolved */

        words.data = buf;
        words.len = ngx_snprintf(buf, sizeof(buf),
                                 "%V is a name, and there is no resolver",
                                 &host->name)
                    - buf;

        ngx_chat_redis_words(rd, &words);

        return NGX_DECLINED;
    }

    resolver = ngx_chat_resolver(rd->conf->resolver, rd->log);
    if (resolver == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_resolve_start(resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return NGX_ERROR;
    }

    ctx->name = host->name;
    ctx->handler = ngx_chat_redis_endpoint_resolved;
    ctx->data = rd;
    ctx->timeout = ngx_min(rd->conf->resolver_timeout,
                           NGX_CHAT_REDIS_LOOKUP_TIMEOUT);
    ctx->cancelable = 1;

    w->ctx = ctx;
    w->port = host->port;
    w->rc = NGX_AGAIN;
    w->starting = 1;

    if (ngx_resolve_name(ctx) != NGX_OK) {

        /* ctx is freed by ngx_resolve_name() on error */

        w->ctx = NULL;
        w->rc = NGX_DECLINED;
    }

    w->starting = 0;

    return w->rc;
}


static void
ngx_chat_redis_endpoint_resolved(ngx_resolver_ctx_t *ctx)
{
    u_char                      buf[NGX_CHAT_REDIS_MAX_WORDS];
    ngx_int_t                   rc;
    ngx_str_t                   words;
    ngx_chat_redis_t           *rd;
    ngx_chat_redis_endpoint_t  *w;

    rd = ctx->data;
    w = &rd->where;

    w->ctx = NULL;

    if (ctx->state) {
        words.data = buf;
        words.len = ngx_snprintf(buf, sizeof(buf),
                                 "%V could not be resolved (%i: %s)",
                                 &ctx->name, ctx->state,
                                 ngx_resolver_strerror(ctx->state))
                    - buf;

        ngx_chat_redis_words(rd, &words);

        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_redis_endpoint_answer(rd, ctx);
    }

    ngx_resolve_name_done(ctx);

    if (w->starting) {
        w->rc = rc;
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_chat_redis_endpoint_next(rd);

        rc = ngx_chat_redis_endpoint_host(rd);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    ngx_chat_redis_found(rd, rc);
}


static ngx_int_t
ngx_chat_redis_endpoint_answer(ngx_chat_redis_t *rd, ngx_resolver_ctx_t *ctx)
{
    u_char                     *p;
    socklen_t                   socklen;
    ngx_uint_t                  i;
    ngx_addr_t                 *addrs;
    ngx_pool_t                 *pool;
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;
    pool = w->pool;

    addrs = ngx_palloc(pool, ctx->naddrs * sizeof(ngx_addr_t));
    if (addrs == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->naddrs; i++) {

        socklen = ctx->addrs[i].socklen;

        addrs[i].socklen = socklen;
        addrs[i].sockaddr = ngx_palloc(pool, socklen);

        p = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);

        if (addrs[i].sockaddr == NULL || p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(addrs[i].sockaddr, ctx->addrs[i].sockaddr, socklen);
        ngx_inet_set_port(addrs[i].sockaddr, w->port);

        addrs[i].name.data = p;
        addrs[i].name.len = ngx_sock_ntop(addrs[i].sockaddr, socklen, p,
                                          NGX_SOCKADDR_STRLEN, 1);
    }

    w->addrs = addrs;
    w->naddrs = ctx->naddrs;

    /* the resolver has its own way of turning them */

    w->addr = 0;

    ngx_chat_redis_endpoint_list(rd);

    return NGX_OK;
}


/* makes peers of addrs */

static void
ngx_chat_redis_endpoint_list(ngx_chat_redis_t *rd)
{
    ngx_peer_connection_t      *pc;
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;
    pc = &rd->peer;

    if (w->addr >= w->naddrs) {
        w->addr = 0;
    }

    pc->get = ngx_chat_redis_endpoint_get;
    pc->free = ngx_chat_redis_endpoint_put;
    pc->data = rd;
    pc->tries = w->naddrs;
}


static ngx_int_t
ngx_chat_redis_endpoint_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_chat_redis_t *rd = data;

    ngx_addr_t  *addr;

    addr = &rd->where.addrs[rd->where.addr];

    pc->sockaddr = addr->sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &addr->name;
    pc->connection = NULL;
    pc->cached = 0;

    return NGX_OK;
}


static void
ngx_chat_redis_endpoint_put(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_chat_redis_t *rd = data;

    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    if (state & NGX_PEER_FAILED) {
        w->addr++;

        if (w->addr == w->naddrs) {
            ngx_chat_redis_endpoint_next(rd);
        }
    }

    if (pc->tries) {
        pc->tries--;
    }
}


ngx_uint_t
ngx_chat_redis_endpoint_left(ngx_chat_redis_t *rd)
{
    return rd->where.pool && (rd->peer.tries || rd->where.hosts);
}


void
ngx_chat_redis_endpoint_free(ngx_chat_redis_t *rd, ngx_uint_t failed)
{
    ngx_peer_connection_t      *pc;
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;
    pc = &rd->peer;

    if (w->ctx) {
        ngx_resolve_name_done(w->ctx);
        w->ctx = NULL;

        ngx_chat_redis_endpoint_next(rd);
    }

    if (pc->sockaddr == NULL) {
        return;
    }

    if (!w->settled) {
        pc->free(pc, pc->data, failed ? NGX_PEER_FAILED : 0);

    } else if (failed) {

        /* the group hears of the failure in the next round */

        w->shunned_len = pc->socklen;
        ngx_memcpy(&w->shunned, pc->sockaddr, pc->socklen);
    }

    w->settled = 0;

    pc->sockaddr = NULL;
}


void
ngx_chat_redis_endpoint_end(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    if (w->sentinel) {
        ngx_chat_sentinel_give_up(w->sentinel, &w->member);
    }

    if (w->pool) {
        ngx_destroy_pool(w->pool);
        w->pool = NULL;
    }

    w->hosts = 0;
    w->addrs = NULL;
    w->naddrs = 0;
    w->master.len = 0;

    ngx_memzero(&rd->peer, sizeof(ngx_peer_connection_t));
}


ngx_str_t *
ngx_chat_redis_endpoint_name(ngx_chat_redis_t *rd)
{
    static ngx_str_t  none = ngx_null_string;

    if (rd->peer.sockaddr == NULL || !ngx_chat_redis_endpoint_moves(rd)) {
        return &none;
    }

    return rd->peer.name;
}


/* may another address be in use later? */

static ngx_uint_t
ngx_chat_redis_endpoint_moves(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_conf_t  *rcf;

    rcf = rd->conf;

    return rcf->group || rcf->sentinel || rcf->hosts->addrs == NULL
           || rcf->nhosts > 1 || rd->where.naddrs > 1;
}
