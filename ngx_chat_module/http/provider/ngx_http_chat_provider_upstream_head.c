
#include "ngx_http_chat_provider_upstream_private.h"


static u_char *ngx_http_chat_provider_upstream_line(u_char *p, ngx_str_t *name,
    ngx_str_t *value);
static ngx_uint_t ngx_http_chat_provider_upstream_has(ngx_chat_provider_t *pv,
    ngx_str_t *name);


static ngx_str_t  ngx_http_chat_host_name = ngx_string("Host");
static ngx_str_t  ngx_http_chat_authorization = ngx_string("Authorization");

/* headers of framing and connection: configured ones are skipped */

static ngx_str_t  ngx_http_chat_provider_upstream_ours[] = {
    ngx_string("Content-Length"),
    ngx_string("Transfer-Encoding"),
    ngx_string("Connection"),
    ngx_string("Expect"),
    ngx_null_string
};

static ngx_keyval_t  ngx_http_chat_provider_upstream_defaults[] = {
    { ngx_string("Content-Type"), ngx_string("application/json") },
    { ngx_string("Accept"), ngx_string("text/event-stream") },
    { ngx_string("User-Agent"), ngx_string("ngx_chat") },
    { ngx_null_string, ngx_null_string }
};


ngx_int_t
ngx_http_chat_provider_upstream_create_head(ngx_conf_t *cf,
    ngx_http_chat_provider_upstream_t *pu)
{
    size_t                len;
    u_char               *p;
    ngx_str_t             bearer;
    ngx_uint_t            i;
    ngx_keyval_t         *kv;
    ngx_chat_provider_t  *pv;

    pv = pu->provider;
    kv = ngx_http_chat_provider_upstream_defaults;

    bearer.len = sizeof("Bearer ") - 1 + pv->key.len;
    bearer.data = ngx_pnalloc(cf->pool, bearer.len);
    if (bearer.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(bearer.data, "Bearer ", sizeof("Bearer ") - 1);
    ngx_memcpy(p, pv->key.data, pv->key.len);

    len = sizeof("POST  HTTP/1.1" CRLF "Host: " CRLF "Content-Length: ")
          + pu->uri.len + pu->host.len
          + sizeof("Authorization: " CRLF) + bearer.len;

    for (i = 0; kv[i].key.len; i++) {
        len += kv[i].key.len + kv[i].value.len + sizeof(": " CRLF);
    }

    kv = pv->headers ? pv->headers->elts : NULL;

    for (i = 0; kv && i < pv->headers->nelts; i++) {
        len += kv[i].key.len + kv[i].value.len + sizeof(": " CRLF);
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    pu->head.data = p;

    p = ngx_sprintf(p, "POST %V HTTP/1.1" CRLF, &pu->uri);

    if (!ngx_http_chat_provider_upstream_has(pv, &ngx_http_chat_host_name)) {
        p = ngx_http_chat_provider_upstream_line(p, &ngx_http_chat_host_name,
                                                 &pu->host);
    }

    kv = ngx_http_chat_provider_upstream_defaults;

    for (i = 0; kv[i].key.len; i++) {

        if (!ngx_http_chat_provider_upstream_has(pv, &kv[i].key)) {
            p = ngx_http_chat_provider_upstream_line(p, &kv[i].key,
                                                     &kv[i].value);
        }
    }

    if (pv->key.len
        && !ngx_http_chat_provider_upstream_has(pv,
                                                &ngx_http_chat_authorization))
    {
        p = ngx_http_chat_provider_upstream_line(p,
                                                 &ngx_http_chat_authorization,
                                                 &bearer);
    }

    kv = pv->headers ? pv->headers->elts : NULL;

    for (i = 0; kv && i < pv->headers->nelts; i++) {
        p = ngx_http_chat_provider_upstream_line(p, &kv[i].key, &kv[i].value);
    }

    p = ngx_cpymem(p, "Content-Length: ", sizeof("Content-Length: ") - 1);

    pu->head.len = p - pu->head.data;

    return NGX_OK;
}


static u_char *
ngx_http_chat_provider_upstream_line(u_char *p, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_str_t  *own;

    for (own = ngx_http_chat_provider_upstream_ours; own->len; own++) {

        if (own->len == name->len
            && ngx_strncasecmp(own->data, name->data, own->len) == 0)
        {
            return p;
        }
    }

    return ngx_sprintf(p, "%V: %V" CRLF, name, value);
}


static ngx_uint_t
ngx_http_chat_provider_upstream_has(ngx_chat_provider_t *pv, ngx_str_t *name)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    if (pv->headers == NULL) {
        return 0;
    }

    kv = pv->headers->elts;

    for (i = 0; i < pv->headers->nelts; i++) {

        if (kv[i].key.len == name->len
            && ngx_strncasecmp(kv[i].key.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
