
/*
 * The way to a provider: through a proxy or straight, and whose certificates
 * are trusted at its end.
 */


#ifndef _NGX_HTTP_CHAT_PROVIDER_NETWORK_H_INCLUDED_
#define _NGX_HTTP_CHAT_PROVIDER_NETWORK_H_INCLUDED_


#include "../ngx_http_chat.h"


/* the words "proxy" and "trusted_certificate" of a block: cf->args */
char *ngx_http_chat_provider_network_read_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);
char *ngx_http_chat_provider_network_read_trust(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);

/* once the block is read: a proxy that it does not name, as libcurl does */
char *ngx_http_chat_provider_network_init_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);


#endif /* _NGX_HTTP_CHAT_PROVIDER_NETWORK_H_INCLUDED_ */
