
#include "ngx_chat_provider_call.h"
#include "ngx_chat_provider_bill.h"


#define NGX_CHAT_CALL_REFUSAL  1000    /* ms, for the body of an error */


typedef struct {
    ngx_chat_error_e   error;
    ngx_uint_t         retry;
    const char        *what;
} ngx_chat_provider_call_fault_t;


static void ngx_chat_provider_call_refused(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_call_wait(ngx_chat_provider_call_t *call,
    ngx_msec_t ms);
static void ngx_chat_provider_call_silence_handler(ngx_event_t *ev);
static void ngx_chat_provider_call_total_handler(ngx_event_t *ev);
static void ngx_chat_provider_call_count(ngx_chat_provider_call_t *call,
    ngx_uint_t status);


static ngx_chat_provider_call_fault_t  ngx_chat_provider_call_faults[] = {

    [NGX_CHAT_CALL_UNRESOLVED] = {
        NGX_CHAT_E_PROVIDER_UNREACHABLE, 1, "cannot be resolved" },

    [NGX_CHAT_CALL_UNREACHABLE] = {
        NGX_CHAT_E_PROVIDER_UNREACHABLE, 1, "cannot be reached" },

    [NGX_CHAT_CALL_UNSAFE] = {
        NGX_CHAT_E_PROVIDER_UNREACHABLE, 0, "cannot be connected to safely" },

    [NGX_CHAT_CALL_CONNECT_TIMEOUT] = {
        NGX_CHAT_E_PROVIDER_TIMEOUT, 1,
        "did not accept the connection in time" },

    [NGX_CHAT_CALL_PROXY_FAILED] = {
        NGX_CHAT_E_PROVIDER_UNREACHABLE, 1,
        "cannot be reached through the proxy" },

    [NGX_CHAT_CALL_PROXY_REFUSED] = {
        NGX_CHAT_E_PROVIDER_UNREACHABLE, 0,
        "cannot be reached through the proxy" },

    [NGX_CHAT_CALL_LOCAL] = {
        NGX_CHAT_E_INTERNAL, 1,
        "could not be asked for want of connections, open files or memory" },

    [NGX_CHAT_CALL_HEADER_TOO_LARGE] = {
        NGX_CHAT_E_PROVIDER_BROKEN, 0, "sent a header that is too large" },

    [NGX_CHAT_CALL_BAD_CHUNKED] = {
        NGX_CHAT_E_PROVIDER_BROKEN, 1, "sent an invalid chunked body" },

    [NGX_CHAT_CALL_BROKEN_OFF] = {
        NGX_CHAT_E_PROVIDER_BROKEN, 1, "broke the connection off" },

    [NGX_CHAT_CALL_NO_FIRST_TOKEN] = {
        NGX_CHAT_E_PROVIDER_TIMEOUT, 0, "sent nothing: first_token_timeout" },

    [NGX_CHAT_CALL_IDLE] = {
        NGX_CHAT_E_PROVIDER_TIMEOUT, 0, "fell silent: idle_timeout" },

    [NGX_CHAT_CALL_TOTAL] = {
        NGX_CHAT_E_PROVIDER_TIMEOUT, 0, "took too long: total_timeout" }
};


void
ngx_chat_provider_call_init(ngx_chat_provider_call_t *call,
    ngx_chat_provider_request_t *rq,
    ngx_chat_provider_call_expired_pt expired, ngx_pool_t *pool,
    ngx_log_t *log)
{
    call->provider = rq->provider;
    call->pool = pool;
    call->log = log;
    call->ident = -1;
    call->ops = rq->ops;
    call->data = rq->data;
    call->expired = expired;

    call->silence.handler = ngx_chat_provider_call_silence_handler;
    call->silence.data = call;
    call->silence.log = log;

    call->total.handler = ngx_chat_provider_call_total_handler;
    call->total.data = call;
    call->total.log = log;

    call->stream.delta = rq->ops->text;
    call->stream.data = rq->data;

    ngx_chat_provider_fault_init(&call->fault, rq->provider, pool);

    ngx_chat_provider_stream_init(&call->stream, &call->fault, pool);

    ngx_add_timer(&call->silence, rq->provider->first_token_timeout);
    ngx_add_timer(&call->total, rq->total);
}


void
ngx_chat_provider_call_header(ngx_chat_provider_call_t *call,
    ngx_uint_t status, ngx_str_t *type)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, call->log, 0,
                   "chat provider \"%V\" status:%ui",
                   &call->provider->name, status);

    call->status = status;

    if (status == 200) {
        ngx_chat_provider_stream_set_type(&call->stream, type);
        return;
    }

    /* the body may say why, or there is none */

    ngx_chat_provider_call_wait(call, NGX_CHAT_CALL_REFUSAL);
}


