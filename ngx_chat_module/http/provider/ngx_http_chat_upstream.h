
/*
 * The worker's transport to providers: nginx's upstream machinery.  The
 * context of a call is an ngx_http_chat_asker_t.  text() may fire inside start.
 *
 * ngx_http_upstream wants a request.  The call has one of its own, without a
 * client: its output goes nowhere, and who asked first may leave, or read
 * slowly, without a trace.  What it takes over from the asker is copied into
 * an asker, as it may outlive that.
 */


#ifndef _NGX_HTTP_CHAT_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_CHAT_UPSTREAM_H_INCLUDED_


#include "ngx_http_chat_provider_upstream.h"
#include "../../provider/ngx_chat_provider_call.h"


/* attributes of the asker's request, for balancers and the log */
typedef struct {
    ngx_array_t             *upstreams;  /* of the location's providers */
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
} ngx_http_chat_asker_t;


extern const ngx_chat_transport_t  ngx_http_chat_upstream_transport;


/* copies what is in r, as far as a call needs it; NGX_OK, NGX_ERROR */
ngx_int_t ngx_http_chat_asker_init(ngx_http_chat_asker_t *asker,
    ngx_http_request_t *r, ngx_pool_t *pool);


#endif /* _NGX_HTTP_CHAT_UPSTREAM_H_INCLUDED_ */
