
#include "ngx_chat_tier_private.h"


#define NGX_CHAT_TIER_SLOTS                                             \
    (NGX_CHAT_TIER_WORKERS * sizeof(ngx_chat_tier_slot_t))

/* the slab allocator has pages of its own, and some bytes for each page */
#define NGX_CHAT_TIER_SLAB_PAGES  16
#define NGX_CHAT_TIER_SLAB_PART   64


/* a place among an entry's bytes */
typedef struct {
    uint32_t               block;
    size_t                 offset;
} ngx_chat_tier_place_t;


static ngx_int_t ngx_chat_tier_init_handler(ngx_shm_zone_t *shm, void *data);
static ngx_int_t ngx_chat_tier_init(ngx_shm_zone_t *shm, void *shared);
static void ngx_chat_tier_set(ngx_atomic_t *word, ngx_atomic_uint_t n);
static ngx_uint_t ngx_chat_tier_is_same(ngx_chat_tier_t *tier, uint32_t n,
    ngx_chat_tier_key_t *key, uint64_t hash);
static ngx_uint_t ngx_chat_tier_compare(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, ngx_str_t *s);
static void ngx_chat_tier_copy(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, u_char *p, size_t len);
static size_t ngx_chat_tier_run(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, size_t max, u_char **p);
static ngx_int_t ngx_chat_tier_get(ngx_chat_tier_t *tier, uint32_t n,
    ngx_pool_t *pool, ngx_chat_tier_answer_t *answer,
    ngx_chat_tier_hit_t *hit);
static ngx_int_t ngx_chat_tier_get_str(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, ngx_pool_t *pool, size_t len, ngx_str_t *s);


