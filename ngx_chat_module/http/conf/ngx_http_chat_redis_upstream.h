
/*
 * Parts of http{} that Redis connections use: "upstream" blocks, the resolver.
 */


#ifndef _NGX_HTTP_CHAT_REDIS_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_CHAT_REDIS_UPSTREAM_H_INCLUDED_


#include "../ngx_http_chat.h"
#include "../../net/ngx_chat_redis_upstream.h"


/*
 * The block of that name, if there is one, else *upstream is NULL.  Once all of
 * http{} has been read.  NGX_ERROR: logged with what, the directive.
 */
ngx_int_t ngx_http_chat_redis_upstream_create(ngx_conf_t *cf, ngx_str_t *host,
    ngx_uint_t no_port, const char *what, ngx_chat_redis_upstream_t **upstream);

/* the "upstream" block of that name, NULL: there is none */
ngx_http_upstream_srv_conf_t *ngx_http_chat_redis_upstream_find(ngx_conf_t *cf,
    ngx_str_t *host);


#endif /* _NGX_HTTP_CHAT_REDIS_UPSTREAM_H_INCLUDED_ */
