
#define _GNU_SOURCE

#include "provider.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define PROVIDER_EVENTS  512


static void provider_run(provider_conn_t *c);


static int                provider_epoll;
static provider_conn_t   *provider_closed;

/* a heap: the first is due first */
static provider_conn_t  **provider_timers;
static int                provider_ntimers;
static int                provider_mtimers;


static void
provider_timer_put(int i, provider_conn_t *c)
{
    provider_timers[i] = c;
    c->timer = i + 1;
}


static void
provider_timer_up(int i)
{
    provider_conn_t  *c;

    c = provider_timers[i];

    while (i > 0 && provider_timers[(i - 1) / 2]->due > c->due) {
        provider_timer_put(i, provider_timers[(i - 1) / 2]);
        i = (i - 1) / 2;
    }

    provider_timer_put(i, c);
}


static void
provider_timer_down(int i)
{
    int               k;
    provider_conn_t  *c;

    c = provider_timers[i];

    for ( ;; ) {
        k = 2 * i + 1;

        if (k >= provider_ntimers) {
            break;
        }

        if (k + 1 < provider_ntimers
            && provider_timers[k + 1]->due < provider_timers[k]->due)
        {
            k++;
        }

        if (provider_timers[k]->due >= c->due) {
            break;
        }

        provider_timer_put(i, provider_timers[k]);
        i = k;
    }

    provider_timer_put(i, c);
}


static void
provider_timer_del(provider_conn_t *c)
{
    int  i;

    if (c->timer == 0) {
        return;
    }

    i = c->timer - 1;
    c->timer = 0;
    provider_ntimers--;

    if (i == provider_ntimers) {
        return;
    }

    provider_timer_put(i, provider_timers[provider_ntimers]);
    provider_timer_down(i);
    provider_timer_up(provider_timers[i]->timer - 1);
}


static void
provider_timer_add(provider_conn_t *c, uint64_t due)
{
    provider_timer_del(c);

    if (provider_ntimers == provider_mtimers) {
        provider_mtimers = provider_mtimers ? provider_mtimers * 2 : 1024;
        provider_timers = realloc(provider_timers, (size_t) provider_mtimers
                                                   * sizeof(provider_conn_t *));

        if (provider_timers == NULL) {
            bench_die("out of memory");
        }
    }

    c->due = due;
    provider_timer_put(provider_ntimers, c);
    provider_ntimers++;
    provider_timer_up(provider_ntimers - 1);
}


static void
provider_interest(provider_conn_t *c, uint32_t events)
{
    struct epoll_event  ee;

    if (c->events == events) {
        return;
    }

    c->events = events;
    ee.events = events;
    ee.data.ptr = c;
    epoll_ctl(provider_epoll, EPOLL_CTL_MOD, c->fd, &ee);
}


static void
provider_end(provider_conn_t *c)
{
    c->busy = 0;

    if (c->counted) {
        c->counted = 0;
        provider_counts.in_flight--;
    }
}


/* freed behind the events that are at hand */

static void
provider_close(provider_conn_t *c)
{
    provider_timer_del(c);
    provider_end(c);

    close(c->fd);
    c->fd = -1;

    bench_buf_free(&c->in);
    bench_buf_free(&c->out);
    bench_buf_free(&c->text);

    c->next_closed = provider_closed;
    provider_closed = c;
}


/* 1: all is sent, 0: not yet, -1: closed */

static int
provider_send(provider_conn_t *c)
{
    ssize_t  n;

    while (bench_buf_used(&c->out)) {
        n = send(c->fd, bench_buf_head(&c->out), bench_buf_used(&c->out), 0);

        if (n == -1) {
            if (errno == EAGAIN) {
                provider_timer_del(c);
                provider_interest(c, EPOLLIN | EPOLLOUT);
                return 0;
            }

            provider_close(c);
            return -1;
        }

        bench_buf_eat(&c->out, (size_t) n);
    }

    provider_interest(c, EPOLLIN);

    return 1;
}


