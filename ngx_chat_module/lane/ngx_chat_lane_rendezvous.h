
/*
 * Where workers and fillers of an instance meet: a pair of sockets for each
 * filler number, which the master makes once and keeps over reloads, so that
 * workers of an old configuration reach the filler of a new one.  A worker
 * makes a lane and sends its far end along; the filler of that number that
 * reads next takes it.  What a filler has not taken when it dies its successor
 * finds.
 *
 * nginx's own channels are no way: they lose the descriptor of a command that
 * they do not know.
 */


#ifndef _NGX_CHAT_LANE_RENDEZVOUS_H_INCLUDED_
#define _NGX_CHAT_LANE_RENDEZVOUS_H_INCLUDED_


#include "ngx_chat_lane.h"


#define NGX_CHAT_LANE_FILLERS  8     /* numbers are below */


/*
 * In the master, in init_module: pairs for the numbers below n that have none
 * yet.  NGX_OK, NGX_ERROR: logged.
 */
ngx_int_t ngx_chat_lane_rendezvous_create(ngx_uint_t n, ngx_log_t *log);

/*
 * A new lane to the filler of this number, which may not have taken it yet.
 * NGX_OK: *fd is this end; NGX_DECLINED: not at the moment.
 */
ngx_int_t ngx_chat_lane_rendezvous_offer(ngx_uint_t number, ngx_socket_t *fd,
    ngx_log_t *log);

/*
 * For a filler, which keeps this file open, and accepts when it can be read;
 * -1: there is none.
 */
ngx_socket_t ngx_chat_lane_rendezvous_get_fd(ngx_uint_t number);

/*
 * The next lane that was offered.  NGX_OK, NGX_AGAIN: none; NGX_ERROR: there
 * will be none any more.
 */
ngx_int_t ngx_chat_lane_rendezvous_accept(ngx_socket_t rendezvous,
    ngx_socket_t *fd, ngx_log_t *log);


#endif /* _NGX_CHAT_LANE_RENDEZVOUS_H_INCLUDED_ */
