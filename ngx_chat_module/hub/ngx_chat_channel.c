
#include "ngx_chat_channel.h"
#include "ngx_chat_contents.h"
#include "../codec/ngx_chat_str.h"


#define NGX_CHAT_CHANNEL_HASHED  16      /* digits of h */

/*
 * Both are far above what a filler writes: they stop somebody else's
 * endless stream.  Small chunks weigh more than their text.
 */
#define NGX_CHAT_CHANNEL_LENGTH  (64 * 1024 * 1024)
#define NGX_CHAT_CHANNEL_SIZE    (256 * 1024 * 1024)

/* longer names are cut */
#define NGX_CHAT_CHANNEL_ORIGIN   1024


static void ngx_chat_channel_show(ngx_chat_channel_t *ch);
static ngx_chat_entry_t *ngx_chat_channel_entry(ngx_chat_channel_t *ch,
    ngx_chat_event_t *ev);
static ngx_uint_t ngx_chat_channel_has_prefix(ngx_chat_channel_t *ch,
    ngx_chat_answer_t *a, ngx_str_t *chunk_lens, u_char **pos);
static ngx_int_t ngx_chat_channel_whole(ngx_chat_channel_t *ch);
static void ngx_chat_channel_free(ngx_chat_channel_t *ch);


ngx_chat_channel_t *
ngx_chat_channel_find_by_id(ngx_chat_hub_t *hub, u_char *id)
{
    ngx_str_t        name;
    ngx_str_node_t  *sn;

    name.len = NGX_CHAT_ID_LEN;
    name.data = id;

    sn = ngx_str_rbtree_lookup(&hub->ids, &name,
                               ngx_crc32_long(name.data, name.len));
    if (sn == NULL) {
        return NULL;
    }

    return ngx_rbtree_data(&sn->node, ngx_chat_channel_t, by_id.node);
}


ngx_chat_channel_t *
ngx_chat_channel_find_by_key(ngx_chat_hub_t *hub, u_char *h, u_char *fp)
{
    ngx_str_node_t  *sn;

    sn = ngx_chat_channel_find_node(&hub->keys, h, fp);
    if (sn == NULL) {
        return NULL;
    }

    return ngx_rbtree_data(&sn->node, ngx_chat_channel_t, by_key.node);
}


ngx_chat_channel_t *
ngx_chat_channel_alloc(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen)
{
    ngx_chat_channel_t  *ch;

    ch = ngx_calloc(sizeof(ngx_chat_channel_t), hub->log);
    if (ch == NULL) {
        return NULL;
    }

    ch->gen = *gen;
    ch->hub = hub;
    ch->log = hub->log;
    ch->holds = 1;

    if (ngx_chat_contents_create(ch) != NGX_OK) {
        ngx_free(ch);
        return NULL;
    }

    ch->own = sizeof(ngx_chat_channel_t);
    ngx_chat_contents_count(hub, ch->own);

    ngx_chat_wakes_init(&ch->wakes);
    ngx_queue_insert_tail(&hub->all, &ch->queue);

    ngx_chat_channel_set_node(&ch->by_key, ch->key, gen->h, gen->fp);

    return ch;
}


ngx_chat_channel_t *
ngx_chat_channel_create(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_uint_t joinable)
{
    ngx_chat_channel_t  *ch;

    ch = ngx_chat_channel_alloc(hub, gen);
    if (ch == NULL) {
        return NULL;
    }

    ch->by_id.str.len = NGX_CHAT_ID_LEN;
    ch->by_id.str.data = ch->gen.id;
    ch->by_id.node.key = ngx_crc32_long(ch->gen.id, NGX_CHAT_ID_LEN);

    ngx_rbtree_insert(&hub->ids, &ch->by_id.node);
    ch->indexed = 1;

    if (joinable) {
        ngx_chat_channel_show(ch);
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, hub->log, 0,
                   "chat channel %*s, joinable:%ui",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id, joinable);

    return ch;
}


static void
ngx_chat_channel_show(ngx_chat_channel_t *ch)
{
    ngx_chat_channel_t  *older;

    /* another generation took the key over */

    older = ngx_chat_channel_find_by_key(ch->hub, ch->gen.h, ch->gen.fp);
    if (older) {
        ngx_chat_channel_hide(older);
    }

    ngx_rbtree_insert(&ch->hub->keys, &ch->by_key.node);
    ch->joinable = 1;
}


/* the hash is one of digits of a SHA-256 sum: a few of them will do */

