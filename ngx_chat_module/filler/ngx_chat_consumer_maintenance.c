
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
static void ngx_chat_consumer_scan(ngx_chat_consumer_t *in);
static void ngx_chat_consumer_scanned(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);
static void ngx_chat_consumer_soon_handler(ngx_event_t *ev);
static void ngx_chat_consumer_keep(ngx_chat_consumer_t *in);
static void ngx_chat_consumer_kept(void *data, ngx_int_t rc);
static void ngx_chat_consumer_length(void *data, ngx_int_t rc,
    ngx_uint_t waiting);
static void ngx_chat_consumer_swept(void *data, ngx_int_t rc);


static ngx_str_t  ngx_chat_consumer_any = ngx_null_string;


void
ngx_chat_consumer_maintenance(ngx_chat_consumer_t *in)
{
    if (in->jobs->predecessor.len) {
        in->takeovers = NGX_CHAT_CONSUMER_TAKEOVERS;
    }

    in->tick.handler = ngx_chat_consumer_tick_handler;
    in->tick.data = in;
    in->tick.log = in->log;

    in->soon.handler = ngx_chat_consumer_soon_handler;
    in->soon.data = in;
    in->soon.log = in->log;

    ngx_chat_consumer_tick_handler(&in->tick);
}


void
ngx_chat_consumer_inherit(ngx_chat_consumer_t *in, u_char *token)
{
    ngx_str_t  *predecessor;

    predecessor = &in->jobs->predecessor;

    ngx_memcpy(predecessor->data, token, NGX_CHAT_TOKEN_LEN);
    predecessor->len = NGX_CHAT_TOKEN_LEN;

    in->takeovers = NGX_CHAT_CONSUMER_TAKEOVERS;

    ngx_chat_consumer_scan(in);
}


ngx_uint_t
ngx_chat_consumer_inheriting(ngx_chat_consumer_t *in)
{
    return in->takeovers != 0;
}


static void
ngx_chat_consumer_tick_handler(ngx_event_t *ev)
{
    ngx_uint_t            n;
    ngx_chat_consumer_t  *in;

    in = ev->data;

    ngx_add_timer(&in->tick, NGX_CHAT_CONSUMER_TICK);

    n = in->ticks++;

    if (n % NGX_CHAT_CONSUMER_KEEP == 0) {
        ngx_chat_consumer_keep(in);
    }

    if (in->draining) {
        return;
    }

    if (in->takeovers || n % NGX_CHAT_CONSUMER_SCAN == 0) {
        ngx_chat_consumer_scan(in);
    }

    if (n % NGX_CHAT_CONSUMER_LENGTH == 0 && in->length == NULL) {
        in->length = ngx_chat_store_tasks_length(&in->jobs->store,
                                                 ngx_chat_consumer_length, in);
    }

    if (n % NGX_CHAT_CONSUMER_SWEEP == NGX_CHAT_CONSUMER_SWEEP / 2) {
        (void) ngx_chat_store_tasks_sweep(&in->jobs->store,
                                          ngx_chat_consumer_swept, in);
    }

    ngx_chat_consumer_next(in);
}


/* looks for what the predecessor left behind, then for anybody's */

static void
ngx_chat_consumer_scan(ngx_chat_consumer_t *in)
{
    ngx_uint_t        n;
    ngx_str_t        *owner;
    ngx_msec_t        idle;
    ngx_chat_jobs_t  *jobs;

    jobs = in->jobs;

    if (in->scan || jobs->running >= jobs->conf->concurrency) {
        return;
    }

    if (in->takeovers) {
        owner = &jobs->predecessor;
        idle = 0;

    } else {
        owner = &ngx_chat_consumer_any;
        idle = NGX_CHAT_CONSUMER_IDLE;
    }

    /* more than fit, since not all can be claimed */

    n = jobs->conf->concurrency - jobs->running;
    n = ngx_max(n, NGX_CHAT_CONSUMER_PAGE);

    in->scan = ngx_chat_store_tasks_idle(&jobs->store, owner, idle, n,
                                         ngx_chat_consumer_scanned, in);
}


static void
ngx_chat_consumer_scanned(void *data, ngx_int_t rc, ngx_chat_task_page_t *page)
{
    ngx_chat_consumer_t *in = data;

    ngx_uint_t  started;

    in->scan = NULL;

    if (in->draining || rc == NGX_ERROR) {
        return;
    }

    started = 0;

    if (rc == NGX_OK) {
        rc = ngx_chat_consumer_take(in, page, 0, &started);
    }

    /* entries that did not fit, or failed to start, need another scan */

    if (in->takeovers && rc != NGX_AGAIN && rc != NGX_ERROR) {
        in->takeovers--;
    }

    /* entries are made our own once they are claimed */

    if (started && !in->soon.timer_set) {
        ngx_add_timer(&in->soon, NGX_CHAT_CONSUMER_SOON);
    }
}


static void
ngx_chat_consumer_soon_handler(ngx_event_t *ev)
{
    ngx_chat_consumer_keep(ev->data);
}


static void
ngx_chat_consumer_keep(ngx_chat_consumer_t *in)
{
    ngx_uint_t  n;

    if (in->keep) {
        return;
    }

    n = ngx_chat_job_entries(in->jobs, in->entries, in->max);

    if (n == 0) {
        return;
    }

    in->keep = ngx_chat_store_tasks_keep(&in->jobs->store, &in->consumer,
                                         in->entries, n,
                                         ngx_chat_consumer_kept, in);
}


static void
ngx_chat_consumer_kept(void *data, ngx_int_t rc)
{
    ngx_chat_consumer_t *in = data;

    in->keep = NULL;
}


static void
ngx_chat_consumer_length(void *data, ngx_int_t rc, ngx_uint_t waiting)
{
    ngx_chat_consumer_t *in = data;

    in->length = NULL;

    if (rc == NGX_OK) {
        in->queued = waiting;
    }
}


/* a sweep that failed is made up for by the next one */

static void
ngx_chat_consumer_swept(void *data, ngx_int_t rc)
{
}
