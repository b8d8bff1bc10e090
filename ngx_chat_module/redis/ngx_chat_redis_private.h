
/*
 * The inside of a connection, shared by the files of this folder.
 *
 *   WAIT -> RESOLVE -> CONNECT -> [HANDSHAKE ->] SETUP -> UP
 *
 *                                       a loss leads back to WAIT, and so
 *                                       does an address that does not work
 *   CLOSED                                  closed, or told to go, for good
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
#include "ngx_chat_redis_pubsub.h"

#include <ngx_event.h>
#include <ngx_event_connect.h>


#define NGX_CHAT_REDIS_MAX_REPLY   (64 * 1024 * 1024)
#define NGX_CHAT_REDIS_MAX_OUT     (64 * 1024 * 1024)
#define NGX_CHAT_REDIS_PROBE       5000             /* ms, while idle */
#define NGX_CHAT_REDIS_LOOKUP_TIMEOUT  1000
#define NGX_CHAT_REDIS_QUIET       60               /* s */
#define NGX_CHAT_REDIS_KEEP_OUT    (256 * 1024)     /* when all is sent */
#define NGX_CHAT_REDIS_MAX_ERRMSG   200
#define NGX_CHAT_REDIS_MAX_POLICY  32
#define NGX_CHAT_REDIS_MAX_STEPS   8


typedef void (*ngx_chat_redis_push_pt)(void *data, ngx_chat_reply_t *reply);


/*
 * Reports of the parts below ngx_chat_redis.c; each may end the connection.
 * lost: as ngx_chat_redis_disconnect().
 */

typedef struct {
    void                     (*up)(ngx_chat_redis_t *rd);
    void                     (*lost)(ngx_chat_redis_t *rd, ngx_uint_t kind,
                                     ngx_err_t err, const char *why);

    /* another address is the right one: it is gone to at once */
    void                     (*moved)(ngx_chat_redis_t *rd, const char *why);

    /* nginx wants the connection to go: no reconnection */
    void                     (*stop)(ngx_chat_redis_t *rd);

    /* a reply once it is up; and all that had come was read */
    void                     (*reply)(ngx_chat_redis_t *rd,
                                      ngx_chat_reply_t *reply);
    void                     (*idle)(ngx_chat_redis_t *rd);
} ngx_chat_redis_handlers_t;


struct ngx_chat_redis_s {
    ngx_chat_redis_conf_t     *conf;
    const char                *role;
    ngx_log_t                 *log;

    const ngx_chat_redis_handlers_t      *handlers;
    const ngx_chat_redis_sentinel_ops_t  *sentinel;  /* NULL: of a Sentinel */

    ngx_peer_connection_t      peer;
    ngx_chat_redis_endpoint_t  endpoint;
    ngx_msec_t                 started;     /* of the last round */

    /* for the next attempt */
    ngx_connection_t          *spare;
    ngx_socket_t               spare_fd;

    ngx_chat_redis_state_e     state;
    ngx_chat_resp_t           *resp;

    /* TLS: whose certificate is expected, and where nginx says what failed */
    ngx_str_t                 *host;
    ngx_log_t                  tls_log;
    void                     (*secured)(ngx_chat_redis_t *rd);

    /* AUTH and so on go out alone, before any command */
    ngx_chat_bytes_t           setup;
    size_t                     setup_sent;
    ngx_chat_redis_step_e      steps[NGX_CHAT_REDIS_MAX_STEPS];
    ngx_uint_t                 nsteps;
    ngx_uint_t                 step;

    ngx_chat_bytes_t           out;
    size_t                     sent;
    ngx_queue_t                cmds;        /* in the order of replies */
    ngx_chat_redis_cmd_t      *measured;    /* among these, or NULL */
    uint64_t                   measured_at; /* us */
    ngx_queue_t                failing;     /* on their way to a NULL */

    ngx_chat_redis_state_pt    state_handler;
    void                      *state_data;
    ngx_chat_redis_push_pt     push_handler;
    void                      *push_data;

    ngx_event_t                timer;       /* attempt, the next, or probe */
    ngx_event_t                deadline;    /* of the first command */
    ngx_event_t                flush;
    ngx_connection_t           dummy;       /* data of these events */

