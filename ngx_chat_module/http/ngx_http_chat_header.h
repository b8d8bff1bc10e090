
/*
 * The header of a stream of events, Cache-Control of all we answer, and Allow.
 */


#ifndef _NGX_HTTP_CHAT_HEADER_H_INCLUDED_
#define _NGX_HTTP_CHAT_HEADER_H_INCLUDED_


#include "ngx_http_chat.h"


/*
 * Sends the header; nginx keeps it back for the first bytes of the body.
 * length: of the body, or -1.  Results as of ngx_http_send_header().
 */
ngx_int_t ngx_http_chat_header_send(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, off_t length);

/*
 * Cache-Control: value, which must last, where "expires" and
 * $sent_http_cache_control look for it.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_http_chat_header_add_cache_control(ngx_http_request_t *r,
    ngx_str_t *value);

/*
 * The way out of a request whose method is none of those in allow, which must
 * last: the status, with Allow.  OPTIONS gets 204, and its body is discarded.
 */
ngx_int_t ngx_http_chat_header_allow(ngx_http_request_t *r, ngx_str_t *allow);

/*
 * Retry-After; 0: some seconds, as clients that were refused together should
 * not come back together.  NGX_OK, NGX_ERROR.
 */
ngx_int_t ngx_http_chat_header_add_retry(ngx_http_request_t *r,
    ngx_msec_t seconds);

/* name and value must last; NGX_OK, NGX_ERROR */
ngx_int_t ngx_http_chat_header_add(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);


#endif /* _NGX_HTTP_CHAT_HEADER_H_INCLUDED_ */
