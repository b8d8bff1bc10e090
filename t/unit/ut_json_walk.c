
#include "ngx_chat_json.h"
#include "ngx_chat_json_walk.h"

#include "ut.h"

#include <stdio.h>


static ngx_pool_t  *ut_p;
static ngx_str_t    ut_input;
static ngx_str_t    ut_value;


static ngx_int_t
ut_walk(const char *s, size_t len)
{
    ut_free(&ut_input);
    ut_input = ut_bytes(s, len);

    return ngx_chat_json_walk(&ut_value, &ut_input, ut_p);
}


static ngx_uint_t
ut_reads(const char *s)
{
    return ut_walk(s, strlen(s)) == NGX_OK;
}


static ngx_uint_t
ut_all(const char **list, ngx_int_t rc)
{
    ngx_uint_t  ok;

    for (ok = 1; *list; list++) {

        if (ut_walk(*list, strlen(*list)) != rc) {
            printf("# %s\n", *list);
            ok = 0;
        }
    }

    return ok;
}


static void
ut_check(void)
{
    size_t              i;
    ngx_uint_t          ok;
    static const char   whole[] = " {\"a\" : [1, -2.5e+3, {\"b\": \"\\u00e9\"},"
                                  " [], {}, true, false, null], \"c\": NaN} ";
    static const char  *good[] = { "{}", "[]", "\"\"", "0", "-0", "1.5", "1e5",
        "1E-5", "0.0e+0", "null", "true", "false", "NaN", "Infinity",
        "-Infinity", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\uD800\"", "\t{ }\r\n",
        "[[],[[]],{}]", "{\"\":{\"\":[]}}", "\"\x7f\"", NULL };
    static const char  *bad[] = { "", " ", "{", "}", "[", "]", "{]", "[}",
        "[,]", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{,}", "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{a:1}",
        "{1:1}", "{\"a\":1]", "[1}", "{}{}", "{} x", "[]]", "01", "1.", ".5",
        "-", "+1", "1e", "1e+", "0x1", "--1", "nul", "nulll", "True", "nan",
        "-NaN", "'a'", "\"", "\"\\\"", "\"\\x41\"", "\"\\u12\"",
        "\"\\u12g4\"", "\"\\", "\"\n\"", "\"\x1f\"", "\"\xff\"",
        "\"\xed\xa0\x80\"", "\xef\xbb\xbf{}", "/**/1", "{\"a\"::1}",
        "{\"a\":1;}", "\x0b""1", NULL };

    ut_ok(ut_all(good, NGX_OK), "JSON, and some more");
    ut_ok(ut_all(bad, NGX_ERROR), "no JSON");

    ok = 1;

    for (i = 0; i < sizeof(whole) - 2; i++) {
        ok &= ut_walk(whole, i) == NGX_ERROR;
    }

    ut_ok(ok, "cut off anywhere");
    ut_ok(ut_walk(whole, sizeof(whole) - 1) == NGX_OK
          && ut_value.len == sizeof(whole) - 3 && ut_value.data[0] == '{',
          "the value is without white space");
    ut_ok(ut_walk("{}\0", 3) == NGX_ERROR, "a zero byte behind");
}


/* n levels, of arrays and objects in turn */

static ngx_int_t
ut_depth(size_t n, const char *close)
{
    ngx_int_t  rc;
    ngx_str_t  a, b, s;

    a = ut_repeat("[{\"a\":", n / 2);
    b = ut_repeat(close, n / 2);
    s = ut_repeat(".", a.len + b.len + 1);

    memcpy(s.data, a.data, a.len);
    s.data[a.len] = '1';
    memcpy(s.data + a.len + 1, b.data, b.len);

    rc = ngx_chat_json_walk(&ut_value, &s, ut_p);

    ut_free(&a);
    ut_free(&b);
    ut_free(&s);

    return rc;
}


static void
ut_deep(void)
{
    size_t      n;
    ngx_uint_t  ok;

    ok = 1;

    for (n = 120; n < 140; n += 2) {
        ok &= ut_depth(n, "}]") == NGX_OK && ut_depth(n, "]}") == NGX_ERROR;
    }

    ut_ok(ok, "about as deep as there is room at first");
    ut_ok(ut_depth(1000000, "}]") == NGX_OK
          && ut_depth(1000000, "]}") == NGX_ERROR
          && ut_depth(1000000, "") == NGX_ERROR,
          "a million levels");

    ut_fail_alloc = 1;
    ok = ut_depth(1000, "}]") == NGX_ERROR;
    ut_fail_alloc = 0;

    ut_ok(ok, "no memory for them");
}


static void
ut_members(void)
{
    ngx_str_t  rest, name, value, v[3], names[3];

    ut_ok(ut_reads(" { \"a\" : [ 1 , \"]\\\"\" ] , \"b\":{ \"c\":{}} }"),
          "an object");

    rest = ut_value;

    ut_ok(ngx_chat_json_next_member(&rest, &name, &value) == NGX_OK
          && ut_is(&name, "\"a\"") && ut_is(&value, "[ 1 , \"]\\\"\" ]"),
          "the first member");
    ut_ok(ngx_chat_json_next_element(&value, &name) == NGX_OK && ut_is(&name,
                                                                       "1")
          && ngx_chat_json_next_element(&value, &name) == NGX_OK
          && ut_is(&name, "\"]\\\"\"")
          && ngx_chat_json_next_element(&value, &name) == NGX_DONE,
          "its elements");
    ut_ok(ngx_chat_json_next_member(&rest, &name, &value) == NGX_OK
          && ut_is(&name, "\"b\"") && ut_is(&value, "{ \"c\":{}}")
          && ngx_chat_json_next_member(&rest, &name, &value) == NGX_DONE
          && ngx_chat_json_next_member(&rest, &name, &value) == NGX_DONE,
          "the last one");

    ut_ok(ut_reads("[ ]"), "a text");
    rest = ut_value;
    ut_ok(ngx_chat_json_next_element(&rest, &value) == NGX_DONE, "no element");

    ut_ok(ut_reads("{\"a\":1,\"b\":null,\"a\":\"2\"}"), "a text");

    ngx_str_set(&names[0], "a");
    ngx_str_set(&names[1], "b");
    ngx_str_set(&names[2], "c");

    ut_ok(ngx_chat_json_find_members(v, &ut_value, names, 3, ut_p) == NGX_OK
          && ut_is(&v[0], "\"2\"") && v[1].len == 0 && v[2].len == 0,
          "members by name");
    ut_ok(ngx_chat_json_first_string(&value, v, 3, ut_p) == NGX_OK
          && ut_is(&value, "2"),
          "the first string");
}


static void
ut_strings(void)
{
    ngx_str_t   s;
    ngx_uint_t  half;

    ut_ok(ut_reads("\"a\\u00e9\\/\\ud83d\\ude00\\udc00x\\ud83d\""), "a text");

    ut_ok(ngx_chat_json_decode_string(&s, &ut_value, ut_p) == NGX_OK
          && ut_is(&s, "a\xc3\xa9/\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd"),
          "a string");

    half = 0;
    (void) ngx_chat_json_decode(s.data, &ut_value, &half);

    ut_ok(half == 0xd83d, "half a character at its end");
}


int
main(void)
{
    ut_p = ut_pool();

    ut_check();
    ut_deep();
    ut_members();
    ut_strings();

    ut_free(&ut_input);
    ngx_destroy_pool(ut_p);

    return ut_done();
}
