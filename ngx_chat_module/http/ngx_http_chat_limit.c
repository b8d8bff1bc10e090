
#include "ngx_http_chat_limit.h"
#include "../codec/ngx_chat_key.h"


#define NGX_HTTP_CHAT_LIMIT_MAX   1000000

/* us: what is counted must be exact in the numbers of a script */
#define NGX_HTTP_CHAT_LIMIT_YEAR  ((uint64_t) 365 * 86400 * 1000000)


static uint64_t ngx_http_chat_limit_parse_interval(ngx_str_t *value);
static ngx_int_t ngx_http_chat_limit_set_name(ngx_conf_t *cf,
    ngx_http_chat_limit_t *hl, ngx_str_t *key);


char *
ngx_http_chat_miss_limit_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_chat_loc_conf_t  *chlcf = conf;

    ngx_int_t                          burst;
    ngx_str_t                         *value;
    ngx_uint_t                         n;
    ngx_http_chat_limit_t             *hl;
    ngx_http_compile_complex_value_t   ccv;

    if (chlcf->miss_limit != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") != 0) {
            return "needs a rate";
        }

        chlcf->miss_limit = NULL;

        return NGX_CONF_OK;
    }

    hl = ngx_pcalloc(cf->pool, sizeof(ngx_http_chat_limit_t));
    if (hl == NULL) {
        return NGX_CONF_ERROR;
    }

    n = 2;

    hl->interval = ngx_http_chat_limit_parse_interval(&value[n]);

    if (hl->interval == 0) {
        goto invalid;
    }

    if (cf->args->nelts == 4) {
        n = 3;

        if (ngx_strncmp(value[n].data, "burst=", 6) != 0) {
            goto invalid;
        }

        burst = ngx_atoi(value[n].data + 6, value[n].len - 6);

        if (burst == NGX_ERROR || burst > NGX_HTTP_CHAT_LIMIT_MAX
            || (uint64_t) (burst + 1) * hl->interval
               > NGX_HTTP_CHAT_LIMIT_YEAR)
        {
            goto invalid;
        }

        hl->burst = (ngx_uint_t) burst;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &hl->key;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK
        || ngx_http_chat_limit_set_name(cf, hl, &value[1]) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    chlcf->miss_limit = hl;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"chat_miss_limit\"",
                       &value[n]);

    return NGX_CONF_ERROR;
}


/* "rate=10r/m": us between two; 0: it is no rate */

static uint64_t
ngx_http_chat_limit_parse_interval(ngx_str_t *value)
{
    u_char     *p, *last;
    uint64_t    period;
    ngx_int_t   n;

    if (value->len < sizeof("rate=1r/s") - 1
        || ngx_strncmp(value->data, "rate=", 5) != 0)
    {
        return 0;
    }

    p = value->data + 5;
    last = value->data + value->len - 3;

    if (last[0] != 'r' || last[1] != '/') {
        return 0;
    }

    switch (last[2]) {

    case 's':
        period = 1;
        break;

    case 'm':
        period = 60;
        break;

    case 'h':
        period = 60 * 60;
        break;

    case 'd':
        period = 24 * 60 * 60;
        break;

    default:
        return 0;
    }

    n = ngx_atoi(p, last - p);

    if (n == NGX_ERROR || n == 0 || n > NGX_HTTP_CHAT_LIMIT_MAX) {
        return 0;
    }

    return period * 1000000 / n;
}


/* limits of the same settings count together, wherever they stand */

static ngx_int_t
ngx_http_chat_limit_set_name(ngx_conf_t *cf, ngx_http_chat_limit_t *hl,
    ngx_str_t *key)
{
    u_char  *p;

    hl->name.data = ngx_pnalloc(cf->pool, NGX_INT64_LEN + NGX_INT_T_LEN + 2
                                          + key->len);
    if (hl->name.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(hl->name.data, "%uL %ui %V", hl->interval, hl->burst,
                    key);

    hl->name.len = p - hl->name.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_chat_limit_get(ngx_http_request_t *r, ngx_http_chat_limit_t *hl,
    ngx_chat_limit_t *limit)
{
    ngx_str_t  parts[2];

    if (ngx_http_complex_value(r, &hl->key, &parts[1]) != NGX_OK) {
        return NGX_ERROR;
    }

    if (parts[1].len == 0) {
        return NGX_OK;
    }

    parts[0] = hl->name;

    /* addresses and names of users do not go to Redis */

    if (ngx_chat_key_hash_parts(limit->name, NGX_CHAT_HASH_LEN, parts, 2)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    limit->interval = hl->interval;
    limit->burst = hl->burst;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "chat miss limit counts under %*s, burst %ui",
                   (size_t) NGX_CHAT_HASH_LEN, limit->name, limit->burst);

    return NGX_OK;
}
