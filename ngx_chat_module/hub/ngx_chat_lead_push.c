
#include "ngx_chat_lead_private.h"


/* ms without a filler, and no more than a part of the time in the queue */
#define NGX_CHAT_LEAD_LATE       5000
#define NGX_CHAT_LEAD_LATE_PART  4


static void ngx_chat_lead_push_late_handler(ngx_event_t *ev);
static void ngx_chat_lead_push_handler(void *data, ngx_int_t rc,
    ngx_msec_t wait);


void
ngx_chat_lead_push_init(ngx_chat_lead_t *lead)
{
    lead->late.handler = ngx_chat_lead_push_late_handler;
    lead->late.data = lead;
    lead->late.log = lead->channel->log;
}


void
ngx_chat_lead_push_wait(ngx_chat_lead_t *lead)
{
    ngx_msec_t  ms;

    if (lead->pushed || lead->push || lead->late.timer_set) {
        return;
    }

    ms = lead->leads->hub->conf->queue_timeout / NGX_CHAT_LEAD_LATE_PART;

    ngx_add_timer(&lead->late, ngx_min(ms, NGX_CHAT_LEAD_LATE));
}


ngx_uint_t
ngx_chat_lead_push_is_enough(ngx_chat_lead_t *lead)
{
    return ngx_exiting && lead->pushed && lead->ops == NULL
           && lead->state == NGX_CHAT_LEAD_NO_LANE;
}


void
ngx_chat_lead_push_stop(ngx_chat_lead_t *lead)
{
    if (lead->late.timer_set) {
        ngx_del_timer(&lead->late);
    }
}


static void
ngx_chat_lead_push_late_handler(ngx_event_t *ev)
{
    ngx_chat_lead_t  *lead;

    lead = ev->data;

    ngx_log_error(NGX_LOG_INFO, ev->log, 0,
                  "chat generation %*s is queued: no filler writes it",
                  (size_t) NGX_CHAT_ID_LEN, lead->task.gen.id);

    ngx_chat_lead_push(lead);
}


void
ngx_chat_lead_push(ngx_chat_lead_t *lead)
{
    ngx_chat_hub_t    *hub;
    ngx_chat_limit_t   limit;

    if (lead->pushed || lead->push) {
        return;
    }

    ngx_chat_lead_push_stop(lead);

    hub = lead->leads->hub;

    /* the generation was counted when it was opened */

    ngx_memzero(&limit, sizeof(ngx_chat_limit_t));

    lead->push = ngx_chat_store_push(&hub->store, &lead->task,
                                     hub->conf->queue_limit, &limit,
                                     ngx_chat_lead_push_handler, lead);
    if (lead->push == NULL) {
        ngx_chat_lead_push_wait(lead);
    }
}


static void
ngx_chat_lead_push_handler(void *data, ngx_int_t rc, ngx_msec_t wait)
{
    ngx_chat_lead_t *lead = data;

    lead->push = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, lead->late.log, 0,
                   "chat push of led %*s: %i",
                   (size_t) NGX_CHAT_ID_LEN, lead->task.gen.id, rc);

    if (rc == NGX_ERROR || rc == NGX_DECLINED) {

        if (lead->state != NGX_CHAT_LEAD_KEPT) {
            ngx_chat_lead_push_wait(lead);
        }

        return;
    }

    lead->pushed = 1;

    if (ngx_chat_lead_push_is_enough(lead)) {
        lead->leads->handlers->forget(lead);
    }
}
