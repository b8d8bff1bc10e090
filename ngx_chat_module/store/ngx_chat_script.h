
/*
 * Running a script or a plain command as a call: EVALSHA, with the script
 * loaded on NOSCRIPT and the same command sent again.  A command whose
 * connection was lost is sent again with the same arguments (each verb can be
 * repeated) while patience lasts.
 *
 * Private to store/.
 */


#ifndef _NGX_CHAT_SCRIPT_H_INCLUDED_
#define _NGX_CHAT_SCRIPT_H_INCLUDED_


#include "ngx_chat_store.h"


typedef struct {
    ngx_str_t             *text;   /* the generated ngx_chat_lua_<name> */
    u_char                 sha[40];
    ngx_uint_t             known;  /* sha is computed */
} ngx_chat_script_t;


/*
 * reply is NULL if the command could not be answered: connection lost or
 * timed out, patience used up.  The call is freed after the handler returns.
 */
typedef void (*ngx_chat_call_pt)(ngx_chat_call_t *call,
    ngx_chat_reply_t *reply);


struct ngx_chat_call_s {
    ngx_chat_store_t      *store;
    ngx_chat_redis_t      *rd;
    ngx_chat_call_pt       done;   /* reads the reply, calls handler */

    /* the verb's own: cast back by its done() */
    void                 (*handler)(void);
    void                  *data;

    ngx_uint_t             arg;    /* free for the verb's use */

    ngx_chat_script_t     *script; /* NULL: a plain command */
    ngx_str_t             *argv;   /* copied, with what they point to */
    ngx_uint_t             argc;
    ngx_msec_t             timeout;
    ngx_msec_t             patience;  /* 0: one repeat, if not known down */
    ngx_msec_t             started;

    ngx_chat_redis_cmd_t  *cmd;
    ngx_event_t            retry;
    ngx_uint_t             repeats;
};


/*
 * Allocates a call for argc arguments of in all len bytes, copied by
 * ngx_chat_call_arg(); sent by ngx_chat_call_send().  With a script the first
 * three arguments (EVALSHA, sha, number of keys) are made by create.
 */
ngx_chat_call_t *ngx_chat_call_create(ngx_chat_store_t *st,
    ngx_chat_redis_t *rd, ngx_chat_script_t *script, ngx_str_t *argv,
    ngx_uint_t argc, ngx_uint_t nkeys);

/* NULL: refused; the call is freed then */
ngx_chat_call_t *ngx_chat_call_send(ngx_chat_call_t *call);

/*
 * What an error reply means: NGX_ERROR for the ones that say Redis cannot
 * serve, else NGX_ABORT, logged.  NGX_OK: not an error reply.
 */
ngx_int_t ngx_chat_call_error(ngx_chat_call_t *call, ngx_chat_reply_t *reply);


#endif /* _NGX_CHAT_SCRIPT_H_INCLUDED_ */
