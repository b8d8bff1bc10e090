
#include "ngx_chat_provider_easy.h"
#include "../provider/ngx_chat_provider_trace.h"


#define NGX_CHAT_PROVIDER_MAX_AGE  60L     /* s, of an idle connection */
#define NGX_CHAT_PROVIDER_PROBE    15L     /* s, of silence, and then again */
#define NGX_CHAT_PROVIDER_BUFFER   16384L  /* bytes, for what is to be sent */

/* ms, for what was sent to arrive */
#define NGX_CHAT_PROVIDER_ARRIVAL  20000


static ngx_int_t ngx_chat_provider_easy_set_options(CURL *easy,
    ngx_chat_provider_t *pv, u_char *url, ngx_str_t *body);
static int ngx_chat_provider_easy_socket_handler(void *data, curl_socket_t s,
    curlsocktype purpose);
static ngx_uint_t ngx_chat_provider_easy_set_network(CURL *easy,
    ngx_chat_provider_t *pv);
static ngx_int_t ngx_chat_provider_easy_add_headers(
    ngx_chat_provider_easy_t *pe, ngx_chat_provider_t *pv, ngx_pool_t *pool);
static ngx_int_t ngx_chat_provider_easy_add_trace(
    ngx_chat_provider_easy_t *pe, ngx_chat_provider_request_t *rq,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_provider_easy_add_default(
    ngx_chat_provider_easy_t *pe, ngx_chat_provider_t *pv, ngx_keyval_t *kv,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_provider_easy_add_header(ngx_chat_provider_easy_t *pe,
    const char *format, ngx_keyval_t *kv, ngx_pool_t *pool);


static ngx_str_t  ngx_chat_provider_easy_path = ngx_string("/chat/completions");

static ngx_keyval_t  ngx_chat_provider_easy_defaults[] = {

    { ngx_string("Content-Type"), ngx_string("application/json") },
    { ngx_string("Accept"), ngx_string("text/event-stream") },

    /* libcurl would ask before it sends a long body */
    { ngx_string("Expect"), ngx_null_string }
};


ngx_int_t
ngx_chat_provider_easy_create(ngx_chat_provider_easy_t *pe,
    ngx_chat_provider_request_t *rq, ngx_pool_t *pool)
{
    u_char               *p, *url;
    ngx_str_t             body, *messages;
    ngx_chat_provider_t  *pv;

    pv = rq->provider;
    messages = rq->messages;

    url = ngx_pnalloc(pool, pv->url.len + ngx_chat_provider_easy_path.len + 1);
    if (url == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(url, pv->url.data, pv->url.len);
    p = ngx_cpymem(p, ngx_chat_provider_easy_path.data,
                   ngx_chat_provider_easy_path.len);
    *p = '\0';

    /* in one piece, since libcurl may have to send it again */

    body.len = pv->prefix.len + messages->len + pv->suffix.len;
    body.data = ngx_pnalloc(pool, body.len);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(body.data, pv->prefix.data, pv->prefix.len);
    p = ngx_cpymem(p, messages->data, messages->len);
    ngx_memcpy(p, pv->suffix.data, pv->suffix.len);

    pe->easy = curl_easy_init();
    if (pe->easy == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_provider_easy_add_headers(pe, pv, pool) != NGX_OK
        || ngx_chat_provider_easy_add_trace(pe, rq, pool) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (curl_easy_setopt(pe->easy, CURLOPT_HTTPHEADER, pe->headers)
        != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_provider_easy_set_options(pe->easy, pv, url, &body);
}


void
ngx_chat_provider_easy_free(ngx_chat_provider_easy_t *pe)
{
    if (pe->easy) {
        curl_easy_cleanup(pe->easy);
        pe->easy = NULL;
    }

    if (pe->headers) {
        curl_slist_free_all(pe->headers);
        pe->headers = NULL;
    }
}


static ngx_int_t
ngx_chat_provider_easy_set_options(CURL *easy, ngx_chat_provider_t *pv,
    u_char *url,
    ngx_str_t *body)
{
    ngx_uint_t  failed;

    failed = curl_easy_setopt(easy, CURLOPT_URL, (char *) url);
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    failed |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (char *) body->data);
    failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t) body->len);
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "ngx_chat");

    /* 64k by default, which newer versions keep for as long as a call lasts */
    failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE,
                               NGX_CHAT_PROVIDER_BUFFER);

    failed |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN,
                               NGX_CHAT_PROVIDER_MAX_AGE);
    failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE,
                               NGX_CHAT_PROVIDER_PROBE);
    failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL,
                               NGX_CHAT_PROVIDER_PROBE);
    failed |= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION,
                               ngx_chat_provider_easy_socket_handler);

    /* libcurl would change the signals of the process for each call */
    failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);

    /* should libcurl look anything up, nobody waits for its thread */
    failed |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);

    failed |= ngx_chat_provider_easy_set_network(easy, pv);

    /* refused by a libcurl that was built without HTTP/2 */
    (void) curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                            (long) CURL_HTTP_VERSION_2TLS);

    return failed ? NGX_ERROR : NGX_OK;
}


