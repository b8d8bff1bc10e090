
#include "ngx_chat_json.h"
#include "ngx_chat_utf8.h"

#include <yajl/yajl_parse.h>


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
    size_t  i, n;

    n = len;

    for (i = 0; i < len; i++) {
        if (p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') {
            continue;
        }

        n += ngx_chat_json_short_escape(p[i]) ? 1 : 5;
    }

    return n;
}


u_char *
ngx_chat_json_escape(u_char *dst, const u_char *p, size_t len)
{
    size_t         i, start;
    u_char         ch;
    static u_char  hex[] = "0123456789abcdef";

    start = 0;

    for (i = 0; i < len; i++) {
        if (p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') {
            continue;
        }

        dst = ngx_cpymem(dst, p + start, i - start);
        start = i + 1;

        *dst++ = '\\';

        ch = ngx_chat_json_short_escape(p[i]);

        if (ch) {
            *dst++ = ch;
            continue;
        }

        *dst++ = 'u';
        *dst++ = '0';
        *dst++ = '0';
        *dst++ = hex[p[i] >> 4];
        *dst++ = hex[p[i] & 0xf];
    }

    if (start < len) {
        dst = ngx_cpymem(dst, p + start, len - start);
    }

    return dst;
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
