
/*
 * A conversation with providers about one question: which of them is asked,
 * when one is asked again, when its answer starts over, and how it all ends.
 * Calls go through a transport; the owner, a job or a direct generation,
 * gets texts, and one result.
 *
 * The conversation is a part of its owner's object, and zeroed.  No callback
 * fires once it was stopped; ended() fires from an event of its own.
 */


#ifndef _NGX_CHAT_CONVERSATION_H_INCLUDED_
#define _NGX_CHAT_CONVERSATION_H_INCLUDED_


#include "ngx_chat_failover.h"
#include "ngx_chat_provider_call.h"


typedef struct {
    /*
     * A piece of the answer, not empty, valid during the call; must not stop
     * the conversation.  NGX_OK; NGX_DECLINED: too much; NGX_ERROR: no memory.
     */
    ngx_int_t                       (*text)(void *data, ngx_str_t *text);

    /* texts so far are void, others will follow; NGX_OK, NGX_ERROR */
    ngx_int_t                       (*restart)(void *data);

    /*
     * Once: a whole answer, or the last error.  May free the conversation.
     * Strings of a whole answer's result are in the pool.
     */
    void                            (*ended)(void *data,
                                        ngx_chat_provider_result_t *result);
} ngx_chat_conversation_ops_t;


typedef struct {
    ngx_chat_provider_call_t            *call;    /* NULL: none */
    const ngx_chat_transport_t          *transport;
    void                                *ctx;     /* the transport's */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                            ident;

    const ngx_chat_conversation_ops_t   *ops;
    void                                *data;

    ngx_chat_failover_t                  failover;
    ngx_str_t                           *messages;
    ngx_chat_trace_t                    *trace;
    size_t                               max_answer;
    size_t                               length;  /* of the answer so far */
    ngx_msec_t                           started;
    ngx_msec_t                           last;    /* text, if sent_any */
    ngx_pool_t                          *pool;
    ngx_log_t                           *log;

    ngx_event_t                          event;   /* posted: the call ended */
    ngx_event_t                          retry;
    ngx_chat_provider_result_t           result;  /* of the last call */

    unsigned                             failed:1;  /* texts are ignored */
    unsigned                             sent_any:1;  /* since a restart */
} ngx_chat_conversation_t;


/*
 * The owner sets transport, ctx, ops, data, messages, trace, max_answer, pool
 * and log before.  max: how many candidates may be added.  NGX_OK, NGX_ERROR
 */
ngx_int_t ngx_chat_conversation_init(ngx_chat_conversation_t *cv,
    ngx_uint_t max);

/*
 * Candidates were added to failover: asks the first.  Also to begin anew
 * after a stop.  text() may fire inside, restart() and ended() do not.
 */
void ngx_chat_conversation_start(ngx_chat_conversation_t *cv);

/* aborts what is under way, at any time but in text() */
void ngx_chat_conversation_stop(ngx_chat_conversation_t *cv);

/* the provider that was asked last */
ngx_chat_candidate_t *ngx_chat_conversation_candidate(
    ngx_chat_conversation_t *cv);


#endif /* _NGX_CHAT_CONVERSATION_H_INCLUDED_ */
