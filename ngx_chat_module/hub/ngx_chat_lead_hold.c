
#include "ngx_chat_lead_private.h"


/*
 * ms that a completed event waits for the answer to be in the cache, where
 * whoever has seen it looks next.  If many wait, or it took longer the last
 * time, as where Redis is far away, or this worker has lost its connection,
 * and the filler maybe as well, the end is not to be late for that; a long
 * text takes longer.  An error waits since the same question, asked again,
 * would join what has failed, and an answer that replaces a cached one since
 * that would be found.
 */
#define NGX_CHAT_LEAD_HOLD       100
#define NGX_CHAT_LEAD_HOLD_FEW   16
#define NGX_CHAT_LEAD_HOLD_LESS  25
#define NGX_CHAT_LEAD_HOLD_RATE  4096    /* bytes a ms */
#define NGX_CHAT_LEAD_HOLD_MAX   250
#define NGX_CHAT_LEAD_REPLACE    1000


static ngx_msec_t ngx_chat_lead_hold_time(ngx_chat_lead_t *lead);
static void ngx_chat_lead_abandoned_handler(void *data);
static void ngx_chat_lead_stop_handler(void *data);


/* of a channel whose end is not told yet */

static const ngx_chat_source_t  ngx_chat_lead_source = {
    ngx_chat_lead_abandoned_handler,
    ngx_chat_lead_stop_handler,
    NULL
};


ngx_uint_t
ngx_chat_lead_hold(ngx_chat_lead_t *lead)
{
    ngx_msec_t  ms;

    if (lead->channel->ended) {
        return 0;
    }

    ms = ngx_chat_lead_hold_time(lead);
    if (ms == 0) {
        return 0;
    }

    lead->channel->source = &ngx_chat_lead_source;
    lead->channel->feeder = lead;

    /* the next to ask may find it in the cache already */

    ngx_chat_channel_hide(lead->channel);

    lead->waits = 1;
    lead->leads->waiting++;

    ngx_add_timer(&lead->over, ms);

    return 1;
}


static ngx_msec_t
ngx_chat_lead_hold_time(ngx_chat_lead_t *lead)
{
    ngx_msec_t         ms;
    ngx_chat_store_t  *store;

    store = &lead->leads->hub->store;

    if (lead->replace) {
        return lead->error ? 0 : NGX_CHAT_LEAD_REPLACE;
    }

    if (lead->slot == NULL || ngx_chat_store_is_down(store)) {
        return 0;
    }

    if (lead->error) {
        return NGX_CHAT_LEAD_HOLD_MAX;
    }

    if (lead->task.ttl == 0) {
        return 0;
    }

    if (lead->leads->late
        || lead->leads->waiting >= NGX_CHAT_LEAD_HOLD_FEW
        || !ngx_chat_store_is_up(store))
    {
        ms = NGX_CHAT_LEAD_HOLD_LESS;

    } else {
        ms = NGX_CHAT_LEAD_HOLD;
    }

    ms += lead->channel->length / NGX_CHAT_LEAD_HOLD_RATE;

    return ngx_min(ms, NGX_CHAT_LEAD_HOLD_MAX);
}


void
ngx_chat_lead_hold_learn(ngx_chat_lead_t *lead)
{
    lead->leads->late = ngx_current_msec - lead->end > NGX_CHAT_LEAD_HOLD;
}


void
ngx_chat_lead_deliver(ngx_chat_lead_t *lead)
{
    ngx_chat_channel_t  *ch;

    if (!lead->held) {
        return;
    }

    ch = lead->channel;

    lead->held = 0;

    if (lead->waits) {
        lead->waits = 0;
        lead->leads->waiting--;
    }

    if (lead->over.timer_set) {
        ngx_del_timer(&lead->over);
    }

    if (lead->state != NGX_CHAT_LEAD_FORGOTTEN) {
        ngx_add_timer(&lead->over, NGX_CHAT_LEAD_PATIENCE);
    }

    (void) ngx_chat_channel_append(ch, &lead->completed);

    ngx_chat_channel_drop_feeder(ch);
}


/* subscribers that have left do not change what is written */

static void
ngx_chat_lead_abandoned_handler(void *data)
{
}


static void
ngx_chat_lead_stop_handler(void *data)
{
    ngx_chat_lead_deliver(data);
}
