
#include "fake_socket.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>


#define FAKE_SOCKETS  64

/* turns without an end are a fault */
#define FAKE_TURNS    100000


static ngx_int_t fake_add(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags);
static ngx_int_t fake_del(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags);
static ngx_int_t fake_ctl(ngx_connection_t *c, ngx_uint_t was);
static ngx_int_t fake_handle(ngx_event_t *ev, ngx_int_t event);
static ngx_uint_t fake_fails(void);


static int               fake_epoll = -1;
static ngx_uint_t        fake_events;
static ngx_connection_t  fake_connections[FAKE_SOCKETS];
static ngx_event_t       fake_read_events[FAKE_SOCKETS];
static ngx_event_t       fake_write_events[FAKE_SOCKETS];

ngx_uint_t               fake_socket_fail;

ngx_uint_t               ngx_event_flags;
ngx_event_actions_t      ngx_event_actions = { .add = fake_add,
                                               .del = fake_del };


void
fake_socket_init(ngx_uint_t edges)
{
    ngx_uint_t  i;

    fake_loop_init();

    ngx_event_flags = edges ? NGX_USE_CLEAR_EVENT : NGX_USE_LEVEL_EVENT;

    for (i = 0; i < FAKE_SOCKETS; i++) {
        fake_connections[i].fd = (ngx_socket_t) -1;
    }

    if (fake_epoll != -1) {
        (void) close(fake_epoll);
    }

    fake_epoll = epoll_create1(EPOLL_CLOEXEC);

    if (fake_epoll == -1) {
        abort();
    }
}


void
fake_socket_run(ngx_msec_t ms)
{
    ngx_int_t   next;
    ngx_uint_t  i;
    ngx_msec_t  until;

    until = ngx_current_msec + ms;

    for (i = 0; i < FAKE_TURNS; i++) {

        if (fake_socket_turn()) {
            continue;
        }

        if (ngx_current_msec == until) {
            return;
        }

        next = fake_loop_next();

        if (next == -1 || ngx_current_msec + next > until) {
            ngx_current_msec = until;
            continue;
        }

        fake_loop_run(next);
    }

    printf("Bail out! events without an end\n");
    exit(1);
}


ngx_uint_t
fake_socket_turn(void)
{
    int                 i, n;
    uint32_t            revents;
    ngx_uint_t          found;
    ngx_connection_t   *c;
    struct epoll_event  events[FAKE_SOCKETS];

    found = 0;

    fake_loop_move_next();

    n = epoll_wait(fake_epoll, events, FAKE_SOCKETS, 0);

    for (i = 0; i < n; i++) {
        c = events[i].data.ptr;
        revents = events[i].events;

        if (revents & (EPOLLERR|EPOLLHUP)) {
            revents |= EPOLLIN|EPOLLOUT;
        }

        if (c->fd != (ngx_socket_t) -1 && (revents & EPOLLIN)
            && c->read->active)
        {
            c->read->ready = 1;
            c->read->handler(c->read);
            found++;
        }

        if (c->fd != (ngx_socket_t) -1 && (revents & EPOLLOUT)
            && c->write->active)
        {
            c->write->ready = 1;
            c->write->handler(c->write);
            found++;
        }
    }

    found += !ngx_queue_empty(&ngx_posted_events);

    fake_loop_run(0);

    fake_events += found;

    return found;
}


ngx_uint_t
fake_socket_count(void)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < FAKE_SOCKETS; i++) {
        n += (fake_connections[i].fd != (ngx_socket_t) -1);
    }

    return n;
}


ngx_uint_t
fake_socket_events(void)
{
    return fake_events;
}


void
fake_socket_shutdown(void)
{
    ngx_uint_t         i;
    ngx_connection_t  *c;

    for (i = 0; i < FAKE_SOCKETS; i++) {
        c = &fake_connections[i];

        if (c->fd != (ngx_socket_t) -1) {
            c->close = 1;
            c->error = 1;
            c->read->handler(c->read);
        }
    }
}


