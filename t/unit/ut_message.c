
#include "ngx_chat_message.h"

#include "ut.h"


static ngx_int_t ut_read(const void *p, size_t len, ngx_uint_t *events);
static ngx_uint_t ut_good(const char *s, ngx_uint_t n);
static ngx_uint_t ut_bad(const char *s);
static void ut_completed(void);
static void ut_later(void);
static void ut_malformed(void);


/* all of it: NGX_DONE, or NGX_ERROR */

static ngx_int_t
ut_read(const void *p, size_t len, ngx_uint_t *events)
{
    ngx_int_t           rc;
    ngx_str_t           s;
    ngx_chat_event_t    ev;
    ngx_chat_message_t  m;

    s = ut_bytes(p, len);
    *events = 0;

    rc = ngx_chat_message_parse(&m, &s);

    while (rc == NGX_OK) {
        rc = ngx_chat_message_next(&m, &ev);

        if (rc == NGX_OK) {
            (*events)++;
        }
    }

    ut_free(&s);

    return rc;
}


static ngx_uint_t
ut_good(const char *s, ngx_uint_t n)
{
    ngx_uint_t  events;

    return ut_read(s, strlen(s), &events) == NGX_DONE && events == n;
}


static ngx_uint_t
ut_bad(const char *s)
{
    ngx_uint_t  events;

    return ut_read(s, strlen(s), &events) == NGX_ERROR;
}


/* completed events, which may tell who made the answer */

static void
ut_completed(void)
{
    ngx_str_t           s;
    ngx_chat_event_t    ev;
    ngx_chat_message_t  m;

    s = ut_str("1 0 1 0 1\nc 4 3 5\nstopoaigpt-4\n");

    ut_ok(ngx_chat_message_parse(&m, &s) == NGX_OK
          && ngx_chat_message_next(&m, &ev) == NGX_OK
          && ut_is(&ev.code, "stop") && ev.text.len == 0
          && ut_is(&m.origin.provider, "oai") && ut_is(&m.origin.model, "gpt-4")
          && ngx_chat_message_next(&m, &ev) == NGX_DONE,
          "completed, and by whom");

    ut_free(&s);

    ut_ok(ut_good("1 0 1 0 1\nc 0\n\n", 1), "no finish reason");
    ut_ok(ut_good("1 0 1 0 1\nc 0 0 0\n\n", 1), "by nobody");
    ut_ok(ut_bad("1 0 1 0 1\nc 1\n\xff\n"), "a finish reason not UTF-8");
    ut_ok(ut_bad("1 0 1 0 1\nc 1 1\nab\n"), "a provider without a model");
    ut_ok(ut_bad("1 0 1 0 1\nc 1 1 2\nabc\n"), "a model shorter than told");
    ut_ok(ut_bad("1 0 1 0 1\nc 1 2 1\nabc\n"),
          "a provider shorter than told");
    ut_ok(ut_bad("1 0 1 0 1\nc 1 1 1 \nabc\n"), "a space after the lengths");
    ut_ok(ut_bad("1 0 1 0 1\nc 1 1 1\na\xff""c\n"),
          "a provider not UTF-8");
    ut_ok(ut_bad("1 0 1 0 1\nc 1 1 1\nab\xff\n"), "a model not UTF-8");
}


/* additions of a later release are skipped */

