
/*
 * A call to a provider as its parts see it: ngx_http_chat_upstream.c sees it
 * from its start to its end, ngx_http_chat_upstream_request.c makes the
 * request that it hangs on, ngx_http_chat_upstream_peer.c has a connection for
 * it, ngx_http_chat_upstream_read.c reads the response,
 * ngx_http_chat_upstream_own.c does so without the request, once that is sent
 * and the header is read.
 *
 * Nothing that ngx_http_upstream may have called frees the call: that is left
 * to its posted event.
 */


#ifndef _NGX_HTTP_CHAT_UPSTREAM_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_CHAT_UPSTREAM_PRIVATE_H_INCLUDED_


#include "ngx_http_chat_kept.h"
#include "ngx_http_chat_upstream.h"


/* of a header, at most */
#define NGX_HTTP_CHAT_UPSTREAM_BUFFER  16384


typedef struct ngx_http_chat_upstream_s  ngx_http_chat_upstream_t;


/* the call comes first: the transport's object is found by it */
struct ngx_http_chat_upstream_s {
    ngx_chat_provider_call_t             call;

    ngx_http_request_t                  *request;   /* in a pool of its own;
                                                       NULL: not needed */
    ngx_http_chat_provider_upstream_t   *provider_upstream;
    ngx_http_chat_asker_t               *asker;     /* NULL: the end is told */
    ngx_str_t                           *messages;
    ngx_chat_trace_t                    *trace;

    ngx_resolver_ctx_t                  *resolve;

    ngx_event_t                          event;     /* posted: go on */
    void                               (*process)(ngx_http_chat_upstream_t *up);
                                                    /* reads the body */

    ngx_log_t                            log;
    ngx_http_log_ctx_t                   log_ctx;   /* with a request */

    /* without the request */
    ngx_connection_t                    *connection;
    ngx_http_chat_kept_item_t           *item;      /* NULL: it is new */
    struct sockaddr                     *sockaddr;
    socklen_t                            socklen;
    ngx_str_t                            name;      /* of the address */

    ngx_http_status_t                    status;
    ngx_http_chunked_t                   chunked;
    ngx_str_t                            type;      /* of the content */
    off_t                                left;      /* of a body; -1: any */
    ngx_recv_pt                          recv;

    unsigned                             header:1;  /* was read */
    unsigned                             is_chunked:1;
    unsigned                             close:1;   /* no keep-alive */
    unsigned                             eof:1;     /* of the body */
    unsigned                             closed:1;  /* upstream is through */
};


/* the request, and one way out of ngx_http_upstream for it */
ngx_int_t ngx_http_chat_upstream_create_request(ngx_http_chat_upstream_t *up);

/* nothing of the asker is looked at any more, not even for a log */
void ngx_http_chat_upstream_leave(ngx_http_chat_upstream_t *up);

/* for ngx_http_upstream_srv_conf_t: a kept connection, or the addresses */
ngx_int_t ngx_http_chat_upstream_init_peer_handler(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);

/*
 * A header that comes in one piece, as most do, needs no buffer of its own: all
 * calls have one in common until then.  u is new.
 */
void ngx_http_chat_upstream_set_buffer(ngx_http_upstream_t *u);

/* ngx_http_upstream callbacks for the response, until its header is read */
ngx_int_t ngx_http_chat_upstream_reinit_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_chat_upstream_status_handler(ngx_http_request_t *r);

/* the kept connection that u uses, if it is one: the caller's from now on */
ngx_http_chat_kept_item_t *ngx_http_chat_upstream_take_item(
    ngx_http_upstream_t *u);

/*
 * A call has minutes to go after its header, and many may wait at once.  With
 * a connection of its own, not that of a group, it needs no request any more:
 * may own() be called?  It is not to be inside of what nginx has called; for
 * want of memory all stays as it is.
 */
ngx_uint_t ngx_http_chat_upstream_may_own(ngx_http_chat_upstream_t *up);
void ngx_http_chat_upstream_own(ngx_http_chat_upstream_t *up);

/* the connection is kept, if it may be and is worth it, or closed */
void ngx_http_chat_upstream_end_own(ngx_http_chat_upstream_t *up,
    ngx_uint_t keepalive);

/* reads what is there of the body; NGX_AGAIN, NGX_DONE: no more is of use */
ngx_int_t ngx_http_chat_upstream_read(ngx_http_chat_upstream_t *up);


#endif /* _NGX_HTTP_CHAT_UPSTREAM_PRIVATE_H_INCLUDED_ */
