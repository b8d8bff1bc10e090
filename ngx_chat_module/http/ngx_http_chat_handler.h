
/*
 * POST /chat: what is asked is checked and handed to the hub; what comes back
 * goes out through ngx_http_chat_output.h.
 */


#ifndef _NGX_HTTP_CHAT_HANDLER_H_INCLUDED_
#define _NGX_HTTP_CHAT_HANDLER_H_INCLUDED_


#include "ngx_http_chat.h"


ngx_int_t ngx_http_chat_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_CHAT_HANDLER_H_INCLUDED_ */
