
#include "ngx_chat_ask_private.h"
#include "ngx_chat_follow.h"
#include "ngx_chat_rollback.h"


static void ngx_chat_ask_roll_back(ngx_chat_ask_t *ask, ngx_chat_error_e e);
static void ngx_chat_ask_wake_handler(void *data);
static void ngx_chat_ask_timer_handler(ngx_event_t *ev);
static void ngx_chat_ask_call_handler(ngx_chat_ask_t *ask);
static void ngx_chat_ask_destroy(ngx_chat_ask_t *ask);
static void ngx_chat_ask_stop(ngx_chat_ask_t *ask);


void
ngx_chat_ask_init_events(ngx_chat_ask_t *ask)
{
    ask->timer.handler = ngx_chat_ask_timer_handler;
    ask->timer.data = ask;
    ask->timer.log = ask->hub->log;

    ask->wake.handler = ngx_chat_ask_wake_handler;
    ask->wake.data = ask;
}


void
ngx_chat_ask_report_error(ngx_chat_ask_t *ask, ngx_chat_error_e e)
{
    ngx_chat_ask_roll_back(ask, e);

    ask->result.error = e;

    ngx_chat_ask_report(ask, NGX_CHAT_RESULT_ERROR);
}


static void
ngx_chat_ask_roll_back(ngx_chat_ask_t *ask, ngx_chat_error_e e)
{
    ngx_chat_event_t     ev;
    ngx_chat_channel_t  *ch;

    ch = ask->channel;

    if (ch && ch->holds == 1) {
        ngx_chat_channel_close(ch);

    } else if (ch) {
        ngx_chat_channel_hide(ch);

        /* joiners in this worker hear from Redis what became of it */

        if (ngx_chat_follow_start(ch) != NGX_OK) {
            ngx_chat_error_event(&ev, NGX_CHAT_E_INTERNAL);
            (void) ngx_chat_channel_append(ch, &ev);
        }
    }

    if (ask->opened) {
        ask->opened = 0;
        ngx_chat_rollback_start(ask->hub, &ask->task.gen,
                                ngx_chat_ask_joiners_error(e));
    }
}


ngx_chat_error_e
ngx_chat_ask_joiners_error(ngx_chat_error_e e)
{
    return e == NGX_CHAT_E_MISS_LIMIT ? NGX_CHAT_E_CANCELLED : e;
}


/* the rest is done outside of what called us */

void
ngx_chat_ask_report(ngx_chat_ask_t *ask, ngx_chat_result_e v)
{
    ngx_chat_wakes_t  *wakes;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ask->hub->log, 0,
                   "chat result %i on %*s", (ngx_int_t) v,
                   (size_t) NGX_CHAT_HASH_LEN, ask->task.gen.h);

    ask->committed = 0;

    if (ask->handler == NULL) {
        ngx_chat_ask_free(ask);
        return;
    }

    ask->result.kind = v;
    ask->result.channel = ask->channel;

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    wakes = ask->channel ? &ask->channel->wakes : &ask->hub->refused;

    ngx_chat_wakes_add(wakes, &ask->wake);
}


static void
ngx_chat_ask_wake_handler(void *data)
{
    ngx_chat_ask_t *ask = data;

    ngx_chat_ask_call_handler(ask);
    ngx_chat_ask_free(ask);
}


static void
ngx_chat_ask_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t       level;
    ngx_chat_ask_t  *ask;
    ngx_chat_hub_t  *hub;

    ask = ev->data;
    hub = ask->hub;

    /* every question says so while it lasts: a line a second will do */

    level = (hub->late_logged == ngx_time()) ? NGX_LOG_INFO : NGX_LOG_ERR;
    hub->late_logged = ngx_time();

    ngx_log_error(level, hub->log, 0,
                  "chat question %*s: Redis did not say in time what to do",
                  (size_t) NGX_CHAT_HASH_LEN, ask->task.gen.h);

    /* all who wait for the same are told at the same time: as wakes, too */

    ngx_chat_call_cancel(ask->call);
    ask->call = NULL;

    ngx_chat_hit_test_leave(&ask->waiter);
    ngx_chat_opening_leave(&ask->other);

    ngx_chat_ask_report_error(ask, NGX_CHAT_E_REDIS_DOWN);
}


static void
ngx_chat_ask_call_handler(ngx_chat_ask_t *ask)
{
    ngx_chat_result_pt  handler;

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    handler = ask->handler;
    ask->handler = NULL;

    if (handler) {
        ask->hub->reporting = ask;
        handler(ask->data, &ask->result);
        ask->hub->reporting = NULL;
    }
}


void
ngx_chat_hub_forget(ngx_chat_ask_t *ask)
{
    if (ask->hub == NULL) {
        ngx_chat_ask_destroy(ask);
        return;
    }

    ask->handler = NULL;
    ask->asker = NULL;

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    if (!ask->committed) {
        ngx_chat_ask_free(ask);
    }
}


void
ngx_chat_hub_close_asks(ngx_chat_hub_t *hub)
{
    ngx_queue_t     *q;
    ngx_chat_ask_t  *ask;

    for (q = ngx_queue_head(&hub->asks);
         q != ngx_queue_sentinel(&hub->asks);
         q = ngx_queue_next(q))
    {
        ask = ngx_queue_data(q, ngx_chat_ask_t, queue);

        ngx_chat_opening_leave(&ask->other);
    }

    while (!ngx_queue_empty(&hub->asks)) {
        q = ngx_queue_head(&hub->asks);
        ask = ngx_queue_data(q, ngx_chat_ask_t, queue);

        ngx_chat_ask_stop(ask);

        /* an asker that is still there has the pointer, and will forget it */

        if (ask->handler == NULL) {
            ngx_chat_ask_destroy(ask);
        }
    }
}


void
ngx_chat_ask_free(ngx_chat_ask_t *ask)
{
    ngx_chat_ask_stop(ask);
    ngx_chat_ask_destroy(ask);
}


static void
ngx_chat_ask_destroy(ngx_chat_ask_t *ask)
{
    if (ask->strings) {
        ngx_free(ask->strings);
    }

    ngx_free(ask);
}


static void
ngx_chat_ask_stop(ngx_chat_ask_t *ask)
{
    ngx_chat_opened_t  none;

    ngx_chat_ask_end_probe(ask);

    ngx_chat_call_cancel(ask->call);
    ask->call = NULL;

    ngx_chat_hit_test_leave(&ask->waiter);
    ngx_chat_opening_leave(&ask->other);

    if (ask->maker) {
        ask->makers->discard(ask->maker);
        ask->maker = NULL;
    }

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    ngx_chat_wakes_remove(&ask->wake);

    if (ask->channel) {
        ngx_chat_channel_release(ask->channel);
        ask->channel = NULL;
    }

    ngx_queue_remove(&ask->queue);
    ask->hub = NULL;

    /* others that wait look again */

    ngx_memzero(&none, sizeof(ngx_chat_opened_t));
    ngx_chat_opening_end(&ask->opening, &none);
}
