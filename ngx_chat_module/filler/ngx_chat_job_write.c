
#include "ngx_chat_job_private.h"
#include "../codec/ngx_chat_str.h"


static ngx_chat_call_t *ngx_chat_job_append(ngx_chat_job_t *job);
static ngx_uint_t ngx_chat_job_take(ngx_chat_job_t *job,
    ngx_chat_append_t *append);
static void ngx_chat_job_append_handler(void *data, ngx_int_t rc,
    ngx_uint_t subscribers,
    ngx_uint_t stop);
static ngx_chat_call_t *ngx_chat_job_finish(ngx_chat_job_t *job);
static void ngx_chat_job_finish_handler(void *data, ngx_int_t rc);
static ngx_chat_call_t *ngx_chat_job_fail(ngx_chat_job_t *job);
static void ngx_chat_job_fail_handler(void *data, ngx_int_t rc);
static ngx_chat_call_t *ngx_chat_job_cancel(ngx_chat_job_t *job);
static void ngx_chat_job_cancel_handler(void *data, ngx_int_t rc);
static ngx_chat_call_t *ngx_chat_job_return(ngx_chat_job_t *job);
static void ngx_chat_job_return_handler(void *data, ngx_int_t rc,
    ngx_uint_t subscribers,
    ngx_uint_t stop);


void
ngx_chat_job_write(ngx_chat_job_t *job)
{
    ngx_uint_t  live, chunks;

    if (job->write || job->state != NGX_CHAT_JOB_RUNNING) {
        return;
    }

    live = !job->answered && job->error == NGX_CHAT_E_NONE;

    if (job->stray && live) {
        job->source->settle(job);
        return;
    }

    if (job->cancel && live) {
        job->write = ngx_chat_job_cancel(job);

        if (job->write == NULL) {
            job->source->heard(job, NGX_ERROR);

            ngx_chat_job_write(job);
        }

        return;
    }

    chunks = !job->broken
             && (job->next < job->chunk_lens.len / sizeof(uint32_t)
                 || (job->answered && job->restart));

    /* nothing ends while an entry is on its way to the queue */

    live = live || job->insure;

    if (job->give_back && live) {
        job->write = ngx_chat_job_return(job);

    } else if (chunks || (live && job->renew)) {
        job->write = ngx_chat_job_append(job);

    } else if (live) {
        return;

    } else if (job->error != NGX_CHAT_E_NONE) {
        job->write = ngx_chat_job_fail(job);

    } else {
        job->write = ngx_chat_job_finish(job);
    }

    if (job->write == NULL) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "chat generation is given up: Redis cannot be reached");

        job->why = "redis";
        job->ops->given_up(job);
    }
}


/* chunks that came since the last append, or the lease alone */

static ngx_chat_call_t *
ngx_chat_job_append(ngx_chat_job_t *job)
{
    ngx_chat_append_t  append;

    ngx_memzero(&append, sizeof(ngx_chat_append_t));

    append.count = ngx_chat_job_take(job, &append);

    if (job->restart && (append.count || job->answered)) {
        append.label = job->label;
        job->restart = 0;
    }

    if (append.count) {
        job->sent_any = 1;
    }

    if (job->entered) {
        append.task = job->task.entry;
        append.queue = job->task.queue;
        job->entered = 0;
    }

    append.renew = job->renew;
    job->renew = 0;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat append chunks:%ui of %ui label:\"%V\" renew:%d",
                   append.count, job->chunk_lens.len / sizeof(uint32_t),
                   &append.label, (int) append.renew);

    return ngx_chat_store_append(&job->jobs->store, &job->lease, &append,
                                 NGX_CHAT_JOB_RETRY,
                                 ngx_chat_job_append_handler, job);
}


static ngx_uint_t
ngx_chat_job_take(ngx_chat_job_t *job, ngx_chat_append_t *append)
{
    size_t       len;
    uint32_t    *chunk_lens;
    ngx_uint_t   n, max;

    if (job->broken) {
        return 0;
    }

    max = job->chunk_lens.len / sizeof(uint32_t) - job->next;
    max = ngx_min(max, NGX_CHAT_APPEND_CHUNKS);

    chunk_lens = (uint32_t *) job->chunk_lens.data + job->next;
    len = 0;

    for (n = 0; n < max; n++) {

        if (n && len + chunk_lens[n] > NGX_CHAT_APPEND_BYTES) {
            break;
        }

        len += chunk_lens[n];
    }

    append->text = job->text.data + job->offset;
    append->chunk_lens = chunk_lens;

    job->next += n;
    job->offset += len;

    return n;
}


