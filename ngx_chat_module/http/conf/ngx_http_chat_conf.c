
#include "ngx_http_chat_conf.h"


#define NGX_HTTP_CHAT_QUESTION         "chat_question"
#define NGX_HTTP_CHAT_MAX_ANSWER       (32 * 1024 * 1024)
#define NGX_HTTP_CHAT_MAX_CONCURRENCY  100000


static ngx_int_t ngx_http_chat_conf_check_time(ngx_conf_t *cf,
    const char *directive, ngx_msec_t ms);
static ngx_int_t ngx_http_chat_conf_check_loc(ngx_conf_t *cf,
    ngx_http_chat_loc_conf_t *chlcf);
static char *ngx_http_chat_conf_set_handler(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_chat_loc_conf_t *chlcf,
    ngx_http_handler_pt handler);
static ngx_uint_t ngx_http_chat_conf_has_question(ngx_str_t *value);


void *
ngx_http_chat_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_chat_main_conf_t));
    if (chmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     chmcf->redis = NULL;
     *     chmcf->broker = NULL;
     *     chmcf->redis_off = 0;
     *     chmcf->direct = 0;
     *     chmcf->scoreboard = NULL;
     *     chmcf->redis_ssl.protocols = 0;
     *     the strings
     */

    chmcf->processes = NGX_CONF_UNSET_UINT;
    chmcf->concurrency = NGX_CONF_UNSET_UINT;
    chmcf->queue_limit = NGX_CONF_UNSET_UINT;
    chmcf->queue_timeout = NGX_CONF_UNSET_MSEC;
    chmcf->redis_ssl.verify = NGX_CONF_UNSET;
    chmcf->redis_ssl.verify_depth = NGX_CONF_UNSET;
    chmcf->direct_limit = NGX_CONF_UNSET_UINT;
    chmcf->hub_memory = NGX_CONF_UNSET_SIZE;
    chmcf->zone_size = NGX_CONF_UNSET_SIZE;

    if (ngx_array_init(&chmcf->providers, cf->pool, 4,
                       sizeof(ngx_chat_provider_t *))
        != NGX_OK
        || ngx_array_init(&chmcf->upstreams, cf->pool, 4,
                          sizeof(ngx_http_chat_provider_upstream_t *))
           != NGX_OK
        || ngx_array_init(&chmcf->locations, cf->pool, 4,
                          sizeof(ngx_http_chat_loc_conf_t *))
           != NGX_OK
        || ngx_array_init(&chmcf->secrets, cf->pool, 4, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&chmcf->variables, cf->pool, 16, sizeof(ngx_uint_t))
           != NGX_OK)
    {
        return NULL;
    }

    return chmcf;
}


char *
ngx_http_chat_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_chat_main_conf_t  *chmcf = conf;

    ngx_conf_init_uint_value(chmcf->processes, 1);
    ngx_conf_init_uint_value(chmcf->concurrency, 512);
    ngx_conf_init_uint_value(chmcf->queue_limit, 1000);
    ngx_conf_init_msec_value(chmcf->queue_timeout, 30000);
    ngx_conf_init_uint_value(chmcf->direct_limit, 64);
    ngx_conf_init_size_value(chmcf->hub_memory, 256 * 1024 * 1024);

    ngx_http_chat_zone_conf_init(chmcf);

    ngx_conf_init_value(chmcf->redis_ssl.verify_depth, 1);

    if (chmcf->redis_ssl.protocols == 0) {
        chmcf->redis_ssl.protocols = NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3;
    }

    if (chmcf->queue_timeout == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat_queue_timeout\" must not be 0, "
                      "the default is 30s");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_chat_conf_check_time(cf, "chat_queue_timeout",
                                      chmcf->queue_timeout)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Redis refuses to keep what would expire too late, when half is done */

static ngx_int_t
ngx_http_chat_conf_check_time(ngx_conf_t *cf, const char *directive,
    ngx_msec_t ms)
{
    if (ms != NGX_CONF_UNSET_MSEC && (uint64_t) ms > NGX_CHAT_TIME_MAX) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" must not be above 365000d", directive);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void *
