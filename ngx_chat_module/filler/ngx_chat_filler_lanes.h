
/*
 * The lanes of a filler, which takes those that workers offer until it drains.
 * There is one set for the life of the process.
 */


#ifndef _NGX_CHAT_FILLER_LANES_H_INCLUDED_
#define _NGX_CHAT_FILLER_LANES_H_INCLUDED_


#include "ngx_chat_job.h"


typedef struct ngx_chat_filler_lanes_s  ngx_chat_filler_lanes_t;


/* rendezvous: where workers offer lanes to this filler; NULL: no memory */
ngx_chat_filler_lanes_t *ngx_chat_filler_lanes_create(ngx_chat_jobs_t *jobs,
    ngx_socket_t rendezvous, ngx_log_t *log);

/* takes those that are offered from now on, or were before */
void ngx_chat_filler_lanes_open(ngx_chat_filler_lanes_t *lanes);

/* takes no more; workers close those that there are once they need them not */
void ngx_chat_filler_lanes_drain(ngx_chat_filler_lanes_t *lanes);

/* 1: there is none */
ngx_uint_t ngx_chat_filler_lanes_are_gone(ngx_chat_filler_lanes_t *lanes);


#endif /* _NGX_CHAT_FILLER_LANES_H_INCLUDED_ */
