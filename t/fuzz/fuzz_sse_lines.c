
/*
 * Events of a provider, compared with the plainest reading of the standard:
 * line after line, with all of the stream at hand.
 */


#include "fuzz.h"
#include "ngx_chat_sse_reader.h"


static void fuzz_line(ngx_chat_sse_reader_t *sr, ngx_buf_t *b,
    ngx_chat_bytes_t *event, const u_char *p, size_t len);
static size_t fuzz_field(const char *name, const u_char *p, size_t len);


static ngx_uint_t  fuzz_has_data;
static ngx_uint_t  fuzz_error;
static ngx_uint_t  fuzz_named;


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t                  i, start;
    ngx_buf_t               b;
    ngx_chat_bytes_t        event;
    ngx_chat_sse_reader_t   sr;

    ngx_chat_sse_reader_init(&sr, 0);

    ngx_memzero(&b, sizeof(ngx_buf_t));
    b.pos = (u_char *) data;
    b.last = (u_char *) data + size;

    ngx_memzero(&event, sizeof(ngx_chat_bytes_t));
    fuzz_has_data = 0;
    fuzz_error = 0;
    fuzz_named = 0;
    start = (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) ? 3 : 0;

    for (i = start; i < size; i++) {

        if (data[i] == CR || data[i] == LF) {
            fuzz_line(&sr, &b, &event, data + start, i - start);

            i += (data[i] == CR && i + 1 < size && data[i + 1] == LF);
            start = i + 1;
        }
    }

    fuzz_must(ngx_chat_sse_reader_read(&sr, &b) == NGX_AGAIN && b.pos == b.last,
              "no other event");

    ngx_chat_bytes_free(&event);
    ngx_chat_sse_reader_free(&sr);

    return 0;
}


static void
fuzz_line(ngx_chat_sse_reader_t *sr, ngx_buf_t *b, ngx_chat_bytes_t *event,
    const u_char *p, size_t len)
{
    size_t  start;

    if (len == 0 && (fuzz_has_data || fuzz_named)) {
        fuzz_must(ngx_chat_sse_reader_read(sr, b) == NGX_OK
                  && sr->data.len == event->len && (event->len == 0
                  || memcmp(sr->data.data, event->data, event->len) == 0)
                  && sr->error_line == fuzz_error
                  && sr->error_name == fuzz_named,
                  "the same event");
        event->len = 0;
        fuzz_has_data = 0;
        fuzz_error = 0;
        fuzz_named = 0;
        return;
    }

    start = fuzz_field("event", p, len);

    if (start) {
        fuzz_named = len - start == 5 && memcmp(p + start, "error", 5) == 0;
        return;
    }

    start = fuzz_field("data", p, len);

    if (start == 0) {
        start = fuzz_field("error", p, len);
        fuzz_error |= (start != 0);
    }

    if (start) {
        fuzz_append(event, "\n", fuzz_has_data);
        fuzz_append(event, p + start, len - start);
        fuzz_has_data = 1;
    }
}


/* where the value of a field of this name starts, 0: it is another one */

static size_t
fuzz_field(const char *name, const u_char *p, size_t len)
{
    size_t  n;

    n = strlen(name);

    if (len < n || memcmp(p, name, n) != 0 || (len > n && p[n] != ':')) {
        return 0;
    }

    return (len > n + 1 && p[n + 1] == ' ') ? n + 2 : ngx_min(len, n + 1);
}