static void
ut_later(void)
{
    size_t              i;
    ngx_str_t           s;
    ngx_uint_t          ok, n;
    ngx_chat_event_t    ev;
    ngx_chat_message_t  m;

    static const char  all[] =
        "1 2 7 1500 4 18446744073709551615 0\n"
        "p 5\nabc.1\n"
        "s 2 0 0 3 1\nHello\n\n"
        "c 4 1 2 3 0\nstopoaixyz\n"
        "e 2 8 1 1 1\nOhinternalabc\n";

    s = ut_str(all);

    ut_ok(ngx_chat_message_parse(&m, &s) == NGX_OK
          && m.tries == 2 && m.n0 == 7 && m.ms == 1500 && m.count == 4,
          "more numbers in the header");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_PROCESSING
          && ev.text.len == 0 && ev.code.len == 0,
          "processing with a text");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_STREAMING
          && ut_is(&ev.text, "He") && ev.code.len == 0,
          "streaming with more texts");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_COMPLETED && ut_is(&ev.code, "stop")
          && ut_is(&m.origin.provider, "o") && ut_is(&m.origin.model, "ai"),
          "completed with more texts");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_ERROR && ut_is(&ev.text, "Oh")
          && ut_is(&ev.code, "internal")
          && ngx_chat_message_next(&m, &ev) == NGX_DONE,
          "an error with more texts");

    ut_free(&s);

    ok = 1;

    for (i = 0; i < sizeof(all) - 1; i++) {
        ok &= ut_read(all, i, &n) == NGX_ERROR;
    }

    ut_ok(ok, "of a later release, cut off anywhere it is refused");

    ut_ok(ut_bad("1 0 1 0 1 x\np\n"), "a word in the header");
    ut_ok(ut_bad("1 0 1 0 1 01\np\n"), "a later number with a zero first");
    ut_ok(ut_bad("1 0 1 0 1\np 1\n\n"), "a later text shorter than told");
    ut_ok(ut_bad("1 0 1 0 1\np 1\nab\n"), "a later text longer than told");
    ut_ok(ut_bad("1 0 1 0 1\ns 1 1 1 2\nabcd\n"),
          "the last of them shorter than told");
    ut_ok(ut_bad("1 0 1 0 1\ns 1 1 1 9 9 9 9\nabcdefghijkl\n"),
          "all of them longer than the message");
    ut_ok(ut_bad("1 0 1 0 1\ns 1 0 0 18446744073709551615\na\n"),
          "a later length of 2^64 - 1");
    ut_ok(ut_bad("1 0 1 0 1\ns 1 x\nab\n"), "a later length is a word");
}


static void
ut_malformed(void)
{
    ut_ok(ut_bad(""), "nothing");
    ut_ok(ut_bad("2 0 1 0 1\np\n"), "another version");
    ut_ok(ut_bad("11 0 1 0 1\np\n"), "a version that starts with ours");
    ut_ok(ut_bad("1  0 1 0 1\np\n"), "two spaces");
    ut_ok(ut_bad("1 0 1 0 1 \np\n"), "a space before the line feed");
    ut_ok(ut_bad("1 0 1 0\np\n"), "a number is missing");
    ut_ok(ut_bad("1 00 1 0 1\np\n"), "a leading zero");
    ut_ok(ut_bad("1 -1 1 0 1\np\n"), "a minus");
    ut_ok(ut_bad("1 0 1 1.5 1\np\n"), "a fraction");
    ut_ok(ut_bad("1 18446744073709551616 1 0 1\np\n"), "2^64");
    ut_ok(ut_bad("1 0 18446744073709551615 0 1\np\n"), "n0 wraps");
    ut_ok(ut_bad("1 0 1 0 18446744073709551615\np\n"), "too many events");
    ut_ok(ut_bad("1 0 1 0 2\np\n"), "fewer events than told");
    ut_ok(ut_bad("1 0 1 0 1\np\np\n"), "more events than told");
    ut_ok(ut_bad("1 0 1 0 1\np\n\n"), "a trailing byte");
    ut_ok(ut_bad("1 0 1 0 0\nx"), "a trailing byte and no events");
    ut_ok(ut_bad("1 0 1 0 1\nx\n"), "an unknown event");
    ut_ok(ut_bad("1 0 1 0 1\np \n"), "processing and a space");
    ut_ok(ut_bad("1 0 1 0 1\ns 0\n\n"), "an empty chunk");
    ut_ok(ut_bad("1 0 1 0 1\ns 3\nab\n"), "a chunk shorter than told");
    ut_ok(ut_bad("1 0 1 0 1\ns 2\nabc\n"), "a chunk longer than told");
    ut_ok(ut_bad("1 0 1 0 1\ns 02\nab\n"), "a length with a leading zero");
    ut_ok(ut_bad("1 0 1 0 1\ns\nab\n"), "no length");
    ut_ok(ut_bad("1 0 1 0 1\ns 18446744073709551617\na\n"),
          "a length of 1 modulo 2^64");
    ut_ok(ut_bad("1 0 1 0 1\ns 18446744073709551615\na\n"),
          "a length of 2^64 - 1");
    ut_ok(ut_bad("1 0 1 0 1\ns 1\n\xc3\n"), "half a character");
    ut_ok(ut_bad("1 0 1 0 1\ne 1 1\n\xff""a\n"), "a message not UTF-8");
    ut_ok(ut_bad("1 0 1 0 1\ne 1 1\na\xff\n"), "a code not UTF-8");
    ut_ok(ut_bad("1 0 1 0 1\ne 1\na\n"), "an error with one length");
    ut_ok(ut_bad("1 0 1 0 1\ne 2 2\nabc\n"), "an error shorter than told");
}


