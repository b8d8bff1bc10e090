
/*
 * A message of a generation: all its events can be sent on, and written anew
 * they are the same bytes, but for what a later release may have added.
 */


#include "fuzz.h"
#include "ngx_chat_message.h"

#include <stdio.h>


static ngx_int_t fuzz_read(ngx_str_t *s, ngx_chat_bytes_t *b);
static void fuzz_write(ngx_chat_bytes_t *b, ngx_chat_event_t *ev,
    ngx_chat_origin_t *origin);


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    ngx_str_t         s;
    ngx_chat_bytes_t  first, again;

    s.len = size;
    s.data = (u_char *) data;

    ngx_memzero(&first, sizeof(ngx_chat_bytes_t));
    ngx_memzero(&again, sizeof(ngx_chat_bytes_t));

    if (fuzz_read(&s, &first) == NGX_DONE) {
        fuzz_must(first.len <= size, "nothing that was not there");

        s.len = first.len;
        s.data = first.data;

        fuzz_must(fuzz_read(&s, &again) == NGX_DONE, "can be read");
        fuzz_must(first.len == again.len
                  && memcmp(first.data, again.data, first.len) == 0,
                  "the same anew");
    }

    ngx_chat_bytes_free(&first);
    ngx_chat_bytes_free(&again);

    return 0;
}


/* writes anew what it reads */

static ngx_int_t
fuzz_read(ngx_str_t *s, ngx_chat_bytes_t *b)
{
    char                 head[128];
    ngx_int_t            rc;
    ngx_uint_t           n;
    ngx_chat_event_t     ev;
    ngx_chat_message_t   m;

    if (ngx_chat_message_parse(&m, s) != NGX_OK) {
        return NGX_ERROR;
    }

    snprintf(head, sizeof(head), "1 %lu %lu %lu %lu\n", m.tries, m.n0, m.ms,
             m.count);
    fuzz_append_text(b, head);

    for (n = 0; (rc = ngx_chat_message_next(&m, &ev)) == NGX_OK; n++) {
        fuzz_must(ev.status != NGX_CHAT_STREAMING || ev.text.len, "no text");
        fuzz_frame(&ev);
        fuzz_write(b, &ev, &m.origin);
    }

    fuzz_must(n + m.left == m.count, "the count of events");
    fuzz_must(ngx_chat_message_next(&m, &ev) == rc, "an end for good");
    fuzz_must((rc == NGX_DONE) == (n == m.count && m.pos == m.last),
              "the end");

    return rc;
}


static void
fuzz_write(ngx_chat_bytes_t *b, ngx_chat_event_t *ev, ngx_chat_origin_t *origin)
{
    char        head[128];
    ngx_uint_t  told;

    told = (ev->status == NGX_CHAT_COMPLETED && origin->provider.data);

    head[0] = "psce"[ev->status];
    head[1] = '\0';

    if (ev->status == NGX_CHAT_STREAMING || ev->status == NGX_CHAT_ERROR) {
        snprintf(&head[1], 32, " %zu", ev->text.len);
    }

    if (ev->status >= NGX_CHAT_COMPLETED) {
        snprintf(head + strlen(head), 32, " %zu", ev->code.len);
    }

    if (told) {
        snprintf(head + strlen(head), 64, " %zu %zu", origin->provider.len,
                 origin->model.len);
    }

    fuzz_append_text(b, head);
    fuzz_append_text(b, ev->status == NGX_CHAT_PROCESSING ? "" : "\n");
    fuzz_append_str(b, &ev->text);
    fuzz_append_str(b, &ev->code);

    if (told) {
        fuzz_append_str(b, &origin->provider);
        fuzz_append_str(b, &origin->model);
    }

    fuzz_append_text(b, "\n");
}
