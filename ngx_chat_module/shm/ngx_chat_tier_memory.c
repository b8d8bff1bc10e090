
#include "ngx_chat_tier_private.h"

#include <sched.h>


/* tries for the lock: at once, and when others had the processor */
#define NGX_CHAT_TIER_SPINS   64
#define NGX_CHAT_TIER_YIELDS  16

/* an entry that was used so short ago stays where it is in the list; ms */
#define NGX_CHAT_TIER_LATELY  1000


static void ngx_chat_tier_memory_repair(ngx_chat_tier_shared_t *shared);
static void ngx_chat_tier_memory_keep(ngx_chat_tier_shared_t *shared,
    uint32_t n);
static void ngx_chat_tier_memory_take(ngx_chat_tier_t *tier);
static ngx_uint_t ngx_chat_tier_memory_reap(ngx_chat_tier_shared_t *shared);
static void ngx_chat_tier_memory_clear(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_slot_t *slot);
static void ngx_chat_tier_memory_sweep(ngx_chat_tier_t *tier);
static void ngx_chat_tier_memory_give_back(ngx_chat_tier_shared_t *shared,
    uint32_t *place);
static ngx_uint_t ngx_chat_tier_memory_is_changed(
    ngx_chat_tier_shared_t *shared, ngx_chat_tier_entry_t *e);
static void ngx_chat_tier_memory_unlink(ngx_chat_tier_shared_t *shared,
    uint32_t n);


