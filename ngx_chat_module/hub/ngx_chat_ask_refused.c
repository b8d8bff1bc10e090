
#include "ngx_chat_ask_private.h"
#include "ngx_chat_limited.h"


/*
 * How long a full queue is remembered: who is refused meanwhile costs Redis
 * no generation, and room that comes free is not left empty for long.
 */
#define NGX_CHAT_ASK_FULL  200        /* ms */


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
    ask->result.wait = ngx_chat_limited_get(ask->hub, &ask->limit);

    return ask->result.wait != 0;
}


void
ngx_chat_ask_set_limited(ngx_chat_ask_t *ask, ngx_msec_t wait)
{
    ngx_chat_limited_set(ask->hub, &ask->limit, wait);

    ask->result.wait = wait;
}
