
#include "ngx_chat_rollback.h"


#define NGX_CHAT_ROLLBACK_WAIT  1000      /* ms */
#define NGX_CHAT_ROLLBACK_MAX   4096


/*
 * Without its task a generation is a trap: who joins it waits until its time
 * in the queue is over, and so does everybody who asks the same meanwhile.
 * Its asker does not wait for it any more, so nobody loses by an early end but
 * those who have joined; they get an error that is worth a retry, and the next
 * one who asks opens another.
 *
 * Whether the task has arrived, after all, is not known when the reply to its
 * push is lost.  What a filler has taken, even if it was given back, is
 * never dropped.  What still waits is dropped: its task then finds a
 * generation that has ended, and no provider is called for askers who have
 * been refused.
 *
 * A generation that is not there may still come, as the command that opens it
 * may be on its way on a connection that was given up: it is looked for again.
 * After the queue timeout it ends without our doing.
 */

typedef struct {
    ngx_chat_hub_t         *hub;
    ngx_queue_t             queue;     /* in hub->rollbacks */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t               ident;

    ngx_chat_call_t        *call;
    ngx_event_t             timer;
    ngx_chat_gen_t          gen;
    ngx_chat_error_e        reason;
    ngx_msec_t              until;
    ngx_msec_t              wait;
} ngx_chat_rollback_t;


static void ngx_chat_rollback_send(ngx_chat_rollback_t *rb);
static void ngx_chat_rollback_check_handler(void *data, ngx_int_t rc,
    uint64_t n);
static void ngx_chat_rollback_retry(ngx_chat_rollback_t *rb, ngx_msec_t wait);
static void ngx_chat_rollback_timer_handler(ngx_event_t *ev);
static void ngx_chat_rollback_free(ngx_chat_rollback_t *rb);


void
ngx_chat_rollback_start(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_error_e reason)
{
    ngx_queue_t          *q;
    ngx_chat_rollback_t  *rb;

    if (hub->nrollbacks == NGX_CHAT_ROLLBACK_MAX) {

        /* the oldest is the one that ends by itself next */

        q = ngx_queue_head(&hub->rollbacks);
        ngx_chat_rollback_free(ngx_queue_data(q, ngx_chat_rollback_t, queue));
    }

    rb = ngx_calloc(sizeof(ngx_chat_rollback_t), hub->log);
    if (rb == NULL) {
        return;
    }

    rb->hub = hub;
    rb->ident = -1;
    rb->gen = *gen;
    rb->reason = reason;
    rb->until = ngx_current_msec + hub->conf->queue_timeout;
    rb->wait = NGX_CHAT_ROLLBACK_WAIT;

    rb->timer.handler = ngx_chat_rollback_timer_handler;
    rb->timer.data = rb;
    rb->timer.log = hub->log;

    /* no reason for a process to stay */
    rb->timer.cancelable = 1;

    ngx_queue_insert_tail(&hub->rollbacks, &rb->queue);
    hub->nrollbacks++;

    ngx_chat_rollback_send(rb);
}


void
ngx_chat_rollback_resume(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen)
{
    ngx_queue_t          *q;
    ngx_chat_rollback_t  *rb;

    q = ngx_queue_head(&hub->rollbacks);

    while (q != ngx_queue_sentinel(&hub->rollbacks)) {
        rb = ngx_queue_data(q, ngx_chat_rollback_t, queue);
        q = ngx_queue_next(q);

        if (rb->call
            || ngx_memcmp(rb->gen.h, gen->h, NGX_CHAT_HASH_LEN) != 0
            || ngx_memcmp(rb->gen.fp, gen->fp, NGX_CHAT_FP_LEN) != 0)
        {
            continue;
        }

        ngx_del_timer(&rb->timer);

        ngx_chat_rollback_send(rb);
    }
}


static void
ngx_chat_rollback_send(ngx_chat_rollback_t *rb)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, rb->hub->log, 0,
                   "chat rollback of %*s",
                   (size_t) NGX_CHAT_ID_LEN, rb->gen.id);

    rb->call = ngx_chat_store_check(&rb->hub->store, &rb->gen, rb->reason,
                                   ngx_chat_rollback_check_handler, rb);
    if (rb->call == NULL) {
        ngx_chat_rollback_retry(rb, NGX_CHAT_ROLLBACK_WAIT);
    }
}


static void
ngx_chat_rollback_check_handler(void *data, ngx_int_t rc, uint64_t n)
{
    ngx_chat_rollback_t *rb = data;

    ngx_msec_t  wait;

    rb->call = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, rb->hub->log, 0, "chat undo %*s: %i",
                   (size_t) NGX_CHAT_ID_LEN, rb->gen.id, rc);

    switch (rc) {

    case NGX_ERROR:
        ngx_chat_rollback_retry(rb, NGX_CHAT_ROLLBACK_WAIT);
        return;

    case NGX_DECLINED:
        wait = rb->wait;
        rb->wait *= 2;

        ngx_chat_rollback_retry(rb, wait);
        return;

    default:
        ngx_chat_rollback_free(rb);
        return;
    }
}


static void
ngx_chat_rollback_retry(ngx_chat_rollback_t *rb, ngx_msec_t wait)
{
    if ((ngx_msec_int_t) (rb->until - ngx_current_msec - wait) < 0) {
        ngx_chat_rollback_free(rb);
        return;
    }

    ngx_add_timer(&rb->timer, wait);
}


static void
ngx_chat_rollback_timer_handler(ngx_event_t *ev)
{
    ngx_chat_rollback_send(ev->data);
}


static void
ngx_chat_rollback_free(ngx_chat_rollback_t *rb)
{
    ngx_chat_call_cancel(rb->call);

    if (rb->timer.timer_set) {
        ngx_del_timer(&rb->timer);
    }

    ngx_queue_remove(&rb->queue);
    rb->hub->nrollbacks--;

    ngx_free(rb);
}


void
ngx_chat_rollback_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&hub->rollbacks)) {
        q = ngx_queue_head(&hub->rollbacks);
        ngx_chat_rollback_free(ngx_queue_data(q, ngx_chat_rollback_t, queue));
    }
}
