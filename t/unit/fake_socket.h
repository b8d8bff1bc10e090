
/*
 * nginx's connections for unit tests, on real sockets: events come from an
 * epoll instance, edge by edge as nginx has it, or level by level.
 */


#ifndef _FAKE_SOCKET_H_INCLUDED_
#define _FAKE_SOCKET_H_INCLUDED_


#include "fake_loop.h"


/* with fake_loop_init(); edges: as epoll in nginx, else as poll */
void fake_socket_init(ngx_uint_t edges);

/* moves the clock from timer to timer, handling all events at each */
void fake_socket_run(ngx_msec_t ms);

/* a turn of the loop, for all that is there; 0: nothing was */
ngx_uint_t fake_socket_turn(void);

/* connections that are open */
ngx_uint_t fake_socket_count(void);

/* events that were handled so far */
ngx_uint_t fake_socket_events(void);

/* as nginx at the end of worker_shutdown_timeout */
void fake_socket_shutdown(void);

/* files of this process that are open */
ngx_uint_t fake_socket_files(void);


/* the call for a connection or an event that fails next; 0: none */
extern ngx_uint_t  fake_socket_fail;


#endif /* _FAKE_SOCKET_H_INCLUDED_ */
