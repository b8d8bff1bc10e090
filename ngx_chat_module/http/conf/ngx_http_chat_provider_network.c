
#include "ngx_http_chat_provider_network.h"
#include "ngx_http_chat_env.h"


static char *ngx_http_chat_provider_network_set_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_str_t *text, const char *what);
static ngx_uint_t ngx_http_chat_provider_network_is_proxy(ngx_str_t *text);
static ngx_int_t ngx_http_chat_provider_network_get_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_str_t *value);
static ngx_int_t ngx_http_chat_provider_network_get_no_proxy(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_uint_t ngx_http_chat_provider_network_is_direct(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_str_t *list);
static ngx_uint_t ngx_http_chat_provider_network_matches(ngx_url_t *u,
    ngx_str_t *item);
static ngx_int_t ngx_http_chat_provider_network_copy(ngx_conf_t *cf,
    ngx_str_t *dst,
    ngx_str_t *src);


static const char  *ngx_http_chat_provider_network_schemes[] = {
    "http", "https", "socks4", "socks4a", "socks5", "socks5h", NULL
};


char *
ngx_http_chat_provider_network_read_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv)
{
    ngx_str_t  *value, text;

    value = cf->args->elts;

    ngx_str_null(&text);

    if (ngx_strcmp(value[1].data, "off") != 0
        && ngx_http_chat_env_read_value(cf, &value[0], 1, 1, &value[1], &text)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    /* an explicit proxy is for all hosts: no_proxy does not apply */

    return ngx_http_chat_provider_network_set_proxy(cf, pv, &text, "\"proxy\"");
}


static char *
ngx_http_chat_provider_network_set_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_str_t *text, const char *what)
{
    u_char      *p, *last;
    ngx_str_t    host;

    if (ngx_http_chat_provider_network_copy(cf, &pv->proxy, text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (text->len == 0) {
        return NGX_CONF_OK;
    }

    /* without the URL itself, which may hold a password */

    if (!ngx_http_chat_provider_network_is_proxy(text)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": %s is no URL of a proxy, "
                           "such as \"http://host:port\"", &pv->name, what);
        return NGX_CONF_ERROR;
    }

    last = pv->proxy.data + pv->proxy.len;
    host.data = pv->proxy.data;

    for (p = host.data; p < last; p++) {

        if (*p == '@' || (*p == '/' && p[1] == '/')) {
            host.data = p + ((*p == '@') ? 1 : 2);
        }
    }

    host.len = last - host.data;

    ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                  "chat provider \"%V\" is asked through the proxy \"%V\"",
                  &pv->name, &host);

    return NGX_CONF_OK;
}


/* [scheme://][user:password@]host[:port][/] */

static ngx_uint_t
ngx_http_chat_provider_network_is_proxy(ngx_str_t *text)
{
    u_char       *p, *last, *host;
    size_t        len;
    ngx_uint_t    i;
    const char   *scheme;

    host = text->data;
    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p <= 0x20 || *p >= 0x7f || *p == '"' || *p == '\\') {
            return 0;
        }
    }

    p = ngx_strlchr(text->data, last, ':');

    if (p && last - p >= 3 && p[1] == '/' && p[2] == '/') {

        len = p - text->data;

        for (i = 0; /* void */ ; i++) {
            scheme = ngx_http_chat_provider_network_schemes[i];

            if (scheme == NULL) {
                return 0;
            }

            if (ngx_strlen(scheme) == len
                && ngx_strncasecmp(text->data, (u_char *) scheme, len) == 0)
            {
                break;
            }
        }

        host = p + 3;
    }

    for (p = last; p > host; p--) {

        if (p[-1] == '@') {
            host = p;
            break;
        }
    }

    return host < last && *host != '/' && *host != ':';
}


char *
ngx_http_chat_provider_network_init_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    if (pv->proxy.data) {
        return NGX_CONF_OK;
    }

    rc = ngx_http_chat_provider_network_get_proxy(cf, pv, &value);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_str_set(&pv->proxy, "");
        return NGX_CONF_OK;
    }

    if (ngx_http_chat_provider_network_set_proxy(cf, pv, &value,
                                                 "the environment's proxy")
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_chat_provider_network_get_no_proxy(cf, &value);

    if (rc == NGX_DECLINED) {
        return NGX_CONF_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_chat_provider_network_is_direct(cf, pv, &value)) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, cf->log, 0,
                       "chat provider \"%V\" is asked without a proxy: its "
                       "host is in no_proxy", &pv->name);

        ngx_str_set(&pv->proxy, "");
    }

    return NGX_CONF_OK;
}


/*
 * As libcurl looks them up.  There is no HTTP_PROXY: where requests become
 * environment variables, a header "Proxy" would set it.  They may hold a
 * password.
 */

