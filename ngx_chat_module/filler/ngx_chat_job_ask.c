
#include "ngx_chat_job_private.h"


#define NGX_CHAT_JOB_CHUNK_LENS  (4 * 1024 * 1024)


static void ngx_chat_job_call(ngx_chat_job_t *job);
static void ngx_chat_job_delta(void *data, ngx_str_t *text);
static void ngx_chat_job_provider_end(void *data,
    ngx_chat_provider_end_t *end);
static void ngx_chat_job_keep(ngx_chat_job_t *job, ngx_str_t *s);
static void ngx_chat_job_event_handler(ngx_event_t *ev);
static void ngx_chat_job_again_handler(ngx_event_t *ev);


static const ngx_chat_provider_ops_t  ngx_chat_job_ops = {
    ngx_chat_job_delta,
    ngx_chat_job_provider_end
};


ngx_int_t
ngx_chat_job_prepare(ngx_chat_job_t *job)
{
    job->text.max = ngx_max(job->task.max_answer, 1);
    job->chunk_lens.max = NGX_CHAT_JOB_CHUNK_LENS;

    job->event.handler = ngx_chat_job_event_handler;
    job->event.data = job;
    job->event.log = &job->log;

    job->again.handler = ngx_chat_job_again_handler;
    job->again.data = job;
    job->again.log = &job->log;

    return ngx_chat_job_candidates(job);
}


void
ngx_chat_job_start_over(ngx_chat_job_t *job)
{
    if (job->begun) {
        job->begun = 0;
        job->fresh = 1;
    }

    job->text.len = 0;
    job->chunk_lens.len = 0;
    job->next = 0;
    job->offset = 0;
}


/* whichever is next, now or in a while; if there is none, the last error */

void
ngx_chat_job_ask(ngx_chat_job_t *job)
{
    ngx_msec_t  delay;

    switch (ngx_chat_failover_next(&job->choice, &delay)) {

    case NGX_OK:
        ngx_chat_job_start_over(job);
        ngx_chat_job_call(job);
        return;

    case NGX_AGAIN:
        ngx_chat_job_start_over(job);
        ngx_add_timer(&job->again, delay);
        return;

    default: /* NGX_DECLINED */
        job->error = job->end.error;
        ngx_chat_job_write(job);
        return;
    }
}


static void
ngx_chat_job_call(ngx_chat_job_t *job)
{
    job->call = ngx_chat_provider_call(job->jobs->curl,
                                       job->choice.option->peer->provider,
                                       &job->task.messages,
                                       ngx_chat_failover_left(&job->choice),
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
        rc = ngx_chat_bytes_append(&job->chunk_lens, &len, sizeof(uint32_t));
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, &job->log, 0,
                      "provider \"%V\" sent an answer longer than "
                      "chat_max_answer",
                      &job->choice.option->peer->provider->name);

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

        ngx_chat_job_judge(job);

        if (job->end.error != NGX_CHAT_E_NONE) {
            ngx_chat_job_ask(job);
            return;
        }

        job->answered = 1;
    }

    ngx_chat_job_write(job);
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
