
/*
 * The provider of scripts/bench: chat completions of known text at a known
 * pace, as many at once as there are files.
 *
 *     POST .../chat/completions    a stream of chunks, as OpenAI's
 *     POST /chat                   the same answer as this module's clients
 *                                  get it, made up at once: what the load
 *                                  generator itself can take
 *     GET /set?KEY=VALUE,...       how answers are, from now on
 *     GET /reset                   forget what was counted
 *     GET /stats                   what was counted, as JSON
 */

#ifndef _PROVIDER_H_INCLUDED_
#define _PROVIDER_H_INCLUDED_


#include "bench.h"


#define PROVIDER_NEVER  UINT64_MAX


typedef struct {
    int                chunks;
    int                bytes;
    int                first;            /* ms to the first chunk */
    int                gap;              /* ms from one to the next */
    int                stamp;            /* chunks begin with their time */
    int                stall;            /* no more from this chunk on */
    int                wrong;            /* a wrong byte in this one */
} provider_spec_t;


typedef struct provider_conn_s  provider_conn_t;

struct provider_conn_s {
    int                fd;
    uint32_t           events;
    bench_buf_t        in;
    bench_buf_t        out;

    bench_buf_t        text;             /* of a "/chat", to repeat it */
    provider_spec_t    spec;
    uint32_t           seed;
    uint64_t           begin;
    int                next;             /* chunk */

    uint64_t           due;
    int                timer;            /* place + 1, or 0 */

    provider_conn_t   *next_closed;

    unsigned           busy:1;
    unsigned           chat:1;
    unsigned           counted:1;        /* as a generation */
    unsigned           started:1;
    unsigned           finished:1;
    unsigned           stalled:1;
};


typedef struct {
    unsigned long      total;
    unsigned long      completed;
    unsigned long      bad;
    unsigned           in_flight;
    unsigned           peak;
} provider_stats_t;


/* makes what is due; when the next piece is, or PROVIDER_NEVER */
uint64_t provider_generate(provider_conn_t *c);

void provider_respond(provider_conn_t *c, int status, const char *body);

/* takes a request: 0 if it is not there yet, -1 if it cannot be one */
int provider_request(provider_conn_t *c);

int provider_spec(provider_spec_t *spec, const char *text);


extern provider_spec_t   provider_answers;
extern provider_stats_t  provider_counts;


#endif /* _PROVIDER_H_INCLUDED_ */
