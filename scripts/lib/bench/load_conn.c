
#define _GNU_SOURCE

#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>


static int
load_more(void)
{
    if (load_options.requests
        && load_results.started >= load_options.requests)
    {
        return 0;
    }

    return load_options.seconds == 0 || bench_now() < load_results.deadline;
}


static void
load_interest(load_conn_t *c, uint32_t events, int op)
{
    struct epoll_event  ee;

    ee.events = events;
    ee.data.ptr = c;
    epoll_ctl(load_epoll, op, c->fd, &ee);
}


static void
load_drop(load_conn_t *c)
{
    if (c->fd != -1) {
        close(c->fd);
        c->fd = -1;
    }
}


void
load_end(load_conn_t *c, load_fault_e fault)
{
    uint64_t  now;

    now = bench_now();

    if (fault == LOAD_OK) {
        fault = c->fault != LOAD_OK ? c->fault
                : c->ended ? LOAD_OK : LOAD_NO_END;
    }

    if (fault == LOAD_CLOSED || fault == LOAD_TIMEOUT
        || fault == LOAD_NO_END)
    {
        load_log(c, "lost");
    }

    load_results.end = now;
    load_results.done++;
    load_results.faults[fault]++;

    if (fault == LOAD_OK) {
        load_sample(&load_results.first_byte, c->first_byte - c->begin);
        load_sample(&load_results.total, now - c->begin);

        if (c->first_chunk) {
            load_sample(&load_results.first_chunk, c->first_chunk - c->begin);
        }

        if (load_options.seconds == 0 || now <= load_results.deadline) {
            load_results.in_time++;
        }
    }

    if (fault != LOAD_OK || c->close) {
        load_drop(c);
    }

    c->state = LOAD_IDLE;
    load_next(c);
}


static void
load_request(load_conn_t *c)
{
    size_t              n;
    uint64_t            i;
    const char         *p;
    static bench_buf_t  question, body;

    bench_buf_clear(&c->out);

    if (load_options.mode == LOAD_RAW) {
        bench_buf_printf(&c->out, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
                         load_options.path, load_options.host);
        return;
    }

    i = load_options.questions ? c->number % load_options.questions
                               : c->number;
    p = strstr(load_options.question, "{i}");
    n = p ? (size_t) (p - load_options.question)
          : strlen(load_options.question);

    bench_buf_clear(&question);
    bench_buf_add(&question, load_options.question, n);

    if (p) {
        bench_buf_printf(&question, "%llu%s", (unsigned long long) i, p + 3);
    }

    c->seed = bench_seed(bench_buf_head(&question), bench_buf_used(&question));

    bench_buf_clear(&body);
    bench_buf_str(&body, load_options.mode == LOAD_CHAT
                  ? "{\"question\": \""
                  : "{\"model\":\"bench\",\"stream\":true,\"messages\":["
                    "{\"role\":\"user\",\"content\":\"");
    bench_buf_add(&body, bench_buf_head(&question), bench_buf_used(&question));
    bench_buf_str(&body, load_options.mode == LOAD_CHAT
                  ? "\", \"use_cache\": true}" : "\"}]}");

    bench_buf_printf(&c->out, "POST %s HTTP/1.1\r\nHost: %s\r\n"
                     "Content-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     load_options.path, load_options.host,
                     bench_buf_used(&body));
    bench_buf_add(&c->out, bench_buf_head(&body), bench_buf_used(&body));
}


static void
load_send(load_conn_t *c)
{
    ssize_t  n;

    while (bench_buf_used(&c->out)) {
        n = send(c->fd, bench_buf_head(&c->out), bench_buf_used(&c->out), 0);

        if (n == -1) {
            if (errno == EAGAIN) {
                load_interest(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
                return;
            }

            load_end(c, LOAD_CLOSED);
            return;
        }

        bench_buf_eat(&c->out, (size_t) n);
    }

    c->state = LOAD_HEAD;
    load_interest(c, EPOLLIN, EPOLL_CTL_MOD);
}


static void
load_connect(load_conn_t *c)
{
    int  one;

    one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (c->fd == -1) {
        bench_die("socket: %s", strerror(errno));
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(int));

    load_results.connections++;
    c->reused = 0;
    bench_buf_clear(&c->in);

    if (connect(c->fd, (struct sockaddr *) &load_options.addr,
                sizeof(struct sockaddr_in)) == -1
        && errno != EINPROGRESS)
    {
        load_end(c, LOAD_CONNECT);
        return;
    }

    c->state = LOAD_CONNECTING;
    load_interest(c, EPOLLOUT, EPOLL_CTL_ADD);
}


static void
load_begin(load_conn_t *c)
{
    c->fault = LOAD_OK;
    c->close = 0;
    c->chunked = 0;
    c->counted = 0;
    c->ended = 0;
    c->chunks = 0;
    c->left = 0;
    c->matched = 0;
    c->framing = 0;
    c->first_byte = 0;
    c->first_chunk = 0;
    bench_buf_clear(&c->line);
    bench_buf_clear(&c->text);

    load_request(c);

    c->begin = bench_now();

    if (c->fd == -1) {
        load_connect(c);
        return;
    }

    c->reused = 1;
    c->state = LOAD_SENDING;
    load_send(c);
}


void
load_next(load_conn_t *c)
{
    static int  depth;

    if (!load_more()) {
        load_drop(c);
        c->state = LOAD_DONE;
        return;
    }

    if (depth > 4) {

        /* refused over and over */

        c->state = LOAD_IDLE;
        c->start_at = bench_now() + 10000000;
        return;
    }

    c->number = load_results.started++;
    c->retried = 0;

    depth++;
    load_begin(c);
    depth--;
}


/* 1: it is there, 0: not yet, -1: that is no HTTP */

static int
load_head(load_conn_t *c)
{
    int          stream;
    size_t       n;
    const char  *p, *end, *line;

    n = bench_buf_used(&c->in);
    p = bench_buf_head(&c->in);
    end = memmem(p, n, "\r\n\r\n", 4);

    if (end == NULL) {
        return n > LOAD_READ ? -1 : 0;
    }

    if (n < 12 || memcmp(p, "HTTP/1.1 ", 9) != 0) {
        return -1;
    }

    if (memcmp(p + 9, "200", 3) != 0) {
        c->fault = LOAD_STATUS;
    }

    stream = 0;

    for (line = memchr(p, '\n', n);
         line && line < end;
         line = memchr(line, '\n', n - (size_t) (line - p)))
    {
        line++;

        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            c->counted = 1;
            c->left = strtoull(line + 15, NULL, 10);

        } else if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0) {
            c->chunked = 1;

        } else if (strncasecmp(line, "Connection: close", 17) == 0) {
            c->close = 1;

        } else if (strncasecmp(line, "Content-Type: text/event-stream", 31)
                   == 0)
        {
            stream = 1;

        } else if (strncasecmp(line, "Cache-Status: ngx_chat; hit", 27) == 0) {
            load_results.hits++;
            load_results.zone += memmem(line, strcspn(line, "\r"),
                                        "detail=zone", 11) != NULL;
        }
    }

    if (!stream && c->fault == LOAD_OK) {
        c->fault = LOAD_TYPE;
    }

    if (!c->counted && !c->chunked) {
        c->close = 1;
    }

    bench_buf_eat(&c->in, (size_t) (end - p) + 4);

    return 1;
}


