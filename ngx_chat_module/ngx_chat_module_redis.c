
#include "ngx_chat_module_redis.h"
#include "codec/ngx_chat_key.h"
#include "http/conf/ngx_http_chat_conf.h"
#include "http/conf/ngx_http_chat_env.h"
#include "http/conf/ngx_http_chat_redis_upstream.h"
#include "redis/ngx_chat_redis_tls.h"
#include "redis/ngx_chat_redis_url.h"


static ngx_int_t ngx_chat_module_redis_init_cache(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf);
static ngx_int_t ngx_chat_module_redis_init_broker(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf);
static ngx_int_t ngx_chat_module_redis_init_tls(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf);
static ngx_int_t ngx_chat_module_redis_create_tls(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf, ngx_chat_redis_conf_t *rcf,
    const char *variable);
static void ngx_chat_module_redis_merge_tls_args(ngx_chat_tls_t *tls,
    ngx_chat_redis_args_t *args);
static ngx_chat_redis_conf_t *ngx_chat_module_redis_parse_url(ngx_conf_t *cf,
    ngx_str_t *url, ngx_uint_t env, const char *what);
static ngx_int_t ngx_chat_module_redis_init_conf(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf, ngx_chat_redis_conf_t *rcf,
    const char *what);


static ngx_str_t  ngx_chat_module_redis_certificate_key =
    ngx_string("chat_redis_ssl_certificate_key");


char *
ngx_chat_module_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_main_conf_t  *chmcf = conf;

    ngx_str_t  *value;

    if (chmcf->redis || chmcf->redis_off) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        chmcf->redis_off = 1;
        return NGX_CONF_OK;
    }

    chmcf->redis = ngx_chat_module_redis_parse_url(cf, &value[1], 0,
                                                   "\"chat_redis\"");

    return chmcf->redis ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_chat_module_redis_broker_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_chat_main_conf_t  *chmcf = conf;

    ngx_str_t  *value;

    if (chmcf->broker) {
        return "is duplicate";
    }

    value = cf->args->elts;

    chmcf->broker = ngx_chat_module_redis_parse_url(cf, &value[1], 0,
                                                    "\"chat_broker\"");

    return chmcf->broker ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_chat_module_redis_password_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char  *p = conf;

    ngx_str_t  *value, *password;

    password = (ngx_str_t *) (p + cmd->offset);

    if (password->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_chat_env_read_value(cf, &value[0], 1, 1, &value[1], password)
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
ngx_chat_module_redis_init(ngx_conf_t *cf, ngx_http_chat_main_conf_t *chmcf)
{
    if (ngx_chat_module_redis_init_cache(cf, chmcf) != NGX_OK
        || ngx_chat_module_redis_init_broker(cf, chmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_module_redis_init_tls(cf, chmcf);
}


static ngx_int_t
ngx_chat_module_redis_init_cache(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf)
{
    ngx_int_t  rc;
    ngx_str_t  url;

    if (chmcf->redis == NULL) {

        /* secret: the URL may hold a password */

        rc = ngx_http_chat_env_get(cf, "REDIS_URL", 1, &url);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_str_set(&url, "redis://127.0.0.1:6379/0");
        }

        chmcf->redis = ngx_chat_module_redis_parse_url(cf, &url, 1,
                          "\"chat_redis\", by default REDIS_URL,");
        if (chmcf->redis == NULL) {
            return NGX_ERROR;
        }
    }

    if (chmcf->redis->password.len == 0) {
        chmcf->redis->password = chmcf->password;
    }

    return ngx_chat_module_redis_init_conf(cf, chmcf, chmcf->redis,
                                           "\"chat_redis\"");
}


static ngx_int_t
ngx_chat_module_redis_init_broker(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf)
{
    ngx_int_t  rc;
    ngx_str_t  url;

    if (chmcf->broker == NULL) {

        rc = ngx_http_chat_env_get(cf, "CELERY_BROKER_URL", 1, &url);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK && !ngx_chat_redis_url_has_scheme(&url)) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "chat broker is the Redis of \"chat_redis\": "
                          "CELERY_BROKER_URL names none and is ignored");
            rc = NGX_DECLINED;
        }

        if (rc == NGX_DECLINED) {
            ngx_log_debug0(NGX_LOG_DEBUG_CORE, cf->log, 0,
                           "chat broker is the Redis of \"chat_redis\"");

            chmcf->broker = chmcf->redis;
            return NGX_OK;
        }

        chmcf->broker = ngx_chat_module_redis_parse_url(cf, &url, 1,
                           "\"chat_broker\", by default CELERY_BROKER_URL,");
        if (chmcf->broker == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_chat_module_redis_init_conf(cf, chmcf, chmcf->broker,
                                        "\"chat_broker\"")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* another database of the same server has the same password */

    if (chmcf->broker->password.len == 0
        && ngx_chat_redis_conf_is_same_server(chmcf->broker, chmcf->redis))
    {
        chmcf->broker->user = chmcf->redis->user;
        chmcf->broker->password = chmcf->redis->password;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_module_redis_init_tls(ngx_conf_t *cf, ngx_http_chat_main_conf_t *chmcf)
{
    ngx_chat_redis_conf_t  *redis, *broker;

    redis = chmcf->redis;
    broker = chmcf->broker;

    if (redis->tls
        && ngx_chat_module_redis_create_tls(cf, chmcf, redis,
                                            "REDIS_URL") != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (broker == redis || !broker->tls) {
        return NGX_OK;
    }

    if (redis->tls && redis->args == NULL && broker->args == NULL) {
        ngx_chat_redis_conf_set_tls(broker, redis->ssl, &chmcf->redis_ssl);
        return NGX_OK;
    }

    return ngx_chat_module_redis_create_tls(cf, chmcf, broker,
                                            "CELERY_BROKER_URL");
}


static ngx_int_t
ngx_chat_module_redis_create_tls(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf,
    ngx_chat_redis_conf_t *rcf, const char *variable)
{
    ngx_ssl_t       *ssl;
    ngx_chat_tls_t   tls;

    tls = chmcf->redis_ssl;

    if (rcf->args) {
        ngx_chat_module_redis_merge_tls_args(&tls, rcf->args);
    }

    ngx_conf_init_value(tls.verify, 1);

    ssl = ngx_chat_redis_tls_create(cf, &tls);

    if (ssl == NULL) {

        /* directives have been named */

        if (rcf->args) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "chat redis: the directive just named may stand "
                          "for a parameter of %s", variable);
        }

        return NGX_ERROR;
    }

    ngx_chat_redis_conf_set_tls(rcf, ssl, &tls);

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, cf->log, 0,
                   "chat redis: TLS is set up, verify:%i own certificate:%d",
                   tls.verify, tls.certificate.len != 0);

    if (tls.certificate_key.len) {
        ngx_http_chat_env_check_mode(cf, &ngx_chat_module_redis_certificate_key,
                                     &tls.certificate_key);
    }

    return NGX_OK;
}


/* parameters of a URL stand in for directives that are not set */

static void
ngx_chat_module_redis_merge_tls_args(ngx_chat_tls_t *tls,
    ngx_chat_redis_args_t *args)
{
    if (tls->trusted_certificate.len == 0) {
        tls->trusted_certificate = args->tls.trusted_certificate;
    }

    if (tls->certificate.len == 0 && tls->certificate_key.len == 0) {
        tls->certificate = args->tls.certificate;
        tls->certificate_key = args->tls.certificate_key;

        /* both may stand in one file */

        if (tls->certificate_key.len == 0) {
            tls->certificate_key = tls->certificate;
        }
    }

    if (tls->name.len == 0) {
        tls->any_name = args->tls.any_name;
    }

    ngx_conf_init_value(tls->verify, args->tls.verify);
}


static ngx_chat_redis_conf_t *
ngx_chat_module_redis_parse_url(ngx_conf_t *cf, ngx_str_t *url, ngx_uint_t env,
    const char *what)
{
    char                   *err;
    ngx_int_t               rc;
    ngx_str_t              *name;
    ngx_uint_t              i;
    ngx_chat_redis_conf_t  *rcf;

    rcf = ngx_pcalloc(cf->pool, sizeof(ngx_chat_redis_conf_t));
    if (rcf == NULL) {
        return NULL;
    }

    err = "no memory";

    rc = env ? ngx_chat_redis_url_parse_env(cf->pool, url, rcf, &err)
             : ngx_chat_redis_url_parse(cf->pool, url, rcf, &err);

    if (rc != NGX_OK) {

        /* without the URL itself, which may hold a password */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s is not usable as a Redis URL: %s", what, err);
        return NULL;
    }

    if (rcf->args == NULL) {
        return rcf;
    }

    name = rcf->args->ignored.elts;

    for (i = 0; i < rcf->args->ignored.nelts; i++) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "%s has the parameter \"%V\", which is ignored",
                      what, &name[i]);
    }

    return rcf;
}


