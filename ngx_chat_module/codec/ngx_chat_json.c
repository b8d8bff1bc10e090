
#include "ngx_chat_json.h"
#include "ngx_chat_utf8.h"

#include <yajl/yajl_parse.h>


static const u_char *ngx_chat_json_skip_plain(const u_char *p,
    const u_char *last);
static u_char ngx_chat_json_short_escape(u_char ch);
static int ngx_chat_json_open_handler(void *ctx);
static int ngx_chat_json_close_handler(void *ctx);


static const yajl_callbacks  ngx_chat_json_callbacks = {
    NULL,                          /* null */
    NULL,                          /* boolean */
    NULL,                          /* integer */
    NULL,                          /* double */
    NULL,                          /* number */
    NULL,                          /* string */
    ngx_chat_json_open_handler,            /* start map */
    NULL,                          /* map key */
    ngx_chat_json_close_handler,           /* end map */
    ngx_chat_json_open_handler,            /* start array */
    ngx_chat_json_close_handler            /* end array */
};


size_t
ngx_chat_json_escaped_len(const u_char *p, size_t len)
{
    size_t         n;
    const u_char  *last;

    /* p may be NULL then */

    if (len == 0) {
        return 0;
    }

    n = len;

    for (last = p + len; /* void */ ; p++) {
        p = ngx_chat_json_skip_plain(p, last);

        if (p == last) {
            return n;
        }

        n += ngx_chat_json_short_escape(*p) ? 1 : 5;
    }
}


u_char *
ngx_chat_json_escape(u_char *dst, const u_char *p, size_t len)
{
    u_char         ch;
    const u_char  *start, *last;
    static u_char  hex[] = "0123456789abcdef";

    if (len == 0) {
        return dst;
    }

    for (last = p + len; /* void */ ; p++) {
        start = p;
        p = ngx_chat_json_skip_plain(p, last);

        if (p > start) {
            dst = ngx_cpymem(dst, start, p - start);
        }

        if (p == last) {
            return dst;
        }

        *dst++ = '\\';

        ch = ngx_chat_json_short_escape(*p);

        if (ch) {
            *dst++ = ch;
            continue;
        }

        *dst++ = 'u';
        *dst++ = '0';
        *dst++ = '0';
        *dst++ = hex[*p >> 4];
        *dst++ = hex[*p & 0xf];
    }
}


/*
 * The first byte that has to be escaped, or last.  Eight bytes are looked at
 * together: what is subtracted leaves the top bit of a byte that is less, and
 * of one that a quote or a backslash makes zero.  A borrow may add others, but
 * never leaves out the first.
 */

static const u_char *
ngx_chat_json_skip_plain(const u_char *p, const u_char *last)
{
    uint64_t  word, quote, slash;

    while ((size_t) (last - p) >= sizeof(uint64_t)) {
        ngx_memcpy(&word, p, sizeof(uint64_t));

        quote = word ^ 0x2222222222222222ULL;
        slash = word ^ 0x5c5c5c5c5c5c5c5cULL;

        if ((((word - 0x2020202020202020ULL) & ~word)
             | ((quote - 0x0101010101010101ULL) & ~quote)
             | ((slash - 0x0101010101010101ULL) & ~slash))
            & 0x8080808080808080ULL)
        {
            break;
        }

        p += sizeof(uint64_t);
    }

    while (p < last && *p >= 0x20 && *p != '"' && *p != '\\') {
        p++;
    }

    return p;
}


/* the letter of the short form of an escape, 0 if there is none */

static u_char
ngx_chat_json_short_escape(u_char ch)
{
    switch (ch) {

    case '"':
    case '\\':
        return ch;

    case '\b':
        return 'b';

    case '\f':
        return 'f';

    case '\n':
        return 'n';

    case '\r':
        return 'r';

    case '\t':
        return 't';

    default:
        return 0;
    }
}


ngx_int_t
ngx_chat_json_check_text(const u_char *p, size_t len)
{
    ngx_uint_t     unit;
    const u_char  *last;

    if (len == 0) {
        return NGX_OK;
    }

    if (ngx_chat_utf8_check(p, len) != NGX_OK) {
        return NGX_ERROR;
    }

    last = p + len;

    /* JSON has backslashes in strings only, so strings need no tracking */

    while (p < last) {

        p = memchr(p, '\\', last - p);
        if (p == NULL) {
            break;
        }

        if (last - p < 2) {
            return NGX_ERROR;
        }

        if (p[1] != 'u') {
            p += 2;
            continue;
        }

        if (ngx_chat_json_read_unit(p, last, &unit) != NGX_OK) {
            return NGX_ERROR;
        }

        p += 6;

        if (unit < 0xd800 || unit > 0xdfff) {
            continue;
        }

        if (unit > 0xdbff
            || ngx_chat_json_read_unit(p, last, &unit) != NGX_OK
            || unit < 0xdc00 || unit > 0xdfff)
        {
            return NGX_ERROR;
        }

        p += 6;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_json_read_unit(const u_char *p, const u_char *last, ngx_uint_t *unit)
{
    u_char      ch;
    ngx_uint_t  i, n;

    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 2; i < 6; i++) {
        ch = p[i];

        if (ch >= '0' && ch <= '9') {
            n = n * 16 + (ch - '0');
            continue;
        }

        ch = (u_char) (ch | 0x20);

        if (ch < 'a' || ch > 'f') {
            return NGX_ERROR;
        }

        n = n * 16 + (ch - 'a' + 10);
    }

    *unit = n;

    return NGX_OK;
}


ngx_int_t
ngx_chat_json_check_value(const u_char *p, size_t len)
{
    ngx_uint_t   depth;
    yajl_handle  h;

    depth = 0;

    h = yajl_alloc(&ngx_chat_json_callbacks, NULL, &depth);
    if (h == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_json_parse(h, p, len) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_json_parse(struct yajl_handle_t *h, const u_char *p, size_t len)
{
    yajl_status  status;

    if (ngx_chat_json_check_text(p, len) != NGX_OK) {
        yajl_free(h);
        return NGX_ERROR;
    }

    /* yajl's own validation of UTF-8 is weaker than the check above */
    yajl_config(h, yajl_dont_validate_strings, 1);

    status = yajl_parse(h, p, len);

    if (status == yajl_status_ok) {
        status = yajl_complete_parse(h);
    }

    /* a string that is still open behind the value is an error when closed */

    if (status == yajl_status_ok) {
        status = yajl_parse(h, (u_char *) "\"", 1);
    }

    yajl_free(h);

    switch (status) {

    case yajl_status_ok:
        return NGX_OK;

    case yajl_status_client_canceled:
        return NGX_ABORT;

    default:
        return NGX_ERROR;
    }
}


static int
ngx_chat_json_open_handler(void *ctx)
{
    ngx_uint_t  *depth = ctx;

    if (*depth == NGX_CHAT_JSON_DEPTH) {
        return 0;
    }

    (*depth)++;

    return 1;
}


static int
ngx_chat_json_close_handler(void *ctx)
{
    ngx_uint_t  *depth = ctx;

    (*depth)--;

    return 1;
}
