
#include "ngx_chat_filler.h"
#include "../codec/ngx_chat_key.h"

#include <ngx_event.h>
#include <ngx_channel.h>


#define NGX_CHAT_RESPAWN_MIN    250      /* ms */
#define NGX_CHAT_RESPAWN_MAX    30000

/* a process that lived so long did not die of starting: no respawn delay */
#define NGX_CHAT_RESPAWN_GOOD   1000

#define NGX_CHAT_DRAIN_TICK     1000


typedef struct {
    ngx_chat_filler_conf_t  *conf;
    ngx_cycle_t             *cycle;
    ngx_uint_t               number;
    ngx_pid_t                pid;
    ngx_connection_t        *control;   /* NULL: there is no process */

    /* kept from clients for the next; with a process one file will do */
    ngx_connection_t        *spare;
    ngx_socket_t             spare_fd[2];

    ngx_event_t              timer;     /* respawn, or waiting for the drain */
    ngx_connection_t         dummy;     /* for debug lines about timer */
    ngx_msec_t               started;
    ngx_msec_t               delay;
    u_char                   token[NGX_CHAT_TOKEN_LEN];
    ngx_str_t                predecessor;
    u_char                   room[NGX_CHAT_TOKEN_LEN];
} ngx_chat_supervisor_child_t;


typedef struct {
    ngx_uint_t                    n;
    ngx_chat_supervisor_child_t  *fillers;
} ngx_chat_supervisor_t;


static void ngx_chat_supervisor_spawn(ngx_chat_supervisor_child_t *co);
static ngx_int_t ngx_chat_supervisor_watch(ngx_chat_supervisor_child_t *co,
    ngx_socket_t fd);
static void ngx_chat_supervisor_control_handler(ngx_event_t *rev);
static void ngx_chat_supervisor_reserve(ngx_chat_supervisor_child_t *co,
    ngx_uint_t files);
static void ngx_chat_supervisor_release(ngx_chat_supervisor_child_t *co);
static void ngx_chat_supervisor_drain(ngx_chat_supervisor_child_t *co);
static void ngx_chat_supervisor_gone(ngx_chat_supervisor_child_t *co);
static void ngx_chat_supervisor_respawn_later(ngx_chat_supervisor_child_t *co);
static void ngx_chat_supervisor_timer_handler(ngx_event_t *ev);
static void ngx_chat_supervisor_tell(ngx_chat_supervisor_child_t *co,
    u_char what);
static void ngx_chat_supervisor_reopen(ngx_open_file_t *file, ngx_log_t *log);


/* of worker 0, or of the single process; elsewhere n is 0 */
static ngx_chat_supervisor_t  ngx_chat_supervisor;


