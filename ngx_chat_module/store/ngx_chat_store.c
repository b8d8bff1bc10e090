
#include "ngx_chat_store.h"
#include "ngx_chat_call.h"
#include "ngx_chat_keys.h"


ngx_int_t
ngx_chat_store_init(ngx_chat_store_t *st, ngx_chat_redis_conf_t *redis,
    ngx_chat_redis_conf_t *broker, ngx_uint_t subscriber, ngx_log_t *log)
{
    ngx_memzero(st, sizeof(ngx_chat_store_t));

    ngx_queue_init(&st->calls);
    st->log = log;

    st->redis = ngx_chat_redis_open(redis, "commands", log);
    if (st->redis == NULL) {
        goto failed;
    }

    if (ngx_chat_redis_conf_equal(redis, broker)) {
        st->broker = st->redis;

    } else {
        st->broker = ngx_chat_redis_open(broker, "broker", log);
        if (st->broker == NULL) {
            goto failed;
        }
    }

    if (subscriber) {
        st->pubsub = ngx_chat_pubsub_open(redis, log);
        if (st->pubsub == NULL) {
            goto failed;
        }
    }

    return NGX_OK;

failed:

    ngx_chat_store_close(st);

    return NGX_ERROR;
}


void
ngx_chat_store_close(ngx_chat_store_t *st)
{
    ngx_queue_t  *q;

    if (st->closed) {
        return;
    }

    /* from now on nothing is sent or repeated */

    st->closed = 1;

    while (!ngx_queue_empty(&st->calls)) {
        q = ngx_queue_head(&st->calls);
        ngx_chat_call_fail(ngx_queue_data(q, ngx_chat_call_t, queue));
    }

    if (st->pubsub) {
        ngx_chat_pubsub_close(st->pubsub);
        st->pubsub = NULL;
    }

    if (st->broker && st->broker != st->redis) {
        ngx_chat_redis_close(st->broker);
    }

    st->broker = NULL;

    if (st->redis) {
        ngx_chat_redis_close(st->redis);
        st->redis = NULL;
    }
}


ngx_chat_pubsub_sub_t *
ngx_chat_store_subscribe(ngx_chat_store_t *st, ngx_chat_gen_t *gen,
    const ngx_chat_pubsub_ops_t *ops, void *data)
{
    ngx_chat_keys_t  keys;

    if (st->pubsub == NULL) {
        return NULL;
    }

    ngx_chat_keys_init(&keys, gen);

    return ngx_chat_pubsub_subscribe(st->pubsub, &keys.gen, ops, data);
}


void
ngx_chat_store_unsubscribe(ngx_chat_pubsub_sub_t *sub)
{
    ngx_chat_pubsub_unsubscribe(sub);
}


void
ngx_chat_store_get_state(ngx_chat_store_t *st, ngx_chat_store_state_t *state)
{
    state->redis = ngx_chat_redis_up(st->redis) ? 1 : 0;
    state->broker = ngx_chat_redis_up(st->broker) ? 1 : 0;
    state->pubsub = (st->pubsub && ngx_chat_pubsub_up(st->pubsub)) ? 1 : 0;
    state->partial = ngx_chat_redis_partial(st->redis)
                     || ngx_chat_redis_partial(st->broker);
    state->policy = ngx_chat_redis_policy(st->redis);
}


ngx_uint_t
ngx_chat_store_is_down(ngx_chat_store_t *st)
{
    return ngx_chat_redis_down(st->redis);
}
