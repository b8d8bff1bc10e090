
#include "ngx_chat_sub_private.h"
#include "ngx_chat_ask.h"
#include "ngx_chat_contents.h"
#include "ngx_chat_frames.h"
#include "ngx_chat_hit.h"
#include "ngx_chat_refill.h"


/* how often a subscriber asks again: as often as it may join in vain */
#define NGX_CHAT_SUB_AGAIN  8


static void ngx_chat_sub_start(ngx_chat_sub_t *sub, ngx_chat_channel_t *ch);
static ngx_int_t ngx_chat_sub_find(ngx_chat_sub_t *sub,
    ngx_chat_entry_t **entry);
static ngx_uint_t ngx_chat_sub_max_sheets(ngx_chat_channel_t *ch);
static ngx_int_t ngx_chat_sub_render(ngx_chat_sub_t *sub,
    ngx_chat_entry_t *e);
static void ngx_chat_sub_take(ngx_chat_sub_t *sub, ngx_chat_entry_t *e,
    ngx_chat_sse_event_t *frame);
static void ngx_chat_sub_hold_sheet(ngx_chat_sub_t *sub,
    ngx_chat_sheet_t *sheet);
static ngx_uint_t ngx_chat_sub_again(ngx_chat_sub_t *sub);
static void ngx_chat_sub_again_handler(void *data, ngx_chat_result_t *v);
static void ngx_chat_sub_move(ngx_chat_sub_t *sub, ngx_chat_channel_t *ch);


ngx_chat_sub_t *
ngx_chat_hub_attach(ngx_chat_channel_t *ch, const ngx_chat_dialect_t *dialect,
    ngx_chat_wake_pt wake, void *data)
{
    ngx_chat_sub_t  *sub;

    /* not in the channel's pool, as it may see many come and go */

    sub = ngx_calloc(sizeof(ngx_chat_sub_t), ch->log);
    if (sub == NULL) {
        return NULL;
    }

    sub->dialect = dialect;
    sub->wake.handler = wake;
    sub->wake.data = data;

    ngx_chat_sub_start(sub, ch);

    if (ch->hub) {
        sub->question = ngx_chat_ask_joined(ch->hub);
    }

    ngx_chat_channel_hold(ch);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ch->log, 0,
                   "chat channel %*s has one more subscriber, holds:%ui",
                   (size_t) NGX_CHAT_ID_LEN, ch->gen.id, ch->holds);

    /* entries may be there already, and the id may be news */

    ngx_chat_wakes_add(&ch->wakes, &sub->wake);

    return sub;
}


/* behind the last "processing", of contents as they are */

static void
ngx_chat_sub_start(ngx_chat_sub_t *sub, ngx_chat_channel_t *ch)
{
    sub->channel = ch;
    sub->fill = ch->fills;
    sub->restarts = ch->restarts;

    if (ch->hit) {
        sub->next = ngx_chat_hit_start(ch, sub->dialect);

    } else {
        sub->next = ch->base ? &ch->base->next : &ch->first;
    }
}


void
ngx_chat_hub_detach(ngx_chat_sub_t *sub)
{
    ngx_chat_channel_t  *ch;

    ch = sub->channel;

    ngx_chat_wakes_remove(&sub->wake);
    ngx_chat_hub_sent(sub);

    if (sub->ask) {
        ngx_chat_hub_forget(sub->ask);
    }

    ngx_free(sub);

    ngx_chat_channel_release(ch);
}


