
/*
 * A lane at the filler's end: hands what comes over it to the jobs of its
 * generations, and what these report back to the worker.  It frees itself when
 * the worker has closed it, or is of no use any more.
 */


#ifndef _NGX_CHAT_FILLER_LANE_H_INCLUDED_
#define _NGX_CHAT_FILLER_LANE_H_INCLUDED_


#include "ngx_chat_job_led.h"

#include <ngx_event.h>


typedef struct ngx_chat_filler_lane_s  ngx_chat_filler_lane_t;

struct ngx_chat_filler_lane_s {
    ngx_queue_t                 queue;     /* the owner's */
    ngx_chat_lane_t            *lane;

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                   ident;

    ngx_chat_jobs_t            *jobs;
    ngx_log_t                  *log;

    ngx_rbtree_t                streams;   /* by number */
    ngx_rbtree_node_t           sentinel;

    ngx_queue_t                 backlog;   /* records that found no room */
    ngx_event_t                 flush;     /* posted: something was sent */
};


/* takes the socket, and is put into the queue of lanes; NULL: no memory */
ngx_chat_filler_lane_t *ngx_chat_filler_lane_create(ngx_chat_jobs_t *jobs,
    ngx_socket_t fd, ngx_queue_t *lanes, ngx_log_t *log);

/* tells the worker to lead no more generations over this lane */
void ngx_chat_filler_lane_drain(ngx_chat_filler_lane_t *lane);


#endif /* _NGX_CHAT_FILLER_LANE_H_INCLUDED_ */
