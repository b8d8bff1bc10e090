
#include "ngx_chat_redis_url.h"
#include "../codec/ngx_chat_str.h"


#define NGX_CHAT_REDIS_ARGS_MAX_NAME  40    /* of one that is ignored */
#define NGX_CHAT_REDIS_DB_DIGITS      9


typedef struct ngx_chat_redis_args_param_s  ngx_chat_redis_args_param_t;

struct ngx_chat_redis_args_param_s {
    ngx_str_t                 name;

    /* NGX_DECLINED: without effect */
    ngx_int_t               (*set)(ngx_chat_redis_conf_t *rcf,
                                   ngx_chat_redis_args_param_t *arg,
                                   ngx_str_t *value, char **err);
    size_t                    offset;
};


static size_t ngx_chat_redis_args_get_name_len(u_char *p, u_char *last);
static ngx_int_t ngx_chat_redis_args_parse_param(ngx_pool_t *pool,
    ngx_chat_redis_conf_t *rcf, u_char *p, u_char *last, char **err);
static ngx_chat_redis_args_param_t *ngx_chat_redis_args_get_param(u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_redis_args_ignore(ngx_pool_t *pool,
    ngx_chat_redis_conf_t *rcf, u_char *p, u_char *last);

static ngx_int_t ngx_chat_redis_args_set_verify(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err);
static ngx_int_t ngx_chat_redis_args_set_any_name(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err);
static ngx_int_t ngx_chat_redis_args_set_file(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err);
static ngx_int_t ngx_chat_redis_args_set_db(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err);
static ngx_int_t ngx_chat_redis_args_set_text(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err);
static ngx_int_t ngx_chat_redis_args_set_sentinel(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err);
static ngx_uint_t ngx_chat_redis_args_is_among(ngx_str_t *value,
    const char **words);


static ngx_chat_redis_args_param_t  ngx_chat_redis_args_known[] = {

    { ngx_string("ssl_cert_reqs"), ngx_chat_redis_args_set_verify, 0 },
    { ngx_string("ssl_check_hostname"), ngx_chat_redis_args_set_any_name, 0 },

    { ngx_string("ssl_ca_certs"), ngx_chat_redis_args_set_file,
      offsetof(ngx_chat_tls_t, trusted_certificate) },

    { ngx_string("ssl_certfile"), ngx_chat_redis_args_set_file,
      offsetof(ngx_chat_tls_t, certificate) },

    { ngx_string("ssl_keyfile"), ngx_chat_redis_args_set_file,
      offsetof(ngx_chat_tls_t, certificate_key) },

    { ngx_string("db"), ngx_chat_redis_args_set_db, 0 },

    { ngx_string("username"), ngx_chat_redis_args_set_text,
      offsetof(ngx_chat_redis_conf_t, user) },

    { ngx_string("password"), ngx_chat_redis_args_set_text,
      offsetof(ngx_chat_redis_conf_t, password) },

    { ngx_string("sentinel_username"), ngx_chat_redis_args_set_sentinel,
      offsetof(ngx_chat_redis_conf_t, user) },

    { ngx_string("sentinel_password"), ngx_chat_redis_args_set_sentinel,
      offsetof(ngx_chat_redis_conf_t, password) },

    { ngx_null_string, NULL, 0 }
};


/* to a client "optional" is the same, as no server goes without one */

static const char  *ngx_chat_redis_args_required[] = {
    "required", "CERT_REQUIRED", "optional", "CERT_OPTIONAL", NULL
};

static const char  *ngx_chat_redis_args_none[] = {
    "none", "CERT_NONE", NULL
};

static const char  *ngx_chat_redis_args_true[] = {
    "true", "t", "1", "yes", "y", NULL
};

static const char  *ngx_chat_redis_args_false[] = {
    "false", "f", "0", "no", "n", NULL
};


/* a password may have a "?" of its own, but hardly with a name behind it */

u_char *
ngx_chat_redis_args_find(u_char *p, u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        if (*p == '?'
            && (ngx_chat_redis_args_get_name_len(p + 1, last)
                || ngx_strlchr(p, last, '@') == NULL))
        {
            return p;
        }
    }

    return NULL;
}


/* the length of what looks like the name of a parameter, 0: nothing does */

static size_t
ngx_chat_redis_args_get_name_len(u_char *p, u_char *last)
{
    u_char  *start;

    for (start = p; p < last; p++) {

        if (*p == '=') {
            return p - start;
        }

        if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9') && *p != '_') {
            return 0;
        }
    }

    return 0;
}


