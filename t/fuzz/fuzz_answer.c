
/*
 * A cached answer, the line of chunk lengths before its text: lengths that are
 * accepted lead through the text exactly.
 */


#include "fuzz.h"
#include "ngx_chat_answer.h"


static void fuzz_walk(ngx_chat_answer_t *a);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    const u_char       *p;
    ngx_chat_answer_t   a;

    ngx_memzero(&a, sizeof(ngx_chat_answer_t));

    p = size ? memchr(data, LF, size) : NULL;

    if (p == NULL) {
        return 0;
    }

    a.chunk_lens = ut_bytes(data, p - data);
    a.text = ut_bytes(p + 1, data + size - p - 1);

    if (ngx_chat_answer_check(&a) == NGX_OK) {
        fuzz_walk(&a);
    }

    ut_free(&a.chunk_lens);
    ut_free(&a.text);

    return 0;
}


static void
fuzz_walk(ngx_chat_answer_t *a)
{
    size_t     len;
    ngx_str_t  chunk_lens, piece;

    chunk_lens = a->chunk_lens;
    piece.data = a->text.data;

    while (ngx_chat_answer_next_len(&chunk_lens, &len) == NGX_OK) {
        piece.len = len;
        fuzz_must(len && len <= (size_t) (a->text.data + a->text.len
                                          - piece.data), "a cut that fits");
        fuzz_text(&piece);
        piece.data += len;
    }

    fuzz_must(chunk_lens.len == 0, "all lengths");
    fuzz_must(piece.data == a->text.data + a->text.len, "all of the text");
}
