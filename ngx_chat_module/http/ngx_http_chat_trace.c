
#include "ngx_http_chat_trace.h"


static void ngx_http_chat_trace_get_parent(ngx_http_request_t *r,
    ngx_str_t *parent);


static ngx_str_t  ngx_http_chat_trace_id = ngx_string("request_id");
static ngx_str_t  ngx_http_chat_trace_parent = ngx_string("traceparent");


void
ngx_http_chat_trace_get(ngx_http_request_t *r, ngx_chat_trace_t *trace)
{
    ngx_str_t                  *id;
    ngx_uint_t                  key;
    ngx_http_variable_value_t  *vv;

    id = &ngx_http_chat_trace_id;

    ngx_str_null(&trace->request_id);

    key = ngx_hash_key(id->data, id->len);

    vv = ngx_http_get_variable(r, id, key);

    if (vv && !vv->not_found) {
        trace->request_id.len = vv->len;
        trace->request_id.data = vv->data;
    }

    ngx_http_chat_trace_get_parent(r, &trace->traceparent);
}


/* twice, it is nobody's, and none is passed on */

static void
ngx_http_chat_trace_get_parent(ngx_http_request_t *r, ngx_str_t *parent)
{
    ngx_str_t        *name;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;
    name = &ngx_http_chat_trace_parent;
    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].hash && h[i].key.len == name->len
            && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0)
        {
            *parent = h[i].value;
            n++;
        }
    }

    if (n != 1 || ngx_chat_trace_check_parent(parent) != NGX_OK) {
        ngx_str_null(parent);
    }
}
