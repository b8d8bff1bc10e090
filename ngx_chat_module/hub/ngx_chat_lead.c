
#include "ngx_chat_lead_private.h"
#include "ngx_chat_contents.h"
#include "ngx_chat_follow.h"
#include "ngx_chat_rollback.h"
#include "ngx_chat_stow_private.h"



static void ngx_chat_lead_fill(ngx_chat_lead_t *lead);
static void ngx_chat_lead_lose_lane(ngx_chat_lead_t *lead);
static ngx_int_t ngx_chat_lead_answer(ngx_chat_lead_t *lead,
    ngx_chat_lane_type_e type, ngx_str_t *body);
static void ngx_chat_lead_stow(ngx_chat_lead_t *lead);
static void ngx_chat_lead_forget(ngx_chat_lead_t *lead);
static ngx_int_t ngx_chat_lead_copy(ngx_chat_lead_t *lead,
    ngx_chat_task_t *task);
static void ngx_chat_lead_set_label(ngx_chat_lead_t *lead);
static void ngx_chat_lead_appended_handler(void *data, ngx_chat_event_t *ev);
static void ngx_chat_lead_restart(ngx_chat_lead_t *lead);
static void ngx_chat_lead_drop_lane(ngx_chat_lead_t *lead);
static void ngx_chat_lead_end(ngx_chat_lead_t *lead);
static void ngx_chat_lead_listeners(ngx_chat_lead_t *lead, uint32_t n);
static void ngx_chat_lead_set_state(ngx_chat_lead_t *lead,
    ngx_chat_lead_state_e state);
static void ngx_chat_lead_gather_handler(ngx_event_t *ev);
static void ngx_chat_lead_over_handler(ngx_event_t *ev);
static void ngx_chat_lead_stop(ngx_chat_lead_t *lead);


const ngx_chat_lead_handlers_t  ngx_chat_lead_handlers = {
    ngx_chat_lead_send,
    ngx_chat_lead_fill,
    ngx_chat_lead_lose_lane,
    ngx_chat_lead_answer,
    ngx_chat_lead_forget
};


ngx_chat_lead_t *
ngx_chat_lead_create(ngx_chat_channel_t *ch, ngx_chat_task_t *task,
    ngx_uint_t replace)
{
    ngx_chat_lead_t  *lead;

    lead = ngx_calloc(sizeof(ngx_chat_lead_t), ch->log);
    if (lead == NULL) {
        return NULL;
    }

    lead->leads = ch->hub->leads;
    lead->channel = ch;
    lead->ident = -1;
    lead->replace = replace ? 1 : 0;

    if (ngx_chat_lead_copy(lead, task) != NGX_OK) {
        ngx_free(lead);
        return NULL;
    }

    ngx_chat_lead_set_label(lead);

    lead->gather.handler = ngx_chat_lead_gather_handler;
    lead->gather.data = lead;
    lead->gather.log = ch->log;

    ngx_chat_lead_push_init(lead);

    lead->over.handler = ngx_chat_lead_over_handler;
    lead->over.data = lead;
    lead->over.log = ch->log;

    ngx_chat_channel_set_lead(ch, ngx_chat_lead_appended_handler, lead);

    ngx_queue_insert_tail(&lead->leads->all, &lead->queue);
    ngx_chat_contents_count(lead->leads->hub, sizeof(ngx_chat_lead_t));
    lead->leads->n++;

    return lead;
}


