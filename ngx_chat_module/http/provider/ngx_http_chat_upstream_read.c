
#include "ngx_http_chat_upstream_private.h"
#include "ngx_http_chat_spare.h"
#include "../../codec/ngx_chat_str.h"


#define NGX_HTTP_CHAT_UPSTREAM_READS  16     /* of a buffer, at a time */
#define NGX_HTTP_CHAT_UPSTREAM_SIZE   16384


static ngx_int_t ngx_http_chat_upstream_header_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_chat_upstream_move(ngx_http_request_t *r);
static void ngx_http_chat_upstream_read_field(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_read_retry_after(
    ngx_http_chat_upstream_t *up, ngx_str_t *value);
static ngx_int_t ngx_http_chat_upstream_body_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_chat_upstream_try_next(ngx_http_request_t *r);
static void ngx_http_chat_upstream_take_over(ngx_http_request_t *r);
static void ngx_http_chat_upstream_read_handler(ngx_http_request_t *r,
    ngx_http_upstream_t *u);
static ssize_t ngx_http_chat_upstream_no_recv(ngx_connection_t *c,
    u_char *buf, size_t size);
static void ngx_http_chat_upstream_shrink(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_read_bytes(ngx_http_chat_upstream_t *up,
    u_char *p, size_t len);
static void ngx_http_chat_upstream_read_chunks(ngx_http_chat_upstream_t *up,
    u_char *p, size_t len);
static void ngx_http_chat_upstream_feed(ngx_http_chat_upstream_t *up,
    u_char *p, size_t len);
static void ngx_http_chat_upstream_read_eof(ngx_http_chat_upstream_t *up);


/* of all calls: nothing stays in it from one read to the next */

static u_char  ngx_http_chat_upstream_bytes[NGX_HTTP_CHAT_UPSTREAM_SIZE];

static u_char  ngx_http_chat_upstream_header[NGX_HTTP_CHAT_UPSTREAM_BUFFER];

/* for nginx' parser of chunks, which looks for a log in it */

static ngx_http_request_t  ngx_http_chat_upstream_parser;


void
ngx_http_chat_upstream_set_buffer(ngx_http_upstream_t *u)
{
    u->buffer.start = ngx_http_chat_upstream_header;
    u->buffer.pos = u->buffer.start;
    u->buffer.last = u->buffer.start;
    u->buffer.end = u->buffer.start + NGX_HTTP_CHAT_UPSTREAM_BUFFER;
    u->buffer.temporary = 1;
}


ngx_int_t
ngx_http_chat_upstream_reinit_handler(ngx_http_request_t *r)
{
    ngx_http_chat_upstream_t  *up;

    up = r->upstream->input_filter_ctx;

    r->state = 0;
    r->upstream->process_header = ngx_http_chat_upstream_status_handler;

    ngx_memzero(&up->status, sizeof(ngx_http_status_t));
    ngx_memzero(&up->chunked, sizeof(ngx_http_chunked_t));
    ngx_str_null(&up->type);

    up->call.retry_after = 0;
    up->is_chunked = 0;
    up->close = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_chat_upstream_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_upstream_t       *u;
    ngx_http_chat_upstream_t  *up;

    u = r->upstream;
    up = u->input_filter_ctx;

    rc = ngx_http_parse_status_line(r, &u->buffer, &up->status);

    if (rc == NGX_AGAIN) {
        return ngx_http_chat_upstream_move(r);
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "chat provider \"%V\" sent no valid HTTP header",
                      &up->call.provider->name);
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat upstream status:%ui", up->status.code);

    up->left = -1;

    if (up->status.http_version < NGX_HTTP_VERSION_11) {
        up->close = 1;
    }

    u->process_header = ngx_http_chat_upstream_header_handler;

    return ngx_http_chat_upstream_header_handler(r);
}


static ngx_int_t
ngx_http_chat_upstream_header_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_upstream_t       *u;
    ngx_http_chat_upstream_t  *up;

    u = r->upstream;
    up = u->input_filter_ctx;

    for ( ;; ) {

        rc = ngx_http_parse_header_line(r, &u->buffer, 1);

        if (rc != NGX_OK) {
            break;
        }

        ngx_http_chat_upstream_read_field(up);
    }

    if (rc == NGX_AGAIN) {
        return ngx_http_chat_upstream_move(r);
    }

    if (rc != NGX_HTTP_PARSE_HEADER_DONE) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "chat provider \"%V\" sent an invalid header",
                      &up->call.provider->name);
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    if (up->status.code < NGX_HTTP_OK) {

        /* the response proper follows */

        (void) ngx_http_chat_upstream_reinit_handler(r);

        return ngx_http_chat_upstream_status_handler(r);
    }

    u->headers_in.status_n = up->status.code;
    u->state->status = up->status.code;

    if (ngx_http_chat_upstream_try_next(r)) {
        return NGX_OK;
    }

    if (up->is_chunked) {
        up->left = -1;
    }

    up->header = 1;

    u->process_header = ngx_http_chat_upstream_body_handler;

    /* the answer has begun: nobody else is to be asked by this request */

    u->peer.tries = 0;
    u->peer.cached = 0;

    if (up->status.code == NGX_HTTP_OK) {
        ngx_http_chat_spare_answer(up->provider_upstream, !up->close);
    }

    ngx_chat_provider_call_header(&up->call, up->status.code, &up->type);

    return ngx_http_chat_upstream_body_handler(r);
}


