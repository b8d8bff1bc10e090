
#include "ngx_chat_update.h"
#include "ngx_chat_limited.h"
#include "ngx_chat_rollback.h"
#include "../shm/ngx_chat_metrics.h"


/* how long a worker does not ask Redis again whether one is to be made */
#define NGX_CHAT_UPDATE_REST  1000       /* ms */

/* waiting tasks; behind more nobody has an update: people wait for theirs */
#define NGX_CHAT_UPDATE_TASKS  8


typedef struct {
    ngx_chat_hub_t        *hub;
    ngx_chat_call_t       *call;
    u_char                *strings;    /* of the task; NULL: done, it rests */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t              ident;

    ngx_event_t            timer;      /* of the rest */
    ngx_str_node_t         by_key;     /* in hub->updates */
    u_char                 key[NGX_CHAT_CHANNEL_KEY];
    ngx_queue_t            queue;      /* in hub->all_updates */
    ngx_chat_task_t        task;
    ngx_chat_limit_t       limit;

    unsigned               limited:1;  /* the asker is, others are not */
} ngx_chat_update_t;


static void ngx_chat_update_open_handler(void *data, ngx_int_t rc);
static void ngx_chat_update_push_handler(void *data, ngx_int_t rc,
    ngx_msec_t wait);
static void ngx_chat_update_erase_handler(void *data, ngx_int_t rc,
    uint64_t n);
static void ngx_chat_update_roll_back(ngx_chat_update_t *up);
static void ngx_chat_update_rest(ngx_chat_update_t *up);
static void ngx_chat_update_timer_handler(ngx_event_t *ev);
static void ngx_chat_update_free(ngx_chat_update_t *up);


ngx_uint_t
ngx_chat_update_is_begun(ngx_chat_hub_t *hub, ngx_chat_gen_t *gen)
{
    return ngx_chat_channel_find_node(&hub->updates, gen->h, gen->fp) != NULL;
}


void
ngx_chat_update_start(ngx_chat_hub_t *hub, ngx_chat_task_t *task,
    u_char *strings, ngx_chat_limit_t *limit)
{
    ngx_chat_update_t  *up;

    up = ngx_calloc(sizeof(ngx_chat_update_t), hub->log);
    if (up == NULL) {
        ngx_free(strings);
        return;
    }

    up->hub = hub;
    up->ident = -1;
    up->timer.handler = ngx_chat_update_timer_handler;
    up->timer.data = up;
    up->timer.log = hub->log;
    up->timer.cancelable = 1;

    up->task = *task;
    up->strings = strings;
    up->limit = *limit;

    /* wanted, although nobody listens */

    up->task.cancel = 0;

    ngx_chat_channel_set_node(&up->by_key, up->key, task->gen.h, task->gen.fp);
    ngx_rbtree_insert(&hub->updates, &up->by_key.node);
    ngx_queue_insert_tail(&hub->all_updates, &up->queue);
    hub->nupdates++;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, hub->log, 0,
                   "chat update %*s of %*s",
                   (size_t) NGX_CHAT_ID_LEN, up->task.gen.id,
                   (size_t) NGX_CHAT_HASH_LEN, up->task.gen.h);

    up->call = ngx_chat_store_update(&hub->store, &up->task.gen,
                                     hub->conf->queue_timeout,
                                     ngx_chat_update_open_handler, up);
    if (up->call == NULL) {
        ngx_chat_update_rest(up);
    }
}


static void
ngx_chat_update_open_handler(void *data, ngx_int_t rc)
{
    ngx_chat_update_t *up = data;

    ngx_chat_hub_t  *hub;

    hub = up->hub;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, hub->log, 0,
                   "chat update %*s: %i",
                   (size_t) NGX_CHAT_ID_LEN, up->task.gen.id, rc);

    up->call = NULL;

    if (rc == NGX_DECLINED) {
        ngx_chat_update_rest(up);
        return;
    }

    if (rc != NGX_OK) {
        ngx_chat_update_roll_back(up);
        return;
    }

    /* half of a short queue is for those who wait */

    up->call = ngx_chat_store_push(&hub->store, &up->task,
                                   ngx_min(NGX_CHAT_UPDATE_TASKS,
                                           (hub->conf->queue_limit + 1) / 2),
                                   &up->limit, ngx_chat_update_push_handler,
                                   up);
    if (up->call == NULL) {
        ngx_chat_update_roll_back(up);
    }
}


static void
ngx_chat_update_push_handler(void *data, ngx_int_t rc, ngx_msec_t wait)
{
    ngx_chat_update_t *up = data;

    up->call = NULL;

    switch (rc) {

    case NGX_OK:
        ngx_chat_metrics_count(NGX_CHAT_COUNT_UPDATES);
        ngx_chat_update_rest(up);
        return;

    case NGX_DECLINED:
    case NGX_AGAIN:

        ngx_log_error(NGX_LOG_INFO, up->hub->log, 0,
                      "chat answer %*s stays stale: %s",
                      (size_t) NGX_CHAT_HASH_LEN, up->task.gen.h,
                      (rc == NGX_AGAIN) ? "its asker is over a limit"
                                        : "too many tasks wait");

        if (rc == NGX_AGAIN) {
            ngx_chat_limited_set(up->hub, &up->limit, wait);
            up->limited = 1;
        }

        /* without a trace, so that another asker's is not put off */

        up->call = ngx_chat_store_erase(&up->hub->store, &up->task.gen,
                                        NGX_CHAT_E_CANCELLED,
                                        ngx_chat_update_erase_handler, up);
        if (up->call == NULL) {
            ngx_chat_update_roll_back(up);
        }

        return;

    default:
        ngx_chat_update_roll_back(up);
    }
}


static void
ngx_chat_update_erase_handler(void *data, ngx_int_t rc, uint64_t n)
{
    ngx_chat_update_t *up = data;

    up->call = NULL;

    if (rc == NGX_ERROR) {
        ngx_chat_update_roll_back(up);
        return;
    }

    ngx_chat_update_rest(up);
}


static void
ngx_chat_update_roll_back(ngx_chat_update_t *up)
{
    ngx_chat_rollback_start(up->hub, &up->task.gen, NGX_CHAT_E_CANCELLED);

    ngx_chat_update_rest(up);
}


static void
ngx_chat_update_rest(ngx_chat_update_t *up)
{
    ngx_free(up->strings);
    up->strings = NULL;

    if (up->limited) {
        ngx_chat_update_free(up);
        return;
    }

    ngx_add_timer(&up->timer, NGX_CHAT_UPDATE_REST);
}


static void
ngx_chat_update_timer_handler(ngx_event_t *ev)
{
    ngx_chat_update_free(ev->data);
}


static void
ngx_chat_update_free(ngx_chat_update_t *up)
{
    ngx_chat_call_cancel(up->call);

    if (up->timer.timer_set) {
        ngx_del_timer(&up->timer);
    }

    ngx_rbtree_delete(&up->hub->updates, &up->by_key.node);
    ngx_queue_remove(&up->queue);
    up->hub->nupdates--;

    if (up->strings) {
        ngx_free(up->strings);
    }

    ngx_free(up);
}


void
ngx_chat_update_close(ngx_chat_hub_t *hub)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&hub->all_updates)) {
        q = ngx_queue_head(&hub->all_updates);
        ngx_chat_update_free(ngx_queue_data(q, ngx_chat_update_t, queue));
    }
}
