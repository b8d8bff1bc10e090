
#include "ngx_chat_stow_private.h"
#include "ngx_chat_contents.h"
#include "ngx_chat_hit.h"
#include "ngx_chat_swaps.h"
#include "../codec/ngx_chat_str.h"


/* bytes that are rendered at once, before others have their turn */
#define NGX_CHAT_STOW_PIECE  16384
#define NGX_CHAT_STOW_TURN   65536

/* of a "processing" */
#define NGX_CHAT_STOW_FRAME  256

#define NGX_CHAT_STOW_LABEL  (NGX_CHAT_ID_LEN + 1 + NGX_INT_T_LEN)


struct ngx_chat_stow_s {
    ngx_queue_t                queue;      /* in hub->stows, if busy */
    ngx_chat_hub_t            *hub;
    ngx_chat_channel_t        *channel;    /* held, if busy */
    const ngx_chat_dialect_t  *dialect;
    ngx_chat_call_t           *call;       /* is it cached? */
    ngx_str_t                  label;      /* then that attempt is */
    u_char                     label_buf[NGX_CHAT_STOW_LABEL];

    ngx_event_t                event;
    ngx_chat_tier_key_t        key;
    ngx_atomic_uint_t          ticket;
    int64_t                    ttl;
    ngx_msec_t                 stale;      /* Redis keeps it for so long more */
    ngx_chat_usage_t           usage;
    ngx_chat_answer_t          answer;
    ngx_chat_hit_body_t        body;
    ngx_chat_tier_writer_t     writer;

    unsigned                   busy:1;
    unsigned                   begun:1;    /* the writer has */
};


static void ngx_chat_stows_covered_handler(void *data);
static void ngx_chat_stows_lost_handler(void *data);
static void ngx_chat_stows_changed_handler(void *data, u_char *h);
static ngx_chat_stow_t *ngx_chat_stow_create(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_tier_key_t *key);
static ngx_int_t ngx_chat_stow_gather(ngx_chat_stow_t *stow);
static void ngx_chat_stow_peek_handler(void *data, ngx_int_t rc,
    ngx_str_t *label, int64_t left);
static void ngx_chat_stow_hold(ngx_chat_stow_t *stow);
static void ngx_chat_stow_release(ngx_chat_stow_t *stow);
static void ngx_chat_stow_start(ngx_chat_stow_t *stow);
static void ngx_chat_stow_handler(ngx_event_t *ev);
static ngx_int_t ngx_chat_stow_turn(ngx_chat_stow_t *stow);


static const ngx_chat_news_t  ngx_chat_stows_news = {
    ngx_chat_stows_covered_handler,
    ngx_chat_stows_lost_handler,
    ngx_chat_stows_changed_handler
};


void
ngx_chat_stows_start(ngx_chat_hub_t *hub)
{
    ngx_queue_init(&hub->stows);

    /* without the memory to look for swaps, changes are not heard of either */

    if (hub->conf->zone && hub->conf->redis
        && ngx_chat_swaps_create(hub) == NGX_OK)
    {
        ngx_chat_store_watch(&hub->store, &ngx_chat_stows_news, hub);
    }
}


void
ngx_chat_stows_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t      *q;
    ngx_chat_stow_t  *stow;

    ngx_chat_swaps_close(hub);

    while (!ngx_queue_empty(&hub->stows)) {
        q = ngx_queue_head(&hub->stows);
        stow = ngx_queue_data(q, ngx_chat_stow_t, queue);

        ngx_chat_stow_release(stow);
    }
}


static void
ngx_chat_stows_covered_handler(void *data)
{
    ngx_chat_hub_t *hub = data;

    ngx_chat_tier_cover(hub->conf->zone);

    hub->covered = 1;

    ngx_chat_swaps_start(hub);
}


