
/*
 * JSON strings: writing, and the check of escapes that yajl leaves out (a lone
 * surrogate becomes "?" there).
 */


#ifndef _NGX_CHAT_JSON_H_INCLUDED_
#define _NGX_CHAT_JSON_H_INCLUDED_


#include "../ngx_chat.h"


#define NGX_CHAT_JSON_DEPTH  32    /* levels of nesting in what is read */


/*
 * The length of len bytes as the inside of a JSON string: only '"', '\\' and
 * control characters are escaped (short forms where JSON has them), UTF-8
 * stays raw.
 */
size_t ngx_chat_json_escaped_len(const u_char *p, size_t len);

/* writes the inside of a JSON string, and returns the end */
u_char *ngx_chat_json_escape(u_char *dst, const u_char *p, size_t len);

/* reads one escape by number: \u and four hex digits.  NGX_OK, NGX_ERROR */
ngx_int_t ngx_chat_json_read_unit(const u_char *p, const u_char *last,
    ngx_uint_t *unit);

/*
 * Checks a whole JSON text before yajl reads it: strict UTF-8 (RFC 3629) and
 * every surrogate escape inside strings one of a pair.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_chat_json_check_text(const u_char *p, size_t len);

/*
 * Checks that the text is one complete JSON value of at most 32 levels and
 * nothing else.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_chat_json_check_value(const u_char *p, size_t len);

/*
 * For the parsers of this layer: checks the text, hands the whole of it to the
 * yajl parser h and frees h.
 *
 * NGX_OK     one value and nothing else
 * NGX_ABORT  stopped by a callback
 * NGX_ERROR  not JSON
 */
struct yajl_handle_t;

ngx_int_t ngx_chat_json_parse(struct yajl_handle_t *h, const u_char *p,
    size_t len);


#endif /* _NGX_CHAT_JSON_H_INCLUDED_ */
