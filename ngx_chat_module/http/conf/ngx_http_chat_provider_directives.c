
#include "ngx_http_chat_provider_directives.h"
#include "ngx_http_chat_env.h"
#include "ngx_http_chat_provider_network.h"
#include "../../codec/ngx_chat_json.h"
#include "../../codec/ngx_chat_utf8.h"


/* of "cost": a product with any number of tokens fits into 64 bits */
#define NGX_HTTP_CHAT_COST_DIGITS  6
#define NGX_HTTP_CHAT_COST_MAX     100000000000


typedef struct ngx_http_chat_provider_directive_s
    ngx_http_chat_provider_directive_t;

struct ngx_http_chat_provider_directive_s {
    ngx_str_t              name;
    ngx_uint_t             args;
    ngx_uint_t             repeatable;
    char                *(*set)(ngx_conf_t *cf, ngx_chat_provider_t *pv,
                                ngx_http_chat_provider_directive_t *cmd);
    size_t                 offset;
    ngx_int_t              max;        /* of a number */
};


static char *ngx_http_chat_provider_directives_set_url(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_key(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_text(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_param(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_cost(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_usage(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_header(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_trust(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_msec(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);
static char *ngx_http_chat_provider_directives_set_num(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_directive_t *cmd);


static char *ngx_http_chat_provider_directives_refuse(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, const char *reason);


static ngx_http_chat_provider_directive_t
    ngx_http_chat_provider_directives[] = {

    { ngx_string("url"), 1, 0, ngx_http_chat_provider_directives_set_url,
    0, 0 },

    { ngx_string("key"), 1, 0, ngx_http_chat_provider_directives_set_key,
    0, 0 },

    { ngx_string("model"), 1, 0, ngx_http_chat_provider_directives_set_text,
      offsetof(ngx_chat_provider_t, model), 0 },

    { ngx_string("system"), 1, 0, ngx_http_chat_provider_directives_set_text,
      offsetof(ngx_chat_provider_t, system), 0 },

    { ngx_string("param"), 2, 1, ngx_http_chat_provider_directives_set_param,
    0, 0 },

    { ngx_string("usage"), 1, 0, ngx_http_chat_provider_directives_set_usage,
    0, 0 },

    { ngx_string("cost"), 2, 0, ngx_http_chat_provider_directives_set_cost,
    0, 0 },

    { ngx_string("header"), 2, 1, ngx_http_chat_provider_directives_set_header,
    0, 0 },

    { ngx_string("proxy"), 1, 0, ngx_http_chat_provider_directives_set_proxy,
    0, 0 },

    { ngx_string("trusted_certificate"), 1, 0,
      ngx_http_chat_provider_directives_set_trust, 0, 0 },

    { ngx_string("connect_timeout"), 1, 0,
    ngx_http_chat_provider_directives_set_msec,
      offsetof(ngx_chat_provider_t, connect_timeout), 0 },

    { ngx_string("first_token_timeout"), 1, 0,
    ngx_http_chat_provider_directives_set_msec,
      offsetof(ngx_chat_provider_t, first_token_timeout), 0 },

    { ngx_string("idle_timeout"), 1, 0,
    ngx_http_chat_provider_directives_set_msec,
      offsetof(ngx_chat_provider_t, idle_timeout), 0 },

    { ngx_string("total_timeout"), 1, 0,
    ngx_http_chat_provider_directives_set_msec,
      offsetof(ngx_chat_provider_t, total_timeout), 0 },

    { ngx_string("retries"), 1, 0, ngx_http_chat_provider_directives_set_num,
      offsetof(ngx_chat_provider_t, retries), 100 },

    { ngx_string("max_fails"), 1, 0, ngx_http_chat_provider_directives_set_num,
      offsetof(ngx_chat_provider_t, max_fails), 100 },

    { ngx_string("fail_timeout"), 1, 0,
    ngx_http_chat_provider_directives_set_msec,
      offsetof(ngx_chat_provider_t, fail_timeout), 0 },

    { ngx_string("keepalive"), 1, 0, ngx_http_chat_provider_directives_set_num,
      offsetof(ngx_chat_provider_t, keepalive), 10000 },

    { ngx_string("keepalive_timeout"), 1, 0,
    ngx_http_chat_provider_directives_set_msec,
      offsetof(ngx_chat_provider_t, keepalive_timeout), 0 },

    { ngx_null_string, 0, 0, NULL, 0, 0 }
};


char *
ngx_http_chat_provider_directives_handler(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    ngx_http_chat_provider_ctx_t  *ctx = conf;

    ngx_str_t                           *value;
    ngx_uint_t                           i;
    ngx_http_chat_provider_directive_t  *cmd;

    value = cf->args->elts;

    for (i = 0; ngx_http_chat_provider_directives[i].name.len; i++) {
        cmd = &ngx_http_chat_provider_directives[i];

        if (cmd->name.len != value[0].len
            || ngx_strncmp(cmd->name.data, value[0].data, value[0].len) != 0)
        {
            continue;
        }

        if (cf->args->nelts != cmd->args + 1) {
            return ngx_http_chat_provider_directives_refuse(cf, ctx->provider,
                                    "has an invalid number of arguments");
        }

        if (!cmd->repeatable && (ctx->seen & ((ngx_uint_t) 1 << i))) {
            return ngx_http_chat_provider_directives_refuse(cf, ctx->provider,
                                                            "is duplicate");
        }

        ctx->seen |= (ngx_uint_t) 1 << i;

        return cmd->set(cf, ctx->provider, cmd);
    }

    return ngx_http_chat_provider_directives_refuse(cf, ctx->provider,
                                                    "is an unknown directive");
}


static char *
ngx_http_chat_provider_directives_set_url(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    pv->url = value[1];

    return ngx_http_chat_provider_directives_check_url(cf, pv);
}


static char *
ngx_http_chat_provider_directives_set_key(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_http_chat_env_read_value(cf, &value[0], 1, 1, &value[1], &pv->key)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (pv->key.data == NULL) {

        /* named, but not set: there is none, and no default either */

        pv->key.data = (u_char *) "";
    }

    if (!ngx_http_chat_provider_directives_is_printable(&pv->key)) {
        return ngx_http_chat_provider_directives_refuse(cf, pv,
                                            "holds control characters");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_directives_set_text(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_str_t  *value, *field;

    value = cf->args->elts;
    field = (ngx_str_t *) ((char *) pv + cmd->offset);

    /* a model's name is not long enough to stand in a file */

    if (field == &pv->model) {
        *field = value[1];

    } else if (ngx_http_chat_env_read_value(cf, &value[0], 0, 0, &value[1],
                                            field)
               != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_chat_utf8_check(field->data, field->len) != NGX_OK) {
        return ngx_http_chat_provider_directives_refuse(cf, pv,
                                                        "is not valid UTF-8");
    }

    if (field == &pv->model && field->len == 0) {
        return ngx_http_chat_provider_directives_refuse(cf, pv, "is empty");
    }

    if (field == &pv->model
        && !ngx_http_chat_provider_directives_is_printable(field))
    {
        return ngx_http_chat_provider_directives_refuse(cf, pv,
                                            "holds control characters");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_directives_set_param(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_str_t     *value;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "messages") == 0
        || ngx_strcmp(value[1].data, "stream") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": \"param %V\" is set by the "
                           "module itself", &pv->name, &value[1]);
        return NGX_CONF_ERROR;
    }

    if (value[1].len == 0
        || ngx_chat_utf8_check(value[1].data, value[1].len) != NGX_OK)
    {
        return ngx_http_chat_provider_directives_refuse(cf, pv,
                                                        "has an invalid name");
    }

    if (pv->params == NULL) {
        pv->params = ngx_array_create(cf->pool, 4, sizeof(ngx_keyval_t));
        if (pv->params == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    kv = pv->params->elts;

    for (i = 0; i < pv->params->nelts; i++) {

        if (kv[i].key.len == value[1].len
            && ngx_strncmp(kv[i].key.data, value[1].data, value[1].len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "chat provider \"%V\": \"param %V\" is "
                               "duplicate", &pv->name, &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    kv = ngx_array_push(pv->params);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];

    if (ngx_http_chat_env_read_value(cf, &value[0], 0, 0, &value[2], &kv->value)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_chat_json_check_value(kv->value.data, kv->value.len) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": \"param %V\" is not a JSON "
                           "value; nginx itself resolves \\n, \\t and \\\\ "
                           "in quotes, \"file:PATH\" avoids that", &pv->name,
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_directives_set_cost(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_int_t   in, out;
    ngx_str_t  *value;

    value = cf->args->elts;

    in = ngx_atofp(value[1].data, value[1].len, NGX_HTTP_CHAT_COST_DIGITS);
    out = ngx_atofp(value[2].data, value[2].len, NGX_HTTP_CHAT_COST_DIGITS);

    if (in == NGX_ERROR || in > NGX_HTTP_CHAT_COST_MAX
        || out == NGX_ERROR || out > NGX_HTTP_CHAT_COST_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": \"cost\" takes two "
                           "numbers from 0 to 100000, with 6 decimals at "
                           "most: for a million tokens, in and out",
                           &pv->name);
        return NGX_CONF_ERROR;
    }

    pv->cost_in = in;
    pv->cost_out = out;

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_directives_set_usage(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        pv->no_usage = 0;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        pv->no_usage = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": \"usage\" is \"on\" or "
                           "\"off\", not \"%V\"", &pv->name, &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_directives_set_header(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_str_t     *value, text;
    ngx_keyval_t  *kv;

    value = cf->args->elts;

    if (!ngx_http_chat_provider_directives_is_token(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": \"header\" has an invalid "
                           "name \"%V\"", &pv->name, &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_chat_env_read_value(cf, &value[0], 1, 1, &value[2], &text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (text.data == NULL) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_chat_provider_directives_is_printable(&text)) {
        return ngx_http_chat_provider_directives_refuse(cf, pv,
                                            "holds control characters");
    }

    if (pv->headers == NULL) {
        pv->headers = ngx_array_create(cf->pool, 4, sizeof(ngx_keyval_t));
        if (pv->headers == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    kv = ngx_array_push(pv->headers);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];
    kv->value = text;

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_directives_set_proxy(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    return ngx_http_chat_provider_network_read_proxy(cf, pv);
}


static char *
ngx_http_chat_provider_directives_set_trust(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    return ngx_http_chat_provider_network_read_trust(cf, pv);
}


static char *
ngx_http_chat_provider_directives_set_msec(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_int_t   ms;
    ngx_str_t  *value;

    value = cf->args->elts;

    ms = ngx_parse_time(&value[1], 0);

    /* 0 is no timeout, and every wait has one; a day is not one either */

    if (ms == NGX_ERROR || ms == 0 || ms > 24 * 60 * 60 * 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": \"%V\" has an invalid time "
                           "\"%V\", from 1ms to 1d will do", &pv->name,
                           &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    *(ngx_msec_t *) ((char *) pv + cmd->offset) = (ngx_msec_t) ms;

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_directives_set_num(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    ngx_http_chat_provider_directive_t *cmd)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n > cmd->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat provider \"%V\": \"%V\" has an invalid "
                           "number \"%V\", from 0 to %i will do", &pv->name,
                           &value[0], &value[1], cmd->max);
        return NGX_CONF_ERROR;
    }

    *(ngx_uint_t *) ((char *) pv + cmd->offset) = (ngx_uint_t) n;

    return NGX_CONF_OK;
}


/* the line that is being read is no good */

static char *
ngx_http_chat_provider_directives_refuse(ngx_conf_t *cf,
    ngx_chat_provider_t *pv,
    const char *reason)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "chat provider \"%V\": \"%V\" %s",
                       &pv->name, &value[0], reason);

    return NGX_CONF_ERROR;
}


char *
ngx_http_chat_provider_directives_check_url(ngx_conf_t *cf,
    ngx_chat_provider_t *pv)
{
    size_t      host;
    u_char     *p;
    ngx_str_t   full, *url;

    url = &pv->url;
    full = *url;

    if (url->len > 8 && ngx_strncasecmp(url->data, (u_char *) "https://", 8)
                        == 0)
    {
        host = 8;

    } else if (url->len > 7
               && ngx_strncasecmp(url->data, (u_char *) "http://", 7) == 0)
    {
        host = 7;

    } else {
        goto invalid;
    }

    for (p = url->data + host; p < url->data + url->len && *p != '/'; p++) {

        if (*p == '@') {
            goto private;
        }
    }

    for (p = url->data; p < url->data + url->len; p++) {

        if (*p <= 0x20 || *p >= 0x7f || *p == '"' || *p == '\\' || *p == '?'
            || *p == '#')
        {
            goto invalid;
        }
    }

    while (url->len > host && url->data[url->len - 1] == '/') {
        url->len--;
    }

    if (url->len == host || url->data[host] == '/') {
        goto invalid;
    }

    return NGX_CONF_OK;

private:

    /* not shown, as what is shown of a URL ends up in the log */

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "chat provider \"%V\": \"url\" holds a user or a "
                       "password: \"key\" and \"header\" are for these",
                       &pv->name);

    return NGX_CONF_ERROR;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "chat provider \"%V\": \"url\" is invalid: \"%V\", "
                       "it is \"https://host/path\" or \"http://host/path\"",
                       &pv->name, &full);

    return NGX_CONF_ERROR;
}


ngx_uint_t
ngx_http_chat_provider_directives_is_printable(ngx_str_t *s)
{
    u_char  *p;

    for (p = s->data; p < s->data + s->len; p++) {

        if (*p < 0x20 || *p == 0x7f) {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_http_chat_provider_directives_is_token(ngx_str_t *s)
{
    u_char  *p;

    for (p = s->data; p < s->data + s->len; p++) {

        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
            || (*p >= '0' && *p <= '9')
            || *p == '-' || *p == '_' || *p == '.')
        {
            continue;
        }

        return 0;
    }

    return s->len != 0;
}
