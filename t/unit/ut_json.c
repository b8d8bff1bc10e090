
#include "ngx_chat_json.h"

#include "ut.h"


typedef struct {
    const char  *text;
    const char  *name;
} ut_case_t;


static ngx_uint_t ut_escape_places(void);
static ngx_uint_t ut_escape(const void *p, size_t len, const char *want);
static ngx_uint_t ut_text(const char *s);
static ngx_uint_t ut_value(const char *s);
static ngx_uint_t ut_nested(ngx_uint_t n, const char *open,
    const char *close);


static ut_case_t  ut_bad_text[] = {
    { "\"\\ud800\"", "a lone high surrogate" },
    { "\"\\udfff\"", "a lone low surrogate" },
    { "\"\\ud83d", "a high surrogate at the end" },
    { "\"\\ud83dx\\ude00\"", "a pair with something in between" },
    { "\"\\ud83d\\n\"", "a high surrogate and another escape" },
    { "\"\\ud83d\\ud83d\\ude00\"", "two high surrogates" },
    { "\"\\ude00\\ud83d\"", "a pair turned round" },
    { "\"\\ude00\\ude00\"", "two low surrogates" },
    { "\"\\ud83d\\u0041\"", "a high surrogate and a letter" },
    { "\"\\ud83d\\\\ude00\"", "a high surrogate and a backslash" },
    { "\"\\\\\\ud83d\"", "a lone surrogate after a backslash" },
    { "\"\\u12g4\"", "an escape that is none" },
    { "\"\\u12", "an escape cut off" },
    { "\"\\", "a backslash at the end" },
    { "\"\xed\xa0\x80\"", "an encoded surrogate" },
    { "\"\xc0\xaf\"", "an overlong form" },
    { NULL, NULL }
};


static ut_case_t  ut_good_text[] = {
    { "\"\\ud83d\\ude00\"", "a pair" },
    { "\"\\uD83D\\uDE00\\uDBFF\\uDFFF\"", "pairs in capitals" },
    { "\"\\\\ud800\"", "a backslash and letters" },
    { "\"\\\\\\\\ud800\"", "two backslashes and letters" },
    { "\"\\ud7ff\\ue000\"", "beside the surrogates" },
    { "\"\\u0000\"", "zero" },
    { "\"\xf0\x9f\x90\x8d\"", "four bytes" },
    { NULL, NULL }
};


static ut_case_t  ut_good_value[] = {
    { "0", "zero" },
    { "-1.5e+10", "a number" },
    { "1e999999", "a number beyond a double" },
    { "123456789012345678901234567890", "a number beyond 64 bits" },
    { " \t\r\n{\"a\": [1, true, null, \"x\"]} \n", "an object in space" },
    { "\"\\u00e9\\/\"", "a string" },
    { "[]", "an empty array" },
    { "false", "false" },
    { NULL, NULL }
};


static ut_case_t  ut_bad_value[] = {
    { "", "nothing" },
    { "  ", "space" },
    { "{", "an open object" },
    { "{} {}", "two values" },
    { "{}x", "a trailing byte" },
    { "1 2", "two numbers" },
    { "{} \"", "an open string behind an object" },
    { "[] \"abc \\\"", "an open string with an escape behind an array" },
    { "1e9\"", "an open string behind a number" },
    { "\"a\"\"b", "an open string behind a string" },
    { "[1,]", "a trailing comma" },
    { "{\"a\": 1,}", "a trailing comma in an object" },
    { "{a: 1}", "a name without quotes" },
    { "{\"a\" 1}", "a missing colon" },
    { "'a'", "single quotes" },
    { "01", "a leading zero" },
    { "-", "a sign alone" },
    { "1.", "a dot at the end" },
    { ".5", "a dot at the start" },
    { "+1", "a plus" },
    { "1e", "an exponent without digits" },
    { "NaN", "NaN" },
    { "tru", "half a word" },
    { "nulll", "a word and a half" },
    { "[1] // x", "a comment" },
    { "/* x */ 1", "a comment in front" },
    { "\"a\nb\"", "a raw line feed in a string" },
    { "\"a\tb\"", "a raw tab in a string" },
    { "\"\x01\"", "a control character" },
    { "\"\\x41\"", "an unknown escape" },
    { "\"\\ud800\"", "a lone surrogate" },
    { "\"\xff\"", "invalid UTF-8" },
    { "\"abc", "an open string" },
    { "\xef\xbb\xbf{}", "a byte order mark" },
    { "[1}", "brackets that do not match" },
    { NULL, NULL }
};


/* each byte at each place of what is looked at together, and beside it */

static ngx_uint_t
ut_escape_places(void)
{
    size_t      at, n;
    u_char      in[24], out[64];
    ngx_str_t   want;
    ngx_uint_t  ch, other, ok;

    ok = 1;

    for (ch = 0; ch < 256; ch++) {
        want = (ngx_str_t) { 1, (u_char *) &(u_char) { (u_char) ch } };

        if (ch < 0x20 || ch == '"' || ch == '\\') {
            want.data = out + 32;
            in[0] = (u_char) ch;
            want.len = ngx_chat_json_escape(want.data, in, 1) - want.data;
            ok &= (want.len == 2 || want.len == 6) && want.data[0] == '\\';
        }

        for (at = 0; at < 20; at++) {

            for (other = 0; other < 2; other++) {
                ngx_memset(in, other ? 0xff : 0x20, sizeof(in));
                in[at] = (u_char) ch;

                n = ngx_chat_json_escape(out, in, 20) - out;

                ok &= n == 19 + want.len
                      && n == ngx_chat_json_escaped_len(in, 20)
                      && memcmp(out, in, at) == 0
                      && memcmp(out + at, want.data, want.len) == 0
                      && memcmp(out + at + want.len, in + at + 1, 19 - at)
                         == 0;
            }
        }
    }

    return ok;
}


