
#include "ngx_chat_json_walk.h"
#include "ngx_chat_json.h"
#include "ngx_chat_str.h"


static u_char ngx_chat_json_value_letter(u_char ch);
static u_char *ngx_chat_json_value_put_utf8(u_char *dst, ngx_uint_t ch);


ngx_int_t
ngx_chat_json_first_string(ngx_str_t *s, ngx_str_t *v, ngx_uint_t n,
    ngx_pool_t *pool)
{
    ngx_uint_t  i;

    ngx_str_null(s);

    for (i = 0; i < n; i++) {

        if (v[i].len > 2 && v[i].data[0] == '"') {
            return ngx_chat_json_decode_string(s, &v[i], pool);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_json_find_members(ngx_str_t *v, ngx_str_t *object, ngx_str_t *names,
    ngx_uint_t n, ngx_pool_t *pool)
{
    ngx_str_t   rest, name, value;
    ngx_uint_t  i;

    ngx_memzero(v, n * sizeof(ngx_str_t));

    if (object->len == 0 || object->data[0] != '{') {
        return NGX_OK;
    }

    rest = *object;

    while (ngx_chat_json_next_member(&rest, &name, &value) == NGX_OK) {

        if (ngx_chat_json_decode_string(&name, &name, pool) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < n; i++) {

            if (names[i].len == name.len
                && ngx_memcmp(names[i].data, name.data, name.len) == 0)
            {
                v[i] = value;

                if (ngx_chat_str_is(&value, "null")) {
                    ngx_str_null(&v[i]);
                }

                break;
            }
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_json_is_truthy(ngx_str_t *value)
{
    ngx_str_t  rest, first;

    if (value->len == 0) {
        return 0;
    }

    switch (value->data[0]) {

    case '{':
    case '[':
        rest = *value;
        return ngx_chat_json_next_element(&rest, &first) == NGX_OK;

    case '"':
        return value->len > 2;

    case '0':
        return value->len > 1;

    case 'f':
    case 'n':
        return 0;

    default:
        return 1;
    }
}


ngx_int_t
ngx_chat_json_decode_string(ngx_str_t *s, ngx_str_t *string, ngx_pool_t *pool)
{
    u_char      *p;
    ngx_str_t    from;
    ngx_uint_t   half;

    from = *string;

    s->data = from.data + 1;
    s->len = from.len - 2;

    if (memchr(s->data, '\\', s->len) == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, from.len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    half = 0;

    s->data = p;
    p = ngx_chat_json_decode(p, &from, &half);
    p = ngx_chat_json_decode_end(p, &half);
    s->len = p - s->data;

    return NGX_OK;
}


u_char *
ngx_chat_json_decode(u_char *dst, ngx_str_t *string, ngx_uint_t *half)
{
    u_char      *p, *last, *end;
    ngx_uint_t   unit;

    p = string->data + 1;
    last = string->data + string->len - 1;

    while (p < last) {

        if (*p != '\\') {
            end = memchr(p, '\\', last - p);
            end = end ? end : last;

            dst = ngx_chat_json_decode_end(dst, half);
            dst = ngx_cpymem(dst, p, end - p);
            p = end;
            continue;
        }

        if (ngx_chat_json_read_unit(p, last, &unit) != NGX_OK) {
            dst = ngx_chat_json_decode_end(dst, half);
            *dst++ = ngx_chat_json_value_letter(p[1]);
            p += 2;
            continue;
        }

        p += 6;

        if (*half && unit >= 0xdc00 && unit <= 0xdfff) {
            unit = 0x10000 + ((*half - 0xd800) << 10) + (unit - 0xdc00);
            *half = 0;
        }

        dst = ngx_chat_json_decode_end(dst, half);

        if (unit >= 0xd800 && unit <= 0xdbff) {
            *half = unit;

        } else {
            dst = ngx_chat_json_value_put_utf8(dst, unit);
        }
    }

    return dst;
}


u_char *
ngx_chat_json_decode_end(u_char *dst, ngx_uint_t *half)
{
    if (*half == 0) {
        return dst;
    }

    *half = 0;

    return ngx_chat_json_value_put_utf8(dst, 0xfffd);
}


/* the byte that an escape of one letter stands for, 0: there is none */

static u_char
ngx_chat_json_value_letter(u_char ch)
{
    switch (ch) {

    case '"':
    case '\\':
    case '/':
        return ch;

    case 'b':
        return '\b';

    case 'f':
        return '\f';

    case 'n':
        return '\n';

    case 'r':
        return '\r';

    case 't':
        return '\t';

    default:
        return 0;
    }
}


/* as UTF-8; half of a pair has none and becomes U+FFFD */

static u_char *
ngx_chat_json_value_put_utf8(u_char *dst, ngx_uint_t ch)
{
    if (ch < 0x80) {
        *dst++ = (u_char) ch;
        return dst;
    }

    if (ch < 0x800) {
        *dst++ = (u_char) (0xc0 | ch >> 6);
        *dst++ = (u_char) (0x80 | (ch & 0x3f));
        return dst;
    }

    if (ch >= 0xdc00 && ch <= 0xdfff) {
        ch = 0xfffd;
    }

    if (ch < 0x10000) {
        *dst++ = (u_char) (0xe0 | ch >> 12);

    } else {
        *dst++ = (u_char) (0xf0 | ch >> 18);
        *dst++ = (u_char) (0x80 | (ch >> 12 & 0x3f));
    }

    *dst++ = (u_char) (0x80 | (ch >> 6 & 0x3f));
    *dst++ = (u_char) (0x80 | (ch & 0x3f));

    return dst;
}
