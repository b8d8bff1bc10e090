
#include "ngx_http_chat_upstream_private.h"


/* bytes that a request takes besides itself and its upstream, lists and all */
#define NGX_HTTP_CHAT_UPSTREAM_REQUEST  1472


static ngx_int_t ngx_http_chat_asker_copy(ngx_pool_t *pool, ngx_str_t *dst,
    ngx_str_t *src);
static ngx_int_t ngx_http_chat_asker_sockaddr(ngx_pool_t *pool,
    struct sockaddr **dst, struct sockaddr *src, socklen_t len);
static ngx_http_variable_value_t *ngx_http_chat_upstream_create_variables(
    ngx_http_chat_upstream_t *up);
static ngx_connection_t *ngx_http_chat_upstream_create_connection(
    ngx_http_chat_upstream_t *up);


ngx_int_t
ngx_http_chat_asker_init(ngx_http_chat_asker_t *asker,
    ngx_http_request_t *r, ngx_pool_t *pool)
{
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_chat_loc_conf_t  *chlcf;

    c = r->connection;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    chlcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    asker->upstreams = chlcf->upstreams;

    asker->main_conf = r->main_conf;
    asker->srv_conf = r->srv_conf;
    asker->loc_conf = r->loc_conf;

    asker->log = *clcf->error_log;
    asker->log.handler = c->log->handler;
    asker->log_handler = r->log_handler;

    asker->socklen = c->socklen;
    asker->local_socklen = c->local_socklen;

    if (ngx_http_chat_asker_copy(pool, &asker->uri, &r->uri) != NGX_OK
        || ngx_http_chat_asker_copy(pool, &asker->request_line,
                                     &r->request_line)
           != NGX_OK
        || ngx_http_chat_asker_copy(pool, &asker->addr_text, &c->addr_text)
           != NGX_OK
        || ngx_http_chat_asker_sockaddr(pool, &asker->sockaddr, c->sockaddr,
                                         c->socklen)
           != NGX_OK
        || ngx_http_chat_asker_sockaddr(pool, &asker->local_sockaddr,
                                         c->local_sockaddr, c->local_socklen)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_asker_copy(ngx_pool_t *pool, ngx_str_t *dst, ngx_str_t *src)
{
    *dst = *src;

    if (src->len == 0) {
        return NGX_OK;
    }

    dst->data = ngx_pstrdup(pool, src);

    return dst->data ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_chat_asker_sockaddr(ngx_pool_t *pool, struct sockaddr **dst,
    struct sockaddr *src, socklen_t len)
{
    *dst = src;

    if (src == NULL) {
        return NGX_OK;
    }

    *dst = ngx_palloc(pool, len);
    if (*dst == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(*dst, src, len);

    return NGX_OK;
}


/*
 * A request that no client has sent: nginx never gets to the end of it, since
 * one use of it is ours, and it is blocked.  As that of a post_action it has
 * no output.
 */

ngx_int_t
ngx_http_chat_upstream_create_request(ngx_http_chat_upstream_t *up)
{
    size_t                  size;
    ngx_pool_t             *pool;
    ngx_time_t             *pup;
    ngx_http_request_t     *r;
    ngx_http_chat_asker_t  *asker;

    asker = up->asker;

    /* a pool of the size that is needed, as there may be very many */

    size = sizeof(ngx_http_request_t) + sizeof(ngx_http_upstream_t)
           + ngx_http_max_module * sizeof(void *)
           + NGX_HTTP_CHAT_UPSTREAM_REQUEST;

    pool = ngx_create_pool(ngx_align(size, NGX_POOL_ALIGNMENT),
                           ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    r = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    if (r == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    up->request = r;

    r->signature = NGX_HTTP_MODULE;
    r->pool = pool;
    r->main = r;
    r->count = 2;
    r->blocked = 1;
    r->post_action = 1;

    r->main_conf = asker->main_conf;
    r->srv_conf = asker->srv_conf;
    r->loc_conf = asker->loc_conf;

    r->connection = ngx_http_chat_upstream_create_connection(up);
    r->http_connection = ngx_pcalloc(pool, sizeof(ngx_http_connection_t));
    r->ctx = ngx_pcalloc(pool, sizeof(void *) * ngx_http_max_module);
    r->variables = ngx_http_chat_upstream_create_variables(up);

    if (r->connection == NULL || r->http_connection == NULL || r->ctx == NULL
        || r->variables == NULL)
    {
        return NGX_ERROR;
    }

    r->connection->data = r;

    up->log_ctx.connection = r->connection;
    up->log_ctx.request = r;
    up->log_ctx.current_request = r;

    r->log_handler = asker->log_handler;

    r->method = NGX_HTTP_POST;
    ngx_str_set(&r->method_name, "POST");
    ngx_str_set(&r->http_protocol, "HTTP/1.1");
    r->http_version = NGX_HTTP_VERSION_11;

    r->uri = asker->uri;
    r->unparsed_uri = asker->uri;
    r->request_line = asker->request_line;

    r->headers_in.content_length_n = -1;
    r->headers_in.keep_alive_n = -1;
    r->headers_out.content_length_n = -1;
    r->headers_out.last_modified_time = -1;

    pup = ngx_timeofday();
    r->start_sec = pup->sec;
    r->start_msec = pup->msec;

    if (ngx_list_init(&r->headers_in.headers, pool, 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK
        || ngx_list_init(&r->headers_out.headers, pool, 1,
                         sizeof(ngx_table_elt_t))
           != NGX_OK
        || ngx_list_init(&r->headers_out.trailers, pool, 1,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * A group's balancer may want to know variables.  Nobody else does: as long as
 * none is found, all requests may have the same ones.
 */

static ngx_http_variable_value_t *
ngx_http_chat_upstream_create_variables(ngx_http_chat_upstream_t *up)
{
    ngx_uint_t                  i, n;
    ngx_http_chat_kept_t       *kept;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(up->request, ngx_http_core_module);
    n = cmcf->variables.nelts;

    kept = up->provider_upstream->kept;

    if (kept == NULL) {
        return ngx_pcalloc(up->request->pool,
                           n * sizeof(ngx_http_variable_value_t));
    }

    if (kept->variables == NULL) {
        kept->variables = ngx_pcalloc(ngx_cycle->pool,
                                      n * sizeof(ngx_http_variable_value_t));
        if (kept->variables == NULL) {
            return NULL;
        }

        for (i = 0; i < n; i++) {
            kept->variables[i].not_found = 1;
        }
    }

    return kept->variables;
}


/* without a socket: no event of it will ever come */

static ngx_connection_t *
ngx_http_chat_upstream_create_connection(ngx_http_chat_upstream_t *up)
{
    ngx_log_t              *log;
    ngx_pool_t             *pool;
    ngx_connection_t       *c;
    ngx_http_chat_asker_t  *asker;

    pool = up->request->pool;
    asker = up->asker;

    c = ngx_pcalloc(pool, sizeof(ngx_connection_t));
    if (c == NULL) {
        return NULL;
    }

    c->read = ngx_pcalloc(pool, 2 * sizeof(ngx_event_t));
    if (c->read == NULL) {
        return NULL;
    }

    c->write = c->read + 1;

    log = &up->log;

    *log = asker->log;
    log->data = &up->log_ctx;
    log->action = "asking a provider";

    c->fd = (ngx_socket_t) -1;
    c->pool = pool;
    c->log = log;
    c->log_error = NGX_ERROR_ERR;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    log->connection = c->number;

    c->sockaddr = asker->sockaddr;
    c->socklen = asker->socklen;
    c->addr_text = asker->addr_text;
    c->local_sockaddr = asker->local_sockaddr;
    c->local_socklen = asker->local_socklen;

    /* socket options must not be set: there is no socket */

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    c->sndlowat = 1;

    c->read->data = c;
    c->read->log = log;
    c->read->active = 1;

    c->write->data = c;
    c->write->log = log;
    c->write->write = 1;
    c->write->active = 1;
    c->write->ready = 1;

    return c;
}


void
ngx_http_chat_upstream_leave(ngx_http_chat_upstream_t *up)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    up->asker = NULL;
    up->messages = NULL;
    up->trace = NULL;

    up->log.handler = NULL;

    r = up->request;

    if (r == NULL) {
        return;
    }

    c = r->connection;

    c->sockaddr = NULL;
    c->socklen = 0;
    c->local_sockaddr = NULL;
    c->local_socklen = 0;
    ngx_str_null(&c->addr_text);

    ngx_str_null(&r->uri);
    ngx_str_null(&r->unparsed_uri);
    ngx_str_null(&r->request_line);
}
