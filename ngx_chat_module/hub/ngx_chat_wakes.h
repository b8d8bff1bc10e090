
/*
 * Subscribers whose wake() is due: so many in a turn of the event loop, in the
 * order in which they became due, that whatever else the worker serves has its
 * turn in between.  A subscriber that is due already does not become so twice,
 * and takes all that has come meanwhile.  Outlives the hub, as subscribers do.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_WAKES_H_INCLUDED_
#define _NGX_CHAT_WAKES_H_INCLUDED_


#include "ngx_chat_channel.h"


void ngx_chat_wakes_add(ngx_chat_sub_t *sub);

/* idempotent */
void ngx_chat_wakes_remove(ngx_chat_sub_t *sub);


#endif /* _NGX_CHAT_WAKES_H_INCLUDED_ */
