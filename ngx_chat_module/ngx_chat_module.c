
/*
 * The module: its directives, and the one place that knows both http and the
 * companion and starts and stops them.
 */


#include "http/ngx_http_chat_conf.h"
#include "http/ngx_http_chat_env.h"
#include "http/ngx_http_chat_filter.h"
#include "http/ngx_http_chat_group.h"
#include "http/ngx_http_chat_limit.h"
#include "http/ngx_http_chat_provider_conf.h"
#include "http/ngx_http_chat_target.h"
#include "http/ngx_http_chat_variables.h"
#include "filler/ngx_chat_filler.h"
#include "redis/ngx_chat_redis_tls.h"
#include "redis/ngx_chat_redis_url.h"


#define NGX_CHAT_MAX_QUEUE  1000000


static char *ngx_chat_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_chat_broker_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_chat_password_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static char *ngx_chat_check_queue_limit(ngx_conf_t *cf, void *post,
    void *data);

static ngx_int_t ngx_chat_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_chat_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_chat_init_redis(ngx_conf_t *cf,
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
static ngx_int_t ngx_chat_init_process(ngx_cycle_t *cycle);
static void ngx_chat_exit_process(ngx_cycle_t *cycle);


static ngx_conf_post_t  ngx_chat_queue_limit_post = {
    ngx_chat_check_queue_limit
};

static ngx_conf_num_bounds_t  ngx_chat_direct_limit_bounds = {
    ngx_conf_check_num_bounds, 1, 10000
};


static ngx_conf_bitmask_t  ngx_chat_redis_ssl_protocols[] = {
    { ngx_string("TLSv1"), NGX_SSL_TLSv1 },
    { ngx_string("TLSv1.1"), NGX_SSL_TLSv1_1 },
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_chat_commands[] = {

    { ngx_string("chat"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_ANY,
      ngx_http_chat_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_chat_health_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_redis_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_redis_password"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_password_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, password),
      NULL },

    { ngx_string("chat_redis_sentinel_password"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_password_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, sentinel_password),
      NULL },

    { ngx_string("chat_broker"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_broker_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_redis_ssl_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, redis_ssl.trusted_certificate),
      NULL },

    { ngx_string("chat_redis_ssl_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, redis_ssl.certificate),
      NULL },

    { ngx_string("chat_redis_ssl_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, redis_ssl.certificate_key),
      NULL },

    { ngx_string("chat_redis_ssl_name"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, redis_ssl.name),
      NULL },

    { ngx_string("chat_redis_ssl_verify"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, redis_ssl.verify),
      NULL },

    { ngx_string("chat_redis_ssl_verify_depth"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, redis_ssl.verify_depth),
      NULL },

    { ngx_string("chat_redis_ssl_protocols"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, redis_ssl.protocols),
      &ngx_chat_redis_ssl_protocols },

    { ngx_string("chat_provider"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_chat_provider_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_fill"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_chat_fill_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_queue_limit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, queue_limit),
      &ngx_chat_queue_limit_post },

    { ngx_string("chat_queue_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, queue_timeout),
      NULL },

    { ngx_string("chat_direct_limit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, direct_limit),
      &ngx_chat_direct_limit_bounds },

    { ngx_string("chat_cache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, cache),
      NULL },

    { ngx_string("chat_cache_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, cache_ttl),
      NULL },

    { ngx_string("chat_cache_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_chat_cache_key_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, cache_key),
      NULL },

    { ngx_string("chat_cache_scope"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, cache_scope),
      NULL },

    { ngx_string("chat_bypass"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_chat_bypass_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, bypass),
      NULL },

    { ngx_string("chat_max_question"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, max_question),
      NULL },

    { ngx_string("chat_max_answer"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, max_answer),
      NULL },

    { ngx_string("chat_heartbeat"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, heartbeat),
      NULL },

    { ngx_string("chat_abandon"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_chat_abandon_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_miss_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_chat_miss_limit_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_redis_down"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_chat_redis_down_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_cache_status"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, cache_status),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_chat_module_ctx = {
    ngx_chat_preconfiguration,             /* preconfiguration */
    ngx_chat_postconfiguration,            /* postconfiguration */

    ngx_http_chat_create_main_conf,        /* create main configuration */
    ngx_http_chat_init_main_conf,          /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_chat_create_loc_conf,         /* create location configuration */
    ngx_http_chat_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_chat_module = {
    NGX_MODULE_V1,
    &ngx_chat_module_ctx,                  /* module context */
    ngx_chat_commands,                     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_chat_init_process,                 /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_chat_exit_process,                 /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_chat_hub_t  *ngx_http_chat_hub;
ngx_atomic_t    *ngx_http_chat_requests;


static char *
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


static char *
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


static char *
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


static char *
ngx_chat_check_queue_limit(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t *limit = data;

    if (*limit == 0 || *limit > NGX_CHAT_MAX_QUEUE) {
        return "must be from 1 to 1000000";
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_chat_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_chat_add_variables(cf);
}


static ngx_int_t
ngx_chat_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    if (ngx_http_chat_resolve(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (cmcf->locations.nelts == 0) {
        return NGX_OK;
    }

    if (!cmcf->redis_off
        && (ngx_chat_init_redis(cf, cmcf) != NGX_OK
            || ngx_chat_init_broker(cf, cmcf) != NGX_OK
            || ngx_chat_init_tls(cf, cmcf) != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_http_chat_targets(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    cmcf->hub.redis = cmcf->redis;
    cmcf->hub.broker = cmcf->broker;
    cmcf->hub.queue_limit = cmcf->queue_limit;
    cmcf->hub.queue_timeout = cmcf->queue_timeout;

    if (ngx_chat_board_add(cf, &ngx_chat_module, &cmcf->board) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_chat_filter_init(cf);
}


static ngx_int_t
ngx_chat_init_redis(ngx_conf_t *cf, ngx_http_chat_main_conf_t *cmcf)
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


static ngx_int_t
ngx_chat_init_process(ngx_cycle_t *cycle)
{
    static ngx_atomic_t  unread;

    ngx_chat_filler_conf_t     *fcf;
    ngx_http_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_chat_module);

    if (cmcf == NULL || cmcf->board == NULL) {
        return NGX_OK;
    }

    ngx_http_chat_env_drop(&cmcf->secrets);

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    fcf = ngx_pcalloc(cycle->pool, sizeof(ngx_chat_filler_conf_t));
    if (fcf == NULL) {
        return NGX_ERROR;
    }

    fcf->redis = cmcf->redis;
    fcf->broker = cmcf->broker;
    fcf->providers = &cmcf->providers;
    fcf->processes = cmcf->processes;
    fcf->concurrency = cmcf->concurrency;
    fcf->board = cmcf->board;

    /* before the hub: the first companion is forked from a clean process */

    if (cmcf->redis && ngx_chat_supervisor_start(fcf, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_chat_requests = ngx_chat_board_worker(cmcf->board, ngx_pid);
    if (ngx_http_chat_requests == NULL) {
        ngx_http_chat_requests = &unread;
    }

    ngx_http_chat_hub = ngx_chat_hub_create(&cmcf->hub, cycle->log);
    if (ngx_http_chat_hub == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_chat_exit_process(ngx_cycle_t *cycle)
{
    ngx_chat_supervisor_stop(cycle);

    if (ngx_http_chat_hub) {
        ngx_chat_hub_close(ngx_http_chat_hub);
        ngx_http_chat_hub = NULL;
    }
}
