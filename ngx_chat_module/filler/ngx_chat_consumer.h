
/*
 * The consumer of the task queue: reads tasks over a connection of its own and
 * starts jobs.  After each (re)connect it reads the pending entries, delivered
 * to this filler before, then new ones with blocking reads, as long as fewer
 * jobs run than may.  What is done by the clock, and entries of other fillers,
 * are in ngx_chat_consumer_maintenance.h.
 *
 * There is one for the life of the process.  Its handlers fire from the event
 * loop; drained() may also fire inside ngx_chat_consumer_drain().
 */


#ifndef _NGX_CHAT_CONSUMER_H_INCLUDED_
#define _NGX_CHAT_CONSUMER_H_INCLUDED_


#include "ngx_chat_job.h"


/* tasks of one read, at most: their bytes come in one reply */
#define NGX_CHAT_CONSUMER_PAGE  64


typedef struct ngx_chat_consumer_s  ngx_chat_consumer_t;


/* NULL: no memory */
ngx_chat_consumer_t *ngx_chat_consumer_start(ngx_chat_jobs_t *jobs,
    ngx_log_t *log);

/*
 * Reads on, unless a read is under way already, all jobs that may run do, or
 * the consumer drains.
 */
void ngx_chat_consumer_resume(ngx_chat_consumer_t *consumer);

/*
 * Starts the jobs of a page, as long as fewer run than may; *started is set to
 * how many were.
 *
 * NGX_DONE   the whole page was taken
 * NGX_AGAIN  as many jobs run as may, entries are left
 * NGX_ERROR  no memory for a job, entries are left
 */
ngx_int_t ngx_chat_consumer_start_jobs(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page, ngx_uint_t *started);

/* takes no more tasks; drained() fires once when none can arrive any more */
void ngx_chat_consumer_drain(ngx_chat_consumer_t *consumer,
    void (*drained)(void *data), void *data);

ngx_uint_t ngx_chat_consumer_is_draining(ngx_chat_consumer_t *consumer);

/* 1: the connection to the task queue is up */
ngx_uint_t ngx_chat_consumer_is_up(ngx_chat_consumer_t *consumer);


#endif /* _NGX_CHAT_CONSUMER_H_INCLUDED_ */
