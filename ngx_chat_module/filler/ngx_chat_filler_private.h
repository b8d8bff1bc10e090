
/*
 * The filler as its files see it, from bottom to top: ngx_chat_filler_process.c
 * makes a process of its own out of a fork of the worker,
 * ngx_chat_filler_pulse.c writes the scoreboard and finds dead predecessors,
 * ngx_chat_filler.c starts, runs and ends.
 */


#ifndef _NGX_CHAT_FILLER_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_FILLER_PRIVATE_H_INCLUDED_


#include "ngx_chat_filler.h"
#include "ngx_chat_consumer_maintenance.h"
#include "ngx_chat_filler_lanes.h"

#include <ngx_event.h>


typedef struct {
    ngx_chat_filler_conf_t           *conf;
    ngx_cycle_t                      *cycle;
    ngx_connection_t                 *control;
    ngx_chat_slot_t                  *slot;    /* NULL: scoreboard is full */
    ngx_chat_jobs_t                   jobs;
    ngx_chat_consumer_t              *consumer;
    ngx_chat_consumer_maintenance_t  *maintenance;
    ngx_chat_filler_lanes_t          *lanes;
    ngx_uint_t                        number;  /* 0 to processes - 1 */

    ngx_event_t                       pulse;
    ngx_connection_t                  dummy;   /* data of pulse */
    ngx_uint_t                        pulses;

    ngx_msec_t                        exit_by; /* while terminating */

    unsigned                          quit:1;  /* drain when possible, exit */
    unsigned                          open:1;  /* to workers that lead */
    unsigned                          draining:1;
    unsigned                          drained:1;  /* no task can arrive */
    unsigned                          terminate:1;
    unsigned                          terminating:1;  /* tasks go back */
    unsigned                          reopen:1;
} ngx_chat_filler_t;


/*
 * Separates the forked child from its worker: signals, event loop, files but
 * for control and rendezvous, limits, title.  Exits if that fails.
 */
void ngx_chat_filler_process_init(ngx_chat_filler_conf_t *fcf,
    ngx_cycle_t *cycle, ngx_socket_t control, ngx_socket_t rendezvous);

/* the first pulse, and a timer for those that follow */
void ngx_chat_filler_pulse_start(ngx_chat_filler_t *fl);

/* brings the next pulse forward: the state has changed */
void ngx_chat_filler_pulse_soon(ngx_chat_filler_t *fl);


#endif /* _NGX_CHAT_FILLER_PRIVATE_H_INCLUDED_ */
