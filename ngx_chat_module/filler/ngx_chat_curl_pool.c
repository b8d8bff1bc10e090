
#include "ngx_chat_curl_private.h"


static int ngx_chat_curl_socket(CURL *easy, curl_socket_t s, int what,
    void *data, void *sockp);
static ngx_connection_t *ngx_chat_curl_open(ngx_chat_curl_pool_t *pool,
    curl_socket_t s);
static void ngx_chat_curl_close(ngx_connection_t *c);
static ngx_int_t ngx_chat_curl_watch(ngx_event_t *ev, ngx_uint_t on);
static int ngx_chat_curl_timeout(CURLM *multi, long ms, void *data);
static void ngx_chat_curl_event_handler(ngx_event_t *ev);
static void ngx_chat_curl_timer_handler(ngx_event_t *ev);
static void ngx_chat_curl_idle_handler(ngx_event_t *ev);
static void ngx_chat_curl_action(ngx_chat_curl_pool_t *pool, curl_socket_t s,
    int mask);


ngx_chat_curl_pool_t *
ngx_chat_curl_create_pool(ngx_chat_curl_t *cu, ngx_chat_curl_origin_t *origin)
{
    CURLM                 *multi;
    CURLMcode              rc;
    ngx_chat_curl_pool_t  *pool;

    pool = ngx_calloc(sizeof(ngx_chat_curl_pool_t), cu->log);
    if (pool == NULL) {
        return NULL;
    }

    multi = curl_multi_init();
    if (multi == NULL) {
        ngx_free(pool);
        return NULL;
    }

    ngx_queue_init(&pool->sockets);

    pool->curl = cu;
    pool->origin = origin;
    pool->multi = multi;

    pool->dummy.fd = (ngx_socket_t) -1;
    pool->dummy.data = pool;

    pool->timer.handler = ngx_chat_curl_timer_handler;
    pool->timer.data = &pool->dummy;
    pool->timer.log = cu->log;

    pool->idle.handler = ngx_chat_curl_idle_handler;
    pool->idle.data = &pool->dummy;
    pool->idle.log = cu->log;

    rc = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
                           ngx_chat_curl_socket);

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, pool);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
                               ngx_chat_curl_timeout);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, pool);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) cu->max);
    }

    if (rc == CURLM_OK) {
        rc = curl_multi_setopt(multi, CURLMOPT_PIPELINING,
                               (long) CURLPIPE_MULTIPLEX);
    }

#if (LIBCURL_VERSION_NUM >= 0x081400)

    /* nor at the end */

    (void) curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);

#endif

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, cu->log, 0,
                      "libcurl cannot be set up: \"%s\"",
                      curl_multi_strerror(rc));
        ngx_chat_curl_destroy_pool(pool);
        return NULL;
    }

    return pool;
}


void
ngx_chat_curl_destroy_pool(ngx_chat_curl_pool_t *pool)
{
    ngx_queue_t       *q;
    ngx_connection_t  *c;

    /* closes the connections it kept, and calls back for each */
    (void) curl_multi_cleanup(pool->multi);

    /* but not for what newer versions wake themselves up with */

    while (!ngx_queue_empty(&pool->sockets)) {
        q = ngx_queue_head(&pool->sockets);
        c = ngx_queue_data(q, ngx_connection_t, queue);

        ngx_chat_curl_close(c);
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


/* libcurl says what it wants to know of a socket: inside its own calls */

static int
ngx_chat_curl_socket(CURL *easy, curl_socket_t s, int what, void *data,
    void *sockp)
{
    ngx_chat_curl_pool_t *pool = data;

    ngx_uint_t         in, out;
    ngx_chat_curl_t   *cu;
    ngx_connection_t  *c;

    c = sockp;
    cu = pool->curl;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, cu->log, 0,
                   "chat curl socket:%d what:%d", s, what);

    if (what == CURL_POLL_REMOVE) {

        if (c) {
            (void) curl_multi_assign(pool->multi, s, NULL);
            ngx_chat_curl_close(c);
        }

        return 0;
    }

    if (c == NULL) {
        c = ngx_chat_curl_open(pool, s);

        if (c == NULL) {
            ngx_chat_curl_fail(cu, easy);
            return 0;
        }
    }

    in = (what & CURL_POLL_IN) ? 1 : 0;
    out = (what & CURL_POLL_OUT) ? 1 : 0;

    if (ngx_chat_curl_watch(c->read, in) != NGX_OK
        || ngx_chat_curl_watch(c->write, out) != NGX_OK)
    {
        ngx_chat_curl_fail(cu, easy);
    }

    return 0;
}


static ngx_connection_t *
ngx_chat_curl_open(ngx_chat_curl_pool_t *pool, curl_socket_t s)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(s, pool->curl->log);
    if (c == NULL) {
        return NULL;
    }

    c->data = pool;
    c->read->handler = ngx_chat_curl_event_handler;
    c->write->handler = ngx_chat_curl_event_handler;
    c->read->log = pool->curl->log;
    c->write->log = pool->curl->log;

    /* else for connections that nginx may close, which this one is not */
    ngx_queue_insert_tail(&pool->sockets, &c->queue);

    if (curl_multi_assign(pool->multi, s, c) != CURLM_OK) {
        ngx_chat_curl_close(c);
        return NULL;
    }

    return c;
}


static void
ngx_chat_curl_close(ngx_connection_t *c)
{
    (void) ngx_chat_curl_watch(c->read, 0);
    (void) ngx_chat_curl_watch(c->write, 0);

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
ngx_chat_curl_watch(ngx_event_t *ev, ngx_uint_t on)
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

        /* a socket that never got connected is closed before we are told */

        flags = (fcntl(c->fd, F_GETFD) == -1) ? NGX_CLOSE_EVENT : 0;

        return ngx_del_event(ev, event, flags);
    }

    return NGX_OK;
}


static int
ngx_chat_curl_timeout(CURLM *multi, long ms, void *data)
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
ngx_chat_curl_event_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_curl_action(c->data, c->fd,
                         ev->write ? CURL_CSELECT_OUT : CURL_CSELECT_IN);
}


static void
ngx_chat_curl_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t  *dummy;

    dummy = ev->data;

    ngx_chat_curl_action(dummy->data, CURL_SOCKET_TIMEOUT, 0);
}


/* connections that nobody would use again are not looked at by libcurl */

static void
ngx_chat_curl_idle_handler(ngx_event_t *ev)
{
    ngx_connection_t      *dummy;
    ngx_chat_curl_pool_t  *pool;

    dummy = ev->data;
    pool = dummy->data;

    pool->origin->pool = NULL;

    ngx_chat_curl_destroy_pool(pool);
}


static void
ngx_chat_curl_action(ngx_chat_curl_pool_t *pool, curl_socket_t s, int mask)
{
    int                        n;
    CURLMsg                   *msg;
    CURLMcode                  rc;
    ngx_chat_curl_t           *cu;
    ngx_chat_curl_transfer_t  *t;

    cu = pool->curl;

    rc = curl_multi_socket_action(pool->multi, s, mask, &n);

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ERR, cu->log, 0,
                      "libcurl failed on its sockets: \"%s\"",
                      curl_multi_strerror(rc));
    }

    for ( ;; ) {
        msg = curl_multi_info_read(pool->multi, &n);

        if (msg == NULL) {
            break;
        }

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        t = ngx_chat_curl_transfer(msg->easy_handle);

        if (t) {
            ngx_chat_curl_end(cu, t, msg->data.result);
        }
    }
}
