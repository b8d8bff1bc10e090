
/*
 * Where a filler's tasks come from: own pending entries after each
 * (re)connect, new ones by blocking reads as long as there is room, those of
 * the dead by scanning, and the upkeep of the queue.
 */


#ifndef _NGX_CHAT_CONSUMER_H_INCLUDED_
#define _NGX_CHAT_CONSUMER_H_INCLUDED_


#include "ngx_chat_job.h"


typedef struct ngx_chat_consumer_s  ngx_chat_consumer_t;


/* NULL: no memory */
ngx_chat_consumer_t *ngx_chat_consumer_start(ngx_chat_jobs_t *jobs,
    ngx_log_t *log);

/* room for a task again: reads on */
void ngx_chat_consumer_resume(ngx_chat_consumer_t *consumer);

/*
 * Takes over what the dead process with this token has left behind, instead
 * of what an earlier one has.
 */
void ngx_chat_consumer_take_over(ngx_chat_consumer_t *consumer, u_char *token);

/* is it still looking for what a dead process has left behind? */
ngx_uint_t ngx_chat_consumer_is_taking_over(ngx_chat_consumer_t *consumer);

/* takes no more tasks; drained() fires once none can arrive any more */
void ngx_chat_consumer_drain(ngx_chat_consumer_t *consumer,
    void (*drained_handler)(void *data), void *data);

/* tasks waiting, as last seen, and whether its connection is up */
ngx_uint_t ngx_chat_consumer_queued(ngx_chat_consumer_t *consumer);
ngx_uint_t ngx_chat_consumer_is_up(ngx_chat_consumer_t *consumer);


#endif /* _NGX_CHAT_CONSUMER_H_INCLUDED_ */
