
#include "ngx_chat_job_private.h"
#include "../codec/ngx_chat_str.h"


static ngx_chat_call_t *ngx_chat_job_append(ngx_chat_job_t *job);
static ngx_uint_t ngx_chat_job_take(ngx_chat_job_t *job,
    ngx_chat_append_t *append);
static void ngx_chat_job_appended(void *data, ngx_int_t rc, ngx_uint_t heard,
    ngx_uint_t stop);
static ngx_chat_call_t *ngx_chat_job_finish(ngx_chat_job_t *job);
static void ngx_chat_job_finished(void *data, ngx_int_t rc);
static ngx_chat_call_t *ngx_chat_job_fail(ngx_chat_job_t *job);
static void ngx_chat_job_failed(void *data, ngx_int_t rc);
static ngx_chat_call_t *ngx_chat_job_cancel(ngx_chat_job_t *job);
static void ngx_chat_job_cancelled(void *data, ngx_int_t rc);
static ngx_chat_call_t *ngx_chat_job_return(ngx_chat_job_t *job);
static void ngx_chat_job_returned(void *data, ngx_int_t rc, ngx_uint_t heard,
    ngx_uint_t stop);
static void ngx_chat_job_break(ngx_chat_job_t *job, ngx_int_t rc);
static void ngx_chat_job_lost(ngx_chat_job_t *job);
static void ngx_chat_job_left(void *data, ngx_int_t rc);


void
ngx_chat_job_write(ngx_chat_job_t *job)
{
    ngx_uint_t  live, chunks;

    if (job->write || job->state != NGX_CHAT_JOB_RUNNING) {
        return;
    }

    chunks = !job->broken
             && (job->next < job->chunk_lens.len / sizeof(uint32_t)
                 || (job->answered && job->fresh));

    live = !job->answered && job->error == NGX_CHAT_E_NONE;

    if (job->cancel && live) {
        job->write = ngx_chat_job_cancel(job);

        if (job->write) {
            return;
        }
    }

    if (job->give_back && live) {
        job->write = ngx_chat_job_return(job);

    } else if (chunks) {
        job->write = ngx_chat_job_append(job);

    } else if (job->error != NGX_CHAT_E_NONE) {
        job->write = ngx_chat_job_fail(job);

    } else if (job->answered) {
        job->write = ngx_chat_job_finish(job);

    } else if (job->renew) {
        job->write = ngx_chat_job_append(job);

    } else {
        return;
    }

    if (job->write == NULL) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "generation is given up: Redis cannot be reached");

        ngx_chat_job_end(job);
    }
}


/* chunks that came since the last append, or the lease alone */

static ngx_chat_call_t *
ngx_chat_job_append(ngx_chat_job_t *job)
{
    ngx_chat_append_t  append;

    ngx_memzero(&append, sizeof(ngx_chat_append_t));

    append.count = ngx_chat_job_take(job, &append);

    if (append.count || job->answered) {
        append.fresh = job->fresh;
        job->fresh = 0;
    }

    if (append.count) {
        job->begun = 1;
    }

    append.renew = job->renew;
    job->renew = 0;

    return ngx_chat_store_append(&job->jobs->store, &job->grip, &append,
                                 NGX_CHAT_JOB_PATIENCE,
                                 ngx_chat_job_appended, job);
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
ngx_chat_job_appended(void *data, ngx_int_t rc, ngx_uint_t heard,
    ngx_uint_t stop)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_DECLINED) {
        ngx_chat_job_lost(job);
        return;
    }

    if (rc != NGX_OK) {
        ngx_chat_job_break(job, rc);
        return;
    }

    if (heard) {
        job->unheard = 0;

    } else {
        ngx_chat_job_unheard(job);
    }

    if (stop && !job->answered && job->error == NGX_CHAT_E_NONE) {
        ngx_chat_job_stop_asking(job);
        job->error = NGX_CHAT_E_STOPPED;
    }

    ngx_chat_job_write(job);
}


static ngx_chat_call_t *
ngx_chat_job_finish(ngx_chat_job_t *job)
{
    ngx_str_t             *reason;
    ngx_chat_finish_t      finish;
    ngx_chat_provider_t   *pv;
    ngx_chat_candidate_t  *candidate;

    candidate = ngx_chat_conversation_candidate(&job->conversation);

    pv = candidate->peer->provider;
    reason = &job->result.finish;

    finish.text.data = job->text.data;
    finish.text.len = job->text.len;
    finish.chunk_lens = (uint32_t *) job->chunk_lens.data;
    finish.count = job->chunk_lens.len / sizeof(uint32_t);
    finish.finish = *reason;
    finish.provider = pv->name;
    finish.model = job->result.model.len ? job->result.model : pv->model;
    finish.usage = job->result.usage;
    finish.ttl = 0;

    if (job->text.len && !candidate->fp_mismatch
        && ngx_chat_str_is(reason, "stop"))
    {
        finish.ttl = job->task.ttl;
    }

    return ngx_chat_store_finish(&job->jobs->store, &job->grip, &finish,
                                 NGX_CHAT_JOB_PATIENCE,
                                 ngx_chat_job_finished, job);
}


