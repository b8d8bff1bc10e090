
#include "ngx_http_chat_upstream_private.h"
#include "ngx_http_chat_kept.h"


/* which connection a call has: a kept one, or a new one to an address */
typedef struct {
    ngx_http_request_t            *request;
    ngx_http_chat_kept_t          *kept;
    ngx_http_chat_kept_item_t     *item;     /* of a kept one in use */

    ngx_http_upstream_resolved_t   resolved;
    void                          *data;     /* of the addresses */
    ngx_event_get_peer_pt          get;
    ngx_event_free_peer_pt         free;

    ngx_uint_t                     used;     /* a kept one was tried */
} ngx_http_chat_upstream_peer_t;


static ngx_int_t ngx_http_chat_upstream_get_peer(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_chat_upstream_rename_peer(ngx_peer_connection_t *pc,
    ngx_http_chat_upstream_peer_t *peer);
static void ngx_http_chat_upstream_free_peer(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t state);
static ngx_uint_t ngx_http_chat_upstream_may_keep(ngx_peer_connection_t *pc,
    ngx_http_upstream_t *u, ngx_uint_t state);
static ngx_int_t ngx_http_chat_upstream_set_session(ngx_peer_connection_t *pc,
    void *data);


/* each call tries the addresses in their order */

ngx_int_t
ngx_http_chat_upstream_init_peer_handler(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_t                *u;
    ngx_http_chat_upstream_t           *up;
    ngx_http_upstream_resolved_t       *ur;
    ngx_http_chat_upstream_peer_t      *peer;
    ngx_http_chat_provider_upstream_t  *pu;

    u = r->upstream;
    up = u->input_filter_ctx;
    pu = up->provider_upstream;

    peer = ngx_pcalloc(r->pool, sizeof(ngx_http_chat_upstream_peer_t));
    if (peer == NULL) {
        return NGX_ERROR;
    }

    ur = &peer->resolved;

    ur->host = pu->name;
    ur->port = pu->port;
    ur->addrs = pu->kept->addrs;
    ur->naddrs = pu->kept->naddrs;

    if (ngx_http_upstream_create_round_robin_peer(r, ur) != NGX_OK) {
        return NGX_ERROR;
    }

    peer->request = r;
    peer->kept = pu->kept;
    peer->data = u->peer.data;
    peer->get = u->peer.get;
    peer->free = u->peer.free;

    u->peer.data = peer;
    u->peer.get = ngx_http_chat_upstream_get_peer;
    u->peer.free = ngx_http_chat_upstream_free_peer;
    u->peer.set_session = ngx_http_chat_upstream_set_session;

    return NGX_OK;
}


/* when a kept connection was of no use, others may be as old */

static ngx_int_t
ngx_http_chat_upstream_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_chat_upstream_peer_t *peer = data;

    ngx_int_t  rc;

    rc = peer->get(pc, peer->data);

    if (rc != NGX_OK || peer->used) {
        return rc;
    }

    peer->item = ngx_http_chat_kept_take(peer->kept, pc);

    if (peer->item == NULL) {
        return NGX_OK;
    }

    peer->used = 1;

    ngx_http_chat_upstream_rename_peer(pc, peer);

    return NGX_DONE;
}


/* a copy: the log may want the name when the connection is gone */

static void
ngx_http_chat_upstream_rename_peer(ngx_peer_connection_t *pc,
    ngx_http_chat_upstream_peer_t *peer)
{
    ngx_str_t  *name, *from;

    from = &peer->item->name;

    if (ngx_memn2cmp(pc->name->data, from->data, pc->name->len, from->len)
        == 0)
    {
        return;
    }

    name = ngx_palloc(peer->request->pool, sizeof(ngx_str_t));
    if (name == NULL) {
        return;
    }

    name->len = from->len;
    name->data = ngx_pstrdup(peer->request->pool, from);

    if (name->data) {
        pc->name = name;
    }
}


static void
ngx_http_chat_upstream_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_chat_upstream_peer_t *peer = data;

    if (ngx_http_chat_upstream_may_keep(pc, peer->request->upstream, state)) {
        (void) ngx_http_chat_kept_put(peer->kept, pc, peer->item);
    }

    peer->item = NULL;

    peer->free(pc, peer->data, state);
}


static ngx_uint_t
ngx_http_chat_upstream_may_keep(ngx_peer_connection_t *pc,
    ngx_http_upstream_t *u, ngx_uint_t state)
{
    ngx_connection_t  *c;

    c = pc->connection;

    return c && !(state & NGX_PEER_FAILED)
           && !c->read->eof && !c->read->error && !c->read->timedout
           && !c->write->error && !c->write->timedout
           && u->keepalive && u->request_body_sent;
}


static ngx_int_t
ngx_http_chat_upstream_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_chat_upstream_peer_t *peer = data;

    return ngx_http_chat_kept_set_session(peer->kept, pc->connection);
}
