
#include "ngx_http_chat_upstream.h"
#include "ngx_http_chat_upstream_private.h"


#define NGX_HTTP_CHAT_UPSTREAM_REFUSAL  1000  /* ms, for the body of an error */


static void ngx_http_chat_upstream_event_handler(ngx_event_t *ev);
static void ngx_http_chat_upstream_start(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_resolve(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_resolve_handler(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_chat_upstream_addrs(ngx_http_chat_upstream_t *up,
    ngx_resolver_ctx_t *ctx);
static void ngx_http_chat_upstream_connect(ngx_http_chat_upstream_t *up);
static ngx_int_t ngx_http_chat_upstream_create(ngx_http_request_t *r);
static void ngx_http_chat_upstream_abort(ngx_http_request_t *r);
static void ngx_http_chat_upstream_finalize(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_chat_upstream_over(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_failed(ngx_http_chat_upstream_t *up,
    ngx_int_t rc);
static void ngx_http_chat_upstream_unreachable(ngx_http_chat_upstream_t *up,
    ngx_int_t rc);
static void ngx_http_chat_upstream_wait(ngx_http_chat_upstream_t *up,
    ngx_msec_t ms);
static void ngx_http_chat_upstream_wait_handler(ngx_event_t *ev);
static void ngx_http_chat_upstream_total_handler(ngx_event_t *ev);
static void ngx_http_chat_upstream_tell(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_log(ngx_http_chat_upstream_t *up);
static void ngx_http_chat_upstream_free(ngx_http_chat_upstream_t *up);


ngx_http_chat_upstream_t *
ngx_http_chat_upstream(ngx_http_chat_origin_t *origin,
    ngx_http_chat_provider_upstream_t *target, ngx_str_t *messages,
    ngx_msec_t total,
    const ngx_http_chat_upstream_ops_t *ops, void *data)
{
    ngx_log_t                 *log;
    ngx_pool_t                *pool;
    ngx_http_chat_upstream_t  *up;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    up = ngx_pcalloc(pool, sizeof(ngx_http_chat_upstream_t));
    if (up == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    up->pool = pool;
    up->ident = -1;
    up->target = target;
    up->origin = origin;
    up->messages = messages;
    up->ops = ops;
    up->data = data;

    up->stream.delta = ops->delta;
    up->stream.data = data;

    ngx_chat_provider_fault_init(&up->fault, target->provider);

    if (ngx_http_chat_upstream_request(up) != NGX_OK
        || ngx_chat_provider_stream_init(&up->stream, &up->fault, pool,
                                         ngx_cycle->log)
           != NGX_OK)
    {
        ngx_http_chat_upstream_free(up);
        return NULL;
    }

    log = up->request->connection->log;

    up->event.handler = ngx_http_chat_upstream_event_handler;
    up->event.data = up;
    up->event.log = log;

    up->wait.handler = ngx_http_chat_upstream_wait_handler;
    up->wait.data = up;
    up->wait.log = log;

    up->total.handler = ngx_http_chat_upstream_total_handler;
    up->total.data = up;
    up->total.log = log;

    ngx_add_timer(&up->wait, target->provider->first_token_timeout);
    ngx_add_timer(&up->total, total);

    /* at once: others that came with it would be in front of an event */

    up->starting = 1;
    ngx_http_chat_upstream_start(up);
    up->starting = 0;

    return up;
}


void
ngx_http_chat_upstream_cancel(ngx_http_chat_upstream_t *up)
{
    up->ops = NULL;

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

    if (up->stream.done) {
        ngx_http_chat_upstream_tell(up);
    }

    if (up->header) {
        ngx_http_chat_upstream_read(up);
    }
}


static void
ngx_http_chat_upstream_start(ngx_http_chat_upstream_t *up)
{
    ngx_http_chat_provider_upstream_t  *t;
    ngx_http_core_loc_conf_t           *clcf;

    t = up->target;

    if (t->group || t->literal) {
        up->addrs = t->addrs;
        up->naddrs = t->naddrs;

        ngx_http_chat_upstream_connect(up);
        return;
    }

    clcf = ngx_http_get_module_loc_conf(up->request, ngx_http_core_module);

    if (clcf->resolver && clcf->resolver->connections.nelts) {
        ngx_http_chat_upstream_resolve(up);
        return;
    }

    up->addrs = t->addrs;
    up->naddrs = t->naddrs;

    if (up->naddrs) {
        ngx_http_chat_upstream_connect(up);
        return;
    }

    up->fault.detail = "its address is not known";
    ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_AWAY, 1,
                            "cannot be reached");
    ngx_http_chat_upstream_close(up);
}


static void
ngx_http_chat_upstream_resolve(ngx_http_chat_upstream_t *up)
{
    ngx_resolver_ctx_t        *ctx, temp;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(up->request, ngx_http_core_module);

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));

    temp.name = up->target->name;

    ctx = ngx_resolve_start(clcf->resolver, &temp);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        goto failed;
    }

    ctx->name = up->target->name;
    ctx->handler = ngx_http_chat_upstream_resolve_handler;
    ctx->data = up;
    ctx->timeout = up->target->provider->connect_timeout;

    up->resolve = ctx;

    if (ngx_resolve_name(ctx) == NGX_OK) {
        return;
    }

    up->resolve = NULL;

failed:

    ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_INTERNAL, 1,
                            "could not be asked for want of connections "
                            "or memory");
    ngx_http_chat_upstream_close(up);
}


static void
ngx_http_chat_upstream_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_chat_upstream_t  *up;

    up = ctx->data;

    up->resolve = NULL;

    rc = ngx_http_chat_upstream_addrs(up, ctx);

    ngx_resolve_name_done(ctx);

    if (rc != NGX_OK) {
        ngx_http_chat_upstream_close(up);
        return;
    }

    ngx_http_chat_upstream_connect(up);
}


static ngx_int_t
ngx_http_chat_upstream_addrs(ngx_http_chat_upstream_t *up,
    ngx_resolver_ctx_t *ctx)
{
    char        *what;
    ngx_uint_t   i;

    if (ctx->state) {
        what = ngx_resolver_strerror(ctx->state);

        (void) ngx_snprintf((u_char *) up->fault.words,
                            NGX_CHAT_FAULT_DETAIL - 1,
                            "%V: %s%Z", &ctx->name, what);

        up->fault.detail = up->fault.words;
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_AWAY, 1,
                                "cannot be resolved");
        return NGX_ERROR;
    }

    up->naddrs = ctx->naddrs;
    up->addrs = ngx_pcalloc(up->pool,
                            ctx->naddrs * sizeof(ngx_resolver_addr_t));
    if (up->addrs == NULL) {
        goto failed;
    }

    for (i = 0; i < ctx->naddrs; i++) {

        up->addrs[i].socklen = ctx->addrs[i].socklen;
        up->addrs[i].sockaddr = ngx_palloc(up->pool, ctx->addrs[i].socklen);

        if (up->addrs[i].sockaddr == NULL) {
            goto failed;
        }

        ngx_memcpy(up->addrs[i].sockaddr, ctx->addrs[i].sockaddr,
                   ctx->addrs[i].socklen);
    }

    return NGX_OK;

failed:

    ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_INTERNAL, 1,
                            "could not be asked for want of memory");

    return NGX_ERROR;
}


