
#include "ngx_chat_lead_private.h"


/* s between messages of one kind */
#define NGX_CHAT_LEADS_LOG  60


static ngx_chat_lead_t *ngx_chat_leads_find(ngx_chat_leads_t *leads,
    uint32_t stream);
static void ngx_chat_leads_send_handler(ngx_event_t *ev);
static ngx_int_t ngx_chat_leads_record_handler(void *data,
    ngx_chat_lane_slot_t *slot, ngx_chat_lane_type_e type, uint32_t stream,
    ngx_str_t *body);
static void ngx_chat_leads_up_handler(void *data, ngx_chat_lane_slot_t *slot);
static void ngx_chat_leads_room_handler(void *data,
    ngx_chat_lane_slot_t *slot);
static void ngx_chat_leads_ended_handler(void *data,
    ngx_chat_lane_slot_t *slot);


static const ngx_chat_lane_set_ops_t  ngx_chat_leads_ops = {
    ngx_chat_leads_record_handler,
    ngx_chat_leads_up_handler,
    ngx_chat_leads_room_handler,
    ngx_chat_leads_ended_handler
};


ngx_int_t
ngx_chat_leads_create(ngx_chat_hub_t *hub, ngx_uint_t fillers,
    const ngx_chat_lead_handlers_t *handlers)
{
    ngx_chat_leads_t  *leads;

    leads = ngx_calloc(sizeof(ngx_chat_leads_t), hub->log);
    if (leads == NULL) {
        return NGX_ERROR;
    }

    leads->hub = hub;
    leads->handlers = handlers;

    ngx_queue_init(&leads->all);
    ngx_queue_init(&leads->ready);

    ngx_rbtree_init(&leads->streams, &leads->streams_sentinel,
                    ngx_rbtree_insert_value);

    leads->send.handler = ngx_chat_leads_send_handler;
    leads->send.data = leads;
    leads->send.log = hub->log;

    leads->lanes = ngx_chat_lane_set_create(fillers, &ngx_chat_leads_ops,
                                            leads, hub->log);
    if (leads->lanes == NULL) {
        ngx_free(leads);
        return NGX_ERROR;
    }

    hub->leads = leads;

    return NGX_OK;
}


void
ngx_chat_leads_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t       *q;
    ngx_chat_leads_t  *leads;

    leads = hub->leads;

    ngx_chat_lane_set_close(leads->lanes);

    while (!ngx_queue_empty(&leads->all)) {
        q = ngx_queue_head(&leads->all);

        leads->handlers->forget(ngx_queue_data(q, ngx_chat_lead_t, queue));
    }

    if (leads->send.posted) {
        ngx_delete_posted_event(&leads->send);
    }

    ngx_free(leads);
    hub->leads = NULL;
}


ngx_uint_t
ngx_chat_leads_may(ngx_chat_hub_t *hub)
{
    ngx_chat_leads_t  *leads;

    leads = hub->leads;

    if (leads == NULL || !ngx_chat_lane_set_is_up(leads->lanes)) {
        return 0;
    }

    if (hub->memory < hub->conf->memory) {
        return 1;
    }

    if (ngx_time() - hub->full_logged >= NGX_CHAT_LEADS_LOG) {
        hub->full_logged = ngx_time();

        ngx_log_error(NGX_LOG_WARN, hub->log, 0,
                      "chat answers in memory have reached "
                      "\"chat_hub_memory\", with %uz bytes: "
                      "questions go through the queue", hub->memory);
    }

    return 0;
}


ngx_int_t
ngx_chat_leads_take_lane(ngx_chat_lead_t *lead)
{
    uint32_t           stream;
    ngx_chat_leads_t  *leads;

    leads = lead->leads;

    lead->slot = ngx_chat_lane_set_take(leads->lanes, &stream);
    if (lead->slot == NULL) {
        return NGX_DECLINED;
    }

    lead->node.key = stream;
    ngx_rbtree_insert(&leads->streams, &lead->node);

    return NGX_OK;
}


void
ngx_chat_leads_release_lane(ngx_chat_lead_t *lead)
{
    ngx_chat_lane_slot_t  *slot;

    slot = lead->slot;

    if (lead->is_ready) {
        ngx_queue_remove(&lead->ready);
        lead->is_ready = 0;
    }

    if (slot == NULL) {
        return;
    }

    ngx_rbtree_delete(&lead->leads->streams, &lead->node);
    lead->slot = NULL;

    ngx_chat_lane_slot_release(slot, (uint32_t) lead->node.key);
}


