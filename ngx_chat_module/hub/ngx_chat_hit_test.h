
/*
 * A hit test under way, which all share who ask for its key meanwhile; its
 * outcome is told in the turns of wakes.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_HIT_TEST_H_INCLUDED_
#define _NGX_CHAT_HIT_TEST_H_INCLUDED_


#include "ngx_chat_channel.h"


typedef struct ngx_chat_hit_test_s  ngx_chat_hit_test_t;


/*
 * rc as that of ngx_chat_store_lookup(), or NGX_ABORT: no memory.  NGX_OK: ch
 * is the answer's and lasts as long as it is held; ttl is left, in ms.
 */
typedef void (*ngx_chat_found_pt)(void *data, ngx_int_t rc,
    ngx_chat_channel_t *ch, int64_t ttl);


/* zeroed, but for handler and data */
typedef struct {
    ngx_chat_wake_t        wake;       /* of test->waiters */
    ngx_chat_hit_test_t   *test;       /* NULL: it does not wait */
    ngx_atomic_uint_t      ticket;     /* for the zone, from before the read */
    ngx_chat_found_pt      handler;
    void                  *data;
} ngx_chat_waiter_t;


/*
 * The handler fires once, never inside this call, unless the waiter leaves.
 * NGX_OK, NGX_ERROR: Redis cannot be asked.
 */
ngx_int_t ngx_chat_hit_test_start(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_waiter_t *w);

/* idempotent; with the last waiter the test ends */
void ngx_chat_hit_test_leave(ngx_chat_waiter_t *w);


#endif /* _NGX_CHAT_HIT_TEST_H_INCLUDED_ */
