
#include "ngx_chat_consumer_maintenance.h"
#include "../shm/ngx_chat_metrics.h"

#include <ngx_event.h>


#define NGX_CHAT_CONSUMER_TICK          1000    /* ms */

/* every so many ticks */
#define NGX_CHAT_CONSUMER_TOUCH_TICKS   4
#define NGX_CHAT_CONSUMER_SCAN_TICKS    3
#define NGX_CHAT_CONSUMER_COUNT_TICKS   2
#define NGX_CHAT_CONSUMER_SWEEP_TICKS   60

/* ms, from the start of a job that a scan has found to its entry's touch */
#define NGX_CHAT_CONSUMER_CLAIM_TIME    100

/* ms without a touch: the filler of an entry is taken for dead */
#define NGX_CHAT_CONSUMER_IDLE          12000

/* scans for a predecessor's entries that leave none behind */
#define NGX_CHAT_CONSUMER_TAKEOVERS     3


/* a queue, and what is under way about it */
typedef struct {
    ngx_chat_consumer_maintenance_t  *mt;
    ngx_chat_queue_e                  queue;
    ngx_chat_call_t                  *scan;
    ngx_chat_call_t                  *touch;
} ngx_chat_consumer_maintenance_queue_t;


struct ngx_chat_consumer_maintenance_s {
    ngx_chat_consumer_t      *consumer;
    ngx_chat_jobs_t          *jobs;
    ngx_log_t                *log;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                 ident;

    ngx_str_t                 name;        /* of the consumer: our token */

    ngx_chat_call_t          *count;       /* in flight */

    ngx_event_t               tick;
    ngx_event_t               claimed;     /* an early touch */
    ngx_uint_t                ticks;

    ngx_uint_t                takeovers;   /* scans left for predecessor's */
    ngx_uint_t                queued;

    ngx_chat_consumer_maintenance_queue_t  queues[NGX_CHAT_QUEUES];
};


static void ngx_chat_consumer_maintenance_tick_handler(ngx_event_t *ev);
static void ngx_chat_consumer_maintenance_scan(
    ngx_chat_consumer_maintenance_queue_t *q);
static void ngx_chat_consumer_maintenance_scan_handler(void *data,
    ngx_int_t rc, ngx_chat_task_page_t *page);
static void ngx_chat_consumer_maintenance_claimed_handler(ngx_event_t *ev);
static void ngx_chat_consumer_maintenance_touch_all(
    ngx_chat_consumer_maintenance_t *mt);
static void ngx_chat_consumer_maintenance_touch(
    ngx_chat_consumer_maintenance_queue_t *q);
static void ngx_chat_consumer_maintenance_touch_handler(void *data,
    ngx_int_t rc);
static void ngx_chat_consumer_maintenance_count(
    ngx_chat_consumer_maintenance_t *mt);
static void ngx_chat_consumer_maintenance_count_handler(void *data,
    ngx_int_t rc, ngx_uint_t waiting, uint64_t age);
static void ngx_chat_consumer_maintenance_set_queued(
    ngx_chat_consumer_maintenance_t *mt, ngx_uint_t waiting, uint64_t age);
static void ngx_chat_consumer_maintenance_sweep_handler(void *data,
    ngx_int_t rc);


static ngx_str_t  ngx_chat_consumer_maintenance_any = ngx_null_string;


ngx_chat_consumer_maintenance_t *
ngx_chat_consumer_maintenance_start(ngx_chat_consumer_t *consumer,
    ngx_chat_jobs_t *jobs, ngx_log_t *log)
{
    ngx_uint_t                        i;
    ngx_chat_consumer_maintenance_t  *mt;

    mt = ngx_calloc(sizeof(ngx_chat_consumer_maintenance_t), log);
    if (mt == NULL) {
        return NULL;
    }

    mt->consumer = consumer;
    mt->jobs = jobs;
    mt->log = log;
    mt->ident = -1;

    mt->name.data = jobs->token;
    mt->name.len = NGX_CHAT_TOKEN_LEN;

    for (i = 0; i < NGX_CHAT_QUEUES; i++) {
        mt->queues[i].mt = mt;
        mt->queues[i].queue = (ngx_chat_queue_e) i;
    }

    if (jobs->predecessor.len) {
        mt->takeovers = NGX_CHAT_CONSUMER_TAKEOVERS;
    }

    mt->tick.handler = ngx_chat_consumer_maintenance_tick_handler;
    mt->tick.data = mt;
    mt->tick.log = log;

    mt->claimed.handler = ngx_chat_consumer_maintenance_claimed_handler;
    mt->claimed.data = mt;
    mt->claimed.log = log;

    ngx_chat_consumer_maintenance_tick_handler(&mt->tick);

    return mt;
}


