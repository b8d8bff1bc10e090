
#include "ngx_chat_provider_call.h"
#include "ngx_chat_provider_easy.h"
#include "../codec/ngx_chat_provider_stream.h"
#include <ngx_event.h>


#define NGX_CHAT_PROVIDER_REFUSAL  1000    /* ms, for the body of an error */


typedef enum {
    NGX_CHAT_BODY_UNKNOWN = 0,
    NGX_CHAT_BODY_STREAM,
    NGX_CHAT_BODY_REFUSAL
} ngx_chat_provider_body_e;


struct ngx_chat_provider_call_s {
    ngx_pool_t                     *pool;
    ngx_log_t                      *log;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                       ident;

    ngx_chat_curl_t                *curl;
    ngx_chat_provider_t            *provider;
    ngx_chat_provider_easy_t        request;

    const ngx_chat_provider_ops_t  *ops;
    void                           *data;

    ngx_msec_t                      started;
    ngx_msec_t                      heard;     /* when a token came last */
    ngx_msec_t                      patience;  /* from then on; 0: no token */
    ngx_event_t                     wait;      /* for what comes next */
    ngx_event_t                     total;

    ngx_chat_provider_body_e        body;
    ngx_chat_provider_stream_t      stream;
    ngx_chat_provider_fault_t       fault;
    ngx_chat_provider_end_t         end;

    unsigned                        afresh:1;  /* on a new connection */
};


static ngx_int_t ngx_chat_provider_start(ngx_chat_provider_call_t *call,
    ngx_str_t *messages);
static size_t ngx_chat_provider_head(char *p, size_t size, size_t n,
    void *data);
static size_t ngx_chat_provider_write(char *p, size_t size, size_t n,
    void *data);
