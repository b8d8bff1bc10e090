
#include "ngx_http_chat_conf.h"


#define NGX_HTTP_CHAT_ZONE_CONF_MAX  ((ssize_t) 64 * 1024 * 1024 * 1024)
#define NGX_HTTP_CHAT_ZONE_CONF_SIZE  (32 * 1024 * 1024)


void
ngx_http_chat_zone_conf_init(ngx_http_chat_main_conf_t *chmcf)
{
    if (chmcf->zone_size == NGX_CONF_UNSET_SIZE) {
        ngx_str_set(&chmcf->zone_name, "chat");
        chmcf->zone_size = NGX_HTTP_CHAT_ZONE_CONF_SIZE;
    }
}


char *
ngx_http_chat_zone_conf_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_chat_main_conf_t  *chmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (chmcf->zone_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"chat_zone\" has an invalid value \"%V\", "
                               "it is a name and a size, or \"off\"",
                               &value[1]);
            return NGX_CONF_ERROR;
        }

        chmcf->zone_size = 0;

        return NGX_CONF_OK;
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR || size < NGX_CHAT_TIER_MIN
        || size > NGX_HTTP_CHAT_ZONE_CONF_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"chat_zone\" has an invalid size \"%V\", it is "
                           "from 64k to 64g", &value[2]);
        return NGX_CONF_ERROR;
    }

    chmcf->zone_name = value[1];
    chmcf->zone_size = (size_t) size;

    return NGX_CONF_OK;
}
