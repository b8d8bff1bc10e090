
#include "ngx_chat_job.h"
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_SPARE  5000     /* ms, to write what came last */

/* ms: an asker far from Redis begins to listen later than we to write */
#define NGX_CHAT_JOB_GRACE  500


static ngx_chat_job_t *ngx_chat_job_create(ngx_chat_jobs_t *jobs,
    ngx_chat_task_entry_t *task);
static ngx_int_t ngx_chat_job_copy(ngx_chat_job_t *job,
    ngx_chat_task_entry_t *task);
static ngx_int_t ngx_chat_job_claim(ngx_chat_job_t *job);
static ngx_uint_t ngx_chat_job_is_alone(ngx_chat_job_t *job);
static void ngx_chat_job_claim_handler(void *data, ngx_int_t rc,
    ngx_chat_claimed_t *claimed);
static void ngx_chat_job_run(ngx_chat_job_t *job, ngx_uint_t tries);
static void ngx_chat_job_ended_handler(ngx_chat_job_t *job,
    ngx_chat_provider_result_t *result);
static void ngx_chat_job_appended_handler(ngx_chat_job_t *job,
    ngx_uint_t subscribers, ngx_uint_t stop);
static void ngx_chat_job_returned_handler(ngx_chat_job_t *job, ngx_int_t rc);
static void ngx_chat_job_broken_handler(ngx_chat_job_t *job, ngx_int_t rc);
static void ngx_chat_job_lost_handler(ngx_chat_job_t *job);
static void ngx_chat_job_done(ngx_chat_job_t *job);
static void ngx_chat_job_left_handler(void *data, ngx_int_t rc);
static void ngx_chat_job_renewal_handler(ngx_event_t *ev);
static void ngx_chat_job_set_abandoned(ngx_chat_job_t *job);
static void ngx_chat_job_advance_renewal(ngx_chat_job_t *job);
static void ngx_chat_job_set_state(ngx_chat_job_t *job,
    ngx_chat_job_state_e state);
static void ngx_chat_job_end(ngx_chat_job_t *job);
static void ngx_chat_job_free(ngx_chat_job_t *job);
static u_char *ngx_chat_job_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


static const ngx_chat_job_ops_t  ngx_chat_job_ops = {
    ngx_chat_job_write,
    ngx_chat_job_ended_handler,
    ngx_chat_job_appended_handler,
    ngx_chat_job_done,
    ngx_chat_job_lost_handler,
    ngx_chat_job_broken_handler,
    ngx_chat_job_returned_handler,
    ngx_chat_job_end
};