static void
ngx_chat_job_append_handler(void *data, ngx_int_t rc, ngx_uint_t subscribers,
    ngx_uint_t stop)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_DECLINED) {
        job->ops->lost(job);
        return;
    }

    if (rc != NGX_OK) {
        job->ops->broken(job, rc);
        return;
    }

    job->source->appended(job, subscribers, stop);

    ngx_chat_job_write(job);
}


static ngx_chat_call_t *
ngx_chat_job_finish(ngx_chat_job_t *job)
{
    ngx_chat_finish_t       finish;
    ngx_chat_job_answer_t  *answer;

    answer = &job->answer;

    finish.text.data = job->text.data;
    finish.text.len = job->text.len;
    finish.chunk_lens = (uint32_t *) job->chunk_lens.data;
    finish.count = job->chunk_lens.len / sizeof(uint32_t);
    finish.finish = answer->finish;
    finish.provider = answer->provider;
    finish.model = answer->model;
    finish.usage = answer->usage;
    finish.ttl = 0;
    finish.stale = job->task.stale;

    if (job->text.len && !answer->foreign
        && ngx_chat_str_is(&answer->finish, "stop"))
    {
        finish.ttl = job->task.ttl;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat finish chunks:%ui bytes:%uz ttl:%M",
                   finish.count, finish.text.len, finish.ttl);

    return ngx_chat_store_finish(&job->jobs->store, &job->lease, &finish,
                                 NGX_CHAT_JOB_RETRY,
                                 ngx_chat_job_finish_handler, job);
}


static void
ngx_chat_job_finish_handler(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_OK) {
        ngx_chat_job_report_end(job, NGX_CHAT_GENERATION_FINISHED);
        job->ops->done(job, NGX_CHAT_JOB_WRITTEN);
        return;
    }

    if (rc == NGX_DECLINED) {
        job->ops->lost(job);
        return;
    }

    job->ops->broken(job, rc);
}


static ngx_chat_call_t *
ngx_chat_job_fail(ngx_chat_job_t *job)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat fail error:%ui", (ngx_uint_t) job->error);

    return ngx_chat_store_fail(&job->jobs->store, &job->lease, job->error,
                               job->no_retry ? 0 : NGX_CHAT_JOB_RETRY,
                               ngx_chat_job_fail_handler, job);
}


static void
ngx_chat_job_fail_handler(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_OK) {
        job->ops->done(job, job->broken ? NGX_CHAT_JOB_NOT_WRITTEN
                                        : NGX_CHAT_JOB_WRITTEN);
        return;
    }

    if (rc == NGX_DECLINED) {
        job->ops->lost(job);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                  "chat generation is given up: Redis does not take its end");

    job->why = "redis";
    job->ops->given_up(job);
}


/* silence may have lasted for the grace: Redis checks, and cancels */

static ngx_chat_call_t *
ngx_chat_job_cancel(ngx_chat_job_t *job)
{
    job->cancel = 0;

    return ngx_chat_store_cancel(&job->jobs->store, &job->lease,
                                 job->task.grace, ngx_chat_job_cancel_handler,
                                 job);
}


static void
ngx_chat_job_cancel_handler(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, &job->log, 0,
                      "chat generation is cancelled: nobody listens");

        ngx_chat_job_report_end(job, NGX_CHAT_GENERATION_CANCELLED);
        job->ops->done(job, NGX_CHAT_JOB_CANCELLED);
        return;
    }

    if (rc == NGX_DECLINED) {
        job->ops->lost(job);
        return;
    }

    /* somebody does, or Redis is down: what is to be written shows it */

    job->source->heard(job, rc);

    ngx_chat_job_write(job);
}


/* ends the lease, so that whoever gets the task next may claim at once */

static ngx_chat_call_t *
ngx_chat_job_return(ngx_chat_job_t *job)
{
    ngx_chat_append_t  append;

    ngx_memzero(&append, sizeof(ngx_chat_append_t));

    append.give_back = 1;

    return ngx_chat_store_append(&job->jobs->store, &job->lease, &append, 0,
                                 ngx_chat_job_return_handler, job);
}


static void
ngx_chat_job_return_handler(void *data, ngx_int_t rc, ngx_uint_t subscribers,
    ngx_uint_t stop)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    job->ops->returned(job, rc);
}
