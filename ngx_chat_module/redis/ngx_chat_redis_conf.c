
#include "ngx_chat_redis_url.h"
#include "../codec/ngx_chat_str.h"


#define NGX_CHAT_REDIS_PORT_CHARS  6     /* ":65535" */


static ngx_int_t ngx_chat_redis_conf_parse_host(ngx_chat_redis_host_t *host,
    u_char *p, u_char *last, char **err);
static ngx_int_t ngx_chat_redis_conf_set_name(ngx_pool_t *pool,
    ngx_chat_redis_host_t *host);
static ngx_int_t ngx_chat_redis_conf_parse_addr(ngx_pool_t *pool,
    ngx_chat_redis_host_t *host, ngx_str_t *text, char **err);
static ngx_int_t ngx_chat_redis_conf_resolve_host(ngx_pool_t *pool,
    ngx_chat_redis_host_t *host, char **err);
static ngx_uint_t ngx_chat_redis_conf_has_same_hosts(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b);
static ngx_uint_t ngx_chat_redis_conf_is_same_str(ngx_str_t *a, ngx_str_t *b);


ngx_int_t
ngx_chat_redis_conf_parse_hosts(ngx_pool_t *pool, ngx_chat_redis_conf_t *rcf,
    u_char *p, u_char *last, in_port_t port, char **err)
{
    u_char                 *end;
    ngx_str_t               text;
    ngx_uint_t              n;
    ngx_chat_redis_host_t  *host;

    n = 1;

    for (end = p; end < last; end++) {
        if (*end == ',') {
            n++;
        }
    }

    if (n > NGX_CHAT_REDIS_MAX_HOSTS) {
        *err = "too many hosts in the Redis URL";
        return NGX_ERROR;
    }

    host = ngx_pcalloc(pool, n * sizeof(ngx_chat_redis_host_t));
    if (host == NULL) {
        return NGX_ERROR;
    }

    rcf->hosts = host;
    rcf->nhosts = n;

    for ( /* void */ ; n; n--, host++, p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        host->port = port;

        if (ngx_chat_redis_conf_parse_host(host, p, end, err) != NGX_OK) {
            return NGX_ERROR;
        }

        if (host->name.data + host->name.len == end) {
            rcf->no_port = 1;
        }

        text.data = ngx_pnalloc(pool, host->name.len
                                          + NGX_CHAT_REDIS_PORT_CHARS);
        if (text.data == NULL) {
            return NGX_ERROR;
        }

        text.len = ngx_sprintf(text.data, "%V:%ui", &host->name,
                               (ngx_uint_t) host->port)
                   - text.data;

        if (ngx_chat_redis_conf_parse_addr(pool, host, &text, err) != NGX_OK
            || ngx_chat_redis_conf_set_name(pool, host) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_conf_parse_host(ngx_chat_redis_host_t *host, u_char *p,
    u_char *last, char **err)
{
    u_char     *end;
    ngx_int_t   n;

    if (p < last && *p == '[') {

        end = ngx_strlchr(p, last, ']');
        if (end == NULL) {
            *err = "\"]\" is missing in the host of the Redis URL";
            return NGX_ERROR;
        }

        if (end - p == 1) {
            *err = "no host in the Redis URL";
            return NGX_ERROR;
        }

        end++;

        if (end < last && *end != ':') {
            *err = "invalid host in the Redis URL";
            return NGX_ERROR;
        }

    } else {
        end = ngx_strlchr(p, last, ':');
        if (end == NULL) {
            end = last;
        }
    }

    host->name.data = p;
    host->name.len = end - p;

    if (host->name.len == 0) {
        *err = "no host in the Redis URL";
        return NGX_ERROR;
    }

    if (end == last) {
        return NGX_OK;
    }

    n = ngx_atoi(end + 1, last - end - 1);

    if (n < 1 || n > 65535) {
        *err = "invalid port in the Redis URL";
        return NGX_ERROR;
    }

    host->port = (in_port_t) n;

    return NGX_OK;
}


/* the name alone, for resolvers and certificates */

static ngx_int_t
ngx_chat_redis_conf_set_name(ngx_pool_t *pool, ngx_chat_redis_host_t *host)
{
    u_char  *p;

    if (host->name.data[0] == '[') {
        host->name.data++;
        host->name.len -= 2;
    }

    p = ngx_pnalloc(pool, host->name.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, host->name.data, host->name.len);
    p[host->name.len] = '\0';

    host->name.data = p;

    return NGX_OK;
}


ngx_int_t
ngx_chat_redis_conf_set_socket(ngx_pool_t *pool, ngx_chat_redis_conf_t *rcf,
    ngx_str_t *path, char **err)
{
    ngx_chat_redis_host_t  *host;

    host = ngx_pcalloc(pool, sizeof(ngx_chat_redis_host_t));
    if (host == NULL) {
        return NGX_ERROR;
    }

    host->name = *path;

    rcf->hosts = host;
    rcf->nhosts = 1;

    return ngx_chat_redis_conf_parse_addr(pool, host, path, err);
}


/* an address is parsed here, a name stays a name */

static ngx_int_t
ngx_chat_redis_conf_parse_addr(ngx_pool_t *pool, ngx_chat_redis_host_t *host,
    ngx_str_t *text, char **err)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *text;
    u.no_resolve = 1;

    if (ngx_parse_url(pool, &u) != NGX_OK) {
        *err = u.err ? u.err : "no memory";
        return NGX_ERROR;
    }

    host->url = *text;

    if (u.naddrs) {
        host->addrs = u.addrs;
        host->naddrs = u.naddrs;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_redis_conf_init(ngx_pool_t *pool, ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_upstream_t *group, ngx_resolver_t *resolver,
    ngx_msec_t timeout,
    char **err, ngx_str_t *name)
{
    ngx_uint_t  i;

    rcf->group = group;
    rcf->resolver = resolver;
    rcf->resolver_timeout = timeout;

    if (rcf->sentinel) {
        return ngx_chat_redis_conf_init(pool, rcf->sentinel, NULL, resolver,
                                        timeout, err, name);
    }

    if (group) {
        return NGX_OK;
    }

    for (i = 0; i < rcf->nhosts; i++) {

        /* name servers need not know "localhost" */

        if (resolver && !ngx_chat_str_is(&rcf->hosts[i].name, "localhost")) {
            continue;
        }

        if (rcf->hosts[i].addrs == NULL
            && ngx_chat_redis_conf_resolve_host(pool, &rcf->hosts[i], err)
               != NGX_OK)
        {
            *name = rcf->hosts[i].name;
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_conf_resolve_host(ngx_pool_t *pool, ngx_chat_redis_host_t *host,
    char **err)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = host->url;

    if (ngx_parse_url(pool, &u) != NGX_OK || u.naddrs == 0) {
        *err = u.err ? u.err : "no memory";
        return NGX_ERROR;
    }

    host->addrs = u.addrs;
    host->naddrs = u.naddrs;

    return NGX_OK;
}


void
ngx_chat_redis_conf_set_tls(ngx_chat_redis_conf_t *rcf, ngx_ssl_t *ssl,
    ngx_chat_tls_t *tls)
{
    rcf->ssl = ssl;
    rcf->tls_name = tls->name;
    rcf->tls_any_name = tls->any_name;

    if (rcf->sentinel) {
        ngx_chat_redis_conf_set_tls(rcf->sentinel, ssl, tls);
    }
}


ngx_uint_t
ngx_chat_redis_conf_is_same_server(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b)
{
    if (a->tls != b->tls || (a->group == NULL) != (b->group == NULL)) {
        return 0;
    }

    if (a->sentinel || b->sentinel) {
        return a->sentinel && b->sentinel
               && ngx_chat_redis_conf_is_same_str(&a->sentinel->master,
                                                  &b->sentinel->master)
               && ngx_chat_redis_conf_has_same_hosts(a->sentinel, b->sentinel);
    }

    if (a->group) {
        return ngx_chat_redis_conf_is_same_str(&a->host, &b->host);
    }

    return ngx_chat_redis_conf_has_same_hosts(a, b);
}


static ngx_uint_t
ngx_chat_redis_conf_has_same_hosts(ngx_chat_redis_conf_t *a,
    ngx_chat_redis_conf_t *b)
{
    ngx_uint_t              i, n;
    ngx_chat_redis_host_t  *one, *two;

    if (a->nhosts != b->nhosts) {
        return 0;
    }

    for (n = 0; n < a->nhosts; n++) {
        one = &a->hosts[n];
        two = &b->hosts[n];

        if (ngx_chat_redis_conf_is_same_str(&one->url, &two->url)) {
            continue;
        }

        /* "localhost" and "127.0.0.1" */

        if (one->naddrs == 0 || one->naddrs != two->naddrs) {
            return 0;
        }

        for (i = 0; i < one->naddrs; i++) {

            if (ngx_cmp_sockaddr(one->addrs[i].sockaddr,
                                 one->addrs[i].socklen,
                                 two->addrs[i].sockaddr,
                                 two->addrs[i].socklen, 1)
                != NGX_OK)
            {
                return 0;
            }
        }
    }

    return 1;
}


ngx_uint_t
ngx_chat_redis_conf_is_equal(ngx_chat_redis_conf_t *a, ngx_chat_redis_conf_t *b)
{
    return a->db == b->db
           && a->ssl == b->ssl
           && ngx_chat_redis_conf_is_same_str(&a->user, &b->user)
           && ngx_chat_redis_conf_is_same_server(a, b);
}


static ngx_uint_t
ngx_chat_redis_conf_is_same_str(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}
