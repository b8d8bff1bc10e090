
#include "ngx_chat_utf8.h"

#include "ut.h"


static ngx_uint_t ut_reference(const u_char *p, size_t len);
static ngx_uint_t ut_check(const void *p, size_t len);
static size_t ut_encode(u_char *p, uint32_t cp);
static ngx_uint_t ut_is_blank(uint32_t cp);
static ngx_uint_t ut_blank(const void *p, size_t len);


/* decodes, and looks at the result: written otherwise than the codec */

static ngx_uint_t
ut_reference(const u_char *p, size_t len)
{
    size_t    i, k, n;
    uint32_t  cp;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    for (i = 0; i < len; i += n) {

        if (p[i] < 0x80) {
            n = 1;
            continue;
        }

        if ((p[i] & 0xe0) == 0xc0) {
            n = 2;
            cp = p[i] & 0x1f;

        } else if ((p[i] & 0xf0) == 0xe0) {
            n = 3;
            cp = p[i] & 0x0f;

        } else if ((p[i] & 0xf8) == 0xf0) {
            n = 4;
            cp = p[i] & 0x07;

        } else {
            return 0;
        }

        if (len - i < n) {
            return 0;
        }

        for (k = 1; k < n; k++) {

            if ((p[i + k] & 0xc0) != 0x80) {
                return 0;
            }

            cp = cp << 6 | (p[i + k] & 0x3f);
        }

        if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ut_check(const void *p, size_t len)
{
    ngx_int_t  rc;
    ngx_str_t  s;

    s = ut_bytes(p, len);
    rc = ngx_chat_utf8_check(s.data, s.len);
    ut_free(&s);

    return rc == NGX_OK;
}


static size_t
ut_encode(u_char *p, uint32_t cp)
{
    if (cp < 0x80) {
        p[0] = (u_char) cp;
        return 1;
    }

    if (cp < 0x800) {
        p[0] = (u_char) (0xc0 | cp >> 6);
        p[1] = (u_char) (0x80 | (cp & 0x3f));
        return 2;
    }

    p[0] = (u_char) (0xe0 | cp >> 12);
    p[1] = (u_char) (0x80 | (cp >> 6 & 0x3f));
    p[2] = (u_char) (0x80 | (cp & 0x3f));

    return 3;
}


/* White_Space as Unicode lists it, then what shows nothing */

static ngx_uint_t
ut_is_blank(uint32_t cp)
{
    size_t  i;

    static const uint32_t  list[] = {
        0x9, 0xa, 0xb, 0xc, 0xd, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2001,
        0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009,
        0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000,

        0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c,
        0x202d, 0x202e, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0x2066,
        0x2067, 0x2068, 0x2069, 0xfeff
    };

    for (i = 0; i < sizeof(list) / sizeof(uint32_t); i++) {

        if (list[i] == cp) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ut_blank(const void *p, size_t len)
{
    ngx_str_t   s;
    ngx_uint_t  rc;

    s = ut_bytes(p, len);
    rc = ngx_chat_utf8_is_blank(s.data, s.len);
    ut_free(&s);

    return rc;
}


int
main(void)
{
    size_t      i, k, n, len;
    u_char      p[32];
    uint32_t    x;
    ngx_uint_t  ok;

    static const u_char  edge[] = {
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
        0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3,
        0xf4, 0xf5, 0xf8, 0xfc, 0xfe, 0xff
    };

    ut_ok(ngx_chat_utf8_check(NULL, 0) == NGX_OK, "nothing is valid");
    ut_ok(ut_check("a\0b", 3), "a zero byte is valid");

    ok = 1;

    for (x = 0; x < 0x10000; x++) {
        p[0] = (u_char) (x >> 8);
        p[1] = (u_char) x;
        ok &= ut_check(p, 2) == ut_reference(p, 2);
        ok &= ut_check(p, 1) == ut_reference(p, 1);
    }

    ut_ok(ok, "all of one and two bytes");

    ok = 1;
    n = sizeof(edge);

    for (x = 0; x < n * n * n * n; x++) {
        p[0] = edge[x % n];
        p[1] = edge[x / n % n];
        p[2] = edge[x / n / n % n];
        p[3] = edge[x / n / n / n];

        ok &= ut_check(p, 4) == ut_reference(p, 4);
        ok &= ut_check(p, 3) == ut_reference(p, 3);
    }

    ut_ok(ok, "edges in three and four bytes");

    ut_ok(!ut_check("\xc0\xaf", 2), "overlong in two bytes");
    ut_ok(!ut_check("\xe0\x80\xaf", 3), "overlong in three bytes");
    ut_ok(!ut_check("\xf0\x80\x80\xaf", 4), "overlong in four bytes");
    ut_ok(!ut_check("\xed\xa0\x80", 3), "a surrogate");
    ut_ok(ut_check("\xed\x9f\xbf\xee\x80\x80", 6), "beside the surrogates");
    ut_ok(ut_check("\xf4\x8f\xbf\xbf", 4), "U+10FFFF");
    ut_ok(!ut_check("\xf4\x90\x80\x80", 4), "U+110000");

    ok = 1;

    for (len = 1; len < sizeof(p); len++) {
        for (i = 0; i < len; i++) {
            memset(p, 'a', sizeof(p));
            p[i] = 0x80;
            ok &= !ut_check(p, len);

            for (k = 0; k < 4 && i + k < len; k++) {
                p[i + k] = (u_char) "\xf0\x9f\x90\x8d"[k];
            }

            ok &= ut_check(p, len) == (i + 4 <= len);
        }
    }

    ut_ok(ok, "at every place of every length");

    ok = 1;

    for (x = 0; x < 0x10000; x++) {
        len = ut_encode(p, x);
        ok &= ut_blank(p, len) == ut_is_blank(x);

        for (k = 1; k < len; k++) {
            ok &= !ut_blank(p, k);
        }
    }

    ut_ok(ok, "blank characters, whole and cut");

    ut_ok(ut_blank("", 0), "nothing is blank");
    ut_ok(ut_blank(" \xe3\x80\x80\xc2\xa0\n\xef\xbb\xbf", 10), "a row of them");
    ut_ok(!ut_blank("\xe3\x80\x80x\xc2\xa0", 6), "a letter among them");
    ut_ok(!ut_blank("\xf0\x9f\x90\x8d", 4), "a snake");

    return ut_done();
}
