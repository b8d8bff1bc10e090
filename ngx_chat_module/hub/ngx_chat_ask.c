
#include "ngx_chat_ask_private.h"
#include "ngx_chat_follow.h"
#include "ngx_chat_hit.h"
#include "ngx_chat_rollback.h"
#include "../codec/ngx_chat_key.h"


/* connecting and all round trips together */
#define NGX_CHAT_ASK_TIMEOUT  NGX_CHAT_REDIS_TIMEOUT


static ngx_int_t ngx_chat_ask_begin(ngx_chat_ask_t *ask);
static u_char *ngx_chat_ask_copy(ngx_str_t *dst, ngx_str_t *src, u_char *p);
static ngx_uint_t ngx_chat_ask_here(ngx_chat_ask_t *ask);
static void ngx_chat_ask_found(void *data, ngx_int_t rc,
    ngx_chat_channel_t *ch, int64_t ttl);
static void ngx_chat_ask_open(ngx_chat_ask_t *ask);
static void ngx_chat_ask_open_handler(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a);
static ngx_int_t ngx_chat_ask_channel(ngx_chat_ask_t *ask,
    ngx_uint_t joinable);
static void ngx_chat_ask_join(ngx_chat_ask_t *ask, u_char *id);
static void ngx_chat_ask_hit(ngx_chat_ask_t *ask, ngx_chat_channel_t *ch,
    int64_t ttl);
static void ngx_chat_ask_undo(ngx_chat_ask_t *ask, ngx_chat_error_e e);
static void ngx_chat_ask_event_handler(ngx_event_t *ev);
static void ngx_chat_ask_timer_handler(ngx_event_t *ev);
static void ngx_chat_ask_tell(ngx_chat_ask_t *ask);
static void ngx_chat_ask_stop(ngx_chat_ask_t *ask);
static void ngx_chat_ask_free(ngx_chat_ask_t *ask);


