
#define _GNU_SOURCE

#include "provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>


#define PROVIDER_MAX_HEAD  65536
#define PROVIDER_MAX_BODY  (4 << 20)


provider_spec_t   provider_answers = { 50, 20, 0, 0, 0, -1, -1 };
provider_stats_t  provider_counts;


static void provider_answer(provider_conn_t *c, const char *body, size_t n,
    int chat);
static int provider_question(bench_json_t *j, const char *name,
    bench_buf_t *out);
static size_t provider_length(const char *head, size_t n);
static void provider_stats(provider_conn_t *c);


int
provider_spec(provider_spec_t *spec, const char *text)
{
    char             copy[512], *word, *value, *save;
    size_t           i;
    provider_spec_t  s;

    struct {
        const char  *name;
        int         *value;
    } keys[] = {
        { "chunks", &s.chunks },
        { "bytes", &s.bytes },
        { "first", &s.first },
        { "gap", &s.gap },
        { "stamp", &s.stamp },
        { "stall", &s.stall },
        { "wrong", &s.wrong }
    };

    s = *spec;
    snprintf(copy, sizeof(copy), "%s", text);

    for (word = strtok_r(copy, ",", &save);
         word;
         word = strtok_r(NULL, ",", &save))
    {
        value = strchr(word, '=');

        if (value == NULL) {
            return -1;
        }

        *value++ = '\0';

        for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            if (strcmp(word, keys[i].name) == 0) {
                *keys[i].value = atoi(value);
                break;
            }
        }

        if (i == sizeof(keys) / sizeof(keys[0])) {
            return -1;
        }
    }

    if (s.chunks < 1 || s.bytes < 1 || s.bytes > BENCH_MAX_CHUNK
        || (s.stamp && s.bytes <= BENCH_STAMP) || s.first < 0 || s.gap < 0)
    {
        return -1;
    }

    *spec = s;

    return 0;
}


int
provider_request(provider_conn_t *c)
{
    size_t       n, hlen, blen;
    const char  *p, *end, *uri;

    n = bench_buf_used(&c->in);
    p = bench_buf_head(&c->in);
    end = n ? memmem(p, n, "\r\n\r\n", 4) : NULL;

    if (end == NULL) {
        return n > PROVIDER_MAX_HEAD ? -1 : 0;
    }

    hlen = (size_t) (end - p) + 4;
    blen = provider_length(p, hlen);

    if (blen > PROVIDER_MAX_BODY) {
        return -1;
    }

    if (n - hlen < blen) {
        return 0;
    }

    uri = memchr(p, ' ', hlen);

    if (uri == NULL) {
        return -1;
    }

    uri++;

    c->busy = 1;
    c->chat = 0;
    c->counted = 0;
    c->started = 0;
    c->finished = 0;
    c->stalled = 0;
    c->next = 0;
    c->spec = provider_answers;
    c->begin = bench_now();

    if (strncmp(uri, "/stats ", 7) == 0) {
        provider_stats(c);

    } else if (strncmp(uri, "/reset ", 7) == 0) {
        n = provider_counts.in_flight;
        memset(&provider_counts, 0, sizeof(provider_stats_t));
        provider_counts.in_flight = (unsigned) n;
        provider_counts.peak = (unsigned) n;
        provider_respond(c, 200, "{}");

    } else if (strncmp(uri, "/set?", 5) == 0) {
        char             text[512];
        provider_spec_t  spec = provider_answers;

        snprintf(text, sizeof(text), "%.*s",
                 (int) strcspn(uri + 5, " \r\n"), uri + 5);

        if (provider_spec(&spec, text)) {
            provider_respond(c, 400, "{}");

        } else {
            provider_answers = spec;
            provider_respond(c, 200, "{}");
        }

    } else {
        provider_answer(c, p + hlen, blen, strncmp(uri, "/chat ", 6) == 0);
    }

    bench_buf_eat(&c->in, hlen + blen);

    return 1;
}


static void
provider_answer(provider_conn_t *c, const char *body, size_t n, int chat)
{
    bench_json_t        j;
    static bench_buf_t  question;

    provider_counts.total++;

    j.pos = body;
    j.last = body + n;
    bench_buf_clear(&question);

    if (provider_question(&j, chat ? "question" : "content", &question)
        || bench_json_end(&j) || bench_buf_used(&question) == 0)
    {
        provider_counts.bad++;
        provider_respond(c, 400, "{\"error\":{\"message\":\"bad request\"}}");
        return;
    }

    c->chat = chat ? 1 : 0;
    c->counted = 1;
    c->seed = bench_seed(bench_buf_head(&question), bench_buf_used(&question));

    if (++provider_counts.in_flight > provider_counts.peak) {
        provider_counts.peak = provider_counts.in_flight;
    }
}


/* the last string of this name, at any depth */

static int
provider_question(bench_json_t *j, const char *name, bench_buf_t *out)
{
    int   rc, first;
    char  key[16];

    first = 1;

    switch (bench_json_peek(j)) {

    case '{':
        while ((rc = bench_json_key(j, &first, key, sizeof(key))) == 1) {

            if (strcmp(key, name) == 0 && bench_json_peek(j) == '"') {
                bench_buf_clear(out);
                rc = bench_json_string(j, out);

            } else {
                rc = provider_question(j, name, out);
            }

            if (rc) {
                return -1;
            }
        }

        return rc;

    case '[':
        while ((rc = bench_json_elem(j, &first)) == 1) {
            if (provider_question(j, name, out)) {
                return -1;
            }
        }

        return rc;

    default:
        return bench_json_skip(j);
    }
}


static size_t
provider_length(const char *head, size_t n)
{
    const char  *p, *last;

    static const char  name[] = "\nContent-Length:";

    last = head + n - sizeof(name);

    for (p = head; p < last; p++) {
        if (*p == '\n' && strncasecmp(p, name, sizeof(name) - 1) == 0) {
            return strtoul(p + sizeof(name) - 1, NULL, 10);
        }
    }

    return 0;
}


static void
provider_stats(provider_conn_t *c)
{
    char  body[256];

    snprintf(body, sizeof(body), "{\"total\":%lu,\"completed\":%lu,"
             "\"bad\":%lu,\"in_flight\":%u,\"peak\":%u}",
             provider_counts.total, provider_counts.completed,
             provider_counts.bad, provider_counts.in_flight,
             provider_counts.peak);

    provider_respond(c, 200, body);
}