static ngx_uint_t
ut_escape(const void *p, size_t len, const char *want)
{
    u_char      *end;
    ngx_str_t    in, out;
    ngx_uint_t   ok;

    in = ut_bytes(p, len);
    out = ut_repeat("#", ngx_chat_json_escaped_len(in.data, in.len));

    end = ngx_chat_json_escape(out.data, in.data, in.len);

    ok = (end == out.data + out.len) && ut_is(&out, want);

    ut_free(&in);
    ut_free(&out);

    return ok;
}


static ngx_uint_t
ut_text(const char *s)
{
    ngx_int_t  rc;
    ngx_str_t  in;

    in = ut_str(s);
    rc = ngx_chat_json_check_text(in.data, in.len);
    ut_free(&in);

    return rc == NGX_OK;
}


static ngx_uint_t
ut_value(const char *s)
{
    ngx_int_t  rc;
    ngx_str_t  in;

    in = ut_str(s);
    rc = ngx_chat_json_check_value(in.data, in.len);
    ut_free(&in);

    return rc == NGX_OK;
}


static ngx_uint_t
ut_nested(ngx_uint_t n, const char *open, const char *close)
{
    char         s[1024];
    ngx_uint_t   i;

    s[0] = '\0';

    for (i = 0; i < n; i++) {
        strcat(s, open);
    }

    strcat(s, "1");

    for (i = 0; i < n; i++) {
        strcat(s, close);
    }

    return ut_value(s);
}


int
main(void)
{
    u_char       all[256], want[1024];
    size_t       i, len;
    ngx_str_t    out, whole;
    ngx_uint_t   ok;
    ut_case_t   *c;

    ut_ok(ut_escape("", 0, ""), "nothing escaped");
    ut_ok(ut_escape("abc", 3, "abc"), "plain text");
    ut_ok(ut_escape("\"", 1, "\\\""), "a quote alone");
    ut_ok(ut_escape("a\"b\\c", 5, "a\\\"b\\\\c"), "quotes, backslashes");
    ut_ok(ut_escape("\b\f\n\r\t", 5, "\\b\\f\\n\\r\\t"), "short forms");
    ut_ok(ut_escape("\0\x01\x1f\x0b", 4, "\\u0000\\u0001\\u001f\\u000b"),
          "other control characters");
    ut_ok(ut_escape_places(), "each byte at each place");
    ut_ok(ut_escape("/\x7f", 2, "/\x7f"), "slash and DEL stay");
    ut_ok(ut_escape("\xc3\xa9\xe2\x80\xa8\xf0\x9f\x90\x8d", 9,
                    "\xc3\xa9\xe2\x80\xa8\xf0\x9f\x90\x8d"),
          "UTF-8 stays");

    for (i = 0; i < sizeof(all); i++) {
        all[i] = (u_char) i;
    }

    len = ngx_chat_json_escaped_len(all, 128);
    out.data = want + 1;
    out.len = ngx_chat_json_escape(out.data, all, 128) - out.data;
    want[0] = '"';
    want[1 + out.len] = '"';
    whole = ut_bytes(want, out.len + 2);

    ut_ok(len == out.len
          && ngx_chat_json_check_value(whole.data, whole.len) == NGX_OK,
          "all of ASCII makes a JSON string");

    ut_free(&whole);

    for (c = ut_bad_text; c->text; c++) {
        ut_ok(!ut_text(c->text), c->name);
    }

    for (c = ut_good_text; c->text; c++) {
        ut_ok(ut_text(c->text), c->name);
    }

    ok = 1;
    whole = ut_str("\"\\ud83d\\ude00\"");

    for (i = 2; i < whole.len - 1; i++) {
        out = ut_bytes(whole.data, i);
        ok &= ngx_chat_json_check_text(out.data, out.len) != NGX_OK;
        ut_free(&out);
    }

    ut_ok(ok, "a pair cut off anywhere");
    ut_free(&whole);

    for (c = ut_bad_value; c->text; c++) {
        ut_ok(!ut_value(c->text), c->name);
    }

    for (c = ut_good_value; c->text; c++) {
        ut_ok(ut_value(c->text), c->name);
    }

    whole = ut_bytes("[1]\0", 4);
    ut_ok(ngx_chat_json_check_value(whole.data, whole.len) != NGX_OK,
          "a zero byte behind a value");
    ut_free(&whole);

    ut_ok(ut_nested(32, "[", "]"), "arrays 32 deep");
    ut_ok(!ut_nested(33, "[", "]"), "arrays 33 deep");
    ut_ok(ut_nested(32, "{\"a\":", "}"), "objects 32 deep");
    ut_ok(!ut_nested(33, "{\"a\":", "}"), "objects 33 deep");
    ut_ok(ut_nested(16, "[{\"a\":", "}]"), "both 32 deep");
    ut_ok(!ut_nested(17, "[{\"a\":", "}]"), "both 34 deep");
    ut_ok(ut_value("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
                   "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"),
          "many arrays side by side");

    return ut_done();
}
