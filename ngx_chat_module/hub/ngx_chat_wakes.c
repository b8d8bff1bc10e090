
#include "ngx_chat_wakes.h"


/* each is a write to a client; nginx accepts one connection in a turn */
#define NGX_CHAT_WAKES_TURN  32


static void ngx_chat_wakes_handler(ngx_event_t *ev);


static ngx_queue_t  ngx_chat_wakes_queue = {
    &ngx_chat_wakes_queue,
    &ngx_chat_wakes_queue
};

static ngx_event_t  ngx_chat_wakes_event = {
    .handler = ngx_chat_wakes_handler
};


void
ngx_chat_wakes_add(ngx_chat_sub_t *sub)
{
    if (sub->is_due) {
        return;
    }

    ngx_queue_insert_tail(&ngx_chat_wakes_queue, &sub->due);
    sub->is_due = 1;

    ngx_chat_wakes_event.log = ngx_cycle->log;

    ngx_post_event(&ngx_chat_wakes_event, &ngx_posted_events);
}


void
ngx_chat_wakes_remove(ngx_chat_sub_t *sub)
{
    if (!sub->is_due) {
        return;
    }

    ngx_queue_remove(&sub->due);
    sub->is_due = 0;

    if (ngx_queue_empty(&ngx_chat_wakes_queue)
        && ngx_chat_wakes_event.posted)
    {
        ngx_delete_posted_event(&ngx_chat_wakes_event);
    }
}


static void
ngx_chat_wakes_handler(ngx_event_t *ev)
{
    ngx_uint_t       n;
    ngx_queue_t     *q;
    ngx_chat_sub_t  *sub;

    for (n = 0; n < NGX_CHAT_WAKES_TURN; n++) {

        if (ngx_queue_empty(&ngx_chat_wakes_queue)) {
            return;
        }

        q = ngx_queue_head(&ngx_chat_wakes_queue);
        sub = ngx_queue_data(q, ngx_chat_sub_t, due);

        ngx_queue_remove(q);
        sub->is_due = 0;

        sub->wake(sub->data);
    }

    if (!ngx_queue_empty(&ngx_chat_wakes_queue)) {

        /* a wake may have posted it for this turn */

        if (ev->posted) {
            ngx_delete_posted_event(ev);
        }

        ngx_post_event(ev, &ngx_posted_next_events);
    }
}
