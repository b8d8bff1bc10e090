
#include "ngx_chat_ask_private.h"
#include "ngx_chat_follow.h"
#include "ngx_chat_hit.h"
#include "ngx_chat_lead_private.h"
#include "ngx_chat_rollback.h"
#include "ngx_chat_update.h"
#include "../codec/ngx_chat_key.h"


/* connecting and all round trips together */
#define NGX_CHAT_ASK_TIMEOUT  NGX_CHAT_REDIS_TIMEOUT


static void ngx_chat_ask_take(ngx_chat_ask_t *ask,
    ngx_chat_question_t *question);
static void ngx_chat_ask_start(ngx_chat_ask_t *ask);
static ngx_uint_t ngx_chat_ask_join_local(ngx_chat_ask_t *ask,
    ngx_uint_t tested);
static void ngx_chat_ask_hit_test_handler(void *data, ngx_int_t rc,
    ngx_chat_channel_t *ch, int64_t ttl);
static void ngx_chat_ask_look(ngx_chat_ask_t *ask);
static void ngx_chat_ask_other_handler(void *data, ngx_chat_opened_t *opened);
static void ngx_chat_ask_open(ngx_chat_ask_t *ask);
static void ngx_chat_ask_update(ngx_chat_ask_t *ask);
static ngx_int_t ngx_chat_ask_complete(ngx_chat_ask_t *ask);
static u_char *ngx_chat_ask_copy(ngx_str_t *s, u_char *p);
static void ngx_chat_ask_open_handler(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a);
static void ngx_chat_ask_fail_open(ngx_chat_ask_t *ask, ngx_chat_error_e e);
static ngx_int_t ngx_chat_ask_create_channel(ngx_chat_ask_t *ask,
    ngx_uint_t joinable);
static void ngx_chat_ask_join(ngx_chat_ask_t *ask, u_char *id);
static void ngx_chat_ask_report_hit(ngx_chat_ask_t *ask, ngx_chat_channel_t *ch,
    int64_t ttl);


ngx_chat_ask_t *
ngx_chat_hub_ask(ngx_chat_hub_t *hub, ngx_chat_question_t *question,
    ngx_chat_result_pt handler, void *data)
{
    ngx_chat_ask_t   *ask;
    ngx_chat_task_t  *task;

    ask = ngx_calloc(sizeof(ngx_chat_ask_t), hub->log);
    if (ask == NULL) {
        return NULL;
    }

    task = &ask->task;

    ask->hub = hub;
    ask->ident = -1;
    ask->handler = handler;
    ask->data = data;
    ask->question = question;
    ask->mode = question->mode;

    ngx_memcpy(task->gen.h, question->h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(task->gen.fp, question->fp, NGX_CHAT_FP_LEN);

    task->providers = question->providers;
    task->ttl = (ask->mode == NGX_CHAT_ASK_PRIVATE) ? 0 : question->ttl;
    task->stale = question->stale;
    task->max_answer = question->max_answer;
    task->cancel = question->cancel;
    task->grace = question->grace;

    ngx_chat_ask_take(ask, question);

    ask->waiter.handler = ngx_chat_ask_hit_test_handler;
    ask->waiter.data = ask;

    ask->other.handler = ngx_chat_ask_other_handler;
    ask->other.data = ask;

    ask->complete = question->complete;
    ask->makers = question->maker;
    ask->asker = question->data;

    ngx_chat_ask_init_events(ask);
    ngx_chat_ask_start(ask);

    return ask;
}


static void
ngx_chat_ask_take(ngx_chat_ask_t *ask, ngx_chat_question_t *question)
{
    ask->task.messages = question->messages;
    ask->task.trace = question->trace;
    ask->limit = question->limit;
}


static void
ngx_chat_ask_start(ngx_chat_ask_t *ask)
{
    ngx_chat_hub_t  *hub;

    hub = ask->hub;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, hub->log, 0,
                   "chat ask on %*s, mode %ui",
                   (size_t) NGX_CHAT_HASH_LEN, ask->task.gen.h,
                   (ngx_uint_t) ask->mode);

    ngx_queue_insert_tail(&hub->asks, &ask->queue);
    ngx_add_timer(&ask->timer, NGX_CHAT_ASK_TIMEOUT);

    if (ask->mode != NGX_CHAT_ASK_CACHED) {
        ngx_chat_ask_open(ask);
        return;
    }

    if (ngx_chat_ask_join_local(ask, 0)) {
        return;
    }

    if (ngx_chat_hit_test_start(hub, &ask->task.gen, &ask->waiter) != NGX_OK) {
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_REDIS_DOWN);
    }
}


