
/*
 * The worker's verbs: finding an answer or a generation, opening one, handing
 * its task to the fillers, and following it.
 */


#ifndef _NGX_CHAT_STORE_WORKER_H_INCLUDED_
#define _NGX_CHAT_STORE_WORKER_H_INCLUDED_


#include "ngx_chat_store.h"
#include "../codec/ngx_chat_answer.h"
#include "../codec/ngx_chat_trace.h"


/*
 * Looks for a complete answer of gen's h and fp, be it past its ttl.
 * NGX_OK: a holds it, valid during the call; NGX_DECLINED: absent.
 */
typedef void (*ngx_chat_lookup_pt)(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a);

ngx_chat_call_t *ngx_chat_store_lookup(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, ngx_chat_lookup_pt handler, void *data);


/*
 * The label of the attempt that is cached at gen's h.  NGX_OK: with the time
 * that its key has left, in ms, -1: no end; NGX_DECLINED: there is none.
 */
typedef void (*ngx_chat_peek_pt)(void *data, ngx_int_t rc, ngx_str_t *label,
    int64_t left);

ngx_chat_call_t *ngx_chat_store_peek(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, ngx_chat_peek_pt handler, void *data);


typedef struct {
    ngx_uint_t             cache;  /* the generation may join, and be joined */
    ngx_uint_t             refresh;  /* neither, but is to replace the cached
                                      answer: no update beside it */
    ngx_uint_t             full;   /* no task would be taken: do not open */
    ngx_str_t              label;  /* of the attempt of a worker that is to lead
                                      it; empty: it goes through the queue */
    ngx_msec_t             queue_timeout;
} ngx_chat_opening_t;

#define NGX_CHAT_OPEN_FULL  1

/*
 * Opens generation gen->id, or finds what makes that unnecessary.
 *
 * NGX_OK        MISS: opened, a task is to be pushed
 * NGX_BUSY      JOIN: id is the generation that runs already
 * NGX_DONE      HIT: a is the answer, valid during the call
 * NGX_DECLINED  Redis refuses, as with NGX_ERROR, and nothing was opened
 * NGX_ERROR     it may be open all the same, unless full
 *
 * NGX_CHAT_OPEN_FULL: with full, none of these
 */
typedef void (*ngx_chat_open_pt)(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a);

ngx_chat_call_t *ngx_chat_store_open(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, ngx_chat_opening_t *opening,
    ngx_chat_open_pt handler, void *data);


/*
 * Opens generation gen->id, which is to replace a cached answer past its ttl;
 * others may join it.
 *
 * NGX_OK        opened, a task is to be pushed
 * NGX_DECLINED  there is none, or it has been replaced, or is about to be, or
 *               was not a while ago, in vain; or Redis refuses
 * NGX_ERROR     it may be open all the same
 */
typedef void (*ngx_chat_update_pt)(void *data, ngx_int_t rc);

ngx_chat_call_t *ngx_chat_store_update(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, ngx_msec_t queue_timeout, ngx_chat_update_pt handler,
    void *data);


/* a task as it travels; all strings are the pusher's during the call */
typedef struct {
    ngx_chat_gen_t         gen;
    ngx_str_t              providers;  /* "name=fp name=fp" */
    ngx_str_t              messages;   /* JSON, see ngx_chat_provider_json.h */
    ngx_chat_trace_t       trace;
    ngx_msec_t             ttl;        /* 0: not to be cached */
    ngx_msec_t             stale;      /* kept for so long behind it */
    size_t                 max_answer;
    ngx_uint_t             cancel;     /* chat_abandon cancel */
    ngx_msec_t             grace;
} ngx_chat_task_t;

/*
 * Queues a task if less than room tasks are waiting, and counts it under the
 * limit.
 *
 * NGX_OK        queued
 * NGX_DECLINED  FULL: so many are waiting already
 * NGX_AGAIN     LIMIT: it would be one too many, for another wait ms
 * NGX_ERROR     it may be queued all the same
 */
