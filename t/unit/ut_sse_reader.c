
#include "ngx_chat_sse_reader.h"

#include "ut.h"


typedef struct {
    ngx_chat_sse_reader_t   sr;
    ngx_chat_bytes_t        got;   /* "[data]" for each event, "E", "N", "!" */
    size_t                  pieces;
} ut_sse_t;


typedef struct {
    const char             *in;
    const char             *want;
    const char             *name;
} ut_case_t;


static void *ut_start(void);
static void ut_feed(void *data, u_char *p, size_t len);
static ngx_uint_t ut_check(void *data);
static void ut_stop(void *data);


static const char  *ut_want;
static size_t       ut_max;

static ut_cut_t  ut_ops = { ut_start, ut_feed, ut_check, ut_stop };


static ut_case_t  ut_cases[] = {
    { "data: a\n\n", "[a]", "LF" },
    { "data: a\r\n\r\n", "[a]", "CRLF" },
    { "data: a\r\r", "[a]", "CR" },
    { "data: a\r\n\n", "[a]", "CRLF and LF" },
    { "data: a\n\r\n", "[a]", "LF and CRLF" },
    { "data: a\r\rdata: b\n\ndata: c\r\n\r\n", "[a][b][c]",
      "all line ends mixed" },
    { "data: a\r\n\rdata: b\r\n\r", "[a][b]", "CRLF and CR" },
    { "data:a\n\n", "[a]", "no space after the colon" },
    { "data:  a\n\n", "[ a]", "one space is taken away" },
    { "data:\ta\n\n", "[\ta]", "a tab stays" },
    { "data: a \n\n", "[a ]", "a space behind stays" },
    { "data: a\ndata: b\n\n", "[a\nb]", "two data lines" },
    { "data: a\r\ndata: b\r\ndata: c\r\n\r\n", "[a\nb\nc]",
      "three data lines and CRLF" },
    { "data\n\n", "[]", "data without a colon" },
    { "data:\n\n", "[]", "data without a value" },
    { "data: \n\n", "[]", "data and a space" },
    { "data\ndata\n\n", "[\n]", "two empty data lines" },
    { "data:\ndata: a\ndata:\n\n", "[\na\n]", "empty lines around" },
    { "\n\n\n", "", "empty lines alone" },
    { ": comment\n\n", "", "a comment" },
    { ":\n:data: x\n\ndata: a\n\n", "[a]", "comments before" },
    { "data: a\n: comment\ndata: b\n\n", "[a\nb]", "a comment between" },
    { "event: x\nid: 1\nretry: 5\n\n", "", "no data" },
    { "event: x\ndata: a\nid: 1\n\n", "[a]", "other fields" },
    { "event\ndata: a\n\n", "[a]", "another field without a colon" },
    { "dat: x\ndata1: x\nDATA: x\ndataa\n data: x\nd\nda\ndat\n\n", "",
      "fields like data" },
    { "datadata: x\ndata : x\n\n", "", "more fields like data" },
    { "data: data: x\n\n", "[data: x]", "data in data" },
    { "data: a:b: c\n\n", "[a:b: c]", "colons in data" },
    { "\xef\xbb\xbf" "data: a\n\n", "[a]", "a byte order mark" },
    { "\xef\xbb\xbf\ndata: a\n\n", "[a]", "a byte order mark, empty line" },
    { "\xef\xbb\xbf\xef\xbb\xbf" "data: x\n\ndata: b\n\n", "[b]",
      "two byte order marks" },
    { "\xef\xbb" "data: x\n\ndata: b\n\n", "[b]",
      "half a byte order mark" },
    { "\xef\ndata: b\n\n", "[b]", "a third of a byte order mark" },
    { "data: a\n\n\xef\xbb\xbf" "data: x\n\n", "[a]",
      "a byte order mark later on" },
    { "\ndata: a\n\n", "[a]", "an empty line first" },
    { "\r\ndata: a\n\n", "[a]", "CRLF first" },
    { "data: a\n", "", "no empty line at the end" },
    { "data: a", "", "an open line at the end" },
    { "data: a\n\ndata: b\n", "[a]", "the last is incomplete" },
    { "data: \xf0\x9f\x90\x8d\n\n", "[\xf0\x9f\x90\x8d]", "UTF-8" },
    { "data: {\"x\": \"y\"}\n\ndata: [DONE]\n\n", "[{\"x\": \"y\"}][[DONE]]",
      "as providers write" },
    { "data: 0123456789\n\n", "[0123456789]", "as long as allowed" },
    { "data: 01234\ndata: 6789\n\ndata: 0123456789\n\n",
      "[01234\n6789][0123456789]", "as long as allowed in two lines" },
    { "data: 0123456789x\n\n", "!", "too long" },
    { "data: 01234\ndata: 56789\n\n", "!", "too long with the line feed" },
    { "data: 0123456789\ndata\n\n", "!", "too long by the line feed" },
    { "data: a\n\ndata: 0123456789x", "[a]!", "too long after another" },
    { ": 0123456789012345678901234567890\ndata: a\n\n", "[a]",
      "a long comment" },
    { "event: 012345678901234567890\ndata: a\n\n", "[a]", "a long field" },
    { "error: a\n\ndata: b\n\n", "[a]E[b]", "an error in place of data" },
    { "error\r\n\r\n", "[]E", "an error without a value" },
    { "data: a\nerror:b\n\n", "[a\nb]E", "an error behind data" },
    { "error: 0123456789x\n\n", "!", "an error that is too long" },
    { "event: error\ndata: a\n\ndata: b\n\n", "[a]N[b]",
      "an event that is an error" },
    { "data: a\r\nevent:error\r\n\r\n", "[a]N", "its name behind its data" },
    { "event: error\r\rdata: b\r\r", "[]N[b]", "an error without data" },
    { "event: error\nevent: x\ndata: a\n\n", "[a]", "the last name counts" },
    { "event: error\nevent\n\ndata: a\n\n", "[a]", "and if it is none" },
    { "event:  error\nevents: error\nevent: error \nevent: erro\n"
      "event: errors\nid: error\n: error\nerrors: a\nerro: a\n\n", "",
      "names like it" },
    { NULL, NULL, NULL }
};


