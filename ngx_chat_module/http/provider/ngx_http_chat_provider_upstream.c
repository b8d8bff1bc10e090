
#include "ngx_http_chat_provider_upstream.h"
#include "../conf/ngx_http_chat_redis_upstream.h"
#include "ngx_http_chat_kept.h"
#include "ngx_http_chat_provider_upstream_private.h"
#include "ngx_http_chat_upstream_private.h"


static ngx_http_chat_provider_upstream_t *ngx_http_chat_provider_upstream_get(
    ngx_conf_t *cf, ngx_chat_provider_t *pv);
static ngx_http_chat_provider_upstream_t *
    ngx_http_chat_provider_upstream_create(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);
static ngx_int_t ngx_http_chat_provider_upstream_parse(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu, ngx_url_t *u);
static void ngx_http_chat_provider_upstream_group(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_url_t *u);
static ngx_uint_t ngx_http_chat_provider_upstream_queued(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);
static ngx_uint_t ngx_http_chat_provider_upstream_named(
    ngx_http_chat_loc_conf_t *chlcf, ngx_chat_provider_t *pv);
static ngx_int_t ngx_http_chat_provider_upstream_resolve(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu, ngx_url_t *u);
static ngx_uint_t ngx_http_chat_provider_upstream_resolver(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);
static ngx_int_t ngx_http_chat_provider_upstream_own(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu);


static ngx_str_t  ngx_http_chat_provider_upstream_path =
    ngx_string("/chat/completions");
static ngx_str_t  ngx_http_chat_provider_upstream_http = ngx_string("http://");
static ngx_str_t  ngx_http_chat_provider_upstream_https =
    ngx_string("https://");