ngx_int_t
ngx_chat_tier_memory_init(ngx_shm_zone_t *shm, ngx_chat_tier_shared_t *shared,
    u_char *p, size_t size)
{
    u_char      *last;
    ngx_uint_t   n;

    last = p + size;

    shared->slots = (ngx_chat_tier_slot_t *) p;
    p += NGX_CHAT_TIER_WORKERS * sizeof(ngx_chat_tier_slot_t);

    /* tables have a place for each block, or up to twice as many */

    for (n = 256; n < (size_t) (last - p) / NGX_CHAT_TIER_BLOCK; n *= 2) {
        /* void */
    }

    shared->nmarks = n;
    shared->marks = (ngx_atomic_t *) p;
    p += n * sizeof(ngx_atomic_t);
    ngx_memzero((void *) shared->marks, n * sizeof(ngx_atomic_t));

    shared->nbuckets = n;
    shared->buckets = (uint32_t *) p;
    p += n * sizeof(uint32_t);

    n = (last - p) / (NGX_CHAT_TIER_BLOCK + sizeof(uint32_t) + 1);

    shared->nblocks = n;
    shared->blocks = p;
    p += n * NGX_CHAT_TIER_BLOCK;

    shared->next = (uint32_t *) p;
    p += n * sizeof(uint32_t);

    shared->kept = p;

    ngx_memzero(shared->slots, NGX_CHAT_TIER_WORKERS
                               * sizeof(ngx_chat_tier_slot_t));

    if (ngx_chat_zone_init_locks(shm, &shared->lock, 0, 1) != NGX_OK
        || ngx_chat_zone_init_locks(shm, &shared->slots[0].alive,
                                    sizeof(ngx_chat_tier_slot_t),
                                    NGX_CHAT_TIER_WORKERS)
           != NGX_OK
        || ngx_chat_siphash_key_generate(&shared->key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_chat_tier_memory_repair(shared);

    return NGX_OK;
}


ngx_int_t
ngx_chat_tier_lock(ngx_chat_tier_t *tier)
{
    int         rc;
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_TIER_SPINS + NGX_CHAT_TIER_YIELDS; i++) {

        rc = pthread_mutex_trylock(&tier->shared->lock);

        if (rc == EOWNERDEAD) {
            ngx_chat_tier_memory_repair(tier->shared);

            rc = pthread_mutex_consistent(&tier->shared->lock);

            if (rc != 0) {
                (void) pthread_mutex_unlock(&tier->shared->lock);
                return NGX_DECLINED;
            }
        }

        if (rc == 0) {

            if (tier->wanted) {
                ngx_chat_tier_memory_take(tier);
            }

            if (tier->pending && tier->slot) {
                ngx_chat_tier_memory_sweep(tier);
            }

            return NGX_OK;
        }

        if (i < NGX_CHAT_TIER_SPINS) {
            ngx_cpu_pause();

        } else {
            ngx_sched_yield();
        }
    }

    ngx_chat_tier_count(tier->shared, NGX_CHAT_TIER_BUSY);

    return NGX_DECLINED;
}


void
ngx_chat_tier_unlock(ngx_chat_tier_t *tier)
{
    (void) pthread_mutex_unlock(&tier->shared->lock);
}


ngx_chat_tier_entry_t *
ngx_chat_tier_entry(ngx_chat_tier_shared_t *shared, uint32_t n)
{
    return (ngx_chat_tier_entry_t *) ngx_chat_tier_block(shared, n);
}


u_char *
ngx_chat_tier_block(ngx_chat_tier_shared_t *shared, uint32_t n)
{
    return shared->blocks + (size_t) n * NGX_CHAT_TIER_BLOCK;
}


static void
ngx_chat_tier_memory_take(ngx_chat_tier_t *tier)
{
    ngx_uint_t               i;
    ngx_atomic_uint_t        used;
    ngx_chat_tier_slot_t    *slot;
    ngx_chat_tier_shared_t  *shared;

    shared = tier->shared;

    tier->wanted = 0;

    for (i = 0; i < NGX_CHAT_TIER_WORKERS; i++) {
        slot = &shared->slots[i];

        if (ngx_chat_zone_lock(&slot->alive) != NGX_OK) {
            continue;
        }

        slot->covers = 0;
        slot->pid = (ngx_atomic_uint_t) ngx_pid;
        ngx_chat_tier_memory_clear(shared, slot);

        do {
            used = shared->used;
        } while (used < i + 1
                 && !ngx_atomic_cmp_set(&shared->used, used, i + 1));

        tier->slot = slot;
        ngx_chat_tier_slot_tell(tier);

        return;
    }
}


void
ngx_chat_tier_slot_tell(ngx_chat_tier_t *tier)
{
    ngx_atomic_uint_t  word;

    if (tier->slot == NULL) {
        return;
    }

    ngx_memcpy(&word, tier->realm, sizeof(ngx_atomic_uint_t));

    tier->slot->covers = tier->covers ? word : 0;
}


/*
 * The owner of the lock has died with it: no list can be trusted.  What living
 * workers refer to is whole, since nobody changes that; all else is free.
 * Dying in here changes nothing for the next one.
 */

static void
ngx_chat_tier_memory_repair(ngx_chat_tier_shared_t *shared)
{
    uint32_t                n;
    ngx_uint_t              i, k;
    ngx_chat_tier_slot_t   *slot;

    ngx_memzero(shared->buckets, shared->nbuckets * sizeof(uint32_t));
    ngx_memzero(shared->kept, shared->nblocks);

    (void) ngx_atomic_fetch_add(&shared->counts[NGX_CHAT_TIER_LOST],
                                shared->nentries);

    shared->newest = 0;
    shared->oldest = 0;
    shared->nentries = 0;

    for (i = 0; i < shared->used; i++) {
        slot = &shared->slots[i];

        if (ngx_chat_zone_lock(&slot->alive) == NGX_OK) {
            ngx_memzero(slot->entries, sizeof(slot->entries));
            (void) pthread_mutex_unlock(&slot->alive);
            continue;
        }

        for (k = 0; k < NGX_CHAT_TIER_REFS; k++) {

            if (slot->entries[k] && slot->entries[k] < shared->nblocks) {
                ngx_chat_tier_memory_keep(shared, slot->entries[k]);
            }
        }
    }

    shared->free = 0;
    shared->nfree = 0;

    for (n = shared->nblocks - 1; n > 0; n--) {

        if (!shared->kept[n]) {
            shared->next[n] = shared->free;
            shared->free = n;
            shared->nfree++;
        }
    }
}


/*
 * A worker that has just died may still seem to live: its last entry may lack
 * a step, so the chain is what counts.  Of a worker that writes meanwhile, and
 * reads these without the lock, they become what they were.
 */

static void
ngx_chat_tier_memory_keep(ngx_chat_tier_shared_t *shared, uint32_t n)
{
    uint32_t                last, nblocks;
    ngx_chat_tier_entry_t  *e;

    e = ngx_chat_tier_entry(shared, n);

    if (shared->kept[n]) {
        e->refs++;
        return;
    }

    e->refs = 1;

    if (e->state == NGX_CHAT_TIER_LISTED) {
        e->state = NGX_CHAT_TIER_DROPPED;
    }

    nblocks = 0;

    do {
        shared->kept[n] = 1;
        nblocks++;
        last = n;

        n = shared->next[n];

    } while (n && n < shared->nblocks && !shared->kept[n]);

    e->nblocks = nblocks;
    e->last = last;
    shared->next[last] = 0;
}


uint32_t
ngx_chat_tier_alloc(ngx_chat_tier_shared_t *shared, ngx_uint_t n,
    uint32_t *last)
{
    uint32_t    first;
    ngx_uint_t  i;

    while (shared->nfree < n) {

        if (shared->oldest) {
            ngx_chat_tier_drop(shared, shared->oldest, NGX_CHAT_TIER_NO_ROOM);
            continue;
        }

        if (!ngx_chat_tier_memory_reap(shared)) {
            return 0;
        }
    }

    first = shared->free;
    *last = first;

    for (i = 1; i < n; i++) {
        *last = shared->next[*last];
    }

    shared->free = shared->next[*last];
    shared->next[*last] = 0;
    shared->nfree -= n;

    return first;
}


/* of workers that have died; 1: memory was taken back */

static ngx_uint_t
ngx_chat_tier_memory_reap(ngx_chat_tier_shared_t *shared)
{
    ngx_uint_t             i, before;
    ngx_chat_tier_slot_t  *slot;

    before = shared->nfree;

    for (i = 0; i < shared->used; i++) {
        slot = &shared->slots[i];

        if (ngx_chat_zone_lock(&slot->alive) == NGX_OK) {
            ngx_chat_tier_memory_clear(shared, slot);
            (void) pthread_mutex_unlock(&slot->alive);
        }
    }

    return shared->nfree > before;
}


/* takes back what the worker that had the slot refers to */

static void
ngx_chat_tier_memory_clear(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_slot_t *slot)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_TIER_REFS; i++) {
        ngx_chat_tier_memory_give_back(shared, &slot->entries[i]);
    }
}