ngx_http_chat_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_chat_loc_conf_t  *chlcf;

    chlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_chat_loc_conf_t));
    if (chlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     chlcf->names = NULL;
     *     chlcf->providers = NULL;
     *     chlcf->handler = NULL;
     *     chlcf->directive = NULL;
     *     chlcf->health = 0;
     *     chlcf->cache_key = NULL;
     *     chlcf->cache_scope = NULL;
     *     chlcf->bypass = NULL;
     */

    chlcf->cache = NGX_CONF_UNSET;
    chlcf->cache_ttl = NGX_CONF_UNSET_MSEC;
    chlcf->cache_stale = NGX_CONF_UNSET_MSEC;
    chlcf->max_question = NGX_CONF_UNSET_SIZE;
    chlcf->max_answer = NGX_CONF_UNSET_SIZE;
    chlcf->heartbeat = NGX_CONF_UNSET_MSEC;
    chlcf->cancel = NGX_CONF_UNSET;
    chlcf->grace = NGX_CONF_UNSET_MSEC;
    chlcf->miss_limit = NGX_CONF_UNSET_PTR;
    chlcf->redis_down = NGX_CONF_UNSET_UINT;
    chlcf->cache_status = NGX_CONF_UNSET;
    chlcf->lead = NGX_CONF_UNSET;

    return chlcf;
}


char *
ngx_http_chat_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_chat_loc_conf_t  *prev = parent;
    ngx_http_chat_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t   *core;
    ngx_http_chat_loc_conf_t  **location;
    ngx_http_chat_main_conf_t  *chmcf;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    /* "if" and limit_except keep the handler of their location */

    if (core->noname && core->handler == NULL) {
        conf->handler = prev->handler;
        conf->names = prev->names;
        conf->health = prev->health;
    }

    if (core->lmt_excpt && core->handler == NULL) {
        core->handler = conf->handler;
    }

    ngx_conf_merge_value(conf->cache, prev->cache, 1);

    /* the default is looked up once it is known that somebody says "chat" */

    ngx_conf_merge_msec_value(conf->cache_ttl, prev->cache_ttl,
                              NGX_CONF_UNSET_MSEC);

    ngx_conf_merge_msec_value(conf->cache_stale, prev->cache_stale, 0);
    ngx_conf_merge_size_value(conf->max_question, prev->max_question,
                              32 * 1024);
    ngx_conf_merge_size_value(conf->max_answer, prev->max_answer,
                              2 * 1024 * 1024);
    ngx_conf_merge_msec_value(conf->heartbeat, prev->heartbeat, 15000);
    ngx_conf_merge_value(conf->cancel, prev->cancel, 0);
    ngx_conf_merge_msec_value(conf->grace, prev->grace, 10000);
    ngx_conf_merge_ptr_value(conf->miss_limit, prev->miss_limit, NULL);
    ngx_conf_merge_uint_value(conf->redis_down, prev->redis_down,
                              NGX_HTTP_CHAT_REDIS_DOWN_DIRECT);
    ngx_conf_merge_value(conf->cache_status, prev->cache_status, 1);
    ngx_conf_merge_value(conf->lead, prev->lead, 1);

    if (conf->cache_key == NULL) {
        conf->cache_key = prev->cache_key;
    }

    if (conf->cache_scope == NULL) {
        conf->cache_scope = prev->cache_scope;
    }

    if (conf->bypass == NULL) {
        conf->bypass = prev->bypass;
    }

    if (ngx_http_chat_conf_check_loc(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->names == NULL) {
        return NGX_CONF_OK;
    }

    conf->resolver = core->resolver && core->resolver->connections.nelts;

    location = ngx_array_push(&chmcf->locations);
    if (location == NULL) {
        return NGX_CONF_ERROR;
    }

    *location = conf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_chat_conf_check_loc(ngx_conf_t *cf, ngx_http_chat_loc_conf_t *chlcf)
{
    const char  *directive;

    directive = NULL;

    if (chlcf->cache_ttl == 0) {
        directive = "chat_cache_ttl";

    } else if (chlcf->heartbeat == 0) {
        directive = "chat_heartbeat";

    } else if (chlcf->max_question == 0) {
        directive = "chat_max_question";

    } else if (chlcf->max_answer == 0) {
        directive = "chat_max_answer";
    }

    if (directive) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" must not be 0", directive);
        return NGX_ERROR;
    }

    if (ngx_http_chat_conf_check_time(cf, "chat_cache_ttl", chlcf->cache_ttl)
        != NGX_OK
        || ngx_http_chat_conf_check_time(cf, "chat_cache_stale",
                                         chlcf->cache_stale) != NGX_OK
        || ngx_http_chat_conf_check_time(cf, "chat_abandon", chlcf->grace)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* an answer must fit into the largest reply that the Redis client reads */

    if (chlcf->max_answer > NGX_HTTP_CHAT_MAX_ANSWER) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat_max_answer\" must not be above 32m");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* nginx itself would let the last one answer, and say nothing */