void
ngx_chat_channel_set_node(ngx_str_node_t *node, u_char *key, u_char *h,
    u_char *fp)
{
    ngx_memcpy(key, h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(key + NGX_CHAT_HASH_LEN, fp, NGX_CHAT_FP_LEN);

    node->str.len = NGX_CHAT_CHANNEL_KEY;
    node->str.data = key;
    node->node.key = ngx_crc32_long(key, NGX_CHAT_CHANNEL_HASHED);
}


ngx_str_node_t *
ngx_chat_channel_find_node(ngx_rbtree_t *index, u_char *h, u_char *fp)
{
    u_char          key[NGX_CHAT_CHANNEL_KEY];
    ngx_str_node_t  name;

    ngx_chat_channel_set_node(&name, key, h, fp);

    return ngx_str_rbtree_lookup(index, &name.str, (uint32_t) name.node.key);
}


void
ngx_chat_channel_hold(ngx_chat_channel_t *ch)
{
    ch->holds++;
}


void
ngx_chat_channel_release(ngx_chat_channel_t *ch)
{
    ch->holds--;

    if (ch->holds == ch->idle_holds && ch->feeder) {

        /* may release the last hold */

        ch->source->abandoned(ch->feeder);
        return;
    }

    ngx_chat_channel_free(ch);
}


static void
ngx_chat_channel_free(ngx_chat_channel_t *ch)
{
    if (ch->holds) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ch->log, 0,
                   "chat channel %*s is free",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id);

    if (ch->refill) {
        ch->unread(ch->refill);
    }

    ngx_chat_contents_drop(ch);
    ngx_chat_channel_close(ch);

    if (ch->origin.provider.data) {
        ngx_free(ch->origin.provider.data);
    }

    ngx_free(ch);
}


void
ngx_chat_channel_finish(ngx_chat_channel_t *ch)
{
    ngx_queue_insert_tail(&ch->hub->finished, &ch->finished);
    ch->is_finished = 1;

    ngx_chat_contents_count(ch->hub, 0);
}


void
ngx_chat_channel_keep(ngx_chat_channel_t *ch)
{
    if (ch->is_finished) {
        ngx_queue_remove(&ch->finished);
        ch->is_finished = 0;
    }
}


void
ngx_chat_channel_hide(ngx_chat_channel_t *ch)
{
    if (ch->joinable) {
        ngx_rbtree_delete(&ch->hub->keys, &ch->by_key.node);
        ch->joinable = 0;
    }

    if (ch->cached) {
        ngx_rbtree_delete(&ch->hub->hits, &ch->by_key.node);
        ch->cached = 0;
    }
}


void
ngx_chat_channel_hide_id(ngx_chat_channel_t *ch)
{
    if (ch->indexed) {
        ngx_rbtree_delete(&ch->hub->ids, &ch->by_id.node);
        ch->indexed = 0;
    }
}


void
ngx_chat_channel_close(ngx_chat_channel_t *ch)
{
    if (ch->hub == NULL) {
        return;
    }

    ngx_chat_channel_hide(ch);
    ngx_chat_channel_hide_id(ch);
    ngx_chat_channel_keep(ch);

    ngx_queue_remove(&ch->queue);

    ngx_chat_contents_leave(ch);
    ngx_chat_contents_count(ch->hub, - (ngx_int_t) ch->own);
    ch->hub = NULL;
}


void
ngx_chat_channel_set_feeder(ngx_chat_channel_t *ch,
    ngx_chat_channel_kind_e kind, const ngx_chat_source_t *source, void *feeder)
{
    ch->kind = kind;
    ch->source = source;
    ch->feeder = feeder;
    ch->idle_holds++;

    ch->hub->channels++;
}


void
ngx_chat_channel_drop_feeder(ngx_chat_channel_t *ch)
{
    ch->feeder = NULL;
    ch->idle_holds--;

    if (ch->hub) {
        ch->hub->channels--;

        /* a lead may hold it on: nobody is to join what nobody feeds */

        if (!ch->ended) {
            ngx_chat_channel_hide(ch);
            ngx_chat_channel_hide_id(ch);
        }
    }

    ngx_chat_channel_release(ch);
}


void
ngx_chat_channel_release_former(ngx_chat_channel_t *ch)
{
    ch->idle_holds--;
    ch->hub->channels--;

    ngx_chat_channel_release(ch);
}


void
ngx_chat_channel_set_lead(ngx_chat_channel_t *ch,
    void (*appended)(void *data, ngx_chat_event_t *ev), void *lead)
{
    ch->appended = appended;
    ch->lead = lead;
    ch->idle_holds++;

    ngx_chat_channel_hold(ch);
}