void
ngx_chat_consumer_maintenance_take_over(ngx_chat_consumer_maintenance_t *mt,
    u_char *token)
{
    ngx_str_t  *predecessor;

    predecessor = &mt->jobs->predecessor;

    ngx_memcpy(predecessor->data, token, NGX_CHAT_TOKEN_LEN);
    predecessor->len = NGX_CHAT_TOKEN_LEN;

    mt->takeovers = NGX_CHAT_CONSUMER_TAKEOVERS;

    ngx_chat_consumer_maintenance_scan(&mt->queues[NGX_CHAT_QUEUE_TASKS]);
}


ngx_uint_t
ngx_chat_consumer_maintenance_is_taking_over(
    ngx_chat_consumer_maintenance_t *mt)
{
    return mt->takeovers != 0;
}


ngx_uint_t
ngx_chat_consumer_maintenance_queued(ngx_chat_consumer_maintenance_t *mt)
{
    return mt->queued;
}


static void
ngx_chat_consumer_maintenance_tick_handler(ngx_event_t *ev)
{
    ngx_uint_t                        i, n, sweep;
    ngx_chat_store_t                 *st;
    ngx_chat_consumer_maintenance_t  *mt;

    mt = ev->data;
    st = &mt->jobs->store;

    ngx_add_timer(&mt->tick, NGX_CHAT_CONSUMER_TICK);

    n = mt->ticks++;

    if (n % NGX_CHAT_CONSUMER_TOUCH_TICKS == 0) {
        ngx_chat_consumer_maintenance_touch_all(mt);
    }

    if (ngx_chat_consumer_is_draining(mt->consumer)) {
        ngx_chat_consumer_maintenance_set_queued(mt, 0, 0);
        return;
    }

    sweep = (n % NGX_CHAT_CONSUMER_SWEEP_TICKS
             == NGX_CHAT_CONSUMER_SWEEP_TICKS / 2);

    for (i = 0; i < NGX_CHAT_QUEUES; i++) {

        if (n % NGX_CHAT_CONSUMER_SCAN_TICKS == 0
            || (mt->takeovers && i == NGX_CHAT_QUEUE_TASKS))
        {
            ngx_chat_consumer_maintenance_scan(&mt->queues[i]);
        }

        if (sweep) {
            (void) ngx_chat_store_tasks_sweep(st, mt->queues[i].queue,
                         ngx_chat_consumer_maintenance_sweep_handler, mt);
        }
    }

    if (n % NGX_CHAT_CONSUMER_COUNT_TICKS == 0) {
        ngx_chat_consumer_maintenance_count(mt);
    }

    ngx_chat_consumer_resume(mt->consumer);
}


/*
 * Looks for the predecessor's entries, then for those of any dead filler.  Led
 * ones wait for the latter: their workers live, and come to another filler.
 */

static void
ngx_chat_consumer_maintenance_scan(ngx_chat_consumer_maintenance_queue_t *q)
{
    ngx_uint_t                        n;
    ngx_str_t                        *owner;
    ngx_msec_t                        idle;
    ngx_chat_jobs_t                  *jobs;
    ngx_chat_consumer_maintenance_t  *mt;

    mt = q->mt;
    jobs = mt->jobs;

    if (q->scan) {
        return;
    }

    n = ngx_chat_jobs_get_room(jobs);

    if (n == 0) {
        return;
    }

    if (mt->takeovers && q->queue == NGX_CHAT_QUEUE_TASKS) {
        owner = &jobs->predecessor;
        idle = 0;

    } else {
        owner = &ngx_chat_consumer_maintenance_any;
        idle = NGX_CHAT_CONSUMER_IDLE;
    }

    /* more than may run, since not all can be claimed */

    n = ngx_max(n, NGX_CHAT_CONSUMER_PAGE);

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, mt->log, 0,
                   "chat tasks scan queue:%ui of:\"%V\" max:%ui takeovers:%ui",
                   (ngx_uint_t) q->queue, owner, n, mt->takeovers);

    q->scan = ngx_chat_store_tasks_find_idle(&jobs->store, q->queue, owner,
                         idle, n, ngx_chat_consumer_maintenance_scan_handler,
                         q);
}


