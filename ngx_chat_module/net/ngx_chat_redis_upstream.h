
/*
 * Peer selection from above: the connections to a Redis go where an
 * "upstream" block of http{} sends them.  Whoever makes a connection uses the
 * interface of nginx's upstreams itself, and knows nothing of http.
 */


#ifndef _NGX_CHAT_REDIS_UPSTREAM_H_INCLUDED_
#define _NGX_CHAT_REDIS_UPSTREAM_H_INCLUDED_


#include "../ngx_chat.h"

#include <ngx_event.h>
#include <ngx_event_connect.h>


struct ngx_chat_redis_upstream_s {
    /*
     * A round of attempts begins: sets pc->get, free, data and tries.  What
     * they need is allocated in pool, which outlives the last pc->free().
     * NGX_OK, NGX_ERROR.
     */
    ngx_int_t            (*init)(void *data, ngx_peer_connection_t *pc,
                                 ngx_pool_t *pool);
    void                  *data;
};


#endif /* _NGX_CHAT_REDIS_UPSTREAM_H_INCLUDED_ */