/* an abandoned feeder was told so already */

void
ngx_chat_channel_drop_lead(ngx_chat_channel_t *ch)
{
    ch->lead = NULL;
    ch->idle_holds--;
    ch->holds--;

    if (ch->ended && ch->hub) {
        ngx_chat_channel_hide_id(ch);
    }

    ngx_chat_channel_free(ch);
}


ngx_uint_t
ngx_chat_channel_is_answer(ngx_chat_channel_t *ch, ngx_chat_answer_t *a)
{
    return a->gen.len == NGX_CHAT_ID_LEN
           && ngx_memcmp(a->gen.data, ch->gen.id, NGX_CHAT_ID_LEN) == 0
           && a->text.len == ch->length;
}


ngx_uint_t
ngx_chat_channel_is_lost(ngx_chat_channel_t *ch)
{
    return ch->feeder && ch->source->lost && ch->source->lost(ch->feeder);
}


void
ngx_chat_channel_set_origin(ngx_chat_channel_t *ch, ngx_chat_origin_t *origin)
{
    u_char  *p;
    size_t   provider, model, own;

    provider = ngx_min(origin->provider.len, NGX_CHAT_CHANNEL_ORIGIN);
    model = ngx_min(origin->model.len, NGX_CHAT_CHANNEL_ORIGIN);

    p = ngx_alloc(provider + model + 1, ch->log);
    if (p == NULL) {
        return;
    }

    /* before the completed event nobody was told of another one */

    if (ch->origin.provider.data) {
        ngx_free(ch->origin.provider.data);
    }

    own = sizeof(ngx_chat_channel_t) + provider + model + 1;

    if (ch->hub) {
        ngx_chat_contents_count(ch->hub, (ngx_int_t) (own - ch->own));
    }

    ch->own = own;

    ch->origin.provider.len = provider;
    ch->origin.provider.data = p;
    p = ngx_chat_str_copy_word(p, origin->provider.data, provider);

    ch->origin.model.len = model;
    ch->origin.model.data = p;
    (void) ngx_chat_str_copy_word(p, origin->model.data, model);
}


ngx_int_t
ngx_chat_channel_append(ngx_chat_channel_t *ch, ngx_chat_event_t *ev)
{
    ngx_int_t          rc;
    ngx_chat_entry_t  *e;

    if (ch->ended) {
        return NGX_OK;
    }

    /* nothing to start over */

    if (ev->status == NGX_CHAT_PROCESSING && ch->last == ch->base) {
        return NGX_OK;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, ch->log, 0,
                   "chat channel %*s: event of status %ui, bytes:%uz",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id,
                   (ngx_uint_t) ev->status, ev->text.len);

    rc = NGX_OK;

    e = ngx_chat_channel_entry(ch, ev);

    if (e == NULL) {
        ngx_log_error(NGX_LOG_ERR, ch->log, 0,
                      "chat generation %*s does not fit in memory",
                      (size_t) NGX_CHAT_ID_LEN, ch->gen.id);

        e = &ch->failed;
        ngx_chat_error_event(&e->event, NGX_CHAT_E_INTERNAL);

        rc = NGX_ERROR;
    }

    if (ch->last) {
        ch->last->next = e;

    } else {
        ch->first = e;
    }

    ch->last = e;

    switch (e->event.status) {

    case NGX_CHAT_PROCESSING:
        ch->base = e;
        ch->restarts++;
        ch->length = 0;
        break;

    case NGX_CHAT_STREAMING:
        ch->length += e->event.text.len;
        break;

    default:
        ch->ended = 1;

        ngx_chat_channel_hide(ch);

        if (ch->lead == NULL) {
            ngx_chat_channel_hide_id(ch);
        }

        /* if it was cached, or is not yet, is found out later */

        if (ch->hub && e->event.status == NGX_CHAT_COMPLETED
            && ch->kind != NGX_CHAT_CHANNEL_DIRECT)
        {
            ngx_chat_channel_finish(ch);
        }
    }

    ngx_chat_channel_wake(ch);

    if (ch->lead) {
        ch->appended(ch->lead, &e->event);
    }

    return rc;
}


