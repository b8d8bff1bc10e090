
#include "ngx_chat_job_private.h"
#include "ngx_chat_provider_curl.h"


#define NGX_CHAT_JOB_CHUNK_LENS  (4 * 1024 * 1024)


static ngx_int_t ngx_chat_job_text_handler(void *data, ngx_str_t *text);
static ngx_int_t ngx_chat_job_restart_handler(void *data);
static void ngx_chat_job_ended_handler(void *data,
    ngx_chat_provider_result_t *result);
static void ngx_chat_job_event_handler(ngx_event_t *ev);


static const ngx_chat_conversation_ops_t  ngx_chat_job_ops = {
    ngx_chat_job_text_handler,
    ngx_chat_job_restart_handler,
    ngx_chat_job_ended_handler
};


ngx_int_t
ngx_chat_job_prepare(ngx_chat_job_t *job)
{
    ngx_chat_conversation_t  *cv;

    job->text.max = ngx_max(job->task.max_answer, 1);
    job->chunk_lens.max = NGX_CHAT_JOB_CHUNK_LENS;

    job->event.handler = ngx_chat_job_event_handler;
    job->event.data = job;
    job->event.log = &job->log;

    cv = &job->conversation;

    cv->transport = &ngx_chat_provider_curl_transport;
    cv->ctx = job->jobs->curl;
    cv->ops = &ngx_chat_job_ops;
    cv->data = job;
    cv->messages = &job->task.messages;
    cv->max_answer = job->text.max;
    cv->pool = job->pool;
    cv->log = &job->log;

    if (ngx_chat_conversation_init(cv, job->jobs->peers->nelts) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_chat_job_candidates(job);

    return NGX_OK;
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


/* inside libcurl: what follows from the chunk is left to the posted event */

static ngx_int_t
ngx_chat_job_text_handler(void *data, ngx_str_t *text)
{
    ngx_chat_job_t *job = data;

    uint32_t   len;
    ngx_int_t  rc;

    len = (uint32_t) text->len;

    rc = ngx_chat_bytes_append(&job->text, text->data, text->len);

    if (rc == NGX_OK) {
        rc = ngx_chat_bytes_append(&job->chunk_lens, &len, sizeof(uint32_t));
    }

    ngx_post_event(&job->event, &ngx_posted_events);

    return rc;
}


static ngx_int_t
ngx_chat_job_restart_handler(void *data)
{
    ngx_chat_job_start_over(data);

    return NGX_OK;
}


static void
ngx_chat_job_ended_handler(void *data, ngx_chat_provider_result_t *result)
{
    ngx_chat_job_t *job = data;

    job->result = *result;
    job->error = result->error;
    job->answered = (result->error == NGX_CHAT_E_NONE);

    ngx_chat_job_write(job);
}


static void
ngx_chat_job_event_handler(ngx_event_t *ev)
{
    ngx_chat_job_write(ev->data);
}


void
ngx_chat_job_stop_asking(ngx_chat_job_t *job)
{
    ngx_chat_conversation_stop(&job->conversation);

    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
    }
}
