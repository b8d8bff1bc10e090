
/*
 * A connection to Redis (RESP2) on nginx's event loop: connect, AUTH,
 * SELECT, pipelining, timeouts, reconnection.  It knows no key names.
 *
 * The creator owns it and closes it.  Once created it connects by itself, and
 * again after a loss, at most once a second while Redis is down.  While it is
 * idle a PING every 5 s shows whether the other side is still there.
 *
 * Every command that was taken gets exactly one callback, unless cancelled:
 * with the reply, or with NULL when the connection was lost, closed, or the
 * command timed out (which closes the connection, since replies come in
 * order).  A callback never fires inside ngx_chat_redis_command(); it may
 * send, cancel, and close.
 */


#ifndef _NGX_CHAT_REDIS_H_INCLUDED_
#define _NGX_CHAT_REDIS_H_INCLUDED_


#include "../codec/ngx_chat_resp.h"
#include "ngx_chat_redis_url.h"


/* ms: for TCP; for TLS, and then for AUTH and so on; for a command */
#define NGX_CHAT_REDIS_CONNECT_TIMEOUT  500
#define NGX_CHAT_REDIS_STEP_TIMEOUT     1000
#define NGX_CHAT_REDIS_TIMEOUT          1000
#define NGX_CHAT_REDIS_RECONNECT        1000


typedef struct ngx_chat_redis_cmd_s  ngx_chat_redis_cmd_t;

/* reply is freed after the call */
typedef void (*ngx_chat_redis_reply_pt)(void *data, ngx_chat_reply_t *reply);

/* up: AUTH and SELECT are done; not up: lost, after the commands' callbacks */
typedef void (*ngx_chat_redis_state_pt)(void *data, ngx_uint_t up);


/*
 * role names the connection in log lines and to Redis, e.g. "commands".
 * log must outlive the connection: a cycle's, never a request's.
 * NULL: no memory.
 */
ngx_chat_redis_t *ngx_chat_redis_open(ngx_chat_redis_conf_t *rcf,
    const char *role, ngx_log_t *log);

/* a single listener, which may send commands, but not close */
void ngx_chat_redis_set_state_handler(ngx_chat_redis_t *rd,
    ngx_chat_redis_state_pt handler, void *data);

/* lost commands get their callback before this returns */
void ngx_chat_redis_close(ngx_chat_redis_t *rd);

/* is the connection up? */
ngx_uint_t ngx_chat_redis_is_up(ngx_chat_redis_t *rd);

/*
 * Is the connection known to be down: has the last attempt failed?  Then
 * commands are refused at once; while it connects for the first time or again
 * after a loss they wait in line, within their timeout, and have at least a
 * second once they are sent.
 */
ngx_uint_t ngx_chat_redis_is_down(ngx_chat_redis_t *rd);

/*
 * Is the server a node of a Redis Cluster that does not serve all keys?
 * Commands on the others are refused with MOVED or CLUSTERDOWN.
 */
ngx_uint_t ngx_chat_redis_is_partial(ngx_chat_redis_t *rd);

/* in a callback with NULL: has the server closed the connection? */
ngx_uint_t ngx_chat_redis_is_dropped(ngx_chat_redis_t *rd);

/*
 * How often it has left a server that lives on but cannot serve, such as a
 * former master: READONLY, LOADING, MASTERDOWN, CLUSTERDOWN or NOAUTH.  The
 * command that was refused counts as lost with the connection.  A connection
 * younger than the pause between two attempts stays, and its commands get the
 * refusal for a reply.
 */
ngx_uint_t ngx_chat_redis_count_left(ngx_chat_redis_t *rd);

/* "maxmemory_policy" as found at connect; empty: not known */
ngx_str_t *ngx_chat_redis_get_policy(ngx_chat_redis_t *rd);

/*
 * Sends one command; the arguments are copied.  NULL: refused (known to be
 * down, closed, or no memory), and there will be no callback.
 */
ngx_chat_redis_cmd_t *ngx_chat_redis_command(ngx_chat_redis_t *rd,
    ngx_str_t *argv, ngx_uint_t argc, ngx_msec_t timeout,
    ngx_chat_redis_reply_pt handler, void *data);

/* in a process just forked: what the parent shares among connections is its */
void ngx_chat_redis_forget_parent(void);

/* the callback will not fire; the command may still be carried out */
void ngx_chat_redis_cmd_cancel(ngx_chat_redis_cmd_t *cmd);


#endif /* _NGX_CHAT_REDIS_H_INCLUDED_ */
