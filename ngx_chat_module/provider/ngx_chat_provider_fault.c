
#include "ngx_chat_provider_fault.h"


/* a shorter word in a header is no key */
#define NGX_CHAT_FAULT_KEY  8


static void ngx_chat_provider_fault_read(ngx_chat_provider_fault_t *f,
    u_char *p, size_t len, ngx_uint_t status, ngx_pool_t *temp);
static ngx_uint_t ngx_chat_provider_fault_final(ngx_chat_refusal_t *rf,
    ngx_uint_t status);
static void ngx_chat_provider_fault_message(ngx_chat_provider_fault_t *f,
    ngx_str_t *message);
static u_char *ngx_chat_fault_put(u_char *p, u_char *last, const void *s,
    size_t len);
static ngx_uint_t ngx_chat_provider_has_key(ngx_chat_provider_t *pv,
    u_char *p, size_t len);
static ngx_uint_t ngx_chat_provider_contains(u_char *p, size_t len,
    ngx_str_t *s);
static void ngx_chat_provider_host(ngx_chat_provider_t *pv, ngx_str_t *host);


void
ngx_chat_provider_fault_init(ngx_chat_provider_fault_t *f,
    ngx_chat_provider_t *pv, ngx_pool_t *pool)
{
    ngx_memzero(f, sizeof(ngx_chat_provider_fault_t));

    f->body.max = NGX_CHAT_FAULT_BODY;
    f->provider = pv;
    f->pool = pool;
}


void
ngx_chat_provider_fault_free(ngx_chat_provider_fault_t *f)
{
    ngx_chat_bytes_free(&f->body);
}


void
ngx_chat_provider_fault_set(ngx_chat_provider_fault_t *f,
    ngx_chat_error_e error,
    ngx_uint_t retry, const char *what)
{
    if (f->error != NGX_CHAT_E_NONE) {
        return;
    }

    f->error = error;
    f->retry = retry;
    f->what = what;
}


void
ngx_chat_provider_fault_status(ngx_chat_provider_fault_t *f,
    ngx_uint_t status, ngx_pool_t *temp)
{
    const char        *what;
    ngx_uint_t         retry;
    ngx_chat_error_e   error;

    f->status = status;

    ngx_chat_provider_fault_read(f, f->body.data, f->body.len, status, temp);

    error = NGX_CHAT_E_PROVIDER_REFUSED;
    retry = (status >= 500);
    what = "refused the request";

    if (status < 300) {
        error = NGX_CHAT_E_PROVIDER_BROKEN;

    } else if (status == 429) {
        error = NGX_CHAT_E_PROVIDER_RATE_LIMITED;
        retry = 1;

    } else if (status == 408) {
        error = NGX_CHAT_E_PROVIDER_TIMEOUT;
        retry = 1;

    } else if (f->final) {
        error = NGX_CHAT_E_QUESTION_REFUSED;
        retry = 0;

    } else if ((status == 401 || status == 403)
               && f->provider->key.len == 0
               && f->provider->headers == NULL)
    {
        /* headers may hold the key: only without any is none configured */
        error = NGX_CHAT_E_NO_KEY;
        what = "wants a key, and none is configured";
    }

    ngx_chat_provider_fault_set(f, error, retry, what);
}


void
ngx_chat_provider_fault_object(ngx_chat_provider_fault_t *f,
    ngx_chat_delta_t *d, ngx_str_t *data, ngx_pool_t *temp)
{
    ngx_uint_t         retry;
    ngx_chat_error_e   error;

    /* most events are no errors: as much is read as of a refusal */

    ngx_chat_provider_fault_read(f, data->data,
                                 ngx_min(data->len, NGX_CHAT_FAULT_BODY),
                                 d->error_code, temp);

    error = NGX_CHAT_E_PROVIDER_BROKEN;
    retry = (d->error_code < 400 || d->error_code >= 500
             || d->error_code == 408);

    if (d->error_code == 429) {
        error = NGX_CHAT_E_PROVIDER_RATE_LIMITED;
        retry = 1;

    } else if (f->final) {
        error = NGX_CHAT_E_QUESTION_REFUSED;
        retry = 0;

    } else if (f->refusal && f->refusal->said.rate
               && (d->error_code < 400 || d->error_code > 599))
    {
        error = NGX_CHAT_E_PROVIDER_RATE_LIMITED;
        retry = 1;
    }

    ngx_chat_provider_fault_set(f, error, retry,
                                "sent an error instead of an answer");
}


static void
ngx_chat_provider_fault_read(ngx_chat_provider_fault_t *f, u_char *p,
    size_t len, ngx_uint_t status, ngx_pool_t *temp)
{
    ngx_str_t            text;
    ngx_chat_refusal_t  *rf;

    if (f->refusal == NULL) {
        f->refusal = ngx_pcalloc(f->pool, sizeof(ngx_chat_provider_refusal_t));
        if (f->refusal == NULL) {
            return;
        }
    }

    rf = &f->refusal->said;

    text.data = p;
    text.len = len;

    ngx_chat_refusal_parse(rf, &text, temp);

    if (f->error == NGX_CHAT_E_NONE) {
        f->final = ngx_chat_provider_fault_final(rf, status);
    }

    /* words are short, and so may a key be */

    if (ngx_chat_provider_has_key(f->provider, rf->words, rf->len)) {
        rf->len = 0;
    }

    ngx_chat_provider_fault_message(f, &rf->message);
}


