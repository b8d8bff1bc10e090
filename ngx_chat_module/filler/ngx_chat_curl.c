
#include "ngx_chat_curl.h"
#include "ngx_chat_curl_pool.h"
#include "ngx_chat_curl_resolve.h"

#include <ngx_event.h>
#include <sys/resource.h>


/* a resolver, two attempts to connect, a file of certificates */
#define NGX_CHAT_CURL_FILES   4

/* open files of the process that are no connections of transfers */
#define NGX_CHAT_CURL_OTHERS  64


/* a provider, the names that its calls need, and its connections */

typedef struct {
    ngx_chat_provider_t        *provider;
    ngx_chat_curl_hosts_t       hosts;
    ngx_chat_curl_pool_t       *pool;     /* for new transfers; may be NULL */
} ngx_chat_curl_provider_t;


typedef struct {
    ngx_queue_t                 queue;
    ngx_chat_curl_t            *curl;
    ngx_chat_curl_provider_t   *provider;
    ngx_chat_curl_pool_t       *pool;     /* NULL: libcurl does not have it */
    CURL                       *easy;
    char                       *errbuf;
    ngx_msec_t                  deadline; /* for being connected */
    ngx_chat_curl_handler_pt    handler;
    void                       *data;

    ngx_chat_curl_resolve_t     resolve;

    CURLcode                    rc;       /* if it has failed */
    unsigned                    failed:1;
    unsigned                    needs_address:1;
} ngx_chat_curl_transfer_t;


struct ngx_chat_curl_s {
    ngx_chat_curl_provider_t   *providers;
    ngx_uint_t                  n;
    ngx_resolver_t             *resolver; /* of http{}, or NULL */
    ngx_uint_t                  max;      /* connections kept for each */

    ngx_queue_t                 transfers;
    ngx_event_t                 fail;     /* ends transfers that have failed */
    ngx_connection_t            dummy;    /* data of fail */
    ngx_log_t                  *log;
};


static ngx_uint_t ngx_chat_curl_max_connections(ngx_uint_t max, ngx_uint_t n);
static ngx_chat_curl_provider_t *ngx_chat_curl_find_provider(
    ngx_chat_curl_t *cu, ngx_chat_provider_t *pv);
static ngx_int_t ngx_chat_curl_start(ngx_chat_curl_transfer_t *t);
static ngx_uint_t ngx_chat_curl_has_files(ngx_chat_curl_t *cu);
static ngx_int_t ngx_chat_curl_attach(ngx_chat_curl_transfer_t *t);
static int ngx_chat_curl_resolver_start_handler(void *resolver, void *reserved,
    void *data);
static ngx_int_t ngx_chat_curl_resolve(ngx_chat_curl_transfer_t *t);
static void ngx_chat_curl_resolved_handler(void *data, ngx_int_t rc);
static CURLcode ngx_chat_curl_resolve_error(ngx_chat_curl_transfer_t *t,
    ngx_int_t rc);
static void ngx_chat_curl_done_handler(void *data, CURL *easy, CURLcode rc);
static void ngx_chat_curl_failed_handler(void *data, CURL *easy);
static void ngx_chat_curl_fail(ngx_chat_curl_transfer_t *t, CURLcode rc);
static void ngx_chat_curl_fail_handler(ngx_event_t *ev);
static void ngx_chat_curl_finish(ngx_chat_curl_transfer_t *t, CURLcode rc);
static ngx_chat_curl_transfer_t *ngx_chat_curl_transfer(CURL *easy);


ngx_chat_curl_t *
ngx_chat_curl_create(ngx_array_t *providers, ngx_uint_t max,
    ngx_resolver_t *resolver, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t                 i;
    ngx_chat_curl_t           *cu;
    ngx_chat_provider_t      **pvp;
    ngx_chat_curl_provider_t  *cp;

    cu = ngx_pcalloc(pool, sizeof(ngx_chat_curl_t));
    if (cu == NULL) {
        return NULL;
    }

    cu->n = providers->nelts;
    cu->providers = ngx_pcalloc(pool,
                                cu->n * sizeof(ngx_chat_curl_provider_t));
    if (cu->providers == NULL) {
        return NULL;
    }

    pvp = providers->elts;

    for (i = 0; i < cu->n; i++) {
        cp = &cu->providers[i];
        cp->provider = pvp[i];

        if (ngx_chat_curl_host_init(&cp->hosts, pvp[i], pool) != NGX_OK) {
            return NULL;
        }
    }

    cu->max = ngx_chat_curl_max_connections(max, cu->n);
    cu->resolver = resolver;
    cu->log = log;

    ngx_queue_init(&cu->transfers);

    cu->dummy.fd = (ngx_socket_t) -1;
    cu->dummy.data = cu;

    cu->fail.handler = ngx_chat_curl_fail_handler;
    cu->fail.data = &cu->dummy;
    cu->fail.log = log;

    return cu;
}


/* as many as transfers, if these leave open files enough */

