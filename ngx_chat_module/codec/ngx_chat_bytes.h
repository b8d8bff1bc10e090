
/*
 * A growing run of bytes on the heap, with a limit.  The owner zeroes the
 * struct, sets max (0: no limit) and frees once; data moves as bytes are added.
 */


#ifndef _NGX_CHAT_BYTES_H_INCLUDED_
#define _NGX_CHAT_BYTES_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    u_char          *data;
    size_t           len;
    size_t           size;         /* allocated */
    size_t           max;          /* the longest len allowed, 0: any */
} ngx_chat_bytes_t;


/*
 * Makes room for n more bytes behind len.  NGX_DECLINED: over max;
 * NGX_ERROR: no memory.  The bytes there stay as they are in both cases.
 */
ngx_int_t ngx_chat_bytes_reserve(ngx_chat_bytes_t *b, size_t n);

/* reserves and copies */
ngx_int_t ngx_chat_bytes_append(ngx_chat_bytes_t *b, const void *p, size_t n);

void ngx_chat_bytes_free(ngx_chat_bytes_t *b);


#endif /* _NGX_CHAT_BYTES_H_INCLUDED_ */
