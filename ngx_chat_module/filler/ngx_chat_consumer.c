
#include "ngx_chat_consumer.h"

#include <ngx_event.h>


#define NGX_CHAT_CONSUMER_RETRY      1000    /* ms */
#define NGX_CHAT_CONSUMER_UNBLOCK    100     /* ms */

#define NGX_CHAT_CONSUMER_ENTRY_LEN  64


struct ngx_chat_consumer_s {
    ngx_chat_jobs_t          *jobs;
    ngx_chat_redis_t         *rd;          /* own connection: reads block */
    ngx_log_t                *log;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                 ident;

    ngx_str_t                 name;        /* of the consumer: our token */
    int64_t                   client_id;   /* of rd; 0: not known */

    ngx_chat_call_t          *read;        /* on rd; or it creates the queue */
    ngx_chat_call_t          *id;          /* asks for client_id */
    ngx_chat_call_t          *unblock;

    ngx_event_t               retry;
    ngx_uint_t                page;        /* tasks of the next read, at most */

    /* the last pending entry that was taken */
    ngx_str_t                 position;
    u_char                    position_buf[NGX_CHAT_CONSUMER_ENTRY_LEN];

    void                    (*drained)(void *data);
    void                     *data;

    unsigned                  read_pending:1;  /* before new entries */
    unsigned                  draining:1;
};


static void ngx_chat_consumer_state_handler(void *data, ngx_uint_t up);
static void ngx_chat_consumer_store_state_handler(void *data, ngx_uint_t up);
static void ngx_chat_consumer_client_id_handler(void *data, ngx_int_t rc,
    int64_t id);
static void ngx_chat_consumer_read_next(ngx_chat_consumer_t *consumer);
static void ngx_chat_consumer_pending_handler(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);
static void ngx_chat_consumer_read_handler(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);
static ngx_int_t ngx_chat_consumer_check_read(ngx_chat_consumer_t *consumer,
    ngx_int_t rc);
static void ngx_chat_consumer_create_handler(void *data, ngx_int_t rc);
static ngx_int_t ngx_chat_consumer_start_page(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page, ngx_uint_t *started);
static void ngx_chat_consumer_give_back(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page);
static void ngx_chat_consumer_drop_entry(ngx_chat_consumer_t *consumer,
    ngx_chat_task_entry_t *task);
static void ngx_chat_consumer_set_position(ngx_chat_consumer_t *consumer,
    ngx_str_t *entry);
static void ngx_chat_consumer_rewind(ngx_chat_consumer_t *consumer);
static void ngx_chat_consumer_schedule_retry(ngx_chat_consumer_t *consumer,
    ngx_msec_t ms);
static void ngx_chat_consumer_retry_handler(ngx_event_t *ev);
static void ngx_chat_consumer_unblock_read(ngx_chat_consumer_t *consumer);
static void ngx_chat_consumer_unblock_handler(void *data, ngx_int_t rc);
static void ngx_chat_consumer_drop_handler(void *data, ngx_int_t rc);


static ngx_str_t  ngx_chat_consumer_start_position = ngx_string("0");


ngx_chat_consumer_t *
ngx_chat_consumer_start(ngx_chat_jobs_t *jobs, ngx_log_t *log)
{
    ngx_chat_consumer_t  *consumer;

    consumer = ngx_calloc(sizeof(ngx_chat_consumer_t), log);
    if (consumer == NULL) {
        return NULL;
    }

    consumer->jobs = jobs;
    consumer->log = log;
    consumer->ident = -1;

    consumer->name.data = jobs->token;
    consumer->name.len = NGX_CHAT_TOKEN_LEN;

    consumer->retry.handler = ngx_chat_consumer_retry_handler;
    consumer->retry.data = consumer;
    consumer->retry.log = log;

    consumer->page = NGX_CHAT_CONSUMER_PAGE;

    consumer->rd = ngx_chat_redis_open(jobs->conf->broker, "tasks", log);
    if (consumer->rd == NULL) {
        ngx_free(consumer);
        return NULL;
    }

    ngx_chat_redis_set_state_handler(consumer->rd,
                                     ngx_chat_consumer_state_handler, consumer);
    ngx_chat_redis_set_state_handler(jobs->store.redis,
                                     ngx_chat_consumer_store_state_handler,
                                     consumer);

    if (ngx_chat_redis_is_up(consumer->rd)) {
        ngx_chat_consumer_state_handler(consumer, 1);
    }

    return consumer;
}


