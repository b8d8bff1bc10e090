
#include "ngx_chat_ask_private.h"
#include "ngx_chat_follow.h"


static void ngx_chat_ask_push_handler(void *data, ngx_int_t rc,
    ngx_msec_t wait);
static void ngx_chat_ask_refuse_handler(void *data, ngx_int_t rc,
    ngx_msec_t wait);
static void ngx_chat_ask_drop_handler(void *data, ngx_int_t rc, uint64_t n);
static void ngx_chat_ask_follow(ngx_chat_ask_t *ask);


void
ngx_chat_ask_push(ngx_chat_ask_t *ask)
{
    ngx_chat_hub_t  *hub;

    hub = ask->hub;

    ask->call = ngx_chat_store_push(&hub->store, &ask->task,
                                    hub->conf->queue_limit, &ask->limit,
                                    ngx_chat_ask_push_handler, ask);
    if (ask->call == NULL) {
        ngx_chat_ask_drop(ask, NGX_CHAT_E_REDIS_DOWN);
    }
}


static void
ngx_chat_ask_push_handler(void *data, ngx_int_t rc, ngx_msec_t wait)
{
    ngx_chat_ask_t *ask = data;

    ask->call = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ask->hub->log, 0,
                   "chat push of %*s: %i",
                   (size_t) NGX_CHAT_ID_LEN, ask->task.gen.id, rc);

    switch (rc) {

    case NGX_OK:
        ngx_chat_ask_set_queue_full(ask, 0);
        ask->opened = 0;
        ngx_chat_ask_follow(ask);
        return;

    case NGX_DECLINED:
        ngx_chat_ask_set_queue_full(ask, 1);
        ngx_chat_ask_drop(ask, NGX_CHAT_E_QUEUE_FULL);
        return;

    case NGX_AGAIN:
        ngx_chat_ask_set_limited(ask, wait);
        ngx_chat_ask_drop(ask, NGX_CHAT_E_MISS_LIMIT);
        return;

    case NGX_ERROR:
        ngx_chat_ask_drop(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    default:
        ngx_chat_ask_drop(ask, NGX_CHAT_E_INTERNAL);
        return;
    }
}


/* a limit is told before a full queue, so it is asked for */

void
ngx_chat_ask_refuse(ngx_chat_ask_t *ask)
{
    if (ask->result.wait) {
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_MISS_LIMIT);
        return;
    }

    if (ask->limit.interval == 0) {
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_QUEUE_FULL);
        return;
    }

    ask->call = ngx_chat_store_push(&ask->hub->store, &ask->task, 0,
                                    &ask->limit, ngx_chat_ask_refuse_handler,
                                    ask);
    if (ask->call == NULL) {
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_REDIS_DOWN);
    }
}


static void
ngx_chat_ask_refuse_handler(void *data, ngx_int_t rc, ngx_msec_t wait)
{
    ngx_chat_ask_t *ask = data;

    ask->call = NULL;

    switch (rc) {

    case NGX_DECLINED:
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_QUEUE_FULL);
        return;

    case NGX_AGAIN:
        ngx_chat_ask_set_limited(ask, wait);
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_MISS_LIMIT);
        return;

    case NGX_ERROR:
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    default:
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_INTERNAL);
        return;
    }
}


/*
 * Joiners are told by an event of the generation; Redis does not know of those
 * in this worker.  A task that has arrived all the same finds no generation.
 */

void
ngx_chat_ask_drop(ngx_chat_ask_t *ask, ngx_chat_error_e reason)
{
    ngx_chat_gen_t    *gen;
    ngx_chat_store_t  *st;

    st = &ask->hub->store;
    gen = &ask->task.gen;

    ask->reason = reason;
    reason = ngx_chat_ask_joiners_error(reason);

    ngx_chat_channel_hide(ask->channel);

    if (ask->channel->holds > 1) {
        ask->call = ngx_chat_store_check(st, gen, reason,
                                         ngx_chat_ask_drop_handler, ask);

    } else {
        ask->call = ngx_chat_store_erase(st, gen, reason,
                                         ngx_chat_ask_drop_handler, ask);
    }

    if (ask->call == NULL) {
        ngx_chat_ask_report_error(ask, ask->reason);
    }
}


static void
ngx_chat_ask_drop_handler(void *data, ngx_int_t rc, uint64_t n)
{
    ngx_chat_ask_t *ask = data;

    ask->call = NULL;

    if (rc != NGX_ERROR) {
        ask->opened = 0;
    }

    /* alive: the task arrived, although the reply to the push did not */

    if (rc == NGX_OK) {
        ngx_chat_ask_follow(ask);
        return;
    }

    ngx_chat_ask_report_error(ask, ask->reason);
}


/* events written before the subscription are read from the stream */

static void
ngx_chat_ask_follow(ngx_chat_ask_t *ask)
{
    ngx_uint_t  has_subscribers;

    has_subscribers = (ask->handler || ask->channel->holds > 1);

    if (has_subscribers
        && ngx_chat_follow_start(ask->channel) != NGX_OK)
    {
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_INTERNAL);
        return;
    }

    ngx_chat_ask_report(ask, NGX_CHAT_RESULT_MISS);
}
