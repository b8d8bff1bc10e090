
#include "ngx_chat_store_worker.h"
#include "ngx_chat_call.h"
#include "../codec/ngx_chat_str.h"


static void ngx_chat_store_peek_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


ngx_chat_call_t *
ngx_chat_store_peek(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_chat_peek_pt handler, void *data)
{
    ngx_chat_keys_t   keys;
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, NULL);
    if (call == NULL) {
        return NULL;
    }

    call->gen = *gen;
    call->service = NGX_CHAT_SERVICES;

    ngx_chat_keys_init(&keys, gen);

    ngx_chat_call_add_text(call, "XRANGE");
    ngx_chat_call_add_str(call, &keys.stream);
    ngx_chat_call_add_text(call, "-");
    ngx_chat_call_add_text(call, "+");
    ngx_chat_call_add_text(call, "COUNT");
    ngx_chat_call_add_text(call, "1");

    ngx_chat_call_pipeline(call, "PTTL");

    return ngx_chat_call_send(call, ngx_chat_store_peek_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_peek_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t          rc;
    ngx_str_t          status, label;
    ngx_chat_peek_pt   handler;
    ngx_chat_reply_t  *fields;

    handler = (ngx_chat_peek_pt) call->handler;

    if (ngx_chat_call_reply_is_error(reply, "WRONGTYPE")) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_call_reply_check(call, reply);
    }

    if (rc == NGX_OK) {
        fields = ngx_chat_reply_at(ngx_chat_reply_at(reply, 0), 1);

        /* an answer that has come or gone between the two commands */

        if (call->pipelined_reply < -1
            || ngx_chat_reply_field(fields, "status", &status) != NGX_OK
            || !ngx_chat_str_is(&status, "processing")
            || ngx_chat_reply_field(fields, "call", &label) != NGX_OK)
        {
            rc = NGX_DECLINED;
        }
    }

    handler(call->data, rc, (rc == NGX_OK) ? &label : NULL,
            call->pipelined_reply);
}
