
/*
 * The body of a request: its type is checked, it is read, wherever nginx or
 * another module has put it, and parsed.
 */


#ifndef _NGX_HTTP_CHAT_BODY_H_INCLUDED_
#define _NGX_HTTP_CHAT_BODY_H_INCLUDED_


#include "ngx_http_chat.h"
#include "../codec/ngx_chat_request.h"


/* ngx_chat_request_parse(), or another one that tells the same */
typedef ngx_int_t (*ngx_http_chat_body_parse_pt)(ngx_chat_request_t *rq,
    ngx_str_t *body, size_t max_question, ngx_pool_t *pool);


/* at the end of the configuration */
ngx_int_t ngx_http_chat_body_init(ngx_conf_t *cf);

/*
 * To be returned by a content handler: NGX_DONE, when the handler has been or
 * will be called, or a status: ctx and headers say why.
 */
ngx_int_t ngx_http_chat_body_read(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_http_client_body_handler_pt handler);

/*
 * NGX_OK: rq is filled in, and ctx has the question, which lasts as long as the
 * request; else a status: ctx says why.
 */
ngx_int_t ngx_http_chat_body_parse(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx, ngx_http_chat_body_parse_pt parse,
    ngx_chat_request_t *rq);


#endif /* _NGX_HTTP_CHAT_BODY_H_INCLUDED_ */
