
#include "ngx_chat_store_tasks.h"
#include "ngx_chat_store_task.h"


#define NGX_CHAT_TASKS_SWEEP  600000   /* ms */

/* more than ever wait: for a task that is queued in any case */
#define NGX_CHAT_TASKS_ROOM   NGX_MAX_INT32_VALUE


static ngx_chat_call_t *ngx_chat_store_tasks_create_read(ngx_chat_store_t *st,
    ngx_chat_redis_t *rd, ngx_str_t *consumer, ngx_uint_t count);
static void ngx_chat_store_tasks_read_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static void ngx_chat_store_tasks_idle_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static void ngx_chat_store_tasks_send_page(ngx_chat_call_t *call, ngx_int_t rc,
    ngx_chat_reply_t *entries);
static void ngx_chat_store_tasks_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static void ngx_chat_store_tasks_client_id_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static void ngx_chat_store_tasks_count_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static void ngx_chat_store_tasks_insure_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static void ngx_chat_store_tasks_add_fields(ngx_chat_call_t *call,
    ngx_chat_task_entry_t *entry);
static ngx_chat_call_t *ngx_chat_store_tasks_create_script(ngx_chat_store_t *st,
    ngx_chat_script_t *script, ngx_chat_queue_e queue);


static const char  *ngx_chat_tasks_keys[NGX_CHAT_QUEUES] = {
    NGX_CHAT_KEY_TASKS,
    NGX_CHAT_KEY_LED
};