typedef void (*ngx_chat_push_pt)(void *data, ngx_int_t rc, ngx_msec_t wait);

ngx_chat_call_t *ngx_chat_store_push(ngx_chat_store_t *st,
    ngx_chat_task_t *task, ngx_uint_t room, ngx_chat_limit_t *limit,
    ngx_chat_push_pt handler, void *data);

/* counts generation id under a limit that there is, without a task */
ngx_chat_call_t *ngx_chat_store_count(ngx_chat_store_t *st, u_char *id,
    ngx_chat_limit_t *limit, ngx_chat_push_pt handler, void *data);


/*
 * Reads up to count events of gen behind the one numbered n, written at ms
 * (0, 0: from the first).  The handler gets them one call: NGX_OK and a
 * cursor; ngx_chat_store_take_event() takes them one by one.  NGX_DECLINED: the
 * generation is gone, or is not what we wrote.
 */
typedef struct {
    ngx_chat_reply_t      *reply;
    ngx_uint_t             next;
    uint64_t               ms;     /* of the event taken last */
    uint64_t               n;
    ngx_chat_origin_t      origin;  /* of a completed event that was taken */
    ngx_log_t             *log;
} ngx_chat_page_t;

typedef void (*ngx_chat_read_pt)(void *data, ngx_int_t rc,
    ngx_chat_page_t *page);

ngx_chat_call_t *ngx_chat_store_read(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, uint64_t ms, uint64_t n, ngx_uint_t count,
    ngx_chat_read_pt handler, void *data);

/*
 * NGX_OK, NGX_DONE after the last, NGX_ERROR: not what we wrote, logged.  The
 * texts are valid during the handler.
 */
ngx_int_t ngx_chat_store_take_event(ngx_chat_page_t *page,
    ngx_chat_event_t *ev);


/*
 * Watches over a generation: ends it if nobody can any more, or, with drop
 * other than NGX_CHAT_E_NONE, if it still waits in the queue.
 *
 * NGX_OK        it lives; n is the number of its last event
 * NGX_DONE      it has ended, now or before; n likewise
 * NGX_DECLINED  gone
 */
typedef void (*ngx_chat_check_pt)(void *data, ngx_int_t rc, uint64_t n);

ngx_chat_call_t *ngx_chat_store_check(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, ngx_chat_error_e drop, ngx_chat_check_pt handler,
    void *data);

/* check with drop, which leaves no trace of what nobody has joined */
ngx_chat_call_t *ngx_chat_store_erase(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen, ngx_chat_error_e drop, ngx_chat_check_pt handler,
    void *data);


/*
 * Deletes what is cached at h, whoever's and whatever it is.
 *
 * NGX_OK        deleted, now or when this was sent before
 * NGX_DECLINED  there was nothing
 */
typedef void (*ngx_chat_purge_pt)(void *data, ngx_int_t rc);

ngx_chat_call_t *ngx_chat_store_purge(ngx_chat_store_t *st, u_char *h,
    ngx_chat_purge_pt handler, void *data);


/*
 * How often databases were swapped, as Redis has counted since its start, or
 * since somebody had it count anew.  NGX_DECLINED: it will not say.
 */
typedef void (*ngx_chat_swaps_pt)(void *data, ngx_int_t rc, ngx_uint_t n);

ngx_chat_call_t *ngx_chat_store_count_swaps(ngx_chat_store_t *st,
    ngx_chat_swaps_pt handler, void *data);


/*
 * Asks for what a question asks for, leaving nothing behind, so that
 * ngx_chat_store_get_refusal() tells how it is now: after a refusal at most
 * once a second, else where nothing was asked for 5 s.  Returns at once.
 */
void ngx_chat_store_probe(ngx_chat_store_t *st);


#endif /* _NGX_CHAT_STORE_WORKER_H_INCLUDED_ */
