
/*
 * Names made by hashing and from random bits (OpenSSL's EVP and RAND).
 */


#ifndef _NGX_CHAT_KEY_H_INCLUDED_
#define _NGX_CHAT_KEY_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * h, 64 hex digits without a terminating zero, of an answer's key:
 *
 *     question  SHA-256(question), the question being valid UTF-8
 *     custom    SHA-256(0xFC || SHA-256(key)), key being any bytes
 *     scoped    SHA-256(0xFF || SHA-256(scope) || SHA-256(key)), likewise
 *
 * No input of one kind makes a key of another.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_chat_key_hash_question(u_char *h, ngx_str_t *question);
ngx_int_t ngx_chat_key_hash_custom(u_char *h, ngx_str_t *key);
ngx_int_t ngx_chat_key_hash_scoped(u_char *h, ngx_str_t *scope, ngx_str_t *key);

/* the first n hex digits of SHA-256 over parts, each behind its length */
ngx_int_t ngx_chat_key_hash_parts(u_char *dst, size_t n, ngx_str_t *parts,
    ngx_uint_t nparts);

/* n hex digits (even) of random bits; NGX_OK, NGX_ERROR */
ngx_int_t ngx_chat_key_generate(u_char *dst, size_t n);


#endif /* _NGX_CHAT_KEY_H_INCLUDED_ */
