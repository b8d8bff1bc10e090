
/*
 * A provider's refusal: the body of an HTTP error, or an error in a stream.
 * Forms differ, {"error": {...}} being one of many, and so do statuses: only
 * words and phrases tell whether the question or the provider is at fault.
 */


#ifndef _NGX_CHAT_REFUSAL_H_INCLUDED_
#define _NGX_CHAT_REFUSAL_H_INCLUDED_


#include "../ngx_chat.h"


#define NGX_CHAT_REFUSAL_WORDS  128


typedef struct {
    /* the first text, in the pool: not for the log, as it may repeat a key */
    ngx_str_t        message;

    /* types and codes, with spaces in between */
    size_t           len;
    u_char           words[NGX_CHAT_REFUSAL_WORDS];

    unsigned         question:1;   /* names a fault of the question */
    unsigned         limit:1;      /* names a limit of the provider itself */
    unsigned         rate:1;       /* names a rate limit or a quota */
} ngx_chat_refusal_t;


/* reads the part of body, from its start, that is JSON */
void ngx_chat_refusal_parse(ngx_chat_refusal_t *rf, ngx_str_t *body,
    ngx_pool_t *pool);

/* does a text name a rate limit or a quota? */
ngx_uint_t ngx_chat_refusal_is_rate_limit(const u_char *p, size_t len);


#endif /* _NGX_CHAT_REFUSAL_H_INCLUDED_ */