/*
 * The rest of the header is still to come: to a buffer of its own, which is
 * read from the start, as nginx' parsers have pointers into the other one.
 * NGX_AGAIN, NGX_ERROR
 */

static ngx_int_t
ngx_http_chat_upstream_move(ngx_http_request_t *r)
{
    size_t      len;
    u_char     *p;
    ngx_buf_t  *b;

    b = &r->upstream->buffer;

    if (b->start != ngx_http_chat_upstream_header) {
        return NGX_AGAIN;
    }

    p = ngx_pmemalign(r->pool, NGX_HTTP_CHAT_UPSTREAM_BUFFER, NGX_ALIGNMENT);
    if (p == NULL) {
        return NGX_ERROR;
    }

    len = b->last - b->start;

    ngx_memcpy(p, b->start, len);

    b->start = p;
    b->pos = p;
    b->last = p + len;
    b->end = p + NGX_HTTP_CHAT_UPSTREAM_BUFFER;

    (void) ngx_http_chat_upstream_reinit_handler(r);

    return NGX_AGAIN;
}


static void
ngx_http_chat_upstream_read_field(ngx_http_chat_upstream_t *up)
{
    u_char              *p;
    ngx_str_t            name, value;
    ngx_http_request_t  *r;

    r = up->request;

    name.data = r->header_name_start;
    name.len = r->header_name_end - r->header_name_start;

    value.data = r->header_start;
    value.len = r->header_end - r->header_start;

    ngx_strlow(name.data, name.data, name.len);

    if (ngx_chat_str_is(&name, "content-type")) {

        /* the buffer goes with the header */

        p = ngx_pnalloc(r->pool, value.len + 1);
        if (p) {
            (void) ngx_cpystrn(p, value.data, value.len + 1);
            up->type.data = p;
            up->type.len = value.len;
        }

    } else if (ngx_chat_str_is(&name, "content-length")) {
        up->left = ngx_atoof(value.data, value.len);
        up->left = ngx_max(up->left, -1);

    } else if (ngx_chat_str_is(&name, "transfer-encoding")) {
        up->is_chunked = ngx_strlcasestrn(value.data, value.data + value.len,
                                          (u_char *) "chunked", 7 - 1)
                         ? 1 : 0;

    } else if (ngx_chat_str_is(&name, "connection")) {

        if (ngx_strlcasestrn(value.data, value.data + value.len,
                             (u_char *) "close", 5 - 1))
        {
            up->close = 1;
        }

    } else if (ngx_chat_str_is(&name, "retry-after")) {
        ngx_http_chat_upstream_read_retry_after(up, &value);
    }
}


