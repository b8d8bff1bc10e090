
/*
 * String functions for all layers.
 */


#ifndef _NGX_CHAT_STR_H_INCLUDED_
#define _NGX_CHAT_STR_H_INCLUDED_


#include "../ngx_chat.h"


/* is s exactly this text? */
ngx_uint_t ngx_chat_str_is(ngx_str_t *s, const char *text);

/*
 * Reads a decimal number from *pos on, up to max and without leading zeros,
 * and moves *pos behind it.  NGX_OK, NGX_ERROR: there is none.
 */
ngx_int_t ngx_chat_str_read_number(u_char **pos, u_char *last, uint64_t max,
    uint64_t *n);

/*
 * Copies a word that may come to stand in a header: control characters, and
 * the end of a line among them, become "?".  Returns the end of the copy.
 */
u_char *ngx_chat_str_copy_word(u_char *dst, u_char *src, size_t len);


#endif /* _NGX_CHAT_STR_H_INCLUDED_ */
