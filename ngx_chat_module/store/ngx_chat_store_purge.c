
#include "ngx_chat_store_worker.h"
#include "ngx_chat_call.h"


static void ngx_chat_store_purge_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


ngx_chat_call_t *
ngx_chat_store_purge(ngx_chat_store_t *st, u_char *h,
    ngx_chat_purge_pt handler, void *data)
{
    ngx_chat_gen_t    gen;
    ngx_chat_keys_t   keys;
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, NULL);
    if (call == NULL) {
        return NULL;
    }

    /* id and fp do not matter: S alone is used */

    ngx_memset(&gen, '0', sizeof(ngx_chat_gen_t));
    ngx_memcpy(gen.h, h, NGX_CHAT_HASH_LEN);

    call->gen = gen;

    ngx_chat_keys_init(&keys, &gen);

    ngx_chat_call_add_text(call, "DEL");
    ngx_chat_call_add_str(call, &keys.stream);

    return ngx_chat_call_send(call, ngx_chat_store_purge_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_purge_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    int64_t             n;
    ngx_int_t           rc;
    ngx_chat_purge_pt   handler;

    rc = ngx_chat_call_reply_check(call, reply);

    if (rc == NGX_OK) {

        if (ngx_chat_reply_int(reply, &n) != NGX_OK || n < 0) {
            rc = ngx_chat_call_reply_log_unexpected(call);

        } else {

            /* an answer that was too long to be read is not there any more */

            ngx_chat_store_oversize_clear(call);

            rc = (n || call->repeated) ? NGX_OK : NGX_DECLINED;
        }
    }

    handler = (ngx_chat_purge_pt) call->handler;
    handler(call->data, rc);
}
