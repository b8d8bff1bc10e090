
#include "ngx_chat_job_private.h"
#include "ngx_chat_provider_curl.h"


#define NGX_CHAT_JOB_CHUNK_LENS  (4 * 1024 * 1024)


static ngx_int_t ngx_chat_job_ask_text_handler(void *data, ngx_str_t *text);
static ngx_int_t ngx_chat_job_ask_restart_handler(void *data);
static void ngx_chat_job_ask_ended_handler(void *data,
    ngx_chat_provider_result_t *result);
static void ngx_chat_job_ask_event_handler(ngx_event_t *ev);


static const ngx_chat_conversation_ops_t  ngx_chat_job_ask_ops = {
    ngx_chat_job_ask_text_handler,
    ngx_chat_job_ask_restart_handler,
    ngx_chat_job_ask_ended_handler
};


ngx_int_t
ngx_chat_job_prepare(ngx_chat_job_t *job)
{
    ngx_chat_conversation_t  *cv;

    job->text.max = ngx_max(job->task.max_answer, 1);
    job->chunk_lens.max = NGX_CHAT_JOB_CHUNK_LENS;

    job->event.handler = ngx_chat_job_ask_event_handler;
    job->event.data = job;
    job->event.log = &job->log;

    cv = &job->conversation;

    cv->transport = &ngx_chat_provider_curl_transport;
    cv->ctx = job->jobs->curl;
    cv->ops = &ngx_chat_job_ask_ops;
    cv->data = job;
    cv->messages = &job->task.messages;
    cv->max_answer = job->text.max;
    cv->pool = job->pool;
    cv->log = &job->log;

    if (ngx_chat_conversation_init(cv, job->jobs->peers->nelts) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_chat_job_add_candidates(job);

    return NGX_OK;
}


void
ngx_chat_job_ask(ngx_chat_job_t *job)
{
    ngx_chat_conversation_start(&job->conversation);
}


void
ngx_chat_job_start_over(ngx_chat_job_t *job)
{
    if (job->sent_any) {
        job->sent_any = 0;
        job->restart = 1;
    }

    job->text.len = 0;
    job->chunk_lens.len = 0;
    job->next = 0;
    job->offset = 0;
}


/* inside libcurl: what follows from the chunk is left to the posted event */

static ngx_int_t
ngx_chat_job_ask_text_handler(void *data, ngx_str_t *text)
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
ngx_chat_job_ask_restart_handler(void *data)
{
    ngx_chat_job_start_over(data);

    return NGX_OK;
}


static void
ngx_chat_job_ask_ended_handler(void *data, ngx_chat_provider_result_t *result)
{
    ngx_chat_job_t *job = data;

    job->ops->ended(job, result);
}


static void
ngx_chat_job_ask_event_handler(ngx_event_t *ev)
{
    ngx_chat_job_t  *job;

    job = ev->data;

    job->ops->text(job);
}


void
ngx_chat_job_stop_asking(ngx_chat_job_t *job)
{
    ngx_chat_conversation_stop(&job->conversation);

    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
    }
}
