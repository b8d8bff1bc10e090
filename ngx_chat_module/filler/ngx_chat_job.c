
#include "ngx_chat_job.h"
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_CUTS         (4 * 1024 * 1024)
#define NGX_CHAT_JOB_SPARE        5000     /* ms, to write what came last */
#define NGX_CHAT_JOB_BACKOFF      200      /* ms, doubling */
#define NGX_CHAT_JOB_BACKOFF_MAX  10000
#define NGX_CHAT_JOB_NAME         64


static ngx_chat_job_t *ngx_chat_job_create(ngx_chat_jobs_t *jobs,
    ngx_chat_task_entry_t *task);
static ngx_int_t ngx_chat_job_copy(ngx_chat_job_t *job,
    ngx_chat_task_entry_t *task);
static void ngx_chat_job_choose(ngx_chat_job_t *job);
static ngx_chat_provider_t *ngx_chat_job_known(ngx_chat_job_t *job,
    ngx_str_t *name, ngx_str_t *fp);
static ngx_uint_t ngx_chat_job_alone(ngx_chat_job_t *job);
static void ngx_chat_job_claimed(void *data, ngx_int_t rc,
    ngx_chat_claim_e verdict, ngx_uint_t tries);
static void ngx_chat_job_run(ngx_chat_job_t *job, ngx_uint_t tries);
static void ngx_chat_job_start_over(ngx_chat_job_t *job);
static void ngx_chat_job_ask(ngx_chat_job_t *job);
static void ngx_chat_job_delta(void *data, ngx_str_t *text);
static void ngx_chat_job_provider_end(void *data,
    ngx_chat_provider_end_t *end);
static void ngx_chat_job_keep(ngx_chat_job_t *job, ngx_str_t *s);
static void ngx_chat_job_event_handler(ngx_event_t *ev);
static ngx_int_t ngx_chat_job_retry(ngx_chat_job_t *job);
static void ngx_chat_job_again_handler(ngx_event_t *ev);
static void ngx_chat_job_renewal_handler(ngx_event_t *ev);
static void ngx_chat_job_free(ngx_chat_job_t *job);
static u_char *ngx_chat_job_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


