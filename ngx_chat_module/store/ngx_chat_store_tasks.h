
/*
 * The filler's side of the task queue: a stream with one consumer group,
 * read over a connection of its own since the reads block.
 *
 * Tasks of led generations lie in a stream of their own, where nobody waits for
 * them: each is pending, with the filler that writes its generation, from the
 * moment that it is there, and is found by others if that filler dies.
 */


#ifndef _NGX_CHAT_STORE_TASKS_H_INCLUDED_
#define _NGX_CHAT_STORE_TASKS_H_INCLUDED_


#include "ngx_chat_store.h"
#include "../codec/ngx_chat_trace.h"


#define NGX_CHAT_TASK_BLOCK  5000     /* ms, of one blocking read */


typedef enum {
    NGX_CHAT_QUEUE_TASKS = 0,
    NGX_CHAT_QUEUE_LED,
    NGX_CHAT_QUEUES
} ngx_chat_queue_e;


/* as found in the queue: untrusted until ngx_chat_store_task_take() took it */
typedef struct {
    ngx_chat_gen_t         gen;
    ngx_chat_queue_e       queue;
    ngx_str_t              entry;      /* id in the queue */
    ngx_str_t              providers;
    ngx_str_t              messages;
    ngx_chat_trace_t       trace;
    ngx_msec_t             ttl;
    ngx_msec_t             stale;
    size_t                 max_answer;
    ngx_uint_t             cancel;
    ngx_msec_t             grace;
} ngx_chat_task_entry_t;


typedef struct {
    ngx_chat_reply_t      *entries;
    ngx_uint_t             next;
    ngx_chat_queue_e       queue;
} ngx_chat_task_page_t;

/* NGX_OK: page may be empty; NGX_DECLINED: no group yet, create it */
typedef void (*ngx_chat_tasks_pt)(void *data, ngx_int_t rc,
    ngx_chat_task_page_t *page);

/*
 * Takes the next entry of a page; its strings are valid during the handler.
 * NGX_OK; NGX_DONE: no more; NGX_DECLINED: entry is set, but what it holds is
 * no task of ours: done with it.
 */
ngx_int_t ngx_chat_store_task_take(ngx_chat_task_page_t *page,
    ngx_chat_task_entry_t *task);


/*
 * New tasks for this consumer, over the blocking connection rd: at most
 * count, waiting up to NGX_CHAT_TASK_BLOCK.  Not repeated after a loss: own
 * pending entries are read first then.
 */
ngx_chat_call_t *ngx_chat_store_tasks_read(ngx_chat_store_t *st,
    ngx_chat_redis_t *rd, ngx_str_t *consumer, ngx_uint_t count,
    ngx_chat_tasks_pt handler, void *data);

/*
 * Tasks delivered to this consumer and not done yet, from the entry behind
 * after on ("0": all), at most count.
 */
ngx_chat_call_t *ngx_chat_store_tasks_read_pending(ngx_chat_store_t *st,
    ngx_chat_redis_t *rd, ngx_str_t *consumer, ngx_str_t *after,
    ngx_uint_t count, ngx_chat_tasks_pt handler, void *data);

typedef void (*ngx_chat_tasks_result_pt)(void *data, ngx_int_t rc);

/* creates stream and group; it is no error if they exist */
ngx_chat_call_t *ngx_chat_store_tasks_create_group(ngx_chat_store_t *st,
    ngx_chat_redis_t *rd, ngx_chat_tasks_result_pt handler, void *data);

/* wakes this consumer's blocking read: CLIENT UNBLOCK of client_id */
ngx_chat_call_t *ngx_chat_store_tasks_unblock(ngx_chat_store_t *st,
    int64_t client_id, ngx_chat_tasks_result_pt handler, void *data);

/* the id of a connection, for unblock; rc NGX_OK: id */
typedef void (*ngx_chat_client_id_pt)(void *data, ngx_int_t rc, int64_t id);

ngx_chat_call_t *ngx_chat_store_tasks_get_client_id(ngx_chat_store_t *st,
    ngx_chat_redis_t *rd, ngx_chat_client_id_pt handler, void *data);

/* XDEL and XACK in one step, repeated while retry_time lasts */
ngx_chat_call_t *ngx_chat_store_tasks_remove(ngx_chat_store_t *st,
    ngx_chat_queue_e queue, ngx_str_t *entry, ngx_msec_t retry_time,
    ngx_chat_tasks_result_pt handler, void *data);

/*
 * Queues a copy of a pending entry of either queue, for any filler to take, and
 * is done with it, in one step.
 */
ngx_chat_call_t *ngx_chat_store_tasks_give_back(ngx_chat_store_t *st,
    ngx_chat_queue_e queue, ngx_str_t *entry,
    ngx_chat_tasks_result_pt handler, void *data);

/* queues a task that is in no queue, whatever the number of those that wait */
ngx_chat_call_t *ngx_chat_store_tasks_push(ngx_chat_store_t *st,
    ngx_chat_task_entry_t *task, ngx_chat_tasks_result_pt handler, void *data);

/*
 * A task for a led generation, pending with this consumer at once.  rc NGX_OK:
 * entry is its id, valid in the handler.  Repeated while retry_time lasts; a
 * second entry that comes of it finds its generation written, or ended.
 */
typedef void (*ngx_chat_tasks_insure_pt)(void *data, ngx_int_t rc,
    ngx_str_t *entry);

ngx_chat_call_t *ngx_chat_store_tasks_insure(ngx_chat_store_t *st,
    ngx_str_t *consumer, ngx_chat_task_entry_t *task, ngx_msec_t retry_time,
    ngx_chat_tasks_insure_pt handler, void *data);

/* makes pending entries this consumer's, idle for 0: XCLAIM ... JUSTID */
ngx_chat_call_t *ngx_chat_store_tasks_keep(ngx_chat_store_t *st,
    ngx_chat_queue_e queue, ngx_str_t *consumer, ngx_str_t *entries,
    ngx_uint_t count, ngx_chat_tasks_result_pt handler, void *data);

/*
 * Looks for pending entries idle for at least idle ms, of any consumer or
 * (owner not empty) of one, at most count, and returns them whole without
 * taking them: whoever claims the generation keeps the entry.  Pending
 * entries whose data is gone are acknowledged on the way.
 */
ngx_chat_call_t *ngx_chat_store_tasks_find_idle(ngx_chat_store_t *st,
    ngx_chat_queue_e queue, ngx_str_t *owner, ngx_msec_t idle, ngx_uint_t count,
    ngx_chat_tasks_pt handler, void *data);

/* deletes consumers with nothing pending that were idle for 10 minutes */
ngx_chat_call_t *ngx_chat_store_tasks_sweep(ngx_chat_store_t *st,
    ngx_chat_queue_e queue, ngx_chat_tasks_result_pt handler, void *data);

/* rc NGX_OK: tasks waiting, not delivered; age: of the oldest, ms */
typedef void (*ngx_chat_tasks_count_pt)(void *data, ngx_int_t rc,
    ngx_uint_t waiting, uint64_t age);

ngx_chat_call_t *ngx_chat_store_tasks_count_waiting(ngx_chat_store_t *st,
    ngx_chat_tasks_count_pt handler, void *data);


#endif /* _NGX_CHAT_STORE_TASKS_H_INCLUDED_ */
