
#include "ngx_chat_filler.h"
#include "ngx_chat_filler_private.h"
#include "../lane/ngx_chat_lane_rendezvous.h"
#include "../net/ngx_chat_resolver.h"


/* ms, for giving tasks back on TERM */
#define NGX_CHAT_FILLER_TERMINATE_TIME  1000


static ngx_int_t ngx_chat_filler_start(ngx_chat_filler_t *fl,
    ngx_socket_t control, u_char *token, ngx_str_t *predecessor);
static void ngx_chat_filler_control_handler(ngx_event_t *rev);
static void ngx_chat_filler_job_ended_handler(void *data);
static void ngx_chat_filler_job_counted_handler(void *data);
static void ngx_chat_filler_drained_handler(void *data);
static void ngx_chat_filler_loop(ngx_chat_filler_t *fl);
static ngx_uint_t ngx_chat_filler_has_nothing_left(ngx_chat_filler_t *fl);
static void ngx_chat_filler_terminate(ngx_chat_filler_t *fl);
static void ngx_chat_filler_drain(ngx_chat_filler_t *fl);
static void ngx_chat_filler_exit(ngx_chat_filler_t *fl);


void
ngx_chat_filler_main(ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle,
    ngx_socket_t control, ngx_uint_t number, u_char *token,
    ngx_str_t *predecessor)
{
    ngx_chat_filler_t  *fl;

    ngx_chat_filler_process_init(fcf, cycle, control,
                                 ngx_chat_lane_rendezvous_get_fd(number));

    ngx_chat_metrics_zone_take(fcf->metrics);
    ngx_chat_metrics_set(NGX_CHAT_GAUGE_FILLERS, 1);

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
                      "chat filler could not start and exits");
        exit(2);
    }

    ngx_chat_filler_loop(fl);
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
    fl->jobs.counted = ngx_chat_filler_job_counted_handler;
    fl->jobs.data = fl;
    fl->jobs.predecessor = *predecessor;
    ngx_memcpy(fl->jobs.token, token, NGX_CHAT_TOKEN_LEN);
    ngx_queue_init(&fl->jobs.jobs);
    ngx_queue_init(&fl->jobs.orphans);

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

    ngx_chat_resolver_forget_parent();
    ngx_chat_redis_forget_parent();

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

    fl->maintenance = ngx_chat_consumer_maintenance_start(fl->consumer,
                                                          &fl->jobs, log);
    if (fl->maintenance == NULL) {
        return NGX_ERROR;
    }

    fl->lanes = ngx_chat_filler_lanes_create(&fl->jobs,
                                  ngx_chat_lane_rendezvous_get_fd(fl->number),
                                  log);
    if (fl->lanes == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_filler_pulse_start(fl);

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

            /* the worker has ended, and its successor starts a filler */

            if (!fl->quit && !fl->terminate) {
                ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0,
                              "chat filler has lost its worker and quits");
            }

            ngx_close_connection(c);
            fl->control = NULL;
            fl->quit = 1;
            return;
        }

        for (p = buf; p < buf + n; p++) {

            ngx_log_debug1(NGX_LOG_DEBUG_CORE, fl->cycle->log, 0,
                           "chat filler gets command '%c'", *p);

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
ngx_chat_filler_job_ended_handler(void *data)
{
    ngx_chat_filler_t  *fl = data;

    ngx_chat_consumer_resume(fl->consumer);
}


/* other processes count with it: it is not left to the next pulse */

static void
ngx_chat_filler_job_counted_handler(void *data)
{
    ngx_chat_filler_t  *fl = data;

    ngx_uint_t  n;

    n = ngx_chat_jobs_count_asking(&fl->jobs);

    ngx_chat_metrics_set(NGX_CHAT_GAUGE_GENERATIONS, n);

    if (fl->slot) {
        fl->slot->running = n;
        fl->slot->led = fl->jobs.led;
    }
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

        /* workers that lead find a filler that can write, or none */

        if (!fl->open && !fl->draining
            && ngx_chat_redis_is_up(fl->jobs.store.redis))
        {
            fl->open = 1;
            ngx_chat_filler_lanes_open(fl->lanes);
        }

        if (ngx_chat_filler_has_nothing_left(fl)) {
            ngx_chat_filler_exit(fl);
        }

        if (ngx_reopen || fl->reopen) {
            ngx_reopen = 0;
            fl->reopen = 0;
            ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0,
                          "chat filler reopens its logs");
            ngx_reopen_files(fl->cycle, (ngx_uid_t) -1);
        }
    }
}


/*
 * On TERM there is no waiting for generations that workers lead: the lane's end
 * tells them, and they come to another filler.  Where the time of workers is
 * over, too, they end their lanes themselves, and what they led is given back,
 * like that of workers that are gone already.
 */

static ngx_uint_t
ngx_chat_filler_has_nothing_left(ngx_chat_filler_t *fl)
{
    if (!fl->drained || fl->jobs.running
        || !ngx_queue_empty(&fl->jobs.orphans))
    {
        return 0;
    }

    return (fl->terminating && !fl->quit)
           || (fl->jobs.led == 0 && ngx_chat_filler_lanes_are_gone(fl->lanes));
}


/* tasks go back to the queue: another filler need not wait for their leases */

static void
ngx_chat_filler_terminate(ngx_chat_filler_t *fl)
{
    ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0,
                  "chat filler terminates and gives %ui generations back",
                  fl->jobs.running);

    fl->terminating = 1;
    fl->exit_by = ngx_current_msec + NGX_CHAT_FILLER_TERMINATE_TIME;

    if (!fl->draining) {
        fl->draining = 1;
        ngx_chat_consumer_drain(fl->consumer, ngx_chat_filler_drained_handler,
                                fl);
    }

    ngx_chat_filler_lanes_drain(fl->lanes);
    ngx_chat_jobs_give_back(&fl->jobs);

    ngx_chat_filler_pulse_soon(fl);
}


/*
 * Takes no more tasks and finishes what runs.  Without a successor the filler
 * goes on as long as workers have requests: these were accepted, and there may
 * be no other filler for their tasks.
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
                  "chat filler quits when its %ui generations have ended",
                  fl->jobs.running + fl->jobs.led);

    fl->draining = 1;

    ngx_setproctitle("chat filler process is shutting down");

    ngx_chat_filler_lanes_drain(fl->lanes);
    ngx_chat_consumer_drain(fl->consumer, ngx_chat_filler_drained_handler, fl);
}


static void
ngx_chat_filler_exit(ngx_chat_filler_t *fl)
{
    /* with tasks left behind the slot stays: a successor needs the token */

    if (fl->slot && fl->drained && fl->jobs.running == 0) {
        ngx_chat_scoreboard_release_slot(fl->slot);
    }

    ngx_log_error(NGX_LOG_NOTICE, fl->cycle->log, 0, "chat filler exits");

    exit(0);
}
