
/*
 * A message of a generation: all its events can be sent on, and written anew
 * they are the same bytes.
 */


#include "fuzz.h"
#include "ngx_chat_message.h"

#include <stdio.h>


static void fuzz_write(ngx_chat_bytes_t *b, ngx_chat_event_t *ev,
    ngx_chat_maker_t *maker);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    char                 head[128];
    ngx_int_t            rc;
    ngx_str_t            s;
    ngx_uint_t           n;
    ngx_chat_event_t     ev;
    ngx_chat_bytes_t     b;
    ngx_chat_message_t   m;

    s.len = size;
    s.data = (u_char *) data;

    if (ngx_chat_message_parse(&m, &s) != NGX_OK) {
        return 0;
    }

    ngx_memzero(&b, sizeof(ngx_chat_bytes_t));

    snprintf(head, sizeof(head), "1 %lu %lu %lu %lu\n", m.tries, m.n0, m.ms,
             m.count);
    fuzz_append_text(&b, head);

    for (n = 0; (rc = ngx_chat_message_next(&m, &ev)) == NGX_OK; n++) {
        fuzz_must(ev.status != NGX_CHAT_STREAMING || ev.text.len, "no text");
        fuzz_frame(&ev);
        fuzz_write(&b, &ev, &m.maker);
    }

    fuzz_must(n + m.left == m.count, "the count of events");
    fuzz_must(ngx_chat_message_next(&m, &ev) == rc, "an end for good");
    fuzz_must((size_t) (m.pos - s.data) == b.len
              && memcmp(b.data, s.data, b.len) == 0, "the same anew");
    fuzz_must((rc == NGX_DONE) == (n == m.count && b.len == s.len), "the end");

    ngx_chat_bytes_free(&b);

    return 0;
}


static void
fuzz_write(ngx_chat_bytes_t *b, ngx_chat_event_t *ev, ngx_chat_maker_t *maker)
{
    char        head[128];
    ngx_uint_t  told;

    told = (ev->status == NGX_CHAT_COMPLETED && maker->provider.data);

    head[0] = "psce"[ev->status];
    head[1] = '\0';

    if (ev->status == NGX_CHAT_STREAMING || ev->status == NGX_CHAT_ERROR) {
        snprintf(&head[1], 32, " %zu", ev->text.len);
    }

    if (ev->status >= NGX_CHAT_COMPLETED) {
        snprintf(head + strlen(head), 32, " %zu", ev->code.len);
    }

    if (told) {
        snprintf(head + strlen(head), 64, " %zu %zu", maker->provider.len,
                 maker->model.len);
    }

    fuzz_append_text(b, head);
    fuzz_append_text(b, ev->status == NGX_CHAT_PROCESSING ? "" : "\n");
    fuzz_append_str(b, &ev->text);
    fuzz_append_str(b, &ev->code);

    if (told) {
        fuzz_append_str(b, &maker->provider);
        fuzz_append_str(b, &maker->model);
    }

    fuzz_append_text(b, "\n");
}
