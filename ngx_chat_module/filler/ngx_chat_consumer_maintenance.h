
/*
 * Maintenance of the task queue, by the clock: touches the entries of jobs that
 * run, so that no other filler takes them for left behind; scans for entries of
 * dead fillers and starts their jobs; counts the tasks that wait; and sweeps
 * consumers of processes that ended.
 *
 * There is one for the life of the process, above its consumer.
 */


#ifndef _NGX_CHAT_CONSUMER_MAINTENANCE_H_INCLUDED_
#define _NGX_CHAT_CONSUMER_MAINTENANCE_H_INCLUDED_


#include "ngx_chat_consumer.h"


typedef struct ngx_chat_consumer_maintenance_s  ngx_chat_consumer_maintenance_t;


/* does at once what is due; NULL: no memory */
ngx_chat_consumer_maintenance_t *ngx_chat_consumer_maintenance_start(
    ngx_chat_consumer_t *consumer, ngx_chat_jobs_t *jobs, ngx_log_t *log);

/*
 * Takes over the entries of the dead filler with this token, instead of those
 * of an earlier predecessor.
 */
void ngx_chat_consumer_maintenance_take_over(
    ngx_chat_consumer_maintenance_t *mt, u_char *token);

/* 1: still scanning for entries of a dead filler */
ngx_uint_t ngx_chat_consumer_maintenance_is_taking_over(
    ngx_chat_consumer_maintenance_t *mt);

/*
 * Tasks that wait in the queue, when last counted; 0 if nobody can tell, or the
 * filler drains.
 */
ngx_uint_t ngx_chat_consumer_maintenance_queued(
    ngx_chat_consumer_maintenance_t *mt);


#endif /* _NGX_CHAT_CONSUMER_MAINTENANCE_H_INCLUDED_ */
