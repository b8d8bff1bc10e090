
/*
 * A generation that is being opened by an ask of this worker, whom all wait for
 * who ask the same meanwhile: one of them asks Redis.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_OPENING_H_INCLUDED_
#define _NGX_CHAT_OPENING_H_INCLUDED_


#include "ngx_chat_channel.h"


typedef struct ngx_chat_opening_node_s  ngx_chat_opening_node_t;


/* the outcome: a channel, an error, or (none of both) look again */
typedef struct {
    ngx_chat_channel_t    *channel;    /* NULL, or held until all are told */
    int64_t                ttl;        /* of a cached answer: ms left */
    ngx_chat_error_e       error;
    unsigned               cached:1;   /* channel is of a cached answer */
} ngx_chat_opened_t;


typedef void (*ngx_chat_opened_pt)(void *data, ngx_chat_opened_t *opened);


/* a part of the ask that waits; zeroed, but for handler and data */
typedef struct {
    ngx_chat_wake_t           wake;    /* of opening->waiters */
    ngx_chat_opening_node_t  *opening; /* NULL: it does not wait */
    ngx_chat_opened_pt        handler;
    void                     *data;
} ngx_chat_opening_waiter_t;


/*
 * NGX_OK: one of this h and fp is under way, and the handler fires once, never
 * inside a call, unless the waiter leaves; NGX_DECLINED: there is none.
 */
ngx_int_t ngx_chat_opening_wait(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_opening_waiter_t *w);
void ngx_chat_opening_leave(ngx_chat_opening_waiter_t *w);

/* there is none under way; NULL: no memory, and nobody waits for it */
ngx_chat_opening_node_t *ngx_chat_opening_start(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen);

/* of NULL, too; all who wait are told, and *o is NULL */
void ngx_chat_opening_end(ngx_chat_opening_node_t **o,
    ngx_chat_opened_t *opened);


#endif /* _NGX_CHAT_OPENING_H_INCLUDED_ */
