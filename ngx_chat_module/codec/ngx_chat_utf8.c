
#include "ngx_chat_utf8.h"


static const u_char *ngx_chat_utf8_skip_ascii(const u_char *p,
    const u_char *last);
static size_t ngx_chat_utf8_char(const u_char *p, size_t len);


ngx_int_t
ngx_chat_utf8_check(const u_char *p, size_t len)
{
    size_t         n;
    const u_char  *last;

    if (len == 0) {
        return NGX_OK;
    }

    last = p + len;

    for ( ;; ) {
        p = ngx_chat_utf8_skip_ascii(p, last);

        if (p == last) {
            return NGX_OK;
        }

        n = ngx_chat_utf8_char(p, last - p);

        if (n == 0) {
            return NGX_ERROR;
        }

        p += n;
    }
}


static const u_char *
ngx_chat_utf8_skip_ascii(const u_char *p, const u_char *last)
{
    uint64_t  word;

    while ((size_t) (last - p) >= sizeof(uint64_t)) {
        ngx_memcpy(&word, p, sizeof(uint64_t));

        if (word & 0x8080808080808080ULL) {
            break;
        }

        p += sizeof(uint64_t);
    }

    while (p < last && *p < 0x80) {
        p++;
    }

    return p;
}


/* the length of the character of several bytes at p, 0 if it is not one */

static size_t
ngx_chat_utf8_char(const u_char *p, size_t len)
{
    size_t  i, n;
    u_char  min, max;

    min = 0x80;
    max = 0xbf;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;

    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;

        if (p[0] == 0xe0) {
            /* overlong */
            min = 0xa0;

        } else if (p[0] == 0xed) {
            /* surrogates */
            max = 0x9f;
        }

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;

        if (p[0] == 0xf0) {
            /* overlong */
            min = 0x90;

        } else if (p[0] == 0xf4) {
            /* above U+10FFFF */
            max = 0x8f;
        }

    } else {
        return 0;
    }

    if (len < n || p[1] < min || p[1] > max) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }

    return n;
}
