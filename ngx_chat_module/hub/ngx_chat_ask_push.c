
#include "ngx_chat_ask_private.h"
#include "ngx_chat_follow.h"


/*
 * How long a full queue is remembered: who is refused meanwhile costs Redis
 * no generation, and room that comes free is not left empty for long.
 */
#define NGX_CHAT_ASK_FULL     200     /* ms */

/* the same of a name over its limit; Redis may have lost what has counted */
#define NGX_CHAT_ASK_LIMITED  1000    /* ms */


static void ngx_chat_ask_push_handler(void *data, ngx_int_t rc,
    ngx_msec_t wait);
static void ngx_chat_ask_refuse_handler(void *data, ngx_int_t rc,
    ngx_msec_t wait);
static void ngx_chat_ask_over(ngx_chat_ask_t *ask, ngx_msec_t wait);
static ngx_chat_limited_t *ngx_chat_ask_name(ngx_chat_ask_t *ask);
static void ngx_chat_ask_drop(ngx_chat_ask_t *ask, ngx_chat_error_e reason);
static void ngx_chat_ask_drop_handler(void *data, ngx_int_t rc, uint64_t n);
static void ngx_chat_ask_accepted(ngx_chat_ask_t *ask);


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

    ngx_chat_hub_t  *hub;

    hub = ask->hub;
    ask->call = NULL;

    switch (rc) {

    case NGX_OK:
        hub->full = 0;
        ask->probe = 0;
        ask->opened = 0;
        ngx_chat_ask_accepted(ask);
        return;

    case NGX_DECLINED:
        hub->full = 1;
        hub->full_until = ngx_current_msec + NGX_CHAT_ASK_FULL;
        ask->probe = 0;
        ngx_chat_ask_drop(ask, NGX_CHAT_E_QUEUE_FULL);
        return;

    case NGX_AGAIN:
        ngx_chat_ask_over(ask, wait);
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
    if (ask->verdict.wait) {
        ngx_chat_ask_error(ask, NGX_CHAT_E_MISS_LIMIT);
        return;
    }

    if (ask->limit.interval == 0) {
        ngx_chat_ask_error(ask, NGX_CHAT_E_QUEUE_FULL);
        return;
    }

    ask->call = ngx_chat_store_push(&ask->hub->store, &ask->task, 0,
                                    &ask->limit, ngx_chat_ask_refuse_handler,
                                    ask);
    if (ask->call == NULL) {
        ngx_chat_ask_error(ask, NGX_CHAT_E_REDIS_DOWN);
    }
}


static void
ngx_chat_ask_refuse_handler(void *data, ngx_int_t rc, ngx_msec_t wait)
{
    ngx_chat_ask_t *ask = data;

    ask->call = NULL;

    switch (rc) {

    case NGX_DECLINED:
        ngx_chat_ask_error(ask, NGX_CHAT_E_QUEUE_FULL);
        return;

    case NGX_AGAIN:
        ngx_chat_ask_over(ask, wait);
        ngx_chat_ask_error(ask, NGX_CHAT_E_MISS_LIMIT);
        return;

    case NGX_ERROR:
        ngx_chat_ask_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    default:
        ngx_chat_ask_error(ask, NGX_CHAT_E_INTERNAL);
        return;
    }
}


/*
 * Joiners are told by an event of the generation; Redis does not know of those
 * in this worker.  A task that has arrived all the same finds no generation.
 */

static void
ngx_chat_ask_drop(ngx_chat_ask_t *ask, ngx_chat_error_e reason)
{
    ngx_chat_gen_t    *gen;
    ngx_chat_store_t  *st;

    st = &ask->hub->store;
    gen = &ask->task.gen;

    ask->reason = reason;
    reason = ngx_chat_ask_joined(reason);

    ngx_chat_channel_hide(ask->channel);

    if (ask->channel->holds > 1) {
        ask->call = ngx_chat_store_check(st, gen, reason,
                                         ngx_chat_ask_drop_handler, ask);

    } else {
        ask->call = ngx_chat_store_erase(st, gen, reason,
                                         ngx_chat_ask_drop_handler, ask);
    }

    if (ask->call == NULL) {
        ngx_chat_ask_error(ask, ask->reason);
    }
}


ngx_chat_error_e
ngx_chat_ask_joined(ngx_chat_error_e e)
{
    return e == NGX_CHAT_E_MISS_LIMIT ? NGX_CHAT_E_CANCELLED : e;
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
        ngx_chat_ask_accepted(ask);
        return;
    }

    ngx_chat_ask_error(ask, ask->reason);
}


/* events written before the subscription are read from the stream */

static void
ngx_chat_ask_accepted(ngx_chat_ask_t *ask)
{
    ngx_uint_t  heard;

    heard = (ask->handler || ask->channel->holds > 1);

    if (heard && ngx_chat_follow_start(ask->channel) != NGX_OK) {
        ngx_chat_ask_error(ask, NGX_CHAT_E_INTERNAL);
        return;
    }

    ngx_chat_ask_settle(ask, NGX_CHAT_VERDICT_MISS);
}


ngx_uint_t
ngx_chat_ask_full(ngx_chat_ask_t *ask)
{
    ngx_chat_hub_t  *hub;

    hub = ask->hub;

    if (!hub->full) {
        return 0;
    }

    if ((ngx_msec_int_t) (hub->full_until - ngx_current_msec) > 0) {
        return 1;
    }

    hub->full_until = ngx_current_msec + NGX_CHAT_ASK_FULL;
    ask->probe = 1;

    return 0;
}


void
ngx_chat_ask_unprobed(ngx_chat_ask_t *ask)
{
    if (ask->probe) {
        ask->probe = 0;
        ask->hub->full_until = ngx_current_msec;
    }
}


ngx_uint_t
ngx_chat_ask_limited(ngx_chat_ask_t *ask)
{
    ngx_msec_int_t       left;
    ngx_chat_limited_t  *limited;

    ask->verdict.wait = 0;

    if (ask->limit.interval == 0) {
        return 0;
    }

    limited = ngx_chat_ask_name(ask);
    left = (ngx_msec_int_t) (limited->until - ngx_current_msec);

    if (ngx_memcmp(limited->name, ask->limit.name, NGX_CHAT_HASH_LEN) != 0
        || ngx_current_msec - limited->told >= NGX_CHAT_ASK_LIMITED
        || left <= 0)
    {
        return 0;
    }

    ask->verdict.wait = (ngx_msec_t) left;

    return 1;
}


static void
ngx_chat_ask_over(ngx_chat_ask_t *ask, ngx_msec_t wait)
{
    ngx_chat_limited_t  *limited;

    limited = ngx_chat_ask_name(ask);

    ngx_memcpy(limited->name, ask->limit.name, NGX_CHAT_HASH_LEN);

    limited->told = ngx_current_msec;
    limited->until = ngx_current_msec + wait;

    ask->verdict.wait = wait;
}


/* the place of its name, which may be taken by another */

static ngx_chat_limited_t *
ngx_chat_ask_name(ngx_chat_ask_t *ask)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    /* a hash itself */

    for (i = 0; i < 8; i++) {
        n = ngx_hash(n, ask->limit.name[i]);
    }

    return &ask->hub->limited[n % NGX_CHAT_HUB_LIMITED];
}
