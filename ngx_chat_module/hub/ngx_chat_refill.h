
/*
 * An answer whose contents were dropped is read from Redis again when somebody
 * asks for what is missing: once for all who are behind, and only a few answers
 * at a time, so that a worker beyond its bound stays near it.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_REFILL_H_INCLUDED_
#define _NGX_CHAT_REFILL_H_INCLUDED_


#include "ngx_chat_sub_private.h"


/*
 * Where the subscriber goes on.
 *
 * NGX_OK     next is in what there is
 * NGX_AGAIN  it is read; wake() will tell
 * NGX_ABORT  it will not come: channel->lost
 * NGX_ERROR  no memory
 */
ngx_int_t ngx_chat_refill_seek(ngx_chat_sub_t *sub);

/* for the hub */
void ngx_chat_refills_close(ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_REFILL_H_INCLUDED_ */
