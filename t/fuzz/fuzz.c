
#include "fuzz.h"
#include "ngx_chat_answer.h"
#include "ngx_chat_sse_event.h"
#include "ngx_chat_json.h"
#include "ngx_chat_utf8.h"

#include <stdio.h>
#include <stdlib.h>


void
fuzz_must(ngx_uint_t ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}


void
fuzz_text(ngx_str_t *s)
{
    fuzz_must(ngx_chat_utf8_check(s->data, s->len) == NGX_OK, "valid UTF-8");
}


void
fuzz_json(ngx_str_t *s)
{
    fuzz_must(ngx_chat_json_check_value(s->data, s->len) == NGX_OK, "JSON");
}


void
fuzz_frame(ngx_chat_event_t *ev)
{
    size_t     len;
    u_char    *end;
    ngx_str_t  frame, json;

    len = ngx_chat_sse_event_len(ev);

    frame.len = len;
    frame.data = malloc(len);

    if (frame.data == NULL) {
        abort();
    }

    end = ngx_chat_sse_event_write(frame.data, ev);

    fuzz_must(end == frame.data + len, "a frame as long as foretold");
    fuzz_must(memcmp(frame.data, "data: ", 6) == 0
              && memcmp(end - 2, "\n\n", 2) == 0, "a frame");

    json.data = frame.data + 6;
    json.len = len - 8;

    fuzz_must(memchr(json.data, LF, json.len) == NULL
              && memchr(json.data, CR, json.len) == NULL, "one line");
    fuzz_must(ngx_chat_sse_event_json_len(ev) == json.len, "the same alone");
    fuzz_json(&json);

    free(frame.data);
}


void
fuzz_reply(ngx_chat_bytes_t *b, ngx_chat_reply_t *reply)
{
    int64_t            n;
    ngx_str_t          s;
    ngx_uint_t         i;
    ngx_chat_answer_t  a;

    ngx_memzero(&a, sizeof(ngx_chat_answer_t));

    if (ngx_chat_reply_str(reply, &s) == NGX_OK
        || ngx_chat_reply_error(reply, &s) == NGX_OK)
    {
        fuzz_append(b, &s.len, sizeof(size_t));
        fuzz_append_str(b, &s);
    }

    if (ngx_chat_reply_int(reply, &n) == NGX_OK) {
        fuzz_append(b, &n, sizeof(int64_t));
    }

    fuzz_must(ngx_chat_reply_at(reply, ngx_chat_reply_count(reply)) == NULL,
              "nothing behind the end");

    /* as a cached answer, if it should be one */

    if (ngx_chat_reply_field(reply, "chunk", &a.text) == NGX_OK
        && ngx_chat_reply_field(reply, "cuts", &a.chunk_lens) == NGX_OK
        && ngx_chat_answer_check(&a) == NGX_OK)
    {
        fuzz_text(&a.text);
        fuzz_append_text(b, "an answer");
    }

    for (i = 0; i < ngx_chat_reply_count(reply); i++) {
        fuzz_append_text(b, "[");
        fuzz_reply(b, ngx_chat_reply_at(reply, i));
    }
}


void
fuzz_append(ngx_chat_bytes_t *b, const void *p, size_t len)
{
    if (len && ngx_chat_bytes_append(b, p, len) != NGX_OK) {
        abort();
    }
}


void
fuzz_append_str(ngx_chat_bytes_t *b, ngx_str_t *s)
{
    fuzz_append(b, s->data, s->len);
}


void
fuzz_append_text(ngx_chat_bytes_t *b, const char *text)
{
    fuzz_append(b, text, strlen(text));
}
