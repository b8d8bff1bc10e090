
#include "ngx_chat_ask_private.h"


/*
 * How long a full queue is remembered: who is refused meanwhile costs Redis
 * no generation, and room that comes free is not left empty for long.
 */
#define NGX_CHAT_ASK_FULL     200     /* ms */

/* the same of a name over its limit; Redis may have lost what has counted */
#define NGX_CHAT_ASK_LIMITED  1000    /* ms */


static ngx_chat_limited_t *ngx_chat_ask_limited_slot(ngx_chat_ask_t *ask);


ngx_uint_t
ngx_chat_ask_queue_is_full(ngx_chat_ask_t *ask)
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
ngx_chat_ask_set_queue_full(ngx_chat_ask_t *ask, ngx_uint_t full)
{
    ngx_chat_hub_t  *hub;

    hub = ask->hub;

    hub->full = full;
    ask->probe = 0;

    if (full) {
        hub->full_until = ngx_current_msec + NGX_CHAT_ASK_FULL;
    }
}


void
ngx_chat_ask_end_probe(ngx_chat_ask_t *ask)
{
    if (ask->probe) {
        ask->probe = 0;
        ask->hub->full_until = ngx_current_msec;
    }
}


ngx_uint_t
ngx_chat_ask_is_limited(ngx_chat_ask_t *ask)
{
    ngx_msec_int_t       left;
    ngx_chat_limited_t  *limited;

    ask->result.wait = 0;

    if (ask->limit.interval == 0) {
        return 0;
    }

    limited = ngx_chat_ask_limited_slot(ask);
    left = (ngx_msec_int_t) (limited->until - ngx_current_msec);

    if (ngx_memcmp(limited->name, ask->limit.name, NGX_CHAT_HASH_LEN) != 0
        || ngx_current_msec - limited->told >= NGX_CHAT_ASK_LIMITED
        || left <= 0)
    {
        return 0;
    }

    ask->result.wait = (ngx_msec_t) left;

    return 1;
}


void
ngx_chat_ask_set_limited(ngx_chat_ask_t *ask, ngx_msec_t wait)
{
    ngx_chat_limited_t  *limited;

    limited = ngx_chat_ask_limited_slot(ask);

    ngx_memcpy(limited->name, ask->limit.name, NGX_CHAT_HASH_LEN);

    limited->told = ngx_current_msec;
    limited->until = ngx_current_msec + wait;

    ask->result.wait = wait;
}


/* the place of its name, which may be taken by another */

static ngx_chat_limited_t *
ngx_chat_ask_limited_slot(ngx_chat_ask_t *ask)
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
