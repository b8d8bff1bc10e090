
#include "ngx_chat_resp.h"

#include "ut.h"

#include <stdio.h>


#define UT_MAX  64


typedef struct {
    ngx_chat_resp_t    *rp;
    ngx_chat_bytes_t    got;
} ut_resp_t;


typedef struct {
    const char         *in;
    const char         *want;
    const char         *name;
} ut_case_t;


static void *ut_start(void);
static void ut_feed(void *data, u_char *p, size_t len);
static ngx_uint_t ut_check(void *data);
static void ut_stop(void *data);
static void ut_print(ngx_chat_bytes_t *out, ngx_chat_reply_t *reply);
static ngx_chat_reply_t *ut_reply(const char *wire);
static ngx_uint_t ut_int(const char *wire, int64_t want);
static ngx_uint_t ut_no_int(const char *wire);
static void ut_format(void);
static void ut_take(void);
static void ut_access(void);
static ngx_int_t ut_fed(size_t max, ngx_str_t *wire);
static ngx_int_t ut_repeated(const char *s, ngx_uint_t n, const char *end);
static void ut_depth(void);
static void ut_lines(void);
static void ut_limits(void);


static const char  *ut_want;

static ut_cut_t  ut_ops = { ut_start, ut_feed, ut_check, ut_stop };


static ut_case_t  ut_cases[] = {
    { "+OK\r\n", "'OK' ", "a simple string" },
    { "-ERR x\r\n", "-ERR x ", "an error" },
    { ":42\r\n", "42 ", "an integer" },
    { ":-42\r\n", "-42 ", "a negative integer" },
    { ":9223372036854775807\r\n", "9223372036854775807 ",
      "the largest integer" },
    { "$5\r\nhello\r\n", "'hello' ", "a bulk string" },
    { "$0\r\n\r\n", "'' ", "an empty bulk string" },
    { "$4\r\na\r\nb\r\n", "'a\r\nb' ", "a bulk string with CRLF inside" },
    { "$-1\r\n", "nil ", "nil" },
    { "*-1\r\n", "nil ", "a nil array" },
    { "*0\r\n", "nil ", "an empty array" },
    { "*3\r\n$1\r\na\r\n:7\r\n$-1\r\n", "('a' 7 nil ) ", "an array" },
    { "*2\r\n*1\r\n+x\r\n*2\r\n:1\r\n*0\r\n", "(('x' ) (1 nil ) ) ",
      "arrays in arrays" },
    { "+a\r\n:1\r\n*1\r\n+b\r\n-E\r\n", "'a' 1 ('b' ) -E ",
      "several replies" },
    { "+a\r\n$5\r\nhel", "'a' ", "an incomplete reply" },
    { "x\r\n", "!", "an unknown type" },
    { "+a\r\nhello\r\n", "'a' !", "garbage after a reply" },
    { "$-2\r\n", "!", "a negative length" },
    { "$x\r\n", "!", "a length that is no number" },
    { "*-2\r\n", "!", "a negative count" },
    { "$99999999999999999999\r\n", "!", "a length beyond 64 bits" },
    { "*2000000000\r\n", "!", "an array of two billions" },
    { "*22\r\n", "!", "an array that cannot fit in the limit" },
    { "*1\r\n*1\r\n*22\r\n", "!", "the same further inside" },
    { "*11\r\n*11\r\n", "!", "arrays that together cannot" },
    { "*21\r\n*1\r\n", "!", "one element more than can" },
    { "%1\r\n+a\r\n+b\r\n", "!", "a map" },
    { "~1\r\n+a\r\n", "!", "a set" },
    { ">1\r\n+a\r\n", "!", "a push" },
    { "|1\r\n+a\r\n+b\r\n+c\r\n", "!", "attributes" },
    { "$56\r\n01234567890123456789012345678901234567890123456789012345\r\n",
      "'01234567890123456789012345678901234567890123456789012345' ",
      "less bytes than the limit" },
    { "$57\r\n012345678901234567890123456789012345678901234567890123456\r\n",
      "'012345678901234567890123456789012345678901234567890123456' ",
      "as many bytes as the limit" },
    { "$58\r\n0123456789012345678901234567890123456789012345678901234567\r\n",
      "!", "one byte over the limit" },
    { "+a\r\n+b\r\n"
      "$57\r\n012345678901234567890123456789012345678901234567890123456\r\n"
      "+c\r\n"
      "$57\r\n012345678901234567890123456789012345678901234567890123456\r\n",
      "'a' 'b' "
      "'012345678901234567890123456789012345678901234567890123456' 'c' "
      "'012345678901234567890123456789012345678901234567890123456' ",
      "the limit is that of one reply" },
    { "+a\r\n$99\r\n0123456789012345678901234567890123456789012345678901234567"
      "01234567890", "'a' !", "an incomplete reply over the limit" },
    { "$99\r\n01234567890123456789012345678901234567890123456789012345678",
      "", "an incomplete reply of as many bytes as the limit" },
    { "$99\r\n012345678901234567890123456789012345678901234567890123456789",
      "!", "an incomplete reply of one byte more" },
    { "*9\r\n+0123\r\n+0123\r\n+0123\r\n+0123\r\n+0123\r\n+0123\r\n"
      "+0123\r\n+0123\r\n+0123\r\n", "!", "an array over the limit" },
    { NULL, NULL, NULL }
};


