
/*
 * The configuration of Redis and of the broker: their directives, variables of
 * the environment in place of those that are not set, passwords and TLS.  The
 * only file that sees both redis/ and http/conf, hence its place.
 */


#ifndef _NGX_CHAT_MODULE_REDIS_H_INCLUDED_
#define _NGX_CHAT_MODULE_REDIS_H_INCLUDED_


#include "http/ngx_http_chat.h"


/* chat_redis, chat_broker, and those of passwords by their offset */
char *ngx_chat_module_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_chat_module_redis_broker_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_chat_module_redis_password_directive(ngx_conf_t *cf,
    ngx_command_t *cmd,
    void *conf);

/*
 * Once all is read, unless "chat_redis off": fills chmcf->redis and broker.
 * NGX_ERROR: refused, logged.
 */
ngx_int_t ngx_chat_module_redis_init(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf);

/* after init: the zone, with answers of this Redis, or of none */
ngx_int_t ngx_chat_module_redis_add_zone(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf);


#endif /* _NGX_CHAT_MODULE_REDIS_H_INCLUDED_ */
