
/*
 * The chat_provider block.
 */


#ifndef _NGX_HTTP_CHAT_PROVIDER_CONF_H_INCLUDED_
#define _NGX_HTTP_CHAT_PROVIDER_CONF_H_INCLUDED_


#include "../ngx_http_chat.h"


char *ngx_http_chat_provider_conf_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * The provider of that name; "openai" is made if the configuration has none.
 * NULL: logged.
 */
ngx_chat_provider_t *ngx_http_chat_provider_conf_find(ngx_conf_t *cf,
    ngx_str_t *name);


#endif /* _NGX_HTTP_CHAT_PROVIDER_CONF_H_INCLUDED_ */