/*
 * Is the question itself refused?  A 400 or 422 alone does not say so: they
 * are also for keys, credit and params that a provider does not like, and
 * another one may do better.
 */

static ngx_uint_t
ngx_chat_provider_fault_final(ngx_chat_refusal_t *rf, ngx_uint_t status)
{
    switch (status) {

    case 413:
        return !rf->limit;

    case 0:
    case 400:
    case 422:
    case 500:
        return rf->question && !rf->limit;

    default:
        return 0;
    }
}


u_char *
ngx_chat_provider_fault_line(ngx_chat_provider_fault_t *f, u_char *buf)
{
    u_char     *p, *last, digits[3];
    ngx_str_t   host;

    ngx_chat_provider_host(f->provider, &host);

    last = buf + NGX_CHAT_FAULT_LINE;

    p = ngx_chat_fault_put(buf, last, "chat provider \"",
                           sizeof("chat provider \"") - 1);
    p = ngx_chat_fault_put(p, last, f->provider->name.data,
                           f->provider->name.len);
    p = ngx_chat_fault_put(p, last, "\" at \"", sizeof("\" at \"") - 1);
    p = ngx_chat_fault_put(p, last, host.data, host.len);
    p = ngx_chat_fault_put(p, last, "\" ", sizeof("\" ") - 1);
    p = ngx_chat_fault_put(p, last, f->what, ngx_strlen(f->what));

    if (f->status) {
        digits[0] = (u_char) ('0' + f->status / 100 % 10);
        digits[1] = (u_char) ('0' + f->status / 10 % 10);
        digits[2] = (u_char) ('0' + f->status % 10);

        p = ngx_chat_fault_put(p, last, ", HTTP status ",
                           sizeof(", HTTP status ") - 1);
        p = ngx_chat_fault_put(p, last, digits, 3);
    }

    if (f->refusal && f->refusal->said.len) {
        p = ngx_chat_fault_put(p, last, " (", sizeof(" (") - 1);
        p = ngx_chat_fault_put(p, last, f->refusal->said.words,
                               f->refusal->said.len);
        p = ngx_chat_fault_put(p, last, ")", 1);
    }

    if (f->detail) {
        p = ngx_chat_fault_put(p, last, ", \"", sizeof(", \"") - 1);
        p = ngx_chat_fault_put(p, last, f->detail, ngx_strlen(f->detail));
        p = ngx_chat_fault_put(p, last, "\"", 1);
    }

    if (f->final) {
        p = ngx_chat_fault_put(p, last, ", the question is at fault",
                               sizeof(", the question is at fault") - 1);
    }

    return p;
}


static u_char *
ngx_chat_fault_put(u_char *p, u_char *last, const void *s, size_t len)
{
    return ngx_cpymem(p, s, ngx_min(len, (size_t) (last - p)));
}


/* a provider's own words are neither trusted nor logged with a key in them */

static void
ngx_chat_provider_fault_message(ngx_chat_provider_fault_t *f,
    ngx_str_t *message)
{
    size_t                        i, len;
    u_char                       *p;
    ngx_chat_provider_refusal_t  *refusal;

    p = message->data;

    if (message->len == 0
        || ngx_chat_provider_has_key(f->provider, p, message->len))
    {
        return;
    }

    refusal = f->refusal;

    len = ngx_min(message->len, NGX_CHAT_FAULT_MESSAGE);

    for (i = 0; i < len; i++) {
        refusal->room[i] = (p[i] < 0x20 || p[i] == 0x7f || p[i] == '"') ? ' '
                                                                     : p[i];
    }

    refusal->message.data = refusal->room;
    refusal->message.len = len;
}


/* a key may stand in a header of its own, with or without "Bearer" */

static ngx_uint_t
ngx_chat_provider_has_key(ngx_chat_provider_t *pv, u_char *p, size_t len)
{
    u_char        *word, *last;
    ngx_str_t      key;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    if (pv->key.len && ngx_chat_provider_contains(p, len, &pv->key)) {
        return 1;
    }

    if (pv->headers == NULL) {
        return 0;
    }

    kv = pv->headers->elts;

    for (i = 0; i < pv->headers->nelts; i++) {

        key = kv[i].value;
        last = key.data + key.len;

        for (word = key.data; word < last; word++) {

            if (*word == ' ') {
                key.data = word + 1;
            }
        }

        key.len = last - key.data;

        if (key.len >= NGX_CHAT_FAULT_KEY
            && ngx_chat_provider_contains(p, len, &key))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_chat_provider_contains(u_char *p, size_t len, ngx_str_t *s)
{
    u_char  *last;

    if (len < s->len) {
        return 0;
    }

    for (last = p + len - s->len; p <= last; p++) {

        if (ngx_memcmp(p, s->data, s->len) == 0) {
            return 1;
        }
    }

    return 0;
}


/* without the path, which may tell more than the log is to know */

static void
ngx_chat_provider_host(ngx_chat_provider_t *pv, ngx_str_t *host)
{
    u_char  *p, *last, *start;

    start = pv->url.data;
    last = pv->url.data + pv->url.len;

    p = ngx_strlchr(start, last, ':');

    if (p && last - p >= 3 && p[1] == '/' && p[2] == '/') {
        start = p + 3;
    }

    p = ngx_strlchr(start, last, '/');

    host->data = start;
    host->len = (p ? p : last) - start;
}
