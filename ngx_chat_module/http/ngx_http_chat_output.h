
/*
 * The stream of a generation, which runs or was cached, to one client.
 *
 * Each client has buffers of its own over the channel's shared events, and
 * takes more of these only when it has got rid of the last ones, so that a
 * slow client costs a position and a few buffers.
 */


#ifndef _NGX_HTTP_CHAT_OUTPUT_H_INCLUDED_
#define _NGX_HTTP_CHAT_OUTPUT_H_INCLUDED_


#include "ngx_http_chat.h"


/* once, as the wait for an answer begins: sets the heartbeat going */
void ngx_http_chat_output_init(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);

/*
 * Sends what ch has, from its first chunk on; for a hit ctx->source says so.
 * Sees to the end of the request, which may have come when it returns.
 */
void ngx_http_chat_output_start(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_channel_t *ch);

/* the same with what ctx->zone is; there need be no heartbeat */
void ngx_http_chat_output_start_zone(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);


#endif /* _NGX_HTTP_CHAT_OUTPUT_H_INCLUDED_ */
