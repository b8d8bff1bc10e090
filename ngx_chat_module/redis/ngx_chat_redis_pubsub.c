
#include "ngx_chat_redis_pubsub.h"
#include "ngx_chat_redis_private.h"
#include "../codec/ngx_chat_str.h"


#define NGX_CHAT_PUBSUB_PING   5000    /* ms */
#define NGX_CHAT_PUBSUB_CHUNK  100     /* names in one SUBSCRIBE */


struct ngx_chat_pubsub_s {
    ngx_chat_redis_t             *redis;
    ngx_log_t                    *log;

    ngx_rbtree_t                  tree;
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   subs;

    const ngx_chat_pubsub_tracking_t  *tracking;  /* NULL: none is wanted */
    void                         *tracking_data;

    ngx_event_t                   timer;
    ngx_connection_t              dummy;

    unsigned                      asked:1;      /* for news of changes */
    unsigned                      covered:1;    /* all news come */
    unsigned                      ping_sent:1;    /* a PING is on its way */
    unsigned                      alive:1;      /* anything since then */
    unsigned                      refused:1;    /* on this connection */
    unsigned                      refusal_logged:1;       /* of a refusal */
    unsigned                      replica_logged:1;
};


/*
 * Stays without ops after unsubscribe while confirmations of a SUBSCRIBE are
 * on their way, lest they be taken for those of a later one.
 */

struct ngx_chat_pubsub_sub_s {
    ngx_str_node_t                sn;
    ngx_queue_t                   queue;
    ngx_chat_pubsub_t            *ps;
    const ngx_chat_pubsub_ops_t  *ops;
    void                         *data;
    ngx_uint_t                    awaited;      /* confirmations */
};


static void ngx_chat_pubsub_state_handler(void *data, ngx_uint_t up);
static void ngx_chat_pubsub_start(ngx_chat_pubsub_t *ps);
static ngx_uint_t ngx_chat_pubsub_may_track(ngx_chat_pubsub_t *ps);
static void ngx_chat_pubsub_stop(ngx_chat_pubsub_t *ps);
static void ngx_chat_pubsub_timer_handler(ngx_event_t *ev);
static void ngx_chat_pubsub_push_handler(void *data, ngx_chat_reply_t *reply);
static ngx_int_t ngx_chat_pubsub_track_push(ngx_chat_pubsub_t *ps,
    ngx_str_t *kind, ngx_str_t *name, ngx_chat_reply_t *reply);
static void ngx_chat_pubsub_log_refusal(ngx_chat_pubsub_t *ps, ngx_str_t *text);
static void ngx_chat_pubsub_confirm(ngx_chat_pubsub_t *ps, ngx_str_t *name);
static void ngx_chat_pubsub_message(ngx_chat_pubsub_t *ps, ngx_str_t *name,
    ngx_chat_reply_t *reply);
static void ngx_chat_pubsub_send(ngx_chat_pubsub_t *ps, ngx_str_t *argv,
    ngx_uint_t argc);
static ngx_chat_pubsub_sub_t *ngx_chat_pubsub_find(ngx_chat_pubsub_t *ps,
    ngx_str_t *name);
static ngx_chat_pubsub_sub_t *ngx_chat_pubsub_add(ngx_chat_pubsub_t *ps,
    ngx_str_t *name);
static void ngx_chat_pubsub_delete(ngx_chat_pubsub_sub_t *sub);


static ngx_str_t  ngx_chat_pubsub_invalidate =
    ngx_string("__redis__:invalidate");