ngx_chat_question_t *
ngx_chat_ask_joined(ngx_chat_hub_t *hub)
{
    ngx_chat_ask_t  *ask;

    ask = hub->reporting;

    if (ask == NULL || ask->result.kind != NGX_CHAT_RESULT_JOIN) {
        return NULL;
    }

    return ask->question;
}


/* a generation that is followed here already costs Redis nothing */

static ngx_uint_t
ngx_chat_ask_join_local(ngx_chat_ask_t *ask, ngx_uint_t tested)
{
    ngx_chat_channel_t  *ch;

    ch = ngx_chat_channel_find_by_key(ask->hub, ask->task.gen.h,
                                      ask->task.gen.fp);

    /* subscribers may wait for Redis; later askers are told at once */

    if (ch == NULL || ngx_chat_channel_is_lost(ch)) {
        return 0;
    }

    /* a stale answer that is too old for some is not for all */

    if (ch->outdates && ask->task.stale && !tested) {
        return 0;
    }

    ngx_chat_channel_hold(ch);
    ask->channel = ch;

    ngx_chat_ask_report(ask, NGX_CHAT_RESULT_JOIN);

    return 1;
}


static void
ngx_chat_ask_hit_test_handler(void *data, ngx_int_t rc, ngx_chat_channel_t *ch,
    int64_t ttl)
{
    ngx_chat_ask_t *ask = data;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ask->hub->log, 0,
                   "chat hit test on %*s: %i",
                   (size_t) NGX_CHAT_HASH_LEN, ask->task.gen.h, rc);

    switch (rc) {

    case NGX_OK:

        if (ttl < 0 && (uint64_t) -ttl > ask->task.stale) {
            ask->outdates = 1;
            ngx_chat_ask_look(ask);
            return;
        }

        if (ttl < 0) {
            ngx_chat_ask_update(ask);
        }

        ask->result.ticket = ask->waiter.ticket;

        ngx_chat_channel_hold(ch);
        ngx_chat_ask_report_hit(ask, ch, ttl);
        return;

    case NGX_DECLINED:

        ngx_chat_ask_look(ask);
        return;

    case NGX_ERROR:
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    default:
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_INTERNAL);
        return;
    }
}


/* another ask of this worker may have opened one meanwhile, or be about to */

static void
ngx_chat_ask_look(ngx_chat_ask_t *ask)
{
    if (ngx_chat_ask_join_local(ask, 1)
        || ngx_chat_opening_wait(ask->hub, &ask->task.gen, &ask->other)
           == NGX_OK)
    {
        return;
    }

    ngx_chat_ask_open(ask);
}


static void
ngx_chat_ask_other_handler(void *data, ngx_chat_opened_t *opened)
{
    ngx_chat_ask_t *ask = data;

    if (opened->channel) {
        ngx_chat_channel_hold(opened->channel);

        if (opened->cached) {
            ngx_chat_ask_report_hit(ask, opened->channel, opened->ttl);
            return;
        }

        ask->channel = opened->channel;
        ngx_chat_ask_report(ask, NGX_CHAT_RESULT_JOIN);
        return;
    }

    if (opened->error != NGX_CHAT_E_NONE) {
        ngx_chat_ask_report_error(ask, opened->error);
        return;
    }

    ngx_chat_ask_look(ask);
}


