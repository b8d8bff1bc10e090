
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
    ngx_queue_t             queue;     /* in hub->undos */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t               ident;

    ngx_chat_call_t        *call;
    ngx_event_t             timer;
    ngx_chat_gen_t          gen;
    ngx_chat_error_e        reason;
    ngx_msec_t              until;
    ngx_msec_t              wait;
} ngx_chat_rollback_t;


static void ngx_chat_rollback_send(ngx_chat_rollback_t *u);
static void ngx_chat_rollback_handler(void *data, ngx_int_t rc, uint64_t n);
static void ngx_chat_rollback_again(ngx_chat_rollback_t *u, ngx_msec_t wait);
static void ngx_chat_rollback_timer_handler(ngx_event_t *ev);
static void ngx_chat_rollback_free(ngx_chat_rollback_t *u);


void
ngx_chat_rollback(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_error_e reason)
{
    ngx_queue_t          *q;
    ngx_chat_rollback_t  *u;

    if (hub->nundos == NGX_CHAT_ROLLBACK_MAX) {

        /* the oldest is the one that ends by itself next */

        q = ngx_queue_head(&hub->undos);
        ngx_chat_rollback_free(ngx_queue_data(q, ngx_chat_rollback_t, queue));
    }

    u = ngx_calloc(sizeof(ngx_chat_rollback_t), hub->log);
    if (u == NULL) {
        return;
    }

    u->hub = hub;
    u->ident = -1;
    u->gen = *gen;
    u->reason = reason;
    u->until = ngx_current_msec + hub->conf->queue_timeout;
    u->wait = NGX_CHAT_ROLLBACK_WAIT;

    u->timer.handler = ngx_chat_rollback_timer_handler;
    u->timer.data = u;
    u->timer.log = hub->log;

    /* no reason for a process to stay */
    u->timer.cancelable = 1;

    ngx_queue_insert_tail(&hub->undos, &u->queue);
    hub->nundos++;

    ngx_chat_rollback_send(u);
}


void
ngx_chat_rollback_first(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen)
{
    ngx_queue_t          *q;
    ngx_chat_rollback_t  *u;

    q = ngx_queue_head(&hub->undos);

    while (q != ngx_queue_sentinel(&hub->undos)) {
        u = ngx_queue_data(q, ngx_chat_rollback_t, queue);
        q = ngx_queue_next(q);

        if (u->call
            || ngx_memcmp(u->gen.h, gen->h, NGX_CHAT_HASH_LEN) != 0
            || ngx_memcmp(u->gen.fp, gen->fp, NGX_CHAT_FP_LEN) != 0)
        {
            continue;
        }

        ngx_del_timer(&u->timer);

        ngx_chat_rollback_send(u);
    }
}


static void
ngx_chat_rollback_send(ngx_chat_rollback_t *u)
{
    u->call = ngx_chat_store_check(&u->hub->store, &u->gen, u->reason,
                                   ngx_chat_rollback_handler, u);
    if (u->call == NULL) {
        ngx_chat_rollback_again(u, NGX_CHAT_ROLLBACK_WAIT);
    }
}


static void
ngx_chat_rollback_handler(void *data, ngx_int_t rc, uint64_t n)
{
    ngx_chat_rollback_t *u = data;

    ngx_msec_t  wait;

    u->call = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, u->hub->log, 0, "chat undo %*s: %i",
                   (size_t) NGX_CHAT_ID_LEN, u->gen.id, rc);

    switch (rc) {

    case NGX_ERROR:
        ngx_chat_rollback_again(u, NGX_CHAT_ROLLBACK_WAIT);
        return;

    case NGX_DECLINED:
        wait = u->wait;
        u->wait *= 2;

        ngx_chat_rollback_again(u, wait);
        return;

    default:
        ngx_chat_rollback_free(u);
        return;
    }
}


static void
ngx_chat_rollback_again(ngx_chat_rollback_t *u, ngx_msec_t wait)
{
    if ((ngx_msec_int_t) (u->until - ngx_current_msec - wait) < 0) {
        ngx_chat_rollback_free(u);
        return;
    }

    ngx_add_timer(&u->timer, wait);
}


static void
ngx_chat_rollback_timer_handler(ngx_event_t *ev)
{
    ngx_chat_rollback_send(ev->data);
}


static void
ngx_chat_rollback_free(ngx_chat_rollback_t *u)
{
    ngx_chat_call_cancel(u->call);

    if (u->timer.timer_set) {
        ngx_del_timer(&u->timer);
    }

    ngx_queue_remove(&u->queue);
    u->hub->nundos--;

    ngx_free(u);
}


void
ngx_chat_rollback_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&hub->undos)) {
        q = ngx_queue_head(&hub->undos);
        ngx_chat_rollback_free(ngx_queue_data(q, ngx_chat_rollback_t, queue));
    }
}
