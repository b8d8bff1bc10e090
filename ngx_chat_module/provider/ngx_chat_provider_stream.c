
#include "ngx_chat_provider_stream.h"
#include "../codec/ngx_chat_str.h"


#define NGX_CHAT_STREAM_EVENT   (4 * 1024 * 1024)
#define NGX_CHAT_STREAM_USAGE   4096
#define NGX_CHAT_STREAM_NAME    256
#define NGX_CHAT_STREAM_TEMP    1024

#define NGX_CHAT_STREAM_LINGER  100     /* ms, from [DONE] to the end */
#define NGX_CHAT_STREAM_SETTLE  2000    /* ms, from the reason to [DONE] */

/* FNV-1a */
#define NGX_CHAT_STREAM_BASIS   0xcbf29ce484222325ULL
#define NGX_CHAT_STREAM_PRIME   0x100000001b3ULL


static u_char *ngx_chat_provider_stream_text_end(u_char *p, u_char *last);
static void ngx_chat_provider_stream_detect_form(ngx_chat_provider_stream_t *st,
    u_char **pos, u_char *last);
static void ngx_chat_provider_stream_append_json(ngx_chat_provider_stream_t *st,
    u_char *p, size_t len);
static void ngx_chat_provider_stream_read_events(ngx_chat_provider_stream_t *st,
    u_char *p, size_t len);
static void ngx_chat_provider_stream_read_event(ngx_chat_provider_stream_t *st);
static void ngx_chat_provider_stream_take_delta(ngx_chat_provider_stream_t *st,
    ngx_chat_delta_t *d);
static void ngx_chat_provider_stream_take_finish(ngx_chat_provider_stream_t *st,
    ngx_chat_delta_t *d, ngx_uint_t text);
static void ngx_chat_provider_stream_drop_known(ngx_chat_provider_stream_t *st,
    ngx_str_t *text);
static void ngx_chat_provider_stream_send_text(ngx_chat_provider_stream_t *st,
    ngx_str_t *text);
static uint64_t ngx_chat_provider_stream_add_sum(uint64_t sum, u_char *p,
    size_t len);
static void ngx_chat_provider_stream_end_half(ngx_chat_provider_stream_t *st);
static void ngx_chat_provider_stream_complete(ngx_chat_provider_stream_t *st);
static void ngx_chat_provider_stream_keep_value(ngx_chat_provider_stream_t *st,
    ngx_str_t *dst, size_t *room, ngx_str_t *src, size_t max);


static ngx_str_t  ngx_chat_provider_stream_sse =
    ngx_string("text/event-stream");
static ngx_str_t  ngx_chat_provider_stream_filtered =
    ngx_string("content_filter");
static ngx_str_t  ngx_chat_provider_stream_fffd =
    ngx_string("\xef\xbf\xbd");


void
ngx_chat_provider_stream_init(ngx_chat_provider_stream_t *st,
    ngx_chat_provider_fault_t *fault, ngx_pool_t *pool)
{
    ngx_chat_sse_reader_init(&st->sse, NGX_CHAT_STREAM_EVENT);

    st->fault = fault;
    st->pool = pool;
    st->text_sum = NGX_CHAT_STREAM_BASIS;
}


void
ngx_chat_provider_stream_free(ngx_chat_provider_stream_t *st)
{
    ngx_chat_sse_reader_free(&st->sse);
}


void
ngx_chat_provider_stream_set_type(ngx_chat_provider_stream_t *st,
    ngx_str_t *type)
{
    size_t   i;
    u_char  *p;

    p = type->data;

    if (p == NULL) {
        return;
    }

    st->not_sse = 1;

    if (type->len < ngx_chat_provider_stream_sse.len) {
        return;
    }

    for (i = 0; i < ngx_chat_provider_stream_sse.len; i++) {

        if (ngx_tolower(p[i]) != ngx_chat_provider_stream_sse.data[i]) {
            return;
        }
    }

    st->not_sse = (i < type->len && p[i] != ';' && p[i] != ' ');
}


void
ngx_chat_provider_stream_read(ngx_chat_provider_stream_t *st, u_char *p,
    size_t len)
{
    u_char  *last, *text;

    if (len == 0) {
        return;
    }

    last = p + len;
    text = ngx_chat_provider_stream_text_end(p, last);

    if (st->form == NGX_CHAT_FORM_UNKNOWN) {
        ngx_chat_provider_stream_detect_form(st, &p, text);
    }

    if (st->form == NGX_CHAT_FORM_JSON) {
        ngx_chat_provider_stream_append_json(st, p, text - p);

    } else {
        ngx_chat_provider_stream_read_events(st, p, text - p);
    }

    if (text < last && !st->done) {
        ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                    "sent bytes that are no text");
    }
}


/*
 * The end of the text at p.  Unknown lines of an event stream are skipped, but
 * a line with other bytes than text may hide a chunk that was lost in it.
 */

