
/*
 * The key of a question: h, as chat_cache_key and chat_cache_scope of the
 * location make it.
 */


#ifndef _NGX_HTTP_CHAT_KEY_H_INCLUDED_
#define _NGX_HTTP_CHAT_KEY_H_INCLUDED_


#include "ngx_http_chat.h"


/*
 * Sets ctx->key, all that makes the answer to ctx->question what it is, or
 * ctx->h from that; private: the scope is empty, so nothing is shared.
 * NGX_OK; NGX_ERROR: logged, or no memory.
 */
ngx_int_t ngx_http_chat_key_get(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_uint_t *private);
ngx_int_t ngx_http_chat_key_hash(ngx_http_chat_ctx_t *ctx);


#endif /* _NGX_HTTP_CHAT_KEY_H_INCLUDED_ */
