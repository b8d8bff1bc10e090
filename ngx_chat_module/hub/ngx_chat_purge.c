
#include "ngx_chat_purge.h"
#include "ngx_chat_hub_private.h"
#include "../shm/ngx_chat_tier.h"


struct ngx_chat_purge_s {
    ngx_chat_hub_t        *hub;
    u_char                 h[NGX_CHAT_HASH_LEN];
    ngx_queue_t            queue;      /* in hub->purges */
    ngx_chat_call_t       *call;       /* NULL: the hub was closed */
    ngx_chat_purged_pt     handler;
    void                  *data;
};


static void ngx_chat_hub_purge_handler(void *data, ngx_int_t rc);


ngx_uint_t
ngx_chat_hub_may_purge(ngx_chat_hub_t *hub)
{
    return hub->conf->redis != NULL;
}


ngx_int_t
ngx_chat_hub_purge_zone(ngx_chat_hub_t *hub, u_char *h)
{
    return hub->conf->zone ? ngx_chat_tier_purge(hub->conf->zone, h)
                           : NGX_DECLINED;
}


ngx_chat_purge_t *
ngx_chat_hub_purge(ngx_chat_hub_t *hub, u_char *h, ngx_chat_purged_pt handler,
    void *data)
{
    ngx_chat_purge_t  *purge;

    if (ngx_chat_store_is_down(&hub->store)) {
        return NULL;
    }

    purge = ngx_alloc(sizeof(ngx_chat_purge_t), hub->log);
    if (purge == NULL) {
        return NULL;
    }

    purge->hub = hub;
    ngx_memcpy(purge->h, h, NGX_CHAT_HASH_LEN);

    purge->handler = handler;
    purge->data = data;

    purge->call = ngx_chat_store_purge(&hub->store, h,
                                       ngx_chat_hub_purge_handler, purge);
    if (purge->call == NULL) {
        ngx_free(purge);
        return NULL;
    }

    ngx_queue_insert_tail(&hub->purges, &purge->queue);

    return purge;
}


static void
ngx_chat_hub_purge_handler(void *data, ngx_int_t rc)
{
    ngx_chat_purge_t *purge = data;

    void                *asker;
    ngx_chat_purged_pt   handler;

    handler = purge->handler;
    asker = purge->data;

    /* Redis tells of it too, a moment later than the asker is told */

    if (purge->hub->conf->zone) {
        ngx_chat_tier_change(purge->hub->conf->zone, purge->h);
    }

    ngx_queue_remove(&purge->queue);
    ngx_free(purge);

    handler(asker, rc);
}


void
ngx_chat_hub_forget_purge(ngx_chat_purge_t *purge)
{
    if (purge->call) {
        ngx_queue_remove(&purge->queue);
        ngx_chat_call_cancel(purge->call);
    }

    ngx_free(purge);
}


void
ngx_chat_hub_close_purges(ngx_chat_hub_t *hub)
{
    ngx_queue_t       *q;
    ngx_chat_purge_t  *purge;

    while (!ngx_queue_empty(&hub->purges)) {
        q = ngx_queue_head(&hub->purges);
        purge = ngx_queue_data(q, ngx_chat_purge_t, queue);

        ngx_queue_remove(q);
        ngx_chat_call_cancel(purge->call);

        purge->call = NULL;
    }
}
