
#include "ngx_chat_filler_private.h"

#include <ngx_channel.h>
#include <sched.h>
#include <sys/resource.h>


/* Redis, control, a resolver, and a provider connection to spare each */
#define NGX_CHAT_FILLER_EXTRA_CONNECTIONS  64


static void ngx_chat_filler_process_detach(ngx_cycle_t *cycle);
static void ngx_chat_filler_process_close_syslog(ngx_cycle_t *cycle);
static void ngx_chat_filler_process_close_files(ngx_cycle_t *cycle,
    ngx_socket_t control, ngx_socket_t rendezvous);
static int ngx_libc_cdecl ngx_chat_filler_process_compare_fds(const void *one,
    const void *two);
static void ngx_chat_filler_process_reset(ngx_cycle_t *cycle);
static ngx_uint_t ngx_chat_filler_process_set_limits(
    ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle);


void
ngx_chat_filler_process_init(ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle,
    ngx_socket_t control, ngx_socket_t rendezvous)
{
    ngx_parent = ngx_pid;
    ngx_pid = ngx_getpid();
    ngx_process = NGX_PROCESS_HELPER;

    ngx_quit = 0;
    ngx_terminate = 0;
    ngx_reopen = 0;
    ngx_exiting = 0;

    ngx_chat_filler_process_detach(cycle);
    ngx_chat_filler_process_close_files(cycle, control, rendezvous);
    ngx_chat_filler_process_reset(cycle);

    cycle->listening.nelts = 0;
    cycle->connection_n = ngx_chat_filler_process_set_limits(fcf, cycle);

    if (ngx_event_core_module.init_process(cycle) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "chat filler has no event loop and exits");
        exit(2);
    }

    ngx_use_accept_mutex = 0;

    ngx_setproctitle("chat filler process");
}


/*
 * Leaves the worker's event loop, before any file is closed: closing one that
 * is registered in the inherited epoll instance would remove it for the worker
 * too, which shares the instance until it is closed here.
 */

static void
ngx_chat_filler_process_detach(ngx_cycle_t *cycle)
{
    sigset_t   set;
    cpu_set_t  cpus;

    sigemptyset(&set);

    if (sigprocmask(SIG_SETMASK, &set, NULL) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "chat filler: sigprocmask() failed, signals stay "
                      "blocked");
    }

    /* the worker's affinity is for the worker */

    memset(&cpus, 0xff, sizeof(cpu_set_t));

    if (sched_setaffinity(0, sizeof(cpu_set_t), &cpus) == -1) {
        ngx_log_debug0(NGX_LOG_DEBUG_CORE, cycle->log, ngx_errno,
                       "chat filler sched_setaffinity() failed");
    }

    ngx_chat_filler_process_close_syslog(cycle);

    ngx_done_events(cycle);
}


/* a syslog peer keeps the number of a descriptor, and opens it on demand */

static void
ngx_chat_filler_process_close_syslog(ngx_cycle_t *cycle)
{
    ngx_log_t          *log;
    ngx_syslog_peer_t  *peer;

    for (log = cycle->log; log; log = log->next) {

        if (log->writer != ngx_syslog_writer) {
            continue;
        }

        peer = log->wdata;

        if (peer->conn.fd != (ngx_socket_t) -1) {
            (void) close(peer->conn.fd);
            peer->conn.fd = (ngx_socket_t) -1;
        }
    }
}


/*
 * Closes everything but the standard files, the logs, control and rendezvous:
 * an inherited client connection would never end, an inherited listening socket
 * would keep its port.
 */

