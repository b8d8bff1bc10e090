
#include "ngx_chat_provider_trace.h"


static ngx_uint_t ngx_chat_provider_trace_may(ngx_chat_provider_t *pv,
    ngx_str_t *name);


static ngx_str_t  ngx_chat_provider_trace_id = ngx_string("X-Request-Id");
static ngx_str_t  ngx_chat_provider_trace_parent = ngx_string("traceparent");


ngx_uint_t
ngx_chat_provider_trace_headers(ngx_chat_provider_t *pv,
    ngx_chat_trace_t *trace, ngx_keyval_t kv[NGX_CHAT_TRACE_HEADERS])
{
    ngx_uint_t  n;

    n = 0;

    if (trace->request_id.len
        && ngx_chat_trace_check_id(&trace->request_id) == NGX_OK
        && ngx_chat_provider_trace_may(pv, &ngx_chat_provider_trace_id))
    {
        kv[n].key = ngx_chat_provider_trace_id;
        kv[n++].value = trace->request_id;
    }

    if (ngx_chat_trace_check_parent(&trace->traceparent) == NGX_OK
        && ngx_chat_provider_trace_may(pv, &ngx_chat_provider_trace_parent))
    {
        kv[n].key = ngx_chat_provider_trace_parent;
        kv[n++].value = trace->traceparent;
    }

    return n;
}


static ngx_uint_t
ngx_chat_provider_trace_may(ngx_chat_provider_t *pv, ngx_str_t *name)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    if (pv->headers == NULL) {
        return 1;
    }

    kv = pv->headers->elts;

    for (i = 0; i < pv->headers->nelts; i++) {

        if (kv[i].key.len == name->len
            && ngx_strncasecmp(kv[i].key.data, name->data, name->len) == 0)
        {
            return 0;
        }
    }

    return 1;
}
