
#include "ngx_chat_refill.h"
#include "ngx_chat_contents.h"
#include "ngx_chat_evict.h"
#include "ngx_chat_hit.h"
#include "../shm/ngx_chat_metrics.h"


/* answers that are read, or used, at a time; others wait */
#define NGX_CHAT_REFILLS      4

/* bytes that are rendered for a reader before others have their turn */
#define NGX_CHAT_REFILL_TURN  65536

/* ms: is it time to read it, now or again? */
#define NGX_CHAT_REFILL_LOOK  1000

/*
 * ms that an answer stays after somebody has taken some of it, since a client
 * that keeps up is back before; and, while others wait, after it was read.
 */
#define NGX_CHAT_REFILL_STAY  200
#define NGX_CHAT_REFILL_LEAST  20


struct ngx_chat_refill_s {
    ngx_queue_t            queue;      /* in hub->refills */
    ngx_chat_channel_t    *channel;    /* held until it is read */
    ngx_chat_call_t       *call;       /* NULL: the timer is set */
    ngx_event_t            timer;
    ngx_msec_t             deadline;
    ngx_msec_t             since;      /* when it was read */

    unsigned               waits:1;    /* others are read meanwhile */
    unsigned               read:1;     /* readers have their turn */
    unsigned               stays:1;    /* behind that, until the timer */
};


static ngx_int_t ngx_chat_refill_start(ngx_chat_channel_t *ch);
static void ngx_chat_refill_read(ngx_chat_refill_t *rf);
static void ngx_chat_refill_handler(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a);
static ngx_chat_error_e ngx_chat_refill_use(ngx_chat_channel_t *ch,
    ngx_int_t rc, ngx_chat_answer_t *a);
static void ngx_chat_refill_timer_handler(ngx_event_t *ev);
static ngx_msec_int_t ngx_chat_refill_stay(ngx_chat_refill_t *rf,
    ngx_uint_t wait);
static void ngx_chat_refill_end(ngx_chat_refill_t *rf, ngx_chat_error_e e);
static void ngx_chat_refill_leave(ngx_chat_refill_t *rf);
static void ngx_chat_refills_next(ngx_chat_hub_t *hub);
static void ngx_chat_refills_hurry(ngx_chat_hub_t *hub);
static ngx_uint_t ngx_chat_refills_wait(ngx_chat_hub_t *hub);
static void ngx_chat_refill_free(ngx_chat_refill_t *rf);


