
/*
 * Names made by hashing and by chance (OpenSSL's EVP and RAND).
 */


#ifndef _NGX_CHAT_KEY_H_INCLUDED_
#define _NGX_CHAT_KEY_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * h, 64 hex digits without a terminating zero: SHA-256(key), or with a scope
 * SHA-256(0xFF || SHA-256(scope) || SHA-256(key)), which no UTF-8 key can
 * equal.  scope may be NULL.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_chat_key_hash(u_char *h, ngx_str_t *scope, ngx_str_t *key);

/* the first n hex digits of SHA-256 over parts, each led by its length */
ngx_int_t ngx_chat_key_digest(u_char *dst, size_t n, ngx_str_t *parts,
    ngx_uint_t nparts);

/* n hex digits (even) of random bits; NGX_OK, NGX_ERROR */
ngx_int_t ngx_chat_key_random(u_char *dst, size_t n);


#endif /* _NGX_CHAT_KEY_H_INCLUDED_ */