static void
ngx_chat_stows_lost_handler(void *data)
{
    ngx_chat_hub_t *hub = data;

    hub->covered = 0;

    ngx_chat_swaps_stop(hub);

    /* a worker that is to exit has closed the connection itself */

    ngx_chat_tier_uncover(hub->conf->zone, !ngx_exiting);
}


static void
ngx_chat_stows_changed_handler(void *data, u_char *h)
{
    ngx_chat_hub_t *hub = data;

    if (h) {
        ngx_chat_tier_change(hub->conf->zone, h);
        return;
    }

    ngx_chat_tier_change_all(hub->conf->zone);
}


ngx_chat_tier_t *
ngx_chat_hub_get_zone(ngx_chat_hub_t *hub)
{
    if (hub->conf->zone == NULL
        || hub->conf->redis == NULL
        || hub->covered
        || ngx_chat_store_is_down(&hub->store))
    {
        return hub->conf->zone;
    }

    return NULL;
}


ngx_atomic_uint_t
ngx_chat_stow_ticket(ngx_chat_hub_t *hub)
{
    return hub->conf->zone ? ngx_chat_tier_ticket(hub->conf->zone) : 0;
}


void
ngx_chat_hub_stow(ngx_chat_channel_t *ch, const ngx_chat_dialect_t *dialect,
    ngx_chat_tier_key_t *key, ngx_atomic_uint_t ticket, int64_t ttl)
{
    ngx_chat_stow_t  *stow;

    /* a stale answer is to be replaced: Redis says when it was */

    if (ticket == 0 || ttl < 0
        || ch->hub == NULL
        || ngx_chat_hub_get_zone(ch->hub) == NULL)
    {
        return;
    }

    stow = ngx_chat_stow_create(ch, dialect, key);

    if (stow == NULL || stow->busy) {
        return;
    }

    stow->ticket = ticket;
    stow->ttl = ttl;
    stow->usage = ch->usage;
    stow->answer = *ngx_chat_hit_get_answer(ch);

    ngx_chat_stow_hold(stow);
    ngx_chat_stow_start(stow);
}


void
ngx_chat_hub_stow_later(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_tier_key_t *key,
    ngx_msec_t ttl)
{
    ngx_chat_stow_t  *stow;

    if (ch->hub == NULL || ch->hub->conf->zone == NULL) {
        return;
    }

    stow = ngx_chat_stow_create(ch, dialect, key);

    if (stow && !stow->busy) {
        stow->ticket = ngx_chat_stow_ticket(ch->hub);
        stow->ttl = (int64_t) ttl;
    }
}


/* a single one for a channel, since all who ask for it have its key */

static ngx_chat_stow_t *
ngx_chat_stow_create(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_tier_key_t *key)
{
    ngx_chat_stow_t  *stow;

    if (ch->stow || ch->pool == NULL) {
        return ch->stow;
    }

    stow = ngx_chat_channel_palloc(ch, sizeof(ngx_chat_stow_t));
    if (stow == NULL) {
        return NULL;
    }

    ngx_memzero(stow, sizeof(ngx_chat_stow_t));

    stow->hub = ch->hub;
    stow->channel = ch;
    stow->dialect = dialect;
    stow->key = *key;
    stow->key.fp = ch->gen.fp;

    if (ngx_chat_channel_copy(ch, &stow->key.scope) != NGX_OK
        || ngx_chat_channel_copy(ch, &stow->key.key) != NGX_OK)
    {
        return NULL;
    }

    stow->event.handler = ngx_chat_stow_handler;
    stow->event.data = stow;
    stow->event.log = ch->hub->log;

    ch->stow = stow;

    return stow;
}