static void
ngx_http_chat_upstream_connect(ngx_http_chat_upstream_t *up)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = up->request;

    if (ngx_http_upstream_create(r) != NGX_OK) {
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_INTERNAL, 1,
                                "could not be asked for want of memory");
        ngx_http_chat_upstream_close(up);
        return;
    }

    u = r->upstream;

    u->conf = &up->target->upstream;
    u->schema = up->target->schema;
    u->uri = up->target->uri;
    u->ssl = up->target->ssl;
    u->output.tag = (ngx_buf_tag_t) &ngx_chat_module;

    u->create_request = ngx_http_chat_upstream_create;
    u->reinit_request = ngx_http_chat_upstream_reinit;
    u->process_header = ngx_http_chat_upstream_status;
    u->abort_request = ngx_http_chat_upstream_abort;
    u->finalize_request = ngx_http_chat_upstream_finalize;
    u->input_filter_ctx = up;

    ngx_http_upstream_init(r);
}


static ngx_int_t
ngx_http_chat_upstream_create(ngx_http_request_t *r)
{
    size_t                     len;
    ngx_buf_t                 *b;
    ngx_chain_t               *cl;
    ngx_chat_provider_t       *pv;
    ngx_http_upstream_t       *u;
    ngx_http_chat_upstream_t  *up;

    u = r->upstream;
    up = u->input_filter_ctx;
    pv = up->target->provider;

    len = pv->prefix.len + up->messages->len + pv->suffix.len;

    b = ngx_create_temp_buf(r->pool, up->target->head.len + NGX_SIZE_T_LEN
                                     + sizeof(CRLF CRLF) - 1 + len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_sprintf(b->last, "%V%uz" CRLF CRLF "%V%V%V",
                          &up->target->head, len, &pv->prefix, up->messages,
                          &pv->suffix);
    b->flush = 1;

    cl->buf = b;
    cl->next = NULL;

    u->request_bufs = cl;

    return NGX_OK;
}


static void
ngx_http_chat_upstream_abort(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http chat upstream abort");
}


void
ngx_http_chat_upstream_close(ngx_http_chat_upstream_t *up)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    if (up->closed) {
        return;
    }

    if (up->resolve) {
        ngx_resolve_name_done(up->resolve);
        up->resolve = NULL;
    }

    r = up->request;
    u = r->upstream;

    if (u == NULL || u->cleanup == NULL) {
        ngx_http_chat_upstream_over(up);
        return;
    }

    if (up->recv) {
        u->peer.connection->recv = up->recv;
    }

    /* nothing of it may turn up in the next response on the connection */

    u->keepalive = (up->eof && !up->close
                    && up->fault.error == NGX_CHAT_E_NONE) ? 1 : 0;

    (*u->cleanup)(r);
}


