
/*
 * The load generator of scripts/bench: so many connections, each with one
 * request at a time, and every answer checked to the byte.
 */

#ifndef _LOAD_H_INCLUDED_
#define _LOAD_H_INCLUDED_


#include "bench.h"

#include <netinet/in.h>


#define LOAD_READ  65536


typedef enum {
    LOAD_CHAT = 0,                       /* events of this module */
    LOAD_OPENAI,                         /* chunks of a chat completion */
    LOAD_RAW                             /* the bytes of a file */
} load_mode_e;


/* a request has failed for one of these; see load_fault_name() */

typedef enum {
    LOAD_OK = 0,
    LOAD_CONNECT,
    LOAD_CLOSED,
    LOAD_TIMEOUT,
    LOAD_HTTP,
    LOAD_STATUS,
    LOAD_TYPE,
    LOAD_JSON,
    LOAD_EVENT,
    LOAD_WRONG_TEXT,
    LOAD_WRONG_WHOLE,
    LOAD_WRONG_COUNT,
    LOAD_NO_END,
    LOAD_ERROR_EVENT,
    LOAD_FAULTS
} load_fault_e;


typedef enum {
    LOAD_IDLE = 0,
    LOAD_CONNECTING,
    LOAD_SENDING,
    LOAD_HEAD,
    LOAD_BODY,
    LOAD_DONE
} load_state_e;


typedef struct {
    int                  fd;
    load_state_e         state;
    load_fault_e         fault;

    bench_buf_t          in;
    bench_buf_t          out;
    bench_buf_t          line;           /* of an event that is not whole */
    bench_buf_t          text;           /* of the chunks so far */

    uint64_t             number;         /* of the request */
    uint32_t             seed;
    unsigned             chunks;
    uint64_t             left;           /* of the body, or of its chunk */
    size_t               matched;        /* bytes of a raw answer */
    int                  framing;

    uint64_t             start_at;
    uint64_t             begin;
    uint64_t             first_byte;
    uint64_t             first_chunk;

    unsigned             reused:1;
    unsigned             retried:1;
    unsigned             close:1;
    unsigned             chunked:1;
    unsigned             counted:1;
    unsigned             ended:1;
} load_conn_t;


typedef struct {
    struct sockaddr_in   addr;
    char                 host[64];
    const char          *path;
    load_mode_e          mode;
    int                  connections;
    uint64_t             requests;
    double               seconds;
    double               timeout;
    double               ramp;
    const char          *question;
    uint64_t             questions;      /* different ones; 0: all are */
    int                  chunks;
    int                  bytes;
    int                  stamps;
    const char          *expected;
    size_t               nexpected;
    const char          *log;            /* of events */
} load_options_t;


typedef struct {
    uint64_t            *values;
    size_t               n;
    size_t               size;
} load_samples_t;


typedef struct {
    uint64_t             started;
    uint64_t             done;
    uint64_t             faults[LOAD_FAULTS];
    uint64_t             in_time;        /* answers before the deadline */
    uint64_t             connections;
    uint64_t             chunks;
    uint64_t             restarts;
    uint64_t             hits;           /* by Cache-Status */
    uint64_t             zone;
    uint64_t             begin;
    uint64_t             deadline;
    uint64_t             end;

    load_samples_t       first_byte;
    load_samples_t       first_chunk;
    load_samples_t       total;
    load_samples_t       latency;        /* of chunks, by their stamps */
} load_results_t;


void load_sample(load_samples_t *s, uint64_t value);
void load_report(void);
const char *load_fault_name(load_fault_e fault);

/* the next request of a connection, if there is one */
void load_next(load_conn_t *c);

/* the way out of a request */
void load_end(load_conn_t *c, load_fault_e fault);

void load_event(load_conn_t *c, uint32_t events);

/* bytes of a body, in pieces as they come */
void load_check(load_conn_t *c, const char *p, size_t n);

/* kind: what "-l" says of an event */
void load_log(load_conn_t *c, const char *kind);


extern load_options_t    load_options;
extern load_results_t    load_results;
extern int               load_epoll;


#endif /* _LOAD_H_INCLUDED_ */