/*
 * A connection that leads nowhere any more is one that calls over HTTP/2 would
 * go on to share for as long as the kernel does not give it up.
 */

static int
ngx_chat_provider_easy_socket_handler(void *data, curl_socket_t s,
    curlsocktype purpose)
{
    int  ms;

    ms = NGX_CHAT_PROVIDER_ARRIVAL;

    /* without it things just take longer */

    (void) setsockopt(s, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(int));

    return CURL_SOCKOPT_OK;
}


static ngx_uint_t
ngx_chat_provider_easy_set_network(CURL *easy, ngx_chat_provider_t *pv)
{
    ngx_uint_t        failed;
    struct curl_blob  blob;

    /* empty ones keep libcurl from looking into the environment */

    failed = curl_easy_setopt(easy, CURLOPT_PROXY, (char *) pv->proxy.data);
    failed |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");

    failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    failed |= curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                               (long) CURL_SSLVERSION_TLSv1_2);
    failed |= curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION,
                               (long) CURL_SSLVERSION_TLSv1_2);

    if (pv->trusted.len) {
        blob.data = pv->trusted.data;
        blob.len = pv->trusted.len;
        blob.flags = CURL_BLOB_NOCOPY;

        failed |= curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);

        /* or the system's would be trusted besides */
        failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }

    return failed;
}


