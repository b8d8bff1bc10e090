
#include "ngx_chat_supervisor.h"
#include "../codec/ngx_chat_key.h"
#include "../shm/ngx_chat_metrics.h"

#include <ngx_event.h>
#include <ngx_channel.h>


#define NGX_CHAT_SUPERVISOR_RESPAWN_MIN   250      /* ms */
#define NGX_CHAT_SUPERVISOR_RESPAWN_MAX    30000

/* ms; a filler that lived so long did not die of starting: no delay */
#define NGX_CHAT_SUPERVISOR_RESPAWN_GOOD   1000

#define NGX_CHAT_SUPERVISOR_DRAIN_TICK     1000


typedef struct {
    ngx_chat_filler_conf_t  *conf;
    ngx_cycle_t             *cycle;
    ngx_uint_t               number;
    ngx_pid_t                pid;
    ngx_connection_t        *control;   /* NULL: there is no process */

    /* reserved for the next spawn, lest clients take all; see reserve_files */
    ngx_connection_t        *spare;
    ngx_socket_t             spare_fd[2];

    ngx_event_t              timer;     /* respawn, or wait for the drain */
    ngx_connection_t         dummy;     /* for debug lines about timer */
    ngx_msec_t               started;
    ngx_msec_t               delay;
    u_char                   token[NGX_CHAT_TOKEN_LEN];
    ngx_str_t                predecessor;
    u_char                   predecessor_token[NGX_CHAT_TOKEN_LEN];
} ngx_chat_child_t;


typedef struct {
    ngx_uint_t         n;
    ngx_chat_child_t  *children;
} ngx_chat_supervisor_t;


static void ngx_chat_supervisor_spawn_child(ngx_chat_child_t *child);
static ngx_int_t ngx_chat_supervisor_watch_child(ngx_chat_child_t *child,
    ngx_socket_t fd);
static void ngx_chat_supervisor_control_handler(ngx_event_t *rev);
static void ngx_chat_supervisor_reserve_files(ngx_chat_child_t *child,
    ngx_uint_t files);
static void ngx_chat_supervisor_release_files(ngx_chat_child_t *child);
static void ngx_chat_supervisor_drain_child(ngx_chat_child_t *child);
static void ngx_chat_supervisor_replace_child(ngx_chat_child_t *child);
static void ngx_chat_supervisor_schedule_respawn(ngx_chat_child_t *child);
static void ngx_chat_supervisor_timer_handler(ngx_event_t *ev);
static void ngx_chat_supervisor_send_command(ngx_chat_child_t *child,
    u_char command);
static void ngx_chat_supervisor_flush_handler(ngx_open_file_t *file,
    ngx_log_t *log);


/* only worker 0, or the single process, has children: elsewhere n is 0 */
static ngx_chat_supervisor_t  ngx_chat_supervisor;


