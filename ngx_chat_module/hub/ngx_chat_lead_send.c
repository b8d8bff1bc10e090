
#include "ngx_chat_lead_private.h"
#include "ngx_chat_contents.h"
#include "../shm/ngx_chat_metrics.h"


/* at most so long, and so much, is gathered where nobody listens elsewhere */
#define NGX_CHAT_LEAD_GATHER  400     /* ms */


static ngx_int_t ngx_chat_lead_send_next(ngx_chat_lead_t *lead);
static ngx_int_t ngx_chat_lead_send_fill(ngx_chat_lead_t *lead);
static void ngx_chat_lead_send_chunk(ngx_chat_lead_t *lead,
    ngx_chat_entry_t *e);
static void ngx_chat_lead_send_restart(ngx_chat_lead_t *lead);
static ngx_int_t ngx_chat_lead_send_end(ngx_chat_lead_t *lead);
static void ngx_chat_lead_send_taken(ngx_chat_lead_t *lead);


void
ngx_chat_lead_send(ngx_chat_lead_t *lead)
{
    ngx_int_t  rc;

    if (lead->gather.timer_set) {
        ngx_del_timer(&lead->gather);
    }

    while (lead->slot) {

        if (!lead->sending) {
            ngx_memzero(&lead->record, sizeof(ngx_chat_lane_record_t));
            lead->record.stream = (uint32_t) lead->node.key;

            rc = ngx_chat_lead_send_next(lead);

            if (rc == NGX_DONE) {
                lead->chunks = 0;
                lead->bytes = 0;
                return;
            }

            /* no memory: once more, later */

            if (rc != NGX_OK) {
                ngx_add_timer(&lead->gather, NGX_CHAT_LEAD_GATHER);
                return;
            }

            lead->sending = 1;
        }

        rc = ngx_chat_lane_slot_send(lead->slot, &lead->record);

        if (rc != NGX_OK) {

            /* NGX_AGAIN: room() follows; NGX_ERROR: the end of the lane does */

            return;
        }

        lead->sending = 0;

        ngx_chat_lead_send_taken(lead);
    }
}


/* NGX_OK: record is set; NGX_DONE: nothing is left; NGX_ERROR: no memory */