void
ngx_chat_consumer_resume(ngx_chat_consumer_t *consumer)
{
    if (!consumer->draining) {
        ngx_chat_consumer_read_next(consumer);
    }
}


void
ngx_chat_consumer_drain(ngx_chat_consumer_t *consumer,
    void (*drained)(void *data), void *data)
{
    consumer->draining = 1;
    consumer->drained = drained;
    consumer->data = data;

    if (consumer->retry.timer_set) {
        ngx_del_timer(&consumer->retry);
    }

    if (consumer->read) {
        ngx_chat_consumer_unblock_read(consumer);
        return;
    }

    ngx_chat_consumer_read_next(consumer);
}


ngx_uint_t
ngx_chat_consumer_is_draining(ngx_chat_consumer_t *consumer)
{
    return consumer->draining;
}


ngx_uint_t
ngx_chat_consumer_is_up(ngx_chat_consumer_t *consumer)
{
    return ngx_chat_redis_is_up(consumer->rd);
}


static void
ngx_chat_consumer_state_handler(void *data, ngx_uint_t up)
{
    ngx_chat_consumer_t *consumer = data;

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, consumer->log, 0,
                   "chat consumer connection up:%ui", up);

    ngx_chat_call_cancel(consumer->id);

    consumer->id = NULL;
    consumer->client_id = 0;

    if (!up) {
        return;
    }

    consumer->id = ngx_chat_store_tasks_get_client_id(&consumer->jobs->store,
                                         consumer->rd,
                                         ngx_chat_consumer_client_id_handler,
                                         consumer);

    ngx_chat_consumer_rewind(consumer);
    ngx_chat_consumer_read_next(consumer);
}


/* no task is read without the connection for commands, which may come later */

static void
ngx_chat_consumer_store_state_handler(void *data, ngx_uint_t up)
{
    ngx_chat_consumer_t *consumer = data;

    if (up) {
        ngx_chat_consumer_resume(consumer);
    }
}


static void
ngx_chat_consumer_client_id_handler(void *data, ngx_int_t rc, int64_t id)
{
    ngx_chat_consumer_t *consumer = data;

    consumer->id = NULL;

    if (rc == NGX_OK) {
        consumer->client_id = id;
    }
}


static void
ngx_chat_consumer_read_next(ngx_chat_consumer_t *consumer)
{
    ngx_uint_t        n;
    ngx_chat_jobs_t  *jobs;

    jobs = consumer->jobs;

    if (consumer->read || consumer->retry.timer_set) {
        return;
    }

    if (consumer->draining) {

        if (consumer->drained) {
            consumer->drained(consumer->data);
            consumer->drained = NULL;
        }

        return;
    }

    /* a task that cannot be claimed here is left for another filler */

    if (!ngx_chat_redis_is_up(consumer->rd)
        || !ngx_chat_redis_is_up(jobs->store.redis))
    {
        return;
    }

    n = ngx_chat_jobs_get_room(jobs);

    if (n == 0) {
        return;
    }

    if (consumer->read_pending) {
        ngx_log_debug2(NGX_LOG_DEBUG_CORE, consumer->log, 0,
                       "chat consumer reads pending after:%V max:%ui",
                       &consumer->position, consumer->page);

        consumer->read = ngx_chat_store_tasks_read_pending(&jobs->store,
                             consumer->rd, &consumer->name,
                             &consumer->position, consumer->page,
                             ngx_chat_consumer_pending_handler, consumer);

    } else {
        n = ngx_min(n, consumer->page);

        ngx_log_debug2(NGX_LOG_DEBUG_CORE, consumer->log, 0,
                       "chat consumer reads max:%ui running:%ui",
                       n, jobs->running);

        consumer->read = ngx_chat_store_tasks_read(&jobs->store, consumer->rd,
                             &consumer->name, n,
                             ngx_chat_consumer_read_handler, consumer);
    }

    if (consumer->read == NULL) {
        ngx_chat_consumer_schedule_retry(consumer, NGX_CHAT_CONSUMER_RETRY);
    }
}