static void
ngx_http_chat_upstream_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_chat_upstream_t  *up;

    up = r->upstream->input_filter_ctx;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http chat upstream finalize: %i", rc);

    if (rc != NGX_DONE && !up->stream.done && !up->stream.finished) {
        ngx_http_chat_upstream_failed(up, rc);
    }

    ngx_http_chat_upstream_over(up);
}


/* the rest is done outside of what called us */

static void
ngx_http_chat_upstream_over(ngx_http_chat_upstream_t *up)
{
    up->closed = 1;

    /* keeps nginx from making a response of what the upstream ended with */

    up->request->connection->error = 1;
    up->request->connection->log->action = "asking a provider";

    ngx_post_event(&up->event, &ngx_posted_events);
}


static void
ngx_http_chat_upstream_failed(ngx_http_chat_upstream_t *up, ngx_int_t rc)
{
    ngx_http_upstream_t  *u;

    u = up->request->upstream;

    if (rc == NGX_ERROR || rc == NGX_HTTP_INTERNAL_SERVER_ERROR) {
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_INTERNAL, 1,
                                "could not be asked for want of connections "
                                "or memory");

    } else if (!u->request_sent) {
        ngx_http_chat_upstream_unreachable(up, rc);

    } else if (up->header && up->status.code != NGX_HTTP_OK) {

        /* early refusal: the provider closed before it had the whole request */

        ngx_chat_provider_fault_status(&up->fault, up->status.code,
                                       up->stream.temp);

    } else if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_TIMEOUT, 0,
                                "sent nothing: first_token_timeout");

    } else if (!up->header && u->buffer.start
               && u->buffer.last == u->buffer.end)
    {
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_BROKEN, 0,
                                "sent a header that is too large");

    } else {
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_BROKEN, 1,
                                "broke the connection off");
    }
}


static void
ngx_http_chat_upstream_unreachable(ngx_http_chat_upstream_t *up, ngx_int_t rc)
{
    long               verify;
    ngx_connection_t  *c;

    if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_TIMEOUT, 1,
                                "did not accept the connection in time");
        return;
    }

    c = up->request->upstream->peer.connection;

    if (c && c->ssl) {
        verify = SSL_get_verify_result(c->ssl->connection);

        if (verify != X509_V_OK) {
            up->fault.detail = X509_verify_cert_error_string(verify);

        } else if (c->ssl->handshaked) {
            up->fault.detail = "the certificate is for another name";
        }

        if (up->fault.detail) {
            ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_AWAY,
                                    0, "cannot be connected to safely");
            return;
        }
    }

    ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_AWAY, 1,
                            "cannot be reached");
}


