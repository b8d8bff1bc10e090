
#include "ngx_chat_answer.h"
#include "ngx_chat_str.h"
#include "ngx_chat_utf8.h"


ngx_int_t
ngx_chat_answer_check(ngx_chat_answer_t *a)
{
    size_t     left;
    u_char    *p, *last, *text;
    uint64_t   n;

    if (a->text.len == 0
        || a->chunk_lens.len == 0
        || ngx_chat_utf8_check(a->text.data, a->text.len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    p = a->chunk_lens.data;
    last = p + a->chunk_lens.len;

    text = a->text.data;
    left = a->text.len;

    for ( ;; ) {

        if (ngx_chat_str_read_number(&p, last, left, &n) != NGX_OK || n == 0) {
            return NGX_DECLINED;
        }

        text += n;
        left -= n;

        if (p == last) {
            break;
        }

        /* in valid UTF-8 a character is cut in two before 10xxxxxx only */

        if (*p++ != ' ' || left == 0 || (*text & 0xc0) == 0x80) {
            return NGX_DECLINED;
        }
    }

    return left ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_chat_answer_next_len(ngx_str_t *chunk_lens, size_t *len)
{
    size_t   n;
    u_char  *p, *last;

    if (chunk_lens->len == 0) {
        return NGX_DONE;
    }

    p = chunk_lens->data;
    last = p + chunk_lens->len;

    for (n = 0; p < last && *p != ' '; p++) {
        n = n * 10 + (*p - '0');
    }

    *len = n;

    if (p < last) {
        p++;
    }

    chunk_lens->len = last - p;
    chunk_lens->data = p;

    return NGX_OK;
}
