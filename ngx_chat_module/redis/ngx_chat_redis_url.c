
#include "ngx_chat_redis_url.h"


#define NGX_CHAT_REDIS_PORT        6379
#define NGX_CHAT_REDIS_DB_DIGITS   9
#define NGX_CHAT_REDIS_PORT_CHARS  6     /* ":65535" */


typedef struct {
    ngx_pool_t               *pool;
    ngx_chat_redis_conf_t    *conf;
    char                     *err;
} ngx_chat_redis_url_t;


static ngx_int_t ngx_chat_redis_url_tcp(ngx_chat_redis_url_t *ru, u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_redis_url_unix(ngx_chat_redis_url_t *ru, u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_redis_url_user(ngx_chat_redis_url_t *ru, u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_redis_url_host(ngx_chat_redis_url_t *ru, u_char *p,
    u_char *last, ngx_str_t *host, in_port_t *port);
static ngx_int_t ngx_chat_redis_url_db(ngx_chat_redis_url_t *ru, u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_redis_url_resolve(ngx_chat_redis_url_t *ru,
    ngx_str_t *text);
static ngx_int_t ngx_chat_redis_url_name(ngx_chat_redis_url_t *ru,
    const char *format, ngx_str_t *text);
static ngx_int_t ngx_chat_redis_url_decode(ngx_chat_redis_url_t *ru,
    u_char *p, u_char *last, ngx_str_t *value);
static ngx_int_t ngx_chat_redis_url_hex(u_char ch);
static ngx_int_t ngx_chat_redis_url_fail(ngx_chat_redis_url_t *ru, char *err);
static u_char *ngx_chat_redis_url_skip(ngx_str_t *url, const char *scheme);


ngx_int_t
ngx_chat_redis_parse_url(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, char **err)
{
    u_char                *p, *last;
    ngx_int_t              rc;
    ngx_chat_redis_url_t   ru;

    ngx_memzero(rcf, sizeof(ngx_chat_redis_conf_t));

    ru.pool = pool;
    ru.conf = rcf;
    ru.err = "no memory";

    last = url->data + url->len;

    for (p = url->data; p < last; p++) {
        if (*p <= 0x20 || *p == 0x7f) {
            *err = "a space or a control character in the Redis URL";
            return NGX_ERROR;
        }
    }

    p = ngx_chat_redis_url_skip(url, "redis://");

    if (p == NULL) {
        p = ngx_chat_redis_url_skip(url, "rediss://");
        rcf->tls = (p != NULL);
    }

    if (p) {
        rc = ngx_chat_redis_url_tcp(&ru, p, last);

    } else if ((p = ngx_chat_redis_url_skip(url, "unix:")) != NULL) {
        rc = ngx_chat_redis_url_unix(&ru, p, last);

    } else if (ngx_chat_redis_url_skip(url, "redis+sentinel://")) {
        rc = ngx_chat_redis_url_fail(&ru,
                         "Redis Sentinel is not available in this version");

    } else {
        rc = ngx_chat_redis_url_fail(&ru,
                         "a Redis URL begins with \"redis://\", "
                         "\"rediss://\" or \"unix:/\"");
    }

    if (rc != NGX_OK) {
        *err = ru.err;
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_redis_conf_equal(ngx_chat_redis_conf_t *a, ngx_chat_redis_conf_t *b)
{
    ngx_uint_t  i;

    if (a->db != b->db
        || a->tls != b->tls
        || a->user.len != b->user.len
        || ngx_memcmp(a->user.data, b->user.data, a->user.len) != 0)
    {
        return 0;
    }

    if (a->name.len == b->name.len
        && ngx_memcmp(a->name.data, b->name.data, a->name.len) == 0)
    {
        return 1;
    }

    /* "localhost" and "127.0.0.1" */

    if (a->naddrs != b->naddrs) {
        return 0;
    }

    for (i = 0; i < a->naddrs; i++) {

        if (ngx_cmp_sockaddr(a->addrs[i].sockaddr, a->addrs[i].socklen,
                             b->addrs[i].sockaddr, b->addrs[i].socklen, 1)
            != NGX_OK)
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_chat_redis_url_tcp(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    u_char     *at, *slash;
    in_port_t   port;
    ngx_str_t   host, text;

    /* a password may have an "@" or a "/" of its own, what follows may not */

    for (at = last; at > p; at--) {
        if (at[-1] == '@') {
            break;
        }
    }

    if (at > p) {

        if (ngx_chat_redis_url_user(ru, p, at - 1) != NGX_OK) {
            return NGX_ERROR;
        }

        p = at;
    }

    if (ngx_strlchr(p, last, '?') || ngx_strlchr(p, last, '#')) {
        return ngx_chat_redis_url_fail(ru,
                         "no parameters are known in a Redis URL");
    }

    slash = ngx_strlchr(p, last, '/');

    if (slash && slash + 1 < last
        && ngx_chat_redis_url_db(ru, slash + 1, last) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (slash) {
        last = slash;
    }

    if (ngx_chat_redis_url_host(ru, p, last, &host, &port) != NGX_OK) {
        return NGX_ERROR;
    }

    text.data = ngx_pnalloc(ru->pool, host.len + NGX_CHAT_REDIS_PORT_CHARS);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = ngx_sprintf(text.data, "%V:%ui", &host, (ngx_uint_t) port)
               - text.data;

    if (ngx_chat_redis_url_resolve(ru, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    if (*host.data == '[') {
        host.data++;
        host.len -= 2;
    }

    ru->conf->host.data = ngx_pnalloc(ru->pool, host.len + 1);
    if (ru->conf->host.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(ru->conf->host.data, "%V%Z", &host);
    ru->conf->host.len = host.len;

    return ngx_chat_redis_url_name(ru, "%V/%ui", &text);
}


static ngx_int_t
ngx_chat_redis_url_unix(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    u_char     *args;
    ngx_str_t   text;

    args = ngx_strlchr(p, last, '?');

    if (args) {

        if (last - args < (ptrdiff_t) sizeof("?db=") - 1
            || ngx_strncmp(args, "?db=", sizeof("?db=") - 1) != 0)
        {
            return ngx_chat_redis_url_fail(ru,
                         "only \"?db=number\" may follow the path of a socket");
        }

        if (ngx_chat_redis_url_db(ru, args + sizeof("?db=") - 1, last)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        last = args;
    }

    if (last - p < 2 || p[0] != '/' || p[1] == '/') {
        return ngx_chat_redis_url_fail(ru,
                         "a socket is written \"unix:/path\" or "
                         "\"unix:/path?db=number\"");
    }

    text.len = sizeof("unix:") - 1 + (last - p);
    text.data = ngx_pnalloc(ru->pool, text.len + 1);

    if (text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(text.data, "unix:%*s%Z", (size_t) (last - p), p);

    if (ngx_chat_redis_url_resolve(ru, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_chat_redis_url_name(ru, "%V?db=%ui", &text);
}


static ngx_int_t
ngx_chat_redis_url_user(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    u_char  *colon;

    colon = ngx_strlchr(p, last, ':');

    if (ngx_chat_redis_url_decode(ru, p, colon ? colon : last,
                                  &ru->conf->user)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (colon == NULL) {
        return NGX_OK;
    }

    return ngx_chat_redis_url_decode(ru, colon + 1, last,
                                     &ru->conf->password);
}


static ngx_int_t
ngx_chat_redis_url_host(ngx_chat_redis_url_t *ru, u_char *p, u_char *last,
    ngx_str_t *host, in_port_t *port)
{
    u_char     *end;
    ngx_int_t   n;

    host->data = p;
    *port = NGX_CHAT_REDIS_PORT;

    if (p < last && *p == '[') {

        end = ngx_strlchr(p, last, ']');
        if (end == NULL) {
            return ngx_chat_redis_url_fail(ru, "\"]\" is missing in the host "
                                               "of the Redis URL");
        }

        end++;

        if (end < last && *end != ':') {
            return ngx_chat_redis_url_fail(ru, "invalid host in the Redis URL");
        }

    } else {
        end = ngx_strlchr(p, last, ':');
        if (end == NULL) {
            end = last;
        }
    }

    host->len = end - p;

    if (host->len == 0) {
        return ngx_chat_redis_url_fail(ru, "no host in the Redis URL");
    }

    if (end == last) {
        return NGX_OK;
    }

    n = ngx_atoi(end + 1, last - end - 1);

    if (n < 1 || n > 65535) {
        return ngx_chat_redis_url_fail(ru, "invalid port in the Redis URL");
    }

    *port = (in_port_t) n;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_db(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    ngx_int_t  n;

    n = (last - p > NGX_CHAT_REDIS_DB_DIGITS) ? NGX_ERROR
                                              : ngx_atoi(p, last - p);

    if (n == NGX_ERROR) {
        return ngx_chat_redis_url_fail(ru,
                         "the database in the Redis URL is not a number");
    }

    ru->conf->db = n;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_resolve(ngx_chat_redis_url_t *ru, ngx_str_t *text)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *text;
    u.default_port = NGX_CHAT_REDIS_PORT;

    if (ngx_parse_url(ru->pool, &u) != NGX_OK || u.naddrs == 0) {
        return ngx_chat_redis_url_fail(ru, u.err ? u.err : "no memory");
    }

    ru->conf->addrs = u.addrs;
    ru->conf->naddrs = u.naddrs;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_name(ngx_chat_redis_url_t *ru, const char *format,
    ngx_str_t *text)
{
    ngx_str_t  *name;

    name = &ru->conf->name;

    name->data = ngx_pnalloc(ru->pool, text->len + sizeof("?db=")
                                       + NGX_INT_T_LEN);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    name->len = ngx_sprintf(name->data, format, text, ru->conf->db)
                - name->data;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_decode(ngx_chat_redis_url_t *ru, u_char *p, u_char *last,
    ngx_str_t *value)
{
    u_char     *d;
    ngx_int_t   hi, lo;

    value->len = 0;
    value->data = ngx_pnalloc(ru->pool, last - p + 1);

    if (value->data == NULL) {
        return NGX_ERROR;
    }

    d = value->data;

    for ( /* void */ ; p < last; p++) {

        if (*p != '%') {
            *d++ = *p;
            continue;
        }

        if (last - p < 3) {
            goto invalid;
        }

        hi = ngx_chat_redis_url_hex(p[1]);
        lo = ngx_chat_redis_url_hex(p[2]);

        if (hi == NGX_ERROR || lo == NGX_ERROR) {
            goto invalid;
        }

        *d++ = (u_char) (hi * 16 + lo);
        p += 2;
    }

    value->len = d - value->data;

    return NGX_OK;

invalid:

    return ngx_chat_redis_url_fail(ru,
                         "\"%\" without two hexadecimal digits in the user or "
                         "password of the Redis URL");
}


static ngx_int_t
ngx_chat_redis_url_hex(u_char ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    ch |= 0x20;

    if (ch >= 'a' && ch <= 'f') {
        return ch - 'a' + 10;
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_chat_redis_url_fail(ngx_chat_redis_url_t *ru, char *err)
{
    ru->err = err;

    return NGX_ERROR;
}


static u_char *
ngx_chat_redis_url_skip(ngx_str_t *url, const char *scheme)
{
    size_t  len;

    len = ngx_strlen(scheme);

    if (url->len < len
        || ngx_strncasecmp(url->data, (u_char *) scheme, len) != 0)
    {
        return NULL;
    }

    return url->data + len;
}
