
/*
 * Names over a limit, for a moment: what they ask meanwhile costs Redis
 * nothing.  Private to hub/.
 */


#ifndef _NGX_CHAT_LIMITED_H_INCLUDED_
#define _NGX_CHAT_LIMITED_H_INCLUDED_


#include "ngx_chat_hub_private.h"


/* ms until the name may ask again; 0: Redis is to be asked */
ngx_msec_t ngx_chat_limited_get(ngx_chat_hub_t *hub, ngx_chat_limit_t *limit);

/* Redis has said so just now */
void ngx_chat_limited_set(ngx_chat_hub_t *hub, ngx_chat_limit_t *limit,
    ngx_msec_t wait);


#endif /* _NGX_CHAT_LIMITED_H_INCLUDED_ */