ngx_int_t
ngx_chat_redis_args_parse(ngx_pool_t *pool, ngx_chat_redis_conf_t *rcf,
    u_char *p,
    u_char *last, char **err)
{
    u_char                 *end;
    ngx_chat_redis_args_t  *args;

    args = ngx_pcalloc(pool, sizeof(ngx_chat_redis_args_t));
    if (args == NULL) {
        return NGX_ERROR;
    }

    rcf->args = args;

    args->tls.verify = NGX_CONF_UNSET;

    if (ngx_array_init(&args->ignored, pool, 4, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        if (end > p
            && ngx_chat_redis_args_parse_param(pool, rcf, p, end, err)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_args_parse_param(ngx_pool_t *pool, ngx_chat_redis_conf_t *rcf,
    u_char *p, u_char *last, char **err)
{
    ngx_int_t                     rc;
    ngx_str_t                     value;
    ngx_chat_redis_args_param_t  *arg;

    arg = ngx_chat_redis_args_get_param(p, last);

    if (arg == NULL) {
        return ngx_chat_redis_args_ignore(pool, rcf, p, last);
    }

    if (ngx_chat_redis_decode(pool, p + arg->name.len + 1, last, &value,
                              err)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = arg->set(rcf, arg, &value, err);

    if (rc == NGX_DECLINED) {
        return ngx_chat_redis_args_ignore(pool, rcf, p, last);
    }

    return rc;
}


static ngx_chat_redis_args_param_t *
ngx_chat_redis_args_get_param(u_char *p, u_char *last)
{
    ngx_chat_redis_args_param_t  *arg;

    for (arg = ngx_chat_redis_args_known; arg->name.len; arg++) {

        if ((size_t) (last - p) > arg->name.len
            && p[arg->name.len] == '='
            && ngx_strncmp(p, arg->name.data, arg->name.len) == 0)
        {
            return arg;
        }
    }

    return NULL;
}


/* noted for the log without its value, and only what looks like a name */

static ngx_int_t
ngx_chat_redis_args_ignore(ngx_pool_t *pool, ngx_chat_redis_conf_t *rcf,
    u_char *p, u_char *last)
{
    size_t      len;
    ngx_str_t  *name;

    name = ngx_array_push(&rcf->args->ignored);
    if (name == NULL) {
        return NGX_ERROR;
    }

    len = ngx_chat_redis_args_get_name_len(p, last);

    if (len == 0 || len > NGX_CHAT_REDIS_ARGS_MAX_NAME) {
        ngx_str_set(name, "?");
        return NGX_OK;
    }

    name->data = p;
    name->len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_args_set_verify(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err)
{
    if (!rcf->tls) {
        return NGX_DECLINED;
    }

    if (ngx_chat_redis_args_is_among(value, ngx_chat_redis_args_required)) {
        rcf->args->tls.verify = 1;

    } else if (ngx_chat_redis_args_is_among(value, ngx_chat_redis_args_none)) {
        rcf->args->tls.verify = 0;

    } else {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_args_set_any_name(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err)
{
    if (!rcf->tls) {
        return NGX_DECLINED;
    }

    if (ngx_chat_redis_args_is_among(value, ngx_chat_redis_args_true)) {
        rcf->args->tls.any_name = 0;

    } else if (ngx_chat_redis_args_is_among(value, ngx_chat_redis_args_false)) {
        rcf->args->tls.any_name = 1;

    } else {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_args_set_file(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err)
{
    if (!rcf->tls || value->len == 0) {
        return NGX_DECLINED;
    }

    *(ngx_str_t *) ((char *) &rcf->args->tls + arg->offset) = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_args_set_db(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err)
{
    ngx_int_t  n;

    n = (value->len > NGX_CHAT_REDIS_DB_DIGITS)
        ? NGX_ERROR : ngx_atoi(value->data, value->len);

    if (n == NGX_ERROR) {
        *err = "the database in the Redis URL is not a number";
        return NGX_ERROR;
    }

    rcf->db = n;
    rcf->args->db = 1;

    return NGX_OK;
}


/* user and password in front of the host are read later, and replace these */

static ngx_int_t
ngx_chat_redis_args_set_text(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err)
{
    *(ngx_str_t *) ((char *) rcf + arg->offset) = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_redis_args_set_sentinel(ngx_chat_redis_conf_t *rcf,
    ngx_chat_redis_args_param_t *arg, ngx_str_t *value, char **err)
{
    if (rcf->sentinel == NULL) {
        return NGX_DECLINED;
    }

    return ngx_chat_redis_args_set_text(rcf->sentinel, arg, value, err);
}


static ngx_uint_t
ngx_chat_redis_args_is_among(ngx_str_t *value, const char **words)
{
    for ( /* void */ ; *words; words++) {

        if (ngx_strlen(*words) == value->len
            && ngx_strncasecmp(value->data, (u_char *) *words, value->len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}