ngx_int_t
ngx_chat_provider_call_read(ngx_chat_provider_call_t *call, u_char *p,
    size_t len)
{
    size_t       room;
    ngx_uint_t   tokens;
    ngx_msec_t   idle;

    if (call->fault.error != NGX_CHAT_E_NONE) {
        return NGX_DECLINED;
    }

    if (len == 0 || call->stream.done) {
        return NGX_OK;
    }

    if (call->status != 200) {
        room = call->fault.body.max - call->fault.body.len;

        if (ngx_chat_bytes_append(&call->fault.body, p, ngx_min(len, room))
            != NGX_OK
            || len > room)
        {
            ngx_chat_provider_call_refused(call);
            return NGX_DECLINED;
        }

        return NGX_OK;
    }

    tokens = call->stream.tokens;

    ngx_chat_provider_stream_read(&call->stream, p, len);

    if (call->stream.tokens != tokens || call->stream.done) {

        if (call->idle == 0) {
            ngx_log_debug1(NGX_LOG_DEBUG_HTTP, call->log, 0,
                           "chat provider \"%V\" first token",
                           &call->provider->name);
        }

        call->progress = ngx_current_msec;

        /* a timer that moves with each token would cost more */

        idle = ngx_chat_provider_stream_idle_timeout(&call->stream,
                                               call->provider->idle_timeout);
        if (idle != call->idle) {
            call->idle = idle;
            ngx_chat_provider_call_wait(call, idle);
        }
    }

    return (call->fault.error == NGX_CHAT_E_NONE) ? NGX_OK : NGX_DECLINED;
}


void
ngx_chat_provider_call_eof(ngx_chat_provider_call_t *call)
{
    if (call->status != 0 && call->status != 200) {
        ngx_chat_provider_call_refused(call);

    } else if (call->fault.error == NGX_CHAT_E_NONE) {
        ngx_chat_provider_stream_end(&call->stream);
    }
}


void
ngx_chat_provider_call_fail(ngx_chat_provider_call_t *call,
    ngx_chat_provider_call_fault_e fault)
{
    ngx_chat_provider_call_fault_t  *f;

    if (call->status != 0 && call->status != 200) {
        ngx_chat_provider_call_refused(call);
        return;
    }

    /*
     * A stream that says why it finished and then nothing more has no need
     * of [DONE].
     */

    if (ngx_chat_provider_call_complete(call)) {
        return;
    }

    f = &ngx_chat_provider_call_faults[fault];

    ngx_chat_provider_fault_set(&call->fault, f->error, f->retry, f->what);
}


static void
ngx_chat_provider_call_refused(ngx_chat_provider_call_t *call)
{
    if (call->fault.error == NGX_CHAT_E_NONE) {
        ngx_chat_provider_fault_status(&call->fault, call->status,
                                       call->pool);
    }
}


ngx_uint_t
ngx_chat_provider_call_complete(ngx_chat_provider_call_t *call)
{
    return call->stream.done || call->stream.finished;
}


static void
ngx_chat_provider_call_wait(ngx_chat_provider_call_t *call, ngx_msec_t ms)
{
    if (call->silence.timer_set) {
        ngx_del_timer(&call->silence);
    }

    ngx_add_timer(&call->silence, ms);
}


