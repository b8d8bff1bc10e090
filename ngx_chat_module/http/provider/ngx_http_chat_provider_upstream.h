
/*
 * A provider as the direct path reaches it: what nginx's upstream machinery
 * wants to know, made once while the configuration is read.
 *
 * The host is an "upstream" block of that name, or else its addresses: asked
 * of the location's "resolver" for new connections, or those found at start.
 */


#ifndef _NGX_HTTP_CHAT_PROVIDER_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_CHAT_PROVIDER_UPSTREAM_H_INCLUDED_


#include "../ngx_http_chat.h"


typedef struct ngx_http_chat_kept_s  ngx_http_chat_kept_t;


struct ngx_http_chat_provider_upstream_s {
    ngx_chat_provider_t       *provider;
    ngx_http_upstream_conf_t   upstream;

    ngx_str_t                  schema;   /* with "://" */
    ngx_str_t                  name;     /* without a port */
    ngx_str_t                  host;     /* as in the Host header */
    ngx_str_t                  uri;
    ngx_str_t                  head;     /* of a request, up to its length */
    in_port_t                  port;

    ngx_resolver_addr_t       *addrs;    /* known at start */
    ngx_uint_t                 naddrs;

    ngx_http_chat_kept_t      *kept;     /* by a worker; NULL: a group */

    unsigned                   ssl:1;
    unsigned                   group:1;  /* an "upstream" block */
    unsigned                   literal:1;   /* the host is an address */
};


/*
 * After all locations are known: the provider upstreams of each that may ask
 * directly.  NGX_OK, NGX_ERROR: logged.
 */
ngx_int_t ngx_http_chat_provider_upstreams_create(ngx_conf_t *cf);


#endif /* _NGX_HTTP_CHAT_PROVIDER_UPSTREAM_H_INCLUDED_ */
