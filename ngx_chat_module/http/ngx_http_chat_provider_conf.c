
#include "ngx_http_chat_provider_conf.h"
#include "ngx_http_chat_env.h"
#include "../codec/ngx_chat_json.h"
#include "../codec/ngx_chat_provider_json.h"
#include "../codec/ngx_chat_utf8.h"


#define NGX_HTTP_CHAT_DEFAULT_URL    "https://api.openai.com/v1"
#define NGX_HTTP_CHAT_DEFAULT_MODEL  "gpt-4o-mini"


/* a block while it is read */
typedef struct {
    ngx_chat_provider_t   *provider;
    ngx_uint_t             seen;       /* a bit for each word of the table */
} ngx_http_chat_provider_ctx_t;


typedef struct ngx_http_chat_provider_word_s  ngx_http_chat_provider_word_t;

struct ngx_http_chat_provider_word_s {
    ngx_str_t              name;
    ngx_uint_t             args;
    ngx_uint_t             many;       /* may be repeated */
    char                *(*set)(ngx_conf_t *cf, ngx_chat_provider_t *pv,
                                ngx_http_chat_provider_word_t *word);
    size_t                 offset;
};


static char *ngx_http_chat_provider_line(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_http_chat_provider_url(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_word_t *word);
static char *ngx_http_chat_provider_key(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_word_t *word);
static char *ngx_http_chat_provider_text(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_word_t *word);
static char *ngx_http_chat_provider_param(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_word_t *word);
static char *ngx_http_chat_provider_header(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_word_t *word);
static char *ngx_http_chat_provider_msec(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_word_t *word);
static char *ngx_http_chat_provider_num(ngx_conf_t *cf,
    ngx_chat_provider_t *pv, ngx_http_chat_provider_word_t *word);
static ngx_chat_provider_t *ngx_http_chat_provider_create(ngx_conf_t *cf,
    ngx_str_t *name);
static char *ngx_http_chat_provider_finish(ngx_conf_t *cf,
    ngx_chat_provider_t *pv);
static char *ngx_http_chat_provider_check_url(ngx_conf_t *cf, ngx_str_t *url);
static ngx_uint_t ngx_http_chat_printable(ngx_str_t *s);
static ngx_uint_t ngx_http_chat_token(ngx_str_t *s);


static ngx_http_chat_provider_word_t  ngx_http_chat_provider_words[] = {

    { ngx_string("url"), 1, 0, ngx_http_chat_provider_url, 0 },

    { ngx_string("key"), 1, 0, ngx_http_chat_provider_key, 0 },

    { ngx_string("model"), 1, 0, ngx_http_chat_provider_text,
      offsetof(ngx_chat_provider_t, model) },

    { ngx_string("system"), 1, 0, ngx_http_chat_provider_text,
      offsetof(ngx_chat_provider_t, system) },

    { ngx_string("param"), 2, 1, ngx_http_chat_provider_param, 0 },

    { ngx_string("header"), 2, 1, ngx_http_chat_provider_header, 0 },

    { ngx_string("connect_timeout"), 1, 0, ngx_http_chat_provider_msec,
      offsetof(ngx_chat_provider_t, connect_timeout) },

    { ngx_string("first_token_timeout"), 1, 0, ngx_http_chat_provider_msec,
      offsetof(ngx_chat_provider_t, first_token_timeout) },

    { ngx_string("idle_timeout"), 1, 0, ngx_http_chat_provider_msec,
      offsetof(ngx_chat_provider_t, idle_timeout) },

    { ngx_string("total_timeout"), 1, 0, ngx_http_chat_provider_msec,
      offsetof(ngx_chat_provider_t, total_timeout) },

    { ngx_string("retries"), 1, 0, ngx_http_chat_provider_num,
      offsetof(ngx_chat_provider_t, retries) },

    { ngx_null_string, 0, 0, NULL, 0 }
};


char *
ngx_http_chat_provider_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_chat_main_conf_t  *cmcf = conf;

    char                          *rv;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_conf_t                     save;
    ngx_chat_provider_t          **pvp;
    ngx_http_chat_provider_ctx_t   ctx;

    value = cf->args->elts;

    if (!ngx_http_chat_token(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"chat_provider\" has an invalid name \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    pvp = cmcf->providers.elts;

    for (i = 0; i < cmcf->providers.nelts; i++) {

        if (pvp[i]->name.len == value[1].len
            && ngx_strncmp(pvp[i]->name.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate \"chat_provider\" \"%V\"",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    ctx.seen = 0;
    ctx.provider = ngx_http_chat_provider_create(cf, &value[1]);
    if (ctx.provider == NULL) {
        return NGX_CONF_ERROR;
    }

    save = *cf;

    cf->handler = ngx_http_chat_provider_line;
    cf->handler_conf = (char *) &ctx;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_chat_provider_finish(cf, ctx.provider);
}


static char *
ngx_http_chat_provider_line(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_http_chat_provider_ctx_t  *ctx = conf;

    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_http_chat_provider_word_t  *word;

    value = cf->args->elts;

    for (i = 0; ngx_http_chat_provider_words[i].name.len; i++) {
        word = &ngx_http_chat_provider_words[i];

        if (word->name.len != value[0].len
            || ngx_strncmp(word->name.data, value[0].data, value[0].len) != 0)
        {
            continue;
        }

        if (cf->args->nelts != word->args + 1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%V\" "
                               "of \"chat_provider\"", &value[0]);
            return NGX_CONF_ERROR;
        }

        if (!word->many && (ctx->seen & ((ngx_uint_t) 1 << i))) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" of \"chat_provider\" is duplicate",
                               &value[0]);
            return NGX_CONF_ERROR;
        }

        ctx->seen |= (ngx_uint_t) 1 << i;

        return word->set(cf, ctx->provider, word);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown \"%V\" in \"chat_provider\"", &value[0]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_chat_provider_url(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_http_chat_provider_word_t *word)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    pv->url = value[1];

    return ngx_http_chat_provider_check_url(cf, &pv->url);
}


static char *
ngx_http_chat_provider_key(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_http_chat_provider_word_t *word)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_http_chat_indirect(cf, &value[0], 1, 1, &value[1], &pv->key)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (pv->key.data == NULL) {

        /* named, but not set: there is none, and no default either */

        pv->key.data = (u_char *) "";
    }

    if (!ngx_http_chat_printable(&pv->key)) {
        return "\"key\" of \"chat_provider\" holds control characters";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_text(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_http_chat_provider_word_t *word)
{
    ngx_str_t  *value, *field;

    value = cf->args->elts;
    field = (ngx_str_t *) ((char *) pv + word->offset);

    /* a model's name is not long enough to stand in a file */

    if (field == &pv->model) {
        *field = value[1];

    } else if (ngx_http_chat_indirect(cf, &value[0], 0, 0, &value[1], field)
               != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_chat_utf8_check(field->data, field->len) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"chat_provider\" is not valid UTF-8",
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    if (field == &pv->model && field->len == 0) {
        return "\"model\" of \"chat_provider\" is empty";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_param(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_http_chat_provider_word_t *word)
{
    ngx_str_t     *value;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "messages") == 0
        || ngx_strcmp(value[1].data, "stream") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"param %V\" of \"chat_provider\" is set by "
                           "the module itself", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (value[1].len == 0
        || ngx_chat_utf8_check(value[1].data, value[1].len) != NGX_OK)
    {
        return "\"param\" of \"chat_provider\" has an invalid name";
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
                               "\"param %V\" of \"chat_provider\" "
                               "is duplicate", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    kv = ngx_array_push(pv->params);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];

    if (ngx_http_chat_indirect(cf, &value[0], 0, 0, &value[2], &kv->value)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_chat_json_check_value(kv->value.data, kv->value.len) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"param %V\" of \"chat_provider\" is not a JSON "
                           "value; nginx itself resolves \\n, \\t and \\\\ "
                           "in quotes, \"file:PATH\" avoids that", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_header(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_http_chat_provider_word_t *word)
{
    ngx_str_t     *value, text;
    ngx_keyval_t  *kv;

    value = cf->args->elts;

    if (!ngx_http_chat_token(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"header\" of \"chat_provider\" has an invalid "
                           "name \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_chat_indirect(cf, &value[0], 1, 1, &value[2], &text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (text.data == NULL) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_chat_printable(&text)) {
        return "\"header\" of \"chat_provider\" holds control characters";
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
ngx_http_chat_provider_msec(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_http_chat_provider_word_t *word)
{
    ngx_int_t   ms;
    ngx_str_t  *value;

    value = cf->args->elts;

    ms = ngx_parse_time(&value[1], 0);

    /* 0 is no timeout, and every wait has one; a day is not one either */

    if (ms == NGX_ERROR || ms == 0 || ms > 24 * 60 * 60 * 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"chat_provider\" has an invalid time "
                           "\"%V\"", &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    *(ngx_msec_t *) ((char *) pv + word->offset) = (ngx_msec_t) ms;

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_num(ngx_conf_t *cf, ngx_chat_provider_t *pv,
    ngx_http_chat_provider_word_t *word)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n > 100) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"chat_provider\" has an invalid number "
                           "\"%V\"", &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    *(ngx_uint_t *) ((char *) pv + word->offset) = (ngx_uint_t) n;

    return NGX_CONF_OK;
}


ngx_chat_provider_t *
ngx_http_chat_provider_find(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                   i;
    ngx_chat_provider_t         *pv, **pvp;
    ngx_http_chat_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    pvp = cmcf->providers.elts;

    for (i = 0; i < cmcf->providers.nelts; i++) {

        if (pvp[i]->name.len == name->len
            && ngx_strncmp(pvp[i]->name.data, name->data, name->len) == 0)
        {
            return pvp[i];
        }
    }

    if (name->len != 6 || ngx_strncmp(name->data, "openai", 6) != 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"chat\" names an unknown provider \"%V\"", name);
        return NULL;
    }

    pv = ngx_http_chat_provider_create(cf, name);

    if (pv == NULL || ngx_http_chat_provider_finish(cf, pv) != NGX_CONF_OK) {
        return NULL;
    }

    return pv;
}


static ngx_chat_provider_t *
ngx_http_chat_provider_create(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_chat_provider_t         *pv, **pvp;
    ngx_http_chat_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    pv = ngx_pcalloc(cf->pool, sizeof(ngx_chat_provider_t));
    if (pv == NULL) {
        return NULL;
    }

    pvp = ngx_array_push(&cmcf->providers);
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

    return pv;
}


/* what the block leaves out comes from the environment */

static char *
ngx_http_chat_provider_finish(ngx_conf_t *cf, ngx_chat_provider_t *pv)
{
    ngx_int_t  rc;

    if (pv->url.data == NULL) {
        rc = ngx_http_chat_env(cf, "OPENAI_BASE_URL", 0, &pv->url);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_str_set(&pv->url, NGX_HTTP_CHAT_DEFAULT_URL);
        }

        if (ngx_http_chat_provider_check_url(cf, &pv->url) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (pv->model.data == NULL) {
        rc = ngx_http_chat_env(cf, "OPENAI_MODEL", 0, &pv->model);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_str_set(&pv->model, NGX_HTTP_CHAT_DEFAULT_MODEL);
        }

        if (ngx_chat_utf8_check(pv->model.data, pv->model.len) != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "OPENAI_MODEL is not valid UTF-8");
            return NGX_CONF_ERROR;
        }
    }

    if (pv->key.data == NULL) {
        rc = ngx_http_chat_env(cf, "OPENAI_API_KEY", 1, &pv->key);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "chat provider \"%V\" has no key: OPENAI_API_KEY "
                          "is not set, requests carry no Authorization",
                          &pv->name);
        }

        if (!ngx_http_chat_printable(&pv->key)) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "OPENAI_API_KEY holds control characters");
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_chat_provider_prepare(pv, cf->pool) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_chat_provider_check_url(ngx_conf_t *cf, ngx_str_t *url)
{
    size_t      host;
    u_char     *p;
    ngx_str_t   full;

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
                       "\"url\" of a chat provider holds a user or a "
                       "password: \"key\" and \"header\" are for these");

    return NGX_CONF_ERROR;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid \"url\" of a chat provider: \"%V\"", &full);

    return NGX_CONF_ERROR;
}


static ngx_uint_t
ngx_http_chat_printable(ngx_str_t *s)
{
    u_char  *p;

    for (p = s->data; p < s->data + s->len; p++) {

        if (*p < 0x20 || *p == 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* a name as in HTTP headers, which leaves out all that separates */

static ngx_uint_t
ngx_http_chat_token(ngx_str_t *s)
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