static ngx_int_t
ngx_chat_lead_send_next(ngx_chat_lead_t *lead)
{
    ngx_chat_entry_t    *e;
    ngx_chat_channel_t  *ch;

    ch = lead->channel;

    if (!lead->filled) {
        return ngx_chat_lead_send_fill(lead);
    }

    if (lead->restart) {
        ngx_chat_lead_send_restart(lead);
        return NGX_OK;
    }

    e = lead->sent ? lead->sent->next : ch->first;

    if (e && e->event.status == NGX_CHAT_STREAMING && !lead->handed_over) {
        ngx_chat_lead_send_chunk(lead, e);
        return NGX_OK;
    }

    if (lead->ended && !lead->end_sent) {
        return ngx_chat_lead_send_end(lead);
    }

    /* somebody has come by the id meanwhile, whom Redis does not know of */

    if (ch->holds > ch->idle_holds) {
        lead->idle = 0;
    }

    if (lead->idle && !lead->idle_sent && lead->state == NGX_CHAT_LEAD_KEPT) {
        lead->record.type = NGX_CHAT_LANE_IDLE;
        return NGX_OK;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_chat_lead_send_fill(ngx_chat_lead_t *lead)
{
    u_char                *p;
    ngx_chat_task_t       *task;
    ngx_chat_lane_fill_t   fill;

    task = &lead->task;

    ngx_memcpy(fill.h, task->gen.h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(fill.id, task->gen.id, NGX_CHAT_ID_LEN);
    ngx_memcpy(fill.fp, task->gen.fp, NGX_CHAT_FP_LEN);

    fill.label.data = lead->label;
    fill.label.len = lead->label_len;
    fill.fill = lead->fill;
    fill.providers = task->providers;
    fill.messages = task->messages;
    fill.trace = task->trace;
    fill.ttl = task->ttl;
    fill.stale = task->stale;
    fill.max_answer = task->max_answer;
    fill.cancel = task->cancel;
    fill.grace = task->grace;

    ngx_chat_lead_free_fields(lead);

    p = ngx_alloc(ngx_chat_lane_fill_len(&fill), lead->late.log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    lead->fields = p;

    lead->record.type = NGX_CHAT_LANE_FILL;
    lead->record.head.data = p;
    lead->record.head.len = ngx_chat_lane_fill_write(p, &fill) - p;
    lead->record.text = task->messages;

    return NGX_OK;
}


static void
ngx_chat_lead_send_chunk(ngx_chat_lead_t *lead, ngx_chat_entry_t *e)
{
    u_char  *last;

    last = ngx_chat_lane_number_write(lead->number, NGX_CHAT_LANE_ANSWER);

    lead->record.type = NGX_CHAT_LANE_CHUNK;
    lead->record.head.data = lead->number;
    lead->record.head.len = last - lead->number;
    lead->record.text = e->event.text;
}


static void
ngx_chat_lead_send_restart(ngx_chat_lead_t *lead)
{
    lead->record.type = NGX_CHAT_LANE_RESTART;
    lead->record.text.data = lead->label;
    lead->record.text.len = lead->label_len;
}


static ngx_int_t
ngx_chat_lead_send_end(ngx_chat_lead_t *lead)
{
    u_char                    *p;
    ngx_chat_lane_complete_t   complete;

    if (lead->handed_over) {
        lead->record.type = NGX_CHAT_LANE_HAND_OVER;
        return NGX_OK;
    }

    if (lead->error != NGX_CHAT_E_NONE) {
        p = ngx_chat_lane_number_write(lead->number, (uint32_t) lead->error);

        lead->record.type = NGX_CHAT_LANE_FAIL;
        lead->record.head.data = lead->number;
        lead->record.head.len = p - lead->number;

        return NGX_OK;
    }

    complete.finish = lead->completed.code;
    complete.provider = lead->channel->origin.provider;
    complete.model = lead->channel->origin.model;
    complete.usage = lead->usage;

    p = ngx_chat_channel_palloc(lead->channel,
                                ngx_chat_lane_complete_len(&complete));
    if (p == NULL) {
        return NGX_ERROR;
    }

    lead->record.type = NGX_CHAT_LANE_END;
    lead->record.head.data = p;
    lead->record.head.len = ngx_chat_lane_complete_write(p, &complete) - p;

    return NGX_OK;
}


static void
ngx_chat_lead_send_taken(ngx_chat_lead_t *lead)
{
    ngx_chat_metrics_count(NGX_CHAT_COUNT_LANE_RECORDS);

    switch (lead->record.type) {

    case NGX_CHAT_LANE_FILL:
        ngx_chat_metrics_count(NGX_CHAT_COUNT_FILLS);
        ngx_chat_lead_free_fields(lead);
        lead->filled = 1;
        break;

    case NGX_CHAT_LANE_RESTART:
        lead->restart = 0;
        break;

    case NGX_CHAT_LANE_CHUNK:
        lead->sent = lead->sent ? lead->sent->next : lead->channel->first;
        lead->begun = 1;
        break;

    case NGX_CHAT_LANE_IDLE:
        lead->idle_sent = 1;
        break;

    default:
        lead->end_sent = 1;
    }
}


void
ngx_chat_lead_free_fields(ngx_chat_lead_t *lead)
{
    if (lead->fields) {
        ngx_free(lead->fields);
        lead->fields = NULL;
    }
}


void
ngx_chat_lead_gather(ngx_chat_lead_t *lead, size_t len)
{
    lead->chunks++;
    lead->bytes += len;

    if (!lead->begun || lead->listeners
        || lead->chunks >= NGX_CHAT_APPEND_CHUNKS
        || lead->bytes >= NGX_CHAT_APPEND_BYTES)
    {
        ngx_chat_leads_post(lead);
        return;
    }

    if (!lead->gather.timer_set) {
        ngx_add_timer(&lead->gather, NGX_CHAT_LEAD_GATHER);
    }
}


void
ngx_chat_lead_rewind(ngx_chat_lead_t *lead)
{
    lead->sent = lead->channel->base;
    lead->sending = 0;
    lead->filled = 0;
    lead->restart = 0;
    lead->begun = 0;
    lead->end_sent = 0;
    lead->idle_sent = 0;
    lead->listeners = 0;
}
