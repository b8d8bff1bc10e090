
#include "ngx_chat_follow.h"
#include "../codec/ngx_chat_message.h"
#include "../shm/ngx_chat_tier.h"


#define NGX_CHAT_FOLLOW_PAGE  128
#define NGX_CHAT_FOLLOW_ALL   ((uint64_t) -1)
#define NGX_CHAT_FOLLOW_LATE  20      /* ms, for the clock of Redis */
#define NGX_CHAT_FOLLOW_LOOK  1000    /* ms: is Redis still there? */


/*
 * While it follows, either a call is under way or the timer is set.  Nothing
 * behind a call of read, lookup, check, down, take or error may look at f:
 * each of them may have ended it.
 */

typedef struct {
    ngx_chat_channel_t     *channel;
    ngx_chat_pubsub_sub_t  *sub;
    ngx_chat_call_t        *call;      /* read, check or lookup */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t               ident;

    ngx_event_t             timer;

    uint64_t                ms;        /* of the event taken last */
    uint64_t                n;
    uint64_t                tries;     /* 0: not known yet */
    uint64_t                read_until;  /* read up to here, when possible */
    uint64_t                checked;   /* n when the check went out */
    ngx_msec_t              alive;     /* when it was last seen to live */
    ngx_msec_t              queue_deadline;  /* out of the queue by then */
    ngx_msec_t              check_at;  /* when to check */

    unsigned                reading:1;
    unsigned                ended:1;   /* nothing more will be written */
} ngx_chat_follow_t;


static void ngx_chat_follow_stop_handler(void *data);
static ngx_uint_t ngx_chat_follow_is_lost(void *data);
static void ngx_chat_follow_subscribe_handler(void *data);
static void ngx_chat_follow_message_handler(void *data, ngx_str_t *message);
static void ngx_chat_follow_append_message(ngx_chat_follow_t *f,
    ngx_chat_message_t *m);
static ngx_int_t ngx_chat_follow_append(ngx_chat_follow_t *f,
    ngx_chat_event_t *ev);
static void ngx_chat_follow_read(ngx_chat_follow_t *f);
static void ngx_chat_follow_read_handler(void *data, ngx_int_t rc,
    ngx_chat_page_t *page);
static void ngx_chat_follow_timer_handler(ngx_event_t *ev);
static void ngx_chat_follow_check_handler(void *data, ngx_int_t rc,
    uint64_t n);
static void ngx_chat_follow_lookup(ngx_chat_follow_t *f);
static void ngx_chat_follow_lookup_handler(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a);
static void ngx_chat_follow_wait(ngx_chat_follow_t *f);
static void ngx_chat_follow_set_timer(ngx_chat_follow_t *f);
static void ngx_chat_follow_redis_down(ngx_chat_follow_t *f);
static void ngx_chat_follow_fail(ngx_chat_follow_t *f, ngx_chat_error_e e);


static const ngx_chat_source_t  ngx_chat_follow_source = {
    ngx_chat_follow_stop_handler,
    ngx_chat_follow_stop_handler,
    ngx_chat_follow_is_lost
};

static const ngx_chat_pubsub_ops_t  ngx_chat_follow_ops = {
    ngx_chat_follow_subscribe_handler,
    ngx_chat_follow_message_handler
};


ngx_int_t
ngx_chat_follow_start(ngx_chat_channel_t *ch)
{
    ngx_chat_follow_t  *f;

    f = ngx_calloc(sizeof(ngx_chat_follow_t), ch->log);
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->channel = ch;
    f->ident = -1;
    f->alive = ngx_current_msec;
    f->queue_deadline = ngx_current_msec + ch->hub->conf->queue_timeout
              + NGX_CHAT_FOLLOW_LATE;

    /* the first event is "processing" at 0-1, which everybody has had */

    f->n = 1;

    f->timer.handler = ngx_chat_follow_timer_handler;
    f->timer.data = f;
    f->timer.log = ch->log;

    f->sub = ngx_chat_store_subscribe(&ch->hub->store, &ch->gen,
                                      &ngx_chat_follow_ops, f);
    if (f->sub == NULL) {
        ngx_free(f);
        return NGX_ERROR;
    }

    ngx_chat_channel_hold(ch);
    ngx_chat_channel_set_feeder(ch, NGX_CHAT_CHANNEL_QUEUED,
                                &ngx_chat_follow_source, f);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, f->timer.log, 0,
                   "chat generation %*s is followed, channels:%ui",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id, ch->hub->channels);

    /* the first read is made when the subscription is confirmed */

    ngx_chat_follow_wait(f);

    return NGX_OK;
}


