
#include "ngx_chat_answer.h"

#include "ut.h"


static ngx_int_t ut_check(const char *text, const char *chunk_lens,
    ngx_uint_t *n);
static ngx_uint_t ut_bad(const char *text, const char *chunk_lens);


/* n: how many lengths there are, if they are right */

static ngx_int_t
ut_check(const char *text, const char *chunk_lens, ngx_uint_t *n)
{
    size_t             len;
    ngx_int_t          rc;
    ngx_str_t          rest;
    ngx_chat_answer_t  a;

    ngx_memzero(&a, sizeof(a));

    a.text = ut_str(text);
    a.chunk_lens = ut_str(chunk_lens);

    rc = ngx_chat_answer_check(&a);
    rest = a.chunk_lens;

    for (*n = 0; rc == NGX_OK && ngx_chat_answer_next_len(&rest,
                                                          &len) == NGX_OK;
         (*n)++)
    {
        /* void */
    }

    ut_free(&a.text);
    ut_free(&a.chunk_lens);

    return rc;
}


static ngx_uint_t
ut_bad(const char *text, const char *chunk_lens)
{
    ngx_uint_t  n;

    return ut_check(text, chunk_lens, &n) == NGX_DECLINED;
}


int
main(void)
{
    char        list[128];
    size_t      len;
    ngx_int_t   rc;
    ngx_str_t   chunk_lens, rest;
    ngx_uint_t  n;

    rc = ut_check("Python is", "9", &n);
    ut_ok(rc == NGX_OK && n == 1, "one chunk");

    rc = ut_check("Python is a programming", "9 14", &n);
    ut_ok(rc == NGX_OK && n == 2, "two chunks");

    rc = ut_check("\xc3\xa9\xf0\x9f\x90\x8d""a", "2 4 1", &n);
    ut_ok(rc == NGX_OK && n == 3, "lengths between characters");

    ut_ok(ut_bad("\xc3\xa9", "1 1"), "a character of two bytes cut");
    ut_ok(ut_bad("\xf0\x9f\x90\x8d", "3 1"), "a character of four bytes cut");
    ut_ok(ut_bad("\xc3\xa9" "a", "1 2"), "cut in front of the last byte");
    ut_ok(ut_bad("\xff", "1"), "text that is not UTF-8");
    ut_ok(ut_bad("abc", ""), "no lengths");
    ut_ok(ut_bad("", ""), "no text");
    ut_ok(ut_bad("", "0"), "no text and a zero");
    ut_ok(ut_bad("abc", "2"), "less than the text");
    ut_ok(ut_bad("abc", "4"), "more than the text");
    ut_ok(ut_bad("abc", "3 1"), "one length too many");
    ut_ok(ut_bad("abc", "2 2"), "the second too long");
    ut_ok(ut_bad("abc", "3 0"), "a zero at the end");
    ut_ok(ut_bad("abc", "0 3"), "a zero at the start");
    ut_ok(ut_bad("abc", "1 0 2"), "a zero in the middle");
    ut_ok(ut_bad("abc", "03"), "a leading zero");
    ut_ok(ut_bad("abc", " 3"), "a space in front");
    ut_ok(ut_bad("abc", "3 "), "a space behind");
    ut_ok(ut_bad("abc", "1  2"), "two spaces");
    ut_ok(ut_bad("abc", "1,2"), "a comma");
    ut_ok(ut_bad("abc", "1\n2"), "a line feed");
    ut_ok(ut_bad("abc", "+3"), "a plus");
    ut_ok(ut_bad("abc", "-1 4"), "a minus");
    ut_ok(ut_bad("abc", "3x"), "a letter");
    ut_ok(ut_bad("abc", "18446744073709551619"), "3 modulo 2^64");
    ut_ok(ut_bad("abc", "18446744073709551615 4"), "2^64 - 1");
    ut_ok(ut_bad("abc", "99999999999999999999999999999999"), "many digits");

    chunk_lens = ut_str("9 14 3");
    rest = chunk_lens;

    ut_ok(ngx_chat_answer_next_len(&rest, &len) == NGX_OK && len == 9
          && ut_is(&rest, "14 3"), "the first length");
    ut_ok(ngx_chat_answer_next_len(&rest, &len) == NGX_OK && len == 14
          && ut_is(&rest, "3"), "the second length");
    ut_ok(ngx_chat_answer_next_len(&rest, &len) == NGX_OK && len == 3
          && rest.len == 0, "the third length");
    ut_ok(ngx_chat_answer_next_len(&rest, &len) == NGX_DONE, "no more");
    ut_ok(ngx_chat_answer_next_len(&rest, &len) == NGX_DONE, "still no more");

    ut_free(&chunk_lens);

    ngx_str_null(&rest);
    ut_ok(ngx_chat_answer_next_len(&rest, &len) == NGX_DONE,
          "no lengths at all");

    strcpy(list, "9223372036854775807");
    chunk_lens = ut_str(list);
    rest = chunk_lens;
    ut_ok(ngx_chat_answer_next_len(&rest, &len) == NGX_OK
          && len == NGX_MAX_SIZE_T_VALUE, "the largest there is");
    ut_free(&chunk_lens);

    return ut_done();
}
