
#define _GNU_SOURCE

#include "load.h"

#include <string.h>


static void load_check_event(load_conn_t *c, const char *p, size_t n);
static load_fault_e load_check_chat(load_conn_t *c, const char *p, size_t n);
static int load_check_plain(const char *p, size_t n, const char *head,
    size_t hlen);
static load_fault_e load_check_openai(load_conn_t *c, const char *p, size_t n);
static int load_check_delta(bench_json_t *j, bench_buf_t *text);
static load_fault_e load_check_chunk(load_conn_t *c, const char *p, size_t n);
static load_fault_e load_check_whole(load_conn_t *c, const char *p, size_t n);


void
load_check(load_conn_t *c, const char *p, size_t n)
{
    size_t       len, own;
    const char  *end, *nl;

    if (load_options.mode == LOAD_RAW) {

        if (n > load_options.nexpected - c->matched
            || memcmp(p, load_options.expected + c->matched, n) != 0)
        {
            c->fault = LOAD_WRONG_TEXT;
            return;
        }

        c->matched += n;
        c->ended = c->matched == load_options.nexpected;

        return;
    }

    own = bench_buf_used(&c->line);

    if (own) {
        bench_buf_add(&c->line, p, n);
        p = bench_buf_head(&c->line);
        n = bench_buf_used(&c->line);
    }

    end = p + n;

    while ((nl = memchr(p, '\n', (size_t) (end - p))) != NULL) {
        len = (size_t) (nl - p);

        if (len > 6 && memcmp(p, "data: ", 6) == 0) {
            load_check_event(c, p + 6, len - 6);
        }

        p = nl + 1;
    }

    if (own) {
        bench_buf_eat(&c->line, (size_t) (p - bench_buf_head(&c->line)));
        return;
    }

    bench_buf_add(&c->line, p, (size_t) (end - p));
}


/* each event is a line, here and at the provider */

static void
load_check_event(load_conn_t *c, const char *p, size_t n)
{
    load_fault_e  fault;

    fault = c->ended ? LOAD_EVENT
            : load_options.mode == LOAD_CHAT ? load_check_chat(c, p, n)
            : load_check_openai(c, p, n);

    if (c->fault == LOAD_OK) {
        c->fault = fault;
    }
}


static load_fault_e
load_check_chat(load_conn_t *c, const char *p, size_t n)
{
    int                 rc, first;
    char                key[16], status[16];
    bench_json_t        j;
    static bench_buf_t  word, chunk;

    static const char  streaming[] =
        "{\"status\": \"streaming\", \"chunk\": \"";
    static const char  completed[] =
        "{\"status\": \"completed\", \"chunk\": \"";

    /* without ceremony: the generator must not be what is measured */

    if (load_check_plain(p, n, streaming, sizeof(streaming) - 1)) {
        return load_check_chunk(c, p + sizeof(streaming) - 1,
                                n - (sizeof(streaming) - 1) - 2);
    }

    if (load_check_plain(p, n, completed, sizeof(completed) - 1)) {
        return load_check_whole(c, p + sizeof(completed) - 1,
                                n - (sizeof(completed) - 1) - 2);
    }

    first = 1;
    status[0] = '\0';
    bench_buf_clear(&chunk);
    j.pos = p;
    j.last = p + n;

    while ((rc = bench_json_key(&j, &first, key, sizeof(key))) == 1) {

        if (strcmp(key, "status") == 0) {
            bench_buf_clear(&word);

            if (bench_json_string(&j, &word)
                || bench_buf_used(&word) >= sizeof(status))
            {
                return LOAD_JSON;
            }

            memcpy(status, bench_buf_head(&word), bench_buf_used(&word));
            status[bench_buf_used(&word)] = '\0';

        } else if (strcmp(key, "chunk") == 0) {
            if (bench_json_string(&j, &chunk)) {
                return LOAD_JSON;
            }

        } else if (bench_json_skip(&j)) {
            return LOAD_JSON;
        }
    }

    if (rc || bench_json_end(&j)) {
        return LOAD_JSON;
    }

    bench_buf_reserve(&chunk, 1);

    if (strcmp(status, "streaming") == 0) {
        return load_check_chunk(c, bench_buf_head(&chunk),
                                bench_buf_used(&chunk));
    }

    if (strcmp(status, "completed") == 0) {
        return load_check_whole(c, bench_buf_head(&chunk),
                                bench_buf_used(&chunk));
    }

    if (strcmp(status, "processing") == 0) {
        load_log(c, "processing");
        load_results.restarts += c->chunks != 0;
        c->chunks = 0;
        bench_buf_clear(&c->text);
        return LOAD_OK;
    }

    if (strcmp(status, "error") == 0) {
        load_log(c, "error");
        c->ended = 1;
        return LOAD_ERROR_EVENT;
    }

    return LOAD_EVENT;
}


