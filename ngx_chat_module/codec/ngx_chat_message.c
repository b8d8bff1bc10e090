
#include "ngx_chat_message.h"
#include "ngx_chat_str.h"
#include "ngx_chat_utf8.h"


static ngx_int_t ngx_chat_message_byte(ngx_chat_message_t *m, u_char ch);
static ngx_int_t ngx_chat_message_length(ngx_chat_message_t *m, size_t *len);
static ngx_int_t ngx_chat_message_text(ngx_chat_message_t *m, size_t len,
    ngx_str_t *text);
static ngx_int_t ngx_chat_message_event(ngx_chat_message_t *m,
    ngx_chat_event_t *ev);
static ngx_int_t ngx_chat_message_completed(ngx_chat_message_t *m,
    ngx_chat_event_t *ev);


ngx_int_t
ngx_chat_message_parse(ngx_chat_message_t *m, ngx_str_t *data)
{
    uint64_t  count, max;

    ngx_memzero(m, sizeof(ngx_chat_message_t));

    if (data->len == 0) {
        return NGX_ERROR;
    }

    m->pos = data->data;
    m->last = data->data + data->len;

    max = (uint64_t) -1;

    if (ngx_chat_message_byte(m, '1') != NGX_OK
        || ngx_chat_message_byte(m, ' ') != NGX_OK
        || ngx_chat_str_number(&m->pos, m->last, max, &m->tries) != NGX_OK
        || ngx_chat_message_byte(m, ' ') != NGX_OK
        || ngx_chat_str_number(&m->pos, m->last, max, &m->n0) != NGX_OK
        || ngx_chat_message_byte(m, ' ') != NGX_OK
        || ngx_chat_str_number(&m->pos, m->last, max, &m->ms) != NGX_OK
        || ngx_chat_message_byte(m, ' ') != NGX_OK
        || ngx_chat_str_number(&m->pos, m->last, max, &count) != NGX_OK
        || ngx_chat_message_byte(m, LF) != NGX_OK)
    {
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

    if (ngx_chat_message_event(m, ev) != NGX_OK) {
        m->pos = pos;
        return NGX_ERROR;
    }

    m->left--;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_message_event(ngx_chat_message_t *m, ngx_chat_event_t *ev)
{
    size_t  len, code;

    ngx_memzero(ev, sizeof(ngx_chat_event_t));

    if (m->pos == m->last) {
        return NGX_ERROR;
    }

    switch (*m->pos++) {

    case 'p':
        ev->status = NGX_CHAT_PROCESSING;
        break;

    case 's':
        ev->status = NGX_CHAT_STREAMING;

        if (ngx_chat_message_length(m, &len) != NGX_OK
            || len == 0
            || ngx_chat_message_byte(m, LF) != NGX_OK
            || ngx_chat_message_text(m, len, &ev->text) != NGX_OK)
        {
            return NGX_ERROR;
        }

        break;

    case 'c':
        ev->status = NGX_CHAT_COMPLETED;

        if (ngx_chat_message_completed(m, ev) != NGX_OK) {
            return NGX_ERROR;
        }

        break;

    case 'e':
        ev->status = NGX_CHAT_ERROR;

        if (ngx_chat_message_length(m, &len) != NGX_OK
            || ngx_chat_message_length(m, &code) != NGX_OK
            || ngx_chat_message_byte(m, LF) != NGX_OK
            || ngx_chat_message_text(m, len, &ev->text) != NGX_OK
            || ngx_chat_message_text(m, code, &ev->code) != NGX_OK)
        {
            return NGX_ERROR;
        }

        break;

    default:
        return NGX_ERROR;
    }

    return ngx_chat_message_byte(m, LF);
}


static ngx_int_t
ngx_chat_message_completed(ngx_chat_message_t *m, ngx_chat_event_t *ev)
{
    size_t             code, provider, model;
    ngx_uint_t         told;
    ngx_chat_maker_t  *maker;

    maker = &m->maker;

    ngx_memzero(maker, sizeof(ngx_chat_maker_t));

    provider = 0;
    model = 0;

    if (ngx_chat_message_length(m, &code) != NGX_OK) {
        return NGX_ERROR;
    }

    told = (m->pos < m->last && *m->pos == ' ');

    if (told
        && (ngx_chat_message_length(m, &provider) != NGX_OK
            || ngx_chat_message_length(m, &model) != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_chat_message_byte(m, LF) != NGX_OK
        || ngx_chat_message_text(m, code, &ev->code) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!told) {
        return NGX_OK;
    }

    if (ngx_chat_message_text(m, provider, &maker->provider) != NGX_OK
        || ngx_chat_message_text(m, model, &maker->model) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_message_byte(ngx_chat_message_t *m, u_char ch)
{
    if (m->pos == m->last || *m->pos != ch) {
        return NGX_ERROR;
    }

    m->pos++;

    return NGX_OK;
}


/* a space and a length that fits in what is left */

static ngx_int_t
ngx_chat_message_length(ngx_chat_message_t *m, size_t *len)
{
    uint64_t  n;

    if (ngx_chat_message_byte(m, ' ') != NGX_OK
        || ngx_chat_str_number(&m->pos, m->last, m->last - m->pos, &n)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    *len = (size_t) n;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_message_text(ngx_chat_message_t *m, size_t len, ngx_str_t *text)
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