static void ngx_chat_provider_begin(ngx_chat_provider_call_t *call);
static ngx_uint_t ngx_chat_provider_status(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_type(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_read(ngx_chat_provider_call_t *call, u_char *p,
    size_t len);
static void ngx_chat_provider_delta(void *data, ngx_str_t *text);
static void ngx_chat_provider_wait(ngx_chat_provider_call_t *call,
    ngx_msec_t ms);
static void ngx_chat_provider_wait_handler(ngx_event_t *ev);
static void ngx_chat_provider_total_handler(ngx_event_t *ev);
static void ngx_chat_provider_done(void *data, CURLcode rc);
static ngx_uint_t ngx_chat_provider_afresh(ngx_chat_provider_call_t *call,
    CURLcode rc);
static void ngx_chat_provider_conclude(ngx_chat_provider_call_t *call,
    CURLcode rc);
static void ngx_chat_provider_refused(ngx_chat_provider_call_t *call,
    ngx_uint_t status);
static void ngx_chat_provider_doubt(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_finish(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_detach(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_free(ngx_chat_provider_call_t *call);


ngx_chat_provider_call_t *
ngx_chat_provider_call(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv,
    ngx_str_t *messages, ngx_msec_t total, const ngx_chat_provider_ops_t *ops,
    void *data, ngx_log_t *log)
{
    ngx_pool_t                *pool;
    ngx_chat_provider_call_t  *call;

    /* the log may be gone with the caller when end() returns */

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    call = ngx_pcalloc(pool, sizeof(ngx_chat_provider_call_t));
    if (call == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    call->pool = pool;
    call->log = log;
    call->ident = -1;
    call->curl = cu;
    call->provider = pv;
    call->ops = ops;
    call->data = data;
    call->started = ngx_current_msec;

    call->wait.handler = ngx_chat_provider_wait_handler;
    call->wait.data = call;
    call->wait.log = log;

    call->total.handler = ngx_chat_provider_total_handler;
    call->total.data = call;
    call->total.log = log;

    ngx_chat_provider_fault_init(&call->fault, pv);

    if (ngx_chat_provider_start(call, messages) != NGX_OK) {
        ngx_chat_provider_free(call);
        return NULL;
    }

    ngx_add_timer(&call->wait, pv->first_token_timeout);
    ngx_add_timer(&call->total, total);

    return call;
}


void
ngx_chat_provider_cancel(ngx_chat_provider_call_t *call)
{
    ngx_chat_provider_doubt(call);
    ngx_chat_provider_detach(call);
    ngx_chat_provider_free(call);
}


static ngx_int_t
ngx_chat_provider_start(ngx_chat_provider_call_t *call, ngx_str_t *messages)
{
    CURL        *easy;
    ngx_uint_t   failed;

    call->stream.delta = ngx_chat_provider_delta;
    call->stream.data = call;

    if (ngx_chat_provider_stream_init(&call->stream, &call->fault, call->pool,
                                      ngx_cycle->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_chat_provider_easy(&call->request, call->provider, messages,
                               call->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    easy = call->request.easy;

    failed = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
                              ngx_chat_provider_head);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                               ngx_chat_provider_write);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    failed |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);

    if (failed) {
        return NGX_ERROR;
    }

    return ngx_chat_curl_add(call->curl, call->provider, easy,
                             call->fault.words, ngx_chat_provider_done, call);
}


/* a line of a head: behind that of a refusal there may be no body at all */

static size_t
ngx_chat_provider_head(char *p, size_t size, size_t n, void *data)
{
    ngx_chat_provider_call_t *call = data;

    ngx_uint_t  status;

    if (call->body == NGX_CHAT_BODY_UNKNOWN) {
        status = ngx_chat_provider_status(call);

        if (status != 0 && status != 200) {
            ngx_chat_provider_begin(call);
        }
    }

    return n * size;
}


/*
 * Inside libcurl: nothing here may remove the transfer.  A short count ends
 * it, and done() follows.
 */

static size_t
ngx_chat_provider_write(char *p, size_t size, size_t n, void *data)
{
    ngx_chat_provider_call_t *call = data;

    long  once;

    n *= size;

    if (call->body == NGX_CHAT_BODY_UNKNOWN) {
        ngx_chat_provider_begin(call);
    }

    if (call->body == NGX_CHAT_BODY_REFUSAL) {
        size = call->fault.body.max - call->fault.body.len;
        size = ngx_min(size, n);

        if (ngx_chat_bytes_append(&call->fault.body, p, size) != NGX_OK) {
            return 0;
        }

        return size;
    }

    if (call->fault.error == NGX_CHAT_E_NONE && !call->stream.done) {
        ngx_chat_provider_read(call, (u_char *) p, n);
    }

    /*
     * The connection is kept after a whole answer only: late bytes of a stream
     * that broke off would be taken for the next answer.
     */

    once = !call->stream.done && !call->stream.finished;

    (void) curl_easy_setopt(call->request.easy, CURLOPT_FORBID_REUSE, once);

    return (call->fault.error == NGX_CHAT_E_NONE) ? n : 0;
}


/* the first bytes of a body are here, and so are all headers; or a refusal */

static void
ngx_chat_provider_begin(ngx_chat_provider_call_t *call)
{
    ngx_uint_t  status;

    status = ngx_chat_provider_status(call);

    if (status != 200) {
        call->body = NGX_CHAT_BODY_REFUSAL;
        ngx_chat_provider_wait(call, NGX_CHAT_PROVIDER_REFUSAL);
        return;
    }

    call->body = NGX_CHAT_BODY_STREAM;

    ngx_chat_provider_type(call);
}


static ngx_uint_t
ngx_chat_provider_status(ngx_chat_provider_call_t *call)
{
    long  status;

    status = 0;

    if (curl_easy_getinfo(call->request.easy, CURLINFO_RESPONSE_CODE, &status)
        != CURLE_OK
        || status < 200)
    {
        /* not even the head of the final response is there */
        return 0;
    }

    return (ngx_uint_t) status;
}


static void
ngx_chat_provider_type(ngx_chat_provider_call_t *call)
{
    char       *type;
    ngx_str_t   value;

    type = NULL;
    ngx_str_null(&value);

    if (curl_easy_getinfo(call->request.easy, CURLINFO_CONTENT_TYPE, &type)
        == CURLE_OK
        && type)
    {
        value.data = (u_char *) type;
        value.len = ngx_strlen(type);
    }

    ngx_chat_provider_stream_set_type(&call->stream, &value);
}


static void
ngx_chat_provider_read(ngx_chat_provider_call_t *call, u_char *p, size_t len)
{
    ngx_uint_t  tokens;
    ngx_msec_t  patience;

    tokens = call->stream.tokens;

    ngx_chat_provider_stream_read(&call->stream, p, len);

    if (call->stream.tokens == tokens && !call->stream.done) {
        return;
    }

    call->heard = ngx_current_msec;

    /* to move the timer with each token would cost more, or be lazy */

    patience = ngx_chat_provider_stream_idle_timeout(&call->stream,
                                             call->provider->idle_timeout);

    if (patience != call->patience) {
        call->patience = patience;
        ngx_chat_provider_wait(call, patience);
    }
}


static void
ngx_chat_provider_delta(void *data, ngx_str_t *text)
{
    ngx_chat_provider_call_t *call = data;

    call->ops->delta(call->data, text);
}


static void
ngx_chat_provider_wait(ngx_chat_provider_call_t *call, ngx_msec_t ms)
{
    if (call->wait.timer_set) {
        ngx_del_timer(&call->wait);
    }

    ngx_add_timer(&call->wait, ms);
}


static void
ngx_chat_provider_wait_handler(ngx_event_t *ev)
{
    ngx_uint_t                 status;
    ngx_msec_int_t             left;
    ngx_chat_provider_call_t  *call;

    call = ev->data;

    if (call->patience) {
        left = (ngx_msec_int_t) (call->heard + call->patience
                                 - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(&call->wait, (ngx_msec_t) left);
            return;
        }
    }

    /*
     * A stream that says why it finished and then nothing more has no need
     * of [DONE].
     */

    if (!call->stream.done && !call->stream.finished) {
        status = ngx_chat_provider_status(call);

        if (status != 0 && status != 200) {
            ngx_chat_provider_refused(call, status);

        } else {
            ngx_chat_provider_fault(&call->fault,
                                    NGX_CHAT_E_PROVIDER_TIMEOUT, 0,
                                    call->patience
                                    ? "fell silent: idle_timeout"
                                    : "sent nothing: first_token_timeout");

            ngx_chat_curl_retire_connections(call->curl, call->request.easy);
        }
    }

    ngx_chat_provider_finish(call);
}


static void
ngx_chat_provider_total_handler(ngx_event_t *ev)
{
    ngx_chat_provider_call_t  *call;

    call = ev->data;

    if (!call->stream.done && !call->stream.finished) {
        ngx_chat_provider_fault(&call->fault, NGX_CHAT_E_PROVIDER_TIMEOUT, 0,
                                "took too long: total_timeout");
    }

    ngx_chat_provider_doubt(call);

    ngx_chat_provider_finish(call);
}


static void
ngx_chat_provider_done(void *data, CURLcode rc)
{
    ngx_chat_provider_call_t *call = data;

    if (ngx_chat_provider_afresh(call, rc)) {
        return;
    }

    if (!call->stream.done && call->fault.error == NGX_CHAT_E_NONE) {
        ngx_chat_provider_conclude(call, rc);
    }

    ngx_chat_provider_finish(call);
}


/*
 * Kept connections may all have been closed by the provider.  libcurl tries
 * some and gives up; from 8.22 on it looks at each but once a second before.
 */

static ngx_uint_t
ngx_chat_provider_afresh(ngx_chat_provider_call_t *call, CURLcode rc)
{
    long   made;
    CURL  *easy;

    easy = call->request.easy;
    made = 1;

    if (rc != CURLE_SEND_ERROR || call->afresh
        || ngx_chat_provider_status(call) != 0
        || curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &made) != CURLE_OK
        || made != 0)
    {
        return 0;
    }

    call->afresh = 1;

    return curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK
           && ngx_chat_curl_add(call->curl, call->provider, easy,
                                call->fault.words, ngx_chat_provider_done,
                                call)
              == NGX_OK;
}


static void
ngx_chat_provider_conclude(ngx_chat_provider_call_t *call, CURLcode rc)
{
    ngx_uint_t  status;

    status = ngx_chat_provider_status(call);

    if (status != 0 && status != 200) {
        ngx_chat_provider_refused(call, status);
        return;
    }

    /* libcurl has no other name for a header that is over its limit */

    if (rc == CURLE_OUT_OF_MEMORY && status != 0
        && call->body == NGX_CHAT_BODY_UNKNOWN)
    {
        ngx_chat_provider_fault(&call->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                "sent a header that is too large");
        return;
    }

    if (rc != CURLE_OK) {

        /* an answer that has said why it finished was whole before */

        if (!call->stream.finished) {
            ngx_chat_provider_easy_fault(&call->request, &call->fault, rc);
        }

        return;
    }

    ngx_chat_provider_stream_end(&call->stream);
}


static void
ngx_chat_provider_refused(ngx_chat_provider_call_t *call, ngx_uint_t status)
{
    curl_off_t  after;

    after = 0;

    if (curl_easy_getinfo(call->request.easy, CURLINFO_RETRY_AFTER, &after)
        == CURLE_OK
        && after > 0)
    {
        call->end.retry_after = (ngx_msec_t) ngx_min(after, 86400) * 1000;
    }

    ngx_chat_provider_fault_status(&call->fault, status, call->stream.temp);
}


/*
 * No header for longer than connecting may take: as little may come for the
 * next call on the connection.
 */

static void
ngx_chat_provider_doubt(ngx_chat_provider_call_t *call)
{
    if (ngx_current_msec - call->started >= call->provider->connect_timeout
        && ngx_chat_provider_status(call) == 0)
    {
        ngx_chat_curl_retire_connections(call->curl, call->request.easy);
    }
}


/* the one way out, but for cancel: the call is gone afterwards */

static void
ngx_chat_provider_finish(ngx_chat_provider_call_t *call)
{
    u_char                   *last;
    u_char                    line[NGX_CHAT_FAULT_LINE];
    ngx_chat_provider_end_t  *end;

    if (call->fault.status == 0) {
        call->fault.status = ngx_chat_provider_status(call);
    }

    ngx_chat_provider_detach(call);

    end = &call->end;

    end->finish = call->stream.finish;
    end->model = call->stream.model;
    end->usage = call->stream.usage;
    end->error = call->fault.error;
    end->retry = call->fault.retry ? 1 : 0;
    end->final = call->fault.final ? 1 : 0;
    end->status = call->fault.status;

    if (end->error == NGX_CHAT_E_NONE) {
        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, call->log, 0,
                       "chat provider \"%V\" finished \"%V\" model \"%V\"",
                       &call->provider->name, &end->finish, &end->model);

    } else {
        last = ngx_chat_provider_fault_line(&call->fault, line);

        ngx_log_error(NGX_LOG_ERR, call->log, 0, "%*s",
                      (size_t) (last - line), line);

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, call->log, 0,
                       "chat provider \"%V\" says \"%V\"",
                       &call->provider->name, &call->fault.message);
    }

    call->ops->end(call->data, end);

    ngx_chat_provider_free(call);
}


static void
ngx_chat_provider_detach(ngx_chat_provider_call_t *call)
{
    ngx_chat_curl_remove(call->curl, call->request.easy);

    if (call->wait.timer_set) {
        ngx_del_timer(&call->wait);
    }

    if (call->total.timer_set) {
        ngx_del_timer(&call->total);
    }
}


static void
ngx_chat_provider_free(ngx_chat_provider_call_t *call)
{
    ngx_chat_provider_easy_free(&call->request);
    ngx_chat_provider_stream_free(&call->stream);
    ngx_chat_provider_fault_free(&call->fault);

    ngx_destroy_pool(call->pool);
}
