
#include "ngx_chat_tier_private.h"


/* an entry has so much of the zone at most */
#define NGX_CHAT_TIER_PART  2


static ngx_uint_t ngx_chat_tier_write_is_late(ngx_chat_tier_writer_t *w,
    uint32_t older);
static ngx_int_t ngx_chat_tier_write_create(ngx_chat_tier_writer_t *w,
    ngx_chat_tier_key_t *key, uint64_t hash, ngx_chat_tier_answer_t *answer);
static ngx_int_t ngx_chat_tier_write_grow(ngx_chat_tier_writer_t *w,
    size_t len);


ngx_int_t
ngx_chat_tier_write_begin(ngx_chat_tier_writer_t *w, ngx_chat_tier_t *tier,
    ngx_atomic_uint_t ticket, ngx_chat_tier_key_t *key,
    ngx_chat_tier_answer_t *answer, size_t size)
{
    uint32_t                n;
    uint64_t                hash;
    ngx_int_t               rc;
    ngx_str_t              *strings[4];
    ngx_uint_t              i;
    ngx_chat_tier_entry_t  *e;

    w->tier = tier;
    w->ticket = ticket;
    w->entry = 0;

    hash = ngx_chat_tier_hash(tier, key);

    /* in vain, and others would have to go for it */

    if (size / NGX_CHAT_TIER_BLOCK
        >= tier->shared->nblocks / NGX_CHAT_TIER_PART
        || ngx_chat_tier_lock(tier) != NGX_OK)
    {
        ngx_chat_tier_count(tier->shared, NGX_CHAT_TIER_REFUSED);
        return NGX_DECLINED;
    }

    n = ngx_chat_tier_search(tier, key, hash);
    e = ngx_chat_tier_entry(tier->shared, n);

    if (ngx_chat_tier_write_is_late(w, n)
        || (n && ngx_chat_tier_is_valid(tier->shared, e)
            && ngx_memcmp(e->id, answer->id, NGX_CHAT_ID_LEN) == 0))
    {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_tier_write_create(w, key, hash, answer);

        if (rc != NGX_OK) {
            ngx_chat_tier_count(tier->shared, NGX_CHAT_TIER_REFUSED);
        }
    }

    ngx_chat_tier_unlock(tier);

    strings[0] = &key->scope;
    strings[1] = &key->key;
    strings[2] = &answer->origin.provider;
    strings[3] = &answer->origin.model;

    for (i = 0; i < 4 && rc == NGX_OK; i++) {
        rc = ngx_chat_tier_write(w, strings[i]->data, strings[i]->len);
    }

    if (rc != NGX_OK) {
        ngx_chat_tier_write_abort(w);
    }

    return rc;
}


/* has the answer changed, or is one there that was asked for later? */

static ngx_uint_t
ngx_chat_tier_write_is_late(ngx_chat_tier_writer_t *w, uint32_t older)
{
    ngx_chat_tier_shared_t  *shared;

    shared = w->tier->shared;

    return shared->all > w->ticket
           || (older
               && ngx_chat_tier_entry(shared, older)->ticket > w->ticket);
}


static ngx_int_t
ngx_chat_tier_write_create(ngx_chat_tier_writer_t *w,
    ngx_chat_tier_key_t *key, uint64_t hash, ngx_chat_tier_answer_t *answer)
{
    uint32_t                n, last;
    ngx_chat_tier_t        *tier;
    ngx_chat_tier_entry_t  *e;

    tier = w->tier;

    n = ngx_chat_tier_alloc(tier->shared, 1, &last);
    if (n == 0) {
        return NGX_DECLINED;
    }

    e = ngx_chat_tier_entry(tier->shared, n);

    ngx_memzero(e, sizeof(ngx_chat_tier_entry_t));

    e->state = NGX_CHAT_TIER_WRITING;
    e->last = last;
    e->nblocks = 1;
    e->hash = hash;
    e->ticket = w->ticket;
    e->mark = ngx_chat_tier_mark(tier, answer->h);
    e->expires = (answer->ttl != NGX_CHAT_ANSWER_NO_TTL);
    e->end = ngx_current_msec + (ngx_msec_t) answer->ttl;
    e->usage = answer->usage;
    e->kind = key->kind;
    e->dialect = key->dialect;
    e->scope_len = key->scope.len;
    e->key_len = key->key.len;
    e->provider_len = answer->origin.provider.len;
    e->model_len = answer->origin.model.len;

    ngx_memcpy(e->realm, tier->realm, NGX_CHAT_TIER_REALM);
    ngx_memcpy(e->fp, key->fp, NGX_CHAT_FP_LEN);
    ngx_memcpy(e->h, answer->h, NGX_CHAT_HASH_LEN);
    ngx_memcpy(e->id, answer->id, NGX_CHAT_ID_LEN);

    if (ngx_chat_tier_ref(tier, n) != NGX_OK) {
        ngx_chat_tier_free(tier->shared, n);
        return NGX_DECLINED;
    }

    w->entry = n;

    return NGX_OK;
}


