
/*
 * Generations that were opened, or may have been, for askers who were told an
 * error or have left before Redis had their task: they are dropped as soon as
 * Redis can be asked.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_ROLLBACK_H_INCLUDED_
#define _NGX_CHAT_ROLLBACK_H_INCLUDED_


#include "ngx_chat_channel.h"


/* reason is what those who have joined it are told */
void ngx_chat_rollback_start(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_error_e reason);

/* now, before another of the same key is opened: nobody has to join it */
void ngx_chat_rollback_resume(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen);

/* for ngx_chat_hub_close() */
void ngx_chat_rollback_close(ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_ROLLBACK_H_INCLUDED_ */