static const ngx_chat_provider_ops_t  ngx_chat_job_ops = {
    ngx_chat_job_delta,
    ngx_chat_job_provider_end
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

        if (job->task.entry.len == task->entry.len
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

    ngx_chat_job_choose(job);

    if (ngx_chat_job_claim(job) != NGX_OK) {
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

    if (ngx_chat_job_copy(job, task) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->log = *jobs->log;
    job->log.handler = ngx_chat_job_log_error;
    job->log.data = job;

    job->grip.gen = task->gen;

    job->text.max = ngx_max(task->max_answer, 1);
    job->cuts.max = NGX_CHAT_JOB_CUTS;

    job->event.handler = ngx_chat_job_event_handler;
    job->event.data = job;
    job->event.log = &job->log;

    job->again.handler = ngx_chat_job_again_handler;
    job->again.data = job;
    job->again.log = &job->log;

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


/* the first of the task's providers ("name=fp name=fp") that is known here */

static void
ngx_chat_job_choose(ngx_chat_job_t *job)
{
    u_char     *p, *last, *end;
    ngx_str_t   name, fp;

    p = job->task.providers.data;
    last = p + job->task.providers.len;

    while (p < last && job->provider == NULL) {

        end = ngx_strlchr(p, last, ' ');
        if (end == NULL) {
            end = last;
        }

        name.data = p;
        fp.data = ngx_strlchr(p, end, '=');

        if (fp.data == NULL) {
            fp.data = end;
        }

        name.len = fp.data - name.data;

        if (fp.data < end) {
            fp.data++;
        }

        fp.len = end - fp.data;

        if (name.len) {
            job->provider = ngx_chat_job_known(job, &name, &fp);
        }

        p = end + 1;
    }
}


static ngx_chat_provider_t *
ngx_chat_job_known(ngx_chat_job_t *job, ngx_str_t *name, ngx_str_t *fp)
{
    size_t                 i;
    ngx_uint_t             n;
    ngx_chat_jobs_t       *jobs;
    ngx_chat_provider_t  **pv;

    jobs = job->jobs;
    pv = jobs->conf->providers->elts;

    for (n = 0; n < jobs->conf->providers->nelts; n++) {

        if (pv[n]->name.len != name->len
            || ngx_strncmp(pv[n]->name.data, name->data, name->len) != 0)
        {
            continue;
        }

        if (!jobs->fp_warned
            && (fp->len != NGX_CHAT_FP_LEN
                || ngx_memcmp(fp->data, pv[n]->fp, NGX_CHAT_FP_LEN) != 0))
        {
            jobs->fp_warned = 1;

            ngx_log_error(NGX_LOG_WARN, &job->log, 0,
                          "provider \"%V\" is configured differently where "
                          "the question was asked", &pv[n]->name);
        }

        return pv[n];
    }

    /* the name is somebody else's: it goes into the log with care */

    for (i = 0; i < name->len; i++) {
        if (name->data[i] < ' ') {
            name->len = i;
        }
    }

    name->len = ngx_min(name->len, NGX_CHAT_JOB_NAME);

    ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                  "provider \"%V\" is not configured here", name);

    return NULL;
}


ngx_int_t
ngx_chat_job_claim(ngx_chat_job_t *job)
{
    u_char            *p;
    ngx_chat_jobs_t   *jobs;
    ngx_chat_grip_t   *grip;
    ngx_chat_claim_t   claim;

    jobs = job->jobs;
    grip = &job->grip;

    /* never the same token twice: a claim repeated with it would be RUN */

    p = ngx_cpymem(grip->token, jobs->token, NGX_CHAT_TOKEN_LEN);
    p = ngx_sprintf(p, ".%uL", ++jobs->serial);

    grip->token_len = p - grip->token;
    grip->n = 0;

    claim.task = job->task.entry;
    claim.predecessor = jobs->predecessor;
    claim.budget = NGX_CHAT_JOB_SPARE;
    claim.alone = ngx_chat_job_alone(job);

    if (job->provider) {
        claim.budget += job->provider->total_timeout;
    }

    job->state = NGX_CHAT_JOB_CLAIMING;

    job->write = ngx_chat_store_claim(&jobs->store, grip, &claim,
                                      NGX_CHAT_JOB_PATIENCE,
                                      ngx_chat_job_claimed, job);

    return job->write ? NGX_OK : NGX_ERROR;
}


/*
 * Runs nothing else here?  Of several that are claimed at the same time the
 * first is alone, or none ever would be.
 */

static ngx_uint_t
ngx_chat_job_alone(ngx_chat_job_t *job)
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
ngx_chat_job_claimed(void *data, ngx_int_t rc, ngx_chat_claim_e verdict,
    ngx_uint_t tries)
{
    ngx_chat_job_t *job = data;

    job->write = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat claim rc:%i verdict:%ui tries:%ui",
                   rc, (ngx_uint_t) verdict, tries);

    if (rc == NGX_ABORT) {
        /* nobody will ever be able to: its clients end through check */
        ngx_chat_job_done(job);
        return;
    }

    if (rc != NGX_OK || verdict == NGX_CHAT_CLAIM_BUSY) {
        ngx_chat_job_end(job);
        return;
    }

    if (verdict != NGX_CHAT_CLAIM_RUN) {
        ngx_chat_job_done(job);
        return;
    }

    ngx_chat_job_run(job, tries);
}


static void
ngx_chat_job_run(ngx_chat_job_t *job, ngx_uint_t tries)
{
    if (tries > 1) {
        ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                      "generation is taken over, try %ui", tries);
    }

    job->state = NGX_CHAT_JOB_RUNNING;
    job->attempts = 0;
    job->error = NGX_CHAT_E_NONE;
    job->answered = 0;
    job->broken = 0;
    job->hasty = 0;
    job->unheard = 0;
    job->cancel = 0;

    /* a claim has started it over in Redis already */

    ngx_chat_job_start_over(job);
    job->fresh = 0;

    ngx_add_timer(&job->renewal, NGX_CHAT_RENEWAL);

    if (job->give_back) {
        ngx_chat_job_write(job);
        return;
    }

    if (job->provider == NULL) {
        job->error = NGX_CHAT_E_INTERNAL;
        ngx_chat_job_write(job);
        return;
    }

    job->deadline = ngx_current_msec + job->provider->total_timeout;

    ngx_chat_job_ask(job);
}


/* forgets the chunks; what clients have of them goes with a "processing" */

static void
ngx_chat_job_start_over(ngx_chat_job_t *job)
{
    if (job->begun) {
        job->begun = 0;
        job->fresh = 1;
    }

    job->text.len = 0;
    job->cuts.len = 0;
    job->next = 0;
    job->offset = 0;
}


static void
ngx_chat_job_ask(ngx_chat_job_t *job)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (job->deadline - ngx_current_msec);

    job->call = ngx_chat_provider_call(job->jobs->curl, job->provider,
                                       &job->task.messages,
                                       (ngx_msec_t) ngx_max(left, 1),
                                       &ngx_chat_job_ops, job, &job->log);

    if (job->call == NULL) {
        job->error = NGX_CHAT_E_INTERNAL;
        ngx_chat_job_write(job);
    }
}


/* inside libcurl: what follows from the chunk is left to the posted event */