ngx_int_t
ngx_chat_supervisor_start(ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle)
{
    ngx_log_t                    *log;
    ngx_uint_t                    i;
    ngx_chat_supervisor_child_t  *co;

    /* helpers such as the cache manager come here too, as worker 0 */

    if (ngx_worker != 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    co = ngx_pcalloc(cycle->pool, fcf->processes
                                  * sizeof(ngx_chat_supervisor_child_t));
    if (co == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_supervisor.n = fcf->processes;
    ngx_chat_supervisor.fillers = co;

    /* log reopening has no hook, but files are flushed before */

    log = ngx_log_get_file_log(cycle->log);

    if (log && log->file && log->file->flush == NULL) {
        log->file->flush = ngx_chat_supervisor_reopen;
    }

    for (i = 0; i < fcf->processes; i++) {
        co[i].conf = fcf;
        co[i].cycle = cycle;
        co[i].number = i;

        co[i].spare_fd[0] = (ngx_socket_t) -1;
        co[i].spare_fd[1] = (ngx_socket_t) -1;

        co[i].dummy.fd = (ngx_socket_t) -1;
        co[i].timer.handler = ngx_chat_supervisor_timer_handler;
        co[i].timer.data = &co[i].dummy;
        co[i].timer.log = cycle->log;
        co[i].dummy.data = &co[i];

        co[i].predecessor.data = co[i].room;

        ngx_chat_supervisor_spawn(&co[i]);
    }

    return NGX_OK;
}


void
ngx_chat_supervisor_stop(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_chat_supervisor_child_t  *co;

    for (i = 0; i < ngx_chat_supervisor.n; i++) {
        co = &ngx_chat_supervisor.fillers[i];

        if (co->timer.timer_set) {
            ngx_del_timer(&co->timer);
        }

        if (co->control) {
            ngx_chat_supervisor_tell(co, NGX_CHAT_CONTROL_TERMINATE);
            ngx_close_connection(co->control);
            co->control = NULL;
        }

        ngx_chat_supervisor_release(co);
    }

    ngx_chat_supervisor.n = 0;
}


static void
ngx_chat_supervisor_spawn(ngx_chat_supervisor_child_t *co)
{
    ngx_fd_t   fd[2];
    ngx_log_t  *log;

    log = co->cycle->log;

    ngx_chat_supervisor_release(co);

    if (ngx_chat_key_random(co->token, NGX_CHAT_TOKEN_LEN) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "no random bits for the chat filler process");
        ngx_chat_supervisor_respawn_later(co);
        return;
    }

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0, fd)
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "socketpair() for the chat filler process failed");
        ngx_chat_supervisor_respawn_later(co);
        return;
    }

    /* first of all, lest it be started in vain */

    if (ngx_chat_supervisor_watch(co, fd[0]) != NGX_OK) {
        ngx_close_channel(fd, log);
        ngx_chat_supervisor_respawn_later(co);
        return;
    }

    /*
     * not ngx_spawn_process(): it takes a slot in the worker's mirror of the
     * master's process table, which is the master's to edit
     */

    co->pid = fork();

    switch (co->pid) {

    case -1:
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "fork() of the chat filler process failed");
        (void) close(fd[1]);
        ngx_close_connection(co->control);
        co->control = NULL;
        ngx_chat_supervisor_respawn_later(co);
        return;

    case 0:
        ngx_chat_supervisor.n = 0;
        ngx_chat_filler_main(co->conf, co->cycle, fd[1], co->number,
                             co->token, &co->predecessor);
        exit(2);

    default:
        break;
    }

    (void) close(fd[1]);

    /* fd[0] will be the other file: closed before the next spawn */
    ngx_chat_supervisor_reserve(co, 1);

    co->started = ngx_current_msec;

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "start chat filler process %P", co->pid);
}


static ngx_int_t
ngx_chat_supervisor_watch(ngx_chat_supervisor_child_t *co, ngx_socket_t fd)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, co->cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = co;
    c->log = co->cycle->log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_chat_supervisor_control_handler;

    /* nginx calls the read handler of idle connections when it is to quit */

    c->idle = 1;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        return NGX_ERROR;
    }

    co->control = c;

    return NGX_OK;
}


static void
ngx_chat_supervisor_control_handler(ngx_event_t *rev)
{
    u_char                        buf[64];
    ssize_t                       n;
    ngx_connection_t             *c;
    ngx_chat_supervisor_child_t  *co;

    c = rev->data;
    co = c->data;

    if (c->close) {

        if (c->error) {

            /* worker_shutdown_timeout is over */

            ngx_chat_supervisor_tell(co, NGX_CHAT_CONTROL_TERMINATE);
            ngx_chat_supervisor_gone(co);
            return;
        }

        c->close = 0;
        ngx_chat_supervisor_drain(co);
        return;
    }

    for ( ;; ) {
        n = recv(c->fd, buf, sizeof(buf), 0);

        if (n > 0) {
            continue;
        }

        if (n == -1 && ngx_socket_errno == NGX_EINTR) {
            continue;
        }

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            rev->ready = 0;

            if (ngx_handle_read_event(rev, 0) == NGX_OK) {
                return;
            }
        }

        ngx_chat_supervisor_gone(co);
        return;
    }
}


static void
ngx_chat_supervisor_reserve(ngx_chat_supervisor_child_t *co, ngx_uint_t files)
{
    ngx_uint_t  n;

    for (n = 0; n < files; n++) {

        if (co->spare_fd[n] == (ngx_socket_t) -1) {
            co->spare_fd[n] = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
        }
    }
}


