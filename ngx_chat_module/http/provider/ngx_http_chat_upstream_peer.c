
#include "ngx_http_chat_upstream_private.h"


/* of an address with its port */
#define NGX_HTTP_CHAT_UPSTREAM_NAME                                           \
    (NGX_INET6_ADDRSTRLEN + sizeof("[]:65535") - 1)


/* which connection a call has: a kept one, or a new one to an address */
typedef struct {
    ngx_http_upstream_t        *upstream;
    ngx_http_chat_kept_t       *kept;
    ngx_http_chat_kept_item_t  *item;      /* of a kept one in use */

    ngx_uint_t                  i;         /* the next address */
    ngx_sockaddr_t              sockaddr;
    ngx_str_t                   name;      /* of the address */
    u_char                      text[NGX_HTTP_CHAT_UPSTREAM_NAME];

    unsigned                    used:1;    /* a kept one was tried */
} ngx_http_chat_upstream_peer_t;


static ngx_int_t ngx_http_chat_upstream_get_peer(ngx_peer_connection_t *pc,
    void *data);
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
    ngx_http_upstream_t            *u;
    ngx_http_chat_upstream_t       *up;
    ngx_http_chat_upstream_peer_t  *peer;

    u = r->upstream;
    up = u->input_filter_ctx;

    peer = ngx_pcalloc(r->pool, sizeof(ngx_http_chat_upstream_peer_t));
    if (peer == NULL) {
        return NGX_ERROR;
    }

    peer->upstream = u;
    peer->kept = up->provider_upstream->kept;
    peer->name.data = peer->text;

    u->peer.data = peer;
    u->peer.get = ngx_http_chat_upstream_get_peer;
    u->peer.free = ngx_http_chat_upstream_free_peer;
    u->peer.set_session = ngx_http_chat_upstream_set_session;
    u->peer.tries = peer->kept->naddrs;

    return NGX_OK;
}


/* when a kept connection was of no use, others may be as old */

static ngx_int_t
ngx_http_chat_upstream_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_chat_upstream_peer_t *peer = data;

    ngx_resolver_addr_t  *addr;

    pc->cached = 0;
    pc->connection = NULL;

    if (peer->i >= peer->kept->naddrs) {
        return NGX_BUSY;
    }

    addr = &peer->kept->addrs[peer->i];

    ngx_memcpy(&peer->sockaddr, addr->sockaddr, addr->socklen);
    ngx_inet_set_port(&peer->sockaddr.sockaddr,
                      peer->kept->provider_upstream->port);

    pc->sockaddr = &peer->sockaddr.sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &peer->name;

    if (!peer->used) {
        peer->used = 1;
        peer->item = ngx_http_chat_kept_take(peer->kept, pc);
    }

    if (peer->item) {

        /* a copy: the log may want it when the connection is gone */

        peer->name.len = ngx_min(peer->item->name.len,
                                 NGX_HTTP_CHAT_UPSTREAM_NAME);
        ngx_memcpy(peer->text, peer->item->name.data, peer->name.len);

        return NGX_DONE;
    }

    peer->i++;
    peer->name.len = ngx_sock_ntop(pc->sockaddr, pc->socklen, peer->text,
                                   NGX_HTTP_CHAT_UPSTREAM_NAME, 1);

    return NGX_OK;
}


static void
ngx_http_chat_upstream_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_chat_upstream_peer_t *peer = data;

    ngx_http_chat_kept_item_t  *item;

    item = peer->item;

    /* a server that has answered is not the next one to be asked */

    if (item && peer->upstream->headers_in.status_n
        && ngx_memn2cmp((u_char *) item->sockaddr,
                        (u_char *) &peer->sockaddr,
                        item->socklen, pc->socklen)
           == 0)
    {
        peer->i++;
    }

    if (ngx_http_chat_upstream_may_keep(pc, peer->upstream, state)) {
        (void) ngx_http_chat_kept_put(peer->kept, pc, item);
    }

    peer->item = NULL;

    if (pc->tries) {
        pc->tries--;
    }
}


ngx_http_chat_kept_item_t *
ngx_http_chat_upstream_take_item(ngx_http_upstream_t *u)
{
    ngx_http_chat_kept_item_t      *item;
    ngx_http_chat_upstream_peer_t  *peer;

    peer = u->peer.data;

    item = peer->item;
    peer->item = NULL;

    return item;
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