ngx_int_t
ngx_chat_job_start(ngx_chat_jobs_t *jobs, ngx_chat_task_entry_t *task)
{
    ngx_queue_t     *q;
    ngx_chat_job_t  *job;

    for (q = ngx_queue_head(&jobs->jobs);
         q != ngx_queue_sentinel(&jobs->jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_chat_job_t, queue);

        if (job->task.queue == task->queue
            && job->task.entry.len == task->entry.len
            && ngx_memcmp(job->task.entry.data, task->entry.data,
                          task->entry.len)
               == 0)
        {
            return NGX_DECLINED;
        }
    }

    job = ngx_chat_job_create(jobs, task);
    if (job == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_job_prepare(job) != NGX_OK
        || ngx_chat_job_claim(job) != NGX_OK)
    {
        ngx_chat_job_free(job);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_chat_job_t *
ngx_chat_job_create(ngx_chat_jobs_t *jobs, ngx_chat_task_entry_t *task)
{
    ngx_pool_t      *pool;
    ngx_chat_job_t  *job;

    pool = ngx_create_pool(4096, jobs->log);
    if (pool == NULL) {
        return NULL;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_chat_job_t));
    if (job == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->jobs = jobs;
    job->pool = pool;
    job->ident = -1;
    job->ops = &ngx_chat_job_ops;
    job->give_back = jobs->leaving;

    if (ngx_chat_job_copy(job, task) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->log = *jobs->log;
    job->log.handler = ngx_chat_job_log_error;
    job->log.data = job;

    job->lease.gen = task->gen;

    job->renewal.handler = ngx_chat_job_renewal_handler;
    job->renewal.data = job;
    job->renewal.log = &job->log;

    ngx_queue_insert_tail(&jobs->jobs, &job->queue);
    jobs->running++;

    return job;
}


static ngx_int_t
ngx_chat_job_copy(ngx_chat_job_t *job, ngx_chat_task_entry_t *task)
{
    ngx_uint_t   i;
    ngx_str_t   *strings[4];

    job->task = *task;
    job->task.grace = ngx_max(task->grace, NGX_CHAT_JOB_GRACE);

    strings[0] = &job->task.entry;
    strings[1] = &job->task.providers;
    strings[2] = &job->task.messages;
    strings[3] = &job->task.request_id;

    for (i = 0; i < 4; i++) {
        strings[i]->data = ngx_pstrdup(job->pool, strings[i]);

        if (strings[i]->data == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_job_claim(ngx_chat_job_t *job)
{
    u_char            *p;
    ngx_chat_jobs_t   *jobs;
    ngx_chat_lease_t  *lease;
    ngx_chat_claim_t   claim;

    jobs = job->jobs;
    lease = &job->lease;

    /* never the same token twice: a claim repeated with it would be RUN */

    p = ngx_cpymem(lease->token, jobs->token, NGX_CHAT_TOKEN_LEN);
    p = ngx_sprintf(p, ".%uL", ++jobs->serial);

    lease->token_len = p - lease->token;
    lease->n = 0;

    job->attempts = 0;
    ngx_chat_job_name_attempt(job);

    claim.task = job->task.entry;
    claim.queue = job->task.queue;
    claim.predecessor = jobs->predecessor;
    claim.label = job->label;
    claim.fill = 0;
    claim.budget = job->conversation.failover.budget + NGX_CHAT_JOB_SPARE;
    claim.alone = ngx_chat_job_is_alone(job);

    ngx_chat_job_set_state(job, NGX_CHAT_JOB_CLAIMING);

    job->write = ngx_chat_store_claim(&jobs->store, lease, &claim,
                                      NGX_CHAT_JOB_RETRY,
                                      ngx_chat_job_claim_handler, job);

    return job->write ? NGX_OK : NGX_ERROR;
}


/*
 * Is the job alone in this process?  Of several that are claimed at the same
 * time the first is alone, or none ever would be.
 */

static ngx_uint_t
ngx_chat_job_is_alone(ngx_chat_job_t *job)
{
    ngx_uint_t       before;
    ngx_queue_t     *q;
    ngx_chat_job_t  *other;

    before = 1;

    for (q = ngx_queue_head(&job->jobs->jobs);
         q != ngx_queue_sentinel(&job->jobs->jobs);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_chat_job_t, queue);

        if (other == job) {
            before = 0;
            continue;
        }

        if (before || other->state == NGX_CHAT_JOB_RUNNING) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_chat_job_claim_handler(void *data, ngx_int_t rc,
    ngx_chat_claimed_t *claimed)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_ABORT) {
        /* no claim will ever succeed: the clients end through check */
        ngx_chat_job_done(job);
        return;
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "chat generation is left for later: Redis cannot be "
                      "reached");

        ngx_chat_job_end(job);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat claim result:%ui tries:%ui",
                   (ngx_uint_t) claimed->result, claimed->tries);

    if (claimed->result == NGX_CHAT_CLAIM_BUSY) {
        ngx_chat_job_end(job);
        return;
    }

    if (claimed->result != NGX_CHAT_CLAIM_RUN) {
        ngx_chat_job_done(job);
        return;
    }

    ngx_chat_job_run(job, claimed->tries);
}


static void
ngx_chat_job_run(ngx_chat_job_t *job, ngx_uint_t tries)
{
    if (tries > 1) {
        ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                      "chat generation is taken over, try %ui", tries);
    }

    ngx_chat_job_set_state(job, NGX_CHAT_JOB_RUNNING);
    job->error = NGX_CHAT_E_NONE;
    job->answered = 0;
    job->broken = 0;
    job->no_retry = 0;
    job->no_subscribers = 0;
    job->cancel = 0;

    /* a claim has started it over in Redis already */

    ngx_chat_job_start_over(job);
    job->restart = 0;

    ngx_add_timer(&job->renewal, NGX_CHAT_RENEWAL);

    if (job->give_back) {
        ngx_chat_job_write(job);
        return;
    }

    ngx_chat_job_ask(job);
}


static void
ngx_chat_job_ended_handler(ngx_chat_job_t *job,
    ngx_chat_provider_result_t *result)
{
    job->result = *result;
    job->error = result->error;
    job->answered = (result->error == NGX_CHAT_E_NONE);

    ngx_chat_job_write(job);
}


static void
ngx_chat_job_appended_handler(ngx_chat_job_t *job, ngx_uint_t subscribers,
    ngx_uint_t stop)
{
    if (subscribers) {
        job->no_subscribers = 0;

    } else {
        ngx_chat_job_set_abandoned(job);
    }

    if (stop && !job->answered && job->error == NGX_CHAT_E_NONE) {
        ngx_chat_job_stop_asking(job);
        job->error = NGX_CHAT_E_STOPPED;
    }

    ngx_chat_job_write(job);
}


/* the lease has ended: the task goes back, for others to claim at once */

static void
ngx_chat_job_returned_handler(ngx_chat_job_t *job, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_chat_job_set_state(job, NGX_CHAT_JOB_LEAVING);

        job->write = ngx_chat_store_tasks_give_back(&job->jobs->store,
                                                    job->task.queue,
                                                    &job->task.entry,
                                                    ngx_chat_job_left_handler,
                                                    job);
        if (job->write) {
            return;
        }
    }

    ngx_chat_job_end(job);
}


/* something could not be written: the end, at most, still can */

static void
ngx_chat_job_broken_handler(ngx_chat_job_t *job, ngx_int_t rc)
{
    ngx_chat_job_stop_asking(job);

    job->answered = 0;
    job->broken = 1;

    if (rc == NGX_BUSY) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "chat generation is interrupted: the stream in "
                      "Redis is not what was written to it");

        job->error = NGX_CHAT_E_INTERRUPTED;

    } else if (rc == NGX_ABORT) {
        job->error = NGX_CHAT_E_INTERNAL;

    } else {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "chat generation fails: Redis does not take what was "
                      "generated");

        job->error = NGX_CHAT_E_REDIS_DOWN;
        job->no_retry = 1;
    }

    ngx_chat_job_write(job);
}