ngx_int_t
ngx_chat_refill_seek(ngx_chat_sub_t *sub)
{
    size_t               len, frame, rendered;
    ngx_uint_t           chunks;
    ngx_chat_entry_t    *e;
    ngx_chat_channel_t  *ch;

    ch = sub->channel;

    if (ch->pool == NULL) {

        if (ch->hub == NULL) {
            ch->lost = NGX_CHAT_E_INTERRUPTED;
        }

        return ch->lost ? NGX_ABORT : ngx_chat_refill_start(ch);
    }

    if (sub->restarts != ch->restarts) {
        sub->taken = 0;
        sub->chunks = 0;
    }

    sub->next = ngx_chat_hit_start(ch, sub->dialect);

    len = 0;
    chunks = 0;
    rendered = 0;

    for ( ;; ) {

        if (*sub->next == NULL) {

            if (rendered >= NGX_CHAT_REFILL_TURN) {
                ngx_chat_wakes_add(&ch->wakes, &sub->wake);
                return NGX_AGAIN;
            }

            if (ngx_chat_hit_render(ch, sub->dialect, sub->taken) != NGX_OK) {
                return NGX_ERROR;
            }

            if (*sub->next) {
                rendered += (*sub->next)->frame[sub->dialect->index].len;
            }
        }

        e = *sub->next;

        if (e == NULL) {
            break;
        }

        frame = e->frame[sub->dialect->index].len;

        if (frame > sub->taken - len) {
            break;
        }

        len += frame;
        chunks += e->chunks;

        sub->next = &e->next;
    }

    /* another text, by the same name? */

    if (e == NULL || chunks > sub->chunks
        || sub->chunks - chunks > e->chunks)
    {
        ch->lost = NGX_CHAT_E_INTERRUPTED;
        return NGX_ABORT;
    }

    sub->passed = sub->taken - len;
    sub->passed_chunks = sub->chunks - chunks;
    sub->fill = ch->fills;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_refill_start(ngx_chat_channel_t *ch)
{
    ngx_chat_refill_t  *rf;

    if (ch->refill) {
        return NGX_AGAIN;
    }

    rf = ngx_calloc(sizeof(ngx_chat_refill_t), ch->log);
    if (rf == NULL) {
        return NGX_ERROR;
    }

    rf->channel = ch;
    rf->deadline = ngx_current_msec + ch->hub->conf->queue_timeout;

    rf->timer.handler = ngx_chat_refill_timer_handler;
    rf->timer.data = rf;
    rf->timer.log = ch->log;

    ngx_chat_channel_hold(ch);
    ngx_queue_insert_tail(&ch->hub->refills, &rf->queue);

    ch->refill = rf;

    ngx_chat_refill_read(rf);

    return NGX_AGAIN;
}


static void
ngx_chat_refill_read(ngx_chat_refill_t *rf)
{
    ngx_chat_hub_t  *hub;

    hub = rf->channel->hub;

    rf->waits = (hub->nrefills >= NGX_CHAT_REFILLS);

    if (rf->waits) {
        ngx_chat_refills_hurry(hub);

    } else {
        rf->call = ngx_chat_store_lookup(&hub->store, &rf->channel->gen,
                                         ngx_chat_refill_handler, rf);
    }

    if (rf->call == NULL) {
        ngx_add_timer(&rf->timer, NGX_CHAT_REFILL_LOOK);
        return;
    }

    hub->nrefills++;

    if (rf->timer.timer_set) {
        ngx_del_timer(&rf->timer);
    }
}


static void
ngx_chat_refill_handler(void *data, ngx_int_t rc, ngx_chat_answer_t *a)
{
    ngx_chat_refill_t *rf = data;

    ngx_chat_hub_t      *hub;
    ngx_chat_channel_t  *ch;

    ch = rf->channel;
    hub = ch->hub;

    rf->call = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, rf->timer.log, 0,
                   "chat channel %*s is filled again: %i",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id, rc);

    if (rc == NGX_ERROR) {
        ngx_add_timer(&rf->timer, NGX_CHAT_REFILL_LOOK);

        hub->nrefills--;
        ngx_chat_refills_next(hub);

        return;
    }

    ch->lost = ngx_chat_refill_use(ch, rc, a);

    ngx_chat_channel_wake(ch);

    if (ch->pool == NULL) {
        ngx_chat_refill_leave(rf);
        return;
    }

    /* contents that nobody has taken from yet cannot be dropped */

    rf->read = 1;
    rf->since = ngx_current_msec;
    ch->pins++;
    ch->unread = ngx_chat_refill_leave;
    ngx_post_event(&rf->timer, &ngx_posted_next_events);

    ngx_chat_channel_release(ch);
}


static ngx_chat_error_e
ngx_chat_refill_use(ngx_chat_channel_t *ch, ngx_int_t rc,
    ngx_chat_answer_t *a)
{
    /* all have left for whom it was read */

    if (ch->holds == 1) {
        return NGX_CHAT_E_NONE;
    }

    switch (rc) {

    case NGX_OK:
        if (!ngx_chat_channel_is_answer(ch, a)) {
            return NGX_CHAT_E_INTERRUPTED;
        }

        if (ngx_chat_hit_refill(ch, a) != NGX_OK) {
            return NGX_CHAT_E_INTERNAL;
        }

        ngx_chat_metrics_count(NGX_CHAT_COUNT_REFILLS);

        return NGX_CHAT_E_NONE;

    case NGX_DECLINED:
        return NGX_CHAT_E_INTERRUPTED;

    default:
        return NGX_CHAT_E_INTERNAL;
    }
}