static void
ngx_chat_provider_call_silence_handler(ngx_event_t *ev)
{
    ngx_uint_t                 silent;
    ngx_msec_int_t             left;
    ngx_chat_provider_call_t  *call;

    call = ev->data;

    if (call->idle) {
        left = (ngx_msec_int_t) (call->progress + call->idle
                                 - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(&call->silence, (ngx_msec_t) left);
            return;
        }
    }

    silent = (call->status == 0 || call->status == 200)
             && !ngx_chat_provider_call_complete(call);

    ngx_chat_provider_call_fail(call, call->idle
                                      ? NGX_CHAT_CALL_IDLE
                                      : NGX_CHAT_CALL_NO_FIRST_TOKEN);

    call->expired(call, silent);
}


static void
ngx_chat_provider_call_total_handler(ngx_event_t *ev)
{
    ngx_chat_provider_call_t        *call;
    ngx_chat_provider_call_fault_t  *f;

    call = ev->data;

    /* also where a refusal is read: its body was given a second of this */

    if (!ngx_chat_provider_call_complete(call)) {
        f = &ngx_chat_provider_call_faults[NGX_CHAT_CALL_TOTAL];

        ngx_chat_provider_fault_set(&call->fault, f->error, f->retry, f->what);
    }

    call->expired(call, 0);
}


ngx_int_t
ngx_chat_provider_call_conclude(ngx_chat_provider_call_t *call,
    ngx_chat_provider_result_t *result)
{
    u_char     *last;
    u_char      line[NGX_CHAT_FAULT_LINE];

    if (call->ops == NULL) {
        return NGX_DECLINED;
    }

    if (call->fault.status == 0) {
        call->fault.status = call->status;
    }

    result->error = call->fault.error;
    result->finish = call->stream.finish;
    result->model = call->stream.model;
    result->usage = call->stream.usage;
    result->status = call->fault.status;
    result->retry_after = call->retry_after;
    result->retry = call->fault.retry ? 1 : 0;
    result->final = call->fault.final ? 1 : 0;

    ngx_chat_provider_call_count(call, result->status);

    if (result->error == NGX_CHAT_E_NONE) {
        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, call->log, 0,
                       "chat provider \"%V\" finished \"%V\" model \"%V\"",
                       &call->provider->name, &result->finish,
                       &result->model);
        return NGX_OK;
    }

    last = ngx_chat_provider_fault_line(&call->fault, line);

    ngx_log_error(NGX_LOG_ERR, call->log, 0, "%*s",
                  (size_t) (last - line), line);

    if (call->fault.refusal) {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, call->log, 0,
                       "chat provider \"%V\" says \"%V\"",
                       &call->provider->name, &call->fault.refusal->message);
    }

    return NGX_OK;
}


static void
ngx_chat_provider_call_count(ngx_chat_provider_call_t *call,
    ngx_uint_t status)
{
    ngx_chat_usage_t      usage;
    ngx_chat_provider_t  *pv;

    pv = call->provider;

    /* without a provider: one that could not even begin */

    if (call->counted || pv == NULL) {
        return;
    }

    call->counted = 1;

    ngx_chat_metrics_count_call(&pv->name, status);

    ngx_chat_usage_read(&usage, &call->stream.usage);
    ngx_chat_provider_bill(&pv->name, pv, &usage, 0);
}


void
ngx_chat_provider_call_tell(ngx_chat_provider_call_t *call,
    ngx_chat_provider_result_t *result)
{
    const ngx_chat_provider_call_ops_t  *ops;

    ops = call->ops;
    call->ops = NULL;

    ops->ended(call->data, result);
}


void
ngx_chat_provider_call_free(ngx_chat_provider_call_t *call)
{
    if (call->silence.timer_set) {
        ngx_del_timer(&call->silence);
    }

    if (call->total.timer_set) {
        ngx_del_timer(&call->total);
    }

    /* a call that was cancelled has not been counted yet */

    ngx_chat_provider_call_count(call, call->status);

    ngx_chat_provider_stream_free(&call->stream);
    ngx_chat_provider_fault_free(&call->fault);
}
