
#include "ngx_chat_hub.h"
#include "ngx_chat_ask.h"
#include "ngx_chat_channel.h"
#include "ngx_chat_follow.h"


static void ngx_chat_hub_wake_handler(ngx_event_t *ev);


ngx_chat_hub_t *
ngx_chat_hub_create(ngx_chat_hub_conf_t *hcf, ngx_log_t *log)
{
    ngx_chat_hub_t  *hub;

    hub = ngx_calloc(sizeof(ngx_chat_hub_t), log);
    if (hub == NULL) {
        return NULL;
    }

    hub->conf = hcf;
    hub->log = log;

    ngx_rbtree_init(&hub->ids, &hub->ids_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&hub->keys, &hub->keys_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&hub->all);
    ngx_queue_init(&hub->asks);

    if (ngx_chat_store_init(&hub->store, hcf->redis, hcf->broker, 1, log)
        != NGX_OK)
    {
        ngx_free(hub);
        return NULL;
    }

    return hub;
}


void
ngx_chat_hub_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t         *q;
    ngx_chat_channel_t  *ch;

    ngx_chat_hub_close_asks(hub);

    /* requests may still be attached: what they hold outlives the hub */

    while (!ngx_queue_empty(&hub->all)) {
        q = ngx_queue_head(&hub->all);
        ch = ngx_queue_data(q, ngx_chat_channel_t, queue);

        ngx_chat_channel_hold(ch);

        ngx_chat_follow_stop(ch);
        ngx_chat_channel_close(ch);

        ngx_chat_channel_release(ch);
    }

    ngx_chat_store_close(&hub->store);

    ngx_free(hub);
}


void
ngx_chat_hub_state(ngx_chat_hub_t *hub, ngx_chat_hub_state_t *state)
{
    ngx_chat_store_t  *st;

    st = &hub->store;

    ngx_memzero(state, sizeof(ngx_chat_hub_state_t));

    state->redis = ngx_chat_redis_up(st->redis) ? 1 : 0;
    state->broker = ngx_chat_redis_up(st->broker) ? 1 : 0;
    state->pubsub = ngx_chat_pubsub_up(st->pubsub) ? 1 : 0;
    state->redis_down = ngx_chat_redis_down(st->redis) ? 1 : 0;
    state->channels = hub->channels;
    state->policy = ngx_chat_redis_policy(st->redis);
}


ngx_chat_sub_t *
ngx_chat_hub_attach(ngx_chat_channel_t *ch, const ngx_chat_dialect_t *dialect,
    ngx_chat_wake_pt wake, void *data)
{
    ngx_chat_sub_t  *sub;

    /* not in the channel's pool, as it may see many come and go */

    sub = ngx_calloc(sizeof(ngx_chat_sub_t), ch->pool->log);
    if (sub == NULL) {
        return NULL;
    }

    sub->channel = ch;
    sub->next = ch->base ? &ch->base->next : &ch->first;
    sub->dialect = dialect;
    sub->wake = wake;
    sub->data = data;

    sub->event.handler = ngx_chat_hub_wake_handler;
    sub->event.data = sub;
    sub->event.log = ch->pool->log;

    ngx_queue_insert_tail(&ch->subs, &sub->queue);
    ngx_chat_channel_hold(ch);

    if (*sub->next) {
        ngx_post_event(&sub->event, &ngx_posted_events);
    }

    return sub;
}


static void
ngx_chat_hub_wake_handler(ngx_event_t *ev)
{
    ngx_chat_sub_t  *sub;

    sub = ev->data;

    sub->wake(sub->data);
}


void
ngx_chat_hub_detach(ngx_chat_sub_t *sub)
{
    ngx_chat_channel_t  *ch;

    ch = sub->channel;

    if (sub->event.posted) {
        ngx_delete_posted_event(&sub->event);
    }

    ngx_queue_remove(&sub->queue);
    ngx_free(sub);

    ngx_chat_channel_release(ch);
}


ngx_int_t
ngx_chat_hub_next(ngx_chat_sub_t *sub, ngx_chat_frame_t *frame)
{
    ngx_str_t         *bytes;
    ngx_chat_entry_t  *e;

    while (!sub->done) {

        e = *sub->next;

        if (e == NULL) {
            return NGX_AGAIN;
        }

        bytes = &e->frame[sub->dialect->index];

        if (bytes->data == NULL) {

            if (sub->dialect->render(&e->event, sub->channel->pool, bytes)
                != NGX_OK)
            {
                ngx_str_null(bytes);
                return NGX_ERROR;
            }

            if (bytes->len == 0) {
                ngx_str_set(bytes, "");
            }
        }

        sub->next = &e->next;

        if (e->event.status == NGX_CHAT_COMPLETED
            || e->event.status == NGX_CHAT_ERROR)
        {
            sub->done = 1;
        }

        if (bytes->len == 0) {
            continue;
        }

        frame->bytes = *bytes;
        frame->status = e->event.status;
        frame->code = e->event.code;

        return NGX_OK;
    }

    return NGX_DONE;
}


u_char *
ngx_chat_hub_id(ngx_chat_channel_t *ch)
{
    return ch->gen.id;
}
