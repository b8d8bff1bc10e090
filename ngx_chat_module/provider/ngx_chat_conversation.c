
#include "ngx_chat_conversation.h"
#include "../shm/ngx_chat_metrics.h"


static void ngx_chat_conversation_next(ngx_chat_conversation_t *cv);
static ngx_int_t ngx_chat_conversation_restart(ngx_chat_conversation_t *cv);
static void ngx_chat_conversation_call(ngx_chat_conversation_t *cv);
static void ngx_chat_conversation_text_handler(void *data, ngx_str_t *text);
static void ngx_chat_conversation_ended_handler(void *data,
    ngx_chat_provider_result_t *result);
static void ngx_chat_conversation_keep(ngx_chat_conversation_t *cv,
    ngx_str_t *s);
static void ngx_chat_conversation_fail(ngx_chat_conversation_t *cv,
    ngx_chat_error_e error);
static void ngx_chat_conversation_event_handler(ngx_event_t *ev);
static void ngx_chat_conversation_retry_handler(ngx_event_t *ev);
static void ngx_chat_conversation_report(ngx_chat_conversation_t *cv);


static const ngx_chat_provider_call_ops_t  ngx_chat_conversation_call_ops = {
    ngx_chat_conversation_text_handler,
    ngx_chat_conversation_ended_handler
};


ngx_int_t
ngx_chat_conversation_init(ngx_chat_conversation_t *cv, ngx_uint_t max)
{
    cv->ident = -1;

    cv->event.handler = ngx_chat_conversation_event_handler;
    cv->event.data = cv;
    cv->event.log = cv->log;

    cv->retry.handler = ngx_chat_conversation_retry_handler;
    cv->retry.data = cv;
    cv->retry.log = cv->log;

    return ngx_chat_failover_init(&cv->failover, max, cv->pool, cv->log);
}


void
ngx_chat_conversation_start(ngx_chat_conversation_t *cv)
{
    cv->failed = 0;
    cv->sent_any = 0;
    cv->length = 0;
    cv->started = ngx_current_msec;

    ngx_memzero(&cv->result, sizeof(ngx_chat_provider_result_t));

    cv->result.error = NGX_CHAT_E_INTERNAL;

    ngx_chat_failover_reset(&cv->failover);

    ngx_chat_conversation_next(cv);
}


/* the next candidate, now or in a while; if there is none, the last error */

static void
ngx_chat_conversation_next(ngx_chat_conversation_t *cv)
{
    ngx_int_t   rc;
    ngx_msec_t  delay;

    rc = ngx_chat_failover_next(&cv->failover, &delay);

    if (rc == NGX_DECLINED) {
        ngx_chat_conversation_fail(cv, cv->result.error);
        return;
    }

    if (ngx_chat_conversation_restart(cv) != NGX_OK) {
        ngx_chat_conversation_fail(cv, NGX_CHAT_E_INTERNAL);
        return;
    }

    if (rc == NGX_AGAIN) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, cv->log, 0,
                       "chat conversation retry in %M ms", delay);

        ngx_add_timer(&cv->retry, delay);
        return;
    }

    ngx_chat_conversation_call(cv);
}


static ngx_int_t
ngx_chat_conversation_restart(ngx_chat_conversation_t *cv)
{
    if (!cv->sent_any) {
        return NGX_OK;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, cv->log, 0,
                   "chat conversation restart, void:%uz", cv->length);

    cv->sent_any = 0;
    cv->length = 0;

    return cv->ops->restart(cv->data);
}


static void
ngx_chat_conversation_call(ngx_chat_conversation_t *cv)
{
    ngx_chat_provider_request_t  rq;

    rq.provider = cv->failover.candidate->peer->provider;
    rq.messages = cv->messages;
    rq.trace = cv->trace;
    rq.total = ngx_chat_failover_left(&cv->failover);
    rq.log = cv->log;
    rq.ops = &ngx_chat_conversation_call_ops;
    rq.data = cv;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, cv->log, 0,
                   "chat conversation call \"%V\", attempt:%ui, ms left:%M",
                   &rq.provider->name, cv->failover.candidate->asked,
                   rq.total);

    cv->call = cv->transport->start(cv->ctx, &rq);

    if (cv->call == NULL) {
        ngx_chat_conversation_fail(cv, NGX_CHAT_E_INTERNAL);
    }
}


/* inside the transport: all that follows is left to the posted event */

