
/*
 * A usage object, compared with the members that the reader of JSON finds: the
 * first two names decide.
 */


#include "fuzz.h"
#include "ngx_chat_json_walk.h"
#include "ngx_chat_usage.h"


static ngx_uint_t fuzz_number(ngx_str_t *value);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_str_t          text, rest, name, value;
    ngx_pool_t        *pool;
    ngx_uint_t         n;
    ngx_chat_usage_t   usage, expected;

    text.len = size;
    text.data = (u_char *) data;

    ngx_chat_usage_read(&usage, &text);

    fuzz_must(usage.in <= NGX_CHAT_USAGE_TOKENS
              && usage.out <= NGX_CHAT_USAGE_TOKENS, "a bound");

    pool = ut_pool();

    if (ngx_chat_json_walk(&rest, &text, pool) == NGX_OK
        && rest.data[0] == '{')
    {
        ngx_memzero(&expected, sizeof(ngx_chat_usage_t));

        n = 0;

        while (n < 2 && ngx_chat_json_next_member(&rest, &name, &value)
                        == NGX_OK)
        {
            if (ut_is(&name, "\"prompt_tokens\"")) {
                expected.in = fuzz_number(&value);
                n++;

            } else if (ut_is(&name, "\"completion_tokens\"")) {
                expected.out = fuzz_number(&value);
                n++;
            }
        }

        fuzz_must(usage.in == expected.in && usage.out == expected.out,
                  "the tokens of the members");
    }

    ngx_destroy_pool(pool);

    return 0;
}


static ngx_uint_t
fuzz_number(ngx_str_t *value)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    for (i = 0; i < value->len; i++) {

        if (value->data[i] < '0' || value->data[i] > '9') {
            break;
        }

        n = ngx_min(n * 10 + (value->data[i] - '0'), NGX_CHAT_USAGE_TOKENS);
    }

    return n;
}
