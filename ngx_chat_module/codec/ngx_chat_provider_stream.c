
#include "ngx_chat_provider_stream.h"


#define NGX_CHAT_STREAM_EVENT  (4 * 1024 * 1024)
#define NGX_CHAT_STREAM_USAGE  4096
#define NGX_CHAT_STREAM_NAME   256


static u_char *ngx_chat_provider_stream_text(u_char *p, u_char *last);
static void ngx_chat_provider_stream_event(ngx_chat_provider_stream_t *st);
static void ngx_chat_provider_stream_delta(ngx_chat_provider_stream_t *st,
    ngx_chat_delta_t *d);
static void ngx_chat_provider_stream_keep(ngx_chat_provider_stream_t *st,
    ngx_str_t *dst, ngx_str_t *src, size_t max);


static ngx_str_t  ngx_chat_stream_type = ngx_string("text/event-stream");


ngx_int_t
ngx_chat_provider_stream_init(ngx_chat_provider_stream_t *st,
    ngx_chat_provider_fault_t *fault, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_chat_sse_reader_init(&st->sse, NGX_CHAT_STREAM_EVENT);

    st->fault = fault;
    st->pool = pool;
    st->temp = ngx_create_pool(4096, log);

    return st->temp ? NGX_OK : NGX_ERROR;
}


void
ngx_chat_provider_stream_free(ngx_chat_provider_stream_t *st)
{
    ngx_chat_sse_reader_free(&st->sse);

    if (st->temp) {
        ngx_destroy_pool(st->temp);
        st->temp = NULL;
    }
}


ngx_uint_t
ngx_chat_provider_is_stream(ngx_str_t *type)
{
    size_t   i;
    u_char  *p;

    p = type->data;

    if (p == NULL) {
        return 1;
    }

    if (type->len < ngx_chat_stream_type.len) {
        return 0;
    }

    for (i = 0; i < ngx_chat_stream_type.len; i++) {

        if (ngx_tolower(p[i]) != ngx_chat_stream_type.data[i]) {
            return 0;
        }
    }

    return i == type->len || p[i] == ';' || p[i] == ' ';
}


void
ngx_chat_provider_stream_read(ngx_chat_provider_stream_t *st, u_char *p,
    size_t len)
{
    ngx_buf_t  b;
    ngx_int_t  rc;

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.start = p;
    b.pos = p;
    b.end = p + len;
    b.last = ngx_chat_provider_stream_text(p, b.end);

    while (!st->done && st->fault->error == NGX_CHAT_E_NONE) {

        rc = ngx_chat_sse_read(&st->sse, &b);

        if (rc == NGX_AGAIN) {

            if (b.last < b.end) {
                ngx_chat_provider_fault(st->fault, NGX_CHAT_E_PROVIDER_BROKEN,
                                        0, "sent bytes that are no text");
            }

            return;
        }

        if (rc != NGX_OK) {
            ngx_chat_provider_fault(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                    "sent an event that is too large");
            return;
        }

        ngx_chat_provider_stream_event(st);
    }
}


/*
 * How far it is text.  Event streams let unknown lines pass, but a line of
 * other bytes may have swallowed the chunk behind it.
 */

static u_char *
ngx_chat_provider_stream_text(u_char *p, u_char *last)
{
    while (p < last
           && (*p >= ' ' || *p == LF || *p == CR || *p == '\t'))
    {
        p++;
    }

    return p;
}


void
ngx_chat_provider_stream_end(ngx_chat_provider_stream_t *st)
{
    /* the last event may lack its empty line */

    ngx_chat_provider_stream_read(st, (u_char *) "\n\n", 2);

    if (!st->done && !st->finished) {
        ngx_chat_provider_fault(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                "closed the connection before the end "
                                "of the answer");
    }
}


static void
ngx_chat_provider_stream_event(ngx_chat_provider_stream_t *st)
{
    ngx_int_t         rc;
    ngx_str_t         data;
    ngx_chat_delta_t  d;

    data.data = st->sse.data.data;
    data.len = st->sse.data.len;

    if (data.len == 0) {
        return;
    }

    d.half = st->half;

    rc = ngx_chat_delta_parse(&d, &data, st->temp);

    st->half = d.half;

    if (rc == NGX_DONE) {
        st->done = 1;

    } else if (rc == NGX_DECLINED) {
        ngx_chat_provider_fault(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                "sent content of a type that is no text");

    } else if (rc != NGX_OK) {
        ngx_chat_provider_fault(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                "sent an event that is not valid JSON");

    } else if (d.is_error) {
        ngx_chat_provider_fault_object(st->fault, &d, &data, st->temp);

    } else {
        ngx_chat_provider_stream_delta(st, &d);
    }

    ngx_reset_pool(st->temp);
}


static void
ngx_chat_provider_stream_delta(ngx_chat_provider_stream_t *st,
    ngx_chat_delta_t *d)
{
    if (st->model.len == 0) {
        ngx_chat_provider_stream_keep(st, &st->model, &d->model,
                                      NGX_CHAT_STREAM_NAME);
    }

    ngx_chat_provider_stream_keep(st, &st->usage, &d->usage,
                                  NGX_CHAT_STREAM_USAGE);

    if (d->finish.len) {
        st->finished = 1;
        ngx_chat_provider_stream_keep(st, &st->finish, &d->finish,
                                      NGX_CHAT_STREAM_NAME);
    }

    if (d->text.len || d->reasoning || d->finish.len) {
        st->tokens++;
    }

    if (d->text.len) {
        st->delta(st->data, &d->text);
    }
}


/* what is absent, or too long to be what it should be, changes nothing */

static void
ngx_chat_provider_stream_keep(ngx_chat_provider_stream_t *st, ngx_str_t *dst,
    ngx_str_t *src, size_t max)
{
    u_char  *p;

    if (src->len == 0 || src->len > max
        || (src->len == dst->len
            && ngx_memcmp(src->data, dst->data, src->len) == 0))
    {
        return;
    }

    /* a provider may send another value in each event: no new room for it */

    if (dst->data == NULL) {
        dst->data = ngx_pnalloc(st->pool, max);
        if (dst->data == NULL) {
            return;
        }
    }

    p = ngx_cpymem(dst->data, src->data, src->len);
    dst->len = p - dst->data;
}
