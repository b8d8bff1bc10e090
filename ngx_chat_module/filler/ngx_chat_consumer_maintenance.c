
#include "ngx_chat_consumer_private.h"


#define NGX_CHAT_CONSUMER_TICK       1000    /* ms */
#define NGX_CHAT_CONSUMER_SOON       100     /* ms */
#define NGX_CHAT_CONSUMER_IDLE       12000   /* ms */

/* every so many ticks */
#define NGX_CHAT_CONSUMER_KEEP       4
#define NGX_CHAT_CONSUMER_SCAN       3
#define NGX_CHAT_CONSUMER_LENGTH     2
#define NGX_CHAT_CONSUMER_SWEEP      60

#define NGX_CHAT_CONSUMER_TAKEOVERS  3


static void ngx_chat_consumer_tick_handler(ngx_event_t *ev);
static void ngx_chat_consumer_scan(ngx_chat_consumer_t *consumer);
static void ngx_chat_consumer_scanned(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);
static void ngx_chat_consumer_soon_handler(ngx_event_t *ev);
static void ngx_chat_consumer_keep(ngx_chat_consumer_t *consumer);
static void ngx_chat_consumer_kept(void *data, ngx_int_t rc);
static void ngx_chat_consumer_length(void *data, ngx_int_t rc,
    ngx_uint_t waiting);
static void ngx_chat_consumer_swept(void *data, ngx_int_t rc);


static ngx_str_t  ngx_chat_consumer_any = ngx_null_string;


void
ngx_chat_consumer_maintenance(ngx_chat_consumer_t *consumer)
{
    if (consumer->jobs->predecessor.len) {
        consumer->takeovers = NGX_CHAT_CONSUMER_TAKEOVERS;
    }

    consumer->tick.handler = ngx_chat_consumer_tick_handler;
    consumer->tick.data = consumer;
    consumer->tick.log = consumer->log;

    consumer->soon.handler = ngx_chat_consumer_soon_handler;
    consumer->soon.data = consumer;
    consumer->soon.log = consumer->log;

    ngx_chat_consumer_tick_handler(&consumer->tick);
}


void
ngx_chat_consumer_take_over(ngx_chat_consumer_t *consumer, u_char *token)
{
    ngx_str_t  *predecessor;

    predecessor = &consumer->jobs->predecessor;

    ngx_memcpy(predecessor->data, token, NGX_CHAT_TOKEN_LEN);
    predecessor->len = NGX_CHAT_TOKEN_LEN;

    consumer->takeovers = NGX_CHAT_CONSUMER_TAKEOVERS;

    ngx_chat_consumer_scan(consumer);
}


ngx_uint_t
ngx_chat_consumer_is_taking_over(ngx_chat_consumer_t *consumer)
{
    return consumer->takeovers != 0;
}


static void
ngx_chat_consumer_tick_handler(ngx_event_t *ev)
{
    ngx_uint_t            n;
    ngx_chat_consumer_t  *consumer;

    consumer = ev->data;

    ngx_add_timer(&consumer->tick, NGX_CHAT_CONSUMER_TICK);

    n = consumer->ticks++;

    if (n % NGX_CHAT_CONSUMER_KEEP == 0) {
        ngx_chat_consumer_keep(consumer);
    }

    if (consumer->draining) {
        return;
    }

    if (consumer->takeovers || n % NGX_CHAT_CONSUMER_SCAN == 0) {
        ngx_chat_consumer_scan(consumer);
    }

    if (n % NGX_CHAT_CONSUMER_LENGTH == 0 && consumer->length == NULL) {
        consumer->length = ngx_chat_store_tasks_length(&consumer->jobs->store,
                                                       ngx_chat_consumer_length,
                                                       consumer);
    }

    if (n % NGX_CHAT_CONSUMER_SWEEP == NGX_CHAT_CONSUMER_SWEEP / 2) {
        (void) ngx_chat_store_tasks_sweep(&consumer->jobs->store,
                                          ngx_chat_consumer_swept, consumer);
    }

    ngx_chat_consumer_read_next(consumer);
}


/* looks for what the predecessor left behind, then for anybody's */

static void
ngx_chat_consumer_scan(ngx_chat_consumer_t *consumer)
{
    ngx_uint_t        n;
    ngx_str_t        *owner;
    ngx_msec_t        idle;
    ngx_chat_jobs_t  *jobs;

    jobs = consumer->jobs;

    if (consumer->scan || jobs->running >= jobs->conf->concurrency) {
        return;
    }

    if (consumer->takeovers) {
        owner = &jobs->predecessor;
        idle = 0;

    } else {
        owner = &ngx_chat_consumer_any;
        idle = NGX_CHAT_CONSUMER_IDLE;
    }

    /* more than fit, since not all can be claimed */

    n = jobs->conf->concurrency - jobs->running;
    n = ngx_max(n, NGX_CHAT_CONSUMER_PAGE);

    consumer->scan = ngx_chat_store_tasks_idle(&jobs->store, owner, idle, n,
                                               ngx_chat_consumer_scanned,
                                               consumer);
}


static void
ngx_chat_consumer_scanned(void *data, ngx_int_t rc, ngx_chat_task_page_t *page)
{
    ngx_chat_consumer_t *consumer = data;

    ngx_uint_t  started;

    consumer->scan = NULL;

    if (consumer->draining || rc == NGX_ERROR) {
        return;
    }

    started = 0;

    if (rc == NGX_OK) {
        rc = ngx_chat_consumer_start_jobs(consumer, page, 0, &started);
    }

    /* entries that did not fit, or failed to start, need another scan */

    if (consumer->takeovers && rc != NGX_AGAIN && rc != NGX_ERROR) {
        consumer->takeovers--;
    }

    /* entries are made our own once they are claimed */

    if (started && !consumer->soon.timer_set) {
        ngx_add_timer(&consumer->soon, NGX_CHAT_CONSUMER_SOON);
    }
}


static void
ngx_chat_consumer_soon_handler(ngx_event_t *ev)
{
    ngx_chat_consumer_keep(ev->data);
}


static void
ngx_chat_consumer_keep(ngx_chat_consumer_t *consumer)
{
    ngx_uint_t  n;

    if (consumer->keep) {
        return;
    }

    n = ngx_chat_job_entries(consumer->jobs, consumer->entries, consumer->max);

    if (n == 0) {
        return;
    }

    consumer->keep = ngx_chat_store_tasks_keep(&consumer->jobs->store,
                                               &consumer->name,
                                               consumer->entries, n,
                                               ngx_chat_consumer_kept,
                                               consumer);
}


static void
ngx_chat_consumer_kept(void *data, ngx_int_t rc)
{
    ngx_chat_consumer_t *consumer = data;

    consumer->keep = NULL;
}


static void
ngx_chat_consumer_length(void *data, ngx_int_t rc, ngx_uint_t waiting)
{
    ngx_chat_consumer_t *consumer = data;

    consumer->length = NULL;

    if (rc == NGX_OK) {
        consumer->queued = waiting;
    }
}


/* a sweep that failed is made up for by the next one */

static void
ngx_chat_consumer_swept(void *data, ngx_int_t rc)
{
}