static void *
ut_start(void)
{
    ut_resp_t  *t;

    t = ngx_calloc(sizeof(ut_resp_t), ngx_cycle->log);
    t->rp = ngx_chat_resp_create(UT_MAX);

    return t;
}


static void
ut_feed(void *data, u_char *p, size_t len)
{
    ngx_int_t          rc;
    ut_resp_t         *t = data;
    ngx_chat_reply_t  *reply;

    if (t->got.len && t->got.data[t->got.len - 1] == '!') {

        if (ngx_chat_resp_feed(t->rp, p, len) != NGX_ERROR
            || ngx_chat_resp_next(t->rp, &reply) != NGX_ERROR)
        {
            ngx_chat_bytes_append(&t->got, "an error does not stay", 22);
        }

        return;
    }

    rc = ngx_chat_resp_feed(t->rp, p, len);

    while (rc == NGX_OK) {
        reply = NULL;
        rc = ngx_chat_resp_next(t->rp, &reply);

        if (rc == NGX_OK) {
            ut_print(&t->got, reply);
            ngx_chat_reply_free(reply);
        }
    }

    if (rc == NGX_ERROR) {
        ngx_chat_bytes_append(&t->got, "!", 1);
    }
}


static ngx_uint_t
ut_check(void *data)
{
    ut_resp_t  *t = data;

    return t->got.len == strlen(ut_want)
           && (t->got.len == 0
               || memcmp(t->got.data, ut_want, t->got.len) == 0);
}


static void
ut_stop(void *data)
{
    ut_resp_t  *t = data;

    ngx_chat_bytes_free(&t->got);
    ngx_chat_resp_free(t->rp);
    ngx_free(t);
}


/* through the access functions alone */

static void
ut_print(ngx_chat_bytes_t *out, ngx_chat_reply_t *reply)
{
    char        number[32];
    int64_t     n;
    ngx_str_t   s;
    ngx_uint_t  i;

    if (ngx_chat_reply_str(reply, &s) == NGX_OK) {
        ngx_chat_bytes_append(out, "'", 1);
        ngx_chat_bytes_append(out, s.data, s.len);
        ngx_chat_bytes_append(out, "' ", 2);
        return;
    }

    if (ngx_chat_reply_error(reply, &s) == NGX_OK) {
        ngx_chat_bytes_append(out, "-", 1);
        ngx_chat_bytes_append(out, s.data, s.len);
        ngx_chat_bytes_append(out, " ", 1);
        return;
    }

    if (ngx_chat_reply_int(reply, &n) == NGX_OK) {
        snprintf(number, sizeof(number), "%lld ", (long long) n);
        ngx_chat_bytes_append(out, number, strlen(number));
        return;
    }

    /* nil, and an array without elements, which is the same to the access */

    if (ngx_chat_reply_count(reply) == 0) {
        ngx_chat_bytes_append(out, "nil ", 4);
        return;
    }

    ngx_chat_bytes_append(out, "(", 1);

    for (i = 0; i < ngx_chat_reply_count(reply); i++) {
        ut_print(out, ngx_chat_reply_at(reply, i));
    }

    ngx_chat_bytes_append(out, ") ", 2);
}


