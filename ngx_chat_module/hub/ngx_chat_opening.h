
/*
 * A generation that is being opened by an ask of this worker, whom all wait for
 * who ask the same meanwhile: one of them asks Redis.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_OPENING_H_INCLUDED_
#define _NGX_CHAT_OPENING_H_INCLUDED_


#include "ngx_chat_channel.h"


/* the outcome: a hit, an error, or (none of both) look again */
typedef struct {
    ngx_chat_channel_t    *channel;    /* of a cached answer, or NULL */
    int64_t                ttl;        /* ms left */
    ngx_chat_error_e       error;
} ngx_chat_opened_t;


typedef void (*ngx_chat_opened_pt)(void *data, ngx_chat_opened_t *opened);


/* a part of the ask that opens; zeroed */
typedef struct {
    ngx_str_node_t         by_key;     /* in hub->openings */
    u_char                 key[NGX_CHAT_CHANNEL_KEY];
    ngx_chat_hub_t        *hub;        /* NULL: it is not under way */
    ngx_queue_t            waiters;
} ngx_chat_opening_node_t;


/* a part of the ask that waits; zeroed, but for handler and data */
typedef struct {
    ngx_queue_t            queue;
    ngx_uint_t             waits;
    ngx_chat_opened_pt     handler;
    void                  *data;
} ngx_chat_opening_waiter_t;


/*
 * NGX_OK: one of this h and fp is under way, and the handler fires once, unless
 * the waiter leaves; NGX_DECLINED: there is none.
 */
ngx_int_t ngx_chat_opening_wait(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_opening_waiter_t *w);
void ngx_chat_opening_leave(ngx_chat_opening_waiter_t *w);

/* there is none under way */
void ngx_chat_opening_start(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_opening_node_t *o);

/* idempotent; the handlers of all who wait fire inside */
void ngx_chat_opening_end(ngx_chat_opening_node_t *o,
    ngx_chat_opened_t *opened);


#endif /* _NGX_CHAT_OPENING_H_INCLUDED_ */
