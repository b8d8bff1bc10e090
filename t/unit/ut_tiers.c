
#include "ut_tiers.h"
#include "ut_zone.h"

#include <unistd.h>


volatile ngx_msec_t  ngx_current_msec = 1000;


ngx_chat_tier_t *
ut_tier(size_t size)
{
    u_char            realm[NGX_CHAT_TIER_REALM];
    ngx_str_t         name;
    ngx_conf_t        cf;
    ngx_chat_tier_t  *tier;

    ngx_memset(realm, 'r', sizeof(realm));

    ut_zone_conf(&cf);
    name = ut_str("chat");

    if (ngx_chat_tier_add(&cf, &name, size, realm, NULL, &tier) != NGX_OK) {
        return NULL;
    }

    ut_free(&name);

    if (ut_zone_start() != NGX_OK) {
        return NULL;
    }

    ngx_chat_tier_take(tier);

    return tier;
}


void
ut_tier_free(ngx_chat_tier_t *tier)
{
    ngx_chat_tier_release(tier);
    ut_zone_end();
}


void
ut_enter(ngx_chat_tier_t *tier)
{
    tier->slot = NULL;
    tier->pending = 0;
    ngx_memzero(tier->refs, sizeof(tier->refs));

    ngx_pid = getpid();

    ngx_chat_tier_take(tier);
}


ngx_chat_tier_key_t *
ut_key(ngx_uint_t n)
{
    static u_char               fp[NGX_CHAT_FP_LEN], text[4000];
    static ngx_chat_tier_key_t  key;

    ngx_memset(fp, 'f', sizeof(fp));
    ngx_memset(text, 'a' + n % 26, sizeof(text));

    key.kind = n % 3;
    key.dialect = 0;
    key.scope.len = n % 7;
    key.scope.data = text;
    key.key.len = 1 + n * 97 % (sizeof(text) - 1);
    key.key.data = text;
    key.fp = fp;

    return &key;
}


size_t
ut_len(ngx_uint_t n)
{
    return 1 + n * 1777 % (3 * NGX_CHAT_TIER_COPY);
}


ngx_int_t
ut_write(ngx_chat_tier_t *tier, ngx_uint_t n, ngx_atomic_uint_t ticket,
    int64_t ttl)
{
    u_char                   piece[5000];
    size_t                   len, part;
    ngx_chat_tier_answer_t   answer;
    ngx_chat_tier_writer_t   w;

    ngx_memzero(&answer, sizeof(answer));

    ngx_memset(answer.h, 'h', NGX_CHAT_HASH_LEN);
    answer.h[0] = (u_char) ('a' + n % 26);
    answer.h[1] = (u_char) ('a' + n / 26);
    ngx_memset(answer.id, 'i', NGX_CHAT_ID_LEN);
    (void) sprintf((char *) answer.id, "%lu", (unsigned long) ticket);
    answer.ttl = ttl;

    ngx_str_set(&answer.origin.provider, "provider");
    ngx_str_set(&answer.origin.model, "model");

    len = ut_len(n);

    if (ngx_chat_tier_write_begin(&w, tier, ticket, ut_key(n), &answer, len)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memset(piece, '0' + n % 64, sizeof(piece));

    while (len) {
        part = ngx_min(len, sizeof(piece));

        if (ngx_chat_tier_write(&w, piece, part) != NGX_OK) {
            ngx_chat_tier_write_abort(&w);
            return NGX_DECLINED;
        }

        len -= part;
    }

    return ngx_chat_tier_write_end(&w, ut_key(n), n);
}


ngx_uint_t
ut_is_right(ngx_chat_tier_hit_t *hit, ngx_uint_t n)
{
    size_t     i, len;
    ngx_str_t  bytes;

    len = 0;

    if (hit->length != ut_len(n)) {
        return 0;
    }

    for ( ;; ) {

        if (hit->body.data) {
            bytes = hit->body;

        } else if (ngx_chat_tier_read(hit, 3000, &bytes) != NGX_OK) {
            break;
        }

        for (i = 0; i < bytes.len; i++) {
            if (bytes.data[i] != '0' + n % 64) {
                return 0;
            }
        }

        len += bytes.len;

        if (hit->body.data) {
            break;
        }
    }

    return len == ut_len(n);
}


ngx_uint_t
ut_has(ngx_chat_tier_t *tier, ngx_uint_t n)
{
    ngx_uint_t               rc;
    ngx_pool_t              *pool;
    ngx_chat_tier_hit_t      hit;
    ngx_chat_tier_answer_t   answer;

    pool = ut_pool();

    rc = ngx_chat_tier_find(tier, ut_key(n), pool, &answer, &hit) == NGX_OK
         && ut_is_right(&hit, n)
         && answer.chunks == n
         && ut_is(&answer.origin.provider, "provider")
         && ut_is(&answer.origin.model, "model");

    ngx_chat_tier_leave(&hit);
    ngx_destroy_pool(pool);

    return rc;
}
