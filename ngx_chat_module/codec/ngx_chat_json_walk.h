
/*
 * JSON as providers write it, read member by member.  Accepted beyond JSON, and
 * refused by yajl: any depth, the NaN and Infinity of Python, and halves of
 * surrogate pairs.
 *
 * A value is a slice of the text without white space around it, so its first
 * byte tells its type; that of a string has its quotes.
 */


#ifndef _NGX_CHAT_JSON_WALK_H_INCLUDED_
#define _NGX_CHAT_JSON_WALK_H_INCLUDED_


#include "../ngx_chat.h"


/*
 * Checks that text is one value and nothing else.  NGX_OK: value is the slice;
 * NGX_ERROR: not JSON, not UTF-8, or no memory.  Only deep nesting takes memory
 * of pool, a bit for two bytes of text.
 */
ngx_int_t ngx_chat_json_walk(ngx_str_t *value, ngx_str_t *text,
    ngx_pool_t *pool);

/*
 * The next member of an object, or element of an array, in a text that was
 * checked.  rest is the whole object at first, then the part that is left; name
 * is a string with its quotes.  NGX_OK, NGX_DONE: no more.
 */
ngx_int_t ngx_chat_json_next_member(ngx_str_t *rest, ngx_str_t *name,
    ngx_str_t *value);
ngx_int_t ngx_chat_json_next_element(ngx_str_t *rest, ngx_str_t *value);

/*
 * Decodes a string of such a text.  Half a surrogate pair at its end is kept
 * in half, as the next string may begin with the other; any other half becomes
 * U+FFFD.  dst has room for the length of the string and 3 bytes more.  Returns
 * the end.
 */
u_char *ngx_chat_json_decode(u_char *dst, ngx_str_t *string,
    ngx_uint_t *half);

/* writes U+FFFD for a half that stays alone, if there is one */
u_char *ngx_chat_json_decode_end(u_char *dst, ngx_uint_t *half);

/*
 * Decodes a string by itself: s, which may be the string, is a slice of it
 * where nothing has to be decoded, else in pool.  NGX_OK, NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_json_decode_string(ngx_str_t *s, ngx_str_t *string,
    ngx_pool_t *pool);


/*
 * Finds the members of an object by n names: v has a value for each, of length
 * 0 where a member is absent or null, or object is no object.  NGX_OK,
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_json_find_members(ngx_str_t *v, ngx_str_t *object,
    ngx_str_t *names, ngx_uint_t n, ngx_pool_t *pool);

/* decodes the first of n values that is a string and not empty */
ngx_int_t ngx_chat_json_first_string(ngx_str_t *s, ngx_str_t *v, ngx_uint_t n,
    ngx_pool_t *pool);

/* is the value something else than null, false, zero, or empty? */
ngx_uint_t ngx_chat_json_is_truthy(ngx_str_t *value);


#endif /* _NGX_CHAT_JSON_WALK_H_INCLUDED_ */