ngx_chat_pubsub_t *
ngx_chat_pubsub_create(ngx_chat_redis_conf_t *rcf,
    const ngx_chat_redis_sentinel_ops_t *sentinel, ngx_log_t *log)
{
    ngx_chat_pubsub_t  *ps;

    ps = ngx_calloc(sizeof(ngx_chat_pubsub_t), log);
    if (ps == NULL) {
        return NULL;
    }

    ps->redis = ngx_chat_redis_create(rcf, "pubsub", sentinel, log);
    if (ps->redis == NULL) {
        ngx_free(ps);
        return NULL;
    }

    ps->log = log;

    ngx_rbtree_init(&ps->tree, &ps->sentinel, ngx_str_rbtree_insert_value);
    ngx_queue_init(&ps->subs);

    ps->dummy.fd = (ngx_socket_t) -1;
    ps->dummy.data = ps;

    ps->timer.handler = ngx_chat_pubsub_timer_handler;
    ps->timer.data = &ps->dummy;
    ps->timer.log = log;
    ps->timer.cancelable = 1;

    ngx_chat_redis_set_state_handler(ps->redis,
                                     ngx_chat_pubsub_state_handler, ps);
    ngx_chat_redis_set_push_handler(ps->redis,
                                    ngx_chat_pubsub_push_handler, ps);

    return ps;
}


void
ngx_chat_pubsub_track(ngx_chat_pubsub_t *ps, ngx_str_t *prefix,
    const ngx_chat_pubsub_tracking_t *tracking, void *data)
{
    ps->tracking = tracking;
    ps->tracking_data = data;

    ps->redis->tracking = *prefix;
}


void
ngx_chat_pubsub_close(ngx_chat_pubsub_t *ps)
{
    ngx_queue_t  *q;

    if (ps->timer.timer_set) {
        ngx_del_timer(&ps->timer);
    }

    ps->covered = 0;

    ngx_chat_redis_close(ps->redis);

    while (!ngx_queue_empty(&ps->subs)) {
        q = ngx_queue_head(&ps->subs);
        ngx_chat_pubsub_delete(ngx_queue_data(q, ngx_chat_pubsub_sub_t,
                                              queue));
    }

    ngx_free(ps);
}


ngx_uint_t
ngx_chat_pubsub_up(ngx_chat_pubsub_t *ps)
{
    return ngx_chat_redis_is_up(ps->redis);
}


void
ngx_chat_pubsub_reconnect(ngx_chat_pubsub_t *ps)
{
    if (ngx_chat_redis_is_up(ps->redis)) {
        ngx_chat_redis_disconnect(ps->redis, 0, 0,
                                  "left, as commands have been");
    }
}


ngx_chat_pubsub_sub_t *
ngx_chat_pubsub_subscribe(ngx_chat_pubsub_t *ps, ngx_str_t *name,
    const ngx_chat_pubsub_ops_t *ops, void *data)
{
    ngx_str_t               argv[2];
    ngx_chat_pubsub_sub_t  *sub;

    sub = ngx_chat_pubsub_find(ps, name);

    if (sub && sub->ops) {
        ngx_log_error(NGX_LOG_ALERT, ps->log, 0,
                      "chat redis: \"%V\" is subscribed already", name);
        return NULL;
    }

    if (sub == NULL) {
        sub = ngx_chat_pubsub_add(ps, name);
        if (sub == NULL) {
            return NULL;
        }
    }

    sub->ops = ops;
    sub->data = data;

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, ps->log, 0,
                   "chat redis subscribe \"%V\"", name);

    if (ngx_chat_redis_is_up(ps->redis)) {
        sub->awaited++;

        ngx_str_set(&argv[0], "SUBSCRIBE");
        argv[1] = *name;

        ngx_chat_pubsub_send(ps, argv, 2);
    }

    return sub;
}


void
ngx_chat_pubsub_unsubscribe(ngx_chat_pubsub_sub_t *sub)
{
    ngx_str_t           argv[2];
    ngx_chat_pubsub_t  *ps;

    ps = sub->ps;

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, ps->log, 0,
                   "chat redis unsubscribe \"%V\"", &sub->sn.str);

    if (ngx_chat_redis_is_up(ps->redis)) {
        ngx_str_set(&argv[0], "UNSUBSCRIBE");
        argv[1] = sub->sn.str;

        ngx_chat_pubsub_send(ps, argv, 2);
    }

    sub->ops = NULL;

    if (sub->awaited == 0) {
        ngx_chat_pubsub_delete(sub);
    }
}


