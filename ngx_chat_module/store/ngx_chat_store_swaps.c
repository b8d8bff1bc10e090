
#include "ngx_chat_store_worker.h"
#include "ngx_chat_call.h"


static void ngx_chat_store_swaps_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_store_swaps_read(ngx_str_t *info, ngx_uint_t *n);


/* a command that nobody has sent is not in the list */

static ngx_str_t  ngx_chat_store_swaps_line =
    ngx_string("\ncmdstat_swapdb:calls=");


ngx_chat_call_t *
ngx_chat_store_count_swaps(ngx_chat_store_t *st, ngx_chat_swaps_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, NULL);
    if (call == NULL) {
        return NULL;
    }

    call->service = NGX_CHAT_SERVICES;

    ngx_chat_call_add_text(call, "INFO");
    ngx_chat_call_add_text(call, "commandstats");

    return ngx_chat_call_send(call, ngx_chat_store_swaps_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


/* a refusal is told when the connection is made: INFO is said then, too */

static void
ngx_chat_store_swaps_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t           rc;
    ngx_str_t           info;
    ngx_uint_t          n;
    ngx_chat_swaps_pt   handler;

    n = 0;

    if (ngx_chat_call_reply_is_error(reply, "NOPERM")) {
        rc = NGX_DECLINED;

    } else if (ngx_chat_reply_str(reply, &info) != NGX_OK) {
        rc = NGX_ERROR;

    } else {
        rc = ngx_chat_store_swaps_read(&info, &n);
    }

    handler = (ngx_chat_swaps_pt) call->handler;
    handler(call->data, rc, n);
}


static ngx_int_t
ngx_chat_store_swaps_read(ngx_str_t *info, ngx_uint_t *n)
{
    u_char     *p, *digits, *last;
    ngx_int_t   calls;

    last = info->data + info->len;

    p = ngx_strlcasestrn(info->data, last, ngx_chat_store_swaps_line.data,
                         ngx_chat_store_swaps_line.len - 1);
    if (p == NULL) {
        *n = 0;
        return NGX_OK;
    }

    digits = p + ngx_chat_store_swaps_line.len;

    for (p = digits; p < last && *p >= '0' && *p <= '9'; p++) {
        /* void */
    }

    calls = ngx_atoi(digits, p - digits);

    if (calls == NGX_ERROR) {
        return NGX_ERROR;
    }

    *n = (ngx_uint_t) calls;

    return NGX_OK;
}
