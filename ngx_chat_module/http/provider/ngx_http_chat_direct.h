
/*
 * The direct path: a generation that this worker makes itself, without Redis
 * and without a filler.
 */


#ifndef _NGX_HTTP_CHAT_DIRECT_H_INCLUDED_
#define _NGX_HTTP_CHAT_DIRECT_H_INCLUDED_


#include "../ngx_http_chat.h"


/* is the location to ask that way at once, without a look at Redis? */
ngx_uint_t ngx_http_chat_is_direct(ngx_http_request_t *r);

/* may the location ask that way when Redis is down? */
ngx_uint_t ngx_http_chat_may_direct(ngx_http_request_t *r);

/*
 * The channel of a generation that runs in this worker, if the question may
 * share one, or of a new one; to be attached to at once.  NULL: *e says why.
 */
ngx_chat_channel_t *ngx_http_chat_direct_start(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_chat_error_e *e);

/* calls under way in this worker */
ngx_uint_t ngx_http_chat_direct_calls(void);


#endif /* _NGX_HTTP_CHAT_DIRECT_H_INCLUDED_ */
