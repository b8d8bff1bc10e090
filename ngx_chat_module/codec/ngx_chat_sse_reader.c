
#include "ngx_chat_sse_reader.h"


static ngx_int_t ngx_chat_sse_open(ngx_chat_sse_reader_t *sr);
static u_char *ngx_chat_sse_line_end(u_char *p, u_char *last);


static u_char  ngx_chat_sse_bom[] = { 0xef, 0xbb, 0xbf };
static u_char  ngx_chat_sse_data[] = { 'd', 'a', 't', 'a' };


void
ngx_chat_sse_reader_init(ngx_chat_sse_reader_t *sr, size_t max)
{
    ngx_memzero(sr, sizeof(ngx_chat_sse_reader_t));

    sr->data.max = max;
}


ngx_int_t
ngx_chat_sse_read(ngx_chat_sse_reader_t *sr, ngx_buf_t *b)
{
    u_char     *p, *end, ch;
    ngx_int_t   rc;

    enum {
        sw_bom = 0,
        sw_line_start,
        sw_field,
        sw_space,
        sw_value,
        sw_skip
    } state;

    if (sr->ready) {
        sr->ready = 0;
        sr->has_data = 0;
        sr->data.len = 0;
    }

    rc = NGX_AGAIN;
    state = sr->state;

    for (p = b->pos; p < b->last && rc == NGX_AGAIN; /* void */ ) {

        ch = *p;

        if (sr->cr) {
            sr->cr = 0;

            if (ch == LF) {
                p++;
                continue;
            }
        }

        switch (state) {

        case sw_bom:
            if (ch == ngx_chat_sse_bom[sr->field]) {
                p++;

                if (++sr->field == sizeof(ngx_chat_sse_bom)) {
                    state = sw_line_start;
                }

                break;
            }

            /* part of a byte order mark is the start of an unknown field */

            state = sr->field ? sw_skip : sw_line_start;
            break;

        case sw_line_start:
            if (ch == CR || ch == LF) {
                p++;
                sr->cr = (ch == CR);

                if (sr->has_data) {
                    sr->ready = 1;
                    rc = NGX_OK;
                }

                break;
            }

            sr->field = 0;
            state = sw_field;
            break;

        case sw_field:
            if (sr->field < sizeof(ngx_chat_sse_data)
                && ch == ngx_chat_sse_data[sr->field])
            {
                p++;
                sr->field++;
                break;
            }

            state = sw_skip;

            if (sr->field < sizeof(ngx_chat_sse_data)
                || (ch != ':' && ch != CR && ch != LF))
            {
                break;
            }

            if (ngx_chat_sse_open(sr) != NGX_OK) {
                rc = NGX_ERROR;
                break;
            }

            /* without a colon the value is empty */

            if (ch == ':') {
                p++;
                state = sw_space;
            }

            break;

        case sw_space:
            if (ch == ' ') {
                p++;
            }

            state = sw_value;
            break;

        case sw_value:
            end = ngx_chat_sse_line_end(p, b->last);

            if (ngx_chat_bytes_append(&sr->data, p, end - p) != NGX_OK) {
                rc = NGX_ERROR;
                break;
            }

            p = end;

            if (p < b->last) {
                state = sw_skip;
            }

            break;

        default: /* sw_skip */
            p = ngx_chat_sse_line_end(p, b->last);

            if (p < b->last) {
                sr->cr = (*p++ == CR);
                state = sw_line_start;
            }

            break;
        }
    }

    sr->state = state;
    b->pos = p;

    return rc;
}


/* begins the next line of data */

static ngx_int_t
ngx_chat_sse_open(ngx_chat_sse_reader_t *sr)
{
    u_char  ch;

    if (sr->has_data) {
        ch = LF;
        return ngx_chat_bytes_append(&sr->data, &ch, 1);
    }

    sr->has_data = 1;

    return NGX_OK;
}


static u_char *
ngx_chat_sse_line_end(u_char *p, u_char *last)
{
    while (p < last && *p != CR && *p != LF) {
        p++;
    }

    return p;
}


void
ngx_chat_sse_reader_free(ngx_chat_sse_reader_t *sr)
{
    ngx_chat_bytes_free(&sr->data);
}