void
ngx_chat_channel_append_answer(ngx_chat_channel_t *ch, ngx_chat_answer_t *a)
{
    size_t             len;
    u_char            *p;
    ngx_str_t          chunk_lens;
    ngx_chat_event_t   ev;
    ngx_chat_origin_t  origin;

    origin.provider = a->provider;
    origin.model = a->model;

    ngx_chat_channel_set_origin(ch, &origin);

    ngx_memzero(&ev, sizeof(ngx_chat_event_t));

    if (!ngx_chat_channel_has_prefix(ch, a, &chunk_lens, &p)) {

        ev.status = NGX_CHAT_PROCESSING;

        if (ngx_chat_channel_append(ch, &ev) != NGX_OK || ch->ended) {
            return;
        }

        chunk_lens = a->chunk_lens;
        p = a->text.data;
    }

    ev.status = NGX_CHAT_STREAMING;

    while (ngx_chat_answer_next_len(&chunk_lens, &len) == NGX_OK) {
        ev.text.len = len;
        ev.text.data = p;

        if (ngx_chat_channel_append(ch, &ev) != NGX_OK || ch->ended) {
            return;
        }

        p += len;
    }

    ev.status = NGX_CHAT_COMPLETED;
    ev.text = a->text;
    ev.code = a->finish;

    (void) ngx_chat_channel_append(ch, &ev);
}


/*
 * Are the chunks here the first ones of the answer?  The rest is chunk_lens
 * and *pos.
 */

static ngx_uint_t
ngx_chat_channel_has_prefix(ngx_chat_channel_t *ch, ngx_chat_answer_t *a,
    ngx_str_t *chunk_lens, u_char **pos)
{
    size_t             len;
    ngx_chat_entry_t  *e;

    *chunk_lens = a->chunk_lens;
    *pos = a->text.data;

    for (e = ch->base ? ch->base->next : ch->first; e; e = e->next) {

        if (ngx_chat_answer_next_len(chunk_lens, &len) != NGX_OK
            || len != e->event.text.len
            || ngx_memcmp(*pos, e->event.text.data, len) != 0)
        {
            return 0;
        }

        *pos += len;
    }

    return 1;
}


static ngx_chat_entry_t *
ngx_chat_channel_entry(ngx_chat_channel_t *ch, ngx_chat_event_t *ev)
{
    size_t             size, text;
    u_char            *p;
    ngx_chat_entry_t  *e;
    ngx_chat_event_t   internal;

    /* a code is a word, for clients and for logs, whoever wrote it */

    if (ev->status == NGX_CHAT_ERROR && !ngx_chat_error_is_code(&ev->code)) {
        ngx_chat_error_event(&internal, NGX_CHAT_E_INTERNAL);
        ev = &internal;
    }

    text = ev->text.len;

    if (ev->status == NGX_CHAT_COMPLETED) {

        /* the text is made of the chunks that clients get, not the event */

        if (ngx_chat_channel_whole(ch) != NGX_OK) {
            return NULL;
        }

        text = 0;
    }

    if (text > NGX_CHAT_CHANNEL_LENGTH - ch->length
        || ev->code.len > NGX_CHAT_CHANNEL_LENGTH)
    {
        return NULL;
    }

    size = sizeof(ngx_chat_entry_t) + text + ev->code.len;

    if (size > NGX_CHAT_CHANNEL_SIZE - ch->size) {
        return NULL;
    }

    e = ngx_chat_channel_palloc(ch, size);
    if (e == NULL) {
        return NULL;
    }

    ch->size += size;

    ngx_memzero(e, sizeof(ngx_chat_entry_t));

    p = (u_char *) e + sizeof(ngx_chat_entry_t);

    e->event.status = ev->status;
    e->chunks = (ev->status == NGX_CHAT_STREAMING);

    e->event.code.len = ev->code.len;
    e->event.code.data = p;
    p = ngx_cpymem(p, ev->code.data, ev->code.len);

    if (ev->status == NGX_CHAT_COMPLETED) {
        e->event.text = ch->text;

    } else {
        e->event.text.len = text;
        e->event.text.data = p;
        ngx_memcpy(p, ev->text.data, text);
    }

    return e;
}


static ngx_int_t
ngx_chat_channel_whole(ngx_chat_channel_t *ch)
{
    u_char            *p;
    ngx_chat_entry_t  *e;

    /* a byte more, since an empty answer has an address too */

    p = ngx_chat_channel_palloc(ch, ch->length + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ch->text.len = ch->length;
    ch->text.data = p;

    for (e = ch->base ? ch->base->next : ch->first; e; e = e->next) {
        p = ngx_cpymem(p, e->event.text.data, e->event.text.len);
    }

    return NGX_OK;
}


void
ngx_chat_channel_wake(ngx_chat_channel_t *ch)
{
    ngx_chat_wakes_all(&ch->wakes);
}
