
#include "ngx_chat_store_filler.h"
#include "ngx_chat_call.h"


#define NGX_CHAT_STORE_FILLER_LED  'l'


static void ngx_chat_store_filler_claim_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_store_filler_read_claim(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply, ngx_chat_claimed_t *claimed);
static void ngx_chat_store_filler_add_entry(ngx_chat_call_t *call,
    ngx_chat_queue_e queue, ngx_str_t *entry);
static ngx_int_t ngx_chat_store_filler_read_entry(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply, ngx_chat_claimed_t *claimed);
static void ngx_chat_store_filler_add_chunks(ngx_chat_call_t *call,
    ngx_chat_append_t *append);
static void ngx_chat_store_filler_append_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static void ngx_chat_store_filler_add_chunk_lens(ngx_chat_call_t *call,
    uint32_t *chunk_lens, ngx_uint_t count);
static void ngx_chat_store_filler_end_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
static ngx_chat_call_t *ngx_chat_store_filler_create_call(ngx_chat_store_t *st,
    ngx_chat_script_t *script, ngx_chat_lease_t *lease, ngx_msec_t retry_time);


/* the handler's rc NGX_OK and a result: none of these is negative */

static const ngx_chat_word_t  ngx_chat_claim_words[] = {
    { "RUN", NGX_CHAT_CLAIM_RUN },
    { "BUSY", NGX_CHAT_CLAIM_BUSY },
    { "DUP", NGX_CHAT_CLAIM_DUP },
    { "DONE", NGX_CHAT_CLAIM_DONE },
    { "GONE", NGX_CHAT_CLAIM_GONE },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_claim = {
    ngx_string("claim"), &ngx_chat_lua_claim, 3, ngx_chat_claim_words, { 0 },
    0
};


static const ngx_chat_word_t  ngx_chat_write_words[] = {
    { "OK", NGX_OK },
    { "LOST", NGX_DECLINED },
    { "GAP", NGX_BUSY },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_append = {
    ngx_string("append"), &ngx_chat_lua_append, 3, ngx_chat_write_words,
    { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_finish = {
    ngx_string("finish"), &ngx_chat_lua_finish, 4, ngx_chat_write_words,
    { 0 }, 0
};


static ngx_chat_script_t  ngx_chat_script_fail = {
    ngx_string("fail"), &ngx_chat_lua_fail, 3, ngx_chat_write_words, { 0 }, 0
};


static const ngx_chat_word_t  ngx_chat_cancel_words[] = {
    { "OK", NGX_OK },
    { "HEARD", NGX_AGAIN },
    { "LOST", NGX_DECLINED },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_cancel = {
    ngx_string("cancel"), &ngx_chat_lua_cancel, 3, ngx_chat_cancel_words,
    { 0 }, 0
};


ngx_chat_call_t *
ngx_chat_store_claim(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_claim_t *claim, ngx_msec_t retry_time, ngx_chat_claim_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_filler_create_call(st, &ngx_chat_script_claim, lease,
                                             retry_time);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_store_filler_add_entry(call, claim->queue, &claim->task);
    ngx_chat_call_add_str(call, &claim->predecessor);
    ngx_chat_call_add_str(call, &claim->label);
    ngx_chat_call_add_num(call, claim->fill);
    ngx_chat_call_add_num(call, NGX_CHAT_LEASE);
    ngx_chat_call_add_num(call, NGX_CHAT_MARGIN);
    ngx_chat_call_add_num(call, claim->budget);
    ngx_chat_call_add_num(call, NGX_CHAT_TRIES);
    ngx_chat_call_add_num(call, NGX_CHAT_RETURNS);
    ngx_chat_call_add_num(call, claim->alone ? 1 : 0);
    ngx_chat_call_add_str(call,
                          ngx_chat_error_message(NGX_CHAT_E_QUEUE_TIMEOUT));
    ngx_chat_call_add_str(call, ngx_chat_error_message(NGX_CHAT_E_INTERRUPTED));

    return ngx_chat_call_send(call, ngx_chat_store_filler_claim_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_filler_claim_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t            rc;
    ngx_chat_claim_pt    handler;
    ngx_chat_claimed_t   claimed;

    handler = (ngx_chat_claim_pt) call->handler;

    ngx_memzero(&claimed, sizeof(ngx_chat_claimed_t));

    rc = ngx_chat_call_reply_read_word(call, reply);

    if (rc >= 0) {
        claimed.result = (ngx_chat_claim_e) rc;
        rc = NGX_OK;

        if (claimed.result == NGX_CHAT_CLAIM_RUN) {
            rc = ngx_chat_store_filler_read_claim(call, reply, &claimed);
        }
    }

    handler(call->data, rc, (rc == NGX_OK) ? &claimed : NULL);
}


static ngx_int_t
ngx_chat_store_filler_read_claim(ngx_chat_call_t *call, ngx_chat_reply_t *reply,
    ngx_chat_claimed_t *claimed)
{
    uint64_t  n, tries, bytes, joined;

    if (ngx_chat_call_reply_read_number(call, reply, 1, &n) != NGX_OK
        || ngx_chat_call_reply_read_number(call, reply, 3, &tries) != NGX_OK
        || ngx_chat_call_reply_read_number(call, reply, 4, &bytes) != NGX_OK
        || ngx_chat_store_filler_read_entry(call, reply, claimed) != NGX_OK
        || ngx_chat_call_reply_read_number(call, reply, 6, &joined) != NGX_OK)
    {
        return NGX_ABORT;
    }

    claimed->tries = (ngx_uint_t) tries;
    claimed->bytes = (size_t) bytes;
    claimed->joined = (joined != 0);

    *call->lease_n = n;

    return NGX_OK;
}


/*
 * Entries of both queues may have the same ids: a generation's is marked if it
 * is in the queue of led ones, which releases without that do not read.
 */

static void
ngx_chat_store_filler_add_entry(ngx_chat_call_t *call, ngx_chat_queue_e queue,
    ngx_str_t *entry)
{
    u_char  *p;

    if (queue != NGX_CHAT_QUEUE_LED || entry->len == 0) {
        ngx_chat_call_add_str(call, entry);
        return;
    }

    p = ngx_chat_call_add_room(call, entry->len + 1);

    if (p) {
        *p++ = NGX_CHAT_STORE_FILLER_LED;
        ngx_memcpy(p, entry->data, entry->len);
    }
}


static ngx_int_t
ngx_chat_store_filler_read_entry(ngx_chat_call_t *call, ngx_chat_reply_t *reply,
    ngx_chat_claimed_t *claimed)
{
    uint64_t    ms, n;
    ngx_str_t  *task;

    task = &claimed->task;

    if (ngx_chat_reply_str(ngx_chat_reply_at(reply, 5), task) != NGX_OK) {
        return ngx_chat_call_reply_log_unexpected(call);
    }

    if (task->len && task->data[0] == NGX_CHAT_STORE_FILLER_LED) {
        claimed->queue = NGX_CHAT_QUEUE_LED;
        task->data++;
        task->len--;
    }

    if (task->len && ngx_chat_keys_parse_entry(task, &ms, &n) != NGX_OK) {
        return ngx_chat_call_reply_log_unexpected(call);
    }

    return NGX_OK;
}


ngx_chat_call_t *
ngx_chat_store_append(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_append_t *append, ngx_msec_t retry_time,
    ngx_chat_append_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_filler_create_call(st, &ngx_chat_script_append, lease,
                                             retry_time);
    if (call == NULL) {
        return NULL;
    }

    call->n = append->count + (append->label.len ? 1 : 0);

    ngx_chat_call_add_num(call, lease->n + 1);

    if (append->give_back) {
        ngx_chat_call_add_num(call, 0);

    } else if (append->renew) {
        ngx_chat_call_add_num(call, NGX_CHAT_LEASE);

    } else {
        ngx_chat_call_add_text(call, "");
    }

    ngx_chat_call_add_str(call, &append->label);
    ngx_chat_store_filler_add_entry(call, append->queue, &append->task);
    ngx_chat_store_filler_add_chunks(call, append);

    return ngx_chat_call_send(call, ngx_chat_store_filler_append_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


static void
ngx_chat_store_filler_add_chunks(ngx_chat_call_t *call,
    ngx_chat_append_t *append)
{
    u_char      *p;
    ngx_uint_t   i;

    p = append->text;

    for (i = 0; i < append->count; i++) {
        ngx_chat_call_add_bytes(call, p, append->chunk_lens[i]);
        p += append->chunk_lens[i];
    }
}


static void
ngx_chat_store_filler_append_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    uint64_t             listeners, stop;
    ngx_int_t            rc;
    ngx_chat_append_pt   handler;

    listeners = 0;
    stop = 0;

    rc = ngx_chat_call_reply_read_word(call, reply);

    if (rc == NGX_OK) {
        *call->lease_n += call->n;

        if (ngx_chat_call_reply_read_number(call, reply, 1,
                                            &listeners) != NGX_OK
            || ngx_chat_call_reply_read_number(call, reply, 2, &stop) != NGX_OK)
        {
            rc = NGX_ABORT;
        }
    }

    handler = (ngx_chat_append_pt) call->handler;
    handler(call->data, rc, (ngx_uint_t) listeners, (ngx_uint_t) stop);
}


ngx_chat_call_t *
ngx_chat_store_finish(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_finish_t *finish, ngx_msec_t retry_time,
    ngx_chat_ended_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_filler_create_call(st, &ngx_chat_script_finish, lease,
                                             retry_time);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_num(call, lease->n + 1);
    ngx_chat_call_add_num(call, finish->ttl);
    ngx_chat_call_add_str(call, &finish->text);
    ngx_chat_store_filler_add_chunk_lens(call, finish->chunk_lens,
                                         finish->count);
    ngx_chat_call_add_str(call, &finish->finish);
    ngx_chat_call_add_bytes(call, lease->gen.fp, NGX_CHAT_FP_LEN);
    ngx_chat_call_add_str(call, &finish->provider);
    ngx_chat_call_add_str(call, &finish->model);
    ngx_chat_call_add_str(call, &finish->usage);
    ngx_chat_call_add_num(call, finish->stale);

    return ngx_chat_call_send(call, ngx_chat_store_filler_end_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


/* "9 14 3" */

static void
ngx_chat_store_filler_add_chunk_lens(ngx_chat_call_t *call,
    uint32_t *chunk_lens,
    ngx_uint_t count)
{
    u_char      *p;
    size_t       len;
    uint32_t     n;
    ngx_uint_t   i;

    len = count ? count - 1 : 0;

    for (i = 0; i < count; i++) {
        n = chunk_lens[i];

        do {
            len++;
            n /= 10;
        } while (n);
    }

    p = ngx_chat_call_add_room(call, len);
    if (p == NULL) {
        return;
    }

    for (i = 0; i < count; i++) {

        if (i) {
            *p++ = ' ';
        }

        p = ngx_sprintf(p, "%uD", chunk_lens[i]);
    }
}


static void
ngx_chat_store_filler_end_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply)
{
    ngx_int_t           rc;
    ngx_chat_ended_pt   handler;

    rc = ngx_chat_call_reply_read_word(call, reply);

    if (rc == NGX_OK) {
        *call->lease_n += 1;
    }

    handler = (ngx_chat_ended_pt) call->handler;
    handler(call->data, rc);
}


ngx_chat_call_t *
ngx_chat_store_fail(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_chat_error_e error, ngx_msec_t retry_time, ngx_chat_ended_pt handler,
    void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_filler_create_call(st, &ngx_chat_script_fail, lease,
                                             retry_time);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_str(call, ngx_chat_error_message(error));
    ngx_chat_call_add_str(call, ngx_chat_error_code(error));

    return ngx_chat_call_send(call, ngx_chat_store_filler_end_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


ngx_chat_call_t *
ngx_chat_store_cancel(ngx_chat_store_t *st, ngx_chat_lease_t *lease,
    ngx_msec_t grace, ngx_chat_ended_pt handler, void *data)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_store_filler_create_call(st, &ngx_chat_script_cancel, lease,
                                             0);
    if (call == NULL) {
        return NULL;
    }

    ngx_chat_call_add_num(call, grace);
    ngx_chat_call_add_str(call, ngx_chat_error_message(NGX_CHAT_E_CANCELLED));

    return ngx_chat_call_send(call, ngx_chat_store_filler_end_reply_handler,
                              (ngx_chat_handler_pt) handler, data);
}


/* the first arguments of all these scripts: the keys, id and token */

static ngx_chat_call_t *
ngx_chat_store_filler_create_call(ngx_chat_store_t *st,
    ngx_chat_script_t *script,
    ngx_chat_lease_t *lease, ngx_msec_t retry_time)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->redis, script);
    if (call == NULL) {
        return NULL;
    }

    call->retry_time = retry_time;
    call->lease_n = &lease->n;

    ngx_chat_call_add_gen(call, &lease->gen);
    ngx_chat_call_add_bytes(call, lease->token, lease->token_len);

    return call;
}