/* the generation goes on without */

static void
ngx_chat_follow_stop_handler(void *data)
{
    ngx_chat_follow_t *f = data;

    ngx_chat_channel_t  *ch;

    ch = f->channel;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, f->timer.log, 0,
                   "chat generation %*s is followed no more, channels:%ui",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id,
                   ch->hub->channels - 1);

    /* subscribers, who are told later, do not find an older answer then */

    if (ch->ended && ch->hub->conf->zone) {
        ngx_chat_tier_change(ch->hub->conf->zone, ch->gen.h);
    }

    ngx_chat_store_unsubscribe(f->sub);
    ngx_chat_call_cancel(f->call);

    if (f->timer.timer_set) {
        ngx_del_timer(&f->timer);
    }

    ngx_free(f);

    ngx_chat_channel_drop_feeder(ch);
}


static ngx_uint_t
ngx_chat_follow_is_lost(void *data)
{
    ngx_chat_follow_t *f = data;

    return ngx_chat_store_is_down(&f->channel->hub->store);
}


/* events published before are in the stream, also after a reconnect */

static void
ngx_chat_follow_subscribe_handler(void *data)
{
    ngx_chat_follow_t *f = data;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, f->timer.log, 0,
                   "chat generation %*s is subscribed, read after event %uL",
                   (size_t) NGX_CHAT_ID_LEN, f->channel->gen.id, f->n);

    f->alive = ngx_current_msec;
    f->read_until = NGX_CHAT_FOLLOW_ALL;

    ngx_chat_follow_read(f);
}


static void
ngx_chat_follow_message_handler(void *data, ngx_str_t *message)
{
    ngx_chat_follow_t *f = data;

    uint64_t            end;
    ngx_uint_t          renewed;
    ngx_chat_message_t  m;

    f->alive = ngx_current_msec;

    if (ngx_chat_message_parse(&m, message) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, f->timer.log, 0,
                      "chat generation %*s: a published message of %uz bytes "
                      "cannot be read",
                      (size_t) NGX_CHAT_ID_LEN, f->channel->gen.id,
                      message->len);

        f->read_until = NGX_CHAT_FOLLOW_ALL;
        ngx_chat_follow_read(f);
        return;
    }

    renewed = (f->tries && m.tries != f->tries);
    f->tries = m.tries;

    end = m.n0 + m.count;

    ngx_log_debug5(NGX_LOG_DEBUG_HTTP, f->timer.log, 0,
                   "chat generation %*s: message with events %uL to %uL, "
                   "here %uL",
                   (size_t) NGX_CHAT_ID_LEN, f->channel->gen.id,
                   m.n0, end - 1, f->n);

    if (end <= f->n + 1) {
        return;
    }

    if (f->reading || renewed || m.n0 > f->n + 1 || m.ms < f->ms) {
        f->read_until = ngx_max(f->read_until, end - 1);
        ngx_chat_follow_read(f);
        return;
    }

    ngx_chat_follow_append_message(f, &m);
}


static void
ngx_chat_follow_append_message(ngx_chat_follow_t *f, ngx_chat_message_t *m)
{
    uint64_t          n;
    ngx_int_t         rc;
    ngx_chat_event_t  ev;

    for (n = m->n0; /* void */ ; n++) {

        rc = ngx_chat_message_next(m, &ev);

        if (rc != NGX_OK) {
            break;
        }

        if (n <= f->n) {
            continue;
        }

        f->n = n;
        f->ms = m->ms;

        if (ev.status == NGX_CHAT_COMPLETED) {
            ngx_chat_channel_set_origin(f->channel, &m->origin);
        }

        if (ngx_chat_follow_append(f, &ev) != NGX_OK) {
            return;
        }
    }

    if (rc == NGX_ERROR) {
        f->read_until = NGX_CHAT_FOLLOW_ALL;
        ngx_chat_follow_read(f);
        return;
    }

    if (f->call == NULL) {
        ngx_chat_follow_wait(f);
    }
}


/* NGX_OK; NGX_DONE: it was the last one, and f is gone */

