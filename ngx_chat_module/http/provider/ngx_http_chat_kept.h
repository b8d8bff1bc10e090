
/*
 * Things of a provider that a worker keeps between calls: idle connections,
 * the one used last first; its addresses as they were resolved last; a TLS
 * session to resume.  Made with the configuration, filled in each worker by
 * itself.  An "upstream" block has rules of its own, and nothing is kept here.
 *
 * A connection that is idle belongs to nobody else: it is closed when anything
 * comes, when its time is over, and when nginx wants idle ones closed.
 */


#ifndef _NGX_HTTP_CHAT_KEPT_H_INCLUDED_
#define _NGX_HTTP_CHAT_KEPT_H_INCLUDED_


#include "ngx_http_chat_provider_upstream.h"


typedef struct ngx_http_chat_spare_s  ngx_http_chat_spare_t;


/* a connection that was idle once: in its pool, for as long as it lives */
typedef struct {
    ngx_queue_t                         queue;
    ngx_http_chat_kept_t               *kept;
    ngx_connection_t                   *connection;
    struct sockaddr                    *sockaddr;
    socklen_t                           socklen;
    ngx_str_t                           name;     /* of the address */
} ngx_http_chat_kept_item_t;


struct ngx_http_chat_kept_s {
    ngx_http_chat_provider_upstream_t  *provider_upstream;

    ngx_queue_t                         idle;     /* items */
    ngx_uint_t                          n;

    ngx_pool_t                         *pool;     /* of addrs; or NULL */
    ngx_resolver_addr_t                *addrs;
    ngx_uint_t                          naddrs;

    ngx_ssl_session_t                  *session;  /* NULL: none yet */

    /* of all requests of its calls: there is none; NULL: not made yet */
    ngx_http_variable_value_t          *variables;

    /* for the spare, whose event is posted when connections go */
    ngx_http_chat_spare_t              *spare;
    ngx_event_t                         check;

    ngx_uint_t                          reserved;  /* of n, for calls that
                                                      are about to begin */
    ngx_msec_t                          connecting;  /* a call did, last */

    unsigned                            connected:1;  /* connecting is set */
    unsigned                            lasting:1; /* so the provider says */
    unsigned                            used:1;    /* by a call */
    unsigned                            wasted:1;  /* closed soon, unused */
};


/* while the configuration is read; NULL: no memory */
ngx_http_chat_kept_t *ngx_http_chat_kept_create(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu);

/* is a connection there that costs no time to make? */
ngx_uint_t ngx_http_chat_kept_is_warm(ngx_http_chat_provider_upstream_t *pu);

/*
 * 1: a call that has to connect may do so from here, and is about to.  Further
 * ones are better made by one process, where HTTP/2 has one connection for all.
 */
ngx_uint_t ngx_http_chat_kept_may_connect(ngx_http_chat_kept_t *kept);

/*
 * Gives an idle connection to pc, one to its address if there is such a one.
 * NULL: there is none.
 */
ngx_http_chat_kept_item_t *ngx_http_chat_kept_take(ngx_http_chat_kept_t *kept,
    ngx_peer_connection_t *pc);

/*
 * Takes the connection of pc, which nothing more is to come on; item: what
 * take() gave, NULL: the connection is new.  NGX_OK; NGX_DECLINED: not kept,
 * it is still the caller's.
 */
ngx_int_t ngx_http_chat_kept_put(ngx_http_chat_kept_t *kept,
    ngx_peer_connection_t *pc, ngx_http_chat_kept_item_t *item);

/* NGX_OK, NGX_ERROR: no memory, those before stay */
ngx_int_t ngx_http_chat_kept_set_addrs(ngx_http_chat_kept_t *kept,
    ngx_resolver_ctx_t *ctx);

/* has sessions saved for provider upstreams that keep them */
void ngx_http_chat_kept_init_tls(ngx_http_chat_provider_upstream_t *pu);

/* a new connection, before its handshake: NGX_OK, NGX_ERROR */
ngx_int_t ngx_http_chat_kept_set_session(ngx_http_chat_kept_t *kept,
    ngx_connection_t *c);

/* in exit_process */
void ngx_http_chat_kept_close(ngx_http_chat_kept_t *kept);


#endif /* _NGX_HTTP_CHAT_KEPT_H_INCLUDED_ */
