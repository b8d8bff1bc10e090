
/*
 * A job as its parts see it: ngx_chat_job.c is the state machine and calls the
 * others, which report to it: ngx_chat_job_ask.c converses with providers,
 * ngx_chat_job_candidates.c says which of them may be asked,
 * ngx_chat_job_write.c brings what came into Redis.
 *
 * A function that may end the job is the last thing its caller does.
 */


#ifndef _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_
#define _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_


#include "ngx_chat_job.h"
#include "../provider/ngx_chat_conversation.h"
#include "../codec/ngx_chat_bytes.h"

#include <ngx_event.h>


/* how long a command is repeated: who cannot write for so long is replaced */
#define NGX_CHAT_JOB_RETRY  (NGX_CHAT_LEASE + NGX_CHAT_MARGIN)


typedef enum {
    NGX_CHAT_JOB_CLAIMING = 0,
    NGX_CHAT_JOB_RUNNING,          /* ours to write */
    NGX_CHAT_JOB_LEAVING           /* nothing is left but the queue entry */
} ngx_chat_job_state_e;


/* reports to the state machine; each may end the job */
typedef struct {
    /* a text came, and is in the job */
    void                     (*text)(ngx_chat_job_t *job);

    /* of the conversation: the answer is whole, or the last error */
    void                     (*ended)(ngx_chat_job_t *job,
                                 ngx_chat_provider_result_t *result);

    /* subscribers: how many got it; stop: a client has asked for the end */
    void                     (*appended)(ngx_chat_job_t *job,
                                 ngx_uint_t subscribers, ngx_uint_t stop);

    /* the generation has ended */
    void                     (*done)(ngx_chat_job_t *job);

    /* the lease is not ours any more */
    void                     (*lost)(ngx_chat_job_t *job);

    /* rc of the store: what was to be written is not */
    void                     (*broken)(ngx_chat_job_t *job, ngx_int_t rc);

    /* NGX_OK: the lease has ended, as the job is given back */
    void                     (*returned)(ngx_chat_job_t *job, ngx_int_t rc);

    /* not even the end could be written */
    void                     (*given_up)(ngx_chat_job_t *job);
} ngx_chat_job_ops_t;


struct ngx_chat_job_s {
    ngx_chat_jobs_t           *jobs;
    ngx_pool_t                *pool;
    ngx_chat_call_t           *write;      /* the one command in flight */

    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_int_t                  ident;

    const ngx_chat_job_ops_t  *ops;
    ngx_queue_t                queue;
    ngx_log_t                  log;
    ngx_chat_job_state_e       state;
    ngx_chat_task_entry_t      task;
    ngx_chat_lease_t           lease;

    /* of the attempt being written: "<token>.<how many>" */
    ngx_str_t                  label;
    ngx_uint_t                 attempts;
    u_char                     label_buf[NGX_CHAT_LABEL_LEN];

    /* the providers' side */
    ngx_chat_conversation_t    conversation;
    ngx_chat_provider_result_t  result;     /* once answered */
    ngx_event_t                event;      /* posted: a text came */

    /* the answer: the text in one piece, and the length of each chunk */
    ngx_chat_bytes_t           text;
    ngx_chat_bytes_t           chunk_lens;  /* of uint32_t */

    /* Redis' side */
    ngx_uint_t                 next;       /* the first chunk not sent */
    size_t                     offset;     /* where it begins in text */
    ngx_event_t                renewal;
    ngx_msec_t                 abandoned;  /* no_subscribers since then */

    ngx_chat_error_e           error;      /* code to end with, if any */

    unsigned                   answered:1;  /* and text is the whole answer */
    unsigned                   broken:1;   /* no chunks any more, only fail */
    unsigned                   no_retry:1;  /* Redis has been waited for */
    unsigned                   restart:1;  /* the next chunk starts over */
    unsigned                   sent_any:1;  /* chunks were sent since then */
    unsigned                   renew:1;    /* the lease is due */
    unsigned                   no_subscribers:1;  /* of the last append */
    unsigned                   cancel:1;   /* to be asked about that */
    unsigned                   give_back:1;
    unsigned                   lost:1;     /* once already */
};


/*
 * Adds the task's providers that are known here to the conversation; none is
 * no error, but logged.
 */
void ngx_chat_job_add_candidates(ngx_chat_job_t *job);


/* the conversation, not begun yet; NGX_OK, NGX_ERROR: no memory */
ngx_int_t ngx_chat_job_prepare(ngx_chat_job_t *job);

/* asks the providers from the start; nothing is reported inside */
void ngx_chat_job_ask(ngx_chat_job_t *job);

/* forgets the chunks; what clients have of them goes with a "processing" */
void ngx_chat_job_start_over(ngx_chat_job_t *job);

/* no more is expected from the providers; not from inside libcurl */
void ngx_chat_job_stop_asking(ngx_chat_job_t *job);


/* a label for the attempt that begins, which no other has */
void ngx_chat_job_name_attempt(ngx_chat_job_t *job);

/* does whatever is next, unless a command is in flight; may end the job */
void ngx_chat_job_write(ngx_chat_job_t *job);


#endif /* _NGX_CHAT_JOB_PRIVATE_H_INCLUDED_ */
