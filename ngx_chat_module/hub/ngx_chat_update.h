
/*
 * Stale answers that are replaced behind their readers: for each a generation
 * is opened, unless one was on some host, and its task is queued.  Nobody waits
 * for it here, and what becomes of it is seen in the cache.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_UPDATE_H_INCLUDED_
#define _NGX_CHAT_UPDATE_H_INCLUDED_


#include "ngx_chat_channel.h"


/* 1: nothing is to be done for h and fp of gen, as it was a moment ago */
ngx_uint_t ngx_chat_update_is_begun(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen);

/*
 * Only if it is not begun.  The strings of the task lie in strings, which are
 * the update's from now on; the limit counts it.
 */
void ngx_chat_update_start(ngx_chat_hub_t *hub, ngx_chat_task_t *task,
    u_char *strings, ngx_chat_limit_t *limit);

/* for ngx_chat_hub_close() */
void ngx_chat_update_close(ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_UPDATE_H_INCLUDED_ */
