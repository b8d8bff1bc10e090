
/*
 * A provider's refusal: the body of an HTTP error, or an error in a stream.
 * Forms differ, {"error": {...}} being one of many, and so do statuses: whose
 * fault it was is told by words and phrases alone.
 */


#ifndef _NGX_CHAT_REFUSAL_H_INCLUDED_
#define _NGX_CHAT_REFUSAL_H_INCLUDED_


#include "../ngx_chat.h"


#define NGX_CHAT_REFUSAL_WORDS  128


typedef struct {
    /* the first text, in the pool: not for the log, it may repeat anything */
    ngx_str_t        message;

    /* types and codes, with spaces in between */
    size_t           len;
    u_char           words[NGX_CHAT_REFUSAL_WORDS];

    unsigned         question:1;   /* says that the question is at fault */
    unsigned         limit:1;      /* or a limit that is the provider's own */
    unsigned         rate:1;       /* or too many requests, or for too much */
} ngx_chat_refusal_t;


/* reads as far as it is JSON */
void ngx_chat_refusal_parse(ngx_chat_refusal_t *rf, ngx_str_t *body,
    ngx_pool_t *pool);

/* does a text say that there were too many requests? */
ngx_uint_t ngx_chat_refusal_is_rate_limit(const u_char *p, size_t len);


#endif /* _NGX_CHAT_REFUSAL_H_INCLUDED_ */
