
/*
 * The configuration's life: made, merged, checked and resolved.  What needs
 * Redis' URLs is in ngx_chat_module.c.
 */


#ifndef _NGX_HTTP_CHAT_CONF_H_INCLUDED_
#define _NGX_HTTP_CHAT_CONF_H_INCLUDED_


#include "../ngx_http_chat.h"


void *ngx_http_chat_create_main_conf(ngx_conf_t *cf);
char *ngx_http_chat_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_chat_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_chat_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);

/* directives */
char *ngx_http_chat_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_chat_health_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_chat_purge_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_chat_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_chat_cache_key_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_chat_bypass_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_chat_abandon_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_chat_redis_down_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* chat_zone, and its default */
char *ngx_http_chat_zone_conf_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_chat_zone_conf_init(ngx_http_chat_main_conf_t *chmcf);

char *ngx_http_chat_fill_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * After the whole http block was read: providers of all locations are found,
 * fingerprints made.  NGX_OK, NGX_ERROR: logged.
 */
ngx_int_t ngx_http_chat_postconf_providers(ngx_conf_t *cf);

/* NULL: http{} has none */
ngx_resolver_t *ngx_http_chat_postconf_get_resolver(ngx_conf_t *cf,
    ngx_msec_t *timeout);


#endif /* _NGX_HTTP_CHAT_CONF_H_INCLUDED_ */