static ngx_chat_reply_t *
ut_reply(const char *wire)
{
    ngx_str_t          s;
    ngx_chat_resp_t   *rp;
    ngx_chat_reply_t  *reply;

    s = ut_str(wire);
    rp = ngx_chat_resp_create(1024);
    reply = NULL;

    (void) ngx_chat_resp_feed(rp, s.data, s.len);
    (void) ngx_chat_resp_next(rp, &reply);

    ngx_chat_resp_free(rp);
    ut_free(&s);

    return reply;
}


static ngx_uint_t
ut_int(const char *wire, int64_t want)
{
    int64_t            n;
    ngx_int_t          rc;
    ngx_chat_reply_t  *reply;

    reply = ut_reply(wire);
    rc = ngx_chat_reply_int(reply, &n);
    ngx_chat_reply_free(reply);

    return rc == NGX_OK && n == want;
}


static ngx_uint_t
ut_no_int(const char *wire)
{
    int64_t            n;
    ngx_int_t          rc;
    ngx_chat_reply_t  *reply;

    reply = ut_reply(wire);
    rc = ngx_chat_reply_int(reply, &n);
    ngx_chat_reply_free(reply);

    return rc == NGX_DECLINED;
}


static void
ut_format(void)
{
    ngx_str_t         argv[3];
    ngx_int_t         rc;
    ngx_chat_bytes_t  b;

    ngx_memzero(&b, sizeof(b));

    argv[0] = ut_str("SET");
    argv[1] = ut_str("");
    argv[2] = ut_bytes("a\0\r\n%s", 6);

    ut_ok(ngx_chat_resp_format(&b, argv, 3) == NGX_OK
          && b.len == 31
          && memcmp(b.data, "*3\r\n$3\r\nSET\r\n$0\r\n\r\n"
                            "$6\r\na\0\r\n%s\r\n", 31) == 0,
          "a command with any bytes in it");

    ut_ok(ngx_chat_resp_format(&b, argv, 1) == NGX_OK
          && b.len == 44
          && memcmp(b.data + 31, "*1\r\n$3\r\nSET\r\n", 13) == 0,
          "another one behind it");

    ngx_chat_bytes_free(&b);

    ut_fail_alloc = 1;
    rc = ngx_chat_resp_format(&b, argv, 1);
    ut_fail_alloc = 0;

    ut_ok(rc == NGX_ERROR && b.len == 0, "no memory");

    b.max = 10;

    ut_ok(ngx_chat_resp_format(&b, argv, 1) == NGX_ERROR && b.len == 0,
          "no room");

    ngx_chat_bytes_free(&b);
    ut_free(&argv[0]);
    ut_free(&argv[1]);
    ut_free(&argv[2]);
}


static void
ut_take(void)
{
    ngx_str_t          s, other, copy;
    ngx_chat_reply_t  *reply, *taken;

    reply = ut_reply("*4\r\n$1\r\na\r\n$3\r\nabc\r\n$1\r\nb\r\n:1\r\n");

    (void) ngx_chat_reply_field(reply, "a", &s);
    other = ut_str("abc");
    copy = other;

    ut_ok(ngx_chat_reply_take(reply, &other) == NULL
          && ngx_chat_reply_take(NULL, &s) == NULL,
          "to take: the string itself, not another that is the same");

    taken = ngx_chat_reply_take(reply, &s);

    ut_ok(taken && ngx_chat_reply_take(reply, &s) == NULL
          && ngx_chat_reply_field(reply, "a", &other) == NGX_DECLINED,
          "to take: it is no part of the reply any more");

    ngx_chat_reply_free(reply);

    ut_ok(ut_is(&s, "abc"), "to take: it lasts longer than the reply");

    ngx_chat_reply_free(taken);
    ut_free(&copy);
}