static void
provider_run(provider_conn_t *c)
{
    int       rc;
    uint64_t  due;

    for ( ;; ) {

        if (!c->busy) {
            rc = provider_request(c);

            if (rc == -1) {
                provider_close(c);
            }

            if (rc != 1) {
                return;
            }
        }

        due = provider_generate(c);

        if (provider_send(c) != 1 || c->stalled) {
            return;
        }

        if (c->finished) {
            provider_counts.completed += c->counted;
            provider_end(c);
            continue;
        }

        if (due) {
            provider_timer_add(c, due);
            return;
        }
    }
}


static void
provider_read(provider_conn_t *c)
{
    ssize_t  n;

    for ( ;; ) {
        bench_buf_reserve(&c->in, 4096);
        n = recv(c->fd, c->in.start + c->in.last, c->in.size - c->in.last, 0);

        if (n == -1 && errno == EAGAIN) {
            break;
        }

        if (n <= 0) {
            provider_close(c);
            return;
        }

        c->in.last += (size_t) n;
    }

    if (!c->busy) {
        provider_run(c);
    }
}


static void
provider_accept(int lfd)
{
    int                 fd, one;
    provider_conn_t    *c;
    struct epoll_event  ee;

    one = 1;

    for ( ;; ) {
        fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);

        if (fd == -1) {
            return;
        }

        c = calloc(1, sizeof(provider_conn_t));

        if (c == NULL) {
            bench_die("out of memory");
        }

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(int));

        c->fd = fd;
        c->events = EPOLLIN;
        ee.events = EPOLLIN;
        ee.data.ptr = c;
        epoll_ctl(provider_epoll, EPOLL_CTL_ADD, fd, &ee);
    }
}


static void
provider_timers_run(void)
{
    uint64_t          now;
    provider_conn_t  *c;

    now = bench_now();

    while (provider_ntimers && provider_timers[0]->due <= now) {
        c = provider_timers[0];
        provider_timer_del(c);
        provider_run(c);
    }

    while (provider_closed) {
        c = provider_closed;
        provider_closed = c->next_closed;
        free(c);
    }
}


static int
provider_listen(int port)
{
    int                 fd, one;
    struct sockaddr_in  sin;
    struct epoll_event  ee;

    one = 1;
    memset(&sin, 0, sizeof(struct sockaddr_in));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(int));

    if (bind(fd, (struct sockaddr *) &sin, sizeof(struct sockaddr_in)) == -1
        || listen(fd, 4096) == -1)
    {
        bench_die("port %d: %s", port, strerror(errno));
    }

    provider_epoll = epoll_create1(EPOLL_CLOEXEC);
    ee.events = EPOLLIN;
    ee.data.ptr = NULL;
    epoll_ctl(provider_epoll, EPOLL_CTL_ADD, fd, &ee);

    return fd;
}


int
main(int argc, char **argv)
{
    int                 i, n, lfd;
    uint64_t            now, wait;
    struct timespec     ts, *timeout;
    provider_conn_t    *c;
    struct epoll_event  events[PROVIDER_EVENTS];

    if (argc != 2) {
        bench_die("usage: %s PORT", argv[0]);
    }

    bench_process();
    lfd = provider_listen(atoi(argv[1]));

    for ( ;; ) {
        timeout = NULL;

        if (provider_ntimers) {
            now = bench_now();
            wait = provider_timers[0]->due > now
                   ? provider_timers[0]->due - now : 0;
            ts.tv_sec = (time_t) (wait / 1000000000);
            ts.tv_nsec = (long) (wait % 1000000000);
            timeout = &ts;
        }

        n = epoll_pwait2(provider_epoll, events, PROVIDER_EVENTS, timeout,
                         NULL);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (c == NULL) {
                provider_accept(lfd);
                continue;
            }

            if (c->fd != -1 && events[i].events & ~(uint32_t) EPOLLOUT) {
                provider_read(c);
            }

            if (c->fd != -1 && events[i].events & EPOLLOUT) {
                provider_run(c);
            }
        }

        provider_timers_run();
    }
}