static void
ngx_http_chat_upstream_read_retry_after(ngx_http_chat_upstream_t *up,
    ngx_str_t *value)
{
    time_t  after;

    after = ngx_atotm(value->data, value->len);

    if (after == NGX_ERROR) {
        after = ngx_parse_http_time(value->data, value->len);

        if (after != NGX_ERROR) {
            after -= ngx_time();
        }
    }

    if (after > 0) {
        up->call.retry_after = (ngx_msec_t) ngx_min(after, 86400) * 1000;
    }
}


/* statuses for which nginx itself goes on to the next server of the group */

static ngx_uint_t
ngx_http_chat_upstream_try_next(ngx_http_request_t *r)
{
    switch (r->upstream->headers_in.status_n) {

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
    case NGX_HTTP_GATEWAY_TIME_OUT:
    case NGX_HTTP_TOO_MANY_REQUESTS:
        return r->upstream->peer.tries > 1;

    default:
        return 0;
    }
}


/*
 * Called with what came behind the header, as long as the connection is not
 * ours; nginx would send the body to the client of a request.
 */

static ngx_int_t
ngx_http_chat_upstream_body_handler(ngx_http_request_t *r)
{
    size_t                     len;
    u_char                    *p;
    ngx_buf_t                 *b;
    ngx_http_chat_upstream_t  *up;

    up = r->upstream->input_filter_ctx;

    b = &r->upstream->buffer;
    p = b->pos;
    len = b->last - b->pos;

    ngx_http_chat_upstream_take_over(r);

    ngx_http_chat_upstream_read_bytes(up, p, len);

    b->pos = b->start;
    b->last = b->start;

    return NGX_AGAIN;
}


/*
 * NGX_AGAIN makes nginx read once more before it lets go, and it comes back to
 * read when a request that took long is sent at last: that must find nothing,
 * as it would take an end for a failure.
 */

static void
ngx_http_chat_upstream_take_over(ngx_http_request_t *r)
{
    ngx_connection_t          *c;
    ngx_http_upstream_t       *u;
    ngx_http_chat_upstream_t  *up;

    u = r->upstream;
    up = u->input_filter_ctx;
    c = u->peer.connection;

    u->read_event_handler = ngx_http_chat_upstream_read_handler;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    up->recv = c->recv;
    c->recv = ngx_http_chat_upstream_no_recv;

    ngx_post_event(&up->event, &ngx_posted_events);
}


static void
ngx_http_chat_upstream_read_handler(ngx_http_request_t *r,
    ngx_http_upstream_t *u)
{
    ngx_http_chat_upstream_t  *up;

    up = u->input_filter_ctx;

    up->process(up);

    /* a request that took long may have been sent meanwhile */

    if (ngx_http_chat_upstream_may_own(up)) {
        ngx_post_event(&up->event, &ngx_posted_events);
    }
}


static ssize_t
ngx_http_chat_upstream_no_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    return NGX_AGAIN;
}


ngx_int_t
ngx_http_chat_upstream_read(ngx_http_chat_upstream_t *up)
{
    u_char            *p;
    ssize_t            n;
    ngx_uint_t         reads;
    ngx_connection_t  *c;

    if (up->closed) {
        return NGX_AGAIN;
    }

    if (up->request) {
        ngx_http_chat_upstream_shrink(up);
        c = up->request->upstream->peer.connection;

    } else {
        c = up->connection;
    }

    p = ngx_http_chat_upstream_bytes;

    c->log->action = "reading upstream";

    reads = 0;

    while (!up->eof && up->call.fault.error == NGX_CHAT_E_NONE) {

        /* a fast provider must not starve other connections */

        if (reads++ == NGX_HTTP_CHAT_UPSTREAM_READS) {
            ngx_post_event(&up->event, &ngx_posted_next_events);
            return NGX_AGAIN;
        }

        n = up->recv(c, p, NGX_HTTP_CHAT_UPSTREAM_SIZE);

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(c->read, 0) == NGX_OK) {
                return NGX_AGAIN;
            }

            n = NGX_ERROR;
        }

        if (n > 0) {
            ngx_http_chat_upstream_read_bytes(up, p, (size_t) n);
            continue;
        }

        up->close = 1;

        if (n == 0 && !up->is_chunked && up->left == -1) {
            ngx_http_chat_upstream_read_eof(up);
            break;
        }

        ngx_chat_provider_call_fail(&up->call, NGX_CHAT_CALL_BROKEN_OFF);
        break;
    }

    return NGX_DONE;
}