static ngx_int_t
ngx_chat_follow_append(ngx_chat_follow_t *f, ngx_chat_event_t *ev)
{
    if (ngx_chat_channel_append(f->channel, ev) == NGX_OK
        && !f->channel->ended)
    {
        return NGX_OK;
    }

    ngx_chat_follow_stop_handler(f);

    return NGX_DONE;
}


static void
ngx_chat_follow_read(ngx_chat_follow_t *f)
{
    ngx_chat_channel_t  *ch;

    if (f->call) {

        /* the handler of the call sees f->read_until */

        return;
    }

    ch = f->channel;

    if (f->timer.timer_set) {
        ngx_del_timer(&f->timer);
    }

    f->read_until = 0;
    f->reading = 1;

    f->call = ngx_chat_store_read(&ch->hub->store, &ch->gen, f->ms, f->n,
                                  NGX_CHAT_FOLLOW_PAGE,
                                  ngx_chat_follow_read_handler, f);
    if (f->call == NULL) {
        ngx_chat_follow_redis_down(f);
    }
}


static void
ngx_chat_follow_read_handler(void *data, ngx_int_t rc, ngx_chat_page_t *page)
{
    ngx_chat_follow_t *f = data;

    ngx_uint_t        count;
    ngx_chat_event_t  ev;

    f->call = NULL;
    f->reading = 0;

    switch (rc) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        ngx_chat_follow_lookup(f);
        return;

    case NGX_ERROR:
        ngx_chat_follow_redis_down(f);
        return;

    default:
        ngx_chat_follow_fail(f, NGX_CHAT_E_INTERNAL);
        return;
    }

    for (count = 0; /* void */ ; count++) {

        rc = ngx_chat_store_take_event(page, &ev);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {

            /* somebody else has written there: none of it can be trusted */

            ngx_chat_follow_lookup(f);
            return;
        }

        f->n = page->n;
        f->ms = page->ms;

        if (ev.status == NGX_CHAT_COMPLETED) {
            ngx_chat_channel_set_origin(f->channel, &page->origin);
        }

        if (ngx_chat_follow_append(f, &ev) != NGX_OK) {
            return;
        }
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, f->timer.log, 0,
                   "chat generation %*s: events read:%ui, last %uL",
                   (size_t) NGX_CHAT_ID_LEN, f->channel->gen.id, count, f->n);

    if (count >= NGX_CHAT_FOLLOW_PAGE || f->read_until > f->n) {
        ngx_chat_follow_read(f);
        return;
    }

    if (f->ended) {
        ngx_chat_follow_lookup(f);
        return;
    }

    f->alive = ngx_current_msec;

    ngx_chat_follow_wait(f);
}


static void
ngx_chat_follow_timer_handler(ngx_event_t *ev)
{
    ngx_chat_follow_t   *f;
    ngx_chat_channel_t  *ch;

    f = ev->data;
    ch = f->channel;

    if (ngx_chat_follow_is_lost(f)) {
        ngx_chat_follow_redis_down(f);
        return;
    }

    if ((ngx_msec_int_t) (f->check_at - ngx_current_msec) > 0) {
        ngx_chat_follow_set_timer(f);
        return;
    }

    f->ended = 0;
    f->checked = f->n;

    f->call = ngx_chat_store_check(&ch->hub->store, &ch->gen, NGX_CHAT_E_NONE,
                                   ngx_chat_follow_check_handler, f);
    if (f->call == NULL) {
        ngx_chat_follow_redis_down(f);
    }
}


static void
ngx_chat_follow_check_handler(void *data, ngx_int_t rc, uint64_t n)
{
    ngx_chat_follow_t *f = data;

    f->call = NULL;

    ngx_log_debug5(NGX_LOG_DEBUG_HTTP, f->timer.log, 0,
                   "chat check %*s: %i, event %uL, here %uL",
                   (size_t) NGX_CHAT_ID_LEN, f->channel->gen.id, rc, n, f->n);

    switch (rc) {

    case NGX_OK:
    case NGX_DONE:
        f->alive = ngx_current_msec;

        if (n < f->checked && f->checked > 1) {

            /* Redis lost what was seen here, so what follows does not fit */

            ngx_chat_follow_lookup(f);
            return;
        }

        if (rc == NGX_OK && n <= f->n && f->read_until <= f->n) {
            ngx_chat_follow_wait(f);
            return;
        }

        f->ended = (rc == NGX_DONE);
        break;

    case NGX_DECLINED:
        f->ended = 1;
        break;

    case NGX_ERROR:
        ngx_chat_follow_redis_down(f);
        return;

    default:
        ngx_chat_follow_fail(f, NGX_CHAT_E_INTERNAL);
        return;
    }

    ngx_chat_follow_read(f);
}