/* of those who could not have the lock */

static void
ngx_chat_tier_memory_sweep(ngx_chat_tier_t *tier)
{
    ngx_uint_t            i;
    ngx_chat_tier_ref_t  *ref;

    tier->pending = 0;

    for (i = 0; i < NGX_CHAT_TIER_REFS; i++) {
        ref = &tier->refs[i];

        if (ref->entry && ref->n == 0) {
            ngx_chat_tier_memory_give_back(tier->shared,
                                           &tier->slot->entries[i]);
            ref->entry = 0;
        }
    }
}


static void
ngx_chat_tier_memory_give_back(ngx_chat_tier_shared_t *shared,
    uint32_t *place)
{
    uint32_t                n;
    ngx_chat_tier_entry_t  *e;

    n = *place;

    if (n == 0) {
        return;
    }

    *place = 0;

    e = ngx_chat_tier_entry(shared, n);

    if (--e->refs == 0 && e->state != NGX_CHAT_TIER_LISTED) {
        ngx_chat_tier_free(shared, n);
    }
}


void
ngx_chat_tier_free(ngx_chat_tier_shared_t *shared, uint32_t n)
{
    ngx_chat_tier_entry_t  *e;

    e = ngx_chat_tier_entry(shared, n);

    shared->next[e->last] = shared->free;
    shared->free = n;
    shared->nfree += e->nblocks;
}


void
ngx_chat_tier_link(ngx_chat_tier_shared_t *shared, uint32_t n)
{
    uint32_t               *bucket;
    ngx_chat_tier_entry_t  *e;

    e = ngx_chat_tier_entry(shared, n);

    bucket = &shared->buckets[e->hash & (shared->nbuckets - 1)];

    e->next = *bucket;
    *bucket = n;

    e->newer = 0;
    e->older = shared->newest;
    e->used = ngx_current_msec;

    if (shared->newest) {
        ngx_chat_tier_entry(shared, shared->newest)->newer = n;

    } else {
        shared->oldest = n;
    }

    shared->newest = n;
    shared->nentries++;

    e->state = NGX_CHAT_TIER_LISTED;
}


