
#include "ngx_chat_consumer.h"
#include "ngx_chat_consumer_private.h"


#define NGX_CHAT_CONSUMER_RETRY    1000      /* ms */
#define NGX_CHAT_CONSUMER_UNBLOCK  100       /* ms */


static void ngx_chat_consumer_state(void *data, ngx_uint_t up);
static void ngx_chat_consumer_commands(void *data, ngx_uint_t up);
static void ngx_chat_consumer_client(void *data, ngx_int_t rc, int64_t id);
static void ngx_chat_consumer_own(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);
static void ngx_chat_consumer_new(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);
static ngx_int_t ngx_chat_consumer_check(ngx_chat_consumer_t *in, ngx_int_t rc);
static void ngx_chat_consumer_created(void *data, ngx_int_t rc);
static void ngx_chat_consumer_drop(ngx_chat_consumer_t *in, ngx_str_t *entry);
static void ngx_chat_consumer_seen(ngx_chat_consumer_t *in, ngx_str_t *entry);
static void ngx_chat_consumer_rewind(ngx_chat_consumer_t *in);
static void ngx_chat_consumer_later(ngx_chat_consumer_t *in, ngx_msec_t ms);
static void ngx_chat_consumer_retry_handler(ngx_event_t *ev);
static void ngx_chat_consumer_wake(ngx_chat_consumer_t *in);
static void ngx_chat_consumer_woken(void *data, ngx_int_t rc);
static void ngx_chat_consumer_ignore(void *data, ngx_int_t rc);


static ngx_str_t  ngx_chat_consumer_first = ngx_string("0");


ngx_chat_consumer_t *
ngx_chat_consumer_start(ngx_chat_jobs_t *jobs, ngx_log_t *log)
{
    ngx_chat_consumer_t  *in;

    in = ngx_calloc(sizeof(ngx_chat_consumer_t), log);
    if (in == NULL) {
        return NULL;
    }

    in->jobs = jobs;
    in->log = log;
    in->ident = -1;

    in->consumer.data = jobs->token;
    in->consumer.len = NGX_CHAT_TOKEN_LEN;

    in->retry.handler = ngx_chat_consumer_retry_handler;
    in->retry.data = in;
    in->retry.log = log;

    in->page = NGX_CHAT_CONSUMER_PAGE;

    /* tasks of a read may come on top of those that a scan has found */

    in->max = 2 * jobs->conf->concurrency;
    in->entries = ngx_alloc(in->max * sizeof(ngx_str_t), log);
    if (in->entries == NULL) {
        goto failed;
    }

    in->rd = ngx_chat_redis_create(jobs->conf->broker, "tasks", log);
    if (in->rd == NULL) {
        goto failed;
    }

    ngx_chat_redis_on_state(in->rd, ngx_chat_consumer_state, in);
    ngx_chat_redis_on_state(jobs->store.redis, ngx_chat_consumer_commands, in);

    if (ngx_chat_redis_up(in->rd)) {
        ngx_chat_consumer_state(in, 1);
    }

    ngx_chat_consumer_maintenance(in);

    return in;

failed:

    if (in->entries) {
        ngx_free(in->entries);
    }

    ngx_free(in);

    return NULL;
}


void
ngx_chat_consumer_room(ngx_chat_consumer_t *in)
{
    if (!in->draining) {
        ngx_chat_consumer_next(in);
    }
}


void
ngx_chat_consumer_drain(ngx_chat_consumer_t *in, void (*drained)(void *data),
    void *data)
{
    in->draining = 1;
    in->drained = drained;
    in->data = data;

    if (in->retry.timer_set) {
        ngx_del_timer(&in->retry);
    }

    if (in->read) {
        ngx_chat_consumer_wake(in);
        return;
    }

    ngx_chat_consumer_next(in);
}


ngx_uint_t
ngx_chat_consumer_queued(ngx_chat_consumer_t *in)
{
    return in->queued;
}


ngx_uint_t
ngx_chat_consumer_up(ngx_chat_consumer_t *in)
{
    return ngx_chat_redis_up(in->rd);
}


