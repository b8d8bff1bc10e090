
#include "ngx_chat_opening.h"


ngx_int_t
ngx_chat_opening_wait(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_opening_waiter_t *w)
{
    ngx_str_node_t           *sn;
    ngx_chat_opening_node_t  *o;

    sn = ngx_chat_channel_find_node(&hub->openings, gen->h, gen->fp);
    if (sn == NULL) {
        return NGX_DECLINED;
    }

    o = ngx_rbtree_data(&sn->node, ngx_chat_opening_node_t, by_key.node);

    ngx_queue_insert_tail(&o->waiters, &w->queue);
    w->waits = 1;

    return NGX_OK;
}


void
ngx_chat_opening_leave(ngx_chat_opening_waiter_t *w)
{
    if (w->waits) {
        ngx_queue_remove(&w->queue);
        w->waits = 0;
    }
}


void
ngx_chat_opening_start(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen,
    ngx_chat_opening_node_t *o)
{
    o->hub = hub;

    ngx_queue_init(&o->waiters);

    ngx_chat_channel_set_node(&o->by_key, o->key, gen->h, gen->fp);
    ngx_rbtree_insert(&hub->openings, &o->by_key.node);
}


void
ngx_chat_opening_end(ngx_chat_opening_node_t *o, ngx_chat_opened_t *opened)
{
    ngx_queue_t                 waiters, *q;
    ngx_chat_opening_waiter_t  *w;

    if (o->hub == NULL) {
        return;
    }

    ngx_rbtree_delete(&o->hub->openings, &o->by_key.node);
    o->hub = NULL;

    if (ngx_queue_empty(&o->waiters)) {
        return;
    }

    /* the first of them may open it again, and the others wait for that one */

    ngx_queue_init(&waiters);
    ngx_queue_add(&waiters, &o->waiters);

    while (!ngx_queue_empty(&waiters)) {
        q = ngx_queue_head(&waiters);
        w = ngx_queue_data(q, ngx_chat_opening_waiter_t, queue);

        ngx_chat_opening_leave(w);

        w->handler(w->data, opened);
    }
}