static u_char *
ngx_chat_provider_stream_text_end(u_char *p, u_char *last)
{
    while (p < last
           && (*p >= ' ' || *p == LF || *p == CR || *p == '\t'))
    {
        p++;
    }

    return p;
}


/*
 * The first byte that is not white space decides, not the Content-Type: event
 * streams come as text/plain, and whole answers as event streams.
 */

static void
ngx_chat_provider_stream_detect_form(ngx_chat_provider_stream_t *st,
    u_char **pos,
    u_char *last)
{
    u_char  *p;

    for (p = *pos; p < last; p++) {

        switch (*p) {

        case ' ':
        case '\t':
        case CR:
        case LF:

        /* a byte order mark */
        case 0xef:
        case 0xbb:
        case 0xbf:
            continue;

        case '{':
        case '[':
            *pos = p;
            st->form = NGX_CHAT_FORM_JSON;
            return;

        /* data, error, event, id, retry, and a comment */
        case 'd':
        case 'e':
        case 'i':
        case 'r':
        case ':':
            st->form = NGX_CHAT_FORM_EVENTS;
            return;

        default:
            st->form = NGX_CHAT_FORM_EVENTS;

            if (st->not_sse) {
                ngx_chat_provider_fault_set(st->fault,
                                            NGX_CHAT_E_PROVIDER_BROKEN,
                                            0, "sent something else than an "
                                            "event stream");
            }

            return;
        }
    }
}


static void
ngx_chat_provider_stream_append_json(ngx_chat_provider_stream_t *st, u_char *p,
    size_t len)
{
    if (ngx_chat_bytes_append(&st->sse.data, p, len) != NGX_OK) {
        ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                    "sent an answer that is too large");
    }
}


static void
ngx_chat_provider_stream_read_events(ngx_chat_provider_stream_t *st, u_char *p,
    size_t len)
{
    ngx_buf_t  b;
    ngx_int_t  rc;

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.start = p;
    b.pos = p;
    b.last = p + len;
    b.end = b.last;

    while (!st->done && st->fault->error == NGX_CHAT_E_NONE) {

        rc = ngx_chat_sse_reader_read(&st->sse, &b);

        if (rc == NGX_AGAIN) {
            ngx_chat_sse_reader_shrink(&st->sse);
            return;
        }

        if (rc != NGX_OK) {
            ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN,
                                        0,
                                        "sent an event that is too large");
            return;
        }

        ngx_chat_provider_stream_read_event(st);
    }
}


void
ngx_chat_provider_stream_end(ngx_chat_provider_stream_t *st)
{
    if (st->form == NGX_CHAT_FORM_JSON) {
        ngx_chat_provider_stream_read_event(st);

    } else {
        /* the last event may lack its empty line */
        ngx_chat_provider_stream_read(st, (u_char *) "\n\n", 2);
    }

    if (st->done || st->fault->error != NGX_CHAT_E_NONE) {
        return;
    }

    if (st->finish.len || st->resumed
        || (st->has_message && st->form == NGX_CHAT_FORM_JSON))
    {
        ngx_chat_provider_stream_complete(st);
        return;
    }

    if (st->not_sse && !st->has_event) {
        ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                    "sent something else than an event stream");
        return;
    }

    ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                "closed the connection before the end "
                                "of the answer");
}


ngx_msec_t
ngx_chat_provider_stream_idle_timeout(ngx_chat_provider_stream_t *st,
    ngx_msec_t idle)
{
    if (st->done) {
        return NGX_CHAT_STREAM_LINGER;
    }

    if (st->finished && st->finish_bare) {
        return ngx_min(idle, NGX_CHAT_STREAM_SETTLE);
    }

    return idle;
}


/* most of the time a stream waits: it has no pool for events then */

static void
ngx_chat_provider_stream_read_event(ngx_chat_provider_stream_t *st)
{
    ngx_int_t          rc;
    ngx_str_t          data;
    ngx_pool_t        *temp;
    ngx_chat_delta_t   d;

    data.data = st->sse.data.data;
    data.len = st->sse.data.len;

    ngx_memzero(&d, sizeof(ngx_chat_delta_t));

    d.half = st->half;
    d.is_error = st->sse.error_line || st->sse.error_name;

    if (data.len == 0 && !d.is_error) {
        return;
    }

    st->has_event = 1;

    temp = ngx_create_pool(NGX_CHAT_STREAM_TEMP, st->pool->log);
    if (temp == NULL) {
        ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_INTERNAL, 1,
                                    "could not be asked for want of "
                                    "connections, open files or memory");
        return;
    }

    rc = ngx_chat_delta_parse(&d, &data, temp);

    if (rc == NGX_DONE) {
        st->done = 1;
        ngx_chat_provider_stream_complete(st);

    } else if (rc == NGX_DECLINED) {
        ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                    "sent content of a type that is no text");

    } else if (rc != NGX_OK) {
        ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                    "sent an event that is not valid JSON");

    } else if (d.is_error) {
        ngx_chat_provider_fault_object(st->fault, &d, &data, temp);

    } else {
        ngx_chat_provider_stream_take_delta(st, &d);
    }

    ngx_destroy_pool(temp);
}


