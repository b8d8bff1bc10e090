
#include "ngx_chat_request.h"

#include "ut.h"


#define UT_MAX  16


typedef struct {
    const char  *body;
    const char  *name;
    const char  *word;             /* in the message */
} ut_case_t;


static ngx_int_t ut_parse(const char *body, size_t len, const char *question,
    ngx_uint_t use_cache);
static ngx_uint_t ut_good(const char *body, const char *question,
    ngx_uint_t use_cache);
static ngx_uint_t ut_refused(ngx_int_t rc, ut_case_t *c);
static void ut_levels(void);


static u_char  ut_error[128];


static ut_case_t  ut_abort[] = {
    { "", "nothing", "JSON" },
    { "   ", "white space", "JSON" },
    { "{", "half an object", "JSON" },
    { "{\"question\": \"a\"", "an open object", "JSON" },
    { "{\"question\": \"a\"} x", "trailing bytes", "JSON" },
    { "{\"question\": \"a\"]", "an end that is another's", "JSON" },
    { "{\"question\": \"a\" \"use_cache\": true}", "no comma", "JSON" },
    { "{\"question\": \"a\", \"use_cache\": truer}", "a longer word", "JSON" },
    { "{\"question\": \"a\\x\"}", "an escape that is none", "JSON" },
    { "{\"question\": \"a\"} \"x", "half a string behind it", "JSON" },
    { "{\"question\": \"a\"}{}", "two objects", "JSON" },
    { "{\"question\": \"a\",}", "a trailing comma", "JSON" },
    { "{\"question\": \"a\"} // x", "a comment behind", "JSON" },
    { "{/* x */\"question\": \"a\"}", "a comment inside", "JSON" },
    { "question=a", "a form", "JSON" },
    { "{\"question\": \"\xff\"}", "a byte that is not UTF-8", "JSON" },
    { "{\"question\": \"a\", \"x\": \"\xc0\x80\"}", "overlong elsewhere",
      "JSON" },
    { "{\"question\": \"\\ud800\"}", "a lone surrogate", "JSON" },
    { "{\"question\": \"a\", \"\\udc00\": 1}", "a lone surrogate in a name",
      "JSON" },
    { "{\"question\": \"a\nb\"}", "a raw line feed", "JSON" },
    { "{\"question\": \"a\", \"question\": \"a\"}", "question twice",
      "question" },
    { "{\"question\": \"a\", \"\\u0071uestion\": \"a\"}",
      "question twice, once escaped", "question" },
    { "{\"question\": 1, \"question\": 1}", "a bad question twice",
      "question" },
    { "{\"use_cache\": true, \"question\": \"a\", \"use_cache\": true}",
      "use_cache twice", "use_cache" },
    { "{\"question\": 1, \"x\": }", "a bad field, then bad JSON", "JSON" },
    { "{\"question\": \"\", \"x\": [1}", "an empty field, then bad JSON",
      "JSON" },
    { NULL, NULL, NULL }
};


