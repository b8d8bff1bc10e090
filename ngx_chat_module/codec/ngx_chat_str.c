
#include "ngx_chat_str.h"


ngx_uint_t
ngx_chat_str_is(ngx_str_t *s, const char *text)
{
    return s->len == ngx_strlen(text)
           && ngx_memcmp(s->data, text, s->len) == 0;
}


ngx_int_t
ngx_chat_str_read_number(u_char **pos, u_char *last, uint64_t max, uint64_t *n)
{
    u_char    *p;
    uint64_t   value, digit;

    value = 0;

    for (p = *pos; p < last && *p >= '0' && *p <= '9'; p++) {
        digit = *p - '0';

        /* up to 19 digits fit */

        if (p - *pos >= 19
            && (value > UINT64_MAX / 10 || digit > UINT64_MAX - value * 10))
        {
            return NGX_ERROR;
        }

        value = value * 10 + digit;
    }

    if (p == *pos || value > max || (**pos == '0' && p - *pos > 1)) {
        return NGX_ERROR;
    }

    *pos = p;
    *n = value;

    return NGX_OK;
}


u_char *
ngx_chat_str_copy_word(u_char *dst, u_char *src, size_t len)
{
    u_char  *last;

    for (last = src + len; src < last; src++) {
        *dst++ = (*src < 0x20 || *src == 0x7f) ? '?' : *src;
    }

    return dst;
}