ngx_chat_ask_t *
ngx_chat_hub_ask(ngx_chat_hub_t *hub, ngx_chat_question_t *question,
    ngx_chat_verdict_pt handler, void *data)
{
    u_char           *p;
    ngx_chat_ask_t   *ask;
    ngx_chat_task_t  *task;

    ask = ngx_alloc(sizeof(ngx_chat_ask_t) + question->providers.len
                    + question->messages.len + question->request_id.len,
                    hub->log);
    if (ask == NULL) {
        return NULL;
    }

    ngx_memzero(ask, sizeof(ngx_chat_ask_t));

    task = &ask->task;

    ask->hub = hub;
    ask->ident = -1;
    ask->handler = handler;
    ask->data = data;
    ask->mode = question->mode;

    ngx_memcpy(task->gen.h, question->h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(task->gen.fp, question->fp, NGX_CHAT_FP_LEN);

    p = (u_char *) ask + sizeof(ngx_chat_ask_t);
    p = ngx_chat_ask_copy(&task->providers, &question->providers, p);
    p = ngx_chat_ask_copy(&task->messages, &question->messages, p);
    (void) ngx_chat_ask_copy(&task->request_id, &question->request_id, p);

    task->ttl = (ask->mode == NGX_CHAT_ASK_PRIVATE) ? 0 : question->ttl;
    task->max_answer = question->max_answer;
    task->cancel = question->cancel;
    task->grace = question->grace;

    ask->limit = question->limit;

    ask->waiter.handler = ngx_chat_ask_found;
    ask->waiter.data = ask;

    ask->timer.handler = ngx_chat_ask_timer_handler;
    ask->timer.data = ask;
    ask->timer.log = hub->log;

    ask->event.handler = ngx_chat_ask_event_handler;
    ask->event.data = ask;
    ask->event.log = hub->log;

    if (ngx_chat_ask_begin(ask) != NGX_OK) {
        ngx_free(ask);
        return NULL;
    }

    return ask;
}


static ngx_int_t
ngx_chat_ask_begin(ngx_chat_ask_t *ask)
{
    ngx_chat_hub_t  *hub;

    hub = ask->hub;

    if (ngx_chat_key_generate(ask->task.gen.id, NGX_CHAT_ID_LEN) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&hub->asks, &ask->queue);
    ngx_add_timer(&ask->timer, NGX_CHAT_ASK_TIMEOUT);

    if (ask->mode != NGX_CHAT_ASK_CACHED) {
        ngx_chat_ask_open(ask);
        return NGX_OK;
    }

    if (ngx_chat_ask_here(ask)) {
        return NGX_OK;
    }

    if (ngx_chat_hit_test(hub, &ask->task.gen, &ask->waiter) != NGX_OK) {
        ngx_chat_ask_error(ask, NGX_CHAT_E_REDIS_DOWN);
    }

    return NGX_OK;
}


ngx_chat_ask_t *
ngx_chat_ask_keep(ngx_chat_hub_t *hub)
{
    ngx_chat_ask_t  *ask;

    ask = hub->telling;

    if (ask == NULL || ask->verdict.verdict != NGX_CHAT_VERDICT_JOIN) {
        return NULL;
    }

    ask->kept = 1;

    return ask;
}


ngx_int_t
ngx_chat_ask_again(ngx_chat_hub_t *hub, ngx_chat_ask_t *ask,
    ngx_chat_verdict_pt handler, void *data)
{
    ask->hub = hub;
    ask->handler = handler;
    ask->data = data;
    ask->kept = 0;

    ngx_memzero(&ask->verdict, sizeof(ngx_chat_verdict_t));

    if (ngx_chat_ask_begin(ask) != NGX_OK) {
        ask->hub = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static u_char *
ngx_chat_ask_copy(ngx_str_t *dst, ngx_str_t *src, u_char *p)
{
    dst->len = src->len;
    dst->data = p;

    return ngx_cpymem(p, src->data, src->len);
}


/* a generation that is followed here already costs Redis nothing */

static ngx_uint_t
ngx_chat_ask_here(ngx_chat_ask_t *ask)
{
    ngx_chat_channel_t  *ch;

    ch = ngx_chat_channel_by_key(ask->hub, ask->task.gen.h,
                                 ask->task.gen.fp);

    /* subscribers may wait for Redis; later askers are told at once */

    if (ch == NULL || ngx_chat_channel_lost(ch)) {
        return 0;
    }

    ngx_chat_channel_hold(ch);
    ask->channel = ch;

    ngx_chat_ask_settle(ask, NGX_CHAT_VERDICT_JOIN);

    return 1;
}


static void
ngx_chat_ask_found(void *data, ngx_int_t rc, ngx_chat_channel_t *ch,
    int64_t ttl)
{
    ngx_chat_ask_t *ask = data;

    switch (rc) {

    case NGX_OK:
        ngx_chat_channel_hold(ch);
        ngx_chat_ask_hit(ask, ch, ttl);
        return;

    case NGX_DECLINED:

        /* somebody else here may have opened one meanwhile */

        if (!ngx_chat_ask_here(ask)) {
            ngx_chat_ask_open(ask);
        }

        return;

    case NGX_ERROR:
        ngx_chat_ask_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    default:
        ngx_chat_ask_error(ask, NGX_CHAT_E_INTERNAL);
        return;
    }
}


static void
ngx_chat_ask_open(ngx_chat_ask_t *ask)
{
    ngx_chat_hub_t      *hub;
    ngx_chat_opening_t   opening;

    hub = ask->hub;

    opening.cache = (ask->mode == NGX_CHAT_ASK_CACHED);
    opening.full = ngx_chat_ask_limited(ask) || ngx_chat_ask_full(ask);
    opening.queue_timeout = hub->conf->queue_timeout;

    if (opening.full && !opening.cache) {
        ngx_chat_ask_refuse(ask);
        return;
    }

    ngx_chat_rollback_first(hub, &ask->task.gen);

    /* a generation once opened must get its task: others may have joined */

    ask->bound = opening.full ? 0 : 1;

    ask->call = ngx_chat_store_open(&hub->store, &ask->task.gen, &opening,
                                    ngx_chat_ask_open_handler, ask);
    if (ask->call == NULL) {
        ngx_chat_ask_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;
    }

    ask->opened = opening.full ? 0 : 1;
}


static void
ngx_chat_ask_open_handler(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a)
{
    ngx_chat_ask_t *ask = data;

    ngx_chat_channel_t  *ch;

    ask->call = NULL;

    switch (rc) {

    case NGX_OK:
        if (ngx_chat_ask_channel(ask, ask->mode == NGX_CHAT_ASK_CACHED)
            != NGX_OK)
        {
            ngx_chat_ask_error(ask, NGX_CHAT_E_INTERNAL);
            return;
        }

        ngx_chat_ask_push(ask);
        return;

    case NGX_BUSY:
        ask->opened = 0;
        ngx_chat_ask_join(ask, id);
        return;

    case NGX_DONE:
        ask->opened = 0;

        ch = ngx_chat_hit_channel(ask->hub, &ask->task.gen, a);

        if (ch == NULL) {
            ngx_chat_ask_error(ask, NGX_CHAT_E_INTERNAL);
            return;
        }

        ngx_chat_ask_hit(ask, ch, a->ttl);
        return;

    case NGX_DECLINED:
        ask->opened = 0;
        ngx_chat_ask_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    case NGX_CHAT_OPEN_FULL:
        ngx_chat_ask_refuse(ask);
        return;

    case NGX_ERROR:
        ngx_chat_ask_error(ask, NGX_CHAT_E_REDIS_DOWN);
        return;

    default:
        ngx_chat_ask_error(ask, NGX_CHAT_E_INTERNAL);
        return;
    }
}


static ngx_int_t
ngx_chat_ask_channel(ngx_chat_ask_t *ask, ngx_uint_t joinable)
{
    ask->channel = ngx_chat_channel_create(ask->hub, &ask->task.gen,
                                           joinable);

    return ask->channel ? NGX_OK : NGX_ERROR;
}


static void
ngx_chat_ask_join(ngx_chat_ask_t *ask, u_char *id)
{
    ngx_chat_channel_t  *ch;

    if (ask->handler == NULL) {
        ngx_chat_ask_free(ask);
        return;
    }

    ch = ngx_chat_channel_by_id(ask->hub, id);

    if (ch) {
        ngx_chat_channel_hold(ch);
        ask->channel = ch;

    } else {
        ngx_memcpy(ask->task.gen.id, id, NGX_CHAT_ID_LEN);

        if (ngx_chat_ask_channel(ask, 1) != NGX_OK
            || ngx_chat_follow_start(ask->channel) != NGX_OK)
        {
            ngx_chat_ask_error(ask, NGX_CHAT_E_INTERNAL);
            return;
        }
    }

    ngx_chat_ask_settle(ask, NGX_CHAT_VERDICT_JOIN);
}


/* the hold on the channel becomes that of the ask */

static void
ngx_chat_ask_hit(ngx_chat_ask_t *ask, ngx_chat_channel_t *ch, int64_t ttl)
{
    ask->channel = ch;
    ask->verdict.ttl = ttl;

    ngx_chat_ask_settle(ask, NGX_CHAT_VERDICT_HIT);
}


void
ngx_chat_ask_error(ngx_chat_ask_t *ask, ngx_chat_error_e e)
{
    ngx_chat_ask_undo(ask, e);

    ask->verdict.error = e;

    ngx_chat_ask_settle(ask, NGX_CHAT_VERDICT_ERROR);
}


static void
ngx_chat_ask_undo(ngx_chat_ask_t *ask, ngx_chat_error_e e)
{
    ngx_chat_event_t     ev;
    ngx_chat_channel_t  *ch;

    ch = ask->channel;

    if (ch && ch->holds == 1) {
        ngx_chat_channel_close(ch);

    } else if (ch) {
        ngx_chat_channel_hide(ch);

        /* joiners in this worker hear from Redis what became of it */

        if (ngx_chat_follow_start(ch) != NGX_OK) {
            ngx_chat_error_event(&ev, NGX_CHAT_E_INTERNAL);
            (void) ngx_chat_channel_append(ch, &ev);
        }
    }

    if (ask->opened) {
        ask->opened = 0;
        ngx_chat_rollback(ask->hub, &ask->task.gen, ngx_chat_ask_joined(e));
    }
}


/* the rest is done outside of what called us */

void
ngx_chat_ask_settle(ngx_chat_ask_t *ask, ngx_chat_verdict_e v)
{
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ask->hub->log, 0,
                   "chat verdict %i on %*s", (ngx_int_t) v,
                   (size_t) NGX_CHAT_HASH_LEN, ask->task.gen.h);

    ask->bound = 0;

    if (ask->handler == NULL) {
        ngx_chat_ask_free(ask);
        return;
    }

    ask->verdict.verdict = v;
    ask->verdict.channel = ask->channel;

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    ngx_post_event(&ask->event, &ngx_posted_events);
}


static void
ngx_chat_ask_event_handler(ngx_event_t *ev)
{
    ngx_chat_ask_t  *ask;

    ask = ev->data;

    ngx_chat_ask_tell(ask);

    if (ask->kept) {
        ngx_chat_ask_stop(ask);
        return;
    }

    ngx_chat_ask_free(ask);
}


static void
ngx_chat_ask_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t       level;
    ngx_chat_ask_t  *ask;
    ngx_chat_hub_t  *hub;

    ask = ev->data;
    hub = ask->hub;

    /* every question says so while it lasts: a line a second will do */

    level = (hub->late == ngx_time()) ? NGX_LOG_INFO : NGX_LOG_ERR;
    hub->late = ngx_time();

    ngx_log_error(level, hub->log, 0,
                  "chat question %*s: Redis did not say in time what to do",
                  (size_t) NGX_CHAT_HASH_LEN, ask->task.gen.h);

    ngx_chat_ask_undo(ask, NGX_CHAT_E_REDIS_DOWN);

    ask->verdict.verdict = NGX_CHAT_VERDICT_ERROR;
    ask->verdict.error = NGX_CHAT_E_REDIS_DOWN;

    ngx_chat_ask_tell(ask);
    ngx_chat_ask_free(ask);
}


static void
ngx_chat_ask_tell(ngx_chat_ask_t *ask)
{
    ngx_chat_verdict_pt  handler;

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    handler = ask->handler;
    ask->handler = NULL;

    if (handler) {
        ask->hub->telling = ask;
        handler(ask->data, &ask->verdict);
        ask->hub->telling = NULL;
    }
}


void
ngx_chat_hub_forget(ngx_chat_ask_t *ask)
{
    if (ask->hub == NULL) {
        ngx_free(ask);
        return;
    }

    if (ask->handler == NULL) {

        /* inside the handler */

        ask->kept = 0;
        return;
    }

    ask->handler = NULL;

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    if (!ask->bound) {
        ngx_chat_ask_free(ask);
    }
}


void
ngx_chat_hub_close_asks(ngx_chat_hub_t *hub)
{
    ngx_queue_t     *q;
    ngx_chat_ask_t  *ask;

    while (!ngx_queue_empty(&hub->asks)) {
        q = ngx_queue_head(&hub->asks);
        ask = ngx_queue_data(q, ngx_chat_ask_t, queue);

        ngx_chat_ask_stop(ask);

        /* an asker that is still there has the pointer, and will forget it */

        if (ask->handler == NULL) {
            ngx_free(ask);
        }
    }
}


static void
ngx_chat_ask_free(ngx_chat_ask_t *ask)
{
    ngx_chat_ask_stop(ask);
    ngx_free(ask);
}


static void
ngx_chat_ask_stop(ngx_chat_ask_t *ask)
{
    ngx_chat_ask_unprobed(ask);

    ngx_chat_call_cancel(ask->call);
    ask->call = NULL;

    ngx_chat_hit_test_leave(&ask->waiter);

    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }

    if (ask->event.posted) {
        ngx_delete_posted_event(&ask->event);
    }

    if (ask->channel) {
        ngx_chat_channel_release(ask->channel);
        ask->channel = NULL;
    }

    ngx_queue_remove(&ask->queue);
    ask->hub = NULL;
}
