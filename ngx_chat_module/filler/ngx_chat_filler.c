
#include "ngx_chat_filler.h"
#include "ngx_chat_consumer.h"
#include "../net/ngx_chat_resolver.h"

#include <ngx_event.h>
#include <ngx_channel.h>
#include <sched.h>
#include <sys/resource.h>


/* Redis, control, a resolver, and a provider connection to spare each */
#define NGX_CHAT_FILLER_EXTRA_CONNECTIONS  64

#define NGX_CHAT_FILLER_PULSE              1000    /* ms */

/* at the start, and while the filler drains */
#define NGX_CHAT_FILLER_QUICK_PULSE        100     /* ms */
#define NGX_CHAT_FILLER_QUICK_PULSES       10

/* ms, for giving tasks back on TERM */
#define NGX_CHAT_FILLER_TERMINATE_TIME     1000


typedef struct {
    ngx_chat_filler_conf_t  *conf;
    ngx_cycle_t             *cycle;
    ngx_connection_t        *control;
    ngx_chat_slot_t         *slot;       /* NULL: the scoreboard is full */
    ngx_chat_jobs_t          jobs;
    ngx_chat_consumer_t     *consumer;
    ngx_event_t              pulse;
    ngx_connection_t         dummy;
    ngx_uint_t               number;
    ngx_uint_t               pulses;

    ngx_msec_t               exit_by;    /* terminating: exit by then */

    unsigned                 quit:1;     /* drain when possible, then exit */
    unsigned                 draining:1;
    unsigned                 terminating:1; /* tasks are given back */
    unsigned                 drained:1;  /* no task can arrive any more */
    unsigned                 reopen:1;
    unsigned                 terminate:1;
} ngx_chat_filler_t;


static void ngx_chat_filler_detach(ngx_cycle_t *cycle);
static void ngx_chat_filler_close_syslog(ngx_cycle_t *cycle);
static void ngx_chat_filler_close_files(ngx_cycle_t *cycle,
    ngx_socket_t control);
static int ngx_libc_cdecl ngx_chat_filler_cmp_fds(const void *one,
    const void *two);
static void ngx_chat_filler_reset_process(ngx_cycle_t *cycle);
static ngx_uint_t ngx_chat_filler_set_limits(ngx_chat_filler_conf_t *fcf,
    ngx_log_t *log);
static ngx_int_t ngx_chat_filler_start(ngx_chat_filler_t *fl,
    ngx_socket_t control, u_char *token, ngx_str_t *predecessor);
static void ngx_chat_filler_control_handler(ngx_event_t *rev);
static void ngx_chat_filler_pulse_handler(ngx_event_t *ev);
static void ngx_chat_filler_take_over(ngx_chat_filler_t *fl);
static void ngx_chat_filler_job_ended_handler(void *data);
static void ngx_chat_filler_drained_handler(void *data);
static void ngx_chat_filler_loop(ngx_chat_filler_t *fl);
static void ngx_chat_filler_terminate(ngx_chat_filler_t *fl);
static void ngx_chat_filler_drain(ngx_chat_filler_t *fl);
static void ngx_chat_filler_pulse_soon(ngx_chat_filler_t *fl);
static void ngx_chat_filler_exit(ngx_chat_filler_t *fl);


void
ngx_chat_filler_main(ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle,
    ngx_socket_t control, ngx_uint_t number, u_char *token,
    ngx_str_t *predecessor)
{
    ngx_chat_filler_t  *fl;

    ngx_parent = ngx_pid;
    ngx_pid = ngx_getpid();
    ngx_process = NGX_PROCESS_HELPER;

    ngx_quit = 0;
    ngx_terminate = 0;
    ngx_reopen = 0;
    ngx_exiting = 0;

    ngx_chat_filler_detach(cycle);
    ngx_chat_filler_close_files(cycle, control);
    ngx_chat_filler_reset_process(cycle);

    cycle->listening.nelts = 0;
    cycle->connection_n = ngx_chat_filler_set_limits(fcf, cycle->log);

    if (ngx_event_core_module.init_process(cycle) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "no event loop for the chat filler process");
        exit(2);
    }

    ngx_use_accept_mutex = 0;

    ngx_setproctitle("chat filler process");

    fl = ngx_pcalloc(cycle->pool, sizeof(ngx_chat_filler_t));
    if (fl == NULL) {
        exit(2);
    }

    fl->conf = fcf;
    fl->cycle = cycle;
    fl->number = number;
    fl->slot = ngx_chat_scoreboard_take_slot(fcf->scoreboard, ngx_pid, number,
                                             token, predecessor);

    if (ngx_chat_filler_start(fl, control, token, predecessor) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "the chat filler process could not start");
        exit(2);
    }

    ngx_chat_filler_loop(fl);
}


