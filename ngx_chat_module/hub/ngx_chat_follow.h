
/*
 * The source that feeds a channel from Redis: subscription, gaps filled from
 * the stream, check when it is silent.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_FOLLOW_H_INCLUDED_
#define _NGX_CHAT_FOLLOW_H_INCLUDED_


#include "ngx_chat_channel.h"


/* takes a hold on ch until its end or stop; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_follow_start(ngx_chat_channel_t *ch);

#endif /* _NGX_CHAT_FOLLOW_H_INCLUDED_ */