/* the generation is of no use any more, but its answer may be cached */

static void
ngx_chat_follow_lookup(ngx_chat_follow_t *f)
{
    ngx_chat_channel_t  *ch;

    ch = f->channel;

    f->call = ngx_chat_store_lookup(&ch->hub->store, &ch->gen,
                                    ngx_chat_follow_lookup_handler, f);
    if (f->call == NULL) {
        ngx_chat_follow_redis_down(f);
    }
}


static void
ngx_chat_follow_lookup_handler(void *data, ngx_int_t rc, ngx_chat_answer_t *a)
{
    ngx_chat_follow_t *f = data;

    f->call = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, f->timer.log, 0,
                   "chat generation %*s ended, its answer: %i",
                   (size_t) NGX_CHAT_ID_LEN, f->channel->gen.id, rc);

    switch (rc) {

    case NGX_OK:
        if (a->gen.len == NGX_CHAT_ID_LEN
            && ngx_memcmp(a->gen.data, f->channel->gen.id, NGX_CHAT_ID_LEN)
               == 0)
        {
            ngx_chat_channel_append_answer(f->channel, a);
            ngx_chat_follow_stop_handler(f);
            return;
        }

        /* fall through */

    case NGX_DECLINED:
        ngx_chat_follow_fail(f, NGX_CHAT_E_INTERRUPTED);
        return;

    case NGX_ERROR:
        ngx_chat_follow_redis_down(f);
        return;

    default:
        ngx_chat_follow_fail(f, NGX_CHAT_E_INTERNAL);
        return;
    }
}


static void
ngx_chat_follow_wait(ngx_chat_follow_t *f)
{
    ngx_msec_t      ms;
    ngx_msec_int_t  left;

    ms = NGX_CHAT_SILENCE;
    left = (ngx_msec_int_t) (f->queue_deadline - ngx_current_msec);

    /* as long as nothing was written it may be waiting for a filler */

    if (f->n == 1 && left > 0) {
        ms = ngx_min(ms, (ngx_msec_t) left);
    }

    f->check_at = ngx_current_msec + ms;

    ngx_chat_follow_set_timer(f);
}


static void
ngx_chat_follow_set_timer(ngx_chat_follow_t *f)
{
    ngx_msec_int_t  ms;

    ms = (ngx_msec_int_t) (f->check_at - ngx_current_msec);
    ms = ngx_max(ms, 0);

    /* clients that have seen nothing may go elsewhere: a loss is told soon */

    if (f->n == 1) {
        ms = ngx_min(ms, NGX_CHAT_FOLLOW_LOOK);
    }

    ngx_add_timer(&f->timer, (ngx_msec_t) ms);
}


/* Redis cannot be asked: not a failure of the generation for some time */

static void
ngx_chat_follow_redis_down(ngx_chat_follow_t *f)
{
    ngx_msec_t           silent, timeout;
    ngx_chat_channel_t  *ch;

    ch = f->channel;

    f->reading = 0;

    timeout = ch->hub->conf->queue_timeout;
    silent = ngx_current_msec - f->alive;

    if (silent >= timeout) {
        ngx_chat_follow_fail(f, NGX_CHAT_E_REDIS_DOWN);
        return;
    }

    f->check_at = ngx_current_msec
                  + ngx_min(timeout - silent, NGX_CHAT_SILENCE);

    ngx_chat_follow_set_timer(f);

    if (ngx_chat_follow_is_lost(f)) {
        ngx_chat_channel_wake(ch);
    }
}


static void
ngx_chat_follow_fail(ngx_chat_follow_t *f, ngx_chat_error_e e)
{
    ngx_chat_event_t  ev;

    ngx_log_error(NGX_LOG_WARN, f->timer.log, 0,
                  "chat generation %*s was lost sight of: %V",
                  (size_t) NGX_CHAT_ID_LEN, f->channel->gen.id,
                  ngx_chat_error_code(e));

    ngx_chat_error_event(&ev, e);

    (void) ngx_chat_follow_append(f, &ev);
}
