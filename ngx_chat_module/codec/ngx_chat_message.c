
#include "ngx_chat_message.h"
#include "ngx_chat_str.h"
#include "ngx_chat_utf8.h"


/* texts of an event in this version */
#define NGX_CHAT_MESSAGE_TEXTS  3


static ngx_int_t ngx_chat_message_skip_byte(ngx_chat_message_t *m, u_char ch);
static ngx_int_t ngx_chat_message_read_length(ngx_chat_message_t *m,
    size_t *len);
static ngx_int_t ngx_chat_message_read_text(ngx_chat_message_t *m, size_t len,
    ngx_str_t *text);
static ngx_int_t ngx_chat_message_read_event(ngx_chat_message_t *m,
    ngx_chat_event_t *ev);
static ngx_int_t ngx_chat_message_read_texts(ngx_chat_message_t *m,
    ngx_str_t *text, ngx_uint_t *n);


ngx_int_t
ngx_chat_message_parse(ngx_chat_message_t *m, ngx_str_t *data)
{
    uint64_t  count, max, n;

    ngx_memzero(m, sizeof(ngx_chat_message_t));

    if (data->len == 0) {
        return NGX_ERROR;
    }

    m->pos = data->data;
    m->last = data->data + data->len;

    max = (uint64_t) -1;

    if (ngx_chat_message_skip_byte(m, '1') != NGX_OK
        || ngx_chat_message_skip_byte(m, ' ') != NGX_OK
        || ngx_chat_str_read_number(&m->pos, m->last, max, &m->tries) != NGX_OK
        || ngx_chat_message_skip_byte(m, ' ') != NGX_OK
        || ngx_chat_str_read_number(&m->pos, m->last, max, &m->n0) != NGX_OK
        || ngx_chat_message_skip_byte(m, ' ') != NGX_OK
        || ngx_chat_str_read_number(&m->pos, m->last, max, &m->ms) != NGX_OK
        || ngx_chat_message_skip_byte(m, ' ') != NGX_OK
        || ngx_chat_str_read_number(&m->pos, m->last, max, &count) != NGX_OK)
    {
        return NGX_ERROR;
    }

    while (ngx_chat_message_skip_byte(m, ' ') == NGX_OK) {

        if (ngx_chat_str_read_number(&m->pos, m->last, max, &n) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_chat_message_skip_byte(m, LF) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the shortest event has two bytes, and numbers must not wrap */

    if (count > (uint64_t) (m->last - m->pos) / 2 || m->n0 > max - count) {
        return NGX_ERROR;
    }

    m->count = (ngx_uint_t) count;
    m->left = m->count;

    return NGX_OK;
}


ngx_int_t
ngx_chat_message_next(ngx_chat_message_t *m, ngx_chat_event_t *ev)
{
    u_char  *pos;

    if (m->left == 0) {
        return (m->pos == m->last) ? NGX_DONE : NGX_ERROR;
    }

    pos = m->pos;

    if (ngx_chat_message_read_event(m, ev) != NGX_OK) {
        m->pos = pos;
        return NGX_ERROR;
    }

    m->left--;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_message_read_event(ngx_chat_message_t *m, ngx_chat_event_t *ev)
{
    u_char      type;
    ngx_str_t   text[NGX_CHAT_MESSAGE_TEXTS];
    ngx_uint_t  n;

    ngx_memzero(ev, sizeof(ngx_chat_event_t));

    if (m->pos == m->last) {
        return NGX_ERROR;
    }

    type = *m->pos++;

    if (ngx_chat_message_read_texts(m, text, &n) != NGX_OK) {
        return NGX_ERROR;
    }

    switch (type) {

    case 'p':
        ev->status = NGX_CHAT_PROCESSING;
        return NGX_OK;

    case 's':
        ev->status = NGX_CHAT_STREAMING;
        ev->text = text[0];

        return (n >= 1 && text[0].len) ? NGX_OK : NGX_ERROR;

    case 'c':
        ev->status = NGX_CHAT_COMPLETED;
        ev->code = text[0];

        m->origin.provider = text[1];
        m->origin.model = text[2];

        return (n == 1 || n >= 3) ? NGX_OK : NGX_ERROR;

    case 'e':
        ev->status = NGX_CHAT_ERROR;
        ev->text = text[0];
        ev->code = text[1];

        return (n >= 2) ? NGX_OK : NGX_ERROR;

    default:
        return NGX_ERROR;
    }
}


/* n texts behind the letter, those of this version in text[] */

static ngx_int_t
ngx_chat_message_read_texts(ngx_chat_message_t *m, ngx_str_t *text,
    ngx_uint_t *n)
{
    size_t      len, rest;
    ngx_uint_t  i;

    ngx_memzero(text, NGX_CHAT_MESSAGE_TEXTS * sizeof(ngx_str_t));

    rest = 0;

    for (i = 0; m->pos < m->last && *m->pos == ' '; i++) {

        if (ngx_chat_message_read_length(m, &len) != NGX_OK) {
            return NGX_ERROR;
        }

        if (i < NGX_CHAT_MESSAGE_TEXTS) {
            text[i].len = len;
            continue;
        }

        rest += len;

        if (rest > (size_t) (m->last - m->pos)) {
            return NGX_ERROR;
        }
    }

    *n = i;

    if (ngx_chat_message_skip_byte(m, LF) != NGX_OK) {
        return NGX_ERROR;
    }

    if (*n == 0) {
        return NGX_OK;
    }

    for (i = 0; i < ngx_min(*n, NGX_CHAT_MESSAGE_TEXTS); i++) {

        if (ngx_chat_message_read_text(m, text[i].len, &text[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (rest > (size_t) (m->last - m->pos)) {
        return NGX_ERROR;
    }

    m->pos += rest;

    return ngx_chat_message_skip_byte(m, LF);
}


static ngx_int_t
ngx_chat_message_skip_byte(ngx_chat_message_t *m, u_char ch)
{
    if (m->pos == m->last || *m->pos != ch) {
        return NGX_ERROR;
    }

    m->pos++;

    return NGX_OK;
}


/* a space and a length that fits in what is left */

static ngx_int_t
ngx_chat_message_read_length(ngx_chat_message_t *m, size_t *len)
{
    uint64_t  n;

    if (ngx_chat_message_skip_byte(m, ' ') != NGX_OK
        || ngx_chat_str_read_number(&m->pos, m->last, m->last - m->pos, &n)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    *len = (size_t) n;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_message_read_text(ngx_chat_message_t *m, size_t len, ngx_str_t *text)
{
    if (len > (size_t) (m->last - m->pos)
        || ngx_chat_utf8_check(m->pos, len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    text->len = len;
    text->data = m->pos;

    m->pos += len;

    return NGX_OK;
}