static ut_case_t  ut_declined[] = {
    { "{}", "no question", "question" },
    { "[]", "an array", "object" },
    { "\"question\"", "a string", "object" },
    { "null", "null", "object" },
    { "[{\"question\": \"a\"}]", "an object in an array", "question" },
    { "{\"use_cache\": true}", "use_cache alone", "question" },
    { "{\"x\": {\"question\": \"a\"}}", "a question further inside",
      "question" },
    { "{\"Question\": \"a\"}", "a capital letter", "question" },
    { "{\"question\\u0000\": \"a\"}", "a name with a zero byte",
      "question" },
    { "{\"question\": 1}", "a number", "string" },
    { "{\"question\": null}", "null for a question", "string" },
    { "{\"question\": true}", "true for a question", "string" },
    { "{\"question\": [\"a\"]}", "an array for a question", "string" },
    { "{\"question\": {\"question\": \"a\"}}", "an object for a question",
      "string" },
    { "{\"question\": \"\"}", "an empty question", "empty" },
    { "{\"question\": \" \\t\\n\\r\\u000b\\f\"}", "white space alone",
      "empty" },
    { "{\"question\": \"\\u3000\\u00a0\\ufeff\"}",
      "white space of other scripts", "empty" },
    { "{\"question\": \"12345678901234567\"}", "a question too long",
      "too long" },
    { "{\"question\": \"123456789012345\\u00e9\"}", "too long when decoded",
      "too long" },
    { "{\"question\": \"12345678901234  x\"}",
      "too long with white space", "too long" },
    { "{\"question\": \"a\", \"use_cache\": 1}", "a number for use_cache",
      "use_cache" },
    { "{\"question\": \"a\", \"use_cache\": null}", "null for use_cache",
      "use_cache" },
    { "{\"question\": \"a\", \"use_cache\": \"true\"}",
      "a string for use_cache", "use_cache" },
    { "{\"use_cache\": [true], \"question\": \"a\"}",
      "an array for use_cache", "use_cache" },
    { "{\"use_cache\": {}, \"question\": \"a\"}",
      "an object for use_cache", "use_cache" },
    { "{\"use_cache\": 1, \"question\": 1}", "both wrong", "question" },
    { NULL, NULL, NULL }
};


#define UT_H   "0123456789abcdef0123456789abcdef" \
               "0123456789abcdef0123456789abcdef"
#define UT_ID  "fedcba9876543210fedcba9876543210"

static ut_case_t  ut_purge_declined[] = {
    { "{}", "purge: neither", "\"key\"" },
    { "[\"key\"]", "purge: an array", "object" },
    { "{\"use_cache\": 1}", "purge: use_cache alone", "\"key\"" },
    { "{\"question\": \"\"}", "purge: an empty question", "empty" },
    { "{\"question\": 1}", "purge: a number for a question", "string" },
    { "{\"key\": 1}", "purge: a number for a key", "64" },
    { "{\"key\": [\"" UT_H "\"]}", "purge: an array for a key", "64" },
    { "{\"key\": \"\"}", "purge: an empty key", "64" },
    { "{\"key\": \"" UT_ID "\"}", "purge: an id alone", "64" },
    { "{\"key\": \"" UT_H "0\"}", "purge: a key too long", "64" },
    { "{\"key\": \"A" UT_ID "123456789abcdef0123456789abcdef\"}",
      "purge: a capital digit", "64" },
    { "{\"key\": \"" UT_ID "-" UT_H "\"}", "purge: no point", "64" },
    { "{\"key\": \"x" UT_ID "." UT_H "\"}", "purge: an id too long", "64" },
    { "{\"key\": \"" UT_H "\", \"question\": \"a\"}", "purge: both",
      "exclude" },
    { "{\"key\": 1, \"question\": 1}", "purge: both, and wrong",
      "exclude" },
    { NULL, NULL, NULL }
};


static ut_case_t  ut_purge_abort[] = {
    { "{\"key\": \"" UT_H "\"", "purge: cut off", "JSON" },
    { "{\"key\": \"a\", \"key\": \"a\"}", "purge: a key twice", "key" },
    { "{\"question\": \"a\", \"question\": \"a\"}",
      "purge: a question twice", "question" },
    { NULL, NULL, NULL }
};


/* a negative use_cache: the result alone */

static ngx_int_t
ut_parse(const char *body, size_t len, const char *question,
    ngx_uint_t use_cache)
{
    ngx_int_t            rc;
    ngx_str_t            s;
    ngx_pool_t          *pool;
    ngx_chat_request_t   rq;

    s = ut_bytes(body, len);
    pool = ut_pool();

    rc = ngx_chat_request_parse(&rq, &s, UT_MAX, pool);

    /* the question must not point into the body */
    ut_free(&s);

    if (rc == NGX_OK
        && question
        && (!ut_is(&rq.question, question) || rq.use_cache != use_cache
            || rq.error.len))
    {
        rc = NGX_BUSY;
    }

    ngx_memzero(ut_error, sizeof(ut_error));

    if (rq.error.len) {
        memcpy(ut_error, rq.error.data,
               ngx_min(rq.error.len, sizeof(ut_error) - 1));
    }

    ngx_destroy_pool(pool);

    return rc;
}


