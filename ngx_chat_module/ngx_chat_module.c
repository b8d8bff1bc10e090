
/*
 * The module: its directives, and the one place that knows both http and the
 * filler and starts and stops them.
 */


#include "ngx_chat_module_redis.h"
#include "http/conf/ngx_http_chat_conf.h"
#include "http/conf/ngx_http_chat_env.h"
#include "http/ngx_http_chat_body.h"
#include "http/ngx_http_chat_error_filter.h"
#include "http/conf/ngx_http_chat_redis_upstream.h"
#include "http/provider/ngx_http_chat_worker.h"
#include "http/ngx_http_chat_handler.h"
#include "http/ngx_http_chat_health.h"
#include "http/ngx_http_chat_limit.h"
#include "http/ngx_http_chat_purge.h"
#include "http/ngx_http_chat_metrics.h"
#include "http/conf/ngx_http_chat_provider_conf.h"
#include "http/provider/ngx_http_chat_provider_upstream.h"
#include "http/ngx_http_chat_variables.h"
#include "filler/ngx_chat_supervisor.h"
#include "lane/ngx_chat_lane_rendezvous.h"


#define NGX_CHAT_MAX_QUEUE   1000000
#define NGX_CHAT_MAX_DIRECT  10000
#define NGX_CHAT_MIN_MEMORY  (1024 * 1024)


static char *ngx_chat_check_queue_limit(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_chat_check_direct_limit(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_chat_check_hub_memory(ngx_conf_t *cf, void *post,
    void *data);

static ngx_int_t ngx_chat_preconfiguration(ngx_conf_t *cf);
static void *ngx_chat_create_main_conf(ngx_conf_t *cf);
static ngx_int_t ngx_chat_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_chat_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_chat_init_process(ngx_cycle_t *cycle);
static void ngx_chat_exit_process(ngx_cycle_t *cycle);


static ngx_conf_post_t  ngx_chat_queue_limit_post = {
    ngx_chat_check_queue_limit
};

static ngx_conf_post_t  ngx_chat_direct_limit_post = {
    ngx_chat_check_direct_limit
};

static ngx_conf_post_t  ngx_chat_hub_memory_post = {
    ngx_chat_check_hub_memory
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

    { ngx_string("chat_purge"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_chat_purge_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_chat_metrics_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_module_redis_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_redis_password"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_module_redis_password_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, password),
      NULL },

    { ngx_string("chat_redis_sentinel_password"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_module_redis_password_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, sentinel_password),
      NULL },

    { ngx_string("chat_broker"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_module_redis_broker_directive,
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
      ngx_http_chat_provider_conf_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_fill"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_chat_fill_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_chat_zone_conf_directive,
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

    { ngx_string("chat_hub_memory"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, hub_memory),
      &ngx_chat_hub_memory_post },

    { ngx_string("chat_direct_limit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_chat_main_conf_t, direct_limit),
      &ngx_chat_direct_limit_post },

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

    { ngx_string("chat_cache_stale"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, cache_stale),
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

    { ngx_string("chat_lead"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_chat_loc_conf_t, lead),
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

    ngx_chat_create_main_conf,        /* create main configuration */
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
    ngx_chat_init_module,                  /* init module */
    ngx_chat_init_process,                 /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_chat_exit_process,                 /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_chat_check_queue_limit(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t *limit = data;

    if (*limit == 0 || *limit > NGX_CHAT_MAX_QUEUE) {
        return "must be from 1 to 1000000";
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_check_direct_limit(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t *limit = data;

    if (*limit == 0 || *limit > NGX_CHAT_MAX_DIRECT) {
        return "must be from 1 to 10000";
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_check_hub_memory(ngx_conf_t *cf, void *post, void *data)
{
    size_t *memory = data;

    if (*memory < NGX_CHAT_MIN_MEMORY) {
        return "must be at least 1m";
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_chat_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_chat_variables_add(cf);
}


/* the configuration is below the requests, whose handlers it sets */

static void *
ngx_chat_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_chat_create_main_conf(cf);

    if (chmcf) {
        chmcf->handler = ngx_http_chat_handler;
        chmcf->health_handler = ngx_http_chat_health_handler;
        chmcf->purge_handler = ngx_http_chat_purge_handler;
        chmcf->metrics_handler = ngx_http_chat_metrics_handler;
    }

    return chmcf;
}


static ngx_int_t
ngx_chat_postconfiguration(ngx_conf_t *cf)
{
    ngx_msec_t                  timeout;
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    if (ngx_http_chat_postconf_providers(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (chmcf->locations.nelts == 0) {
        return NGX_OK;
    }

    chmcf->resolver = ngx_http_chat_postconf_get_resolver(cf, &timeout);

    if (!chmcf->redis_off && ngx_chat_module_redis_init(cf,
                                                        chmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_chat_provider_upstreams_create(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    chmcf->hub.redis = chmcf->redis;
    chmcf->hub.broker = chmcf->broker;
    chmcf->hub.queue_limit = chmcf->queue_limit;
    chmcf->hub.queue_timeout = chmcf->queue_timeout;
    chmcf->hub.memory = chmcf->hub_memory;
    chmcf->hub.fillers = chmcf->redis ? chmcf->processes : 0;

    if (chmcf->zone_size
        && ngx_chat_module_redis_add_zone(cf, chmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_chat_scoreboard_add(cf, &ngx_chat_module,
                                &chmcf->scoreboard) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_chat_metrics_zone_add(cf, &ngx_chat_module,
                                  &chmcf->metrics) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_chat_body_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_chat_error_filter_init(cf);
}


static ngx_int_t
ngx_chat_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_chat_provider_t        **pv;
    ngx_http_chat_main_conf_t   *chmcf;

    chmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_chat_module);

    if (chmcf == NULL || chmcf->metrics == NULL) {
        return NGX_OK;
    }

    pv = chmcf->providers.elts;

    for (i = 0; i < chmcf->providers.nelts; i++) {
        ngx_chat_metrics_zone_add_name(chmcf->metrics, &pv[i]->name);
    }

    if (chmcf->redis == NULL) {
        return NGX_OK;
    }

    return ngx_chat_lane_rendezvous_create(chmcf->processes, cycle->log);
}


static ngx_int_t
ngx_chat_init_process(ngx_cycle_t *cycle)
{
    ngx_chat_filler_conf_t     *fcf;
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_chat_module);

    if (chmcf == NULL || chmcf->scoreboard == NULL) {
        return NGX_OK;
    }

    ngx_http_chat_env_drop_secrets(&chmcf->secrets);

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    fcf = ngx_pcalloc(cycle->pool, sizeof(ngx_chat_filler_conf_t));
    if (fcf == NULL) {
        return NGX_ERROR;
    }

    fcf->redis = chmcf->redis;
    fcf->broker = chmcf->broker;
    fcf->providers = &chmcf->providers;
    fcf->resolver = chmcf->resolver;
    fcf->processes = chmcf->processes;
    fcf->concurrency = chmcf->concurrency;
    fcf->generations = chmcf->processes * chmcf->concurrency;
    fcf->scoreboard = chmcf->scoreboard;
    fcf->metrics = chmcf->metrics;

    /* before the hub: the first filler is forked from a clean process */

    if (chmcf->redis && ngx_chat_supervisor_start(fcf, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_chat_worker_init(chmcf, cycle);
}


static void
ngx_chat_exit_process(ngx_cycle_t *cycle)
{
    ngx_chat_supervisor_stop(cycle);

    ngx_http_chat_worker_close();
}
