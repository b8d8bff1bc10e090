
#include "ngx_chat_call.h"

#include <ngx_sha1.h>


#define NGX_CHAT_CALL_POOL   2048
#define NGX_CHAT_CALL_ARGS   32
#define NGX_CHAT_CALL_RETRY  100      /* ms */


static void ngx_chat_call_hash_script(ngx_chat_script_t *script);
static ngx_int_t ngx_chat_call_transmit(ngx_chat_call_t *call);
static void ngx_chat_call_pipelined_handler(void *data,
    ngx_chat_reply_t *reply);
static void ngx_chat_call_reply_handler(void *data, ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_call_repeat(ngx_chat_call_t *call);
static ngx_int_t ngx_chat_call_load_script(ngx_chat_call_t *call);
static ngx_int_t ngx_chat_call_wait_for_retry(ngx_chat_call_t *call);
static void ngx_chat_call_retry_handler(ngx_event_t *ev);
static void ngx_chat_call_cancel_commands(ngx_chat_call_t *call);
static void ngx_chat_call_finish(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


ngx_chat_call_t *
ngx_chat_call_create(ngx_chat_store_t *st, ngx_chat_redis_t *rd,
    ngx_chat_script_t *script)
{
    ngx_pool_t       *pool;
    ngx_chat_call_t  *call;

    if (st->closed) {
        return NULL;
    }

    pool = ngx_create_pool(NGX_CHAT_CALL_POOL, st->log);
    if (pool == NULL) {
        return NULL;
    }

    call = ngx_pcalloc(pool, sizeof(ngx_chat_call_t));
    if (call == NULL) {
        goto failed;
    }

    if (ngx_array_init(&call->args, pool, NGX_CHAT_CALL_ARGS,
                       sizeof(ngx_str_t))
        != NGX_OK)
    {
        goto failed;
    }

    call->pool = pool;
    call->store = st;
    call->rd = rd;
    call->script = script;
    call->timeout = NGX_CHAT_REDIS_TIMEOUT;
    call->service = NGX_CHAT_SERVICES;
    call->no_retry = (rd != st->redis && rd != st->broker);

    /* not cancelable: what is repeated is worth a later exit */

    call->retry.handler = ngx_chat_call_retry_handler;
    call->retry.data = call;
    call->retry.log = st->log;

    ngx_queue_insert_tail(&st->calls, &call->queue);

    if (script) {
        ngx_chat_call_hash_script(script);

        ngx_chat_call_add_text(call, "EVALSHA");
        ngx_chat_call_add_bytes(call, script->sha, sizeof(script->sha));
        ngx_chat_call_add_num(call, script->nkeys);
    }

    return call;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


static void
ngx_chat_call_hash_script(ngx_chat_script_t *script)
{
    u_char      md[20];
    ngx_sha1_t  sha1;

    if (script->known) {
        return;
    }

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, script->text->data, script->text->len);
    ngx_sha1_final(md, &sha1);

    ngx_hex_dump(script->sha, md, sizeof(md));

    script->known = 1;
}


u_char *
ngx_chat_call_add_room(ngx_chat_call_t *call, size_t len)
{
    u_char     *p;
    ngx_str_t  *arg;

    p = ngx_pnalloc(call->pool, ngx_max(len, 1));
    if (p == NULL) {
        goto failed;
    }

    arg = ngx_array_push(&call->args);
    if (arg == NULL) {
        goto failed;
    }

    arg->len = len;
    arg->data = p;

    return p;

failed:

    call->failed = 1;

    return NULL;
}


void
ngx_chat_call_add_bytes(ngx_chat_call_t *call, const void *p, size_t len)
{
    u_char  *dst;

    dst = ngx_chat_call_add_room(call, len);

    if (dst && len) {
        ngx_memcpy(dst, p, len);
    }
}


void
ngx_chat_call_add_text(ngx_chat_call_t *call, const char *text)
{
    ngx_chat_call_add_bytes(call, text, ngx_strlen(text));
}


void
ngx_chat_call_add_str(ngx_chat_call_t *call, ngx_str_t *s)
{
    ngx_chat_call_add_bytes(call, s->data, s->len);
}


void
ngx_chat_call_add_num(ngx_chat_call_t *call, uint64_t n)
{
    u_char  *p, buf[NGX_INT64_LEN];

    p = ngx_sprintf(buf, "%uL", n);

    ngx_chat_call_add_bytes(call, buf, p - buf);
}


void
ngx_chat_call_add_gen(ngx_chat_call_t *call, ngx_chat_gen_t *gen)
{
    ngx_chat_keys_t  keys;

    ngx_chat_keys_init(&keys, gen);

    call->gen = *gen;

    if (call->script->nkeys >= 4) {
        ngx_chat_call_add_str(call, &keys.stream);
    }

    ngx_chat_call_add_str(call, &keys.live);
    ngx_chat_call_add_str(call, &keys.gen);
    ngx_chat_call_add_str(call, &keys.own);

    if (call->script->nkeys >= 5) {
        ngx_chat_call_add_str(call, &keys.update);
    }

    ngx_chat_call_add_bytes(call, gen->id, NGX_CHAT_ID_LEN);
}


void
ngx_chat_call_pipeline(ngx_chat_call_t *call, const char *name)
{
    ngx_str_t  *args;

    if (call->failed) {
        return;
    }

    args = call->args.elts;

    call->pipelined[0].len = ngx_strlen(name);
    call->pipelined[0].data = (u_char *) name;
    call->pipelined[1] = args[1];
    call->npipelined = 2;
}


ngx_chat_call_t *
ngx_chat_call_send(ngx_chat_call_t *call, ngx_chat_reply_handler_pt done,
    ngx_chat_handler_pt handler, void *data)
{
    call->done = done;
    call->handler = handler;
    call->data = data;
    call->started = ngx_current_msec;

    if (!call->failed
        && (ngx_chat_call_transmit(call) == NGX_OK
            || ngx_chat_call_wait_for_retry(call) == NGX_OK))
    {
        return call;
    }

    ngx_chat_call_cancel(call);

    return NULL;
}


static ngx_int_t
ngx_chat_call_transmit(ngx_chat_call_t *call)
{
    ngx_msec_t  timeout, spent;

    timeout = call->timeout;

    if (call->retry_time == 0) {

        /* somebody waits: all attempts together have this time */

        spent = ngx_current_msec - call->started;

        if (spent >= timeout) {
            return NGX_DECLINED;
        }

        timeout -= spent;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, call->store->log, 0,
                   "chat command \"%V\", arguments:%ui timeout:%M repeated:%d",
                   ngx_chat_call_reply_command_name(call), call->args.nelts,
                   timeout, (int) call->repeated);

    call->pipelined_reply = NGX_CHAT_CALL_NO_NUMBER;

    if (call->npipelined) {
        call->pipelined_cmd = ngx_chat_redis_command(call->rd,
                                               call->pipelined,
                                               call->npipelined, timeout,
                                               ngx_chat_call_pipelined_handler,
                                               call);
        if (call->pipelined_cmd == NULL) {
            return NGX_DECLINED;
        }
    }

    call->cmd = ngx_chat_redis_command(call->rd, call->args.elts,
                                       call->args.nelts, timeout,
                                       ngx_chat_call_reply_handler, call);
    if (call->cmd) {
        return NGX_OK;
    }

    if (call->pipelined_cmd) {
        ngx_chat_redis_cmd_cancel(call->pipelined_cmd);
        call->pipelined_cmd = NULL;
    }

    return NGX_DECLINED;
}


static void
ngx_chat_call_pipelined_handler(void *data, ngx_chat_reply_t *reply)
{
    ngx_chat_call_t *call = data;

    int64_t  n;

    call->pipelined_cmd = NULL;

    if (ngx_chat_reply_int(reply, &n) == NGX_OK) {
        call->pipelined_reply = n;
        return;
    }

    /* a script that Redis does not take shows here alone */

    if (reply && call->script
        && ngx_chat_call_reply_check(call, reply) == NGX_ABORT)
    {
        call->no_retry = 1;
    }
}


static void
ngx_chat_call_reply_handler(void *data, ngx_chat_reply_t *reply)
{
    ngx_chat_call_t *call = data;

    ngx_int_t  rc;

    call->cmd = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, call->store->log, 0,
                   "chat command \"%V\" %s after %M ms",
                   ngx_chat_call_reply_command_name(call),
                   reply ? "answered" : "lost",
                   ngx_current_msec - call->started);

    if (reply == NULL) {
        call->drops += ngx_chat_redis_is_dropped(call->rd);
        rc = ngx_chat_call_repeat(call);

    } else if (call->script && !call->loaded
               && ngx_chat_call_reply_is_error(reply, "NOSCRIPT"))
    {
        rc = ngx_chat_call_load_script(call);

    } else if (ngx_chat_call_reply_classify(reply) == NGX_AGAIN) {
        rc = ngx_chat_call_wait_for_retry(call);

        if (rc == NGX_OK) {
            (void) ngx_chat_call_reply_check(call, reply);
        }

    } else {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        return;
    }

    ngx_chat_call_finish(call, reply);
}


static ngx_int_t
ngx_chat_call_repeat(ngx_chat_call_t *call)
{
    /* another connection may be to a server that does not know the script */

    call->loaded = 0;

    if (call->no_retry || call->store->closed) {
        return NGX_DECLINED;
    }

    if (!call->repeated && !ngx_chat_redis_is_down(call->rd)) {
        call->repeated = 1;

        if (ngx_chat_call_transmit(call) == NGX_OK) {
            return NGX_OK;
        }
    }

    return ngx_chat_call_wait_for_retry(call);
}


static ngx_int_t
ngx_chat_call_load_script(ngx_chat_call_t *call)
{
    ngx_int_t  rc;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, call->store->log, 0,
                   "chat script of \"%V\" is loaded",
                   ngx_chat_call_reply_command_name(call));

    ngx_str_set(&call->pipelined[0], "SCRIPT");
    ngx_str_set(&call->pipelined[1], "LOAD");
    call->pipelined[2] = *call->script->text;
    call->npipelined = 3;

    rc = ngx_chat_call_transmit(call);

    call->npipelined = 0;
    call->loaded = 1;

    return (rc == NGX_OK) ? NGX_OK : ngx_chat_call_wait_for_retry(call);
}


