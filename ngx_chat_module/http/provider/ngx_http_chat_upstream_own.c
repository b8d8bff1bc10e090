
#include "ngx_http_chat_upstream_private.h"
#include "ngx_http_chat_kept.h"


static ngx_int_t ngx_http_chat_upstream_own_copy(ngx_http_chat_upstream_t *up,
    ngx_peer_connection_t *pc);
static void ngx_http_chat_upstream_own_finalize_handler(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_chat_upstream_own_read_handler(ngx_event_t *rev);
static void ngx_http_chat_upstream_own_write_handler(ngx_event_t *wev);
static u_char *ngx_http_chat_upstream_own_log_handler(ngx_log_t *log,
    u_char *buf, size_t len);


ngx_uint_t
ngx_http_chat_upstream_may_own(ngx_http_chat_upstream_t *up)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    if (up->request == NULL || !up->header || up->closed
        || up->provider_upstream->kept == NULL)
    {
        return 0;
    }

    u = up->request->upstream;
    c = u->peer.connection;

    if (!u->request_body_sent) {
        return 0;
    }

    /* TLS in the middle of something would put nginx' handlers back */

    return c->ssl == NULL
           || (c->ssl->saved_read_handler == NULL
               && c->ssl->saved_write_handler == NULL);
}


void
ngx_http_chat_upstream_own(ngx_http_chat_upstream_t *up)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = up->request;
    u = r->upstream;
    c = u->peer.connection;

    if (ngx_http_chat_upstream_own_copy(up, &u->peer) != NGX_OK) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "chat upstream owns connection *%uA", c->number);

    up->connection = c;
    up->item = ngx_http_chat_upstream_take_item(u);

    u->peer.connection = NULL;

    c->data = up;
    c->recv = up->recv;
    c->read->handler = ngx_http_chat_upstream_own_read_handler;
    c->write->handler = ngx_http_chat_upstream_own_write_handler;

    up->log.handler = ngx_http_chat_upstream_own_log_handler;
    up->log.data = up;

    /* nginx has nothing to end any more, and must not make a response of it */

    u->finalize_request = ngx_http_chat_upstream_own_finalize_handler;
    r->connection->error = 1;

    (*u->cleanup)(r);

    ngx_destroy_pool(r->pool);
    up->request = NULL;
}


/* for a new connection to be kept, and for the log */

static ngx_int_t
ngx_http_chat_upstream_own_copy(ngx_http_chat_upstream_t *up,
    ngx_peer_connection_t *pc)
{
    up->socklen = pc->socklen;
    up->sockaddr = ngx_palloc(up->call.pool, pc->socklen);

    up->name.len = pc->name->len;
    up->name.data = ngx_pstrdup(up->call.pool, pc->name);

    if (up->sockaddr == NULL || up->name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(up->sockaddr, pc->sockaddr, pc->socklen);

    return NGX_OK;
}


static void
ngx_http_chat_upstream_own_finalize_handler(ngx_http_request_t *r,
    ngx_int_t rc)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat upstream request is not needed any more");
}


static void
ngx_http_chat_upstream_own_read_handler(ngx_event_t *rev)
{
    ngx_connection_t          *c;
    ngx_http_chat_upstream_t  *up;

    c = rev->data;
    up = c->data;

    up->process(up);
}


static void
ngx_http_chat_upstream_own_write_handler(ngx_event_t *wev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, wev->log, 0,
                   "chat upstream write handler");
}


void
ngx_http_chat_upstream_end_own(ngx_http_chat_upstream_t *up,
    ngx_uint_t keepalive)
{
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    c = up->connection;
    up->connection = NULL;

    if (keepalive && !c->read->eof && !c->read->error && !c->write->error) {
        ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

        pc.connection = c;
        pc.sockaddr = up->sockaddr;
        pc.socklen = up->socklen;
        pc.name = &up->name;
        pc.log = &up->log;

        if (ngx_http_chat_kept_put(up->provider_upstream->kept, &pc, up->item)
            == NGX_OK)
        {
            return;
        }
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "chat upstream closes connection *%uA", c->number);

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}


/* as nginx would write it for the request */

static u_char *
ngx_http_chat_upstream_own_log_handler(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                     *p;
    ngx_http_chat_asker_t      *asker;
    ngx_http_chat_upstream_t   *up;
    ngx_http_core_srv_conf_t   *cscf;

    up = log->data;
    asker = up->asker;

    if (asker == NULL) {
        return buf;
    }

    p = buf;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    cscf = asker->srv_conf[ngx_http_core_module.ctx_index];

    return ngx_snprintf(p, len, ", client: %V, server: %V, request: \"%V\", "
                        "upstream: \"%V%V%V\"", &asker->addr_text,
                        &cscf->server_name, &asker->request_line,
                        &up->provider_upstream->schema, &up->name,
                        &up->provider_upstream->uri);
}
