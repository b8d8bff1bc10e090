
/*
 * The text of an answer: every valid one is accepted in chunks of one character
 * each, and no other one is.
 */


#include "fuzz.h"
#include "ngx_chat_answer.h"
#include "ngx_chat_utf8.h"

#include <stdio.h>


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    char                number[32];
    size_t              i, start;
    ngx_uint_t          n, valid;
    ngx_chat_bytes_t    chunk_lens;
    ngx_chat_answer_t   a;

    ngx_memzero(&a, sizeof(ngx_chat_answer_t));
    ngx_memzero(&chunk_lens, sizeof(ngx_chat_bytes_t));

    for (i = 1, start = 0, n = 0; i <= size; i++) {

        if (i < size && (data[i] & 0xc0) == 0x80) {
            continue;
        }

        snprintf(number, sizeof(number), "%s%zu", n++ ? " " : "", i - start);
        fuzz_append_text(&chunk_lens, number);
        start = i;
    }

    a.text = ut_bytes(data, size);
    a.chunk_lens = ut_bytes(chunk_lens.data, chunk_lens.len);

    valid = size && ngx_chat_utf8_check(data, size) == NGX_OK;

    fuzz_must((ngx_chat_answer_check(&a) == NGX_OK) == valid, "a text");

    ut_free(&a.text);
    ut_free(&a.chunk_lens);
    ngx_chat_bytes_free(&chunk_lens);

    return 0;
}