static void
ngx_chat_consumer_pending_handler(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page)
{
    ngx_chat_consumer_t *consumer = data;

    consumer->read = NULL;

    if (ngx_chat_consumer_check_read(consumer, rc) != NGX_OK) {
        return;
    }

    rc = ngx_chat_consumer_start_page(consumer, page, NULL);

    if (rc == NGX_DONE
        && ngx_chat_reply_count(page->entries) < consumer->page)
    {
        consumer->read_pending = 0;
    }

    if (rc == NGX_ERROR) {
        ngx_chat_consumer_schedule_retry(consumer, NGX_CHAT_CONSUMER_RETRY);
        return;
    }

    ngx_chat_consumer_read_next(consumer);
}


static void
ngx_chat_consumer_read_handler(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page)
{
    ngx_chat_consumer_t *consumer = data;

    ngx_uint_t  started;

    consumer->read = NULL;

    if (ngx_chat_consumer_check_read(consumer, rc) != NGX_OK) {
        return;
    }

    consumer->page = ngx_min(consumer->page * 2, NGX_CHAT_CONSUMER_PAGE);

    started = 0;
    rc = ngx_chat_consumer_start_page(consumer, page, &started);

    if (rc == NGX_ERROR) {

        /* tasks that were not started are pending now */

        ngx_chat_consumer_rewind(consumer);
        ngx_chat_consumer_schedule_retry(consumer, NGX_CHAT_CONSUMER_RETRY);
        return;
    }

    if (rc == NGX_AGAIN) {
        ngx_chat_consumer_give_back(consumer, page);
    }

    ngx_chat_consumer_read_next(consumer);
}


static ngx_int_t
ngx_chat_consumer_check_read(ngx_chat_consumer_t *consumer, ngx_int_t rc)
{
    ngx_log_debug1(NGX_LOG_DEBUG_CORE, consumer->log, 0,
                   "chat consumer reply rc:%i", rc);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc == NGX_DECLINED && !consumer->draining) {
        consumer->read = ngx_chat_store_tasks_create_group(
                             &consumer->jobs->store, consumer->rd,
                             ngx_chat_consumer_create_handler, consumer);
        if (consumer->read) {
            return NGX_DECLINED;
        }
    }

    /* a reply may have been too large: the next one has fewer tasks */

    consumer->page = ngx_max(consumer->page / 4, 1);

    ngx_chat_consumer_rewind(consumer);
    ngx_chat_consumer_schedule_retry(consumer, NGX_CHAT_CONSUMER_RETRY);

    return NGX_DECLINED;
}


static void
ngx_chat_consumer_create_handler(void *data, ngx_int_t rc)
{
    ngx_chat_consumer_t *consumer = data;

    consumer->read = NULL;

    if (rc != NGX_OK) {
        ngx_chat_consumer_schedule_retry(consumer, NGX_CHAT_CONSUMER_RETRY);
        return;
    }

    ngx_chat_consumer_read_next(consumer);
}


ngx_int_t
ngx_chat_consumer_start_jobs(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page, ngx_uint_t *started)
{
    *started = 0;

    return ngx_chat_consumer_start_page(consumer, page, started);
}


/*
 * started: NULL for pending entries of this consumer, which count as taken
 * whether they could be started or not.
 */

static ngx_int_t
ngx_chat_consumer_start_page(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page, ngx_uint_t *started)
{
    ngx_int_t               rc;
    ngx_chat_jobs_t        *jobs;
    ngx_chat_task_entry_t   task;

    jobs = consumer->jobs;

    while (ngx_chat_jobs_take_place(jobs) == NGX_OK) {

        rc = ngx_chat_store_task_take(page, &task);

        if (rc == NGX_DONE) {
            ngx_chat_jobs_recount(jobs);
            return NGX_DONE;
        }

        if (rc != NGX_OK) {
            ngx_chat_jobs_recount(jobs);
            ngx_chat_consumer_drop_entry(consumer, &task);

        } else {
            rc = ngx_chat_job_start(jobs, &task);

            ngx_log_debug4(NGX_LOG_DEBUG_CORE, consumer->log, 0,
                           "chat task \"%V\" generation:%*s rc:%i",
                           &task.entry, (size_t) NGX_CHAT_ID_LEN, task.gen.id,
                           rc);

            if (rc != NGX_OK) {
                ngx_chat_jobs_recount(jobs);
            }

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (rc == NGX_OK && started) {
                (*started)++;
            }
        }

        if (started == NULL) {
            ngx_chat_consumer_set_position(consumer, &task.entry);
        }
    }

    return NGX_AGAIN;
}


