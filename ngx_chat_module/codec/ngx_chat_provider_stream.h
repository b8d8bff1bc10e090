
/*
 * A provider's streamed answer: the bytes of the body go in, texts come out,
 * and at the end there is what the provider told about it.  It has no clock;
 * who has one looks at tokens.
 */


#ifndef _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_


#include "ngx_chat_provider_fault.h"
#include "ngx_chat_sse_reader.h"


typedef struct {
    ngx_chat_sse_reader_t       sse;
    ngx_chat_provider_fault_t  *fault;
    ngx_pool_t                 *pool;
    ngx_pool_t                 *temp;      /* emptied after each event */

    ngx_str_t                   finish;    /* reason; empty: none was given */
    ngx_str_t                   model;     /* as the provider named it */
    ngx_str_t                   usage;     /* JSON or empty */
    ngx_uint_t                  tokens;    /* events that were progress */
    ngx_uint_t                  half;      /* see ngx_chat_provider_json.h */

    /* text is not empty and valid during the call */
    void                      (*delta)(void *data, ngx_str_t *text);
    void                       *data;

    unsigned                    finished:1;   /* a finish reason was there */
    unsigned                    done:1;    /* nothing else matters */
} ngx_chat_provider_stream_t;


/*
 * The owner zeroes it.  Faults are noted in fault; what is kept is in pool.
 * NGX_OK, NGX_ERROR: no memory; to be freed all the same.
 */
ngx_int_t ngx_chat_provider_stream_init(ngx_chat_provider_stream_t *st,
    ngx_chat_provider_fault_t *fault, ngx_pool_t *pool, ngx_log_t *log);
void ngx_chat_provider_stream_free(ngx_chat_provider_stream_t *st);

/* is that the type of a stream?  data == NULL: there was none, and it may */
ngx_uint_t ngx_chat_provider_is_stream(ngx_str_t *type);

/* reads until there is a fault, or the stream is done */
void ngx_chat_provider_stream_read(ngx_chat_provider_stream_t *st, u_char *p,
    size_t len);

/* the body has ended by itself: a fault, if that was too early */
void ngx_chat_provider_stream_end(ngx_chat_provider_stream_t *st);


#endif /* _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_ */
