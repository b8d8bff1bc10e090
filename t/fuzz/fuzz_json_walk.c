
/*
 * JSON as it is read from providers, compared with the strict check: that
 * refuses no more than what is let pass on purpose, and nothing is read from
 * outside of the text.
 */


#include "fuzz.h"
#include "ngx_chat_json.h"
#include "ngx_chat_json_walk.h"


static ngx_uint_t fuzz_lenient(ngx_str_t *s);
static void fuzz_walk(ngx_str_t *value, ngx_uint_t depth, ngx_pool_t *pool);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_int_t    rc;
    ngx_str_t    s, value;
    ngx_pool_t  *pool;

    pool = ut_pool();

    s = ut_bytes(data, size);
    rc = ngx_chat_json_walk(&value, &s, pool);

    /* yajl takes a vertical tab and a form feed for white space */

    if (ngx_chat_json_check_value(s.data, s.len) == NGX_OK) {
        fuzz_must(rc == NGX_OK || memchr(s.data, 0x0b, s.len)
                  || memchr(s.data, 0x0c, s.len), "what is JSON");

    } else {
        fuzz_must(rc == NGX_ERROR || fuzz_lenient(&s), "what is not");
    }

    if (rc == NGX_OK) {
        fuzz_must(value.len > 0 && value.data >= s.data
                  && value.data + value.len <= s.data + s.len, "a slice");
        fuzz_walk(&value, 0, pool);
    }

    ut_free(&s);
    ngx_destroy_pool(pool);

    return 0;
}


/* is there what yajl refuses: depth, words, or halves of pairs? */

static ngx_uint_t
fuzz_lenient(ngx_str_t *s)
{
    size_t      i;
    ngx_uint_t  open;

    open = 0;

    for (i = 0; i < s->len; i++) {
        open += (s->data[i] == '[' || s->data[i] == '{');

        if ((s->data[i] == 'N' || s->data[i] == 'I') && i + 2 < s->len
            && (s->data[i + 1] == 'a' || s->data[i + 1] == 'n'))
        {
            return 1;
        }

        if (s->data[i] == 'u' && i + 1 < s->len
            && (s->data[i + 1] | 0x20) == 'd')
        {
            return 1;
        }
    }

    return open > NGX_CHAT_JSON_DEPTH;
}


/* all that is inside is a value as well, and each string is text */

static void
fuzz_walk(ngx_str_t *value, ngx_uint_t depth, ngx_pool_t *pool)
{
    ngx_str_t  rest, name, part, text;

    rest = *value;

    if (depth == NGX_CHAT_JSON_DEPTH) {
        return;
    }

    switch (value->data[0]) {

    case '{':
        while (ngx_chat_json_next_member(&rest, &name, &part) == NGX_OK) {
            fuzz_walk(&name, depth + 1, pool);
            fuzz_walk(&part, depth + 1, pool);
        }

        break;

    case '[':
        while (ngx_chat_json_next_element(&rest, &part) == NGX_OK) {
            fuzz_walk(&part, depth + 1, pool);
        }

        break;

    case '"':
        fuzz_must(ngx_chat_json_decode_string(&text, value, pool) == NGX_OK
                  && text.len + 2 <= value->len + 3, "a string");
        fuzz_text(&text);
        return;

    default:
        fuzz_must(ngx_chat_json_walk(&text, value, pool) == NGX_OK
                  && text.len == value->len, "a word or number");
        return;
    }

    fuzz_must(rest.len == 1 && rest.data == value->data + value->len - 1,
              "all of it");
}
