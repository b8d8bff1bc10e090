
/*
 * A resolver of the process' own, with the name servers of that of http{} and
 * with sockets and timers of its own: those of http{} belong to the process
 * that has used them, and a filler is forked from such a one.
 */


#ifndef _NGX_CHAT_RESOLVER_H_INCLUDED_
#define _NGX_CHAT_RESOLVER_H_INCLUDED_


#include "../ngx_chat.h"


/* the same one each time; NULL: no memory */
ngx_resolver_t *ngx_chat_resolver_get(ngx_resolver_t *like, ngx_log_t *log);

/* in a process that was forked from one that may have used its own */
void ngx_chat_resolver_forget_parent(void);


#endif /* _NGX_CHAT_RESOLVER_H_INCLUDED_ */
