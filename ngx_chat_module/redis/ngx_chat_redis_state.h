
/*
 * How far a connection is, what it is asking, and why it may fail.
 *
 * Private to redis/.
 */


#ifndef _NGX_CHAT_REDIS_STATE_H_INCLUDED_
#define _NGX_CHAT_REDIS_STATE_H_INCLUDED_


/* each kind is logged as an error once between two times of being up */

#define NGX_CHAT_REDIS_LOST        0x01
#define NGX_CHAT_REDIS_UNREACHED   0x02
#define NGX_CHAT_REDIS_LATE        0x04
#define NGX_CHAT_REDIS_REFUSED     0x08
#define NGX_CHAT_REDIS_GARBLED     0x10
#define NGX_CHAT_REDIS_NO_MEMORY   0x20
#define NGX_CHAT_REDIS_UNTRUSTED   0x40
#define NGX_CHAT_REDIS_REPLACED    0x80


typedef enum {
    NGX_CHAT_REDIS_WAIT = 0,
    NGX_CHAT_REDIS_RESOLVE,
    NGX_CHAT_REDIS_CONNECT,
    NGX_CHAT_REDIS_HANDSHAKE,
    NGX_CHAT_REDIS_SETUP,
    NGX_CHAT_REDIS_UP,
    NGX_CHAT_REDIS_CLOSED
} ngx_chat_redis_state_e;


typedef enum {
    NGX_CHAT_REDIS_AUTH = 0,
    NGX_CHAT_REDIS_ROLE,
    NGX_CHAT_REDIS_MASTER,
    NGX_CHAT_REDIS_SELECT,
    NGX_CHAT_REDIS_SETNAME,
    NGX_CHAT_REDIS_ID,
    NGX_CHAT_REDIS_TRACKING,
    NGX_CHAT_REDIS_INFO,
    NGX_CHAT_REDIS_CLUSTER
} ngx_chat_redis_step_e;


/* for the log */
const char *ngx_chat_redis_get_state_name(ngx_chat_redis_state_e state);

/* the command of a step, for the log */
const char *ngx_chat_redis_get_step_name(ngx_chat_redis_step_e step);


#endif /* _NGX_CHAT_REDIS_STATE_H_INCLUDED_ */