ngx_int_t
ngx_chat_tier_write(ngx_chat_tier_writer_t *w, u_char *p, size_t len)
{
    size_t                   n, room;
    uint32_t                 block;
    ngx_chat_tier_entry_t   *e;
    ngx_chat_tier_shared_t  *shared;

    shared = w->tier->shared;
    e = ngx_chat_tier_entry(shared, w->entry);

    room = (size_t) e->nblocks * NGX_CHAT_TIER_BLOCK
           - sizeof(ngx_chat_tier_entry_t) - e->size;

    block = e->last;

    if (len > room && ngx_chat_tier_write_grow(w, len - room) != NGX_OK) {
        ngx_chat_tier_count(shared, NGX_CHAT_TIER_REFUSED);
        return NGX_DECLINED;
    }

    e->size += len;

    /* room is what the last block has: nobody asks for more than is needed */

    while (len) {

        if (room == 0) {
            block = shared->next[block];
            room = NGX_CHAT_TIER_BLOCK;
        }

        n = ngx_min(len, room);

        ngx_memcpy(ngx_chat_tier_block(shared, block)
                   + NGX_CHAT_TIER_BLOCK - room,
                   p, n);

        p += n;
        len -= n;
        room -= n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_tier_write_grow(ngx_chat_tier_writer_t *w, size_t len)
{
    uint32_t                 first, last;
    ngx_uint_t               n;
    ngx_chat_tier_entry_t   *e;
    ngx_chat_tier_shared_t  *shared;

    shared = w->tier->shared;
    e = ngx_chat_tier_entry(shared, w->entry);

    n = (len + NGX_CHAT_TIER_BLOCK - 1) / NGX_CHAT_TIER_BLOCK;

    if (e->nblocks + n >= shared->nblocks / NGX_CHAT_TIER_PART
        || ngx_chat_tier_lock(w->tier) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    first = ngx_chat_tier_alloc(shared, n, &last);

    if (first) {
        shared->next[e->last] = first;
        e->last = last;
        e->nblocks += n;
    }

    ngx_chat_tier_unlock(w->tier);

    return first ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_chat_tier_write_end(ngx_chat_tier_writer_t *w, ngx_chat_tier_key_t *key,
    ngx_uint_t chunks)
{
    uint32_t                 n;
    ngx_int_t                rc;
    ngx_chat_tier_entry_t   *e;
    ngx_chat_tier_shared_t  *shared;

    shared = w->tier->shared;
    e = ngx_chat_tier_entry(shared, w->entry);

    if (ngx_chat_tier_lock(w->tier) != NGX_OK) {
        ngx_chat_tier_count(shared, NGX_CHAT_TIER_REFUSED);
        ngx_chat_tier_write_abort(w);
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    n = ngx_chat_tier_search(w->tier, key, e->hash);

    if (!ngx_chat_tier_write_is_late(w, n)
        && ngx_chat_tier_is_valid(shared, e))
    {
        if (n) {
            ngx_chat_tier_drop(shared, n, NGX_CHAT_TIER_CHANGED);
        }

        e->chunks = chunks;
        ngx_chat_tier_link(shared, w->entry);
        ngx_chat_tier_count(shared, NGX_CHAT_TIER_STORED);

        rc = NGX_OK;
    }

    ngx_chat_tier_unlock(w->tier);

    ngx_chat_tier_write_abort(w);

    return rc;
}


/* a reference less: what is not listed goes with it */

void
ngx_chat_tier_write_abort(ngx_chat_tier_writer_t *w)
{
    if (w->entry) {
        ngx_chat_tier_unref(w->tier, w->entry);
        w->entry = 0;
    }
}
