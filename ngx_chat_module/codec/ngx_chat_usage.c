
#include "ngx_chat_usage.h"


static u_char *ngx_chat_usage_skip_string(u_char *p, u_char *last);
static ngx_int_t ngx_chat_usage_read_number(u_char **pos, u_char *last,
    ngx_uint_t *n);


static ngx_str_t  ngx_chat_usage_in = ngx_string("\"prompt_tokens\"");
static ngx_str_t  ngx_chat_usage_out = ngx_string("\"completion_tokens\"");


void
ngx_chat_usage_read(ngx_chat_usage_t *usage, ngx_str_t *object)
{
    u_char      *p, *last, *name;
    size_t       len;
    ngx_uint_t   depth, found, *n;

    usage->in = 0;
    usage->out = 0;

    depth = 0;
    found = 0;
    p = object->data;
    last = p + object->len;

    while (p < last && found < 2) {

        switch (*p) {

        case '{':
        case '[':
            depth++;
            p++;
            continue;

        case '}':
        case ']':
            depth--;
            p++;
            continue;

        case '"':
            name = p;
            p = ngx_chat_usage_skip_string(p, last);
            len = p - name;

            if (depth != 1) {
                continue;
            }

            if (len == ngx_chat_usage_in.len
                && ngx_memcmp(name, ngx_chat_usage_in.data, len) == 0)
            {
                n = &usage->in;

            } else if (len == ngx_chat_usage_out.len
                       && ngx_memcmp(name, ngx_chat_usage_out.data, len) == 0)
            {
                n = &usage->out;

            } else {
                continue;
            }

            if (ngx_chat_usage_read_number(&p, last, n) == NGX_OK) {
                found++;
            }

            continue;

        default:
            p++;
        }
    }
}


/* behind the quote at its end, or the end of all */

static u_char *
ngx_chat_usage_skip_string(u_char *p, u_char *last)
{
    for (p++; p < last; p++) {

        if (*p == '\\') {
            p++;
            continue;
        }

        if (*p == '"') {
            return p + 1;
        }
    }

    return last;
}


/* NGX_DECLINED: the string before was no name, but a value */

static ngx_int_t
ngx_chat_usage_read_number(u_char **pos, u_char *last, ngx_uint_t *n)
{
    u_char  *p;

    for (p = *pos; p < last && *p <= ' '; p++) {
        /* void */
    }

    *pos = p;

    if (p == last || *p != ':') {
        return NGX_DECLINED;
    }

    for (p++; p < last && *p <= ' '; p++) {
        /* void */
    }

    *n = 0;

    for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {
        *n = ngx_min(*n * 10 + (*p - '0'), NGX_CHAT_USAGE_TOKENS);
    }

    *pos = p;

    return NGX_OK;
}