ngx_int_t
ngx_chat_supervisor_start(ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle)
{
    ngx_log_t         *log;
    ngx_uint_t         i;
    ngx_chat_child_t  *child;

    /* helpers such as the cache manager come here too, as worker 0 */

    if (ngx_worker != 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    child = ngx_pcalloc(cycle->pool,
                        fcf->processes * sizeof(ngx_chat_child_t));
    if (child == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_supervisor.n = fcf->processes;
    ngx_chat_supervisor.children = child;

    /* log reopening has no hook, but files are flushed before */

    log = ngx_log_get_file_log(cycle->log);

    if (log && log->file && log->file->flush == NULL) {
        log->file->flush = ngx_chat_supervisor_flush_handler;
    }

    for (i = 0; i < fcf->processes; i++) {
        child[i].conf = fcf;
        child[i].cycle = cycle;
        child[i].number = i;

        child[i].spare_fd[0] = (ngx_socket_t) -1;
        child[i].spare_fd[1] = (ngx_socket_t) -1;

        child[i].dummy.fd = (ngx_socket_t) -1;
        child[i].timer.handler = ngx_chat_supervisor_timer_handler;
        child[i].timer.data = &child[i].dummy;
        child[i].timer.log = cycle->log;
        child[i].dummy.data = &child[i];

        child[i].predecessor.data = child[i].predecessor_token;

        ngx_chat_supervisor_spawn_child(&child[i]);
    }

    return NGX_OK;
}


void
ngx_chat_supervisor_stop(ngx_cycle_t *cycle)
{
    ngx_uint_t         i;
    ngx_chat_child_t  *child;

    for (i = 0; i < ngx_chat_supervisor.n; i++) {
        child = &ngx_chat_supervisor.children[i];

        if (child->timer.timer_set) {
            ngx_del_timer(&child->timer);
        }

        if (child->control) {
            ngx_chat_supervisor_send_command(child, NGX_CHAT_CONTROL_TERMINATE);
            ngx_close_connection(child->control);
            child->control = NULL;
        }

        ngx_chat_supervisor_release_files(child);
    }

    ngx_chat_supervisor.n = 0;
}


static void
ngx_chat_supervisor_spawn_child(ngx_chat_child_t *child)
{
    ngx_fd_t   fd[2];
    ngx_log_t  *log;

    log = child->cycle->log;

    ngx_chat_supervisor_release_files(child);

    if (ngx_chat_key_generate(child->token, NGX_CHAT_TOKEN_LEN) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "chat filler is not started, a retry follows: "
                      "no random bits");
        ngx_chat_supervisor_schedule_respawn(child);
        return;
    }

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0, fd)
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "chat filler is not started, a retry follows: "
                      "socketpair() failed");
        ngx_chat_supervisor_schedule_respawn(child);
        return;
    }

    /* before the fork: a filler without control would be started in vain */

    if (ngx_chat_supervisor_watch_child(child, fd[0]) != NGX_OK) {
        ngx_close_channel(fd, log);
        ngx_chat_supervisor_schedule_respawn(child);
        return;
    }

    /*
     * not ngx_spawn_process(): it takes a slot in the worker's mirror of the
     * master's process table, which is the master's to edit
     */

    child->pid = fork();

    switch (child->pid) {

    case -1:
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "chat filler is not started, a retry follows: "
                      "fork() failed");
        (void) close(fd[1]);
        ngx_close_connection(child->control);
        child->control = NULL;
        ngx_chat_supervisor_schedule_respawn(child);
        return;

    case 0:
        ngx_chat_supervisor.n = 0;
        ngx_chat_filler_main(child->conf, child->cycle, fd[1], child->number,
                             child->token, &child->predecessor);
        exit(2);

    default:
        break;
    }

    (void) close(fd[1]);

    /* fd[0] will be the other file: closed before the next spawn */
    ngx_chat_supervisor_reserve_files(child, 1);

    child->started = ngx_current_msec;

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "chat filler %P is started", child->pid);
}


static ngx_int_t
ngx_chat_supervisor_watch_child(ngx_chat_child_t *child,
    ngx_socket_t fd)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, child->cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = child;
    c->log = child->cycle->log;
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

    child->control = c;

    return NGX_OK;
}


static void
ngx_chat_supervisor_control_handler(ngx_event_t *rev)
{
    u_char             buf[64];
    ssize_t            n;
    ngx_connection_t  *c;
    ngx_chat_child_t  *child;

    c = rev->data;
    child = c->data;

    if (c->close) {

        if (c->error) {

            /* worker_shutdown_timeout is over */

            ngx_chat_supervisor_send_command(child, NGX_CHAT_CONTROL_TERMINATE);
            ngx_chat_supervisor_replace_child(child);
            return;
        }

        c->close = 0;
        ngx_chat_supervisor_drain_child(child);
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

        ngx_chat_supervisor_replace_child(child);
        return;
    }
}


static void
ngx_chat_supervisor_reserve_files(ngx_chat_child_t *child,
    ngx_uint_t files)
{
    ngx_uint_t  n;

    for (n = 0; n < files; n++) {

        if (child->spare_fd[n] == (ngx_socket_t) -1) {
            child->spare_fd[n] = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
        }
    }
}