static void
ngx_chat_provider_stream_take_delta(ngx_chat_provider_stream_t *st,
    ngx_chat_delta_t *d)
{
    ngx_uint_t  half;

    if (st->model.len == 0) {
        ngx_chat_provider_stream_keep_value(st, &st->model, &st->model_room,
                                            &d->model, NGX_CHAT_STREAM_NAME);
    }

    ngx_chat_provider_stream_keep_value(st, &st->usage, &st->usage_room,
                                        &d->usage, NGX_CHAT_STREAM_USAGE);

    half = (d->half != st->half);

    if (d->text.len || half || d->reasoning || d->finish.len) {
        st->tokens++;
    }

    st->half = d->half;

    if (d->refused) {
        st->refused = 1;
    }

    if (d->is_message) {
        st->has_message = 1;
        ngx_chat_provider_stream_drop_known(st, &d->text);

    } else if (d->text.len) {
        st->has_delta = 1;
    }

    ngx_chat_provider_stream_take_finish(st, d, d->text.len || half);

    if (d->text.len) {
        ngx_chat_provider_stream_send_text(st, &d->text);
    }
}


/*
 * Providers may send a finish reason with each delta: a reason that text
 * follows does not count, and after half a character more text is due.
 */

static void
ngx_chat_provider_stream_take_finish(ngx_chat_provider_stream_t *st,
    ngx_chat_delta_t *d, ngx_uint_t text)
{
    if (text && st->finish.len) {
        st->finish.len = 0;
        st->finished = 0;
        st->resumed = 1;
    }

    if (d->finish.len == 0) {
        return;
    }

    /* a refusal is an end of its own, but the provider says "stop" */

    if (st->refused && ngx_chat_str_is(&d->finish, "stop")) {
        d->finish = ngx_chat_provider_stream_filtered;
    }

    ngx_chat_provider_stream_keep_value(st, &st->finish, &st->finish_room,
                                        &d->finish, NGX_CHAT_STREAM_NAME);

    st->finish_bare = !text;

    if (st->finish_bare && !st->resumed) {
        ngx_chat_provider_stream_end_half(st);
    }

    st->finished = !st->resumed && !st->half;
}


/*
 * A message may repeat the text so far: only the rest of it is new.  After
 * deltas, a message that differs from them, as in white space, is dropped.
 */

static void
ngx_chat_provider_stream_drop_known(ngx_chat_provider_stream_t *st,
    ngx_str_t *text)
{
    if (text->len < st->text_len
        || ngx_chat_provider_stream_add_sum(NGX_CHAT_STREAM_BASIS, text->data,
                                            st->text_len)
           != st->text_sum)
    {
        if (st->has_delta) {
            text->len = 0;
        }

        return;
    }

    text->data += st->text_len;
    text->len -= st->text_len;
}


static void
ngx_chat_provider_stream_send_text(ngx_chat_provider_stream_t *st,
    ngx_str_t *text)
{
    st->text_len += text->len;
    st->text_sum = ngx_chat_provider_stream_add_sum(st->text_sum, text->data,
                                                    text->len);

    st->delta(st->data, text);
}


static uint64_t
ngx_chat_provider_stream_add_sum(uint64_t sum, u_char *p, size_t len)
{
    u_char  *last;

    for (last = p + len; p < last; p++) {
        sum = (sum ^ *p) * NGX_CHAT_STREAM_PRIME;
    }

    return sum;
}


/* half a character at the end of the text becomes U+FFFD */

static void
ngx_chat_provider_stream_end_half(ngx_chat_provider_stream_t *st)
{
    if (st->half) {
        st->half = 0;
        ngx_chat_provider_stream_send_text(st, &ngx_chat_provider_stream_fffd);
    }
}


static void
ngx_chat_provider_stream_complete(ngx_chat_provider_stream_t *st)
{
    ngx_chat_provider_stream_end_half(st);

    if (st->text_len == 0 && st->finish.len == 0) {
        ngx_chat_provider_fault_set(st->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                    "ended the answer before it began");
    }
}


/* a value that is absent, or too long to be genuine, changes nothing */

static void
ngx_chat_provider_stream_keep_value(ngx_chat_provider_stream_t *st,
    ngx_str_t *dst, size_t *room, ngx_str_t *src, size_t max)
{
    u_char  *p;

    if (src->len == 0 || src->len > max
        || (src->len == dst->len
            && ngx_memcmp(src->data, dst->data, src->len) == 0))
    {
        return;
    }

    /*
     * Most come once, and get the room that they need.  A provider may send
     * another value in each event: after a longer one, no new room for it.
     */

    if (src->len > *room) {
        max = (*room == 0) ? src->len : max;

        p = ngx_pnalloc(st->pool, max);
        if (p == NULL) {
            return;
        }

        dst->data = p;
        *room = max;
    }

    p = ngx_cpymem(dst->data, src->data, src->len);
    dst->len = p - dst->data;
}