static ngx_int_t
ngx_chat_call_wait_for_retry(ngx_chat_call_t *call)
{
    ngx_msec_t  spent;

    spent = ngx_current_msec - call->started;

    if (call->no_retry || call->store->closed || spent >= call->retry_time) {
        return NGX_DECLINED;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, call->store->log, 0,
                   "chat command \"%V\" waits for a retry, spent %M ms",
                   ngx_chat_call_reply_command_name(call), spent);

    ngx_add_timer(&call->retry,
                  ngx_min(NGX_CHAT_CALL_RETRY, call->retry_time - spent));

    return NGX_OK;
}


static void
ngx_chat_call_retry_handler(ngx_event_t *ev)
{
    ngx_chat_call_t  *call;

    call = ev->data;

    call->loaded = 0;

    if (ngx_chat_call_transmit(call) == NGX_OK
        || ngx_chat_call_wait_for_retry(call) == NGX_OK)
    {
        return;
    }

    ngx_chat_call_finish(call, NULL);
}


ngx_int_t
ngx_chat_call_resend(ngx_chat_call_t *call)
{
    if (ngx_chat_call_transmit(call) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_queue_insert_tail(&call->store->calls, &call->queue);
    call->fired = 0;

    return NGX_OK;
}


void
ngx_chat_call_cancel(ngx_chat_call_t *call)
{
    if (call == NULL || call->fired) {
        return;
    }

    ngx_chat_call_cancel_commands(call);
    ngx_destroy_pool(call->pool);
}


void
ngx_chat_call_fail(ngx_chat_call_t *call)
{
    ngx_chat_call_finish(call, NULL);
}


static void
ngx_chat_call_cancel_commands(ngx_chat_call_t *call)
{
    ngx_queue_remove(&call->queue);

    if (call->retry.timer_set) {
        ngx_del_timer(&call->retry);
    }

    if (call->pipelined_cmd) {
        ngx_chat_redis_cmd_cancel(call->pipelined_cmd);
        call->pipelined_cmd = NULL;
    }

    if (call->cmd) {
        ngx_chat_redis_cmd_cancel(call->cmd);
        call->cmd = NULL;
    }
}


static void
ngx_chat_call_finish(ngx_chat_call_t *call, ngx_chat_reply_t *reply)
{
    ngx_chat_call_cancel_commands(call);

    if (reply) {
        ngx_chat_store_service_update(call, reply);
    }

    call->fired = 1;
    call->done(call, reply);

    if (!call->fired) {
        /* sent again */
        return;
    }

    /* the store may be closed and gone by now */

    ngx_destroy_pool(call->pool);
}
