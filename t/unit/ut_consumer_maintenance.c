
/*
 * Maintenance of the queue by the clock, over a queue that is part of the test:
 * tasks that wait are counted.
 */


#include "fake_loop.h"
#include "../../ngx_chat_module/filler/ngx_chat_consumer_maintenance.h"
#include "../../ngx_chat_module/shm/ngx_chat_metrics.h"


static void ut_begin(void);
static void ut_end(void);
static void ut_count(ngx_int_t rc, ngx_uint_t waiting, uint64_t age);
static ngx_uint_t ut_queued(ngx_uint_t n, ngx_uint_t oldest);
static void ut_counts(void);
static void ut_down(void);
static void ut_drains(void);


static ngx_chat_jobs_t                   ut_jobs;
static ngx_chat_consumer_maintenance_t  *ut_maintenance;
static ngx_uint_t                        ut_draining;
static ngx_uint_t                        ut_closed;
static ngx_chat_tasks_count_pt           ut_counted;   /* in flight */

static ngx_chat_metrics_block_t          ut_block;
static ngx_chat_metrics_names_t          ut_names;


int
main(void)
{
    ngx_chat_metrics_use(&ut_block, &ut_names);

    ut_counts();
    ut_down();
    ut_drains();

    return ut_done();
}


static void
ut_begin(void)
{
    fake_loop_init();

    ut_draining = 0;
    ut_closed = 0;
    ut_counted = NULL;

    ut_maintenance = ngx_chat_consumer_maintenance_start(NULL, &ut_jobs,
                                                         ngx_cycle->log);
}


/* elsewhere nothing ends it but the end of its process */

static void
ut_end(void)
{
    fake_loop_init();
    ngx_free(ut_maintenance);
}


/* the reply to a count */

static void
ut_count(ngx_int_t rc, ngx_uint_t waiting, uint64_t age)
{
    ngx_chat_tasks_count_pt  handler;

    handler = ut_counted;
    ut_counted = NULL;

    handler(ut_maintenance, rc, waiting, age);
}


static ngx_uint_t
ut_queued(ngx_uint_t n, ngx_uint_t oldest)
{
    ngx_atomic_t  *gauges;

    gauges = ut_block.gauges.values;

    return ngx_chat_consumer_maintenance_queued(ut_maintenance) == n
           && gauges[NGX_CHAT_GAUGE_QUEUED] == n
           && gauges[NGX_CHAT_GAUGE_OLDEST] == oldest;
}


static void
ut_counts(void)
{
    ut_begin();

    ut_ok(ut_counted != NULL && ut_queued(0, 0), "counts at the start");

    ut_count(NGX_OK, 3, 7);
    ut_ok(ut_queued(3, 7000), "as many as wait");

    fake_loop_run(1000);
    ut_ok(ut_counted == NULL, "not each second");

    fake_loop_run(1000);
    ut_ok(ut_counted != NULL && ut_queued(3, 7000), "after two it does");

    ut_count(NGX_ERROR, 0, 0);
    ut_ok(ut_queued(0, 0), "no reply: none");

    ut_end();
}


/* not even the command is taken */

static void
ut_down(void)
{
    ut_begin();
    ut_count(NGX_OK, 3, 7);

    ut_closed = 1;
    fake_loop_run(2000);
    ut_ok(ut_counted == NULL && ut_queued(0, 0), "no connection: none");

    ut_closed = 0;
    fake_loop_run(2000);
    ut_count(NGX_OK, 2, 1);
    ut_ok(ut_queued(2, 1000), "a connection again: as many as wait");

    ut_end();
}


static void
ut_drains(void)
{
    ut_begin();
    ut_count(NGX_OK, 3, 7);

    ut_draining = 1;
    fake_loop_run(1000);
    ut_ok(ut_queued(0, 0), "a filler that drains: none");

    fake_loop_run(10000);
    ut_ok(ut_counted == NULL, "and it does not count");

    ut_end();

    /* the reply comes late */

    ut_begin();
    ut_draining = 1;
    fake_loop_run(1000);
    ut_count(NGX_OK, 3, 7);
    ut_ok(ut_queued(0, 0), "nor with a count from before");

    ut_end();
}


/* the queue, the consumer and the jobs */

ngx_chat_call_t *
ngx_chat_store_tasks_count_waiting(ngx_chat_store_t *st,
    ngx_chat_tasks_count_pt handler, void *data)
{
    if (ut_closed) {
        return NULL;
    }

    ut_counted = handler;

    return (ngx_chat_call_t *) &ut_jobs;
}


ngx_chat_call_t *
ngx_chat_store_tasks_find_idle(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *owner, ngx_msec_t idle, ngx_uint_t count,
    ngx_chat_tasks_pt handler, void *data)
{
    return NULL;
}


ngx_chat_call_t *
ngx_chat_store_tasks_keep(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *consumer, ngx_str_t *entries, ngx_uint_t count,
    ngx_chat_tasks_result_pt handler, void *data)
{
    return NULL;
}


ngx_chat_call_t *
ngx_chat_store_tasks_sweep(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_chat_tasks_result_pt handler, void *data)
{
    return NULL;
}


void
ngx_chat_consumer_resume(ngx_chat_consumer_t *consumer)
{
}


ngx_int_t
ngx_chat_consumer_start_jobs(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page, ngx_uint_t *started)
{
    return NGX_DONE;
}


ngx_uint_t
ngx_chat_consumer_is_draining(ngx_chat_consumer_t *consumer)
{
    return ut_draining;
}


ngx_uint_t
ngx_chat_jobs_get_room(ngx_chat_jobs_t *jobs)
{
    return 0;
}


ngx_uint_t
ngx_chat_jobs_get_entries(ngx_chat_jobs_t *jobs, ngx_chat_queue_e queue,
    ngx_str_t *entries, ngx_uint_t max)
{
    return 0;
}
