
/*
 * The attempt to connect and the connection itself: ngx_chat_redis_conn.c, with
 * the TLS handshake and the first commands behind it.
 *
 * Private to redis/.
 */


#ifndef _NGX_CHAT_REDIS_CONN_H_INCLUDED_
#define _NGX_CHAT_REDIS_CONN_H_INCLUDED_


#include "ngx_chat_redis_private.h"


/* the failure of AUTH and so on */

typedef struct {
    ngx_uint_t                 kind;
    const char                *why;
    unsigned                   not_master:1;  /* Sentinel is out of date */
} ngx_chat_redis_fault_t;


/* ngx_chat_redis_conn.c */

void ngx_chat_redis_conn_start(ngx_chat_redis_t *rd);
void ngx_chat_redis_conn_reserve(ngx_chat_redis_t *rd);
void ngx_chat_redis_conn_release(ngx_chat_redis_t *rd);

/* again: it will connect once more, and keeps what that needs */
void ngx_chat_redis_conn_close(ngx_chat_redis_t *rd, ngx_uint_t again);

void ngx_chat_redis_conn_read(ngx_chat_redis_t *rd);
void ngx_chat_redis_conn_write(ngx_chat_redis_t *rd);


/* ngx_chat_redis_tls.c */

/* the handshake; leads to rd->secured(), or the connection is lost */
void ngx_chat_redis_tls_start(ngx_chat_redis_t *rd);

/* sends close_notify without waiting; the connection is to be closed then */
void ngx_chat_redis_tls_shutdown(ngx_connection_t *c);


/* ngx_chat_redis_setup.c */

/* the first commands, in rd->setup; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_redis_setup_init(ngx_chat_redis_t *rd);

/*
 * NGX_OK     the connection is set up
 * NGX_AGAIN  more replies are to come; there may be more to send
 * NGX_ERROR  fault says why it cannot be used
 */
ngx_int_t ngx_chat_redis_setup_process_reply(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply, ngx_chat_redis_fault_t *fault);


#endif /* _NGX_CHAT_REDIS_CONN_H_INCLUDED_ */
