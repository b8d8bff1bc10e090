
/*
 * SWAPDB is the one command that changes all answers and that Redis tells
 * nobody of, but it counts it.  While a worker covers it asks for that number,
 * every 5 s: the zone is empty when it is another one.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_SWAPS_H_INCLUDED_
#define _NGX_CHAT_SWAPS_H_INCLUDED_


#include "ngx_chat_hub_private.h"


/* NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_swaps_create(ngx_chat_hub_t *hub);
void ngx_chat_swaps_close(ngx_chat_hub_t *hub);

/* the worker covers from now on, or no more; these do nothing without create */
void ngx_chat_swaps_start(ngx_chat_hub_t *hub);
void ngx_chat_swaps_stop(ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_SWAPS_H_INCLUDED_ */