static void
ngx_chat_ask_open(ngx_chat_ask_t *ask)
{
    u_char               label[NGX_CHAT_LEAD_LABEL];
    ngx_chat_hub_t      *hub;
    ngx_chat_opening_t   opening;

    hub = ask->hub;

    if (ngx_chat_ask_complete(ask) != NGX_OK) {
        ngx_chat_ask_fail_open(ask, NGX_CHAT_E_INTERNAL);
        return;
    }

    opening.cache = (ask->mode == NGX_CHAT_ASK_CACHED);
    opening.refresh = (ask->mode == NGX_CHAT_ASK_REFRESH);
    opening.full = ngx_chat_ask_is_limited(ask);
    opening.queue_timeout = hub->conf->queue_timeout;
    ngx_str_null(&opening.label);

    if (!opening.full) {
        ngx_chat_ask_prepare(ask);
        opening.full = ask->maker == NULL && ngx_chat_ask_queue_is_full(ask);
    }

    if (opening.full && !opening.cache) {
        ngx_chat_ask_refuse(ask);
        return;
    }

    if (ask->maker) {
        opening.label.data = label;
        opening.label.len = ngx_chat_lead_label(label, &ask->task.gen, 1)
                            - label;
    }

    ngx_chat_rollback_resume(hub, &ask->task.gen);

    /* a generation once opened must get its task: others may have joined */

    ask->committed = opening.full ? 0 : 1;

    ask->call = ngx_chat_store_open(&hub->store, &ask->task.gen, &opening,
                                    ngx_chat_ask_open_handler, ask);
    if (ask->call == NULL) {
        ngx_chat_ask_report_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;
    }

    ask->opened = opening.full ? 0 : 1;

    if (opening.cache && !opening.full) {
        ask->opening = ngx_chat_opening_start(hub, &ask->task.gen);
    }
}


/* a stale hit: a filler is to ask what would else be asked here */

static void
ngx_chat_ask_update(ngx_chat_ask_t *ask)
{
    if (ngx_chat_update_is_begun(ask->hub, &ask->task.gen)
        || ngx_chat_ask_complete(ask) != NGX_OK
        || ngx_chat_ask_is_limited(ask))
    {
        return;
    }

    ngx_chat_update_start(ask->hub, &ask->task, ask->strings, &ask->limit);
    ask->strings = NULL;
}


/* only a generation needs an id, and a task, which outlives the asker */

