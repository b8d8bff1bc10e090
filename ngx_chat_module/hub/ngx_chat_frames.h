
/*
 * Frames of a channel's events, rendered once a dialect, each behind the last
 * one as far as they are short: who is behind takes many as one piece.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_FRAMES_H_INCLUDED_
#define _NGX_CHAT_FRAMES_H_INCLUDED_


#include "ngx_chat_channel.h"


/* the frame of the entry, unless it is there; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_frames_render(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_entry_t *e);


#endif /* _NGX_CHAT_FRAMES_H_INCLUDED_ */
