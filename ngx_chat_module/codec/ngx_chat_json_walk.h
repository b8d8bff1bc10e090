
/*
 * JSON as providers write it, read where it is wanted and let pass elsewhere:
 * any depth, the NaN and Infinity of Python, and halves of surrogate pairs,
 * all of which yajl would refuse.  Everything else has to be JSON.
 *
 * A value is a slice of the text without white space around it, so its first
 * byte tells its type; that of a string has its quotes.
 */


#ifndef _NGX_CHAT_JSON_WALK_H_INCLUDED_
#define _NGX_CHAT_JSON_WALK_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * Is text one value and nothing else?  NGX_OK: value is that; NGX_ERROR: not
 * JSON, not UTF-8, or no memory in pool, which only a deep text needs: a bit
 * for two of its bytes.
 */
ngx_int_t ngx_chat_json_walk(ngx_str_t *value, ngx_str_t *text,
    ngx_pool_t *pool);

/*
 * The next member of an object, or element of an array, that is part of such
 * a text.  rest is the object at first, and what follows afterwards; name is
 * a string.  NGX_OK, NGX_DONE: there was none.
 */
ngx_int_t ngx_chat_json_next_member(ngx_str_t *rest, ngx_str_t *name,
    ngx_str_t *value);
ngx_int_t ngx_chat_json_next_element(ngx_str_t *rest, ngx_str_t *value);

/*
 * Decodes a string of such a text.  Half a surrogate pair at its end is kept
 * in half, for the next string may begin with the other one; any other half
 * becomes U+FFFD.  dst has room for as many bytes as the string and 3 more.
 * Returns the end.
 */
u_char *ngx_chat_json_decode(u_char *dst, ngx_str_t *string,
    ngx_uint_t *half);

/* writes U+FFFD for a half that stays alone, if there is one */
u_char *ngx_chat_json_decode_end(u_char *dst, ngx_uint_t *half);

/*
 * The same for a string by itself: s, which may be the string, is a slice of
 * it where nothing has to be decoded, else in pool.  NGX_OK, NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_chat_json_decode_string(ngx_str_t *s, ngx_str_t *string,
    ngx_pool_t *pool);


/*
 * The members of an object that have one of n names: v has a value for each,
 * without a length where it is absent, null, or the object is none.  NGX_OK,
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_json_find_members(ngx_str_t *v, ngx_str_t *object,
    ngx_str_t *names, ngx_uint_t n, ngx_pool_t *pool);

/* the first string of n values that is not empty, as above */
ngx_int_t ngx_chat_json_first_string(ngx_str_t *s, ngx_str_t *v, ngx_uint_t n,
    ngx_pool_t *pool);

/* is the value more than a null, false, zero, or something empty? */
ngx_uint_t ngx_chat_json_is_truthy(ngx_str_t *value);


#endif /* _NGX_CHAT_JSON_WALK_H_INCLUDED_ */
