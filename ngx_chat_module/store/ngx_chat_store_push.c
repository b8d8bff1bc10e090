
#include "ngx_chat_store_worker.h"
#include "ngx_chat_store_task.h"


static ngx_chat_call_t *ngx_chat_store_push_create_call(ngx_chat_store_t *st,
    u_char *id, ngx_uint_t room, ngx_chat_limit_t *limit);
static void ngx_chat_store_push_add_limit_key(ngx_chat_call_t *call,
    ngx_chat_limit_t *limit);
static void ngx_chat_store_push_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


static const ngx_chat_word_t  ngx_chat_push_words[] = {
    { "OK", NGX_OK },
    { "FULL", NGX_DECLINED },
    { "LIMIT", NGX_AGAIN },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_push = {
    ngx_string("push"), &ngx_chat_lua_push, 1, ngx_chat_push_words, { 0 }, 0
};


/* the same, with the key of a limit */

static ngx_chat_script_t  ngx_chat_script_push_limited = {
    ngx_string("push"), &ngx_chat_lua_push, 2, ngx_chat_push_words, { 0 }, 0
};


ngx_chat_call_t *
ngx_chat_store_push(ngx_chat_store_t *st, ngx_chat_task_t *task,
    ngx_uint_t room, ngx_chat_limit_t *limit, ngx_chat_push_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_push_create_call(st, task->gen.id, room, limit);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_store_task_add_fields(call, task);

    return ngx_chat_call_send(call, ngx_chat_store_push_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_count(ngx_chat_store_t *st, u_char *id, ngx_chat_limit_t *limit,
    ngx_chat_push_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_push_create_call(st, id, 0, limit);
    if (call == NULL) {
        return NULL;
    }

    return ngx_chat_call_send(call, ngx_chat_store_push_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


/* all arguments before the task's fields */

static ngx_chat_call_t *
ngx_chat_store_push_create_call(ngx_chat_store_t *st, u_char *id,
    ngx_uint_t room, ngx_chat_limit_t *limit)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->broker,
                                limit->interval ? &ngx_chat_script_push_limited
                                                : &ngx_chat_script_push);
    if (call == NULL) {
        return NULL;
    }

    call->service = NGX_CHAT_SERVICE_QUEUE;

    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);

    if (limit->interval) {
        ngx_chat_store_push_add_limit_key(call, limit);
    }

    ngx_chat_call_add_num(call, room);

    if (limit->interval) {
        ngx_chat_call_add_num(call, limit->interval);
        ngx_chat_call_add_num(call, limit->burst);
        ngx_chat_call_add_bytes(call, id, NGX_CHAT_ID_LEN);
    }

    return call;
}


/* in the slot of the queue: a script may have keys of one slot alone */

static void
ngx_chat_store_push_add_limit_key(ngx_chat_call_t *call,
    ngx_chat_limit_t *limit)
{
    u_char  *p, key[NGX_CHAT_KEY_MAX];

    p = ngx_cpymem(key, NGX_CHAT_KEY_LIMIT, sizeof(NGX_CHAT_KEY_LIMIT) - 1);
    p = ngx_cpymem(p, limit->name, NGX_CHAT_HASH_LEN);

    ngx_chat_call_add_bytes(call, key, p - key);
}


static void
ngx_chat_store_push_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    uint64_t           wait;
    ngx_int_t          rc;
    ngx_chat_push_pt   handler;

    wait = 0;
    rc = ngx_chat_call_reply_read_word(call, reply);

    if (rc == NGX_AGAIN
        && ngx_chat_call_reply_read_number(call, reply, 1, &wait) != NGX_OK)
    {
        rc = NGX_ABORT;
    }

    handler = (ngx_chat_push_pt) call->handler;
    handler(call->data, rc, (ngx_msec_t) wait);
}