static void
ngx_chat_pubsub_state_handler(void *data, ngx_uint_t up)
{
    ngx_chat_pubsub_t *ps = data;

    if (up) {
        ngx_chat_pubsub_start(ps);

    } else {
        ngx_chat_pubsub_stop(ps);
    }
}


static void
ngx_chat_pubsub_start(ngx_chat_pubsub_t *ps)
{
    ngx_str_t               argv[1 + NGX_CHAT_PUBSUB_CHUNK];
    ngx_uint_t              n;
    ngx_queue_t            *q;
    ngx_chat_pubsub_sub_t  *sub;

    ps->ping_sent = 0;
    ps->refused = 0;

    ngx_add_timer(&ps->timer, NGX_CHAT_PUBSUB_PING);

    ngx_str_set(&argv[0], "SUBSCRIBE");
    n = 1;

    /* a command of its own and the first, so that a refusal is its */

    if (ngx_chat_pubsub_may_track(ps)) {
        ps->asked = 1;
        argv[1] = ngx_chat_pubsub_invalidate;

        ngx_chat_pubsub_send(ps, argv, 2);

        if (!ngx_chat_redis_is_up(ps->redis)) {
            return;
        }
    }

    for (q = ngx_queue_head(&ps->subs);
         q != ngx_queue_sentinel(&ps->subs);
         q = ngx_queue_next(q))
    {
        sub = ngx_queue_data(q, ngx_chat_pubsub_sub_t, queue);

        sub->awaited = 1;
        argv[n++] = sub->sn.str;

        if (n < 1 + NGX_CHAT_PUBSUB_CHUNK
            && ngx_queue_next(q) != ngx_queue_sentinel(&ps->subs))
        {
            continue;
        }

        ngx_chat_pubsub_send(ps, argv, n);
        n = 1;

        if (!ngx_chat_redis_is_up(ps->redis)) {
            return;
        }
    }
}


/* a server that does not tell: what was known before may have changed */

static ngx_uint_t
ngx_chat_pubsub_may_track(ngx_chat_pubsub_t *ps)
{
    ngx_uint_t  level;

    if (ps->tracking == NULL) {
        return 0;
    }

    if (ps->redis->tracked && !ps->redis->replica) {
        return 1;
    }

    if (ps->redis->tracked) {
        level = ps->replica_logged ? NGX_LOG_INFO : NGX_LOG_WARN;
        ps->replica_logged = 1;

        ngx_log_error(level, ps->log, 0,
                      "chat redis %V, pubsub: a replica, which may tell of "
                      "changes too late", &ps->redis->conf->name);
    }

    ps->tracking->changed(ps->tracking_data, NULL);

    return 0;
}


static void
ngx_chat_pubsub_stop(ngx_chat_pubsub_t *ps)
{
    ngx_queue_t            *q, *next;
    ngx_chat_pubsub_sub_t  *sub;

    if (ps->timer.timer_set) {
        ngx_del_timer(&ps->timer);
    }

    ps->asked = 0;

    if (ps->covered) {
        ps->covered = 0;
        ps->tracking->lost(ps->tracking_data);
    }

    for (q = ngx_queue_head(&ps->subs);
         q != ngx_queue_sentinel(&ps->subs);
         q = next)
    {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_chat_pubsub_sub_t, queue);

        sub->awaited = 0;

        if (sub->ops == NULL) {
            ngx_chat_pubsub_delete(sub);
        }
    }
}


