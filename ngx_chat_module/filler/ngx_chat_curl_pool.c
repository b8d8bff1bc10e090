
#include "ngx_chat_curl_pool.h"

#include <ngx_event.h>


/* ms; the age from which on connections are not used again */
#define NGX_CHAT_CURL_POOL_IDLE  60000


struct ngx_chat_curl_pool_s {
    ngx_chat_curl_pool_t      **current;   /* NULL: retired */
    ngx_chat_curl_pool_conf_t   conf;
    CURLM                      *multi;
    ngx_queue_t                 sockets;   /* of ngx_connection_t */
    ngx_uint_t                  transfers;
    ngx_event_t                 timer;
    ngx_event_t                 idle;      /* ends a pool without transfers */
    ngx_connection_t            dummy;     /* data of the timers */
    ngx_uint_t                  shared;    /* the last transfer was HTTP/2 */
};


static ngx_int_t ngx_chat_curl_pool_init_multi(ngx_chat_curl_pool_t *pool);
static void ngx_chat_curl_pool_idle_handler(ngx_event_t *ev);
static void ngx_chat_curl_pool_destroy(ngx_chat_curl_pool_t *pool);
static int ngx_chat_curl_pool_socket_handler(CURL *easy, curl_socket_t s,
    int what, void *data, void *sockp);
static ngx_connection_t *ngx_chat_curl_pool_open(ngx_chat_curl_pool_t *pool,
    curl_socket_t s);
static void ngx_chat_curl_pool_close(ngx_connection_t *c);
static ngx_int_t ngx_chat_curl_pool_watch(ngx_event_t *ev, ngx_uint_t on);
static int ngx_chat_curl_pool_timeout_handler(CURLM *multi, long ms,
    void *data);
static void ngx_chat_curl_pool_event_handler(ngx_event_t *ev);
static void ngx_chat_curl_pool_timer_handler(ngx_event_t *ev);
static void ngx_chat_curl_pool_run(ngx_chat_curl_pool_t *pool, curl_socket_t s,
    int mask);


ngx_int_t
ngx_chat_curl_pool_create(ngx_chat_curl_pool_t **current,
    ngx_chat_curl_pool_conf_t *conf)
{
    ngx_chat_curl_pool_t  *pool;

    pool = ngx_calloc(sizeof(ngx_chat_curl_pool_t), conf->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    pool->multi = curl_multi_init();
    if (pool->multi == NULL) {
        ngx_free(pool);
        return NGX_ERROR;
    }

    pool->conf = *conf;

    ngx_queue_init(&pool->sockets);

    pool->dummy.fd = (ngx_socket_t) -1;
    pool->dummy.data = pool;

    pool->timer.handler = ngx_chat_curl_pool_timer_handler;
    pool->timer.data = &pool->dummy;
    pool->timer.log = conf->log;

    pool->idle.handler = ngx_chat_curl_pool_idle_handler;
    pool->idle.data = &pool->dummy;
    pool->idle.log = conf->log;

    if (ngx_chat_curl_pool_init_multi(pool) != NGX_OK) {
        ngx_chat_curl_pool_destroy(pool);
        return NGX_ERROR;
    }

    pool->current = current;
    *current = pool;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_curl_pool_init_multi(ngx_chat_curl_pool_t *pool)
{
    CURLM      *multi;
    CURLMcode   rc;

    multi = pool->multi;

    rc = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
                           ngx_chat_curl_pool_socket_handler);

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, pool);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
                               ngx_chat_curl_pool_timeout_handler);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, pool);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
                               (long) pool->conf.max);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_PIPELINING,
                               (long) CURLPIPE_MULTIPLEX);
    }

#if (LIBCURL_VERSION_NUM >= 0x081400)

    /* no thread of libcurl's is waited for, nor at the end */

    (void) curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);

#endif

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, pool->conf.log, 0,
                      "chat provider \"%V\": libcurl cannot be set up, "
                      "calls fail: \"%s\"",
                      pool->conf.name, curl_multi_strerror(rc));
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_curl_pool_add(ngx_chat_curl_pool_t *pool, CURL *easy)
{
    CURLMcode  rc;

    /* only arms the timer */

    rc = curl_multi_add_handle(pool->multi, easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, pool->conf.log, 0,
                      "chat provider \"%V\": libcurl refuses a transfer, "
                      "a call fails: \"%s\"",
                      pool->conf.name, curl_multi_strerror(rc));
        return NGX_ERROR;
    }

    pool->transfers++;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, pool->conf.log, 0,
                   "chat curl \"%V\" transfer added, transfers:%ui",
                   pool->conf.name, pool->transfers);

    if (pool->idle.timer_set) {
        ngx_del_timer(&pool->idle);
    }

    return NGX_OK;
}