static void
ngx_chat_refill_timer_handler(ngx_event_t *ev)
{
    ngx_msec_int_t      stay;
    ngx_chat_refill_t  *rf;

    rf = ev->data;

    if (rf->read) {

        if (rf->channel->wakes.waits) {
            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        stay = ngx_chat_refill_stay(rf,
                                  ngx_chat_refills_wait(rf->channel->hub));

        if (stay > 0) {
            rf->stays = 1;
            ngx_add_timer(ev, (ngx_msec_t) stay);
            return;
        }

        ngx_chat_refill_leave(rf);
        return;
    }

    if ((ngx_msec_int_t) (rf->deadline - ngx_current_msec) <= 0
        || rf->channel->holds == 1)
    {
        ngx_chat_refill_end(rf, NGX_CHAT_E_REDIS_DOWN);
        return;
    }

    ngx_chat_refill_read(rf);
}


static ngx_msec_int_t
ngx_chat_refill_stay(ngx_chat_refill_t *rf, ngx_uint_t wait)
{
    ngx_msec_t  end;

    end = wait ? rf->since + NGX_CHAT_REFILL_LEAST
               : rf->channel->taken + NGX_CHAT_REFILL_STAY;

    return (ngx_msec_int_t) (end - ngx_current_msec);
}


/* the channel may be gone afterwards */

static void
ngx_chat_refill_end(ngx_chat_refill_t *rf, ngx_chat_error_e e)
{
    ngx_chat_channel_t  *ch;

    ch = rf->channel;

    ch->lost = e;

    ngx_chat_channel_wake(ch);
    ngx_chat_refill_free(rf);
}


/* contents are like others from now on, if anybody is left to read them */

static void
ngx_chat_refill_leave(ngx_chat_refill_t *rf)
{
    ngx_chat_hub_t  *hub;

    hub = rf->channel->hub;

    hub->nrefills--;
    ngx_chat_refill_free(rf);

    ngx_chat_refills_next(hub);
    ngx_chat_evict_start(hub);
}


static void
ngx_chat_refills_next(ngx_chat_hub_t *hub)
{
    ngx_queue_t        *q;
    ngx_chat_refill_t  *rf;

    for (q = ngx_queue_head(&hub->refills);
         q != ngx_queue_sentinel(&hub->refills)
         && hub->nrefills < NGX_CHAT_REFILLS;
         q = ngx_queue_next(q))
    {
        rf = ngx_queue_data(q, ngx_chat_refill_t, queue);

        if (rf->waits) {
            ngx_chat_refill_read(rf);
        }
    }
}


/* others wait: answers that stay do so for less */

static void
ngx_chat_refills_hurry(ngx_chat_hub_t *hub)
{
    ngx_queue_t        *q;
    ngx_msec_int_t      stay;
    ngx_chat_refill_t  *rf;

    for (q = ngx_queue_head(&hub->refills);
         q != ngx_queue_sentinel(&hub->refills);
         q = ngx_queue_next(q))
    {
        rf = ngx_queue_data(q, ngx_chat_refill_t, queue);

        if (rf->stays) {
            stay = ngx_chat_refill_stay(rf, 1);
            rf->stays = 0;

            ngx_del_timer(&rf->timer);
            ngx_add_timer(&rf->timer, (ngx_msec_t) ngx_max(stay, 0));
        }
    }
}


static ngx_uint_t
ngx_chat_refills_wait(ngx_chat_hub_t *hub)
{
    ngx_queue_t        *q;
    ngx_chat_refill_t  *rf;

    for (q = ngx_queue_head(&hub->refills);
         q != ngx_queue_sentinel(&hub->refills);
         q = ngx_queue_next(q))
    {
        rf = ngx_queue_data(q, ngx_chat_refill_t, queue);

        if (rf->waits) {
            return 1;
        }
    }

    return 0;
}


void
ngx_chat_refills_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t        *q;
    ngx_chat_refill_t  *rf;

    while (!ngx_queue_empty(&hub->refills)) {
        q = ngx_queue_head(&hub->refills);
        rf = ngx_queue_data(q, ngx_chat_refill_t, queue);

        ngx_chat_call_cancel(rf->call);
        ngx_chat_refill_free(rf);
    }
}


static void
ngx_chat_refill_free(ngx_chat_refill_t *rf)
{
    ngx_chat_channel_t  *ch;

    ch = rf->channel;

    ch->refill = NULL;

    ngx_queue_remove(&rf->queue);

    if (rf->timer.timer_set) {
        ngx_del_timer(&rf->timer);
    }

    if (rf->timer.posted) {
        ngx_delete_posted_event(&rf->timer);
    }

    if (rf->read) {
        ch->pins--;
        ngx_free(rf);
        return;
    }

    ngx_free(rf);
    ngx_chat_channel_release(ch);
}
