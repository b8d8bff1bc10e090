
/*
 * A cached answer as a channel: a copy of it, whoever reads it in this worker
 * at a time, and for each dialect one rendering, which is made piece by piece
 * as the fastest reader gets on and is kept for the others.  With its last
 * reader it goes.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_HIT_H_INCLUDED_
#define _NGX_CHAT_HIT_H_INCLUDED_


#include "ngx_chat_channel.h"


/*
 * The channel of this very answer to h and fp of gen, with one hold more, of
 * the caller; NULL: no memory.
 */
ngx_chat_channel_t *ngx_chat_hit_get_channel(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen, ngx_chat_answer_t *answer);

ngx_chat_answer_t *ngx_chat_hit_get_answer(ngx_chat_channel_t *ch);

/* the link to the first piece */
ngx_chat_entry_t **ngx_chat_hit_start(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect);

/*
 * The next piece, behind those that are there, unless it was the last one; its
 * bytes are not kept if the rendering is not longer than passed with it, or
 * beyond the hub's bound.
 * NGX_OK, NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_hit_render(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, size_t passed);

/* the bytes of a piece that is taken next, unless they are there */
ngx_int_t ngx_chat_hit_render_again(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_entry_t *e);

/*
 * The answer was read again: it is the channel's contents from now on.
 * NGX_OK, NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_hit_refill(ngx_chat_channel_t *ch,
    ngx_chat_answer_t *answer);

/* a "processing" for whom the events that made the answer came to that */
ngx_chat_entry_t *ngx_chat_hit_get_restart(ngx_chat_channel_t *ch);


#endif /* _NGX_CHAT_HIT_H_INCLUDED_ */