static char *
ngx_http_chat_conf_set_handler(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_chat_loc_conf_t *chlcf, ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *core;

    if (chlcf->handler == handler) {
        return "is duplicate";
    }

    if (chlcf->handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" cannot be in the same location as \"%V\": "
                           "each answers all requests",
                           &cmd->name, chlcf->directive);
        return NGX_CONF_ERROR;
    }

    chlcf->handler = handler;
    chlcf->directive = &cmd->name;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    core->handler = handler;

    return NGX_CONF_OK;
}


char *
ngx_http_chat_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_loc_conf_t  *chlcf = conf;

    char                       *rv;
    ngx_str_t                  *value, *name;
    ngx_uint_t                  i, n;
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    rv = ngx_http_chat_conf_set_handler(cf, cmd, chlcf, chmcf->handler);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    chlcf->names = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    if (chlcf->names == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        name = chlcf->names->elts;

        for (n = 0; n < chlcf->names->nelts; n++) {

            if (name[n].len == value[i].len
                && ngx_strncmp(name[n].data, value[i].data, value[i].len)
                   == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"chat\" names the provider \"%V\" twice",
                                   &value[i]);
                return NGX_CONF_ERROR;
            }
        }

        name = ngx_array_push(chlcf->names);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    if (chlcf->names->nelts == 0) {
        name = ngx_array_push(chlcf->names);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_str_set(name, "openai");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_chat_health_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_loc_conf_t  *chlcf = conf;

    char                       *rv;
    ngx_str_t                  *value;
    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    rv = ngx_http_chat_conf_set_handler(cf, cmd, chlcf, chmcf->health_handler);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    chlcf->health = NGX_HTTP_CHAT_HEALTH;

    if (cf->args->nelts == 2) {
        value = cf->args->elts;

        if (ngx_strcmp(value[1].data, "full") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"chat_health\" has an invalid value "
                               "\"%V\", it is \"full\" or nothing",
                               &value[1]);
            return NGX_CONF_ERROR;
        }

        chlcf->health = NGX_HTTP_CHAT_HEALTH_FULL;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_chat_purge_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_loc_conf_t  *chlcf = conf;

    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    return ngx_http_chat_conf_set_handler(cf, cmd, chlcf,
                                          chmcf->purge_handler);
}


char *
ngx_http_chat_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_loc_conf_t  *chlcf = conf;

    ngx_http_chat_main_conf_t  *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    return ngx_http_chat_conf_set_handler(cf, cmd, chlcf,
                                          chmcf->metrics_handler);
}


