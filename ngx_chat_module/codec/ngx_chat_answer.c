
#include "ngx_chat_answer.h"
#include "ngx_chat_utf8.h"


static ngx_int_t ngx_chat_answer_number(u_char **pos, u_char *last,
    size_t max, size_t *n);


ngx_int_t
ngx_chat_answer_check(ngx_chat_answer_t *a)
{
    size_t       left, n;
    u_char      *p, *last, *text;
    ngx_uint_t   chunks;

    if (a->text.len == 0
        || a->cuts.len == 0
        || ngx_chat_utf8_check(a->text.data, a->text.len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    p = a->cuts.data;
    last = p + a->cuts.len;

    text = a->text.data;
    left = a->text.len;

    chunks = 0;

    for ( ;; ) {

        if (ngx_chat_answer_number(&p, last, left, &n) != NGX_OK) {
            return NGX_DECLINED;
        }

        text += n;
        left -= n;
        chunks++;

        if (p == last) {
            break;
        }

        /* in valid UTF-8 a character is cut in two before 10xxxxxx only */

        if (*p++ != ' ' || left == 0 || (*text & 0xc0) == 0x80) {
            return NGX_DECLINED;
        }
    }

    if (left) {
        return NGX_DECLINED;
    }

    a->chunks = chunks;

    return NGX_OK;
}


/* a number from 1 to max without leading zeros */

static ngx_int_t
ngx_chat_answer_number(u_char **pos, u_char *last, size_t max, size_t *n)
{
    size_t   value, digit;
    u_char  *p;

    value = 0;

    for (p = *pos; p < last && *p >= '0' && *p <= '9'; p++) {
        digit = *p - '0';

        if (value > max / 10 || digit > max - value * 10) {
            return NGX_DECLINED;
        }

        value = value * 10 + digit;

        if (value == 0) {
            return NGX_DECLINED;
        }
    }

    if (value == 0) {
        return NGX_DECLINED;
    }

    *pos = p;
    *n = value;

    return NGX_OK;
}


ngx_int_t
ngx_chat_answer_cut(ngx_str_t *cuts, size_t *len)
{
    u_char  *p, *last;

    if (cuts->len == 0) {
        return NGX_DONE;
    }

    p = cuts->data;
    last = p + cuts->len;

    if (ngx_chat_answer_number(&p, last, NGX_MAX_SIZE_T_VALUE, len)
        != NGX_OK)
    {
        return NGX_DONE;
    }

    if (p < last) {
        p++;
    }

    cuts->len = last - p;
    cuts->data = p;

    return NGX_OK;
}
