
/*
 * The chat filler, a process forked from a worker (its title is "nginx: chat
 * filler process"): takes tasks from the queue, asks providers, and writes the
 * generations; it writes those that workers lead, too.  It shares nothing with
 * workers but Redis, the scoreboard, the configuration, and a lane with each.
 */


#ifndef _NGX_CHAT_FILLER_H_INCLUDED_
#define _NGX_CHAT_FILLER_H_INCLUDED_


#include "../shm/ngx_chat_scoreboard.h"
#include "../shm/ngx_chat_metrics_zone.h"
#include "../provider/ngx_chat_provider.h"


/* commands of the supervisor to its filler; end of file alone means QUIT */
#define NGX_CHAT_CONTROL_QUIT       'Q'
#define NGX_CHAT_CONTROL_TERMINATE  'T'
#define NGX_CHAT_CONTROL_REOPEN     'R'


typedef struct {
    ngx_chat_redis_conf_t    *redis;
    ngx_chat_redis_conf_t    *broker;
    ngx_array_t              *providers;    /* of ngx_chat_provider_t * */
    ngx_resolver_t           *resolver;     /* of http{}, or NULL */
    ngx_uint_t                processes;
    ngx_uint_t                concurrency;  /* of each */
    ngx_uint_t                generations;  /* at once, of the instance */
    ngx_chat_scoreboard_t    *scoreboard;
    ngx_chat_metrics_zone_t  *metrics;
} ngx_chat_filler_conf_t;


/*
 * Runs the filler in the forked child, and never returns.  control: its end of
 * the supervisor's socketpair; token: the filler's name in the queue and in
 * leases; predecessor: the token of the dead filler that this one replaces, or
 * empty, with NGX_CHAT_TOKEN_LEN bytes that may be written.
 */
void ngx_chat_filler_main(ngx_chat_filler_conf_t *fcf, ngx_cycle_t *cycle,
    ngx_socket_t control, ngx_uint_t number, u_char *token,
    ngx_str_t *predecessor);


#endif /* _NGX_CHAT_FILLER_H_INCLUDED_ */
