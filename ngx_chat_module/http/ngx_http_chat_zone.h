
/*
 * Hits out of the zone: an answer that is there is sent before anything else
 * is done for the request.
 */


#ifndef _NGX_HTTP_CHAT_ZONE_H_INCLUDED_
#define _NGX_HTTP_CHAT_ZONE_H_INCLUDED_


#include "ngx_http_chat.h"


/*
 * A question whose key is in ctx.  NGX_OK: it was answered, and the request may
 * have ended; NGX_DECLINED: it is to be asked; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_chat_zone_serve(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);

/* inside the handler of a hit from Redis: the next one is to be from here */
void ngx_http_chat_zone_stow(ngx_http_chat_ctx_t *ctx,
    ngx_chat_result_t *result);

/* the answer of a new generation goes there when it is complete */
void ngx_http_chat_zone_stow_later(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_channel_t *ch);


#endif /* _NGX_HTTP_CHAT_ZONE_H_INCLUDED_ */