/*
 * Another process writes the generation, has ended it, or it is gone: which of
 * these, a claim with a new token tells.
 */

static void
ngx_chat_job_lost_handler(ngx_chat_job_t *job)
{
    ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                  "chat generation was taken away or ended");

    ngx_chat_job_stop_asking(job);

    if (job->renewal.timer_set) {
        ngx_del_timer(&job->renewal);
    }

    if (job->lost || job->give_back) {
        ngx_chat_job_end(job);
        return;
    }

    job->lost = 1;

    if (ngx_chat_job_claim(job) != NGX_OK) {
        ngx_chat_job_end(job);
    }
}


static void
ngx_chat_job_done(ngx_chat_job_t *job)
{
    ngx_chat_job_stop_asking(job);

    if (job->renewal.timer_set) {
        ngx_del_timer(&job->renewal);
    }

    ngx_chat_job_set_state(job, NGX_CHAT_JOB_LEAVING);

    job->write = ngx_chat_store_tasks_remove(&job->jobs->store,
                                             job->task.queue, &job->task.entry,
                                             NGX_CHAT_JOB_RETRY,
                                             ngx_chat_job_left_handler, job);
    if (job->write == NULL) {
        ngx_chat_job_end(job);
    }
}


static void
ngx_chat_job_left_handler(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    ngx_chat_job_end(job);
}