static void
ngx_chat_job_delta(void *data, ngx_str_t *text)
{
    ngx_chat_job_t *job = data;

    uint32_t   len;
    ngx_int_t  rc;

    if (job->error != NGX_CHAT_E_NONE) {
        return;
    }

    len = (uint32_t) text->len;

    rc = ngx_chat_bytes_append(&job->text, text->data, text->len);

    if (rc == NGX_OK) {
        rc = ngx_chat_bytes_append(&job->cuts, &len, sizeof(uint32_t));
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "provider \"%V\" sent an answer longer than "
                      "chat_max_answer", &job->provider->name);

        job->error = NGX_CHAT_E_ANSWER_TOO_LONG;

    } else if (rc != NGX_OK) {
        job->error = NGX_CHAT_E_INTERNAL;
    }

    ngx_post_event(&job->event, &ngx_posted_events);
}


static void
ngx_chat_job_provider_end(void *data, ngx_chat_provider_end_t *end)
{
    ngx_chat_job_t *job = data;

    job->call = NULL;
    job->ended = 1;
    job->end = *end;

    ngx_chat_job_keep(job, &job->end.finish);
    ngx_chat_job_keep(job, &job->end.model);
    ngx_chat_job_keep(job, &job->end.usage);

    ngx_post_event(&job->event, &ngx_posted_events);
}


static void
ngx_chat_job_keep(ngx_chat_job_t *job, ngx_str_t *s)
{
    if (s->len == 0) {
        return;
    }

    s->data = ngx_pstrdup(job->pool, s);

    if (s->data == NULL) {
        s->len = 0;
    }
}


static void
ngx_chat_job_event_handler(ngx_event_t *ev)
{
    ngx_chat_job_t  *job;

    job = ev->data;

    if (job->error != NGX_CHAT_E_NONE) {
        ngx_chat_job_stop_asking(job);

    } else if (job->ended) {
        job->ended = 0;

        if (job->end.error == NGX_CHAT_E_NONE) {
            job->answered = 1;

        } else if (ngx_chat_job_retry(job) != NGX_OK) {
            job->error = job->end.error;
        }
    }

    ngx_chat_job_write(job);
}


static ngx_int_t
ngx_chat_job_retry(ngx_chat_job_t *job)
{
    ngx_msec_t      delay;
    ngx_msec_int_t  left;

    if (!job->end.retry || job->attempts >= job->provider->retries
        || job->end.retry_after > NGX_CHAT_JOB_BACKOFF_MAX)
    {
        return NGX_DECLINED;
    }

    delay = NGX_CHAT_JOB_BACKOFF << ngx_min(job->attempts, 6);
    delay = ngx_min(delay, NGX_CHAT_JOB_BACKOFF_MAX);
    delay = ngx_max(delay, job->end.retry_after);

    left = (ngx_msec_int_t) (job->deadline - ngx_current_msec);

    if (left <= (ngx_msec_int_t) delay) {
        return NGX_DECLINED;
    }

    job->attempts++;

    ngx_log_error(NGX_LOG_NOTICE, &job->log, 0,
                  "provider \"%V\" is asked again in %M ms, retry %ui",
                  &job->provider->name, delay, job->attempts);

    ngx_chat_job_start_over(job);

    ngx_add_timer(&job->again, delay);

    return NGX_OK;
}


static void
ngx_chat_job_again_handler(ngx_event_t *ev)
{
    ngx_chat_job_ask(ev->data);
}


static void
ngx_chat_job_renewal_handler(ngx_event_t *ev)
{
    ngx_chat_job_t  *job;

    job = ev->data;

    ngx_add_timer(&job->renewal, NGX_CHAT_RENEWAL);

    job->renew = 1;
    job->cancel = (job->unheard && job->task.cancel);

    ngx_chat_job_write(job);
}


void
ngx_chat_job_stop_asking(ngx_chat_job_t *job)
{
    if (job->call) {
        ngx_chat_provider_cancel(job->call);
        job->call = NULL;
    }

    job->ended = 0;

    if (job->again.timer_set) {
        ngx_del_timer(&job->again);
    }

    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
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

    q = ngx_queue_head(&jobs->jobs);

    while (q != ngx_queue_sentinel(&jobs->jobs)) {
        job = ngx_queue_data(q, ngx_chat_job_t, queue);
        q = ngx_queue_next(q);

        if (job->answered || job->error != NGX_CHAT_E_NONE) {
            /* it is about to end by itself */
            continue;
        }

        ngx_chat_job_stop_asking(job);

        job->give_back = 1;

        ngx_chat_job_write(job);
    }
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


static void
ngx_chat_job_free(ngx_chat_job_t *job)
{
    ngx_chat_job_stop_asking(job);

    ngx_chat_call_cancel(job->write);

    if (job->renewal.timer_set) {
        ngx_del_timer(&job->renewal);
    }

    ngx_chat_bytes_free(&job->text);
    ngx_chat_bytes_free(&job->cuts);

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
