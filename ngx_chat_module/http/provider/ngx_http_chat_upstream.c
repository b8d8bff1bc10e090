
#include "ngx_http_chat_upstream.h"
#include "ngx_http_chat_upstream_private.h"
#include "ngx_http_chat_spare.h"
#include "../../provider/ngx_chat_provider_trace.h"


/* bytes for what is kept of an answer, and of where it comes from */
#define NGX_HTTP_CHAT_UPSTREAM_MORE  128


static ngx_chat_provider_call_t *ngx_http_chat_upstream_start(void *ctx,
    ngx_chat_provider_request_t *rq);
static ngx_http_chat_provider_upstream_t *ngx_http_chat_upstream_find(
    ngx_array_t *upstreams, ngx_chat_provider_t *pv);
static void ngx_http_chat_upstream_cancel(ngx_chat_provider_call_t *call);
static void ngx_http_chat_upstream_event_handler(ngx_event_t *ev);
static void ngx_http_chat_upstream_process_handler(
    ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_locate(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_resolve(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_resolve_handler(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_chat_upstream_resolved(ngx_http_chat_upstream_t *up,
    ngx_resolver_ctx_t *ctx);
static void ngx_http_chat_upstream_connect(ngx_http_chat_upstream_t *up);
static ngx_int_t ngx_http_chat_upstream_create_request_handler(
    ngx_http_request_t *r);
static void ngx_http_chat_upstream_abort_handler(ngx_http_request_t *r);
static void ngx_http_chat_upstream_close(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_finalize_handler(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_chat_upstream_finish(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_fail(ngx_http_chat_upstream_t *up,
    ngx_int_t rc);
static ngx_chat_provider_call_fault_e ngx_http_chat_upstream_unreachable(
    ngx_http_chat_upstream_t *up, ngx_int_t rc);
static void ngx_http_chat_upstream_expired_handler(
    ngx_chat_provider_call_t *call, ngx_uint_t silent);
static void ngx_http_chat_upstream_tell(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_free(ngx_http_chat_upstream_t *up);


const ngx_chat_transport_t  ngx_http_chat_upstream_transport = {
    ngx_http_chat_upstream_start,
    ngx_http_chat_upstream_cancel
};


static ngx_chat_provider_call_t *
ngx_http_chat_upstream_start(void *ctx, ngx_chat_provider_request_t *rq)
{
    size_t                     size;
    ngx_pool_t                *pool;
    ngx_http_chat_asker_t     *asker;
    ngx_http_chat_upstream_t  *up;

    asker = ctx;

    /* a pool of the size that is needed, as there may be very many */

    size = sizeof(ngx_pool_t) + sizeof(ngx_http_chat_upstream_t)
           + NGX_HTTP_CHAT_UPSTREAM_MORE;

    pool = ngx_create_pool(ngx_align(size, NGX_POOL_ALIGNMENT),
                           ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    up = ngx_pcalloc(pool, sizeof(ngx_http_chat_upstream_t));
    if (up == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    up->provider_upstream = ngx_http_chat_upstream_find(asker->upstreams,
                                                        rq->provider);
    up->asker = asker;
    up->messages = rq->messages;
    up->trace = rq->trace;
    up->process = ngx_http_chat_upstream_process_handler;
    up->call.pool = pool;

    if (up->provider_upstream == NULL
        || ngx_http_chat_upstream_create_request(up) != NGX_OK)
    {
        ngx_http_chat_upstream_free(up);
        return NULL;
    }

    up->event.handler = ngx_http_chat_upstream_event_handler;
    up->event.data = up;
    up->event.log = &up->log;

    ngx_chat_provider_call_init(&up->call, rq,
                                ngx_http_chat_upstream_expired_handler,
                                pool, &up->log);

    /* at once: others that came with it would be in front of an event */

    ngx_http_chat_upstream_locate(up);

    return &up->call;
}


static ngx_http_chat_provider_upstream_t *
ngx_http_chat_upstream_find(ngx_array_t *upstreams, ngx_chat_provider_t *pv)
{
    ngx_uint_t                           i;
    ngx_http_chat_provider_upstream_t  **pu;

    pu = upstreams->elts;

    for (i = 0; i < upstreams->nelts; i++) {

        if (pu[i]->provider == pv) {
            return pu[i];
        }
    }

    return NULL;
}


static void
ngx_http_chat_upstream_cancel(ngx_chat_provider_call_t *call)
{
    ngx_http_chat_upstream_t  *up;

    up = (ngx_http_chat_upstream_t *) call;

    up->call.ops = NULL;

    ngx_http_chat_upstream_close(up);
    ngx_http_chat_upstream_free(up);
}


static void
ngx_http_chat_upstream_event_handler(ngx_event_t *ev)
{
    ngx_http_chat_upstream_t  *up;

    up = ev->data;

    if (up->closed) {
        ngx_http_chat_upstream_tell(up);
        ngx_http_chat_upstream_free(up);
        return;
    }

    if (ngx_http_chat_upstream_may_own(up)) {
        ngx_http_chat_upstream_own(up);
    }

    if (up->header) {
        ngx_http_chat_upstream_process_handler(up);
    }
}


static void
ngx_http_chat_upstream_process_handler(ngx_http_chat_upstream_t *up)
{
    ngx_int_t  rc;

    rc = ngx_http_chat_upstream_read(up);

    /* the rest of the response matters for keep-alive alone */

    if (up->call.stream.done) {
        ngx_http_chat_upstream_tell(up);
    }

    if (rc == NGX_DONE) {
        ngx_http_chat_upstream_close(up);
    }
}


/* nobody waits for a name as long as there are connections */

static void
ngx_http_chat_upstream_locate(ngx_http_chat_upstream_t *up)
{
    ngx_resolver_t                     *resolver;
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_chat_provider_upstream_t  *pu;

    pu = up->provider_upstream;
    clcf = ngx_http_get_module_loc_conf(up->request, ngx_http_core_module);

    resolver = clcf->resolver && clcf->resolver->connections.nelts
               ? clcf->resolver : NULL;

    ngx_http_chat_spare_ask(pu, resolver);

    if (pu->group || pu->literal || ngx_http_chat_kept_is_warm(pu)) {
        ngx_http_chat_upstream_connect(up);
        return;
    }

    if (resolver) {
        ngx_http_chat_upstream_resolve(up);
        return;
    }

    if (pu->kept->naddrs) {
        ngx_http_chat_upstream_connect(up);
        return;
    }

    up->call.fault.detail = "its address is not known";
    ngx_chat_provider_call_fail(&up->call, NGX_CHAT_CALL_UNREACHABLE);
    ngx_http_chat_upstream_close(up);
}


static void
ngx_http_chat_upstream_resolve(ngx_http_chat_upstream_t *up)
{
    ngx_resolver_ctx_t        *ctx, temp;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(up->request, ngx_http_core_module);

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));

    temp.name = up->provider_upstream->name;

    ctx = ngx_resolve_start(clcf->resolver, &temp);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        goto failed;
    }

    ctx->name = up->provider_upstream->name;
    ctx->handler = ngx_http_chat_upstream_resolve_handler;
    ctx->data = up;
    ctx->timeout = up->provider_upstream->provider->connect_timeout;

    up->resolve = ctx;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, up->request->connection->log, 0,
                   "chat upstream resolve \"%V\"", &ctx->name);

    if (ngx_resolve_name(ctx) == NGX_OK) {
        return;
    }

    up->resolve = NULL;

failed:

    ngx_chat_provider_call_fail(&up->call, NGX_CHAT_CALL_LOCAL);
    ngx_http_chat_upstream_close(up);
}


static void
ngx_http_chat_upstream_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_chat_upstream_t  *up;

    up = ctx->data;

    up->resolve = NULL;

    rc = ngx_http_chat_upstream_resolved(up, ctx);

    ngx_resolve_name_done(ctx);

    if (rc != NGX_OK) {
        ngx_http_chat_upstream_close(up);
        return;
    }

    ngx_http_chat_upstream_connect(up);
}


static ngx_int_t
ngx_http_chat_upstream_resolved(ngx_http_chat_upstream_t *up,
    ngx_resolver_ctx_t *ctx)
{
    char    *what;
    u_char  *p;

    if (ctx->state) {
        what = ngx_resolver_strerror(ctx->state);

        p = ngx_pnalloc(up->call.pool, ctx->name.len + sizeof(": ")
                                       + ngx_strlen(what));
        if (p) {
            (void) ngx_sprintf(p, "%V: %s%Z", &ctx->name, what);
            up->call.fault.detail = (char *) p;
        }

        ngx_chat_provider_call_fail(&up->call, NGX_CHAT_CALL_UNRESOLVED);
        return NGX_ERROR;
    }

    if (ngx_http_chat_kept_set_addrs(up->provider_upstream->kept, ctx)
        != NGX_OK)
    {
        ngx_chat_provider_call_fail(&up->call, NGX_CHAT_CALL_LOCAL);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_chat_upstream_connect(ngx_http_chat_upstream_t *up)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = up->request;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat upstream connect \"%V\"",
                   &up->provider_upstream->name);

    if (ngx_http_upstream_create(r) != NGX_OK) {
        ngx_chat_provider_call_fail(&up->call, NGX_CHAT_CALL_LOCAL);
        ngx_http_chat_upstream_close(up);
        return;
    }

    u = r->upstream;

    u->conf = &up->provider_upstream->upstream;
    u->schema = up->provider_upstream->schema;
    u->uri = up->provider_upstream->uri;
    u->ssl = up->provider_upstream->ssl;
    u->output.tag = (ngx_buf_tag_t) &ngx_chat_module;

    u->create_request = ngx_http_chat_upstream_create_request_handler;
    u->reinit_request = ngx_http_chat_upstream_reinit_handler;
    u->process_header = ngx_http_chat_upstream_status_handler;
    u->abort_request = ngx_http_chat_upstream_abort_handler;
    u->finalize_request = ngx_http_chat_upstream_finalize_handler;
    u->input_filter_ctx = up;

    ngx_http_chat_upstream_set_buffer(u);

    ngx_http_upstream_init(r);
}


static ngx_int_t
ngx_http_chat_upstream_create_request_handler(ngx_http_request_t *r)
{
    size_t                     len, size;
    ngx_buf_t                 *b;
    ngx_str_t                 *head;
    ngx_uint_t                 i, n;
    ngx_chain_t               *cl;
    ngx_keyval_t               kv[NGX_CHAT_TRACE_HEADERS];
    ngx_chat_provider_t       *pv;
    ngx_http_upstream_t       *u;
    ngx_http_chat_upstream_t  *up;

    u = r->upstream;
    up = u->input_filter_ctx;
    pv = up->call.provider;
    head = &up->provider_upstream->head;

    len = pv->prefix.len + up->messages->len + pv->suffix.len;

    size = head->len + NGX_SIZE_T_LEN + sizeof(CRLF CRLF) - 1 + len;

    n = ngx_chat_provider_trace_headers(pv, up->trace, kv);

    for (i = 0; i < n; i++) {
        size += kv[i].key.len + kv[i].value.len + sizeof(": " CRLF) - 1;
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    /* of any size on its own: freed before the call ends */

    b->start = ngx_pmemalign(r->pool, size, NGX_ALIGNMENT);
    if (b->start == NULL) {
        return NGX_ERROR;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + size;
    b->temporary = 1;

    b->last = ngx_sprintf(b->last, "%V%uz" CRLF, head, len);

    for (i = 0; i < n; i++) {
        b->last = ngx_sprintf(b->last, "%V: %V" CRLF, &kv[i].key,
                              &kv[i].value);
    }

    b->last = ngx_sprintf(b->last, CRLF "%V%V%V",
                          &pv->prefix, up->messages, &pv->suffix);
    b->flush = 1;

    cl->buf = b;
    cl->next = NULL;

    u->request_bufs = cl;

    return NGX_OK;
}


static void
ngx_http_chat_upstream_abort_handler(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat upstream abort");
}


static void
ngx_http_chat_upstream_close(ngx_http_chat_upstream_t *up)
{
    ngx_uint_t            keepalive;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    if (up->closed) {
        return;
    }

    if (up->resolve) {
        ngx_resolve_name_done(up->resolve);
        up->resolve = NULL;
    }

    /* nothing of it may turn up in the next response on the connection */

    keepalive = up->eof && !up->close
                && up->call.fault.error == NGX_CHAT_E_NONE;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &up->log, 0,
                   "chat upstream close, eof:%d keepalive:%ui",
                   (int) up->eof, keepalive);

    r = up->request;

    if (r == NULL) {
        ngx_http_chat_upstream_end_own(up, keepalive);
        ngx_http_chat_upstream_finish(up);
        return;
    }

    u = r->upstream;

    if (u == NULL || u->cleanup == NULL) {
        ngx_http_chat_upstream_finish(up);
        return;
    }

    if (up->recv) {
        u->peer.connection->recv = up->recv;
    }

    u->keepalive = keepalive ? 1 : 0;

    (*u->cleanup)(r);
}


static void
ngx_http_chat_upstream_finalize_handler(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_chat_upstream_t  *up;

    up = r->upstream->input_filter_ctx;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat upstream finalize rc:%i", rc);

    if (rc != NGX_DONE) {
        ngx_http_chat_upstream_fail(up, rc);
    }

    ngx_http_chat_upstream_finish(up);
}


/* the rest is done outside of what called us */

static void
ngx_http_chat_upstream_finish(ngx_http_chat_upstream_t *up)
{
    up->closed = 1;

    up->log.action = "asking a provider";

    /* keeps nginx from making a response of what the upstream ended with */

    if (up->request) {
        up->request->connection->error = 1;
    }

    ngx_post_event(&up->event, &ngx_posted_events);
}


static void
ngx_http_chat_upstream_fail(ngx_http_chat_upstream_t *up, ngx_int_t rc)
{
    ngx_http_upstream_t             *u;
    ngx_chat_provider_call_fault_e   fault;

    u = up->request->upstream;

    if (rc == NGX_ERROR || rc == NGX_HTTP_INTERNAL_SERVER_ERROR) {
        fault = NGX_CHAT_CALL_LOCAL;

    } else if (!u->request_sent) {
        fault = ngx_http_chat_upstream_unreachable(up, rc);

    } else if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        fault = NGX_CHAT_CALL_NO_FIRST_TOKEN;

    } else if (!up->header && u->buffer.start
               && u->buffer.last == u->buffer.end)
    {
        fault = NGX_CHAT_CALL_HEADER_TOO_LARGE;

    } else {
        fault = NGX_CHAT_CALL_BROKEN_OFF;
    }

    ngx_chat_provider_call_fail(&up->call, fault);
}


static ngx_chat_provider_call_fault_e
ngx_http_chat_upstream_unreachable(ngx_http_chat_upstream_t *up, ngx_int_t rc)
{
    long               verify;
    ngx_connection_t  *c;

    if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        return NGX_CHAT_CALL_CONNECT_TIMEOUT;
    }

    c = up->request->upstream->peer.connection;

    if (c == NULL || c->ssl == NULL) {
        return NGX_CHAT_CALL_UNREACHABLE;
    }

    verify = SSL_get_verify_result(c->ssl->connection);

    if (verify != X509_V_OK) {
        up->call.fault.detail = X509_verify_cert_error_string(verify);
        return NGX_CHAT_CALL_UNSAFE;
    }

    if (c->ssl->handshaked) {
        up->call.fault.detail = "the certificate is for another name";
        return NGX_CHAT_CALL_UNSAFE;
    }

    return NGX_CHAT_CALL_UNREACHABLE;
}


static void
ngx_http_chat_upstream_expired_handler(ngx_chat_provider_call_t *call,
    ngx_uint_t silent)
{
    ngx_http_chat_upstream_close((ngx_http_chat_upstream_t *) call);
}


static void
ngx_http_chat_upstream_tell(ngx_http_chat_upstream_t *up)
{
    ngx_chat_provider_result_t  result;

    if (ngx_chat_provider_call_conclude(&up->call, &result) != NGX_OK) {
        return;
    }

    ngx_http_chat_upstream_leave(up);

    ngx_chat_provider_call_tell(&up->call, &result);
}


static void
ngx_http_chat_upstream_free(ngx_http_chat_upstream_t *up)
{
    ngx_pool_t  *pool;

    if (up->event.posted) {
        ngx_delete_posted_event(&up->event);
    }

    pool = up->call.pool;

    ngx_chat_provider_call_free(&up->call);

    if (up->request) {
        ngx_destroy_pool(up->request->pool);
    }

    ngx_destroy_pool(pool);
}
