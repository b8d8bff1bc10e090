
/*
 * An HTTP call to a provider: sends the request, reads the streamed answer,
 * and reports deltas and one end.  It knows nothing of Redis or retries.
 */


#ifndef _NGX_CHAT_PROVIDER_CALL_H_INCLUDED_
#define _NGX_CHAT_PROVIDER_CALL_H_INCLUDED_


#include "ngx_chat_curl.h"
#include "../codec/ngx_chat_error.h"
#include "../codec/ngx_chat_provider_json.h"


typedef struct ngx_chat_provider_call_s  ngx_chat_provider_call_t;


typedef struct {
    ngx_chat_error_e       error;        /* NGX_CHAT_E_NONE: a whole answer */
    ngx_str_t              finish;       /* reason; empty: [DONE] without */
    ngx_str_t              model;        /* as the provider named it */
    ngx_str_t              usage;        /* JSON or empty */
    ngx_uint_t             status;       /* of HTTP; 0: there was none */
    ngx_msec_t             retry_after;  /* 0: not said */
    unsigned               retry:1;      /* worth another try */
    unsigned               final:1;      /* nor would another provider help */
} ngx_chat_provider_end_t;


typedef struct {
    /* text is not empty and valid during the call */
    void                 (*delta)(void *data, ngx_str_t *text);

    /* once, unless cancelled; the call is gone afterwards */
    void                 (*end)(void *data, ngx_chat_provider_end_t *end);
} ngx_chat_provider_ops_t;


/*
 * Neither callback fires inside this call; delta() must not cancel (post an
 * event instead), end() need not.  total: ms left of the job's whole time.
 * messages must last as long as the call.  log carries the request id.
 * NULL: no memory.
 */
ngx_chat_provider_call_t *ngx_chat_provider_call(ngx_chat_curl_t *cu,
    ngx_chat_provider_t *pv, ngx_str_t *messages, ngx_msec_t total,
    const ngx_chat_provider_ops_t *ops, void *data, ngx_log_t *log);

/* aborts it; no callback fires any more */
void ngx_chat_provider_cancel(ngx_chat_provider_call_t *call);


#endif /* _NGX_CHAT_PROVIDER_CALL_H_INCLUDED_ */
