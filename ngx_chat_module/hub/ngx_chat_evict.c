
#include "ngx_chat_evict.h"
#include "ngx_chat_contents.h"
#include "../shm/ngx_chat_metrics.h"


/* us of a turn of the event loop: memory is given back in many small pieces */
#define NGX_CHAT_EVICT_TIME   250

/* ms until what cannot be dropped at the moment is looked at again */
#define NGX_CHAT_EVICT_LATER  50


static void ngx_chat_evict_handler(ngx_event_t *ev);
static ngx_int_t ngx_chat_evict_turn(ngx_chat_hub_t *hub);
static ngx_uint_t ngx_chat_evict_may(ngx_chat_channel_t *ch);
static ngx_int_t ngx_chat_evict_look_up(ngx_chat_hub_t *hub,
    ngx_chat_channel_t *ch);
static void ngx_chat_evict_lookup_handler(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a);
static void ngx_chat_evict_drop(ngx_chat_channel_t *ch);


void
ngx_chat_evict_init(ngx_chat_hub_t *hub)
{
    ngx_queue_init(&hub->finished);

    hub->evict.handler = ngx_chat_evict_handler;
    hub->evict.data = hub;
    hub->evict.log = hub->log;
    hub->evict.cancelable = 1;
}


void
ngx_chat_evict_close(ngx_chat_hub_t *hub)
{
    ngx_chat_channel_t  *ch;

    if (hub->lookup) {
        ngx_chat_call_cancel(hub->lookup);
        hub->lookup = NULL;

        ch = hub->looked_up;
        ch->pins--;
        ngx_chat_channel_release(ch);
    }

    if (hub->evict.timer_set) {
        ngx_del_timer(&hub->evict);
    }

    if (hub->evict.posted) {
        ngx_delete_posted_event(&hub->evict);
    }
}


void
ngx_chat_evict_start(ngx_chat_hub_t *hub)
{
    if (hub->memory > hub->conf->memory && !hub->evict.posted) {
        ngx_post_event(&hub->evict, &ngx_posted_events);
    }
}


/* posted when there is more to hold, or a timer */

static void
ngx_chat_evict_handler(ngx_event_t *ev)
{
    ngx_chat_hub_t  *hub;

    hub = ev->data;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    /* contents that Redis cannot give back stay */

    if (hub->memory <= hub->conf->memory || hub->lookup
        || ngx_queue_empty(&hub->finished))
    {
        return;
    }

    if (ngx_chat_store_is_down(&hub->store)) {
        ngx_add_timer(ev, NGX_CHAT_EVICT_LATER);
        return;
    }

    switch (ngx_chat_evict_turn(hub)) {

    case NGX_AGAIN:
        ngx_post_event(ev, &ngx_posted_next_events);
        break;

    case NGX_DECLINED:
        ngx_add_timer(ev, NGX_CHAT_EVICT_LATER);
        break;

    default: /* NGX_OK */
        break;
    }
}


/*
 * NGX_OK: it is enough, or Redis was asked; NGX_AGAIN: others have their turn
 * first, or those who read it; NGX_DECLINED: nothing more can be dropped now.
 */

static ngx_int_t
ngx_chat_evict_turn(ngx_chat_hub_t *hub)
{
    uint64_t             end;
    ngx_uint_t           waits;
    ngx_queue_t         *q;
    ngx_chat_channel_t  *ch;

    waits = 0;
    end = ngx_chat_metrics_clock() + NGX_CHAT_EVICT_TIME;

    for (q = ngx_queue_head(&hub->finished);
         q != ngx_queue_sentinel(&hub->finished);
         /* void */)
    {
        ch = ngx_queue_data(q, ngx_chat_channel_t, finished);

        q = ngx_queue_next(q);

        if (!ngx_chat_evict_may(ch)) {
            waits |= ch->wakes.waits;
            continue;
        }

        if (!ch->stored) {

            if (ngx_chat_evict_look_up(hub, ch) == NGX_OK) {
                return NGX_OK;
            }

            /* such as one too large to be asked for at the moment */

            continue;
        }

        ngx_chat_evict_drop(ch);

        if (hub->memory <= hub->conf->memory) {
            return NGX_OK;
        }

        if (ngx_chat_metrics_clock() >= end) {
            return NGX_AGAIN;
        }
    }

    return waits ? NGX_AGAIN : NGX_DECLINED;
}


/*
 * All subscribers, of which there is one at least, had their turn since there
 * was something to take: an answer that was read for somebody is used.
 */

static ngx_uint_t
ngx_chat_evict_may(ngx_chat_channel_t *ch)
{
    return ch->feeder == NULL && ch->lead == NULL && ch->pins == 0
           && !ch->wakes.waits && !ngx_queue_empty(&ch->wakes.idle);
}


static ngx_int_t
ngx_chat_evict_look_up(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch)
{
    hub->lookup = ngx_chat_store_lookup(&hub->store, &ch->gen,
                                        ngx_chat_evict_lookup_handler, hub);
    if (hub->lookup == NULL) {
        return NGX_DECLINED;
    }

    ngx_chat_channel_hold(ch);
    ch->pins++;

    hub->looked_up = ch;

    return NGX_OK;
}


static void
ngx_chat_evict_lookup_handler(void *data, ngx_int_t rc, ngx_chat_answer_t *a)
{
    ngx_chat_hub_t *hub = data;

    ngx_chat_channel_t  *ch;

    ch = hub->looked_up;

    hub->lookup = NULL;
    ch->pins--;

    if (rc == NGX_OK && ngx_chat_channel_is_answer(ch, a)) {
        ch->stored = 1;

    } else if (rc != NGX_ERROR) {
        ngx_chat_channel_keep(ch);
    }

    ngx_chat_channel_release(ch);

    if (rc == NGX_ERROR) {
        ngx_add_timer(&hub->evict, NGX_CHAT_EVICT_LATER);
        return;
    }

    ngx_post_event(&hub->evict, &ngx_posted_events);
}


static void
ngx_chat_evict_drop(ngx_chat_channel_t *ch)
{
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ch->log, 0,
                   "chat channel %*s: %uz bytes and frames are dropped",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id, ch->memory);

    ngx_chat_metrics_count(NGX_CHAT_COUNT_EVICTIONS);

    ngx_chat_channel_hide(ch);
    ngx_chat_channel_keep(ch);

    ngx_chat_contents_drop(ch);
}