static void
ngx_chat_consumer_state(void *data, ngx_uint_t up)
{
    ngx_chat_consumer_t *in = data;

    ngx_chat_call_cancel(in->id);

    in->id = NULL;
    in->client = 0;

    if (!up) {
        return;
    }

    in->id = ngx_chat_store_client_id(&in->jobs->store, in->rd,
                                      ngx_chat_consumer_client, in);

    ngx_chat_consumer_rewind(in);
    ngx_chat_consumer_next(in);
}


/* reading waits for this connection too, which may be the later one */

static void
ngx_chat_consumer_commands(void *data, ngx_uint_t up)
{
    ngx_chat_consumer_t *in = data;

    if (up) {
        ngx_chat_consumer_room(in);
    }
}


static void
ngx_chat_consumer_client(void *data, ngx_int_t rc, int64_t id)
{
    ngx_chat_consumer_t *in = data;

    in->id = NULL;

    if (rc == NGX_OK) {
        in->client = id;
    }
}


void
ngx_chat_consumer_next(ngx_chat_consumer_t *in)
{
    ngx_uint_t        n;
    ngx_chat_jobs_t  *jobs;

    jobs = in->jobs;

    if (in->read || in->retry.timer_set) {
        return;
    }

    if (in->draining) {

        if (in->drained) {
            in->drained(in->data);
            in->drained = NULL;
        }

        return;
    }

    /* a task that cannot be claimed is better off with somebody else */

    if (!ngx_chat_redis_up(in->rd)
        || !ngx_chat_redis_up(jobs->store.redis)
        || jobs->running >= jobs->conf->concurrency)
    {
        return;
    }

    if (in->own) {
        in->read = ngx_chat_store_tasks_pending(&jobs->store, in->rd,
                                                &in->consumer, &in->after,
                                                in->page,
                                                ngx_chat_consumer_own, in);

    } else {
        n = jobs->conf->concurrency - jobs->running;
        n = ngx_min(n, in->page);

        in->read = ngx_chat_store_tasks_read(&jobs->store, in->rd,
                                             &in->consumer, n,
                                             ngx_chat_consumer_new, in);
    }

    if (in->read == NULL) {
        ngx_chat_consumer_later(in, NGX_CHAT_CONSUMER_RETRY);
    }
}


static void
ngx_chat_consumer_own(void *data, ngx_int_t rc, ngx_chat_task_page_t *page)
{
    ngx_chat_consumer_t *in = data;

    in->read = NULL;

    if (ngx_chat_consumer_check(in, rc) != NGX_OK) {
        return;
    }

    rc = ngx_chat_consumer_take(in, page, 0, NULL);

    if (rc == NGX_DONE
        && ngx_chat_reply_count(page->entries) < in->page)
    {
        in->own = 0;
    }

    if (rc == NGX_ERROR) {
        ngx_chat_consumer_later(in, NGX_CHAT_CONSUMER_RETRY);
        return;
    }

    ngx_chat_consumer_next(in);
}


static void
ngx_chat_consumer_new(void *data, ngx_int_t rc, ngx_chat_task_page_t *page)
{
    ngx_chat_consumer_t *in = data;

    in->read = NULL;

    if (ngx_chat_consumer_check(in, rc) != NGX_OK) {
        return;
    }

    in->page = ngx_min(in->page * 2, NGX_CHAT_CONSUMER_PAGE);

    if (ngx_chat_consumer_take(in, page, 1, NULL) == NGX_ERROR) {

        /* tasks not started are this consumer's now: found among its own */

        ngx_chat_consumer_rewind(in);
        ngx_chat_consumer_later(in, NGX_CHAT_CONSUMER_RETRY);
        return;
    }

    ngx_chat_consumer_next(in);
}


static ngx_int_t
ngx_chat_consumer_check(ngx_chat_consumer_t *in, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc == NGX_DECLINED && !in->draining) {
        in->read = ngx_chat_store_tasks_create(&in->jobs->store, in->rd,
                                               ngx_chat_consumer_created, in);
        if (in->read) {
            return NGX_DECLINED;
        }
    }

    /* a reply that was too large would be so again */

    in->page = ngx_max(in->page / 4, 1);

    ngx_chat_consumer_rewind(in);
    ngx_chat_consumer_later(in, NGX_CHAT_CONSUMER_RETRY);

    return NGX_DECLINED;
}