static void
ngx_chat_conversation_text_handler(void *data, ngx_str_t *text)
{
    ngx_chat_conversation_t *cv = data;

    ngx_int_t  rc;

    if (cv->failed) {
        return;
    }

    if (text->len > cv->max_answer - cv->length) {
        rc = NGX_DECLINED;

    } else {
        if (cv->sent_any) {
            ngx_chat_metrics_observe(NGX_CHAT_TIME_BETWEEN_TOKENS,
                                     (uint64_t) 1000
                                     * (ngx_current_msec - cv->last));
        }

        cv->sent_any = 1;
        cv->last = ngx_current_msec;
        cv->length += text->len;

        rc = cv->ops->text(cv->data, text);
    }

    if (rc == NGX_OK) {
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, cv->log, 0,
                      "chat provider \"%V\" sent an answer longer than "
                      "chat_max_answer",
                      &cv->failover.candidate->peer->provider->name);

        ngx_chat_conversation_fail(cv, NGX_CHAT_E_ANSWER_TOO_LONG);
        return;
    }

    ngx_chat_conversation_fail(cv, NGX_CHAT_E_INTERNAL);
}


static void
ngx_chat_conversation_ended_handler(void *data,
    ngx_chat_provider_result_t *result)
{
    ngx_chat_conversation_t *cv = data;

    cv->call = NULL;

    if (cv->failed) {
        return;
    }

    cv->result = *result;

    ngx_chat_conversation_keep(cv, &cv->result.finish);
    ngx_chat_conversation_keep(cv, &cv->result.model);
    ngx_chat_conversation_keep(cv, &cv->result.usage);

    ngx_post_event(&cv->event, &ngx_posted_events);
}


static void
ngx_chat_conversation_keep(ngx_chat_conversation_t *cv, ngx_str_t *s)
{
    /* a call that failed may be one of many */

    if (s->len == 0 || cv->result.error != NGX_CHAT_E_NONE) {
        ngx_str_null(s);
        return;
    }

    s->data = ngx_pstrdup(cv->pool, s);

    if (s->data == NULL) {
        s->len = 0;
    }
}


static void
ngx_chat_conversation_fail(ngx_chat_conversation_t *cv,
    ngx_chat_error_e error)
{
    cv->failed = 1;
    cv->result.error = error;

    ngx_post_event(&cv->event, &ngx_posted_events);
}


static void
ngx_chat_conversation_event_handler(ngx_event_t *ev)
{
    ngx_chat_conversation_t  *cv;

    cv = ev->data;

    if (!cv->failed) {
        ngx_chat_conversation_report(cv);

        if (cv->result.error != NGX_CHAT_E_NONE) {
            ngx_chat_conversation_next(cv);
            return;
        }
    }

    ngx_chat_conversation_stop(cv);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, cv->log, 0,
                   "chat conversation ended, error:%ui length:%uz",
                   (ngx_uint_t) cv->result.error, cv->length);

    if (cv->result.error == NGX_CHAT_E_NONE) {
        ngx_chat_metrics_observe(NGX_CHAT_TIME_GENERATION,
                                 (uint64_t) 1000
                                 * (ngx_current_msec - cv->started));
    }

    cv->ops->ended(cv->data, &cv->result);
}


static void
ngx_chat_conversation_report(ngx_chat_conversation_t *cv)
{
    ngx_chat_outcome_t           outcome;
    ngx_chat_provider_result_t  *result;

    result = &cv->result;

    outcome.retry_after = result->retry_after;
    outcome.answered = (result->error == NGX_CHAT_E_NONE);
    outcome.final = result->final;
    outcome.local_fault = (result->error == NGX_CHAT_E_INTERNAL);
    outcome.retry = result->retry;

    ngx_chat_failover_report(&cv->failover, &outcome);
}


static void
ngx_chat_conversation_retry_handler(ngx_event_t *ev)
{
    ngx_chat_conversation_next(ev->data);
}


void
ngx_chat_conversation_stop(ngx_chat_conversation_t *cv)
{
    if (cv->call) {
        cv->transport->cancel(cv->call);
        cv->call = NULL;
    }

    if (cv->retry.timer_set) {
        ngx_del_timer(&cv->retry);
    }

    if (cv->event.posted) {
        ngx_delete_posted_event(&cv->event);
    }
}


ngx_chat_candidate_t *
ngx_chat_conversation_candidate(ngx_chat_conversation_t *cv)
{
    return cv->failover.candidate;
}