/*
 * Of a call that does not own its connection: it has no use for what was sent
 * or for the header any more; nginx looks into the latter's buffer until the
 * request is sent.
 */

static void
ngx_http_chat_upstream_shrink(ngx_http_chat_upstream_t *up)
{
    ngx_pool_t           *pool;
    ngx_http_upstream_t  *u;

    u = up->request->upstream;
    pool = up->request->pool;

    if (u->buffer.start == NULL || !u->request_body_sent) {
        return;
    }

    (void) ngx_pfree(pool, u->buffer.start);
    (void) ngx_pfree(pool, u->request_bufs->buf->start);

    ngx_memzero(&u->buffer, sizeof(ngx_buf_t));
    u->request_bufs = NULL;
}


/* bytes of the body, as they stand on the connection */

static void
ngx_http_chat_upstream_read_bytes(ngx_http_chat_upstream_t *up, u_char *p,
    size_t len)
{
    if (up->is_chunked) {
        ngx_http_chat_upstream_read_chunks(up, p, len);
        return;
    }

    if (up->left == -1) {
        ngx_http_chat_upstream_feed(up, p, len);
        return;
    }

    if ((off_t) len > up->left) {
        len = (size_t) up->left;
        up->close = 1;
    }

    up->left -= len;

    ngx_http_chat_upstream_feed(up, p, len);

    if (up->left == 0) {
        ngx_http_chat_upstream_read_eof(up);
    }
}


static void
ngx_http_chat_upstream_read_chunks(ngx_http_chat_upstream_t *up, u_char *p,
    size_t len)
{
    off_t      size;
    ngx_buf_t  b;
    ngx_int_t  rc;

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.pos = p;
    b.last = p + len;

    ngx_http_chat_upstream_parser.connection = up->request
                                               ? up->request->connection
                                               : up->connection;

    while (up->call.fault.error == NGX_CHAT_E_NONE) {

#if (nginx_version >= 1027002)
        rc = ngx_http_parse_chunked(&ngx_http_chat_upstream_parser, &b,
                                    &up->chunked, 0);
#else
        rc = ngx_http_parse_chunked(&ngx_http_chat_upstream_parser, &b,
                                    &up->chunked);
#endif

        if (rc == NGX_OK) {
            size = ngx_min(up->chunked.size, b.last - b.pos);

            ngx_http_chat_upstream_feed(up, b.pos, (size_t) size);

            b.pos += size;
            up->chunked.size -= size;
            continue;
        }

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc == NGX_DONE) {
            if (b.pos < b.last) {
                up->close = 1;
            }

            ngx_http_chat_upstream_read_eof(up);
            return;
        }

        up->close = 1;

        ngx_chat_provider_call_fail(&up->call, NGX_CHAT_CALL_BAD_CHUNKED);
        ngx_http_chat_upstream_read_eof(up);

        return;
    }
}


static void
ngx_http_chat_upstream_feed(ngx_http_chat_upstream_t *up, u_char *p,
    size_t len)
{
    (void) ngx_chat_provider_call_read(&up->call, p, len);
}


static void
ngx_http_chat_upstream_read_eof(ngx_http_chat_upstream_t *up)
{
    if (up->eof) {
        return;
    }

    up->eof = 1;

    ngx_chat_provider_call_eof(&up->call);
}
