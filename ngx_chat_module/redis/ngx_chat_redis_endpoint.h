
/*
 * Where a connection goes.  One attempt follows another in rounds: a round
 * begins with the question for addresses, which may take time, and goes on
 * from address to address until one works or none is left.  A new round asks
 * anew, so that a name that has changed is followed once the connection is
 * lost.  The answer comes from
 *
 *   the URL      addresses written there, or of a name resolved at start
 *   a resolver   nginx's, with the names servers of http{}, at each round
 *   a group      of http{}, by its own method
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

    ngx_resolver_ctx_t        *ctx;      /* a lookup under way */
    in_port_t                  port;     /* for what it finds */
    ngx_int_t                  rc;       /* of one that ended at once */

    ngx_chat_sentinel_t       *sentinel;
    ngx_chat_member_t          member;   /* of those who follow it */
    ngx_str_t                  master;   /* "host:port", as Sentinel says */
    ngx_chat_redis_host_t      said;     /* and the host of that */

    /* a group's own get, free and data, and whom it is to leave out next */
    ngx_peer_connection_t      peer;
    ngx_sockaddr_t             shunned;
    socklen_t                  shunned_len;

    unsigned                   starting:1;
    unsigned                   settled:1;    /* given back to the group */
} ngx_chat_redis_endpoint_t;


/* NGX_ERROR: no memory */
ngx_int_t ngx_chat_redis_endpoint_create(ngx_chat_redis_t *rd);
void ngx_chat_redis_endpoint_close(ngx_chat_redis_t *rd);

/*
 * Begins a round, or goes on with the one that is not over.
 *
 * NGX_OK        rd->peer is ready for ngx_event_connect_peer(), and rd->host
 *               says whom to expect there
 * NGX_AGAIN     ngx_chat_redis_found() will be called with one of the others
 * NGX_DECLINED  no address is known; rd->words may say why
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_chat_redis_endpoint(ngx_chat_redis_t *rd);

/*
 * ngx_chat_redis_endpoint_upstream.c: as where, of an upstream block;
 * rd->where.pool is new
 */
ngx_int_t ngx_chat_redis_endpoint_upstream(ngx_chat_redis_t *rd);

ngx_addr_t *ngx_chat_redis_endpoint_copy(ngx_pool_t *pool, ngx_addr_t *addr);

/* ngx_chat_redis_conn.c: the outcome, after NGX_AGAIN */
void ngx_chat_redis_found(ngx_chat_redis_t *rd, ngx_int_t rc);

/* has the round anything left to try? */
ngx_uint_t ngx_chat_redis_endpoint_left(ngx_chat_redis_t *rd);

/* the connection is up */
void ngx_chat_redis_endpoint_works(ngx_chat_redis_t *rd);

/*
 * The connection, or the attempt, that rd->peer was used for has ended, or the
 * lookup before it: that is given up.
 */
void ngx_chat_redis_endpoint_free(ngx_chat_redis_t *rd, ngx_uint_t failed);

/* the round is over */
void ngx_chat_redis_endpoint_end(ngx_chat_redis_t *rd);

/* of the address in use, where the log is to tell it; else empty */
ngx_str_t *ngx_chat_redis_endpoint_name(ngx_chat_redis_t *rd);


#endif /* _NGX_CHAT_REDIS_ENDPOINT_H_INCLUDED_ */
