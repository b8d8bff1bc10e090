
/*
 * The inside of a connection, shared by the files of this folder.
 *
 *   WAIT -> FIND -> CONNECT -> [HANDSHAKE ->] HELLO -> UP
 *
 *                                       a loss leads back to WAIT, and so
 *                                       does an address that does not work
 *   SHUT                                closed, or told to go: for good
 *
 * A new attempt always begins in a timer's handler, so whoever has called out
 * only needs to look whether rd->peer.connection is still there; rd itself is
 * freed when the last ngx_chat_redis_leave() has unwound.
 */


#ifndef _NGX_CHAT_REDIS_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_REDIS_PRIVATE_H_INCLUDED_


#include "ngx_chat_redis.h"
#include "ngx_chat_redis_state.h"
#include "ngx_chat_redis_endpoint.h"

#include <ngx_event.h>
#include <ngx_event_connect.h>


#define NGX_CHAT_REDIS_MAX_REPLY   (64 * 1024 * 1024)
#define NGX_CHAT_REDIS_MAX_OUT     (64 * 1024 * 1024)
#define NGX_CHAT_REDIS_PROBE       5000             /* ms, while idle */
#define NGX_CHAT_REDIS_LOOKUP_TIMEOUT  1000
#define NGX_CHAT_REDIS_QUIET       60               /* s */
#define NGX_CHAT_REDIS_KEEP_OUT    (256 * 1024)     /* when all is sent */
#define NGX_CHAT_REDIS_MAX_WORDS   200
#define NGX_CHAT_REDIS_MAX_POLICY  32
#define NGX_CHAT_REDIS_MAX_STEPS   6


typedef void (*ngx_chat_redis_push_pt)(void *data, ngx_chat_reply_t *reply);


struct ngx_chat_redis_s {
    ngx_chat_redis_conf_t     *conf;
    const char                *role;
    ngx_log_t                 *log;

    ngx_peer_connection_t      peer;
    ngx_chat_redis_endpoint_t  where;
    ngx_msec_t                 started;     /* of the last round */

    /* for the next attempt */
    ngx_connection_t          *spare;
    ngx_socket_t               spare_fd;

    ngx_chat_redis_state_e     state;
    ngx_chat_resp_t           *resp;

    /* TLS: whose certificate is expected, and where nginx says what failed */
    ngx_str_t                 *host;
    ngx_log_t                  tls_log;

    /* AUTH and so on go out alone, before any command */
    ngx_chat_bytes_t           hello;
    size_t                     hello_sent;
    ngx_chat_redis_step_e      steps[NGX_CHAT_REDIS_MAX_STEPS];
    ngx_uint_t                 nsteps;
    ngx_uint_t                 step;

    ngx_chat_bytes_t           out;
    size_t                     sent;
    ngx_queue_t                cmds;        /* in the order of replies */
    ngx_queue_t                failing;     /* on their way to a NULL */

    ngx_chat_redis_state_pt    on_state;
    void                      *on_state_data;
    ngx_chat_redis_push_pt     on_push;
    void                      *on_push_data;

    ngx_event_t                timer;       /* attempt, the next, or probe */
    ngx_event_t                deadline;    /* of the first command */
    ngx_event_t                flush;
    ngx_connection_t           dummy;       /* data of these events */

    ngx_str_t                  policy;
    u_char                     policy_buf[NGX_CHAT_REDIS_MAX_POLICY];

    /* words, mostly of Redis, on the failure that is to be logged next */
    ngx_str_t                  words;
    u_char                     words_buf[NGX_CHAT_REDIS_MAX_WORDS];

    ngx_uint_t                 logged;      /* kinds of failures */

    /* how often a server that could not serve was left, and when so logged */
    ngx_uint_t                 left;
    time_t                     told;

    ngx_uint_t                 busy;        /* calls on the stack */
    unsigned                   failed:1;    /* the last round */
    unsigned                   dropped:1;   /* by the server, just now */
    unsigned                   closed:1;
    unsigned                   blamed:1;    /* the current address */
    unsigned                   asked:1;     /* for a client certificate */
    unsigned                   replica:1;   /* as INFO says */
    unsigned                   partial:1;   /* see ngx_chat_redis_partial() */
    unsigned                   whole:1;     /* a Cluster of one master */
};