static void
ut_access(void)
{
    int64_t            n;
    ngx_str_t          s;
    ngx_chat_reply_t  *reply;

    ut_ok(ngx_chat_reply_str(NULL, &s) == NGX_DECLINED
          && ngx_chat_reply_int(NULL, &n) == NGX_DECLINED
          && ngx_chat_reply_error(NULL, &s) == NGX_DECLINED
          && ngx_chat_reply_count(NULL) == 0
          && ngx_chat_reply_at(NULL, 0) == NULL
          && ngx_chat_reply_field(NULL, "a", &s) == NGX_DECLINED,
          "all access takes NULL");

    ngx_chat_reply_free(NULL);

    ut_ok(ut_int(":-5\r\n", -5), "an integer");
    ut_ok(ut_int("$2\r\n12\r\n", 12), "digits in a bulk string");
    ut_ok(ut_int("+0\r\n", 0), "digits in a simple string");
    ut_ok(ut_int("$19\r\n9223372036854775807\r\n", INT64_MAX),
          "the largest number in a string");
    ut_ok(ut_no_int("$19\r\n9223372036854775808\r\n"), "one more");
    ut_ok(ut_no_int("$20\r\n92233720368547758070\r\n"), "ten times that");
    ut_ok(ut_no_int("$0\r\n\r\n"), "an empty string");
    ut_ok(ut_no_int("$2\r\n-1\r\n"), "a minus in a string");
    ut_ok(ut_no_int("$2\r\n1 \r\n"), "a space in a string");
    ut_ok(ut_no_int("$-1\r\n"), "nil as a number");
    ut_ok(ut_no_int("-1\r\n"), "an error as a number");
    ut_ok(ut_no_int("*1\r\n:1\r\n"), "an array as a number");

    reply = ut_reply("*7\r\n$1\r\na\r\n$1\r\n1\r\n:5\r\n$1\r\n2\r\n"
                     "$2\r\nbb\r\n$1\r\na\r\n$1\r\nc\r\n");

    ut_ok(ngx_chat_reply_count(reply) == 7
          && ngx_chat_reply_at(reply, 6) != NULL
          && ngx_chat_reply_at(reply, 7) == NULL
          && ngx_chat_reply_at(reply, (ngx_uint_t) -1) == NULL,
          "elements");

    ut_ok(ngx_chat_reply_str(reply, &s) == NGX_DECLINED
          && ngx_chat_reply_error(reply, &s) == NGX_DECLINED,
          "an array is no string");

    ut_ok(ngx_chat_reply_field(reply, "a", &s) == NGX_OK && ut_is(&s, "1"),
          "the first field");
    ut_ok(ngx_chat_reply_field(reply, "bb", &s) == NGX_OK && ut_is(&s, "a"),
          "a field after one that is no string");
    ut_ok(ngx_chat_reply_field(reply, "b", &s) == NGX_DECLINED,
          "a name cut short");
    ut_ok(ngx_chat_reply_field(reply, "2", &s) == NGX_DECLINED,
          "a value is no name");
    ut_ok(ngx_chat_reply_field(reply, "c", &s) == NGX_DECLINED,
          "a name without a value");

    ngx_chat_reply_free(reply);

    reply = ut_reply("*2\r\n$1\r\na\r\n:1\r\n");

    ut_ok(ngx_chat_reply_field(reply, "a", &s) == NGX_DECLINED,
          "a value that is no string");

    ngx_chat_reply_free(reply);

    reply = ut_reply("-NOSCRIPT No matching script\r\n");

    ut_ok(ngx_chat_reply_error(reply, &s) == NGX_OK
          && ut_is(&s, "NOSCRIPT No matching script")
          && ngx_chat_reply_str(reply, &s) == NGX_DECLINED,
          "an error is no string");

    ngx_chat_reply_free(reply);
}


/* in pieces; frees wire */

static ngx_int_t
ut_fed(size_t max, ngx_str_t *wire)
{
    size_t             i;
    ngx_int_t          rc;
    ngx_chat_resp_t   *rp;
    ngx_chat_reply_t  *reply;

    rp = ngx_chat_resp_create(max);
    rc = NGX_AGAIN;

    for (i = 0; i < wire->len && rc == NGX_AGAIN; i += 65536) {

        rc = ngx_chat_resp_feed(rp, wire->data + i,
                                ngx_min(65536, wire->len - i));

        if (rc == NGX_OK) {
            rc = ngx_chat_resp_next(rp, &reply);
        }

        if (rc == NGX_OK) {
            ngx_chat_reply_free(reply);
        }
    }

    ngx_chat_resp_free(rp);
    ut_free(wire);

    return rc;
}


static ngx_int_t
ut_repeated(const char *s, ngx_uint_t n, const char *end)
{
    size_t     len;
    ngx_str_t  all, wire;

    all = ut_repeat(s, n);
    len = strlen(end);

    wire.len = all.len + len;
    wire.data = ngx_alloc(wire.len, ngx_cycle->log);

    memcpy(wire.data, all.data, all.len);
    memcpy(wire.data + all.len, end, len);

    ut_free(&all);

    return ut_fed(64 * 1024 * 1024, &wire);
}


