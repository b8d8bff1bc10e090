
/*
 * The usage object of a provider, as far as it is counted: tokens of the
 * question and of the answer.
 */


#ifndef _NGX_CHAT_USAGE_H_INCLUDED_
#define _NGX_CHAT_USAGE_H_INCLUDED_


#include "../ngx_chat.h"


#define NGX_CHAT_USAGE_TOKENS  100000000    /* more are taken for so many */


typedef struct {
    ngx_uint_t       in;
    ngx_uint_t       out;
} ngx_chat_usage_t;


/*
 * Reads an object, of which other members are passed over.  What is not there
 * or no number is 0, as is all that comes after something that is not JSON.
 * A hit does this: there is no memory, and one look at each byte.
 */
void ngx_chat_usage_read(ngx_chat_usage_t *usage, ngx_str_t *object);


#endif /* _NGX_CHAT_USAGE_H_INCLUDED_ */
