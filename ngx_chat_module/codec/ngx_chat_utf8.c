
#include "ngx_chat_utf8.h"


/* characters that differ in their last byte alone */
typedef struct {
    size_t    len;
    u_char    head[2];
    u_char    first;
    u_char    last;
} ngx_chat_utf8_range_t;


static const u_char *ngx_chat_utf8_skip_ascii(const u_char *p,
    const u_char *last);
static size_t ngx_chat_utf8_char_len(const u_char *p, size_t len);
static size_t ngx_chat_utf8_blank_len(const u_char *p, size_t len);


static const ngx_chat_utf8_range_t  ngx_chat_utf8_blanks[] = {
    { 1, { 0, 0 }, 0x09, 0x0d },
    { 1, { 0, 0 }, 0x20, 0x20 },
    { 2, { 0xc2, 0 }, 0x85, 0x85 },        /* U+0085 */
    { 2, { 0xc2, 0 }, 0xa0, 0xa0 },        /* U+00A0 */
    { 3, { 0xe1, 0x9a }, 0x80, 0x80 },     /* U+1680 */
    { 3, { 0xe2, 0x80 }, 0x80, 0x8f },     /* U+2000 to U+200F */
    { 3, { 0xe2, 0x80 }, 0xa8, 0xaf },     /* U+2028 to U+202F */
    { 3, { 0xe2, 0x81 }, 0x9f, 0xa4 },     /* U+205F to U+2064 */
    { 3, { 0xe2, 0x81 }, 0xa6, 0xa9 },     /* U+2066 to U+2069 */
    { 3, { 0xe3, 0x80 }, 0x80, 0x80 },     /* U+3000 */
    { 3, { 0xef, 0xbb }, 0xbf, 0xbf }      /* U+FEFF */
};


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

        n = ngx_chat_utf8_char_len(p, last - p);

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
ngx_chat_utf8_char_len(const u_char *p, size_t len)
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


ngx_uint_t
ngx_chat_utf8_is_blank(const u_char *p, size_t len)
{
    size_t         n;
    const u_char  *last;

    for (last = p + len; p < last; p += n) {
        n = ngx_chat_utf8_blank_len(p, last - p);

        if (n == 0) {
            return 0;
        }
    }

    return 1;
}


/* the length of the blank character at p, 0 if it is not one */

static size_t
ngx_chat_utf8_blank_len(const u_char *p, size_t len)
{
    size_t                        i, n;
    const ngx_chat_utf8_range_t  *range;

    n = sizeof(ngx_chat_utf8_blanks) / sizeof(ngx_chat_utf8_range_t);

    for (i = 0; i < n; i++) {
        range = &ngx_chat_utf8_blanks[i];

        if (len >= range->len
            && ngx_memcmp(p, range->head, range->len - 1) == 0
            && p[range->len - 1] >= range->first
            && p[range->len - 1] <= range->last)
        {
            return range->len;
        }
    }

    return 0;
}