static void
ut_depth(void)
{
    ut_ok(ut_repeated("*1\r\n", 7, ":1\r\n") == NGX_OK, "arrays 7 deep");
    ut_ok(ut_repeated("*1\r\n", 8, ":1\r\n") == NGX_ERROR, "arrays 8 deep");
    ut_ok(ut_repeated("*1\r\n", 400000, "") == NGX_ERROR,
          "arrays 400000 deep");
    ut_ok(ut_repeated("*2\r\n:1\r\n", 400000, "") == NGX_ERROR,
          "the same behind an element each");

    ut_ok(ut_repeated("*262144\r\n", 1, "") == NGX_AGAIN,
          "as many elements as the limit");
    ut_ok(ut_repeated("*262145\r\n", 1, "") == NGX_ERROR,
          "one element over the limit");
    ut_ok(ut_repeated("*100000\r\n", 3, "") == NGX_ERROR,
          "elements over the limit in arrays in arrays");
}


static void
ut_lines(void)
{
    ut_ok(ut_repeated("+", 65536, "\r\n") == NGX_OK, "a line of 64 KB");
    ut_ok(ut_repeated("+", 65540, "") == NGX_ERROR, "a line of more");
    ut_ok(ut_repeated("+\r", 40000, "") == NGX_ERROR,
          "a line of more with carriage returns in it");
    ut_ok(ut_repeated("$200000\r\n", 20000, "") == NGX_AGAIN,
          "a string may be longer than a line");
}


static void
ut_limits(void)
{
    char               s[128];
    size_t             i;
    ngx_int_t          rc;
    ngx_str_t          wire;
    ngx_uint_t         ok;
    ngx_chat_resp_t   *rp;
    ngx_chat_reply_t  *reply;

    s[0] = '\0';

    for (i = 0; i < 20; i++) {
        strcat(s, "*1\r\n");
    }

    rp = ngx_chat_resp_create(1024);
    wire = ut_str(s);

    ut_ok(ngx_chat_resp_feed(rp, wire.data, wire.len) == NGX_OK
          && ngx_chat_resp_next(rp, &reply) == NGX_ERROR
          && ngx_chat_resp_next(rp, &reply) == NGX_ERROR,
          "arrays 20 deep are an error, and it stays");

    ngx_chat_resp_free(rp);
    ut_free(&wire);

    rp = ngx_chat_resp_create(1 << 20);
    wire = ut_repeat("*2\r\n$4\r\nabcd\r\n:12345\r\n", 10000);
    ok = 1;

    for (i = 0; i < wire.len; i += 1000) {
        ok &= ngx_chat_resp_feed(rp, wire.data + i,
                                 ngx_min(1000, wire.len - i))
              == NGX_OK;

        do {
            rc = ngx_chat_resp_next(rp, &reply);

            if (rc == NGX_OK) {
                ok &= ngx_chat_reply_count(reply) == 2;
                ngx_chat_reply_free(reply);
            }

        } while (rc == NGX_OK);

        ok &= rc == NGX_AGAIN;
    }

    ut_ok(ok, "many replies in pieces");

    ut_free(&wire);
    wire = ut_str("*3\r\n$4\r\nabcd\r\n$9\r\nabc");

    ut_ok(ngx_chat_resp_feed(rp, wire.data, wire.len) == NGX_OK
          && ngx_chat_resp_next(rp, &reply) == NGX_AGAIN,
          "freed with half a reply in it");

    ngx_chat_resp_free(rp);
    ut_free(&wire);

    ut_fail_alloc = 1;
    rp = ngx_chat_resp_create(1024);
    ut_fail_alloc = 0;

    ut_ok(rp == NULL, "no memory for a reader");
}


int
main(void)
{
    ut_case_t  *c;

    for (c = ut_cases; c->in; c++) {
        ut_want = c->want;

        ut_ok(ut_cut(&ut_ops, c->in, strlen(c->in)), c->name);
    }

    ut_format();
    ut_take();
    ut_access();
    ut_depth();
    ut_lines();
    ut_limits();

    return ut_done();
}
