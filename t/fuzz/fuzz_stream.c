
/*
 * The body of a provider's answer: fed whole, or cut in two anywhere, the same
 * texts come out and it ends in the same way, with text or an error.
 */


#include "fuzz.h"
#include "../../ngx_chat_module/provider/ngx_chat_provider_stream.h"


typedef struct {
    ngx_chat_bytes_t   texts;      /* with a zero byte and 0xff behind each */
    ngx_chat_error_e   error;
    ngx_uint_t         retry;
    unsigned           complete:1;
} fuzz_stream_t;


static void fuzz_delta(void *data, ngx_str_t *text);
static void fuzz_read(fuzz_stream_t *fs, const u_char *data, size_t size,
    size_t cut);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    fuzz_stream_t  whole, cut;

    fuzz_read(&whole, data, size, 0);

    if (size > 1) {
        fuzz_read(&cut, data, size, 1 + (data[0] * 257 + data[1]) % (size - 1));

        fuzz_must(whole.error == cut.error && whole.retry == cut.retry
                  && whole.complete == cut.complete, "the same end");
        fuzz_must(whole.texts.len == cut.texts.len
                  && (whole.texts.len == 0
                      || ngx_memcmp(whole.texts.data, cut.texts.data,
                                    cut.texts.len) == 0), "the same texts");

        ngx_chat_bytes_free(&cut.texts);
    }

    ngx_chat_bytes_free(&whole.texts);

    return 0;
}


static void
fuzz_delta(void *data, ngx_str_t *text)
{
    fuzz_stream_t *fs = data;

    fuzz_must(text->len > 0, "a text");
    fuzz_text(text);

    fuzz_append_str(&fs->texts, text);
    fuzz_append(&fs->texts, "\0\xff", 2);
}


static void
fuzz_read(fuzz_stream_t *fs, const u_char *data, size_t size, size_t cut)
{
    ngx_str_t                    piece, type;
    ngx_pool_t                  *pool;
    ngx_chat_provider_t          pv;
    ngx_chat_provider_fault_t    fault;
    ngx_chat_provider_stream_t   st;

    ngx_memzero(fs, sizeof(fuzz_stream_t));
    ngx_memzero(&pv, sizeof(ngx_chat_provider_t));
    ngx_memzero(&st, sizeof(ngx_chat_provider_stream_t));

    pool = ut_pool();

    ngx_chat_provider_fault_init(&fault, &pv, pool);

    st.delta = fuzz_delta;
    st.data = fs;

    ngx_chat_provider_stream_init(&st, &fault, pool);

    if (size % 2) {
        ngx_str_set(&type, "text/plain");
        ngx_chat_provider_stream_set_type(&st, &type);
    }

    if (cut) {
        piece = ut_bytes(data, cut);
        ngx_chat_provider_stream_read(&st, piece.data, piece.len);
        ut_free(&piece);
    }

    if (!st.done && fault.error == NGX_CHAT_E_NONE) {
        piece = ut_bytes(data + cut, size - cut);
        ngx_chat_provider_stream_read(&st, piece.data, piece.len);
        ut_free(&piece);
    }

    fs->complete = st.done || st.finished;

    fuzz_must(st.half == 0 || !fs->complete || fault.error != NGX_CHAT_E_NONE,
              "an answer without half a character at its end");

    if (!st.done && fault.error == NGX_CHAT_E_NONE) {
        ngx_chat_provider_stream_end(&st);
    }

    fs->error = fault.error;
    fs->retry = fault.retry;

    fuzz_must(fs->error != NGX_CHAT_E_NONE || fs->texts.len || st.finish.len,
              "an answer that is none");
    fuzz_must(fs->error != NGX_CHAT_E_NONE || st.half == 0,
              "a character at the end of the body");
    fuzz_must(ngx_chat_provider_stream_idle_timeout(&st, 1000) <= 1000,
              "patience");
    fuzz_text(&st.model);

    ngx_chat_provider_stream_free(&st);
    ngx_chat_provider_fault_free(&fault);
    ngx_destroy_pool(pool);
}
