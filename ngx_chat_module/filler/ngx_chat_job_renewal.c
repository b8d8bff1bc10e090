
#include "ngx_chat_job_private.h"


static void ngx_chat_job_renewal_handler(ngx_event_t *ev);
static void ngx_chat_job_renewal_advance(ngx_chat_job_t *job);


void
ngx_chat_job_renewal_init(ngx_chat_job_t *job)
{
    job->renewal.handler = ngx_chat_job_renewal_handler;
    job->renewal.data = job;
    job->renewal.log = &job->log;
}


void
ngx_chat_job_renewal_start(ngx_chat_job_t *job)
{
    ngx_add_timer(&job->renewal, NGX_CHAT_RENEWAL);
}


void
ngx_chat_job_renewal_stop(ngx_chat_job_t *job)
{
    if (job->renewal.timer_set) {
        ngx_del_timer(&job->renewal);
    }
}


static void
ngx_chat_job_renewal_handler(ngx_event_t *ev)
{
    ngx_chat_job_t  *job;

    job = ev->data;

    job->renew = 1;
    job->uninsured = 0;

    if (job->no_subscribers && job->task.cancel
        && ngx_current_msec - job->abandoned >= job->task.grace)
    {
        job->cancel = 1;
    }

    ngx_add_timer(&job->renewal, NGX_CHAT_RENEWAL);

    if (!job->cancel) {
        ngx_chat_job_renewal_advance(job);
    }

    ngx_chat_job_write(job);
}


void
ngx_chat_job_renewal_set_abandoned(ngx_chat_job_t *job)
{
    if (job->no_subscribers) {
        return;
    }

    job->no_subscribers = 1;
    job->abandoned = ngx_current_msec;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job has no subscribers, cancel:%ui",
                   (ngx_uint_t) job->task.cancel);

    ngx_chat_job_renewal_advance(job);
}


/* the renewal comes earlier where the grace is over before it */

static void
ngx_chat_job_renewal_advance(ngx_chat_job_t *job)
{
    ngx_msec_int_t  left;

    if (!job->no_subscribers || !job->task.cancel || !job->renewal.timer_set) {
        return;
    }

    left = (ngx_msec_int_t) (job->abandoned + job->task.grace
                             - ngx_current_msec);
    left = ngx_max(left, 0);

    if (left < (ngx_msec_int_t) (job->renewal.timer.key - ngx_current_msec)) {
        ngx_add_timer(&job->renewal, (ngx_msec_t) left);
    }
}
