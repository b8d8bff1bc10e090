
#define _GNU_SOURCE

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>


#define LOAD_EVENTS  512


load_options_t  load_options = { .connections = 1, .timeout = 60,
                                 .question = "{i}", .chunks = 50,
                                 .bytes = 20 };
load_results_t  load_results;
int             load_epoll;

static load_conn_t  *load_conns;
static FILE         *load_log_file;


void
load_log(load_conn_t *c, const char *kind)
{
    if (load_log_file) {
        fprintf(load_log_file, "%d %llu %s\n", (int) (c - load_conns),
                (unsigned long long) bench_now(), kind);
    }
}


/* late starts, timeouts; whether there is more to do */

static int
load_tick(uint64_t now)
{
    int           i, live;
    load_conn_t  *c;

    live = 0;

    for (i = 0; i < load_options.connections; i++) {
        c = &load_conns[i];

        if (c->state == LOAD_IDLE) {
            if (now >= c->start_at) {
                load_next(c);
            }

        } else if (c->state != LOAD_DONE && now > c->begin
                   && now - c->begin > (uint64_t) (load_options.timeout * 1e9))
        {
            load_end(c, LOAD_TIMEOUT);
        }

        live |= c->state != LOAD_DONE;
    }

    return live;
}


static void
load_url(const char *url)
{
    int   port;
    char  path[2];

    path[0] = '\0';

    if (sscanf(url, "http://127.0.0.1:%d%1[/]", &port, path) != 2) {
        bench_die("not http://127.0.0.1:PORT/PATH: %s", url);
    }

    load_options.addr.sin_family = AF_INET;
    load_options.addr.sin_port = htons((uint16_t) port);
    load_options.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load_options.path = strchr(url + 7, '/');
    snprintf(load_options.host, sizeof(load_options.host), "127.0.0.1:%d",
             port);
}


static void
load_expect(const char *name)
{
    FILE         *f;
    size_t        n;
    bench_buf_t   b;

    f = fopen(name, "r");

    if (f == NULL) {
        bench_die("%s: %s", name, strerror(errno));
    }

    memset(&b, 0, sizeof(bench_buf_t));

    do {
        bench_buf_reserve(&b, LOAD_READ);
        n = fread(b.start + b.last, 1, LOAD_READ, f);
        b.last += n;
    } while (n);

    fclose(f);

    load_options.expected = b.start;
    load_options.nexpected = b.last;
}


static void
load_usage(void)
{
    fputs("usage: load [options] http://127.0.0.1:PORT/PATH\n"
          "  -m MODE     chat (this module's events), openai, raw\n"
          "  -c N        connections\n"
          "  -n N        requests; without -n and -d one a connection\n"
          "  -d SECONDS  as many as fit\n"
          "  -q TEXT     the question, with {i} for the request's number\n"
          "  -k N        that number modulo N\n"
          "  -r SECONDS  connections begin over so long a time\n"
          "  -T SECONDS  the longest time of an answer\n"
          "  -e N        each answer has so many chunks\n"
          "  -b N        of so many bytes\n"
          "  -L          which begin with the time\n"
          "  -x FILE     what a raw answer is\n"
          "  -l FILE     a line for each event: connection, time, kind\n",
          stderr);
    exit(2);
}


static void
load_parse(int argc, char **argv)
{
    int              opt;
    load_options_t  *o;

    o = &load_options;

    while ((opt = getopt(argc, argv, "m:c:n:d:q:k:r:T:e:b:Lx:l:")) != -1) {

        switch (opt) {

        case 'm':
            o->mode = strcmp(optarg, "openai") == 0 ? LOAD_OPENAI
                      : strcmp(optarg, "raw") == 0 ? LOAD_RAW : LOAD_CHAT;
            break;

        case 'c':
            o->connections = atoi(optarg);
            break;

        case 'n':
            o->requests = strtoull(optarg, NULL, 10);
            break;

        case 'd':
            o->seconds = atof(optarg);
            break;

        case 'q':
            o->question = optarg;
            break;

        case 'k':
            o->questions = strtoull(optarg, NULL, 10);
            break;

        case 'r':
            o->ramp = atof(optarg);
            break;

        case 'T':
            o->timeout = atof(optarg);
            break;

        case 'e':
            o->chunks = atoi(optarg);
            break;

        case 'b':
            o->bytes = atoi(optarg);
            break;

        case 'L':
            o->stamps = 1;
            break;

        case 'x':
            load_expect(optarg);
            break;

        case 'l':
            o->log = optarg;
            break;

        default:
            load_usage();
        }
    }

    if (optind != argc - 1 || o->connections < 1 || o->bytes < 1
        || o->bytes > BENCH_MAX_CHUNK
        || (o->stamps && o->bytes <= BENCH_STAMP)
        || (o->mode == LOAD_RAW && o->expected == NULL))
    {
        load_usage();
    }

    load_url(argv[optind]);

    if (o->requests == 0 && o->seconds == 0) {
        o->requests = (uint64_t) o->connections;
    }
}


static void
load_start(void)
{
    int       i;
    uint64_t  now;

    load_epoll = epoll_create1(EPOLL_CLOEXEC);
    load_conns = calloc((size_t) load_options.connections,
                        sizeof(load_conn_t));

    if (load_conns == NULL) {
        bench_die("out of memory");
    }

    if (load_options.log) {
        load_log_file = fopen(load_options.log, "w");

        if (load_log_file == NULL) {
            bench_die("%s: %s", load_options.log, strerror(errno));
        }
    }

    now = bench_now();
    load_results.begin = now;
    load_results.end = now;
    load_results.deadline = now + (uint64_t) (load_options.seconds * 1e9);

    for (i = 0; i < load_options.connections; i++) {
        load_conns[i].fd = -1;
        load_conns[i].start_at = now
            + (uint64_t) (load_options.ramp * 1e9 * i
                          / load_options.connections);
    }
}


int
main(int argc, char **argv)
{
    int                 i, n;
    uint64_t            now, tick;
    load_conn_t        *c;
    struct epoll_event  events[LOAD_EVENTS];

    load_parse(argc, argv);
    bench_process();
    load_start();

    tick = 0;

    for ( ;; ) {
        now = bench_now();

        if (now >= tick) {
            tick = now + (load_options.ramp > 0 ? 1000000 : 20000000);

            if (!load_tick(now)) {
                break;
            }
        }

        n = epoll_wait(load_epoll, events, LOAD_EVENTS,
                       load_options.ramp > 0 ? 1 : 20);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (c->fd != -1) {
                load_event(c, events[i].events);
            }
        }
    }

    if (load_log_file) {
        fclose(load_log_file);
    }

    load_report();

    return load_results.done == load_results.faults[LOAD_OK] ? 0 : 1;
}
