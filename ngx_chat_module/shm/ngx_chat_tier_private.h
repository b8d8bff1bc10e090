
/*
 * The zone's memory.  Blocks have numbers, 0 is none; next[] links those of an
 * entry, and those that are free.  An entry goes by its first block, which
 * begins with ngx_chat_tier_entry_t; scope, key, provider, model and body
 * follow, one behind the other.
 *
 * Everything here but the atomic words is read and written under the lock; of
 * an entry that is referred to, what never changes may be read without.
 *
 * Private to shm/.
 */


#ifndef _NGX_CHAT_TIER_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_TIER_PRIVATE_H_INCLUDED_


#include "ngx_chat_tier.h"
#include "ngx_chat_zone.h"
#include "../codec/ngx_chat_siphash.h"


#define NGX_CHAT_TIER_BLOCK    1024
#define NGX_CHAT_TIER_WORKERS  NGX_MAX_PROCESSES
#define NGX_CHAT_TIER_REFS     64     /* entries that a worker refers to */


typedef enum {
    NGX_CHAT_TIER_WRITING = 0,
    NGX_CHAT_TIER_LISTED,
    NGX_CHAT_TIER_DROPPED              /* somebody still reads it */
} ngx_chat_tier_entry_state_e;


typedef struct {
    /* changes at any time */
    ngx_uint_t             state;
    ngx_uint_t             refs;       /* workers that refer to it */
    uint32_t               next;       /* in its bucket */
    uint32_t               newer;      /* by use */
    uint32_t               older;
    ngx_msec_t             used;

    /* fixed, once the entry is listed */
    uint32_t               last;       /* block */
    uint32_t               nblocks;
    size_t                 size;       /* of all bytes in these */
    uint64_t               hash;
    ngx_atomic_uint_t      ticket;
    ngx_uint_t             mark;       /* place of h in marks[] */
    ngx_uint_t             expires;    /* at all */
    ngx_msec_t             end;        /* then */
    ngx_uint_t             chunks;
    ngx_chat_usage_t       usage;
    ngx_uint_t             kind;
    ngx_uint_t             dialect;
    size_t                 scope_len;
    size_t                 key_len;
    size_t                 provider_len;
    size_t                 model_len;
    u_char                 realm[NGX_CHAT_TIER_REALM];
    u_char                 fp[NGX_CHAT_FP_LEN];
    u_char                 h[NGX_CHAT_HASH_LEN];
    u_char                 id[NGX_CHAT_ID_LEN];
} ngx_chat_tier_entry_t;


typedef struct {
    pthread_mutex_t        alive;      /* held as long as the worker lives */
    ngx_atomic_t           pid;
    ngx_atomic_t           covers;     /* word of a realm; 0: it does not */
    uint32_t               entries[NGX_CHAT_TIER_REFS];
} ngx_chat_tier_slot_t;


typedef struct {
    pthread_mutex_t        lock;
    ngx_chat_siphash_key_t  key;

    ngx_atomic_t           counter;    /* of tickets and changes */
    ngx_atomic_t           all;        /* last change of all */
    ngx_atomic_t           losses;     /* workers that lost sight of changes */
    ngx_atomic_t           mended;     /* of these, as of the last drop */
    ngx_atomic_t           swaps;      /* as counted last, by any worker */
    ngx_atomic_t           used;       /* slots, from the first */
    ngx_atomic_t           counts[NGX_CHAT_TIER_COUNTS];

    ngx_uint_t             nblocks;    /* with the one that is none */
    ngx_uint_t             nbuckets;   /* a power of two, as nmarks */
    ngx_uint_t             nmarks;
    ngx_uint_t             nfree;
    ngx_uint_t             nentries;   /* listed */
    uint32_t               free;
    uint32_t               newest;
    uint32_t               oldest;

    ngx_chat_tier_slot_t  *slots;
    ngx_atomic_t          *marks;      /* changes by h */
    uint32_t              *buckets;
    uint32_t              *next;
    u_char                *kept;       /* for the repair, one for a block */
    u_char                *blocks;
} ngx_chat_tier_shared_t;


