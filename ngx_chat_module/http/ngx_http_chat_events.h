
/*
 * The events of a stream as buffers for the client: taken from the channel of
 * the subscription, counted for the log, linked into ctx->out.
 */


#ifndef _NGX_HTTP_CHAT_EVENTS_H_INCLUDED_
#define _NGX_HTTP_CHAT_EVENTS_H_INCLUDED_


#include "ngx_http_chat.h"


extern const ngx_chat_dialect_t  ngx_http_chat_events_dialect;


/* id, provider and model of what ch sends, for headers and variables */
void ngx_http_chat_events_set_meta(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_channel_t *ch);

/*
 * The "processing" that leaves together with the header, in ctx->out.
 * NGX_OK, NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_chat_events_start(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);

/*
 * Moves events from the channel to ctx->out, as many as go well together; sets
 * ctx->terminal with the last one.  NGX_OK, also if there are none; NGX_ERROR.
 */
ngx_int_t ngx_http_chat_events_take(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);

/* bytes, which must last, as a buffer of this module; NULL: no memory */
ngx_chain_t *ngx_http_chat_events_link(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_str_t *bytes);


#endif /* _NGX_HTTP_CHAT_EVENTS_H_INCLUDED_ */
