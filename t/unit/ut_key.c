
#include "ngx_chat_key.h"

#include "ut.h"

#include <openssl/evp.h>


typedef enum {
    ut_question = 0,
    ut_custom,
    ut_scoped
} ut_kind_e;


static ngx_uint_t ut_hash(ut_kind_e kind, const char *scope, const char *key,
    const char *want);
static ngx_uint_t ut_forge(ut_kind_e kind, u_char lead, ngx_uint_t parts);
static ngx_uint_t ut_is_hex(u_char *p, size_t n);


static ngx_uint_t
ut_hash(ut_kind_e kind, const char *scope, const char *key, const char *want)
{
    ngx_int_t  rc;
    ngx_str_t  s, k, h;

    k = ut_str(key);
    s = ut_str(scope ? scope : "");
    h = ut_repeat("#", NGX_CHAT_HASH_LEN);

    switch (kind) {

    case ut_question:
        rc = ngx_chat_key_hash_question(h.data, &k);
        break;

    case ut_custom:
        rc = ngx_chat_key_hash_custom(h.data, &k);
        break;

    default:
        rc = ngx_chat_key_hash_scoped(h.data, &s, &k);
    }

    rc = (rc == NGX_OK && ut_is(&h, want));

    ut_free(&k);
    ut_free(&s);
    ut_free(&h);

    return rc;
}


/* a key of this kind whose bytes are what another kind would hash */

static ngx_uint_t
ut_forge(ut_kind_e kind, u_char lead, ngx_uint_t parts)
{
    u_char     md[1 + 2 * 32], h[NGX_CHAT_HASH_LEN], x[NGX_CHAT_HASH_LEN];
    ngx_str_t  s, k, forged;

    ngx_str_set(&s, "tenant");
    ngx_str_set(&k, "What is Python?");

    md[0] = lead;

    if (parts == 1) {
        EVP_Digest(k.data, k.len, &md[1], NULL, EVP_sha256(), NULL);
        ngx_chat_key_hash_custom(h, &k);

    } else {
        EVP_Digest(s.data, s.len, &md[1], NULL, EVP_sha256(), NULL);
        EVP_Digest(k.data, k.len, &md[33], NULL, EVP_sha256(), NULL);
        ngx_chat_key_hash_scoped(h, &s, &k);
    }

    forged.len = 1 + parts * 32;
    forged.data = md;

    if (kind == ut_custom) {
        ngx_chat_key_hash_custom(x, &forged);

    } else {
        ngx_chat_key_hash_scoped(x, &s, &forged);
    }

    return memcmp(x, h, NGX_CHAT_HASH_LEN) == 0;
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

    ut_ok(ut_hash(ut_question, NULL, "What is Python?",
"64ad73596b1065390e9221622595e32d52ec760be79bda2b20a0198bce98a035"),
          "the hash of a question");
    ut_ok(ut_hash(ut_question, NULL, "",
"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
          "the hash of nothing");
    ut_ok(ut_hash(ut_scoped, "tenant", "What is Python?",
"f33b513cdfc9f8e72a8c97e36b9abbf63f3b004c756c344415a0e0ddb96bc4ed"),
          "with a scope");
    ut_ok(ut_hash(ut_scoped, "", "What is Python?",
"0dbe124511e4043e77b0a090264bea37dd6bfa1ba2f90db61900a6197c19d509"),
          "with an empty scope");
    ut_ok(ut_hash(ut_custom, NULL, "What is Python?",
"64aaeb8d7e0e06d31aee12b809469c8aec1348a1d24e7106f9b6421eeef68ef5"),
          "a key of one's own");

    ut_ok(!ut_forge(ut_custom, 0xff, 2), "no key makes that of a scope");
    ut_ok(!ut_forge(ut_custom, 0xfc, 1), "no key makes that of another");
    ut_ok(!ut_forge(ut_scoped, 0xfc, 1), "no scope makes a key without one");
    ut_ok(!ut_forge(ut_scoped, 0xff, 2), "no scope makes that of another");

    ngx_str_set(&parts[0], "ab");
    ngx_str_set(&parts[1], "c");
    ngx_str_null(&parts[2]);

    ut_ok(ngx_chat_key_hash_parts(a, 64, parts, 2) == NGX_OK
          && ut_is_hex(a, 64)
          && memcmp(a,
"601d5476e2ccfe2c87a2bba7a322659734a05749d5b5aa781f513e4912db0d5f", 64) == 0,
          "a digest: lengths as 8 bytes, then the parts");

    memset(b, '#', sizeof(b));

    ut_ok(ngx_chat_key_hash_parts(b, 32, parts, 2) == NGX_OK
          && memcmp(a, b, 32) == 0 && b[32] == '#',
          "the first half of it");

    ut_ok(ngx_chat_key_hash_parts(b, 64, parts, 3) == NGX_OK
          && memcmp(a, b, 64) != 0,
          "an empty part counts");

    ngx_str_set(&parts[0], "a");
    ngx_str_set(&parts[1], "bc");

    ut_ok(ngx_chat_key_hash_parts(b, 64, parts, 2) == NGX_OK
          && memcmp(a, b, 64) != 0,
          "parts are kept apart");

    ut_ok(ngx_chat_key_hash_parts(b, 65, parts, 2) == NGX_ERROR,
          "more digits than there are");

    r = ut_repeat("#", 100);
    s = ut_repeat("#", 100);

    ok = ngx_chat_key_generate(r.data, 100) == NGX_OK
         && ngx_chat_key_generate(s.data, 100) == NGX_OK;

    ut_ok(ok && ut_is_hex(r.data, 100) && ut_is_hex(s.data, 100)
          && !ut_same(&r, &s)
          && memcmp(r.data, r.data + 64, 32) != 0,
          "random digits");

    r.data[32] = '#';

    ut_ok(ngx_chat_key_generate(r.data, 32) == NGX_OK && r.data[32] == '#',
          "no more of them than asked for");

    ut_free(&r);
    ut_free(&s);

    return ut_done();
}