ngx_int_t
ngx_http_chat_provider_upstreams_create(ngx_conf_t *cf)
{
    ngx_uint_t                           i, n;
    ngx_chat_provider_t                **pvp;
    ngx_http_chat_provider_upstream_t  **pu;
    ngx_http_chat_loc_conf_t           **chlcf;
    ngx_http_chat_main_conf_t           *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    chlcf = chmcf->locations.elts;

    for (i = 0; i < chmcf->locations.nelts; i++) {

        if (!chlcf[i]->cache || chmcf->redis_off
            || chlcf[i]->redis_down == NGX_HTTP_CHAT_REDIS_DOWN_DIRECT)
        {
            chmcf->direct = 1;

        } else if (!chlcf[i]->leads) {
            continue;
        }

        pvp = chlcf[i]->providers->elts;
        n = chlcf[i]->providers->nelts;

        chlcf[i]->upstreams = ngx_array_create(cf->pool, n,
                                 sizeof(ngx_http_chat_provider_upstream_t *));
        if (chlcf[i]->upstreams == NULL) {
            return NGX_ERROR;
        }

        for ( /* void */ ; n; n--) {
            pu = ngx_array_push(chlcf[i]->upstreams);

            *pu = ngx_http_chat_provider_upstream_get(cf, *pvp++);
            if (*pu == NULL) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* an upstream per provider, shared by the locations that name it */

static ngx_http_chat_provider_upstream_t *
ngx_http_chat_provider_upstream_get(ngx_conf_t *cf, ngx_chat_provider_t *pv)
{
    ngx_url_t                           u;
    ngx_uint_t                          i;
    ngx_http_chat_provider_upstream_t  *pu, **pup;
    ngx_http_chat_main_conf_t          *chmcf;
    ngx_http_upstream_srv_conf_t       *us;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    pup = chmcf->upstreams.elts;

    for (i = 0; i < chmcf->upstreams.nelts; i++) {
        if (pup[i]->provider == pv) {
            return pup[i];
        }
    }

    pu = ngx_http_chat_provider_upstream_create(cf, pv);

    if (pu == NULL || ngx_http_chat_provider_upstream_parse(cf, pu,
                                                            &u) != NGX_OK) {
        return NULL;
    }

    us = u.no_port ? ngx_http_chat_redis_upstream_find(cf, &u.host) : NULL;

    if (us) {
        pu->group = 1;
        pu->upstream.upstream = us;

        ngx_http_chat_provider_upstream_group(cf, pv, &u);

    } else if (ngx_http_chat_provider_upstream_resolve(cf, pu, &u) != NGX_OK
               || ngx_http_chat_provider_upstream_own(cf, pu) != NGX_OK)
    {
        return NULL;
    }

    if (pu->ssl && ngx_http_chat_provider_upstream_init_tls(cf, pu) != NGX_OK) {
        return NULL;
    }

    if (ngx_http_chat_provider_upstream_create_head(cf, pu) != NGX_OK) {
        return NULL;
    }

    pup = ngx_array_push(&chmcf->upstreams);
    if (pup == NULL) {
        return NULL;
    }

    *pup = pu;

    return pu;
}


static ngx_http_chat_provider_upstream_t *
ngx_http_chat_provider_upstream_create(ngx_conf_t *cf, ngx_chat_provider_t *pv)
{
    ngx_http_chat_provider_upstream_t  *pu;
    ngx_http_upstream_conf_t           *conf;

    pu = ngx_pcalloc(cf->pool, sizeof(ngx_http_chat_provider_upstream_t));
    if (pu == NULL) {
        return NULL;
    }

    pu->provider = pv;

    conf = &pu->upstream;

    conf->connect_timeout = pv->connect_timeout;

    /* waits after the connect are limited by the call's own timers */

    conf->send_timeout = pv->total_timeout;
    conf->read_timeout = pv->total_timeout;

    conf->buffer_size = NGX_HTTP_CHAT_UPSTREAM_BUFFER;
    conf->ignore_client_abort = 1;
    conf->socket_keepalive = 1;

    /* of the servers of one group; what they share is one provider */

    conf->next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                          |NGX_HTTP_UPSTREAM_FT_TIMEOUT
                          |NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
                          |NGX_HTTP_UPSTREAM_FT_HTTP_500
                          |NGX_HTTP_UPSTREAM_FT_HTTP_502
                          |NGX_HTTP_UPSTREAM_FT_HTTP_503
                          |NGX_HTTP_UPSTREAM_FT_HTTP_504
                          |NGX_HTTP_UPSTREAM_FT_HTTP_429
                          |NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;

    ngx_str_set(&conf->module, "chat");

    return pu;
}


/* the form of the URL was checked when it was read */

static ngx_int_t
ngx_http_chat_provider_upstream_parse(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu,
    ngx_url_t *u)
{
    u_char     *p, *last;
    ngx_str_t  *url;

    url = &pu->provider->url;
    last = url->data + url->len;

    pu->ssl = (ngx_tolower(url->data[4]) == 's');
    pu->schema = pu->ssl ? ngx_http_chat_provider_upstream_https
                       : ngx_http_chat_provider_upstream_http;

    ngx_memzero(u, sizeof(ngx_url_t));

    u->url.data = url->data + pu->schema.len;

    p = ngx_strlchr(u->url.data, last, '/');
    if (p == NULL) {
        p = last;
    }

    u->url.len = p - u->url.data;
    u->default_port = pu->ssl ? 443 : 80;
    u->no_resolve = 1;

    pu->host = u->url;

    pu->uri.len = last - p + ngx_http_chat_provider_upstream_path.len;
    pu->uri.data = ngx_pnalloc(cf->pool, pu->uri.len);
    if (pu->uri.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(pu->uri.data, p, last - p);
    ngx_memcpy(p, ngx_http_chat_provider_upstream_path.data,
               ngx_http_chat_provider_upstream_path.len);

    if (ngx_parse_url(cf->pool, u) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s in \"url\" of the chat provider \"%V\"",
                      u->err ? u->err : "no memory", &pu->provider->name);
        return NGX_ERROR;
    }

    pu->name = u->host;
    pu->port = u->port;

    return NGX_OK;
}


/* the filler knows no groups: it asks the system for the name */

static void
ngx_http_chat_provider_upstream_group(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_url_t *u)
{
    ngx_url_t  name;

    /* an address needs no asking, and has no room for what would be found */

    if (u->naddrs || pv->proxy.len
        || !ngx_http_chat_provider_upstream_queued(cf, pv))
    {
        return;
    }

    name = *u;

    if (ngx_inet_resolve_host(cf->temp_pool, &name) == NGX_OK) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "%s for the chat provider \"%V\": upstream \"%V\" is for "
                  "the direct path, and the filler cannot reach it",
                  name.err ? name.err : "no address", &pv->name, &u->host);
}


/* does a filler ask it too? */

static ngx_uint_t
ngx_http_chat_provider_upstream_queued(ngx_conf_t *cf, ngx_chat_provider_t *pv)
{
    ngx_uint_t                   i;
    ngx_http_chat_loc_conf_t   **chlcf;
    ngx_http_chat_main_conf_t   *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    if (chmcf->redis_off) {
        return 0;
    }

    chlcf = chmcf->locations.elts;

    for (i = 0; i < chmcf->locations.nelts; i++) {

        if ((chlcf[i]->cache || chlcf[i]->miss_limit)
            && ngx_http_chat_provider_upstream_named(chlcf[i], pv))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_chat_provider_upstream_named(ngx_http_chat_loc_conf_t *chlcf,
    ngx_chat_provider_t *pv)
{
    ngx_uint_t             i;
    ngx_chat_provider_t  **pvp;

    pvp = chlcf->providers->elts;

    for (i = 0; i < chlcf->providers->nelts; i++) {

        if (pvp[i] == pv) {
            return 1;
        }
    }

    return 0;
}


/*
 * A name that is not found is no error: the filler looks for it by itself,
 * and the direct path is for bad times.
 */

static ngx_int_t
ngx_http_chat_provider_upstream_resolve(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu,
    ngx_url_t *u)
{
    ngx_uint_t  i;

    if (u->naddrs) {
        pu->literal = 1;

    } else if (ngx_http_chat_provider_upstream_resolver(cf, pu->provider)) {
        return NGX_OK;

    } else if (ngx_inet_resolve_host(cf->pool, u) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "%s for the chat provider \"%V\": without \"resolver\" "
                      "the direct path cannot reach \"%V\"",
                      u->err ? u->err : "no address", &pu->provider->name,
                      &pu->name);
        return NGX_OK;
    }

    pu->addrs = ngx_pcalloc(cf->pool, u->naddrs * sizeof(ngx_resolver_addr_t));
    if (pu->addrs == NULL) {
        return NGX_ERROR;
    }

    pu->naddrs = u->naddrs;

    for (i = 0; i < u->naddrs; i++) {
        pu->addrs[i].sockaddr = u->addrs[i].sockaddr;
        pu->addrs[i].socklen = u->addrs[i].socklen;
    }

    return NGX_OK;
}


/* does every location that asks it resolve names when it runs? */

static ngx_uint_t
ngx_http_chat_provider_upstream_resolver(ngx_conf_t *cf,
    ngx_chat_provider_t *pv)
{
    ngx_uint_t                   i;
    ngx_http_chat_loc_conf_t   **chlcf;
    ngx_http_chat_main_conf_t   *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    chlcf = chmcf->locations.elts;

    for (i = 0; i < chmcf->locations.nelts; i++) {

        if (!chlcf[i]->resolver
            && ngx_http_chat_provider_upstream_named(chlcf[i], pv))
        {
            return 0;
        }
    }

    return 1;
}


/* a group without a name in the configuration */

static ngx_int_t
ngx_http_chat_provider_upstream_own(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu)
{
    ngx_http_upstream_srv_conf_t  *us;

    us = ngx_pcalloc(cf->pool, sizeof(ngx_http_upstream_srv_conf_t));
    if (us == NULL) {
        return NGX_ERROR;
    }

    us->host = pu->name;
    us->port = pu->port;
    us->file_name = cf->conf_file->file.name.data;
    us->line = cf->conf_file->line;
    us->peer.init = ngx_http_chat_upstream_init_peer_handler;

    pu->upstream.upstream = us;

    pu->kept = ngx_http_chat_kept_create(cf, pu);

    return pu->kept ? NGX_OK : NGX_ERROR;
}