/* ngx_chat_redis.c */

void ngx_chat_redis_enter(ngx_chat_redis_t *rd);
void ngx_chat_redis_leave(ngx_chat_redis_t *rd);

void ngx_chat_redis_now_up(ngx_chat_redis_t *rd);

/*
 * The connection or the attempt is over: logs why, closes, fails the commands
 * and goes to WAIT.  Does nothing where there is neither.  Kind 0: the caller
 * has told the reason.
 */
void ngx_chat_redis_lost(ngx_chat_redis_t *rd, ngx_uint_t kind, ngx_err_t err,
    const char *why);

/* another address is the right one: it is asked for, and gone to, at once */
void ngx_chat_redis_moved(ngx_chat_redis_t *rd, const char *why);

/* as lost, while it is up: another address may do better */
void ngx_chat_redis_blame(ngx_chat_redis_t *rd, const char *why);

/* as lost, but nginx wants it to go: no reconnection */
void ngx_chat_redis_shut(ngx_chat_redis_t *rd);

/* all replies once it is up go to the handler; set at once after create */
void ngx_chat_redis_on_push(ngx_chat_redis_t *rd,
    ngx_chat_redis_push_pt handler, void *data);


/* ngx_chat_redis_cmd.c */

/* a command whose replies go to that handler; NGX_OK, NGX_ERROR: not taken */
ngx_int_t ngx_chat_redis_send(ngx_chat_redis_t *rd, ngx_str_t *argv,
    ngx_uint_t argc);

void ngx_chat_redis_reply(ngx_chat_redis_t *rd, ngx_chat_reply_t *reply);

/* the timer for the command that is first now, and its handler */
void ngx_chat_redis_arm(ngx_chat_redis_t *rd);
void ngx_chat_redis_deadline_handler(ngx_event_t *ev);

/* the connection is up: commands that wait are sent now */
void ngx_chat_redis_grant(ngx_chat_redis_t *rd);

/* the callbacks of all commands, with NULL */
void ngx_chat_redis_fail_all(ngx_chat_redis_t *rd);


/* ngx_chat_redis_conn.c */

void ngx_chat_redis_connect(ngx_chat_redis_t *rd);
void ngx_chat_redis_reserve(ngx_chat_redis_t *rd);
void ngx_chat_redis_release(ngx_chat_redis_t *rd);

/* again: it will connect once more, and keeps what that needs */
void ngx_chat_redis_disconnect(ngx_chat_redis_t *rd, ngx_uint_t again);

void ngx_chat_redis_read(ngx_chat_redis_t *rd);
void ngx_chat_redis_write(ngx_chat_redis_t *rd);

/* the next step of an attempt, which has a time of its own */
void ngx_chat_redis_step(ngx_chat_redis_t *rd, ngx_chat_redis_state_e state);

/* the connection can carry commands: AUTH and so on go out */
void ngx_chat_redis_greet(ngx_chat_redis_t *rd);


/* ngx_chat_redis_tls.c */

/* the handshake; leads to greet, or the connection is lost */
void ngx_chat_redis_tls_start(ngx_chat_redis_t *rd);

/* says goodbye without waiting; the connection is to be closed then */
void ngx_chat_redis_tls_end(ngx_connection_t *c);


/* ngx_chat_redis_setup.c */

ngx_int_t ngx_chat_redis_setup(ngx_chat_redis_t *rd);
void ngx_chat_redis_setup_reply(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply);

/* keeps what Redis said, cut and cleaned, for the log */
void ngx_chat_redis_words(ngx_chat_redis_t *rd, ngx_str_t *text);
ngx_uint_t ngx_chat_redis_begins(ngx_str_t *text, const char *word);


#endif /* _NGX_CHAT_REDIS_PRIVATE_H_INCLUDED_ */