static void
ngx_chat_consumer_created(void *data, ngx_int_t rc)
{
    ngx_chat_consumer_t *in = data;

    in->read = NULL;

    if (rc != NGX_OK) {
        ngx_chat_consumer_later(in, NGX_CHAT_CONSUMER_RETRY);
        return;
    }

    ngx_chat_consumer_next(in);
}


ngx_int_t
ngx_chat_consumer_take(ngx_chat_consumer_t *in, ngx_chat_task_page_t *page,
    ngx_uint_t all, ngx_uint_t *started)
{
    ngx_int_t               rc;
    ngx_chat_jobs_t        *jobs;
    ngx_chat_task_entry_t   task;

    jobs = in->jobs;

    while (all || jobs->running < jobs->conf->concurrency) {

        rc = ngx_chat_store_task(page, &task);

        if (rc == NGX_DONE) {
            return NGX_DONE;
        }

        if (rc != NGX_OK) {
            ngx_chat_consumer_drop(in, &task.entry);

        } else {
            rc = ngx_chat_job_start(jobs, &task);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (rc == NGX_OK && started) {
                (*started)++;
            }
        }

        if (started == NULL && !all) {
            ngx_chat_consumer_seen(in, &task.entry);
        }
    }

    return NGX_AGAIN;
}


static void
ngx_chat_consumer_drop(ngx_chat_consumer_t *in, ngx_str_t *entry)
{
    ngx_log_error(NGX_LOG_ERR, in->log, 0,
                  "entry \"%V\" of the task queue is not a task: dropped",
                  entry);

    (void) ngx_chat_store_task_done(&in->jobs->store, entry, 0,
                                    ngx_chat_consumer_ignore, in);
}


static void
ngx_chat_consumer_seen(ngx_chat_consumer_t *in, ngx_str_t *entry)
{
    size_t  len;

    len = ngx_min(entry->len, NGX_CHAT_CONSUMER_ENTRY_LEN);

    ngx_memcpy(in->room, entry->data, len);

    in->after.data = in->room;
    in->after.len = len;
}


/*
 * Tasks delivered with a reply that got lost are among the own entries, and
 * are found nowhere else.
 */

static void
ngx_chat_consumer_rewind(ngx_chat_consumer_t *in)
{
    in->own = 1;

    ngx_chat_consumer_seen(in, &ngx_chat_consumer_first);
}


static void
ngx_chat_consumer_later(ngx_chat_consumer_t *in, ngx_msec_t ms)
{
    if (in->draining && in->read == NULL) {

        /* nothing is to be read any more */

        ngx_chat_consumer_next(in);
        return;
    }

    ngx_add_timer(&in->retry, ms);
}


static void
ngx_chat_consumer_retry_handler(ngx_event_t *ev)
{
    ngx_chat_consumer_t  *in;

    in = ev->data;

    if (in->draining && in->read) {
        ngx_chat_consumer_wake(in);
        return;
    }

    ngx_chat_consumer_next(in);
}


/*
 * Ends the blocking read.  It may not have begun to block yet, so this is
 * repeated; it ends by itself after its time anyway.
 */

static void
ngx_chat_consumer_wake(ngx_chat_consumer_t *in)
{
    if (in->unblock) {
        return;
    }

    if (in->client) {
        in->unblock = ngx_chat_store_tasks_unblock(&in->jobs->store,
                                                   in->client,
                                                   ngx_chat_consumer_woken, in);
    }

    if (in->unblock == NULL) {
        ngx_chat_consumer_later(in, NGX_CHAT_CONSUMER_UNBLOCK);
    }
}


static void
ngx_chat_consumer_woken(void *data, ngx_int_t rc)
{
    ngx_chat_consumer_t *in = data;

    in->unblock = NULL;

    if (in->read) {
        ngx_chat_consumer_later(in, NGX_CHAT_CONSUMER_UNBLOCK);
    }
}


/* an entry that could not be dropped is found again */

static void
ngx_chat_consumer_ignore(void *data, ngx_int_t rc)
{
}
