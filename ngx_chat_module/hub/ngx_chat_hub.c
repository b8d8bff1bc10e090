
#include "ngx_chat_hub.h"
#include "ngx_chat_ask.h"
#include "ngx_chat_channel.h"
#include "ngx_chat_evict.h"
#include "ngx_chat_lead_private.h"
#include "ngx_chat_purge.h"
#include "ngx_chat_refill.h"
#include "ngx_chat_rollback.h"
#include "ngx_chat_stow_private.h"
#include "ngx_chat_update.h"
#include "../codec/ngx_chat_error.h"
#include "../codec/ngx_chat_key.h"


ngx_chat_hub_t *
ngx_chat_hub_create(ngx_chat_hub_conf_t *hcf, ngx_log_t *log)
{
    ngx_chat_hub_t  *hub;

    hub = ngx_calloc(sizeof(ngx_chat_hub_t), log);
    if (hub == NULL) {
        return NULL;
    }

    hub->conf = hcf;
    hub->log = log;

    ngx_rbtree_init(&hub->ids, &hub->ids_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&hub->keys, &hub->keys_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_rbtree_init(&hub->hits, &hub->hits_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&hub->tests, &hub->tests_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_rbtree_init(&hub->openings, &hub->openings_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_rbtree_init(&hub->updates, &hub->updates_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&hub->all);
    ngx_queue_init(&hub->asks);
    ngx_chat_wakes_init(&hub->refused);
    ngx_queue_init(&hub->rollbacks);
    ngx_queue_init(&hub->purges);
    ngx_queue_init(&hub->all_updates);
    ngx_queue_init(&hub->refills);

    ngx_chat_evict_init(hub);

    if (hcf->redis
        && ngx_chat_store_init(&hub->store, hcf->redis, hcf->broker, 1, log)
           != NGX_OK)
    {
        ngx_free(hub);
        return NULL;
    }

    if (hcf->fillers && ngx_chat_leads_create(hub, hcf->fillers,
                                               &ngx_chat_lead_handlers)
                         != NGX_OK)
    {

        if (hcf->redis) {
            ngx_chat_store_close(&hub->store);
        }

        ngx_free(hub);
        return NULL;
    }

    ngx_chat_stows_start(hub);

    return hub;
}


void
ngx_chat_hub_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t         *q;
    ngx_chat_channel_t  *ch;

    ngx_chat_hub_close_asks(hub);
    ngx_chat_update_close(hub);
    ngx_chat_rollback_close(hub);
    ngx_chat_hub_close_purges(hub);
    ngx_chat_stows_close(hub);
    ngx_chat_refills_close(hub);

    if (hub->leads) {
        ngx_chat_leads_close(hub);
    }

    /* requests may still be attached: what they hold outlives the hub */

    while (!ngx_queue_empty(&hub->all)) {
        q = ngx_queue_head(&hub->all);
        ch = ngx_queue_data(q, ngx_chat_channel_t, queue);

        ngx_chat_channel_hold(ch);

        if (ch->feeder) {
            ch->source->stop(ch->feeder);
        }

        ngx_chat_channel_close(ch);

        ngx_chat_channel_release(ch);
    }

    ngx_chat_evict_close(hub);

    if (hub->conf->redis) {
        ngx_chat_store_close(&hub->store);
    }

    ngx_free(hub);
}


void
ngx_chat_hub_get_state(ngx_chat_hub_t *hub, ngx_chat_hub_state_t *state)
{
    ngx_chat_store_t        *st;
    ngx_chat_store_state_t   found;

    st = &hub->store;

    ngx_memzero(state, sizeof(ngx_chat_hub_state_t));

    state->channels = hub->channels;
    state->updates = hub->nupdates;
    state->leads = hub->leads ? hub->leads->n : 0;

    if (hub->conf->redis == NULL) {
        state->off = 1;
        return;
    }

    ngx_chat_store_get_state(st, &found);

    state->redis = found.redis;
    state->broker = found.broker;
    state->pubsub = found.pubsub;
    state->partial = found.partial;
    state->policy = found.policy;
    state->redis_down = ngx_chat_store_is_down(st) ? 1 : 0;

    state->no_reads = ngx_chat_store_get_refusal(st, NGX_CHAT_SERVICE_READ);
    state->no_writes = ngx_chat_store_get_refusal(st, NGX_CHAT_SERVICE_WRITE);
    state->no_tasks = ngx_chat_store_get_refusal(st, NGX_CHAT_SERVICE_QUEUE);

    ngx_chat_store_probe(st);
}


ngx_chat_channel_t *
ngx_chat_hub_feed(ngx_chat_hub_t *hub, u_char *h, u_char *fp,
    ngx_uint_t joinable, const ngx_chat_source_t *source, void *data)
{
    ngx_chat_gen_t       gen;
    ngx_chat_channel_t  *ch;

    ngx_memcpy(gen.h, h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(gen.fp, fp, NGX_CHAT_FP_LEN);

    if (ngx_chat_key_generate(gen.id, NGX_CHAT_ID_LEN) != NGX_OK) {
        return NULL;
    }

    /* the creator's hold becomes that of the source */

    ch = ngx_chat_channel_create(hub, &gen, joinable);
    if (ch == NULL) {
        return NULL;
    }

    ngx_chat_channel_set_feeder(ch, NGX_CHAT_CHANNEL_DIRECT, source, data);

    return ch;
}


ngx_int_t
ngx_chat_hub_append(ngx_chat_channel_t *ch, ngx_chat_event_t *ev)
{
    return ngx_chat_channel_append(ch, ev);
}


void
ngx_chat_hub_set_origin(ngx_chat_channel_t *ch, ngx_chat_origin_t *origin)
{
    ngx_chat_channel_set_origin(ch, origin);
}


void
ngx_chat_hub_end(ngx_chat_channel_t *ch)
{
    ngx_chat_event_t  ev;

    if (!ch->ended) {
        ngx_chat_error_event(&ev, NGX_CHAT_E_INTERRUPTED);
        (void) ngx_chat_channel_append(ch, &ev);
    }

    ngx_chat_channel_drop_feeder(ch);
}


ngx_chat_channel_kind_e
ngx_chat_hub_get_kind(ngx_chat_channel_t *ch)
{
    return ch->kind;
}


ngx_uint_t
ngx_chat_hub_has_subscribers(ngx_chat_channel_t *ch)
{
    return ch->holds > ch->idle_holds;
}


ngx_chat_channel_t *
ngx_chat_hub_find(ngx_chat_hub_t *hub, u_char *h, u_char *fp)
{
    ngx_chat_channel_t  *ch;

    ch = ngx_chat_channel_find_by_key(hub, h, fp);

    return (ch && !ngx_chat_channel_is_lost(ch)) ? ch : NULL;
}


u_char *
ngx_chat_hub_get_id(ngx_chat_channel_t *ch)
{
    return ch->gen.id;
}


ngx_chat_origin_t *
ngx_chat_hub_get_origin(ngx_chat_channel_t *ch)
{
    return &ch->origin;
}


ngx_chat_usage_t *
ngx_chat_hub_get_usage(ngx_chat_channel_t *ch)
{
    return &ch->usage;
}
