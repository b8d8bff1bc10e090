
/*
 * Events of a provider: the same whole, byte by byte, and in pieces whose
 * lengths are taken from the first bytes of the input.
 */


#include "fuzz.h"
#include "ngx_chat_sse_reader.h"


#define FUZZ_MAX_DATA  32


static void fuzz_read(ngx_chat_bytes_t *out, const u_char *data, size_t size,
    size_t piece);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t            i;
    ngx_chat_bytes_t  out, whole;

    ngx_memzero(&whole, sizeof(ngx_chat_bytes_t));
    fuzz_read(&whole, data, size, size);

    for (i = 0; i < 2; i++) {
        ngx_memzero(&out, sizeof(ngx_chat_bytes_t));
        fuzz_read(&out, data, size, i);

        fuzz_must(out.len == whole.len
                  && memcmp(out.data, whole.data, out.len) == 0,
                  "the same in pieces");

        ngx_chat_bytes_free(&out);
    }

    ngx_chat_bytes_free(&whole);

    return 0;
}


/* piece 0: as the input says */

static void
fuzz_read(ngx_chat_bytes_t *out, const u_char *data, size_t size, size_t piece)
{
    size_t                  i, n, len;
    ngx_buf_t               b;
    ngx_int_t               rc;
    ngx_str_t               s;
    ngx_chat_sse_reader_t   sr;

    ngx_chat_sse_reader_init(&sr, FUZZ_MAX_DATA);
    rc = NGX_AGAIN;

    for (i = 0, n = 0; i < size && rc == NGX_AGAIN; i += len) {
        len = piece ? piece : (size_t) data[n++] % 11 + 1;
        len = ngx_min(len, size - i);
        s = ut_bytes(data + i, len);

        ngx_memzero(&b, sizeof(ngx_buf_t));
        b.pos = s.data;
        b.last = s.data + len;

        while ((rc = ngx_chat_sse_reader_read(&sr, &b)) == NGX_OK) {
            fuzz_must(sr.data.len <= FUZZ_MAX_DATA, "within the limit");
            fuzz_append(out, &sr.data.len, sizeof(size_t));
            fuzz_append(out, sr.data.data, sr.data.len);
        }

        fuzz_must(rc == NGX_ERROR || b.pos == b.last, "all of it is read");
        ut_free(&s);
    }

    fuzz_append(out, &rc, sizeof(ngx_int_t));
    ngx_chat_sse_reader_free(&sr);
}
