
#include "ngx_chat_str.h"

#include "ut.h"


static ngx_uint_t ut_number(const char *text, uint64_t max, uint64_t n,
    size_t rest);
static ngx_uint_t ut_none(const char *text, uint64_t max);
static ngx_uint_t ut_text(const char *s, const char *text);


/* is n read, and so many bytes left? */

static ngx_uint_t
ut_number(const char *text, uint64_t max, uint64_t n, size_t rest)
{
    u_char      *p, *last;
    uint64_t     value;
    ngx_str_t    s;
    ngx_uint_t   ok;

    s = ut_str(text);
    p = s.data;
    last = p + s.len;

    ok = ngx_chat_str_read_number(&p, last, max, &value) == NGX_OK
         && value == n && (size_t) (last - p) == rest;

    ut_free(&s);

    return ok;
}


/* is it refused, and nothing moved? */

static ngx_uint_t
ut_none(const char *text, uint64_t max)
{
    u_char      *p;
    uint64_t     value;
    ngx_str_t    s;
    ngx_uint_t   ok;

    s = ut_str(text);
    p = s.data;
    value = 7;

    ok = ngx_chat_str_read_number(&p, p + s.len, max, &value) == NGX_ERROR
         && value == 7 && p == s.data;

    ut_free(&s);

    return ok;
}


static ngx_uint_t
ut_text(const char *s, const char *text)
{
    ngx_str_t   str;
    ngx_uint_t  is;

    str = ut_str(s);
    is = ngx_chat_str_is(&str, text);
    ut_free(&str);

    return is;
}


static ngx_uint_t
ut_word(const char *text, const char *want)
{
    u_char      *last;
    ngx_str_t    from, to;
    ngx_uint_t   ok;

    from = ut_str(text);
    to = ut_repeat("#", from.len);

    last = ngx_chat_str_copy_word(to.data, from.data, from.len);

    ok = (last == to.data + from.len && ut_is(&to, want));

    ut_free(&from);
    ut_free(&to);

    return ok;
}


int
main(void)
{
    ut_ok(ut_number("0", 9, 0, 0), "zero");
    ut_ok(ut_number("0", 0, 0, 0), "zero of zero");
    ut_ok(ut_number("7", 7, 7, 0), "the most");
    ut_ok(ut_number("120 x", 1000, 120, 2), "what follows stays");
    ut_ok(ut_number("0x1", 9, 0, 2), "zero, and a letter");
    ut_ok(ut_number("18446744073709551615", UINT64_MAX, UINT64_MAX, 0),
          "the largest");

    ut_ok(ut_none("", 9), "nothing");
    ut_ok(ut_none("x", 9), "a letter");
    ut_ok(ut_none("-1", 9), "a sign");
    ut_ok(ut_none("+1", 9), "another sign");
    ut_ok(ut_none(" 1", 9), "a space");
    ut_ok(ut_none("00", 9), "zero twice");
    ut_ok(ut_none("01", 9), "a leading zero");
    ut_ok(ut_none("8", 7), "one too many");
    ut_ok(ut_none("1", 0), "one of zero");
    ut_ok(ut_none("101", 100), "one too many, of three digits");
    ut_ok(ut_none("1000", 100), "a digit too many");
    ut_ok(ut_none("18446744073709551616", UINT64_MAX), "over the largest");
    ut_ok(ut_none("99999999999999999999999", UINT64_MAX), "far over it");

    ut_ok(ut_text("stop", "stop"), "the same");
    ut_ok(ut_text("", ""), "both empty");
    ut_ok(!ut_text("stop", "stopp"), "shorter");
    ut_ok(!ut_text("stopp", "stop"), "longer");
    ut_ok(!ut_text("Stop", "stop"), "another case");
    ut_ok(!ut_text("", "stop"), "empty");

    ut_ok(ut_word("gpt-4o \xc3\xa9", "gpt-4o \xc3\xa9"), "a word");
    ut_ok(ut_word("m\r\nX: 1\x7f\t", "m??X: 1??"), "no line ends in a word");
    ut_ok(ut_word("", ""), "an empty word");

    return ut_done();
}
