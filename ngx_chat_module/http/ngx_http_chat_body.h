
/*
 * Checks of a request before its body is parsed, and the body in one piece.
 */


#ifndef _NGX_HTTP_CHAT_BODY_H_INCLUDED_
#define _NGX_HTTP_CHAT_BODY_H_INCLUDED_


#include "ngx_http_chat.h"


/* type and encoding; NGX_OK, or a status: ctx and headers say why */
ngx_int_t ngx_http_chat_body_check(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);

/*
 * The body that was read, in one piece, wherever nginx or another module has
 * put it; NGX_OK, or a status.  It lasts as long as the request.
 */
ngx_int_t ngx_http_chat_body_get(ngx_http_request_t *r, ngx_str_t *body);


#endif /* _NGX_HTTP_CHAT_BODY_H_INCLUDED_ */
