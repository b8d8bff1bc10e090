
/*
 * The address that a connection goes to.  Attempts are made in rounds: a round
 * begins with the question for addresses, which may take time, and goes on
 * from address to address until one works or none is left.  Each round asks, so
 * that a name that has changed is followed once the connection is lost.  The
 * answer comes from
 *
 *   the URL      addresses written there, or of a name resolved at start
 *   a resolver   nginx's, with the names servers of http{}, at each round
 *   an upstream  block of http{}, by its own method
 *   Sentinel     the address of the master, or a name for the resolver
 *
 * All of them end in the interface of nginx's upstreams: pc->get() chooses,
 * pc->free() hears how it went, and pc->tries counts what is left.
 *
 * Private to redis/.
 */


#ifndef _NGX_CHAT_REDIS_ENDPOINT_H_INCLUDED_
#define _NGX_CHAT_REDIS_ENDPOINT_H_INCLUDED_


#include "ngx_chat_redis_sentinel.h"

#include <ngx_event.h>
#include <ngx_event_connect.h>


typedef struct {
    ngx_pool_t                *pool;     /* of the round; NULL: none */

    ngx_uint_t                 host;     /* asked next */
    ngx_uint_t                 hosts;    /* left in this round */

    /* addresses found for the host, or given in the URL */
    ngx_addr_t                *addrs;
    ngx_uint_t                 naddrs;
    ngx_uint_t                 addr;     /* kept while it works */

    /* the result, after NGX_AGAIN; set by whoever asks */
    void                     (*found)(ngx_chat_redis_t *rd, ngx_int_t rc);

    ngx_resolver_ctx_t        *ctx;      /* a lookup under way */
    in_port_t                  port;     /* for what it finds */
    ngx_int_t                  rc;       /* of one that ended at once */

    ngx_chat_redis_sentinel_t  *sentinel;
    ngx_chat_redis_member_t     member;       /* of those who follow it */
    ngx_str_t                   master;       /* "host:port" from Sentinel */
    ngx_chat_redis_host_t       master_host;  /* and the host of that */

    /* a group's own get, free and data, and whom it is to leave out next */
    ngx_peer_connection_t      peer;
    ngx_sockaddr_t             last_failed;
    socklen_t                  last_failed_len;

    unsigned                   starting:1;
    unsigned                   released:1;    /* given back to the group */
} ngx_chat_redis_endpoint_t;


/* NGX_ERROR: no memory */
ngx_int_t ngx_chat_redis_endpoint_create(ngx_chat_redis_t *rd);
void ngx_chat_redis_endpoint_close(ngx_chat_redis_t *rd);

/*
 * Begins a round, or goes on with the one that is not over.
 *
 * NGX_OK        rd->peer is ready for ngx_event_connect_peer(), and rd->host
 *               says whom to expect there
 * NGX_AGAIN     rd->endpoint.found() will be called with one of the others
 * NGX_DECLINED  no address is known; rd->errmsg may say why
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_chat_redis_endpoint_find(ngx_chat_redis_t *rd);

/*
 * ngx_chat_redis_endpoint_upstream.c: as find, of an upstream block;
 * rd->endpoint.pool is new
 */
ngx_int_t ngx_chat_redis_endpoint_upstream_init(ngx_chat_redis_t *rd);

/* ngx_chat_redis_addr.c: NULL, NGX_ERROR: no memory */
ngx_addr_t *ngx_chat_redis_addr_copy(ngx_pool_t *pool, ngx_addr_t *addr);
ngx_int_t ngx_chat_redis_addr_init(ngx_addr_t *addr,
    ngx_resolver_addr_t *found, in_port_t port, ngx_pool_t *pool);

/* the server is no master, which Sentinel has called it */
void ngx_chat_redis_endpoint_report_stale(ngx_chat_redis_t *rd);

/* has the round anything left to try? */
ngx_uint_t ngx_chat_redis_endpoint_has_next(ngx_chat_redis_t *rd);

/* the connection is up: the peer is given back to the upstream, if any */
void ngx_chat_redis_endpoint_upstream_release(ngx_chat_redis_t *rd);

/*
 * The connection, or the attempt, that rd->peer was used for has ended, or the
 * lookup before it: that is given up.
 */
void ngx_chat_redis_endpoint_release(ngx_chat_redis_t *rd, ngx_uint_t failed);

/* the round is over */
void ngx_chat_redis_endpoint_end_round(ngx_chat_redis_t *rd);

/* of the address in use, where the log is to tell it; else empty */
ngx_str_t *ngx_chat_redis_endpoint_get_name(ngx_chat_redis_t *rd);


#endif /* _NGX_CHAT_REDIS_ENDPOINT_H_INCLUDED_ */
