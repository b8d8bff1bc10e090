
/*
 * A worker's own part of the module: the hub, the health of providers as its
 * own calls show it, and its count of requests on the scoreboard.
 */


#ifndef _NGX_HTTP_CHAT_WORKER_H_INCLUDED_
#define _NGX_HTTP_CHAT_WORKER_H_INCLUDED_


#include "../ngx_http_chat.h"


/* of this worker, until close(); NULL in other processes */
extern ngx_chat_hub_t  *ngx_http_chat_hub;
extern ngx_array_t     *ngx_http_chat_peers;

/* likewise; NULL also where there is none */
extern ngx_chat_tier_t  *ngx_http_chat_worker_zone;

/* counts on the scoreboard, or some that nobody reads */
extern ngx_chat_scoreboard_counts_t  *ngx_http_chat_counts;


/* in init_process of a worker; NGX_ERROR: no memory */
ngx_int_t ngx_http_chat_worker_init(ngx_http_chat_main_conf_t *chmcf,
    ngx_cycle_t *cycle);

/* in exit_process */
void ngx_http_chat_worker_close(void);


#endif /* _NGX_HTTP_CHAT_WORKER_H_INCLUDED_ */
