
#include "ngx_chat_store_tasks.h"
#include "ngx_chat_call.h"
#include "../codec/ngx_chat_utf8.h"


#define NGX_CHAT_TASKS_SWEEP  600000   /* ms */

/* a number in a task is below this: no sum with it overflows */
#define NGX_CHAT_TASK_MAX     (NGX_MAX_INT_T_VALUE / 1000)
#define NGX_CHAT_TASK_ID_MAX  128


static ngx_int_t ngx_chat_store_task_read_gen(ngx_chat_reply_t *fields,
    ngx_chat_gen_t *gen);
static ngx_int_t ngx_chat_store_task_read_hex(ngx_chat_reply_t *fields,
    const char *name, u_char *dst, size_t len);
static ngx_int_t ngx_chat_store_task_read_text(ngx_chat_reply_t *fields,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_chat_store_task_read_number(ngx_chat_reply_t *fields,
    const char *name, ngx_uint_t *n);
static ngx_int_t ngx_chat_store_task_read_request_id(ngx_chat_reply_t *fields,
    ngx_str_t *value);
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
static ngx_chat_call_t *ngx_chat_store_tasks_create_script(ngx_chat_store_t *st,
    ngx_chat_script_t *script);


static const ngx_chat_word_t  ngx_chat_tasks_words[] = {
    { "OK", NGX_OK },
    { "GONE", NGX_OK },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_done = {
    ngx_string("done"), &ngx_chat_lua_done, 1, ngx_chat_tasks_words, { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_give_back = {
    ngx_string("give_back"), &ngx_chat_lua_give_back, 1,
    ngx_chat_tasks_words, { 0 }, 0
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


ngx_int_t
ngx_chat_store_task_take(ngx_chat_task_page_t *page,
    ngx_chat_task_entry_t *task)
{
    uint64_t           ms, n;
    ngx_str_t          entry;
    ngx_uint_t         ttl, max_answer, grace;
    ngx_chat_reply_t  *fields, *item;

    ngx_memzero(task, sizeof(ngx_chat_task_entry_t));

    for ( ;; ) {

        if (page->next >= ngx_chat_reply_count(page->entries)) {
            return NGX_DONE;
        }

        item = ngx_chat_reply_at(page->entries, page->next++);

        if (ngx_chat_reply_str(ngx_chat_reply_at(item, 0), &entry) == NGX_OK
            && ngx_chat_keys_parse_entry(&entry, &ms, &n) == NGX_OK)
        {
            break;
        }
    }

    task->entry = entry;

    /* nil where the data of a pending entry was deleted */

    fields = ngx_chat_reply_at(item, 1);

    if (ngx_chat_store_task_read_gen(fields, &task->gen) != NGX_OK
        || ngx_chat_store_task_read_text(fields, "providers", &task->providers)
           != NGX_OK
        || ngx_chat_store_task_read_text(fields, "messages", &task->messages)
           != NGX_OK
        || ngx_chat_store_task_read_request_id(fields,
                                               &task->request_id) != NGX_OK
        || ngx_chat_store_task_read_number(fields, "ttl", &ttl) != NGX_OK
        || ngx_chat_store_task_read_number(fields, "max_answer", &max_answer)
           != NGX_OK
        || ngx_chat_store_task_read_number(fields, "cancel", &task->cancel)
           != NGX_OK
        || task->cancel > 1
        || ngx_chat_store_task_read_number(fields, "grace", &grace) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    task->ttl = ttl;
    task->max_answer = max_answer;
    task->grace = grace;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_store_task_read_gen(ngx_chat_reply_t *fields, ngx_chat_gen_t *gen)
{
    if (ngx_chat_store_task_read_hex(fields, "h", gen->h, NGX_CHAT_HASH_LEN)
        != NGX_OK
        || ngx_chat_store_task_read_hex(fields, "id", gen->id, NGX_CHAT_ID_LEN)
           != NGX_OK
        || ngx_chat_store_task_read_hex(fields, "fp", gen->fp, NGX_CHAT_FP_LEN)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_store_task_read_hex(ngx_chat_reply_t *fields, const char *name,
    u_char *dst, size_t len)
{
    ngx_str_t  value;

    if (ngx_chat_reply_field(fields, name, &value) != NGX_OK
        || ngx_chat_keys_check_hex(&value, len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(dst, value.data, len);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_store_task_read_text(ngx_chat_reply_t *fields, const char *name,
    ngx_str_t *value)
{
    if (ngx_chat_reply_field(fields, name, value) != NGX_OK
        || value->len == 0
        || ngx_chat_utf8_check(value->data, value->len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_store_task_read_number(ngx_chat_reply_t *fields, const char *name,
    ngx_uint_t *n)
{
    ngx_int_t  value;
    ngx_str_t  s;

    if (ngx_chat_reply_field(fields, name, &s) != NGX_OK) {
        return NGX_DECLINED;
    }

    value = ngx_atoi(s.data, s.len);

    if (value == NGX_ERROR || value > NGX_CHAT_TASK_MAX) {
        return NGX_DECLINED;
    }

    *n = value;

    return NGX_OK;
}


/* the request id goes into log lines: printable ASCII, or empty */

static ngx_int_t
ngx_chat_store_task_read_request_id(ngx_chat_reply_t *fields, ngx_str_t *value)
{
    size_t  i;

    if (ngx_chat_reply_field(fields, "request_id", value) != NGX_OK
        || value->len > NGX_CHAT_TASK_ID_MAX)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] <= ' ' || value->data[i] > '~') {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


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
ngx_chat_store_tasks_find_idle(ngx_chat_store_t *st, ngx_str_t *owner,
    ngx_msec_t idle, ngx_uint_t count, ngx_chat_tasks_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_idle);
    if (call == NULL) {
        return NULL;
    }

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
ngx_chat_store_tasks_keep(ngx_chat_store_t *st, ngx_str_t *consumer,
    ngx_str_t *entries, ngx_uint_t count, ngx_chat_tasks_result_pt handler,
    void *data)
{
    ngx_uint_t        i;
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->broker, NULL);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, "XCLAIM");
    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);
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
ngx_chat_store_tasks_remove(ngx_chat_store_t *st, ngx_str_t *entry,
    ngx_msec_t retry_time, ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_done);
    if (call == NULL) {
        return NULL;
    }

    call->retry_time = retry_time;

    ngx_chat_call_add_str(call, entry);

    return ngx_chat_call_send(call, ngx_chat_call_word_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_give_back(ngx_chat_store_t *st, ngx_str_t *entry,
    ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_give_back);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_str(call, entry);

    return ngx_chat_call_send(call, ngx_chat_call_word_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_tasks_sweep(ngx_chat_store_t *st,
    ngx_chat_tasks_result_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_sweep);
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

    call = ngx_chat_store_tasks_create_script(st, &ngx_chat_script_waiting);
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
    uint64_t                   waiting;
    ngx_int_t                  rc;
    ngx_chat_tasks_count_pt    handler;

    waiting = 0;
    rc = ngx_chat_call_reply_check(call, reply);

    if (rc == NGX_OK) {
        rc = ngx_chat_call_reply_read_number(call, reply, 0, &waiting);
    }

    handler = (ngx_chat_tasks_count_pt) call->handler;
    handler(call->data, rc, (ngx_uint_t) waiting);
}


static ngx_chat_call_t *
ngx_chat_store_tasks_create_script(ngx_chat_store_t *st,
    ngx_chat_script_t *script)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->broker, script);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);

    return call;
}
