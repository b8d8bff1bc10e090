
#include "ngx_chat_bytes.h"

#include "ut.h"


int
main(void)
{
    size_t             i, max;
    u_char             ch;
    ngx_uint_t         ok, allocs;
    ngx_chat_bytes_t   b;
    u_char            *data;

    ngx_memzero(&b, sizeof(b));

    ut_ok(ngx_chat_bytes_append(&b, NULL, 0) == NGX_OK && b.len == 0,
          "nothing appended to nothing");

    ok = 1;
    allocs = 0;
    data = NULL;

    for (i = 0; i < 100000; i++) {
        ch = (u_char) (i % 251);
        ok &= ngx_chat_bytes_append(&b, &ch, 1) == NGX_OK;

        if (b.data != data) {
            data = b.data;
            allocs++;
        }
    }

    for (i = 0; i < 100000; i++) {
        ok &= b.data[i] == i % 251;
    }

    ut_ok(ok && b.len == 100000, "bytes stay as they are while it grows");
    ut_ok(allocs < 20 && b.size < 262145, "it grows by doubling");

    ut_ok(ngx_chat_bytes_reserve(&b, NGX_MAX_SIZE_T_VALUE - 99999)
          == NGX_ERROR
          && b.len == 100000,
          "a length that wraps is refused");

    ut_fail_alloc = 1;
    data = b.data;

    ut_ok(ngx_chat_bytes_reserve(&b, b.size) == NGX_ERROR
          && b.len == 100000 && b.data == data && b.data[99999] == 99999 % 251,
          "no memory: the bytes stay");

    ut_fail_alloc = 0;

    ngx_chat_bytes_free(&b);
    ut_ok(b.data == NULL && b.len == 0 && b.size == 0, "freed");

    ngx_chat_bytes_free(&b);
    ut_ok(b.data == NULL, "freed twice does no harm");

    for (max = 1; max < 200; max += 33) {
        ngx_memzero(&b, sizeof(b));
        b.max = max;
        ok = 1;

        for (i = 0; i < max; i++) {
            ok &= ngx_chat_bytes_append(&b, "x", 1) == NGX_OK;
        }

        ok &= ngx_chat_bytes_append(&b, "x", 1) == NGX_DECLINED;
        ok &= ngx_chat_bytes_append(&b, "x", 0) == NGX_OK;
        ok &= ngx_chat_bytes_reserve(&b, NGX_MAX_SIZE_T_VALUE)
              == NGX_DECLINED;
        ok &= b.len == max && b.size == max;

        ut_ok(ok, "filled up to the limit and no further");
        ngx_chat_bytes_free(&b);
    }

    ngx_memzero(&b, sizeof(b));

    ok = ngx_chat_bytes_reserve(&b, 10) == NGX_OK;
    ut_ok(ok && b.len == 0 && b.size >= 10, "room without bytes");

    data = b.data;
    ok = ngx_chat_bytes_append(&b, "0123456789", 10) == NGX_OK;
    ut_ok(ok && b.data == data, "reserved room is used");

    ngx_chat_bytes_free(&b);

    return ut_done();
}
