
#include "ngx_chat_trace.h"

#include "ut.h"


#define UT_IDS     "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
#define UT_PARENT  "00-" UT_IDS "-01"


static ngx_uint_t ut_parent(const char *text);
static ngx_uint_t ut_id(const char *text);
static void ut_parents(void);
static void ut_ids(void);
static void ut_changed(void);


static ngx_uint_t
ut_parent(const char *text)
{
    ngx_int_t  rc;
    ngx_str_t  s;

    s = ut_str(text);
    rc = ngx_chat_trace_check_parent(&s);
    ut_free(&s);

    return rc == NGX_OK;
}


static ngx_uint_t
ut_id(const char *text)
{
    ngx_int_t  rc;
    ngx_str_t  s;

    s = ut_str(text);
    rc = ngx_chat_trace_check_id(&s);
    ut_free(&s);

    return rc == NGX_OK;
}


static void
ut_parents(void)
{
    ngx_str_t  s;

    ut_ok(ut_parent(UT_PARENT), "traceparent: one of version 00");
    ut_ok(ut_parent("00-" UT_IDS "-00"), "traceparent: not sampled");
    ut_ok(ut_parent("cc-" UT_IDS "-01"), "traceparent: of a later version");
    ut_ok(ut_parent("cc-" UT_IDS "-01-what-comes"),
          "traceparent: of a later version, with more behind it");

    ut_ok(!ut_parent(""), "traceparent: empty");
    ut_ok(!ut_parent(UT_PARENT "-1"), "traceparent: more behind version 00");
    ut_ok(!ut_parent("cc-" UT_IDS "-01."),
          "traceparent: of a later version, with longer flags");
    ut_ok(!ut_parent("cc-" UT_IDS "-01-a b"), "traceparent: a blank in it");
    ut_ok(!ut_parent("cc-" UT_IDS "-01-a\r\nb"), "traceparent: a line's end");
    ut_ok(!ut_parent("ff-" UT_IDS "-01"), "traceparent: version ff");
    ut_ok(!ut_parent("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
          "traceparent: a trace of zeros");
    ut_ok(!ut_parent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
          "traceparent: a parent of zeros");
    ut_ok(!ut_parent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
          "traceparent: upper case");

    s = ut_repeat("-", 200);
    ngx_memcpy(s.data, "cc-" UT_IDS "-01", 55);
    s.len = 128;
    ut_ok(ngx_chat_trace_check_parent(&s) == NGX_OK,
          "traceparent: 128 bytes of a later version");
    s.len = 129;
    ut_ok(ngx_chat_trace_check_parent(&s) == NGX_ERROR,
          "traceparent: 129 bytes of a later version");
    ut_free(&s);
}


/* each byte is one of the form: cut there, or another in its place */

static void
ut_changed(void)
{
    size_t      i;
    ngx_str_t   s, cut;
    ngx_uint_t  whole, other;

    whole = 1;
    other = 1;

    for (i = 0; i < sizeof(UT_PARENT) - 1; i++) {
        cut = ut_bytes(UT_PARENT, i);
        whole &= ngx_chat_trace_check_parent(&cut) == NGX_ERROR;
        ut_free(&cut);

        s = ut_str(UT_PARENT);
        s.data[i] = (s.data[i] == '-') ? '0' : 'g';
        other &= ngx_chat_trace_check_parent(&s) == NGX_ERROR;
        ut_free(&s);
    }

    ut_ok(whole, "traceparent: cut at each byte");
    ut_ok(other, "traceparent: another byte in place of each");
}


static void
ut_ids(void)
{
    ngx_str_t  s;

    ut_ok(ut_id(""), "id: empty");
    ut_ok(ut_id("5f61072a41721329c1f01e97def063bb"), "id: of nginx");
    ut_ok(ut_id("!~"), "id: the ends of printable ASCII");
    ut_ok(!ut_id("a b"), "id: a blank");
    ut_ok(!ut_id("a\nb"), "id: a line's end");
    ut_ok(!ut_id("a\x7f"), "id: a control character");
    ut_ok(!ut_id("\xc3\xa4"), "id: not ASCII");

    s = ut_repeat("a", 129);
    ut_ok(ngx_chat_trace_check_id(&s) == NGX_ERROR, "id: 129 bytes");
    s.len = 128;
    ut_ok(ngx_chat_trace_check_id(&s) == NGX_OK, "id: 128 bytes");
    ut_free(&s);
}


int
main(void)
{
    ut_parents();
    ut_changed();
    ut_ids();

    return ut_done();
}