static ngx_chat_lead_t *
ngx_chat_leads_find(ngx_chat_leads_t *leads, uint32_t stream)
{
    ngx_rbtree_node_t  *node, *sentinel;

    node = leads->streams.root;
    sentinel = leads->streams.sentinel;

    while (node != sentinel) {

        if (node->key == stream) {
            return ngx_rbtree_data(node, ngx_chat_lead_t, node);
        }

        node = (stream < node->key) ? node->left : node->right;
    }

    return NULL;
}


void
ngx_chat_leads_post(ngx_chat_lead_t *lead)
{
    if (lead->is_ready || lead->slot == NULL) {
        return;
    }

    ngx_queue_insert_tail(&lead->leads->ready, &lead->ready);
    lead->is_ready = 1;

    ngx_post_event(&lead->leads->send, &ngx_posted_events);
}


/* all that came in this turn goes out in as few messages as it needs */

static void
ngx_chat_leads_send_handler(ngx_event_t *ev)
{
    ngx_queue_t           *q;
    ngx_chat_lead_t       *lead;
    ngx_chat_leads_t      *leads;
    ngx_chat_lane_slot_t  *slot, *last;

    leads = ev->data;
    last = NULL;

    while (!ngx_queue_empty(&leads->ready)) {
        q = ngx_queue_head(&leads->ready);
        lead = ngx_queue_data(q, ngx_chat_lead_t, ready);

        ngx_queue_remove(q);
        lead->is_ready = 0;

        slot = lead->slot;

        if (last && last != slot) {
            ngx_chat_lane_slot_flush(last);
        }

        last = slot;

        leads->handlers->send(lead);
    }

    if (last) {
        ngx_chat_lane_slot_flush(last);
    }
}


static ngx_int_t
ngx_chat_leads_record_handler(void *data, ngx_chat_lane_slot_t *slot,
    ngx_chat_lane_type_e type, uint32_t stream, ngx_str_t *body)
{
    ngx_chat_leads_t *leads = data;

    ngx_chat_lead_t  *lead;

    lead = ngx_chat_leads_find(leads, stream);

    /* about one that was given up here */

    if (lead == NULL || lead->slot != slot) {
        return NGX_OK;
    }

    return leads->handlers->answer(lead, type, body);
}


static void
ngx_chat_leads_up_handler(void *data, ngx_chat_lane_slot_t *slot)
{
    ngx_chat_leads_t *leads = data;

    ngx_queue_t      *q;
    ngx_chat_lead_t  *lead;

    for (q = ngx_queue_head(&leads->all);
         q != ngx_queue_sentinel(&leads->all);
         q = ngx_queue_next(q))
    {
        lead = ngx_queue_data(q, ngx_chat_lead_t, queue);

        if (lead->state == NGX_CHAT_LEAD_NO_LANE) {
            leads->handlers->fill(lead);
        }
    }
}


static void
ngx_chat_leads_room_handler(void *data, ngx_chat_lane_slot_t *slot)
{
    ngx_chat_leads_t *leads = data;

    ngx_queue_t      *q;
    ngx_chat_lead_t  *lead;

    /* the lane takes the rest of a record in part before anything else */

    for (q = ngx_queue_head(&leads->all);
         q != ngx_queue_sentinel(&leads->all);
         q = ngx_queue_next(q))
    {
        lead = ngx_queue_data(q, ngx_chat_lead_t, queue);

        if (lead->slot != slot || !lead->sending) {
            continue;
        }

        ngx_chat_leads_post(lead);

        if (lead->record.taken) {
            ngx_queue_remove(&lead->ready);
            ngx_queue_insert_head(&leads->ready, &lead->ready);
        }
    }
}


static void
ngx_chat_leads_ended_handler(void *data, ngx_chat_lane_slot_t *slot)
{
    ngx_chat_leads_t *leads = data;

    ngx_queue_t      *q;
    ngx_uint_t        over;
    ngx_chat_lead_t  *lead;

    /* a worker whose time is over leaves its generations to the filler */

    over = ngx_chat_lane_is_over();

    q = ngx_queue_head(&leads->all);

    while (q != ngx_queue_sentinel(&leads->all)) {
        lead = ngx_queue_data(q, ngx_chat_lead_t, queue);
        q = ngx_queue_next(q);

        if (!over && lead->slot != slot) {
            continue;
        }

        if (over) {
            leads->handlers->forget(lead);

        } else {
            leads->handlers->lose_lane(lead);
        }
    }
}
