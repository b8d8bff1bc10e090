
/*
 * JSON texts, and strings written into them: what was checked is checked
 * again by other means, and any text can be a string.
 */


#include "fuzz.h"
#include "ngx_chat_json.h"
#include "ngx_chat_utf8.h"


static void fuzz_value(ngx_str_t *s);
static void fuzz_string(ngx_str_t *s);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_str_t  s;

    s.len = size;
    s.data = (u_char *) data;

    if (ngx_chat_json_check_value(s.data, s.len) == NGX_OK) {
        fuzz_value(&s);
    }

    fuzz_string(&s);

    return 0;
}


/* in an array it is valid as well, unless it is too deep then; not with "}" */

static void
fuzz_value(ngx_str_t *s)
{
    ngx_chat_bytes_t  b = { NULL, 0, 0, 0 };

    fuzz_must(ngx_chat_json_check_text(s->data, s->len) == NGX_OK, "a text");

    fuzz_append_text(&b, "[");
    fuzz_append_str(&b, s);
    fuzz_append_text(&b, "\n]");

    fuzz_must(ngx_chat_json_check_value(b.data, b.len) == NGX_OK
              || b.len > 2 * NGX_CHAT_JSON_DEPTH, "a value in an array");

    b.data[b.len - 1] = '}';
    fuzz_must(ngx_chat_json_check_value(b.data, b.len) != NGX_OK, "no array");

    ngx_chat_bytes_free(&b);
}


static void
fuzz_string(ngx_str_t *s)
{
    size_t            len;
    u_char           *end;
    ngx_chat_bytes_t  b = { NULL, 0, 0, 0 };

    len = ngx_chat_json_escaped_len(s->data, s->len);

    fuzz_must(ngx_chat_bytes_reserve(&b, len + 2) == NGX_OK, "memory");

    b.data[0] = '"';
    end = ngx_chat_json_escape(&b.data[1], s->data, s->len);
    *end++ = '"';

    fuzz_must((size_t) (end - b.data) == len + 2, "as long as foretold");

    fuzz_must(ngx_chat_json_check_value(b.data, len + 2)
              == ngx_chat_utf8_check(s->data, s->len), "a string");

    ngx_chat_bytes_free(&b);
}
