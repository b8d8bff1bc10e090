
#include "ngx_chat_store_worker.h"
#include "ngx_chat_call.h"


static void ngx_chat_store_update_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


static const ngx_chat_word_t  ngx_chat_update_words[] = {
    { "OK", NGX_OK },
    { "NONE", NGX_DECLINED },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_update = {
    ngx_string("update"), &ngx_chat_lua_update, 5, ngx_chat_update_words,
    { 0 }, 0
};


ngx_chat_call_t *
ngx_chat_store_update(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    ngx_msec_t queue_timeout, ngx_chat_update_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, &ngx_chat_script_update);
    if (call == NULL) {
        return NULL;
    }

    call->service = NGX_CHAT_SERVICE_WRITE;

    ngx_chat_call_add_gen(call, gen);
    ngx_chat_call_add_num(call, queue_timeout);
    ngx_chat_call_add_bytes(call, gen->fp, NGX_CHAT_FP_LEN);

    return ngx_chat_call_send(call, ngx_chat_store_update_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_update_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t            rc;
    ngx_chat_update_pt   handler;

    rc = ngx_chat_call_reply_read_word(call, reply);

    /* a command that was sent before may have been carried out */

    if (rc == NGX_ERROR && reply && !call->repeated) {
        rc = NGX_DECLINED;
    }

    handler = (ngx_chat_update_pt) call->handler;
    handler(call->data, rc);
}
