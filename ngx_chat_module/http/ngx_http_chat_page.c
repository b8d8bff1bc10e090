
#include "ngx_http_chat_page.h"
#include "ngx_http_chat_header.h"


static ngx_str_t  ngx_http_chat_page_allow = ngx_string("GET, HEAD");
static ngx_str_t  ngx_http_chat_page_no_store = ngx_string("no-store");


ngx_int_t
ngx_http_chat_page_check(ngx_http_request_t *r)
{
    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_chat_header_allow(r, &ngx_http_chat_page_allow);
    }

    return ngx_http_discard_request_body(r);
}


ngx_int_t
ngx_http_chat_page_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    /* "If-None-Match: *" would make a 304 of it */

    r->disable_not_modified = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = b->last - b->pos;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat page, status %ui, length %O", status,
                   r->headers_out.content_length_n);

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_http_chat_header_add_cache_control(r,
                                               &ngx_http_chat_page_no_store)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