static void
ngx_chat_job_finished(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_OK) {
        ngx_chat_job_done(job);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_chat_job_lost(job);
        return;
    }

    ngx_chat_job_break(job, rc);
}


static ngx_chat_call_t *
ngx_chat_job_fail(ngx_chat_job_t *job)
{
    return ngx_chat_store_fail(&job->jobs->store, &job->grip, job->error,
                               job->hasty ? 0 : NGX_CHAT_JOB_PATIENCE,
                               ngx_chat_job_failed, job);
}


static void
ngx_chat_job_failed(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_OK) {
        ngx_chat_job_done(job);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_chat_job_lost(job);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                  "generation is given up: Redis does not take its end");

    ngx_chat_job_end(job);
}


/* silence may have lasted for the grace: Redis checks, and cancels */

static ngx_chat_call_t *
ngx_chat_job_cancel(ngx_chat_job_t *job)
{
    job->cancel = 0;

    return ngx_chat_store_cancel(&job->jobs->store, &job->grip,
                                 job->task.grace, ngx_chat_job_cancelled,
                                 job);
}


static void
ngx_chat_job_cancelled(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, &job->log, 0,
                      "generation is cancelled: nobody listens");

        ngx_chat_job_done(job);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_chat_job_lost(job);
        return;
    }

    if (rc == NGX_AGAIN) {
        job->unheard = 0;
    }

    /* somebody does, or Redis is down: what is to be written shows it */

    ngx_chat_job_write(job);
}


/* ends the lease, so that whoever gets the task next may claim at once */

static ngx_chat_call_t *
ngx_chat_job_return(ngx_chat_job_t *job)
{
    ngx_chat_append_t  append;

    ngx_memzero(&append, sizeof(ngx_chat_append_t));

    append.give_back = 1;

    return ngx_chat_store_append(&job->jobs->store, &job->grip, &append, 0,
                                 ngx_chat_job_returned, job);
}


static void
ngx_chat_job_returned(void *data, ngx_int_t rc, ngx_uint_t heard,
    ngx_uint_t stop)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    if (rc == NGX_OK) {
        job->state = NGX_CHAT_JOB_LEAVING;

        job->write = ngx_chat_store_task_give_back(&job->jobs->store,
                                                   &job->task.entry,
                                                   ngx_chat_job_left, job);
        if (job->write) {
            return;
        }
    }

    ngx_chat_job_end(job);
}


/* something could not be written: all that can be tried is to say so */

static void
ngx_chat_job_break(ngx_chat_job_t *job, ngx_int_t rc)
{
    ngx_chat_job_stop_asking(job);

    job->answered = 0;
    job->broken = 1;

    if (rc == NGX_BUSY) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "the stream in Redis is not what was written to it");

        job->error = NGX_CHAT_E_INTERRUPTED;

    } else if (rc == NGX_ABORT) {
        job->error = NGX_CHAT_E_INTERNAL;

    } else {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "Redis does not take what was generated");

        job->error = NGX_CHAT_E_REDIS_DOWN;
        job->hasty = 1;
    }

    ngx_chat_job_write(job);
}


/*
 * Somebody else writes it, has ended it, or it is gone: which of these, a
 * claim with a new token tells.
 */

static void
ngx_chat_job_lost(ngx_chat_job_t *job)
{
    ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                  "generation was taken away or ended");

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


void
ngx_chat_job_done(ngx_chat_job_t *job)
{
    ngx_chat_job_stop_asking(job);

    if (job->renewal.timer_set) {
        ngx_del_timer(&job->renewal);
    }

    job->state = NGX_CHAT_JOB_LEAVING;

    job->write = ngx_chat_store_task_done(&job->jobs->store,
                                          &job->task.entry,
                                          NGX_CHAT_JOB_PATIENCE,
                                          ngx_chat_job_left, job);
    if (job->write == NULL) {
        ngx_chat_job_end(job);
    }
}


static void
ngx_chat_job_left(void *data, ngx_int_t rc)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    ngx_chat_job_end(job);
}
