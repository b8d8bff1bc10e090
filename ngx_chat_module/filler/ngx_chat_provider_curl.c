
#include "ngx_chat_provider_curl.h"
#include "ngx_chat_provider_easy.h"


/* the call comes first: the transport's object is found by it */
typedef struct {
    ngx_chat_provider_call_t   call;
    ngx_chat_curl_t           *curl;
    ngx_chat_provider_easy_t   request;
    ngx_msec_t                 started;
    unsigned                   reconnect:1;  /* on a new connection */
} ngx_chat_provider_curl_t;


static ngx_chat_provider_call_t *ngx_chat_provider_curl_start(void *ctx,
    ngx_chat_provider_request_t *rq);
static void ngx_chat_provider_curl_cancel(ngx_chat_provider_call_t *call);
static ngx_int_t ngx_chat_provider_curl_send(ngx_chat_provider_curl_t *pc,
    ngx_chat_provider_request_t *rq);
static size_t ngx_chat_provider_curl_header_handler(char *p, size_t size,
    size_t n, void *data);
static size_t ngx_chat_provider_curl_body_handler(char *p, size_t size,
    size_t n, void *data);
static void ngx_chat_provider_curl_header(ngx_chat_provider_curl_t *pc,
    ngx_uint_t status);
static ngx_uint_t ngx_chat_provider_curl_status(ngx_chat_provider_curl_t *pc);
static void ngx_chat_provider_curl_done_handler(void *data, CURLcode rc);
static ngx_uint_t ngx_chat_provider_curl_reconnect(
    ngx_chat_provider_curl_t *pc, CURLcode rc);
static void ngx_chat_provider_curl_conclude(ngx_chat_provider_curl_t *pc,
    CURLcode rc);
static void ngx_chat_provider_curl_expired_handler(
    ngx_chat_provider_call_t *call, ngx_uint_t silent);
static void ngx_chat_provider_curl_distrust(ngx_chat_provider_curl_t *pc);
static void ngx_chat_provider_curl_finish(ngx_chat_provider_curl_t *pc);
static void ngx_chat_provider_curl_retry_after(ngx_chat_provider_curl_t *pc);
static void ngx_chat_provider_curl_free(ngx_chat_provider_curl_t *pc);


const ngx_chat_transport_t  ngx_chat_provider_curl_transport = {
    ngx_chat_provider_curl_start,
    ngx_chat_provider_curl_cancel
};


static ngx_chat_provider_call_t *
ngx_chat_provider_curl_start(void *ctx, ngx_chat_provider_request_t *rq)
{
    ngx_pool_t                *pool;
    ngx_chat_provider_curl_t  *pc;

    /* the log may be gone with the owner when ended() returns */

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    pc = ngx_pcalloc(pool, sizeof(ngx_chat_provider_curl_t));
    if (pc == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    pc->curl = ctx;
    pc->started = ngx_current_msec;

    ngx_chat_provider_call_init(&pc->call, rq,
                                ngx_chat_provider_curl_expired_handler,
                                pool, rq->log);

    if (ngx_chat_provider_curl_send(pc, rq) != NGX_OK) {
        ngx_chat_provider_curl_free(pc);
        return NULL;
    }

    return &pc->call;
}


static void
ngx_chat_provider_curl_cancel(ngx_chat_provider_call_t *call)
{
    ngx_chat_provider_curl_t  *pc;

    pc = (ngx_chat_provider_curl_t *) call;

    ngx_chat_provider_curl_distrust(pc);
    ngx_chat_curl_remove(pc->curl, pc->request.easy);
    ngx_chat_provider_curl_free(pc);
}


static ngx_int_t
ngx_chat_provider_curl_send(ngx_chat_provider_curl_t *pc,
    ngx_chat_provider_request_t *rq)
{
    CURL                 *easy;
    ngx_uint_t            failed;
    ngx_chat_provider_t  *pv;

    pv = pc->call.provider;

    if (ngx_chat_provider_easy_create(&pc->request, rq, pc->call.pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    easy = pc->request.easy;

    failed = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
                              ngx_chat_provider_curl_header_handler);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, pc);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                               ngx_chat_provider_curl_body_handler);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, pc);
    failed |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);

    if (failed) {
        return NGX_ERROR;
    }

    return ngx_chat_curl_add(pc->curl, pv, easy, pc->request.errbuf,
                             ngx_chat_provider_curl_done_handler, pc);
}


/* a line of a head: behind that of a refusal there may be no body at all */

static size_t
ngx_chat_provider_curl_header_handler(char *p, size_t size, size_t n,
    void *data)
{
    ngx_chat_provider_curl_t *pc = data;

    ngx_uint_t  status;

    if (pc->call.status == 0) {
        status = ngx_chat_provider_curl_status(pc);

        if (status != 0 && status != 200) {
            ngx_chat_provider_curl_header(pc, status);
        }
    }

    return n * size;
}


/*
 * Inside libcurl: nothing here may remove the transfer.  A short count ends
 * it, and the done handler follows.
 */

static size_t
ngx_chat_provider_curl_body_handler(char *p, size_t size, size_t n,
    void *data)
{
    ngx_chat_provider_curl_t *pc = data;

    long       once;
    ngx_int_t  rc;

    n *= size;

    /* the first bytes of a body are here, and so are all headers */

    if (pc->call.status == 0) {
        ngx_chat_provider_curl_header(pc, ngx_chat_provider_curl_status(pc));
    }

    rc = ngx_chat_provider_call_read(&pc->call, (u_char *) p, n);

    /*
     * The connection is kept after a whole answer only: late bytes of a stream
     * that broke off would be taken for the next answer.
     */

    once = !ngx_chat_provider_call_complete(&pc->call);

    (void) curl_easy_setopt(pc->request.easy, CURLOPT_FORBID_REUSE, once);

    return (rc == NGX_OK) ? n : 0;
}


