
#include "ngx_http_chat_kept.h"

#include <netinet/tcp.h>


#define NGX_HTTP_CHAT_KEPT_AGE     3600000   /* ms: of a connection */
#define NGX_HTTP_CHAT_KEPT_FREE    8         /* of so many connections one */
#define NGX_HTTP_CHAT_KEPT_SOON    30000     /* ms: for an end */

/* a peer that is gone without a word is found out: s, s, probes, ms */
#define NGX_HTTP_CHAT_KEPT_PROBE   30
#define NGX_HTTP_CHAT_KEPT_AGAIN   10
#define NGX_HTTP_CHAT_KEPT_PROBES  3
#define NGX_HTTP_CHAT_KEPT_UNACKED 20000

#define NGX_HTTP_CHAT_KEPT_BURST   200       /* ms, in which one may connect */


static ngx_uint_t ngx_http_chat_kept_has_room(ngx_http_chat_kept_t *kept,
    ngx_connection_t *c);
static ngx_http_chat_kept_item_t *ngx_http_chat_kept_create_item(
    ngx_http_chat_kept_t *kept, ngx_peer_connection_t *pc);
static void ngx_http_chat_kept_watch(ngx_connection_t *c);
static void ngx_http_chat_kept_set_log(ngx_connection_t *c, ngx_log_t *log);
static void ngx_http_chat_kept_read_handler(ngx_event_t *rev);
static void ngx_http_chat_kept_write_handler(ngx_event_t *wev);
static void ngx_http_chat_kept_drop(ngx_http_chat_kept_item_t *item);
static int ngx_http_chat_kept_session_handler(ngx_ssl_conn_t *ssl,
    ngx_ssl_session_t *session);


ngx_http_chat_kept_t *
ngx_http_chat_kept_create(ngx_conf_t *cf, ngx_http_chat_provider_upstream_t *pu)
{
    ngx_http_chat_kept_t  *kept;

    kept = ngx_pcalloc(cf->pool, sizeof(ngx_http_chat_kept_t));
    if (kept == NULL) {
        return NULL;
    }

    kept->provider_upstream = pu;
    kept->addrs = pu->addrs;
    kept->naddrs = pu->naddrs;

    ngx_queue_init(&kept->idle);

    return kept;
}


ngx_uint_t
ngx_http_chat_kept_is_warm(ngx_http_chat_provider_upstream_t *pu)
{
    return pu->kept && pu->kept->n != 0;
}


ngx_uint_t
ngx_http_chat_kept_may_connect(ngx_http_chat_kept_t *kept)
{
    if (kept->connected
        && ngx_current_msec - kept->connecting < NGX_HTTP_CHAT_KEPT_BURST)
    {
        return 0;
    }

    kept->connected = 1;
    kept->connecting = ngx_current_msec;

    return 1;
}


ngx_http_chat_kept_item_t *
ngx_http_chat_kept_take(ngx_http_chat_kept_t *kept, ngx_peer_connection_t *pc)
{
    ngx_queue_t                *q;
    ngx_connection_t           *c;
    ngx_http_chat_kept_item_t  *item;

    if (ngx_queue_empty(&kept->idle)) {
        return NULL;
    }

    for (q = ngx_queue_head(&kept->idle);
         q != ngx_queue_sentinel(&kept->idle);
         q = ngx_queue_next(q))
    {
        item = ngx_queue_data(q, ngx_http_chat_kept_item_t, queue);

        if (ngx_memn2cmp((u_char *) item->sockaddr, (u_char *) pc->sockaddr,
                         item->socklen, pc->socklen)
            == 0)
        {
            goto found;
        }
    }

    /* an address that the name no longer has, or not in the first place */

    q = ngx_queue_head(&kept->idle);
    item = ngx_queue_data(q, ngx_http_chat_kept_item_t, queue);

found:

    ngx_queue_remove(&item->queue);
    kept->n--;
    kept->used = 1;
    kept->wasted = 0;

    c = item->connection;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "chat kept connection *%uA is used, idle:%ui",
                   c->number, kept->n);

    c->idle = 0;
    c->sent = 0;
    c->data = NULL;
    c->log_error = pc->log_error;

    ngx_http_chat_kept_set_log(c, pc->log);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    pc->connection = c;
    pc->cached = 1;

    return item;
}


