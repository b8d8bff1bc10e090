
/*
 * The intake as its two parts see it: ngx_chat_consumer.c reads the queue,
 * ngx_chat_consumer_maintenance.c does what is done by the clock.
 */


#ifndef _NGX_CHAT_CONSUMER_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_CONSUMER_PRIVATE_H_INCLUDED_


#include "ngx_chat_consumer.h"

#include <ngx_event.h>


/* at most so many tasks in one read: their bytes come in one reply */
#define NGX_CHAT_CONSUMER_PAGE       64
#define NGX_CHAT_CONSUMER_ENTRY_LEN  64


struct ngx_chat_consumer_s {
    ngx_chat_jobs_t          *jobs;
    ngx_chat_redis_t         *rd;          /* own connection: reads block */
    ngx_log_t                *log;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                 ident;

    ngx_str_t                 name;
    int64_t                   client;      /* rd's id, 0: not known */

    ngx_chat_call_t          *read;        /* read or create on rd */
    ngx_chat_call_t          *id;
    ngx_chat_call_t          *unblock;
    ngx_chat_call_t          *scan;
    ngx_chat_call_t          *keep;
    ngx_chat_call_t          *length;

    ngx_event_t               tick;
    ngx_event_t               retry;
    ngx_event_t               soon;        /* the next keep, brought forward */
    ngx_uint_t                ticks;
    ngx_uint_t                page;        /* tasks to read at once, now */

    ngx_str_t                 position;    /* own entries seen so far */
    u_char                    position_buf[NGX_CHAT_CONSUMER_ENTRY_LEN];

    ngx_str_t                *entries;     /* room for keep */
    ngx_uint_t                max;
    ngx_uint_t                takeovers;   /* scans for the predecessor's */
    ngx_uint_t                queued;

    void                    (*drained_handler)(void *data);
    void                     *data;

    unsigned                  read_pending:1;  /* own entries are to be read */
    unsigned                  draining:1;
};


/* begins it, and does what is due at once */
void ngx_chat_consumer_maintenance(ngx_chat_consumer_t *consumer);

/* reads on, unless that goes on already or there is no room */
void ngx_chat_consumer_read_next(ngx_chat_consumer_t *consumer);

/*
 * Starts the jobs of a page.  all: also if there is no room; started counts
 * them, or, if it is NULL, entries taken are remembered as seen.
 *
 * NGX_DONE   the whole page was taken
 * NGX_AGAIN  there is no more room
 * NGX_ERROR  a task could not be started
 */
ngx_int_t ngx_chat_consumer_start_jobs(ngx_chat_consumer_t *consumer,
    ngx_chat_task_page_t *page, ngx_uint_t all, ngx_uint_t *started);


#endif /* _NGX_CHAT_CONSUMER_PRIVATE_H_INCLUDED_ */
