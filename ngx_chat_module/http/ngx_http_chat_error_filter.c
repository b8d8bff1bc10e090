
#include "ngx_http_chat_error_filter.h"
#include "ngx_http_chat_ctx.h"
#include "ngx_http_chat_header.h"
#include "../codec/ngx_chat_sse_event.h"


static ngx_int_t ngx_http_chat_error_filter_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_error_filter_body(ngx_http_request_t *r,
    ngx_chain_t *in);

static ngx_uint_t ngx_http_chat_error_filter_is_page(ngx_http_request_t *r);
static ngx_http_chat_ctx_t *ngx_http_chat_error_filter_get_ctx(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_error_filter_create_body(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);


static ngx_http_output_header_filter_pt  ngx_http_chat_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_chat_next_body_filter;


static ngx_str_t  ngx_http_chat_no_store = ngx_string("no-store");


ngx_int_t
ngx_http_chat_error_filter_init(ngx_conf_t *cf)
{
    ngx_http_chat_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_chat_error_filter_header;

    ngx_http_chat_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_chat_error_filter_body;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_error_filter_header(ngx_http_request_t *r)
{
    ngx_http_chat_ctx_t  *ctx;

    if (!ngx_http_chat_error_filter_is_page(r)) {
        return ngx_http_chat_next_header_filter(r);
    }

    ctx = ngx_http_chat_error_filter_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->error == NGX_CHAT_E_NONE) {
        ngx_http_chat_ctx_set_status(ctx, r->err_status);
    }

    if (ngx_http_chat_error_filter_create_body(r, ctx) != NGX_OK
        || ngx_http_chat_header_add_cache_control(r, &ngx_http_chat_no_store)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_out.content_length_n = ctx->out->buf->last
                                      - ctx->out->buf->pos;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_str_null(&r->headers_out.charset);

    ctx->replace = 1;

    return ngx_http_chat_next_header_filter(r);
}


/*
 * A page of nginx's own: it alone is sent with the status kept in err_status
 * and a type that is unset or "text/html".  An error page that stands in its
 * place comes from another location, a "return" with a text from this one,
 * but without err_status.
 */

static ngx_uint_t
ngx_http_chat_error_filter_is_page(ngx_http_request_t *r)
{
    ngx_str_t                 *type;
    ngx_http_chat_loc_conf_t  *chlcf;

    if (r->err_status < NGX_HTTP_BAD_REQUEST
        || r->err_status != r->headers_out.status
        || r != r->main)
    {
        return 0;
    }

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (chlcf->handler == NULL) {
        return 0;
    }

    type = &r->headers_out.content_type;

    return type->len == 0
           || (type->len == sizeof("text/html") - 1
               && ngx_strncmp(type->data, "text/html", type->len) == 0);
}


static ngx_http_chat_ctx_t *
ngx_http_chat_error_filter_get_ctx(ngx_http_request_t *r)
{
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (ctx) {
        return ctx;
    }

    /* nginx failed before our handler */

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_chat_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;

    ngx_http_set_ctx(r, ctx, ngx_chat_module);

    return ctx;
}


static ngx_int_t
ngx_http_chat_error_filter_create_body(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx)
{
    ngx_buf_t         *b;
    ngx_chain_t       *cl;
    ngx_chat_event_t   ev;

    ngx_chat_error_event(&ev, ctx->error);

    if (ctx->message.len) {
        ev.text = ctx->message;
    }

    b = ngx_create_temp_buf(r->pool, ngx_chat_sse_event_json_len(&ev));
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_chat_sse_event_json_write(b->last, &ev);
    b->last_buf = 1;
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;

    ctx->out = cl;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_error_filter_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t          *cl;
    ngx_http_chat_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (ctx == NULL || !ctx->replace || in == NULL) {
        return ngx_http_chat_next_body_filter(r, in);
    }

    /* the page counts as sent */

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
    }

    cl = ctx->out;

    ctx->out = NULL;
    ctx->replace = 0;

    return ngx_http_chat_next_body_filter(r, cl);
}
