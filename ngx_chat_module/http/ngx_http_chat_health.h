
/*
 * GET /: can questions be answered here?  From what this process knows, and
 * from the scoreboard; nothing is asked of anybody.
 */


#ifndef _NGX_HTTP_CHAT_HEALTH_H_INCLUDED_
#define _NGX_HTTP_CHAT_HEALTH_H_INCLUDED_


#include "ngx_http_chat.h"


ngx_int_t ngx_http_chat_health_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_CHAT_HEALTH_H_INCLUDED_ */
