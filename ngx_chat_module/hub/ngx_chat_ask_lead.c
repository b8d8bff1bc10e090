
#include "ngx_chat_ask_private.h"
#include "ngx_chat_lead_private.h"


static void ngx_chat_ask_lead(ngx_chat_ask_t *ask);
static void ngx_chat_ask_count_handler(void *data, ngx_int_t rc,
    ngx_msec_t wait);


void
ngx_chat_ask_prepare(ngx_chat_ask_t *ask)
{
    if (ask->makers && ask->asker && ngx_chat_leads_may(ask->hub)) {
        ask->maker = ask->makers->prepare(ask->asker);
    }
}


void
ngx_chat_ask_make(ngx_chat_ask_t *ask)
{
    if (ask->maker == NULL) {
        ngx_chat_ask_push(ask);
        return;
    }

    if (ask->limit.interval == 0) {
        ngx_chat_ask_lead(ask);
        return;
    }

    ask->call = ngx_chat_store_count(&ask->hub->store, ask->task.gen.id,
                                     &ask->limit, ngx_chat_ask_count_handler,
                                     ask);
    if (ask->call == NULL) {
        ngx_chat_ask_drop(ask, NGX_CHAT_E_REDIS_DOWN);
    }
}


static void
ngx_chat_ask_count_handler(void *data, ngx_int_t rc, ngx_msec_t wait)
{
    ngx_chat_ask_t *ask = data;

    ask->call = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ask->hub->log, 0,
                   "chat count of %*s: %i",
                   (size_t) NGX_CHAT_ID_LEN, ask->task.gen.id, rc);

    switch (rc) {

    case NGX_OK:
        /* counted: with a limit its push were one that is sent again */
        ask->limit.interval = 0;

        ngx_chat_ask_lead(ask);
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


static void
ngx_chat_ask_lead(ngx_chat_ask_t *ask)
{
    ngx_chat_lead_t  *lead;

    lead = ngx_chat_lead_create(ask->channel, &ask->task,
                                ask->mode == NGX_CHAT_ASK_REFRESH);

    if (lead && ask->makers->start(ask->maker, lead) == NGX_OK) {
        ask->maker = NULL;
        ask->opened = 0;

        ngx_chat_ask_report(ask, NGX_CHAT_RESULT_MISS);
        return;
    }

    if (lead) {
        ngx_chat_lead_discard(lead);
    }

    ngx_chat_ask_push(ask);
}
