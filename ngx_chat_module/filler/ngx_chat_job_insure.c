
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_INSURE_LOG  60     /* s, between two lines */


static void ngx_chat_job_insure_handler(void *data, ngx_int_t rc,
    ngx_str_t *entry);
static void ngx_chat_job_insure_log(ngx_chat_job_t *job);
static void ngx_chat_job_insure_bequeath(ngx_chat_job_t *job);


void
ngx_chat_job_insure(ngx_chat_job_t *job)
{
    ngx_str_t         consumer;
    ngx_chat_jobs_t  *jobs;

    if (job->insure || job->uninsured || job->task.entry.len) {
        return;
    }

    jobs = job->jobs;

    consumer.data = jobs->token;
    consumer.len = NGX_CHAT_TOKEN_LEN;

    /* not repeated: whatever waits for it should not wait for long */

    job->insure = ngx_chat_store_tasks_insure(&jobs->store, &consumer,
                                              &job->task, 0,
                                              ngx_chat_job_insure_handler,
                                              job);
    if (job->insure == NULL) {
        job->uninsured = 1;
        ngx_chat_job_insure_log(job);
    }
}


static void
ngx_chat_job_insure_handler(void *data, ngx_int_t rc, ngx_str_t *entry)
{
    ngx_chat_job_t *job = data;

    job->insure = NULL;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job insured rc:%i", rc);

    if (rc == NGX_OK) {
        ngx_chat_job_insure_adopt(job, NGX_CHAT_QUEUE_LED, entry);

    } else {
        job->uninsured = 1;
        ngx_chat_job_insure_log(job);
    }

    if (job->state == NGX_CHAT_JOB_LEAVING) {
        ngx_chat_job_insure_bequeath(job);
        return;
    }

    ngx_chat_job_write(job);
}


void
ngx_chat_job_insure_adopt(ngx_chat_job_t *job, ngx_chat_queue_e queue,
    ngx_str_t *entry)
{
    u_char  *p;

    p = ngx_pstrdup(job->pool, entry);

    if (p == NULL) {
        /* scans find it, once the generation has ended */
        return;
    }

    job->task.queue = queue;
    job->task.entry.data = p;
    job->task.entry.len = entry->len;
    job->entered = 1;
}


/* at most one line in a while, whatever the number of jobs */

static void
ngx_chat_job_insure_log(ngx_chat_job_t *job)
{
    time_t  now;

    now = ngx_time();

    if (now - job->jobs->uninsured < NGX_CHAT_JOB_INSURE_LOG) {
        return;
    }

    job->jobs->uninsured = now;

    ngx_log_error(NGX_LOG_WARN, &job->log, 0,
                  "chat task of a led generation is not queued: Redis does not "
                  "take it");
}


/* the job was replaced meanwhile, and is here for the entry alone */

static void
ngx_chat_job_insure_bequeath(ngx_chat_job_t *job)
{
    ngx_chat_job_t  *heir;

    if (job->task.entry.len) {
        heir = ngx_chat_jobs_find_heir(job);

        if (heir == NULL) {
            job->ops->done(job, NGX_CHAT_JOB_NOT_WRITTEN);
            return;
        }

        ngx_chat_job_insure_adopt(heir, job->task.queue, &job->task.entry);
    }

    job->ops->given_up(job);
}