static int
load_body_counted(load_conn_t *c)
{
    size_t  n;

    n = bench_buf_used(&c->in);

    if (c->counted && n > c->left) {
        n = (size_t) c->left;
    }

    load_check(c, bench_buf_head(&c->in), n);
    bench_buf_eat(&c->in, n);

    if (!c->counted) {
        return 0;
    }

    c->left -= n;

    return c->left == 0;
}


/* 1: the body has ended, 0: not yet, -1: that is no HTTP */

static int
load_body_chunked(load_conn_t *c)
{
    char        *end;
    size_t       n;
    const char  *p, *nl;

    enum {
        sw_size = 0,
        sw_data,
        sw_data_end,
        sw_trailer
    };

    for ( ;; ) {
        n = bench_buf_used(&c->in);
        p = bench_buf_head(&c->in);

        if (n == 0) {
            return 0;
        }

        if (c->framing == sw_data) {
            n = n < c->left ? n : (size_t) c->left;
            load_check(c, p, n);
            bench_buf_eat(&c->in, n);
            c->left -= n;

            if (c->left == 0) {
                c->framing = sw_data_end;
            }

            continue;
        }

        nl = memchr(p, '\n', n);

        if (nl == NULL) {
            return n > 1024 ? -1 : 0;
        }

        bench_buf_eat(&c->in, (size_t) (nl - p) + 1);

        switch (c->framing) {

        case sw_size:
            c->left = strtoull(p, &end, 16);

            if (end == p) {
                return -1;
            }

            c->framing = c->left ? sw_data : sw_trailer;
            break;

        case sw_data_end:
            c->framing = sw_size;
            break;

        default: /* sw_trailer */
            if (nl - p <= 1) {
                return 1;
            }
        }
    }
}


/* 1: the request has ended */

static int
load_process(load_conn_t *c)
{
    int  rc;

    if (c->first_byte == 0) {
        c->first_byte = bench_now();
    }

    if (c->state == LOAD_HEAD) {
        rc = load_head(c);

        if (rc == 0) {
            return 0;
        }

        if (rc == -1) {
            load_end(c, LOAD_HTTP);
            return 1;
        }

        c->state = LOAD_BODY;
    }

    rc = c->chunked ? load_body_chunked(c) : load_body_counted(c);

    if (rc) {
        load_end(c, rc == 1 ? LOAD_OK : LOAD_HTTP);
    }

    return rc;
}


static void
load_read(load_conn_t *c)
{
    ssize_t  n;

    for ( ;; ) {
        bench_buf_reserve(&c->in, LOAD_READ);
        n = recv(c->fd, c->in.start + c->in.last, LOAD_READ, 0);

        if (n == -1 && errno == EAGAIN) {
            return;
        }

        if (n <= 0) {
            break;
        }

        c->in.last += (size_t) n;

        if (load_process(c) || n < LOAD_READ) {
            return;
        }
    }

    if (n == 0 && c->state == LOAD_BODY && !c->chunked && !c->counted) {
        load_end(c, LOAD_OK);

    } else if (c->state == LOAD_HEAD && c->reused && !c->retried
               && bench_buf_used(&c->in) == 0)
    {
        /* an idle connection that was closed meanwhile */

        c->retried = 1;
        load_drop(c);
        load_begin(c);

    } else {
        load_end(c, c->fault != LOAD_OK ? c->fault : LOAD_CLOSED);
    }
}


void
load_event(load_conn_t *c, uint32_t events)
{
    int        err;
    socklen_t  len;

    switch (c->state) {

    case LOAD_CONNECTING:
        len = sizeof(int);
        err = 0;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);

        if (err) {
            load_drop(c);
            load_end(c, LOAD_CONNECT);
            return;
        }

        c->state = LOAD_SENDING;
        load_send(c);
        break;

    case LOAD_SENDING:
        if (events & EPOLLOUT) {
            load_send(c);
        }

        break;

    case LOAD_HEAD:
    case LOAD_BODY:
        load_read(c);
        break;

    default:
        break;
    }
}