ngx_int_t
ngx_chat_hub_next(ngx_chat_sub_t *sub, ngx_chat_sse_event_t *frame)
{
    ngx_int_t          rc;
    ngx_chat_entry_t  *e;

    while (!sub->done) {

        rc = ngx_chat_sub_find(sub, &e);

        if (rc == NGX_ABORT) {
            frame->code = *ngx_chat_error_code(sub->channel->lost);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        ngx_chat_sub_take(sub, e, frame);

        if (frame->bytes.len) {
            return NGX_OK;
        }
    }

    return NGX_DONE;
}


/* the next entry, with its bytes; else as ngx_chat_hub_next() */

static ngx_int_t
ngx_chat_sub_find(ngx_chat_sub_t *sub, ngx_chat_entry_t **entry)
{
    ngx_int_t            rc;
    ngx_chat_entry_t    *e;
    ngx_chat_channel_t  *ch;

    ch = sub->channel;

    if (sub->ask || sub->nsheets >= ngx_chat_sub_max_sheets(ch)) {
        return NGX_AGAIN;
    }

    if (ch->pool == NULL || sub->fill != ch->fills) {
        rc = ngx_chat_refill_seek(sub);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (*sub->next == NULL && ch->hit
        && ngx_chat_hit_render(ch, sub->dialect, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    e = *sub->next;

    if (e == NULL) {
        return NGX_AGAIN;
    }

    if (sub->question) {

        if (ngx_chat_sub_again(sub)) {
            return NGX_AGAIN;
        }

        sub->question = NULL;
    }

    /* of another attempt than the cached one, the subscriber had a part */

    if (ch->hit && sub->restarts != ch->restarts) {
        e = ngx_chat_hit_get_restart(ch);
    }

    *entry = e;

    return ngx_chat_sub_render(sub, e);
}


/* pieces of an answer cannot be dropped while they are sent: one is enough */

static ngx_uint_t
ngx_chat_sub_max_sheets(ngx_chat_channel_t *ch)
{
    if (ch->hit && ngx_chat_contents_is_full(ch->hub)) {
        return 1;
    }

    return NGX_CHAT_SUB_SHEETS;
}


static ngx_int_t
ngx_chat_sub_render(ngx_chat_sub_t *sub, ngx_chat_entry_t *e)
{
    if (e->event.status != NGX_CHAT_PROCESSING && sub->channel->hit) {
        return ngx_chat_hit_render_again(sub->channel, sub->dialect, e);
    }

    return ngx_chat_frames_render(sub->channel, sub->dialect, e);
}


static void
ngx_chat_sub_take(ngx_chat_sub_t *sub, ngx_chat_entry_t *e,
    ngx_chat_sse_event_t *frame)
{
    ngx_uint_t  i;

    i = sub->dialect->index;

    frame->bytes = e->frame[i];
    frame->status = e->event.status;
    frame->chunks = e->chunks;
    frame->code = e->event.code;
    frame->origin = NULL;

    ngx_chat_sub_hold_sheet(sub, e->sheet[i]);

    if (e->sheet[i] && e->sheet[i]->holds == 1) {

        /* the subscriber's alone, of a hit beyond the bound */

        e->sheet[i] = NULL;
        e->frame[i].data = NULL;
    }

    sub->channel->taken = ngx_current_msec;
    sub->within = e->within;

    if (e->event.status == NGX_CHAT_PROCESSING) {
        sub->taken = 0;
        sub->chunks = 0;

        if (sub->channel->hit) {
            sub->restarts = sub->channel->restarts;
            return;
        }

        sub->restarts++;
        sub->next = &e->next;
        return;
    }

    frame->bytes.data += sub->passed;
    frame->bytes.len -= sub->passed;
    frame->chunks -= sub->passed_chunks;

    sub->passed = 0;
    sub->passed_chunks = 0;

    sub->taken += frame->bytes.len;
    sub->chunks += frame->chunks;
    sub->next = &e->next;

    switch (e->event.status) {

    case NGX_CHAT_COMPLETED:
        frame->origin = &sub->channel->origin;
        sub->done = 1;
        break;

    case NGX_CHAT_ERROR:
        sub->done = 1;
        break;

    default:
        break;
    }
}


static void
ngx_chat_sub_hold_sheet(ngx_chat_sub_t *sub, ngx_chat_sheet_t *sheet)
{
    if (sheet == NULL
        || (sub->nsheets && sub->sheets[sub->nsheets - 1] == sheet))
    {
        return;
    }

    ngx_chat_sheet_hold(sheet);

    sub->sheets[sub->nsheets++] = sheet;
}


void
ngx_chat_hub_sent(ngx_chat_sub_t *sub)
{
    while (sub->nsheets) {
        sub->nsheets--;

        ngx_chat_sheet_release(sub->sheets[sub->nsheets], sub->channel->hub);
    }
}


void
ngx_chat_hub_again(ngx_chat_sub_t *sub)
{
    ngx_chat_wakes_add(&sub->channel->wakes, &sub->wake);
}


ngx_uint_t
ngx_chat_hub_is_within(ngx_chat_sub_t *sub)
{
    return sub->within;
}


ngx_uint_t
ngx_chat_hub_is_lost(ngx_chat_sub_t *sub)
{
    return ngx_chat_channel_is_lost(sub->channel);
}


/*
 * A subscriber that joined a generation as it was cancelled, since nobody had
 * listened or its opener was over a limit, and has seen nothing of it yet, asks
 * again, maybe to join another opener's in vain.
 */

static ngx_uint_t
ngx_chat_sub_again(ngx_chat_sub_t *sub)
{
    ngx_str_t           *code;
    ngx_chat_event_t    *ev;
    ngx_chat_channel_t  *ch;

    ch = sub->channel;

    if (ch->hub == NULL || ch->last == NULL
        || ch->last->event.status != NGX_CHAT_ERROR)
    {
        return 0;
    }

    ev = &ch->last->event;

    code = ngx_chat_error_code(NGX_CHAT_E_CANCELLED);

    if (ev->code.len != code->len
        || ngx_memcmp(ev->code.data, code->data, code->len) != 0)
    {
        return 0;
    }

    sub->ask = ngx_chat_hub_ask(ch->hub, sub->question,
                                ngx_chat_sub_again_handler, sub);
    if (sub->ask == NULL) {
        return 0;
    }

    sub->reasks++;

    return 1;
}


static void
ngx_chat_sub_again_handler(void *data, ngx_chat_result_t *v)
{
    ngx_chat_sub_t *sub = data;

    sub->ask = NULL;
    sub->question = NULL;

    /* after an error the client is told what became of the first one */

    if (v->kind != NGX_CHAT_RESULT_ERROR) {
        ngx_chat_sub_move(sub, v->channel);

        if (sub->reasks < NGX_CHAT_SUB_AGAIN && v->channel->hub) {
            sub->question = ngx_chat_ask_joined(v->channel->hub);
        }
    }

    ngx_chat_wakes_add(&sub->channel->wakes, &sub->wake);
}


static void
ngx_chat_sub_move(ngx_chat_sub_t *sub, ngx_chat_channel_t *ch)
{
    ngx_chat_channel_t  *old;

    old = sub->channel;

    ngx_chat_wakes_remove(&sub->wake);
    ngx_chat_channel_hold(ch);

    ngx_chat_sub_start(sub, ch);

    ngx_chat_channel_release(old);
}


ngx_chat_channel_t *
ngx_chat_hub_get_channel(ngx_chat_sub_t *sub)
{
    return sub->channel;
}
