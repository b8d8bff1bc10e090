
#include "ngx_http_chat_conf.h"
#include "ngx_http_chat_env.h"
#include "ngx_http_chat_provider_conf.h"
#include "../../codec/ngx_chat_key.h"


static ngx_uint_t ngx_http_chat_postconf_is_question(ngx_str_t *value);
static ngx_int_t ngx_http_chat_postconf_get_ttl(ngx_conf_t *cf,
    ngx_msec_t *ttl);
static ngx_int_t ngx_http_chat_postconf_init_location(ngx_conf_t *cf,
    ngx_http_chat_loc_conf_t *chlcf);
static ngx_uint_t ngx_http_chat_postconf_is_proxied(
    ngx_http_chat_loc_conf_t *chlcf);
static void ngx_http_chat_postconf_warn_limits(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf);
static void ngx_http_chat_postconf_warn_keys(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf);
static ngx_uint_t ngx_http_chat_postconf_is_same(ngx_http_complex_value_t *a,
    ngx_http_complex_value_t *b);


static ngx_str_t  ngx_http_chat_postconf_question[] = {
    ngx_string("$chat_question"),
    ngx_string("${chat_question}")
};


ngx_int_t
ngx_http_chat_postconf_providers(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_msec_t                   ttl;
    ngx_chat_provider_t        **pvp;
    ngx_http_chat_loc_conf_t   **chlcf;
    ngx_http_chat_main_conf_t   *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    if (chmcf->locations.nelts == 0) {
        return NGX_OK;
    }

    ttl = 0;
    chlcf = chmcf->locations.elts;

    for (i = 0; i < chmcf->locations.nelts; i++) {

        if (chlcf[i]->cache_key
            && ngx_http_chat_postconf_is_question(&chlcf[i]->cache_key->value))
        {
            chlcf[i]->cache_key = NULL;
        }

        if (chlcf[i]->cache_ttl == NGX_CONF_UNSET_MSEC) {

            if (ttl == 0 && ngx_http_chat_postconf_get_ttl(cf,
                                                           &ttl) != NGX_OK) {
                return NGX_ERROR;
            }

            chlcf[i]->cache_ttl = ttl;
        }

        if (ngx_http_chat_postconf_init_location(cf, chlcf[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        chlcf[i]->leads = chlcf[i]->lead && !chmcf->redis_off
                          && !ngx_http_chat_postconf_is_proxied(chlcf[i]);
    }

    pvp = chmcf->providers.elts;

    for (i = 0; i < chmcf->providers.nelts; i++) {
        ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                      "chat provider \"%V\": model \"%V\" at %V",
                      &pvp[i]->name, &pvp[i]->model, &pvp[i]->url);
    }

    ngx_http_chat_postconf_warn_limits(cf, chmcf);
    ngx_http_chat_postconf_warn_keys(cf, chmcf);

    return NGX_OK;
}


/* the question alone, as it is by default */

static ngx_uint_t
ngx_http_chat_postconf_is_question(ngx_str_t *value)
{
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {

        if (value->len == ngx_http_chat_postconf_question[i].len
            && ngx_strncasecmp(value->data,
                               ngx_http_chat_postconf_question[i].data,
                               value->len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_chat_postconf_get_ttl(ngx_conf_t *cf, ngx_msec_t *ttl)
{
    ngx_int_t  rc, seconds;
    ngx_str_t  value;

    *ttl = 900000;

    rc = ngx_http_chat_env_get(cf, "CACHE_TTL_SECONDS", 0, &value);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    seconds = ngx_atoi(value.data, value.len);

    if (seconds == NGX_ERROR || seconds == 0 || seconds > NGX_MAX_INT32_VALUE)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat_cache_ttl\", by default CACHE_TTL_SECONDS, "
                      "is no number of seconds above 0: \"%V\"", &value);
        return NGX_ERROR;
    }

    *ttl = (ngx_msec_t) seconds * 1000;

    return NGX_OK;
}


static ngx_int_t
ngx_http_chat_postconf_init_location(ngx_conf_t *cf,
    ngx_http_chat_loc_conf_t *chlcf)
{
    size_t                 len;
    u_char                *p;
    ngx_str_t             *name, *parts;
    ngx_uint_t             i, n;
    ngx_chat_provider_t   *pv, **pvp;

    name = chlcf->names->elts;
    n = chlcf->names->nelts;
    len = 0;

    chlcf->providers = ngx_array_create(cf->pool, n,
                                        sizeof(ngx_chat_provider_t *));
    parts = ngx_palloc(cf->pool, n * sizeof(ngx_str_t));

    if (chlcf->providers == NULL || parts == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        pv = ngx_http_chat_provider_conf_find(cf, &name[i]);
        if (pv == NULL) {
            return NGX_ERROR;
        }

        pvp = ngx_array_push(chlcf->providers);
        *pvp = pv;

        parts[i].len = NGX_CHAT_FP_LEN;
        parts[i].data = pv->fp;

        len += pv->name.len + 1 + NGX_CHAT_FP_LEN + 1;
    }

    if (ngx_chat_key_hash_parts(chlcf->fp, NGX_CHAT_FP_LEN, parts,
                                n) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    chlcf->provider_list.data = p;

    pvp = chlcf->providers->elts;

    for (i = 0; i < n; i++) {

        if (i) {
            *p++ = ' ';
        }

        p = ngx_cpymem(p, pvp[i]->name.data, pvp[i]->name.len);
        *p++ = '=';
        p = ngx_cpymem(p, pvp[i]->fp, NGX_CHAT_FP_LEN);
    }

    chlcf->provider_list.len = p - chlcf->provider_list.data;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, cf->log, 0,
                   "chat location asks \"%V\", fingerprint %*s",
                   &chlcf->provider_list, (size_t) NGX_CHAT_FP_LEN, chlcf->fp);

    return NGX_OK;
}


/* proxies are the filler's */

static ngx_uint_t
ngx_http_chat_postconf_is_proxied(ngx_http_chat_loc_conf_t *chlcf)
{
    ngx_uint_t             i;
    ngx_chat_provider_t  **pvp;

    pvp = chlcf->providers->elts;

    for (i = 0; i < chlcf->providers->nelts; i++) {

        if (pvp[i]->proxy.len) {
            return 1;
        }
    }

    return 0;
}


/* misses are counted by Redis: without it nothing is limited */

static void
ngx_http_chat_postconf_warn_limits(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf)
{
    ngx_uint_t                  i;
    ngx_http_chat_loc_conf_t  **chlcf;

    if (!chmcf->redis_off) {
        return;
    }

    chlcf = chmcf->locations.elts;

    for (i = 0; i < chmcf->locations.nelts; i++) {

        if (chlcf[i]->miss_limit) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "\"chat_miss_limit\" limits nothing with "
                          "\"chat_redis off\"");
            return;
        }
    }
}


/*
 * Locations that ask differently but use the same keys serve nothing wrong,
 * since fingerprints tell their answers apart, yet replace each other's.
 */

static void
ngx_http_chat_postconf_warn_keys(ngx_conf_t *cf,
    ngx_http_chat_main_conf_t *chmcf)
{
    ngx_uint_t                  i, n;
    ngx_http_chat_loc_conf_t  **chlcf;

    chlcf = chmcf->locations.elts;

    for (i = 0; i < chmcf->locations.nelts; i++) {

        for (n = 0; n < i; n++) {

            if (!chlcf[i]->cache || !chlcf[n]->cache
                || ngx_memcmp(chlcf[i]->fp, chlcf[n]->fp, NGX_CHAT_FP_LEN) == 0
                || !ngx_http_chat_postconf_is_same(chlcf[i]->cache_key,
                                                   chlcf[n]->cache_key)
                || !ngx_http_chat_postconf_is_same(chlcf[i]->cache_scope,
                                                   chlcf[n]->cache_scope))
            {
                continue;
            }

            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "chat locations share \"chat_cache_key %V\" but "
                          "differ in provider, model, system text or params: "
                          "their answers replace each other in the cache; "
                          "a \"chat_cache_scope\" of its own avoids that",
                          chlcf[i]->cache_key
                          ? &chlcf[i]->cache_key->value
                          : &ngx_http_chat_postconf_question[0]);
            return;
        }
    }
}


static ngx_uint_t
ngx_http_chat_postconf_is_same(ngx_http_complex_value_t *a,
    ngx_http_complex_value_t *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }

    return a->value.len == b->value.len
           && ngx_memcmp(a->value.data, b->value.data, a->value.len) == 0;
}


ngx_resolver_t *
ngx_http_chat_postconf_get_resolver(ngx_conf_t *cf, ngx_msec_t *timeout)
{
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* nginx's dummy resolver, where none is configured, has no servers */

    if (core->resolver == NULL || core->resolver->connections.nelts == 0) {
        return NULL;
    }

    *timeout = (core->resolver_timeout == NGX_CONF_UNSET_MSEC)
               ? 30000 : core->resolver_timeout;

    return core->resolver;
}
