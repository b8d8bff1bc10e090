
/*
 * All that a channel holds besides itself, counted as it is allocated: events
 * and texts in its pool, frames on sheets.  Contents can be dropped while the
 * channel lives, and others take their place.  A subscriber holds the sheets
 * that bytes under way to its client lie on: these stay as long as it does.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_CONTENTS_H_INCLUDED_
#define _NGX_CHAT_CONTENTS_H_INCLUDED_


#include "ngx_chat_channel.h"


struct ngx_chat_sheet_s {
    ngx_chat_sheet_t      *next;       /* of the channel, while that has it */
    size_t                 size;
    ngx_uint_t             holds;
};


/* the hub holds n bytes more; if that is too much, contents will be dropped */
void ngx_chat_contents_count(ngx_chat_hub_t *hub, ngx_int_t n);

/* does the hub hold more than it may?  NULL: it was closed */
ngx_uint_t ngx_chat_contents_is_full(ngx_chat_hub_t *hub);

/* a pool, nothing in it; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_contents_create(ngx_chat_channel_t *ch);

/* idempotent */
void ngx_chat_contents_drop(ngx_chat_channel_t *ch);

/* the channel leaves the hub, which counts them no more */
void ngx_chat_contents_leave(ngx_chat_channel_t *ch);

/*
 * From the channel's pool, and counted, in no time; what others have taken
 * from it is to be counted.  Of copy s becomes one; NULL, NGX_ERROR: no memory.
 */
void *ngx_chat_channel_palloc(ngx_chat_channel_t *ch, size_t size);
ngx_int_t ngx_chat_channel_copy(ngx_chat_channel_t *ch, ngx_str_t *s);
void ngx_chat_channel_count(ngx_chat_channel_t *ch, size_t size);

/*
 * With room for so much: the channel's, or of alloc that of who holds it next.
 * NULL: no memory.
 */
ngx_chat_sheet_t *ngx_chat_sheet_create(ngx_chat_channel_t *ch, size_t size);
ngx_chat_sheet_t *ngx_chat_sheet_alloc(ngx_chat_channel_t *ch, size_t size);
u_char *ngx_chat_sheet_room(ngx_chat_sheet_t *sheet);

void ngx_chat_sheet_hold(ngx_chat_sheet_t *sheet);

/* hub NULL: it was closed */
void ngx_chat_sheet_release(ngx_chat_sheet_t *sheet, ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_CONTENTS_H_INCLUDED_ */