void
ngx_chat_curl_pool_remove(ngx_chat_curl_pool_t *pool, CURL *easy)
{
    CURLMcode  rc;

    rc = curl_multi_remove_handle(pool->multi, easy);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ALERT, pool->conf.log, 0,
                      "chat provider \"%V\": libcurl does not give up a "
                      "transfer that is freed: \"%s\"",
                      pool->conf.name, curl_multi_strerror(rc));
    }

    pool->transfers--;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, pool->conf.log, 0,
                   "chat curl \"%V\" transfer removed, transfers:%ui",
                   pool->conf.name, pool->transfers);

    if (pool->transfers) {
        return;
    }

    if (pool->current) {
        ngx_add_timer(&pool->idle, NGX_CHAT_CURL_POOL_IDLE);

    } else {
        ngx_post_event(&pool->idle, &ngx_posted_events);
    }
}


ngx_uint_t
ngx_chat_curl_pool_is_shared(ngx_chat_curl_pool_t *pool)
{
    return pool->shared;
}


void
ngx_chat_curl_pool_retire(ngx_chat_curl_pool_t *pool)
{
    /* of many that wait on one connection the first is enough */

    if (pool->current == NULL) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, pool->conf.log, 0,
                   "chat curl \"%V\" connections retired, transfers:%ui",
                   pool->conf.name, pool->transfers);

    /* connections given back are of no more use; 0 would be a default */
    (void) curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, 1L);

    *pool->current = NULL;
    pool->current = NULL;
}


/* libcurl does not look at connections that no transfer would use again */

static void
ngx_chat_curl_pool_idle_handler(ngx_event_t *ev)
{
    ngx_connection_t      *dummy;
    ngx_chat_curl_pool_t  *pool;

    dummy = ev->data;
    pool = dummy->data;

    if (pool->current) {
        *pool->current = NULL;
    }

    ngx_chat_curl_pool_destroy(pool);
}


static void
ngx_chat_curl_pool_destroy(ngx_chat_curl_pool_t *pool)
{
    ngx_queue_t       *q;
    ngx_connection_t  *c;

    /* closes the connections that were kept, with a callback for each */
    (void) curl_multi_cleanup(pool->multi);

    /* newer versions do not call back for the sockets that wake them up */

    while (!ngx_queue_empty(&pool->sockets)) {
        q = ngx_queue_head(&pool->sockets);
        c = ngx_queue_data(q, ngx_connection_t, queue);

        ngx_chat_curl_pool_close(c);
    }

    if (pool->timer.timer_set) {
        ngx_del_timer(&pool->timer);
    }

    if (pool->timer.posted) {
        ngx_delete_posted_event(&pool->timer);
    }

    if (pool->idle.timer_set) {
        ngx_del_timer(&pool->idle);
    }

    ngx_free(pool);
}


/* CURLMOPT_SOCKETFUNCTION: libcurl asks for events, inside its own functions */

static int
ngx_chat_curl_pool_socket_handler(CURL *easy, curl_socket_t s, int what,
    void *data, void *sockp)
{
    ngx_chat_curl_pool_t *pool = data;

    ngx_uint_t         in, out;
    ngx_connection_t  *c;

    c = sockp;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, pool->conf.log, 0,
                   "chat curl socket:%d what:%d", s, what);

    if (what == CURL_POLL_REMOVE) {

        if (c) {
            (void) curl_multi_assign(pool->multi, s, NULL);
            ngx_chat_curl_pool_close(c);
        }

        return 0;
    }

    if (c == NULL) {
        c = ngx_chat_curl_pool_open(pool, s);

        if (c == NULL) {
            pool->conf.failed(pool->conf.data, easy);
            return 0;
        }
    }

    in = (what & CURL_POLL_IN) ? 1 : 0;
    out = (what & CURL_POLL_OUT) ? 1 : 0;

    if (ngx_chat_curl_pool_watch(c->read, in) != NGX_OK
        || ngx_chat_curl_pool_watch(c->write, out) != NGX_OK)
    {
        pool->conf.failed(pool->conf.data, easy);
    }

    return 0;
}


