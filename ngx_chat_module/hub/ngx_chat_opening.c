
#include "ngx_chat_opening.h"


struct ngx_chat_opening_node_s {
    ngx_str_node_t         by_key;     /* in hub->openings */
    u_char                 key[NGX_CHAT_CHANNEL_KEY];
    ngx_chat_hub_t        *hub;        /* NULL: it has ended */
    ngx_chat_wakes_t       waiters;
    ngx_uint_t             n;          /* waiters, with one being told */
    ngx_chat_opened_t      opened;
};


static void ngx_chat_opening_wake_handler(void *data);
static void ngx_chat_opening_free(ngx_chat_opening_node_t *o);


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

    w->wake.handler = ngx_chat_opening_wake_handler;
    w->wake.data = w;

    ngx_chat_wakes_insert(&o->waiters, &w->wake);
    o->n++;

    w->opening = o;

    return NGX_OK;
}


void
ngx_chat_opening_leave(ngx_chat_opening_waiter_t *w)
{
    ngx_chat_opening_node_t  *o;

    o = w->opening;

    if (o == NULL) {
        return;
    }

    ngx_chat_wakes_remove(&w->wake);
    w->opening = NULL;

    o->n--;
    ngx_chat_opening_free(o);
}


ngx_chat_opening_node_t *
ngx_chat_opening_start(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen)
{
    ngx_chat_opening_node_t  *o;

    o = ngx_calloc(sizeof(ngx_chat_opening_node_t), hub->log);
    if (o == NULL) {
        return NULL;
    }

    o->hub = hub;

    ngx_chat_wakes_init(&o->waiters);

    ngx_chat_channel_set_node(&o->by_key, o->key, gen->h, gen->fp);
    ngx_rbtree_insert(&hub->openings, &o->by_key.node);

    return o;
}


void
ngx_chat_opening_end(ngx_chat_opening_node_t **op, ngx_chat_opened_t *opened)
{
    ngx_chat_opening_node_t  *o;

    o = *op;

    if (o == NULL) {
        return;
    }

    *op = NULL;

    ngx_rbtree_delete(&o->hub->openings, &o->by_key.node);
    o->hub = NULL;

    o->opened = *opened;

    if (opened->channel) {
        ngx_chat_channel_hold(opened->channel);
    }

    /* the first of them may open it again, and the others wait for that one */

    ngx_chat_wakes_all(&o->waiters);
    ngx_chat_opening_free(o);
}


static void
ngx_chat_opening_wake_handler(void *data)
{
    ngx_chat_opening_waiter_t *w = data;

    ngx_chat_opening_node_t  *o;

    o = w->opening;

    ngx_chat_wakes_remove(&w->wake);
    w->opening = NULL;

    w->handler(w->data, &o->opened);

    o->n--;
    ngx_chat_opening_free(o);
}


static void
ngx_chat_opening_free(ngx_chat_opening_node_t *o)
{
    if (o->hub || o->n) {
        return;
    }

    if (o->opened.channel) {
        ngx_chat_channel_release(o->opened.channel);
    }

    ngx_free(o);
}