static ngx_int_t
ngx_chat_lead_copy(ngx_chat_lead_t *lead, ngx_chat_task_t *task)
{
    ngx_uint_t   i;
    ngx_str_t   *strings[4];

    lead->task = *task;

    strings[0] = &lead->task.providers;
    strings[1] = &lead->task.messages;
    strings[2] = &lead->task.trace.request_id;
    strings[3] = &lead->task.trace.traceparent;

    for (i = 0; i < 4; i++) {
        if (ngx_chat_channel_copy(lead->channel, strings[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_chat_lead_discard(ngx_chat_lead_t *lead)
{
    ngx_chat_lead_forget(lead);
}


ngx_chat_channel_t *
ngx_chat_lead_feed(ngx_chat_lead_t *lead, const ngx_chat_source_t *source,
    const ngx_chat_lead_ops_t *ops, void *data)
{
    ngx_chat_channel_t  *ch;

    ch = lead->channel;

    lead->ops = ops;
    lead->data = data;

    ngx_chat_channel_hold(ch);
    ngx_chat_channel_set_feeder(ch, NGX_CHAT_CHANNEL_LED, source, data);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, lead->late.log, 0,
                   "chat generation %*s is led, leads:%ui",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id, lead->leads->n);

    ngx_chat_lead_push_wait(lead);

    ngx_chat_lead_fill(lead);

    return ch;
}


static void
ngx_chat_lead_set_label(ngx_chat_lead_t *lead)
{
    lead->label_len = ngx_chat_lead_label(lead->label, &lead->task.gen,
                                          ++lead->attempt)
                      - lead->label;
}


u_char *
ngx_chat_lead_label(u_char *p, ngx_chat_gen_t *gen, ngx_uint_t n)
{
    return ngx_sprintf(p, "%*s.%ui", (size_t) NGX_CHAT_ID_LEN, gen->id, n);
}


static void
ngx_chat_lead_fill(ngx_chat_lead_t *lead)
{
    if (ngx_chat_leads_take_lane(lead) != NGX_OK) {
        return;
    }

    lead->fill++;

    ngx_chat_lead_rewind(lead);
    ngx_chat_lead_set_state(lead, NGX_CHAT_LEAD_FILLED);

    ngx_chat_leads_post(lead);
}


static void
ngx_chat_lead_lose_lane(ngx_chat_lead_t *lead)
{
    ngx_chat_lead_drop_lane(lead);

    /* subscribers do not wait for another filler */

    if (!lead->replace) {
        ngx_chat_lead_deliver(lead);
    }

    ngx_chat_lead_fill(lead);
}


static void
ngx_chat_lead_drop_lane(ngx_chat_lead_t *lead)
{
    ngx_chat_leads_release_lane(lead);

    if (lead->state == NGX_CHAT_LEAD_KEPT) {
        ngx_chat_lead_push_wait(lead);
    }

    ngx_chat_lead_set_state(lead, NGX_CHAT_LEAD_NO_LANE);
}


static void
ngx_chat_lead_appended_handler(void *data, ngx_chat_event_t *ev)
{
    ngx_chat_lead_t *lead = data;

    /* events after a hand-over come from Redis */

    if (lead->state == NGX_CHAT_LEAD_FORGOTTEN || lead->handed_over) {
        return;
    }

    switch (ev->status) {

    case NGX_CHAT_PROCESSING:
        ngx_chat_lead_restart(lead);
        return;

    case NGX_CHAT_STREAMING:
        ngx_chat_lead_gather(lead, ev->text.len);
        return;

    default:
        return;
    }
}


/* the label of the attempt goes with FILL, or with RESTART behind it */

static void
ngx_chat_lead_restart(ngx_chat_lead_t *lead)
{
    ngx_chat_lead_set_label(lead);

    lead->chunks = 0;
    lead->bytes = 0;

    if (lead->slot == NULL) {
        return;
    }

    if (lead->sending && lead->record.taken) {

        /* half a record of the void attempt: the lane waits for the rest */

        ngx_chat_lead_drop_lane(lead);
        ngx_chat_lead_fill(lead);
        return;
    }

    lead->sending = 0;
    lead->begun = 0;
    lead->sent = lead->channel->base;
    lead->restart = lead->filled;

    ngx_chat_leads_post(lead);
}


void
ngx_chat_lead_complete(ngx_chat_lead_t *lead, ngx_chat_event_t *ev,
    ngx_str_t *usage)
{
    lead->completed = *ev;
    lead->usage = *usage;

    if (ngx_chat_channel_copy(lead->channel, &lead->completed.code) != NGX_OK
        || ngx_chat_channel_copy(lead->channel, &lead->usage) != NGX_OK)
    {
        ngx_chat_lead_fail(lead, NGX_CHAT_E_INTERNAL);
        return;
    }

    ngx_chat_lead_end(lead);
}


void
ngx_chat_lead_fail(ngx_chat_lead_t *lead, ngx_chat_error_e e)
{
    lead->error = e;

    ngx_chat_error_event(&lead->completed, e);

    ngx_chat_lead_end(lead);
}


/* the maker is through */

static void
ngx_chat_lead_end(ngx_chat_lead_t *lead)
{
    lead->ops = NULL;
    lead->ended = 1;
    lead->end = ngx_current_msec;
    lead->held = 1;

    if (lead->state == NGX_CHAT_LEAD_FORGOTTEN) {
        ngx_chat_lead_deliver(lead);
        ngx_free(lead);
        return;
    }

    if (ngx_chat_lead_push_is_enough(lead)) {
        ngx_chat_lead_forget(lead);
        return;
    }

    ngx_chat_leads_post(lead);

    if (ngx_chat_lead_hold(lead)) {
        return;
    }

    ngx_chat_lead_deliver(lead);

    /* a worker that is to exit need not wait for what others do now */

    if (ngx_exiting && lead->pushed && lead->state == NGX_CHAT_LEAD_NO_LANE) {
        ngx_chat_lead_forget(lead);
    }
}


ngx_int_t
ngx_chat_lead_hand_over(ngx_chat_lead_t *lead)
{
    ngx_chat_channel_t  *ch;

    ch = lead->channel;

    if (lead->state == NGX_CHAT_LEAD_FORGOTTEN || ch->hub == NULL
        || ch->first || lead->pushed)
    {
        return NGX_DECLINED;
    }

    if (ngx_chat_follow_start(ch) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_INFO, lead->late.log, 0,
                  "chat generation %*s is handed over to a filler",
                  (size_t) NGX_CHAT_ID_LEN, lead->task.gen.id);

    lead->ops = NULL;
    lead->ended = 1;
    lead->handed_over = 1;

    ngx_add_timer(&lead->over, NGX_CHAT_LEAD_PATIENCE);

    if (lead->slot) {
        ngx_chat_leads_post(lead);

    } else {
        ngx_chat_lead_push(lead);
    }

    ngx_chat_channel_release_former(ch);

    return NGX_OK;
}


ngx_int_t
ngx_chat_lead_idle(ngx_chat_lead_t *lead)
{
    if (lead->state == NGX_CHAT_LEAD_FORGOTTEN) {
        return NGX_DECLINED;
    }

    /* a question that comes meanwhile finds it by its id */

    ngx_chat_channel_hide(lead->channel);

    /*
     * a filler that has died had claimed it: only the next one can end it in
     * Redis, where it stays joinable until that lease is over
     */

    if (lead->state != NGX_CHAT_LEAD_NO_LANE || lead->claimed) {
        lead->idle = 1;
        ngx_chat_leads_post(lead);

        return NGX_OK;
    }

    ngx_chat_rollback_start(lead->leads->hub, &lead->task.gen,
                            NGX_CHAT_E_CANCELLED);

    ngx_chat_lead_forget(lead);

    return NGX_DECLINED;
}


ngx_uint_t
ngx_chat_lead_is_forgotten(ngx_chat_lead_t *lead)
{
    return lead->state == NGX_CHAT_LEAD_FORGOTTEN;
}


static ngx_int_t
ngx_chat_lead_answer(ngx_chat_lead_t *lead, ngx_chat_lane_type_e type,
    ngx_str_t *body)
{
    uint32_t                    n;
    const ngx_chat_lead_ops_t  *ops;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, lead->late.log, 0,
                   "chat generation %*s: record of type %ui from the filler",
                   (size_t) NGX_CHAT_ID_LEN, lead->task.gen.id,
                   (ngx_uint_t) type);

    switch (type) {

    case NGX_CHAT_LANE_KEPT:
        lead->claimed = 1;

        ngx_chat_lead_push_stop(lead);
        ngx_chat_lead_set_state(lead, NGX_CHAT_LEAD_KEPT);

        if (lead->idle) {
            ngx_chat_leads_post(lead);
        }

        return NGX_OK;

    case NGX_CHAT_LANE_NOT_KEPT:

        if (!lead->handed_over) {
            ngx_log_error(NGX_LOG_INFO, lead->late.log, 0,
                          "chat generation %*s is not cached: \"%V\"",
                          (size_t) NGX_CHAT_ID_LEN, lead->task.gen.id, body);
        }

        ngx_chat_lead_forget(lead);
        return NGX_OK;

    case NGX_CHAT_LANE_DONE:

        if (!lead->handed_over) {
            ngx_chat_lead_hold_learn(lead);
            ngx_chat_lead_stow(lead);
        }

        ngx_chat_lead_forget(lead);
        return NGX_OK;

    case NGX_CHAT_LANE_STOP:

        if (lead->ops) {
            lead->ops->stopped(lead->data);
        }

        return NGX_OK;

    case NGX_CHAT_LANE_LISTENERS:

        if (ngx_chat_lane_number_read(body, &n) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_chat_lead_listeners(lead, n);
        return NGX_OK;

    case NGX_CHAT_LANE_HEARD:
        lead->idle = 0;
        lead->idle_sent = 0;
        return NGX_OK;

    case NGX_CHAT_LANE_CANCELLED:
        ops = lead->ops;

        ngx_chat_lead_forget(lead);

        if (ops) {
            ops->cancelled(lead->data);
        }

        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


/* the older answer goes from the zone before anybody is told of the newer */

static void
ngx_chat_lead_stow(ngx_chat_lead_t *lead)
{
    ngx_str_t  label;

    if (lead->error || lead->task.ttl == 0) {
        return;
    }

    label.len = lead->label_len;
    label.data = lead->label;

    ngx_chat_stow_written(lead->channel, &label, lead->task.stale,
                          &lead->usage);
}


static void
ngx_chat_lead_listeners(ngx_chat_lead_t *lead, uint32_t n)
{
    lead->listeners = n ? 1 : 0;

    if (n && lead->chunks) {
        ngx_chat_leads_post(lead);
    }
}


/* as long as the maker is not through the object stays, for its end */

static void
ngx_chat_lead_forget(ngx_chat_lead_t *lead)
{
    ngx_chat_channel_t  *ch;

    if (lead->state == NGX_CHAT_LEAD_FORGOTTEN) {
        return;
    }

    ch = lead->channel;

    ngx_chat_lead_stop(lead);
    ngx_chat_lead_set_state(lead, NGX_CHAT_LEAD_FORGOTTEN);

    ngx_chat_lead_deliver(lead);

    if (lead->ops == NULL) {
        ngx_free(lead);
    }

    ngx_chat_channel_drop_lead(ch);
}


static void
ngx_chat_lead_stop(ngx_chat_lead_t *lead)
{
    ngx_chat_leads_release_lane(lead);

    ngx_chat_lead_push_stop(lead);

    ngx_chat_call_cancel(lead->push);
    lead->push = NULL;

    if (lead->gather.timer_set) {
        ngx_del_timer(&lead->gather);
    }

    if (lead->over.timer_set) {
        ngx_del_timer(&lead->over);
    }

    ngx_queue_remove(&lead->queue);

    ngx_chat_lead_free_fields(lead);

    ngx_chat_contents_count(lead->leads->hub,
                            - (ngx_int_t) sizeof(ngx_chat_lead_t));
    lead->leads->n--;
}


static void
ngx_chat_lead_set_state(ngx_chat_lead_t *lead, ngx_chat_lead_state_e state)
{
    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, lead->late.log, 0,
                   "chat generation %*s: lead state:%ui, was %ui",
                   (size_t) NGX_CHAT_ID_LEN, lead->task.gen.id,
                   (ngx_uint_t) state, (ngx_uint_t) lead->state);

    lead->state = state;
}


static void
ngx_chat_lead_gather_handler(ngx_event_t *ev)
{
    ngx_chat_leads_post(ev->data);
}


static void
ngx_chat_lead_over_handler(ngx_event_t *ev)
{
    ngx_chat_lead_t  *lead;

    lead = ev->data;

    if (lead->held) {
        ngx_chat_lead_deliver(lead);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                  "chat generation %*s is not cached: no filler has written "
                  "it in time",
                  (size_t) NGX_CHAT_ID_LEN, lead->task.gen.id);

    ngx_chat_lead_forget(lead);
}