static ngx_int_t
ngx_http_chat_provider_network_get_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_str_t *value)
{
    ngx_int_t  rc;

    if (ngx_strncasecmp(pv->url.data, (u_char *) "https:", 6) == 0) {
        rc = ngx_http_chat_env_get(cf, "https_proxy", 1, value);

        if (rc == NGX_DECLINED) {
            rc = ngx_http_chat_env_get(cf, "HTTPS_PROXY", 1, value);
        }

    } else {
        rc = ngx_http_chat_env_get(cf, "http_proxy", 1, value);
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_chat_env_get(cf, "all_proxy", 1, value);
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_chat_env_get(cf, "ALL_PROXY", 1, value);
    }

    return rc;
}


static ngx_int_t
ngx_http_chat_provider_network_get_no_proxy(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_int_t  rc;

    rc = ngx_http_chat_env_get(cf, "no_proxy", 0, value);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_chat_env_get(cf, "NO_PROXY", 0, value);
    }

    return rc;
}


/*
 * As libcurl has it: "*" for all hosts, or hosts, domains, addresses and
 * networks between commas or blanks.
 */

static ngx_uint_t
ngx_http_chat_provider_network_is_direct(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_str_t *list)
{
    u_char     *p, *last;
    ngx_str_t   item;
    ngx_url_t   u;

    p = ngx_strlchr(pv->url.data, pv->url.data + pv->url.len, ':');

    if (p == NULL) {
        return 0;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = p + sizeof("://") - 1;
    u.url.len = pv->url.data + pv->url.len - u.url.data;
    u.uri_part = 1;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        return 0;
    }

    if (list->len == 1 && list->data[0] == '*') {
        return 1;
    }

    p = list->data;
    last = list->data + list->len;

    while (p < last) {
        item.data = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            p++;
        }

        item.len = p - item.data;

        if (item.len && ngx_http_chat_provider_network_matches(&u, &item)) {
            return 1;
        }

        p++;
    }

    return 0;
}


static ngx_uint_t
ngx_http_chat_provider_network_matches(ngx_url_t *u, ngx_str_t *item)
{
    u_char       *end;
    ngx_str_t     host, name;
    ngx_cidr_t    cidr;
    ngx_array_t   cidrs;

    if (u->naddrs) {

        if (ngx_ptocidr(item, &cidr) == NGX_ERROR) {
            return 0;
        }

        cidrs.elts = &cidr;
        cidrs.nelts = 1;

        return ngx_cidr_match(u->addrs[0].sockaddr, &cidrs) == NGX_OK;
    }

    host = u->host;
    name = *item;

    if (host.len && host.data[host.len - 1] == '.') {
        host.len--;
    }

    if (name.data[name.len - 1] == '.') {
        name.len--;
    }

    if (name.len && name.data[0] == '.') {
        name.data++;
        name.len--;
    }

    if (name.len == 0 || name.len > host.len) {
        return 0;
    }

    end = host.data + host.len - name.len;

    return ngx_strncasecmp(end, name.data, name.len) == 0
           && (end == host.data || end[-1] == '.');
}


/* with a zero behind it */

static ngx_int_t
ngx_http_chat_provider_network_copy(ngx_conf_t *cf, ngx_str_t *dst,
    ngx_str_t *src)
{
    u_char  *p;

    dst->data = ngx_pnalloc(cf->pool, src->len + 1);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(dst->data, src->data, src->len);
    *p = '\0';

    dst->len = src->len;

    return NGX_OK;
}


char *
ngx_http_chat_provider_network_read_trust(ngx_conf_t *cf,
    ngx_chat_provider_t *pv)
{
    u_char      *p;
    ngx_int_t    rc;
    ngx_ssl_t    ssl;
    ngx_str_t   *value, text;

    value = cf->args->elts;

    pv->trusted_certificate = value[1];

    ngx_memzero(&ssl, sizeof(ngx_ssl_t));

    ssl.log = cf->log;

    if (value[1].len == 0
        || ngx_ssl_create(&ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
           != NGX_OK)
    {
        goto failed;
    }

    /* to see whether it will do: it is loaded again for each connection */

    rc = ngx_ssl_trusted_certificate(cf, &ssl, &pv->trusted_certificate, 1);

    ngx_ssl_cleanup_ctx(&ssl);

    if (rc != NGX_OK) {
        goto failed;
    }

    text.len = sizeof("file:") - 1 + pv->trusted_certificate.len;
    text.data = ngx_pnalloc(cf->pool, text.len + 1);
    if (text.data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_cpymem(text.data, "file:", sizeof("file:") - 1);
    p = ngx_cpymem(p, pv->trusted_certificate.data,
                   pv->trusted_certificate.len);
    *p = '\0';

    /* contents are kept: the filler may not be allowed to read the file */

    if (ngx_http_chat_env_read_value(cf, &value[0], 0, 0, &text, &pv->trusted)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;

failed:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "chat provider \"%V\": \"trusted_certificate\" is not "
                       "usable, it is a file in PEM format", &pv->name);

    return NGX_CONF_ERROR;
}