char *
ngx_http_chat_cache_key_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (!ngx_http_chat_conf_has_question(&value[1])) {
        return "must contain $chat_question: answers to different questions "
               "would share a key";
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


static ngx_uint_t
ngx_http_chat_conf_has_question(ngx_str_t *value)
{
    size_t   len;
    u_char  *p, *last, *end;

    len = sizeof(NGX_HTTP_CHAT_QUESTION) - 1;
    last = value->data + value->len;

    for (p = value->data; p < last; p++) {

        if (*p != '$') {
            continue;
        }

        p++;

        if (p < last && *p == '{') {
            p++;
        }

        if ((size_t) (last - p) < len
            || ngx_strncasecmp(p, (u_char *) NGX_HTTP_CHAT_QUESTION, len)
               != 0)
        {
            continue;
        }

        end = p + len;

        /* $chat_question_mark is another variable */

        if (end == last
            || !((*end >= 'a' && *end <= 'z') || (*end >= 'A' && *end <= 'Z')
                 || (*end >= '0' && *end <= '9') || *end == '_'))
        {
            return 1;
        }
    }

    return 0;
}


char *
ngx_http_chat_bypass_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    /* a misspelt "off" must be refused: any other word means on */

    if (ngx_http_script_variables_count(&value[1]) == 0
        && ngx_strcmp(value[1].data, "on") != 0
        && ngx_strcmp(value[1].data, "off") != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"chat_bypass\" has an invalid value \"%V\", "
                           "it is \"on\", \"off\" or a variable",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


char *
ngx_http_chat_abandon_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_chat_loc_conf_t  *chlcf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value, time;
    ngx_uint_t  n;

    if (chlcf->cancel != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = 1;

    if (ngx_strcmp(value[1].data, "finish") == 0) {
        chlcf->cancel = 0;

    } else if (ngx_strcmp(value[1].data, "cancel") == 0) {
        chlcf->cancel = 1;

    } else {
        goto invalid;
    }

    /* both are set together, or a grace would be inherited without its word */

    chlcf->grace = 10000;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    n = 2;

    if (ngx_strncmp(value[2].data, "grace=", 6) != 0) {
        goto invalid;
    }

    time.data = value[2].data + 6;
    time.len = value[2].len - 6;

    ms = ngx_parse_time(&time, 0);

    if (ms == NGX_ERROR) {
        goto invalid;
    }

    chlcf->grace = (ngx_msec_t) ms;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"chat_abandon\" has an invalid value \"%V\", it is "
                       "\"finish\" or \"cancel\", and a \"grace=TIME\" "
                       "after it", &value[n]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_chat_redis_down_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_chat_loc_conf_t  *chlcf = conf;

    ngx_str_t  *value;

    if (chlcf->redis_down != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "direct") == 0) {
        chlcf->redis_down = NGX_HTTP_CHAT_REDIS_DOWN_DIRECT;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "error") == 0) {
        chlcf->redis_down = NGX_HTTP_CHAT_REDIS_DOWN_ERROR;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"chat_redis_down\" has an invalid value \"%V\", "
                       "it is \"direct\" or \"error\"", &value[1]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_chat_fill_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_main_conf_t  *chmcf = conf;

    ngx_int_t    n, max;
    ngx_str_t   *value;
    ngx_uint_t   i, *field, prefix;

    if (chmcf->processes != NGX_CONF_UNSET_UINT
        || chmcf->concurrency != NGX_CONF_UNSET_UINT)
    {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "processes=", 10) == 0) {
            prefix = 10;
            field = &chmcf->processes;
            max = NGX_CHAT_SCOREBOARD_FILLERS;

        } else if (ngx_strncmp(value[i].data, "concurrency=", 12) == 0) {
            prefix = 12;
            field = &chmcf->concurrency;
            max = NGX_HTTP_CHAT_MAX_CONCURRENCY;

        } else {
            goto invalid;
        }

        n = ngx_atoi(value[i].data + prefix, value[i].len - prefix);

        if (n == NGX_ERROR || n == 0 || n > max
            || *field != NGX_CONF_UNSET_UINT)
        {
            goto invalid;
        }

        *field = (ngx_uint_t) n;
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"chat_fill\" has an invalid value \"%V\", it is "
                       "\"processes=\" 1 to %d and \"concurrency=\" 1 to %d",
                       &value[i], NGX_CHAT_SCOREBOARD_FILLERS,
                       NGX_HTTP_CHAT_MAX_CONCURRENCY);

    return NGX_CONF_ERROR;
}
