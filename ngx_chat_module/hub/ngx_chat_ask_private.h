
/*
 * An ask under way.  ngx_chat_ask.c finds out what the question is and opens a
 * generation, ngx_chat_ask_lead.c has its answer made in this worker,
 * ngx_chat_ask_push.c gets its task to the fillers,
 * ngx_chat_ask_result.c ends the ask and reports, ngx_chat_ask_refused.c
 * remembers who was refused; each calls those behind it alone.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_ASK_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_ASK_PRIVATE_H_INCLUDED_


#include "ngx_chat_ask.h"
#include "ngx_chat_channel.h"
#include "ngx_chat_hit_test.h"
#include "ngx_chat_opening.h"


struct ngx_chat_ask_s {
    ngx_chat_hub_t         *hub;       /* NULL: closed */
    ngx_chat_call_t        *call;
    ngx_chat_waiter_t       waiter;    /* for the hit test */
    ngx_chat_opening_node_t  *opening;   /* others may wait for it */
    ngx_chat_opening_waiter_t  other;  /* for another's opening */
    ngx_chat_channel_t     *channel;   /* held by the ask */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t               ident;

    ngx_event_t             timer;
    ngx_chat_wake_t         wake;      /* result is to be told */
    ngx_queue_t             queue;     /* in hub->asks */

    ngx_chat_result_pt      handler;   /* NULL: told, or forgotten */
    void                   *data;
    ngx_chat_result_t       result;

    const ngx_chat_maker_t  *makers;   /* NULL: it goes through the queue */
    ngx_chat_question_t  *(*complete)(void *data);
    void                   *asker;     /* data of both; NULL: it has left */
    void                   *maker;     /* prepared, not begun */

    ngx_chat_question_t    *question;  /* while the asker is there */
    ngx_chat_ask_mode_e     mode;
    ngx_chat_task_t         task;
    u_char                 *strings;   /* of task; NULL: it is not complete */
    ngx_chat_limit_t        limit;
    ngx_chat_error_e        reason;    /* for dropping the task */

    unsigned                committed:1;   /* goes on without its asker */
    unsigned                probe:1;   /* of a queue that was full */
    unsigned                opened:1;  /* perhaps, and has no task yet */
    unsigned                outdates:1;   /* a stale answer, too old for it */
};


/*
 * ngx_chat_ask_lead.c: prepares a maker for what is about to be opened, if this
 * worker may lead it; has the maker begin, or the task pushed.  Ends in a
 * report.
 */
void ngx_chat_ask_prepare(ngx_chat_ask_t *ask);
void ngx_chat_ask_make(ngx_chat_ask_t *ask);


/*
 * ngx_chat_ask_push.c: pushes the task of a generation that was just opened,
 * and follows it once the task is accepted.  Ends in a report.
 */
void ngx_chat_ask_push(ngx_chat_ask_t *ask);

/* the generation is dropped for this reason, unless its task has arrived */
void ngx_chat_ask_drop(ngx_chat_ask_t *ask, ngx_chat_error_e reason);

/* nothing was opened, as a task would not be taken; ends in a report */
void ngx_chat_ask_refuse(ngx_chat_ask_t *ask);


/* ngx_chat_ask_result.c: timer and event, whose handlers end the ask */
void ngx_chat_ask_init_events(ngx_chat_ask_t *ask);

/*
 * The asker is told outside of what called us; the ask may be free.  An error
 * rolls back what was opened.
 */
void ngx_chat_ask_report(ngx_chat_ask_t *ask, ngx_chat_result_e kind);
void ngx_chat_ask_report_error(ngx_chat_ask_t *ask, ngx_chat_error_e e);

/*
 * The error of those who have joined what its opener lost by e.  A limit is
 * not theirs: they ask again.
 */
ngx_chat_error_e ngx_chat_ask_joiners_error(ngx_chat_error_e e);

void ngx_chat_ask_free(ngx_chat_ask_t *ask);


/*
 * ngx_chat_ask_refused.c: 1 as long as the name was over the limit a moment
 * ago, and still is
 */
ngx_uint_t ngx_chat_ask_is_limited(ngx_chat_ask_t *ask);
void ngx_chat_ask_set_limited(ngx_chat_ask_t *ask, ngx_msec_t wait);

/*
 * 1: the queue was full a moment ago.  One ask at a time, the probe, is told 0,
 * and finds out.
 */
ngx_uint_t ngx_chat_ask_queue_is_full(ngx_chat_ask_t *ask);
void ngx_chat_ask_set_queue_full(ngx_chat_ask_t *ask, ngx_uint_t full);

/* the ask ends without having found out */
void ngx_chat_ask_end_probe(ngx_chat_ask_t *ask);


#endif /* _NGX_CHAT_ASK_PRIVATE_H_INCLUDED_ */