static ngx_int_t
ngx_chat_ask_complete(ngx_chat_ask_t *ask)
{
    u_char               *p;
    ngx_chat_task_t      *task;
    ngx_chat_question_t  *question;

    task = &ask->task;

    if (ngx_chat_key_generate(task->gen.id, NGX_CHAT_ID_LEN) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ask->strings) {
        return NGX_OK;
    }

    if (ask->complete) {
        question = ask->complete(ask->asker);

        if (question == NULL) {
            return NGX_ERROR;
        }

        ngx_chat_ask_take(ask, question);
    }

    p = ngx_alloc(task->providers.len + task->messages.len
                  + task->trace.request_id.len + task->trace.traceparent.len
                  + 1,
                  ask->hub->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ask->strings = p;

    p = ngx_chat_ask_copy(&task->providers, p);
    p = ngx_chat_ask_copy(&task->messages, p);
    p = ngx_chat_ask_copy(&task->trace.request_id, p);
    (void) ngx_chat_ask_copy(&task->trace.traceparent, p);

    return NGX_OK;
}


static u_char *
ngx_chat_ask_copy(ngx_str_t *s, u_char *p)
{
    u_char  *end;

    end = ngx_cpymem(p, s->data, s->len);
    s->data = p;

    return end;
}


static void
ngx_chat_ask_open_handler(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a)
{
    ngx_chat_ask_t *ask = data;

    ngx_chat_opened_t    opened;
    ngx_chat_channel_t  *ch;

    ask->call = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ask->hub->log, 0,
                   "chat open on %*s: %i",
                   (size_t) NGX_CHAT_HASH_LEN, ask->task.gen.h, rc);

    switch (rc) {

    case NGX_OK:
        if (ngx_chat_ask_create_channel(ask, ask->mode == NGX_CHAT_ASK_CACHED)
            != NGX_OK)
        {
            ngx_chat_ask_fail_open(ask, NGX_CHAT_E_INTERNAL);
            return;
        }

        /* from here on they listen to it, whatever becomes of its task */

        ngx_memzero(&opened, sizeof(ngx_chat_opened_t));

        opened.channel = ask->channel;
        ngx_chat_opening_end(&ask->opening, &opened);

        ngx_chat_ask_make(ask);
        return;

    case NGX_BUSY:
        ask->opened = 0;
        ngx_chat_ask_join(ask, id);
        return;

    case NGX_DONE:
        ask->opened = 0;

        ch = ngx_chat_hit_get_channel(ask->hub, &ask->task.gen, a);

        if (ch == NULL) {
            ngx_chat_ask_fail_open(ask, NGX_CHAT_E_INTERNAL);
            return;
        }

        opened.channel = ch;
        opened.cached = 1;
        opened.ttl = a->ttl;
        opened.error = NGX_CHAT_E_NONE;
        ngx_chat_opening_end(&ask->opening, &opened);

        ngx_chat_ask_report_hit(ask, ch, opened.ttl);
        return;

    case NGX_DECLINED:
        ask->opened = 0;
        ngx_chat_ask_fail_open(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    case NGX_CHAT_OPEN_FULL:
        ngx_chat_ask_refuse(ask);
        return;

    case NGX_ERROR:
        ngx_chat_ask_fail_open(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    default:
        ngx_chat_ask_fail_open(ask, NGX_CHAT_E_INTERNAL);
        return;
    }
}


/* the error of all who wait for what could not be opened */

static void
ngx_chat_ask_fail_open(ngx_chat_ask_t *ask, ngx_chat_error_e e)
{
    ngx_chat_opened_t  opened;

    ngx_memzero(&opened, sizeof(ngx_chat_opened_t));

    opened.error = e;

    ngx_chat_opening_end(&ask->opening, &opened);

    ngx_chat_ask_report_error(ask, e);
}


static ngx_int_t
ngx_chat_ask_create_channel(ngx_chat_ask_t *ask, ngx_uint_t joinable)
{
    ask->channel = ngx_chat_channel_create(ask->hub, &ask->task.gen,
                                           joinable);
    if (ask->channel == NULL) {
        return NGX_ERROR;
    }

    ask->channel->outdates = ask->outdates;

    return NGX_OK;
}


static void
ngx_chat_ask_join(ngx_chat_ask_t *ask, u_char *id)
{
    ngx_chat_channel_t  *ch;

    if (ask->handler == NULL) {
        ngx_chat_ask_free(ask);
        return;
    }

    ch = ngx_chat_channel_find_by_id(ask->hub, id);

    if (ch) {
        ngx_chat_channel_hold(ch);
        ask->channel = ch;

    } else {
        ngx_memcpy(ask->task.gen.id, id, NGX_CHAT_ID_LEN);

        if (ngx_chat_ask_create_channel(ask, 1) != NGX_OK
            || ngx_chat_follow_start(ask->channel) != NGX_OK)
        {
            ngx_chat_ask_report_error(ask, NGX_CHAT_E_INTERNAL);
            return;
        }
    }

    ngx_chat_ask_report(ask, NGX_CHAT_RESULT_JOIN);
}


/* the hold on the channel becomes that of the ask */

static void
ngx_chat_ask_report_hit(ngx_chat_ask_t *ask, ngx_chat_channel_t *ch,
    int64_t ttl)
{
    ask->channel = ch;
    ask->result.ttl = ttl;

    ngx_chat_ask_report(ask, NGX_CHAT_RESULT_HIT);
}