static void
ngx_chat_filler_process_close_files(ngx_cycle_t *cycle, ngx_socket_t control,
    ngx_socket_t rendezvous)
{
    ngx_uint_t        i, n;
    unsigned          next;
    ngx_fd_t         *fds;
    ngx_list_part_t  *part;
    ngx_open_file_t  *file;

    n = 2;

    for (part = &cycle->open_files.part; part; part = part->next) {
        n += part->nelts;
    }

    fds = ngx_alloc(n * sizeof(ngx_fd_t), cycle->log);
    if (fds == NULL) {
        exit(2);
    }

    n = 0;
    fds[n++] = control;
    fds[n++] = rendezvous;

    for (part = &cycle->open_files.part; part; part = part->next) {
        file = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (file[i].fd > STDERR_FILENO) {
                fds[n++] = file[i].fd;
            }
        }
    }

    ngx_qsort(fds, n, sizeof(ngx_fd_t), ngx_chat_filler_process_compare_fds);

    next = STDERR_FILENO + 1;

    for (i = 0; i < n; i++) {

        if ((unsigned) fds[i] > next
            && close_range(next, (unsigned) fds[i] - 1, 0) == -1)
        {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                          "chat filler: close_range() failed, it exits");
            exit(2);
        }

        next = (unsigned) fds[i] + 1;
    }

    if (close_range(next, ~0U, 0) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "chat filler: close_range() failed, it exits");
        exit(2);
    }

    ngx_free(fds);
}


static int ngx_libc_cdecl
ngx_chat_filler_process_compare_fds(const void *one, const void *two)
{
    return *(const ngx_fd_t *) one - *(const ngx_fd_t *) two;
}


/*
 * A successor is forked from a worker that serves requests.  Connections that
 * can be reused, log lines in a buffer and the sequence of random numbers stay
 * the worker's; timers, posted events and free connections are reset with the
 * event loop.
 */

static void
ngx_chat_filler_process_reset(ngx_cycle_t *cycle)
{
    ngx_uint_t        i;
    ngx_time_t       *tp;
    ngx_list_part_t  *part;
    ngx_open_file_t  *file;

    ngx_queue_init(&cycle->reusable_connections_queue);
    cycle->reusable_connections_n = 0;

    for (part = &cycle->open_files.part; part; part = part->next) {
        file = part->elts;

        for (i = 0; i < part->nelts; i++) {
            file[i].flush = NULL;
        }
    }

    tp = ngx_timeofday();

    srandom(((unsigned) ngx_pid << 16) ^ tp->sec ^ tp->msec);
}


/*
 * Raises the limit of open files, and returns the number of connections to
 * have.  With too few files for all generations fewer run at once, and the
 * others wait in the queue instead of failing.
 */

static ngx_uint_t
ngx_chat_filler_process_set_limits(ngx_chat_filler_conf_t *fcf,
    ngx_cycle_t *cycle)
{
    ngx_log_t        *log;
    ngx_uint_t        n, extra, wanted;
    struct rlimit     rlmt;
    ngx_core_conf_t  *ccf;

    log = cycle->log;

    /* a lane to each worker, and to those of a configuration before */

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    extra = NGX_CHAT_FILLER_EXTRA_CONNECTIONS
            + 2 * (ngx_uint_t) ccf->worker_processes;

    /* a call, and a kept connection of an earlier one */

    wanted = 2 * fcf->concurrency + extra;

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "chat filler: getrlimit(RLIMIT_NOFILE) failed");
        return wanted;
    }

    if (rlmt.rlim_cur < rlmt.rlim_max) {
        rlmt.rlim_cur = rlmt.rlim_max;

        if (setrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
            ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                          "chat filler: setrlimit(RLIMIT_NOFILE) failed, the "
                          "soft limit of open files stays");
            (void) getrlimit(RLIMIT_NOFILE, &rlmt);
        }
    }

    if (rlmt.rlim_cur < wanted) {
        n = ngx_max(rlmt.rlim_cur, extra + 2) - extra;

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "chat filler: %uL open files are not enough for %ui "
                      "generations at once, it runs %ui",
                      (uint64_t) rlmt.rlim_cur, fcf->concurrency, n / 2);

        fcf->concurrency = n / 2;
    }

    return wanted;
}
