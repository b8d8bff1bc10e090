
#include "ngx_chat_redis_private.h"
#include "../net/ngx_chat_redis_upstream.h"


static ngx_int_t ngx_chat_redis_endpoint_upstream_get(ngx_peer_connection_t *pc,
    void *data);
static void ngx_chat_redis_endpoint_upstream_free(ngx_peer_connection_t *pc,
    void *data,
    ngx_uint_t state);


ngx_int_t
ngx_chat_redis_endpoint_upstream_init(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_upstream_t  *group;
    ngx_peer_connection_t      *pc;

    pc = &rd->peer;
    group = rd->conf->group;

    rd->host = &rd->conf->host;

    pc->log = rd->log;

    if (group->init(group->data, pc, rd->endpoint.pool) != NGX_OK) {
        return NGX_ERROR;
    }

    rd->endpoint.peer = *pc;

    pc->get = ngx_chat_redis_endpoint_upstream_get;
    pc->free = ngx_chat_redis_endpoint_upstream_free;
    pc->data = rd;

    return pc->tries ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_chat_redis_endpoint_upstream_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_chat_redis_t *rd = data;

    ngx_int_t                   rc;
    ngx_uint_t                  again;
    ngx_chat_redis_endpoint_t  *ep;

    ep = &rd->endpoint;

    rc = ep->peer.get(pc, ep->peer.data);

    again = (rc == NGX_OK && pc->tries > 1 && ep->last_failed_len
             && ngx_cmp_sockaddr(pc->sockaddr, pc->socklen,
                                 &ep->last_failed.sockaddr,
                                 ep->last_failed_len, 1)
                == NGX_OK);

    ep->last_failed_len = 0;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, rd->log, 0,
                   "chat redis %s: peer of the upstream %i again:%ui",
                   rd->role, rc, again);

    if (!again) {
        return rc;
    }

    ep->peer.free(pc, ep->peer.data, NGX_PEER_FAILED);

    pc->sockaddr = NULL;

    return ep->peer.get(pc, ep->peer.data);
}


static void
ngx_chat_redis_endpoint_upstream_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_chat_redis_t *rd = data;

    rd->endpoint.peer.free(pc, rd->endpoint.peer.data, state);
}


/*
 * A connection lasts for days, but a group takes a peer that has failed for a
 * good one only when it is given back: so it is at once.  From then on its
 * address is a copy, as a group that resolves names may forget the peer.
 */

void
ngx_chat_redis_endpoint_upstream_release(ngx_chat_redis_t *rd)
{
    ngx_addr_t              addr, *copy;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;

    if (rd->conf->group == NULL) {
        return;
    }

    pc = &rd->peer;

    addr.sockaddr = pc->sockaddr;
    addr.socklen = pc->socklen;
    addr.name = *pc->name;

    copy = ngx_chat_redis_addr_copy(rd->endpoint.pool, &addr);
    if (copy == NULL) {
        return;
    }

    /* with a connection, it might be kept for others */

    c = pc->connection;
    pc->connection = NULL;

    pc->free(pc, pc->data, 0);

    pc->connection = c;
    pc->sockaddr = copy->sockaddr;
    pc->name = &copy->name;

    rd->endpoint.released = 1;
}