static void
ngx_chat_pubsub_timer_handler(ngx_event_t *ev)
{
    ngx_str_t           argv[1];
    ngx_connection_t   *c;
    ngx_chat_pubsub_t  *ps;

    c = ev->data;
    ps = c->data;

    /* a refused command is never confirmed: count from 0, retry */

    if (ps->refused) {
        ngx_chat_redis_disconnect(ps->redis, 0, 0,
                                  "reconnects after a refusal");
        return;
    }

    if (ps->ping_sent) {

        /* a PONG behind many messages may need longer, they will do */

        if (!ps->alive) {
            ngx_chat_redis_disconnect(ps->redis, NGX_CHAT_REDIS_LATE, 0,
                                      "a PING was not answered");
            return;
        }

        ps->ping_sent = 0;

        ngx_add_timer(ev, NGX_CHAT_PUBSUB_PING - NGX_CHAT_REDIS_TIMEOUT);

        return;
    }

    ps->ping_sent = 1;
    ps->alive = 0;

    ngx_add_timer(ev, NGX_CHAT_REDIS_TIMEOUT);

    ngx_str_set(&argv[0], "PING");

    ngx_chat_pubsub_send(ps, argv, 1);
}


static void
ngx_chat_pubsub_push_handler(void *data, ngx_chat_reply_t *reply)
{
    ngx_chat_pubsub_t *ps = data;

    ngx_str_t  kind, name;

    ps->alive = 1;

    if (ngx_chat_reply_error(reply, &kind) == NGX_OK) {
        ngx_chat_pubsub_log_refusal(ps, &kind);
        return;
    }

    if (ngx_chat_reply_str(ngx_chat_reply_at(reply, 0), &kind) != NGX_OK
        || ngx_chat_reply_str(ngx_chat_reply_at(reply, 1), &name) != NGX_OK)
    {
        return;
    }

    if (ngx_chat_pubsub_track_push(ps, &kind, &name, reply) == NGX_OK) {
        return;
    }

    if (ngx_chat_str_is(&kind, "message")) {
        ngx_chat_pubsub_message(ps, &name, reply);

    } else if (ngx_chat_str_is(&kind, "subscribe")) {
        ngx_chat_pubsub_confirm(ps, &name);
    }
}


/* NGX_OK, NGX_DECLINED: it is no news of changes */

static ngx_int_t
ngx_chat_pubsub_track_push(ngx_chat_pubsub_t *ps, ngx_str_t *kind,
    ngx_str_t *name, ngx_chat_reply_t *reply)
{
    ngx_str_t          key;
    ngx_uint_t         i, n;
    ngx_chat_reply_t  *keys;

    if (!ps->redis->tracked
        || name->len != ngx_chat_pubsub_invalidate.len
        || ngx_memcmp(name->data, ngx_chat_pubsub_invalidate.data, name->len)
           != 0)
    {
        return NGX_DECLINED;
    }

    if (ps->asked && ngx_chat_str_is(kind, "subscribe")) {
        ps->asked = 0;
        ps->covered = 1;

        ngx_log_debug0(NGX_LOG_DEBUG_CORE, ps->log, 0,
                       "chat redis tells of changes");

        ps->tracking->covered(ps->tracking_data);
        return NGX_OK;
    }

    if (!ps->covered || !ngx_chat_str_is(kind, "message")) {
        return NGX_OK;
    }

    /* no list is for all keys, of whatever database */

    keys = ngx_chat_reply_at(reply, 2);
    n = ngx_chat_reply_count(keys);

    if (n == 0) {
        ps->tracking->changed(ps->tracking_data, NULL);
    }

    for (i = 0; i < n; i++) {

        if (ngx_chat_reply_str(ngx_chat_reply_at(keys, i), &key) == NGX_OK) {
            ps->tracking->changed(ps->tracking_data, &key);
        }
    }

    return NGX_OK;
}


