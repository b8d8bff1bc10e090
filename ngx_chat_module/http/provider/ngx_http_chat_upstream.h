
/*
 * A call to a provider through nginx's upstream machinery: the worker's
 * counterpart of what the filler does with libcurl.  It reports deltas and
 * one end, and knows nothing of channels or of other providers.
 *
 * ngx_http_upstream wants a request.  The call has one of its own, without a
 * client: its output goes nowhere, and who asked first may leave, or read
 * slowly, without a trace.  What it takes over from the asker is copied into
 * an origin, as it may outlive that.
 */


#ifndef _NGX_HTTP_CHAT_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_CHAT_UPSTREAM_H_INCLUDED_


#include "ngx_http_chat_provider_upstream.h"


typedef struct ngx_http_chat_upstream_s  ngx_http_chat_upstream_t;


/* attributes of the asker's request, for balancers and the log */
typedef struct {
    void                   **main_conf;
    void                   **srv_conf;
    void                   **loc_conf;
    ngx_log_t                log;        /* where to, and how much */
    ngx_http_log_handler_pt  log_handler;
    ngx_str_t                uri;
    ngx_str_t                request_line;
    struct sockaddr         *sockaddr;
    socklen_t                socklen;
    ngx_str_t                addr_text;
    struct sockaddr         *local_sockaddr;
    socklen_t                local_socklen;
} ngx_http_chat_origin_t;


typedef struct {
    ngx_chat_error_e         error;      /* NGX_CHAT_E_NONE: whole answer */
    ngx_str_t                finish;     /* valid during the call */
    ngx_uint_t               status;     /* of HTTP; 0: there was none */
    ngx_msec_t               retry_after;   /* 0: not said */
    ngx_str_t                model;      /* likewise; as the provider says */
    unsigned                 retry:1;    /* worth another try */
    unsigned                 final:1;    /* other providers say the same */
} ngx_http_chat_end_t;


typedef struct {
    /* text is not empty and valid during the call; must not cancel */
    void                   (*delta)(void *data, ngx_str_t *text);

    /* once, unless cancelled; not to be cancelled any more */
    void                   (*end)(void *data, ngx_http_chat_end_t *end);
} ngx_http_chat_upstream_ops_t;


/* copies of what is in r, as far as a call needs it; NGX_OK, NGX_ERROR */
ngx_int_t ngx_http_chat_origin(ngx_http_chat_origin_t *origin,
    ngx_http_request_t *r, ngx_pool_t *pool);

/*
 * Asks at once; delta may fire inside this call, end does not.  origin and
 * messages must last as long as the call; total: ms left of its whole time.
 * NULL: no memory.
 */
ngx_http_chat_upstream_t *ngx_http_chat_upstream(
    ngx_http_chat_origin_t *origin, ngx_http_chat_provider_upstream_t *target,
    ngx_str_t *messages, ngx_msec_t total,
    const ngx_http_chat_upstream_ops_t *ops, void *data);

/* aborts it; no callback fires any more */
void ngx_http_chat_upstream_cancel(ngx_http_chat_upstream_t *up);


#endif /* _NGX_HTTP_CHAT_UPSTREAM_H_INCLUDED_ */