/* of this process alone; n is 0 where the reference is to be given back */
typedef struct {
    uint32_t               entry;      /* 0: none */
    ngx_uint_t             n;
} ngx_chat_tier_ref_t;


struct ngx_chat_tier_s {
    ngx_chat_tier_shared_t  *shared;
    ngx_chat_tier_slot_t  *slot;       /* NULL: none */
    u_char                 realm[NGX_CHAT_TIER_REALM];
    size_t                 size;
    ngx_uint_t             wanted;     /* a slot is, when the lock is had */
    ngx_uint_t             covers;     /* the worker does */
    ngx_uint_t             pending;    /* references are to be given back */
    ngx_chat_tier_ref_t    refs[NGX_CHAT_TIER_REFS];
};


/* ngx_chat_tier_memory.c */

/* lays it out in size bytes; NGX_OK, NGX_ERROR */
ngx_int_t ngx_chat_tier_memory_init(ngx_shm_zone_t *shm,
    ngx_chat_tier_shared_t *shared, u_char *p, size_t size);

/*
 * NGX_OK, NGX_DECLINED: others have it for too long.  What had to wait for it
 * is done first.
 */
ngx_int_t ngx_chat_tier_lock(ngx_chat_tier_t *tier);
void ngx_chat_tier_unlock(ngx_chat_tier_t *tier);

ngx_chat_tier_entry_t *ngx_chat_tier_entry(ngx_chat_tier_shared_t *shared,
    uint32_t n);
u_char *ngx_chat_tier_block(ngx_chat_tier_shared_t *shared, uint32_t n);

/*
 * A chain of n blocks out of free ones, or of what was used least lately;
 * returns the first, *last is the last.  0: there are not so many.
 */
uint32_t ngx_chat_tier_alloc(ngx_chat_tier_shared_t *shared, ngx_uint_t n,
    uint32_t *last);

/* of an entry that nobody refers to, and that is not listed */
void ngx_chat_tier_free(ngx_chat_tier_shared_t *shared, uint32_t n);

/* says in the worker's slot whether it covers */
void ngx_chat_tier_slot_tell(ngx_chat_tier_t *tier);

void ngx_chat_tier_link(ngx_chat_tier_shared_t *shared, uint32_t n);
void ngx_chat_tier_touch(ngx_chat_tier_shared_t *shared, uint32_t n);

/*
 * Out of the lists; the memory goes with the last reference.  why: as what it
 * is counted if it is valid.
 */
void ngx_chat_tier_drop(ngx_chat_tier_shared_t *shared, uint32_t n,
    ngx_chat_tier_count_e why);

/* has neither its end come nor a change since its ticket was taken? */
ngx_uint_t ngx_chat_tier_is_valid(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_entry_t *e);

void ngx_chat_tier_count(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_count_e count);

/* the worker refers to it once more; NGX_DECLINED: to too many already */
ngx_int_t ngx_chat_tier_ref(ngx_chat_tier_t *tier, uint32_t n);

/* once less; without having the lock, which need not be free */
void ngx_chat_tier_unref(ngx_chat_tier_t *tier, uint32_t n);


/* ngx_chat_tier.c */

/* the entry of this key, valid or not; 0: none */
uint32_t ngx_chat_tier_search(ngx_chat_tier_t *tier, ngx_chat_tier_key_t *key,
    uint64_t hash);
uint64_t ngx_chat_tier_hash(ngx_chat_tier_t *tier, ngx_chat_tier_key_t *key);

ngx_uint_t ngx_chat_tier_mark(ngx_chat_tier_t *tier, u_char *h);


#endif /* _NGX_CHAT_TIER_PRIVATE_H_INCLUDED_ */
