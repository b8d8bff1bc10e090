
/*
 * A spare connection as its two parts see it: ngx_http_chat_spare.c knows when
 * one is wanted, ngx_http_chat_spare_connect.c makes it.
 */


#ifndef _NGX_HTTP_CHAT_SPARE_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_CHAT_SPARE_PRIVATE_H_INCLUDED_


#include "ngx_http_chat_spare.h"


#define NGX_HTTP_CHAT_SPARE_ERROR  128


/* NGX_OK: peer has a connection, which is the handler's; NGX_ERROR: none */
typedef void (*ngx_http_chat_spare_pt)(ngx_http_chat_spare_t *spare,
    ngx_int_t rc);


/* of one provider in one worker */
struct ngx_http_chat_spare_s {
    ngx_http_chat_kept_t               *kept;
    ngx_http_chat_provider_upstream_t  *provider_upstream;
    u_char                             *host;      /* for SNI; NULL: none */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                           ident;

    ngx_event_t                         retry;
    ngx_msec_t                          delay;     /* before the next one */
    ngx_msec_t                          asked;

    /* the one that is made */
    ngx_http_chat_spare_pt              handler;
    ngx_resolver_t                     *resolver;  /* of the last question */
    ngx_resolver_ctx_t                 *resolve;
    ngx_peer_connection_t               peer;
    ngx_uint_t                          tried;     /* addresses */
    ngx_sockaddr_t                      sockaddr;
    ngx_str_t                           name;      /* of the address */
    u_char                              text[NGX_SOCKADDR_STRLEN];

    ngx_log_t                           log;
    ngx_str_t                           error;     /* the first one */
    u_char                              errbuf[NGX_HTTP_CHAT_SPARE_ERROR];
};


/* NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_http_chat_spare_connect_init(ngx_http_chat_spare_t *spare,
    ngx_pool_t *pool);

/* the handler may fire inside */
void ngx_http_chat_spare_connect(ngx_http_chat_spare_t *spare);

/* is one under way? */
ngx_uint_t ngx_http_chat_spare_is_connecting(ngx_http_chat_spare_t *spare);

/* closes what there is of it, also one that the handler was given */
void ngx_http_chat_spare_cancel(ngx_http_chat_spare_t *spare);


#endif /* _NGX_HTTP_CHAT_SPARE_PRIVATE_H_INCLUDED_ */