/*
 * Since the read began, workers have come to lead as many as there may be: the
 * rest of the tasks is for whoever has room first.
 */

static void
ngx_chat_consumer_give_back(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page)
{
    ngx_int_t               rc;
    ngx_chat_task_entry_t   task;

    for ( ;; ) {
        rc = ngx_chat_store_task_take(page, &task);

        if (rc == NGX_DONE) {
            return;
        }

        if (rc != NGX_OK) {
            ngx_chat_consumer_drop_entry(consumer, &task);
            continue;
        }

        ngx_log_debug1(NGX_LOG_DEBUG_CORE, consumer->log, 0,
                       "chat task \"%V\" is given back", &task.entry);

        if (ngx_chat_store_tasks_give_back(&consumer->jobs->store, task.queue,
                                           &task.entry,
                                           ngx_chat_consumer_drop_handler,
                                           consumer)
            == NULL)
        {
            ngx_chat_consumer_rewind(consumer);
        }
    }
}


static void
ngx_chat_consumer_drop_entry(ngx_chat_consumer_t *consumer,
    ngx_chat_task_entry_t *task)
{
    ngx_log_error(NGX_LOG_ERR, consumer->log, 0,
                  "chat task queue: entry \"%V\" is no task and is dropped",
                  &task->entry);

    (void) ngx_chat_store_tasks_remove(&consumer->jobs->store, task->queue,
                                       &task->entry, 0,
                                       ngx_chat_consumer_drop_handler,
                                       consumer);
}


static void
ngx_chat_consumer_set_position(ngx_chat_consumer_t *consumer, ngx_str_t *entry)
{
    size_t  len;

    len = ngx_min(entry->len, NGX_CHAT_CONSUMER_ENTRY_LEN);

    ngx_memcpy(consumer->position_buf, entry->data, len);

    consumer->position.data = consumer->position_buf;
    consumer->position.len = len;
}


/*
 * Tasks delivered with a reply that got lost are among the pending entries of
 * this consumer, and nowhere else.
 */

static void
ngx_chat_consumer_rewind(ngx_chat_consumer_t *consumer)
{
    consumer->read_pending = 1;

    ngx_chat_consumer_set_position(consumer, &ngx_chat_consumer_start_position);
}


static void
ngx_chat_consumer_schedule_retry(ngx_chat_consumer_t *consumer, ngx_msec_t ms)
{
    if (consumer->draining && consumer->read == NULL) {

        /* no read follows, so drained() is due */

        ngx_chat_consumer_read_next(consumer);
        return;
    }

    ngx_add_timer(&consumer->retry, ms);
}


static void
ngx_chat_consumer_retry_handler(ngx_event_t *ev)
{
    ngx_chat_consumer_t  *consumer;

    consumer = ev->data;

    if (consumer->draining && consumer->read) {
        ngx_chat_consumer_unblock_read(consumer);
        return;
    }

    ngx_chat_consumer_read_next(consumer);
}


/*
 * Ends the blocking read.  CLIENT UNBLOCK does nothing to a read that does not
 * block yet, so it is repeated; the read ends after NGX_CHAT_TASK_BLOCK anyway.
 */

static void
ngx_chat_consumer_unblock_read(ngx_chat_consumer_t *consumer)
{
    if (consumer->unblock) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, consumer->log, 0,
                   "chat consumer unblocks client:%L", consumer->client_id);

    if (consumer->client_id) {
        consumer->unblock = ngx_chat_store_tasks_unblock(&consumer->jobs->store,
                                consumer->client_id,
                                ngx_chat_consumer_unblock_handler, consumer);
    }

    if (consumer->unblock == NULL) {
        ngx_chat_consumer_schedule_retry(consumer, NGX_CHAT_CONSUMER_UNBLOCK);
    }
}


static void
ngx_chat_consumer_unblock_handler(void *data, ngx_int_t rc)
{
    ngx_chat_consumer_t *consumer = data;

    consumer->unblock = NULL;

    if (consumer->read) {
        ngx_chat_consumer_schedule_retry(consumer, NGX_CHAT_CONSUMER_UNBLOCK);
    }
}


/* an entry of which that failed stays pending and is found later */

static void
ngx_chat_consumer_drop_handler(void *data, ngx_int_t rc)
{
}
