
#include "ngx_chat_usage.h"

#include "ut.h"


static ngx_uint_t ut_reads(const char *text, ngx_uint_t in, ngx_uint_t out);


/* in a block of its exact size */

static ngx_uint_t
ut_reads(const char *text, ngx_uint_t in, ngx_uint_t out)
{
    ngx_str_t         s;
    ngx_chat_usage_t  usage;

    s = ut_str(text);
    usage.in = 1000;
    usage.out = 1000;

    ngx_chat_usage_read(&usage, &s);

    ut_free(&s);

    return usage.in == in && usage.out == out;
}


int
main(void)
{
    size_t              n;
    ngx_str_t           s, part;
    ngx_chat_usage_t    usage;
    static const char  *whole =
        "{\"prompt_tokens\":12,\"x\":\"\\\"\",\"completion_tokens\":34}";

    ut_ok(ut_reads("{\"prompt_tokens\":7,\"completion_tokens\":10,"
                   "\"total_tokens\":17}", 7, 10), "tokens, in and out");

    ut_ok(ut_reads(" { \"completion_tokens\" :\n 3 , \"prompt_tokens\" : 4 } ",
                   4, 3), "white space, another order");

    ut_ok(ut_reads("", 0, 0) && ut_reads("{}", 0, 0)
          && ut_reads("null", 0, 0) && ut_reads("[1,2]", 0, 0),
          "nothing");

    ut_ok(ut_reads("{\"prompt_tokens\":null,\"completion_tokens\":\"5\"}",
                   0, 0), "no numbers");

    ut_ok(ut_reads("{\"prompt_tokens\":-4,\"completion_tokens\":2.9}", 0, 2),
          "negative is nothing, a fraction is cut");

    ut_ok(ut_reads("{\"prompt_tokens_details\":{\"prompt_tokens\":9},"
                   "\"a\":[{\"completion_tokens\":8}],"
                   "\"prompt_tokens\":1,\"completion_tokens\":2}", 1, 2),
          "only members of the object itself");

    ut_ok(ut_reads("{\"a\":\"\\\"prompt_tokens\\\":5\",\"b\":\"{\","
                   "\"completion_tokens\":2}", 0, 2),
          "texts that look like members");

    ut_ok(ut_reads("{\"a\":\"prompt_tokens\",\"b\":\"completion_tokens\","
                   "\"prompt_tokens\":3,\"completion_tokens\":4}", 3, 4),
          "values that are names");

    ut_ok(ut_reads("{\"prompt_tokens\":99999999999999999999999999}",
                   NGX_CHAT_USAGE_TOKENS, 0), "more than there can be");

    ut_ok(ut_reads("{\"prompt_tokens\":5}}}{\"completion_tokens\":6}", 5, 0),
          "behind the object");

    s = ut_str(whole);

    for (n = 0; n <= s.len; n++) {
        part = ut_bytes(s.data, n);
        ngx_chat_usage_read(&usage, &part);
        ut_free(&part);

        if (usage.in > 12 || usage.out > 34) {
            break;
        }
    }

    ut_ok(n == s.len + 1 && usage.in == 12 && usage.out == 34,
          "cut anywhere");

    ut_free(&s);

    return ut_done();
}