static ngx_int_t
ngx_chat_module_redis_init_conf(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf,
    ngx_chat_redis_conf_t *rcf, const char *what)
{
    char                       *err;
    ngx_str_t                   name;
    ngx_msec_t                  timeout;
    ngx_resolver_t             *resolver;
    ngx_chat_redis_upstream_t  *upstream;

    upstream = NULL;
    timeout = 0;

    if (rcf->sentinel == NULL
        && ngx_http_chat_redis_upstream_create(cf, &rcf->host, rcf->no_port,
                                               what, &upstream)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rcf->sentinel && rcf->sentinel->password.len == 0) {
        rcf->sentinel->password = chmcf->sentinel_password;
    }

    resolver = ngx_http_chat_postconf_get_resolver(cf, &timeout);

    if (ngx_chat_redis_conf_init(cf->pool, rcf, upstream, resolver, timeout,
                                 &err, &name)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s has an unusable host \"%V\": %s", what, &name, err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* answers are those of this Redis, whichever it was before a reload */

ngx_int_t
ngx_chat_module_redis_add_zone(ngx_conf_t *cf, ngx_http_chat_main_conf_t *chmcf)
{
    u_char     realm[NGX_CHAT_TIER_REALM];
    ngx_str_t  name;

    ngx_str_set(&name, "off");

    if (chmcf->redis) {
        name = chmcf->redis->name;
    }

    if (ngx_chat_key_hash_parts(realm, NGX_CHAT_TIER_REALM, &name, 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_tier_add(cf, &chmcf->zone_name, chmcf->zone_size, realm,
                             &ngx_chat_module, &chmcf->hub.zone);
}