/*
 * Lets go of the worker's event loop.  The order matters: closing anything
 * that is registered in the inherited epoll instance would take it away from
 * the worker, which shares that instance until it is closed here.
 */

static void
ngx_chat_filler_detach(ngx_cycle_t *cycle)
{
    sigset_t   set;
    cpu_set_t  cpus;

    sigemptyset(&set);

    if (sigprocmask(SIG_SETMASK, &set, NULL) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "sigprocmask() failed");
    }

    /* the worker's affinity is for the worker */

    memset(&cpus, 0xff, sizeof(cpu_set_t));

    if (sched_setaffinity(0, sizeof(cpu_set_t), &cpus) == -1) {
        ngx_log_debug0(NGX_LOG_DEBUG_CORE, cycle->log, ngx_errno,
                       "sched_setaffinity() failed");
    }

    ngx_chat_filler_close_syslog(cycle);

    ngx_done_events(cycle);
}


/* a syslog peer keeps the number of a descriptor: it opens a new one */

static void
ngx_chat_filler_close_syslog(ngx_cycle_t *cycle)
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
 * Closes everything but the standard files, the logs and control: an
 * inherited client connection would never end, an inherited listening socket
 * would keep its port.
 */

static void
ngx_chat_filler_close_files(ngx_cycle_t *cycle, ngx_socket_t control)
{
    ngx_uint_t        i, n;
    unsigned          next;
    ngx_fd_t         *fds;
    ngx_list_part_t  *part;
    ngx_open_file_t  *file;

    n = 1;

    for (part = &cycle->open_files.part; part; part = part->next) {
        n += part->nelts;
    }

    fds = ngx_alloc(n * sizeof(ngx_fd_t), cycle->log);
    if (fds == NULL) {
        exit(2);
    }

    n = 0;
    fds[n++] = control;

    for (part = &cycle->open_files.part; part; part = part->next) {
        file = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (file[i].fd > STDERR_FILENO) {
                fds[n++] = file[i].fd;
            }
        }
    }

    ngx_qsort(fds, n, sizeof(ngx_fd_t), ngx_chat_filler_cmp_fds);

    next = STDERR_FILENO + 1;

    for (i = 0; i < n; i++) {

        if ((unsigned) fds[i] > next
            && close_range(next, (unsigned) fds[i] - 1, 0) == -1)
        {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                          "close_range() failed");
            exit(2);
        }

        next = (unsigned) fds[i] + 1;
    }

    if (close_range(next, ~0U, 0) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "close_range() failed");
        exit(2);
    }

    ngx_free(fds);
}


static int ngx_libc_cdecl
ngx_chat_filler_cmp_fds(const void *one, const void *two)
{
    return *(const ngx_fd_t *) one - *(const ngx_fd_t *) two;
}


/*
 * A successor is forked from a worker in full swing.  Connections that can be
 * reused, log lines that wait in a buffer and the row of random numbers stay
 * the worker's; timers, posted and free connections are made anew with the
 * event loop.
 */

static void
ngx_chat_filler_reset_process(ngx_cycle_t *cycle)
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
 * Raises the limit of open files, and returns how many connections to have.
 * With too few files for all generations fewer run at once: the others wait in
 * the queue instead of failing.
 */

static ngx_uint_t
ngx_chat_filler_set_limits(ngx_chat_filler_conf_t *fcf, ngx_log_t *log)
{
    ngx_uint_t     n, wanted;
    struct rlimit  rlmt;

    /* a call, and a cached connection of an earlier one */

    wanted = 2 * fcf->concurrency + NGX_CHAT_FILLER_EXTRA_CONNECTIONS;

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "getrlimit(RLIMIT_NOFILE) failed");
        return wanted;
    }

    if (rlmt.rlim_cur < rlmt.rlim_max) {
        rlmt.rlim_cur = rlmt.rlim_max;

        if (setrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
            ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                          "setrlimit(RLIMIT_NOFILE) failed");
            (void) getrlimit(RLIMIT_NOFILE, &rlmt);
        }
    }

    if (rlmt.rlim_cur < wanted) {
        n = ngx_max(rlmt.rlim_cur, NGX_CHAT_FILLER_EXTRA_CONNECTIONS + 2)
            - NGX_CHAT_FILLER_EXTRA_CONNECTIONS;

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "%uL open files are not enough for %ui generations "
                      "at once in the chat filler process, it runs %ui",
                      (uint64_t) rlmt.rlim_cur, fcf->concurrency, n / 2);

        fcf->concurrency = n / 2;
    }

    return wanted;
}