void
ngx_http_chat_upstream_progress(ngx_http_chat_upstream_t *up)
{
    ngx_msec_t  patience;

    up->heard = ngx_current_msec;

    /* to move the timer with each token would cost more, or be lazy */

    patience = ngx_chat_provider_stream_idle_timeout(&up->stream,
                                         up->target->provider->idle_timeout);

    if (patience != up->patience) {
        up->patience = patience;
        ngx_http_chat_upstream_wait(up, patience);
    }

    /* the rest of the response matters for keep-alive alone */

    if (up->stream.done && !up->starting) {
        ngx_http_chat_upstream_tell(up);
    }
}


void
ngx_http_chat_upstream_refused(ngx_http_chat_upstream_t *up)
{
    ngx_http_chat_upstream_wait(up, NGX_HTTP_CHAT_UPSTREAM_REFUSAL);
}


static void
ngx_http_chat_upstream_wait(ngx_http_chat_upstream_t *up, ngx_msec_t ms)
{
    if (up->wait.timer_set) {
        ngx_del_timer(&up->wait);
    }

    ngx_add_timer(&up->wait, ms);
}


static void
ngx_http_chat_upstream_wait_handler(ngx_event_t *ev)
{
    ngx_msec_int_t             left;
    ngx_http_chat_upstream_t  *up;

    up = ev->data;

    if (up->patience) {
        left = (ngx_msec_int_t) (up->heard + up->patience - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(&up->wait, (ngx_msec_t) left);
            return;
        }
    }

    /*
     * A stream that says why it finished and then nothing more has no need
     * of [DONE].
     */

    if (!up->stream.done && !up->stream.finished) {

        if (up->header && up->status.code != NGX_HTTP_OK) {
            ngx_chat_provider_fault_status(&up->fault, up->status.code,
                                           up->stream.temp);
        }

        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_TIMEOUT, 0,
                                up->patience
                                ? "fell silent: idle_timeout"
                                : "sent nothing: first_token_timeout");
    }

    ngx_http_chat_upstream_close(up);
}


static void
ngx_http_chat_upstream_total_handler(ngx_event_t *ev)
{
    ngx_http_chat_upstream_t  *up;

    up = ev->data;

    if (!up->stream.done && !up->stream.finished) {
        ngx_chat_provider_fault(&up->fault, NGX_CHAT_E_PROVIDER_TIMEOUT, 0,
                                "took too long: total_timeout");
    }

    ngx_http_chat_upstream_close(up);
}


static void
ngx_http_chat_upstream_tell(ngx_http_chat_upstream_t *up)
{
    ngx_http_chat_end_t                  end;
    const ngx_http_chat_upstream_ops_t  *ops;

    ops = up->ops;

    if (ops == NULL) {
        return;
    }

    up->ops = NULL;

    if (up->fault.status == 0 && up->header) {
        up->fault.status = up->status.code;
    }

    ngx_http_chat_upstream_log(up);

    end.error = up->fault.error;
    end.finish = up->stream.finish;
    end.model = up->stream.model;
    end.status = up->fault.status;
    end.retry_after = up->retry_after;
    end.retry = up->fault.retry ? 1 : 0;
    end.final = up->fault.final ? 1 : 0;

    ngx_http_chat_upstream_leave(up);

    ops->end(up->data, &end);
}


static void
ngx_http_chat_upstream_log(ngx_http_chat_upstream_t *up)
{
    u_char     *last;
    u_char      line[NGX_CHAT_FAULT_LINE];
    ngx_log_t  *log;

    log = up->request->connection->log;

    if (up->fault.error == NGX_CHAT_E_NONE) {
        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, log, 0,
                       "chat provider \"%V\" finished \"%V\" model \"%V\"",
                       &up->target->provider->name, &up->stream.finish,
                       &up->stream.model);
        return;
    }

    last = ngx_chat_provider_fault_line(&up->fault, line);

    ngx_log_error(NGX_LOG_ERR, log, 0, "%*s", (size_t) (last - line), line);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0,
                   "chat provider \"%V\" says \"%V\"",
                   &up->target->provider->name, &up->fault.message);
}


static void
ngx_http_chat_upstream_free(ngx_http_chat_upstream_t *up)
{
    if (up->event.posted) {
        ngx_delete_posted_event(&up->event);
    }

    if (up->wait.timer_set) {
        ngx_del_timer(&up->wait);
    }

    if (up->total.timer_set) {
        ngx_del_timer(&up->total);
    }

    ngx_chat_provider_stream_free(&up->stream);
    ngx_chat_provider_fault_free(&up->fault);

    ngx_destroy_pool(up->pool);
}
