
/*
 * The closed list of error codes: each with its message, and with the HTTP
 * status of a response that tells of it before a stream begins.
 */


#ifndef _NGX_CHAT_ERROR_H_INCLUDED_
#define _NGX_CHAT_ERROR_H_INCLUDED_


#include "../ngx_chat.h"


#define NGX_CHAT_ERROR_CODE  32     /* at most so long */


typedef enum {
    NGX_CHAT_E_NONE = 0,

    NGX_CHAT_E_QUEUE_FULL,
    NGX_CHAT_E_QUEUE_TIMEOUT,
    NGX_CHAT_E_PROVIDER_REFUSED,
    NGX_CHAT_E_PROVIDER_UNREACHABLE,  /* provider_refused, another message */
    NGX_CHAT_E_QUESTION_REFUSED,      /* likewise */
    NGX_CHAT_E_PROVIDER_RATE_LIMITED,
    NGX_CHAT_E_PROVIDER_TIMEOUT,
    NGX_CHAT_E_PROVIDER_BROKEN,
    NGX_CHAT_E_ANSWER_TOO_LONG,
    NGX_CHAT_E_REDIS_DOWN,
    NGX_CHAT_E_NO_KEY,
    NGX_CHAT_E_INTERRUPTED,
    NGX_CHAT_E_CANCELLED,
    NGX_CHAT_E_STOPPED,
    NGX_CHAT_E_INTERNAL,

    /* only before the stream */
    NGX_CHAT_E_METHOD_NOT_ALLOWED,
    NGX_CHAT_E_UNSUPPORTED_MEDIA_TYPE,
    NGX_CHAT_E_BODY_TOO_LARGE,
    NGX_CHAT_E_BAD_REQUEST,
    NGX_CHAT_E_INVALID_FIELD,
    NGX_CHAT_E_MISS_LIMIT,
    NGX_CHAT_E_NOT_FOUND,             /* nothing to purge */

    NGX_CHAT_E_MAX
} ngx_chat_error_e;


/* has the text the form of a code?  Other versions may know more codes */
ngx_uint_t ngx_chat_error_is_code(ngx_str_t *code);

/* the first one with this code; NGX_CHAT_E_NONE: there is none */
ngx_chat_error_e ngx_chat_error_find(ngx_str_t *code);

/* static strings; an error event: status, message as text, code */
ngx_str_t *ngx_chat_error_code(ngx_chat_error_e e);
ngx_str_t *ngx_chat_error_message(ngx_chat_error_e e);
ngx_int_t ngx_chat_error_status(ngx_chat_error_e e);
void ngx_chat_error_event(ngx_chat_event_t *ev, ngx_chat_error_e e);


#endif /* _NGX_CHAT_ERROR_H_INCLUDED_ */
