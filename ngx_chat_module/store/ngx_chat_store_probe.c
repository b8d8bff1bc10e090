
#include "ngx_chat_store_worker.h"
#include "ngx_chat_call.h"
#include "../codec/ngx_chat_key.h"


#define NGX_CHAT_PROBE_REFUSED  1000     /* ms */
#define NGX_CHAT_PROBE_IDLE     5000


static ngx_uint_t ngx_chat_store_probe_is_due(ngx_chat_store_t *st);
static void ngx_chat_store_probe_count_call(ngx_chat_store_t *st,
    ngx_chat_call_t *call);
static void ngx_chat_store_probe_lookup_handler(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a);
static void ngx_chat_store_probe_open_handler(void *data, ngx_int_t rc,
    u_char *id,
    ngx_chat_answer_t *a);
static void ngx_chat_store_probe_erase_handler(void *data, ngx_int_t rc,
    uint64_t n);
static ngx_chat_call_t *ngx_chat_store_probe_send_queue(ngx_chat_store_t *st);
static void ngx_chat_store_probe_queue_handler(void *data, ngx_int_t rc);


static const ngx_chat_word_t  ngx_chat_probe_words[] = {
    { "OK", NGX_OK },
    { NULL, 0 }
};


static ngx_chat_script_t  ngx_chat_script_probe = {
    ngx_string("probe"), &ngx_chat_lua_probe, 1, ngx_chat_probe_words, { 0 },
    0
};


void
ngx_chat_store_probe(ngx_chat_store_t *st)
{
    ngx_chat_gen_t      *gen;
    ngx_chat_opening_t   opening;

    gen = &st->probe;

    if (st->closed || st->probe_calls || !ngx_chat_store_probe_is_due(st)
        || ngx_chat_key_generate(gen->h, NGX_CHAT_HASH_LEN) != NGX_OK
        || ngx_chat_key_generate(gen->id, NGX_CHAT_ID_LEN) != NGX_OK
        || ngx_chat_key_generate(gen->fp, NGX_CHAT_FP_LEN) != NGX_OK)
    {
        return;
    }

    st->probe_time = ngx_current_msec;

    ngx_memzero(&opening, sizeof(ngx_chat_opening_t));

    opening.cache = 1;
    opening.queue_timeout = NGX_CHAT_REDIS_TIMEOUT;

    if (ngx_chat_redis_is_up(st->redis)) {
        ngx_chat_store_probe_count_call(st,
            ngx_chat_store_lookup(st, gen, ngx_chat_store_probe_lookup_handler,
                                  st));

        ngx_chat_store_probe_count_call(st,
            ngx_chat_store_open(st, gen, &opening,
                                ngx_chat_store_probe_open_handler,
                                st));
    }

    if (ngx_chat_redis_is_up(st->broker)) {
        ngx_chat_store_probe_count_call(st,
                                        ngx_chat_store_probe_send_queue(st));
    }
}


static ngx_uint_t
ngx_chat_store_probe_is_due(ngx_chat_store_t *st)
{
    ngx_uint_t           i;
    ngx_chat_service_t  *service;

    if (st->probe_time
        && ngx_current_msec - st->probe_time < NGX_CHAT_PROBE_REFUSED)
    {
        return 0;
    }

    for (i = 0; i < NGX_CHAT_SERVICES; i++) {
        service = &st->services[i];

        if (!service->known || service->word.len
            || ngx_current_msec - service->at >= NGX_CHAT_PROBE_IDLE)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_chat_store_probe_count_call(ngx_chat_store_t *st, ngx_chat_call_t *call)
{
    if (call) {
        st->probe_calls++;
    }
}


static void
ngx_chat_store_probe_lookup_handler(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a)
{
    ngx_chat_store_t *st = data;

    st->probe_calls--;
}


static void
ngx_chat_store_probe_open_handler(void *data, ngx_int_t rc, u_char *id,
    ngx_chat_answer_t *a)
{
    ngx_chat_store_t *st = data;

    st->probe_calls--;

    if (rc != NGX_OK) {
        return;
    }

    ngx_chat_store_probe_count_call(st,
        ngx_chat_store_erase(st, &st->probe, NGX_CHAT_E_CANCELLED,
                             ngx_chat_store_probe_erase_handler, st));
}


static void
ngx_chat_store_probe_erase_handler(void *data, ngx_int_t rc, uint64_t n)
{
    ngx_chat_store_t *st = data;

    st->probe_calls--;
}


static ngx_chat_call_t *
ngx_chat_store_probe_send_queue(ngx_chat_store_t *st)
{
    ngx_chat_call_t  *call;

    call = ngx_chat_call_create(st, st->broker, &ngx_chat_script_probe);
    if (call == NULL) {
        return NULL;
    }

    call->service = NGX_CHAT_SERVICE_QUEUE;

    ngx_chat_call_add_text(call, NGX_CHAT_KEY_TASKS);

    return ngx_chat_call_send(call, ngx_chat_call_word_reply_handler,
                              (ngx_chat_handler_pt)
                                  ngx_chat_store_probe_queue_handler,
                              st);
}


static void
ngx_chat_store_probe_queue_handler(void *data, ngx_int_t rc)
{
    ngx_chat_store_t *st = data;

    st->probe_calls--;
}