static void
ngx_chat_consumer_maintenance_scan_handler(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page)
{
    ngx_chat_consumer_maintenance_queue_t *q = data;

    ngx_uint_t                        started;
    ngx_chat_consumer_maintenance_t  *mt;

    mt = q->mt;
    q->scan = NULL;

    if (ngx_chat_consumer_is_draining(mt->consumer) || rc == NGX_ERROR) {
        return;
    }

    started = 0;

    if (rc == NGX_OK) {
        rc = ngx_chat_consumer_start_jobs(mt->consumer, page, &started);
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, mt->log, 0,
                   "chat tasks scanned rc:%i started:%ui", rc, started);

    /* entries that were left, or failed to start, need another scan */

    if (mt->takeovers && q->queue == NGX_CHAT_QUEUE_TASKS
        && rc != NGX_AGAIN && rc != NGX_ERROR)
    {
        mt->takeovers--;
    }

    /* once its job has claimed it, a touch makes an entry this filler's */

    if (started && !mt->claimed.timer_set) {
        ngx_add_timer(&mt->claimed, NGX_CHAT_CONSUMER_CLAIM_TIME);
    }
}


static void
ngx_chat_consumer_maintenance_claimed_handler(ngx_event_t *ev)
{
    ngx_chat_consumer_maintenance_touch_all(ev->data);
}


static void
ngx_chat_consumer_maintenance_touch_all(ngx_chat_consumer_maintenance_t *mt)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_QUEUES; i++) {
        ngx_chat_consumer_maintenance_touch(&mt->queues[i]);
    }
}


static void
ngx_chat_consumer_maintenance_touch(ngx_chat_consumer_maintenance_queue_t *q)
{
    ngx_str_t                        *entries;
    ngx_uint_t                        n;
    ngx_chat_jobs_t                  *jobs;
    ngx_chat_consumer_maintenance_t  *mt;

    mt = q->mt;
    jobs = mt->jobs;

    n = jobs->running + jobs->led;

    if (q->touch || n == 0) {
        return;
    }

    entries = ngx_alloc(n * sizeof(ngx_str_t), mt->log);
    if (entries == NULL) {
        return;
    }

    n = ngx_chat_jobs_get_entries(jobs, q->queue, entries, n);

    if (n) {
        ngx_log_debug2(NGX_LOG_DEBUG_CORE, mt->log, 0,
                       "chat tasks touch queue:%ui n:%ui",
                       (ngx_uint_t) q->queue, n);

        q->touch = ngx_chat_store_tasks_keep(&jobs->store, q->queue, &mt->name,
                         entries, n,
                         ngx_chat_consumer_maintenance_touch_handler, q);
    }

    ngx_free(entries);
}


static void
ngx_chat_consumer_maintenance_touch_handler(void *data, ngx_int_t rc)
{
    ngx_chat_consumer_maintenance_queue_t *q = data;

    q->touch = NULL;
}


/*
 * A number that nobody can tell keeps no worker from leading: not where Redis
 * does not answer, nor that of a filler that drains, which may stay for long.
 */

static void
ngx_chat_consumer_maintenance_count(ngx_chat_consumer_maintenance_t *mt)
{
    if (mt->count) {
        return;
    }

    mt->count = ngx_chat_store_tasks_count_waiting(&mt->jobs->store,
                         ngx_chat_consumer_maintenance_count_handler, mt);

    if (mt->count == NULL) {
        ngx_chat_consumer_maintenance_set_queued(mt, 0, 0);
    }
}


static void
ngx_chat_consumer_maintenance_count_handler(void *data, ngx_int_t rc,
    ngx_uint_t waiting, uint64_t age)
{
    ngx_chat_consumer_maintenance_t *mt = data;

    mt->count = NULL;

    if (rc != NGX_OK || ngx_chat_consumer_is_draining(mt->consumer)) {
        ngx_chat_consumer_maintenance_set_queued(mt, 0, 0);
        return;
    }

    ngx_chat_consumer_maintenance_set_queued(mt, waiting, age);
}


static void
ngx_chat_consumer_maintenance_set_queued(ngx_chat_consumer_maintenance_t *mt,
    ngx_uint_t waiting, uint64_t age)
{
    mt->queued = waiting;

    ngx_chat_metrics_set(NGX_CHAT_GAUGE_QUEUED, waiting);
    ngx_chat_metrics_set(NGX_CHAT_GAUGE_OLDEST, age * 1000);
}


/* the next sweep makes up for one that failed */

static void
ngx_chat_consumer_maintenance_sweep_handler(void *data, ngx_int_t rc)
{
}