static void
ngx_chat_job_renewal_handler(ngx_event_t *ev)
{
    ngx_chat_job_t  *job;

    job = ev->data;

    job->renew = 1;
    job->cancel = (job->no_subscribers && job->task.cancel
                   && ngx_current_msec - job->abandoned >= job->task.grace);

    ngx_add_timer(&job->renewal, NGX_CHAT_RENEWAL);

    if (!job->cancel) {
        ngx_chat_job_advance_renewal(job);
    }

    ngx_chat_job_write(job);
}


static void
ngx_chat_job_set_abandoned(ngx_chat_job_t *job)
{
    if (job->no_subscribers) {
        return;
    }

    job->no_subscribers = 1;
    job->abandoned = ngx_current_msec;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job has no subscribers, cancel:%ui",
                   (ngx_uint_t) job->task.cancel);

    ngx_chat_job_advance_renewal(job);
}


/* the renewal comes earlier where the grace is over before it */

static void
ngx_chat_job_advance_renewal(ngx_chat_job_t *job)
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


ngx_uint_t
ngx_chat_job_entries(ngx_chat_jobs_t *jobs, ngx_str_t *entries,
    ngx_uint_t max)
{
    ngx_uint_t       n;
    ngx_queue_t     *q;
    ngx_chat_job_t  *job;

    n = 0;

    for (q = ngx_queue_head(&jobs->jobs);
         q != ngx_queue_sentinel(&jobs->jobs) && n < max;
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_chat_job_t, queue);

        /* before the claim it may be another's, and after the end no one's */

        if (job->state == NGX_CHAT_JOB_RUNNING) {
            entries[n++] = job->task.entry;
        }
    }

    return n;
}


void
ngx_chat_job_give_back_all(ngx_chat_jobs_t *jobs)
{
    ngx_queue_t     *q;
    ngx_chat_job_t  *job;

    jobs->leaving = 1;

    q = ngx_queue_head(&jobs->jobs);

    while (q != ngx_queue_sentinel(&jobs->jobs)) {
        job = ngx_queue_data(q, ngx_chat_job_t, queue);
        q = ngx_queue_next(q);

        if (job->answered || job->error != NGX_CHAT_E_NONE) {
            /* the job is about to end by itself */
            continue;
        }

        ngx_chat_job_stop_asking(job);

        job->give_back = 1;

        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                       "chat job is given back");

        ngx_chat_job_write(job);
    }
}


static void
ngx_chat_job_set_state(ngx_chat_job_t *job, ngx_chat_job_state_e state)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job state:%ui, was %ui",
                   (ngx_uint_t) state, (ngx_uint_t) job->state);

    job->state = state;
}


static void
ngx_chat_job_end(ngx_chat_job_t *job)
{
    ngx_chat_jobs_t  *jobs;

    jobs = job->jobs;

    ngx_chat_job_free(job);

    if (jobs->ended) {
        jobs->ended(jobs->data);
    }
}


static void
ngx_chat_job_free(ngx_chat_job_t *job)
{
    ngx_chat_job_stop_asking(job);

    ngx_chat_call_cancel(job->write);

    if (job->renewal.timer_set) {
        ngx_del_timer(&job->renewal);
    }

    ngx_chat_bytes_free(&job->text);
    ngx_chat_bytes_free(&job->chunk_lens);

    ngx_queue_remove(&job->queue);
    job->jobs->running--;

    ngx_destroy_pool(job->pool);
}


static u_char *
ngx_chat_job_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char          *p;
    ngx_chat_job_t  *job;

    job = log->data;

    p = ngx_snprintf(buf, len, ", generation: %*s",
                     (size_t) NGX_CHAT_ID_LEN, job->task.gen.id);

    if (job->task.request_id.len) {
        len -= p - buf;
        p = ngx_snprintf(p, len, ", request: \"%V\"", &job->task.request_id);
    }

    return p;
}