ngx_int_t
ngx_http_chat_kept_put(ngx_http_chat_kept_t *kept, ngx_peer_connection_t *pc,
    ngx_http_chat_kept_item_t *item)
{
    ngx_queue_t       *q;
    ngx_connection_t  *c;

    c = pc->connection;

    if (!ngx_http_chat_kept_has_room(kept, c)
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (item == NULL) {
        item = ngx_http_chat_kept_create_item(kept, pc);
        if (item == NULL) {
            return NGX_DECLINED;
        }
    }

    if (kept->n == kept->provider_upstream->provider->keepalive) {
        q = ngx_queue_last(&kept->idle);

        ngx_http_chat_kept_drop(ngx_queue_data(q, ngx_http_chat_kept_item_t,
                                               queue));
    }

    ngx_queue_insert_head(&kept->idle, &item->queue);
    kept->n++;

    pc->connection = NULL;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "chat kept connection *%uA is idle, idle:%ui",
                   c->number, kept->n);

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_add_timer(c->read,
                  kept->provider_upstream->provider->keepalive_timeout);

    c->read->delayed = 0;
    c->read->handler = ngx_http_chat_kept_read_handler;
    c->write->handler = ngx_http_chat_kept_write_handler;

    c->data = item;
    c->idle = 1;
    c->log_error = NGX_ERROR_INFO;

    ngx_http_chat_kept_set_log(c, ngx_cycle->log);

    if (c->read->ready) {
        ngx_http_chat_kept_read_handler(c->read);
    }

    return NGX_OK;
}


/* calls under way come before those to come */

static ngx_uint_t
ngx_http_chat_kept_has_room(ngx_http_chat_kept_t *kept, ngx_connection_t *c)
{
    return kept->provider_upstream->provider->keepalive != 0
           && !ngx_exiting && !ngx_terminate
           && ngx_current_msec - c->start_time < NGX_HTTP_CHAT_KEPT_AGE
           && ngx_cycle->free_connection_n
              > ngx_cycle->connection_n / NGX_HTTP_CHAT_KEPT_FREE;
}


static ngx_http_chat_kept_item_t *
ngx_http_chat_kept_create_item(ngx_http_chat_kept_t *kept,
    ngx_peer_connection_t *pc)
{
    ngx_connection_t           *c;
    ngx_http_chat_kept_item_t  *item;

    c = pc->connection;

    item = ngx_pcalloc(c->pool, sizeof(ngx_http_chat_kept_item_t));
    if (item == NULL) {
        return NULL;
    }

    item->kept = kept;
    item->connection = c;
    item->socklen = pc->socklen;

    item->sockaddr = ngx_palloc(c->pool, pc->socklen);
    item->name.data = ngx_pstrdup(c->pool, pc->name);
    item->name.len = pc->name->len;

    if (item->sockaddr == NULL || item->name.data == NULL) {
        return NULL;
    }

    ngx_memcpy(item->sockaddr, pc->sockaddr, pc->socklen);

    ngx_http_chat_kept_watch(c);

    return item;
}


/* routers forget idle connections, and may do so silently */

static void
ngx_http_chat_kept_watch(ngx_connection_t *c)
{
    int         value;
    ngx_uint_t  i;

    static const int  options[][2] = {
        { TCP_KEEPIDLE, NGX_HTTP_CHAT_KEPT_PROBE },
        { TCP_KEEPINTVL, NGX_HTTP_CHAT_KEPT_AGAIN },
        { TCP_KEEPCNT, NGX_HTTP_CHAT_KEPT_PROBES },
        { TCP_USER_TIMEOUT, NGX_HTTP_CHAT_KEPT_UNACKED }
    };

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        value = options[i][1];

        if (setsockopt(c->fd, IPPROTO_TCP, options[i][0],
                       (const void *) &value, sizeof(int))
            == -1)
        {
            ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, ngx_socket_errno,
                           "chat kept setsockopt(%d) failed", options[i][0]);
        }
    }
}


static void
ngx_http_chat_kept_set_log(ngx_connection_t *c, ngx_log_t *log)
{
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->pool->log = log;
}


/* a read is more than a look: under TLS a session may come, and no data */

