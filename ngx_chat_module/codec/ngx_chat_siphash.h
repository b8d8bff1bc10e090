
/*
 * SipHash-2-4: a short hash with a key.  Whoever does not know the key cannot
 * make inputs that meet in one place of a table.
 */


#ifndef _NGX_CHAT_SIPHASH_H_INCLUDED_
#define _NGX_CHAT_SIPHASH_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    uint64_t         k[2];
} ngx_chat_siphash_key_t;


/* a random key; NGX_OK, NGX_ERROR */
ngx_int_t ngx_chat_siphash_key_generate(ngx_chat_siphash_key_t *key);

/* of the parts, one behind the other: lengths do not count */
uint64_t ngx_chat_siphash(ngx_chat_siphash_key_t *key, ngx_str_t *parts,
    ngx_uint_t nparts);


#endif /* _NGX_CHAT_SIPHASH_H_INCLUDED_ */
