
/*
 * Pages for operators: who asks for one, and how it is sent.
 */


#ifndef _NGX_HTTP_CHAT_PAGE_H_INCLUDED_
#define _NGX_HTTP_CHAT_PAGE_H_INCLUDED_


#include "ngx_http_chat.h"


/* NGX_OK: a GET or HEAD, whose body will be discarded; else what to return */
ngx_int_t ngx_http_chat_page_check(ngx_http_request_t *r);

/* sends all of b, which nobody is to keep; type: of the content */
ngx_int_t ngx_http_chat_page_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b);


#endif /* _NGX_HTTP_CHAT_PAGE_H_INCLUDED_ */
