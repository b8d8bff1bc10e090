
#include "ngx_chat_job_private.h"
#include "ngx_chat_provider_curl.h"


static void ngx_chat_job_ask_claim(ngx_chat_job_t *job,
    ngx_chat_claim_t *claim);
static void ngx_chat_job_ask_run(ngx_chat_job_t *job,
    ngx_chat_claimed_t *claimed);
static void ngx_chat_job_ask_start_over(ngx_chat_job_t *job);
static void ngx_chat_job_ask_name_attempt(ngx_chat_job_t *job);
static ngx_int_t ngx_chat_job_ask_text_handler(void *data, ngx_str_t *text);
static ngx_int_t ngx_chat_job_ask_restart_handler(void *data);
static void ngx_chat_job_ask_ended_handler(void *data,
    ngx_chat_provider_result_t *result);
static void ngx_chat_job_ask_appended(ngx_chat_job_t *job,
    ngx_uint_t listeners, ngx_uint_t stop);
static void ngx_chat_job_ask_heard(ngx_chat_job_t *job, ngx_int_t rc);
static void ngx_chat_job_ask_settle(ngx_chat_job_t *job);
static void ngx_chat_job_ask_stop(ngx_chat_job_t *job);
static void ngx_chat_job_ask_over(ngx_chat_job_t *job,
    ngx_chat_job_outcome_e outcome);


const ngx_chat_job_source_t  ngx_chat_job_ask_source = {
    ngx_chat_job_ask_claim,
    ngx_chat_job_ask_run,
    ngx_chat_job_ask_appended,
    ngx_chat_job_ask_heard,
    ngx_chat_job_ask_settle,
    ngx_chat_job_ask_stop,
    ngx_chat_job_ask_over,
    0
};


static const ngx_chat_conversation_ops_t  ngx_chat_job_ask_ops = {
    ngx_chat_job_ask_text_handler,
    ngx_chat_job_ask_restart_handler,
    ngx_chat_job_ask_ended_handler
};


ngx_int_t
ngx_chat_job_ask_prepare(ngx_chat_job_t *job)
{
    ngx_chat_conversation_t  *cv;

    cv = ngx_pcalloc(job->pool, sizeof(ngx_chat_conversation_t));
    if (cv == NULL) {
        return NGX_ERROR;
    }

    cv->transport = &ngx_chat_provider_curl_transport;
    cv->ctx = job->jobs->curl;
    cv->ops = &ngx_chat_job_ask_ops;
    cv->data = job;
    cv->messages = &job->task.messages;
    cv->trace = &job->task.trace;
    cv->max_answer = job->text.max;
    cv->pool = job->pool;
    cv->log = &job->log;

    if (ngx_chat_conversation_init(cv, job->jobs->peers->nelts) != NGX_OK) {
        return NGX_ERROR;
    }

    job->conversation = cv;

    ngx_chat_job_candidates_add(job);

    return NGX_OK;
}


static void
ngx_chat_job_ask_claim(ngx_chat_job_t *job, ngx_chat_claim_t *claim)
{
    ngx_chat_jobs_t  *jobs;

    jobs = job->jobs;

    job->attempts = 0;
    ngx_chat_job_ask_name_attempt(job);

    claim->label = job->label;
    claim->budget = job->conversation->failover.budget;

    /* the job itself wrote it for a worker until now */

    if (job->led) {
        return;
    }

    /* a worker may lead on a led one, and bring it to another filler */

    if (job->task.queue == NGX_CHAT_QUEUE_TASKS) {
        claim->predecessor = jobs->predecessor;

    } else {
        ngx_str_null(&claim->predecessor);
    }
}


static void
ngx_chat_job_ask_run(ngx_chat_job_t *job, ngx_chat_claimed_t *claimed)
{
    job->error = NGX_CHAT_E_NONE;
    job->answered = 0;
    job->broken = 0;
    job->cancel = 0;

    /* a claim has started it over in Redis already */

    ngx_chat_job_ask_start_over(job);
    job->restart = 0;

    if (job->jobs->leaving) {
        job->stray = 1;
        return;
    }

    ngx_chat_job_report_begin(job);
    ngx_chat_conversation_start(job->conversation);
}


/* forgets the chunks; what clients have of them goes with a "processing" */

static void
ngx_chat_job_ask_start_over(ngx_chat_job_t *job)
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


/* text from now on has a label that nothing had before */

static void
ngx_chat_job_ask_name_attempt(ngx_chat_job_t *job)
{
    u_char            *p;
    ngx_chat_lease_t  *lease;

    lease = &job->lease;

    p = ngx_sprintf(job->label_buf, "%*s.%ui", lease->token_len, lease->token,
                    ++job->attempts);

    job->label.data = job->label_buf;
    job->label.len = p - job->label_buf;
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
    ngx_chat_job_t *job = data;

    ngx_chat_job_report_begin(job);
    ngx_chat_job_ask_start_over(job);

    if (job->restart) {
        ngx_chat_job_ask_name_attempt(job);
    }

    return NGX_OK;
}


static void
ngx_chat_job_ask_ended_handler(void *data, ngx_chat_provider_result_t *result)
{
    ngx_chat_job_t *job = data;

    ngx_chat_provider_t    *pv;
    ngx_chat_candidate_t   *candidate;
    ngx_chat_job_answer_t  *answer;

    if (result->error == NGX_CHAT_E_NONE) {
        candidate = ngx_chat_conversation_candidate(job->conversation);
        pv = candidate->peer->provider;
        answer = &job->answer;

        answer->finish = result->finish;
        answer->provider = pv->name;
        answer->model = result->model.len ? result->model : pv->model;
        answer->usage = result->usage;
        answer->foreign = candidate->fp_mismatch;

        job->answered = 1;
    }

    job->error = result->error;

    ngx_chat_job_write(job);
}


static void
ngx_chat_job_ask_appended(ngx_chat_job_t *job, ngx_uint_t listeners,
    ngx_uint_t stop)
{
    if (listeners) {
        job->no_subscribers = 0;

    } else {
        ngx_chat_job_renewal_set_abandoned(job);
    }

    if (stop && !job->answered && job->error == NGX_CHAT_E_NONE) {
        ngx_chat_job_ask_stop(job);
        job->error = NGX_CHAT_E_STOPPED;
    }
}


static void
ngx_chat_job_ask_heard(ngx_chat_job_t *job, ngx_int_t rc)
{
    if (rc == NGX_AGAIN) {
        job->no_subscribers = 0;
    }
}


static void
ngx_chat_job_ask_settle(ngx_chat_job_t *job)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, &job->log, 0,
                   "chat job is given back");

    ngx_chat_job_ask_stop(job);

    job->stray = 0;
    job->give_back = 1;

    ngx_chat_job_write(job);
}


static void
ngx_chat_job_ask_stop(ngx_chat_job_t *job)
{
    if (job->conversation) {
        ngx_chat_conversation_stop(job->conversation);
    }

    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
    }
}


/* nobody waits to hear of it */

static void
ngx_chat_job_ask_over(ngx_chat_job_t *job, ngx_chat_job_outcome_e outcome)
{
}
