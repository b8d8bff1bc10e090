
#include "ngx_http_chat_body.h"
#include "ngx_http_chat_ctx.h"
#include "ngx_http_chat_header.h"
#include "ngx_http_chat_variables.h"


static ngx_int_t ngx_http_chat_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_chat_body_check(ngx_http_request_t *r,
    ngx_http_chat_ctx_t *ctx);
static ngx_uint_t ngx_http_chat_body_is_json(ngx_http_request_t *r);
static ngx_uint_t ngx_http_chat_body_is_encoded(ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_body_get(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_chat_body_copy(ngx_http_request_t *r, u_char *p);


static ngx_http_request_body_filter_pt  ngx_http_chat_next_request_body_filter;

static ngx_str_t  ngx_http_chat_body_type = ngx_string("application/json");
static ngx_str_t  ngx_http_chat_body_encoding = ngx_string("Content-Encoding");
static ngx_str_t  ngx_http_chat_body_identity = ngx_string("identity");
static ngx_str_t  ngx_http_chat_body_encoded =
    ngx_string("The request body must not be compressed or encoded "
               "otherwise.");


ngx_int_t
ngx_http_chat_body_init(ngx_conf_t *cf)
{
    ngx_http_chat_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_chat_body_filter;

    return NGX_OK;
}


/*
 * A body that cannot be kept is a fault of ours.  When the body comes after
 * the headers nginx tells nobody, and an error_page may hide the status.
 */

static ngx_int_t
ngx_http_chat_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t             rc;
    ngx_http_chat_ctx_t  *ctx;

    rc = ngx_http_chat_next_request_body_filter(r, in);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ctx = ngx_http_get_module_ctx(r, ngx_chat_module);

        if (ctx) {
            ngx_http_chat_ctx_note_status(ctx, rc);
        }
    }

    return rc;
}


ngx_int_t
ngx_http_chat_body_read(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_http_client_body_handler_pt handler)
{
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *clcf;

    rc = ngx_http_chat_body_check(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ctx->max_body = clcf->client_max_body_size;

    rc = ngx_http_read_client_request_body(r, handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_chat_ctx_note_status(ctx, rc);
        return rc;
    }

    return NGX_DONE;
}


/* type and encoding */

static ngx_int_t
ngx_http_chat_body_check(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx)
{
    ngx_int_t  status;

    if (!ngx_http_chat_body_is_json(r)) {
        status = ngx_http_chat_ctx_set_error(ctx,
                                             NGX_CHAT_E_UNSUPPORTED_MEDIA_TYPE);

        /* the first by RFC 9110, 15.5.16; the second says: of a POST */

        if (ngx_http_chat_header_add(r, "Accept", &ngx_http_chat_body_type)
            != NGX_OK
            || ngx_http_chat_header_add(r, "Accept-Post",
                                        &ngx_http_chat_body_type)
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return status;
    }

    if (ngx_http_chat_body_is_encoded(r)) {
        status = ngx_http_chat_ctx_set_error(ctx,
                                             NGX_CHAT_E_UNSUPPORTED_MEDIA_TYPE);
        ctx->message = ngx_http_chat_body_encoded;

        if (ngx_http_chat_header_add(r, "Accept-Encoding",
                                     &ngx_http_chat_body_identity)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return status;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_chat_body_is_json(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;
    len = ngx_http_chat_body_type.len;

    if (type->len < len
        || ngx_strncasecmp(type->data, ngx_http_chat_body_type.data, len) != 0)
    {
        return 0;
    }

    return type->len == len
           || type->data[len] == ';'
           || type->data[len] == ' '
           || type->data[len] == '\t';
}


/* nginx has no pointer to this header, which may come more than once */

static ngx_uint_t
ngx_http_chat_body_is_encoded(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != ngx_http_chat_body_encoding.len
                || ngx_strncasecmp(h[i].key.data,
                                   ngx_http_chat_body_encoding.data,
                                   h[i].key.len)
                   != 0)
            {
                continue;
            }

            if (h[i].value.len
                && (h[i].value.len != ngx_http_chat_body_identity.len
                    || ngx_strncasecmp(h[i].value.data,
                                       ngx_http_chat_body_identity.data,
                                       h[i].value.len)
                       != 0))
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_chat_body_parse(ngx_http_request_t *r, ngx_http_chat_ctx_t *ctx,
    ngx_http_chat_body_parse_pt parse, ngx_chat_request_t *rq)
{
    ngx_int_t                  rc;
    ngx_str_t                  body;
    ngx_chat_error_e           e;
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    rc = ngx_http_chat_body_get(r, &body);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = parse(rq, &body, chlcf->max_question, r->pool);

    switch (rc) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
    case NGX_ABORT:
        e = (rc == NGX_ABORT) ? NGX_CHAT_E_BAD_REQUEST
                              : NGX_CHAT_E_INVALID_FIELD;

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "chat client sent an invalid body: %V", &rq->error);

        ctx->message = rq->error;

        return ngx_http_chat_ctx_set_error(ctx, e);

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->question = rq->question;
    ctx->read = 1;

    /* somebody may have looked at our variables before there was a body */

    ngx_http_chat_variables_reset(r);

    return NGX_OK;
}


/* in one piece; NGX_OK, or a status */

static ngx_int_t
ngx_http_chat_body_get(ngx_http_request_t *r, ngx_str_t *body)
{
    off_t         len;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ngx_str_null(body);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;
    b = cl->buf;

    if (cl->next == NULL && ngx_buf_in_memory(b)) {
        body->len = b->last - b->pos;
        body->data = b->pos;
        return NGX_OK;
    }

    len = 0;

    for ( /* void */ ; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    if (len > NGX_MAX_INT32_VALUE) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    body->data = ngx_pnalloc(r->pool, (size_t) len);
    if (body->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->len = (size_t) len;

    return ngx_http_chat_body_copy(r, body->data);
}


static ngx_int_t
ngx_http_chat_body_copy(ngx_http_request_t *r, u_char *p)
{
    size_t        size;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        size = (size_t) ngx_buf_size(b);

        if (size == 0) {
            continue;
        }

        n = ngx_read_file(b->file, p, size, b->file_pos);

        if (n == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if ((size_t) n != size) {
            ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                          "chat request body in \"%V\" is truncated: "
                          "%z bytes read of %uz", &b->file->name, n, size);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p += size;
    }

    return NGX_OK;
}
