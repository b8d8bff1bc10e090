
/*
 * A zone of answers for the tests of it, in memory as nginx would give it, and
 * answers of many lengths for it: number n has a key, a length and a text that
 * follow from n.
 */


#ifndef _UT_TIERS_H_INCLUDED_
#define _UT_TIERS_H_INCLUDED_


#include "../../ngx_chat_module/shm/ngx_chat_tier_private.h"

#include "ut.h"


#define UT_NO_TTL  NGX_CHAT_ANSWER_NO_TTL
#define UT_KEYS    40


/* as nginx does it at a start, in memory that is not clear; with a slot */
ngx_chat_tier_t *ut_tier(size_t size);

/* a lock must not be held when its memory goes */
void ut_tier_free(ngx_chat_tier_t *tier);

/* in a process just forked: a worker of its own */
void ut_enter(ngx_chat_tier_t *tier);

ngx_chat_tier_key_t *ut_key(ngx_uint_t n);

/* short ones, and long ones that are read from the zone */
size_t ut_len(ngx_uint_t n);

ngx_int_t ut_write(ngx_chat_tier_t *tier, ngx_uint_t n,
    ngx_atomic_uint_t ticket, int64_t ttl);

ngx_uint_t ut_is_right(ngx_chat_tier_hit_t *hit, ngx_uint_t n);
ngx_uint_t ut_has(ngx_chat_tier_t *tier, ngx_uint_t n);


#endif /* _UT_TIERS_H_INCLUDED_ */
