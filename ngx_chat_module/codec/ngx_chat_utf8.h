
/*
 * Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 */


#ifndef _NGX_CHAT_UTF8_H_INCLUDED_
#define _NGX_CHAT_UTF8_H_INCLUDED_


#include "../ngx_chat.h"


/* NGX_OK valid, NGX_ERROR not */
ngx_int_t ngx_chat_utf8_check(const u_char *p, size_t len);

/*
 * Nothing but white space (Unicode's White_Space) and characters that show
 * nothing: zero-width ones, marks of direction, a byte order mark.
 */
ngx_uint_t ngx_chat_utf8_is_blank(const u_char *p, size_t len);


#endif /* _NGX_CHAT_UTF8_H_INCLUDED_ */
