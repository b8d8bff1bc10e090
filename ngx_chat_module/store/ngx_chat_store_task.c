
#include "ngx_chat_store_task.h"
#include "ngx_chat_store_tasks.h"
#include "../codec/ngx_chat_utf8.h"


/* a number in a task is not above this: no sum with it overflows */
#define NGX_CHAT_TASK_MAX                                                     \
    ngx_min(NGX_CHAT_TIME_MAX, NGX_MAX_INT_T_VALUE / 1000)


static ngx_int_t ngx_chat_store_task_read_gen(ngx_chat_reply_t *fields,
    ngx_chat_gen_t *gen);
static ngx_int_t ngx_chat_store_task_read_hex(ngx_chat_reply_t *fields,
    const char *name, u_char *dst, size_t len);
static ngx_int_t ngx_chat_store_task_read_text(ngx_chat_reply_t *fields,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_chat_store_task_read_number(ngx_chat_reply_t *fields,
    const char *name, ngx_uint_t *n);
static ngx_int_t ngx_chat_store_task_read_trace(ngx_chat_reply_t *fields,
    ngx_chat_trace_t *trace);


void
ngx_chat_store_task_add_fields(ngx_chat_call_t *call, ngx_chat_task_t *task)
{
    ngx_chat_call_add_text(call, "h");
    ngx_chat_call_add_bytes(call, task->gen.h, NGX_CHAT_HASH_LEN);

    ngx_chat_call_add_text(call, "id");
    ngx_chat_call_add_bytes(call, task->gen.id, NGX_CHAT_ID_LEN);

    ngx_chat_call_add_text(call, "fp");
    ngx_chat_call_add_bytes(call, task->gen.fp, NGX_CHAT_FP_LEN);

    ngx_chat_call_add_text(call, "providers");
    ngx_chat_call_add_str(call, &task->providers);

    ngx_chat_call_add_text(call, "messages");
    ngx_chat_call_add_str(call, &task->messages);

    ngx_chat_call_add_text(call, "ttl");
    ngx_chat_call_add_num(call, task->ttl);

    ngx_chat_call_add_text(call, "max_answer");
    ngx_chat_call_add_num(call, task->max_answer);

    ngx_chat_call_add_text(call, "cancel");
    ngx_chat_call_add_num(call, task->cancel ? 1 : 0);

    ngx_chat_call_add_text(call, "grace");
    ngx_chat_call_add_num(call, task->grace);

    ngx_chat_call_add_text(call, "request_id");
    ngx_chat_call_add_str(call, &task->trace.request_id);

    if (task->stale) {
        ngx_chat_call_add_text(call, "stale");
        ngx_chat_call_add_num(call, task->stale);
    }

    if (task->trace.traceparent.len) {
        ngx_chat_call_add_text(call, "traceparent");
        ngx_chat_call_add_str(call, &task->trace.traceparent);
    }
}


ngx_int_t
ngx_chat_store_task_take(ngx_chat_task_page_t *page,
    ngx_chat_task_entry_t *task)
{
    uint64_t           ms, n;
    ngx_str_t          entry;
    ngx_uint_t         ttl, stale, max_answer, grace;
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
    task->queue = page->queue;

    /* nil where the data of a pending entry was deleted */

    fields = ngx_chat_reply_at(item, 1);

    if (ngx_chat_store_task_read_gen(fields, &task->gen) != NGX_OK
        || ngx_chat_store_task_read_text(fields, "providers", &task->providers)
           != NGX_OK
        || ngx_chat_store_task_read_text(fields, "messages", &task->messages)
           != NGX_OK
        || ngx_chat_store_task_read_trace(fields, &task->trace) != NGX_OK
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

    /* only in tasks of locations where it is not 0 */

    if (ngx_chat_store_task_read_number(fields, "stale", &stale) != NGX_OK) {
        stale = 0;
    }

    task->ttl = ttl;
    task->stale = stale;
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

    if (value == NGX_ERROR || (uint64_t) value > NGX_CHAT_TASK_MAX) {
        return NGX_DECLINED;
    }

    *n = value;

    return NGX_OK;
}


/* a traceparent is in no task of an older release, and none is needed */

static ngx_int_t
ngx_chat_store_task_read_trace(ngx_chat_reply_t *fields,
    ngx_chat_trace_t *trace)
{
    if (ngx_chat_reply_field(fields, "request_id", &trace->request_id)
        != NGX_OK
        || ngx_chat_trace_check_id(&trace->request_id) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_chat_reply_field(fields, "traceparent", &trace->traceparent)
        != NGX_OK
        || ngx_chat_trace_check_parent(&trace->traceparent) != NGX_OK)
    {
        ngx_str_null(&trace->traceparent);
    }

    return NGX_OK;
}
