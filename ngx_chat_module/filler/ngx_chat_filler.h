
/*
 * The filler process ("nginx: chat filler process"): takes tasks from the
 * queue, asks providers, and writes the generations.  It shares nothing with
 * workers but Redis, the scoreboard and the configuration.
 */


#ifndef _NGX_CHAT_FILLER_H_INCLUDED_
#define _NGX_CHAT_FILLER_H_INCLUDED_


#include "../shm/ngx_chat_scoreboard.h"
#include "../provider/ngx_chat_provider.h"


/* commands of a worker to its filler; end of file alone means: drain */
#define NGX_CHAT_CONTROL_QUIT       'Q'
#define NGX_CHAT_CONTROL_TERMINATE  'T'
#define NGX_CHAT_CONTROL_REOPEN     'R'


typedef struct {
    ngx_chat_redis_conf_t *redis;
    ngx_chat_redis_conf_t *broker;
    ngx_array_t           *providers;    /* of ngx_chat_provider_t * */
    ngx_resolver_t        *resolver;     /* of http{}, or NULL */
    ngx_uint_t             processes;
    ngx_uint_t             concurrency;
    ngx_chat_scoreboard_t *scoreboard;
} ngx_chat_filler_conf_t;


/*
 * Called in init_process of every process; starts the fillers in worker 0
 * and in single-process mode, and nothing elsewhere.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_supervisor_start(ngx_chat_filler_conf_t *fcf,
    ngx_cycle_t *cycle);

/* called in exit_process: fillers that still run are told to end */
void ngx_chat_supervisor_stop(ngx_cycle_t *cycle);


/*
 * The filler's whole life, in the forked child; never returns.  control is
 * its end of the supervisor's socketpair, predecessor the token of the
 * process it replaces, or empty.
 */
void ngx_chat_filler_main(ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle,
    ngx_socket_t control, ngx_uint_t number, u_char *token,
    ngx_str_t *predecessor);


#endif /* _NGX_CHAT_FILLER_H_INCLUDED_ */
