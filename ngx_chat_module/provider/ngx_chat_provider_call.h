
/*
 * A call to a provider, as far as it is the same whatever carries it: how the
 * response is read, how long the provider may be silent, what an end means.
 * Other calls, Redis, clients and HTTP itself are unknown here.
 *
 * A transport starts calls and has the call as a part of an object of its
 * own.  It reports header, bytes and end of the response; the call makes texts
 * and one result of them, and tells them the owner by the callbacks of the
 * request.  Memory of the call is the transport's, and so is each connection.
 */


#ifndef _NGX_CHAT_PROVIDER_CALL_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_CALL_H_INCLUDED_


#include "ngx_chat_provider_stream.h"
#include "../codec/ngx_chat_trace.h"

#include <ngx_event.h>


typedef struct ngx_chat_provider_call_s  ngx_chat_provider_call_t;


/* ways to end without a response that says why */
typedef enum {
    NGX_CHAT_CALL_UNRESOLVED = 0,
    NGX_CHAT_CALL_UNREACHABLE,
    NGX_CHAT_CALL_UNSAFE,            /* no certificate that is trusted */
    NGX_CHAT_CALL_CONNECT_TIMEOUT,
    NGX_CHAT_CALL_PROXY_FAILED,
    NGX_CHAT_CALL_PROXY_REFUSED,
    NGX_CHAT_CALL_LOCAL,             /* resources of this host are used up */
    NGX_CHAT_CALL_HEADER_TOO_LARGE,
    NGX_CHAT_CALL_BAD_CHUNKED,
    NGX_CHAT_CALL_BROKEN_OFF,
    NGX_CHAT_CALL_NO_FIRST_TOKEN,
    NGX_CHAT_CALL_IDLE,
    NGX_CHAT_CALL_TOTAL
} ngx_chat_provider_call_fault_e;


typedef struct {
    ngx_chat_error_e       error;        /* NGX_CHAT_E_NONE: a whole answer */
    ngx_str_t              finish;       /* reason; empty: [DONE] without */
    ngx_str_t              model;        /* as the provider named it */
    ngx_str_t              usage;        /* JSON or empty */
    ngx_uint_t             status;       /* of HTTP; 0: there was none */
    ngx_msec_t             retry_after;  /* 0: not said */
    unsigned               retry:1;      /* worth another try */
    unsigned               final:1;      /* nor would another provider help */
} ngx_chat_provider_result_t;


/* callbacks of a call's owner */
typedef struct {
    /* text is not empty and valid during the call; must not cancel */
    void                 (*text)(void *data, ngx_str_t *text);

    /*
     * Once, unless cancelled, and never inside start.  The call is gone for
     * the owner; strings of the result are valid during the callback.
     */
    void                 (*ended)(void *data,
                             ngx_chat_provider_result_t *result);
} ngx_chat_provider_call_ops_t;


typedef struct {
    ngx_chat_provider_t                 *provider;
    ngx_str_t                           *messages;  /* last until the end */
    ngx_chat_trace_t                    *trace;     /* the same */
    ngx_msec_t                           total;     /* ms for all of it */
    ngx_log_t                           *log;
    const ngx_chat_provider_call_ops_t  *ops;
    void                                *data;
} ngx_chat_provider_request_t;


typedef struct {
    /* text() may fire inside; ctx: the owner's; NULL: no memory */
    ngx_chat_provider_call_t            *(*start)(void *ctx,
                                              ngx_chat_provider_request_t *rq);

    /* aborts it; no callback fires any more */
    void                                 (*cancel)(
                                              ngx_chat_provider_call_t *call);
} ngx_chat_transport_t;


/* the transport is to end the call; silent: nothing came for too long */
typedef void (*ngx_chat_provider_call_expired_pt)(
    ngx_chat_provider_call_t *call, ngx_uint_t silent);


struct ngx_chat_provider_call_s {
    ngx_chat_provider_t                 *provider;
    ngx_pool_t                          *pool;
    ngx_log_t                           *log;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                            ident;

    const ngx_chat_provider_call_ops_t  *ops;      /* NULL: was told */
    void                                *data;

    ngx_chat_provider_call_expired_pt    expired;

    ngx_uint_t                           status;   /* of HTTP; 0: no header */
    ngx_msec_t                           retry_after;  /* by the transport */

    ngx_msec_t                           progress;  /* the last token's time */
    ngx_msec_t                           idle;     /* limit since; 0: none */
    ngx_event_t                          silence;  /* timers */
    ngx_event_t                          total;
    ngx_uint_t                           counted;  /* for the metrics */

    ngx_chat_provider_stream_t           stream;
    ngx_chat_provider_fault_t            fault;
};


/*
 * For transports.  The time of the call begins; the pool is the transport's
 * object's.
 */
void ngx_chat_provider_call_init(ngx_chat_provider_call_t *call,
    ngx_chat_provider_request_t *rq,
    ngx_chat_provider_call_expired_pt expired, ngx_pool_t *pool,
    ngx_log_t *log);

/*
 * The status of the final response, and its Content-Type, data == NULL: none.
 * With a status other than 200 it is enough that this one is known.
 */
void ngx_chat_provider_call_header(ngx_chat_provider_call_t *call,
    ngx_uint_t status, ngx_str_t *type);

/* bytes of the body; NGX_OK; NGX_DECLINED: failed, no more is of use */
ngx_int_t ngx_chat_provider_call_read(ngx_chat_provider_call_t *call,
    u_char *p, size_t len);

/* the body is over, as HTTP has it */
void ngx_chat_provider_call_eof(ngx_chat_provider_call_t *call);

/* the call broke off: a fault, unless the answer is complete, or refused */
void ngx_chat_provider_call_fail(ngx_chat_provider_call_t *call,
    ngx_chat_provider_call_fault_e fault);

/* is the answer there, whatever follows on the connection? */
ngx_uint_t ngx_chat_provider_call_complete(ngx_chat_provider_call_t *call);

/* logs the end and fills result; NGX_DECLINED: the owner knows already */
ngx_int_t ngx_chat_provider_call_conclude(ngx_chat_provider_call_t *call,
    ngx_chat_provider_result_t *result);

/* tells the owner, who may free what log and request belong to */
void ngx_chat_provider_call_tell(ngx_chat_provider_call_t *call,
    ngx_chat_provider_result_t *result);

void ngx_chat_provider_call_free(ngx_chat_provider_call_t *call);


#endif /* _NGX_CHAT_PROVIDER_CALL_H_INCLUDED_ */
