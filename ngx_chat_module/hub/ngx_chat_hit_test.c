
#include "ngx_chat_hit_test.h"
#include "ngx_chat_hit.h"
#include "ngx_chat_stow_private.h"


struct ngx_chat_hit_test_s {
    ngx_str_node_t         by_key;
    u_char                 key[NGX_CHAT_CHANNEL_KEY];
    ngx_chat_hub_t        *hub;
    ngx_chat_gen_t         gen;        /* h and fp */
    ngx_chat_call_t       *call;       /* NULL: it was answered */
    ngx_atomic_uint_t      ticket;

    ngx_chat_wakes_t       waiters;
    ngx_uint_t             n;          /* waiters, with one being told */

    ngx_int_t              rc;         /* the outcome */
    ngx_chat_channel_t    *channel;    /* held, or NULL */
    int64_t                ttl;
};


static ngx_chat_hit_test_t *ngx_chat_hit_test_create(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen);
static void ngx_chat_hit_test_handler(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a);
static void ngx_chat_hit_test_wake_handler(void *data);
static void ngx_chat_hit_test_free(ngx_chat_hit_test_t *ht);


ngx_int_t
ngx_chat_hit_test_start(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_waiter_t *w)
{
    ngx_str_node_t       *sn;
    ngx_chat_hit_test_t  *ht;

    sn = ngx_chat_channel_find_node(&hub->tests, gen->h, gen->fp);

    if (sn) {
        ht = ngx_rbtree_data(&sn->node, ngx_chat_hit_test_t, by_key.node);

    } else {
        ht = ngx_chat_hit_test_create(hub, gen);
        if (ht == NULL) {
            return NGX_ERROR;
        }
    }

    w->wake.handler = ngx_chat_hit_test_wake_handler;
    w->wake.data = w;

    ngx_chat_wakes_insert(&ht->waiters, &w->wake);
    ht->n++;

    w->test = ht;
    w->ticket = ht->ticket;

    return NGX_OK;
}


static ngx_chat_hit_test_t *
ngx_chat_hit_test_create(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen)
{
    ngx_chat_hit_test_t  *ht;

    ht = ngx_calloc(sizeof(ngx_chat_hit_test_t), hub->log);
    if (ht == NULL) {
        return NULL;
    }

    ht->hub = hub;
    ht->gen = *gen;

    ht->ticket = ngx_chat_stow_ticket(hub);

    ngx_chat_wakes_init(&ht->waiters);

    ht->call = ngx_chat_store_lookup(&hub->store, gen,
                                     ngx_chat_hit_test_handler, ht);
    if (ht->call == NULL) {
        ngx_free(ht);
        return NULL;
    }

    ngx_chat_channel_set_node(&ht->by_key, ht->key, gen->h, gen->fp);
    ngx_rbtree_insert(&hub->tests, &ht->by_key.node);

    return ht;
}


static void
ngx_chat_hit_test_handler(void *data, ngx_int_t rc, ngx_chat_answer_t *a)
{
    ngx_chat_hit_test_t *ht = data;

    /* later askers look again */

    ngx_rbtree_delete(&ht->hub->tests, &ht->by_key.node);
    ht->call = NULL;

    ht->rc = rc;

    if (rc == NGX_OK) {
        ht->ttl = a->ttl;
        ht->channel = ngx_chat_hit_get_channel(ht->hub, &ht->gen, a);

        if (ht->channel == NULL) {
            ht->rc = NGX_ABORT;
        }
    }

    ngx_chat_wakes_all(&ht->waiters);
}


static void
ngx_chat_hit_test_wake_handler(void *data)
{
    ngx_chat_waiter_t *w = data;

    ngx_chat_hit_test_t  *ht;

    ht = w->test;

    ngx_chat_wakes_remove(&w->wake);
    w->test = NULL;

    w->handler(w->data, ht->rc, ht->channel, ht->ttl);

    ht->n--;
    ngx_chat_hit_test_free(ht);
}


void
ngx_chat_hit_test_leave(ngx_chat_waiter_t *w)
{
    ngx_chat_hit_test_t  *ht;

    ht = w->test;

    if (ht == NULL) {
        return;
    }

    ngx_chat_wakes_remove(&w->wake);
    w->test = NULL;

    ht->n--;
    ngx_chat_hit_test_free(ht);
}


static void
ngx_chat_hit_test_free(ngx_chat_hit_test_t *ht)
{
    if (ht->n) {
        return;
    }

    if (ht->call) {
        ngx_rbtree_delete(&ht->hub->tests, &ht->by_key.node);
        ngx_chat_call_cancel(ht->call);
    }

    if (ht->channel) {
        ngx_chat_channel_release(ht->channel);
    }

    ngx_free(ht);
}