ngx_int_t
ngx_chat_tier_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, u_char *realm,
    void *tag, ngx_chat_tier_t **tier)
{
    u_char           *p;
    ngx_str_t         full;
    ngx_chat_tier_t  *t;

    t = ngx_pcalloc(cf->pool, sizeof(ngx_chat_tier_t));
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->size = size;
    ngx_memcpy(t->realm, realm, NGX_CHAT_TIER_REALM);

    /* other modules have zones, too, and may call one "chat" */

    full.len = sizeof("ngx_chat_tier_") - 1 + name->len;

    p = ngx_pnalloc(cf->pool, full.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    full.data = p;
    p = ngx_cpymem(p, "ngx_chat_tier_", sizeof("ngx_chat_tier_") - 1);
    ngx_memcpy(p, name->data, name->len);

    size += NGX_CHAT_TIER_SLOTS;
    size += size / NGX_CHAT_TIER_SLAB_PART
            + NGX_CHAT_TIER_SLAB_PAGES * ngx_pagesize;

    *tier = t;

    return ngx_chat_zone_add(cf, &full, size, tag, ngx_chat_tier_init_handler,
                             t);
}


static ngx_int_t
ngx_chat_tier_init_handler(ngx_shm_zone_t *shm, void *data)
{
    ngx_chat_tier_t  *old = data;

    ngx_chat_tier_t  *tier;

    tier = shm->data;

    if (old) {
        tier->shared = old->shared;
        return NGX_OK;
    }

    tier->shared = ngx_chat_zone_get(shm, sizeof(ngx_chat_tier_shared_t),
                                     ngx_chat_tier_init);

    return tier->shared ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_tier_init(ngx_shm_zone_t *shm, void *shared)
{
    size_t            size;
    u_char           *p;
    ngx_chat_tier_t  *tier;

    tier = shm->data;

    size = tier->size + NGX_CHAT_TIER_SLOTS;

    p = ngx_slab_alloc((ngx_slab_pool_t *) shm->shm.addr, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_chat_tier_memory_init(shm, shared, p, size);
}


/* if the lock is not to be had now, the slot is taken when it is */

void
ngx_chat_tier_take(ngx_chat_tier_t *tier)
{
    tier->wanted = 1;

    if (ngx_chat_tier_lock(tier) == NGX_OK) {
        ngx_chat_tier_unlock(tier);
    }
}


void
ngx_chat_tier_release(ngx_chat_tier_t *tier)
{
    tier->wanted = 0;

    if (tier->slot == NULL) {
        return;
    }

    /* references that are left are taken back as those of the dead are */

    tier->slot->covers = 0;

    (void) pthread_mutex_unlock(&tier->slot->alive);

    tier->slot = NULL;
}


void
ngx_chat_tier_cover(ngx_chat_tier_t *tier)
{
    ngx_atomic_uint_t        losses;
    ngx_chat_tier_shared_t  *shared;

    shared = tier->shared;
    losses = shared->losses;

    if (losses != shared->mended || !ngx_chat_tier_is_covered(tier)) {
        ngx_chat_tier_change_all(tier);
        ngx_chat_tier_set(&shared->mended, losses);
    }

    tier->covers = 1;

    ngx_chat_tier_slot_tell(tier);
}


void
ngx_chat_tier_uncover(ngx_chat_tier_t *tier, ngx_uint_t lost)
{
    if (lost) {
        (void) ngx_atomic_fetch_add(&tier->shared->losses, 1);
    }

    tier->covers = 0;

    ngx_chat_tier_slot_tell(tier);
}


ngx_uint_t
ngx_chat_tier_is_covered(ngx_chat_tier_t *tier)
{
    ngx_uint_t             i;
    ngx_atomic_uint_t      word;
    ngx_chat_tier_slot_t  *slot;

    ngx_memcpy(&word, tier->realm, sizeof(ngx_atomic_uint_t));

    for (i = 0; i < tier->shared->used; i++) {
        slot = &tier->shared->slots[i];

        if (slot->covers == word
            && !ngx_chat_zone_is_dead(&slot->alive, slot->pid))
        {
            return 1;
        }
    }

    return tier->covers;
}


ngx_atomic_uint_t
ngx_chat_tier_ticket(ngx_chat_tier_t *tier)
{
    return ngx_atomic_fetch_add(&tier->shared->counter, 1) + 1;
}


void
ngx_chat_tier_change(ngx_chat_tier_t *tier, u_char *h)
{
    ngx_chat_tier_set(&tier->shared->marks[ngx_chat_tier_mark(tier, h)],
                      ngx_chat_tier_ticket(tier));
}


void
ngx_chat_tier_change_all(ngx_chat_tier_t *tier)
{
    ngx_chat_tier_set(&tier->shared->all, ngx_chat_tier_ticket(tier));
}


void
ngx_chat_tier_swapped(ngx_chat_tier_t *tier, ngx_uint_t n)
{
    if (tier->shared->swaps != n) {
        ngx_chat_tier_change_all(tier);
        tier->shared->swaps = n;
    }
}


/* numbers only grow, whoever comes first */

static void
ngx_chat_tier_set(ngx_atomic_t *word, ngx_atomic_uint_t n)
{
    ngx_atomic_uint_t  old;

    do {
        old = *word;
    } while (old < n && !ngx_atomic_cmp_set(word, old, n));
}


ngx_uint_t
ngx_chat_tier_mark(ngx_chat_tier_t *tier, u_char *h)
{
    ngx_str_t  s;

    s.len = NGX_CHAT_HASH_LEN;
    s.data = h;

    return ngx_chat_siphash(&tier->shared->key, &s, 1)
           & (tier->shared->nmarks - 1);
}


ngx_int_t
ngx_chat_tier_purge(ngx_chat_tier_t *tier, u_char *h)
{
    uint32_t                n;
    ngx_int_t               rc;
    ngx_chat_tier_entry_t  *e;

    rc = NGX_DECLINED;

    if (ngx_chat_tier_lock(tier) == NGX_OK) {

        for (n = tier->shared->newest; n; n = e->older) {
            e = ngx_chat_tier_entry(tier->shared, n);

            if (ngx_memcmp(e->h, h, NGX_CHAT_HASH_LEN) == 0
                && ngx_chat_tier_is_valid(tier->shared, e))
            {
                rc = NGX_OK;
                break;
            }
        }

        ngx_chat_tier_unlock(tier);
    }

    ngx_chat_tier_change(tier, h);

    return rc;
}


uint64_t
ngx_chat_tier_hash(ngx_chat_tier_t *tier, ngx_chat_tier_key_t *key)
{
    u_char     room[2 + sizeof(size_t)];
    ngx_str_t  parts[5];

    room[0] = (u_char) key->kind;
    room[1] = (u_char) key->dialect;
    ngx_memcpy(&room[2], &key->scope.len, sizeof(size_t));

    parts[0].len = sizeof(room);
    parts[0].data = room;
    parts[1].len = NGX_CHAT_TIER_REALM;
    parts[1].data = tier->realm;
    parts[2].len = NGX_CHAT_FP_LEN;
    parts[2].data = key->fp;
    parts[3] = key->scope;
    parts[4] = key->key;

    return ngx_chat_siphash(&tier->shared->key, parts, 5);
}


uint32_t
ngx_chat_tier_search(ngx_chat_tier_t *tier, ngx_chat_tier_key_t *key,
    uint64_t hash)
{
    uint32_t                 n;
    ngx_chat_tier_shared_t  *shared;

    shared = tier->shared;

    n = shared->buckets[hash & (shared->nbuckets - 1)];

    while (n && !ngx_chat_tier_is_same(tier, n, key, hash)) {
        n = ngx_chat_tier_entry(shared, n)->next;
    }

    return n;
}


static ngx_uint_t
ngx_chat_tier_is_same(ngx_chat_tier_t *tier, uint32_t n,
    ngx_chat_tier_key_t *key, uint64_t hash)
{
    ngx_chat_tier_entry_t  *e;
    ngx_chat_tier_place_t   place;

    e = ngx_chat_tier_entry(tier->shared, n);

    if (e->hash != hash
        || e->kind != key->kind
        || e->dialect != key->dialect
        || e->scope_len != key->scope.len
        || e->key_len != key->key.len
        || ngx_memcmp(e->fp, key->fp, NGX_CHAT_FP_LEN) != 0
        || ngx_memcmp(e->realm, tier->realm, NGX_CHAT_TIER_REALM) != 0)
    {
        return 0;
    }

    place.block = n;
    place.offset = sizeof(ngx_chat_tier_entry_t);

    return ngx_chat_tier_compare(tier->shared, &place, &key->scope)
           && ngx_chat_tier_compare(tier->shared, &place, &key->key);
}


static ngx_uint_t
ngx_chat_tier_compare(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, ngx_str_t *s)
{
    size_t   n, done;
    u_char  *p;

    for (done = 0; done < s->len; done += n) {

        n = ngx_chat_tier_run(shared, place, s->len - done, &p);

        if (ngx_memcmp(p, s->data + done, n) != 0) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_chat_tier_copy(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, u_char *dst, size_t len)
{
    size_t   n, done;
    u_char  *p;

    for (done = 0; done < len; done += n) {
        n = ngx_chat_tier_run(shared, place, len - done, &p);
        ngx_memcpy(dst + done, p, n);
    }
}


/* bytes that lie together: blocks often follow one another in memory */

static size_t
ngx_chat_tier_run(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, size_t max, u_char **p)
{
    size_t    n;
    uint32_t  next;

    if (place->offset == NGX_CHAT_TIER_BLOCK) {
        place->block = shared->next[place->block];
        place->offset = 0;
    }

    *p = ngx_chat_tier_block(shared, place->block) + place->offset;

    n = NGX_CHAT_TIER_BLOCK - place->offset;

    while (n < max) {
        next = shared->next[place->block];

        if (next != place->block + 1) {
            place->offset = NGX_CHAT_TIER_BLOCK;
            return n;
        }

        place->block = next;
        n += NGX_CHAT_TIER_BLOCK;
    }

    place->offset = NGX_CHAT_TIER_BLOCK - (n - max);

    return max;
}


ngx_int_t
ngx_chat_tier_find(ngx_chat_tier_t *tier, ngx_chat_tier_key_t *key,
    ngx_pool_t *pool, ngx_chat_tier_answer_t *answer,
    ngx_chat_tier_hit_t *hit)
{
    uint32_t                 n;
    uint64_t                 hash;
    ngx_int_t                rc;
    ngx_chat_tier_shared_t  *shared;

    shared = tier->shared;

    ngx_memzero(hit, sizeof(ngx_chat_tier_hit_t));
    hit->tier = tier;

    hash = ngx_chat_tier_hash(tier, key);

    /* without the lock: what is not there need not be looked for */

    if (shared->buckets[hash & (shared->nbuckets - 1)] == 0
        || ngx_chat_tier_lock(tier) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    n = ngx_chat_tier_search(tier, key, hash);

    if (n) {

        if (ngx_chat_tier_is_valid(shared, ngx_chat_tier_entry(shared, n))) {
            ngx_chat_tier_touch(shared, n);
            rc = ngx_chat_tier_get(tier, n, pool, answer, hit);

        } else {
            ngx_chat_tier_drop(shared, n, NGX_CHAT_TIER_CHANGED);
        }
    }

    ngx_chat_tier_unlock(tier);

    return rc;
}


static ngx_int_t
ngx_chat_tier_get(ngx_chat_tier_t *tier, uint32_t n, ngx_pool_t *pool,
    ngx_chat_tier_answer_t *answer, ngx_chat_tier_hit_t *hit)
{
    size_t                   skip;
    u_char                  *p;
    ngx_chat_tier_entry_t   *e;
    ngx_chat_tier_place_t    place;
    ngx_chat_tier_shared_t  *shared;

    shared = tier->shared;
    e = ngx_chat_tier_entry(shared, n);

    ngx_memcpy(answer->h, e->h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(answer->id, e->id, NGX_CHAT_ID_LEN);

    answer->usage = e->usage;
    answer->chunks = e->chunks;
    answer->ttl = e->expires ? (int64_t) (e->end - ngx_current_msec)
                             : NGX_CHAT_ANSWER_NO_TTL;

    place.block = n;
    place.offset = sizeof(ngx_chat_tier_entry_t);

    for (skip = e->scope_len + e->key_len; skip; /* void */ ) {
        skip -= ngx_chat_tier_run(shared, &place, skip, &p);
    }

    if (ngx_chat_tier_get_str(shared, &place, pool, e->provider_len,
                              &answer->origin.provider)
        != NGX_OK
        || ngx_chat_tier_get_str(shared, &place, pool, e->model_len,
                                 &answer->origin.model)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    hit->length = e->size - e->scope_len - e->key_len - e->provider_len
                  - e->model_len;

    if (hit->length <= NGX_CHAT_TIER_COPY) {
        return ngx_chat_tier_get_str(shared, &place, pool, hit->length,
                                     &hit->body);
    }

    if (ngx_chat_tier_ref(tier, n) != NGX_OK) {
        return NGX_DECLINED;
    }

    hit->entry = n;
    hit->block = place.block;
    hit->offset = place.offset;
    hit->left = hit->length;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_tier_get_str(ngx_chat_tier_shared_t *shared,
    ngx_chat_tier_place_t *place, ngx_pool_t *pool, size_t len, ngx_str_t *s)
{
    s->len = len;
    s->data = ngx_pnalloc(pool, len + 1);

    if (s->data == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_tier_copy(shared, place, s->data, len);

    return NGX_OK;
}


ngx_int_t
ngx_chat_tier_read(ngx_chat_tier_hit_t *hit, size_t max, ngx_str_t *bytes)
{
    ngx_chat_tier_place_t  place;

    if (hit->left == 0) {
        return NGX_DONE;
    }

    place.block = hit->block;
    place.offset = hit->offset;

    bytes->len = ngx_chat_tier_run(hit->tier->shared, &place,
                                   ngx_min(max, hit->left), &bytes->data);

    hit->block = place.block;
    hit->offset = place.offset;
    hit->left -= bytes->len;

    return NGX_OK;
}


void
ngx_chat_tier_leave(ngx_chat_tier_hit_t *hit)
{
    if (hit->entry) {
        ngx_chat_tier_unref(hit->tier, hit->entry);
        hit->entry = 0;
    }
}


void
ngx_chat_tier_get_state(ngx_chat_tier_t *tier, ngx_chat_tier_state_t *state)
{
    ngx_uint_t               i;
    ngx_chat_tier_shared_t  *shared;

    shared = tier->shared;

    for (i = 0; i < NGX_CHAT_TIER_COUNTS; i++) {
        state->counts[i] = shared->counts[i];
    }

    state->entries = shared->nentries;
    state->size = (shared->nblocks - 1) * NGX_CHAT_TIER_BLOCK;
    state->used = state->size - shared->nfree * NGX_CHAT_TIER_BLOCK;
}
