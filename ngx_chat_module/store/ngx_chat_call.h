
/*
 * A call: one verb under way, a script (EVALSHA) or a plain command.  A verb
 * creates it, adds its arguments, which are copied, and sends it.
 *
 * A script that Redis does not know is loaded, and the command sent again.  A
 * command whose connection was lost is sent again with the same arguments,
 * since each verb can be repeated: without retry_time once, within its timeout;
 * else until retry_time is used up, also while Redis says that it cannot serve
 * right now.  On a connection that is not the store's nothing is repeated:
 * its owner may close it.
 *
 * Private to store/.
 */


#ifndef _NGX_CHAT_CALL_H_INCLUDED_
#define _NGX_CHAT_CALL_H_INCLUDED_


#include "ngx_chat_store.h"
#include "ngx_chat_keys.h"
#include "ngx_chat_scripts.h"

#include <ngx_event.h>


/* pipelined_reply, where that is none */
#define NGX_CHAT_CALL_NO_NUMBER  INT64_MIN


/* the meaning of the first element of a script's reply */
typedef struct {
    const char            *word;   /* NULL: end of the list */
    ngx_int_t              rc;
} ngx_chat_word_t;


typedef struct {
    ngx_str_t              name;
    ngx_str_t             *text;   /* the generated ngx_chat_lua_<name> */
    ngx_uint_t             nkeys;
    const ngx_chat_word_t *words;  /* NULL: no words in the reply */

    u_char                 sha[40];
    ngx_uint_t             known;  /* sha is computed */
} ngx_chat_script_t;


/* any handler, to be cast back to its own type */
typedef void (*ngx_chat_handler_pt)(void);

/* the type of most handlers */
typedef void (*ngx_chat_rc_pt)(void *data, ngx_int_t rc);

/*
 * Reads the reply and calls the handler.  reply is NULL if the command could
 * not be answered.  The call is freed after it returns.
 */
typedef void (*ngx_chat_reply_handler_pt)(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


struct ngx_chat_call_s {
    ngx_queue_t                queue;  /* in store->calls */
    ngx_pool_t                *pool;
    ngx_chat_store_t          *store;
    ngx_chat_redis_t          *rd;
    ngx_chat_script_t         *script;  /* NULL: a plain command */
    ngx_array_t                args;  /* of ngx_str_t */

    /* a command sent right before, in the same pipeline */
    ngx_str_t                  pipelined[3];
    ngx_uint_t                 npipelined;
    int64_t                    pipelined_reply;

    ngx_chat_reply_handler_pt  done;
    ngx_chat_handler_pt        handler;
    void                      *data;

    /* NGX_CHAT_SERVICES: the reply tells nothing about any */
    ngx_chat_service_e         service;

    /* context for done() */
    ngx_chat_gen_t             gen;
    uint64_t                  *lease_n;  /* a lease's n, to be moved on */
    uint64_t                   n;
    uint64_t                   ms;

    ngx_msec_t                 timeout;
    ngx_msec_t                 retry_time;
    ngx_msec_t                 started;
    ngx_event_t                retry;

    ngx_uint_t                 drops;  /* of the connection, by the server */

    ngx_chat_redis_cmd_t      *pipelined_cmd;
    ngx_chat_redis_cmd_t      *cmd;

    unsigned                   no_retry:1;  /* never repeated */
    unsigned                   repeated:1;
    unsigned                   loaded:1;  /* the script, on this connection */
    unsigned                   failed:1;  /* no memory for an argument */
    unsigned                   fired:1;  /* done() runs */
};


/* script may be NULL; NULL: closed, or no memory */
ngx_chat_call_t *ngx_chat_call_create(ngx_chat_store_t *st,
    ngx_chat_redis_t *rd, ngx_chat_script_t *script);

/* a further argument; a lack of memory shows when the call is sent */
u_char *ngx_chat_call_add_room(ngx_chat_call_t *call, size_t len);
void ngx_chat_call_add_bytes(ngx_chat_call_t *call, const void *p, size_t len);
void ngx_chat_call_add_text(ngx_chat_call_t *call, const char *text);
void ngx_chat_call_add_str(ngx_chat_call_t *call, ngx_str_t *s);
void ngx_chat_call_add_num(ngx_chat_call_t *call, uint64_t n);

/* the keys of a generation, as many as the script has, and its id */
void ngx_chat_call_add_gen(ngx_chat_call_t *call, ngx_chat_gen_t *gen);

/* sends a command of this name on the first key before a plain command */
void ngx_chat_call_pipeline(ngx_chat_call_t *call, const char *name);

/* NULL: refused; the call is freed then */
ngx_chat_call_t *ngx_chat_call_send(ngx_chat_call_t *call,
    ngx_chat_reply_handler_pt done, ngx_chat_handler_pt handler, void *data);

/*
 * In done(), instead of calling the handler: sends the same command with the
 * arguments as they are now.  NGX_OK, NGX_DECLINED: refused.
 */
ngx_int_t ngx_chat_call_resend(ngx_chat_call_t *call);

/* the call ends unanswered; its handler fires */
void ngx_chat_call_fail(ngx_chat_call_t *call);


/* ngx_chat_store_refusal.c: the reply's result on the call's service */
void ngx_chat_store_service_update(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);

/*
 * For a lookup, which may be for more than Redis lets go out at once: whether
 * there was a reply, and whether there is likely to be one for gen.
 */
void ngx_chat_store_oversize_add_drops(ngx_chat_call_t *call);
void ngx_chat_store_oversize_clear(ngx_chat_call_t *call);
ngx_uint_t ngx_chat_store_oversize_is_suspected(ngx_chat_store_t *st,
    ngx_chat_gen_t *gen);


/* the command, or the script, for the log */
ngx_str_t *ngx_chat_call_reply_command_name(ngx_chat_call_t *call);

/*
 * ngx_chat_call_reply.c, for done().  NGX_ERROR and NGX_ABORT: as in handlers;
 * the rest is NGX_OK, or what the script's words say.
 */
ngx_int_t ngx_chat_call_reply_check(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
ngx_int_t ngx_chat_call_reply_check_array(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);
ngx_int_t ngx_chat_call_reply_read_word(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);

/* element i of the reply, a number that is not negative; NGX_OK, NGX_ABORT */
ngx_int_t ngx_chat_call_reply_read_number(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply,
    ngx_uint_t i, uint64_t *n);

/* element i, the id of an entry of a queue, or empty; NGX_OK, NGX_ABORT */
ngx_int_t ngx_chat_call_reply_read_entry(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply, ngx_uint_t i, ngx_str_t *entry);

/* is the reply an error that begins with this word? */
ngx_uint_t ngx_chat_call_reply_is_error(ngx_chat_reply_t *reply,
    const char *word);

/*
 * Says an error reply that Redis cannot serve?  NGX_AGAIN: but it may soon;
 * NGX_ERROR; NGX_ABORT: another error; NGX_OK: no error reply.
 */
ngx_int_t ngx_chat_call_reply_classify(ngx_chat_reply_t *reply);

/* logs a reply that cannot be, and returns NGX_ABORT */
ngx_int_t ngx_chat_call_reply_log_unexpected(ngx_chat_call_t *call);

/* a done() for scripts whose reply is one of their words */
void ngx_chat_call_word_reply_handler(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


#endif /* _NGX_CHAT_CALL_H_INCLUDED_ */
