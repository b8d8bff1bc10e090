
#include "ngx_chat_wakes.h"
#include "../shm/ngx_chat_metrics.h"

#include <ngx_event.h>


static void ngx_chat_wakes_wait(ngx_chat_wakes_t *wakes);
static void ngx_chat_wakes_leave(ngx_chat_wakes_t *wakes);
static void ngx_chat_wakes_handler(ngx_event_t *ev);
static void ngx_chat_wakes_call(ngx_chat_wakes_t *wakes);


/* wakes that wait for their turn */
static ngx_queue_t  ngx_chat_wakes_queue = {
    &ngx_chat_wakes_queue,
    &ngx_chat_wakes_queue
};

static ngx_event_t  ngx_chat_wakes_event = {
    .handler = ngx_chat_wakes_handler
};


void
ngx_chat_wakes_init(ngx_chat_wakes_t *wakes)
{
    ngx_queue_init(&wakes->due);
    ngx_queue_init(&wakes->idle);

    wakes->called = 0;
    wakes->waits = 0;
}


void
ngx_chat_wakes_insert(ngx_chat_wakes_t *wakes, ngx_chat_wake_t *wake)
{
    ngx_queue_insert_tail(&wakes->idle, &wake->queue);
    wake->wakes = wakes;
}


void
ngx_chat_wakes_add(ngx_chat_wakes_t *wakes, ngx_chat_wake_t *wake)
{
    ngx_chat_wakes_remove(wake);

    ngx_queue_insert_tail(&wakes->due, &wake->queue);
    wake->wakes = wakes;

    ngx_chat_wakes_wait(wakes);
}


void
ngx_chat_wakes_all(ngx_chat_wakes_t *wakes)
{
    if (ngx_queue_empty(&wakes->idle)) {
        return;
    }

    ngx_queue_add(&wakes->due, &wakes->idle);
    ngx_queue_init(&wakes->idle);

    ngx_chat_wakes_wait(wakes);
}


static void
ngx_chat_wakes_wait(ngx_chat_wakes_t *wakes)
{
    if (wakes->waits) {
        return;
    }

    ngx_queue_insert_tail(&ngx_chat_wakes_queue, &wakes->queue);
    wakes->called = 0;
    wakes->waits = 1;

    ngx_chat_wakes_event.log = ngx_cycle->log;

    ngx_post_event(&ngx_chat_wakes_event, &ngx_posted_events);
}


void
ngx_chat_wakes_remove(ngx_chat_wake_t *wake)
{
    ngx_chat_wakes_t  *wakes;

    wakes = wake->wakes;

    if (wakes == NULL) {
        return;
    }

    ngx_queue_remove(&wake->queue);
    wake->wakes = NULL;

    if (wakes->waits && ngx_queue_empty(&wakes->due)) {
        ngx_chat_wakes_leave(wakes);
    }
}


static void
ngx_chat_wakes_leave(ngx_chat_wakes_t *wakes)
{
    ngx_queue_remove(&wakes->queue);
    wakes->waits = 0;

    if (ngx_queue_empty(&ngx_chat_wakes_queue)
        && ngx_chat_wakes_event.posted)
    {
        ngx_delete_posted_event(&ngx_chat_wakes_event);
    }
}


static void
ngx_chat_wakes_handler(ngx_event_t *ev)
{
    uint64_t      end;
    ngx_queue_t  *q;

    end = ngx_chat_metrics_clock() + NGX_CHAT_WAKES_TIME;

    do {
        if (ngx_queue_empty(&ngx_chat_wakes_queue)) {
            return;
        }

        q = ngx_queue_head(&ngx_chat_wakes_queue);

        ngx_chat_wakes_call(ngx_queue_data(q, ngx_chat_wakes_t, queue));

    } while (ngx_chat_metrics_clock() < end);

    if (!ngx_queue_empty(&ngx_chat_wakes_queue)) {

        /* a call may have posted it for this turn */

        if (ev->posted) {
            ngx_delete_posted_event(ev);
        }

        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


static void
ngx_chat_wakes_call(ngx_chat_wakes_t *wakes)
{
    ngx_queue_t      *q;
    ngx_chat_wake_t  *wake;

    q = ngx_queue_head(&wakes->due);
    wake = ngx_queue_data(q, ngx_chat_wake_t, queue);

    ngx_queue_remove(q);
    ngx_queue_insert_tail(&wakes->idle, q);

    wakes->called++;

    if (ngx_queue_empty(&wakes->due)) {
        ngx_chat_wakes_leave(wakes);

    } else if (wakes->called == NGX_CHAT_WAKES_SHARE) {
        wakes->called = 0;

        ngx_queue_remove(&wakes->queue);
        ngx_queue_insert_tail(&ngx_chat_wakes_queue, &wakes->queue);
    }

    /* wakes may be gone afterwards */

    wake->handler(wake->data);
}
