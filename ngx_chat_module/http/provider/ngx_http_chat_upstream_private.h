
/*
 * A call to a provider as its parts see it: ngx_http_chat_upstream.c sees it
 * from its start to its end, ngx_http_chat_upstream_request.c makes the
 * request that it hangs on, ngx_http_chat_upstream_read.c reads the response.
 *
 * Nothing that ngx_http_upstream may have called frees the call: that is left
 * to its posted event.
 */


#ifndef _NGX_HTTP_CHAT_UPSTREAM_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_CHAT_UPSTREAM_PRIVATE_H_INCLUDED_


#include "ngx_http_chat_upstream.h"
#include "../../codec/ngx_chat_provider_stream.h"


struct ngx_http_chat_upstream_s {
    ngx_pool_t                          *pool;
    ngx_http_request_t                  *request;   /* of its own */
    ngx_http_chat_provider_upstream_t   *target;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                            ident;

    ngx_http_chat_origin_t              *origin;
    ngx_str_t                           *messages;

    const ngx_http_chat_upstream_ops_t  *ops;       /* NULL: was told */
    void                                *data;

    ngx_resolver_ctx_t                  *resolve;
    ngx_resolver_addr_t                 *addrs;
    ngx_uint_t                           naddrs;

    ngx_msec_t                           heard;     /* a token came last */
    ngx_msec_t                           patience;  /* from then on; 0: none */
    ngx_event_t                          event;     /* posted: go on */
    ngx_event_t                          wait;      /* for what comes next */
    ngx_event_t                          total;

    ngx_http_status_t                    status;
    ngx_http_chunked_t                   chunked;
    ngx_str_t                            type;      /* of the content */
    ngx_msec_t                           retry_after;
    off_t                                left;      /* of a body; -1: any */
    ngx_recv_pt                          recv;

    ngx_chat_provider_stream_t           stream;
    ngx_chat_provider_fault_t            fault;

    unsigned                             starting:1;  /* not to end yet */
    unsigned                             header:1;  /* was read */
    unsigned                             is_chunked:1;
    unsigned                             close:1;   /* no keep-alive */
    unsigned                             eof:1;     /* of the body */
    unsigned                             closed:1;  /* upstream is through */
};


/* the request, and one way out of ngx_http_upstream for it */
ngx_int_t ngx_http_chat_upstream_request(ngx_http_chat_upstream_t *up);

/* nothing of the origin is looked at any more, not even for a log */
void ngx_http_chat_upstream_leave(ngx_http_chat_upstream_t *up);

/* for ngx_http_upstream_srv_conf_t: the addresses of the call */
ngx_int_t ngx_http_chat_upstream_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);

/* ngx_http_upstream callbacks for the response, until its header is read */
ngx_int_t ngx_http_chat_upstream_reinit(ngx_http_request_t *r);
ngx_int_t ngx_http_chat_upstream_status(ngx_http_request_t *r);

/* reads what is there of the body */
void ngx_http_chat_upstream_read(ngx_http_chat_upstream_t *up);

/* a token was there, or the stream is done */
void ngx_http_chat_upstream_progress(ngx_http_chat_upstream_t *up);

/* the status is not 200: the body may say why */
void ngx_http_chat_upstream_refused(ngx_http_chat_upstream_t *up);

/* the connection is given back, kept only behind a whole response */
void ngx_http_chat_upstream_close(ngx_http_chat_upstream_t *up);


#endif /* _NGX_HTTP_CHAT_UPSTREAM_PRIVATE_H_INCLUDED_ */
