
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_CUTS         (4 * 1024 * 1024)
#define NGX_CHAT_JOB_BACKOFF      200      /* ms, doubling */
#define NGX_CHAT_JOB_BACKOFF_MAX  10000
#define NGX_CHAT_JOB_NAME         64


static void ngx_chat_job_choose(ngx_chat_job_t *job);
static ngx_chat_provider_t *ngx_chat_job_known(ngx_chat_job_t *job,
    ngx_str_t *name, ngx_str_t *fp);
static void ngx_chat_job_delta(void *data, ngx_str_t *text);
static void ngx_chat_job_provider_end(void *data,
    ngx_chat_provider_end_t *end);
static void ngx_chat_job_keep(ngx_chat_job_t *job, ngx_str_t *s);
static void ngx_chat_job_event_handler(ngx_event_t *ev);
static ngx_int_t ngx_chat_job_retry(ngx_chat_job_t *job);
static void ngx_chat_job_again_handler(ngx_event_t *ev);


static const ngx_chat_provider_ops_t  ngx_chat_job_ops = {
    ngx_chat_job_delta,
    ngx_chat_job_provider_end
};


void
ngx_chat_job_prepare(ngx_chat_job_t *job)
{
    job->text.max = ngx_max(job->task.max_answer, 1);
    job->cuts.max = NGX_CHAT_JOB_CUTS;

    job->event.handler = ngx_chat_job_event_handler;
    job->event.data = job;
    job->event.log = &job->log;

    job->again.handler = ngx_chat_job_again_handler;
    job->again.data = job;
    job->again.log = &job->log;

    ngx_chat_job_choose(job);
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

        if (fp->len == NGX_CHAT_FP_LEN
            && ngx_memcmp(fp->data, pv[n]->fp, NGX_CHAT_FP_LEN) == 0)
        {
            return pv[n];
        }

        job->foreign = 1;

        if (!jobs->fp_warned) {
            jobs->fp_warned = 1;

            ngx_log_error(NGX_LOG_WARN, &job->log, 0,
                          "provider \"%V\" is configured differently where "
                          "the question was asked: the answer is not cached",
                          &pv[n]->name);
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


void
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


void
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