static ngx_int_t
ngx_chat_filler_start(ngx_chat_filler_t *fl, ngx_socket_t control,
    u_char *token, ngx_str_t *predecessor)
{
    ngx_log_t         *log;
    ngx_connection_t  *c;

    log = fl->cycle->log;

    c = ngx_get_connection(control, log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = fl;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->read->handler = ngx_chat_filler_control_handler;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    fl->control = c;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NGX_ERROR;
    }

    fl->jobs.conf = fl->conf;
    fl->jobs.log = log;
    fl->jobs.ended = ngx_chat_filler_job_ended_handler;
    fl->jobs.data = fl;
    fl->jobs.predecessor = *predecessor;
    ngx_memcpy(fl->jobs.token, token, NGX_CHAT_TOKEN_LEN);
    ngx_queue_init(&fl->jobs.jobs);

    fl->jobs.curl = ngx_chat_curl_create(fl->conf->providers,
                                         fl->conf->concurrency,
                                         fl->conf->resolver,
                                         fl->cycle->pool, log);
    if (fl->jobs.curl == NULL) {
        return NGX_ERROR;
    }

    fl->jobs.peers = ngx_chat_peers_create(fl->conf->providers,
                                           fl->cycle->pool);
    if (fl->jobs.peers == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_resolver_forked();
    ngx_chat_redis_forked();

    if (ngx_chat_store_init(&fl->jobs.store, fl->conf->redis,
                            fl->conf->broker, 0, log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    fl->consumer = ngx_chat_consumer_start(&fl->jobs, log);
    if (fl->consumer == NULL) {
        return NGX_ERROR;
    }

    fl->dummy.fd = (ngx_socket_t) -1;
    fl->dummy.data = fl;
    fl->pulse.handler = ngx_chat_filler_pulse_handler;
    fl->pulse.data = &fl->dummy;
    fl->pulse.log = log;

    ngx_chat_filler_pulse_handler(&fl->pulse);

    return NGX_OK;
}


static void
ngx_chat_filler_control_handler(ngx_event_t *rev)
{
    u_char              buf[64], *p;
    ssize_t             n;
    ngx_connection_t   *c;
    ngx_chat_filler_t  *fl;

    c = rev->data;
    fl = c->data;

    for ( ;; ) {
        n = recv(c->fd, buf, sizeof(buf), 0);

        if (n == -1 && ngx_socket_errno == NGX_EINTR) {
            continue;
        }

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            rev->ready = 0;

            if (ngx_handle_read_event(rev, 0) == NGX_OK) {
                return;
            }
        }

        if (n <= 0) {

            /* the worker has gone without a word: another takes its place */

            ngx_close_connection(c);
            fl->control = NULL;
            fl->quit = 1;
            return;
        }

        for (p = buf; p < buf + n; p++) {

            switch (*p) {

            case NGX_CHAT_CONTROL_QUIT:
                fl->quit = 1;
                break;

            case NGX_CHAT_CONTROL_TERMINATE:
                fl->terminate = 1;
                break;

            case NGX_CHAT_CONTROL_REOPEN:
                fl->reopen = 1;
                break;
            }
        }
    }
}


static void
ngx_chat_filler_pulse_handler(ngx_event_t *ev)
{
    ngx_connection_t   *dummy;
    ngx_chat_filler_t  *fl;

    dummy = ev->data;
    fl = dummy->data;

    if (fl->slot && fl->quit
        && ngx_chat_scoreboard_yield_slot(fl->conf->scoreboard,
                                          fl->slot) == NGX_OK)
    {
        fl->slot = NULL;
    }

    /* the scoreboard may have been full of fillers that drain */

    if (fl->slot == NULL && !fl->quit && !fl->terminating) {
        fl->slot = ngx_chat_scoreboard_take_slot(fl->conf->scoreboard, ngx_pid,
                                                 fl->number, fl->jobs.token,
                                                 &fl->jobs.predecessor);
    }

    if (fl->slot) {
        fl->slot->pulse = ngx_time();
        fl->slot->running = fl->jobs.running;
        fl->slot->queued = ngx_chat_consumer_queued(fl->consumer);
        fl->slot->redis = ngx_chat_redis_up(fl->jobs.store.redis)
                          && ngx_chat_consumer_is_up(fl->consumer)
                          && ngx_chat_store_refusal(&fl->jobs.store,
                                                    NGX_CHAT_SERVICE_QUEUE)
                             ->len == 0;
        ngx_chat_peers_show(fl->jobs.peers, fl->slot);
        fl->slot->state = fl->quit ? NGX_CHAT_SLOT_DRAINING
                                   : NGX_CHAT_SLOT_RUNNING;
    }

    fl->pulses++;

    if (fl->quit || fl->terminating) {
        ngx_add_timer(ev, NGX_CHAT_FILLER_QUICK_PULSE);
        return;
    }

    ngx_chat_filler_take_over(fl);

    ngx_add_timer(ev, fl->pulses < NGX_CHAT_FILLER_QUICK_PULSES
                      ? NGX_CHAT_FILLER_QUICK_PULSE : NGX_CHAT_FILLER_PULSE);
}


/*
 * A filler that dies together with its worker, or after it, leaves its token on
 * the scoreboard alone, and may die a moment after its successor has started:
 * each pulse looks.
 */

static void
ngx_chat_filler_take_over(ngx_chat_filler_t *fl)
{
    u_char  token[NGX_CHAT_TOKEN_LEN];

    if (ngx_chat_consumer_is_taking_over(fl->consumer)
        || ngx_chat_scoreboard_reap_slot(fl->conf->scoreboard, fl->number,
                                         fl->conf->processes, token)
           != NGX_OK)
    {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0,
                  "tasks of a dead chat filler process are taken over");

    ngx_chat_consumer_take_over(fl->consumer, token);
}


static void
ngx_chat_filler_job_ended_handler(void *data)
{
    ngx_chat_filler_t  *fl = data;

    ngx_chat_consumer_resume(fl->consumer);
}


static void
ngx_chat_filler_drained_handler(void *data)
{
    ngx_chat_filler_t  *fl = data;

    fl->drained = 1;
}


static void
ngx_chat_filler_loop(ngx_chat_filler_t *fl)
{
    for ( ;; ) {
        ngx_process_events_and_timers(fl->cycle);

        if (ngx_terminate) {
            ngx_terminate = 0;
            fl->terminate = 1;
        }

        if (fl->terminate && !fl->terminating) {
            ngx_chat_filler_terminate(fl);
        }

        if (fl->terminating
            && (ngx_msec_int_t) (fl->exit_by - ngx_current_msec) <= 0)
        {
            ngx_chat_filler_exit(fl);
        }

        if (ngx_quit) {
            ngx_quit = 0;
            fl->quit = 1;
        }

        if (fl->quit && !fl->draining) {
            ngx_chat_filler_drain(fl);
        }

        if (fl->drained && fl->jobs.running == 0) {
            ngx_chat_filler_exit(fl);
        }

        if (ngx_reopen || fl->reopen) {
            ngx_reopen = 0;
            fl->reopen = 0;
            ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0,
                          "reopening logs");
            ngx_reopen_files(fl->cycle, (ngx_uid_t) -1);
        }
    }
}


/* running jobs are given back: others need not wait for the lease */

static void
ngx_chat_filler_terminate(ngx_chat_filler_t *fl)
{
    fl->terminating = 1;
    fl->exit_by = ngx_current_msec + NGX_CHAT_FILLER_TERMINATE_TIME;

    if (!fl->draining) {
        fl->draining = 1;
        ngx_chat_consumer_drain(fl->consumer, ngx_chat_filler_drained_handler,
                                fl);
    }

    ngx_chat_job_give_back_all(&fl->jobs);

    ngx_chat_filler_pulse_soon(fl);
}


/*
 * Takes no more tasks and finishes what runs.  Without a successor it takes
 * tasks as long as workers that quit with it have requests: these were
 * accepted, and nobody else may be there to serve them.
 */

static void
ngx_chat_filler_drain(ngx_chat_filler_t *fl)
{
    ngx_chat_scoreboard_t  *scoreboard;

    scoreboard = fl->conf->scoreboard;

    if (fl->slot && fl->slot->state != NGX_CHAT_SLOT_DRAINING) {
        fl->slot->state = NGX_CHAT_SLOT_DRAINING;
        ngx_chat_filler_pulse_soon(fl);
    }

    if (!ngx_chat_scoreboard_has_successor(scoreboard, ngx_pid)
        && ngx_chat_scoreboard_count_requests(scoreboard))
    {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0,
                  "chat filler process finishes %ui generations and exits",
                  fl->jobs.running);

    fl->draining = 1;

    ngx_setproctitle("chat filler process is shutting down");

    ngx_chat_consumer_drain(fl->consumer, ngx_chat_filler_drained_handler, fl);
}


static void
ngx_chat_filler_pulse_soon(ngx_chat_filler_t *fl)
{
    ngx_del_timer(&fl->pulse);
    ngx_add_timer(&fl->pulse, NGX_CHAT_FILLER_QUICK_PULSE);
}


static void
ngx_chat_filler_exit(ngx_chat_filler_t *fl)
{
    /* the slot stays if tasks are left behind: a successor needs the token */

    if (fl->slot && fl->drained && fl->jobs.running == 0) {
        ngx_chat_scoreboard_release_slot(fl->slot);
    }

    ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0, "exit");

    exit(0);
}
