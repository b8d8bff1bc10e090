
/*
 * A provider's answer: the bytes of the body go in, texts come out, and at the
 * end there is what the provider told about it.  The body is an event stream,
 * or one JSON object that is the whole answer.
 *
 * An answer is complete with "[DONE]", with a finish reason that no text
 * followed, or with the end of the body behind any finish reason: both
 * transports leave that to this codec.  It has no clock; who has one looks at
 * tokens and asks for the patience.
 */


#ifndef _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_


#include "ngx_chat_provider_fault.h"
#include "ngx_chat_sse_reader.h"


typedef enum {
    NGX_CHAT_FORM_UNKNOWN = 0,     /* nothing but white space was there */
    NGX_CHAT_FORM_EVENTS,
    NGX_CHAT_FORM_JSON
} ngx_chat_provider_form_e;


typedef struct {
    ngx_chat_sse_reader_t       sse;       /* sse.data: a JSON body, too */
    ngx_chat_provider_form_e    form;
    ngx_chat_provider_fault_t  *fault;
    ngx_pool_t                 *pool;
    ngx_pool_t                 *temp;      /* emptied after each event */

    ngx_str_t                   finish;    /* reason; empty: none was given */
    ngx_str_t                   model;     /* as the provider named it */
    ngx_str_t                   usage;     /* JSON or empty */
    ngx_uint_t                  tokens;    /* events that were progress */
    ngx_uint_t                  half;      /* see ngx_chat_provider_json.h */

    /* of the text so far */
    size_t                      length;
    uint64_t                    sum;

    /* text is not empty and valid during the call */
    void                      (*delta)(void *data, ngx_str_t *text);
    void                       *data;

    unsigned                    odd:1;     /* not the type of an event stream */
    unsigned                    events:1;  /* an event was there */
    unsigned                    whole:1;   /* a message was there */
    unsigned                    deltas:1;  /* and text that was none */
    unsigned                    resumed:1; /* text behind a finish reason */
    unsigned                    bare:1;    /* a finish reason without text */
    unsigned                    finished:1;  /* complete, "[DONE]" or not */
    unsigned                    done:1;    /* nothing else matters */
} ngx_chat_provider_stream_t;


/*
 * The owner zeroes it.  Faults are noted in fault; what is kept is in pool.
 * NGX_OK, NGX_ERROR: no memory; to be freed all the same.
 */
ngx_int_t ngx_chat_provider_stream_init(ngx_chat_provider_stream_t *st,
    ngx_chat_provider_fault_t *fault, ngx_pool_t *pool, ngx_log_t *log);
void ngx_chat_provider_stream_free(ngx_chat_provider_stream_t *st);

/*
 * The type of the content, data == NULL: there was none.  With another than
 * that of event streams, the body has to look like one.
 */
void ngx_chat_provider_stream_set_type(ngx_chat_provider_stream_t *st,
    ngx_str_t *type);

/* reads until there is a fault, or the stream is done */
void ngx_chat_provider_stream_read(ngx_chat_provider_stream_t *st, u_char *p,
    size_t len);

/* the body has ended by itself: a fault, if that was too early */
void ngx_chat_provider_stream_end(ngx_chat_provider_stream_t *st);

/*
 * How long the provider may now be silent, in ms, with this idle_timeout.  If
 * it is longer, and done or finished, the answer is complete.
 */
ngx_msec_t ngx_chat_provider_stream_idle_timeout(ngx_chat_provider_stream_t *st,
    ngx_msec_t idle);


#endif /* _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_ */
