
#include "ngx_http_chat_provider_conf.h"
#include "ngx_http_chat_provider_directives.h"
#include "ngx_http_chat_env.h"
#include "ngx_http_chat_provider_network.h"
#include "../../provider/ngx_chat_provider_json.h"
#include "../../codec/ngx_chat_utf8.h"


#define NGX_HTTP_CHAT_DEFAULT_URL    "https://api.openai.com/v1"
#define NGX_HTTP_CHAT_DEFAULT_MODEL  "gpt-4o-mini"


static ngx_chat_provider_t *ngx_http_chat_provider_conf_create(ngx_conf_t *cf,
    ngx_str_t *name);
static char *ngx_http_chat_provider_conf_finish(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);
static char *ngx_http_chat_provider_conf_set_model(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);
static char *ngx_http_chat_provider_conf_set_key(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_str_t *url);
static ngx_uint_t ngx_http_chat_provider_conf_is_plain(ngx_str_t *url);


char *
ngx_http_chat_provider_conf_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_chat_main_conf_t  *chmcf = conf;

    char                          *rv;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_conf_t                     save;
    ngx_chat_provider_t          **pvp;
    ngx_http_chat_provider_ctx_t   ctx;

    value = cf->args->elts;

    if (!ngx_http_chat_provider_directives_is_token(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"chat_provider\" has an invalid name \"%V\", "
                           "letters, digits, \"-\", \"_\" and \".\" make one",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    pvp = chmcf->providers.elts;

    for (i = 0; i < chmcf->providers.nelts; i++) {

        if (pvp[i]->name.len == value[1].len
            && ngx_strncmp(pvp[i]->name.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"chat_provider\" \"%V\" is duplicate",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    ctx.seen = 0;
    ctx.provider = ngx_http_chat_provider_conf_create(cf, &value[1]);
    if (ctx.provider == NULL) {
        return NGX_CONF_ERROR;
    }

    save = *cf;

    cf->handler = ngx_http_chat_provider_directives_handler;
    cf->handler_conf = (char *) &ctx;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_chat_provider_conf_finish(cf, ctx.provider);
}


ngx_chat_provider_t *
ngx_http_chat_provider_conf_find(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                   i;
    ngx_chat_provider_t         *pv, **pvp;
    ngx_http_chat_main_conf_t   *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    pvp = chmcf->providers.elts;

    for (i = 0; i < chmcf->providers.nelts; i++) {

        if (pvp[i]->name.len == name->len
            && ngx_strncmp(pvp[i]->name.data, name->data, name->len) == 0)
        {
            return pvp[i];
        }
    }

    if (name->len != 6 || ngx_strncmp(name->data, "openai", 6) != 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat\" names an unknown provider \"%V\", "
                      "no \"chat_provider\" has this name", name);
        return NULL;
    }

    pv = ngx_http_chat_provider_conf_create(cf, name);

    if (pv == NULL || ngx_http_chat_provider_conf_finish(cf,
                                                         pv) != NGX_CONF_OK) {
        return NULL;
    }

    return pv;
}


static ngx_chat_provider_t *
ngx_http_chat_provider_conf_create(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_chat_provider_t         *pv, **pvp;
    ngx_http_chat_main_conf_t   *chmcf;

    chmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    pv = ngx_pcalloc(cf->pool, sizeof(ngx_chat_provider_t));
    if (pv == NULL) {
        return NULL;
    }

    pvp = ngx_array_push(&chmcf->providers);
    if (pvp == NULL) {
        return NULL;
    }

    *pvp = pv;

    pv->name = *name;
    pv->connect_timeout = 5000;
    pv->first_token_timeout = 120000;
    pv->idle_timeout = 60000;
    pv->total_timeout = 600000;
    pv->retries = 2;
    pv->max_fails = 1;
    pv->fail_timeout = 10000;
    pv->keepalive = 256;
    pv->keepalive_timeout = 300000;

    return pv;
}


/* values missing from the block come from the environment */

static char *
ngx_http_chat_provider_conf_finish(ngx_conf_t *cf, ngx_chat_provider_t *pv)
{
    ngx_int_t  rc;
    ngx_str_t  url;

    rc = ngx_http_chat_env_get(cf, "OPENAI_BASE_URL", 0, &url);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_str_set(&url, NGX_HTTP_CHAT_DEFAULT_URL);
    }

    if (pv->url.data == NULL) {
        pv->url = url;

        if (ngx_http_chat_provider_directives_check_url(cf,
                                                        pv) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (pv->model.data == NULL
        && ngx_http_chat_provider_conf_set_model(cf, pv) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (pv->key.data == NULL
        && ngx_http_chat_provider_conf_set_key(cf, pv, &url) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (pv->key.len && ngx_http_chat_provider_conf_is_plain(&pv->url)) {
        ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                      "chat provider \"%V\": its key goes to \"%V\" "
                      "unencrypted", &pv->name, &pv->url);
    }

    if (ngx_http_chat_provider_network_init_proxy(cf, pv) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_chat_provider_prepare(pv, cf->pool) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, cf->log, 0,
                   "chat provider \"%V\" is complete, fingerprint %*s",
                   &pv->name, (size_t) NGX_CHAT_FP_LEN, pv->fp);

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_conf_set_model(ngx_conf_t *cf, ngx_chat_provider_t *pv)
{
    ngx_int_t  rc;

    rc = ngx_http_chat_env_get(cf, "OPENAI_MODEL", 0, &pv->model);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_str_set(&pv->model, NGX_HTTP_CHAT_DEFAULT_MODEL);
    }

    if (ngx_chat_utf8_check(pv->model.data, pv->model.len) != NGX_OK
        || !ngx_http_chat_provider_directives_is_printable(&pv->model))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "chat provider \"%V\": OPENAI_MODEL is not valid "
                      "UTF-8, or holds control characters", &pv->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * The environment's key is meant for the service at url, which is that of the
 * environment too, or OpenAI's where it names none: no other is sent this key
 * unless "key" says so.
 */

static char *
ngx_http_chat_provider_conf_set_key(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_str_t *url)
{
    size_t     len;
    ngx_int_t  rc;

    for (len = url->len; len && url->data[len - 1] == '/'; len--) {
        /* void */
    }

    if (pv->url.len != len || ngx_strncmp(pv->url.data, url->data, len) != 0) {
        ngx_str_set(&pv->key, "");

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "chat provider \"%V\" has no key: OPENAI_API_KEY is for "
                      "the default \"url\" alone, \"key\" says what to send "
                      "elsewhere (\"\": nothing)", &pv->name);

        return NGX_CONF_OK;
    }

    rc = ngx_http_chat_env_get(cf, "OPENAI_API_KEY", 1, &pv->key);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "chat provider \"%V\" has no key: OPENAI_API_KEY "
                      "is not set%s", &pv->name, ngx_http_chat_env_get_hint());
    }

    if (!ngx_http_chat_provider_directives_is_printable(&pv->key)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "chat provider \"%V\": OPENAI_API_KEY holds control "
                      "characters", &pv->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* is a key for this URL sent in cleartext beyond this machine? */

static ngx_uint_t
ngx_http_chat_provider_conf_is_plain(ngx_str_t *url)
{
    u_char     *p, *last;
    ngx_str_t   host;

    if (ngx_strncasecmp(url->data, (u_char *) "http://", 7) != 0) {
        return 0;
    }

    host.data = url->data + 7;
    last = url->data + url->len;

    for (p = host.data; p < last && *p != ':' && *p != '/'; p++) {
        /* void */
    }

    host.len = p - host.data;

    if (last - host.data >= 5 && ngx_strncmp(host.data, "[::1]", 5) == 0) {
        return 0;
    }

    if (host.len == 9
        && ngx_strncasecmp(host.data, (u_char *) "localhost", 9) == 0)
    {
        return 0;
    }

    return (ntohl(ngx_inet_addr(host.data, host.len)) >> 24) != 127;
}
