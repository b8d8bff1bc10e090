
/*
 * An event of a provider's answer in the OpenAI-compatible wire format, and
 * in the dialects of it: a delta, a whole message, a finish reason, usage, or
 * an error in one of many forms.
 */


#ifndef _NGX_CHAT_DELTA_H_INCLUDED_
#define _NGX_CHAT_DELTA_H_INCLUDED_


#include "../ngx_chat.h"


typedef struct {
    ngx_str_t        text;         /* content of choice 0, decoded */
    ngx_str_t        finish;       /* finish_reason, of [a-z_] only */
    ngx_str_t        model;        /* as the provider names it */
    ngx_str_t        usage;        /* the usage object, a slice of the input */

    ngx_uint_t       error_code;   /* the number in an error, 0: none */

    /*
     * In and out: the first half of a surrogate pair, to which the text of
     * the next delta may bring the second; 0: none.
     */
    ngx_uint_t       half;

    /* in: the event has the name of an error; out: the event is an error */
    unsigned         is_error:1;

    unsigned         refused:1;    /* text is that of a refusal */
    unsigned         is_message:1; /* text is a message, not a delta */
    unsigned         reasoning:1;  /* a reasoning delta: progress, no text */
} ngx_chat_delta_t;


/*
 * Reads the data of one event.
 *
 * NGX_OK        d is filled in, its strings in pool or in the input; d is
 *               empty for an event of white space
 * NGX_DONE      "[DONE]"
 * NGX_DECLINED  content of a type that cannot be text
 * NGX_ERROR     no error and not JSON, not an object, bad UTF-8, or no memory
 */
ngx_int_t ngx_chat_delta_parse(ngx_chat_delta_t *d, ngx_str_t *data,
    ngx_pool_t *pool);


#endif /* _NGX_CHAT_DELTA_H_INCLUDED_ */
