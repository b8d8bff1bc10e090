
#include "ngx_chat_redis_url.h"


#define NGX_CHAT_REDIS_PORT           6379
#define NGX_CHAT_REDIS_SENTINEL_PORT  26379
#define NGX_CHAT_REDIS_DB_DIGITS      9

#define NGX_CHAT_REDIS_SENTINEL_ARGS                                          \
    "only \"sentinel_username\" and \"sentinel_password\" are known as "       \
    "parameters of a \"redis+sentinel://\" URL"


typedef struct {
    ngx_pool_t               *pool;
    ngx_chat_redis_conf_t    *conf;
    char                     *err;

    /* of the environment, as others write URLs */
    ngx_uint_t                env;
    u_char                   *args;      /* NULL: none */
    u_char                   *end;
} ngx_chat_redis_url_t;


static ngx_int_t ngx_chat_redis_url_parse_as(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, ngx_uint_t env, char **err);
static u_char *ngx_chat_redis_url_cut_args(ngx_chat_redis_url_t *ru, u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_redis_url_read_args(ngx_chat_redis_url_t *ru);
static ngx_int_t ngx_chat_redis_url_add_host(ngx_chat_redis_url_t *ru,
    u_char **pos, u_char **last);
static ngx_int_t ngx_chat_redis_url_parse_tcp(ngx_chat_redis_url_t *ru,
    u_char *p, u_char *last);
static ngx_int_t ngx_chat_redis_url_parse_sentinel(ngx_chat_redis_url_t *ru,
    u_char *p, u_char *last);
static ngx_int_t ngx_chat_redis_url_parse_args(ngx_chat_redis_url_t *ru,
    u_char *p, u_char *last);
static ngx_int_t ngx_chat_redis_url_parse_unix(ngx_chat_redis_url_t *ru,
    u_char *p, u_char *last);
static ngx_int_t ngx_chat_redis_url_parse_user(ngx_chat_redis_url_t *ru,
    u_char **pos, u_char *last);
static ngx_int_t ngx_chat_redis_url_parse_db(ngx_chat_redis_url_t *ru,
    u_char *p, u_char *last);
static ngx_int_t ngx_chat_redis_url_join_hosts(ngx_chat_redis_url_t *ru,
    ngx_chat_redis_conf_t *rcf, ngx_str_t *text);
static ngx_int_t ngx_chat_redis_url_set_name(ngx_chat_redis_url_t *ru,
    ngx_str_t *text, const char *separator);
static ngx_int_t ngx_chat_redis_url_fail(ngx_chat_redis_url_t *ru, char *err);
static u_char *ngx_chat_redis_url_skip_scheme(ngx_str_t *url,
    const char *scheme);


ngx_int_t
ngx_chat_redis_url_parse(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, char **err)
{
    return ngx_chat_redis_url_parse_as(pool, url, rcf, 0, err);
}


ngx_int_t
ngx_chat_redis_url_parse_env(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, char **err)
{
    return ngx_chat_redis_url_parse_as(pool, url, rcf, 1, err);
}


static ngx_int_t
ngx_chat_redis_url_parse_as(ngx_pool_t *pool, ngx_str_t *url,
    ngx_chat_redis_conf_t *rcf, ngx_uint_t env, char **err)
{
    u_char                *p, *last;
    ngx_int_t              rc;
    ngx_chat_redis_url_t   ru;

    ngx_memzero(rcf, sizeof(ngx_chat_redis_conf_t));

    ru.pool = pool;
    ru.conf = rcf;
    ru.err = "no memory";
    ru.env = env;
    ru.args = NULL;

    last = url->data + url->len;

    for (p = url->data; p < last; p++) {
        if (*p <= 0x20 || *p == 0x7f) {
            *err = "a space or a control character in the Redis URL";
            return NGX_ERROR;
        }
    }

    p = ngx_chat_redis_url_skip_scheme(url, "redis://");

    if (p == NULL) {
        p = ngx_chat_redis_url_skip_scheme(url, "rediss://");
        rcf->tls = (p != NULL);
    }

    if (p) {
        last = ngx_chat_redis_url_cut_args(&ru, p, last);
        rc = ngx_chat_redis_url_parse_tcp(&ru, p, last);
        goto done;
    }

    p = ngx_chat_redis_url_skip_scheme(url, "redis+sentinel://");

    if (p == NULL) {
        p = ngx_chat_redis_url_skip_scheme(url, "rediss+sentinel://");
        rcf->tls = (p != NULL);
    }

    if (p) {
        last = ngx_chat_redis_url_cut_args(&ru, p, last);
        rc = ngx_chat_redis_url_parse_sentinel(&ru, p, last);

    } else if ((p = ngx_chat_redis_url_skip_scheme(url, "unix:")) != NULL) {
        last = ngx_chat_redis_url_cut_args(&ru, p, last);
        rc = ngx_chat_redis_url_parse_unix(&ru, p, last);

    } else {
        rc = ngx_chat_redis_url_fail(&ru,
                         "a Redis URL begins with \"redis://\", "
                         "\"rediss://\", \"redis+sentinel://\" or "
                         "\"unix:/\"");
    }

done:

    if (rc != NGX_OK) {
        *err = ru.err;
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_redis_url_has_scheme(ngx_str_t *url)
{
    return ngx_chat_redis_url_skip_scheme(url, "redis://")
           || ngx_chat_redis_url_skip_scheme(url, "rediss://")
           || ngx_chat_redis_url_skip_scheme(url, "redis+sentinel://")
           || ngx_chat_redis_url_skip_scheme(url, "rediss+sentinel://")
           || ngx_chat_redis_url_skip_scheme(url, "unix:");
}


/* where the URL ends and its parameters begin, which are kept for later */

static u_char *
ngx_chat_redis_url_cut_args(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    u_char  *args;

    if (!ru->env) {
        return last;
    }

    args = ngx_chat_redis_args_find(p, last);
    if (args == NULL) {
        return last;
    }

    ru->args = args + 1;
    ru->end = last;

    return args;
}


static ngx_int_t
ngx_chat_redis_url_read_args(ngx_chat_redis_url_t *ru)
{
    if (ru->args == NULL) {
        return NGX_OK;
    }

    return ngx_chat_redis_args_parse(ru->pool, ru->conf, ru->args, ru->end,
                                     &ru->err);
}


/* without a host it is this one */

static ngx_int_t
ngx_chat_redis_url_add_host(ngx_chat_redis_url_t *ru, u_char **pos,
    u_char **last)
{
    size_t   len;
    u_char  *p;

    if (!ru->env || (*pos < *last && **pos != ':')) {
        return NGX_OK;
    }

    len = *last - *pos;

    p = ngx_pnalloc(ru->pool, sizeof("127.0.0.1") - 1 + len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *last = ngx_cpymem(ngx_cpymem(p, "127.0.0.1", sizeof("127.0.0.1") - 1),
                       *pos, len);
    *pos = p;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_parse_tcp(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    u_char                 *slash;
    ngx_chat_redis_conf_t  *rcf;

    rcf = ru->conf;

    if (ngx_chat_redis_url_read_args(ru) != NGX_OK
        || ngx_chat_redis_url_parse_user(ru, &p, last) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_strlchr(p, last, '?') || ngx_strlchr(p, last, '#')) {
        return ngx_chat_redis_url_fail(ru,
                         "no parameters are known in a Redis URL");
    }

    slash = ngx_strlchr(p, last, '/');

    if (slash && slash + 1 < last
        && ngx_chat_redis_url_parse_db(ru, slash + 1, last) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (slash) {
        last = slash;
    }

    if (ngx_strlchr(p, last, ',')) {
        return ngx_chat_redis_url_fail(ru,
                         "several hosts are for \"redis+sentinel://\" URLs");
    }

    if (ngx_chat_redis_url_add_host(ru, &p, &last) != NGX_OK
        || ngx_chat_redis_conf_parse_hosts(ru->pool, rcf, p, last,
                                           NGX_CHAT_REDIS_PORT, &ru->err)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rcf->host = rcf->hosts->name;

    return ngx_chat_redis_url_set_name(ru, &rcf->hosts->url, "/");
}


/* [user[:password]@]host[:port][,host[:port]...]/master[/db][?parameters] */

static ngx_int_t
ngx_chat_redis_url_parse_sentinel(ngx_chat_redis_url_t *ru, u_char *p,
    u_char *last)
{
    u_char                 *args, *slash, *end;
    ngx_str_t               text;
    ngx_chat_redis_conf_t  *rcf;

    rcf = ngx_pcalloc(ru->pool, sizeof(ngx_chat_redis_conf_t));
    if (rcf == NULL) {
        return NGX_ERROR;
    }

    rcf->tls = ru->conf->tls;
    ru->conf->sentinel = rcf;

    if (ngx_chat_redis_url_read_args(ru) != NGX_OK) {
        return NGX_ERROR;
    }

    /* before anything else, as a password there may have an "@" too */

    args = ngx_strlcasestrn(p, last, (u_char *) "?sentinel_",
                            sizeof("?sentinel_") - 2);

    if (args && ngx_chat_redis_url_parse_args(ru, args + 1, last) != NGX_OK) {
        return NGX_ERROR;
    }

    if (args) {
        last = args;
    }

    if (ngx_chat_redis_url_parse_user(ru, &p, last) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_strlchr(p, last, '?') || ngx_strlchr(p, last, '#')) {
        return ngx_chat_redis_url_fail(ru, NGX_CHAT_REDIS_SENTINEL_ARGS);
    }

    slash = ngx_strlchr(p, last, '/');

    if (slash == NULL || slash + 1 == last || slash[1] == '/') {
        return ngx_chat_redis_url_fail(ru,
                         "no name of a master behind the hosts of the "
                         "\"redis+sentinel://\" URL");
    }

    if (ngx_chat_redis_conf_parse_hosts(ru->pool, rcf, p, slash,
                                        NGX_CHAT_REDIS_SENTINEL_PORT, &ru->err)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    end = ngx_strlchr(slash + 1, last, '/');

    if (end && end + 1 < last
        && ngx_chat_redis_url_parse_db(ru, end + 1, last) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (end == NULL) {
        end = last;
    }

    rcf->master.data = slash + 1;
    rcf->master.len = end - slash - 1;

    if (ngx_chat_redis_url_join_hosts(ru, rcf, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    rcf->name = text;

    /* not in the URL itself, whose memory is its owner's */

    rcf->master.data = text.data + text.len - rcf->master.len;

    return ngx_chat_redis_url_set_name(ru, &text, "/");
}


static ngx_int_t
ngx_chat_redis_url_parse_args(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    size_t      len;
    u_char     *end;
    ngx_str_t  *value;

    /* both names are of this length */

    len = sizeof("sentinel_username=") - 1;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > len
            && ngx_strncmp(p, "sentinel_username=", len) == 0)
        {
            value = &ru->conf->sentinel->user;

        } else if ((size_t) (end - p) > len
                   && ngx_strncmp(p, "sentinel_password=", len) == 0)
        {
            value = &ru->conf->sentinel->password;

        } else {
            return ngx_chat_redis_url_fail(ru, NGX_CHAT_REDIS_SENTINEL_ARGS);
        }

        if (ngx_chat_redis_decode(ru->pool, p + len, end, value, &ru->err)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_parse_unix(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    u_char     *args;
    ngx_str_t   text;

    if (ngx_chat_redis_url_read_args(ru) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ru->env && last - p > 2 && p[0] == '/' && p[1] == '/') {
        p += 2;

        if (*p != '/'
            && ngx_chat_redis_url_parse_user(ru, &p, last) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    args = ngx_strlchr(p, last, '?');

    if (args) {

        if (last - args < (ptrdiff_t) sizeof("?db=") - 1
            || ngx_strncmp(args, "?db=", sizeof("?db=") - 1) != 0)
        {
            return ngx_chat_redis_url_fail(ru,
                         "only \"?db=number\" may follow the path of a socket");
        }

        if (ngx_chat_redis_url_parse_db(ru, args + sizeof("?db=") - 1, last)
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

    if (ngx_chat_redis_conf_set_socket(ru->pool, ru->conf, &text, &ru->err)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ru->conf->host = text;

    return ngx_chat_redis_url_set_name(ru, &text, "?db=");
}


static ngx_int_t
ngx_chat_redis_url_parse_user(ngx_chat_redis_url_t *ru, u_char **pos,
    u_char *last)
{
    u_char  *p, *at, *colon;

    p = *pos;

    /* a password may have an "@" or a "/" of its own, what follows may not */

    for (at = last; at > p; at--) {
        if (at[-1] == '@') {
            break;
        }
    }

    if (at == p) {
        return NGX_OK;
    }

    *pos = at;
    last = at - 1;

    colon = ngx_strlchr(p, last, ':');

    if (ngx_chat_redis_decode(ru->pool, p, colon ? colon : last,
                              &ru->conf->user, &ru->err)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (colon == NULL) {
        return NGX_OK;
    }

    return ngx_chat_redis_decode(ru->pool, colon + 1, last,
                                 &ru->conf->password, &ru->err);
}


static ngx_int_t
ngx_chat_redis_url_parse_db(ngx_chat_redis_url_t *ru, u_char *p, u_char *last)
{
    ngx_int_t  n;

    if (ru->conf->args && ru->conf->args->db) {
        return NGX_OK;
    }

    n = (last - p > NGX_CHAT_REDIS_DB_DIGITS) ? NGX_ERROR
                                              : ngx_atoi(p, last - p);

    if (n == NGX_ERROR) {
        return ngx_chat_redis_url_fail(ru,
                         "the database in the Redis URL is not a number");
    }

    ru->conf->db = n;

    return NGX_OK;
}


/* "host:port,host:port/master" */

static ngx_int_t
ngx_chat_redis_url_join_hosts(ngx_chat_redis_url_t *ru,
    ngx_chat_redis_conf_t *rcf, ngx_str_t *text)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = rcf->master.len;

    for (i = 0; i < rcf->nhosts; i++) {
        len += rcf->hosts[i].url.len + 1;
    }

    p = ngx_pnalloc(ru->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    text->len = len;

    for (i = 0; i < rcf->nhosts; i++) {

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, rcf->hosts[i].url.data, rcf->hosts[i].url.len);
    }

    *p++ = '/';
    ngx_memcpy(p, rcf->master.data, rcf->master.len);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_set_name(ngx_chat_redis_url_t *ru, ngx_str_t *text,
    const char *separator)
{
    u_char     *p;
    ngx_str_t  *name;

    name = &ru->conf->name;

    p = ngx_pnalloc(ru->pool, text->len + sizeof("?db=") + NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name->data = p;

    p = ngx_cpymem(p, text->data, text->len);
    p = ngx_cpymem(p, separator, ngx_strlen(separator));

    name->len = ngx_sprintf(p, "%ui", ru->conf->db) - name->data;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_url_fail(ngx_chat_redis_url_t *ru, char *err)
{
    ru->err = err;

    return NGX_ERROR;
}


static u_char *
ngx_chat_redis_url_skip_scheme(ngx_str_t *url, const char *scheme)
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
