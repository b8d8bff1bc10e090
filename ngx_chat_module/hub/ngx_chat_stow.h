
/*
 * Answers on their way into the zone: one that was read from the cache, one
 * that was made here and is in the cache now, one that was made without Redis.
 * Long ones are rendered in pieces, while others are served in between.
 *
 * A stow belongs to its channel, and holds it as long as it is under way.
 */


#ifndef _NGX_CHAT_STOW_H_INCLUDED_
#define _NGX_CHAT_STOW_H_INCLUDED_


#include "ngx_chat_hub.h"
#include "../shm/ngx_chat_tier.h"


/*
 * The zone, if what it has may be served now: while changes in Redis are heard
 * of, while Redis is down, or where there is none.  Else NULL.
 */
ngx_chat_tier_t *ngx_chat_hub_get_zone(ngx_chat_hub_t *hub);

/*
 * Inside the handler of a hit: the answer goes into the zone.  ticket and ttl
 * are those of the result; key is copied.
 */
void ngx_chat_hub_stow(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_tier_key_t *key,
    ngx_atomic_uint_t ticket, int64_t ttl);

/*
 * The answer of a new generation goes into the zone once it is cached, or, of
 * one that was made without Redis, when stow_direct says so, if no worker of
 * this instance hears of Redis then; ttl in ms, key is copied.
 */
void ngx_chat_hub_stow_later(ngx_chat_channel_t *ch,
    const ngx_chat_dialect_t *dialect, ngx_chat_tier_key_t *key,
    ngx_msec_t ttl);

/* behind the completed event, with the provider's usage object */
void ngx_chat_hub_stow_direct(ngx_chat_channel_t *ch, ngx_str_t *usage);


#endif /* _NGX_CHAT_STOW_H_INCLUDED_ */
