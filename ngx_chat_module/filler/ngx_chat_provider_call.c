
#include "ngx_chat_provider_call.h"
#include "ngx_chat_provider_easy.h"
#include "ngx_chat_provider_fault.h"
#include "../codec/ngx_chat_sse_reader.h"
#include <ngx_event.h>


#define NGX_CHAT_PROVIDER_EVENT    (4 * 1024 * 1024)
#define NGX_CHAT_PROVIDER_USAGE    4096
#define NGX_CHAT_PROVIDER_NAME     256
#define NGX_CHAT_PROVIDER_LINGER   100     /* ms, from [DONE] to the end */
#define NGX_CHAT_PROVIDER_REFUSAL  1000    /* ms, for the body of an error */


typedef enum {
    NGX_CHAT_BODY_UNKNOWN = 0,
    NGX_CHAT_BODY_STREAM,
    NGX_CHAT_BODY_REFUSAL
} ngx_chat_provider_body_e;


struct ngx_chat_provider_call_s {
    ngx_pool_t                     *pool;
    ngx_pool_t                     *temp;      /* emptied after each event */
    ngx_log_t                      *log;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                       ident;

    ngx_chat_curl_t                *curl;
    ngx_chat_provider_t            *provider;
    ngx_chat_provider_easy_t        request;

    const ngx_chat_provider_ops_t  *ops;
    void                           *data;

    ngx_msec_t                      heard;     /* when a token came last */
    ngx_event_t                     wait;      /* for what comes next */
    ngx_event_t                     total;

    ngx_chat_provider_body_e        body;
    ngx_chat_sse_reader_t           sse;
    ngx_chat_provider_fault_t       fault;
    ngx_chat_provider_end_t         end;

    unsigned                        begun:1;   /* a first token was there */
    unsigned                        finished:1;
    unsigned                        done:1;    /* nothing else matters */
};


static ngx_int_t ngx_chat_provider_start(ngx_chat_provider_call_t *call,
    ngx_str_t *messages);
static size_t ngx_chat_provider_write(char *p, size_t size, size_t n,
    void *data);
static void ngx_chat_provider_begin(ngx_chat_provider_call_t *call);
static ngx_uint_t ngx_chat_provider_status(ngx_chat_provider_call_t *call);
static ngx_uint_t ngx_chat_provider_is_stream(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_read(ngx_chat_provider_call_t *call, u_char *p,
    size_t len);
static void ngx_chat_provider_event(ngx_chat_provider_call_t *call);
static void ngx_chat_provider_delta(ngx_chat_provider_call_t *call,
    ngx_chat_delta_t *d);
static void ngx_chat_provider_keep(ngx_chat_provider_call_t *call,
    ngx_str_t *dst, ngx_str_t *src, size_t max);
static void ngx_chat_provider_wait(ngx_chat_provider_call_t *call,
    ngx_msec_t ms);
static void ngx_chat_provider_wait_handler(ngx_event_t *ev);
static void ngx_chat_provider_total_handler(ngx_event_t *ev);
static void ngx_chat_provider_done(void *data, CURLcode rc);
static void ngx_chat_provider_conclude(ngx_chat_provider_call_t *call,
    CURLcode rc);
static void ngx_chat_provider_refused(ngx_chat_provider_call_t *call,
    ngx_uint_t status);
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

    call->wait.handler = ngx_chat_provider_wait_handler;
    call->wait.data = call;
    call->wait.log = log;

    call->total.handler = ngx_chat_provider_total_handler;
    call->total.data = call;
    call->total.log = log;

    ngx_chat_sse_reader_init(&call->sse, NGX_CHAT_PROVIDER_EVENT);
    ngx_chat_provider_fault_init(&call->fault, pv, log);

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
    ngx_chat_provider_detach(call);
    ngx_chat_provider_free(call);
}