void
ngx_chat_tier_touch(ngx_chat_tier_shared_t *shared, uint32_t n)
{
    ngx_chat_tier_entry_t  *e;

    e = ngx_chat_tier_entry(shared, n);

    if (ngx_current_msec - e->used < NGX_CHAT_TIER_LATELY) {
        return;
    }

    ngx_chat_tier_memory_unlink(shared, n);
    ngx_chat_tier_link(shared, n);
}


void
ngx_chat_tier_drop(ngx_chat_tier_shared_t *shared, uint32_t n,
    ngx_chat_tier_count_e why)
{
    ngx_chat_tier_entry_t  *e;

    e = ngx_chat_tier_entry(shared, n);

    if (ngx_chat_tier_memory_is_changed(shared, e)) {
        why = NGX_CHAT_TIER_CHANGED;

    } else if (!ngx_chat_tier_is_valid(shared, e)) {
        why = NGX_CHAT_TIER_EXPIRED;
    }

    ngx_chat_tier_count(shared, why);

    ngx_chat_tier_memory_unlink(shared, n);

    e->state = NGX_CHAT_TIER_DROPPED;

    if (e->refs == 0) {
        ngx_chat_tier_free(shared, n);
    }
}


static ngx_uint_t
ngx_chat_tier_memory_is_changed(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_entry_t *e)
{
    return shared->all >= e->ticket || shared->marks[e->mark] >= e->ticket;
}


ngx_uint_t
ngx_chat_tier_is_valid(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_entry_t *e)
{
    return !ngx_chat_tier_memory_is_changed(shared, e)
           && (!e->expires
               || (ngx_msec_int_t) (e->end - ngx_current_msec) > 0);
}


void
ngx_chat_tier_count(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_count_e count)
{
    (void) ngx_atomic_fetch_add(&shared->counts[count], 1);
}


static void
ngx_chat_tier_memory_unlink(ngx_chat_tier_shared_t *shared, uint32_t n)
{
    uint32_t               *link;
    ngx_chat_tier_entry_t  *e;

    e = ngx_chat_tier_entry(shared, n);

    link = &shared->buckets[e->hash & (shared->nbuckets - 1)];

    while (*link != n) {
        link = &ngx_chat_tier_entry(shared, *link)->next;
    }

    *link = e->next;

    if (e->newer) {
        ngx_chat_tier_entry(shared, e->newer)->older = e->older;

    } else {
        shared->newest = e->older;
    }

    if (e->older) {
        ngx_chat_tier_entry(shared, e->older)->newer = e->newer;

    } else {
        shared->oldest = e->newer;
    }

    shared->nentries--;
}


ngx_int_t
ngx_chat_tier_ref(ngx_chat_tier_t *tier, uint32_t n)
{
    ngx_uint_t            i, place;
    ngx_chat_tier_ref_t  *ref;

    if (tier->slot == NULL) {
        return NGX_DECLINED;
    }

    place = NGX_CHAT_TIER_REFS;

    for (i = 0; i < NGX_CHAT_TIER_REFS; i++) {
        ref = &tier->refs[i];

        if (ref->entry == n) {
            ref->n++;
            return NGX_OK;
        }

        if (ref->entry == 0) {
            place = i;
        }
    }

    if (place == NGX_CHAT_TIER_REFS) {
        return NGX_DECLINED;
    }

    tier->refs[place].entry = n;
    tier->refs[place].n = 1;

    /* first the slot: what it has can be taken back */

    tier->slot->entries[place] = n;
    ngx_memory_barrier();
    ngx_chat_tier_entry(tier->shared, n)->refs++;

    return NGX_OK;
}


void
ngx_chat_tier_unref(ngx_chat_tier_t *tier, uint32_t n)
{
    ngx_uint_t            i;
    ngx_chat_tier_ref_t  *ref;

    for (i = 0; i < NGX_CHAT_TIER_REFS; i++) {
        ref = &tier->refs[i];

        if (ref->entry == n) {

            if (--ref->n) {
                return;
            }

            /* at once: a worker that is idle then would keep the memory */

            tier->pending = 1;

            if (tier->slot && ngx_chat_tier_lock(tier) == NGX_OK) {
                ngx_chat_tier_unlock(tier);
            }

            return;
        }
    }
}