static ngx_connection_t *
ngx_chat_curl_pool_open(ngx_chat_curl_pool_t *pool, curl_socket_t s)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(s, pool->conf.log);
    if (c == NULL) {
        return NULL;
    }

    c->data = pool;
    c->read->handler = ngx_chat_curl_pool_event_handler;
    c->write->handler = ngx_chat_curl_pool_event_handler;
    c->read->log = pool->conf.log;
    c->write->log = pool->conf.log;

    /* nginx keeps connections that it may close in this queue, never these */
    ngx_queue_insert_tail(&pool->sockets, &c->queue);

    if (curl_multi_assign(pool->multi, s, c) != CURLM_OK) {
        ngx_chat_curl_pool_close(c);
        return NULL;
    }

    return c;
}


static void
ngx_chat_curl_pool_close(ngx_connection_t *c)
{
    (void) ngx_chat_curl_pool_watch(c->read, 0);
    (void) ngx_chat_curl_pool_watch(c->write, 0);

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_queue_remove(&c->queue);

    /* the descriptor is libcurl's: it closes it, or keeps it for reuse */
    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


/*
 * Always level-triggered: libcurl does not read until nothing is left, and
 * an edge would not come again.
 */

static ngx_int_t
ngx_chat_curl_pool_watch(ngx_event_t *ev, ngx_uint_t on)
{
    ngx_int_t          event;
    ngx_uint_t         flags;
    ngx_connection_t  *c;

    event = ev->write ? NGX_WRITE_EVENT : NGX_READ_EVENT;

    if (on && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!on && ev->active) {
        c = ev->data;

        /* libcurl closes a socket that never got connected before it calls */

        flags = (fcntl(c->fd, F_GETFD) == -1) ? NGX_CLOSE_EVENT : 0;

        return ngx_del_event(ev, event, flags);
    }

    return NGX_OK;
}


static int
ngx_chat_curl_pool_timeout_handler(CURLM *multi, long ms, void *data)
{
    ngx_chat_curl_pool_t *pool = data;

    /* a timer that is set would not be moved by less than 300 ms */

    if (pool->timer.timer_set) {
        ngx_del_timer(&pool->timer);
    }

    if (pool->timer.posted) {
        ngx_delete_posted_event(&pool->timer);
    }

    if (ms > 0) {
        ngx_add_timer(&pool->timer, (ngx_msec_t) ms);

    } else if (ms == 0) {

        /*
         * A timer of 0 that a timer's handler sets expires in the same turn
         * of the loop, and as long as a provider sends all it can, curl sets
         * one each time: nothing else would ever be served.
         */

        ngx_post_event(&pool->timer, &ngx_posted_next_events);
    }

    return 0;
}


static void
ngx_chat_curl_pool_event_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_curl_pool_run(c->data, c->fd,
                         ev->write ? CURL_CSELECT_OUT : CURL_CSELECT_IN);
}


static void
ngx_chat_curl_pool_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t  *dummy;

    dummy = ev->data;

    ngx_chat_curl_pool_run(dummy->data, CURL_SOCKET_TIMEOUT, 0);
}


static void
ngx_chat_curl_pool_run(ngx_chat_curl_pool_t *pool, curl_socket_t s, int mask)
{
    int         n;
    long        version;
    CURLMsg    *msg;
    CURLMcode   rc;

    rc = curl_multi_socket_action(pool->multi, s, mask, &n);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ERR, pool->conf.log, 0,
                      "chat provider \"%V\": libcurl failed on its sockets, "
                      "calls may hang: \"%s\"",
                      pool->conf.name, curl_multi_strerror(rc));
    }

    for ( ;; ) {
        msg = curl_multi_info_read(pool->multi, &n);

        if (msg == NULL) {
            break;
        }

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        pool->shared = curl_easy_getinfo(msg->easy_handle,
                                         CURLINFO_HTTP_VERSION, &version)
                       == CURLE_OK
                       && version == CURL_HTTP_VERSION_2_0;

        /* the pool outlives this, as it is destroyed by an event only */

        pool->conf.done(pool->conf.data, msg->easy_handle, msg->data.result);
    }
}
