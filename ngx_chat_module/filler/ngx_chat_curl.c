
#include "ngx_chat_curl_private.h"

#include <sys/resource.h>


/* a resolver, two attempts to connect, a file of certificates */
#define NGX_CHAT_CURL_FILES   4

/* open files of the process that are no connections of transfers */
#define NGX_CHAT_CURL_OTHERS  64

/* ms; the age from which on connections are not used again */
#define NGX_CHAT_CURL_IDLE    60000


static ngx_uint_t ngx_chat_curl_max(ngx_uint_t max, ngx_uint_t norigins);
static ngx_chat_curl_origin_t *ngx_chat_curl_origin(ngx_chat_curl_t *cu,
    ngx_chat_provider_t *pv);
static ngx_int_t ngx_chat_curl_start(ngx_chat_curl_transfer_t *t);
static ngx_int_t ngx_chat_curl_enter(ngx_chat_curl_transfer_t *t);
static void ngx_chat_curl_leave(ngx_chat_curl_transfer_t *t);
static ngx_uint_t ngx_chat_curl_files(ngx_chat_curl_t *cu);
static CURLcode ngx_chat_curl_not_found(ngx_chat_curl_transfer_t *t,
    ngx_int_t rc);
static void ngx_chat_curl_later_handler(ngx_event_t *ev);


ngx_chat_curl_t *
ngx_chat_curl_create(ngx_array_t *providers, ngx_uint_t max,
    ngx_resolver_t *resolver, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t             i;
    ngx_chat_curl_t       *cu;
    ngx_chat_provider_t  **pvp;

    cu = ngx_pcalloc(pool, sizeof(ngx_chat_curl_t));
    if (cu == NULL) {
        return NULL;
    }

    cu->norigins = providers->nelts;
    cu->origins = ngx_pcalloc(pool, cu->norigins
                                    * sizeof(ngx_chat_curl_origin_t));
    if (cu->origins == NULL) {
        return NULL;
    }

    pvp = providers->elts;

    for (i = 0; i < cu->norigins; i++) {
        cu->origins[i].provider = pvp[i];

        if (ngx_chat_curl_hosts(&cu->origins[i], pool) != NGX_OK) {
            return NULL;
        }
    }

    cu->max = ngx_chat_curl_max(max, cu->norigins);
    cu->resolver = resolver;
    cu->log = log;

    ngx_queue_init(&cu->retired);
    ngx_queue_init(&cu->transfers);

    cu->dummy.fd = (ngx_socket_t) -1;
    cu->dummy.data = cu;

    cu->later.handler = ngx_chat_curl_later_handler;
    cu->later.data = &cu->dummy;
    cu->later.log = log;

    return cu;
}


/* as many as there are transfers, if these leave open files enough */

static ngx_uint_t
ngx_chat_curl_max(ngx_uint_t max, ngx_uint_t norigins)
{
    rlim_t         files, used;
    struct rlimit  rlmt;

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
        return max;
    }

    used = max + NGX_CHAT_CURL_OTHERS;
    files = (rlmt.rlim_cur > used) ? rlmt.rlim_cur - used : 0;
    files /= ngx_max(norigins, 1);

    /* 0 would be a default of libcurl */

    return ngx_max(ngx_min(max, files), 1);
}


