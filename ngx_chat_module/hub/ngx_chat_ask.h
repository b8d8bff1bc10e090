
/*
 * From a question to its answer or its channel: the hub's index, the hit
 * test, open, and then its maker in this worker or the push of its task.
 */


#ifndef _NGX_CHAT_ASK_H_INCLUDED_
#define _NGX_CHAT_ASK_H_INCLUDED_


#include "ngx_chat_lead.h"
#include "../codec/ngx_chat_error.h"
#include "../codec/ngx_chat_trace.h"


typedef struct ngx_chat_ask_s  ngx_chat_ask_t;


typedef enum {
    NGX_CHAT_ASK_CACHED = 0,       /* a hit, a running generation, or a new */
    NGX_CHAT_ASK_REFRESH,          /* a new one that replaces the cached */
    NGX_CHAT_ASK_PRIVATE           /* a new one; nothing joined or stored */
} ngx_chat_ask_mode_e;


typedef struct ngx_chat_question_s  ngx_chat_question_t;


/*
 * A question lasts, with its strings, as long as the asker is there, for whom
 * it may be asked again.  complete(), unless it is NULL, is called before a
 * generation is opened, for what a hit can do without: messages, trace and
 * limit.  It returns a question with these; NULL: no memory.
 */
struct ngx_chat_question_s {
    u_char                 h[NGX_CHAT_HASH_LEN];
    u_char                 fp[NGX_CHAT_FP_LEN];
    ngx_chat_ask_mode_e    mode;

    ngx_str_t              providers;  /* "name=fp name=fp" */
    ngx_str_t              messages;
    ngx_chat_trace_t       trace;
    ngx_msec_t             ttl;
    ngx_msec_t             stale;      /* for so long behind its ttl an answer
                                          will do, and another is made */
    size_t                 max_answer;
    ngx_uint_t             cancel;
    ngx_msec_t             grace;
    ngx_chat_limit_t       limit;      /* of what is new */

    ngx_chat_question_t *(*complete)(void *data);

    const ngx_chat_maker_t  *maker;    /* NULL: it goes through the queue */
    void                  *data;       /* of both */
};


typedef enum {
    NGX_CHAT_RESULT_HIT = 0,      /* channel of a cached answer, and ttl;
                                     negative: it is stale */
    NGX_CHAT_RESULT_MISS,         /* channel of a new generation */
    NGX_CHAT_RESULT_JOIN,         /* channel of one that runs */
    NGX_CHAT_RESULT_ERROR         /* error */
} ngx_chat_result_e;


typedef struct {
    ngx_chat_result_e      kind;
    ngx_chat_channel_t    *channel;    /* attach inside the handler */
    ngx_chat_error_e       error;      /* queue_full, redis_down, miss_limit,
                                          internal */
    ngx_msec_t             wait;       /* miss_limit: not before */
    int64_t                ttl;        /* of the answer, see
                                          ngx_chat_answer_t */
    ngx_atomic_uint_t      ticket;     /* of a hit, for the zone; 0: none */
} ngx_chat_result_t;


typedef void (*ngx_chat_result_pt)(void *data, ngx_chat_result_t *result);

/*
 * The handler fires exactly once, never inside this call, unless forgotten.
 * NULL: no memory.
 */
ngx_chat_ask_t *ngx_chat_hub_ask(ngx_chat_hub_t *hub,
    ngx_chat_question_t *question, ngx_chat_result_pt handler, void *data);

/*
 * The asker has left: the handler will not fire.  What Redis has accepted
 * goes on, so that the answer is cached.  Not after the handler has returned;
 * needed, to free the ask, if the hub was closed before it fired.
 */
void ngx_chat_hub_forget(ngx_chat_ask_t *ask);

/* inside the handler: the question of one who joins; NULL: it is none */
ngx_chat_question_t *ngx_chat_ask_joined(ngx_chat_hub_t *hub);

/* for ngx_chat_hub_close(): no handler fires any more */
void ngx_chat_hub_close_asks(ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_ASK_H_INCLUDED_ */
