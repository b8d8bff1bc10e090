
/*
 * A purge: a cached answer is removed.
 *
 * Redis holds what is cached, and the zone a copy, which goes, too.  A worker's
 * copy of an answer is for those who read it already: they read on, and nobody
 * else gets it.  A generation that runs is no cached answer, and
 * is cached when it completes.
 */


#ifndef _NGX_CHAT_PURGE_H_INCLUDED_
#define _NGX_CHAT_PURGE_H_INCLUDED_


#include "ngx_chat_hub.h"


typedef struct ngx_chat_purge_s  ngx_chat_purge_t;


/*
 * NGX_OK        it was removed
 * NGX_DECLINED  there was none
 * NGX_ERROR     Redis cannot serve
 * NGX_ABORT     an internal error, logged
 */
typedef void (*ngx_chat_purged_pt)(void *data, ngx_int_t rc);

/*
 * Removes the answer at h for all locations whose key this is.  The handler
 * fires exactly once, within the time of a command, never inside this call,
 * unless forgotten; the purge is gone when it returns.  NULL: Redis cannot be
 * asked.
 */
ngx_chat_purge_t *ngx_chat_hub_purge(ngx_chat_hub_t *hub, u_char *h,
    ngx_chat_purged_pt handler, void *data);

/*
 * The handler will not fire; Redis may do it all the same.  Needed, to free
 * the purge, if the hub was closed before it fired.
 */
void ngx_chat_hub_forget_purge(ngx_chat_purge_t *purge);

/* is anything cached in Redis at all? */
ngx_uint_t ngx_chat_hub_may_purge(ngx_chat_hub_t *hub);

/*
 * Where nothing is: removes the answer from the zone, at once.  NGX_OK,
 * NGX_DECLINED: there was none.
 */
ngx_int_t ngx_chat_hub_purge_zone(ngx_chat_hub_t *hub, u_char *h);

/* for ngx_chat_hub_close(): no handler fires any more */
void ngx_chat_hub_close_purges(ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_PURGE_H_INCLUDED_ */
