
#include "ngx_chat_module_redis.h"
#include "http/ngx_http_chat_env.h"
#include "http/ngx_http_chat_group.h"
#include "redis/ngx_chat_redis_tls.h"
#include "redis/ngx_chat_redis_url.h"


static ngx_int_t ngx_chat_init_cache(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *cmcf);
static ngx_int_t ngx_chat_init_broker(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *cmcf);
static ngx_int_t ngx_chat_init_tls(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *cmcf);
static ngx_chat_redis_conf_t *ngx_chat_parse_url(ngx_conf_t *cf,
    ngx_str_t *url, const char *what);
static ngx_int_t ngx_chat_locate(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *cmcf, ngx_chat_redis_conf_t *rcf,
    const char *what);


char *
ngx_chat_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_main_conf_t  *cmcf = conf;

    ngx_str_t  *value;

    if (cmcf->redis || cmcf->redis_off) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        cmcf->redis_off = 1;
        return NGX_CONF_OK;
    }

    cmcf->redis = ngx_chat_parse_url(cf, &value[1], "\"chat_redis\"");

    return cmcf->redis ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_chat_broker_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_main_conf_t  *cmcf = conf;

    ngx_str_t  *value;

    if (cmcf->broker) {
        return "is duplicate";
    }

    value = cf->args->elts;

    cmcf->broker = ngx_chat_parse_url(cf, &value[1], "\"chat_broker\"");

    return cmcf->broker ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_chat_password_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t  *value, *password;

    password = (ngx_str_t *) (p + cmd->offset);

    if (password->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_chat_indirect(cf, &value[0], 1, 1, &value[1], password)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (password->data == NULL) {
        password->data = (u_char *) "";
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_chat_init_redis(ngx_conf_t *cf, ngx_http_chat_main_conf_t *cmcf)
{
    if (ngx_chat_init_cache(cf, cmcf) != NGX_OK
        || ngx_chat_init_broker(cf, cmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_init_tls(cf, cmcf);
}


static ngx_int_t
ngx_chat_init_cache(ngx_conf_t *cf, ngx_http_chat_main_conf_t *cmcf)
{
    ngx_int_t  rc;
    ngx_str_t  url;

    if (cmcf->redis == NULL) {

        /* it may hold a password */

        rc = ngx_http_chat_env(cf, "REDIS_URL", 1, &url);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_str_set(&url, "redis://127.0.0.1:6379/0");
        }

        cmcf->redis = ngx_chat_parse_url(cf, &url,
                          "REDIS_URL, the default of \"chat_redis\",");
        if (cmcf->redis == NULL) {
            return NGX_ERROR;
        }
    }

    if (cmcf->redis->password.len == 0) {
        cmcf->redis->password = cmcf->password;
    }

    return ngx_chat_locate(cf, cmcf, cmcf->redis, "\"chat_redis\"");
}


static ngx_int_t
ngx_chat_init_broker(ngx_conf_t *cf, ngx_http_chat_main_conf_t *cmcf)
{
    ngx_int_t  rc;
    ngx_str_t  url;

    if (cmcf->broker == NULL) {

        rc = ngx_http_chat_env(cf, "CELERY_BROKER_URL", 1, &url);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK && !ngx_chat_redis_is_url(&url)) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "CELERY_BROKER_URL is ignored, since it names no "
                          "Redis: the broker is that of \"chat_redis\"");
            rc = NGX_DECLINED;
        }

        if (rc == NGX_DECLINED) {
            cmcf->broker = cmcf->redis;
            return NGX_OK;
        }

        cmcf->broker = ngx_chat_parse_url(cf, &url,
                           "CELERY_BROKER_URL, the default of "
                           "\"chat_broker\",");
        if (cmcf->broker == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_chat_locate(cf, cmcf, cmcf->broker, "\"chat_broker\"") != NGX_OK) {
        return NGX_ERROR;
    }

    /* another database of the same server has the same password */

    if (cmcf->broker->password.len == 0
        && ngx_chat_redis_same_server(cmcf->broker, cmcf->redis))
    {
        cmcf->broker->user = cmcf->redis->user;
        cmcf->broker->password = cmcf->redis->password;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_init_tls(ngx_conf_t *cf, ngx_http_chat_main_conf_t *cmcf)
{
    ngx_ssl_t  *ssl;

    if (!cmcf->redis->tls && !cmcf->broker->tls) {
        return NGX_OK;
    }

    ssl = ngx_chat_redis_tls_create(cf, &cmcf->redis_ssl);
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_redis_conf_tls(cmcf->redis, ssl, &cmcf->redis_ssl.name);
    ngx_chat_redis_conf_tls(cmcf->broker, ssl, &cmcf->redis_ssl.name);

    return NGX_OK;
}


static ngx_chat_redis_conf_t *
ngx_chat_parse_url(ngx_conf_t *cf, ngx_str_t *url, const char *what)
{
    char                   *err;
    ngx_chat_redis_conf_t  *rcf;

    rcf = ngx_pcalloc(cf->pool, sizeof(ngx_chat_redis_conf_t));
    if (rcf == NULL) {
        return NULL;
    }

    err = "no memory";

    if (ngx_chat_redis_parse_url(cf->pool, url, rcf, &err) != NGX_OK) {

        /* without the URL itself, which may hold a password */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s is not usable as a Redis URL: %s", what, err);
        return NULL;
    }

    return rcf;
}


static ngx_int_t
ngx_chat_locate(ngx_conf_t *cf, ngx_http_chat_main_conf_t *cmcf,
    ngx_chat_redis_conf_t *rcf, const char *what)
{
    char              *err;
    ngx_str_t          name;
    ngx_msec_t         timeout;
    ngx_resolver_t    *resolver;
    ngx_chat_group_t  *group;

    group = NULL;
    timeout = 0;

    if (rcf->sentinel == NULL
        && ngx_http_chat_group(cf, &rcf->host, rcf->no_port, what, &group)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rcf->sentinel && rcf->sentinel->password.len == 0) {
        rcf->sentinel->password = cmcf->sentinel_password;
    }

    resolver = ngx_http_chat_resolver(cf, &timeout);

    if (ngx_chat_redis_conf_init(cf->pool, rcf, group, resolver, timeout,
                                 &err, &name)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s in %s: \"%V\"", err, what, &name);
        return NGX_ERROR;
    }

    return NGX_OK;
}