static void *
ut_start(void)
{
    ut_sse_t  *t;

    t = ngx_calloc(sizeof(ut_sse_t), ngx_cycle->log);
    ngx_chat_sse_reader_init(&t->sr, ut_max);

    return t;
}


static void
ut_feed(void *data, u_char *p, size_t len)
{
    ngx_buf_t   b;
    ngx_int_t   rc;
    ut_sse_t   *t = data;

    if (t->got.len && t->got.data[t->got.len - 1] == '!') {
        return;
    }

    ngx_memzero(&b, sizeof(b));

    b.pos = p;
    b.last = p + len;

    for ( ;; ) {
        rc = ngx_chat_sse_reader_read(&t->sr, &b);

        if (rc == NGX_AGAIN) {

            if (b.pos != b.last) {
                ngx_chat_bytes_append(&t->got, "?", 1);
            }

            ngx_chat_sse_reader_shrink(&t->sr);

            if (!t->sr.has_data && t->sr.data.data) {
                ngx_chat_bytes_append(&t->got, "room", 4);
            }

            return;
        }

        if (rc == NGX_ERROR) {
            ngx_chat_bytes_append(&t->got, "!", 1);
            return;
        }

        ngx_chat_bytes_append(&t->got, "[", 1);
        ngx_chat_bytes_append(&t->got, t->sr.data.data, t->sr.data.len);
        ngx_chat_bytes_append(&t->got, "]", 1);

        if (t->sr.error_line) {
            ngx_chat_bytes_append(&t->got, "E", 1);
        }

        if (t->sr.error_name) {
            ngx_chat_bytes_append(&t->got, "N", 1);
        }
    }
}


static ngx_uint_t
ut_check(void *data)
{
    ut_sse_t  *t = data;

    return t->got.len == strlen(ut_want)
           && memcmp(t->got.len ? t->got.data : (u_char *) "", ut_want,
                     t->got.len)
              == 0;
}


static void
ut_stop(void *data)
{
    ut_sse_t  *t = data;

    ngx_chat_bytes_free(&t->got);
    ngx_chat_sse_reader_free(&t->sr);
    ngx_free(t);
}


int
main(void)
{
    ngx_buf_t               b;
    ngx_int_t               rc;
    ngx_str_t               s;
    ut_case_t              *c;
    ngx_chat_sse_reader_t   sr;

    ut_max = 10;

    for (c = ut_cases; c->in; c++) {
        ut_want = c->want;

        ut_ok(ut_cut(&ut_ops, c->in, strlen(c->in)), c->name);
    }

    ut_want = "[a]";
    ut_ok(ut_cut(&ut_ops, "data: a\n\n", 9), "the last byte ends it");

    /* an event that ends with a CR does not wait for a LF */

    s = ut_str("data: a\r\r\ndata: b\r\r");

    ngx_memzero(&b, sizeof(b));
    b.pos = s.data;
    b.last = s.data + s.len;

    ngx_chat_sse_reader_init(&sr, 0);

    ut_ok(ngx_chat_sse_reader_read(&sr, &b) == NGX_OK && b.pos == s.data + 9,
          "a CR ends an event at once");
    ut_ok(ngx_chat_sse_reader_read(&sr, &b) == NGX_OK && b.pos == b.last
          && sr.data.len == 1 && sr.data.data[0] == 'b',
          "the LF behind it is skipped");

    ngx_chat_sse_reader_free(&sr);
    ut_free(&s);

    s = ut_str("data: a\n\n");

    b.pos = s.data;
    b.last = s.data + s.len;

    ngx_chat_sse_reader_init(&sr, 10);

    ut_fail_alloc = 1;
    rc = ngx_chat_sse_reader_read(&sr, &b);
    ut_fail_alloc = 0;

    ut_ok(rc == NGX_ERROR, "no memory");

    ngx_chat_sse_reader_free(&sr);
    ut_free(&s);

    return ut_done();
}