static ngx_uint_t
ngx_chat_curl_max_connections(ngx_uint_t max, ngx_uint_t n)
{
    rlim_t         files, used;
    struct rlimit  rlmt;

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == -1) {
        return max;
    }

    used = max + NGX_CHAT_CURL_OTHERS;
    files = (rlmt.rlim_cur > used) ? rlmt.rlim_cur - used : 0;
    files /= ngx_max(n, 1);

    /* 0 would be a default of libcurl */

    return ngx_max(ngx_min(max, files), 1);
}


ngx_int_t
ngx_chat_curl_add(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv, CURL *easy,
    char *errbuf, ngx_chat_curl_handler_pt handler, void *data)
{
    ngx_uint_t                 failed;
    ngx_chat_curl_provider_t  *cp;
    ngx_chat_curl_transfer_t  *t;

    cp = ngx_chat_curl_find_provider(cu, pv);
    if (cp == NULL) {
        return NGX_ERROR;
    }

    t = ngx_calloc(sizeof(ngx_chat_curl_transfer_t), cu->log);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->curl = cu;
    t->provider = cp;
    t->easy = easy;
    t->errbuf = errbuf;
    t->deadline = ngx_current_msec + pv->connect_timeout;
    t->handler = handler;
    t->data = data;

    t->resolve.data = t;
    t->resolve.handler = ngx_chat_curl_resolved_handler;
    t->resolve.hosts = &cp->hosts;
    t->resolve.resolver = cu->resolver;
    t->resolve.log = cu->log;

    failed = curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, errbuf);

    if (cp->hosts.unresolved) {
        failed |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION,
                                   ngx_chat_curl_resolver_start_handler);
        failed |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, t);
    }

    ngx_queue_insert_tail(&cu->transfers, &t->queue);

    if (failed || ngx_chat_curl_start(t) != NGX_OK) {
        ngx_chat_curl_remove(cu, easy);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_chat_curl_provider_t *
ngx_chat_curl_find_provider(ngx_chat_curl_t *cu, ngx_chat_provider_t *pv)
{
    ngx_uint_t  i;

    for (i = 0; i < cu->n; i++) {

        if (cu->providers[i].provider == pv) {
            return &cu->providers[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_chat_curl_start(ngx_chat_curl_transfer_t *t)
{
    ngx_int_t               rc;
    ngx_chat_curl_hosts_t  *hosts;

    hosts = &t->provider->hosts;

    if (!ngx_chat_curl_has_files(t->curl)) {
        ngx_chat_curl_fail(t, CURLE_FAILED_INIT);
        return NGX_OK;
    }

    if (!hosts->resolve_first || hosts->n == 0) {
        return ngx_chat_curl_attach(t);
    }

    rc = ngx_chat_curl_resolve(t);

    switch (rc) {

    case NGX_OK:
        return ngx_chat_curl_attach(t);

    case NGX_AGAIN:
        return NGX_OK;

    default:
        ngx_chat_curl_fail(t, ngx_chat_curl_resolve_error(t, rc));

        return NGX_OK;
    }
}


/*
 * 0: no open files are left.  libcurl would report a host without a name, or a
 * refused connection, or a missing certificate instead.
 */

static ngx_uint_t
ngx_chat_curl_has_files(ngx_chat_curl_t *cu)
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
                  "chat filler has no open files left, a call of a provider "
                  "fails");

    return 0;
}


/* libcurl starts, or restarts with addresses */

static ngx_int_t
ngx_chat_curl_attach(ngx_chat_curl_transfer_t *t)
{
    ngx_uint_t                  failed;
    ngx_chat_curl_t            *cu;
    ngx_chat_curl_provider_t   *cp;
    ngx_chat_curl_pool_conf_t   conf;

    cu = t->curl;
    cp = t->provider;

    if (cp->pool == NULL) {
        conf.name = &cp->provider->name;
        conf.max = cu->max;
        conf.done = ngx_chat_curl_done_handler;
        conf.failed = ngx_chat_curl_failed_handler;
        conf.data = cu;
        conf.log = cu->log;

        if (ngx_chat_curl_pool_create(&cp->pool, &conf) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    t->errbuf[0] = '\0';

    failed = curl_easy_setopt(t->easy, CURLOPT_RESOLVE,
                              t->resolve.list ? t->resolve.list
                                              : cp->hosts.unresolved);
    failed |= curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                               (long) ngx_chat_curl_resolve_time_left(
                                          t->deadline));

    if (failed || ngx_chat_curl_pool_add(cp->pool, t->easy) != NGX_OK) {
        return NGX_ERROR;
    }

    t->pool = cp->pool;

    return NGX_OK;
}


/*
 * CURLOPT_RESOLVER_START_FUNCTION: a new connection needs an address.  An error
 * ends the attempt, and the next one has the address; transfers on kept
 * connections need no name server.
 */

static int
ngx_chat_curl_resolver_start_handler(void *resolver, void *reserved, void *data)
{
    ngx_chat_curl_transfer_t *t = data;

    t->needs_address = 1;

    return 1;
}


static ngx_int_t
ngx_chat_curl_resolve(ngx_chat_curl_transfer_t *t)
{
    /* the list of an earlier look-up is freed */
    (void) curl_easy_setopt(t->easy, CURLOPT_RESOLVE, NULL);

    return ngx_chat_curl_resolve_start(&t->resolve, t->deadline);
}


static void
ngx_chat_curl_resolved_handler(void *data, ngx_int_t rc)
{
    ngx_chat_curl_transfer_t *t = data;

    if (rc == NGX_OK) {
        rc = ngx_chat_curl_attach(t);

        if (rc == NGX_OK) {
            return;
        }
    }

    ngx_chat_curl_finish(t, ngx_chat_curl_resolve_error(t, rc));
}


static CURLcode
ngx_chat_curl_resolve_error(ngx_chat_curl_transfer_t *t, ngx_int_t rc)
{
    ngx_chat_lookup_t  *lk;

    if (rc != NGX_DECLINED) {
        return CURLE_OUT_OF_MEMORY;
    }

    lk = &t->resolve.lookup;

    /* without a reason libcurl does not find a name that was given to it */

    if (lk->reason) {
        (void) ngx_snprintf((u_char *) t->errbuf, CURL_ERROR_SIZE - 1,
                            "%V: %s%Z", &lk->name, lk->reason);
        t->errbuf[CURL_ERROR_SIZE - 1] = '\0';
    }

    return CURLE_COULDNT_RESOLVE_HOST;
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
        ngx_chat_curl_pool_remove(t->pool, easy);
    }

    (void) curl_easy_setopt(easy, CURLOPT_RESOLVE, NULL);

    ngx_chat_curl_resolve_cancel(&t->resolve);

    /* later callbacks of libcurl must not find the transfer: it is freed */
    (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);

    ngx_queue_remove(&t->queue);
    ngx_free(t);
}


ngx_uint_t
ngx_chat_curl_is_shared(ngx_chat_curl_t *cu, ngx_uint_t i)
{
    ngx_chat_curl_pool_t  *pool;

    pool = cu->providers[i].pool;

    return pool && ngx_chat_curl_pool_is_shared(pool);
}


void
ngx_chat_curl_retire_connections(ngx_chat_curl_t *cu, CURL *easy)
{
    ngx_chat_curl_transfer_t  *t;

    t = ngx_chat_curl_transfer(easy);

    if (t && t->pool) {
        ngx_chat_curl_pool_retire(t->pool);
    }
}


static void
ngx_chat_curl_done_handler(void *data, CURL *easy, CURLcode rc)
{
    ngx_chat_curl_transfer_t  *t;

    t = ngx_chat_curl_transfer(easy);

    if (t) {
        ngx_chat_curl_finish(t, rc);
    }
}


/*
 * A socket that cannot be watched would leave its transfer hanging; an error
 * returned to libcurl would end all the others too.
 */

static void
ngx_chat_curl_failed_handler(void *data, CURL *easy)
{
    ngx_chat_curl_transfer_t  *t;

    t = ngx_chat_curl_transfer(easy);

    if (t) {
        ngx_chat_curl_fail(t, CURLE_FAILED_INIT);
    }
}


/* ends the transfer soon, but not inside the caller */

static void
ngx_chat_curl_fail(ngx_chat_curl_transfer_t *t, CURLcode rc)
{
    t->failed = 1;
    t->rc = rc;

    ngx_post_event(&t->curl->fail, &ngx_posted_events);
}


static void
ngx_chat_curl_fail_handler(ngx_event_t *ev)
{
    ngx_queue_t               *q;
    ngx_chat_curl_t           *cu;
    ngx_connection_t          *dummy;
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

        ngx_chat_curl_finish(t, t->rc);

        /* handler() may have removed any other */
        q = ngx_queue_head(&cu->transfers);
    }
}


/* calls handler(), after which any transfer may be gone */

static void
ngx_chat_curl_finish(ngx_chat_curl_transfer_t *t, CURLcode rc)
{
    void                      *data;
    ngx_int_t                  found;
    ngx_chat_curl_pool_t      *pool;
    ngx_chat_curl_handler_pt   handler;

    if (t->needs_address) {
        t->needs_address = 0;

        /* a kept connection may have been waited on before */
        t->deadline = ngx_current_msec
                      + t->provider->provider->connect_timeout;

        /* frees the message of libcurl's that led here, too */
        pool = t->pool;
        t->pool = NULL;
        ngx_chat_curl_pool_remove(pool, t->easy);

        found = ngx_chat_curl_resolve(t);

        if (found != NGX_AGAIN) {
            ngx_chat_curl_resolved_handler(t, found);
        }

        return;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, t->curl->log, 0,
                   "chat curl \"%V\" transfer done rc:%d look-ups:%ui",
                   &t->provider->provider->name, (int) rc, t->resolve.rounds);

    handler = t->handler;
    data = t->data;

    ngx_chat_curl_remove(t->curl, t->easy);

    handler(data, rc);
}


/* NULL: not under way, or no more */

static ngx_chat_curl_transfer_t *
ngx_chat_curl_transfer(CURL *easy)
{
    char  *p;

    p = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &p) != CURLE_OK) {
        return NULL;
    }

    return (ngx_chat_curl_transfer_t *) p;
}
