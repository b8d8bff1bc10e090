
/*
 * DELETE at a location with chat_purge: {"question": "..."}, of which the
 * location makes the key as one with chat does, or {"key": "..."}.
 */


#ifndef _NGX_HTTP_CHAT_PURGE_H_INCLUDED_
#define _NGX_HTTP_CHAT_PURGE_H_INCLUDED_


#include "ngx_http_chat.h"


ngx_int_t ngx_http_chat_purge_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_CHAT_PURGE_H_INCLUDED_ */
