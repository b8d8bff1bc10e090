
#include "ngx_chat_swaps.h"
#include "../shm/ngx_chat_tier.h"


#define NGX_CHAT_SWAPS_INTERVAL  5000    /* ms */


struct ngx_chat_swaps_s {
    ngx_chat_hub_t        *hub;
    ngx_chat_call_t       *call;
    void                  *unused;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t              ident;

    ngx_event_t            timer;
};


static void ngx_chat_swaps_timer_handler(ngx_event_t *ev);
static void ngx_chat_swaps_handler(void *data, ngx_int_t rc, ngx_uint_t n);


ngx_int_t
ngx_chat_swaps_create(ngx_chat_hub_t *hub)
{
    ngx_chat_swaps_t  *swaps;

    swaps = ngx_calloc(sizeof(ngx_chat_swaps_t), hub->log);
    if (swaps == NULL) {
        return NGX_ERROR;
    }

    swaps->hub = hub;
    swaps->ident = -1;

    swaps->timer.handler = ngx_chat_swaps_timer_handler;
    swaps->timer.data = swaps;
    swaps->timer.log = hub->log;
    swaps->timer.cancelable = 1;

    hub->swaps = swaps;

    return NGX_OK;
}


void
ngx_chat_swaps_close(ngx_chat_hub_t *hub)
{
    if (hub->swaps) {
        ngx_chat_swaps_stop(hub);
        ngx_free(hub->swaps);
        hub->swaps = NULL;
    }
}


void
ngx_chat_swaps_start(ngx_chat_hub_t *hub)
{
    if (hub->swaps) {
        ngx_chat_swaps_timer_handler(&hub->swaps->timer);
    }
}


void
ngx_chat_swaps_stop(ngx_chat_hub_t *hub)
{
    ngx_chat_swaps_t  *swaps;

    swaps = hub->swaps;

    if (swaps == NULL) {
        return;
    }

    if (swaps->timer.timer_set) {
        ngx_del_timer(&swaps->timer);
    }

    ngx_chat_call_cancel(swaps->call);
    swaps->call = NULL;
}


static void
ngx_chat_swaps_timer_handler(ngx_event_t *ev)
{
    ngx_chat_swaps_t  *swaps;

    swaps = ev->data;

    if (swaps->call == NULL) {
        swaps->call = ngx_chat_store_count_swaps(&swaps->hub->store,
                                                 ngx_chat_swaps_handler,
                                                 swaps);
    }

    ngx_add_timer(ev, NGX_CHAT_SWAPS_INTERVAL);
}


static void
ngx_chat_swaps_handler(void *data, ngx_int_t rc, ngx_uint_t n)
{
    ngx_chat_swaps_t *swaps = data;

    swaps->call = NULL;

    if (rc == NGX_OK) {
        ngx_chat_tier_swapped(swaps->hub->conf->zone, n);

    } else if (rc == NGX_DECLINED && swaps->timer.timer_set) {
        ngx_del_timer(&swaps->timer);
    }
}