ngx_int_t
ngx_chat_curl_add(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv, CURL *easy,
    char *words, ngx_chat_curl_done_pt done, void *data)
{
    ngx_uint_t                 failed;
    ngx_chat_curl_origin_t    *origin;
    ngx_chat_curl_transfer_t  *t;

    origin = ngx_chat_curl_origin(cu, pv);
    if (origin == NULL) {
        return NGX_ERROR;
    }

    t = ngx_calloc(sizeof(ngx_chat_curl_transfer_t), cu->log);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->curl = cu;
    t->origin = origin;
    t->easy = easy;
    t->words = words;
    t->deadline = ngx_current_msec + pv->connect_timeout;
    t->done = done;
    t->data = data;

    failed = curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, words);

    if (origin->unknown) {
        failed |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION,
                                   ngx_chat_curl_asks);
        failed |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, t);
    }

    ngx_queue_insert_tail(&cu->transfers, &t->queue);

    if (failed || ngx_chat_curl_start(t) != NGX_OK) {
        ngx_chat_curl_remove(cu, easy);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_chat_curl_origin_t *
ngx_chat_curl_origin(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv)
{
    ngx_uint_t  i;

    for (i = 0; i < cu->norigins; i++) {

        if (cu->origins[i].provider == pv) {
            return &cu->origins[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_chat_curl_start(ngx_chat_curl_transfer_t *t)
{
    ngx_int_t  rc;

    if (!ngx_chat_curl_files(t->curl)) {
        ngx_chat_curl_fail(t->curl, t->easy);
        return NGX_OK;
    }

    if (!t->origin->early || t->origin->nhosts == 0) {
        return ngx_chat_curl_enter(t);
    }

    rc = ngx_chat_curl_look_up(t);

    switch (rc) {

    case NGX_OK:
        return ngx_chat_curl_enter(t);

    case NGX_AGAIN:
        return NGX_OK;

    default:
        ngx_chat_curl_fail(t->curl, t->easy);
        t->rc = ngx_chat_curl_not_found(t, rc);

        return NGX_OK;
    }
}


/* libcurl begins, or begins anew with addresses */

static ngx_int_t
ngx_chat_curl_enter(ngx_chat_curl_transfer_t *t)
{
    CURLMcode                rc;
    ngx_uint_t               failed;
    ngx_chat_curl_pool_t    *pool;
    ngx_chat_curl_origin_t  *origin;

    origin = t->origin;

    if (origin->pool == NULL) {
        origin->pool = ngx_chat_curl_create_pool(t->curl, origin);

        if (origin->pool == NULL) {
            return NGX_ERROR;
        }
    }

    t->words[0] = '\0';

    failed = curl_easy_setopt(t->easy, CURLOPT_RESOLVE,
                              t->known ? t->known : origin->unknown);
    failed |= curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                               (long) ngx_chat_curl_left(t));

    if (failed) {
        return NGX_ERROR;
    }

    /* only arms the timer */

    pool = origin->pool;
    rc = curl_multi_add_handle(pool->multi, t->easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, t->curl->log, 0,
                      "libcurl refused a transfer: \"%s\"",
                      curl_multi_strerror(rc));
        return NGX_ERROR;
    }

    t->pool = pool;
    pool->transfers++;

    if (pool->idle.timer_set) {
        ngx_del_timer(&pool->idle);
    }

    return NGX_OK;
}


static void
ngx_chat_curl_leave(ngx_chat_curl_transfer_t *t)
{
    CURLMcode              rc;
    ngx_chat_curl_pool_t  *pool;

    pool = t->pool;
    t->pool = NULL;

    rc = curl_multi_remove_handle(pool->multi, t->easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ALERT, t->curl->log, 0,
                      "libcurl cannot give up a transfer: \"%s\"",
                      curl_multi_strerror(rc));
    }

    if (--pool->transfers) {
        return;
    }

    if (pool == pool->origin->pool) {
        ngx_add_timer(&pool->idle, NGX_CHAT_CURL_IDLE);

    } else {
        ngx_post_event(&t->curl->later, &ngx_posted_events);
    }
}


ngx_msec_t
ngx_chat_curl_left(ngx_chat_curl_transfer_t *t)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (t->deadline - ngx_current_msec);

    /* 0 would be a default of libcurl */
    return (ngx_msec_t) ngx_max(left, 1);
}


/*
 * Are there open files to be had?  Without, libcurl would tell of a host that
 * has no name, or refuses connections, or has no certificate.
 */

static ngx_uint_t
ngx_chat_curl_files(ngx_chat_curl_t *cu)
{
    ngx_fd_t    fd[NGX_CHAT_CURL_FILES];
    ngx_err_t   err;
    ngx_uint_t  n;

    err = 0;

    for (n = 0; n < NGX_CHAT_CURL_FILES; n++) {
        fd[n] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

        if (fd[n] == -1) {
            err = ngx_errno;
            break;
        }
    }

    while (n) {
        (void) close(fd[--n]);
    }

    if (err != NGX_EMFILE && err != NGX_ENFILE) {
        return 1;
    }

    ngx_log_error(NGX_LOG_CRIT, cu->log, err,
                  "no open files are left for a call of a chat provider");

    return 0;
}


ngx_chat_curl_transfer_t *
ngx_chat_curl_transfer(CURL *easy)
{
    char  *p;

    p = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &p) != CURLE_OK) {
        return NULL;
    }

    return (ngx_chat_curl_transfer_t *) p;
}


void
ngx_chat_curl_remove(ngx_chat_curl_t *cu, CURL *easy)
{
    ngx_chat_curl_transfer_t  *t;

    t = ngx_chat_curl_transfer(easy);

    if (t == NULL) {
        return;
    }

    if (t->pool) {
        ngx_chat_curl_leave(t);
    }

    ngx_chat_curl_forget(t);

    /* later callbacks of libcurl must not find the transfer: it is freed */
    (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);

    ngx_queue_remove(&t->queue);
    ngx_free(t);
}


