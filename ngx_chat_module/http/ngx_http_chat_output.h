
/*
 * The stream of events to one client.
 *
 * A cached answer goes out in one buffer.  A generation that runs is sent as
 * it grows: each client has buffers of its own over the channel's shared
 * frames, and takes more of these only when it has got rid of the last ones,
 * so that a slow client costs a position and a few buffers.
 */


#ifndef _NGX_HTTP_CHAT_OUTPUT_H_INCLUDED_
#define _NGX_HTTP_CHAT_OUTPUT_H_INCLUDED_


#include "ngx_http_chat.h"


/* once, when the hub was asked */
void ngx_http_chat_output_init(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);

/*
 * What the verdict leads to.  Both see to the end of the request, which may
 * have come when they return.
 */
void ngx_http_chat_send_answer(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_answer_t *answer);
void ngx_http_chat_send_channel(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_channel_t *ch);


#endif /* _NGX_HTTP_CHAT_OUTPUT_H_INCLUDED_ */