ngx_uint_t
fake_socket_files(void)
{
    DIR         *dir;
    ngx_uint_t   n;

    dir = opendir("/proc/self/fd");

    if (dir == NULL) {
        abort();
    }

    for (n = 0; readdir(dir); n++) { /* void */ }

    (void) closedir(dir);

    return n;
}


static ngx_uint_t
fake_fails(void)
{
    return fake_socket_fail && --fake_socket_fail == 0;
}


ngx_connection_t *
ngx_get_connection(ngx_socket_t s, ngx_log_t *log)
{
    ngx_uint_t         i;
    ngx_connection_t  *c;

    if (fake_fails()) {
        return NULL;
    }

    for (i = 0; i < FAKE_SOCKETS; i++) {
        c = &fake_connections[i];

        if (c->fd != (ngx_socket_t) -1) {
            continue;
        }

        ngx_memzero(c, sizeof(ngx_connection_t));
        ngx_memzero(&fake_read_events[i], sizeof(ngx_event_t));
        ngx_memzero(&fake_write_events[i], sizeof(ngx_event_t));

        c->fd = s;
        c->log = log;
        c->read = &fake_read_events[i];
        c->write = &fake_write_events[i];

        c->read->data = c;
        c->write->data = c;
        c->write->write = 1;

        return c;
    }

    return NULL;
}


void
ngx_free_connection(ngx_connection_t *c)
{
    /* fd is set to -1 by whoever frees it */
}


void
ngx_close_connection(ngx_connection_t *c)
{
    ngx_socket_t  fd;

    if (c->fd == (ngx_socket_t) -1) {
        abort();
    }

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    fd = c->fd;
    c->fd = (ngx_socket_t) -1;

    if (close(fd) == -1) {
        abort();
    }
}


ngx_int_t
ngx_handle_read_event(ngx_event_t *rev, ngx_uint_t flags)
{
    return fake_handle(rev, NGX_READ_EVENT);
}


ngx_int_t
ngx_handle_write_event(ngx_event_t *wev, size_t lowat)
{
    return fake_handle(wev, NGX_WRITE_EVENT);
}


/* as in nginx: an event of level comes and goes, an edge stays */

static ngx_int_t
fake_handle(ngx_event_t *ev, ngx_int_t event)
{
    if (!ev->active && !ev->ready) {
        return fake_add(ev, event, 0);
    }

    if (ev->active && ev->ready && (ngx_event_flags & NGX_USE_LEVEL_EVENT)) {
        return fake_del(ev, event, 0);
    }

    return NGX_OK;
}


static ngx_int_t
fake_add(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    ngx_uint_t         was;
    ngx_connection_t  *c;

    if (fake_fails()) {
        return NGX_ERROR;
    }

    c = ev->data;
    was = c->read->active || c->write->active;

    ev->active = 1;

    return fake_ctl(c, was);
}


static ngx_int_t
fake_del(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    ngx_uint_t         was;
    ngx_connection_t  *c;

    c = ev->data;
    was = c->read->active || c->write->active;

    ev->active = 0;

    return fake_ctl(c, was);
}


static ngx_int_t
fake_ctl(ngx_connection_t *c, ngx_uint_t was)
{
    int                 op;
    struct epoll_event  ee;

    ee.data.ptr = c;
    ee.events = (c->read->active ? EPOLLIN|EPOLLRDHUP : 0)
                | (c->write->active ? EPOLLOUT : 0);

    if (ee.events == 0) {
        op = EPOLL_CTL_DEL;

    } else {
        op = was ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

        if (ngx_event_flags & NGX_USE_CLEAR_EVENT) {
            ee.events |= EPOLLET;
        }
    }

    return epoll_ctl(fake_epoll, op, c->fd, &ee) == -1 ? NGX_ERROR : NGX_OK;
}
