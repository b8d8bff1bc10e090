
#include "ngx_chat_redis_private.h"
#include "../net/ngx_chat_redis_upstream.h"


static ngx_int_t ngx_chat_redis_endpoint_choose(ngx_peer_connection_t *pc,
    void *data);
static void ngx_chat_redis_endpoint_report(ngx_peer_connection_t *pc,
    void *data,
    ngx_uint_t state);


ngx_int_t
ngx_chat_redis_endpoint_upstream(ngx_chat_redis_t *rd)
{
    ngx_chat_redis_upstream_t  *group;
    ngx_peer_connection_t      *pc;

    pc = &rd->peer;
    group = rd->conf->group;

    rd->host = &rd->conf->host;

    pc->log = rd->log;

    if (group->init(group->data, pc, rd->where.pool) != NGX_OK) {
        return NGX_ERROR;
    }

    rd->where.peer = *pc;

    pc->get = ngx_chat_redis_endpoint_choose;
    pc->free = ngx_chat_redis_endpoint_report;
    pc->data = rd;

    return pc->tries ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_chat_redis_endpoint_choose(ngx_peer_connection_t *pc, void *data)
{
    ngx_chat_redis_t *rd = data;

    ngx_int_t                   rc;
    ngx_uint_t                  again;
    ngx_chat_redis_endpoint_t  *w;

    w = &rd->where;

    rc = w->peer.get(pc, w->peer.data);

    again = (rc == NGX_OK && pc->tries > 1 && w->shunned_len
             && ngx_cmp_sockaddr(pc->sockaddr, pc->socklen,
                                 &w->shunned.sockaddr, w->shunned_len, 1)
                == NGX_OK);

    w->shunned_len = 0;

    if (!again) {
        return rc;
    }

    w->peer.free(pc, w->peer.data, NGX_PEER_FAILED);

    pc->sockaddr = NULL;

    return w->peer.get(pc, w->peer.data);
}


static void
ngx_chat_redis_endpoint_report(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_chat_redis_t *rd = data;

    rd->where.peer.free(pc, rd->where.peer.data, state);
}


/*
 * A connection lasts for days, but a group takes a peer that has failed for a
 * good one only when it is given back: so it is at once.  From then on its
 * address is a copy, as a group that resolves names may forget the peer.
 */

void
ngx_chat_redis_endpoint_works(ngx_chat_redis_t *rd)
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

    copy = ngx_chat_redis_endpoint_copy(rd->where.pool, &addr);
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

    rd->where.settled = 1;
}