static void
ngx_http_chat_kept_read_handler(ngx_event_t *rev)
{
    u_char             buf[1];
    ngx_connection_t  *c;

    c = rev->data;

    if (!c->close && !rev->timedout
        && c->recv(c, buf, 1) == NGX_AGAIN
        && ngx_handle_read_event(rev, 0) == NGX_OK)
    {
        return;
    }

    ngx_http_chat_kept_drop(c->data);
}


static void
ngx_http_chat_kept_write_handler(ngx_event_t *wev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, wev->log, 0, "chat kept write handler");
}


static void
ngx_http_chat_kept_drop(ngx_http_chat_kept_item_t *item)
{
    ngx_connection_t      *c;
    ngx_http_chat_kept_t  *kept;

    c = item->connection;
    kept = item->kept;

    ngx_queue_remove(&item->queue);
    kept->n--;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "chat kept connection *%uA is closed, idle:%ui",
                   c->number, kept->n);

    if (c->requests == 0
        && ngx_current_msec - c->start_time < NGX_HTTP_CHAT_KEPT_SOON)
    {
        kept->wasted = 1;
    }

    ngx_post_event(&kept->check, &ngx_posted_events);

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}


ngx_int_t
ngx_http_chat_kept_set_addrs(ngx_http_chat_kept_t *kept,
    ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t            i;
    ngx_pool_t           *pool;
    ngx_resolver_addr_t  *addrs;

    pool = ngx_create_pool(NGX_MIN_POOL_SIZE, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    addrs = ngx_pcalloc(pool, ctx->naddrs * sizeof(ngx_resolver_addr_t));
    if (addrs == NULL) {
        goto failed;
    }

    for (i = 0; i < ctx->naddrs; i++) {
        addrs[i].socklen = ctx->addrs[i].socklen;
        addrs[i].sockaddr = ngx_palloc(pool, addrs[i].socklen);

        if (addrs[i].sockaddr == NULL) {
            goto failed;
        }

        ngx_memcpy(addrs[i].sockaddr, ctx->addrs[i].sockaddr,
                   addrs[i].socklen);
    }

    if (kept->pool) {
        ngx_destroy_pool(kept->pool);
    }

    kept->pool = pool;
    kept->addrs = addrs;
    kept->naddrs = ctx->naddrs;

    return NGX_OK;

failed:

    ngx_destroy_pool(pool);

    return NGX_ERROR;
}


void
ngx_http_chat_kept_init_tls(ngx_http_chat_provider_upstream_t *pu)
{
    if (pu->kept == NULL) {
        return;
    }

    SSL_CTX_set_session_cache_mode(pu->upstream.ssl->ctx,
                                   SSL_SESS_CACHE_CLIENT
                                   |SSL_SESS_CACHE_NO_INTERNAL);

    SSL_CTX_sess_set_new_cb(pu->upstream.ssl->ctx,
                            ngx_http_chat_kept_session_handler);

    pu->upstream.ssl_session_reuse = 1;
}


/*
 * A session may come at any time, with TLS 1.3 mostly behind the handshake,
 * when the connection is idle as when it belongs to a call.  1: the reference
 * is kept.
 */

static int
ngx_http_chat_kept_session_handler(ngx_ssl_conn_t *ssl,
    ngx_ssl_session_t *session)
{
    ngx_http_chat_kept_t               *kept;
    ngx_http_chat_provider_upstream_t  *pu;

    pu = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ngx_ssl_server_conf_index);
    kept = pu->kept;

    if (kept->session) {
        ngx_ssl_free_session(kept->session);
    }

    kept->session = session;

    return 1;
}


ngx_int_t
ngx_http_chat_kept_set_session(ngx_http_chat_kept_t *kept, ngx_connection_t *c)
{
    if (kept->session == NULL) {
        return NGX_OK;
    }

    return ngx_ssl_set_session(c, kept->session);
}


void
ngx_http_chat_kept_close(ngx_http_chat_kept_t *kept)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&kept->idle)) {
        q = ngx_queue_head(&kept->idle);

        ngx_http_chat_kept_drop(ngx_queue_data(q, ngx_http_chat_kept_item_t,
                                               queue));
    }

    if (kept->pool) {
        ngx_destroy_pool(kept->pool);
        kept->pool = NULL;
        kept->naddrs = 0;
    }

    if (kept->session) {
        ngx_ssl_free_session(kept->session);
        kept->session = NULL;
    }
}
