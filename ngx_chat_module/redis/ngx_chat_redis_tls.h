
/*
 * TLS to Redis: what is made of the settings while the configuration is read.
 * Certificates, the key and the CAs are loaded then, so the key may be
 * readable by root alone.  Workers and fillers inherit the result, and
 * make connections with it, each its own.
 */


#ifndef _NGX_CHAT_REDIS_TLS_H_INCLUDED_
#define _NGX_CHAT_REDIS_TLS_H_INCLUDED_


#include "../net/ngx_chat_tls.h"


/* NULL: logged with the name of the directive */
ngx_ssl_t *ngx_chat_redis_tls_create(ngx_conf_t *cf, ngx_chat_tls_t *tls);


#endif /* _NGX_CHAT_REDIS_TLS_H_INCLUDED_ */
