
/*
 * Replies of Redis, and all that is taken out of them: the same whole, byte
 * by byte, and in pieces whose lengths are taken from the input.
 */


#include "fuzz.h"


#define FUZZ_MAX_REPLY  256


static void fuzz_replies(ngx_chat_bytes_t *out, const u_char *data,
    size_t size, size_t piece);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t            i;
    ngx_chat_bytes_t  out, whole;

    ngx_memzero(&whole, sizeof(ngx_chat_bytes_t));
    fuzz_replies(&whole, data, size, size);

    for (i = 0; i < 2; i++) {
        ngx_memzero(&out, sizeof(ngx_chat_bytes_t));
        fuzz_replies(&out, data, size, i);
        fuzz_must(out.len == whole.len
                  && memcmp(out.data, whole.data, out.len) == 0, "the same");
        ngx_chat_bytes_free(&out);
    }

    ngx_chat_bytes_free(&whole);

    return 0;
}


static void
fuzz_replies(ngx_chat_bytes_t *out, const u_char *data, size_t size,
    size_t piece)
{
    size_t             i, n, len;
    ngx_int_t          rc;
    ngx_str_t          s;
    ngx_chat_resp_t   *rp;
    ngx_chat_reply_t  *reply;

    rp = ngx_chat_resp_create(FUZZ_MAX_REPLY);
    rc = NGX_AGAIN;

    for (i = 0, n = 0; i < size && rc == NGX_AGAIN; i += len) {
        len = piece ? piece : (size_t) data[n++] % 11 + 1;
        len = ngx_min(len, size - i);
        s = ut_bytes(data + i, len);
        rc = ngx_chat_resp_feed(rp, s.data, len);
        ut_free(&s);

        while (rc == NGX_OK) {
            rc = ngx_chat_resp_next(rp, &reply);

            if (rc == NGX_OK) {
                fuzz_reply(out, reply);
                ngx_chat_reply_free(reply);
            }
        }
    }

    fuzz_append(out, &rc, sizeof(ngx_int_t));
    ngx_chat_resp_free(rp);
}
