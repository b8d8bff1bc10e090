
/*
 * Errors before the stream as JSON: where nginx would send its own page from
 * a location with "chat", for a status of its handler or for one that nginx
 * found itself, the page becomes {"status": "error", ...}.  What an error
 * page, a "return" with a text or another module sends is left alone.
 */


#ifndef _NGX_HTTP_CHAT_ERROR_FILTER_H_INCLUDED_
#define _NGX_HTTP_CHAT_ERROR_FILTER_H_INCLUDED_


#include "ngx_http_chat.h"


/* at postconfiguration */
ngx_int_t ngx_http_chat_error_filter_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_CHAT_ERROR_FILTER_H_INCLUDED_ */
