
/*
 * A subscriber connection shared by any number of channels.  It is PINGed
 * every 5 s; after a loss it reconnects and subscribes to everything again.
 *
 * Callbacks never fire inside subscribe or unsubscribe, and may call both.
 *
 * It may also hear of each change of keys that begin so, be it by a command,
 * by expiry or eviction (CLIENT TRACKING).  A server that does not let it, for
 * want of a privilege, is a server that nothing is heard of; the rest goes on.
 */


#ifndef _NGX_CHAT_REDIS_PUBSUB_H_INCLUDED_
#define _NGX_CHAT_REDIS_PUBSUB_H_INCLUDED_


#include "ngx_chat_redis.h"


typedef struct ngx_chat_pubsub_s        ngx_chat_pubsub_t;
typedef struct ngx_chat_pubsub_sub_s    ngx_chat_pubsub_sub_t;


typedef struct {
    /* Redis confirmed the subscription: now, or after a reconnect */
    void           (*confirmed)(void *data);

    /* message is valid during the call */
    void           (*message)(void *data, ngx_str_t *message);
} ngx_chat_pubsub_ops_t;


typedef struct {
    /* from now on all changes are heard of, until lost() */
    void           (*covered)(void *data);
    void           (*lost)(void *data);

    /*
     * key is valid during the call; NULL: all there are, also while not covered
     * when a server lives that will not tell, or is a replica, and may be late
     */
    void           (*changed)(void *data, ngx_str_t *key);
} ngx_chat_pubsub_tracking_t;


/* connects, and subscribes again after each loss; NULL: no memory */
ngx_chat_pubsub_t *ngx_chat_pubsub_open(ngx_chat_redis_conf_t *rcf,
    ngx_log_t *log);

/* of keys that begin with prefix, which must last; at once after open */
void ngx_chat_pubsub_track(ngx_chat_pubsub_t *ps, ngx_str_t *prefix,
    const ngx_chat_pubsub_tracking_t *tracking, void *data);

/* frees the subscriptions too; no callback fires any more */
void ngx_chat_pubsub_close(ngx_chat_pubsub_t *ps);

ngx_uint_t ngx_chat_pubsub_up(ngx_chat_pubsub_t *ps);

/* reconnects, as its address may lead elsewhere now */
void ngx_chat_pubsub_reconnect(ngx_chat_pubsub_t *ps);

/*
 * A name has one subscription: the caller keeps track of sharing.  While the
 * connection is down it is noted and made later.  NULL: no memory.
 */
ngx_chat_pubsub_sub_t *ngx_chat_pubsub_subscribe(ngx_chat_pubsub_t *ps,
    ngx_str_t *name, const ngx_chat_pubsub_ops_t *ops, void *data);
void ngx_chat_pubsub_unsubscribe(ngx_chat_pubsub_sub_t *sub);


#endif /* _NGX_CHAT_REDIS_PUBSUB_H_INCLUDED_ */