void
ngx_chat_hub_stow_direct(ngx_chat_channel_t *ch, ngx_str_t *usage)
{
    ngx_chat_stow_t  *stow;

    stow = ch->stow;

    if (stow == NULL || stow->busy || ch->hub == NULL) {
        return;
    }

    /*
     * With Redis the answer would have to be there, too, for other hosts.  It
     * is not, so it must go when Redis is back: all goes before a worker covers
     * again, unless some worker has covered all the time.
     */

    if (ch->hub->conf->redis
        && (!ngx_chat_store_is_down(&ch->hub->store)
            || ngx_chat_tier_is_covered(ch->hub->conf->zone)))
    {
        return;
    }

    ngx_chat_usage_read(&stow->usage, usage);

    /* later: the feeder is not through, and would take us for a subscriber */

    if (ngx_chat_stow_gather(stow) == NGX_OK
        && ngx_chat_str_is(&stow->answer.finish, "stop"))
    {
        ngx_chat_stow_hold(stow);
        ngx_post_event(&stow->event, &ngx_posted_events);
    }
}


void
ngx_chat_stow_written(ngx_chat_channel_t *ch, ngx_str_t *label,
    ngx_msec_t stale, ngx_str_t *usage)
{
    ngx_chat_stow_t  *stow;

    if (ch->hub == NULL || ch->hub->conf->zone == NULL) {
        return;
    }

    ngx_chat_tier_change(ch->hub->conf->zone, ch->gen.h);

    stow = ch->stow;

    if (stow == NULL || stow->busy
        || ngx_chat_hub_get_zone(ch->hub) == NULL)
    {
        return;
    }

    ngx_chat_usage_read(&stow->usage, usage);

    stow->stale = stale;
    stow->ticket = ngx_chat_stow_ticket(ch->hub);

    stow->label.data = stow->label_buf;
    stow->label.len = ngx_min(label->len, NGX_CHAT_STOW_LABEL);
    ngx_memcpy(stow->label.data, label->data, stow->label.len);

    stow->call = ngx_chat_store_peek(&ch->hub->store, &ch->gen,
                                     ngx_chat_stow_peek_handler, stow);
    if (stow->call) {
        ngx_chat_stow_hold(stow);
    }
}


/* the answer may have been replaced, or was not to replace another */

static void
ngx_chat_stow_peek_handler(void *data, ngx_int_t rc, ngx_str_t *label,
    int64_t left)
{
    ngx_chat_stow_t *stow = data;

    stow->call = NULL;
    stow->ttl = (left == -1) ? NGX_CHAT_ANSWER_NO_TTL
                             : left - (int64_t) stow->stale;

    if (rc == NGX_OK
        && stow->ttl > 0
        && label->len == stow->label.len
        && ngx_memcmp(label->data, stow->label.data, label->len) == 0
        && ngx_chat_stow_gather(stow) == NGX_OK)
    {
        ngx_chat_stow_start(stow);
        return;
    }

    ngx_chat_stow_release(stow);
}


/*
 * An answer of the events that it was made of.  NGX_OK, NGX_DECLINED: it is not
 * one, or there is no memory.
 */

static ngx_int_t
ngx_chat_stow_gather(ngx_chat_stow_t *stow)
{
    u_char              *p;
    ngx_uint_t           n;
    ngx_chat_entry_t    *e, *first;
    ngx_chat_channel_t  *ch;

    ch = stow->channel;

    if (ch->last == NULL || ch->last->event.status != NGX_CHAT_COMPLETED
        || ch->text.len == 0)
    {
        return NGX_DECLINED;
    }

    first = ch->base ? ch->base->next : ch->first;
    n = 0;

    for (e = first; e != ch->last; e = e->next) {
        n++;
    }

    p = ngx_chat_channel_palloc(ch, n * (NGX_INT32_LEN + 1));
    if (p == NULL) {
        return NGX_DECLINED;
    }

    stow->answer.chunk_lens.data = p;

    for (e = first; e != ch->last; e = e->next) {
        p = ngx_sprintf(p, e == first ? "%uz" : " %uz", e->event.text.len);
    }

    stow->answer.chunk_lens.len = p - stow->answer.chunk_lens.data;
    stow->answer.text = ch->text;
    stow->answer.finish = ch->last->event.code;

    return NGX_OK;
}


