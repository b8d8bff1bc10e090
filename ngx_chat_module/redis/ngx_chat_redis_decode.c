
#include "ngx_chat_redis_url.h"


static ngx_int_t ngx_chat_redis_decode_hex(u_char ch);


ngx_int_t
ngx_chat_redis_decode(ngx_pool_t *pool, u_char *p, u_char *last,
    ngx_str_t *value, char **err)
{
    u_char     *d;
    ngx_int_t   hi, lo;

    value->len = 0;
    value->data = ngx_pnalloc(pool, last - p + 1);

    if (value->data == NULL) {
        return NGX_ERROR;
    }

    d = value->data;

    for ( /* void */ ; p < last; p++) {

        if (*p != '%') {
            *d++ = *p;
            continue;
        }

        if (last - p < 3) {
            goto invalid;
        }

        hi = ngx_chat_redis_decode_hex(p[1]);
        lo = ngx_chat_redis_decode_hex(p[2]);

        if (hi == NGX_ERROR || lo == NGX_ERROR) {
            goto invalid;
        }

        *d++ = (u_char) (hi * 16 + lo);
        p += 2;
    }

    *d = '\0';

    value->len = d - value->data;

    return NGX_OK;

invalid:

    *err = "\"%\" without two hexadecimal digits in the user, the password or "
           "a parameter of the Redis URL";

    return NGX_ERROR;
}


static ngx_int_t
ngx_chat_redis_decode_hex(u_char ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    ch |= 0x20;

    if (ch >= 'a' && ch <= 'f') {
        return ch - 'a' + 10;
    }

    return NGX_ERROR;
}
