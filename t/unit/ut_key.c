
#include "ngx_chat_key.h"

#include "ut.h"


static ngx_uint_t ut_hash(const char *scope, const char *key,
    const char *want);
static ngx_uint_t ut_is_hex(u_char *p, size_t n);


static ngx_uint_t
ut_hash(const char *scope, const char *key, const char *want)
{
    ngx_int_t  rc;
    ngx_str_t  s, k, h;

    k = ut_str(key);
    s = ut_str(scope ? scope : "");
    h = ut_repeat("#", NGX_CHAT_HASH_LEN);

    rc = ngx_chat_key_hash(h.data, scope ? &s : NULL, &k);

    rc = (rc == NGX_OK && ut_is(&h, want));

    ut_free(&k);
    ut_free(&s);
    ut_free(&h);

    return rc;
}


static ngx_uint_t
ut_is_hex(u_char *p, size_t n)
{
    while (n--) {
        if ((*p < '0' || *p > '9') && (*p < 'a' || *p > 'f')) {
            return 0;
        }

        p++;
    }

    return 1;
}


int
main(void)
{
    u_char      a[NGX_CHAT_HASH_LEN], b[NGX_CHAT_HASH_LEN];
    ngx_str_t   parts[3], r, s;
    ngx_uint_t  ok;

    ut_ok(ut_hash(NULL, "What is Python?",
"64ad73596b1065390e9221622595e32d52ec760be79bda2b20a0198bce98a035"),
          "the hash of a question");
    ut_ok(ut_hash(NULL, "",
"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
          "the hash of nothing");
    ut_ok(ut_hash("tenant", "What is Python?",
"f33b513cdfc9f8e72a8c97e36b9abbf63f3b004c756c344415a0e0ddb96bc4ed"),
          "with a scope");
    ut_ok(ut_hash("", "What is Python?",
"0dbe124511e4043e77b0a090264bea37dd6bfa1ba2f90db61900a6197c19d509"),
          "with an empty scope");

    ngx_str_set(&parts[0], "ab");
    ngx_str_set(&parts[1], "c");
    ngx_str_null(&parts[2]);

    ut_ok(ngx_chat_key_digest(a, 64, parts, 2) == NGX_OK
          && ut_is_hex(a, 64)
          && memcmp(a,
"601d5476e2ccfe2c87a2bba7a322659734a05749d5b5aa781f513e4912db0d5f", 64) == 0,
          "a digest: lengths as 8 bytes, then the parts");

    memset(b, '#', sizeof(b));

    ut_ok(ngx_chat_key_digest(b, 32, parts, 2) == NGX_OK
          && memcmp(a, b, 32) == 0 && b[32] == '#',
          "the first half of it");

    ut_ok(ngx_chat_key_digest(b, 64, parts, 3) == NGX_OK
          && memcmp(a, b, 64) != 0,
          "an empty part counts");

    ngx_str_set(&parts[0], "a");
    ngx_str_set(&parts[1], "bc");

    ut_ok(ngx_chat_key_digest(b, 64, parts, 2) == NGX_OK
          && memcmp(a, b, 64) != 0,
          "parts are kept apart");

    ut_ok(ngx_chat_key_digest(b, 65, parts, 2) == NGX_ERROR,
          "more digits than there are");

    r = ut_repeat("#", 100);
    s = ut_repeat("#", 100);

    ok = ngx_chat_key_random(r.data, 100) == NGX_OK
         && ngx_chat_key_random(s.data, 100) == NGX_OK;

    ut_ok(ok && ut_is_hex(r.data, 100) && ut_is_hex(s.data, 100)
          && !ut_same(&r, &s)
          && memcmp(r.data, r.data + 64, 32) != 0,
          "random digits");

    r.data[32] = '#';

    ut_ok(ngx_chat_key_random(r.data, 32) == NGX_OK && r.data[32] == '#',
          "no more of them than asked for");

    ut_free(&r);
    ut_free(&s);

    return ut_done();
}