static void
ngx_chat_provider_curl_header(ngx_chat_provider_curl_t *pc, ngx_uint_t status)
{
    char       *type;
    ngx_str_t   value;

    type = NULL;
    ngx_str_null(&value);

    if (curl_easy_getinfo(pc->request.easy, CURLINFO_CONTENT_TYPE, &type)
        == CURLE_OK
        && type)
    {
        value.data = (u_char *) type;
        value.len = ngx_strlen(type);
    }

    ngx_chat_provider_call_header(&pc->call, status, &value);
}


static ngx_uint_t
ngx_chat_provider_curl_status(ngx_chat_provider_curl_t *pc)
{
    long  status;

    status = 0;

    if (curl_easy_getinfo(pc->request.easy, CURLINFO_RESPONSE_CODE, &status)
        != CURLE_OK
        || status < 200)
    {
        /* not even the head of the final response is there */
        return 0;
    }

    return (ngx_uint_t) status;
}


static void
ngx_chat_provider_curl_done_handler(void *data, CURLcode rc)
{
    ngx_chat_provider_curl_t *pc = data;

    if (ngx_chat_provider_curl_reconnect(pc, rc)) {
        return;
    }

    if (!pc->call.stream.done && pc->call.fault.error == NGX_CHAT_E_NONE) {
        ngx_chat_provider_curl_conclude(pc, rc);
    }

    ngx_chat_provider_curl_finish(pc);
}


/*
 * Kept connections may all have been closed by the provider.  libcurl tries
 * some and gives up; from 8.22 on it looks at each but once a second before.
 */

static ngx_uint_t
ngx_chat_provider_curl_reconnect(ngx_chat_provider_curl_t *pc, CURLcode rc)
{
    long   made;
    CURL  *easy;

    easy = pc->request.easy;
    made = 1;

    if (rc != CURLE_SEND_ERROR || pc->reconnect
        || ngx_chat_provider_curl_status(pc) != 0
        || curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &made) != CURLE_OK
        || made != 0)
    {
        return 0;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, pc->call.log, 0,
                   "chat provider \"%V\" is asked on a new connection",
                   &pc->call.provider->name);

    pc->reconnect = 1;

    return curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK
           && ngx_chat_curl_add(pc->curl, pc->call.provider, easy,
                                pc->request.errbuf,
                                ngx_chat_provider_curl_done_handler, pc)
              == NGX_OK;
}


static void
ngx_chat_provider_curl_conclude(ngx_chat_provider_curl_t *pc, CURLcode rc)
{
    ngx_uint_t  status, body;

    body = (pc->call.status != 0);
    status = ngx_chat_provider_curl_status(pc);

    pc->call.status = status;

    if (rc == CURLE_OK || (status != 0 && status != 200)) {
        ngx_chat_provider_call_eof(&pc->call);
        return;
    }

    /* libcurl has no other name for a header that is over its limit */

    if (rc == CURLE_OUT_OF_MEMORY && status != 0 && !body) {
        ngx_chat_provider_call_fail(&pc->call, NGX_CHAT_CALL_HEADER_TOO_LARGE);
        return;
    }

    ngx_chat_provider_easy_fail(&pc->request, &pc->call, rc);
}


static void
ngx_chat_provider_curl_expired_handler(ngx_chat_provider_call_t *call,
    ngx_uint_t silent)
{
    ngx_chat_provider_curl_t  *pc;

    pc = (ngx_chat_provider_curl_t *) call;

    if (silent) {
        ngx_chat_curl_retire_connections(pc->curl, pc->request.easy);

    } else {
        ngx_chat_provider_curl_distrust(pc);
    }

    ngx_chat_provider_curl_finish(pc);
}


/*
 * No header for longer than connecting may take: as little may come for the
 * next call on the connection.
 */

static void
ngx_chat_provider_curl_distrust(ngx_chat_provider_curl_t *pc)
{
    if (ngx_current_msec - pc->started >= pc->call.provider->connect_timeout
        && ngx_chat_provider_curl_status(pc) == 0)
    {
        ngx_chat_curl_retire_connections(pc->curl, pc->request.easy);
    }
}


/* the one way out, but for cancel: the call is gone afterwards */

static void
ngx_chat_provider_curl_finish(ngx_chat_provider_curl_t *pc)
{
    ngx_chat_provider_result_t  result;

    pc->call.status = ngx_chat_provider_curl_status(pc);

    ngx_chat_provider_curl_retry_after(pc);

    ngx_chat_curl_remove(pc->curl, pc->request.easy);

    if (ngx_chat_provider_call_conclude(&pc->call, &result) == NGX_OK) {
        ngx_chat_provider_call_tell(&pc->call, &result);
    }

    ngx_chat_provider_curl_free(pc);
}


static void
ngx_chat_provider_curl_retry_after(ngx_chat_provider_curl_t *pc)
{
    curl_off_t  after;

    after = 0;

    if (curl_easy_getinfo(pc->request.easy, CURLINFO_RETRY_AFTER, &after)
        == CURLE_OK
        && after > 0)
    {
        pc->call.retry_after = (ngx_msec_t) ngx_min(after, 86400) * 1000;
    }
}


static void
ngx_chat_provider_curl_free(ngx_chat_provider_curl_t *pc)
{
    ngx_pool_t  *pool;

    pool = pc->call.pool;

    ngx_chat_provider_easy_free(&pc->request);
    ngx_chat_provider_call_free(&pc->call);

    ngx_destroy_pool(pool);
}
