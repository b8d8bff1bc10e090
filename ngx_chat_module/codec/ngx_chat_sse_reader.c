
#include "ngx_chat_sse_reader.h"


typedef enum {
    sw_bom = 0,
    sw_line_start,
    sw_field,
    sw_space,
    sw_value,
    sw_name_space,
    sw_name,
    sw_skip
} ngx_chat_sse_reader_state_e;


static ngx_int_t ngx_chat_sse_reader_take_byte(ngx_chat_sse_reader_t *sr,
    u_char ch);
static ngx_int_t ngx_chat_sse_reader_take_field(ngx_chat_sse_reader_t *sr,
    u_char ch);
static ngx_int_t ngx_chat_sse_reader_start_data(ngx_chat_sse_reader_t *sr,
    u_char ch);
static ngx_int_t ngx_chat_sse_reader_take_name(ngx_chat_sse_reader_t *sr,
    u_char ch);
static ngx_uint_t ngx_chat_sse_reader_is_word(ngx_chat_sse_reader_t *sr,
    ngx_str_t *word);
static ngx_int_t ngx_chat_sse_reader_take_rest(ngx_chat_sse_reader_t *sr,
    ngx_buf_t *b);


static u_char  ngx_chat_sse_reader_bom[] = { 0xef, 0xbb, 0xbf };

static ngx_str_t  ngx_chat_sse_reader_word_data = ngx_string("data");
static ngx_str_t  ngx_chat_sse_reader_word_event = ngx_string("event");
static ngx_str_t  ngx_chat_sse_reader_word_error = ngx_string("error");


void
ngx_chat_sse_reader_init(ngx_chat_sse_reader_t *sr, size_t max)
{
    ngx_memzero(sr, sizeof(ngx_chat_sse_reader_t));

    sr->data.max = max;
}


ngx_int_t
ngx_chat_sse_reader_read(ngx_chat_sse_reader_t *sr, ngx_buf_t *b)
{
    ngx_int_t  rc;

    if (sr->ready) {
        sr->ready = 0;
        sr->has_data = 0;
        sr->error_line = 0;
        sr->error_name = 0;
        sr->data.len = 0;
    }

    while (b->pos < b->last) {

        if (sr->cr) {
            sr->cr = 0;

            if (*b->pos == LF) {
                b->pos++;
                continue;
            }
        }

        if (sr->state == sw_value || sr->state == sw_skip) {

            if (ngx_chat_sse_reader_take_rest(sr, b) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        rc = ngx_chat_sse_reader_take_byte(sr, *b->pos);

        if (rc == NGX_DECLINED) {
            continue;
        }

        b->pos++;

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }

    return NGX_AGAIN;
}


/*
 * Takes a byte of a line, up to its value.
 *
 * NGX_OK        taken: an event is complete
 * NGX_AGAIN     taken
 * NGX_DECLINED  not taken: the byte belongs to the new state
 * NGX_ERROR     over the limit, or no memory
 */

static ngx_int_t
ngx_chat_sse_reader_take_byte(ngx_chat_sse_reader_t *sr, u_char ch)
{
    switch (sr->state) {

    case sw_bom:
        if (ch != ngx_chat_sse_reader_bom[sr->field]) {

            /* a part of a byte order mark is the start of another field */

            sr->state = sr->field ? sw_skip : sw_line_start;
            return NGX_DECLINED;
        }

        if (++sr->field == sizeof(ngx_chat_sse_reader_bom)) {
            sr->state = sw_line_start;
        }

        return NGX_AGAIN;

    case sw_line_start:
        if (ch != CR && ch != LF) {
            sr->field = 0;
            sr->state = sw_field;
            return NGX_DECLINED;
        }

        sr->cr = (ch == CR);

        if (sr->has_data || sr->error_name) {
            sr->ready = 1;
            return NGX_OK;
        }

        return NGX_AGAIN;

    case sw_field:
        return ngx_chat_sse_reader_take_field(sr, ch);

    case sw_name:
        return ngx_chat_sse_reader_take_name(sr, ch);

    default: /* sw_space, sw_name_space */
        sr->state++;

        return (ch == ' ') ? NGX_AGAIN : NGX_DECLINED;
    }
}


static ngx_int_t
ngx_chat_sse_reader_take_field(ngx_chat_sse_reader_t *sr, u_char ch)
{
    if (ch != ':' && ch != CR && ch != LF) {

        if (sr->field < NGX_CHAT_SSE_READER_WORD) {
            sr->word[sr->field++] = ch;
            return NGX_AGAIN;
        }

        sr->state = sw_skip;

        return NGX_DECLINED;
    }

    if (ngx_chat_sse_reader_is_word(sr, &ngx_chat_sse_reader_word_data)) {
        return ngx_chat_sse_reader_start_data(sr, ch);
    }

    if (ngx_chat_sse_reader_is_word(sr, &ngx_chat_sse_reader_word_error)) {
        sr->error_line = 1;
        return ngx_chat_sse_reader_start_data(sr, ch);
    }

    if (ngx_chat_sse_reader_is_word(sr, &ngx_chat_sse_reader_word_event)) {
        sr->error_name = 0;
        sr->field = 0;
        sr->state = (ch == ':') ? sw_name_space : sw_skip;

    } else {
        sr->state = sw_skip;
    }

    return (ch == ':') ? NGX_AGAIN : NGX_DECLINED;
}


/* a line of data: a line feed separates it from data before */

static ngx_int_t
ngx_chat_sse_reader_start_data(ngx_chat_sse_reader_t *sr, u_char ch)
{
    u_char  lf;

    lf = LF;

    if (sr->has_data
        && ngx_chat_bytes_append(&sr->data, &lf, 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    sr->has_data = 1;

    if (ch != ':') {
        /* without a colon the value is empty */
        sr->state = sw_skip;
        return NGX_DECLINED;
    }

    sr->state = sw_space;

    return NGX_AGAIN;
}


/* the name of an event: only "error" is of interest */

static ngx_int_t
ngx_chat_sse_reader_take_name(ngx_chat_sse_reader_t *sr, u_char ch)
{
    if (ch != CR && ch != LF && sr->field < NGX_CHAT_SSE_READER_WORD) {
        sr->word[sr->field++] = ch;
        return NGX_AGAIN;
    }

    sr->error_name = (ch == CR || ch == LF)
                && ngx_chat_sse_reader_is_word(sr,
                                               &ngx_chat_sse_reader_word_error);
    sr->state = sw_skip;

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_chat_sse_reader_is_word(ngx_chat_sse_reader_t *sr, ngx_str_t *word)
{
    return sr->field == word->len
           && ngx_memcmp(sr->word, word->data, word->len) == 0;
}


/* a value, or a line to skip, as far as the buffer has it */

static ngx_int_t
ngx_chat_sse_reader_take_rest(ngx_chat_sse_reader_t *sr, ngx_buf_t *b)
{
    u_char  *p;

    p = b->pos;

    while (p < b->last && *p != CR && *p != LF) {
        p++;
    }

    if (sr->state == sw_value
        && ngx_chat_bytes_append(&sr->data, b->pos, p - b->pos) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (p < b->last) {
        sr->cr = (*p++ == CR);
        sr->state = sw_line_start;
    }

    b->pos = p;

    return NGX_OK;
}


void
ngx_chat_sse_reader_shrink(ngx_chat_sse_reader_t *sr)
{
    if (!sr->has_data) {
        ngx_chat_bytes_free(&sr->data);
    }
}


void
ngx_chat_sse_reader_free(ngx_chat_sse_reader_t *sr)
{
    ngx_chat_bytes_free(&sr->data);
}
