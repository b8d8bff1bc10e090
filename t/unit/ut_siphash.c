
/* SipHash-2-4, by the vectors of its authors. */


#include "ngx_chat_siphash.h"

#include "ut.h"


int
main(void)
{
    u_char                  in[15];
    uint64_t                a, b;
    ngx_str_t               parts[3];
    ngx_uint_t              i;
    ngx_chat_siphash_key_t  key;

    key.k[0] = 0x0706050403020100ULL;
    key.k[1] = 0x0f0e0d0c0b0a0908ULL;

    for (i = 0; i < sizeof(in); i++) {
        in[i] = (u_char) i;
    }

    parts[0].len = 0;
    parts[0].data = in;

    ut_ok(ngx_chat_siphash(&key, parts, 1) == 0x726fdb47dd0e0e31ULL,
          "no bytes");

    parts[0].len = 8;

    ut_ok(ngx_chat_siphash(&key, parts, 1) == 0x93f5f5799a932462ULL,
          "a whole word");

    parts[0].len = sizeof(in);
    a = ngx_chat_siphash(&key, parts, 1);

    ut_ok(a == 0xa129ca6149be45e5ULL, "fifteen bytes");

    for (i = 0; i <= sizeof(in); i++) {
        parts[0].len = i / 2;
        parts[1].len = i - i / 2;
        parts[1].data = in + i / 2;
        parts[2].len = sizeof(in) - i;
        parts[2].data = in + i;

        if (ngx_chat_siphash(&key, parts, 3) != a) {
            break;
        }
    }

    ut_ok(i == sizeof(in) + 1, "cut anywhere, the same");

    ut_ok(ngx_chat_siphash_key_generate(&key) == NGX_OK, "a key");

    parts[0].len = sizeof(in);
    a = ngx_chat_siphash(&key, parts, 1);

    ut_ok(ngx_chat_siphash_key_generate(&key) == NGX_OK, "another key");

    b = ngx_chat_siphash(&key, parts, 1);

    ut_ok(a != b, "another hash");

    return ut_done();
}