static ngx_int_t
ngx_chat_provider_easy_add_headers(ngx_chat_provider_easy_t *pe,
    ngx_chat_provider_t *pv, ngx_pool_t *pool)
{
    u_char        *p;
    ngx_uint_t     i, n;
    ngx_keyval_t  *kv, bearer;

    n = sizeof(ngx_chat_provider_easy_defaults) / sizeof(ngx_keyval_t);

    for (i = 0; i < n; i++) {

        kv = &ngx_chat_provider_easy_defaults[i];

        if (ngx_chat_provider_easy_add_default(pe, pv, kv, pool) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (pv->key.len) {
        ngx_str_set(&bearer.key, "Authorization");

        bearer.value.len = sizeof("Bearer ") - 1 + pv->key.len;
        bearer.value.data = ngx_pnalloc(pool, bearer.value.len);
        if (bearer.value.data == NULL) {
            return NGX_ERROR;
        }

        p = ngx_cpymem(bearer.value.data, "Bearer ", sizeof("Bearer ") - 1);
        ngx_memcpy(p, pv->key.data, pv->key.len);

        if (ngx_chat_provider_easy_add_default(pe, pv, &bearer,
                                               pool) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (pv->headers == NULL) {
        return NGX_OK;
    }

    kv = pv->headers->elts;

    for (i = 0; i < pv->headers->nelts; i++) {

        /* "Name;" is how libcurl is told to send an empty value */

        if (ngx_chat_provider_easy_add_header(pe, kv[i].value.len ? "%V: %V%Z"
                                                         : "%V;%V%Z",
                                              &kv[i], pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_provider_easy_add_trace(ngx_chat_provider_easy_t *pe,
    ngx_chat_provider_request_t *rq, ngx_pool_t *pool)
{
    ngx_uint_t    i, n;
    ngx_keyval_t  kv[NGX_CHAT_TRACE_HEADERS];

    n = ngx_chat_provider_trace_headers(rq->provider, rq->trace, kv);

    for (i = 0; i < n; i++) {

        if (ngx_chat_provider_easy_add_header(pe, "%V: %V%Z", &kv[i], pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* a header that a configured one of the same name replaces */

static ngx_int_t
ngx_chat_provider_easy_add_default(ngx_chat_provider_easy_t *pe,
    ngx_chat_provider_t *pv, ngx_keyval_t *kv, ngx_pool_t *pool)
{
    ngx_uint_t     i;
    ngx_keyval_t  *other;

    if (pv->headers) {
        other = pv->headers->elts;

        for (i = 0; i < pv->headers->nelts; i++) {

            if (other[i].key.len == kv->key.len
                && ngx_strncasecmp(other[i].key.data, kv->key.data,
                                   kv->key.len)
                   == 0)
            {
                return NGX_OK;
            }
        }
    }

    /* "Name:" keeps libcurl from sending its own */

    return ngx_chat_provider_easy_add_header(pe, kv->value.len ? "%V: %V%Z"
                                                      : "%V:%V%Z",
                                             kv, pool);
}


static ngx_int_t
ngx_chat_provider_easy_add_header(ngx_chat_provider_easy_t *pe,
    const char *format,
    ngx_keyval_t *kv, ngx_pool_t *pool)
{
    u_char             *p;
    struct curl_slist  *list;

    p = ngx_pnalloc(pool, kv->key.len + kv->value.len + sizeof(": "));
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, format, &kv->key, &kv->value);

    list = curl_slist_append(pe->headers, (char *) p);
    if (list == NULL) {
        return NGX_ERROR;
    }

    pe->headers = list;

    return NGX_OK;
}


void
ngx_chat_provider_easy_fail(ngx_chat_provider_easy_t *pe,
    ngx_chat_provider_call_t *call, CURLcode rc)
{
    long                             status;
    ngx_chat_provider_call_fault_e   fault;

    status = 0;

    switch (rc) {

    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
        fault = NGX_CHAT_CALL_UNRESOLVED;
        break;

    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        fault = NGX_CHAT_CALL_UNREACHABLE;
        break;

    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_URL_MALFORMAT:
        fault = NGX_CHAT_CALL_UNSAFE;
        break;

    case CURLE_OPERATION_TIMEDOUT:
        /* of all timeouts libcurl is told the one for connecting alone */
        fault = NGX_CHAT_CALL_CONNECT_TIMEOUT;
        break;

    case CURLE_FAILED_INIT:
    case CURLE_OUT_OF_MEMORY:
        fault = NGX_CHAT_CALL_LOCAL;
        break;

    default:
        fault = NGX_CHAT_CALL_BROKEN_OFF;
        break;
    }

    /* a proxy that refuses CONNECT has no code of its own */

    if (curl_easy_getinfo(pe->easy, CURLINFO_HTTP_CONNECTCODE, &status)
        == CURLE_OK
        && status >= 300)
    {
        fault = (status >= 500) ? NGX_CHAT_CALL_PROXY_FAILED
                                : NGX_CHAT_CALL_PROXY_REFUSED;
    }

    call->fault.detail = pe->errbuf[0] ? pe->errbuf : curl_easy_strerror(rc);

    ngx_chat_provider_call_fail(call, fault);
}
