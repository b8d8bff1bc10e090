
/*
 * The names that a provider's calls need, and how libcurl comes by their
 * addresses.  It asks when it needs one for a new connection, which ends the
 * attempt; the next one begins with what was found, so that kept connections
 * need no name server.
 */


#include "ngx_chat_curl_private.h"


#define NGX_CHAT_CURL_LOOKUPS       3     /* of one transfer */
#define NGX_CHAT_CURL_LOOKUP_POOL   1024

/* unless the URL of a proxy has one */
#define NGX_CHAT_CURL_PROXY_PORT    1080
#define NGX_CHAT_CURL_PROXY_TLS     443


static ngx_int_t ngx_chat_curl_target(ngx_chat_curl_origin_t *origin,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_curl_proxy(ngx_chat_curl_origin_t *origin,
    ngx_pool_t *pool);
static ngx_int_t ngx_chat_curl_host(ngx_chat_curl_origin_t *origin,
    CURLU *url, ngx_uint_t port, ngx_pool_t *pool);
static ngx_uint_t ngx_chat_curl_is_name(ngx_str_t *host);
static ngx_int_t ngx_chat_curl_next_host(ngx_chat_curl_transfer_t *t);
static void ngx_chat_curl_host_handler(ngx_chat_lookup_t *lk, ngx_int_t rc);
static ngx_int_t ngx_chat_curl_found(ngx_chat_curl_transfer_t *t);
static ngx_int_t ngx_chat_curl_list(struct curl_slist **list, u_char *text);


ngx_int_t
ngx_chat_curl_hosts(ngx_chat_curl_origin_t *origin, ngx_pool_t *pool)
{
    u_char                *p;
    ngx_chat_curl_host_t  *host;

    if (origin->provider->proxy.len) {

        if (ngx_chat_curl_proxy(origin, pool) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ngx_chat_curl_target(origin, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    if (origin->nhosts == 0 || origin->early) {
        return NGX_OK;
    }

    host = &origin->hosts[0];

    p = ngx_pnalloc(pool, host->name.len + NGX_INT_T_LEN + sizeof("-:"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "-%V:%ui%Z", &host->name, host->port);

    return ngx_chat_curl_list(&origin->unknown, p);
}


static ngx_int_t
ngx_chat_curl_target(ngx_chat_curl_origin_t *origin, ngx_pool_t *pool)
{
    char       *port;
    u_char     *text;
    CURLU      *url;
    ngx_int_t   rc;

    text = ngx_pnalloc(pool, origin->provider->url.len + 1);
    url = curl_url();

    if (text == NULL || url == NULL) {
        curl_url_cleanup(url);
        return NGX_ERROR;
    }

    (void) ngx_sprintf(text, "%V%Z", &origin->provider->url);

    rc = NGX_OK;

    /* a URL that does not parse is left for libcurl to refuse */

    if (curl_url_set(url, CURLUPART_URL, (char *) text, 0) == CURLUE_OK
        && curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)
           == CURLUE_OK)
    {
        rc = ngx_chat_curl_host(origin, url, (ngx_uint_t) atoi(port), pool);
        curl_free(port);
    }

    curl_url_cleanup(url);

    return rc;
}


/*
 * A proxy gets the name of the provider; those of SOCKS without "a" or "h" get
 * an address, which libcurl needs in the midst of connecting.
 */

static ngx_int_t
ngx_chat_curl_proxy(ngx_chat_curl_origin_t *origin, ngx_pool_t *pool)
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
    text = (char *) origin->provider->proxy.data;

    if (curl_url_set(url, CURLUPART_URL, text,
                     CURLU_NON_SUPPORT_SCHEME|CURLU_GUESS_SCHEME)
        == CURLUE_OK
        && curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK)
    {
        port = ngx_strcmp(scheme, "https") == 0 ? NGX_CHAT_CURL_PROXY_TLS
                                                : NGX_CHAT_CURL_PROXY_PORT;

        origin->early = ngx_strcmp(scheme, "socks4") == 0
                        || ngx_strcmp(scheme, "socks5") == 0;

        curl_free(scheme);

        if (curl_url_get(url, CURLUPART_PORT, &text, 0) == CURLUE_OK) {
            port = (ngx_uint_t) atoi(text);
            curl_free(text);
        }

        rc = ngx_chat_curl_host(origin, url, port, pool);
    }

    curl_url_cleanup(url);

    if (rc == NGX_OK && origin->early) {
        rc = ngx_chat_curl_target(origin, pool);
    }

    return rc;
}


static ngx_int_t
ngx_chat_curl_host(ngx_chat_curl_origin_t *origin, CURLU *url,
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

    if (!ngx_chat_curl_is_name(&name)) {
        curl_free(text);
        return NGX_OK;
    }

    host = &origin->hosts[origin->nhosts++];

    host->port = port;
    host->name.len = name.len;
    host->name.data = ngx_pnalloc(pool, name.len + 1);

    if (host->name.data) {
        (void) ngx_cpystrn(host->name.data, name.data, name.len + 1);
    }

    curl_free(text);

    return host->name.data ? NGX_OK : NGX_ERROR;
}


/* libcurl itself knows what these are */

static ngx_uint_t
ngx_chat_curl_is_name(ngx_str_t *host)
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


int
ngx_chat_curl_asks(void *resolver, void *reserved, void *data)
{
    ngx_chat_curl_transfer_t *t = data;

    t->asks = 1;

    return 1;
}


ngx_int_t
ngx_chat_curl_look_up(ngx_chat_curl_transfer_t *t)
{
    ngx_chat_curl_forget(t);

    if (t->lookups++ == NGX_CHAT_CURL_LOOKUPS) {
        return NGX_DECLINED;
    }

    t->temp = ngx_create_pool(NGX_CHAT_CURL_LOOKUP_POOL, t->curl->log);
    if (t->temp == NULL) {
        return NGX_ERROR;
    }

    t->host = 0;

    return ngx_chat_curl_next_host(t);
}


static ngx_int_t
ngx_chat_curl_next_host(ngx_chat_curl_transfer_t *t)
{
    ngx_int_t           rc;
    ngx_chat_lookup_t  *lk;

    lk = &t->lookup;

    while (t->host < t->origin->nhosts) {

        ngx_memzero(lk, sizeof(ngx_chat_lookup_t));

        lk->data = t;
        lk->handler = ngx_chat_curl_host_handler;
        lk->pool = t->temp;
        lk->ident = -1;
        lk->name = t->origin->hosts[t->host].name;

        rc = ngx_chat_lookup(lk, t->curl->resolver, ngx_chat_curl_left(t),
                             t->curl->log);

        if (rc == NGX_OK) {
            rc = ngx_chat_curl_found(t);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        t->host++;
    }

    return NGX_OK;
}


static void
ngx_chat_curl_host_handler(ngx_chat_lookup_t *lk, ngx_int_t rc)
{
    ngx_chat_curl_transfer_t  *t;

    t = lk->data;

    if (rc == NGX_OK) {
        rc = ngx_chat_curl_found(t);
    }

    if (rc == NGX_OK) {
        t->host++;
        rc = ngx_chat_curl_next_host(t);
    }

    if (rc != NGX_AGAIN) {
        ngx_chat_curl_looked_up(t, rc);
    }
}


/* "host:port:address,address": valid until it is replaced, or removed */

static ngx_int_t
ngx_chat_curl_found(ngx_chat_curl_transfer_t *t)
{
    u_char                *p;
    ngx_chat_curl_host_t  *host;

    host = &t->origin->hosts[t->host];

    p = ngx_pnalloc(t->temp, host->name.len + NGX_INT_T_LEN
                             + t->lookup.addrs.len + sizeof("::"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "%V:%ui:%V%Z", &host->name, host->port,
                       &t->lookup.addrs);

    return ngx_chat_curl_list(&t->known, p);
}


static ngx_int_t
ngx_chat_curl_list(struct curl_slist **list, u_char *text)
{
    struct curl_slist  *more;

    more = curl_slist_append(*list, (char *) text);
    if (more == NULL) {
        return NGX_ERROR;
    }

    *list = more;

    return NGX_OK;
}


void
ngx_chat_curl_forget(ngx_chat_curl_transfer_t *t)
{
    ngx_chat_lookup_give_up(&t->lookup);

    (void) curl_easy_setopt(t->easy, CURLOPT_RESOLVE, NULL);

    if (t->known) {
        curl_slist_free_all(t->known);
        t->known = NULL;
    }

    if (t->temp) {
        ngx_destroy_pool(t->temp);
        t->temp = NULL;
    }
}
