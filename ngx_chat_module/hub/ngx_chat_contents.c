
#include "ngx_chat_contents.h"
#include "../shm/ngx_chat_metrics.h"


#define NGX_CHAT_CONTENTS_POOL  1024


void
ngx_chat_contents_count(ngx_chat_hub_t *hub, ngx_int_t n)
{
    hub->memory += n;

    ngx_chat_metrics_move(NGX_CHAT_GAUGE_HUB_MEMORY, n);

    /* with the timer nothing could be dropped a moment ago */

    if (n >= 0 && hub->memory > hub->conf->memory
        && !hub->evict.timer_set && !hub->evict.posted
        && !ngx_queue_empty(&hub->finished))
    {
        ngx_post_event(&hub->evict, &ngx_posted_events);
    }
}


ngx_uint_t
ngx_chat_contents_is_full(ngx_chat_hub_t *hub)
{
    return hub && hub->memory > hub->conf->memory;
}


ngx_int_t
ngx_chat_contents_create(ngx_chat_channel_t *ch)
{
    ch->pool = ngx_create_pool(NGX_CHAT_CONTENTS_POOL, ch->log);
    if (ch->pool == NULL) {
        return NGX_ERROR;
    }

    ch->memory = NGX_CHAT_CONTENTS_POOL;
    ch->room = NGX_CHAT_CONTENTS_POOL - sizeof(ngx_pool_t);
    ch->fills++;

    if (ch->hub) {
        ngx_chat_contents_count(ch->hub, ch->memory);
    }

    return NGX_OK;
}


void
ngx_chat_contents_drop(ngx_chat_channel_t *ch)
{
    ngx_chat_sheet_t  *sheet;

    if (ch->pool == NULL) {
        return;
    }

    while (ch->sheets) {
        sheet = ch->sheets;
        ch->sheets = sheet->next;

        ngx_chat_sheet_release(sheet, ch->hub);
    }

    ngx_chat_reply_free(ch->reply);
    ngx_destroy_pool(ch->pool);

    if (ch->hub) {
        ngx_chat_contents_count(ch->hub, - (ngx_int_t) ch->memory);
    }

    ch->pool = NULL;
    ch->memory = 0;

    ch->first = NULL;
    ch->last = NULL;
    ch->base = NULL;
    ch->hit = NULL;
    ch->reply = NULL;
    ch->stow = NULL;

    ngx_str_null(&ch->text);
    ngx_memzero(ch->frames, sizeof(ch->frames));
}


void
ngx_chat_contents_leave(ngx_chat_channel_t *ch)
{
    size_t             size;
    ngx_chat_sheet_t  *sheet;

    size = ch->memory;

    for (sheet = ch->sheets; sheet; sheet = sheet->next) {
        size += sheet->size;
    }

    ngx_chat_contents_count(ch->hub, - (ngx_int_t) size);
}


void *
ngx_chat_channel_palloc(ngx_chat_channel_t *ch, size_t size)
{
    void  *p;

    p = ngx_palloc(ch->pool, size);

    if (p) {
        ngx_chat_channel_count(ch, size);
    }

    return p;
}


ngx_int_t
ngx_chat_channel_copy(ngx_chat_channel_t *ch, ngx_str_t *s)
{
    u_char  *p;

    p = ngx_chat_channel_palloc(ch, s->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (s->len) {
        ngx_memcpy(p, s->data, s->len);
    }

    s->data = p;

    return NGX_OK;
}


/*
 * As a pool does it: pieces of blocks, or on its own what is larger than one.
 * A pool may find room in an earlier block, and has less then.
 */

void
ngx_chat_channel_count(ngx_chat_channel_t *ch, size_t size)
{
    size_t  more;

    size = ngx_align(size, NGX_ALIGNMENT);

    if (size <= ch->room) {
        ch->room -= size;
        return;
    }

    if (size > NGX_CHAT_CONTENTS_POOL - sizeof(ngx_pool_t)) {
        more = size + sizeof(ngx_pool_large_t);

    } else {
        more = NGX_CHAT_CONTENTS_POOL;
        ch->room = NGX_CHAT_CONTENTS_POOL - sizeof(ngx_pool_data_t) - size;
    }

    ch->memory += more;

    if (ch->hub) {
        ngx_chat_contents_count(ch->hub, more);
    }
}


ngx_chat_sheet_t *
ngx_chat_sheet_create(ngx_chat_channel_t *ch, size_t size)
{
    ngx_chat_sheet_t  *sheet;

    sheet = ngx_chat_sheet_alloc(ch, size);
    if (sheet == NULL) {
        return NULL;
    }

    sheet->next = ch->sheets;
    sheet->holds = 1;

    ch->sheets = sheet;

    return sheet;
}


ngx_chat_sheet_t *
ngx_chat_sheet_alloc(ngx_chat_channel_t *ch, size_t size)
{
    ngx_chat_sheet_t  *sheet;

    size += sizeof(ngx_chat_sheet_t);

    sheet = ngx_alloc(size, ch->log);
    if (sheet == NULL) {
        return NULL;
    }

    sheet->next = NULL;
    sheet->size = size;
    sheet->holds = 0;

    if (ch->hub) {
        ngx_chat_contents_count(ch->hub, size);
    }

    return sheet;
}


u_char *
ngx_chat_sheet_room(ngx_chat_sheet_t *sheet)
{
    return (u_char *) sheet + sizeof(ngx_chat_sheet_t);
}


void
ngx_chat_sheet_hold(ngx_chat_sheet_t *sheet)
{
    sheet->holds++;
}


void
ngx_chat_sheet_release(ngx_chat_sheet_t *sheet, ngx_chat_hub_t *hub)
{
    if (--sheet->holds) {
        return;
    }

    if (hub) {
        ngx_chat_contents_count(hub, - (ngx_int_t) sheet->size);
    }

    ngx_free(sheet);
}
