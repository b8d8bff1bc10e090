
#include "ngx_chat_curl_private.h"

#include <sys/resource.h>


/* a resolver, two attempts to connect, a file of certificates */
#define NGX_CHAT_CURL_FILES  4

/* ms; the age from which on connections are not used again */
#define NGX_CHAT_CURL_IDLE   60000


static ngx_uint_t ngx_chat_curl_max(ngx_uint_t max, ngx_uint_t norigins);
static ngx_chat_curl_pool_t *ngx_chat_curl_pool(ngx_chat_curl_t *cu,
    ngx_chat_provider_t *pv);
static void ngx_chat_curl_begin(ngx_chat_curl_transfer_t *t);
static ngx_uint_t ngx_chat_curl_files(ngx_chat_curl_t *cu);
static void ngx_chat_curl_later_handler(ngx_event_t *ev);


ngx_chat_curl_t *
ngx_chat_curl_create(ngx_array_t *providers, ngx_uint_t max, ngx_log_t *log)
{
    ngx_uint_t             i;
    ngx_chat_curl_t       *cu;
    ngx_chat_provider_t  **pvp;

    cu = ngx_calloc(sizeof(ngx_chat_curl_t), log);
    if (cu == NULL) {
        return NULL;
    }

    cu->norigins = providers->nelts;
    cu->origins = ngx_calloc(ngx_max(cu->norigins, 1)
                             * sizeof(ngx_chat_curl_origin_t), log);
    if (cu->origins == NULL) {
        ngx_free(cu);
        return NULL;
    }

    pvp = providers->elts;

    for (i = 0; i < cu->norigins; i++) {
        cu->origins[i].provider = pvp[i];
    }

    cu->max = ngx_chat_curl_max(max, cu->norigins);
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


/* one each that a transfer may want again, out of half of the open files */

static ngx_uint_t
ngx_chat_curl_max(ngx_uint_t max, ngx_uint_t norigins)
{
    rlim_t         files;
    struct rlimit  rlmt;

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
        return max;
    }

    files = rlmt.rlim_cur / 2 / ngx_max(norigins, 1);

    if (max > files) {
        max = (ngx_uint_t) files;
    }

    /* 0 would be a default of libcurl */
    return ngx_max(max, 1);
}


ngx_int_t
ngx_chat_curl_add(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv, CURL *easy,
    ngx_chat_curl_done_pt done, void *data)
{
    CURLMcode                  rc;
    ngx_chat_curl_pool_t      *pool;
    ngx_chat_curl_transfer_t  *t;

    pool = ngx_chat_curl_pool(cu, pv);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    t = ngx_calloc(sizeof(ngx_chat_curl_transfer_t), cu->log);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->pool = pool;
    t->easy = easy;
    t->done = done;
    t->data = data;

    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, t) != CURLE_OK) {
        ngx_free(t);
        return NGX_ERROR;
    }

    if (!ngx_chat_curl_files(cu)) {
        ngx_chat_curl_begin(t);
        ngx_chat_curl_fail(cu, easy);
        return NGX_OK;
    }

    /* only arms the timer */
    rc = curl_multi_add_handle(pool->multi, easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, cu->log, 0,
                      "libcurl refused a transfer: \"%s\"",
                      curl_multi_strerror(rc));

        (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
        ngx_free(t);
        return NGX_ERROR;
    }

    ngx_chat_curl_begin(t);

    return NGX_OK;
}


static ngx_chat_curl_pool_t *
ngx_chat_curl_pool(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv)
{
    ngx_uint_t               i;
    ngx_chat_curl_origin_t  *origin;

    for (i = 0; i < cu->norigins; i++) {
        origin = &cu->origins[i];

        if (origin->provider != pv) {
            continue;
        }

        if (origin->pool == NULL) {
            origin->pool = ngx_chat_curl_create_pool(cu, origin);
        }

        return origin->pool;
    }

    return NULL;
}


static void
ngx_chat_curl_begin(ngx_chat_curl_transfer_t *t)
{
    ngx_chat_curl_pool_t  *pool;

    pool = t->pool;

    ngx_queue_insert_tail(&pool->curl->transfers, &t->queue);
    pool->transfers++;

    if (pool->idle.timer_set) {
        ngx_del_timer(&pool->idle);
    }
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
    CURLMcode                  rc;
    ngx_chat_curl_pool_t      *pool;
    ngx_chat_curl_transfer_t  *t;

    t = ngx_chat_curl_transfer(easy);

    if (t == NULL) {
        return;
    }

    pool = t->pool;

    rc = curl_multi_remove_handle(pool->multi, easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ALERT, cu->log, 0,
                      "libcurl cannot give up a transfer: \"%s\"",
                      curl_multi_strerror(rc));
    }

    /* whoever is called back from now on finds no transfer */
    (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);

    ngx_queue_remove(&t->queue);
    ngx_free(t);

    if (--pool->transfers) {
        return;
    }

    if (pool == pool->origin->pool) {
        ngx_add_timer(&pool->idle, NGX_CHAT_CURL_IDLE);

    } else {
        ngx_post_event(&cu->later, &ngx_posted_events);
    }
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

    if (pool != pool->origin->pool) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, cu->log, 0,
                   "chat curl renew \"%V\", transfers left:%ui",
                   &pool->origin->provider->name, pool->transfers);

    /* what is given back to it is of no more use; 0 would be a default */
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

        ngx_chat_curl_end(cu, t, CURLE_FAILED_INIT);

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
ngx_chat_curl_end(ngx_chat_curl_t *cu, ngx_chat_curl_transfer_t *t,
    CURLcode rc)
{
    void                   *data;
    ngx_chat_curl_done_pt   done;

    done = t->done;
    data = t->data;

    /* frees the message that brought us here, too */
    ngx_chat_curl_remove(cu, t->easy);

    done(data, rc);
}