void
ngx_chat_curl_renew(ngx_chat_curl_t *cu, CURL *easy)
{
    ngx_chat_curl_pool_t      *pool;
    ngx_chat_curl_transfer_t  *t;

    t = ngx_chat_curl_transfer(easy);

    if (t == NULL) {
        return;
    }

    pool = t->pool;

    /* of many that wait on one connection the first is enough */

    if (pool == NULL || pool != pool->origin->pool) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, cu->log, 0,
                   "chat curl renew \"%V\", transfers left:%ui",
                   &pool->origin->provider->name, pool->transfers);

    /* connections given back are of no more use; 0 would be a default */
    (void) curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, 1L);

    /* each of them has a transfer, and there are only so many of these */

    ngx_queue_insert_tail(&cu->retired, &pool->queue);
    pool->origin->pool = NULL;
}


/*
 * A socket that cannot be watched would leave its transfer hanging; an error
 * returned to libcurl would end all the others too.
 */

void
ngx_chat_curl_fail(ngx_chat_curl_t *cu, CURL *easy)
{
    ngx_chat_curl_transfer_t  *t;

    t = ngx_chat_curl_transfer(easy);

    if (t == NULL) {
        return;
    }

    t->failed = 1;
    t->rc = CURLE_FAILED_INIT;

    ngx_post_event(&cu->later, &ngx_posted_events);
}


static void
ngx_chat_curl_later_handler(ngx_event_t *ev)
{
    ngx_queue_t               *q, *next;
    ngx_chat_curl_t           *cu;
    ngx_connection_t          *dummy;
    ngx_chat_curl_pool_t      *pool;
    ngx_chat_curl_transfer_t  *t;

    dummy = ev->data;
    cu = dummy->data;

    q = ngx_queue_head(&cu->transfers);

    while (q != ngx_queue_sentinel(&cu->transfers)) {
        t = ngx_queue_data(q, ngx_chat_curl_transfer_t, queue);

        if (!t->failed) {
            q = ngx_queue_next(q);
            continue;
        }

        ngx_chat_curl_end(cu, t, t->rc);

        /* done() may have removed any other */
        q = ngx_queue_head(&cu->transfers);
    }

    for (q = ngx_queue_head(&cu->retired);
         q != ngx_queue_sentinel(&cu->retired);
         q = next)
    {
        next = ngx_queue_next(q);
        pool = ngx_queue_data(q, ngx_chat_curl_pool_t, queue);

        if (pool->transfers == 0) {
            ngx_queue_remove(q);
            ngx_chat_curl_destroy_pool(pool);
        }
    }
}


void
ngx_chat_curl_looked_up(ngx_chat_curl_transfer_t *t, ngx_int_t rc)
{
    CURLcode  code;

    if (rc == NGX_OK) {
        rc = ngx_chat_curl_enter(t);

        if (rc == NGX_OK) {
            return;
        }
    }

    code = ngx_chat_curl_not_found(t, rc);

    ngx_chat_curl_end(t->curl, t, code);
}


static CURLcode
ngx_chat_curl_not_found(ngx_chat_curl_transfer_t *t, ngx_int_t rc)
{
    if (rc != NGX_DECLINED) {
        return CURLE_OUT_OF_MEMORY;
    }

    /* else it is libcurl that does not find what it was given */

    if (t->lookup.why) {
        (void) ngx_snprintf((u_char *) t->words, CURL_ERROR_SIZE - 1,
                            "%V: %s%Z", &t->lookup.name, t->lookup.why);
        t->words[CURL_ERROR_SIZE - 1] = '\0';
    }

    return CURLE_COULDNT_RESOLVE_HOST;
}


void
ngx_chat_curl_end(ngx_chat_curl_t *cu, ngx_chat_curl_transfer_t *t,
    CURLcode rc)
{
    void                   *data;
    ngx_int_t               found;
    ngx_chat_curl_done_pt   done;

    if (t->asks) {
        t->asks = 0;

        /* a kept connection may have been waited on before */
        t->deadline = ngx_current_msec + t->origin->provider->connect_timeout;

        /* frees the message that brought us here, too */
        ngx_chat_curl_leave(t);

        found = ngx_chat_curl_look_up(t);

        if (found != NGX_AGAIN) {
            ngx_chat_curl_looked_up(t, found);
        }

        return;
    }

    done = t->done;
    data = t->data;

    ngx_chat_curl_remove(cu, t->easy);

    done(data, rc);
}