int
main(void)
{
    size_t              i;
    ngx_str_t           s;
    ngx_uint_t          ok, n;
    ngx_chat_event_t    ev;
    ngx_chat_message_t  m;

    static const char  all[] =
        "1 2 7 1500 4\np\ns 9\nPython is\nc 6\nlength\n"
        "e 4 8\nOh\xc3\xa9internal\n";

    s = ut_str(all);

    ut_ok(ngx_chat_message_parse(&m, &s) == NGX_OK
          && m.tries == 2 && m.n0 == 7 && m.ms == 1500 && m.count == 4
          && m.left == 4,
          "the header");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_PROCESSING
          && ev.text.len == 0 && ev.code.len == 0 && m.left == 3,
          "processing");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_STREAMING
          && ut_is(&ev.text, "Python is") && ev.code.len == 0,
          "streaming");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_COMPLETED
          && ut_is(&ev.code, "length") && ev.text.len == 0,
          "completed");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_OK
          && ev.status == NGX_CHAT_ERROR
          && ut_is(&ev.text, "Oh\xc3\xa9") && ut_is(&ev.code, "internal"),
          "error");

    ut_ok(ngx_chat_message_next(&m, &ev) == NGX_DONE
          && ngx_chat_message_next(&m, &ev) == NGX_DONE, "the end");

    ut_free(&s);

    ut_completed();
    ut_later();

    ok = 1;

    for (i = 0; i < sizeof(all) - 1; i++) {
        ok &= ut_read(all, i, &n) == NGX_ERROR;
    }

    ut_ok(ok, "cut off anywhere it is refused");

    ut_ok(ut_good("1 0 1 0 1\ns 4\na\nb\n\n", 1), "line feeds in a chunk");
    ut_ok(ut_good("1 0 1 0 0\n", 0), "no events");
    ut_ok(ut_good("1 18446744073709551615 1 18446744073709551615 1\np\n", 1),
          "the largest numbers");

    ut_ok(ut_read("1 0 1 0 1\ns 3\na\0b\n", 18, &n) == NGX_DONE && n == 1,
          "a zero byte in a chunk");

    ut_malformed();

    s = ut_str("1 0 1 0 1\ns 9\nab\n");

    ut_ok(ngx_chat_message_parse(&m, &s) == NGX_OK
          && ngx_chat_message_next(&m, &ev) == NGX_ERROR
          && ngx_chat_message_next(&m, &ev) == NGX_ERROR,
          "an error stays one");

    ut_free(&s);
    s = ut_str("1 0 1 0 1\ns 1\nap\n");

    ut_ok(ngx_chat_message_parse(&m, &s) == NGX_OK
          && ngx_chat_message_next(&m, &ev) == NGX_ERROR
          && ngx_chat_message_next(&m, &ev) == NGX_ERROR,
          "also where something valid follows");

    ut_free(&s);
    s = ut_str("1 0 1 0 2\np\n");

    ut_ok(ngx_chat_message_parse(&m, &s) == NGX_ERROR,
          "more events than bytes are refused by the header");

    ut_free(&s);

    return ut_done();
}
