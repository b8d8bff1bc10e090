
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
    ngx_queue_t            waiters;
};


static ngx_chat_hit_test_t *ngx_chat_hit_test_create(ngx_chat_hub_t *hub,
    ngx_chat_gen_t *gen);
static void ngx_chat_hit_test_handler(void *data, ngx_int_t rc,
    ngx_chat_answer_t *a);


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

    ngx_queue_insert_tail(&ht->waiters, &w->queue);
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

    ngx_queue_init(&ht->waiters);

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

    int64_t              ttl;
    ngx_queue_t         *q;
    ngx_chat_waiter_t   *w;
    ngx_chat_channel_t  *ch;

    /* later askers look again */

    ngx_rbtree_delete(&ht->hub->tests, &ht->by_key.node);
    ht->call = NULL;

    ch = NULL;
    ttl = 0;

    if (rc == NGX_OK) {
        ttl = a->ttl;
        ch = ngx_chat_hit_get_channel(ht->hub, &ht->gen, a);

        if (ch == NULL) {
            rc = NGX_ABORT;
        }
    }

    while (!ngx_queue_empty(&ht->waiters)) {
        q = ngx_queue_head(&ht->waiters);
        w = ngx_queue_data(q, ngx_chat_waiter_t, queue);

        ngx_queue_remove(q);
        w->test = NULL;

        w->handler(w->data, rc, ch, ttl);
    }

    if (ch) {
        ngx_chat_channel_release(ch);
    }

    ngx_free(ht);
}


void
ngx_chat_hit_test_leave(ngx_chat_waiter_t *w)
{
    ngx_chat_hit_test_t  *ht;

    ht = w->test;

    if (ht == NULL) {
        return;
    }

    ngx_queue_remove(&w->queue);
    w->test = NULL;

    if (ht->call == NULL || !ngx_queue_empty(&ht->waiters)) {
        return;
    }

    ngx_rbtree_delete(&ht->hub->tests, &ht->by_key.node);

    ngx_chat_call_cancel(ht->call);
    ngx_free(ht);
}
