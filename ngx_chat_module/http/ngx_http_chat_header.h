
/*
 * The header of a stream of events.
 */


#ifndef _NGX_HTTP_CHAT_HEADER_H_INCLUDED_
#define _NGX_HTTP_CHAT_HEADER_H_INCLUDED_


#include "ngx_http_chat.h"


/*
 * Sends the header; nginx keeps it back for the first bytes of the body.
 * length: of the body, or -1.  Results as of ngx_http_send_header().
 */
ngx_int_t ngx_http_chat_send_header(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, off_t length);


#endif /* _NGX_HTTP_CHAT_HEADER_H_INCLUDED_ */
