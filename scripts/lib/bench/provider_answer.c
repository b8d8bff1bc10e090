
#include "provider.h"

#include <stdio.h>
#include <string.h>


/* more is not made before the client has taken so much */
#define PROVIDER_HIGH  65536

#define PROVIDER_MODEL                                                        \
    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","        \
    "\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,"   \
    "\"delta\":"


static void provider_head(provider_conn_t *c);
static void provider_chunk(provider_conn_t *c);
static void provider_tail(provider_conn_t *c);
static void provider_event(provider_conn_t *c, const char *head,
    const char *text, size_t n, const char *tail);


void
provider_respond(provider_conn_t *c, int status, const char *body)
{
    bench_buf_printf(&c->out, "HTTP/1.1 %d %s\r\n"
                     "Content-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     status, status == 200 ? "OK" : "Bad Request",
                     strlen(body), body);
    c->finished = 1;
}


uint64_t
provider_generate(provider_conn_t *c)
{
    int       i;
    uint64_t  due;

    if (c->finished || c->stalled) {
        return PROVIDER_NEVER;
    }

    if (!c->started) {
        c->started = 1;
        provider_head(c);
    }

    while (bench_buf_used(&c->out) < PROVIDER_HIGH) {

        /* the end of an answer comes along with its last chunk */

        i = c->next < c->spec.chunks ? c->next : c->spec.chunks - 1;
        due = c->begin + ((uint64_t) c->spec.first
                          + (uint64_t) i * (uint64_t) c->spec.gap) * 1000000;

        if (due > c->begin && bench_now() < due) {
            return due;
        }

        if (c->next == c->spec.stall) {
            c->stalled = 1;
            return PROVIDER_NEVER;
        }

        if (c->next == c->spec.chunks) {
            provider_tail(c);
            return PROVIDER_NEVER;
        }

        provider_chunk(c);
        c->next++;
    }

    return 0;
}


static void
provider_head(provider_conn_t *c)
{
    bench_buf_str(&c->out, "HTTP/1.1 200 OK\r\n"
                  "Content-Type: text/event-stream\r\n"
                  "Cache-Control: no-cache\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n");
    bench_buf_clear(&c->text);

    if (c->chat) {
        provider_event(c, "{\"status\": \"processing\"}", "", 0, "");

    } else {
        provider_event(c, PROVIDER_MODEL
                       "{\"role\":\"assistant\",\"content\":\"", "", 0,
                       "\"},\"finish_reason\":null}]}");
    }
}


static void
provider_chunk(provider_conn_t *c)
{
    int     stamp;
    char    piece[BENCH_MAX_CHUNK];
    size_t  n;

    n = (size_t) c->spec.bytes;
    stamp = c->spec.stamp ? BENCH_STAMP : 0;

    if (stamp) {
        bench_stamp_write(piece, bench_now());
    }

    memcpy(piece + stamp, bench_piece(c->seed, (unsigned) c->next),
           n - (size_t) stamp);

    if (c->next == c->spec.wrong) {
        piece[n - 1] = '#';
    }

    if (c->chat) {
        bench_buf_add(&c->text, piece, n);
        provider_event(c, "{\"status\": \"streaming\", \"chunk\": \"",
                       piece, n, "\"}");
        return;
    }

    provider_event(c, PROVIDER_MODEL "{\"content\":\"", piece, n,
                   "\"},\"finish_reason\":null}]}");
}


static void
provider_tail(provider_conn_t *c)
{
    if (c->chat) {
        provider_event(c, "{\"status\": \"completed\", \"chunk\": \"",
                       bench_buf_head(&c->text), bench_buf_used(&c->text),
                       "\"}");

    } else {
        provider_event(c, PROVIDER_MODEL "{},\"finish_reason\":\"stop\"}]}",
                       "", 0, "");
        provider_event(c, "[DONE]", "", 0, "");
    }

    bench_buf_str(&c->out, "0\r\n\r\n");
    c->finished = 1;
}


static void
provider_event(provider_conn_t *c, const char *head, const char *text,
    size_t n, const char *tail)
{
    char    size[24];
    size_t  hlen, tlen;

    hlen = strlen(head);
    tlen = strlen(tail);

    snprintf(size, sizeof(size), "%zx\r\n", 6 + hlen + n + tlen + 2);

    bench_buf_reserve(&c->out, sizeof(size) + 6 + hlen + n + tlen + 4);
    bench_buf_str(&c->out, size);
    bench_buf_add(&c->out, "data: ", 6);
    bench_buf_add(&c->out, head, hlen);
    bench_buf_add(&c->out, text, n);
    bench_buf_add(&c->out, tail, tlen);
    bench_buf_add(&c->out, "\n\n\r\n", 4);
}
