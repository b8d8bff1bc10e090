
/*
 * A provider's answer: bytes of the body go in, texts come out, and at the end
 * there are finish reason, model and usage, or a fault.  The body is an event
 * stream, or one JSON object that is the whole answer.
 *
 * An answer is complete with "[DONE]", with a finish reason that no text
 * followed, or with the end of the body behind any finish reason.  Transports
 * have the clock: tokens tells them of progress, and idle_timeout how long the
 * provider may be silent.
 */


#ifndef _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_


#include "ngx_chat_provider_fault.h"
#include "../codec/ngx_chat_sse_reader.h"


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

    ngx_str_t                   finish;    /* reason; empty: none was given */
    ngx_str_t                   model;     /* as the provider named it */
    ngx_str_t                   usage;     /* JSON or empty */
    size_t                      finish_room;  /* bytes there are for each */
    size_t                      model_room;
    size_t                      usage_room;
    ngx_uint_t                  tokens;    /* events that were progress */
    ngx_uint_t                  half;      /* see ngx_chat_provider_json.h */

    /* text so far: its length and a checksum of it */
    size_t                      text_len;
    uint64_t                    text_sum;

    /* text is not empty and valid during the call */
    void                      (*delta)(void *data, ngx_str_t *text);
    void                       *data;

    unsigned                    not_sse:1;   /* by its Content-Type */
    unsigned                    has_event:1;
    unsigned                    has_message:1;
    unsigned                    has_delta:1;
    unsigned                    refused:1;   /* text of a refusal was there */
    unsigned                    resumed:1;   /* text behind a finish reason */
    unsigned                    finish_bare:1;  /* a reason without text */
    unsigned                    finished:1;  /* complete, "[DONE]" or not */
    unsigned                    done:1;      /* nothing else matters */
} ngx_chat_provider_stream_t;


/*
 * The owner zeroes st first.  Faults are noted in fault; finish, model and
 * usage are in pool.
 */
void ngx_chat_provider_stream_init(ngx_chat_provider_stream_t *st,
    ngx_chat_provider_fault_t *fault, ngx_pool_t *pool);
void ngx_chat_provider_stream_free(ngx_chat_provider_stream_t *st);

/*
 * Sets the Content-Type, data == NULL: none was sent.  With another type than
 * text/event-stream the body has to look like an event stream all the same.
 */
void ngx_chat_provider_stream_set_type(ngx_chat_provider_stream_t *st,
    ngx_str_t *type);

/* reads all of p, unless there is a fault or the stream is done */
void ngx_chat_provider_stream_read(ngx_chat_provider_stream_t *st, u_char *p,
    size_t len);

/* the end of the body: a fault, if the answer is not complete */
void ngx_chat_provider_stream_end(ngx_chat_provider_stream_t *st);

/*
 * ms that the provider may be silent now, given its configured idle timeout.
 * After that, an answer that is done or finished is complete.
 */
ngx_msec_t ngx_chat_provider_stream_idle_timeout(ngx_chat_provider_stream_t *st,
    ngx_msec_t idle);


#endif /* _NGX_CHAT_PROVIDER_STREAM_H_INCLUDED_ */
