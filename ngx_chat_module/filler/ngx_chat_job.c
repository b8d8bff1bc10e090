
#include "ngx_chat_job.h"
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_SPARE       5000     /* ms, to write what came last */
#define NGX_CHAT_JOB_CHUNK_LENS  (4 * 1024 * 1024)

/* ms: an asker far from Redis begins to listen later than we to write */
#define NGX_CHAT_JOB_GRACE       500


static ngx_int_t ngx_chat_job_copy(ngx_chat_job_t *job,
    ngx_chat_task_entry_t *task);
static void ngx_chat_job_claim_handler(void *data, ngx_int_t rc,
    ngx_chat_claimed_t *claimed);
static void ngx_chat_job_run(ngx_chat_job_t *job,
    ngx_chat_claimed_t *claimed);
static void ngx_chat_job_returned_handler(ngx_chat_job_t *job, ngx_int_t rc);
static void ngx_chat_job_pushed_handler(void *data, ngx_int_t rc);
static void ngx_chat_job_broken_handler(ngx_chat_job_t *job, ngx_int_t rc);
static void ngx_chat_job_lost_handler(ngx_chat_job_t *job);
static void ngx_chat_job_done(ngx_chat_job_t *job,
    ngx_chat_job_outcome_e outcome);
static void ngx_chat_job_left_handler(void *data, ngx_int_t rc);
static void ngx_chat_job_event_handler(ngx_event_t *ev);
static void ngx_chat_job_stop(ngx_chat_job_t *job);
static void ngx_chat_job_count(ngx_chat_job_t *job, ngx_int_t n);
static void ngx_chat_job_set_state(ngx_chat_job_t *job,
    ngx_chat_job_state_e state);
static u_char *ngx_chat_job_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


static const ngx_chat_job_ops_t  ngx_chat_job_ops = {
    ngx_chat_job_done,
    ngx_chat_job_lost_handler,
    ngx_chat_job_broken_handler,
    ngx_chat_job_returned_handler,
    ngx_chat_job_end
};


