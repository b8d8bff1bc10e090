
#include "ngx_chat_job_led_private.h"


static void ngx_chat_job_orphan_wait_handler(ngx_event_t *ev);
static void ngx_chat_job_orphan_tell(ngx_chat_job_t *job);
static void ngx_chat_job_orphan_detach(ngx_chat_job_t *job);
static void ngx_chat_job_orphan_give_back(ngx_chat_job_t *job);
static void ngx_chat_job_orphan_ask(ngx_chat_job_t *job);
static void ngx_chat_job_orphan_log(ngx_chat_job_t *job, const char *what);


void
ngx_chat_job_orphan_init(ngx_chat_job_t *job)
{
    ngx_event_t  *wait;

    wait = &job->led->wait;

    wait->handler = ngx_chat_job_orphan_wait_handler;
    wait->data = job;
    wait->log = &job->log;
}


void
ngx_chat_job_orphan_start(ngx_chat_job_t *job, ngx_msec_t wait)
{
    ngx_chat_job_led_t  *led;

    led = job->led;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job has lost its worker");

    led->orphan = 1;

    ngx_queue_insert_tail(&job->jobs->orphans, &led->queue);

    ngx_add_timer(&led->wait, job->jobs->leaving ? 0 : wait);
}


void
ngx_chat_job_orphan_stop(ngx_chat_job_t *job)
{
    ngx_chat_job_led_t  *led;

    led = job->led;

    if (led->orphan) {
        led->orphan = 0;
        ngx_queue_remove(&led->queue);
    }

    if (led->wait.timer_set) {
        ngx_del_timer(&led->wait);
    }
}


ngx_chat_job_t *
ngx_chat_job_orphan_find(ngx_chat_jobs_t *jobs, u_char *id)
{
    ngx_queue_t         *q;
    ngx_chat_job_t      *job;
    ngx_chat_job_led_t  *led;

    for (q = ngx_queue_head(&jobs->orphans);
         q != ngx_queue_sentinel(&jobs->orphans);
         q = ngx_queue_next(q))
    {
        led = ngx_queue_data(q, ngx_chat_job_led_t, queue);
        job = led->wait.data;

        if (ngx_memcmp(job->task.gen.id, id, NGX_CHAT_ID_LEN) == 0) {
            return job;
        }
    }

    return NULL;
}


void
ngx_chat_job_orphan_leave(ngx_chat_job_t *job)
{
    ngx_chat_job_orphan_tell(job);

    if (job->insure == NULL) {
        ngx_chat_job_end(job);
        return;
    }

    /* the entry that comes is for the other job */

    ngx_chat_call_cancel(job->write);
    job->write = NULL;

    ngx_chat_job_orphan_stop(job);
    ngx_chat_job_renewal_stop(job);

    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
    }

    job->state = NGX_CHAT_JOB_LEAVING;
}


static void
ngx_chat_job_orphan_wait_handler(ngx_event_t *ev)
{
    ngx_chat_job_t  *job;

    job = ev->data;

    job->stray = 1;

    ngx_chat_job_write(job);
}


/* claimed, or claimed again, when there was nothing to wait for any more */

void
ngx_chat_job_orphan_run(ngx_chat_job_t *job)
{
    if (job->led->orphan && !job->led->wait.timer_set) {
        job->stray = 1;
    }
}


void
ngx_chat_job_orphan_heard(ngx_chat_job_t *job)
{
    job->led->heard = 1;
    job->stray = !job->led->wait.timer_set;
}


/*
 * The provider's answer is lost with the worker.  Another one is made for those
 * who listen elsewhere, or for the cache.
 */

void
ngx_chat_job_orphan_settle(ngx_chat_job_t *job)
{
    ngx_chat_jobs_t     *jobs;
    ngx_chat_job_led_t  *led;

    jobs = job->jobs;
    led = job->led;

    /* the lane's end tells its worker that the filler leaves */

    if (!led->orphan) {
        job->stray = 0;
        ngx_chat_job_write(job);
        return;
    }

    /* the reply leads here again */

    if (job->insure) {
        return;
    }

    if (!led->joined && !led->heard && job->task.cancel && !jobs->leaving) {
        job->stray = 0;
        job->cancel = 1;
        ngx_chat_job_write(job);
        return;
    }

    /* a task first: whoever dies, somebody has it */

    ngx_chat_job_insure(job);

    if (job->insure) {
        return;
    }

    if (jobs->leaving || ngx_chat_jobs_take_place(jobs) != NGX_OK) {
        ngx_chat_job_orphan_give_back(job);
        return;
    }

    ngx_chat_job_orphan_ask(job);
}


static void
ngx_chat_job_orphan_give_back(ngx_chat_job_t *job)
{
    ngx_chat_job_orphan_log(job, "goes back to the queue");

    ngx_chat_job_orphan_detach(job);

    job->give_back = 1;

    ngx_chat_job_write(job);
}


/* as a job like any other, in a try of its own */

static void
ngx_chat_job_orphan_ask(ngx_chat_job_t *job)
{
    ngx_chat_job_orphan_log(job, "is asked for by the filler");

    ngx_chat_job_orphan_detach(job);
    ngx_chat_job_renewal_stop(job);

    if (ngx_chat_job_ask_prepare(job) != NGX_OK
        || ngx_chat_job_claim(job) != NGX_OK)
    {
        ngx_chat_job_end(job);
    }
}


static void
ngx_chat_job_orphan_log(ngx_chat_job_t *job, const char *what)
{
    if (job->led->handed_over) {
        ngx_log_error(NGX_LOG_INFO, &job->log, 0,
                      "chat generation was handed over and %s", what);
        return;
    }

    ngx_chat_metrics_count(NGX_CHAT_COUNT_TAKEOVERS);

    ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                  "chat generation has lost its worker and %s", what);
}


/*
 * The worker that has handed it over forgets it.  Not before there is a task
 * for it: else the death of this filler would leave it to nobody.
 */

static void
ngx_chat_job_orphan_tell(ngx_chat_job_t *job)
{
    ngx_chat_job_led_t      *led;
    ngx_chat_job_report_pt   report;

    led = job->led;
    report = led->report;

    if (report) {
        led->report = NULL;

        report(led->data, NGX_CHAT_LANE_NOT_KEPT, 0, "handed over");
    }
}


static void
ngx_chat_job_orphan_detach(ngx_chat_job_t *job)
{
    ngx_chat_job_orphan_tell(job);
    ngx_chat_job_orphan_stop(job);
    ngx_chat_job_set_source(job, &ngx_chat_job_ask_source);

    job->stray = 0;
}