    ngx_str_t                  tracking;    /* prefix of keys; empty: none */

    ngx_str_t                  policy;
    u_char                     policy_buf[NGX_CHAT_REDIS_MAX_POLICY];

    /* text, mostly of Redis, on the failure that is to be logged next */
    ngx_str_t                  errmsg;
    u_char                     errmsg_buf[NGX_CHAT_REDIS_MAX_ERRMSG];

    ngx_uint_t                 logged;      /* kinds of failures */

    /* how often a server that could not serve was left, and when so logged */
    ngx_uint_t                 nleft;
    time_t                     left_logged;

    ngx_uint_t                 busy;        /* calls on the stack */
    unsigned                   failed:1;    /* the last round */
    unsigned                   was_up:1;    /* ever */
    unsigned                   dropped:1;   /* by the server, just now */
    unsigned                   closed:1;
    unsigned                   addr_failed:1;   /* the current address */
    unsigned                   cert_requested:1;  /* by the server, of ours */
    unsigned                   replica:1;   /* as INFO says */
    unsigned                   partial:1;   /* some of a Cluster's slots */
    unsigned                   single_master:1;  /* of a Cluster */
    unsigned                   tracked:1;   /* the server does, now */
};


/* ngx_chat_redis.c */

/* sentinel: of those that know the master; NULL: no memory */
ngx_chat_redis_t *ngx_chat_redis_create(ngx_chat_redis_conf_t *rcf,
    const char *role, const ngx_chat_redis_sentinel_ops_t *sentinel,
    ngx_log_t *log);

/*
 * Ends the connection or the attempt: logs why, closes, fails the commands and
 * goes to WAIT.  Does nothing where there is neither.  Kind 0: not as an error.
 */
void ngx_chat_redis_disconnect(ngx_chat_redis_t *rd, ngx_uint_t kind,
    ngx_err_t err, const char *why);

/* as disconnect, while it is up: another address may do better */
void ngx_chat_redis_mark_failed(ngx_chat_redis_t *rd, const char *why);

/* all replies once it is up go to the handler; set at once after create */
void ngx_chat_redis_set_push_handler(ngx_chat_redis_t *rd,
    ngx_chat_redis_push_pt handler, void *data);


/* ngx_chat_redis_pubsub.c: sentinel as that of ngx_chat_redis_create() */
ngx_chat_pubsub_t *ngx_chat_pubsub_create(ngx_chat_redis_conf_t *rcf,
    const ngx_chat_redis_sentinel_ops_t *sentinel, ngx_log_t *log);


/* ngx_chat_redis_cmd.c */

/* a command whose replies go to that handler; NGX_OK, NGX_ERROR: not taken */
ngx_int_t ngx_chat_redis_cmd_send(ngx_chat_redis_t *rd, ngx_str_t *argv,
    ngx_uint_t argc);

void ngx_chat_redis_cmd_process_reply(ngx_chat_redis_t *rd,
    ngx_chat_reply_t *reply);

/* the timer for the command that is first now, and its handler */
void ngx_chat_redis_cmd_set_timer(ngx_chat_redis_t *rd);
void ngx_chat_redis_cmd_deadline_handler(ngx_event_t *ev);

/* the connection is up: commands that wait are sent now */
void ngx_chat_redis_cmd_extend_deadlines(ngx_chat_redis_t *rd);

/* the callbacks of all commands, with NULL */
void ngx_chat_redis_cmd_fail_all(ngx_chat_redis_t *rd);


/* ngx_chat_redis_state.c: rd lasts as long as a call is on the stack */
void ngx_chat_redis_enter(ngx_chat_redis_t *rd);
void ngx_chat_redis_leave(ngx_chat_redis_t *rd);

/* keeps what Redis said, cut and cleaned, for the log */
void ngx_chat_redis_set_errmsg(ngx_chat_redis_t *rd, ngx_str_t *text);
ngx_uint_t ngx_chat_redis_starts_with(ngx_str_t *text, const char *word);


#endif /* _NGX_CHAT_REDIS_PRIVATE_H_INCLUDED_ */