ngx_int_t
ngx_chat_job_start(ngx_chat_jobs_t *jobs, ngx_chat_task_entry_t *task)
{
    ngx_chat_job_t  *job;

    if (ngx_chat_jobs_find_entry(jobs, task)) {
        return NGX_DECLINED;
    }

    job = ngx_chat_job_create(jobs, task, &ngx_chat_job_ask_source,
                              NGX_CHAT_JOB_POOL);
    if (job == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_job_ask_prepare(job) != NGX_OK
        || ngx_chat_job_claim(job) != NGX_OK)
    {
        ngx_chat_job_free(job);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_chat_job_t *
ngx_chat_job_create(ngx_chat_jobs_t *jobs, ngx_chat_task_entry_t *task,
    const ngx_chat_job_source_t *source, size_t size)
{
    ngx_pool_t      *pool;
    ngx_chat_job_t  *job;

    pool = ngx_create_pool(size, jobs->log);
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
    job->source = source;
    job->why = "lost";

    if (ngx_chat_job_copy(job, task) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->log = *jobs->log;
    job->log.handler = ngx_chat_job_log_error;
    job->log.data = job;

    job->lease.gen = task->gen;

    job->text.max = ngx_max(task->max_answer, 1);
    job->chunk_lens.max = NGX_CHAT_JOB_CHUNK_LENS;

    job->event.handler = ngx_chat_job_event_handler;
    job->event.data = job;
    job->event.log = &job->log;

    ngx_chat_job_renewal_init(job);

    ngx_queue_insert_tail(&jobs->jobs, &job->queue);

    ngx_chat_job_count(job, 1);
    ngx_chat_jobs_recount(jobs);

    return job;
}


static ngx_int_t
ngx_chat_job_copy(ngx_chat_job_t *job, ngx_chat_task_entry_t *task)
{
    ngx_uint_t   i;
    ngx_str_t   *strings[5];

    job->task = *task;
    job->task.grace = ngx_max(task->grace, NGX_CHAT_JOB_GRACE);

    strings[0] = &job->task.entry;
    strings[1] = &job->task.providers;
    strings[2] = &job->task.messages;
    strings[3] = &job->task.trace.request_id;
    strings[4] = &job->task.trace.traceparent;

    for (i = 0; i < 5; i++) {
        strings[i]->data = ngx_pstrdup(job->pool, strings[i]);

        if (strings[i]->data == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_job_claim(ngx_chat_job_t *job)
{
    u_char            *p, former[NGX_CHAT_JOB_TOKEN_LEN];
    ngx_chat_jobs_t   *jobs;
    ngx_chat_lease_t  *lease;
    ngx_chat_claim_t   claim;

    jobs = job->jobs;
    lease = &job->lease;

    ngx_memzero(&claim, sizeof(ngx_chat_claim_t));

    ngx_memcpy(former, lease->token, lease->token_len);
    claim.predecessor.data = former;
    claim.predecessor.len = lease->token_len;

    /* never the same token twice: a claim repeated with it would be RUN */

    p = ngx_cpymem(lease->token, jobs->token, NGX_CHAT_TOKEN_LEN);
    p = ngx_sprintf(p, ".%uL", ++jobs->serial);

    lease->token_len = p - lease->token;
    lease->n = 0;

    job->source->claim(job, &claim);

    claim.task = job->task.entry;
    claim.queue = job->task.queue;
    claim.budget += NGX_CHAT_JOB_SPARE;
    claim.alone = ngx_chat_jobs_is_alone(job);

    ngx_chat_job_set_state(job, NGX_CHAT_JOB_CLAIMING);

    job->write = ngx_chat_store_claim(&jobs->store, lease, &claim,
                                      NGX_CHAT_JOB_RETRY,
                                      ngx_chat_job_claim_handler, job);

    return job->write ? NGX_OK : NGX_ERROR;
}


static void
ngx_chat_job_claim_handler(void *data, ngx_int_t rc,
    ngx_chat_claimed_t *claimed)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_ABORT) {
        /* no claim will ever succeed: the clients end through check */
        job->why = "error";
        ngx_chat_job_done(job, NGX_CHAT_JOB_NOT_WRITTEN);
        return;
    }

    if (rc != NGX_OK) {
        if (job->task.entry.len) {
            ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                          "chat generation is left for later: Redis cannot be "
                          "reached");

        } else {
            ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                          "chat generation is not written: Redis cannot be "
                          "reached");
        }

        job->why = "redis";
        ngx_chat_job_end(job);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat claim result:%ui tries:%ui",
                   (ngx_uint_t) claimed->result, claimed->tries);

    switch (claimed->result) {

    case NGX_CHAT_CLAIM_RUN:
        ngx_chat_job_run(job, claimed);
        return;

    case NGX_CHAT_CLAIM_BUSY:
        job->why = "busy";
        ngx_chat_job_end(job);
        return;

    case NGX_CHAT_CLAIM_DUP:
        job->why = "busy";
        break;

    case NGX_CHAT_CLAIM_DONE:
        job->why = "ended";
        break;

    case NGX_CHAT_CLAIM_GONE:
        job->why = "gone";
        break;
    }

    ngx_chat_job_done(job, NGX_CHAT_JOB_NOT_WRITTEN);
}


static void
ngx_chat_job_run(ngx_chat_job_t *job, ngx_chat_claimed_t *claimed)
{
    if (claimed->tries > 1 && !job->source->led) {
        ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                      "chat generation is taken over, try %ui",
                      claimed->tries);

        /* an orphan was counted when it lost its worker */

        if (job->led == NULL) {
            ngx_chat_metrics_count(NGX_CHAT_COUNT_TAKEOVERS);
        }
    }

    ngx_chat_job_set_state(job, NGX_CHAT_JOB_RUNNING);

    job->no_retry = 0;
    job->no_subscribers = 0;

    ngx_chat_job_renewal_start(job);

    job->source->run(job, claimed);

    ngx_chat_job_write(job);
}


/* the lease has ended: the task goes back, for others to claim at once */

static void
ngx_chat_job_returned_handler(ngx_chat_job_t *job, ngx_int_t rc)
{
    ngx_chat_store_t  *st;

    if (rc == NGX_OK) {
        st = &job->jobs->store;

        ngx_chat_job_set_state(job, NGX_CHAT_JOB_LEAVING);

        if (job->task.entry.len) {
            job->write = ngx_chat_store_tasks_give_back(st, job->task.queue,
                                                &job->task.entry,
                                                ngx_chat_job_left_handler,
                                                job);

        } else {
            job->write = ngx_chat_store_tasks_push(st, &job->task,
                                                ngx_chat_job_pushed_handler,
                                                job);
        }

        ngx_chat_job_report_end(job, NGX_CHAT_GENERATION_HANDED_OVER);

        if (job->write) {
            return;
        }

        if (job->task.entry.len == 0) {
            ngx_chat_job_pushed_handler(job, NGX_ERROR);
            return;
        }
    }

    ngx_chat_job_end(job);
}


/* no entry could be had before, so that there may be none for anybody now */

static void
ngx_chat_job_pushed_handler(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "chat generation is given back without a task: Redis "
                      "does not take it");
    }

    ngx_chat_job_end(job);
}