static const ngx_chat_word_t  ngx_chat_tasks_words[] = {
    { "OK", NGX_OK },
    { "GONE", NGX_OK },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_done = {
    ngx_string("done"), &ngx_chat_lua_done, 1, ngx_chat_tasks_words, { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_give_back = {
    ngx_string("give_back"), &ngx_chat_lua_give_back, 2,
    ngx_chat_tasks_words, { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_push_task = {
    ngx_string("push"), &ngx_chat_lua_push, 1, ngx_chat_tasks_words, { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_insure = {
    ngx_string("insure"), &ngx_chat_lua_insure, 1, ngx_chat_tasks_words, { 0 },
    0
};


static ngx_chat_script_t  ngx_chat_script_idle = {
    ngx_string("idle"), &ngx_chat_lua_idle, 1, NULL, { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_sweep = {
    ngx_string("sweep"), &ngx_chat_lua_sweep, 1, NULL, { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_waiting = {
    ngx_string("waiting"), &ngx_chat_lua_waiting, 1, NULL, { 0 }, 0
};


ngx_chat_call_t *
ngx_chat_store_tasks_read(ngx_chat_store_t *st, ngx_chat_redis_t *rd,
    ngx_str_t *consumer, ngx_uint_t count, ngx_chat_tasks_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_read(st, rd, consumer, count);
    if (call == NULL) {
        return NULL;
    }

    call->no_retry = 1;
    call->timeout = NGX_CHAT_TASK_BLOCK + NGX_CHAT_REDIS_TIMEOUT;

    ngx_chat_call_add_text(call, "BLOCK");
    ngx_chat_call_add_num(call, NGX_CHAT_TASK_BLOCK);
    ngx_chat_call_add_text(call, "STREAMS");
    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);
    ngx_chat_call_add_text(call, ">");

    return ngx_chat_call_send(call, ngx_chat_store_tasks_read_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_read_pending(ngx_chat_store_t *st, ngx_chat_redis_t *rd,
    ngx_str_t *consumer, ngx_str_t *after, ngx_uint_t count,
    ngx_chat_tasks_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_read(st, rd, consumer, count);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, "STREAMS");
    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);
    ngx_chat_call_add_str(call, after);

    return ngx_chat_call_send(call, ngx_chat_store_tasks_read_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static ngx_chat_call_t *
ngx_chat_store_tasks_create_read(ngx_chat_store_t *st, ngx_chat_redis_t *rd,
    ngx_str_t *consumer, ngx_uint_t count)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, rd, NULL);
    if (call == NULL) {
        return NULL;
    }

    call->service = NGX_CHAT_SERVICE_QUEUE;

    ngx_chat_call_add_text(call, "XREADGROUP");
    ngx_chat_call_add_text(call, "GROUP");
    ngx_chat_call_add_text(call, NGX_CHAT_KEY_GROUP);
    ngx_chat_call_add_str(call, consumer);
    ngx_chat_call_add_text(call, "COUNT");
    ngx_chat_call_add_num(call, count);

    return call;
}


static void
ngx_chat_store_tasks_read_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t          rc;
    ngx_chat_reply_t  *stream;

    /* the stream may vanish under a blocked read */

    if (ngx_chat_call_reply_is_error(reply, "NOGROUP")
        || ngx_chat_call_reply_is_error(reply, "UNBLOCKED"))
    {
        ngx_chat_store_tasks_send_page(call, NGX_DECLINED, NULL);
        return;
    }

    rc = ngx_chat_call_reply_check_array(call, reply);
    stream = ngx_chat_reply_at(reply, 0);

    ngx_chat_store_tasks_send_page(call, rc, ngx_chat_reply_at(stream, 1));
}


ngx_chat_call_t *
ngx_chat_store_tasks_find_idle(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *owner, ngx_msec_t idle, ngx_uint_t count,
    ngx_chat_tasks_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_idle, queue);
    if (call == NULL) {
        return NULL;
    }

    call->n = queue;

    ngx_chat_call_add_str(call, owner);
    ngx_chat_call_add_num(call, idle);
    ngx_chat_call_add_num(call, count);

    return ngx_chat_call_send(call, ngx_chat_store_tasks_idle_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_tasks_idle_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t  rc;

    if (ngx_chat_call_reply_is_error(reply, "NOGROUP")) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_call_reply_check_array(call, reply);
    }

    ngx_chat_store_tasks_send_page(call, rc, reply);
}


static void
ngx_chat_store_tasks_send_page(ngx_chat_call_t *call, ngx_int_t rc,
    ngx_chat_reply_t *entries)
{
    ngx_chat_tasks_pt      handler;
    ngx_chat_task_page_t   page;

    page.entries = entries;
    page.next = 0;
    page.queue = (ngx_chat_queue_e) call->n;

    handler = (ngx_chat_tasks_pt) call->handler;
    handler(call->data, rc, (rc == NGX_OK) ? &page : NULL);
}


ngx_chat_call_t *
ngx_chat_store_tasks_create_group(ngx_chat_store_t *st, ngx_chat_redis_t *rd,
    ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, rd, NULL);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, "XGROUP");
    ngx_chat_call_add_text(call, "CREATE");
    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);
    ngx_chat_call_add_text(call, NGX_CHAT_KEY_GROUP);
    ngx_chat_call_add_text(call, "0");
    ngx_chat_call_add_text(call, "MKSTREAM");

    return ngx_chat_call_send(call, ngx_chat_store_tasks_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_unblock(ngx_chat_store_t *st, int64_t client_id,
    ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->broker, NULL);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, "CLIENT");
    ngx_chat_call_add_text(call, "UNBLOCK");
    ngx_chat_call_add_num(call, client_id);

    return ngx_chat_call_send(call, ngx_chat_store_tasks_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_keep(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *consumer, ngx_str_t *entries, ngx_uint_t count,
    ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_uint_t        i;
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->broker, NULL);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, "XCLAIM");
    ngx_chat_call_add_text(call, ngx_chat_tasks_keys[queue]);
    ngx_chat_call_add_text(call, NGX_CHAT_KEY_GROUP);
    ngx_chat_call_add_str(call, consumer);
    ngx_chat_call_add_num(call, 0);

    for (i = 0; i < count; i++) {
        ngx_chat_call_add_str(call, &entries[i]);
    }

    ngx_chat_call_add_text(call, "JUSTID");

    return ngx_chat_call_send(call, ngx_chat_store_tasks_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


/* the content of the reply does not matter, unless it is an error */

static void
ngx_chat_store_tasks_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t       rc;
    ngx_chat_rc_pt  handler;

    if (ngx_chat_call_reply_is_error(reply, "BUSYGROUP")) {
        rc = NGX_OK;

    } else if (ngx_chat_call_reply_is_error(reply, "NOGROUP")) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_call_reply_check(call, reply);
    }

    handler = (ngx_chat_rc_pt) call->handler;
    handler(call->data, rc);
}


ngx_chat_call_t *
ngx_chat_store_tasks_get_client_id(ngx_chat_store_t *st, ngx_chat_redis_t *rd,
    ngx_chat_client_id_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, rd, NULL);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, "CLIENT");
    ngx_chat_call_add_text(call, "ID");

    return ngx_chat_call_send(call,
                              ngx_chat_store_tasks_client_id_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_tasks_client_id_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    int64_t                 id;
    ngx_int_t               rc;
    ngx_chat_client_id_pt   handler;

    id = 0;
    rc = ngx_chat_call_reply_check(call, reply);

    if (rc == NGX_OK && (ngx_chat_reply_int(reply, &id) != NGX_OK || id < 0)) {
        rc = ngx_chat_call_reply_log_unexpected(call);
    }

    handler = (ngx_chat_client_id_pt) call->handler;
    handler(call->data, rc, id);
}


ngx_chat_call_t *
ngx_chat_store_tasks_remove(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *entry, ngx_msec_t retry_time, ngx_chat_tasks_result_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_done, queue);
    if (call == NULL) {
        return NULL;
    }

    call->retry_time = retry_time;

    ngx_chat_call_add_str(call, entry);

    return ngx_chat_call_send(call, ngx_chat_call_word_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_give_back(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_str_t *entry, ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_give_back,
                                              queue);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);
    ngx_chat_call_add_str(call, entry);

    return ngx_chat_call_send(call, ngx_chat_call_word_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_push(ngx_chat_store_t *st, ngx_chat_task_entry_t *task,
    ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_push_task,
                                              NGX_CHAT_QUEUE_TASKS);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_num(call, NGX_CHAT_TASKS_ROOM);
    ngx_chat_store_tasks_add_fields(call, task);

    return ngx_chat_call_send(call, ngx_chat_call_word_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_insure(ngx_chat_store_t *st, ngx_str_t *consumer,
    ngx_chat_task_entry_t *task, ngx_msec_t retry_time,
    ngx_chat_tasks_insure_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_insure,
                                              NGX_CHAT_QUEUE_LED);
    if (call == NULL) {
        return NULL;
    }

    call->retry_time = retry_time;

    ngx_chat_call_add_str(call, consumer);
    ngx_chat_store_tasks_add_fields(call, task);

    return ngx_chat_call_send(call, ngx_chat_store_tasks_insure_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_tasks_insure_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t                  rc;
    ngx_str_t                  entry;
    ngx_chat_tasks_insure_pt   handler;

    rc = ngx_chat_call_reply_read_word(call, reply);

    if (rc == NGX_OK) {
        rc = ngx_chat_call_reply_read_entry(call, reply, 1, &entry);

        if (rc == NGX_OK && entry.len == 0) {
            rc = ngx_chat_call_reply_log_unexpected(call);
        }
    }

    handler = (ngx_chat_tasks_insure_pt) call->handler;
    handler(call->data, rc, (rc == NGX_OK) ? &entry : NULL);
}


static void
ngx_chat_store_tasks_add_fields(ngx_chat_call_t *call,
    ngx_chat_task_entry_t *entry)
{
    ngx_chat_task_t  task;

    task.gen = entry->gen;
    task.providers = entry->providers;
    task.messages = entry->messages;
    task.trace = entry->trace;
    task.ttl = entry->ttl;
    task.stale = entry->stale;
    task.max_answer = entry->max_answer;
    task.cancel = entry->cancel;
    task.grace = entry->grace;

    ngx_chat_store_task_add_fields(call, &task);
}


ngx_chat_call_t *
ngx_chat_store_tasks_sweep(ngx_chat_store_t *st, ngx_chat_queue_e queue,
    ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_sweep,
                                              queue);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_num(call, NGX_CHAT_TASKS_SWEEP);

    return ngx_chat_call_send(call, ngx_chat_store_tasks_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_count_waiting(ngx_chat_store_t *st,
    ngx_chat_tasks_count_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_waiting,
                                              NGX_CHAT_QUEUE_TASKS);
    if (call == NULL) {
        return NULL;
    }

    return ngx_chat_call_send(call, ngx_chat_store_tasks_count_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_tasks_count_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    uint64_t                   waiting, age;
    ngx_int_t                  rc;
    ngx_chat_tasks_count_pt    handler;

    waiting = 0;
    age = 0;
    rc = ngx_chat_call_reply_check(call, reply);

    if (rc == NGX_OK) {
        rc = ngx_chat_call_reply_read_number(call, reply, 0, &waiting);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_call_reply_read_number(call, reply, 1, &age);
    }

    handler = (ngx_chat_tasks_count_pt) call->handler;
    handler(call->data, rc, (ngx_uint_t) waiting, age);
}


static ngx_chat_call_t *
ngx_chat_store_tasks_create_script(ngx_chat_store_t *st,
    ngx_chat_script_t *script, ngx_chat_queue_e queue)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->broker, script);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, ngx_chat_tasks_keys[queue]);

    return call;
}
