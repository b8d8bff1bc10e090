
/*
 * The supervisor of the fillers, in the worker that forks them: starts them,
 * replaces those that die, with a delay where they die of starting, and passes
 * quit, terminate and reopen on over a socketpair.  It owns the worker's end of
 * that; its end of file is how a filler's death is noticed.
 */


#ifndef _NGX_CHAT_SUPERVISOR_H_INCLUDED_
#define _NGX_CHAT_SUPERVISOR_H_INCLUDED_


#include "ngx_chat_filler.h"


/*
 * Called in init_process of every process; starts the fillers in worker 0
 * and in single-process mode, and nothing elsewhere.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_supervisor_start(ngx_chat_filler_conf_t *fcf,
    ngx_cycle_t *cycle);

/* called in exit_process: fillers that still run get TERMINATE */
void ngx_chat_supervisor_stop(ngx_cycle_t *cycle);


#endif /* _NGX_CHAT_SUPERVISOR_H_INCLUDED_ */
