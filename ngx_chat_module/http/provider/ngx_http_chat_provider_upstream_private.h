
/*
 * The parts of a provider upstream that need no look at the configuration.
 */


#ifndef _NGX_HTTP_CHAT_PROVIDER_UPSTREAM_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_CHAT_PROVIDER_UPSTREAM_PRIVATE_H_INCLUDED_


#include "ngx_http_chat_provider_upstream.h"


/* NGX_OK, NGX_ERROR: logged */
ngx_int_t ngx_http_chat_provider_upstream_init_tls(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu);

/* all that does not depend on the question, up to the value of its length */
ngx_int_t ngx_http_chat_provider_upstream_create_head(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu);


#endif /* _NGX_HTTP_CHAT_PROVIDER_UPSTREAM_PRIVATE_H_INCLUDED_ */
