
/*
 * A lead as its parts see it: ngx_chat_lead.c is the state machine,
 * ngx_chat_lead_hold.c says when subscribers are told how it has ended,
 * ngx_chat_lead_send.c turns the channel's events into records, when they are
 * due.
 *
 * Private to hub/.
 */


#ifndef _NGX_CHAT_LEAD_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_LEAD_PRIVATE_H_INCLUDED_


#include "ngx_chat_channel.h"
#include "ngx_chat_lead.h"
#include "ngx_chat_leads_private.h"
#include "../lane/ngx_chat_lane_record.h"


#define NGX_CHAT_LEAD_PATIENCE  60000  /* ms, for what has ended here */

/* "<generation>.<attempt>" */
#define NGX_CHAT_LEAD_LABEL  (NGX_CHAT_ID_LEN + 1 + NGX_INT_T_LEN)


typedef enum {
    NGX_CHAT_LEAD_NO_LANE = 0,
    NGX_CHAT_LEAD_FILLED,          /* a filler has it, and has not answered */
    NGX_CHAT_LEAD_KEPT,            /* the filler writes it */
    NGX_CHAT_LEAD_FORGOTTEN        /* nobody does any more: written, or lost */
} ngx_chat_lead_state_e;


struct ngx_chat_lead_s {
    ngx_chat_leads_t          *leads;
    ngx_chat_channel_t        *channel;
    ngx_chat_lane_slot_t      *slot;     /* NULL: no lane */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                  ident;

    ngx_rbtree_node_t          node;     /* in leads->streams, with a slot */
    ngx_queue_t                queue;    /* in leads->all */
    ngx_queue_t                ready;    /* in leads->ready, if is_ready */
    ngx_chat_lead_state_e      state;
    ngx_chat_task_t            task;
    ngx_chat_call_t           *push;

    /* the maker's side, until its call is over */
    const ngx_chat_lead_ops_t  *ops;     /* NULL: it is */
    void                      *data;

    /* the attempt, and how it ended */
    u_char                     label[NGX_CHAT_LEAD_LABEL];
    size_t                     label_len;
    ngx_uint_t                 attempt;
    ngx_chat_event_t           completed;
    ngx_str_t                  usage;
    ngx_chat_error_e           error;

    /* the lane has */
    ngx_uint_t                 fill;
    ngx_chat_entry_t          *sent;     /* the last one; NULL: none */
    ngx_chat_lane_record_t     record;   /* the one on its way, if sending */
    u_char                     number[4];  /* fields of it */
    u_char                    *fields;   /* of FILL, until the lane has it */

    /* the lane does not have yet */
    ngx_uint_t                 chunks;
    size_t                     bytes;

    ngx_event_t                gather;   /* sends what was gathered */
    ngx_event_t                late;     /* no filler for long: the queue */
    ngx_event_t                over;     /* the end is held, or the call is
                                            over and the filler silent */
    ngx_msec_t                 end;      /* when the maker was through */

    unsigned                   is_ready:1;
    unsigned                   claimed:1;  /* a filler has said KEPT */
    unsigned                   sending:1;
    unsigned                   filled:1;   /* FILL was sent */
    unsigned                   restart:1;  /* RESTART is to be */
    unsigned                   begun:1;    /* a chunk of the attempt was */
    unsigned                   ended:1;    /* completed, or with an error */
    unsigned                   handed_over:1;  /* ended: the filler is to ask */
    unsigned                   end_sent:1;
    unsigned                   idle:1;     /* nobody listens here */
    unsigned                   idle_sent:1;
    unsigned                   listeners:1;  /* elsewhere */
    unsigned                   held:1;     /* the end is not told yet */
    unsigned                   waits:1;    /* for the filler, before that */
    unsigned                   pushed:1;   /* the task, once in all */
    unsigned                   replace:1;  /* a cached answer */
};


/*
 * ngx_chat_lead.c: of a generation that was just opened, of which task tells;
 * replace: of a cached answer.  NULL: no memory.
 */
ngx_chat_lead_t *ngx_chat_lead_create(ngx_chat_channel_t *ch,
    ngx_chat_task_t *task, ngx_uint_t replace);

/* the label of the n-th attempt; returns where it ends */
u_char *ngx_chat_lead_label(u_char *p, ngx_chat_gen_t *gen, ngx_uint_t n);

/* no maker has begun */
void ngx_chat_lead_discard(ngx_chat_lead_t *lead);

extern const ngx_chat_lead_handlers_t  ngx_chat_lead_handlers;


/*
 * ngx_chat_lead_push.c: the task is queued, once, now or if no filler has said
 * for long that it writes: any filler may make an answer of its own.
 */
void ngx_chat_lead_push_init(ngx_chat_lead_t *lead);
void ngx_chat_lead_push_wait(ngx_chat_lead_t *lead);
void ngx_chat_lead_push_stop(ngx_chat_lead_t *lead);
void ngx_chat_lead_push(ngx_chat_lead_t *lead);

/* a worker that is to exit need not wait for what others do now */
ngx_uint_t ngx_chat_lead_push_is_enough(ngx_chat_lead_t *lead);


/*
 * ngx_chat_lead_hold.c: how a generation ends waits for the filler.  1: the
 * timer runs, and the lead has taken the place of the maker; 0: tell now.
 */
ngx_uint_t ngx_chat_lead_hold(ngx_chat_lead_t *lead);

/* tells subscribers the end, unless that was done */
void ngx_chat_lead_deliver(ngx_chat_lead_t *lead);

/* DONE has come, at once or late: how long the next one is waited for */
void ngx_chat_lead_hold_learn(ngx_chat_lead_t *lead);


/* ngx_chat_lead_send.c: the handler */
void ngx_chat_lead_send(ngx_chat_lead_t *lead);

/* a chunk more is there, which is due now or soon */
void ngx_chat_lead_gather(ngx_chat_lead_t *lead, size_t len);

void ngx_chat_lead_free_fields(ngx_chat_lead_t *lead);

/* forgets what the lane has: the next FILL begins with the attempt */
void ngx_chat_lead_rewind(ngx_chat_lead_t *lead);


#endif /* _NGX_CHAT_LEAD_PRIVATE_H_INCLUDED_ */
