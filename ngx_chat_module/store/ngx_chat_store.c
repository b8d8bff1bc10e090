
#include "ngx_chat_store.h"
#include "ngx_chat_call.h"
#include "ngx_chat_keys.h"


static void ngx_chat_store_covered_handler(void *data);
static void ngx_chat_store_lost_handler(void *data);
static void ngx_chat_store_changed_handler(void *data, ngx_str_t *key);


static const ngx_chat_pubsub_tracking_t  ngx_chat_store_tracking = {
    ngx_chat_store_covered_handler,
    ngx_chat_store_lost_handler,
    ngx_chat_store_changed_handler
};

static ngx_str_t  ngx_chat_store_prefix = ngx_string(NGX_CHAT_KEY_STREAM);


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

    if (ngx_chat_redis_conf_is_equal(redis, broker)) {
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


void
ngx_chat_store_watch(ngx_chat_store_t *st, const ngx_chat_news_t *news,
    void *data)
{
    st->news = news;
    st->news_data = data;

    ngx_chat_pubsub_track(st->pubsub, &ngx_chat_store_prefix,
                          &ngx_chat_store_tracking, st);
}


static void
ngx_chat_store_covered_handler(void *data)
{
    ngx_chat_store_t *st = data;

    st->news->covered(st->news_data);
}


static void
ngx_chat_store_lost_handler(void *data)
{
    ngx_chat_store_t *st = data;

    st->news->lost(st->news_data);
}


static void
ngx_chat_store_changed_handler(void *data, ngx_str_t *key)
{
    ngx_chat_store_t *st = data;

    ngx_str_t  h;

    if (key == NULL) {
        st->news->changed(st->news_data, NULL);
        return;
    }

    if (key->len < ngx_chat_store_prefix.len) {
        return;
    }

    h.len = key->len - ngx_chat_store_prefix.len;
    h.data = key->data + ngx_chat_store_prefix.len;

    if (ngx_chat_keys_check_hex(&h, NGX_CHAT_HASH_LEN) == NGX_OK) {
        st->news->changed(st->news_data, h.data);
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
    state->redis = ngx_chat_redis_is_up(st->redis) ? 1 : 0;
    state->broker = ngx_chat_redis_is_up(st->broker) ? 1 : 0;
    state->pubsub = (st->pubsub && ngx_chat_pubsub_up(st->pubsub)) ? 1 : 0;
    state->partial = ngx_chat_redis_is_partial(st->redis)
                     || ngx_chat_redis_is_partial(st->broker);
    state->policy = ngx_chat_redis_get_policy(st->redis);
}


ngx_uint_t
ngx_chat_store_is_up(ngx_chat_store_t *st)
{
    return ngx_chat_redis_is_up(st->redis);
}


ngx_uint_t
ngx_chat_store_is_down(ngx_chat_store_t *st)
{
    return ngx_chat_redis_is_down(st->redis);
}
