
/*
 * Stows as the hub's other parts see them.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_STOW_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_STOW_PRIVATE_H_INCLUDED_


#include "ngx_chat_channel.h"
#include "ngx_chat_stow.h"


/* for ngx_chat_hub_create(), with its store open; and close, before that is */
void ngx_chat_stows_start(ngx_chat_hub_t *hub);
void ngx_chat_stows_close(ngx_chat_hub_t *hub);

/* before the answer is read that is to be stowed; 0: there is no zone */
ngx_atomic_uint_t ngx_chat_stow_ticket(ngx_chat_hub_t *hub);

/*
 * The answer of a generation that this worker has led was written, with this
 * label: older ones are gone, and it goes into the zone if it is cached.  Redis
 * keeps it for stale ms behind its ttl.
 */
void ngx_chat_stow_written(ngx_chat_channel_t *ch, ngx_str_t *label,
    ngx_msec_t stale, ngx_str_t *usage);


#endif /* _NGX_CHAT_STOW_PRIVATE_H_INCLUDED_ */
