
/*
 * chat_miss_limit: how often a client, or whatever its key names, may cause a
 * call to a provider.  Counted by Redis when a generation is opened; here it
 * is only said what counts under which name.
 */


#ifndef _NGX_HTTP_CHAT_LIMIT_H_INCLUDED_
#define _NGX_HTTP_CHAT_LIMIT_H_INCLUDED_


#include "ngx_http_chat.h"


char *ngx_http_chat_miss_limit_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Fills in limit for this request; it stays as it is, without an interval, if
 * the key is empty.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_http_chat_limit_get(ngx_http_request_t *r,
    ngx_http_chat_limit_t *hl, ngx_chat_limit_t *limit);


#endif /* _NGX_HTTP_CHAT_LIMIT_H_INCLUDED_ */
