
#include "ngx_chat_siphash.h"

#include <openssl/rand.h>


typedef struct {
    uint64_t         v[4];
    uint64_t         word;         /* bytes that fill no word yet */
    size_t           len;          /* of all that came */
} ngx_chat_siphash_t;


static void ngx_chat_siphash_update(ngx_chat_siphash_t *sh, u_char *p,
    size_t len);
static void ngx_chat_siphash_word(ngx_chat_siphash_t *sh, uint64_t word);
static void ngx_chat_siphash_round(uint64_t *v);
static uint64_t ngx_chat_siphash_rotate(uint64_t x, ngx_uint_t n);


ngx_int_t
ngx_chat_siphash_key_generate(ngx_chat_siphash_key_t *key)
{
    return RAND_bytes((u_char *) key, sizeof(ngx_chat_siphash_key_t)) == 1
           ? NGX_OK : NGX_ERROR;
}


uint64_t
ngx_chat_siphash(ngx_chat_siphash_key_t *key, ngx_str_t *parts,
    ngx_uint_t nparts)
{
    ngx_uint_t          i;
    ngx_chat_siphash_t  sh;

    sh.v[0] = key->k[0] ^ 0x736f6d6570736575ULL;
    sh.v[1] = key->k[1] ^ 0x646f72616e646f6dULL;
    sh.v[2] = key->k[0] ^ 0x6c7967656e657261ULL;
    sh.v[3] = key->k[1] ^ 0x7465646279746573ULL;
    sh.word = 0;
    sh.len = 0;

    for (i = 0; i < nparts; i++) {
        ngx_chat_siphash_update(&sh, parts[i].data, parts[i].len);
    }

    ngx_chat_siphash_word(&sh, sh.word | (uint64_t) sh.len << 56);

    sh.v[2] ^= 0xff;

    for (i = 0; i < 4; i++) {
        ngx_chat_siphash_round(sh.v);
    }

    return sh.v[0] ^ sh.v[1] ^ sh.v[2] ^ sh.v[3];
}


static void
ngx_chat_siphash_update(ngx_chat_siphash_t *sh, u_char *p, size_t len)
{
    u_char    *last;
    uint64_t   word;

    last = p + len;

    while (p < last) {

        if (sh->len % 8 == 0 && last - p >= 8) {

            word = (uint64_t) p[0] | (uint64_t) p[1] << 8
                   | (uint64_t) p[2] << 16 | (uint64_t) p[3] << 24
                   | (uint64_t) p[4] << 32 | (uint64_t) p[5] << 40
                   | (uint64_t) p[6] << 48 | (uint64_t) p[7] << 56;

            ngx_chat_siphash_word(sh, word);

            sh->len += 8;
            p += 8;
            continue;
        }

        sh->word |= (uint64_t) *p++ << (8 * (sh->len % 8));

        if (++sh->len % 8 == 0) {
            ngx_chat_siphash_word(sh, sh->word);
            sh->word = 0;
        }
    }
}


static void
ngx_chat_siphash_word(ngx_chat_siphash_t *sh, uint64_t word)
{
    sh->v[3] ^= word;

    ngx_chat_siphash_round(sh->v);
    ngx_chat_siphash_round(sh->v);

    sh->v[0] ^= word;
}


static void
ngx_chat_siphash_round(uint64_t *v)
{
    v[0] += v[1];
    v[1] = ngx_chat_siphash_rotate(v[1], 13) ^ v[0];
    v[0] = ngx_chat_siphash_rotate(v[0], 32);

    v[2] += v[3];
    v[3] = ngx_chat_siphash_rotate(v[3], 16) ^ v[2];

    v[0] += v[3];
    v[3] = ngx_chat_siphash_rotate(v[3], 21) ^ v[0];

    v[2] += v[1];
    v[1] = ngx_chat_siphash_rotate(v[1], 17) ^ v[2];
    v[2] = ngx_chat_siphash_rotate(v[2], 32);
}


static uint64_t
ngx_chat_siphash_rotate(uint64_t x, ngx_uint_t n)
{
    return (x << n) | (x >> (64 - n));
}