static ngx_uint_t
ut_good(const char *body, const char *question, ngx_uint_t use_cache)
{
    return ut_parse(body, strlen(body), question, use_cache) == NGX_OK;
}


static ngx_uint_t
ut_refused(ngx_int_t rc, ut_case_t *c)
{
    return ut_parse(c->body, strlen(c->body), NULL, 0) == rc
           && strstr((char *) ut_error, c->word) != NULL;
}


static ngx_int_t
ut_parse_purge(const char *body, const char *question, const char *key)
{
    ngx_int_t            rc;
    ngx_str_t            s;
    ngx_pool_t          *pool;
    ngx_chat_request_t   rq;

    s = ut_str(body);
    pool = ut_pool();

    rc = ngx_chat_request_parse_purge(&rq, &s, UT_MAX, pool);

    ut_free(&s);

    if (rc == NGX_OK
        && (!ut_is(&rq.question, question) || !ut_is(&rq.key, key)
            || rq.error.len))
    {
        rc = NGX_BUSY;
    }

    ngx_memzero(ut_error, sizeof(ut_error));

    if (rq.error.len) {
        memcpy(ut_error, rq.error.data,
               ngx_min(rq.error.len, sizeof(ut_error) - 1));
    }

    ngx_destroy_pool(pool);

    return rc;
}


static void
ut_purges(void)
{
    ngx_int_t            rc;
    ngx_str_t            body;
    ut_case_t           *c;
    ngx_pool_t          *pool;
    ngx_chat_request_t   rq;

    ut_ok(ut_parse_purge("{\"question\": \" a\"}", " a", "") == NGX_OK,
          "purge: a question");
    ut_ok(ut_parse_purge("{\"x\": {\"key\": 1}, \"key\": \"" UT_H "\"}", "",
                         UT_H)
          == NGX_OK,
          "purge: a key");
    ut_ok(ut_parse_purge("{\"key\": \"" UT_ID "." UT_H "\"}", "", UT_H)
          == NGX_OK,
          "purge: the name of a generation");
    ut_ok(ut_parse_purge("{\"question\": \"a\", \"use_cache\": 1}", "a", "")
          == NGX_OK,
          "purge: use_cache means nothing");
    ut_ok(ut_good("{\"question\": \"a\", \"key\": 1, \"key\": 2}", "a", 1),
          "a key means nothing elsewhere");

    for (c = ut_purge_declined; c->body; c++) {
        rc = ut_parse_purge(c->body, "", "");
        ut_ok(rc == NGX_DECLINED && strstr((char *) ut_error, c->word),
              c->name);
    }

    for (c = ut_purge_abort; c->body; c++) {
        rc = ut_parse_purge(c->body, "", "");
        ut_ok(rc == NGX_ABORT && strstr((char *) ut_error, c->word), c->name);
    }

    body = ut_str("{\"key\": \"" UT_H "\"}");
    pool = ut_pool();

    ut_fail_alloc = 1;
    rc = ngx_chat_request_parse_purge(&rq, &body, UT_MAX, pool);
    ut_fail_alloc = 0;

    ut_ok(rc == NGX_ERROR, "purge: no memory");

    ngx_destroy_pool(pool);
    ut_free(&body);
}


static void
ut_levels(void)
{
    char        s[256];
    size_t      i;
    ngx_int_t   rc;
    ngx_uint_t  n;

    for (n = 31; n < 33; n++) {
        strcpy(s, "{\"question\": \"a\", \"x\": ");

        for (i = 0; i < n; i++) {
            strcat(s, "[");
        }

        for (i = 0; i < n; i++) {
            strcat(s, "]");
        }

        strcat(s, "}");

        rc = ut_parse(s, strlen(s), NULL, 0);

        ut_ok(rc == (n == 31 ? NGX_OK : NGX_ABORT),
              n == 31 ? "32 levels" : "33 levels");
    }

    ut_ok(strstr((char *) ut_error, "deep") != NULL, "which says so");
}


