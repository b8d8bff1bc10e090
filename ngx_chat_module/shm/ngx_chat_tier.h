
/*
 * The zone: complete answers in shared memory, as the bytes that clients get,
 * for all workers of an instance.  An entry is found by a keyed hash, and is
 * the right one if scope, key and fingerprint are the same, byte by byte.
 *
 * Coherence.  Tickets and changes have numbers out of one counter.  A ticket
 * is taken before an answer is read; a change of the answer at h, or of all,
 * leaves its number in a table.  An entry with a ticket that is older than a
 * change of its h is no entry.  So to tell a change takes no lock, and it does
 * not matter whether the answer or the news of its change comes first.  Answers
 * whose h share a place in the table go together, which is rare.
 *
 * Workers say whether they hear of all changes (they cover).  What nobody has
 * covered for a moment is dropped before anybody covers again.
 *
 * Memory.  An entry is a chain of blocks, which does not change from when the
 * entry is listed to when its last reader has left.  Large answers are sent
 * from these: readers of a worker have one reference together, in the worker's
 * slot.  A worker that dies leaves a slot whose lock tells so, and what it has
 * referred to, or was about to list, is taken back when memory is wanted.  If
 * it dies inside the zone's own lock, the next one drops all entries, and keeps
 * the blocks that living workers refer to.  A worker never waits long for the
 * lock: without it, the zone has nothing and takes nothing.
 */


#ifndef _NGX_CHAT_TIER_H_INCLUDED_
#define _NGX_CHAT_TIER_H_INCLUDED_


#include "../ngx_chat.h"
#include "../codec/ngx_chat_answer.h"
#include "../codec/ngx_chat_usage.h"


#define NGX_CHAT_TIER_MIN    (64 * 1024)
#define NGX_CHAT_TIER_REALM  16

/* a longer body is not copied, but read from the zone */
#define NGX_CHAT_TIER_COPY   (16 * 1024)


/* by what an answer is found; strings are the caller's */
typedef struct {
    ngx_uint_t             kind;       /* how h is made of these */
    ngx_uint_t             dialect;
    ngx_str_t              scope;
    ngx_str_t              key;
    u_char                *fp;         /* NGX_CHAT_FP_LEN */
} ngx_chat_tier_key_t;


/* the rest that is known about an answer */
typedef struct {
    u_char                 h[NGX_CHAT_HASH_LEN];
    u_char                 id[NGX_CHAT_ID_LEN];   /* of its generation */
    ngx_chat_origin_t      origin;
    ngx_chat_usage_t       usage;
    ngx_uint_t             chunks;
    int64_t                ttl;        /* ms left, or NGX_CHAT_ANSWER_NO_TTL */
} ngx_chat_tier_answer_t;


typedef struct {
    ngx_chat_tier_t       *tier;
    size_t                 length;     /* of the body */
    ngx_str_t              body;       /* a copy; data NULL: it is to be read */
    uint32_t               entry;      /* referred to; 0: none */
    uint32_t               block;      /* where reading goes on */
    size_t                 offset;     /* in that */
    size_t                 left;
} ngx_chat_tier_hit_t;


typedef struct {
    ngx_chat_tier_t       *tier;
    ngx_atomic_uint_t      ticket;
    uint32_t               entry;      /* referred to; 0: none */
} ngx_chat_tier_writer_t;


typedef enum {
    NGX_CHAT_TIER_STORED = 0,

    /* gone since; what was stored is here, or in the entries */
    NGX_CHAT_TIER_NO_ROOM,         /* for another one */
    NGX_CHAT_TIER_CHANGED,
    NGX_CHAT_TIER_EXPIRED,
    NGX_CHAT_TIER_LOST,            /* with a worker that died in the lock */

    NGX_CHAT_TIER_REFUSED,         /* for want of room, or of the lock */
    NGX_CHAT_TIER_BUSY,            /* times that the lock was not to be had */

    NGX_CHAT_TIER_COUNTS
} ngx_chat_tier_count_e;