static ngx_int_t
ngx_chat_provider_start(ngx_chat_provider_call_t *call, ngx_str_t *messages)
{
    CURL        *easy;
    ngx_uint_t   failed;

    call->temp = ngx_create_pool(4096, ngx_cycle->log);
    if (call->temp == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_provider_easy(&call->request, call->provider, messages,
                               call->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    easy = call->request.easy;

    failed = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                              ngx_chat_provider_write);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->fault.curl);
    failed |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);

    if (failed) {
        return NGX_ERROR;
    }

    return ngx_chat_curl_add(call->curl, easy, ngx_chat_provider_done, call);
}


/*
 * Inside libcurl: nothing here may remove the transfer.  A short count ends
 * it, and done() follows.
 */

static size_t
ngx_chat_provider_write(char *p, size_t size, size_t n, void *data)
{
    ngx_chat_provider_call_t *call = data;

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

    if (call->fault.error == NGX_CHAT_E_NONE && !call->done) {
        ngx_chat_provider_read(call, (u_char *) p, n);
    }

    /*
     * What comes late on the connection of a stream that broke off would be
     * taken for the next answer: it is kept after a whole answer only.
     */

    if (call->done || call->finished) {
        (void) curl_easy_setopt(call->request.easy, CURLOPT_FORBID_REUSE, 0L);
    }

    return (call->fault.error == NGX_CHAT_E_NONE) ? n : 0;
}


/* the first bytes of a body are here, and so are all headers */

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

    if (!ngx_chat_provider_is_stream(call)) {
        ngx_chat_provider_fault(&call->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                "sent something else than an event stream");
    }
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