int
main(void)
{
    size_t               i;
    ngx_str_t            body;
    ngx_int_t            rc;
    ngx_uint_t           ok;
    ut_case_t           *c;
    ngx_pool_t          *pool;
    ngx_chat_request_t   rq;

    static const char  whole[] =
        " {\"a\": [1, {\"b\": \"\\n\"}], \"question\": \"\\u00e9\\ud83d\\udc0d"
        "?\", \"use_cache\": false} ";

    ut_ok(ut_good("{\"question\": \"What?\"}", "What?", 1), "a question");
    ut_ok(ut_good("{\"question\": \"a\", \"use_cache\": true}", "a", 1),
          "use_cache true");
    ut_ok(ut_good("{\"use_cache\":false,\"question\":\"a\"}", "a", 0),
          "use_cache false");
    ut_ok(ut_good(whole, "\xc3\xa9\xf0\x9f\x90\x8d?", 0), "everything");
    ut_ok(ut_good("{\"question\": \"1234567890123456\"}",
                  "1234567890123456", 1),
          "as long as allowed");
    ut_ok(ut_good("{\"question\": \"\\u0031\\u0032345678901234\\u00e9\"}",
                  "12345678901234\xc3\xa9", 1),
          "as long as allowed when decoded");
    ut_ok(ut_good("{\"question\": \"  a \"}", "  a ", 1),
          "white space stays");
    ut_ok(ut_good("{\"question\": \"\\u00a0a\\u3000\"}",
                  "\xc2\xa0" "a\xe3\x80\x80", 1),
          "other space stays too");
    ut_ok(ut_good("{\"question\": \"a\", \"n\": 1e99999, "
                  "\"m\": 99999999999999999999999}", "a", 1),
          "huge numbers in ignored members");
    ut_ok(ut_good("{\"question\": \"a\", \"x\": 1, \"x\": 2}", "a", 1),
          "another member twice");
    ut_ok(ut_good("{\"x\": {\"question\": 1, \"question\": 1, "
                  "\"use_cache\": 7}, \"question\": \"a\"}", "a", 1),
          "the names further inside mean nothing");
    ut_ok(ut_good("{\"question\": \"\\\"\\\\\\/\"}", "\"\\/", 1),
          "escapes");
    ut_ok(ut_good("{\"\\u0071uestion\": \"a\"}", "a", 1),
          "an escaped name");

    body = ut_str("{\"question\": \"a\\u0000b\"}");
    pool = ut_pool();

    ut_ok(ngx_chat_request_parse(&rq, &body, UT_MAX, pool) == NGX_OK
          && rq.question.len == 3
          && memcmp(rq.question.data, "a\0b", 3) == 0,
          "a zero byte is part of the question");

    ngx_destroy_pool(pool);
    pool = ut_pool();

    ut_fail_alloc = 1;
    rc = ngx_chat_request_parse(&rq, &body, UT_MAX, pool);
    ut_fail_alloc = 0;

    ut_ok(rc == NGX_ERROR, "no memory");

    ngx_destroy_pool(pool);
    ut_free(&body);

    for (c = ut_abort; c->body; c++) {
        ut_ok(ut_refused(NGX_ABORT, c), c->name);
    }

    for (c = ut_declined; c->body; c++) {
        ut_ok(ut_refused(NGX_DECLINED, c), c->name);
    }

    ut_ok(ut_parse("{\"question\": \"a\"}\0", 18, NULL, 0) == NGX_ABORT,
          "a zero byte behind");
    ut_ok(ut_parse("{\"question\": \"a\0b\"}", 19, NULL, 0) == NGX_ABORT,
          "a raw zero byte inside");

    ut_levels();
    ut_purges();

    ok = 1;

    for (i = 0; i < sizeof(whole) - 2; i++) {
        ok &= ut_parse(whole, i, NULL, 0) == NGX_ABORT;
    }

    ut_ok(ok, "cut off anywhere it is refused");

    return ut_done();
}