typedef struct {
    ngx_uint_t             entries;
    size_t                 size;       /* of all memory for entries */
    size_t                 used;
    ngx_atomic_t           counts[NGX_CHAT_TIER_COUNTS];
} ngx_chat_tier_state_t;


/*
 * Adds the zone to the configuration.  realm, NGX_CHAT_TIER_REALM bytes, says
 * what the answers are copies of: those of another one are not found.  *tier
 * is valid in init_process and later.
 */
ngx_int_t ngx_chat_tier_add(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    u_char *realm, void *tag, ngx_chat_tier_t **tier);

/*
 * A worker's slot, from init_process to exit_process, or a bit later if others
 * have the lock.  Without a free one the worker has copies of short answers
 * alone, and lists none.
 */
void ngx_chat_tier_take(ngx_chat_tier_t *tier);
void ngx_chat_tier_release(ngx_chat_tier_t *tier);

/*
 * The worker hears of all changes from now on, or does not any more; lost: and
 * may not have heard of all.
 */
void ngx_chat_tier_cover(ngx_chat_tier_t *tier);
void ngx_chat_tier_uncover(ngx_chat_tier_t *tier, ngx_uint_t lost);

/* does any worker cover now, this one or another? */
ngx_uint_t ngx_chat_tier_is_covered(ngx_chat_tier_t *tier);

/* before an answer is read; numbers are never 0 */
ngx_atomic_uint_t ngx_chat_tier_ticket(ngx_chat_tier_t *tier);

/* the answer at h, or each one, is not what it was */
void ngx_chat_tier_change(ngx_chat_tier_t *tier, u_char *h);
void ngx_chat_tier_change_all(ngx_chat_tier_t *tier);

/* so often were all answers swapped for others, as Redis counts it */
void ngx_chat_tier_swapped(ngx_chat_tier_t *tier, ngx_uint_t n);

/* NGX_OK: there was an entry of this h; NGX_DECLINED: none was seen */
ngx_int_t ngx_chat_tier_purge(ngx_chat_tier_t *tier, u_char *h);

/*
 * NGX_OK        strings of *answer are in pool; *hit is to be released, at the
 *               latest before pool goes
 * NGX_DECLINED  nothing is found
 * NGX_ERROR     no memory in pool
 */
ngx_int_t ngx_chat_tier_find(ngx_chat_tier_t *tier, ngx_chat_tier_key_t *key,
    ngx_pool_t *pool, ngx_chat_tier_answer_t *answer,
    ngx_chat_tier_hit_t *hit);

/*
 * The next bytes of a body that was not copied, max at most, which last until
 * the hit is released; NGX_OK, NGX_DONE behind the last.
 */
ngx_int_t ngx_chat_tier_read(ngx_chat_tier_hit_t *hit, size_t max,
    ngx_str_t *bytes);

/* idempotent */
void ngx_chat_tier_leave(ngx_chat_tier_hit_t *hit);

/*
 * An answer is written in pieces, and listed in one step, in place of what was
 * there.  size: a guess that is not too high.  After NGX_OK of begin, end or
 * abort must follow; a writer that has ended is left alone by abort.
 *
 * NGX_OK        on
 * NGX_DECLINED  not taken: there is no room, the answer has changed since the
 *               ticket was taken, or what is there is as good
 */
ngx_int_t ngx_chat_tier_write_begin(ngx_chat_tier_writer_t *w,
    ngx_chat_tier_t *tier, ngx_atomic_uint_t ticket, ngx_chat_tier_key_t *key,
    ngx_chat_tier_answer_t *answer, size_t size);
ngx_int_t ngx_chat_tier_write(ngx_chat_tier_writer_t *w, u_char *p, size_t len);
ngx_int_t ngx_chat_tier_write_end(ngx_chat_tier_writer_t *w,
    ngx_chat_tier_key_t *key, ngx_uint_t chunks);
void ngx_chat_tier_write_abort(ngx_chat_tier_writer_t *w);

/* without the lock: as far as it is seen */
void ngx_chat_tier_get_state(ngx_chat_tier_t *tier,
    ngx_chat_tier_state_t *state);


#endif /* _NGX_CHAT_TIER_H_INCLUDED_ */
