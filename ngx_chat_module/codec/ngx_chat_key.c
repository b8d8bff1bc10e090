
#include "ngx_chat_key.h"

#include <openssl/evp.h>
#include <openssl/rand.h>


#define NGX_CHAT_KEY_SHA256  32
#define NGX_CHAT_KEY_BLOCK   32

/* bytes that UTF-8 never has: no question begins with one */
#define NGX_CHAT_KEY_CUSTOM  0xfc
#define NGX_CHAT_KEY_SCOPED  0xff


static ngx_int_t ngx_chat_key_hash_hex(u_char *h, const u_char *p, size_t len);
static ngx_int_t ngx_chat_key_hash_sha256(u_char *md, const u_char *p,
    size_t len);
static EVP_MD_CTX *ngx_chat_key_hash_init(void);


ngx_int_t
ngx_chat_key_hash_question(u_char *h, ngx_str_t *question)
{
    return ngx_chat_key_hash_hex(h, question->data, question->len);
}


ngx_int_t
ngx_chat_key_hash_custom(u_char *h, ngx_str_t *key)
{
    u_char  room[1 + NGX_CHAT_KEY_SHA256];

    room[0] = NGX_CHAT_KEY_CUSTOM;

    if (ngx_chat_key_hash_sha256(&room[1], key->data, key->len) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_chat_key_hash_hex(h, room, sizeof(room));
}


ngx_int_t
ngx_chat_key_hash_scoped(u_char *h, ngx_str_t *scope, ngx_str_t *key)
{
    u_char  room[1 + 2 * NGX_CHAT_KEY_SHA256];

    room[0] = NGX_CHAT_KEY_SCOPED;

    if (ngx_chat_key_hash_sha256(&room[1], scope->data, scope->len) != NGX_OK
        || ngx_chat_key_hash_sha256(&room[1 + NGX_CHAT_KEY_SHA256], key->data,
                                    key->len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_key_hash_hex(h, room, sizeof(room));
}


static ngx_int_t
ngx_chat_key_hash_hex(u_char *h, const u_char *p, size_t len)
{
    u_char  md[NGX_CHAT_KEY_SHA256];

    if (ngx_chat_key_hash_sha256(md, p, len) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(h, md, sizeof(md));

    return NGX_OK;
}


static ngx_int_t
ngx_chat_key_hash_sha256(u_char *md, const u_char *p, size_t len)
{
    EVP_MD_CTX  *ctx;

    ctx = ngx_chat_key_hash_init();

    if (ctx == NULL
        || EVP_DigestUpdate(ctx, p, len) != 1
        || EVP_DigestFinal_ex(ctx, md, NULL) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * All sums of the process have one context, since none begins before the last
 * one has ended; to find the implementation anew costs more than a short sum.
 */

static EVP_MD_CTX *
ngx_chat_key_hash_init(void)
{
    static const EVP_MD  *md;
    static EVP_MD_CTX    *ctx;

    if (ctx == NULL) {
        ctx = EVP_MD_CTX_new();
    }

    if (md == NULL) {
#if (OPENSSL_VERSION_NUMBER >= 0x30000000L)
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
#else
        md = EVP_sha256();
#endif
    }

    if (ctx == NULL || md == NULL || EVP_DigestInit_ex(ctx, md, NULL) != 1) {
        return NULL;
    }

    return ctx;
}


ngx_int_t
ngx_chat_key_hash_parts(u_char *dst, size_t n, ngx_str_t *parts,
    ngx_uint_t nparts)
{
    u_char       md[NGX_CHAT_KEY_SHA256], len[8], hex[2 * sizeof(md)];
    ngx_uint_t   i, k;
    EVP_MD_CTX  *ctx;

    if (n > sizeof(hex)) {
        return NGX_ERROR;
    }

    ctx = ngx_chat_key_hash_init();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < nparts; i++) {

        for (k = 0; k < sizeof(len); k++) {
            len[k] = (u_char) ((uint64_t) parts[i].len >> (56 - 8 * k));
        }

        if (EVP_DigestUpdate(ctx, len, sizeof(len)) != 1
            || EVP_DigestUpdate(ctx, parts[i].data, parts[i].len) != 1)
        {
            return NGX_ERROR;
        }
    }

    if (EVP_DigestFinal_ex(ctx, md, NULL) != 1) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(hex, md, sizeof(md));
    ngx_memcpy(dst, hex, n);

    return NGX_OK;
}


ngx_int_t
ngx_chat_key_generate(u_char *dst, size_t n)
{
    size_t  len;
    u_char  block[NGX_CHAT_KEY_BLOCK];

    for (n /= 2; n > 0; n -= len) {
        len = ngx_min(n, sizeof(block));

        if (RAND_bytes(block, (int) len) != 1) {
            return NGX_ERROR;
        }

        dst = ngx_hex_dump(dst, block, len);
    }

    return NGX_OK;
}