/* something could not be written: the end, at most, still can */

static void
ngx_chat_job_broken_handler(ngx_chat_job_t *job, ngx_int_t rc)
{
    ngx_chat_job_stop(job);

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

    ngx_chat_job_stop(job);
    ngx_chat_job_renewal_stop(job);

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
ngx_chat_job_done(ngx_chat_job_t *job, ngx_chat_job_outcome_e outcome)
{
    ngx_chat_job_stop(job);
    ngx_chat_job_renewal_stop(job);

    ngx_chat_job_set_state(job, NGX_CHAT_JOB_LEAVING);

    job->source->over(job, outcome);

    if (job->task.entry.len) {
        job->write = ngx_chat_store_tasks_remove(&job->jobs->store,
                                             job->task.queue, &job->task.entry,
                                             NGX_CHAT_JOB_RETRY,
                                             ngx_chat_job_left_handler, job);
    }

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


/* something came, and is in the job */

static void
ngx_chat_job_event_handler(ngx_event_t *ev)
{
    ngx_chat_job_write(ev->data);
}


static void
ngx_chat_job_stop(ngx_chat_job_t *job)
{
    job->source->stop(job);

    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
    }
}


void
ngx_chat_job_set_source(ngx_chat_job_t *job,
    const ngx_chat_job_source_t *source)
{
    ngx_chat_job_count(job, -1);
    job->source = source;
    ngx_chat_job_count(job, 1);

    ngx_chat_jobs_recount(job->jobs);
}


static void
ngx_chat_job_count(ngx_chat_job_t *job, ngx_int_t n)
{
    ngx_chat_jobs_t  *jobs;

    jobs = job->jobs;

    if (job->source->led) {
        jobs->led += n;

    } else {
        jobs->running += n;
        jobs->over += (job->state == NGX_CHAT_JOB_LEAVING) ? n : 0;
    }
}


static void
ngx_chat_job_set_state(ngx_chat_job_t *job, ngx_chat_job_state_e state)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job state:%ui, was %ui",
                   (ngx_uint_t) state, (ngx_uint_t) job->state);

    ngx_chat_job_count(job, -1);
    job->state = state;
    ngx_chat_job_count(job, 1);

    ngx_chat_jobs_recount(job->jobs);
}


void
ngx_chat_job_end(ngx_chat_job_t *job)
{
    ngx_chat_jobs_t  *jobs;

    jobs = job->jobs;

    ngx_chat_job_free(job);

    if (jobs->ended) {
        jobs->ended(jobs->data);
    }
}


void
ngx_chat_job_free(ngx_chat_job_t *job)
{
    ngx_chat_job_stop(job);
    ngx_chat_job_renewal_stop(job);

    job->source->over(job, NGX_CHAT_JOB_NOT_WRITTEN);

    /* a generation that was taken away goes on elsewhere */

    ngx_chat_job_report_end(job, job->lost ? NGX_CHAT_GENERATION_HANDED_OVER
                                           : NGX_CHAT_GENERATION_FAILED);

    ngx_chat_call_cancel(job->write);
    ngx_chat_call_cancel(job->insure);

    ngx_chat_bytes_free(&job->text);
    ngx_chat_bytes_free(&job->chunk_lens);

    ngx_queue_remove(&job->queue);

    ngx_chat_job_count(job, -1);
    ngx_chat_jobs_recount(job->jobs);

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

    if (job->task.trace.request_id.len) {
        len -= p - buf;
        p = ngx_snprintf(p, len, ", request: \"%V\"",
                         &job->task.trace.request_id);
    }

    return p;
}
