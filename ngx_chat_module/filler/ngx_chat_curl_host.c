
#include "ngx_chat_curl_host.h"


/* where the URL of a proxy has none */
#define NGX_CHAT_CURL_HOST_PROXY_PORT  1080
#define NGX_CHAT_CURL_HOST_PROXY_TLS   443


static ngx_int_t ngx_chat_curl_host_add_provider(ngx_chat_curl_hosts_t *hosts,
    ngx_chat_provider_t *pv, ngx_pool_t *pool);
static ngx_int_t ngx_chat_curl_host_add_proxy(ngx_chat_curl_hosts_t *hosts,
    ngx_chat_provider_t *pv, ngx_pool_t *pool);
static ngx_int_t ngx_chat_curl_host_add(ngx_chat_curl_hosts_t *hosts,
    CURLU *url, ngx_uint_t port, ngx_pool_t *pool);
static ngx_uint_t ngx_chat_curl_host_is_name(ngx_str_t *host);


ngx_int_t
ngx_chat_curl_host_init(ngx_chat_curl_hosts_t *hosts, ngx_chat_provider_t *pv,
    ngx_pool_t *pool)
{
    u_char                *p;
    ngx_chat_curl_host_t  *host;

    if (pv->proxy.len) {

        if (ngx_chat_curl_host_add_proxy(hosts, pv, pool) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ngx_chat_curl_host_add_provider(hosts, pv, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    if (hosts->n == 0 || hosts->resolve_first) {
        return NGX_OK;
    }

    host = &hosts->host[0];

    p = ngx_pnalloc(pool, host->name.len + NGX_INT_T_LEN + sizeof("-:"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "-%V:%ui%Z", &host->name, host->port);

    return ngx_chat_curl_host_append(&hosts->unresolved, p);
}


static ngx_int_t
ngx_chat_curl_host_add_provider(ngx_chat_curl_hosts_t *hosts,
    ngx_chat_provider_t *pv, ngx_pool_t *pool)
{
    char       *port;
    u_char     *text;
    CURLU      *url;
    ngx_int_t   rc;

    text = ngx_pnalloc(pool, pv->url.len + 1);
    url = curl_url();

    if (text == NULL || url == NULL) {
        curl_url_cleanup(url);
        return NGX_ERROR;
    }

    (void) ngx_sprintf(text, "%V%Z", &pv->url);

    rc = NGX_OK;

    /* a URL that does not parse is left for libcurl to refuse */

    if (curl_url_set(url, CURLUPART_URL, (char *) text, 0) == CURLUE_OK
        && curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)
           == CURLUE_OK)
    {
        rc = ngx_chat_curl_host_add(hosts, url, (ngx_uint_t) atoi(port), pool);
        curl_free(port);
    }

    curl_url_cleanup(url);

    return rc;
}


/*
 * A proxy gets the name of the provider, but for SOCKS without "a" or "h": such
 * a proxy gets an address, which libcurl needs in the midst of connecting.
 */

static ngx_int_t
ngx_chat_curl_host_add_proxy(ngx_chat_curl_hosts_t *hosts,
    ngx_chat_provider_t *pv, ngx_pool_t *pool)
{
    char        *text, *scheme;
    CURLU       *url;
    ngx_int_t    rc;
    ngx_uint_t   port;

    url = curl_url();
    if (url == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;
    text = (char *) pv->proxy.data;

    if (curl_url_set(url, CURLUPART_URL, text,
                     CURLU_NON_SUPPORT_SCHEME|CURLU_GUESS_SCHEME)
        == CURLUE_OK
        && curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK)
    {
        port = ngx_strcmp(scheme, "https") == 0 ? NGX_CHAT_CURL_HOST_PROXY_TLS
                                                : NGX_CHAT_CURL_HOST_PROXY_PORT;

        hosts->resolve_first = ngx_strcmp(scheme, "socks4") == 0
                               || ngx_strcmp(scheme, "socks5") == 0;

        curl_free(scheme);

        if (curl_url_get(url, CURLUPART_PORT, &text, 0) == CURLUE_OK) {
            port = (ngx_uint_t) atoi(text);
            curl_free(text);
        }

        rc = ngx_chat_curl_host_add(hosts, url, port, pool);
    }

    curl_url_cleanup(url);

    if (rc == NGX_OK && hosts->resolve_first) {
        rc = ngx_chat_curl_host_add_provider(hosts, pv, pool);
    }

    return rc;
}


static ngx_int_t
ngx_chat_curl_host_add(ngx_chat_curl_hosts_t *hosts, CURLU *url,
    ngx_uint_t port, ngx_pool_t *pool)
{
    char                  *text;
    ngx_str_t              name;
    ngx_chat_curl_host_t  *host;

    if (curl_url_get(url, CURLUPART_HOST, &text, 0) != CURLUE_OK) {
        return NGX_OK;
    }

    name.data = (u_char *) text;
    name.len = ngx_strlen(text);

    if (!ngx_chat_curl_host_is_name(&name)) {
        curl_free(text);
        return NGX_OK;
    }

    host = &hosts->host[hosts->n++];

    host->port = port;
    host->name.len = name.len;
    host->name.data = ngx_pnalloc(pool, name.len + 1);

    if (host->name.data) {
        (void) ngx_cpystrn(host->name.data, name.data, name.len + 1);
    }

    curl_free(text);

    return host->name.data ? NGX_OK : NGX_ERROR;
}


/* 0: an address, or of localhost, which libcurl itself resolves */

static ngx_uint_t
ngx_chat_curl_host_is_name(ngx_str_t *host)
{
    size_t  len;

    len = sizeof("localhost") - 1;

    if (host->len == 0
        || host->data[0] == '['
        || ngx_inet_addr(host->data, host->len) != INADDR_NONE)
    {
        return 0;
    }

    return host->len < len
           || (host->len > len && host->data[host->len - len - 1] != '.')
           || ngx_strncasecmp(host->data + host->len - len,
                              (u_char *) "localhost", len)
              != 0;
}


ngx_int_t
ngx_chat_curl_host_append(struct curl_slist **list, u_char *text)
{
    struct curl_slist  *more;

    more = curl_slist_append(*list, (char *) text);
    if (more == NULL) {
        return NGX_ERROR;
    }

    *list = more;

    return NGX_OK;
}
