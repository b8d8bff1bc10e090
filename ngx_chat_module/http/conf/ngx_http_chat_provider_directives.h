
/*
 * The directives of a chat_provider block, one setter for each, and the checks
 * that a value from the environment has to pass too.
 */


#ifndef _NGX_HTTP_CHAT_PROVIDER_DIRECTIVES_H_INCLUDED_
#define _NGX_HTTP_CHAT_PROVIDER_DIRECTIVES_H_INCLUDED_


#include "../ngx_http_chat.h"


/* a block while it is read */
typedef struct {
    ngx_chat_provider_t   *provider;
    ngx_uint_t             seen;       /* a bit for each directive */
} ngx_http_chat_provider_ctx_t;


/* takes a line of the block: the handler of ngx_conf_parse(), conf a ctx */
char *ngx_http_chat_provider_directives_handler(ngx_conf_t *cf,
    ngx_command_t *dummy,
    void *conf);

/* cuts slashes off its end */
char *ngx_http_chat_provider_directives_check_url(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);

/* holds no control characters */
ngx_uint_t ngx_http_chat_provider_directives_is_printable(ngx_str_t *s);

/* a name as in HTTP headers, which leaves out all that separates */
ngx_uint_t ngx_http_chat_provider_directives_is_token(ngx_str_t *s);


#endif /* _NGX_HTTP_CHAT_PROVIDER_DIRECTIVES_H_INCLUDED_ */