static void
ngx_chat_pubsub_log_refusal(ngx_chat_pubsub_t *ps, ngx_str_t *text)
{
    ngx_uint_t  level;

    /* the connection serves all the same */

    if (ps->asked) {
        ps->asked = 0;

        ngx_chat_redis_set_errmsg(ps->redis, text);

        ngx_log_error(NGX_LOG_WARN, ps->log, 0,
                      "chat redis %V, pubsub: news of changes were refused: "
                      "\"%V\"", &ps->redis->conf->name, &ps->redis->errmsg);

        ps->redis->errmsg.len = 0;

        ps->tracking->changed(ps->tracking_data, NULL);

        return;
    }

    if (ps->refused) {
        return;
    }

    level = ps->refusal_logged ? NGX_LOG_INFO : NGX_LOG_ERR;

    ps->refused = 1;
    ps->refusal_logged = 1;

    ngx_chat_redis_set_errmsg(ps->redis, text);

    ngx_log_error(level, ps->log, 0,
                  "chat redis %V, pubsub: a command was refused: \"%V\"",
                  &ps->redis->conf->name, &ps->redis->errmsg);

    ps->redis->errmsg.len = 0;
}


static void
ngx_chat_pubsub_confirm(ngx_chat_pubsub_t *ps, ngx_str_t *name)
{
    ngx_chat_pubsub_sub_t  *sub;

    sub = ngx_chat_pubsub_find(ps, name);

    if (sub == NULL || sub->awaited == 0) {
        return;
    }

    ps->refusal_logged = 0;

    sub->awaited--;

    if (sub->awaited) {
        return;
    }

    if (sub->ops == NULL) {
        ngx_chat_pubsub_delete(sub);
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, ps->log, 0,
                   "chat redis subscribed \"%V\"", name);

    sub->ops->confirmed(sub->data);
}


static void
ngx_chat_pubsub_message(ngx_chat_pubsub_t *ps, ngx_str_t *name,
    ngx_chat_reply_t *reply)
{
    ngx_str_t               message;
    ngx_chat_pubsub_sub_t  *sub;

    sub = ngx_chat_pubsub_find(ps, name);

    /* not confirmed: of a subscription that was given up before */

    if (sub == NULL || sub->ops == NULL || sub->awaited) {
        return;
    }

    if (ngx_chat_reply_str(ngx_chat_reply_at(reply, 2), &message) != NGX_OK) {
        return;
    }

    sub->ops->message(sub->data, &message);
}


/* a command that cannot be sent is made up for by the next connection */

static void
ngx_chat_pubsub_send(ngx_chat_pubsub_t *ps, ngx_str_t *argv, ngx_uint_t argc)
{
    if (ngx_chat_redis_cmd_send(ps->redis, argv, argc) != NGX_OK) {
        ngx_chat_redis_disconnect(ps->redis, NGX_CHAT_REDIS_NO_MEMORY, 0,
                                  "no memory for a command");
    }
}


static ngx_chat_pubsub_sub_t *
ngx_chat_pubsub_find(ngx_chat_pubsub_t *ps, ngx_str_t *name)
{
    uint32_t  hash;

    hash = ngx_murmur_hash2(name->data, name->len);

    return (ngx_chat_pubsub_sub_t *) ngx_str_rbtree_lookup(&ps->tree, name,
                                                           hash);
}


static ngx_chat_pubsub_sub_t *
ngx_chat_pubsub_add(ngx_chat_pubsub_t *ps, ngx_str_t *name)
{
    ngx_chat_pubsub_sub_t  *sub;

    sub = ngx_alloc(sizeof(ngx_chat_pubsub_sub_t) + name->len, ps->log);
    if (sub == NULL) {
        return NULL;
    }

    ngx_memzero(sub, sizeof(ngx_chat_pubsub_sub_t));

    sub->ps = ps;

    sub->sn.str.len = name->len;
    sub->sn.str.data = (u_char *) sub + sizeof(ngx_chat_pubsub_sub_t);
    ngx_memcpy(sub->sn.str.data, name->data, name->len);

    sub->sn.node.key = ngx_murmur_hash2(name->data, name->len);

    ngx_rbtree_insert(&ps->tree, &sub->sn.node);
    ngx_queue_insert_tail(&ps->subs, &sub->queue);

    return sub;
}


static void
ngx_chat_pubsub_delete(ngx_chat_pubsub_sub_t *sub)
{
    ngx_queue_remove(&sub->queue);
    ngx_rbtree_delete(&sub->ps->tree, &sub->sn.node);

    ngx_free(sub);
}
