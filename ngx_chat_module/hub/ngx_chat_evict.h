
/*
 * Beyond the hub's bound, contents of finished channels are dropped, those of
 * the oldest first: answers that were cached, or that a look into Redis finds
 * there now.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_EVICT_H_INCLUDED_
#define _NGX_CHAT_EVICT_H_INCLUDED_


#include "ngx_chat_channel.h"


/* for the hub */
void ngx_chat_evict_init(ngx_chat_hub_t *hub);
void ngx_chat_evict_close(ngx_chat_hub_t *hub);

/* contents may be dropped that could not a moment ago */
void ngx_chat_evict_start(ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_EVICT_H_INCLUDED_ */