static void
ngx_chat_supervisor_release_files(ngx_chat_child_t *child)
{
    ngx_uint_t  n;

    if (child->spare) {
        ngx_free_connection(child->spare);
        child->spare = NULL;
    }

    for (n = 0; n < 2; n++) {

        if (child->spare_fd[n] != (ngx_socket_t) -1) {
            (void) close(child->spare_fd[n]);
            child->spare_fd[n] = (ngx_socket_t) -1;
        }
    }
}


/* the timer holds the worker until its filler has finished and exited */

static void
ngx_chat_supervisor_drain_child(ngx_chat_child_t *child)
{
    child->control->idle = 0;

    ngx_chat_supervisor_send_command(child, NGX_CHAT_CONTROL_QUIT);

    if (child->timer.timer_set) {
        ngx_del_timer(&child->timer);
    }

    child->timer.cancelable = 0;
    ngx_add_timer(&child->timer, NGX_CHAT_SUPERVISOR_DRAIN_TICK);
}


static void
ngx_chat_supervisor_replace_child(ngx_chat_child_t *child)
{
    ngx_close_connection(child->control);
    child->control = NULL;

    if (child->timer.timer_set) {
        ngx_del_timer(&child->timer);
    }

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, child->cycle->log, 0,
                  "chat filler %P has died, its successor takes over its tasks",
                  child->pid);

    ngx_chat_metrics_count(NGX_CHAT_COUNT_FILLER_RESTARTS);

    ngx_memcpy(child->predecessor_token, child->token, NGX_CHAT_TOKEN_LEN);
    child->predecessor.len = NGX_CHAT_TOKEN_LEN;

    if (ngx_current_msec - child->started >= NGX_CHAT_SUPERVISOR_RESPAWN_GOOD) {
        child->delay = 0;
        ngx_chat_supervisor_spawn_child(child);
        return;
    }

    ngx_chat_supervisor_schedule_respawn(child);
}


static void
ngx_chat_supervisor_schedule_respawn(ngx_chat_child_t *child)
{
    /* with "poll" each connection has a file */

    if (child->spare == NULL && child->cycle->files == NULL) {
        child->spare = ngx_get_connection((ngx_socket_t) -1, child->cycle->log);
    }

    ngx_chat_supervisor_reserve_files(child, 2);

    child->delay = ngx_max(child->delay * 2, NGX_CHAT_SUPERVISOR_RESPAWN_MIN);
    child->delay = ngx_min(child->delay, NGX_CHAT_SUPERVISOR_RESPAWN_MAX);

    child->timer.cancelable = 1;
    ngx_add_timer(&child->timer, child->delay);
}


static void
ngx_chat_supervisor_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t  *dummy;
    ngx_chat_child_t  *child;

    dummy = ev->data;
    child = dummy->data;

    if (child->control) {
        ngx_add_timer(ev, NGX_CHAT_SUPERVISOR_DRAIN_TICK);
        return;
    }

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    ngx_chat_supervisor_spawn_child(child);
}


static void
ngx_chat_supervisor_send_command(ngx_chat_child_t *child,
    u_char command)
{
    ngx_log_debug2(NGX_LOG_DEBUG_CORE, child->cycle->log, 0,
                   "chat filler %P is sent '%c'", child->pid, command);

    /* a full buffer, or a dead filler: end of file follows in either case */

    if (send(child->control->fd, &command, 1, MSG_NOSIGNAL) == -1) {
        ngx_log_debug1(NGX_LOG_DEBUG_CORE, child->cycle->log, ngx_socket_errno,
                       "chat filler %P send() failed", child->pid);
    }
}


/*
 * Called when a log file is flushed: before the worker reopens its files, and
 * when it exits.
 */

static void
ngx_chat_supervisor_flush_handler(ngx_open_file_t *file, ngx_log_t *log)
{
    ngx_uint_t         i;
    ngx_chat_child_t  *child;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    for (i = 0; i < ngx_chat_supervisor.n; i++) {
        child = &ngx_chat_supervisor.children[i];

        if (child->control) {
            ngx_chat_supervisor_send_command(child, NGX_CHAT_CONTROL_REOPEN);
        }
    }
}