static void
ngx_chat_stow_hold(ngx_chat_stow_t *stow)
{
    ngx_chat_channel_hold(stow->channel);
    stow->channel->pins++;

    ngx_queue_insert_tail(&stow->hub->stows, &stow->queue);
    stow->busy = 1;
    stow->begun = 0;
}


/* the channel, and the stow in it, may be gone afterwards */

static void
ngx_chat_stow_release(ngx_chat_stow_t *stow)
{
    ngx_queue_remove(&stow->queue);
    stow->busy = 0;

    ngx_chat_call_cancel(stow->call);
    stow->call = NULL;

    if (stow->event.posted) {
        ngx_delete_posted_event(&stow->event);
    }

    ngx_chat_tier_write_abort(&stow->writer);

    stow->channel->pins--;
    ngx_chat_channel_release(stow->channel);
}


static void
ngx_chat_stow_start(ngx_chat_stow_t *stow)
{
    size_t                   len;
    u_char                   frame[NGX_CHAT_STOW_FRAME];
    ngx_int_t                rc;
    ngx_chat_event_t         ev;
    ngx_chat_channel_t      *ch;
    ngx_chat_tier_answer_t   answer;

    ch = stow->channel;

    ngx_memcpy(answer.h, ch->gen.h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(answer.id, ch->gen.id, NGX_CHAT_ID_LEN);

    answer.origin = ch->origin;
    answer.usage = stow->usage;
    answer.chunks = 0;
    answer.ttl = stow->ttl;

    /* the text goes out twice, in chunks and as a whole */

    rc = ngx_chat_tier_write_begin(&stow->writer, stow->hub->conf->zone,
                                   stow->ticket, &stow->key, &answer,
                                   2 * stow->answer.text.len);
    if (rc != NGX_OK) {
        ngx_chat_stow_release(stow);
        return;
    }

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));
    ev.status = NGX_CHAT_PROCESSING;

    len = stow->dialect->len(&ev);

    if (len > sizeof(frame)
        || ngx_chat_tier_write(&stow->writer, frame,
                               stow->dialect->write(frame, &ev) - frame)
           != NGX_OK)
    {
        ngx_chat_stow_release(stow);
        return;
    }

    ngx_chat_hit_body_init(&stow->body, &stow->answer);
    stow->begun = 1;

    ngx_chat_stow_handler(&stow->event);
}


static void
ngx_chat_stow_handler(ngx_event_t *ev)
{
    ngx_int_t         rc;
    ngx_chat_stow_t  *stow;

    stow = ev->data;

    if (!stow->begun) {
        ngx_chat_stow_start(stow);
        return;
    }

    rc = ngx_chat_stow_turn(stow);

    if (rc == NGX_AGAIN) {
        ngx_post_event(ev, &ngx_posted_next_events);
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_tier_write_end(&stow->writer, &stow->key,
                                     stow->body.chunks);
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ev->log, 0,
                   "chat answer of generation %*s goes into the zone: %i",
                   (size_t) NGX_CHAT_ID_LEN, stow->channel->gen.id, rc);

    ngx_chat_stow_release(stow);
}


/* NGX_OK: that was all; NGX_AGAIN, NGX_DECLINED */

static ngx_int_t
ngx_chat_stow_turn(ngx_chat_stow_t *stow)
{
    u_char  *p, buf[NGX_CHAT_STOW_PIECE];
    size_t   size;

    for (size = 0; size < NGX_CHAT_STOW_TURN; size += p - buf) {

        if (stow->body.done) {
            return NGX_OK;
        }

        p = stow->dialect->render_hit(&stow->body, buf,
                                      buf + NGX_CHAT_STOW_PIECE);

        if (ngx_chat_tier_write(&stow->writer, buf, p - buf) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return NGX_AGAIN;
}