/* whether that is all of the event, and a string without an escape */

static int
load_check_plain(const char *p, size_t n, const char *head, size_t hlen)
{
    const char  *text;

    if (n < hlen + 2 || memcmp(p, head, hlen) != 0
        || p[n - 2] != '"' || p[n - 1] != '}')
    {
        return 0;
    }

    text = p + hlen;
    n -= hlen + 2;

    return memchr(text, '"', n) == NULL && memchr(text, '\\', n) == NULL;
}


static load_fault_e
load_check_openai(load_conn_t *c, const char *p, size_t n)
{
    int                 rc, arc, first, afirst;
    char                key[16];
    bench_json_t        j;
    static bench_buf_t  text;

    if (n == 6 && memcmp(p, "[DONE]", 6) == 0) {
        c->ended = 1;
        return c->chunks == (unsigned) load_options.chunks ? LOAD_OK
                                                           : LOAD_WRONG_COUNT;
    }

    first = 1;
    j.pos = p;
    j.last = p + n;
    bench_buf_clear(&text);

    while ((rc = bench_json_key(&j, &first, key, sizeof(key))) == 1) {

        if (strcmp(key, "choices") != 0) {
            if (bench_json_skip(&j)) {
                return LOAD_JSON;
            }

            continue;
        }

        afirst = 1;

        while ((arc = bench_json_elem(&j, &afirst)) == 1) {
            if (load_check_delta(&j, &text)) {
                return LOAD_JSON;
            }
        }

        if (arc) {
            return LOAD_JSON;
        }
    }

    if (rc || bench_json_end(&j)) {
        return LOAD_JSON;
    }

    return bench_buf_used(&text)
           ? load_check_chunk(c, bench_buf_head(&text), bench_buf_used(&text))
           : LOAD_OK;
}


/* a choice: {"delta": {"content": "..."}} */

static int
load_check_delta(bench_json_t *j, bench_buf_t *text)
{
    int   rc, first;
    char  key[16];

    first = 1;

    while ((rc = bench_json_key(j, &first, key, sizeof(key))) == 1) {

        if (strcmp(key, "delta") == 0) {
            rc = load_check_delta(j, text);

        } else if (strcmp(key, "content") == 0
                   && bench_json_peek(j) == '"')
        {
            rc = bench_json_string(j, text);

        } else {
            rc = bench_json_skip(j);
        }

        if (rc) {
            return -1;
        }
    }

    return rc;
}


static load_fault_e
load_check_chunk(load_conn_t *c, const char *p, size_t n)
{
    size_t    stamp;
    uint64_t  now, sent;

    load_log(c, "chunk");

    if (c->chunks >= (unsigned) load_options.chunks) {
        return LOAD_WRONG_COUNT;
    }

    now = c->chunks == 0 || load_options.stamps ? bench_now() : 0;
    stamp = load_options.stamps ? BENCH_STAMP : 0;

    if (n != (size_t) load_options.bytes
        || memcmp(p + stamp, bench_piece(c->seed, c->chunks), n - stamp) != 0)
    {
        return LOAD_WRONG_TEXT;
    }

    if (stamp) {
        sent = bench_stamp_read(p, n);

        /* chunks are older for those who join, but not as old as that */

        if (sent > now
            || sent + (uint64_t) (load_options.timeout * 1e9)
               < load_results.begin)
        {
            return LOAD_WRONG_TEXT;
        }

        load_sample(&load_results.latency, now - sent);
    }

    if (c->chunks == 0 && c->first_chunk == 0) {
        c->first_chunk = now;
    }

    c->chunks++;
    load_results.chunks++;

    if (load_options.mode == LOAD_CHAT) {
        bench_buf_add(&c->text, p, n);
    }

    return LOAD_OK;
}


static load_fault_e
load_check_whole(load_conn_t *c, const char *p, size_t n)
{
    load_log(c, "completed");
    c->ended = 1;

    if (c->chunks != (unsigned) load_options.chunks) {
        return LOAD_WRONG_COUNT;
    }

    if (n != bench_buf_used(&c->text)
        || memcmp(p, bench_buf_head(&c->text), n) != 0)
    {
        return LOAD_WRONG_WHOLE;
    }

    return LOAD_OK;
}
