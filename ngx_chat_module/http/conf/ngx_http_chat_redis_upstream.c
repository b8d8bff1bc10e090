
#include "ngx_http_chat_redis_upstream.h"


#define NGX_HTTP_CHAT_REDIS_UPSTREAM_CONF  1024


/*
 * Peers are chosen for a request, but the methods that balance without one
 * take nothing from it but these.
 */

typedef struct {
    ngx_http_request_t     request;
    ngx_http_upstream_t    upstream;
    ngx_connection_t       connection;
} ngx_http_chat_redis_upstream_round_t;


static ngx_uint_t ngx_http_chat_redis_upstream_is_usable(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_http_upstream_init_pt ngx_http_chat_redis_upstream_find_method(
    ngx_conf_t *cf, const char *name);
static ngx_command_t *ngx_http_chat_redis_upstream_find_directive(
    ngx_conf_t *cf, ngx_str_t *name);
static ngx_int_t ngx_http_chat_redis_upstream_init_handler(void *data,
    ngx_peer_connection_t *pc, ngx_pool_t *pool);


ngx_int_t
ngx_http_chat_redis_upstream_create(ngx_conf_t *cf, ngx_str_t *host,
    ngx_uint_t no_port,
    const char *what, ngx_chat_redis_upstream_t **upstream)
{
    ngx_http_upstream_srv_conf_t  *us;

    *upstream = NULL;

    us = ngx_http_chat_redis_upstream_find(cf, host);

    if (us == NULL) {
        return NGX_OK;
    }

    if (!no_port) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s may not give a port to the upstream \"%V\"", what,
                      host);
        return NGX_ERROR;
    }

    if (!ngx_http_chat_redis_upstream_is_usable(cf, us)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s names the upstream \"%V\", which is balanced by a "
                      "method that may need a request: only round robin, "
                      "\"least_conn\" and \"random\" will do, without "
                      "\"keepalive\"", what, host);
        return NGX_ERROR;
    }

    *upstream = ngx_palloc(cf->pool, sizeof(ngx_chat_redis_upstream_t));
    if (*upstream == NULL) {
        return NGX_ERROR;
    }

    (*upstream)->init = ngx_http_chat_redis_upstream_init_handler;
    (*upstream)->data = us;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, cf->log, 0,
                   "chat redis of %s is the upstream \"%V\"", what, host);

    return NGX_OK;
}


ngx_http_upstream_srv_conf_t *
ngx_http_chat_redis_upstream_find(ngx_conf_t *cf, ngx_str_t *host)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **us;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);

    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        /* others come from proxy_pass and the like */

        if ((us[i]->flags & NGX_HTTP_UPSTREAM_CREATE)
            && us[i]->host.len == host->len
            && ngx_strncasecmp(us[i]->host.data, host->data, host->len) == 0)
        {
            return us[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_chat_redis_upstream_is_usable(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_init_pt  init;

    init = us->peer.init_upstream;

    return init == NULL
           || init == ngx_http_upstream_init_round_robin
           || init == ngx_http_chat_redis_upstream_find_method(cf, "least_conn")
           || init == ngx_http_chat_redis_upstream_find_method(cf, "random");
}


/*
 * The function behind a method is known to its own file alone, so the
 * directive is carried out on a block that is thrown away.  NULL: no such one.
 */

static ngx_http_upstream_init_pt
ngx_http_chat_redis_upstream_find_method(ngx_conf_t *cf, const char *name)
{
    void                          **srv_conf, *conf;
    ngx_str_t                       word;
    ngx_conf_t                      scratch;
    ngx_array_t                     args;
    ngx_command_t                  *cmd;
    ngx_http_conf_ctx_t             ctx;
    ngx_http_upstream_srv_conf_t    us;

    word.len = ngx_strlen(name);
    word.data = (u_char *) name;

    cmd = ngx_http_chat_redis_upstream_find_directive(cf, &word);

    conf = ngx_pcalloc(cf->temp_pool, NGX_HTTP_CHAT_REDIS_UPSTREAM_CONF);
    srv_conf = ngx_pcalloc(cf->temp_pool,
                           sizeof(void *) * ngx_http_max_module);

    if (cmd == NULL || conf == NULL || srv_conf == NULL) {
        return NULL;
    }

    ngx_memzero(&us, sizeof(ngx_http_upstream_srv_conf_t));

    srv_conf[ngx_http_upstream_module.ctx_index] = &us;

    ctx = *(ngx_http_conf_ctx_t *) cf->ctx;
    ctx.srv_conf = srv_conf;

    ngx_memzero(&args, sizeof(ngx_array_t));

    args.elts = &word;
    args.nelts = 1;

    scratch = *cf;
    scratch.ctx = &ctx;
    scratch.args = &args;

    if (cmd->set(&scratch, cmd, conf) != NGX_CONF_OK) {
        return NULL;
    }

    return us.peer.init_upstream;
}


static ngx_command_t *
ngx_http_chat_redis_upstream_find_directive(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t      i;
    ngx_command_t  *cmd;

    for (i = 0; cf->cycle->modules[i]; i++) {

        if (cf->cycle->modules[i]->type != NGX_HTTP_MODULE) {
            continue;
        }

        cmd = cf->cycle->modules[i]->commands;

        for ( /* void */ ; cmd && cmd->name.len; cmd++) {

            if ((cmd->type & NGX_HTTP_UPS_CONF)
                && cmd->name.len == name->len
                && ngx_strncmp(cmd->name.data, name->data, name->len) == 0)
            {
                return cmd;
            }
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_chat_redis_upstream_init_handler(void *data, ngx_peer_connection_t *pc,
    ngx_pool_t *pool)
{
    ngx_http_upstream_srv_conf_t *us = data;

    ngx_http_request_t           *r;
    ngx_http_chat_redis_upstream_round_t  *round;

    round = ngx_pcalloc(pool, sizeof(ngx_http_chat_redis_upstream_round_t));
    if (round == NULL) {
        return NGX_ERROR;
    }

    round->connection.fd = (ngx_socket_t) -1;
    round->connection.log = pc->log;
    round->connection.pool = pool;

    round->upstream.peer.log = pc->log;

    r = &round->request;

    r->signature = NGX_HTTP_MODULE;
    r->main = r;
    r->pool = pool;
    r->connection = &round->connection;
    r->upstream = &round->upstream;

    if (us->peer.init(r, us) != NGX_OK) {
        return NGX_ERROR;
    }

    *pc = round->upstream.peer;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "chat redis: a round over the upstream \"%V\" begins",
                   &us->host);

    return NGX_OK;
}