static ngx_uint_t
ngx_chat_provider_is_stream(ngx_chat_provider_call_t *call)
{
    char    *type;
    size_t   len;

    type = NULL;

    if (curl_easy_getinfo(call->request.easy, CURLINFO_CONTENT_TYPE, &type)
        != CURLE_OK
        || type == NULL)
    {
        return 1;
    }

    len = sizeof("text/event-stream") - 1;

    return ngx_strncasecmp((u_char *) type, (u_char *) "text/event-stream",
                           len)
           == 0
           && (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}


static void
ngx_chat_provider_read(ngx_chat_provider_call_t *call, u_char *p, size_t len)
{
    ngx_buf_t  b;
    ngx_int_t  rc;

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.start = p;
    b.pos = p;
    b.last = p + len;
    b.end = p + len;

    while (!call->done && call->fault.error == NGX_CHAT_E_NONE) {

        rc = ngx_chat_sse_read(&call->sse, &b);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {
            ngx_chat_provider_fault(&call->fault, NGX_CHAT_E_PROVIDER_BROKEN,
                                    0, "sent an event that is too large");
            return;
        }

        ngx_chat_provider_event(call);
    }
}


static void
ngx_chat_provider_event(ngx_chat_provider_call_t *call)
{
    ngx_int_t         rc;
    ngx_str_t         data;
    ngx_chat_delta_t  d;

    data.data = call->sse.data.data;
    data.len = call->sse.data.len;

    if (data.len == 0) {
        return;
    }

    ngx_memzero(&d, sizeof(ngx_chat_delta_t));

    rc = ngx_chat_delta_parse(&d, &data, call->temp);

    if (rc == NGX_DONE) {
        call->done = 1;
        ngx_chat_provider_wait(call, NGX_CHAT_PROVIDER_LINGER);

    } else if (rc != NGX_OK) {
        ngx_chat_provider_fault(&call->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                "sent an event that is not valid JSON");

    } else if (d.is_error) {
        ngx_chat_provider_fault_object(&call->fault, &d);

    } else {
        ngx_chat_provider_delta(call, &d);
    }

    ngx_reset_pool(call->temp);
}


static void
ngx_chat_provider_delta(ngx_chat_provider_call_t *call, ngx_chat_delta_t *d)
{
    if (call->end.model.len == 0) {
        ngx_chat_provider_keep(call, &call->end.model, &d->model,
                               NGX_CHAT_PROVIDER_NAME);
    }

    ngx_chat_provider_keep(call, &call->end.usage, &d->usage,
                           NGX_CHAT_PROVIDER_USAGE);

    if (d->finish.len) {
        call->finished = 1;
        ngx_chat_provider_keep(call, &call->end.finish, &d->finish,
                               NGX_CHAT_PROVIDER_NAME);
    }

    if (d->text.len || d->reasoning || d->finish.len) {

        /* to move the timer with each token would cost more, or be lazy */

        call->heard = ngx_current_msec;

        if (!call->begun) {
            call->begun = 1;
            ngx_chat_provider_wait(call, call->provider->idle_timeout);
        }
    }

    if (d->text.len) {
        call->ops->delta(call->data, &d->text);
    }
}


/* what is absent, or too long to be what it should be, changes nothing */

static void
ngx_chat_provider_keep(ngx_chat_provider_call_t *call, ngx_str_t *dst,
    ngx_str_t *src, size_t max)
{
    u_char  *p;

    if (src->len == 0 || src->len > max
        || (src->len == dst->len
            && ngx_memcmp(src->data, dst->data, src->len) == 0))
    {
        return;
    }

    /* a provider may send another value in each event: no new room for it */

    if (dst->data == NULL) {
        dst->data = ngx_pnalloc(call->pool, max);
        if (dst->data == NULL) {
            return;
        }
    }

    p = ngx_cpymem(dst->data, src->data, src->len);
    dst->len = p - dst->data;
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

    if (call->begun && !call->done) {
        left = (ngx_msec_int_t) (call->heard + call->provider->idle_timeout
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

    if (!call->done && !call->finished) {
        status = ngx_chat_provider_status(call);

        if (status != 0 && status != 200) {
            ngx_chat_provider_refused(call, status);

        } else {
            ngx_chat_provider_fault(&call->fault,
                                    NGX_CHAT_E_PROVIDER_TIMEOUT, 0,
                                    call->begun
                                    ? "fell silent: idle_timeout"
                                    : "sent nothing: first_token_timeout");
        }
    }

    ngx_chat_provider_finish(call);
}


static void
ngx_chat_provider_total_handler(ngx_event_t *ev)
{
    ngx_chat_provider_call_t  *call;

    call = ev->data;

    if (!call->done && !call->finished) {
        ngx_chat_provider_fault(&call->fault, NGX_CHAT_E_PROVIDER_TIMEOUT, 0,
                                "took too long: total_timeout");
    }

    ngx_chat_provider_finish(call);
}


static void
ngx_chat_provider_done(void *data, CURLcode rc)
{
    ngx_chat_provider_call_t *call = data;

    if (!call->done && call->fault.error == NGX_CHAT_E_NONE) {
        ngx_chat_provider_conclude(call, rc);
    }

    ngx_chat_provider_finish(call);
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

        if (!call->finished) {
            ngx_chat_provider_fault_curl(&call->fault, rc);
        }

        return;
    }

    /* the last event may lack its empty line */

    ngx_chat_provider_read(call, (u_char *) "\n\n", 2);

    if (!call->done && !call->finished) {
        ngx_chat_provider_fault(&call->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                "closed the connection before the end "
                                "of the answer");
    }
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

    ngx_chat_provider_fault_status(&call->fault, status, call->temp);
}


/* the one way out, but for cancel: the call is gone afterwards */

static void
ngx_chat_provider_finish(ngx_chat_provider_call_t *call)
{
    ngx_chat_provider_end_t  *end;

    if (call->fault.status == 0) {
        call->fault.status = ngx_chat_provider_status(call);
    }

    ngx_chat_provider_detach(call);

    end = &call->end;

    end->error = call->fault.error;
    end->retry = call->fault.retry ? 1 : 0;
    end->status = call->fault.status;

    if (end->error == NGX_CHAT_E_NONE) {
        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, call->log, 0,
                       "chat provider \"%V\" finished \"%V\" model \"%V\"",
                       &call->provider->name, &end->finish, &end->model);

    } else {
        ngx_chat_provider_fault_log(&call->fault);
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
    ngx_chat_sse_reader_free(&call->sse);
    ngx_chat_provider_fault_free(&call->fault);

    if (call->temp) {
        ngx_destroy_pool(call->temp);
    }

    ngx_destroy_pool(call->pool);
}