static void
ngx_chat_supervisor_release(ngx_chat_supervisor_child_t *co)
{
    ngx_uint_t  n;

    if (co->spare) {
        ngx_free_connection(co->spare);
        co->spare = NULL;
    }

    for (n = 0; n < 2; n++) {

        if (co->spare_fd[n] != (ngx_socket_t) -1) {
            (void) close(co->spare_fd[n]);
            co->spare_fd[n] = (ngx_socket_t) -1;
        }
    }
}


/* the worker stays until its filler has finished what it runs */

static void
ngx_chat_supervisor_drain(ngx_chat_supervisor_child_t *co)
{
    co->control->idle = 0;

    ngx_chat_supervisor_tell(co, NGX_CHAT_CONTROL_QUIT);

    if (co->timer.timer_set) {
        ngx_del_timer(&co->timer);
    }

    co->timer.cancelable = 0;
    ngx_add_timer(&co->timer, NGX_CHAT_DRAIN_TICK);
}


static void
ngx_chat_supervisor_gone(ngx_chat_supervisor_child_t *co)
{
    ngx_close_connection(co->control);
    co->control = NULL;

    if (co->timer.timer_set) {
        ngx_del_timer(&co->timer);
    }

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, co->cycle->log, 0,
                  "chat filler process %P is gone", co->pid);

    ngx_memcpy(co->room, co->token, NGX_CHAT_TOKEN_LEN);
    co->predecessor.len = NGX_CHAT_TOKEN_LEN;

    if (ngx_current_msec - co->started >= NGX_CHAT_RESPAWN_GOOD) {
        co->delay = 0;
        ngx_chat_supervisor_spawn(co);
        return;
    }

    ngx_chat_supervisor_respawn_later(co);
}


static void
ngx_chat_supervisor_respawn_later(ngx_chat_supervisor_child_t *co)
{
    /* with "poll" each connection has a file */

    if (co->spare == NULL && co->cycle->files == NULL) {
        co->spare = ngx_get_connection((ngx_socket_t) -1, co->cycle->log);
    }

    ngx_chat_supervisor_reserve(co, 2);

    co->delay = ngx_max(co->delay * 2, NGX_CHAT_RESPAWN_MIN);
    co->delay = ngx_min(co->delay, NGX_CHAT_RESPAWN_MAX);

    co->timer.cancelable = 1;
    ngx_add_timer(&co->timer, co->delay);
}


static void
ngx_chat_supervisor_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t             *dummy;
    ngx_chat_supervisor_child_t  *co;

    dummy = ev->data;
    co = dummy->data;

    if (co->control) {
        ngx_add_timer(ev, NGX_CHAT_DRAIN_TICK);
        return;
    }

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    ngx_chat_supervisor_spawn(co);
}


static void
ngx_chat_supervisor_tell(ngx_chat_supervisor_child_t *co, u_char what)
{
    ngx_log_debug2(NGX_LOG_DEBUG_CORE, co->cycle->log, 0,
                   "chat filler process %P told '%c'", co->pid, what);

    /* a full buffer or a dead process: the end of the socket tells the rest */

    if (send(co->control->fd, &what, 1, MSG_NOSIGNAL) == -1) {
        ngx_log_debug1(NGX_LOG_DEBUG_CORE, co->cycle->log, ngx_socket_errno,
                       "chat filler process %P not told", co->pid);
    }
}


/*
 * Called when a log file is flushed: before the worker reopens its files, and
 * when it exits.
 */

static void
ngx_chat_supervisor_reopen(ngx_open_file_t *file, ngx_log_t *log)
{
    ngx_uint_t                    i;
    ngx_chat_supervisor_child_t  *co;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    for (i = 0; i < ngx_chat_supervisor.n; i++) {
        co = &ngx_chat_supervisor.fillers[i];

        if (co->control) {
            ngx_chat_supervisor_tell(co, NGX_CHAT_CONTROL_REOPEN);
        }
    }
}
